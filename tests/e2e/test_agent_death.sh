#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The agent is killed with SIGKILL while a breaker is open: refusing goes on, the kernel
# admits probes at open_until and closes by itself; the lease ends what nobody renews. The
# same with an agent that is stopped and goes on.
# deadline: 90

# SC2119: functions with optional arguments; SC2317: functions that are arguments
# shellcheck disable=SC2119,SC2317
# shellcheck source=../lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

error_count() { ebb status -o json | json "d['errors']['$1']"; }
agent_state() { ebb status -o json | json 'd["agent"]["state"]'; }
is_agent() { [ "$(agent_state)" = "$1" ]; }
agent_saw() { [ "$(gate "$1" 'd["window"]["ok"]')" = 1 ]; }
opens_until() { gate "$1" 'round(d["open_until_timestamp"] * 1000)'; }

# trip: opens the breaker of a new server, which is dead afterwards. Sets port.
trip() {
	start_server
	connect 127.0.0.1 "$port" >/dev/null
	stop_server
	connect --count 3 --sum 127.0.0.1 "$port" >/dev/null
	is_state "$port" open || bail 'the breaker does not open'
}

# until_result RESULT PORT: connects until then
until_result() { connect --count 0 --every 0.02 --seconds 10 --until "$1" 127.0.0.1 "$2" >/dev/null; }

# ------------------------------------------------------ killed; the server heals meanwhile --

start_agent --mode enforce --errno ehostunreach --lease 20s \
	--breaker consecutive_failures=3,open_for=2s,open_jitter=0,close_after=2,probes=1
trip
until=$(opens_until "$port")
stop_agent KILL
is 'killed: the agent died of it' "$status" 137
is 'killed: refusing goes on' "$(connect --count 5 --sum 127.0.0.1 "$port")" EHOSTUNREACH=5
start_server --port "$port"
connect --count 0 --every 0.01 --clock --seconds 10 --until OK 127.0.0.1 "$port" >"$scratch/line"
is 'killed: until its time all are refused, then the kernel admits a probe' \
	"$(cut -d' ' -f1 "$scratch/line" | uniq | tr '\n' ' ')" 'EHOSTUNREACH OK '
between 'killed: at its time' $(($(tail -1 "$scratch/line" | cut -d' ' -f2) - until)) -1 250
check 'killed: the agent is called silent' wait_for 5 is_agent silent
is 'killed: half-open' "$(state "$port")" half_open
is 'killed: a second probe succeeds' "$(connect 127.0.0.1 "$port")" OK
is 'killed: the kernel closes at the next connect' "$(connect 127.0.0.1 "$port") $(state "$port")" 'OK closed'
is 'killed: nothing is refused any more' "$(connect --count 20 --sum 127.0.0.1 "$port")" OK=20
stop_server
is 'killed: the kernel opens again by itself' "$(connect --count 4 127.0.0.1 "$port" | tr '\n' ' ')" \
	'ECONNREFUSED ECONNREFUSED ECONNREFUSED EHOSTUNREACH '
is 'killed: no error of our own' "$(ebb status -o json | json 'sum(d["errors"].values())')" 0
ebb detach >/dev/null

# ------------------------------------------------- killed; the server stays dead; no growth --

start_agent --mode enforce --errno ehostunreach --lease 20s \
	--breaker consecutive_failures=3,open_for=500ms,open_jitter=0,reopen_after=2,probes=2
trip
stop_agent KILL
wait_for 5 is_agent silent # from 2 s on the kernel judges half-open by itself
wait_for 5 is_state "$port" half_open
is 'a dead server: the kernel lets two probes fail, then refuses' \
	"$(connect --count 4 127.0.0.1 "$port" | tr '\n' ' ')" 'ECONNREFUSED ECONNREFUSED EHOSTUNREACH EHOSTUNREACH '
is 'a dead server: open again, without an agent' "$(state "$port")" open
ebb detach >/dev/null

# -------------------------------------------------------------------------------- the lease --

start_agent --mode enforce --errno ehostunreach --lease 3s \
	--breaker consecutive_failures=3,open_for=30s,open_max=30s,open_jitter=0
