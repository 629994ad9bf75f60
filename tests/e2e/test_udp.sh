#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# UDP as programs use it: DNS with a real server and a real client, QUIC-like traffic in
# large datagrams, syslog. Each goes through unharmed, becomes a destination with its first
# datagram, and is refused where a gate is open or its cap is reached. A lookup of a name
# and a server's answers become none.
# deadline: 60

# SC2119: functions with optional arguments; SC2317: functions that are arguments
# shellcheck disable=SC2119,SC2317
# shellcheck source=../lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

export EBB_DNS_NAMES=off # what is looked up here stays known by its address

udp=("$python" -S "$root/tests/lib/udp.py")
# of our client, in its namespace and governed
in_client() { in_cgroup nsenter --net="/run/netns/$client" "$@"; }
known() { ebb list -o json | json "' '.join(sorted(r['destination'] for r in d['destinations'] if r['destination'] != '~other'))"; }
# start_udp COMMAND ADDRESS PORT...: a server at the far end. Sets server.
start_udp() {
	local file=$scratch/udp.${#started[@]}
	background nsenter --net="/run/netns/$peer" "${udp[@]}" "$@" >"$file" 2>&1
	server=$!
	wait_for 10 grep -q bound "$file" || bail "the server does not start: $(cat "$file")"
}
# metric NAME LABELS: the value, as it stands in the text; LABELS is a regular expression
metric() { http_get /metrics | sed -nE "s/^$1\{$2\} //p" | awk '{ sum += $1 } END { print sum + 0 }'; }

# open_gate PORT SECONDS: as the kernel would for results of TCP, which may share a gate with
# UDP. UDP itself has none. The word of the destination's node gate is its first.
open_gate() {
	local slot high low
	high=$(printf %02x $(($1 >> 8)))
	low=$(printf %02x $(($1 & 255)))
	slot=$(bpftool -j map lookup pinned "$pin/ebb_endpoint_v2" key hex \
		00 00 00 00 00 00 00 00 00 00 ff ff 0a 09 08 02 "$high" "$low" 11 00 |
		json 'int(d["value"][0], 16)')
	bpftool -j map lookup pinned "$pin/ebb_gate_v2" key "$slot" 0 0 0 | "$python" -S -c '
import json, sys, time
value = [int(byte, 16) for byte in json.load(sys.stdin)["value"]]
until = (time.clock_gettime_ns(time.CLOCK_MONOTONIC) + int(sys.argv[1]) * 10**9) >> 20
generation = (int.from_bytes(bytes(value[:8]), "little") >> 41) + 1
value[:8] = (generation << 41 | 1 << 38 | until).to_bytes(8, "little")
print(*value)' "$2" >"$scratch/gate"
	# words, not one argument
	# shellcheck disable=SC2046
	bpftool map update pinned "$pin/ebb_gate_v2" key "$slot" 0 0 0 value $(cat "$scratch/gate")
}

# end_all_clients: what still runs in the cgroup
end_all_clients() {
	# the shell tells of every program that a signal ends
	{
		echo 1 >"$cgroup/cgroup.kill"
		wait "${clients[@]}"
	} 2>/dev/null
	clients=()
}
clients=()

make_network
start_agent --mode enforce --errno ehostunreach --concurrent 2

# ------------------------------------------------------------------------------------- DNS --

background nsenter --net="/run/netns/$peer" dnsmasq --keep-in-foreground --conf-file=/dev/null --user=root \
	--no-resolv --no-hosts --port=53 --listen-address=10.9.8.2 --bind-interfaces \
	--pid-file= --address=/service.test/10.9.8.2 2>"$scratch/dnsmasq"
dns=$!
# a resolver that connects
dig_says() { in_client dig +short +tries=1 +time=2 @10.9.8.2 service.test A 2>&1; }
check 'dnsmasq answers dig' wait_for 10 in_client dig +short +tries=1 +time=1 @10.9.8.2 service.test A
is 'with the address' "$(dig_says)" 10.9.8.2
# a resolver that sends with an address, as those of musl and Python do
query() {
	in_client "$python" -S - "$1" "$2" <<'PY'
import errno, socket, sys
name = b''.join(bytes([len(part)]) + part.encode() for part in sys.argv[2].split('.')) + b'\0'
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.settimeout(5)
try:
    sock.sendto(b'\x12\x34\x01\0\0\1\0\0\0\0\0\0' + name + b'\0\1\0\1', (sys.argv[1], 53))
    print(socket.inet_ntoa(sock.recv(512)[-4:]))
except OSError as error:
    print(errno.errorcode.get(error.errno, error))
PY
}
is 'a query' "$(query 10.9.8.2 service.test)" 10.9.8.2
is 'DNS is a destination' "$(known)" 10.9.8.2:53/udp
before=$(gate 10.9.8.2:53/udp 'd["attempts"]')
is 'dig connects: to a destination that is known' "$(dig_says) $(($(gate 10.9.8.2:53/udp 'd["attempts"]') - before > 0))" '10.9.8.2 1'
is 'glibc looks a name up' "$(in_client "$python" -S -c '
import socket
print(len(socket.getaddrinfo("localhost", 8443)) > 0)')" True
is 'and makes no destination' "$(known)" 10.9.8.2:53/udp

open_gate 53 20
check 'open: list shows it' wait_for 5 is_state 10.9.8.2:53/udp open
is 'open: a query is refused' "$(query 10.9.8.2 service.test)" EHOSTUNREACH
like 'open: dig says so' "$(dig_says)" '(host|network) (is )?unreachable|no servers could be reached'
between 'open: the metrics count it' "$(metric ebb_denied_total '.*destination="10.9.8.2:53\/udp".*cause="breaker",enforced="true".*')" 2 20
end "$dns"

# ------------------------------------------------------------------------------------ QUIC --

start_udp echo 10.9.8.2 443
is 'QUIC-like: 500 full datagrams there and back, unconnected' \
	"$(in_client "${udp[@]}" send --count 500 --size 1350 10.9.8.2 443)" OK
is 'it is a destination' "$(known)" '10.9.8.2:443/udp 10.9.8.2:53/udp'
is 'QUIC-like: datagrams in fragments, connected' \
	"$(in_client "${udp[@]}" send --connect --count 50 --size 60000 10.9.8.2 443)" OK
slots() { metric ebb_concurrent_in_use '.*destination="10.9.8.2:443\/udp".*'; }
# two connections are the cap of each destination
for _ in 1 2; do
	in_client "${udp[@]}" send --connect --hold 30 10.9.8.2 443 >"$scratch/held.${#clients[@]}" &
	clients+=("$!")
done
check 'two connections hold their slots' wait_for 10 grep -q OK "$scratch/held.1"
check 'both' wait_for 10 grep -q OK "$scratch/held.0"
is 'a third is refused' "$(in_client "${udp[@]}" send --connect 10.9.8.2 443)" EHOSTUNREACH
is 'the cap is of this destination alone' "$(in_client "${udp[@]}" send --connect 10.9.8.2 4433)" ECONNREFUSED
is 'datagrams without a connection need no slot' "$(in_client "${udp[@]}" send 10.9.8.2 443)" OK
is 'the metrics show the slots' "$(slots)" 2
is 'and the refusal' "$(metric ebb_denied_total '.*destination="10.9.8.2:443\/udp".*cause="concurrency",enforced="true".*')" 1
end_all_clients
no_slots() { [ "$(slots)" = 0 ]; }
check 'programs that are killed give their slots back' wait_for 5 no_slots
is 'and a third is let through' "$(in_client "${udp[@]}" send --connect 10.9.8.2 443)" OK
end "$server" KILL

start_udp echo fd09::2 443
is 'IPv6' "$(in_client "${udp[@]}" send --count 20 --size 1200 fd09::2 443)" OK
like 'and is a destination' "$(known)" '\[fd09::2\]:443/udp'
end "$server" KILL

# ---------------------------------------------------------------------------------- syslog --

start_udp collect 10.9.8.2 514 "$scratch/log"
is 'syslog of a Python program' "$(in_client "${udp[@]}" syslog 10.9.8.2 514 'the first line')" OK
check 'arrives' wait_for 5 grep -q 'the first line' "$scratch/log"
check 'logger' in_client logger --server 10.9.8.2 --port 514 --udp 'the second line'
check 'arrives, too' wait_for 5 grep -q 'the second line' "$scratch/log"
like 'syslog is a destination' "$(known)" '10.9.8.2:514/udp'
open_gate 514 20
is 'open: the Python program is told' "$(in_client "${udp[@]}" syslog 10.9.8.2 514 'the third line')" EHOSTUNREACH
refute 'open: so is logger' in_client logger --server 10.9.8.2 --port 514 --udp 'the fourth line'
is 'nothing of it arrived' "$(grep -Ec 'third|fourth' "$scratch/log")" 0
end "$server" KILL

# ------------------------------------------------------------------- a server in the cgroup --

before=$(known)
in_client "${udp[@]}" echo 10.9.8.1 7000 >"$scratch/served" &
clients+=("$!")
check 'a server in the cgroup' wait_for 10 grep -q bound "$scratch/served"
is 'answers its clients' "$(nsenter --net="/run/netns/$peer" "${udp[@]}" send --count 20 10.9.8.1 7000)" OK
is 'and they are no destinations' "$(known)" "$before"

# ------------------------------------------------------------------------------ observe mode --

stop_agent
ebb detach >/dev/null
end_all_clients
start_agent --mode observe
start_udp collect 10.9.8.2 8125 "$scratch/statsd"
is 'observe: a datagram' "$(in_client "${udp[@]}" syslog 10.9.8.2 8125 one)" OK
open_gate 8125 20
is 'observe: an open gate refuses none' "$(in_client "${udp[@]}" syslog 10.9.8.2 8125 two)" OK
check 'observe: it arrives' wait_for 5 grep -q two "$scratch/statsd"
is 'observe: what it would have done is counted' \
	"$(metric ebb_denied_total '.*destination="10.9.8.2:8125\/udp".*cause="breaker",enforced="false".*')" 1
stop_agent

done_testing
