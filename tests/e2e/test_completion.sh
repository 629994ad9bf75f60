#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Completion of bash, zsh and fish: the shells themselves, in a terminal, with the key that people press.
# shellcheck disable=SC2119,SC2317

# shellcheck source=tests/lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"
# shellcheck source=tests/lib/tmux.sh
. "$(dirname "$0")/../lib/tmux.sh"

scripts=$root/deploy/completion
start_tmux
start_agent
start_server
connect 127.0.0.1 "$port" >/dev/null
name=127.0.0.1:$port/tcp
wait_for 10 is_state "$port" closed || bail 'there is no destination'

# completed TYPED WANTED NAME: types, presses Tab, and sees the line become that.
completed() {
	press C-u
	in_tmux send-keys -t t -l -- "$1"
	press Tab
	see "$3" "^@ $2 *\$"
}

# offered TYPED WANTED NAME: two Tabs list it.
offered() {
	press C-u
	in_tmux send-keys -t t -l -- "$1"
	press Tab Tab
	see "$3" "$2"
	press C-c
	enter clear
}

# ask WORD...: what the program itself answers.
ask() { timeout 20 "$ebb_program" __complete "$@"; }

# ---------------------------------------------------------------- program --

is 'destinations of the maps are known' "$(ask show --pin "$pin" 127)" "$name"
is 'and workloads' "$(ask list --pin "$pin" --workload /)" "/$test_id"
is 'without an agent nothing is said' "$(ask show --pin "$pin-none" '' 2>&1; echo "$?")" 0
is 'nor without the right to look' "$(setpriv --reuid 65534 --regid 65534 --clear-groups \
	timeout 20 "$ebb_program" __complete show --pin "$pin" '' 2>&1; echo "$?")" 0

# ------------------------------------------------------------------- bash --

open_terminal 120 40
enter "source $scripts/ebb.bash; clear"
completed 'ebb sta' 'ebb status' 'bash: a command'
completed 'ebb limit cl' 'ebb limit clear' 'bash: the second word of one'
completed 'ebb list --sor' 'ebb list --sort' 'bash: an option'
completed 'ebb list --sort fai' 'ebb list --sort failed' 'bash: its value'
completed 'ebb list --sort=fai' 'ebb list --sort=failed' 'bash: joined to it'
completed 'ebb run --mode enf' 'ebb run --mode enforce' 'bash: a choice of the configuration'
completed 'ebb run --breaker min_' 'ebb run --breaker min_calls=' 'bash: a key, that is not the end'
# colons divide words for bash: none may be doubled
completed "ebb show --pin $pin 127" "ebb show --pin $pin $name" 'bash: a destination'
completed "ebb show --pin $pin 127.0.0.1:" "ebb show --pin $pin $name" 'bash: behind a colon'
completed "ebb show --pin=$pin ${name%?}" "ebb show --pin=$pin $name" 'bash: up to its last letter'
completed "ebb show --pin /sys/fs/bp" 'ebb show --pin /sys/fs/bpf/?' 'bash: a directory'
offered 'ebb ' 'config .*status' 'bash: all commands'

# -------------------------------------------------------------------- zsh --

open_terminal 120 40
enter "PS1='@ ' zsh -f"
wait_for 10 shows '^@ ?$'
enter "fpath=($scripts \$fpath); autoload -Uz compinit; compinit -u -d $scratch/zcompdump; clear"
wait_for 10 test -s "$scratch/zcompdump" || bail "zsh does not complete: $(screen)"
completed 'ebb sta' 'ebb status' 'zsh: a command'
completed 'ebb limit cl' 'ebb limit clear' 'zsh: the second word of one'
completed 'ebb list --sor' 'ebb list --sort' 'zsh: an option'
completed 'ebb list --sort fai' 'ebb list --sort failed' 'zsh: its value'
completed 'ebb list --sort=fai' 'ebb list --sort=failed' 'zsh: joined to it'
completed 'ebb run --breaker min_' 'ebb run --breaker min_calls=' 'zsh: a key, that is not the end'
completed "ebb show --pin $pin 127" "ebb show --pin $pin $name" 'zsh: a destination'
completed "ebb show --pin /sys/fs/bp" 'ebb show --pin /sys/fs/bpf/?' 'zsh: a directory'
offered 'ebb li' 'list +-- destinations with their state' 'zsh: with what it means'

# ------------------------------------------------------------------- fish --

# fish_says LINE: what fish would offer for it
fish_says() {
	# shellcheck disable=SC2016 # fish's own
	env PATH="$EBB_BUILD:$PATH" HOME="$scratch" TERM=dumb timeout 20 fish --no-config \
		-c 'source $argv[1]; complete -C $argv[2]' "$scripts/ebb.fish" "$1" 2>&1
}
like 'fish: a command, with what it means' "$(fish_says 'ebb sta')" $'^status\tthe node at a glance'
is 'fish: the second word of one' "$(fish_says 'ebb limit cl' | cut -f1)" clear
is 'fish: an option' "$(fish_says 'ebb list --sor' | cut -f1)" --sort
is 'fish: its value' "$(fish_says 'ebb list --sort fai')" failed
is 'fish: joined to it' "$(fish_says 'ebb list --sort=fai')" --sort=failed
is 'fish: a destination' "$(fish_says "ebb show --pin $pin 127")" "$name"
like 'fish: a directory' "$(fish_says 'ebb show --pin /sys/fs/bp')" '^/sys/fs/bpf/'
is 'fish: no files where none are meant' "$(cd / && fish_says "ebb show --pin $pin e")" ''

stop_tmux
done_testing
