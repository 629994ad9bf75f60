#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Names from DNS: real servers (dnsmasq, unbound), real programs that resolve through them, and a
# pod that answers its own DNS. All of it in network namespaces and a mount namespace of the test's own,
# with a resolv.conf that names the server behind the wire.
# deadline: 240

# SC2119: functions with optional arguments; SC2317: functions that are arguments
# shellcheck disable=SC2119,SC2317
[ -n "${TEST_MOUNTS:-}" ] || TEST_MOUNTS=own exec unshare --mount --propagation private "$0" "$@"
# shellcheck source=../lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

make_network
for host in 3 4 5 6 7; do
	ip -n "$peer" address add "10.9.8.$host/24" dev ve0
done
ip -n "$peer" -6 address add fd09::3/64 dev ve0 nodad
printf 'nameserver 10.9.8.2\nnameserver 10.9.8.6\n' >"$scratch/resolv.conf"
mount --bind "$scratch/resolv.conf" /etc/resolv.conf || bail 'cannot have a resolv.conf of its own'

# ------------------------------------------------------------------ servers --

# hosts: what dnsmasq answers, a line of /etc/hosts each, is read; at once
dns=''
hosts() {
	cat >"$scratch/hosts"
	[ -z "$dns" ] || kill -HUP "$dns"
}

# ask NAME [TYPE] [OPTION...]: what a server says, asked from outside the governed cgroup
ask() { timeout 10 nsenter --net="/run/netns/$client" dig +short +tries=1 +time=2 @"${server_address:-10.9.8.2}" "$@"; }
answers() { [ -n "$(ask "$1")" ]; }
says() { [ "$(ask "$1")" = "$2" ]; }

hosts <<-END
	10.9.8.3 api.test
	10.9.8.4 www.test
	10.9.8.5 both.test
	10.9.8.7 many.test
	10.9.8.6 many.test
	10.9.8.6 stranger.test
	fd09::3 six.test
END
background nsenter --net="/run/netns/$peer" dnsmasq --keep-in-foreground --conf-file=/dev/null --pid-file= \
	--user=root --listen-address=10.9.8.2 --listen-address=10.9.8.5 --bind-interfaces --no-resolv --no-hosts --addn-hosts="$scratch/hosts" \
	--local-ttl=1 --cname=alias.test,middle.test --cname=middle.test,api.test --cname=cdn.test,api.test \
	>"$scratch/dnsmasq.log" 2>&1
dns=$!
wait_for 10 answers api.test || bail "dnsmasq does not answer: $(tail -3 "$scratch/dnsmasq.log")"

# An unbound, with answers that are larger than fits into one datagram without EDNS.
{
	printf 'server:\n  interface: 10.9.8.6\n  access-control: 10.9.8.0/24 allow\n  do-daemonize: no\n  username: ""\n'
	printf '  chroot: ""\n  directory: "%s"\n  pidfile: ""\n  use-syslog: no\n  local-zone: "u.test." static\n' "$scratch"
	printf '  local-data: "one.u.test. 1 IN A 10.9.9.201"\n  local-data: "two.u.test. 1 IN A 10.9.9.202"\n'
	for i in $(seq 1 60); do
		printf '  local-data: "large.u.test. 1 IN A 10.9.9.%d"\n' "$i"
	done
	printf 'remote-control:\n  control-enable: no\n'
} >"$scratch/unbound.conf"
background nsenter --net="/run/netns/$peer" unbound -d -c "$scratch/unbound.conf" >"$scratch/unbound.log" 2>&1
server_address=10.9.8.6 wait_for 10 answers one.u.test || bail "unbound does not answer: $(tail -3 "$scratch/unbound.log")"

# The same port at every address.
start_server --netns "$peer" --address 10.9.8.3
for host in 10.9.8.4 10.9.8.5 10.9.8.6 10.9.8.7 fd09::3; do
	start_server --netns "$peer" --address "$host" --port "$port"
	[ "$host" != 10.9.8.4 ] || server4=$server
done

# in_pod WORKLOAD COMMAND...: a program in the client's namespace, in a cgroup of its own
in_pod() {
	local workload=$1
	shift
	in_cgroup -c "$workload" nsenter --net="/run/netns/$client" "$@"
}
# fetch WORKLOAD HOST: with curl, as nobody changed it; prints the status of HTTP
fetch() { in_pod "$1" curl -s -o /dev/null --max-time 10 -w '%{http_code}' --noproxy '*' "http://$2:$port/"; }

row() { ebb list -o json | json "next((r for r in d['destinations'] if r['destination'] == '$1'), {}).get('$2')" 2>/dev/null; }
names() { ebb list -o json | json "' '.join(sorted(r['destination'] for r in d['destinations']))"; }
attempts() { row "$1" attempts; }
is_attempts() { [ "$(attempts "$1")" = "$2" ]; }
# knows DESTINATION ADDRESS: belongs the address to it?
knows() { ebb show -o json "$1" | json "' '.join(a['address'] for a in d['addresses'])" | grep -qw -- "$2"; }
knows_not() { ! knows "$1" "$2"; }
is_listed() { names | grep -qwF -- "$1"; }
is_not_listed() { ! is_listed "$1"; }

