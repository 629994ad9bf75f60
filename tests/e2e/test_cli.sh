#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The command line as a script sees it: exit codes, one line for each error on standard
# error and nothing on standard output, JSON that parses; with the agent alive, dead and
# never there. What fails leaves nothing attached and nothing pinned.
# deadline: 120

# SC2119: functions with optional arguments; SC2317: functions that are arguments
# shellcheck disable=SC2119,SC2317
# shellcheck source=../lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

reading='status list watch doctor' # and show, which takes a name
commands=(run status list show 'limit set' 'limit clear' 'config check' 'config show' watch audit report 'deadletter list'
	'deadletter replay' 'deadletter drop' doctor detach)

# call ARGS...: sets rc; output in $scratch/out and $scratch/err
call() {
	rc=0
	timeout 30 "${prefix[@]}" "$program" "$@" >"$scratch/out" 2>"$scratch/err" </dev/null || rc=$?
}
prefix=()
program=$ebb_program

# fails STATUS ERROR-REGEX ARGS...: with one line on standard error, which says it, and nothing else
fails() {
	local wanted=$1 regex=$2 lines
	shift 2
	call "$@"
	# the agent's log goes to standard error, too; the error is the line without a level
	grep -Ev '^(info|debug): ' "$scratch/err" >"$scratch/error"
	lines=$(wc -l <"$scratch/error")
	if [ "$rc" != "$wanted" ] || [ "$lines" != 1 ] || [ -s "$scratch/out" ] || ! grep -Eq -- "$regex" "$scratch/error"; then
		not_ok "$wanted: ebb $*" "status $rc, wanted $wanted" "standard output: $(head -3 "$scratch/out")" \
			"standard error: $(head -5 "$scratch/err")" "wanted, on one line: $regex"
	else
		ok "$wanted: ebb $*"
	fi
}

# refuses_run STATUS ERROR-REGEX OPTION...: of 'ebb run', with our cgroup and pin directory unless they are given
refuses_run() {
	local wanted=$1 regex=$2
	shift 2
	options=()
	default_option --pin "$pin" "$@"
	default_option --cgroup "$cgroup" "$@"
	default_option --listen 127.0.0.1:0 "$@"
	fails "$wanted" "$regex" run "${options[@]}" "$@"
}

# prints NAME ARGS...: something, and no error
prints() {
	local name=$1
	shift
	call "$@"
	if [ "$rc" = 0 ] && [ -s "$scratch/out" ] && [ ! -s "$scratch/err" ]; then
		ok "$name"
	else
		not_ok "$name" "status $rc" "standard output: $(wc -c <"$scratch/out") bytes" "$(head -5 "$scratch/err")"
	fi
}

# says NAME REGEX: of what the last call printed
says() { like "$1" "$(cat "$scratch/out")" "$2"; }

attached() { bpftool cgroup show "$cgroup" | grep -c ebb_; }
nothing_left() { [ ! -e "${1:-$pin}" ] && [ "$(attached)" = 0 ]; }

# ------------------------------------------------------------------------- help and version --

prints '--version' --version
like '--version: one line' "$(cat "$scratch/out")" '^ebb [0-9]+\.[0-9]+\.[0-9]+ \(maps version [0-9]+\)$'
prints '--help' --help
overview=$(cat "$scratch/out")
for form in -h help; do
	call "$form"
	is "$form says the same" "$rc $(cat "$scratch/out")" "0 $overview"
done
for command in "${commands[@]}"; do
	like "--help knows $command" "$overview" "(^|"$'\n'")  $command( |$)"
	# shellcheck disable=SC2086 # one word or two
	prints "help $command" help $command
	about=$(cat "$scratch/out")
	for form in --help -h; do
		# shellcheck disable=SC2086
		call $command "$form"
		is "$command $form says the same" "$rc $(cat "$scratch/out")" "0 $about"
	done
	like "help $command: has its options" "$about" '--pin DIR'
	check "help $command: fits into 80 columns" awk 'length > 80 { exit 1 }' <<<"$about"
