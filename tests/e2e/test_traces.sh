#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Traces from real connects of curl to a collector that reads them strictly: what a connection, a failure, a denial and an
# episode of a breaker become; a collector that is slow, refuses, answers nonsense, dies and comes back; the
# variables of OpenTelemetry.

# SC2119: functions with optional arguments; SC2317: functions that are arguments
# shellcheck disable=SC2119,SC2317
# shellcheck source=../lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"
# shellcheck source=../lib/collector.sh
. "$(dirname "$0")/../lib/collector.sh"

of='[x for x in s if x["attributes"].get'
named() { printf 'connect 127.0.0.1:%s/tcp' "$1"; }

fetch() { in_cgroup curl -s -o /dev/null --max-time 5 "http://127.0.0.1:$1/"; }
health() { http_get /health | json "d['components']['traces']['$1']"; }
is_health() { [ "$(health state)" = "$1" ]; }

export OTEL_BSP_SCHEDULE_DELAY=100

start_collector
start_server
configure "traces: {otlp: {endpoint: 'http://127.0.0.1:$collector_port', sample: 1}}"
export OTEL_RESOURCE_ATTRIBUTES=deployment.environment.name=test OTEL_SERVICE_NAME=ebb-of-the-test
export OTEL_EXPORTER_OTLP_HEADERS='authorization=Bearer%20sesame,x-tenant=blue'
start_agent --mode enforce --breaker consecutive_failures=3,open_for=5s,open_max=5s,open_jitter=0,close_after=1

# ---------------------------------------------------------------------- a connection that goes well --

check 'curl gets its answer' fetch "$port"
check 'its span comes' wait_for 10 took "$of('ebb.outcome') == 'established']"
is 'by the name of its destination, of a client' "$(spans 's[0]["name"] + " " + str(s[0]["kind"])')" "$(named "$port") 3"
is 'with all its events' "$(spans '" ".join(e["name"] for e in s[0]["events"])')" 'connect first_answer close'
is 'by the names of the conventions' "$(spans '" ".join(str(s[0]["attributes"].get(k)) for k in ("server.address", "server.port", "network.peer.address", "network.transport"))')" \
	"127.0.0.1 $port 127.0.0.1 tcp"
is 'with its workload' "$(spans 's[0]["attributes"]["ebb.workload"]')" "/${cgroup##*/}"
between 'the bytes of its request' "$(spans 's[0]["attributes"]["ebb.sent_bytes"]')" 50 500
is 'and of the answer' "$(spans 's[0]["attributes"]["ebb.received_bytes"]')" 60
is 'no error' "$(spans 's[0]["status"]')" null
is 'whose it is' "$(spans '" ".join(s[0]["resource"][k] for k in ("service.name", "deployment.environment.name", "host.name"))')" \
	"ebb-of-the-test test $(uname -n)"
check 'the headers that were asked for' asked 'r[0]["headers"]["authorization"] == "Bearer sesame" and r[0]["headers"]["x-tenant"] == "blue"'
is 'the path of traces is appended' "$(requests 'r[0]["path"]')" /v1/traces
is 'health says that all is well' "$(health state)" healthy

# -------------------------------------------------------------- failures, an episode, its denials --

stop_server
# the kernel opens it at the third: the fourth is refused by ebb
for _ in 1 2 3 4; do fetch "$port"; done
check 'it opens' wait_for 5 is_state "$port" open
check 'three refused connects: three failures' wait_for 10 took "len($of('error.type') == 'refused']) == 3"
is 'with the status error' "$(spans "$of('error.type') == 'refused'][0]['status']['code']")" 2
check 'what ebb refuses has a span too' wait_for 10 took "$of('error.type') == 'denied']"
is 'that says by what' "$(spans "$of('error.type') == 'denied'][0]['attributes']['ebb.denied.cause']")" breaker
start_server --port "$port"
closes() { fetch "$port" && is_state "$port" closed; }
check 'it closes again' wait_for 20 closes
check 'then the episode comes' wait_for 10 took '[x for x in s if x["name"].startswith("breaker ")]'
episode='[x for x in s if x["name"].startswith("breaker ")][0]'
is 'the denial links to its span' "$(spans "($of('error.type') == 'denied'][0]['links'][0]) == [${episode}['trace'], ${episode}['span']]")" true
is 'whose id the log has, too' "$(spans "${episode}['attributes']['ebb.episode']")" \
	"$(sed -n 's/.*breaker moved:.* to=closed .*episode=\([0-9a-f]*\) .*/\1/p' "$agent_log")"
is 'what opened and what closed it' "$(spans "' '.join(str(${episode}['attributes'][k]) for k in ('ebb.reason', 'ebb.failed', 'ebb.end_reason'))")" \
	'consecutive_failures 3 probes_succeeded'
is 'each move is an event' "$(spans "' '.join(e['name'] for e in ${episode}['events'])")" 'open half_open closed'
is 'with the facts that the log has of it' \
	"$(spans "'\n'.join(' '.join([e['name'], *(str(e['attributes']['ebb.' + k]) for k in ('reason', 'ok', 'failed', 'slow', 'run', 'generation'))]) for e in ${episode}['events'])")" \
	"$(sed -nE "s/.*breaker moved:.* to=([a-z_]+) reason=([a-z_]+) ok=([0-9]+) failed=([0-9]+) slow=([0-9]+) run=([0-9]+) .*generation=([0-9]+) .*/\1 \2 \3 \4 \5 \6 \7/p" "$agent_log")"
