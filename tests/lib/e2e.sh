# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the tests read is not used here:
# shellcheck disable=SC2034
#
# For the end-to-end tests: TAP, waiting with a deadline, and everything that a test needs
# of its own: a cgroup, a pin directory, network namespaces, the agent, servers. Source it
# first; the name of the test comes from its file.
#
#	. "$(dirname "$0")/../lib/e2e.sh"
#	start_server
#	start_agent --mode enforce
#	is 'a working server is reached' "$(connect 127.0.0.1 "$port")" OK
#	done_testing
#
# Whatever a test makes is named ebb-test-NAME-PID, and goes when the test ends, however it
# ends; what a test that was killed left behind goes when the next one starts. Programs die
# with the test that started them (PR_SET_PDEATHSIG).

set -uo pipefail
export LC_ALL=C

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
EBB_BUILD=${EBB_BUILD:-build}
case $EBB_BUILD in /*) ;; *) EBB_BUILD=$root/$EBB_BUILD ;; esac
ebb_program=$EBB_BUILD/ebb
# What ebb would take for variables of its own, and tell.
export -n EBB_BUILD EBB_REQUIRE
# Debian's: one from elsewhere does not see python3-* packages, and may start slowly.
python=${PYTHON:-/usr/bin/python3}

test_name=$(basename "$0")
test_name=${test_name#test_}
test_name=${test_name%.sh}
test_id=ebb-test-$test_name-$$

# ------------------------------------------------------------------- TAP --

# shellcheck source=tap.sh
. "$(dirname "${BASH_SOURCE[0]}")/tap.sh"

# The world in which the test would run cannot be made.
bail() {
	show_logs
	printf 'Bail out! %s\n' "$*"
	exit 1
}

done_testing() {
	local report
	if grep -qs 'made a system call that is not in its list' "$scratch"/agent.*.log; then
		not_ok 'the agent makes no system call that is not in its list' "$(grep -h 'not in its list' "$scratch"/agent.*.log)"
	fi
	for report in "$scratch"/sanitizer.*; do
		[ -e "$report" ] || continue
		not_ok 'no sanitizer has anything to report' "$(head -60 "$report")"
	done
	[ "$tests_failed" = 0 ] || show_logs
	plan
	exit
}

show_logs() {
	local log
	for log in "$scratch"/agent.*.log; do
		[ -s "$log" ] || continue
		printf '# %s:\n' "$(basename "$log")"
		tail -25 "$log" | note
	done
}

# ----------------------------------------------------------------- waiting --

now_ms() { printf '%s' "$((${EPOCHREALTIME/./} / 1000))"; }

# wait_for SECONDS COMMAND...: until it succeeds; its output is dropped. The longer it has waited, the less often it looks, or
# a test that waits would take the processor from what it waits for.
wait_for() {
	local begin=${EPOCHREALTIME/./} limit=$(($1 * 1000000)) waited nap
	shift
	until "$@" >/dev/null 2>&1; do
		waited=$((${EPOCHREALTIME/./} - begin))
		[ "$waited" -lt "$limit" ] || return 1
		nap=$((waited / 20))
		printf -v nap '0.%06d' $((nap < 20000 ? 20000 : nap > 100000 ? 100000 : nap))
		sleep "$nap"
	done
}

# No such process, or a dead one that nobody has asked after.
gone() {
	local stat
	read -r stat 2>/dev/null <"/proc/$1/stat" || return 0
	stat=${stat##*) }
	[ "${stat%% *}" = Z ]
}

# ----------------------------------------------------------------- cleanup --

scratch=${TMPDIR:-/tmp}/$test_id
cgroup2=$(awk '$0 ~ / - cgroup2 / { print $5; exit }' /proc/self/mountinfo)
cgroup=$cgroup2/$test_id
pin=/sys/fs/bpf/$test_id
started=() # pids

remove_cgroups() {
	local top=$1
	[ -d "$top" ] || return 0
	# empty within moments: what ran in it was ended
	wait_for 5 remove_cgroup_tree "$top" || printf '# still there: %s\n' "$top"
}

remove_cgroup_tree() {
	find "$1" -depth -type d -exec rmdir {} + 2>/dev/null
	[ ! -d "$1" ]
}

# All that is in the cgroups of the test with id $1 is its own.
kill_in_cgroups() {
	local file
	for file in "$cgroup2/$1" "$cgroup2/$1"-*; do
		[ ! -d "$file" ] || echo 1 >"$file/cgroup.kill"
	done
}

# Everything that carries the name of the test with id $1.
remove_traces() {
	local id=$1 file
	kill_in_cgroups "$id"
	for file in "/sys/fs/bpf/$id" "/sys/fs/bpf/$id"-*; do
		[ -d "$file" ] || continue
		"$ebb_program" detach --pin "$file" >/dev/null 2>&1
		rm -f "$file"/* 2>/dev/null
		rmdir "$file" 2>/dev/null
	done
	for file in "/run/netns/$id"-*; do
		[ -e "$file" ] && ip netns del "$(basename "$file")"
	done
	for file in "$cgroup2/$id" "$cgroup2/$id"-*; do
		[ -d "$file" ] || continue
		remove_cgroups "$file"
	done
	rm -rf "${TMPDIR:-/tmp}/${id:?}"
}

cleanup() {
	local pid
	trap - EXIT INT TERM HUP
	exec 2>/dev/null # the shell tells of every program that a signal ends
	for pid in "${started[@]}"; do
		gone "$pid" || kill -KILL "$pid"
	done
	kill_in_cgroups "$test_id" # what was not started by background() would be waited for
	wait
	remove_traces "$test_id"
}

# Of tests that were killed: those whose process is gone.
remove_leftovers() {
	local file id name pid
	for file in "$cgroup2"/ebb-test-*-* /sys/fs/bpf/ebb-test-*-* "${TMPDIR:-/tmp}"/ebb-test-*-* /run/netns/ebb-test-*-*; do
		[[ $(basename "$file") =~ ^(ebb-test-([a-z_]+)-([0-9]+))(-.*)?$ ]] || continue
		id=${BASH_REMATCH[1]} name=${BASH_REMATCH[2]} pid=${BASH_REMATCH[3]}
		# its own command line, so that another process of the same number does not count
		grep -qs -e test_ -e "$name" "/proc/$pid/cmdline" || remove_traces "$id"
	done
}

[ "$(id -u)" = 0 ] || { echo '1..0 # SKIP needs root, to load BPF programs'; exit 0; }
[ -x "$ebb_program" ] || { echo "Bail out! there is no $ebb_program: run 'make' first"; exit 1; }
[ -n "$cgroup2" ] || { echo 'Bail out! no cgroup2 is mounted'; exit 1; }
remove_leftovers
mkdir -m 755 "$scratch" || exit 1
trap cleanup EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
mkdir "$cgroup" || exit 1
# Whatever this machine has in /etc/ebb.
mkdir "$scratch/etc" && : >"$scratch/etc/ebb.yaml" || exit 1
export EBB_CONFIG=$scratch/etc/ebb.yaml
# The audit log of an agent that does not ask for one: nowhere, and in no directory of this machine.
export EBB_AUDIT_DIR=$scratch/audit EBB_AUDIT_SQLITE_PATH=off
# Reports of the sanitizers, of whichever program, are collected.
export ASAN_OPTIONS="${ASAN_OPTIONS:-exitcode=99}:log_path=$scratch/sanitizer"
export UBSAN_OPTIONS="${UBSAN_OPTIONS:-print_stacktrace=1}:log_path=$scratch/sanitizer"
export TSAN_OPTIONS="${TSAN_OPTIONS:-exitcode=66}:log_path=$scratch/sanitizer"

# ----------------------------------------------------------------- programs --

# background COMMAND...: ends with us; its pid is in $!
background() {
	setpriv --pdeathsig KILL "$@" &
	started+=("$!")
}

# end PID [SIGNAL [SECONDS]]: and waits. Sets status, also when it had to be killed.
end() {
	# the shell tells of every program that a signal ends
	{
		kill -"${2:-TERM}" "$1"
		if ! wait_for "${3:-20}" gone "$1"; then
			printf '# pid %s did not end: killed\n' "$1"
			kill -KILL "$1"
		fi
		status=0
		wait "$1" || status=$?
	} 2>/dev/null
}

# in_cgroup [-c CHILD] COMMAND...: in the governed cgroup, or one below it, which is made.
in_cgroup() {
	local where=$cgroup
	if [ "$1" = -c ]; then
		where=$cgroup/$2
		shift 2
		[ -d "$where" ] || mkdir "$where"
	fi
	# not a function that is called: $BASHPID is the program's own
	(echo "$BASHPID" >"$where/cgroup.procs" && exec timeout 60 "$@")
}

# connect [OPTION...] ADDRESS PORT: from within the cgroup; see tests/lib/connect.py.
connect() { in_cgroup "$python" -S "$root/tests/lib/connect.py" "$@"; }

# connect_in NETNS [OPTION...] ADDRESS PORT
connect_in() {
	local netns=$1
	shift
	in_cgroup nsenter --net="/run/netns/$netns" "$python" -S "$root/tests/lib/connect.py" "$@"
}

# The value of a Python expression over what is read, JSON, as d.
json() {
	"$python" -S -c 'import json, sys
d = json.load(sys.stdin)
value = eval(sys.argv[1])
print(value if not isinstance(value, (dict, list, bool, type(None))) else json.dumps(value))' "$1"
}

# ------------------------------------------------------------------- servers --

# start_server [--netns NAME] [OPTION...]: see tests/lib/server.py. Sets server (pid) and port.
start_server() {
	local enter=() file
	if [ "${1:-}" = --netns ]; then
		enter=(nsenter --net="/run/netns/$2")
		shift 2
	fi
	file=$scratch/server.${#started[@]}
	background "${enter[@]}" "$python" -S "$root/tests/lib/server.py" "$@" >"$file" 2>"$file.err"
	server=$!
	if ! wait_for 10 test -s "$file"; then
		note <"$file.err"
		bail "the server does not start: $*"
	fi
	port=$(cat "$file")
}

stop_server() { end "${1:-$server}" KILL; }

# --------------------------------------------------------------------- agent --

agent=''
agent_log=/dev/null
address=''
agents=0

# agent_with OPTION VALUE ARGS...: --OPTION VALUE unless ARGS say another.
options=()
default_option() {
	local name=$1 value=$2 arg
	shift 2
	for arg; do
		case $arg in "$name" | "$name="*) return ;; esac
	done
	options+=("$name" "$value")
}

# launch_agent ARGS...: starts it and waits for nothing.
launch_agent() {
	options=()
	default_option --pin "$pin" "$@"
	default_option --cgroup "$cgroup" "$@"
	default_option --listen 127.0.0.1:0 "$@"
	# small tables: quick to make
	default_option --destinations 64 "$@"
	default_option --pairs 256 "$@"
	default_option --endpoints 256 "$@"
	agents=$((agents + 1))
	agent_log=$scratch/agent.$agents.log
	background "$ebb_program" run "${options[@]}" "$@" >"$scratch/agent.$agents.out" 2>"$agent_log"
	agent=$!
}

# start_agent ARGS...: and waits until it is ready. Sets agent (pid), address and agent_log.
start_agent() {
	launch_agent "$@"
	wait_for 20 agent_started_or_died
	logged "$started_line" || bail "the agent does not start: $(tail -1 "$agent_log")"
	address=$(sed -n 's/.* started[:"].*[ "]listen[=":]* *"*\([^ ",]*\).*/\1/p' "$agent_log")
	wait_for 10 http_get /health/ready || bail "the agent is not ready: $(http_get /health)"
}

