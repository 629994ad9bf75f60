#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# --established: what becomes of live connections when their breaker opens. An HTTP/2 client
# has a request open, over a session that it pools, at an API that has died without a word: with
# reset it is told at once, in its own network namespace, by bpf_sock_destroy as by netlink.
# deadline: 180

# SC2119: functions with optional arguments
# shellcheck disable=SC2119
# shellcheck source=../lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

make_network

# The API: answers the first request of a session and no other. On SIGUSR2 it listens no longer.
cat >"$scratch/api.js" <<'JS'
const http2 = require('http2');
const server = http2.createServer();
server.on('session', (session) => session.on('error', () => {}));
server.on('stream', (stream, headers) => {
	stream.on('error', () => {});
	if (headers[':path'] === '/first') {
		stream.respond({ ':status': 200 });
		stream.end('ok');
	}
});
// above the ports of tests/lib/server.py, below the ephemeral ones
server.listen(30000 + process.pid % 2000, process.argv[2], () => console.log(server.address().port));
process.on('SIGUSR2', () => server.close());
JS

# The client: prints ready after its first answer, then the end of its second request and when (ms).
cat >"$scratch/client.js" <<'JS'
const session = require('http2').connect(`http://${process.argv[2]}:${process.argv[3]}`);
session.on('error', () => {});
const first = session.request({ ':path': '/first' });
first.resume().on('end', () => {
	const second = session.request({ ':path': '/second' });
	second.on('error', (error) => {
		console.log(error.code, Date.now());
		process.exit();
	});
	second.on('close', () => console.log('closed', Date.now()));
	second.resume();
	console.log('ready');
});
JS

# start_api [--netns NAME] ADDRESS: sets api (pid) and port
start_api() {
	local enter=()
	if [ "$1" = --netns ]; then
		enter=(nsenter --net="/run/netns/$2")
		shift 2
	fi
	: >"$scratch/api.out"
	background "${enter[@]}" node "$scratch/api.js" "$1" >"$scratch/api.out" 2>"$scratch/api.err"
	api=$!
	wait_for 20 test -s "$scratch/api.out" || bail "the API does not start: $(cat "$scratch/api.err")"
	port=$(cat "$scratch/api.out")
}

# start_client [NETNS] ADDRESS PORT: in the cgroup
start_client() {
	local enter=()
	if [ $# = 3 ]; then
		enter=(nsenter --net="/run/netns/$1")
		shift
	fi
	# shellcheck disable=SC2016
	background sh -c 'echo $$ >"$0" && exec "$@"' "$cgroup/cgroup.procs" "${enter[@]}" \
		node "$scratch/client.js" "$1" "$2" >"$scratch/client.out" 2>&1
	client_pid=$!
	wait_for 20 grep -q ready "$scratch/client.out" || bail "the client: $(cat "$scratch/client.out")"
}

# The client's words on its second request, without the time.
ended() { sed -n '2s/ .*//p' "$scratch/client.out"; }
has_ended() { [ -n "$(ended)" ]; }

# trip [NETNS] ADDRESS PORT: three refused connects; sets tripped, in ms
trip() {
	kill -USR2 "$api"
	if [ $# = 3 ]; then
		connect_in "$1" --until ECONNREFUSED --timeout 5 "${@:2}" >/dev/null
		connect_in "$1" --count 2 "${@:2}" >/dev/null
	else
		connect --until ECONNREFUSED --timeout 5 "$@" >/dev/null
		connect --count 2 "$@" >/dev/null
	fi
	tripped=$(now_ms)
}

# scenario NAME NETNS ADDRESS AGENT-OPTION...: everything from the start to the reset
scenario() {
	local name=$1 netns=$2 at=$3
	shift 3
	start_agent --mode enforce --breaker consecutive_failures=3,open_for=20s --established reset "$@"
	if [ "$netns" = - ]; then
		start_api "$at"
		start_client "$at" "$port"
		trip "$at" "$port"
	else
		start_api --netns "$peer" "$at"
		start_client "$netns" "$at" "$port"
		trip "$netns" "$at" "$port"
	fi
	check "$name: the breaker opens" wait_for 10 is_state "$at:$port/tcp" open
	check "$name: the pending request ends" wait_for 10 has_ended
	is "$name: because its connection was aborted" "$(ended)" ECONNABORTED
	between "$name: within a second of the trip, in ms" \
		"$(($(sed -n '2s/.* //p' "$scratch/client.out") - tripped))" -1000 1000
	check "$name: the log says how many" wait_for 5 logged 'live connections reset: count=1 '
	is "$name: it is no failure of the destination" "$(gate "$at:$port/tcp" 'd["failures"]')" 3
	check "$name: nothing is active" wait_for 10 is_inactive "$at:$port/tcp"
	end "$api" KILL
	stop_agent
	ebb detach >/dev/null
}
is_inactive() { [ "$(gate "$1" 'd["active"]')" = 0 ]; }

scenario 'own namespace' - 127.0.0.1
like 'by bpf_sock_destroy' "$(cat "$agent_log")" 'reset when their breaker opens: by=bpf_sock_destroy'
scenario 'own namespace, netlink' - 127.0.0.1 --no-sock-destroy
like 'by netlink' "$(cat "$agent_log")" 'reset when their breaker opens: by=netlink'
scenario 'another namespace' "$client" 10.9.8.2
scenario 'another namespace, netlink' "$client" 10.9.8.2 --no-sock-destroy

# ------------------------------------------------------------- when it must not --

# keep is the default: the connection lives
start_agent --mode enforce --breaker consecutive_failures=3,open_for=20s
start_api 127.0.0.1
start_client 127.0.0.1 "$port"
trip 127.0.0.1 "$port"
check 'keep: the breaker opens' wait_for 10 is_state "$port" open
is 'keep: the connection is active' "$(gate "$port" 'd["active"]')" 1
refute 'keep: the request still waits' wait_for 2 has_ended
end "$client_pid" KILL
end "$api" KILL
stop_agent
ebb detach >/dev/null

# observe: nothing is done
start_agent --breaker consecutive_failures=3,open_for=20s --established reset
start_api 127.0.0.1
start_client 127.0.0.1 "$port"
trip 127.0.0.1 "$port"
check 'observe: the breaker opens' wait_for 10 is_state "$port" open
refute 'observe: the request still waits' wait_for 2 has_ended
end "$client_pid" KILL
end "$api" KILL
stop_agent
ebb detach >/dev/null

# An agent that may not enter other namespaces says what it does instead.
whole=$ebb_program
cat >"$scratch/ebb" <<SH
#!/bin/sh
exec setpriv --bounding-set=-sys_admin -- '$whole' "\$@"
SH
chmod +x "$scratch/ebb"
ebb_program=$scratch/ebb
start_agent --mode enforce --established reset
ebb_program=$whole
like 'without CAP_SYS_ADMIN: drop instead, and the log says so' "$(cat "$agent_log")" \
	'cannot be reset when their breaker opens \(CAP_SYS_ADMIN or CAP_SYS_PTRACE is missing\): what they send is dropped instead'
stop_agent

# Capabilities that only a reset needs are gone otherwise.
caps() { awk '/^CapPrm/ { print $2 }' "/proc/$agent/status"; }
has_sys_admin() { (((0x$(caps) >> 21) & 1)); }
start_agent --established keep
refute 'keep: CAP_SYS_ADMIN is given up' has_sys_admin
stop_agent
start_agent --established reset
check 'reset: CAP_SYS_ADMIN is kept' has_sys_admin
stop_agent
done_testing
