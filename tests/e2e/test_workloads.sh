#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Workloads by rule, with real clients in cgroups of their own: excluded ones are counted or
# left alone and never refused; who is not identified is let through for ten seconds (ruling 4);
# rules change while the agent runs, and new cgroups are found.
# deadline: 90

# SC2119: functions with optional arguments; SC2317: functions that are arguments
# shellcheck disable=SC2119,SC2317
# shellcheck source=../lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

client_program=("$python" -S "$root/tests/lib/connect.py")
# as WORKLOAD ADDRESS PORT [OPTION...]
as() { in_cgroup -c "$1" nsenter --net="/run/netns/$client" "${client_program[@]}" "${@:4}" "$2" "$3"; }
rules=$scratch/ebb.yaml
# write_rules EXCLUDED RULE...
write_rules() {
	local rule
	{
		printf 'mode: enforce\nworkloads:\n  excluded: %s\n  exclude:\n' "$1"
		shift
		for rule; do printf '    - {%s}\n' "$rule"; done
		printf 'defaults:\n  breaker: {consecutive_failures: 3, open_for: 60s, open_max: 60s, open_jitter: 0}\n'
	} >"$rules.new"
	mv "$rules.new" "$rules"
}
applied() { [ "$(http_get /metrics | sed -n 's/^ebb_config_generation //p')" -gt "$1" ]; }
generation() { http_get /metrics | sed -n 's/^ebb_config_generation //p'; }
apply_rules() {
	local before
	before=$(generation)
	write_rules "$@"
	wait_for 10 applied "$before" || not_ok "new rules are applied: $*"
}
workload() { ebb show -o json "$1" | json "next((w for w in d['workloads'] if w['workload'].endswith('/$2')), {}).get('$3')"; }

make_network
for child in excluded plain; do mkdir "$cgroup/$child"; done
write_rules observe "cgroup: \"/$test_id/excluded\""
start_agent --config "$rules"
check 'what the rules made of the cgroups is logged' logged 'workloads: governed=2 observed=1 ignored=0 unknown=0'

# ------------------------------------------------------------------------------ observed --

start_server --netns "$peer" --address 10.9.8.2
stop_server
dst=10.9.8.2:$port/tcp
is 'failures of an excluded workload move nothing' "$(as excluded 10.9.8.2 "$port" --count 6 --sum)" ECONNREFUSED=6
is 'the breaker is closed' "$(state "$dst")" closed
as plain 10.9.8.2 "$port" --count 3 --sum >/dev/null
is 'those of another open it' "$(state "$dst")" open
start_server --netns "$peer" --address 10.9.8.2 --port "$port"
is 'which is then refused' "$(as plain 10.9.8.2 "$port" --count 2 --sum)" ECONNREFUSED=2
is 'the excluded one is not' "$(as excluded 10.9.8.2 "$port" --count 5 --sum)" OK=5
is 'a cgroup below it is what it is' "$(as excluded/below 10.9.8.2 "$port" --count 5 --sum)" OK=5
is 'it is counted' "$(workload "$dst" excluded attempts) $(workload "$dst" excluded class)" '11 observed'
is 'and without refusals, had or would have been' \
	"$(workload "$dst" excluded denied | json 'sum(d.values())') $(workload "$dst" excluded would_deny | json 'sum(d.values())')" '0 0'
is 'the other is governed' "$(workload "$dst" plain class)" governed
like 'show marks it' "$(ebb show "$dst" | grep "/excluded ")" '/excluded +observed '

# ---------------------------------------------------------------- new rules, new cgroups --

apply_rules observe "cgroup: \"/$test_id/plain\""
is 'new rules: it is refused now' "$(as excluded 10.9.8.2 "$port" --count 2 --sum)" ECONNREFUSED=2
is 'and the other one not' "$(as plain 10.9.8.2 "$port" --count 2 --sum)" OK=2
apply_rules observe "cgroup: \"/$test_id/new*\""
is 'a new cgroup that is excluded is never refused' "$(as new1 10.9.8.2 "$port" --count 20 --sum)" OK=20
is 'and known by what it is' "$(workload "$dst" new1 class)" observed
# whoever is new is let through until the agent has looked: within a millisecond or so
as other 10.9.8.2 "$port" --count 1 >/dev/null
refused_now() { [ "$(as other 10.9.8.2 "$port")" = ECONNREFUSED ]; }
check 'a new one that is not excluded is governed at once' wait_for 3 refused_now
is 'and known by what it is, too' "$(workload "$dst" other class)" governed

# -------------------------------------------------------------------------------- ignored --

apply_rules ignore "cgroup: \"/$test_id/alone*\""
mkdir "$cgroup/alone"
# classified before its first connection, as any cgroup that is older than a rule
apply_rules ignore "cgroup: \"/$test_id/alone\""
is 'a workload that is ignored is not refused' "$(as alone 10.9.8.2 "$port" --count 5 --sum)" OK=5
start_server --netns "$peer" --address 10.9.8.2
is 'nor anywhere else' "$(as alone 10.9.8.2 "$port" --count 3 --sum)" OK=3
is 'and leaves no trace' "$(workload "$dst" alone attempts) $(ebb list -o json | json "[r for r in d['destinations'] if r['destination'].startswith('10.9.8.2:$port/')]")" 'null []'

# ------------------------------------------- ruling 4: a pod that is not yet identified --

pod=kubepods/pod8dbc2fb1-9f1e-4b3e-a3a3-0a1b2c3d4e5f
apply_rules observe 'namespace: kube-system'
port=${dst#*:}
port=${port%/tcp}
mkdir -p "$cgroup/$pod"
is 'ruling 4: a pod not yet identified is let through' "$(as "$pod/app" 10.9.8.2 "$port" --count 3 --sum)" OK=3
is 'ruling 4: that is shown' "$(workload "$dst" "$pod/app" class)" unknown
between 'ruling 4: and counted' "$(http_get /metrics | sed -n 's/^ebb_bpf_errors_total{reason="unclassified"} //p')" 3 1000
is 'ruling 4: what is no pod is governed meanwhile' "$(as plain 10.9.8.2 "$port" --count 2 --sum)" ECONNREFUSED=2
pod_refused() { [ "$(as "$pod/app" 10.9.8.2 "$port")" = ECONNREFUSED ]; }
check 'ruling 4: after ten seconds it is governed' wait_for 15 pod_refused

# ------------------------------------------------------------------------ the end of rules --

printf 'mode: enforce\ndefaults:\n  breaker: {consecutive_failures: 3, open_for: 60s, open_max: 60s, open_jitter: 0}\n' >"$rules.new"
before=$(generation)
mv "$rules.new" "$rules"
wait_for 10 applied "$before"
is 'without rules all are governed' "$(as new1 10.9.8.2 "$port") $(as alone 10.9.8.2 "$port")" 'ECONNREFUSED ECONNREFUSED'

done_testing
