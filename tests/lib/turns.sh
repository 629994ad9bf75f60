# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154
#
# What the tests of turns share; after e2e.sh.

# start_talk STEP...: a server (tests/lib/talk.py). Sets port.
start_talk() {
	local file=$scratch/talk.${#started[@]}
	background "$python" -S "$root/tests/lib/talk.py" serve "$@" >"$file" 2>"$file.err"
	wait_for 10 test -s "$file" || bail "the server does not start: $(cat "$file.err")"
	port=$(cat "$file")
}

# server COMMAND...: in the background, in a cgroup that is not governed, with which all ends that it starts.
server() {
	mkdir -p "$cgroup-servers"
	# shellcheck disable=SC2016
	background sh -c 'echo $$ >"$0" && exec "$@"' "$cgroup-servers/cgroup.procs" "$@"
}

# call [-n N] PORT STEP...: from within the cgroup. What is wrong goes to standard output.
call() {
	local count=1
	if [ "$1" = -n ]; then
		count=$2
		shift 2
	fi
	local port=$1
	shift
	in_cgroup "$python" -S "$root/tests/lib/talk.py" call -n "$count" 127.0.0.1 "$port" "$@" 2>&1
}

# turns PORT-OR-NAME: "answered=3 unanswered=1 failures=1", what is not 0; "none".
turns() {
	gate "$1" '" ".join(f"{k}={v}" for k, v in {**d["turns"], "failures": d["failures"]}.items() if v) or "none"' 2>&1
}

have_ended() { [ "$(gate "$1" 'd["active"]')" = 0 ] && [ "$(turns "$1")" = "$2" ]; }

# ended NAME PORT-OR-NAME TURNS: all its connections have ended, and that came of them?
ended() {
	wait_for 5 have_ended "$2" "$3"
	is "$1" "$(turns "$2")" "$3"
}

# together COMMAND... : in the background, for wait_together.
together_pids=()
together() {
	"$@" &
	together_pids+=("$!")
}

wait_together() {
	[ ${#together_pids[@]} = 0 ] || wait "${together_pids[@]}"
	together_pids=()
}
