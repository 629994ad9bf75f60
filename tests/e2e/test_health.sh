#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Health: each component is looked at in its own time; what somebody takes from the agent, a program or a pin,
# comes back and is told; what is ignored decides nothing.
# deadline: 120

# SC2119: functions with optional arguments; SC2317: functions that are arguments
# shellcheck disable=SC2119,SC2317
# shellcheck source=../lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

health() { curl -sS --max-time 5 "http://$address/health" | json "$1"; }
component() { health "d['components']['$1']['$2']"; }
is_component() { [ "$(component "$1" state)" = "$2" ]; }
is_status() { [ "$(http_status "$1")" = "$2" ]; }
metric() { http_get /metrics | sed -n "s/^$1 //p"; }
is_metric() { [ "$(metric "$1")" = "$2" ]; }
attached() { bpftool cgroup show "$cgroup" | grep -c ebb_; }
pins() { find "$1" -mindepth 1 | sort; }
policy() { chrt -p "$agent" | sed -n 's/.*scheduling policy: //p'; }
# count_logged REGULAR-EXPRESSION
count_logged() { grep -Ec -- "$1" "$agent_log"; }

start_server
alive=$port
start_server
dead=$port
stop_server
breaker=consecutive_failures=3,open_for=4s,open_max=4s,open_jitter=0
echo "audit: {dir: $scratch/audit, file: {path: $scratch/audit.jsonl}}" >"$EBB_CONFIG"
start_agent --mode enforce --errno ehostunreach --breaker "$breaker"

# ------------------------------------------------------------------------- each in its own time --

