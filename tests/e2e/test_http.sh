#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What the agent serves: metrics that promtool, a strict OpenMetrics parser and a real
# Prometheus take, that agree with the command line and never run backwards; health that
# tells when a program is gone; clients that are slow or rude.
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

# ------------------------------------------------------------------------------- Prometheus --

start_server
stop_server
cat >"$scratch/prometheus.yml" <<YAML
global: {scrape_interval: 1s, scrape_timeout: 1s}
scrape_configs:
  - job_name: ebb
    static_configs: [{targets: ["$address"]}]
YAML
background prometheus --config.file="$scratch/prometheus.yml" --storage.tsdb.path="$scratch/tsdb" \
	--web.listen-address="127.0.0.1:$port" --log.level=warn >"$scratch/prometheus.log" 2>&1
prometheus=$!
query() { curl -sS --max-time 5 --data-urlencode "query=$1" "http://127.0.0.1:$port/api/v1/query" | json 'd["data"]["result"][0]["value"][1]'; }
is_up() { [ "$(query up)" = 1 ]; }
if wait_for 30 is_up; then
	ok 'Prometheus: the target is up'
	is 'Prometheus: it has our series' "$(query 'count(ebb_breaker_state{destination!="~other"} == 1)')" 2
	is 'Prometheus: with their values' "$(query "ebb_connection_failures_total{destination=\"127.0.0.1:$dead/tcp\",reason=\"refused\"}")" \
		"$(gate "$dead" 'd["failures"]')"
else
	not_ok 'Prometheus: the target is up' "$(tail -5 "$scratch/prometheus.log")" \
		"$(curl -s --max-time 5 "http://127.0.0.1:$port/api/v1/targets")"
fi
end "$prometheus"

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

# ----------------------------------------------------------------------------------- health --

component() { curl -sS --max-time 5 "http://$address/health" | json "d['components']['$1']['state']"; }
is 'live, ready, started, healthy' \
	"$(http_status /health/live) $(http_status /health/ready) $(http_status /health/startup) $(http_status /health)" '200 200 200 200'
is 'health as JSON' "$(http_get /health | json '(d["status"], d["ready"], d["enforcing"], sorted(d["components"]))')" \
	"('healthy', True, True, ['config', 'enforcement', 'events', 'limits', 'loop', 'names', 'node_fuse', 'programs', 'tables', 'turns'])"
bpftool link detach pinned "$pin/link_connect4"
is_status() { [ "$(http_status "$1")" = "$2" ]; }
check 'a program detached by force: not ready' wait_for 8 is_status /health/ready 503
like 'and it says why' "$(curl -sS --max-time 5 "http://$address/health/ready")" 'enforcement is asked for and not in place: .*connect4'
is 'health is an error, too' "$(http_status /health) $(component programs) $(component enforcement) $(component loop)" '503 unhealthy unhealthy healthy'
is 'it still lives' "$(http_status /health/live) $(http_status /health/startup)" '200 200'
like 'and the metric says so' "$(http_get /metrics)" 'ebb_enforcement_active 0'
like 'so does status' "$(ebb status)" 'enforcement +not active: not attached: connect4'
stop_agent
start_agent --mode enforce --concurrent 8 --breaker "$breaker"
is 'an agent that is started again attaches it again' "$(http_status /health/ready) $(ebb status -o json | json 'd["enforcement"]["active"]')" '200 true'
connect --count 1 127.0.0.1 "$alive" >/dev/null
bpftool link detach pinned "$pin/link_sockops"
check 'every one of them counts' wait_for 8 is_status /health/ready 503
stop_agent
start_agent --concurrent 8 --breaker "$breaker"
bpftool link detach pinned "$pin/link_release"
check 'observe: health is an error' wait_for 8 is_status /health 503
is 'observe: it is ready, nothing was to be enforced' "$(http_status /health/ready)" 200
stop_agent
ebb detach >/dev/null

start_agent --listen '[::1]:0'
like 'IPv6' "$address" '^\[::1\]:[0-9]+$'
is 'IPv6: served' "$(http_status /health/ready)" 200
stop_agent

done_testing
