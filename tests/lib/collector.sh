# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# A collector of OpenTelemetry for a test (tests/lib/collector.py). Sourced after e2e.sh.

# SC2034: for the tests; SC2154: of e2e.sh
# shellcheck disable=SC2034,SC2154

# start_collector [PORT]: sets collector (pid), collector_port and where (its directory).
collectors=0
start_collector() {
	collectors=$((collectors + 1))
	where=$scratch/collector.$collectors
	mkdir "$where"
	background "$python" -S "$root/tests/lib/collector.py" --port "${1:-0}" "$where" >"$where/port" 2>"$where/err"
	collector=$!
	wait_for 10 test -s "$where/port" || bail "the collector does not start: $(cat "$where/err")"
	collector_port=$(cat "$where/port")
}
behave() { printf '%s' "$1" >"$where/mode.new" && mv "$where/mode.new" "$where/mode"; }

# Over what it took, as s, p or r: the value of a Python expression.
spans() { { echo '['; paste -sd, "$where/spans" 2>/dev/null; echo ']'; } | json "(lambda s: $1)(d)"; }
points() { { echo '['; paste -sd, "$where/points" 2>/dev/null; echo ']'; } | json "(lambda p: $1)(d)"; }
requests() { { echo '['; paste -sd, "$where/requests" 2>/dev/null; echo ']'; } | json "(lambda r: $1)(d)"; }
took() { [ "$(spans "bool($1)")" = true ]; }
pushed() { [ "$(points "bool($1)")" = true ]; }
asked() { [ "$(requests "bool($1)")" = true ]; }

metric() { http_get /metrics | awk -v name="$1" '$1 == name { print $2 }'; }
configure() { printf '%s\n' "$@" >"$EBB_CONFIG"; }
