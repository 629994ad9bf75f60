#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# deadline: 180
# 'ebb top' in a real terminal: what it shows, its keys, other sizes and kinds of terminal, and how it ends.
# shellcheck disable=SC2119,SC2317

# shellcheck source=tests/lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"
# shellcheck source=tests/lib/tmux.sh
. "$(dirname "$0")/../lib/tmux.sh"

start_tmux
start_agent --mode enforce --lease 4s --breaker consecutive_failures=3,open_for=30m,open_max=1h
start_server --hold
good=$port
start_server
bad=$port
stop_server
for _ in 1 2 3; do connect 127.0.0.1 "$bad" >/dev/null; done
connect 127.0.0.1 "$good" >/dev/null
wait_for 10 is_state "$bad" open || bail 'the breaker does not open'

# ------------------------------------------------------------------- shows --

top="ebb top --pin $pin --delay 200ms"
open_terminal 120 24
enter "stty -a >$scratch/stty.before; $top; echo status=\$?"
see 'the agent is in the first line' '^ ebb top  .* agent running, pid [0-9]+, lease 4.00s  .*[0-9]{2}:[0-9]{2}:[0-9]{2}$'
see 'breakers by state' '^ breakers [1-9] closed   1 open   0 half_open   0 by hand$'
see 'what is open is on top, with the cursor, and tells how long' "^>127.0.0.1:$bad/tcp .* open +[0-9]+m[0-9]+s "
see 'what is closed is below' "^ 127.0.0.1:$good/tcp .* closed +- "

in_cgroup "$python" -S -c "
import socket, time
while True:
    socket.create_connection(('127.0.0.1', $good)).close()
    try: socket.create_connection(('127.0.0.1', $bad))
    except OSError: pass
    time.sleep(0.01)
" 2>/dev/null & # that it is killed is not told
# name, workload, state, left, active, then connects, failures, denials a second
see 'connects a second, and their times' "^ 127.0.0.1:$good/tcp .* closed +- +[0-9]+ +[1-9][0-9.]* +0 +0 .*us"
see 'denials a second' "^>127.0.0.1:$bad/tcp .* open +[0-9]+m[0-9]+s +0 +0 +0 +[1-9][0-9.]* "
see 'and of the node' '^ now [1-9][0-9.]*/s connects   0/s failed   [1-9][0-9.]*/s denied'

# -------------------------------------------------------------------- keys --

press j
see 'j moves the cursor down' "^>127.0.0.1:$good/tcp"
press Up
see 'an arrow moves it up' "^>127.0.0.1:$bad/tcp"
press r
see 'r turns the order around' "STATE▲"
press r '>' '>' '>'
see '> sorts by a column further right: what connects most' 'CONN/s▼'
see 'and the cursor stays with its row' "^>127.0.0.1:$bad/tcp"
press '<' '<' '<'
see '< sorts by the one on the left again' 'STATE▼'

press w
see 'w shows workloads' 'WORKLOAD .*MEAN *$'
press w
lose 'and destinations again' 'MEAN'

press Enter
see 'Enter shows one in full' "^ 127.0.0.1:$bad/tcp *$"
see 'why it is as it is' ': 3 failures in a row; probes begin in [0-9]+m'
see 'and what it does now' '^ now 0/s connects   0/s failed   [1-9][0-9.]*/s denied'
press End
see 'its end can be reached' 'round trip|connect'
press Escape
see 'Escape leads back' "^>127.0.0.1:$bad/tcp"

press /
see '/ asks for a filter' '^ filter: '
in_tmux send-keys -t t -l "1:${good}x"
see 'which is seen while it is typed' 'nothing is like the filter'
press BSpace
see 'and is edited' "^ filter: 1:$good "
press Enter
see 'one is left' "filter 1:$good: 1 of [0-9]+"
lose 'the other is gone' "127.0.0.1:$bad"
press Escape
see 'Escape clears it' "127.0.0.1:$bad"

