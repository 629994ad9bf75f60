#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The configuration as its author meets it: 'ebb config check' and 'ebb config show' by hand, a
# file that an agent starts with, one that it does not start with, and the worked examples.
# deadline: 120

# SC2119: functions with optional arguments; SC2317: functions that are arguments
# shellcheck disable=SC2119,SC2317
# shellcheck source=../lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

# call ARGS...: sets rc; output in $scratch/out and $scratch/err
call() {
	rc=0
	timeout 30 "$ebb_program" "$@" >"$scratch/out" 2>"$scratch/err" </dev/null || rc=$?
}

# gives NAME STATUS: of the last call
gives() { is "$1" "$rc" "$2"; }
out_says() { like "$1" "$(cat "$scratch/out")" "$2"; }
err_says() { like "$1" "$(cat "$scratch/err")" "$2"; }
err_is() { is "$1" "$(cat "$scratch/err")" "$2"; }
silent() { check "$1" test ! -s "$scratch/err"; }
attached() { bpftool cgroup show "$cgroup" | grep -c ebb_; }

file=$scratch/my.yaml
# write LINES...
write() { printf '%s\n' "$@" >"$file"; }

# -------------------------------------------------------------------------------- check --

write 'mode: enforce' 'destinations:' \
	'  - {name: a, match: [{host: "*.example.com", port: 443}, {cidr: 10.0.0.0/8}], mode: observe}' \
	'  - {name: b, match: [{port: 5432}]}'
call config check "$file"
gives 'a good file: 0' 0
is 'a good file: what it holds, in one line' "$(cat "$scratch/out")" \
	"$file is good: mode enforce; 2 destinations with 3 matches, 1 enforced"
silent 'a good file: nothing on standard error'
call config check -o json "$file"
is 'a good file: as JSON' "$rc $(json '[d["good"], d["errors"], d["warnings"], d["mode"], d["destinations"], d["matches"]]' <"$scratch/out")" \
	'0 [true, [], [], "enforce", 2, 3]'

write 'mode: always' 'lease: 10s' 'capacity:' '  destination: 5' '  pairs: 0' 'metrics: {labels: [pod]}'
call config check "$file"
gives 'a wrong file: 1' 1
err_is 'a wrong file: everything that is wrong, in order, as compilers say it' \
	"$file:1:7: mode: 'always' is not possible: observe or enforce
$file:4:3: unknown key 'destination': did you mean 'destinations'?
$file:5:10: capacity.pairs: '0' is not possible: 1 to 1048576
$file:6:19: warning: metrics.labels: pods of the same name in two namespaces are one series: keep namespace, too"
is 'a wrong file: nothing on standard output' "$(cat "$scratch/out")" ''
call config check -o json "$file"
is 'a wrong file: as JSON' \
	"$rc $(json '[d["good"], [(e["line"], e["column"]) for e in d["errors"]], len(d["warnings"]), d["more"]]' <"$scratch/out")" \
	'1 [false, [[1, 7], [4, 3], [5, 10]], 1, 0]'
silent 'a wrong file: JSON stands alone'

: >"$file"
for i in $(seq 70); do echo "k$i: 1"; done >"$file"
call config check "$file"
is 'many errors: 64 and how many more' "$rc $(wc -l <"$scratch/err") $(tail -1 "$scratch/err")" '1 65 ebb config check: 6 more'

rc=0
printf 'mode: never\n' | timeout 30 "$ebb_program" config check - >"$scratch/out" 2>"$scratch/err" || rc=$?
is 'standard input' "$rc $(cat "$scratch/err")" "1 standard input:1:7: mode: 'never' is not possible: observe or enforce"
rc=0
printf 'mode: enforce\n' | timeout 30 "$ebb_program" config check - >"$scratch/out" 2>"$scratch/err" || rc=$?
is 'standard input that is good' "$rc $(cat "$scratch/out")" '0 standard input is good: mode enforce; no named destinations'

call config check "$scratch/none.yaml"
is 'no such file: 3' "$rc $(cat "$scratch/err")" "3 ebb config check: cannot read '$scratch/none.yaml': there is no such file"
call config check "$scratch"
is 'a directory: 1' "$rc $(cat "$scratch/err")" "1 ebb config check: cannot read '$scratch': it is a directory: name the file in it"
mkfifo "$scratch/fifo"
call config check "$scratch/fifo"
is 'a FIFO: 1, without waiting for a writer' "$rc $(cat "$scratch/err")" \
	"1 ebb config check: cannot read '$scratch/fifo': it is no regular file"