is 'and what failed last before it opened' "$(spans "' '.join(${episode}['attributes'][k] for k in ('ebb.last_failure', 'ebb.mode'))")" \
	"$(sed -nE "s/.*breaker moved:.* to=open .*last_failure=([a-z]+) .*mode=([a-z]+) .*/\1 \2/p" "$agent_log")"
check 'its probe is marked' wait_for 10 took "$of('ebb.probe')]"
check 'nothing that came was not strictly OTLP' test ! -e "$where/refused"
refute 'no secret is in the log' grep -q sesame "$agent_log"

# ----------------------------------------------------------------------- a collector in trouble --

sent() { metric 'ebb_spans_total{result="sent"}'; }
behave 503
fetch "$port"
check 'a collector that answers 503: degraded' wait_for 10 is_health degraded
like 'and why' "$(health why)" '503: the test says so'
is 'ready all the same' "$(http_status /health/ready)" 200
waits() { [ "$(metric ebb_spans_waiting)" -gt 0 ]; }
check 'the span waits' wait_for 5 waits
before=$(spans 'len(s)')
behave ok
more() { [ "$(spans 'len(s)')" -gt "$before" ]; }
check 'and goes when it takes them again' wait_for 20 more
check 'healthy again' wait_for 5 is_health healthy

behave busy
fetch "$port"
check '429: degraded' wait_for 10 is_health degraded
behave ok
check 'Retry-After is over after a second' wait_for 10 is_health healthy

behave 400
fetch "$port"
refused() { [ "$(metric 'ebb_spans_total{result="refused"}')" -ge 1 ]; }
check 'what is refused for good is given up' wait_for 10 refused
check 'and told' is_health degraded
behave partial
fetch "$port"
rejected() { [ "$(metric 'ebb_spans_total{result="rejected"}')" -ge 1 ]; }
check 'what is rejected of a batch is counted' wait_for 10 rejected
behave garbage
fetch "$port"
wrong() { [[ $(health why) == *'is the endpoint right?'* ]]; }
check 'a web page instead of a collector is told' wait_for 10 wrong
behave ok
fetch "$port"
check 'all is well again' wait_for 20 is_health healthy

# --------------------------------------------------------------------------- dies and comes back --

end "$collector" KILL
fetch "$port"
check 'one that died: degraded' wait_for 10 is_health degraded
like 'and why' "$(health why)" "127.0.0.1"
start_collector "$collector_port"
check 'one that came back has it' wait_for 30 took "$of('ebb.outcome') == 'established']"
check 'healthy' wait_for 5 is_health healthy

# ------------------------------------------------------------------------------------------ reload --

# A failure is always one, of the others only the share. @1: the share.
sample() {
	configure "traces: {otlp: {endpoint: 'http://127.0.0.1:$collector_port', sample: $1}}"
	wait_for 10 logged "traces are sent: .*sample=$1\$"
}
check 'another share without a restart' sample 0
before=$(spans 'len(s)')
for _ in 1 2 3 4 5; do fetch "$port"; done
stop_server
fetch "$port"
check 'a failure comes also of none' wait_for 10 took "$of('error.type') == 'refused']"
is 'and only that' "$(spans "len(s) - $before")" 1
start_server --port "$port"
fetch "$port"

configure '{}'
check 'the key goes: off' wait_for 10 logged 'traces are no longer sent'
is 'then health has nothing to say' "$(health state)" healthy
before=$(spans 'len(s)')
stop_server
fetch "$port"
start_server --port "$port"

# ---------------------------------------------------------------- what is there goes when it stops --

export OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://127.0.0.1:$collector_port/by/variable
export OTEL_TRACES_SAMPLER=always_on OTEL_BSP_SCHEDULE_DELAY=60000 OTEL_EXPORTER_OTLP_COMPRESSION=gzip
stop_agent
is 'it stops well' "$status" 0
start_agent --mode enforce
fetch "$port"
check 'a span waits for others to go with' wait_for 10 waits
stop_agent
is 'and the next one' "$status" 0
check 'it sends at the end what waited, by the variables of OpenTelemetry' took \
	"len(s) > $before and s[-1]['attributes']['ebb.outcome'] == 'established'"
check 'compressed, and to the path as it was given' asked \
	'r[-1]["path"] == "/by/variable" and r[-1]["headers"]["Content-Encoding"] == "gzip"'
check 'still nothing that is not strictly OTLP' test ! -e "$where/refused"

behave silent
start_agent --mode enforce
fetch "$port"
check 'one waits again' wait_for 10 waits
begun=$(now_ms)
stop_agent
is 'a collector that does not answer keeps no agent' "$status" 0
between 'for longer than its deadline' "$(($(now_ms) - begun))" 0 7000
check 'and what is lost is told' logged 'traces are lost'

export OTEL_SDK_DISABLED=true
start_agent --mode enforce
check 'disabled is off' logged 'traces are not sent: OTEL_SDK_DISABLED says so'
stop_agent
done_testing
