# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
#
# Networks that lose, delay and reorder, made by netem, between real clients and a real server, under the defaults of the breaker. What must
# come of them follows from the policy (docs/configuration.md), with a share of 0.3 of what the clients send lost:
#
#   A connect fails by timeout when its SYN and the first repetition of it are both lost (syn_retries: 2): 0.3 * 0.3, one of
#   eleven. One that lost a single SYN is established 1 s later, and counts as any other. Half of the results, or
#   five in a row, must have failed for a breaker to open: at a loss of 0.3 neither comes to pass, it would take 0.7. That
#   five in a row are lost has a chance of 0.09^5, 6 in a million for each connect: it may come once, so one more try is allowed.
#
#   Delay and reordering fail nothing. In a black hole each connect has failed when the second repetition is due: 3 s after
#   the first SYN, 2 s from Linux 6.5 on. The fifth in a row opens the breaker, or the one that makes half of what the window holds.
far=10.9.8.2
target=$far:8080/tcp
requests_each=15

far_network() {
	/real/ip netns add far &&
		/real/ip link add near type veth peer name far netns far &&
		/real/ip address add 10.9.8.1/24 dev near && /real/ip link set near up &&
		/real/ip -n far address add $far/24 dev far && /real/ip -n far link set far up &&
		printf '%s\n' 'user root; pid /tmp/nginx.pid; error_log /tmp/nginx.log;' 'events {}' \
			"http { access_log off; keepalive_timeout 0; server { listen $far:8080; root /tmp/www; } }" >/tmp/nginx.conf &&
		dd if=/dev/urandom of=/tmp/www/much bs=64k count=16 2>/dev/null &&
		mkdir -p /var/lib/nginx /var/log/nginx &&
		/real/ip netns exec far /real/nginx -c /tmp/nginx.conf -e /tmp/nginx.log
}
# near_is WHAT..., far_is WHAT...: what is sent from there
near_is() { /real/tc qdisc replace dev near root netem limit 10000 "$@"; }
far_is() { /real/ip netns exec far /real/tc qdisc replace dev far root netem limit 10000 "$@"; }
is_as_ever() {
	/real/tc qdisc del dev near root
	/real/ip netns exec far /real/tc qdisc del dev far root 2>/dev/null
	return 0
}

# fetch NUMBER PATH: one after the other, each on a connection of its own; a line 'STATUS BYTES SECONDS-TO-CONNECT' each
fetch() {
	client /real/curl -s -o /dev/null --max-time 120 -w '%{http_code} %{size_download} %{time_connect}\n' "http://$far:8080/$2?[1-$1]"
}
# at_once LANES NUMBER PATH: the lines of all are in /tmp/fetched
at_once() {
	lanes=
	for lane in $(seq "$1"); do
		fetch "$2" "$3" >"/tmp/fetched.$lane" &
		lanes="$lanes $!"
	done
	# shellcheck disable=SC2086  # a list of words
	wait $lanes
	cat /tmp/fetched.* >/tmp/fetched
	rm /tmp/fetched.*
}
# answered NUMBER [BYTES]: so many were, and no other came to anything else
answered() {
	sort /tmp/fetched | uniq -c
	[ "$(wc -l </tmp/fetched)" = "$1" ] && [ "$(grep -c "^200 ${2:-6} " /tmp/fetched)" = "$1" ]
}

# count METRIC LABEL: of the far server, all workloads together
count() { metrics | awk -v name="^$1{" -v label="$2" '$0 ~ name && index($0, "destination=\"'$target'\"") && index($0, label) { n += $NF } END { print n + 0 }'; }
failures() { count ebb_connection_failures_total '"'; }
timeouts() { count ebb_connects_total '"timeout"'; }
denied() { count ebb_denied_total '"'; }
trips() { grep -c "breaker moved: destination=$target .*from=closed" /tmp/log; }
state() { ebb show "$target" -o json | sed -n 's/^.*"state": *"\([a-z_]*\)".*$/\1/p' | head -1; }
is_state() { [ "$(state)" = "$1" ]; }
failed_by_now() { [ "$(failures)" = "$1" ]; }
idle() { [ "$(count ebb_active_connections '"')" = 0 ]; }

now_ms() { awk '{ print int($1 * 1000) }' /proc/uptime; }

# slow_connects SECONDS: how many took at least so long
slow_connects() { awk -v least="$1" '$3 >= least' /tmp/fetched | wc -l; }
retried() { awk '/^TcpExt:/ { if (n++) print $at; else for (at = NF; $at != "TCPSynRetrans"; at--); }' /proc/net/netstat; }

# The second repetition of a SYN is due after 3 s; from 6.5 on after 2 s. Between that and 1 s, for the first:
given_up=2
case $(uname -r) in
[0-5].* | 6.[0-4].*) ;;
*) given_up=1.5 ;;
esac