write 'mode: enforce'
chmod 600 "$file"
rc=0
timeout 30 setpriv --reuid 65534 --regid 65534 --clear-groups "$ebb_program" config check "$file" \
	>"$scratch/out" 2>"$scratch/err" || rc=$?
is 'no permission: 4' "$rc $(cat "$scratch/err")" "4 ebb config check: cannot read '$file': Permission denied"
call config check
is 'without a file: the one that ebb run would read' "$rc $(cat "$scratch/out")" \
	"0 $EBB_CONFIG is good: mode observe; no named destinations"
call config check "$file" "$file"
gives 'two files: wrong use' 2
call config check -o yaml "$file"
gives 'no such format: wrong use' 2

for example in "$root"/docs/examples/*.yaml; do
	call config check "$example"
	is "example $(basename "$example"): good" "$rc" 0
	silent "example $(basename "$example"): no warnings"
done
check 'there are three examples' test "$(find "$root/docs/examples" -name '*.yaml' | wc -l)" = 3

# --------------------------------------------------------------------------------- show --

call config show --pin "$pin"
gives 'show, no agent: 0' 0
out_says 'show, no agent: of what' "^Of 'ebb run', if it were started from here:"
out_says 'show: a default' $'\nlease +30s +default\n'
write 'mode: enforce' 'lease: 20s' 'audit: {postgres: {password_file: /run/secrets/db}}' \
	'destinations: [{name: pay, match: [{host: a.example}], breaker: {probes: 1}}]'
EBB_LEASE=40s call config show --pin "$pin" --config "$file"
gives 'show --config: 0' 0
out_says 'show: the file, with its place' $'\n'"mode +enforce +$file:1:7"$'\n'
out_says 'show: the environment over the file' $'\nlease +40s +EBB_LEASE\n'
out_says 'show: a secret is not shown' $'\naudit.postgres.password_file +\\(not shown\\) +'
refute 'show: nowhere' grep -q secrets/db "$scratch/out"
out_says 'show: what a destination says' $'\ndestinations\\[pay\\].breaker.probes +1 +'"$file:4:"
refute 'show: without what it inherits' grep -q 'pay.*inherited' "$scratch/out"
call config show --pin "$pin" --config "$file" pay
out_says 'show DEST: what it inherits' $'\ndestinations\\[pay\\].mode +enforce +'"$file:1:7 \\(inherited\\)"
call config show --pin "$pin" --config "$file" -o json pay
is 'show DEST -o json' "$(json '[(v["value"], v["from"], v.get("line")) for v in d["values"] if v["key"] == "destinations[pay].breaker.probes"]' <"$scratch/out")" \
	'[["1", "file", 4]]'
call config show --pin "$pin" --config "$file" -o json
is 'show -o json: a secret is null' "$(json '[(v["value"], v["secret"]) for v in d["values"] if v["key"].endswith("password_file")]' <"$scratch/out")" \
	'[[null, true]]'
call config show --pin "$pin" --config "$file" bay
is 'show: no such destination: 3' "$rc $(tail -1 "$scratch/err")" \
	"3 ebb config show: the configuration names no destination 'bay': did you mean 'pay'?"
EBB_LAESE=40s call config show --pin "$pin"
err_says 'a variable that is no key is told' 'warning: EBB_LAESE in the environment is no key: ignored; is it EBB_LEASE'
gives 'and is no error' 0
EBB_LEASE=1s call config show --pin "$pin"
is 'a variable that is wrong: 2' "$rc $(cat "$scratch/err")" "2 ebb config show: EBB_LEASE: '1s' is not possible: 2s to 1h"

# The defaults that --help tells are those that hold.
call config show --pin "$pin" -o json
cp "$scratch/out" "$scratch/defaults.json"
call run --help
tr -s '\n ' ' ' <"$scratch/out" >"$scratch/help"
for pair in mode=mode cgroup=attach.cgroup listen=listen scope=defaults.scope established=defaults.breaker.established \
	errno=defaults.breaker.errno adopt=adopt lease=lease on-agent-loss=defaults.on_agent_loss on-exit=shutdown.on_exit \
	shutdown-delay=shutdown.delay shutdown-timeout=shutdown.timeout destinations=capacity.destinations pairs=capacity.pairs \
	endpoints=capacity.endpoints idle=capacity.idle scheduling=scheduling log-level=log_level log-format=log_format bytes=defaults.limits.bytes \
	packets=defaults.limits.packets connects=defaults.limits.connects concurrent=defaults.limits.concurrent; do
	value=$(json "[v['value'] for v in d['values'] if v['key'] == '${pair#*=}'][0]" <"$scratch/defaults.json")
	like "--${pair%%=*}: the default that --help tells" "$(grep -oP -- "--${pair%%=*} [A-Z].*?\(default [^)]*\)" "$scratch/help")" "\(default $value\)$"
done

# ---------------------------------------------------------------------------------- run --

write 'mode: enforce' 'lease: 1s'
call run --pin "$pin" --cgroup "$cgroup" --listen 127.0.0.1:0 --config "$file"
is 'a wrong file: no agent' "$rc $(cat "$scratch/err")" "1 $file:2:8: lease: '1s' is not possible: 2s to 1h"
call run --pin "$pin" --cgroup "$cgroup" --listen 127.0.0.1:0 --config "$file" --mode maybe
is 'a wrong flag and a wrong file: both, wrong use' "$rc $(wc -l <"$scratch/err") $(head -1 "$scratch/err")" \
	"2 2 ebb run: --mode: 'maybe' is not possible: observe or enforce"
call run --pin "$pin" --listen 127.0.0.1:0 --config "$scratch/none.yaml"
is 'no such file: wrong use' "$rc" 2
write 'attach: {cgroup: /tmp}'
call run --pin "$pin" --listen 127.0.0.1:0 --config "$file"
err_says 'a cgroup that is none, with its place' "$file:1:18: '/tmp' is not a cgroup2 directory"
check 'none of these left anything' test ! -e "$pin" -a "$(attached)" = 0

write 'mode: enforce' "attach: {cgroup: $cgroup}" 'lease: 20s' 'metrics: {labels: [pod]}' \
	'defaults: {breaker: {consecutive_failures: 2}}' \
	'capacity: {destinations: 64, pairs: 256, endpoints: 256}'
EBB_AUDIT_FILE_PATH=$scratch/audit.jsonl EBB_LEASE=25s EBB_DEFAULTS_SCOPE=workload start_agent --config "$file" --errno eperm
agent_says() { grep -q "$1" "$agent_log"; }
check 'an agent with a file: its mode' agent_says 'started: mode=enforce'
check 'an agent with a file: its warnings are in the log' agent_says "warn: configuration: $file:4:19: metrics.labels: pods of the same name"
call config show --pin "$pin"
gives 'show, of an agent: 0' 0
out_says 'show, of an agent: of which' "^Of the agent that runs \\(pid $agent, generation [0-9]+\\):"
out_says 'show, of an agent: its file' $'\n'"mode +enforce +$file:1:7"$'\n'
out_says 'show, of an agent: its flags' $'\ndefaults.breaker.errno +eperm +--errno\n'
out_says 'show, of an agent: its environment, not ours' $'\nlease +25s +EBB_LEASE\n'
call config show --pin "$pin" -o json
is 'show -o json, of an agent' "$(json 'd["agent"]["pid"]' <"$scratch/out")" "$agent"
call config show --pin "$pin" --config "$EBB_CONFIG"
out_says 'show --config: not of the agent' "^Of 'ebb run'"
for _ in 1 2; do [ "$(connect 127.0.0.1 1)" = ECONNREFUSED ] || note <<<'port 1 of loopback is open?'; done
is 'what the file says holds: open at the second failure, with the errno of the flag' "$(connect 127.0.0.1 1)" EPERM
# wrong by now: the agent has what it had
write 'mode: perhaps'
call config show --pin "$pin"
gives 'show, of an agent whose file is wrong by now: 1' 1
err_says 'show: what is wrong' "$file:1:7: mode: 'perhaps' is not possible"
err_says 'show: and that the agent goes on' "the agent \\(pid $agent\\) goes on with what it took before: generation"
kept() { call audit --pin "$pin" && [ "$rc" = 0 ]; }
check 'audit, of an agent whose file is wrong by now: its log is found' wait_for 10 kept
out_says 'audit: what it holds' 'agent_start'
silent 'audit: what is wrong with the file is no matter'
call audit --config "$file"
gives 'audit, of that file: 1' 1
done_testing
