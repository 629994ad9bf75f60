# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the tests read is not used here, functions are arguments and have optional ones:
# shellcheck disable=SC2034,SC2119,SC2120,SC2317
#
# For the chaos tests: a real agent under real load, to which things happen, and what must hold all the while. On top of
# tests/lib/e2e.sh, whose names it uses.
#
#	. "$(dirname "$0")/chaos.sh"
#	start_world
#	... something bad ...
#	survives 'what happened'
#	end_world
#
# The load (swarm.c) connects from a governed cgroup, through a veth pair, to places of which some fail and heal (serve.c);
# the watch (watch.py) scrapes ten times a second. Invariants, whatever happens:
#
#	counters never run backwards                    survives
#	a place that is well is never refused           survives
#	everything recovers by itself                   survives
#	no slot is leaked: all are back when it is quiet    end_world
#	memory stays in its bound                       end_world
#
# CHAOS=full is 'make chaos'; else it is a short round, for 'make test'.

# shellcheck source=../lib/e2e.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/e2e.sh"

chaos=$root/tests/chaos
places=16 failing=8 rate=${RATE:-400}
open_for=500ms open_max=1s
# How long a place fails, is well between two failures, and is well before nobody may be refused any more: longer than an open
# breaker and a probe that somebody gave up last.
FAULT=3s WELL=6s HEALED=5s
launch_options=(--destinations 64 --pairs 256 --endpoints 256)
# of anonymous memory, in bytes: what an agent may have with small tables, as it has them here
memory_bound=$((24 << 20))
# Set where connections begin and end unseen for seconds, since programs are taken away: then slots must be free, while
# active connections are right again when nothing has moved for ten minutes (docs/architecture.md, Gauges).
blind=''
# Of the kernel's own errors those that a test expects, by their names in docs/metrics.md.
expected_errors=''
seed=${SEED:-$((${EPOCHREALTIME/./} % 1000000))}

# often SHORT FULL: how often
often() { if [ "${CHAOS:-}" = full ]; then echo "$2"; else echo "$1"; fi; }

# random LEAST MOST: from the seed; sets number
number=0
RANDOM=$((seed % 32768))
random() { number=$(($1 + (RANDOM * 32768 + RANDOM) % ($2 - $1 + 1))); }

# ------------------------------------------------------------------------------------ the world --

# The agent's own address: of this test, so that another agent is found where the last one was.
listen=127.$(($$ >> 16 & 127 | 128)).$(($$ >> 8 & 255)).$(($$ & 255)):9478

write_configuration() {
	cat >"$scratch/ebb.yaml" <<-YAML
		mode: enforce
		defaults:
		  breaker: {consecutive_failures: 3, open_for: $open_for, open_max: $open_max, errno: ehostunreach}
		  limits: {concurrent: 100000}
		capacity: {idle: 1h}
	YAML
	cat >>"$scratch/ebb.yaml"
}

# launch: an agent, without waiting for it; run: with something before it, such as a limit
enter=()
launch() {
	agents=$((agents + 1))
	agent_log=$scratch/agent.$agents.log
	background "${enter[@]}" "$ebb_program" run --pin "$pin" --cgroup "$cgroup" --listen "$listen" --config "$scratch/ebb.yaml" \
		"${launch_options[@]}" "$@" >"$scratch/agent.$agents.out" 2>"$agent_log"
	agent=$!
	address=$listen
}

start_servers() {
	nsenter --net="/run/netns/$peer" setpriv --pdeathsig KILL "$EBB_BUILD/tests/chaos/serve" "$scratch/world" 10.9.8.2 20000 \
		"$places" "$failing" "$FAULT" "$WELL" "$seed" &
	started+=("$!")
	wait_for 10 test -e "$scratch/world" || bail 'no servers'
}

swarm=''
start_swarm() {
	(echo "$BASHPID" >"$cgroup/cgroup.procs" && exec nsenter --net="/run/netns/$client" "$EBB_BUILD/tests/chaos/swarm" "$scratch/world" \
		"$rate" "$HEALED" "$scratch/counts") &
	swarm=$!
	started+=("$swarm")
	# far from either limit, so that it is the agent's doing if it stops
	wait_for 10 have_grown well_ok 0 || bail 'there is no load'
}

# start_world [WATCH-OPTION...]: further lines of the configuration are read.
start_world() {
	echo "# seed $seed"
	write_configuration
	make_network
	start_servers
	launch
	wait_for 60 is_ready_or_gone
	is_ready || bail "the agent is not ready: $(tail -1 "$agent_log")"
	start_swarm
	background "$python" -S "$chaos/watch.py" "$listen" "$scratch/report" "$@" 2>"$scratch/watch.err"
	watch=$!
	wait_for 10 test -s "$scratch/report" || bail "nobody watches: $(cat "$scratch/watch.err")"
}

