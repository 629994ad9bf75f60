#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Every query of every dashboard and every rule, asked of a real Prometheus that scrapes the real agent while breakers
# open and limits bite: none is in error, none is empty (but those that tests/dashboards/ask.py names, with the reason).
# deadline: 90

# SC2119: functions with optional arguments; SC2317: functions that are arguments
# shellcheck disable=SC2034,SC2119,SC2317
# shellcheck source=../lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

start_server
api=$port
start_server
answers=$port
start_server
broken=$port
stop_server
start_server
prometheus=$port
stop_server
mkdir "$scratch/spans"
background "$python" -S "$root/tests/lib/collector.py" "$scratch/spans" >"$scratch/spans/port"
wait_for 10 test -s "$scratch/spans/port" || bail 'the collector does not start'

cat >"$EBB_CONFIG" <<YAML
mode: enforce
destinations:
  - name: api
    match: [{cidr: 127.0.0.1/32, port: $api}]
    limits: {concurrent: 3, connects: {rate: 10/s, burst: 5}, bytes: 1MB/s, packets: 1000/s}
  - name: answers
    match: [{cidr: 127.0.0.1/32, port: $answers}]
  - name: broken
    match: [{cidr: 127.0.0.1/32, port: $broken}]
    breaker: {consecutive_failures: 3, open_for: 1s, open_max: 1s}
audit: {file: {path: $scratch/audit.jsonl}}
traces: {otlp: {endpoint: "http://127.0.0.1:$(cat "$scratch/spans/port")", sample: 1}}
YAML
start_agent

# Scraped and computed each second, so that the test is short.
for file in "$root"/deploy/prometheus/*.yml; do
	sed 's/interval: 1m$/interval: 1s/' "$file" >"$scratch/$(basename "$file")"
done
cat >"$scratch/prometheus.yml" <<YAML
global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}
rule_files: ["$scratch/ebb-*.yml"]
scrape_configs:
  - job_name: ebb
    static_configs: [{targets: ["$address"], labels: {cluster: test, node: one}}]
YAML
background prometheus --config.file="$scratch/prometheus.yml" --storage.tsdb.path="$scratch/tsdb" \
	--web.listen-address="127.0.0.1:$prometheus" --log.level=warn >"$scratch/prometheus.log" 2>&1

# What happens: some hold what they have, some come too fast, some ask for answers, some meet a server that is down.
in_load() { in_cgroup "$@" >/dev/null 2>&1 & }
for _ in 1 2 3 4; do in_load "$python" -S "$root/tests/lib/connect.py" --count 0 --seconds 60 --hold 5 127.0.0.1 "$api"; done
in_load "$python" -S "$root/tests/lib/connect.py" --count 0 --seconds 60 --every 0.02 127.0.0.1 "$api"
in_load "$python" -S "$root/tests/lib/connect.py" --count 0 --seconds 60 --every 0.1 127.0.0.1 "$broken"
# where no limit is in the way
ask_for_answers() { while :; do curl -s -o /dev/null "http://127.0.0.1:$answers/"; done; }
(echo "$BASHPID" >"$cgroup/cgroup.procs" && ask_for_answers) &
started+=("$!")

asked=0
"$python" "$root/tests/dashboards/ask.py" "http://127.0.0.1:$prometheus" --within 35 >"$scratch/answers" || asked=$?
cat "$scratch/answers"
tests_run=$(grep -c '^ok\|^not ok' "$scratch/answers")
tests_failed=$(grep -c '^not ok' "$scratch/answers")
[ "$asked" = 0 ] || [ "$tests_failed" != 0 ] || bail 'not all was asked'
is 'and Prometheus has nothing to say' "$(cat "$scratch/prometheus.log")" ''

done_testing
