#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A real Prometheus scrapes the agent: its queries answer with what the clients saw, by outcome; it has every
# series and no error; an open breaker is told, quantiles can be computed, and an agent that is gone is down.
# deadline: 90

# SC2119: functions with optional arguments; SC2317: functions that are arguments
# shellcheck disable=SC2119,SC2317
# shellcheck source=../lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"
# shellcheck source=../lib/prometheus.sh
. "$root/tests/lib/prometheus.sh"

start_server
alive=$port
start_server
dead=$port
stop_server
start_server
stop_server
start_agent --mode enforce --errno ehostunreach --breaker consecutive_failures=3,open_for=60s,open_max=60s,open_jitter=0

start_prometheus

of() { printf 'destination="127.0.0.1:%s/tcp"' "$1"; }

prometheus_is_up
ok 'the target is up'

# -------------------------------------------------------------------- what the clients saw --

is 'clients: seven get through' "$(connect --count 7 --sum 127.0.0.1 "$alive")" 'OK=7'
is 'clients: three are refused by the server, four by the breaker' "$(connect --count 7 --sum 127.0.0.1 "$dead")" \
	'EHOSTUNREACH=4 ECONNREFUSED=3'
comes_to 'connects by outcome, of the server that is up' \
	'abandoned=0 cancelled=0 denied=0 established=7 local=0 refused=0 timeout=0 unreachable=0' \
	"ebb_connects_total{$(of "$alive")}" outcome
comes_to 'connects by outcome, of the one that is down' \
	'abandoned=0 cancelled=0 denied=4 established=0 local=0 refused=3 timeout=0 unreachable=0' \
	"ebb_connects_total{$(of "$dead")}" outcome
is 'its breaker is open, and in no other state' "$(query "ebb_breaker_state{$(of "$dead")}" state)" 'closed=0 half_open=0 open=1'
is 'the other is closed' "$(query "ebb_breaker_state{$(of "$alive"),state=\"closed\"}")" 1
is 'it is the only one that an alert on open breakers would name' \
	"$(query 'ebb_breaker_state{state="open"} == 1' destination)" "127.0.0.1:$dead/tcp=1"

# ------------------------------------------------------------------------- what is computed --

# seen to grow from one scrape to the next, which is what rate() needs
connect --count 13 --sum --reset 127.0.0.1 "$alive" >"$scratch/sum"
comes_to 'a counter goes on' 20 "ebb_connects_total{$(of "$alive"),outcome=\"established\"}"
comes_to 'and has a rate' 1 "sum(rate(ebb_connects_total{$(of "$alive"),outcome=\"established\"}[1m])) > bool 0"
for q in 0.5 0.99; do
	comes_to "the $q quantile of connecting to ourselves lies in a bucket" '1' \
		"histogram_quantile($q, sum by (le) (rate(ebb_connect_duration_seconds_bucket{$(of "$alive")}[1m]))) < bool 1.1"
done
is 'the histogram has each connection' "$(query "ebb_connect_duration_seconds_count{$(of "$alive")}")" 20

# ----------------------------------------------------------------------------- all of it --

comes_to 'every sample was taken' "$(http_get /metrics | grep -vc '^#')" scrape_samples_scraped
is 'without an error' "$(api targets | json '[t["lastError"] for t in d["data"]["activeTargets"]]')" '[""]'
is 'and the log has nothing to say' "$(cat "$scratch/prometheus.log")" ''

# ----------------------------------------------------------------------- an agent that is gone --

stop_agent
comes_to 'an agent that is gone is down' 0 up
is 'and its series have ended' "$(query "ebb_breaker_state{$(of "$dead")}" state)" none
end "$prometheus"

done_testing