# ---------------------------------------------------------------------------------- what is so --

is_ready_or_gone() { is_ready || gone "$agent"; }
is_ready() { http_get /health/ready -o /dev/null; }
# count NAME: what the clients saw
count() { sed -n "s/^$1 //p" "$scratch/counts"; }
have_grown() { [ -s "$scratch/counts" ] && [ "$(count "$1")" -gt "$2" ]; }
# watched EXPRESSION: over the report of the watch
watched() { json "$1" <"$scratch/report"; }
metric() { http_get /metrics | awk -v name="$1" '$1 == name { print $2 }'; }
# total NAME: of all its series
total() { http_get /metrics | awk -v name="$1" 'index($1, name "{") == 1 { sum += $2 } END { print sum + 0 }'; }

# The components that are ill. Of open breakers there are some all the time; that something was taken away is told for a minute.
ill() {
	curl -sS --max-time 5 "http://$address/health" | json '" ".join(sorted(n for n, c in d["components"].items()
		if c["state"] == "unhealthy" or c["state"] == "degraded" and not c["ignored"] and n not in ("breakers", "programs", "pins", "node_fuse")))'
}
ill_of=''
is_well() { is_ready && [ "$(ill)" = "$ill_of" ]; }

harm() {
	local name
	for name in well_refused well_failed healed_refused; do
		[ "$(count $name)" = 0 ] || echo "$name $(count $name) (place $(count wrong_place), errno $(count wrong_errno))"
	done
	watched '"\n".join(d["backwards"])' | grep .
	gone "$watch" && { echo 'the watch has ended'; tail -3 "$scratch/watch.err"; }
	gone "$swarm" && echo 'the load has ended'
}

# goes_on NAME: what fails is refused, what is well is reached
goes_on() {
	local refused ok
	refused=$(count failing_refused) ok=$(count well_ok)
	check "$1: what fails is refused" wait_for 30 have_grown failing_refused "$refused"
	check "$1: what is well is reached" wait_for 10 have_grown well_ok "$ok"
}

# survives NAME [SECONDS]: ready and healthy within SECONDS, refusing what fails and nothing else, all counted on.
survives() {
	local name=$1 seconds=${2:-20} begin scrapes
	begin=$(now_ms)
	if wait_for "$seconds" is_well; then
		ok "$name: all is well again"
	else
		not_ok "$name: all is well again" "after $seconds s: ready $(http_status /health/ready), ill: $(ill)" "$(tail -3 "$agent_log")"
	fi
	echo "# $name: after $(($(now_ms) - begin)) ms; at most $(($(watched 'd["anonymous"]') / 1024)) KB so far"
	# until something fails that may take seconds: a short round asks at its end
	[ "${CHAOS:-}" != full ] || goes_on "$name"
	scrapes=$(watched 'd["scrapes"]')
	has_scraped() { [ "$(watched 'd["scrapes"]')" -gt "$((scrapes + 1))" ]; }
	check "$name: it is scraped" wait_for 15 has_scraped
	is "$name: nobody was refused who is well, no counter ran backwards" "$(harm)" ''
}

slots() { echo "$(total ebb_active_connections) $(total ebb_concurrent_in_use)"; }
is_quiet() { [[ $(slots) =~ ^(0|${blind:+[0-9]+})\ 0$ ]]; }

# end_world: ends the load; then nothing may be left.
end_world() {
	local scrapes
	goes_on 'at the end'
	end "$swarm" TERM 40
	is 'the load ends in order' "$status" 0
	check 'it is quiet, and every slot is free' wait_for 25 is_quiet
	is_quiet || echo "# active, in use: $(slots)"
	is 'no error of our own' "$(ebb status -o json | json "{n: c for n, c in d['errors'].items() if c and n not in '$expected_errors'.split()}")" '{}'
	is 'at the end nobody was refused who is well, no counter ran backwards' "$(harm | grep -v 'the load has ended')" ''
	scrapes=$(watched 'd["scrapes"]')
	between 'anonymous memory was in its bound, in bytes' "$(watched 'd["anonymous"]')" 1 "$memory_bound"
	echo "# $scrapes scrapes of $(watched 'd["lives"]') agents, $(watched 'd["absent"]') without an answer; most: $(watched 'd["anonymous"]') bytes, $(watched 'd["descriptors"]') descriptors, $(watched 'd["threads"]') threads"
	echo "# $(tr '\n' ' ' <"$scratch/counts")"
	stop_agent
	is 'the agent ends in order' "$status" 0
	ebb detach >/dev/null
	end "$watch" TERM
}
