# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2119,SC2154,SC2317
# Sourced after e2e.sh: a terminal that a test types into and reads, of tmux on a socket of its own.

export TMUX_TMPDIR=$scratch

in_tmux() { tmux -L ebb "$@"; }

# start_tmux: with options that no file of the user changes.
start_tmux() {
	# its own client finds no terminal, and says so
	background tmux -L ebb -f /dev/null -D 2>/dev/null
	wait_for 10 in_tmux list-commands || bail 'tmux does not start'
}

# open_terminal WIDTH HEIGHT [VARIABLE=VALUE...]: a shell in it, with our ebb first in PATH.
open_terminal() {
	local width=$1 height=$2
	shift 2
	in_tmux kill-session -t t 2>/dev/null
	in_tmux new-session -d -x "$width" -y "$height" -s t \
		env PATH="$EBB_BUILD:$PATH" LC_ALL=C.UTF-8 HOME="$scratch" PS1='@ ' "$@" bash --norc --noprofile
	wait_for 10 shows '^@ ?$' || bail "no shell in the terminal: $(screen)"
}

# stop_tmux: and waits for what ran in it: a shell may linger over its history when its terminal goes.
stop_tmux() {
	local pid pids
	pids=$(in_tmux list-panes -a -F '#{pane_pid}')
	for pid in $pids; do pids+=" $(ps -o pid= --ppid "$pid")"; done
	in_tmux kill-server
	for pid in $pids; do
		wait_for 2 gone "$pid" || kill -KILL "$pid"
	done
}

# press KEY...: as tmux calls them; Enter, Escape, Up, C-u, x.
press() { in_tmux send-keys -t t -- "$@"; }
# enter TEXT: types it, and Enter.
enter() {
	in_tmux send-keys -t t -l -- "$1"
	press Enter
}

screen() { in_tmux capture-pane -p -t t; }
# shows REGULAR-EXPRESSION: some line of the screen.
shows() { screen | grep -Eq -- "$1"; }
hides() { ! shows "$1"; }

# see NAME REGULAR-EXPRESSION: does the screen show it soon? What it shows instead is told.
see() {
	if wait_for 10 shows "$2"; then ok "$1"; else not_ok "$1" "no line: $2" "$(screen)"; fi
}
# lose NAME REGULAR-EXPRESSION: is it soon gone from the screen?
lose() {
	if wait_for 10 hides "$2"; then ok "$1"; else not_ok "$1" "still there: $2" "$(screen)"; fi
}

# terminal FORMAT: what tmux knows of it, such as '#{cursor_flag}'.
terminal() { in_tmux display-message -p -t t "$1"; }
