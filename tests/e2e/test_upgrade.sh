#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# An upgrade to an ebb whose maps have another layout: it is built here from these very sources, with
# fields moved, widened and added. It takes over without a gap: no connect fails, none slips past an
# open breaker; state, limits given by hand and counters go on; open connections are found again. The
# way back is refused. An upgrade that was killed half way is made again.
# deadline: 300

# SC2119: functions with optional arguments; SC2317: functions that are arguments
# shellcheck disable=SC2119,SC2317
# shellcheck source=../lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

breaker=consecutive_failures=3,open_for=120s,open_max=120s,open_jitter=0
flags=(--mode enforce --errno ehostunreach --breaker "$breaker")
now=$ebb_program

# ------------------------------------------------------------------------- the next layout --

later=$scratch/later
mkdir "$later"
cp -r "$root"/{Makefile,bpf,user,vmlinux,tools} "$later"
find "$later" -name '*.[ch]' -exec sed -i -E 's/\b(ebb_[a-z]+)_v2\b/\1_v3/g' {} +
"$python" -S - "$later/bpf/abi.h" <<'END' || bail 'bpf/abi.h is not as this test knows it'
import sys

text = open(sys.argv[1]).read()


def replace(old, new):
    global text
    assert text.count(old) == 1, old
    text = text.replace(old, new)


replace('#define EBB_ABI_VERSION 2', '#define EBB_ABI_VERSION 3')
# moved, and one more
replace('\t__u64\tattempts;', '\t__u64\tborn;\n\t__u64\tattempts;')
replace('see ebb_turn_bucket() */\n\t__u64\tpad[5];\n', 'see ebb_turn_bucket() */\n\t__u64\tpad[4];\n')
# two that change places
replace('\t__u32\tepoch;\t\t\t/* + 1 each time the slot gets a new owner */\n', '')
replace('/* enum ebb_scope */\n\t__u64\tcreated_ns;', '/* enum ebb_scope */\n\t__u32\tepoch;\n\t__u64\tcreated_ns;')
# a longer array in a value that grows
replace('#define EBB_TRANSITIONS_KEPT 4', '#define EBB_TRANSITIONS_KEPT 6')
replace('56 + 4 * 48', '56 + 6 * 48')
open(sys.argv[1], 'w').write(text)
END
make -C "$later" -j"$(nproc)" BUILD="$later/build" OPTIMIZE=-O1 all >"$scratch/make.log" 2>&1 ||
	bail "the next layout does not build: $(tail -3 "$scratch/make.log")"
next=$later/build/ebb

# ------------------------------------------------------------------------------ before it --

start_server --hold
holds=$port
start_server
alive=$port
start_server
dead=$port
hold() {
	background sh -c "echo \$\$ >'$cgroup/cgroup.procs'; exec '$python' -S '$root/tests/lib/connect.py' --hold 600 127.0.0.1 $holds" >/dev/null
	held+=("$!")
}
held=()
hold # before the agent
established() { ss -Htn state established "dport = :$holds" | grep -q .; }
wait_for 5 established || bail 'nobody connects before the agent'
start_agent "${flags[@]}"
connect --count 7 --sum 127.0.0.1 "$alive" >/dev/null
connect --count 2 --sum 127.0.0.1 "$dead" >/dev/null
stop_server "$server"
connect --count 8 --sum 127.0.0.1 "$dead" >/dev/null
wait_for 5 logged 'to=open' || bail 'the breaker does not open'
connect 127.0.0.1 "$holds" >/dev/null
check 'a limit by hand' timeout 20 "$now" limit set "127.0.0.1:$holds" --pin "$pin" --concurrent 40 --for 1h
hold
is_active() { [ "$(gate "$holds" 'd["active"]')" = "$1" ]; }
wait_for 5 is_active 2 || bail 'two connections are to be held'

# What must be the same afterwards. Times in seconds: where they are worked out, two clocks are read.
remembered() {
	gate "$1" '(d["state"], d["open_until_timestamp"] and round(d["open_until_timestamp"]), d["attempts"], d["failures"], d["denied"], d["active"])'
	ebb show -o json "127.0.0.1:$1" | json '[d["created_timestamp"] and round(d["created_timestamp"]), d["slot"],
		d["gates"][0]["trips"], [(t["reason"], t["run"], round(t["timestamp"])) for t in d["gates"][0]["transitions"]]]'
}
in_use() { gate "$holds" 'd["concurrent"]["in_use"]'; }
holds_slots() { [ "$(in_use)" = "$1" ]; }
pinned_layouts() { find "$pin" -name 'ebb_*_v*' | sed 's/.*_v//' | sort -u | tr '\n' ' '; }

