#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Metrics pushed to a collector that reads them strictly: the same as a scrape says, with starts that stay; a collector
# that asks to wait, refuses, rejects and hangs; the variables of OpenTelemetry; the last push when the agent ends.

# SC2119: functions with optional arguments; SC2317: functions that are arguments
# shellcheck disable=SC2119,SC2317
# shellcheck source=../lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"
# shellcheck source=../lib/collector.sh
. "$(dirname "$0")/../lib/collector.sh"

fetch() { in_cgroup curl -s -o /dev/null --max-time 5 "http://127.0.0.1:$port/"; }
health() { http_get /health | json "d['components']['metrics_otlp']['$1']"; }
is_health() { [ "$(health state)" = "$1" ]; }
push() { configure "metrics: {otlp: {endpoint: 'http://127.0.0.1:$collector_port', interval: 1s, $1}}"; }

start_collector
start_server
push 'timeout: 300ms'
export OTEL_RESOURCE_ATTRIBUTES=deployment.environment.name=test OTEL_SERVICE_NAME=ebb-of-the-test
export OTEL_EXPORTER_OTLP_HEADERS='authorization=Bearer%20sesame'
start_agent --mode enforce

# ------------------------------------------------------------------------------ the same as a scrape --

fetch
fetch
stop_server
fetch
start_server --port "$port"
of="[x['value'] for x in p if x['name'] == 'ebb_connects_total' and x['attributes']['destination'] == '127.0.0.1:$port/tcp' and x['attributes']['outcome']"
check 'what was counted is pushed' wait_for 10 pushed "$of == 'established'] and $of == 'established'][-1] == 2 and $of == 'refused'][-1] == 1"
same() { http_get /metrics | "$python" "$root/tests/lib/same_metrics.py" "$where/points" 2>"$scratch/different"; }
# a connection may just be between its last packet and its end
check 'every series of a destination is as in a scrape' wait_for 10 same
between 'so many' "$(same)" 150 2000
is 'the path of metrics is appended' "$(requests 'r[0]["path"]')" /v1/metrics
is 'whose they are' "$(points '" ".join(p[0]["resource"][k] for k in ("service.name", "deployment.environment.name", "host.name"))')" \
	"ebb-of-the-test test $(uname -n)"
check 'with the headers that were asked for' asked 'r[0]["headers"]["authorization"] == "Bearer sesame"'
refute 'no secret is in the log' grep -q sesame "$agent_log"
pushes() { [ "$(requests 'len(r)')" -ge "$1" ]; }
check 'a second push' wait_for 10 pushes 3
is 'counts since the same time' "$(points "len({x['start'] for x in p if x['name'] == 'ebb_connects_total' and x['attributes']['destination'] != '~other'})")" 1
is 'health says that all is well' "$(health state)" healthy

# ------------------------------------------------------------------- fewer labels, while it runs --

configure "metrics: {labels: [destination], otlp: {endpoint: 'http://127.0.0.1:$collector_port', interval: 1s, timeout: 300ms}}"
with_labels() { http_get /metrics | grep -Eq "^ebb_connects_total\\{destination=\"127.0.0.1:$port/tcp\",$1outcome=\"established\"\\} $2\$"; }
check 'fewer labels: a series begins anew' wait_for 10 with_labels '' 0
check 'in a push, too' wait_for 10 pushed "[x for x in p if x['name'] == 'ebb_connects_total' and x['attributes']['destination'] == '127.0.0.1:$port/tcp'][-1]['attributes'].keys() == {'destination', 'outcome'}"
push 'timeout: 300ms'
check 'and all of them again' wait_for 10 with_labels 'workload="[^"]+",' 2

# ---------------------------------------------------------------------------- headers from a file --