lossy() {
	near_is loss 30%
	before=$(failures)
	timeouts_before=$(timeouts)
	at_once 4 $requests_each index.html
	is_as_ever
	[ "$(trips)" = 0 ]
}

begin_agent
governs
check 'there is a network with a far server' far_network
at_once 4 5 index.html
check 'it answers' answered 20
check 'nothing has failed' failed_by_now 0

if ! lossy; then
	note 'the breaker opened at 30% loss: tried once more'
	wait_for 60 is_state half_open
	fetch 3 index.html >/dev/null
	wait_for 60 is_state closed
	: >/tmp/log
	lossy
fi
late=$(slow_connects $given_up)
check '30% loss: all are answered' answered $((4 * requests_each))
check '30% loss: no breaker opens' test "$(trips)" = 0
check '30% loss: those fail whose SYN was lost twice, and no others' wait_for 30 failed_by_now $((before + late))
check '30% loss: by timeout' test $(($(timeouts) - timeouts_before)) = "$late"
note "30% loss: $late of $((4 * requests_each)) connects lost two SYNs, $(($(slow_connects 0.9) - late)) lost one; $(retried) SYNs were sent again"

before=$(failures)
near_is delay 500ms
at_once 2 3 index.html
is_as_ever
check '500 ms of delay: all are answered' answered 6
check '500 ms of delay: connects take so long' test "$(slow_connects 0.5)" = 6
check '500 ms of delay: nothing fails, no breaker opens' test "$(failures) $(trips)" = "$before 0"

near_is delay 20ms reorder 50% 50%
far_is delay 20ms reorder 50% 50%
at_once 2 2 much
reordered=$(awk '/^TcpExt:/ { if (n++) print $at; else for (at = NF; $at != "TCPOFOQueue"; at--); }' /proc/net/netstat)
is_as_ever
check 'reordering: all comes' answered 4 1048576
check 'reordering: there was some' test "$reordered" -gt 0
check 'reordering: nothing fails, no breaker opens' test "$(failures) $(trips)" = "$before 0"
check 'nobody was refused' test "$(denied)" = 0

near_is loss 100%
begin=$(now_ms)
lanes=
for _ in 1 2 3 4 5 6; do
	client /real/curl -s -o /dev/null --max-time 600 "http://$far:8080/" &
	lanes="$lanes $!"
done
check 'black hole: the breaker opens' wait_for 60 is_state open
after=$(($(now_ms) - begin))
check 'black hole: not before the second repetition of a SYN' test "$after" -gt "${given_up%.*}900"
check 'black hole: by timeouts' logged "destination=$target .*from=closed to=open reason=.* last_failure=timeout"
note "black hole: open $after ms after the first connect"
refute 'black hole: the next connect is refused at once' client /real/curl -s -o /dev/null --max-time 1 "http://$far:8080/"
check 'black hole: by the breaker' test "$(count ebb_denied_total '"breaker"')" -ge 1
# shellcheck disable=SC2086  # a list of words
kill $lanes
is_as_ever
begin=$(now_ms)
back() { fetch 1 index.html >/tmp/fetched; answered 1; }
check 'healed: it is answered again' wait_for 120 back
note "healed: answered $(($(now_ms) - begin)) ms later"
closed() { back; is_state closed; }
check 'healed: the breaker closes' wait_for 120 closed
check 'nothing of it is held' wait_for 60 idle
end_agent
