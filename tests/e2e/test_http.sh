#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What the agent serves: metrics that promtool and a strict OpenMetrics parser take, that
# agree with the command line and never run backwards; health; clients that are slow or rude.
# deadline: 120

# SC2119: functions with optional arguments; SC2317: functions that are arguments
# shellcheck disable=SC2119,SC2317
# shellcheck source=../lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

metrics() { "$python" "$root/tests/lib/metrics.py" "$@"; }
# is_clean FILE: promtool has nothing to say
is_clean() { ! promtool check metrics <"$1" 2>&1 | note | grep .; }
content_type() { curl -sS -o /dev/null --max-time 5 -w '%{content_type}' -H "Accept: $1" "http://$address/metrics"; }
openmetrics='application/openmetrics-text; version=1.0.0; charset=utf-8'
plain='text/plain; version=0.0.4; charset=utf-8'

breaker=consecutive_failures=3,open_for=1s,open_jitter=0
start_server
alive=$port
start_server
dead=$port
stop_server
start_agent --mode enforce --errno ehostunreach --concurrent 8 --breaker "$breaker"

# --------------------------------------------------------------------- without any traffic --

http_get /metrics >"$scratch/empty"
check 'no traffic: promtool has nothing to say' is_clean "$scratch/empty"
http_get /metrics -H 'Accept: application/openmetrics-text' >"$scratch/empty.om"
check 'no traffic: strict OpenMetrics' metrics strict "$scratch/empty.om"

# --------------------------------------------------------------------- under real traffic --

touch "$scratch/traffic"
connect --count 0 --while "$scratch/traffic" --sum --reset --every 0.001 127.0.0.1 "$alive" >"$scratch/sum" &
traffic=("$!")
connect --count 0 --while "$scratch/traffic" --sum --every 0.005 127.0.0.1 "$dead" >"$scratch/sum" &
traffic+=("$!")
wait_for 5 is_state "$dead" open || bail 'the breaker does not open'
scrapes=()
for i in $(seq 12); do
	file=$scratch/scrape.$i
	accept=text/plain
	[ $((i % 2)) = 0 ] || accept=application/openmetrics-text
	http_get /metrics -H "Accept: $accept" >"$file"
	scrapes+=("$file")
	if [ "$i" = 6 ]; then
		# counters go on when the agent is started again
		stop_agent
		start_agent --mode enforce --errno ehostunreach --concurrent 8 --breaker "$breaker"
	fi
done
rm "$scratch/traffic"
wait "${traffic[@]}"
check 'traffic: counters of twelve scrapes never run backwards, nor across a restart' metrics forward "${scrapes[@]}"
check 'traffic: promtool has nothing to say' is_clean "$scratch/scrape.12"
check 'traffic: strict OpenMetrics' metrics strict "$scratch/scrape.11"
check 'traffic: both formats have the same series' metrics same "$scratch/scrape.12" "$scratch/scrape.11"

# at rest, so that there is one truth; the breaker stays half-open with nobody connecting
connect --count 1 127.0.0.1 "$alive" >/dev/null
connect --hold 5 127.0.0.1 "$alive" >/dev/null &
held=$!
wait_for 5 is_state "$dead" half_open
is_active() { [ "$(gate "$alive" 'd["active"]')" = 1 ]; }
check 'at rest: a connection is active' wait_for 5 is_active
agree() {
	http_get /metrics >"$scratch/now" && ebb list -o json >"$scratch/list" && ebb status -o json >"$scratch/status" &&
		metrics agree "$scratch/now" "$scratch/list" "$scratch/status" >"$scratch/disagreements"
}
# what the agent tells of tables is as old as its last tick, at most 1 s
if wait_for 3 agree; then
	ok 'at rest: the metrics agree with list and status'
else
	not_ok 'at rest: the metrics agree with list and status' "$(cat "$scratch/disagreements")"
