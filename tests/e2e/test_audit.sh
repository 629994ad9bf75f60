#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The audit log of a running agent: each kind of event is provoked once and found in the lines of JSON, with its
# facts, which are those of the log, the metrics and the API; nothing is lost or told twice by a kill, a reload, a full
# disk or the end of the agent.
# deadline: 180

# SC2119: functions with optional arguments; SC2317: functions that are arguments
# shellcheck disable=SC2119,SC2317
# A mount namespace of our own, for a disk that is full.
[ -n "${AUDIT_TEST_INSIDE:-}" ] || [ "$(id -u)" != 0 ] || AUDIT_TEST_INSIDE=1 exec unshare -m --propagation private bash "$0"
# shellcheck source=../lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

file=$scratch/ebb.yaml
lines=$scratch/audit.jsonl
export EBB_AUDIT_FILE_PATH=$lines

# events TYPE EXPRESSION: over the list of events (l) of that type, in the order of the file.
events() {
	"$python" -S - "$1" "$2" "${3:-$lines}" <<-'END'
		import json, os, sys
		kind, expression, path = sys.argv[1:]
		l = []
		for name in sorted([p for p in (path, path + '.1') if os.path.exists(p)], reverse=True):
		    l += [json.loads(line) for line in open(name)]
		ids = [e['id'] for e in l]
		assert len(ids) == len(set(ids)), 'an event is there twice'
		l = [e for e in l if kind in (e['event_type'], 'all')]
		print(eval(expression))
	END
}
has() { [ "$(events "$1" "${2:-len(l)}")" != 0 ]; }
are() { [ "$(events "$1" "$2" "${4:-$lines}")" = "$3" ]; }
# What the agent does; a breaker or the node fuse may move meanwhile.
agent_events='[e["event_type"] for e in l if e["event_type"].split("_")[0] in ("agent", "config")]'
metric() { http_get /metrics | awk -v name="$1" '$1 == name { print $2 }'; }
is_metric() { [ "$(metric "$1")" = "$2" ]; }
component() { http_get /health | json "d['components']['$1']['$2']"; }
is_component() { [ "$(component "$1" state)" = "$2" ]; }

yaml() {
	cat <<-YAML
		mode: enforce
		defaults: {breaker: {consecutive_failures: 3, window: 4s, open_for: 10m, open_max: 10m, open_jitter: 0}}
		node_fuse: {min_calls: 3, min_destinations: 1, action: alert}
		destinations:
		  - {name: api, match: [{cidr: 127.0.0.1, port: $named}]}
	YAML
}

# ----------------------------------------------------------- one of each

start_server
unnamed=$port
start_server
named=$port api=$server
yaml >"$file"
start_agent --config "$file"
check 'agent_start: what it is' wait_for 5 are agent_start \
	'[(e["details"]["mode"], e["details"]["pin"], e["details"]["listen"], e["details"]["took_over"]) for e in l]' \
	"[('enforce', '$pin', '$address', False)]"
check 'config_applied: the one of the start' wait_for 5 are config_applied \
	'[(e["details"]["file"], e["details"]["generation"], e["details"]["destinations"]) for e in l]' "[('$file', 1, 1)]"
is 'nobody else may read it' "$(stat -c %a "$lines") $(stat -c %a "$scratch/audit") $(stat -c %a "$scratch/audit/spool")" '600 700 700'

connect 127.0.0.1 "$unnamed" >/dev/null
check 'destination_new: what a workload found' wait_for 5 are destination_new \
	'[(e["details"]["destination"], e["details"]["workload"], e["ip_address"], e["user_id"]) for e in l]' \
	"[('127.0.0.1:$unnamed/tcp', '/$test_id', '127.0.0.1', '/$test_id')]"

background curl -sN --max-time 60 "http://$address/api/v1/events" >"$scratch/events"
connect --count 2 --sum 127.0.0.1 "$named" >/dev/null
wait_for 10 grep -q '^event: ' "$scratch/events" || bail 'the API tells no events'
stop_server "$api"
connect --count 5 --sum 127.0.0.1 "$named" >/dev/null
check 'breaker_transition: it opens' wait_for 5 has breaker_transition
check 'the API tells it' wait_for 5 grep -q '^event: transition' "$scratch/events"

# The same transition by four who tell of it.
cat >"$scratch/facts.py" <<'END'
import json, re, sys
log_path, lines, events, state_path = sys.argv[1:]
audit = [json.loads(line) for line in open(lines)]
audit = [e['details'] for e in audit if e['event_type'] == 'breaker_transition'][0]
line = next(line for line in open(log_path) if ' breaker moved:' in ' ' + line)
log = dict(re.findall(r'(\w+)=(\S+)', line))
data = next(text for text in open(events).read().split('\n\n') if 'event: transition' in text)
api = json.loads(re.search(r'^data: (.*)$', data, re.M)[1])
for key in 'destination', 'from', 'to', 'reason', 'ok', 'failed', 'slow', 'run', 'episode':
    said = {str(log[key]), str(audit[key]), str(api[key])}
    if len(said) != 1:
        print(f'{key}: log {log[key]}, audit {audit[key]}, API {api[key]}')