done
call
is 'no command at all: the overview is an error' "$rc $(cat "$scratch/out")$(cat "$scratch/err")" "2 $overview"

# ------------------------------------------------------------------------------- wrong use --

fails 2 "no command 'lst': did you mean 'ebb list'" lst
fails 2 "no command 'frobnicate': see 'ebb --help'" frobnicate
fails 2 "no command 'frobnicate'" help frobnicate
fails 2 'a command comes first' --pin "$pin" list
for command in "${commands[@]}"; do
	# shellcheck disable=SC2086 # one word or two
	{
		fails 2 "no option --frobnicate: see 'ebb $command --help'" $command --frobnicate
		fails 2 'no option -z' $command -z
		fails 2 'pin needs a value' $command --pin
	}
done
fails 2 "^ebb limit: a command is missing: 'ebb limit set', 'ebb limit clear'$" limit
fails 2 "^ebb limit: there is no 'sett': 'ebb limit set', 'ebb limit clear'$" limit sett 1.2.3.4:5
fails 2 "no command 'limits': did you mean 'ebb limit'" limits set 1.2.3.4:5
prints 'limit --help' limit --help
fails 2 'no option --statte: did you mean --state\?' list --statte open
fails 2 'pin is given twice' list --pin a --pin b
fails 2 "'extra' is too much" list extra
fails 2 'DEST is missing' show
fails 2 "state: 'ajar' is not possible: closed, open" list --state ajar --pin "$pin-none"
fails 2 "sort: 'colour' is not possible: one of name" list --sort colour --pin "$pin-none"
for command in $reading; do
	fails 2 "output: 'yaml' is no format: text or json" "$command" -o yaml
done
fails 2 "'yaml' is no format" show 1.2.3.4:5 --output=yaml
fails 2 'for: .*a time like 10s' watch --for soon
fails 2 'for: .*a time like 10s' watch --for 0

# Every option of 'ebb run' that takes a value, with one that is not possible.
bad_values='pin relative/path
config /nonexistent
mode sometimes
cgroup /tmp
listen 127.0.0.1
breaker min_calls
bytes 20/s
packets 0/s
connects 20/s,burst=0
concurrent many
scope pod
established forever
adopt orphans
errno EFAULT
lease 1s
on-agent-loss panic
scheduling fifo
on-exit stay
shutdown-timeout 0
shutdown-delay never
destinations 0
pairs -1
endpoints 1048577
idle never
seed 0x1
log-level loud
log-format xml'
for option in $("$ebb_program" run --help | sed -n 's/^ *--\([a-z-]*\) [A-Z].*/\1/p'); do
	if ! grep -q "^$option " <<<"$bad_values"; then
		not_ok "a bad value is tried for --$option"
	fi
done
while read -r option value; do
	refuses_run 2 "--$option: " "--$option=$value"
done <<<"$bad_values"