fi
kill "$held" 2>/dev/null
like 'the concurrency limit is told' "$(cat "$scratch/now")" "ebb_concurrent_limit\{destination=\"127.0.0.1:$alive/tcp\",workload=\"[^\"]+\"\} 8"
like 'transitions are told' "$(cat "$scratch/now")" \
	"ebb_breaker_transitions_total\{destination=\"127.0.0.1:$dead/tcp\",workload=\"[^\"]+\",from=\"closed\",to=\"open\",reason=\"consecutive_failures\"\} [1-9]"
like 'enforcement is told' "$(cat "$scratch/now")" 'ebb_enforcement_active 1'

# ----------------------------------------------------------------------------- negotiation --

while IFS='|' read -r accept wanted; do
	is "Accept: $accept" "$(content_type "$accept")" "$wanted"
done <<TYPES
*/*|$plain
text/plain|$plain
text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8|$plain
application/openmetrics-text|$openmetrics
application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1|$openmetrics
application/openmetrics-text;q=0.2,text/plain;q=0.7|$plain
application/openmetrics-text;q=0,*/*|$plain
TYPES

http_get /metrics >"$scratch/plain"
http_get /metrics -H 'Accept-Encoding: gzip' -D "$scratch/headers" >"$scratch/compressed"
like 'Accept-Encoding: gzip' "$(tr -d '\r' <"$scratch/headers")" 'Content-Encoding: gzip'
check 'it is whole' gzip --test "$scratch/compressed"
gzip -dc <"$scratch/compressed" >"$scratch/unpacked"
check 'and has the same series' metrics same "$scratch/plain" "$scratch/unpacked"
between 'in at most a quarter of the bytes' "$(stat -c %s "$scratch/compressed")" 100 $(($(stat -c %s "$scratch/plain") / 4))

# ------------------------------------------------------------------- what the programs cost --

refute 'programs are not told of while the kernel does not count' grep -q '^ebb_bpf_program' "$scratch/plain"
counting=/proc/sys/kernel/bpf_stats_enabled
counted=$(cat "$counting")
# also when the test is ended meanwhile: it is the whole machine's
restore_counting() { echo "$counted" >"$counting"; }
trap 'restore_counting; cleanup' EXIT
echo 1 >"$counting"
connect --count 20 --reset 127.0.0.1 "$alive" >/dev/null
http_get /metrics >"$scratch/programs"
restore_counting
trap cleanup EXIT
# program NAME METRIC
program() { sed -n "s/^ebb_bpf_program_$2_total{program=\"$1\"} //p" "$scratch/programs"; }
between 'runs of connect4' "$(program connect4 runs)" 20 100000
like 'and their time' "$(program connect4 seconds)" '^0\.[0-9]*[1-9]'
check 'promtool has nothing to say' is_clean "$scratch/programs"

# ------------------------------------------------------------------------- paths and methods --

is 'GET /' "$(http_status /)" 200
like '/ names what there is' "$(http_get /)" 'href="/metrics"'
is 'unknown paths' "$(http_status /metric) $(http_status /metrics/) $(http_status /health/x) $(http_status '/../etc/passwd')" '404 404 404 404'
is 'methods that would change something' "$(for method in POST PUT DELETE PATCH; do
	curl -s -o /dev/null --max-time 5 -X "$method" -w '%{http_code} ' -d x=1 "http://$address/metrics"
done)" '405 405 405 405 '
like 'HEAD has the headers and no body' "$(curl -sS -I --max-time 5 "http://$address/metrics")" "HTTP/1.1 200 .*Content-Type: text/plain; version=0.0.4"
is 'a query string does no harm' "$(http_status '/metrics?name[]=x')" 200
is 'one connection, many requests' \
	"$(curl -sS -o /dev/null -o /dev/null -o /dev/null --max-time 10 -w '%{num_connects}' "http://$address/"{metrics,health,metrics})" 100

# ------------------------------------------------------------------ clients that are no good --