alive_before=$(remembered "$alive")
holds_before=$(remembered "$holds")
dead_before=$(remembered "$dead")
check 'before: two hold a slot' wait_for 5 holds_slots 2
check 'before: one was adopted, and is armed' logged 'adopted connections are paced, and seen to end: count=1'
is 'before: maps of one layout' "$(pinned_layouts)" '2 '

# -------------------------------------------------------------- the upgrade, under traffic --

touch "$scratch/traffic"
connect --count 0 --while "$scratch/traffic" --sum --reset 127.0.0.1 "$alive" >"$scratch/alive.sum" &
traffic=("$!")
connect --count 0 --while "$scratch/traffic" --sum 127.0.0.1 "$dead" >"$scratch/dead.sum" &
traffic+=("$!")
grown() { [ "$(gate "$alive" 'd["attempts"]')" -gt "$1" ]; }
wait_for 10 grown "$(gate "$alive" 'd["attempts"]')" || bail 'there is no traffic'
stop_agent
# somebody tried before us, and was killed while it filled its maps
bpftool map create "$pin/ebb_gate_v3" type array key 4 value 8 entries 1 name ebb_gate_v3
ebb_program=$next
fails_now() { ! timeout 20 "$now" list --pin "$pin" >/dev/null 2>"$scratch/refused"; }
start_agent "${flags[@]}"
wait_for 10 grown "$(gate "$alive" 'd["attempts"]')" || bail 'there is no traffic'
rm "$scratch/traffic"
wait "${traffic[@]}"
like 'not one connect failed' "$(cat "$scratch/alive.sum")" '^OK=[0-9]+$'
like 'not one slipped past the open breaker' "$(cat "$scratch/dead.sum")" '^EHOSTUNREACH=[0-9]+$'
check 'it says what it moved, and what begins anew' \
	logged 'maps of layout v2 moved to v3: endpoints=3 pairs=3; .* begun anew: ebb_pair\.born$'
is 'the old maps are gone' "$(pinned_layouts)" '3 '
is 'all programs are attached' "$(ebb status -o json | json 'all(p["attached"] for p in d["programs"]) and len(d["programs"]) >= 6')" true

# --------------------------------------------------------------------------- what is left --

# counts of the traffic are not the same: what came between copy and exchange is not counted
still() { sed -E '1s/^\((.*), [0-9]+, ([0-9]+), [0-9]+, ([0-9]+)\)$/\1 \2 \3/' <<<"$1"; }
is 'the working destination as before' "$(still "$(remembered "$alive")")" "$(still "$alive_before")"
is 'the open breaker as before: state, end, transitions' \
	"$(still "$(remembered "$dead")")" "$(still "$dead_before")"
is 'the one with open connections as before' "$(remembered "$holds")" "$holds_before"
between 'counters go on' "$(gate "$alive" 'd["attempts"]')" \
	$((7 + $(sed 's/OK=//' "$scratch/alive.sum") / 2)) $((7 + $(sed 's/OK=//' "$scratch/alive.sum")))
is 'the open connections hold their slots' "$(in_use)" 2
like 'the limit given by hand stands' "$(ebb show "127.0.0.1:$holds")" 'concurrent +40'
end "${held[0]}"
end "${held[1]}"
check 'and they give them back' wait_for 5 is_active 0
is 'none is in use' "$(in_use)" 0
is 'none of the others is left active' "$(gate "$alive" 'd["active"]')" 0
is 'no gauge went below zero' "$(ebb status -o json | json 'd["errors"]["gauge_underflow"]')" 0

stop_agent
start_agent "${flags[@]}"
check 'the next start takes over as usual' logged ' started: .* maps="taken over"'
refute 'and moves nothing' logged 'moved to'
is 'with the open breaker' "$(connect 127.0.0.1 "$dead") $(state "$dead")" 'EHOSTUNREACH open'
check 'the older program does not guess' fails_now
like 'and says so' "$(cat "$scratch/refused")" "holds maps of layout v3, this ebb speaks v2: use the ebb that made them, or run 'ebb detach"
stop_agent
launch_agent "${flags[@]}" --pairs 77
wait_for 20 gone "$agent" || bail 'an agent with another capacity runs over the maps'
check 'ruling 15: another capacity needs a detach, and says so' \
	logged "have room for [0-9]+ destinations, 256 pairs and [0-9]+ endpoints, asked for are [0-9]+, 77 and [0-9]+: run 'ebb detach"
is 'ruling 15: nothing is touched' "$(connect 127.0.0.1 "$dead") $(state "$dead") $(pinned_layouts)" 'EHOSTUNREACH open 3 '

ebb_program=$now
launch_agent "${flags[@]}"
wait_for 20 gone "$agent" || bail 'the older agent runs over maps of a later layout'
check 'nor does its agent' logged 'holds maps of layout v3, this ebb speaks v2'
is 'and leaves them alone' "$(pinned_layouts)" '3 '

done_testing