for key in 'last_failure', 'generation', 'mode':
    if str(log[key]) != str(audit[key]):
        print(f'{key}: log {log[key]}, audit {audit[key]}')
metric = f'ebb_breaker_transitions_total{{destination="api",workload="{audit["workload"]}",'
wanted = f'from="{audit["from"]}",to="{audit["to"]}",reason="{audit["reason"]}"}} 1'
if not any('ebb_breaker_transitions_total' in l and 'destination="api"' in l and wanted in l for l in open(state_path)):
    print(f'no metric with {wanted}')
print(audit['destination'], audit['to'], audit['run'], audit['last_failure'])
END
http_get /metrics >"$scratch/metrics"
is 'log, metrics, audit and API have the same facts of it' \
	"$("$python" -S "$scratch/facts.py" "$agent_log" "$lines" "$scratch/events" "$scratch/metrics" 2>&1)" 'api open 3 refused'

check 'node_fuse: it acts' wait_for 10 are node_fuse \
	'[(e["details"]["acts"], e["details"]["action"], e["details"]["open"]) for e in l]' "[(True, 'alert', 1)]"

is 'HTTP changes nothing' "$(curl -s -o /dev/null -w '%{http_code}' -X POST "http://$address/metrics")" 405
http_status "/no?such" >/dev/null

# --------------------------------------------------------- configuration

echo 'mode: perhaps' >"$file.new" && mv "$file.new" "$file"
check 'config_rejected: with the reason' wait_for 5 are config_rejected '[e["details"]["why"] for e in l]' \
	"[\"$file:1:7: mode: 'perhaps' is not possible: observe or enforce\"]"
other=$scratch/other.jsonl
unset EBB_AUDIT_FILE_PATH
{ yaml; echo "log_level: info"; } >"$file.new" && mv "$file.new" "$file"
check 'and applied again' wait_for 5 are config_applied 'l[-1]["details"]["generation"]' 2

# ---------------------------------------------------------------- orders

open_api() { timeout 20 "$ebb_program" breaker open api --pin "$pin" --for 10m; }
open_api >/dev/null || bail 'no order'
check 'override: who, and what was typed' wait_for 5 are override \
	'[(e["details"]["uid"], e["details"]["command"].split(" --pin")[0], e["details"]["lost"]) for e in l]' \
	"[(0, 'breaker open api', 0)]"
end "$agent" KILL
timeout 20 "$ebb_program" breaker close api --pin "$pin" >/dev/null
EBB_AUDIT_FILE_PATH=$lines start_agent --config "$file"
check 'one while no agent ran is told by the next; none is told twice' wait_for 5 are override \
	'[e["details"]["command"].split()[1] for e in l]' "['open', 'close']"
is 'the next agent took over' "$(events agent_start '[e["details"]["took_over"] for e in l]')" '[False, True]'
is 'each with a session of its own' "$(events agent_start 'len({e["session_id"] for e in l})')" 2
is 'what was found before is not new' "$(events destination_new 'len(l)')" 1
timeout 20 "$ebb_program" breaker auto api --pin "$pin" >/dev/null

# ------------------------------------------------------------------ sums

refused=$(connect --count 4 --sum 127.0.0.1 "$named")
http_status / >/dev/null
curl -s -o /dev/null -X DELETE "http://$address/metrics"
curl -s -o /dev/null -X DELETE "http://$address/metrics"
stop_agent
is 'it ends' "$status" 0
is 'agent_stop: by which signal' "$(events agent_stop '[e["details"]["signal"] for e in l]')" "['Terminated']"
is "denials: of the pair, and of which episode ($refused)" "$(events denials '[(e["details"]["destination"], e["details"]["causes"], e["details"]["episode"] != "", e["outcome"]) for e in l]')" \
	"[('api', {'breaker': 4}, True, 'denied')]"
is 'of the episode that the transition began' "$(events all 'len({e["details"]["episode"] for e in l if e["details"].get("destination") == "api" and e["details"].get("episode")})')" 1
is 'request_refused: counted' "$(events request_refused '[(e["details"]["method"], e["details"]["count"], e["ip_address"]) for e in l]')" \
	"[('DELETE', 2, '127.0.0.1')]"

# A minute that an agent ended itself has the failures, too.
rm -f "$lines"
start_server
dying=$port
EBB_AUDIT_FILE_PATH=$lines start_agent --config "$file"
connect 127.0.0.1 "$dying" >/dev/null
stop_server
connect --count 2 --sum 127.0.0.1 "$dying" >/dev/null
stop_agent
is 'failures: by outcome, and how much of what the workload used' \
	"$(events failures '[(e["details"]["destination"], e["details"]["outcomes"], e["details"]["ok"], e["details"]["destinations"], e["details"]["failing"]) for e in l]')" \
	"[('127.0.0.1:$dying/tcp', {'refused': 2}, 1, 1, 0)]"