# in either format of the log
started_line=' started(: |")'
agent_started_or_died() { logged "$started_line" || gone "$agent"; }

# stop_agent [SIGNAL]: sets status.
stop_agent() {
	end "$agent" "${1:-TERM}"
	agent=''
}

# http_get PATH [CURL-OPTION...]: the body; fails on anything but 2xx.
http_get() {
	local path=$1
	shift
	curl -sS --fail --max-time 5 "$@" "http://$address$path"
}

# http_status PATH
http_status() { curl -s -o /dev/null --max-time 5 -w '%{http_code}' "http://$address$1"; }

# logged REGULAR-EXPRESSION: says the agent so?
logged() { grep -Eq -- "$1" "$agent_log"; }

# ------------------------------------------------------------------ commands --

# ebb COMMAND ARGS...: on our pin directory.
ebb() {
	local command=$1
	shift
	timeout 20 "$ebb_program" "$command" --pin "$pin" "$@"
}

# gate PORT-OR-NAME EXPRESSION [WORKLOAD]: of the row (d) that 'ebb list' has of it.
gate() {
	local name=$1
	case $name in *[!0-9]*) ;; *) name=127.0.0.1:$name/tcp ;; esac
	ebb list -o json --workload "${3:-*}" | json "(lambda d: $2)(next(r for r in d['destinations'] if r['destination'] == '$name'))"
}

state() { gate "$1" 'd["state"]' "${2:-*}" 2>/dev/null; }

# is_state PORT-OR-NAME STATE [WORKLOAD]
is_state() { [ "$(state "$1" "${3:-*}")" = "$2" ]; }

# ------------------------------------------------------------------ networks --

# make_network: two namespaces joined by a veth pair, $client (10.9.8.1, fd09::1) and
# $peer (10.9.8.2, fd09::2), so that tests at the same time do not meet.
make_network() {
	client=$test_id-a
	peer=$test_id-b
	local side
	if ! { ip netns add "$client" && ip netns add "$peer" &&
		ip -n "$client" link add ve0 type veth peer name ve0 netns "$peer"; }; then
		bail 'cannot make two network namespaces and a veth pair'
	fi
	for side in "$client 1" "$peer 2"; do
		ip -n "${side% *}" link set lo up
		ip -n "${side% *}" address add "10.9.8.${side#* }/24" dev ve0
		ip -n "${side% *}" -6 address add "fd09::${side#* }/64" dev ve0 nodad
		ip -n "${side% *}" link set ve0 up
	done
}