refuses_run 2 "mode: 'sometimes' is not possible: observe or enforce" --mode sometimes
refuses_run 2 "unknown key 'consecutive_failure': did you mean 'consecutive_failures'" --breaker consecutive_failure=3
refuses_run 2 "unknown key 'nonsense': expected one of window, " --breaker nonsense=3
refuses_run 2 'failure_rate=2: expected a ratio above 0 and up to 1' --breaker failure_rate=2
refuses_run 2 'open_for=5: expected a duration' --breaker open_for=5
refuses_run 2 'probes=9: expected a whole number from 1 to 8' --breaker probes=9
refuses_run 2 'count=refused\+luck' --breaker count=refused+luck
refuses_run 2 'probes is given twice' --breaker probes=1,probes=2
refuses_run 2 'open_max \(1.00s\) is below open_for \(2.00s\)' --breaker open_for=2s,open_max=1s
refuses_run 2 'key=value' --breaker ''
refuses_run 2 "bytes: '2TB/s' is not possible: a rate is at most 1TB/s" --bytes 2TB/s
refuses_run 2 "packets: '1MB/s' is not possible: packets have no unit" --packets 1MB/s
refuses_run 2 "connects: '-1/s' is not possible: it cannot be negative; none is no limit" --connects=-1/s
refuses_run 2 "listen: '::1:80' is not possible" --listen ::1:80
refuses_run 2 'listen: ' --listen 127.0.0.1:65536
refuses_run 2 'listen: ' --listen localhost:9478
refuses_run 2 'takes no value' --no-set-retval=yes
refuses_run 2 "'/tmp' is not a cgroup2 directory: pass one below $cgroup2" --cgroup /tmp
refuses_run 2 "there is no cgroup '/nowhere'" --cgroup /nowhere
refuses_run 2 'cgroup.procs' --cgroup "$cgroup/cgroup.procs"
check 'none of these left anything' nothing_left

# ------------------------------------------------------------------------ nothing is pinned --

for command in $reading detach; do
	[ "$command" = doctor ] || fails 5 "nothing (of ebb )?is pinned in '$pin'" "$command" --pin "$pin"
done
fails 5 "nothing is pinned in '$pin': start the agent with 'ebb run'" show --pin "$pin" 1.2.3.4:5
fails 5 'nothing is pinned' list -o json --pin "$pin"
fails 5 "nothing is pinned in '$pin': start the agent with 'ebb run'" limit set --pin "$pin" 1.2.3.4:5 --concurrent 1
fails 5 'nothing is pinned' limit clear --pin "$pin" 1.2.3.4:5
fails 5 "^ebb detach: nothing of ebb is pinned in '/nowhere'$" detach --pin /nowhere
mkdir "$pin"
fails 5 "nothing of ebb is pinned in '$pin'" detach --pin "$pin"
fails 5 "nothing is pinned in '$pin'" list --pin "$pin"
check 'a directory that is not ours stays' rmdir "$pin"
mkdir "$scratch/pins"
refuses_run 1 "'$scratch/pins' is not on a bpf file system" --pin "$scratch/pins"
check 'an empty directory elsewhere is not ours to remove' test -d "$scratch/pins"
refuses_run 1 "is not on a bpf file system" --pin "$scratch/none"
check 'none is made elsewhere' test ! -e "$scratch/none"
refuses_run 1 "cannot make pin directory '$pin/a/b'" --pin "$pin/a/b"
check 'none of these left anything' nothing_left

prints 'doctor' doctor --pin "$pin"
says 'doctor: this machine will do' '(Everything is here|can run here)'
prints 'doctor -o json' doctor -o json --pin "$pin"
is 'doctor -o json: a feature has all its fields' \
	"$(json 'd["fit"] and all(set(f) == {"name", "present", "required", "used_for", "error", "remedy"} for f in d["features"])' <"$scratch/out")" true

# ---------------------------------------------------------------------------- not permitted --

# where another user can get at it
install -m 755 "$ebb_program" "$scratch/ebb"
prefix=(setpriv --reuid 65534 --regid 65534 --clear-groups --)
program=$scratch/ebb
refuses_run 4 '([Pp]ermi|CAP_BPF)'
check 'an unprivileged run leaves nothing' nothing_left
call doctor --pin "$pin"
is 'an unprivileged doctor says no' "$rc" 1
says 'an unprivileged doctor names what is missing' 'missing: CAP_BPF, CAP_NET_ADMIN'
call doctor --pin "$pin" -o json
is 'and in JSON' "$rc $(json 'd["missing_capabilities"].split(", ")[0]' <"$scratch/out")" '1 CAP_BPF'
prefix=()
program=$ebb_program
start_agent --mode enforce --lease 2s --breaker consecutive_failures=3,open_for=40s,open_max=40s
prefix=(setpriv --reuid 65534 --regid 65534 --clear-groups --)
program=$scratch/ebb
for command in status list 'show 1.2.3.4:5' 'limit set 1.2.3.4:5 --concurrent 1' 'limit clear 1.2.3.4:5' watch detach; do
	# shellcheck disable=SC2086 # two words
	fails 4 'not permitted' $command --pin "$pin"
