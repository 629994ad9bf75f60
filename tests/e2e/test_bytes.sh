#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Bytes are counted as the client counts them: uploads, downloads, many requests on one
# connection, connections that a reset ends, segments that are lost on the way, connections
# that live while we look; and the metrics say the same as the commands.
# deadline: 120

# SC2119: functions with optional arguments; SC2317: functions that are arguments
# shellcheck disable=SC2119,SC2317
# shellcheck source=../lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

# serve [NETNS [ADDRESS]]: sets port
serve() {
	local enter=() file=$scratch/transfer.${#started[@]}
	[ -z "${1:-}" ] || enter=(nsenter --net="/run/netns/$1")
	background "${enter[@]}" "$python" -S "$root/tests/lib/transfer.py" serve "${2:-127.0.0.1}" >"$file" 2>"$file.err"
	wait_for 10 test -s "$file" || bail "the server does not start: $(cat "$file.err")"
	port=$(cat "$file")
}

# transfer [--netns NAME] [OPTION...] ADDRESS PORT SEND RECEIVE: see tests/lib/transfer.py
transfer() {
	local enter=()
	if [ "$1" = --netns ]; then
		enter=(nsenter --net="/run/netns/$2")
		shift 2
	fi
	in_cgroup "${enter[@]}" "$python" -S "$root/tests/lib/transfer.py" send "$@"
}

# fetch CURL-OPTION...: prints what curl sent and received, and over how many connections
fetch() {
	in_cgroup curl -sS --fail --max-time 30 -H 'Expect:' -w '%{num_connects} %{size_request} %{size_upload} %{size_header} %{size_download}\n' "$@" |
		awk '{ connects += $1; sent += $2 + $3; received += $4 + $5 } END { printf "%d %.0f %.0f\n", connects, sent, received }'
}

# The counters of a destination: sent and received.
counted() { gate "${1:-$port}" '"%d %d" % (d["traffic"]["sent_bytes"], d["traffic"]["received_bytes"])'; }
is_counted() { [ "$(counted "$2")" = "$1" ]; }

# Sums of what the clients said, for one server.
sent=0 received=0
# counts NAME SENT RECEIVED [DESTINATION]: what clients moved more, and it is counted
counts() {
	local name=$1 destination=${4:-$port} wanted
	sent=$((sent + $2)) received=$((received + $3))
	wanted="$sent $received"
	wait_for 5 is_counted "$wanted" "$destination" # TCP closes after the program
	is "$name" "$(counted "$destination")" "$wanted"
}
# counts_transfer NAME JSON [DESTINATION]: the same, from what transfer printed
counts_transfer() {
	local numbers
	read -ra numbers <<<"$(json '"%d %d" % (d["sent"], d["received"])' <<<"$2")"
	[ "${#numbers[@]}" = 2 ] || { not_ok "$1" "the client said: $2"; return; }
	counts "$1" "${numbers[@]}" "${3:-$port}"
}

start_agent --mode enforce
serve

# --------------------------------------------------------------------------------- by curl --

head -c 5000000 /dev/zero >"$scratch/body"
read -r _ s r <<<"$(fetch -o "$scratch/answer" -T "$scratch/body" "http://127.0.0.1:$port/up")"
is 'upload: the server has it all' "$(cat "$scratch/answer")" 5000000
between 'upload: the client sent it' "${s:-0}" 5000001 5001000
counts 'upload: counted as sent and received' "${s:-0}" "${r:-0}"
read -r _ s r <<<"$(fetch -o /dev/null "http://127.0.0.1:$port/20000000")"
between 'download: the client has it all' "${r:-0}" 20000001 20001000
counts 'download: counted as sent and received' "${s:-0}" "${r:-0}"
read -r connects s r <<<"$(fetch -o /dev/null "http://127.0.0.1:$port/[1-800]")"
is '800 requests on one connection' "${connects:-0}" 1
counts 'all of them are counted' "${s:-0}" "${r:-0}"
is 'a connection without a byte' "$(connect 127.0.0.1 "$port")" OK
counts 'counts none' 0 0
address_before=$port

# ------------------------------------------------------------------------- how they may end --

counts_transfer 'both ways at once, closed in order' "$(transfer 127.0.0.1 "$port" 3000000 4000000)"
counts_transfer 'reset by the client' "$(transfer --end reset 127.0.0.1 "$port" 100000 200000)"
counts_transfer 'reset by the server' "$(transfer --end peer-reset 127.0.0.1 "$port" 300000 400000)"
counts_transfer 'one byte each way' "$(transfer 127.0.0.1 "$port" 1 1)"

# A client that is killed in the middle: what it had sent and received by then.
killed_client() {
	exec "$python" -S - "$port" <<'PY'
import os, signal, socket, sys
sock = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
sock.sendall(b'GET /70000 HTTP/1.1\r\n\r\n')
left = 70000
head = b''
while b'\r\n\r\n' not in head:
    head += sock.recv(1)
while left > 0:
    left -= len(sock.recv(left))
print(len(b'GET /70000 HTTP/1.1\r\n\r\n'), len(head) + 70000, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
PY
}
read -r s r <<<"$( (echo "$BASHPID" >"$cgroup/cgroup.procs" && killed_client) 2>/dev/null)"
counts 'killed' "${s:-0}" "${r:-0}"

# A server that takes nothing any more, and resets: what was written and never sent is not counted. Prints
# the port, what was sent, and what waited behind it.
stuck() {
	exec "$python" -S - <<'PY'
import fcntl, socket, struct, time
SIOCOUTQNSD = 0x894b
server = socket.create_server(('127.0.0.1', 0))
client = socket.create_connection(server.getsockname())
peer, _ = server.accept()
client.setblocking(False)
written = 0
def unsent():
    return struct.unpack('i', fcntl.ioctl(client, SIOCOUTQNSD, bytes(4)))[0]
def in_flight():
    return struct.unpack_from('I', client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104), 24)[0]
deadline = time.monotonic() + 20
while (in_flight() or not unsent()) and time.monotonic() < deadline:
    try:
        written += client.send(bytes(65536))
    except BlockingIOError:
        pass
print(server.getsockname()[1], written - unsent(), unsent(), flush=True)
client.close()
peer.close()
PY
}
read -r stuck_port stuck_sent unsent <<<"$( (echo "$BASHPID" >"$cgroup/cgroup.procs" && stuck) )"
between 'a peer that reads nothing: something was not sent' "${unsent:-0}" 1 100000000
is_stuck_counted() { is_counted "$stuck_sent 0" "$stuck_port"; }
wait_for 5 is_stuck_counted
is 'what was not sent is not counted' "$(counted "$stuck_port")" "$stuck_sent 0"

# ----------------------------------------------------------------------- while it is alive --

transfer --until "$scratch/go" 127.0.0.1 "$port" 60000000 1000 >"$scratch/living" &
living=$!
# from its first MB on, about each sixteenth round trip
much_is_counted() { [ "$(gate "$port" 'd["active"]')" = 1 ] && [ "$(counted | cut -d' ' -f1)" -ge $((sent + 3000000)) ]; }
check 'a connection that lives is counted, not only when it ends' wait_for 10 much_is_counted
touch "$scratch/go"
wait "$living"
counts_transfer 'and exactly, when it has ended' "$(cat "$scratch/living")"

# ------------------------------------------------------------------------------ what is lost --

make_network
serve "$peer" 10.9.8.2
lossy=10.9.8.2:$port/tcp
sent=0 received=0
answer=$(transfer --netns "$client" 10.9.8.2 "$port" 2000000 2000000)
retransmits=$(json 'd["retransmits"]' <<<"$answer")
counts_transfer 'between namespaces' "$answer" "$lossy"
ip netns exec "$peer" nft -f - <<NFT || bail 'nft does not work here'
table inet lossy {
	chain input {
		type filter hook input priority 0
		tcp dport $port meta length > 100 numgen inc mod 40 == 7 drop
	}
}
NFT
answer=$(transfer --netns "$client" 10.9.8.2 "$port" 3000000 1000)
between 'lost segments: TCP says that it retransmitted' "$(json 'd["retransmits"]' <<<"$answer")" 5 100000
retransmits=$((retransmits + $(json 'd["retransmits"]' <<<"$answer")))
counts_transfer 'each byte is counted once' "$answer" "$lossy"
# a FIN that is sent again comes after what the client could ask
between 'and each retransmission' "$(gate "$lossy" 'd["traffic"]["retransmits"]')" "$retransmits" $((retransmits + 2))
serve "$peer" fd09::2
sent=0 received=0
counts_transfer 'IPv6' "$(transfer --netns "$client" fd09::2 "$port" 123456 654321)" "[fd09::2]:$port/tcp"

# ------------------------------------------------------------------------ what a limit drops --

# Receives on a port of its own, which it prints, and never answers.
sink() { exec "$python" -S -c 'import socket
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("127.0.0.1", 0))
print(sock.getsockname()[1], flush=True)
while True: sock.recv(65536)'; }
sink >"$scratch/sink" &
started+=("$!")
wait_for 10 test -s "$scratch/sink" || bail 'the UDP server does not start'
udp=127.0.0.1:$(cat "$scratch/sink")/udp
# flood COUNT SIZE: datagrams of a connected socket; prints how many went and how many got EPERM
flood() {
	in_cgroup "$python" -S - "${udp%/udp}" "$1" "$2" <<'PY'
import socket, sys
host, port = sys.argv[1].split(':')
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.connect((host, int(port)))
went = dropped = 0
for i in range(int(sys.argv[2])):
    try:
        sock.send(bytes(int(sys.argv[3])))
        went += 1
    except PermissionError:
        dropped += 1
print(went, dropped)
PY
}
# traffic EXPRESSION: over the traffic (t) of the UDP destination
traffic() { gate "$udp" "(lambda t: $1)(d['traffic'])"; }
# limit DESTINATION OPTION...
limit() { timeout 20 "$ebb_program" limit set --pin "$pin" "$@" >/dev/null || bail "no limit can be set: $*"; }
# metric FAMILY LABELS...: of the UDP destination, from a scrape
metric() {
	local label
	http_get /metrics >"$scratch/metrics"
	grep -F "$1{" "$scratch/metrics" | grep -F "destination=\"$udp\"" >"$scratch/lines"
	shift
	for label; do
		grep -F "$label" "$scratch/lines" >"$scratch/lines.less"
		mv "$scratch/lines.less" "$scratch/lines"
	done
	awk '{ sum += $NF } END { print NR == 0 ? "none" : sum }' "$scratch/lines"
}

# A datagram of an unconnected socket makes the destination, a connected one is seen once packets are.
in_cgroup "$python" -S -c 'import socket, sys
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", int(sys.argv[1])))' "$(cat "$scratch/sink")"
is 'a datagram without a limit is counted' "$(traffic 't["sent_datagrams"]')" 1
is 'no limit: no series of limits, none of drops' "$(metric ebb_limit_packets_rate) $(metric ebb_dropped_packets_total)" 'none none'
limit "$udp" --packets 1/min,burst=10
is 'a limit by hand: its rate, and the whole burst' "$(metric ebb_limit_packets_rate) $(metric ebb_limit_packets_available)" '0.0166667 10'
is 'its drops are there before the first' "$(metric ebb_dropped_packets_total 'cause="packets"' 'enforced="true"')" 0
read -r went dropped <<<"$(flood 100 100)"
is 'packets: the burst goes' "${went:-} ${dropped:-}" '10 90'
# a datagram of 100 bytes is a packet of 128
is 'packets: counted as the client saw it' \
	"$(traffic '(t["dropped_packets"]["packets"], t["dropped_bytes"]["packets"], t["sent_datagrams"], t["sent_bytes"])')" \
	"(90, $((90 * 128)), 11, $((10 * 128)))"
is 'packets: nothing is available' "$(metric ebb_limit_packets_available)" 0
limit "$udp" --packets none --bytes 1kB/h,burst=1500B
read -r went dropped <<<"$(flood 10 472)"
is 'bytes: three packets of 500 bytes go' "${went:-} ${dropped:-}" '3 7'
is 'bytes: counted by their own cause' "$(traffic '(t["dropped_packets"], t["dropped_bytes"]["bytes"])')" \
	"({'bytes': 7, 'packets': 90, 'breaker': 0}, 3500)"
is 'bytes: none is left' "$(metric ebb_limit_bytes_available)" 0
is 'what an operator lifted has no series' "$(metric ebb_limit_packets_rate)" none
like 'list tells drops' "$(ebb list)" 'SENT +RECV +DROPPED'
like 'show tells drops by cause' "$(ebb show "$udp")" 'dropped, by cause.*bytes +7 +3.50kB.*packets +90 +11.5kB'
like 'status tells drops' "$(ebb status)" '; 97 packets dropped, 0 would have been dropped'

# ------------------------------------------------------------------------------ what is paced --

serve
connect 127.0.0.1 "$port" >/dev/null # makes the destination
limit "127.0.0.1:$port" --bytes 2MB/s
sent=0 received=0
transfer 127.0.0.1 "$port" 4000000 0 >"$scratch/paced" &
pacing=$!
is_paced() { [ "$(gate "$port" 'd["paced"]')" = 1 ]; }
check 'a connection is paced' wait_for 10 is_paced
is 'the metric tells it' "$(http_get /metrics | sed -n "s/^ebb_paced_connections{destination=\"127.0.0.1:$port.tcp\".*} //p")" 1
like 'so does show' "$(ebb show "127.0.0.1:$port")" 'paced +1 connection now'
wait "$pacing"
counts_transfer 'its bytes are counted as ever' "$(cat "$scratch/paced")"
is_not_paced() { [ "$(gate "$port" 'd["paced"]')" = 0 ]; }
check 'none is paced when it has ended' wait_for 5 is_not_paced

# -------------------------------------------------------------------------- they all agree --

agree() {
	http_get /metrics >"$scratch/metrics" && ebb list -o json >"$scratch/list" && ebb status -o json >"$scratch/status" &&
		"$python" "$root/tests/lib/metrics.py" agree "$scratch/metrics" "$scratch/list" "$scratch/status" >"$scratch/disagreements"
}
# what the agent tells of tables is as old as its last tick
if wait_for 3 agree; then
	ok 'the metrics agree with list and status'
else
	not_ok 'the metrics agree with list and status' "$(cat "$scratch/disagreements")"
fi
refute 'promtool has nothing to say' grep . <(promtool check metrics <"$scratch/metrics" 2>&1)
http_get /metrics -H 'Accept: application/openmetrics-text' >"$scratch/metrics.om"
check 'strict OpenMetrics' "$python" "$root/tests/lib/metrics.py" strict "$scratch/metrics.om"
like 'show has the bytes' "$(ebb show "127.0.0.1:$address_before")" 'traffic.*WORKLOAD +SENT +RECEIVED +RETRANSMITS.*MB +[0-9.]+MB'
like 'list has the bytes' "$(ebb list)" 'SENT +RECV'
like 'status has the sum' "$(ebb status)" 'traffic +[0-9.]+MB sent, [0-9.]+MB received'
before=$(counted "127.0.0.1:$address_before/tcp")
stop_agent
start_agent --mode enforce
is 'all of it outlives the agent' "$(counted "127.0.0.1:$address_before/tcp")" "$before"
stop_agent
ebb detach >/dev/null

start_agent --packets 1/min,burst=10
read -r went dropped <<<"$(flood 100 100)"
is 'observe: all of it goes' "${went:-} ${dropped:-}" '100 0'
is 'observe: and is counted as what would have been dropped' \
	"$(traffic '(t["would_drop_packets"]["packets"], t["would_drop_bytes"]["packets"], t["dropped_packets"]["packets"], t["sent_datagrams"])')" \
	"(90, $((90 * 128)), 0, 100)"
is 'observe: the metric says so' "$(metric ebb_dropped_packets_total 'enforced="false"') $(metric ebb_dropped_packets_total 'enforced="true"')" '90 0'
stop_agent

done_testing
