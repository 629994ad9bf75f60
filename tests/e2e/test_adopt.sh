#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Clients that were connected before the agent came: each of their connections is adopted, in
# whatever network namespace, counted until it ends, and holds a slot where there is a cap.
# deadline: 120

# SC2119: functions with optional arguments; SC2317: functions that are arguments
# shellcheck disable=SC2119,SC2317
# shellcheck source=../lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

make_network
start_server --hold
here=$port
here_pid=$server
start_server --netns "$peer" --hold --address 10.9.8.2
there=$port

# client NAME COMMAND...: in the cgroup, until it is ended; sets its pid in clients[NAME]
declare -A clients
client() {
	local name=$1
	shift
	# shellcheck disable=SC2016
	background sh -c 'echo $$ >"$0" && exec "$@"' "$cgroup/cgroup.procs" "$@" \
		>"$scratch/$name.out" 2>&1 <"$scratch/fifo"
	clients[$name]=$!
}

mkfifo "$scratch/fifo"
exec 9<>"$scratch/fifo" # what reads commands waits for them

client python "$python" -S -c 'import socket, sys, time
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
s.sendall(b"GET / HTTP/1.1\r\n\r\n")
time.sleep(60)' "$here"
client node node -e '
const agent = new (require("http").Agent)({ keepAlive: true });
require("http").get({ host: "127.0.0.1", port: process.argv[1], agent }, () => {}).on("error", () => {});
' "$here"
client psql psql -w "host=127.0.0.1 port=$here user=nobody dbname=none" -c 'select 1'
client redis redis-cli -h 127.0.0.1 -p "$here"
client curl curl -s --max-time 60 "http://127.0.0.1:$here/"
client far nsenter --net="/run/netns/$client" curl -s --max-time 60 "http://10.9.8.2:$there/"
# it answers clients, from within the cgroup: no connection of ours
background sh -c "echo \$\$ >'$cgroup/cgroup.procs'; exec '$python' -S '$root/tests/lib/server.py' --hold" >"$scratch/inner"
wait_for 10 test -s "$scratch/inner" || bail 'the server in the cgroup does not start'
inner=$(cat "$scratch/inner")
background curl -s --max-time 60 "http://127.0.0.1:$inner/"

# established SERVER-PORT [NETNS]: how many clients are
established() { ${2:+ip netns exec "$2"} ss -Htn state established "dport = :$1" | wc -l; }
is_established() { [ "$(established "${@:2}")" = "$1" ]; }
wait_for 20 is_established 5 "$here" || bail "not all clients connect: $(established "$here") of 5"
wait_for 20 is_established 1 "$there" "$client" || bail 'the client in the other namespace does not connect'
wait_for 20 is_established 1 "$inner" || bail 'the client from outside does not connect'

active() { gate "$1" 'd["active"]' 2>/dev/null; }
is_active() { [ "$(active "$1")" = "$2" ]; }

start_agent
is 'all connections of all clients are adopted' "$(active "$here")" 5
is 'in another network namespace as well' "$(active "10.9.8.2:$there/tcp")" 1
is 'nothing else is: not what is answered' "$(ebb list -o json | json 'len(d["destinations"])')" 2
like 'the log says how many' "$(grep ' adopted connections: ' "$agent_log")" \
	'count=6 destinations=2 slots=0 ended=0 undecided=0 took='
like 'each of them is armed where it is' "$(grep ' adopted connections are paced' "$agent_log")" 'count=6 namespaces=[0-9]+ took='
stop_agent

start_agent
is 'after a restart they count once' "$(active "$here")" 5
like 'and nobody was adopted again' "$(grep ' adopted connections: ' "$agent_log")" 'count=0 '
stop_agent

# the maps are thrown away, what was adopted is there still
check 'detach' ebb detach
start_agent --concurrent 3 --mode enforce
is 'new maps: adopted again' "$(active "$here")" 5
is 'each holds a slot, over the cap' "$(gate "$here" 'd["concurrent"]["in_use"]')" 5
is 'what comes after them is refused' "$(connect 127.0.0.1 "$here")" ECONNREFUSED