press d
press C-u
enter 0.1
see 'd sets the delay' 'every 0.1s'
press '?'
see '? tells the keys' 'one destination in full, Esc leads back'
press x
lose 'any key leads back' 'any key leads back'

press p
see 'p pauses' ' PAUSED '
in_tmux pipe-pane -t t "cat >$scratch/paused"
wait_for 5 test -e "$scratch/paused"
# that it does nothing for some time is what is to be seen
sleep 0.5 # five looks, if it looked
in_tmux pipe-pane -t t
is 'a paused screen is not drawn' "$(wc -c <"$scratch/paused")" 0
press p
lose 'and goes on' ' PAUSED '

# ------------------------------------------------------------------ flicker --

echo 1 >"$cgroup/cgroup.kill"
see 'the rates fall to nothing' '^ now 0/s connects   0/s failed   0/s denied   0B/s out   0B/s in$'
clock() { screen | sed -n '1s/.* //p'; }
clock_moved() { [ "$(clock)" != "$clock_before" ]; }
in_tmux pipe-pane -t t "cat >$scratch/quiet"
for _ in 1 2 3; do
	clock_before=$(clock)
	wait_for 5 clock_moved
done
in_tmux pipe-pane -t t
bytes=$(wc -c <"$scratch/quiet")
note <<<"twenty looks or so at a screen on which only times change: $bytes bytes"
# a whole screen is more than 1,500, and there were twenty; the clock and a time that runs down are few
between 'a screen that does not change sends little' "$bytes" 1 600

# -------------------------------------------------------------------- sizes --

in_tmux resize-window -t t -x 60 -y 12
see 'a narrow terminal shows what matters' '^ DEST.* WORK.* STATE▼ +FAIL/s  DENY/s$'
lose 'and leaves the rest out' 'IN/s'
between 'within its lines' "$(screen | LC_ALL=C.UTF-8 wc -L)" 40 60
in_tmux resize-window -t t -x 20 -y 3
see 'the smallest is no reason to end' "^>127.0.0"
in_tmux resize-window -t t -x 160 -y 40
see 'a wide one shows all' 'MODE +STATE.*LEFT.*P50 +P95 +P99'

# ---------------------------------------------------------------------- ends --

press q
# tmux moves what stood there before when the size changes: the rest of the line may be old
see 'q ends it' '^status=0'
enter "stty -a >$scratch/stty.after"
wait_for 5 test -s "$scratch/stty.after"
# the size was changed from outside
check 'and gives the terminal back' diff <(grep -v rows "$scratch/stty.before") <(grep -v rows "$scratch/stty.after")
is 'with its own screen, and a cursor' "$(terminal '#{alternate_on} #{cursor_flag}')" '0 1'

# end_by SIGNAL
end_by() {
	enter "clear; $top; echo status=\$?"
	see "$1: it runs" '^ ebb top '
	kill -"$1" "$(pgrep -f "^ebb top --pin $pin ")"
	see "$1 ends it in order" '^status=0$'
	is "$1: the terminal is given back" "$(terminal '#{alternate_on} #{cursor_flag}')" '0 1'
	rm -f "$scratch/stty.after"
	enter "stty -a >$scratch/stty.after"
	wait_for 5 test -s "$scratch/stty.after"
	check "$1: with all its settings" diff <(grep -v rows "$scratch/stty.before") <(grep -v rows "$scratch/stty.after")
}
end_by TERM
end_by INT

enter "clear; $top; echo status=\$?"
see 'Ctrl-C: it runs' '^ ebb top '
press C-c
see 'Ctrl-C ends it, too' '^status=0$'

# --------------------------------------------------------- kinds of terminal --

