#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# All benchmarks, one report: 'make bench', or tests/bench/run.sh [NAME...] with the names of
# the steps below. Builds nothing. Everything that it makes is named ebb-bench-PID and goes
# when it ends, however it ends: a network namespace of its own (unshare, so no rule and no
# connection of this machine is in the figures), a cgroup, a pin directory, the agent.
#
#	BUILD=build	where ebb and ebb-bench are
#	OUT=FILE	where the results go (BUILD/bench.json)
#
# The results are kept step by step: what fails is named in the report, the rest stands.

set -uo pipefail
export LC_ALL=C

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=${BUILD:-$root/build}
build=$(cd "$build" 2>/dev/null && pwd) || { echo "run.sh: no '$build': run 'make bench'" >&2; exit 1; }
out=${OUT:-$build/bench.json}
ebb=$build/ebb
bench=$build/tests/bench/ebb-bench
python=${PYTHON:-/usr/bin/python3}
steps=(refused allowed moved send packets programs routes bulkhead gate trip-kernel trip-agent trip-peers ingress turns peers tracers names idle growth limits)

for program in "$ebb" "$bench"; do
	[ -x "$program" ] || { echo "run.sh: '$program' is not there: run 'make bench'" >&2; exit 1; }
done
[ "$(id -u)" = 0 ] || { echo "run.sh: must be root" >&2; exit 1; }
if [ -z "${EBB_BENCH_INSIDE:-}" ]; then
	EBB_BENCH_INSIDE=1 exec unshare --net "$0" "$@"
fi
unset EBB_BENCH_INSIDE # the agent takes what begins so for its configuration
ip link set lo up || exit 1

# -------------------------------------------------------- what is our own --

mount=$(awk '$3 == "cgroup2" {print $2; exit}' /proc/mounts)
[ -n "$mount" ] || { echo "run.sh: no cgroup2 is mounted" >&2; exit 1; }
# below our own cgroup, so that it works in a container too
home=$mount$(sed -n 's/^0:://p' /proc/self/cgroup)
home=${home%/}
id=ebb-bench-$$
cgroup=$home/$id
pin=/sys/fs/bpf/$id
work=$(mktemp -d) || exit 1
agent_pid=

stop_agent() {
	[ -n "$agent_pid" ] || return 0
	kill "$agent_pid" 2>/dev/null
	wait "$agent_pid" 2>/dev/null
	agent_pid=
}

