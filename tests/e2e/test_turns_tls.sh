#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# TLS seen from outside, by openssl: a handshake is made of turns, and the small farewell before a FIN
# (close_notify) is none, whoever says it first.

# SC2317: functions that are arguments
# shellcheck disable=SC2317
# shellcheck source=../lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"
# shellcheck source=../lib/turns.sh
. "$root/tests/lib/turns.sh"

openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost -keyout "$scratch/key.pem" \
	-out "$scratch/cert.pem" 2>/dev/null || bail 'openssl makes no certificate'

# tls_server OPTION...: sets port, server_log; descriptor 7 is its prompt.
tls_server() {
	server_log=$scratch/s_server.${#started[@]}
	port=$((15000 + RANDOM % 15000))
	mkfifo "$server_log.in"
	# shellcheck disable=SC2016
	background sh -c 'exec openssl s_server "$@" <"$0"' "$server_log.in" -accept "127.0.0.1:$port" \
		-key "$scratch/key.pem" -cert "$scratch/cert.pem" "$@" >"$server_log" 2>&1 7>&- 8>&-
	exec 7>"$server_log.in"
	wait_for 10 listens "$port" || bail "s_server does not start: $(cat "$server_log")"
}

listens() { ss -Hltn "sport = :$1" | grep -q .; }

# tls_client PORT OPTION...: sets client (its pid) and client_log; descriptor 8 is its prompt.
tls_client() {
	client_log=$scratch/s_client.${#started[@]}
	mkfifo "$client_log.in"
	# shellcheck disable=SC2016
	background sh -c 'echo $$ >"$0" && in=$1 && shift && exec openssl s_client "$@" <"$in"' \
		"$cgroup/cgroup.procs" "$client_log.in" -connect "127.0.0.1:$1" "${@:2}" >"$client_log" 2>&1 7>&- 8>&-
	client=$!
	exec 8>"$client_log.in"
}

said() { grep -q "$1" "$client_log"; }
was_told() { grep -q "$1" "$server_log"; }

# The client's input ends: it says farewell and goes.
hang_up() { exec 8>&-; }

cat >"$EBB_CONFIG" <<'Y'
mode: enforce
defaults:
  breaker: {min_calls: 1000}
Y
start_agent --config "$EBB_CONFIG" --destinations 256

# no_failures NAME PORT: turns were answered, and that is all
no_failures() {
	check "$1: it has ended" wait_for 5 closed "$2"
	like "$1: answered, and no failure" "$(turns "$2")" '^answered=[2-4]$'
}

closed() { [ "$(gate "$1" 'd["active"]')" = 0 ]; }

for version in tls1_2 tls1_3; do
	# -rev: answers each line with the same, backwards
	tls_server "-$version" -rev
	tls_client "$port" -quiet -no_ign_eof
	echo hello >&8
	check "$version: an answer over TLS" wait_for 10 said olleh
	hang_up
	check "$version: the client is gone" wait_for 5 gone "$client"
	no_failures "$version, the client says farewell" "$port"

	tls_client "$port"
	check "$version: another handshake" wait_for 10 said 'Verify return code'
	echo Q >&8
	check "$version: Q ends it" wait_for 5 gone "$client"
	hang_up
	check "$version: a handshake is a turn" test "$(gate "$port" 'd["turns"]["answered"]')" -ge 3
	is "$version: a handshake and a farewell are no failure" "$(gate "$port" 'd["failures"]')" 0

	# the server, by its own prompt, while a pooled connection is idle
	tls_server "-$version"
	tls_client "$port"
	check "$version: and one more" wait_for 10 said 'Verify return code'
	echo from-server >&7
	check "$version: the server speaks" wait_for 10 said from-server
	echo Q >&7
	check "$version: the client hears the farewell" wait_for 5 gone "$client"
	hang_up
	check "$version: it has ended" wait_for 5 closed "$port"
	like "$version, the server says farewell" "$(turns "$port")" '^answered=[12]$'
done

# Both directions: close_notify, and the answer to it, then FIN.
tls_server -tls1_3 -rev
cat >"$scratch/unwrap.py" <<'P'
import socket, ssl, sys
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
with context.wrap_socket(socket.create_connection(('127.0.0.1', int(sys.argv[1])), 10)) as tls:
    tls.sendall(b'hello\n')
    assert tls.recv(100)
    tls.unwrap().close()
P
check 'a shutdown in both directions' in_cgroup "$python" "$scratch/unwrap.py" "$port"
no_failures 'farewell and its answer' "$port"

# A request of 200 bytes, whose server says farewell instead of an answer: that is none.
tls_server -tls1_3 -quiet
tls_client "$port" -quiet -no_ign_eof
echo from-server >&7
check 'a session' wait_for 10 said from-server
head -c 199 /dev/zero | tr '\0' x >&8
echo >&8
check 'the server has the request' wait_for 5 was_told xxx
exec 7>&-
check 'its close_notify ends the session' wait_for 5 gone "$client"
hang_up
check 'it has ended' wait_for 5 closed "$port"
like 'a close_notify is no answer' "$(turns "$port")" '^answered=[12] unanswered=1 failures=1$'

# The client gives up: its own farewell does not make the request young again.
tls_server -tls1_3 -quiet
tls_client "$port" -quiet -no_ign_eof
echo from-server >&7
check 'a session that is given up' wait_for 10 said from-server
head -c 199 /dev/zero | tr '\0' y >&8
echo >&8
check 'the request is there' wait_for 5 was_told yyy
sleep 1.1 # abandon_after
hang_up
check 'the client gives up after abandon_after' wait_for 5 gone "$client"
check 'the session has ended' wait_for 5 closed "$port"
like 'with a farewell of its own, and it is unanswered all the same' "$(turns "$port")" \
	'^answered=[12] unanswered=1 failures=1$'

# A handshake that fails is an answer; one that is never answered is not.
tls_server -tls1_3
tls_client "$port" -tls1_2
check 'no common version' wait_for 5 said alert
hang_up
check 'the handshake has failed' wait_for 5 closed "$port"
is 'an alert in clear text answers a handshake' "$(turns "$port")" answered=1
start_talk hear:100 if:"$scratch/none" close
tls_client "$port"
check 'a server that hangs up on a handshake' wait_for 5 gone "$client"
hang_up
ended 'has not answered it' "$port" unanswered=1

done_testing