cat >"$scratch/ebb.yaml" <<-YAML
	mode: enforce
	defaults: {breaker: {consecutive_failures: 3, open_for: 60s, open_max: 60s}}
	dns: {grace: 1s}
	destinations:
	  - name: api
	    match: [{host: api.test, port: $port}, {host: alias.test, port: $port}, {host: stranger.test}, {host: "*.u.test"}]
	  - name: six
	    match: [{host: six.test}]
YAML
start_agent --config "$scratch/ebb.yaml"

like 'the log tells who is believed' "$(grep 'DNS answers are believed' "$agent_log")" 'from="10\.9\.8\.2 10\.9\.8\.6 127\.0\.0\.53 127\.0\.0\.54"'

# ---------------------------------------------------------------- real programs --

is 'getent looks up a name of a rule' "$(in_pod one getent ahostsv4 api.test | awk 'NR == 1 { print $1 }')" 10.9.8.3
check 'its address belongs to the destination' wait_for 10 knows api 10.9.8.3
before=$(attempts api)
is 'curl connects' "$(fetch one api.test)" 200
check 'to the destination of the name, at the first connection' wait_for 10 is_attempts api $((${before:-0} + 1))
is 'Python connects' "$(in_pod one "$python" -S -c "import socket; socket.create_connection(('api.test', $port), 5); print('OK')")" OK
check 'to the same destination' wait_for 10 is_attempts api $((before + 2))
is 'Node connects' "$(in_pod one node -e "require('net').connect($port, 'api.test', () => { console.log('OK'); process.exit() })")" OK
check 'to the same destination' wait_for 10 is_attempts api $((before + 3))
# its own resolver, not that of libc
is 'Node resolves by c-ares' "$(in_pod one node -e "require('dns').resolve4('api.test', (e, a) => console.log(e || a[0]))")" 10.9.8.3
is 'no destination was made of its address' "$(names | tr ' ' '\n' | grep -c '10\.9\.8\.3')" 0

is 'getent looks up an IPv6 address' "$(in_pod one getent ahostsv6 six.test | awk 'NR == 1 { print $1 }')" fd09::3
check 'it belongs to the destination, with every port' wait_for 10 knows six fd09::3
is 'curl connects by IPv6' "$(fetch one six.test)" 200
check 'to the destination of the name' wait_for 10 is_attempts six 1

in_pod one dig +short alias.test >/dev/null
is 'a chain of names leads to the address' "$(fetch one alias.test)" 200
check 'and belongs to the name that was asked for' wait_for 10 is_attempts api $((before + 4))

is 'dig gets a large answer with EDNS' "$(in_pod one dig +short +bufsize=4096 @10.9.8.6 large.u.test | wc -l)" 60
check 'all of it counts' wait_for 10 knows api 10.9.9.60
is 'dig asks by TCP' "$(in_pod one dig +short +tcp @10.9.8.6 two.u.test)" 10.9.9.202
check 'an answer that lies whole in one segment counts' wait_for 10 knows api 10.9.9.202
is 'getent asks the second server where the first does not know' \
	"$(in_pod one getent ahostsv4 one.u.test | awk 'NR == 1 { print $1 }')" 10.9.9.201
check 'and that one is believed as well' wait_for 10 knows api 10.9.9.201
is 'dig asks a server that is not in resolv.conf' "$(in_pod one dig +short @10.9.8.5 stranger.test)" 10.9.8.6
is 'and then one that is' "$(in_pod one dig +short @10.9.8.6 two.u.test)" 10.9.9.202
refute 'nobody believes the first' knows api 10.9.8.6

# ------------------------------------------------------------------------ names --

is 'www is nobody in the rules' "$(fetch one www.test)" 200
check 'and yet is called by its name' wait_for 10 is_listed "www.test:$port/tcp"
is 'show finds it by its name' "$(ebb show -o json "www.test:$port/tcp" | json 'd["addresses"][0]["address"]')" 10.9.8.4
like 'metrics use the same name' "$(http_get /metrics)" "ebb_connects_total\{destination=\"www\.test:$port/tcp\",[^}]*outcome=\"established\"\} 1"
is 'two addresses of one name' "$(fetch one many.test) $(in_pod one "$python" -S -c "
import socket
for host in ('10.9.8.6', '10.9.8.7'):
    socket.create_connection((host, $port), 5)
print('OK')")" '200 OK'
check 'are two destinations with a name each' wait_for 10 is_listed "many.test:$port/tcp"
like 'that tell them apart' "$(names)" "many\.test\[10\.9\.8\.[67]\]:$port/tcp"
check 'no two series of the metrics are alike' test -z "$(http_get /metrics | sed -n 's/^\(ebb_[^ ]*\) .*/\1/p' | sort | uniq -d)"