done
refuses_run 4 '([Pp]ermi|CAP_BPF)'
prefix=()
program=$ebb_program
is 'others cannot look into the pin directory' "$(stat -c '%a %U' "$pin")" '700 root'

# ------------------------------------------------------------------------- the agent is alive --

start_server
good=127.0.0.1:$port/tcp
connect --count 4 --sum 127.0.0.1 "$port" >/dev/null
start_server
bad=127.0.0.1:$port/tcp
connect 127.0.0.1 "$port" >/dev/null
stop_server
connect --count 5 --sum 127.0.0.1 "$port" >/dev/null
check 'a breaker is open' wait_for 5 is_state "$port" open

prints 'status' status --pin "$pin"
says 'status: the agent' "agent +running, pid $agent"
says 'status: programs, breakers, connections' 'programs +8 attached.*breakers +1 closed, 1 open.*connections .* 3 failed, 2 refused.*turns +0 answered, 0 of them slow; 0 unanswered, 0 reset'
prints 'status -o json' status -o json --pin "$pin"
is 'status -o json: agent, mode, enforcement' \
	"$(json '(d["agent"]["state"], d["agent"]["pid"], d["mode"], d["enforcement"]["active"], d["breakers"]["open"])' <"$scratch/out")" \
	"('running', $agent, 'enforce', True, 1)"

prints 'list' list --pin "$pin"
says 'list: a heading and a row for each' "^DESTINATION .*$good .*closed.*|.*$bad .*open"
is 'list: three lines' "$(wc -l <"$scratch/out")" 3
prints 'list -o json' list -o json --pin "$pin"
is 'list -o json: by name' "$(json '[r["destination"] for r in d["destinations"]] == sorted(r["destination"] for r in d["destinations"])' <"$scratch/out")" true
names() { json '" ".join(r["destination"] for r in d["destinations"])' <"$scratch/out"; }
prints 'list --state' list -o json --pin "$pin" --state open
is 'list --state: only those' "$(names)" "$bad"
prints 'list --workload' list -o json --pin "$pin" --workload "$test_id"
is 'list --workload: by the last part of its name' "$(names | wc -w)" 2
call list --pin "$pin" --workload '/nobody*'
is 'list: an empty one says why' "$rc $(cat "$scratch/out" "$scratch/err")" '0 ebb list: no destination is like that: leave out --state or --workload'
call list --pin "$pin" --workload '/nobody*' -o json
is 'list -o json: an empty one is one' "$rc $(json 'd["destinations"]' <"$scratch/out")" '0 []'
prints 'list --sort' list -o json --pin "$pin" --sort state
is 'list --sort state: open first' "$(names)" "$bad $good"
prints 'list --sort connects' list -o json --pin "$pin" --sort connects
is 'list --sort: the greatest first, else by name' "$(json '[r["attempts"] for r in d["destinations"]]' <"$scratch/out")" '[4, 4]'
fails 2 "state: 'ajar' is not possible: (one of )?closed, open" list --pin "$pin" --state ajar
fails 2 "sort: 'colour' is not possible: (one of )?name, " list --pin "$pin" --sort colour

prints 'show' show --pin "$pin" "$bad"
says 'show: why it is open' 'open since .*: 3 failures in a row; probes begin in '
prints 'show, without the protocol' show --pin "$pin" "${bad%/tcp}"
prints 'show -o json' show -o json --pin "$pin" "$bad"
is 'show -o json: gates, transitions, workloads, policy' "$(json '(d["destination"], d["gates"][0]["state"],
	d["gates"][0]["transitions"][0]["reason"], d["workloads"][0]["outcomes"]["refused"], d["policy"]["mode"])' <"$scratch/out")" \
	"('$bad', 'open', 'consecutive_failures', 3, 'enforce')"