# leave: ends it, and waits for the shell, so that nothing is seen of what was
leave() {
	press q
	wait_for 10 shows '^@ ?$'
}
styles() { in_tmux capture-pane -p -e -t t; }
# 31 to 37: colours of letters
coloured() { styles | grep -q $'\e\\[[0-9;]*3[1-7]m'; }
bright() { styles | grep -q $'\e\\[[0-9;]*1m'; }
enter "clear; $top"
see 'colours: it runs' '^ breakers '
check 'states have colours' coloured
leave
enter "clear; TERM=vt100 $top"
see 'a monochrome terminal shows states as words' "^.127.0.0.1:$bad/tcp .* open "
refute 'without colours' coloured
check 'what is bad is bright' bright
leave
enter "clear; NO_COLOR=1 $top"
see 'NO_COLOR: it runs' '^ breakers '
refute 'NO_COLOR is respected' coloured
leave
enter "clear; LC_ALL=C $top"
see 'a terminal that knows ASCII only gets that' 'STATEv'
leave
enter "clear; TERM=no-such-terminal $top; echo status=\$?"
see 'an unknown kind of terminal is told' "^ebb top: the kind of terminal 'no-such-terminal' is unknown"
see 'and is a failure' '^status=1$'
enter "clear; TERM=dumb $top; echo status=\$?"
see 'and so is one that is too plain' "^ebb top: the kind of terminal 'dumb' is unknown or too plain"
see 'with the same end' '^status=1$'

# ------------------------------------------------------------ without terminal --

frame=$(ebb top --delay 100ms)
like 'without a terminal it is one frame' "$frame" "breakers [0-9]+ closed   1 open.*127.0.0.1:$bad/tcp .* open "
like 'of all rows' "$frame" "127.0.0.1:$good/tcp"
frame=$(ebb top --once --delay 100ms --filter "1:$good" --sort connects)
like 'with a filter' "$frame" "127.0.0.1:$good/tcp"
refute 'that leaves others out' grep -q ":$bad/" <<<"$frame"
is 'a wrong option is wrong use' "$(ebb top --sort nothing 2>&1 >/dev/null; echo "$?")" \
	"ebb top: --sort: 'nothing' is not possible: one of name, workload, mode, state, left, active, connects, failed, denied, would, turns, turn_p50, turn_p95, turn_p99, out, in, dropped, p50, p95, p99, mean, limits
2"
is 'nothing pinned' "$(timeout 20 "$ebb_program" top --pin "$pin-none" 2>/dev/null; echo "$?")" 5

# without_ncurses COMMAND...: where the library is an empty file
library=$(ldconfig -p | sed -n 's/.*libncursesw\.so\.6 .*=> //p' | head -1)
without_ncurses() {
	# shellcheck disable=SC2016 # for the other shell
	unshare --mount "$BASH" -c 'mount --bind /dev/null "$(readlink -f "$1")" && shift && exec "$@"' - "$library" "$@"
}
like 'every other command runs without ncurses' "$(without_ncurses timeout 20 "$ebb_program" list --pin "$pin" 2>&1)" '^DESTINATION'
like 'and so does one frame' "$(without_ncurses timeout 20 "$ebb_program" top --once --delay 100ms --pin "$pin" 2>&1)" '^ ebb top'
like 'live, what is missing is told' \
	"$(without_ncurses script -qec "timeout 20 $ebb_program top --pin $pin" /dev/null </dev/null 2>&1)" \
	'ebb top: cannot load libncursesw.so.6: install ncurses'

# ------------------------------------------------------------- the agent's end --

enter "clear; $top; echo status=\$?"
see 'the agent runs' 'agent running'
stop_agent KILL
see 'a silent agent is told' 'agent silent for [0-9.]+s, its lease holds for'
see 'a dead one, too' "agent dead, its lease is over since .*: start 'ebb run'"
start_agent --mode enforce --lease 4s
see 'and one that came back' 'agent running'
stop_agent
see 'one that ended in order' "agent none: start 'ebb run'"
timeout 20 "$ebb_program" detach --pin "$pin" >/dev/null
see 'when the pins are removed it says so' "^ebb top: the maps in '$pin' were removed: start 'ebb run'"
see 'and ends' '^status=5$'
is 'in order' "$(terminal '#{alternate_on} #{cursor_flag}')" '0 1'

stop_tmux
done_testing