# ------------------------------------------------------------- other sinks

# sink PATH: another configuration that names it.
sink() {
	{ yaml; echo "audit: {file: {path: $1}}"; } >"$file.new" && mv "$file.new" "$file"
}
rm -f "$lines"
sink "$lines"
start_agent --config "$file"
before=$(metric ebb_config_generation)
for round in 1 2 3 4 5 6; do
	if [ $((round % 2)) = 1 ]; then sink "$other"; else sink "$lines"; fi
	wait_for 10 is_metric ebb_config_generation $((before + round)) || bail 'not applied'
done
generations() {
	cat "$lines" "$other" | "$python" -S -c 'import json, sys
print(sorted(d["details"]["generation"] for d in map(json.loads, sys.stdin) if d["event_type"] == "config_applied"))'
}
all_there() { [ "$(generations)" = "$("$python" -S -c "print(list(range($before, $before + 7)))")" ]; }
check 'a reload to other sinks loses nothing' wait_for 5 all_there
check 'and both have some' test -s "$other" -a -s "$lines"
stop_agent

# ------------------------------------------------------------ a full disk

small=$scratch/small
mkdir "$small"
mount -t tmpfs -o size=1m tmpfs "$small" || bail 'no tmpfs'
EBB_AUDIT_DIR=$small/audit
rm -f "$lines" "$other"
sink "$lines"
start_agent --config "$file"
check 'all is well' wait_for 5 is_component audit_spool healthy
dd if=/dev/zero of="$small/fill" bs=4k 2>/dev/null
wrong=0
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
	wrong=$((wrong + 1))
	printf 'mode: wrong%d\n' "$wrong" >"$file.new" && mv "$file.new" "$file"
	wait_for 5 is_metric 'ebb_config_reloads_total{result="rejected"}' "$wrong" || bail 'not rejected'
done
check 'a full disk: health says so' wait_for 5 is_component audit_spool degraded
like 'and why' "$(component audit_spool why)" 'No space left on device'
is 'the agent is ready all the same' "$(http_status /health/ready)" 200
is 'told once' "$(grep -c 'events wait in memory' "$agent_log")" 1
rm "$small/fill"
check 'with room it goes on by itself' wait_for 5 is_component audit_spool healthy
check 'nothing that was accepted is lost' wait_for 5 are config_rejected '[int(e["details"]["why"].split("wrong")[1].split("\x27")[0]) for e in l] == list(range(1, 21))' True
is 'nothing was refused' "$(metric 'ebb_audit_events_total{sink="spool",result="refused"}')" 0
stop_agent
umount "$small"

# ------------------------------------------------- no directory, no file

EBB_AUDIT_DIR=/proc/nowhere
sink "$lines"
start_agent --config "$file"
check 'no directory: degraded' wait_for 5 is_component audit_spool degraded
like 'and why' "$(component audit_spool why)" '/proc/nowhere'
is 'and ready' "$(http_status /health/ready)" 200
is 'told once' "$(grep -c '/proc/nowhere' "$agent_log")" 1
stop_agent
is 'it ends' "$status" 0
EBB_AUDIT_DIR=$scratch/audit

sink "$scratch/nowhere/audit.jsonl"
start_agent --config "$file"
check 'a sink that cannot be written: degraded' wait_for 5 is_component audit_jsonl degraded
like 'and why' "$(component audit_jsonl why)" 'No such file or directory'
check 'its events wait' wait_for 5 is_metric 'ebb_delivery_queue{sink="jsonl"}' 2
check 'its attempts are counted' wait_for 5 is_metric 'ebb_delivery_attempts_total{sink="jsonl",result="unusable"}' 1
rm -f "$lines"
sink "$lines"
check 'another file has them all' wait_for 5 are all "$agent_events" "['agent_start', 'config_applied', 'config_applied']"
check 'and all is well' wait_for 5 is_component audit_jsonl healthy

# --------------------------------------------------------------- the end

exec 8>>"$lines"
flock 8
kill -HUP "$agent"
check 'a sink that hangs: an event waits' wait_for 5 is_metric 'ebb_delivery_queue{sink="jsonl"}' 1
kill -TERM "$agent"
not_ready() { [ "$(http_status /health/ready)" = 503 ]; }
check 'the end: readiness goes first, while sinks are flushed' wait_for 4 not_ready
kill -TERM "$agent"
wait_for 5 gone "$agent"
rc=0
{ wait "$agent" || rc=$?; } 2>/dev/null
is 'a second signal ends it at once' "$rc" 143
exec 8>&-
start_agent --config "$file"
# That it stopped may have been in memory still: the second signal came at once.
check 'what was in the spool is told by the next start' wait_for 5 are all \
	"[t for t in ${agent_events}[3:] if t != 'agent_stop']" "['config_applied', 'agent_start', 'config_applied']"
stop_agent

done_testing