fails 3 "no destination '10.0.0.5:443': .*(ebb list|did you mean)" show --pin "$pin" 10.0.0.5:443
fails 3 "no destination '${bad%/tcp}0': did you mean .*$bad" show --pin "$pin" "${bad%/tcp}0"
fails 3 'no destination' show -o json --pin "$pin" ''
fails 3 'no destination .x\\x1b\[31m' show --pin "$pin" $'x\e[31m'

background "$ebb_program" watch --pin "$pin" -o json >"$scratch/watch.json" 2>"$scratch/watch.err"
watch_json=$!
background "$ebb_program" watch --pin "$pin" --for 3s >"$scratch/watch.txt" 2>>"$scratch/watch.err"
watch_text=$!
# They tell what happens after their first look. When that was, a new destination shows.
both_look() {
	start_server
	connect 127.0.0.1 "$port" >/dev/null
	stop_server
	sleep 0.3 # longer than from look to look
	[ -s "$scratch/watch.json" ] && [ -s "$scratch/watch.txt" ]
}
check 'watch: a new destination is told' wait_for 3 both_look
connect --count 5 --sum 127.0.0.1 "$port" >/dev/null
transition_told() { grep -q '"event":"transition"' "$scratch/watch.json" && grep -q ' denied ' "$scratch/watch.txt"; }
check 'watch: a breaker that opens is told' wait_for 3 transition_told
end "$watch_json"
is 'watch: SIGTERM ends it in order' "$status" 0
status=0
wait "$watch_text" || status=$?
is 'watch --for ends by itself' "$status$(cat "$scratch/watch.err")" 0
told() { grep -F ":$port/tcp" "$scratch/watch.json" | grep "\"$1\"" | json "$2"; }
is 'watch -o json: an object on every line, each with its event and destination' \
	"$(sed 's/$/,/' "$scratch/watch.json" | sed '1s/^/[/; $s/,$/]/' | json 'all(r["event"] and r["timestamp"] and r["destination"] for r in d)')" true
is 'watch -o json: what was new' "$(told new_destination 'd["workload"]')" null
is 'watch -o json: what moved, and why' \
	"$(told transition '(d["from"], d["to"], d["reason"], d["run"])')" "('closed', 'open', 'consecutive_failures', 3)"
is 'watch -o json: what failed and what was refused' \
	"$(grep -F ":$port/tcp" "$scratch/watch.json" | grep -Eo '"(refused|breaker)":[0-9]+' | awk -F: '{ n[$1] += $2 } END { print n["\"refused\""], n["\"breaker\""] }')" '3 2'
