#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Ruling 2: one workload whose network is blocked opens no destination for the others. It gets a
# gate of its own, which refuses it alone; when its network is whole again it is with the others
# again. And loopback of two network namespaces never mixes.
# deadline: 90

# SC2119: functions with optional arguments; SC2317: functions that are arguments
# shellcheck disable=SC2119,SC2317
# shellcheck source=../lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

# as WORKLOAD NETNS ADDRESS PORT [OPTION...]: from a cgroup below ours
as() {
	in_cgroup -c "$1" nsenter --net="/run/netns/$2" "$python" -S "$root/tests/lib/connect.py" "${@:5}" "$3" "$4"
}

# with_blocked_network: a third namespace from which $peer is reached, too, but for what nft stops.
blocked=$test_id-c
add_blocked() {
	ip netns add "$blocked" &&
		ip -n "$blocked" link add ve1 type veth peer name ve1 netns "$peer" &&
		ip -n "$blocked" link set lo up &&
		ip -n "$blocked" address add 10.9.7.1/24 dev ve1 &&
		ip -n "$blocked" link set ve1 up &&
		ip -n "$peer" address add 10.9.7.2/24 dev ve1 &&
		ip -n "$peer" link set ve1 up &&
		ip -n "$blocked" route add 10.9.8.0/24 via 10.9.7.2
}
block() {
	ip netns exec "$blocked" nft -f - <<NFT
table inet wall {
	chain out {
		type filter hook output priority 0;
		ip daddr 10.9.8.2 tcp dport $port tcp flags & (syn | ack) == syn reject with tcp reset
	}
}
NFT
}
unblock() { ip netns exec "$blocked" nft delete table inet wall; }

name() { echo "10.9.8.2:$port/tcp"; }
rows() { ebb list -o json | json "sorted(((r['workload'] or '-').split('/')[-1], r['state'], r['apart']) for r in d['destinations'] if r['destination'] == '$(name)')"; }
rows_are() { [ "$(rows)" = "$1" ]; }
own_state() { ebb list -o json | json "[r['state'] for r in d['destinations'] if r['destination'] == '$(name)' and r['apart']]"; }
own_is() { [ "$(own_state)" = "[\"$1\"]" ]; }
denied() { ebb show -o json "10.9.8.2:$port" | json "next(sum(w['denied'].values()) for w in d['workloads'] if w['workload'].endswith('/$1'))"; }
metric() { http_get /metrics | sed -n "s|^ebb_breaker_state{destination=\"$(name)\",workload=\"$1\",.*state=\"open\"} ||p"; }

make_network
add_blocked || bail 'cannot make a third namespace'
start_agent --mode enforce --errno ehostunreach \
	--breaker consecutive_failures=3,min_calls=1000000,window=2s,open_for=1s,open_max=1s,open_jitter=0

# ------------------------------------------------------------- one has a blocked network --

start_server --netns "$peer" --address 10.9.8.2
block || bail 'nft does not work here'
touch "$scratch/go"
as well "$client" 10.9.8.2 "$port" --count 0 --while "$scratch/go" --every 0.02 --sum >"$scratch/well" &
well=$!
served() { [ "$(gate "10.9.8.2:$port/tcp" 'd["attempts"]' 2>/dev/null || echo 0)" -ge 5 ]; }
check 'one workload is served' wait_for 10 served
# as fast as it can: the kernel alone must know that this is not the destination
as ill "$blocked" 10.9.8.2 "$port" --count 1000 --until EHOSTUNREACH --timeout 1 >"$scratch/ill"
is 'a workload whose network is blocked is refused after its failures' "$(tail -1 "$scratch/ill")" EHOSTUNREACH
check 'and not before the third' [ "$(grep -c ECONNREFUSED "$scratch/ill")" -ge 3 ]
note <<<"after $(grep -c ECONNREFUSED "$scratch/ill") failures"
is 'it has a breaker of its own' "$(rows)" '[["-", "closed", false], ["ill", "open", true]]'
check 'whose opening the agent tells' logged "breaker moved: destination=10.9.8.2:$port/tcp workload=[^ ]*/ill from=closed to=open reason=consecutive_failures"
is 'list says so at the destination' "$(ebb list | awk -v name="$(name)" '$1 == name && !/ill/ {print /closed, 1 apart/ ? "yes" : "no"}')" yes
check 'show says who and why' grep -q 'all that failed was its own' <(ebb show "10.9.8.2:$port")
is 'metrics have its breaker' "$(metric "/$test_id/ill")" 1
is 'and that of the others' "$(metric '')" 0

# it goes on, through several openings and their probes
as ill "$blocked" 10.9.8.2 "$port" --seconds 4 --count 0 --sum --timeout 1 >/dev/null
is 'it stays apart while it fails' "$(own_state | sed 's/half_open/open/')" '["open"]'
is 'the other was never refused' "$(denied well)" 0

# ------------------------------------------------------------------------ a new agent --

before=$(ebb show -o json "10.9.8.2:$port" | json 'next(g["transition_count"] for g in d["gates"] if g["apart"])')
stop_agent KILL
start_agent --mode enforce --errno ehostunreach \
	--breaker consecutive_failures=3,min_calls=1000000,window=2s,open_for=1s,open_max=1s,open_jitter=0
check 'a new agent takes it up where it stands' [ "$(ebb show -o json "10.9.8.2:$port" | json 'next(g["transition_count"] for g in d["gates"] if g["apart"])')" -ge "$before" ]

# ------------------------------------------------------------------------------- healed --

unblock
as ill "$blocked" 10.9.8.2 "$port" --count 0 --while "$scratch/go" --every 0.05 --timeout 1 >"$scratch/healed" &
healed=$!
check 'healed: its breaker closes' wait_for 10 own_is closed
check 'healed: a window later it is with the others again' wait_for 10 rows_are '[["-", "closed", false]]'
rm "$scratch/go"
wait "$well" "$healed"
is 'healed: it is served' "$(tail -1 "$scratch/healed")" OK
is 'in all that time the other saw no failure and no refusal' "$(sed 's/=.*//' "$scratch/well")" OK

# ------------------------------------------------------------------ where it is the server --

stop_server
is 'where all fail the gate of all opens' "$(as ill "$blocked" 10.9.8.2 "$port" --count 2 >/dev/null
	as well "$client" 10.9.8.2 "$port" --count 20 --every 0.01 --until EHOSTUNREACH | tail -1)" EHOSTUNREACH
is 'and nobody is apart' "$(rows)" '[["-", "open", false]]'

# ------------------------------------------------------------------------- loopback of two --

start_server --netns "$blocked" --address 127.0.0.1
as well "$blocked" 127.0.0.1 "$port" --count 0 --seconds 2 --every 0.02 --sum >"$scratch/alive" &
alive=$!
is 'loopback: one of two namespaces has nobody there' \
	"$(as ill "$client" 127.0.0.1 "$port" --count 10 --until EHOSTUNREACH | tail -1)" EHOSTUNREACH
wait "$alive"
is 'loopback: the other is served' "$(sed 's/=.*//' "$scratch/alive")" OK
is 'loopback: a gate for each, and none of all' \
	"$(ebb list -o json | json "sorted((r['workload'].split('/')[-1], r['state'] != 'closed', r['apart']) for r in d['destinations'] if r['destination'] == '127.0.0.1:$port/tcp')")" \
	'[["ill", true, false], ["well", false, false]]'
stop_server
stop_agent

done_testing