# ----------------------------------------------------------------- two names --

# cdn.test has the address of api.test; nothing in the rules is about it
before=$(attempts api)
in_pod one getent ahostsv4 api.test >/dev/null
in_pod two getent ahostsv4 cdn.test >/dev/null
is_ambiguous() { ebb show api | grep -q 'another name'; }
check 'show says in words that an address has another name' wait_for 10 is_ambiguous
is 'who means the one' "$(fetch one api.test)" 200
is 'and who means the other' "$(fetch two cdn.test)" 200
check 'the first is counted for the rule' wait_for 10 is_attempts api $((before + 1))
check 'the second is not' wait_for 10 is_listed "cdn.test:$port/tcp"
is 'but for a destination of its own' "$(attempts "cdn.test:$port/tcp")" 1

# ------------------------------------------------------ a pod that answers itself --

# Ruling 3: a server of its own in a namespace of its own, also at the address that is believed.
cat >"$scratch/liar.py" <<-'PY'
	import socket, sys
	server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
	server.bind((sys.argv[1], 53))
	asker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
	question = b'\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x03api\x04test\0\0\x01\0\x01'
	asker.sendto(question, (sys.argv[1], 53))
	data, peer = server.recvfrom(512)
	answer = data[:2] + b'\x81\x80' + data[4:6] + b'\0\x01' + data[8:] + b'\xc0\x0c\0\x01\0\x01\0\0\x0e\x10\0\x04' + socket.inet_aton(sys.argv[2])
	server.sendto(answer, peer)
	assert asker.recv(512) == answer
	print('answered')
PY
lie() {
	# shellcheck disable=SC2016  # for the inner shell
	in_cgroup -c liar unshare --net sh -c 'ip link set lo up && ip address add 10.9.8.2/32 dev lo && exec "$@"' - \
		"$python" -S "$scratch/liar.py" "$@"
}
is 'a pod answers its own DNS, at its loopback stub' "$(lie 127.0.0.53 10.9.8.5)" answered
is 'and as the server that is believed' "$(lie 10.9.8.2 10.9.8.5)" answered
# what comes after it in the ring has been read
in_pod one getent ahostsv4 both.test >/dev/null
is 'a connection to the address' "$(in_pod liar "$python" -S "$root/tests/lib/connect.py" 10.9.8.5 "$port")" OK
check 'is no connection to the destination of the name' wait_for 10 is_listed "both.test:$port/tcp"
refute 'ruling 3: the address does not belong to it' knows api 10.9.8.5

# -------------------------------------------------------- addresses change --

hosts <<-END
	10.9.8.4 api.test
END
wait_for 10 says api.test 10.9.8.4 || bail 'dnsmasq did not read its hosts'
stop_server "$server4"
in_pod one getent ahostsv4 api.test >/dev/null
check 'the new address belongs to the destination' wait_for 10 knows api 10.9.8.4
before=$(attempts api)
is 'its server is down: the breaker opens by the name' \
	"$(in_pod one "$python" -S "$root/tests/lib/connect.py" --count 4 --sum 10.9.8.4 "$port")" ECONNREFUSED=4
check 'after three of them' is_attempts api $((before + 3))
is 'it is open' "$(row api state)" open
check 'the old address goes with its time' wait_for 15 knows_not api 10.9.8.3
hosts <<-END
	10.9.8.7 api.test
END
wait_for 10 says api.test 10.9.8.7 || bail 'dnsmasq did not read its hosts'
in_pod one getent ahostsv4 api.test >/dev/null
check 'it moves once more' wait_for 10 knows api 10.9.8.7
is 'and is as open as before' "$(row api state)" open
is 'who connects there is refused, though its server is well' \
	"$(in_pod one "$python" -S "$root/tests/lib/connect.py" 10.9.8.7 "$port")" ECONNREFUSED

# --------------------------------------------------------------- restart, end --

in_pod one getent ahostsv4 api.test >/dev/null
stop_agent KILL
start_agent --config "$scratch/ebb.yaml"
is 'an agent that starts again knows the addresses' "$(knows api 10.9.8.7 && echo yes)" yes
is 'and the state' "$(row api state)" open
check 'what nobody confirms goes' wait_for 15 knows_not api 10.9.8.7

# attached: is the program that reads answers there?
attached() { ebb status -o json | grep -q '"ingress"'; }
check 'the program that reads answers is attached' attached
cat >"$scratch/ebb.yaml" <<-YAML
	mode: enforce
	dns: {names: false}
YAML
detached() { ! attached; }
check 'and is taken away when nobody wants names (ruling 12)' wait_for 15 detached
is 'the agent has nothing to complain of' "$(grep -c ' level=error\|^error' "$agent_log")" 0
stop_agent
done_testing