is 'at first all is well' "$(health 'd["status"], [n for n, c in d["components"].items() if c["state"] != "healthy"]')" "('healthy', [])"
# seconds since CHECKED
age() { component "$1" checked | "$python" -S -c 'import datetime as d
print(int((d.datetime.now(d.timezone.utc) - d.datetime.strptime(input(), "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=d.timezone.utc)).total_seconds()))'; }
names=(programs pins lease loop tables events node_fuse breakers)
checked() { health "' '.join(d['components'][n]['checked'] for n in '${names[*]}'.split())"; }
read -ra first <<<"$(checked)"
begin=$(now_ms)
for i in "${!names[@]}"; do
	name=${names[i]}
	is_checked_again() { [ "$(component "$name" checked)" != "${first[i]}" ]; }
	check "$name is checked again and again" wait_for $((14 - ($(now_ms) - begin) / 1000)) is_checked_again
	between "$name: the last time is not long ago, in s" "$(age "$name")" 0 11
done
is 'since when it has been so stays' "$(health 'len({c["since"] for c in d["components"].values() if c["since"] != d["components"]["loop"]["since"]})')" 0

# ------------------------------------------------------------------------------- open breakers --

connect --count 4 --sum 127.0.0.1 "$dead" >/dev/null
check 'an open breaker degrades' wait_for 5 is_component breakers degraded
like 'and is named' "$(component breakers why)" "1 open, among them that of 127.0.0.1:$dead/tcp"
is 'it is ready all the same' "$(http_status /health/ready) $(http_status /health) $(health 'd["status"]')" '200 200 degraded'
check 'when it is no longer open, all is well' wait_for 10 is_component breakers healthy

# ------------------------------------------------------------------------ a program is taken away --

before=$(attached)
for program in connect4 sockops turns; do
	bpftool link detach pinned "$pin/link_$program"
done
is 'programs are detached by force' "$(attached)" $((before - 3))
is_attached() { [ "$(attached)" = "$1" ]; }
check 'they are attached again' wait_for 8 is_attached "$before"
check 'they are counted' wait_for 5 is_metric ebb_links_restored_total 3
is 'and told, one by one' "$(count_logged 'taken away by somebody and is attached again: program=(connect4|sockops|turns) lost=detached')" 3
is 'enforcement was lost, and is back' \
	"$(count_logged '^error: enforcement is lost.* component=programs reason="5 of 8 programs attached, ') $(count_logged '^info: enforcement is back: lasted=')" '1 1'
# audited: the events of the audit log that are about this, and what of each
audited() { json '"%s:%s" % (d["event_type"], d["details"].get("component") or d["details"].get("link"))' <<<"$1"; }
audited_all() {
	local line
	grep -E '"event_type": ?"(enforcement_(lost|back)|link_attached)"' "$scratch/audit.jsonl" |
		while read -r line; do audited "$line"; done | tr '\n' ' '
}
is_audited() { [ "$(audited_all)" = "$1" ]; }
check 'so the audit log says, in order' wait_for 10 is_audited \
	'enforcement_lost:programs link_attached:sockops link_attached:connect4 link_attached:turns enforcement_back:programs '
like 'for a minute health tells of it' "$(component programs state) $(component programs why)" \
	'^degraded .* was detached by somebody else, and is attached again$'
note <<<"$(audited_all)"
is 'it is ready' "$(http_status /health/ready) $(metric ebb_enforcement_active)" '200 1'
connect --count 4 --sum 127.0.0.1 "$dead" >/dev/null
is 'and what it does is in force' "$(connect 127.0.0.1 "$dead") $(connect 127.0.0.1 "$alive")" 'EHOSTUNREACH OK'

rm "$pin/link_connect6" "$pin/link_connect4"
check 'links whose pin is removed are attached again' wait_for 8 is_metric ebb_links_restored_total 5
is 'each once' "$(attached) $(bpftool cgroup show "$cgroup" | awk '/ebb_connect[46]/ { print $NF }' | sort | uniq -c | awk '{ printf "%s", $1 }')" "$before 11"
is 'and told' "$(count_logged 'attached again: program=connect[46] lost=unpinned')" 2

# ------------------------------------------------------------------------------ a pin is taken away --

before=$(pins "$pin")
rm "$pin/ebb_gate_v2" "$pin/ebb_own_v2" "$pin/prog_egress"
rmdir "$pin/lock_policy"
refute 'without its pins no command works' ebb list
check 'they are pinned again' wait_for 14 is_metric ebb_pins_restored_total 4
is 'all that were there' "$(pins "$pin")" "$before"
check 'and told' logged 'pins were taken away by somebody and are there again: count=4 first=lock_policy lost=unpinned'
like 'health tells of it' "$(component pins state) $(component pins why)" '^degraded .* was unpinned by somebody else, and is pinned again$'
"$ebb_program" breaker open --pin "$pin" "127.0.0.1:$alive/tcp" --for 1m >/dev/null
is 'what a command says is obeyed' "$(connect 127.0.0.1 "$alive")" EHOSTUNREACH
"$ebb_program" breaker auto --pin "$pin" "127.0.0.1:$alive/tcp" >/dev/null

# another map in the place of ours
rm "$pin/ebb_name_v2"
bpftool map create "$pin/ebb_name_v2" type array key 4 value 4 entries 1 name ebb_name_v2
check 'another map in its place goes' wait_for 14 is_metric ebb_pins_restored_total 5
check 'and is told' logged 'count=1 first=ebb_name_v2 lost=replaced'
is 'commands work' "$(gate "$alive" 'd["state"]')" closed

# everything
attempts=$(gate "$dead" 'd["attempts"]')
rm -r "${pin:?}"/*
rmdir "$pin"
back() { [ "$(pins "$pin")" = "$before" ]; }
check 'the directory and all in it comes back' wait_for 20 back
is 'root-only' "$(stat -c %a "$pin")" 700
is 'with every program' "$(attached)" 8
is 'a second agent finds it taken' "$("$ebb_program" run --pin "$pin" --cgroup "$cgroup" --listen 127.0.0.1:0 2>&1 | grep -c 'another agent runs')" 1
connect --count 4 --sum 127.0.0.1 "$dead" >/dev/null
is 'and the maps of before' "$(gate "$dead" "(d['attempts'] > $attempts, d['state'])")" "(True, 'open')"
is 'no error of our own' "$(ebb status -o json | json 'sum(d["errors"].values())')" 0
stop_agent
start_agent --mode enforce --errno ehostunreach --breaker "$breaker"
check 'the next start takes them over' logged 'maps="?taken over'
stop_agent
ebb detach >/dev/null

# ------------------------------------------------------------------------- the cgroup is taken away --

mkdir "$cgroup/child"
start_agent --mode enforce --pin "$pin-child" --cgroup "$cgroup/child" --breaker "$breaker"
rmdir "$cgroup/child"
# and its real-time priority, which comes back while we wait for the rest
is 'enforcing, it has real-time priority' "$(policy) $(metric ebb_realtime_priority)" 'SCHED_RR|SCHED_RESET_ON_FORK 1'
chrt -o -p 0 "$agent"
check 'real-time priority that somebody took is missed' wait_for 5 logged 'real-time priority is gone \(somebody took it\): .*it is asked for again: in=5'
is 'the metrics say so' "$(metric ebb_realtime_priority) $(metric ebb_realtime_priority_losses_total)" '0 1'
check 'and health' wait_for 8 is_component loop degraded
check 'a removed cgroup: not ready' wait_for 8 is_status /health/ready 503
like 'it says why' "$(curl -sS --max-time 5 "http://$address/health/ready")" 'enforcement is asked for and not in place: 0 of 8 programs attached, '
is 'health is an error' "$(http_status /health) $(component programs state) $(component enforcement state) $(component lease state)" '503 unhealthy unhealthy healthy'
is 'the metric says so' "$(metric ebb_enforcement_active) $(metric ebb_links_restored_total)" '0 0'
before=$(component programs checked)
is_checked_twice() { [ "$(component programs checked)" != "$before" ]; }
check 'it is tried again' wait_for 8 is_checked_twice
is 'and told once' "$(count_logged 'cannot be attached again') $(count_logged 'enforcement is lost')" '1 1'
mkdir "$cgroup/child"
check 'there is another one at its place: ready' wait_for 20 is_status /health/ready 200
is 'with every program' "$(bpftool cgroup show "$cgroup/child" | grep -c ebb_)" 8
is 'and told' "$(count_logged 'the cgroup was removed and is there again: cgroup=.*/child') $(count_logged 'enforcement is back')" '1 1'
is 'commands know which one it is' "$("$ebb_program" status --pin "$pin-child" -o json | json 'd["cgroup"]["id"]')" "$(stat -c %i "$cgroup/child")"
is 'what fails there is refused' "$(in_cgroup -c child "$python" -S "$root/tests/lib/connect.py" --count 6 127.0.0.1 "$dead" | tail -1)" ECONNREFUSED
check 'it has asked for its real-time priority' wait_for 10 logged 'real-time priority is there again: lasted='
is 'and has it' "$(policy) $(metric ebb_realtime_priority)" 'SCHED_RR|SCHED_RESET_ON_FORK 1'
is 'a line for each' "$(count_logged 'real-time priority')" 2
is 'by the breaker' "$("$ebb_program" list --pin "$pin-child" -o json | json 'd["destinations"][0]["state"]')" open
stop_agent
"$ebb_program" detach --pin "$pin-child" >/dev/null

# ---------------------------------------------------------------------------------- ignored --

cat >"$scratch/ebb.yaml" <<-YAML
	mode: enforce
	defaults: {breaker: {consecutive_failures: 3, open_for: 1h, open_max: 1h}}
	health: {ignore: [breakers]}
YAML
start_agent --config "$scratch/ebb.yaml"
connect --count 4 --sum 127.0.0.1 "$dead" >/dev/null
check 'ignored: it is checked' wait_for 5 is_component breakers degraded
is 'ignored: shown as such, and the whole is healthy' "$(health '(d["status"], d["components"]["breakers"]["ignored"])')" "('healthy', True)"
sed -i 's/\[breakers\]/[tables]/' "$scratch/ebb.yaml"
is_whole() { [ "$(health 'd["status"]')" = "$1" ]; }
check 'no longer ignored: the whole is degraded' wait_for 5 is_whole degraded
sed -i 's/\[tables\]/[breakres]/' "$scratch/ebb.yaml"
like 'an unknown component is refused with those there are' "$("$ebb_program" config check "$scratch/ebb.yaml" 2>&1)" \
	":3:19: health.ignore: 'breakres' is not possible: one of programs, .*breakers"
stop_agent

done_testing