# 15 that say nothing, 15 that send half a request, 15 that ask and take no answer.
rude_clients() {
	exec "$python" - "$address" <<'PY'
import signal, socket, sys
host, port = sys.argv[1].rsplit(':', 1)
sends = [b'', b'GET /metrics HTTP/1.1\r\nHost:', b'GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n' * 40]
clients = []
for i in range(45):
    client = socket.create_connection((host, int(port)), 5)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    client.sendall(sends[i % 3])
    clients.append(client)
print('connected', flush=True)
signal.pause()  # they never read: an answer that is not taken is part of it
PY
}
# served: connections that the agent holds
served() { ss -Htn state established "sport = :${address##*:}" | wc -l; }
is_served() { [ "$(served)" = "$1" ]; }
rude_clients >"$scratch/rude" 2>&1 &
rude=$!
check 'rude clients are connected' wait_for 10 grep -q connected "$scratch/rude"
between 'and held' "$(served)" 30 45
begin=$(now_ms)
is 'meanwhile others are served' "$(http_status /metrics) $(http_status /health/live)" '200 200'
between 'at once, in ms' $(($(now_ms) - begin)) 0 1500
check 'rude clients are closed after their deadline' wait_for 15 is_served 0
kill "$rude"
wait "$rude" 2>/dev/null
like 'garbage is no request' "$(printf '\x16\x03\x01\x02\x00garbage\r\n\r\n' | timeout 10 "$python" -c 'import socket, sys
host, port = sys.argv[1].rsplit(":", 1)
s = socket.create_connection((host, int(port)), 5)
s.sendall(sys.stdin.buffer.read())
print(s.recv(100).split(b"\r\n")[0].decode())' "$address")" '^(HTTP/1.1 400 .*)?$'
check 'and the agent is as healthy as before' http_get /health/ready -o /dev/null

# --------------------------------------------------------------------------- what it counts --

# requests HANDLER CODE; of the metrics: before this scrape
requests() { http_get /metrics | sed -n "s/^ebb_http_requests_total{handler=\"$1\",code=\"$2\"} //p"; }
is 'requests by handler and code, whatever the path' \
	"$(requests other 404) $(requests metrics 405) $(http_get /metrics | grep -c '^ebb_http_requests_total{handler="other"')" '4 4 1'
before=$(requests page 200)
http_get / -o /dev/null
is 'one more' "$(requests page 200)" $((before + 1))
curl -sN --max-time 10 "http://$address/api/v1/events" >"$scratch/events" &
events=$!
is_streaming() { http_get /metrics | grep -q '^ebb_http_event_streams 1$'; }
check 'a stream of events is counted while it is open' wait_for 5 is_streaming
kill "$events"
wait "$events" 2>/dev/null

# ----------------------------------------------------------------------------------- health --

is 'live, ready, started, healthy' \
	"$(http_status /health/live) $(http_status /health/ready) $(http_status /health/startup) $(http_status /health)" '200 200 200 200'
is 'health as JSON' "$(http_get /health | json '(d["status"], d["ready"], d["enforcing"], d["started"], d["stopping"])')" \
	"('healthy', True, True, True, False)"
is 'each component with its state, since when, why, and when it was looked at' \
	"$(http_get /health | json '{tuple(sorted(c)) for c in d["components"].values()}')" "{('checked', 'since', 'state', 'why')}"
stop_agent
bpftool link detach pinned "$pin/link_connect4"
like 'a program that nobody attaches again: status says so' "$(ebb status)" 'enforcement +not active: not attached: connect4'
start_agent --mode enforce --concurrent 8 --breaker "$breaker"
is 'an agent that is started again attaches it again' "$(http_status /health/ready) $(ebb status -o json | json 'd["enforcement"]["active"]')" '200 true'
stop_agent
ebb detach >/dev/null

start_agent --listen '[::1]:0'
like 'IPv6' "$address" '^\[::1\]:[0-9]+$'
is 'IPv6: served' "$(http_status /health/ready)" 200
stop_agent

done_testing