# as a secret is mounted: behind a link that is changed
secrets=$scratch/secrets
mkdir -p "$secrets/1" "$secrets/2"
printf 'Authorization: Bearer sesame1\nX-Tenant: shop\n' >"$secrets/1/headers"
printf 'authorization=Bearer%%20sesame2\n' >"$secrets/2/headers"
with_header() { asked "any('$2' == {k.lower(): v for k, v in q['headers'].items()}.get('$1') for q in r)"; }
change_secret() { ln -sfn "$1" "$secrets/data.new" && mv -T "$secrets/data.new" "$secrets/data"; }
push "timeout: 300ms, headers_file: '$secrets/data/headers'"
check 'no file of headers: it is told' wait_for 10 logged "warn: metrics: no headers from '$secrets/data/headers': it cannot be read: No such file or directory; nothing is sent without them"
check 'health says why' wait_for 10 is_health degraded
like 'which file' "$(health why)" "no headers from '$secrets/data/headers': it cannot be read: No such file"
change_secret 1
check 'it is there: its headers are sent' wait_for 20 with_header authorization 'Bearer sesame1'
check 'each of them' with_header x-tenant shop
check 'and told' wait_for 10 logged "info: metrics: the headers in '$secrets/data/headers' can be read again"
change_secret 2
check 'a secret that is changed is read again' wait_for 10 with_header authorization 'Bearer sesame2'
printf 'sesame3\n' >"$secrets/2/headers"
check 'nonsense: the line is told' wait_for 10 logged "warn: metrics: no headers from '$secrets/data/headers': line 1: no header like 'Authorization: Bearer ...'; those that it had go on"
refute 'no secret of a file is in the log' grep -q sesame "$agent_log"
check 'all is well on the way' wait_for 10 is_health healthy
push 'timeout: 300ms'

# ----------------------------------------------------------------------------- a collector in trouble --

count() { metric "ebb_metric_points_total{result=\"$1\"}"; }
grows() { [ "$(count "$1")" -gt 0 ]; }
behave later
check 'a collector that answers 503: degraded' wait_for 10 is_health degraded
like 'and why' "$(health why)" 'collector of metrics: it answers 503: the test says so'
is 'ready all the same' "$(http_status /health/ready)" 200
behave ok
check 'healthy when it takes them again, after what it asked for' wait_for 10 is_health healthy

behave 400
check 'what is refused for good is counted' wait_for 10 grows refused
behave partial
check 'and what is rejected of a push' wait_for 10 grows rejected
like 'health says how many' "$(health why)" 'it did not take 1 points: too old|it answers 400'
behave silent
hangs() { [[ $(health why) == *'no answer in time'* ]]; }
check 'one that hangs costs its deadline' wait_for 10 hangs
between 'and no tick' "$(metric ebb_lease_age_seconds | awk '{ printf "%d", $1 * 1000 }')" 0 1500
behave ok
check 'all is well again' wait_for 20 is_health healthy

# ---------------------------------------------------------------------------------------------- reload --

push 'gzip: on'
check 'compressed from now on' wait_for 10 asked 'r[-1]["headers"].get("Content-Encoding") == "gzip"'
configure '{}'
check 'the key goes: off' wait_for 10 logged 'metrics are no longer sent'
is 'then health has nothing to say' "$(health state)" healthy

# ---------------------------------------------------------------------------------- the last, at the end --

stop_agent
is 'it stops well' "$status" 0
export OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=http://127.0.0.1:$collector_port/by/variable
export OTEL_METRIC_EXPORT_INTERVAL=3600000 OTEL_EXPORTER_OTLP_METRICS_COMPRESSION=none
start_agent --mode enforce
fetch
before=$(requests 'len(r)')
stop_agent
is 'and the next one' "$status" 0
check 'what was counted goes when it ends, by the variables of OpenTelemetry' asked \
	"len(r) > $before and r[-1]['path'] == '/by/variable' and r[-1]['status'] == 200"
is 'with the last connect' "$(points "$of == 'established'][-1]")" 3
check 'nothing that came was not strictly OTLP' test ! -e "$where/refused"

configure 'metrics: {otlp: {enabled: off}}'
start_agent --mode enforce
check 'off is off, whatever variables say' logged 'metrics are not sent: metrics.otlp.enabled says so'
stop_agent
done_testing