clean_up() {
	stop_agent
	[ -d "$pin" ] && "$ebb" detach --pin "$pin" >/dev/null 2>&1
	[ -d "$pin" ] && { rm -f "$pin"/*; rmdir "$pin"; }
	# members end with this script or before; the kernel needs a moment to let go of them
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		[ -d "$cgroup" ] || break
		rmdir "$cgroup" 2>/dev/null || sleep 0.1
	done
	rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM
mkdir "$cgroup" || exit 1

# start_agent OPTION...: its address is in $address.
start_agent() {
	local tries=400
	stop_agent
	EBB_AUDIT_SQLITE_PATH=off "$ebb" run --cgroup "$cgroup" --pin "$pin" --listen 127.0.0.1:0 --on-exit detach "$@" 2>"$work/agent.log" &
	agent_pid=$!
	address=
	while [ -z "$address" ] && [ $((tries -= 1)) -gt 0 ] && kill -0 "$agent_pid" 2>/dev/null; do
		address=$(sed -n 's/.* started: .* listen=\([^ ]*\).*/\1/p' "$work/agent.log")
		[ -n "$address" ] || sleep 0.05
	done
	[ -n "$address" ] && return 0
	sed 's/^/run.sh: agent: /' "$work/agent.log" >&2
	return 1
}

# ---------------------------------------------------------------- results --

# keep NAME: what is read is its result.
keep() { cat >"$work/$1.json" && [ -s "$work/$1.json" ]; }

# measure NAME WHAT OPTION...: one run of ebb-bench.
measure() {
	local name=$1
	shift
	"$bench" "$@" --cgroup "$cgroup" --pin "$pin" | keep "$name"
}

load() { cut -d' ' -f1 /proc/loadavg; }

# Hooks at which somebody else has programs: "nothing attached" then pays for them, too.
hooks_elsewhere() {
	bpftool cgroup tree "$mount" |
		awk '$2 ~ /^cgroup_(inet|inet4|inet6|udp4|udp6|sock_ops)/ {print substr($2, 8)}' | sort -u | paste -sd ' '
}

# ------------------------------------------------------------------ steps --

step_refused() { measure refused refused; }
step_allowed() { measure allowed allowed; }
step_moved() { measure moved allowed --moved; }
step_send() { measure send send; }
step_packets() { measure packets packets; }
step_programs() { measure programs programs; }
step_routes() { measure routes routes; }

step_trip_kernel() {
	measure trip_kernel_idle trip &&
		measure trip_kernel_busy trip --busy &&
		measure trip_kernel_busy_2 trip --busy --threads 2
}

step_trip_agent() {
	start_agent --mode enforce --errno ehostunreach \
		--breaker consecutive_failures=0,min_calls=5,failure_rate=0.5,open_for=1h,open_max=1h || return 1
	measure trip_agent_idle trip --agent --first 0 &&
		measure trip_agent_busy trip --agent --first 1000 --busy
	local rc=$?
	stop_agent
	return $rc
}

# Against a sidecar that watches its server.
step_trip_peers() { BUILD=$build "$root/tests/bench/trip.py" --write "$work/trip_peers.json"; }

step_ingress() { measure ingress ingress; }
step_turns() { measure turns turns; }
step_peers() { measure peers peers; }

# They look for their tracepoints below a mount that not every machine has.
step_tracers() {
	local mount='[ -d /sys/kernel/tracing/events ] || mount -t tracefs tracefs /sys/kernel/tracing; exec "$@"'
	unshare --mount sh -c "$mount" sh "$bench" peers --tracers --rounds 20 --samples 200 --cgroup "$cgroup" --pin "$pin" | keep tracers
}

# From DNS answers to the maps; enforcing (at real-time priority) and observing.
step_names() {
	local mode rc=0
	for mode in enforce observe; do
		printf 'mode: %s\ndns: {resolvers: [127.0.0.9]}\ndestinations:\n  - name: bench\n    match: [{host: "*.bench", port: 7999}]\n' \
			"$mode" >"$work/names.yaml"
		start_agent --config "$work/names.yaml" || return 1
		measure "names_${mode}_idle" names && measure "names_${mode}_busy" names --busy --first 10000 || rc=1
		stop_agent
	done
	return $rc
}

step_bulkhead() { measure bulkhead bulkhead; }
step_gate() { measure gate gate; }

# Not among the others: where the time of a connection with one request goes, as a picture, $build/flame.svg.
step_flame() {
	local perf=$work/perf.data
	command -v perf >/dev/null || { echo "run.sh: no perf (linux-perf)" >&2; return 1; }
	perf record --quiet --event cpu-clock --freq 4999 --call-graph fp --output "$perf" -- \
		"$bench" request --cgroup "$cgroup" --pin "$pin" >"$work/request" &&
		perf script --input "$perf" --fields ip,sym 2>/dev/null |
		"$root/tests/bench/flame.py" "$work/request" "$build/flame.svg" | keep flame
}

run_time_ns() { cut -d' ' -f1 "/proc/$agent_pid/schedstat"; }
anonymous_kb() { sed -n 's/^RssAnon:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$agent_pid/status"; }

# What 1,000 destinations cost an agent that has nothing to do, and a scrape of them.
step_idle() {
	local ns seconds=20 body=$work/body
	start_agent --mode observe || return 1
	measure discovered discover || return 1
	sleep 12 # the window, and a second of quiet
	ns=$(run_time_ns)
	sleep $seconds
	ns=$(($(run_time_ns) - ns))
	for _ in $(seq 20); do
		curl -sS -o "$body" -w '%{time_total} %{size_download}\n' "http://$address/metrics" || return 1
	done >"$work/scrapes"
	"$python" - "$ns" "$seconds" "$(anonymous_kb)" "$work/scrapes" "$body" <<-'PYTHON' | keep idle
		import json, statistics, sys

		ns, seconds, anonymous_kb = (int(text) for text in sys.argv[1:4])
		scrapes = [line.split() for line in open(sys.argv[4])]
		times = sorted(float(time) for time, _ in scrapes)
		series = sum(1 for line in open(sys.argv[5]) if not line.startswith("#"))
		print(json.dumps({
		    "cpu_share": ns / (seconds * 1e9),
		    "seconds": seconds,
		    "anonymous_kb": anonymous_kb,
		    "scrape_ms": {"p50": statistics.median(times) * 1e3, "max": times[-1] * 1e3, "n": len(times)},
		    "scrape_bytes": int(scrapes[-1][1]),
		    "scrape_series": series,
		}))
	PYTHON
	local rc=$?
	stop_agent
	return $rc
}

# How all of it grows with destinations, workloads and scrapes.
step_growth() { BUILD=$build "$root/tests/bench/growth.py" --write "$work/growth.json" --svg "${out%.json}-growth.svg" >/dev/null; }

# How well limits hold, against packet filters and tc: the short form. 'make bench-limits' is the long one.
step_limits() { BUILD=$build "$root/tests/bench/limits.py" --quick --write "$work/limits.json" >/dev/null; }

# ------------------------------------------------------------------- main --

[ $# -gt 0 ] && steps=("$@")
for step in "${steps[@]}"; do
	declare -F "step_${step//-/_}" >/dev/null || {
		echo "run.sh: no step '$step': ${steps[*]}" >&2
		exit 2
	}
done
failed=()
elsewhere=$(hooks_elsewhere)
[ -z "$elsewhere" ] || echo "run.sh: somebody else has programs at $elsewhere: ratios to nothing attached come out too good" >&2
load_before=$(load)
for step in "${steps[@]}"; do
	printf 'run.sh: %s\n' "$step" >&2
	"step_${step//-/_}" || failed+=("$step")
done
"$python" "$root/tests/bench/report.py" --write "$out" --load "$load_before" "$(load)" --elsewhere "$elsewhere" --failed "${failed[*]}" \
	"$work"/*.json || exit 1
[ ${#failed[@]} = 0 ]
