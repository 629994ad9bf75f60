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

# ----------------------------------------------------------------------- while it is alive --

transfer --until "$scratch/go" 127.0.0.1 "$port" 6000000 1000 >"$scratch/living" &
living=$!
# some of it may not be acknowledged yet, and what is counted is as old as the last look at the socket
most_is_counted() { [ "$(gate "$port" 'd["active"]')" = 1 ] && [ "$(counted | cut -d' ' -f1)" -ge $((sent + 3000000)) ]; }
check 'a connection that lives is counted, not only when it ends' wait_for 10 most_is_counted
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

done_testing