for name in python node psql; do end "${clients[$name]}" KILL; done
check 'ended clients are active no longer' wait_for 10 is_active "$here" 2
is 'there is room again' "$(connect 127.0.0.1 "$here")" OK
for name in redis curl far; do end "${clients[$name]}" KILL; done
check 'at last nothing is active' wait_for 10 is_active "$here" 0
check 'in the other namespace neither' wait_for 10 is_active "10.9.8.2:$there/tcp" 0
is 'no slot is held' "$(gate "$here" 'd["concurrent"]["in_use"]')" 0
is 'no gauge was negative' "$(ebb status -o json | json 'd["errors"]["gauge_underflow"]')" 0
stop_agent

# a cap that comes with a restart over the same maps, with connections that were counted as always
check 'detach once more' ebb detach
start_agent --mode enforce
client two curl -s --max-time 60 "http://127.0.0.1:$here/" "http://127.0.0.1:$here/"
check 'a client that comes later' wait_for 10 is_active "$here" 1
stop_agent
start_agent --mode enforce --concurrent 1
is 'it holds a slot of the cap that came' "$(gate "$here" 'd["concurrent"]["in_use"]')" 1
is 'and another is refused' "$(connect 127.0.0.1 "$here")" ECONNREFUSED
end "${clients[two]}" KILL
stop_agent
check 'detach again' ebb detach

# one that sends without end is paced, and not held by drops alone
background "$python" -S -c 'import socket
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
peer = server.accept()[0]
while peer.recv(1 << 18):
	pass' >"$scratch/sink" 2>/dev/null
wait_for 10 test -s "$scratch/sink" || bail 'the sink does not start'
sink=$(cat "$scratch/sink")
client bulk "$python" -S -c 'import socket, sys
peer = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
while True:
	peer.sendall(bytes(1 << 18))' "$sink"
wait_for 10 is_established 1 "$sink" || bail 'the bulk client does not connect'
start_agent --mode enforce --bytes 20MB/s
paced() { http_get /metrics | grep -q "^ebb_paced_connections{destination=\"127.0.0.1:$sink/tcp\".* 1\$"; }
check 'bulk: it is paced' wait_for 20 paced
# megabytes each second, over two seconds or more, by the clock
like 'bulk: the limit holds' "$("$python" -S -c 'import re, subprocess, sys, time
def acked():
	text = subprocess.run(["ss", "-tinHO", "dport = :" + sys.argv[1]], capture_output=True, text=True).stdout
	return time.monotonic(), int(re.search(r"bytes_acked:(\d+)", text)[1])
(start, before), _ = acked(), time.sleep(2)
end, after = acked()
print("in bounds" if 5e6 < (after - before) / (end - start) < 40e6 else (after - before) / (end - start))' "$sink")" 'in bounds'
end "${clients[bulk]}" KILL
stop_agent
check 'detach for the last time' ebb detach

# without the right to enter other namespaces: counted, and the log says what is not done
client far nsenter --net="/run/netns/$client" curl -s --max-time 60 "http://10.9.8.2:$there/"
wait_for 10 is_established 1 "$there" "$client" || bail 'the second client in the other namespace does not connect'
cat >"$scratch/ebb" <<SH
#!/bin/sh
exec setpriv --bounding-set=-sys_admin -- '$ebb_program' "\$@"
SH
chmod +x "$scratch/ebb"
whole=$ebb_program
ebb_program=$scratch/ebb
start_agent
ebb_program=$whole
is 'without CAP_SYS_ADMIN: adopted all the same' "$(active "10.9.8.2:$there/tcp")" 1
check 'and not paced, which is said' logged 'in network namespaces that cannot be entered are not paced'
end "${clients[far]}" KILL
stop_agent
check 'detach after that' ebb detach

client off curl -s --max-time 60 "http://127.0.0.1:$here/"
wait_for 10 is_established 1 "$here" || bail 'the last client does not connect'
start_agent --adopt off
is '--adopt off: none is' "$(ebb list -o json | json 'len(d["destinations"])')" 0
refute 'and nothing is said about it' logged 'adopted connections'
end "${clients[off]}" KILL
check 'the server lives' kill -0 "$here_pid"
done_testing
