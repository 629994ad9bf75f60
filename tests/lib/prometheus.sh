# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# A real Prometheus for a test. Sourced after e2e.sh.

# SC2034: for the tests; SC2154: of e2e.sh
# shellcheck disable=SC2034,SC2154

# start_prometheus: scrapes the agent each second. Sets prometheus (pid); it may not be ready yet.
start_prometheus() {
	local port
	port=$("$python" -S -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
	cat >"$scratch/prometheus.yml" <<-YAML
		global: {scrape_interval: 1s, scrape_timeout: 1s}
		scrape_configs:
		  - job_name: ebb
		    static_configs: [{targets: ["$address"]}]
	YAML
	background prometheus --config.file="$scratch/prometheus.yml" --storage.tsdb.path="$scratch/tsdb" \
		--web.listen-address="127.0.0.1:$port" --log.level=warn >"$scratch/prometheus.log" 2>&1
	prometheus=$!
	prometheus_api=http://127.0.0.1:$port/api/v1
}

api() { curl -sS --max-time 5 "${@:2}" "$prometheus_api/$1"; }
# query PROMQL [LABEL]: the values of what it finds, 'VALUE VALUE', or 'LABEL=VALUE LABEL=VALUE', in order; 'none'
query() {
	local named=''
	[ -z "${2:-}" ] || named="r['metric']['$2'] + '=' +"
	api query --data-urlencode "query=$1" | json "' '.join(sorted($named r['value'][1] for r in d['data']['result'])) or 'none'"
}
# answers WANTED PROMQL [LABEL]
answers() { [ "$(query "${@:2}")" = "$1" ]; }
# comes_to NAME WANTED PROMQL [LABEL]: within some scrapes
comes_to() {
	wait_for 10 answers "${@:2}"
	is "$1" "$(query "${@:3}")" "$2"
}
prometheus_is_up() {
	wait_for 30 answers 1 up || bail "the target is not up: $(tail -5 "$scratch/prometheus.log") $(api targets)"
}
