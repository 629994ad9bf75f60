#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The page in a real Chromium: live while a breaker opens in the real agent, honest when that is gone, quick with
# 2,000 destinations, and names are text whatever they are. tests/page/page.py drives it.
# deadline: 120

# SC2119: functions with optional arguments
# shellcheck disable=SC2119
# shellcheck source=../lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

start_server
alive=$port
start_server
dead=$port
stop_server

mkfifo "$scratch/hold"
exec {hold}<>"$scratch/hold"
background bash -c "exec \"\$@\" <&$hold" - "$(dirname "$ebb_program")/tests/e2e/fake_node" 0 2000 >"$scratch/fake"
wait_for 10 test -s "$scratch/fake" || bail 'the made-up node does not start'
start_agent --mode enforce --breaker consecutive_failures=3,open_for=20s,open_jitter=0
port=${address##*:}

mkfifo "$scratch/answers" "$scratch/asked"
# bash gives what runs in the background no standard input but by its own redirection; both ways open, or opening would wait for the other side
exec {answers}<>"$scratch/answers" {asked}<>"$scratch/asked"
HOME=$scratch background bash -c "exec \"\$@\" <&$answers" - "$python" "$root/tests/page/page.py" "$address" "$(cat "$scratch/fake")" 1>&"$asked" 2>"$scratch/page.err"
page=$!

finished=no
while IFS= read -r -t 60 line <&"$asked"; do
	case $line in
	'ok '*) ok "${line#ok }" ;;
	'not ok '*) not_ok "${line#not ok }" ;;
	'#'*) printf '%s\n' "$line" ;;
	'do traffic')
		connect --count 1 127.0.0.1 "$alive" >"$scratch/out"
		connect --count 1 127.0.0.1 "$dead" >"$scratch/out"
		printf '["127.0.0.1:%s/tcp", "127.0.0.1:%s/tcp"]\n' "$alive" "$dead" >&"$answers"
		;;
	'do open')
		connect --count 5 127.0.0.1 "$dead" >"$scratch/out"
		echo did >&"$answers"
		;;
	'do stop')
		stop_agent
		echo did >&"$answers"
		;;
	'do start')
		start_agent --mode enforce --breaker consecutive_failures=3,open_for=20s,open_jitter=0 --listen "127.0.0.1:$port"
		echo did >&"$answers"
		;;
	end)
		finished=yes
		break
		;;
	esac
done
wait "$page" || not_ok 'the page was tried to the end' "$(head -12 "$scratch/page.err")"
is 'the page was tried to the end' "$finished" yes

done_testing