like 'watch: a line each' "$(cat "$scratch/watch.txt")" "127.0.0.1:$port/tcp +open .*3 failures in a row"
# below, the one from before is meant
port=${bad#*:} port=${port%/tcp}

rc=0
ebb list >/dev/full 2>"$scratch/err" || rc=$?
is 'output that cannot be written is a failure, told on one line' "$rc $(wc -l <"$scratch/err")" '1 1'
rc=0
ebb doctor -o json >/dev/full 2>"$scratch/err" || rc=$?
is 'also where it is long, with the reason' "$rc $(cat "$scratch/err")" '1 ebb doctor: cannot write the output: No space left on device'

# ------------------------------------------------- another agent, another port, another size --

before=$(ebb list -o json | json '[(r["destination"], r["state"], r["attempts"], r["denied"]) for r in d["destinations"]]')
pins_before=$(ls "$pin")
refuses_run 1 "another agent runs on pin directory '$pin'"
fails 1 "the agent runs on '$pin' \\(pid $agent\\): end it first, nothing was removed" detach --pin "$pin"
refuses_run 1 "$address.*(in use|taken)" --pin "$pin-other" --listen "$address"
check 'a port in use: nothing is pinned' test ! -e "$pin-other"
is 'and only the first agent is attached' "$(attached)" 8
check 'which goes on' http_get /health/ready -o /dev/null
is 'as before' "$(ebb list -o json | json '[(r["destination"], r["state"], r["attempts"], r["denied"]) for r in d["destinations"]]')" "$before"
stop_agent
room='room for 64 destinations, 256 pairs and 256 endpoints, asked for are'
refuses_run 1 "$room 65, 256 and 256: run 'ebb detach --pin $pin' first" --destinations 65 --pairs 256 --endpoints 256
refuses_run 1 "$room 64, 1024 and 256" --destinations 64 --pairs 1024 --endpoints 256
refuses_run 1 "$room 64, 256 and 1024" --destinations 64 --pairs 256 --endpoints 1024
is 'another size: what is pinned stays' "$(ls "$pin") $(attached)" "$pins_before 8"
call status --pin "$pin"
says 'an agent that left in order is not called running' 'agent +none, it ended at .*: start '

# ------------------------------------------------------------------------ the agent is dead --

start_agent --mode enforce --lease 2s --breaker consecutive_failures=3,open_for=40s,open_max=40s
stop_agent KILL
for command in status list "show $bad" 'watch --for 300ms'; do
	# shellcheck disable=SC2086 # two words
	for format in text json; do
		call $command -o "$format" --pin "$pin"
		is "a dead agent: $command -o $format" "$rc $(wc -l <"$scratch/err")" '0 0'
	done
done
agent_is() { [ "$(ebb status -o json | json 'd["agent"]["state"]')" = "$1" ]; }
check 'it is called dead when its lease is over' wait_for 6 agent_is dead
call status --pin "$pin"
says 'status says when it was last heard of' "agent +dead, last heard of at .*: 'ps [0-9]+' tells"

prints 'detach' detach --pin "$pin"
says 'detach: says what it did' '^detached 8 programs, removed [0-9]+ pins from '
check 'detach: nothing is left' nothing_left
fails 5 'nothing.* is pinned' detach --pin "$pin"

# --------------------------------------------------------------------------- another layout --

mkdir -m 700 "$pin"
bpftool map create "$pin/ebb_gate_v3" type array key 4 value 8 entries 1 name ebb_gate_v3
for command in status list 'show 1.2.3.4:5' 'limit set 1.2.3.4:5 --concurrent 1' 'watch --for 1s'; do
	# shellcheck disable=SC2086 # two words
	fails 1 "holds maps of layout v3, this ebb speaks v2: .*'ebb detach --pin $pin'" $command --pin "$pin"
done
refuses_run 1 'holds maps of layout v3, this ebb speaks v2'
is 'another layout: it stays as it is' "$(ls "$pin") $(attached)" 'ebb_gate_v3 0'
prints 'another layout: detach removes it' detach --pin "$pin"
check 'another layout: nothing is left' nothing_left

mkdir -m 700 "$pin"
bpftool map create "$pin/ebb_agent_v2" type array key 4 value 8 entries 1 name ebb_agent_v2
fails 1 "'ebb_agent_v2' in '$pin' has another layout than this ebb" list --pin "$pin"
refuses_run 1 "(another layout than this ebb|are not complete): run 'ebb detach --pin $pin'"
is 'another size of a map: it stays as it is' "$(ls "$pin") $(attached)" 'ebb_agent_v2 0'
bpftool map create "$pin/somebody_else" type array key 4 value 8 entries 1 name somebody_else
prints 'detach removes what is ours' detach --pin "$pin"
is 'and nothing else' "$(ls "$pin")" somebody_else
rm "$pin/somebody_else"
rmdir "$pin"

done_testing