trip
stop_agent KILL
begin=$(now_ms)
is 'release: refused within the lease' "$(connect 127.0.0.1 "$port")" EHOSTUNREACH
until_result ECONNREFUSED "$port"
# the heartbeat was at most one idle second old when it died
between 'release: the lease of 3 s ends refusing' $(($(now_ms) - begin)) 1800 3700
is 'release: although it is open' "$(gate "$port" '(d["state"], d["refuses"])')" "('open', False)"
check 'release: and this is counted' test "$(error_count lease_expired)" -ge 1
is 'release: the agent is called dead' "$(agent_state)" dead
like 'release: status tells' "$(ebb status)" 'not active: the agent.s lease is over'
is 'release: the list tells beside its rows' "$(ebb list 2>&1 >/dev/null)" \
	"ebb list: enforcement is not active: the agent's lease is over: only what was given by hand holds; start 'ebb run'"
is 'release: in JSON each row does' "$(ebb list -o json 2>&1 | json 'd["destinations"][0]["refuses"]')" false
start_agent --mode enforce --errno ehostunreach --lease 3s \
	--breaker consecutive_failures=3,open_for=30s,open_max=30s,open_jitter=0
is 'release: a new agent goes on with the verdict' "$(connect 127.0.0.1 "$port") $(state "$port")" 'EHOSTUNREACH open'
stop_agent
ebb detach >/dev/null

start_agent --mode enforce --errno ehostunreach --lease 2s --on-agent-loss hold \
	--breaker consecutive_failures=3,open_for=30s,open_max=30s,open_jitter=0
trip
stop_agent KILL
check 'hold: the lease is over' wait_for 6 is_agent dead
is 'hold: refusing goes on' "$(connect --count 3 --sum 127.0.0.1 "$port")" EHOSTUNREACH=3
is 'hold: the list tells' "$(gate "$port" '(d["state"], d["refuses"])')$(ebb list 2>&1 >/dev/null)" "('open', True)"
ebb detach >/dev/null

# ------------------------------------------------------------------ stopped, and goes on --

start_agent --mode enforce --errno ehostunreach --lease 3s \
	--breaker consecutive_failures=3,open_for=30s,open_max=30s,open_jitter=0
trip
kill -STOP "$agent"
is 'stopped: refused within the lease' "$(connect 127.0.0.1 "$port")" EHOSTUNREACH
check 'stopped: the lease ends refusing' until_result ECONNREFUSED "$port"
kill -CONT "$agent"
check 'goes on: refuses again' until_result EHOSTUNREACH "$port"
is 'goes on: as before' "$(gate "$port" '(d["state"], d["refuses"])')" "('open', True)"
check 'goes on: and answers' wait_for 10 http_get /health/ready -o /dev/null
is 'goes on: no transition was made up' "$(ebb show -o json "127.0.0.1:$port" | json 'len(d["gates"][0]["transitions"])')" 1
stop_agent
is 'goes on: ends in order' "$status" 0
ebb detach >/dev/null

# Stopped while the kernel opens, half-opens and closes: the agent takes over what happened.
start_agent --mode enforce --errno ehostunreach --lease 20s \
	--breaker consecutive_failures=3,open_for=1s,open_jitter=0,close_after=2
start_server
connect 127.0.0.1 "$port" >/dev/null
wait_for 5 agent_saw "$port" || bail 'the agent does not look'
kill -STOP "$agent"
stop_server
is 'while stopped: the kernel opens' "$(connect --count 4 127.0.0.1 "$port" | tail -1)" EHOSTUNREACH
start_server --port "$port"
wait_for 5 is_agent silent
until_result OK "$port"
is 'while stopped: the kernel half-opens and closes' "$(connect --count 10 --sum 127.0.0.1 "$port") $(state "$port")" 'OK=10 closed'
kill -CONT "$agent"
check 'afterwards: the agent tells the whole story' wait_for 5 logged "$port/tcp .*reason=probes_succeeded"
is 'afterwards: in order' "$(grep -o 'from=.* reason=[a-z_]*' "$agent_log" | tr '\n' ',')" \
	'from=closed to=open reason=consecutive_failures,from=open to=half_open reason=open_expired,from=half_open to=closed reason=probes_succeeded,'
is 'afterwards: closed' "$(state "$port")" closed
stop_agent

done_testing
