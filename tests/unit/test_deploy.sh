#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# deploy/bin with a kubectl, helm and ssh that only write down what they were asked: who is asked what, in which
# order; what is done when something fails half-way; that --dry-run changes nothing.
# deadline: 300
set -uo pipefail
export LC_ALL=C
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=../lib/tap.sh
. tests/lib/tap.sh

fake=$(mktemp -d)
trap 'rm -rf "$fake"' EXIT
export FAKE=$fake PATH=$fake/bin:$PWD/deploy/bin:$PATH
mkdir "$fake/bin"
status=0

# What they have in common: write it down, fail where the test says so ($FAKE/fail: a regular expression), answer.
cat >"$fake/bin/kubectl" <<'SH'
#!/bin/bash
line="${0##*/} $*"
case $line in
*'get pods'* | *'get --raw'* | *'get controllerrevisions'* | *curl*) ;;
*) printf '%s\n' "${line//$'\n'/ }" >>"$FAKE/calls" ;;
esac
if [ -s "$FAKE/fail" ] && grep -Eqf "$FAKE/fail" <<<"${line//$'\n'/ }"; then
	times=$(cat "$FAKE/times" 2>/dev/null || echo 1000)
	echo $((times - 1)) >"$FAKE/times"
	[ "$times" -le 0 ] || { cat "$FAKE/error" >&2 2>/dev/null; exit "$(cat "$FAKE/code" 2>/dev/null || echo 1)"; }
fi
case $line in
dpkg-query*) if [ -e "$FAKE/breaks" ]; then wc -l <"$FAKE/calls"; else echo 'install ok installed'; fi ;;
*'get controllerrevisions'*) cat "$FAKE/revisions" ;;
*'get pods'*) printf 'n1 ebb-a\nn2 ebb-b\n' ;;
*/metrics*)
	# each look finds 100 attempts more, and what the test wants of them
	looks=$(($(cat "$FAKE/looks" 2>/dev/null || echo 0) + 1))
	echo "$looks" >"$FAKE/looks"
	if [ -s "$FAKE/play" ]; then
		. "$FAKE/play"
		exit
	fi
	echo 'ebb_build_info{version="0.1.0",revision="x"} 1'
	echo "ebb_enforcement_active 1"
	echo 'ebb_breaker_state{destination="a b",state="open"} 1'
	echo "ebb_connects_total{destination=\"a b\",outcome=\"established\"} $((looks * 100))"
	echo "ebb_denied_total{destination=\"a b\",cause=\"breaker\",enforced=\"true\"} $((looks * $(cat "$FAKE/refused")))"
	echo "ebb_denied_total{destination=\"a b\",cause=\"breaker\",enforced=\"false\"} $((looks * 90))"
	;;
esac
# with $FAKE/host, what ssh is given is run, in the place of a host
if [ "${0##*/}" = ssh ] && [ -d "$FAKE/host" ] && [[ $line != *curl* ]]; then
	text=${!#}
	text=${text//\/run\//$FAKE/host/run/}
	exec sh -c "${text//\/var\//$FAKE/host/var/}"
fi
SH
chmod +x "$fake/bin/kubectl"
for name in ssh helm systemctl apt-get dpkg-query; do ln -s kubectl "$fake/bin/$name"; done

# run COMMAND...: sets status, calls, said
run() {
	rm -f "$fake/calls" "$fake/looks" "$fake/times"
	status=0
	said=$("$@" 2>&1) || status=$?
	calls=$(cat "$fake/calls" 2>/dev/null)
}
fails_at() { printf '%s' "$1" >"$fake/fail"; }
# twice COMMAND...: what fails does so two times
twice() { echo 2 >"$fake/times" && "$@"; }
quick=(--checks 2 --interval 0 --timeout 5)
echo 1 >"$fake/refused"
fails_at ''

for script in ebb-deploy ebb-rollback ebb-canary ebb-fleet-status; do
	run "$script" --help
	like "$script --help" "$status $said" "^0 $script: .*--dry-run"
	run "$script" --nonsense
	like "$script: wrong use" "$status $said" "^2 $script: '--nonsense' is not known; see $script --help"
	run "$script" --hosts '-oProxyCommand=x'
	like "$script: a host that is an option" "$status $said$calls" '^2 .* is no name of a host'
	run "$script" --hosts ' '
	like "$script: no host is no cluster" "$status $said$calls" "^2 $script: --hosts: there is no host in ' '; see $script --help$"
	run "$script" --timeout 08
	like "$script: a timeout that bash would read as octal" "$status $said$calls" "^2 $script: --timeout: '08' is no number of seconds"
done
for option in '--interval 08' '--shares 08' '--shares 10 101'; do
	run ebb-canary --node n9 "${option%% *}" "${option#* }"
	like "ebb-canary: $option" "$status $said$calls" "^2 .* '${option#* }' is no "
done

# ------------------------------------------------------------------- deploy

touch "$fake/ebb.deb" "$fake/ebb.yaml"
mkdir "$fake/chart"
run ebb-deploy --deb "$fake/ebb.deb" --hosts 'a b'
is 'hosts, one after the other' "$status $(grep -oE ' [ab] -- .*apt-get' <<<"$calls" | cut -c2 | tr '\n' '|')" '0 a|b|'
like 'it is root only who may write where the package lies before it is installed' "$calls" 'mkdir -p /var/cache/ebb; cd /var/cache/ebb.*cat >new\.deb; .*apt-get .* \./new\.deb'
like 'and one that came whole' "$calls" "echo '$(sha256sum <"$fake/ebb.deb" | cut -d' ' -f1)  new\.deb' \| sha256sum"
run ebb-deploy --deb "$fake/ebb.deb" --hosts a --ssh-config "$fake/ebb.yaml" --port 9999
like "ssh's own configuration" "$status $calls" "^0 ssh -F $fake/ebb.yaml "
fails_at '^ssh .* b -- .*apt-get'
run ebb-deploy --deb "$fake/ebb.deb" --hosts 'a b c'
like 'one that fails ends it, and the way back is told' "$status $said" "^1 .*b failed; done before: a; .*ebb-rollback --hosts 'a b'"
is 'those after it are not touched' "$(grep -c ' c ' <<<"$calls")" 0
fails_at 'health/ready'
run ebb-deploy --deb "$fake/ebb.deb" --hosts 'a b' --timeout 1
like 'so does one that does not become ready' "$status $said" "^1 .*a does not become ready: .*a failed; done before: none; .*back: ebb-rollback --hosts 'a'"
fails_at '^ssh .* b -- .*apt-get'
run ebb-deploy --deb "$fake/ebb.deb" --hosts 'a b' --ssh-config "$fake/ebb.yaml" --port 9999 --timeout 7
like 'the way back goes the same way' "$status $said" "^1 .*back: ebb-rollback --hosts 'a b' --ssh-config $fake/ebb\.yaml --port 9999 --timeout 7$"
fails_at '^ssh .* b -- .*cat >new'
run ebb-deploy --deb "$fake/ebb.deb" --hosts 'a b'
like 'it is not that of a host to which the package did not come' "$status $said" "^1 .*b failed; done before: a; .*back: ebb-rollback --hosts 'a'$"
fails_at '^ssh .* a -- .*cat >new'
run ebb-deploy --deb "$fake/ebb.deb" --hosts 'a b'
like 'there is none where nothing was changed' "$status $said" '^1 .*a failed; done before: none; not touched: the rest$'

# deploys NAME VERSION STATUS-AND-WHAT-IS-KEPT-THEN: on a host that is played. With $FAKE/breaks, dpkg says something else after apt-get.
mkdir -p "$fake/host/var/cache"
deploys() {
	echo "$2" >"$fake/$2.deb"
	run ebb-deploy --deb "$fake/$2.deb" --hosts a
	is "$1" "$status $(cd "$fake/host/var/cache/ebb" && cat current.deb previous.deb 2>/dev/null | tr '\n' ' ')" "$3"
}
fails_at ''
deploys 'a first package replaces none' v1 '0 v1 '
fails_at '^apt-get'
deploys 'nor does one with which apt-get does not begin' v2 '1 v1 '
fails_at ''
deploys 'the next' v2 '0 v2 v1 '
deploys 'the same once more' v2 '0 v2 v1 '
fails_at '^apt-get'
deploys 'nor later; what was replaced before is kept' v3 '1 v2 v1 '
like 'and there is no way back from it' "$said" 'not touched: the rest$'
run ebb-rollback --hosts a
is 'nor is one package lost when apt-get does not go back' "$status $(cat "$fake/host/var/cache/ebb/"{current,previous}.deb | tr '\n' ' ')" '1 v2 v1 '
fails_at '^apt-get .*new\.deb'
: >"$fake/breaks"
deploys 'one that breaks half-way replaces the one before' v3 '1 v2 v2 '
like 'and there is a way back' "$said" "back: ebb-rollback --hosts 'a'$"
rm "$fake/breaks"
run ebb-rollback --hosts a
is 'which is gone' "$status $(cat "$fake/host/var/cache/ebb/"{current,previous}.deb | tr '\n' ' ')" '0 v2 v2 '
fails_at ''
rm -r "$fake/host"
run ebb-deploy --manifests "$fake/ebb.yaml" --context prod --namespace x
is 'manifests' "$status $(tr '\n' '|' <<<"$calls")" \
	"0 kubectl --context=prod --namespace=x apply --filename $fake/ebb.yaml|kubectl --context=prod --namespace=x rollout status daemonset/ebb --timeout=300s|"
run ebb-deploy --chart "$fake/chart" --values "$fake/ebb.yaml"
like 'chart' "$status $(tr '\n' '|' <<<"$calls")" \
	"^0 helm upgrade --install ebb $fake/chart --namespace ebb --values $fake/ebb.yaml --wait --timeout 300s\|kubectl .*rollout status"
fails_at 'rollout status'
run ebb-deploy --manifests "$fake/ebb.yaml"
like 'a rollout that hangs' "$status $said" '^1 .*go on; back: ebb-rollback$'
run ebb-deploy --chart "$fake/chart" --namespace x --daemonset y --context 'a b'
like 'the way back is of the same cluster, by helm where that was it' "$status $said" '^1 .*; back: ebb-rollback --helm --namespace x --daemonset y --context a\\ b$'
fails_at ''

# ----------------------------------------------------------------- rollback

fails_at '^ssh .* a -- '
run ebb-rollback --hosts 'a b'
like 'rollback: a host that fails does not hold up the others' "$status $said" '^1 .*not back, or not ready: a$'
is 'both were asked' "$(grep -c 'allow-downgrades' <<<"$calls")" 2
fails_at ''
# revision NUMBER IMAGE [PERCENT] [DAEMONSET]: as kubectl prints one
revision() {
	local env='{"name":"A","value":"b"}'
	[ -z "${3-}" ] || env+=",{\"name\":\"EBB_MODE\",\"value\":\"enforce\"},{\"name\":\"EBB_DEFAULTS_ENFORCE_PERCENT\",\"value\":\"$3\"}"
	echo "$1 ${4-ebb} {\"spec\":{\"containers\":[{\"env\":[$env],\"image\":\"$2\",\"name\":\"ebb\"}]}}"
}
{ revision 9 v1 && revision 10 v2; } >"$fake/revisions"
run ebb-rollback
is 'rollback of a DaemonSet' "$status $(tr '\n' '|' <<<"$calls")" \
	'0 kubectl --namespace=ebb rollout undo daemonset/ebb --to-revision=9|kubectl --namespace=ebb rollout status daemonset/ebb --timeout=300s|'
# goes_to NAME STATUS-AND-REVISION
goes_to() {
	run ebb-rollback
	is "rollback $1" "$status $(sed -n 's/.*to-revision=//p' <<<"$calls")" "$2"
}
{ revision 1 v0 && revision 2 v1 && revision 4 v2 10 && revision 5 v2 50 && revision 6 v2; } >"$fake/revisions"
goes_to 'after a canary that went back: the version before, not the share' '0 2'
{ revision 1 v1 && revision 2 v1 100 && revision 3 v2 && revision 4 v2 100; } >"$fake/revisions"
goes_to 'while the canary goes on: the version before, which observes' '0 1'
{ revision 1 v1 && revision 2 v1 100; } >"$fake/revisions"
goes_to 'of a canary alone: nothing is before' '1 '
{ revision 7 v1 '' other && revision 8 v2; } >"$fake/revisions"
goes_to 'of a DaemonSet beside another' '1 '
fails_at controllerrevisions
goes_to 'without a list of revisions' '1 '
fails_at ''
run ebb-rollback --helm
like 'rollback of a release' "$status $calls" '^0 helm rollback ebb --namespace ebb --wait'

# ------------------------------------------------------------------- canary

orders() { grep -oE 'exec .*|set env .*|EBB_DEFAULTS_ENFORCE_PERCENT=%s.* [0-9]+ >|rm -f|ebb mode [a-z]+' <<<"$calls" | tr '\n' '|'; }
run ebb-canary --node n1 --shares '10 100' "${quick[@]}"
is 'canary: one node, then shares of all, then no order by hand' "$status $(orders)" \
	'0 exec ebb-a -- ebb mode enforce --for 15s|set env daemonset/ebb EBB_MODE=enforce EBB_DEFAULTS_ENFORCE_PERCENT=10|set env daemonset/ebb EBB_MODE=enforce EBB_DEFAULTS_ENFORCE_PERCENT=100|exec ebb-a -- ebb mode auto|'
echo 9 >"$fake/refused"
run ebb-canary --node n1 "${quick[@]}"
is 'too many are refused: back, before any other node is touched' "$status $(orders)" \
	'1 exec ebb-a -- ebb mode enforce --for 15s|exec ebb-a -- ebb mode auto|'
like 'and it says why' "$said" 'n1: a b is refused although it answers: 9 of 100 attempts, more than 5%; of 100 that got through 0 failed'
run ebb-canary --node n1 --max-refused 9 --shares 10 "${quick[@]}"
is 'as many as are allowed' "$status" 0
echo 1 >"$fake/refused"
fails_at 'proxy/health$'
run ebb-canary --node n1 "${quick[@]}"
like 'no answer: back' "$status $(orders) $said" '^1 .*ebb mode auto.*n1 does not answer'
echo 'Error from server (ServiceUnavailable): the server is currently unable to handle the request' >"$fake/error"
run twice ebb-canary --node n1 "${quick[@]}"
like 'unhealthy: back at once' "$status $said" '^1 .*n1 is unhealthy'
echo 'Error from server (ServiceUnavailable): error trying to reach service: connection refused' >"$fake/error"
run twice ebb-canary --node n1 "${quick[@]}"
is 'a pod that does not answer twice in a row is not yet so' "$status" 0
run ebb-canary --node n1 "${quick[@]}"
like 'three times it is' "$status $said" '^1 .*n1 does not answer: Error from server .*trying to reach'
rm "$fake/error"
fails_at 'PERCENT=50'
run ebb-canary --node n2 "${quick[@]}"
like 'a share that cannot be set: everything goes back' "$status $(orders)" \
	'^1 .*PERCENT=10\|set env .*PERCENT=50\|set env daemonset/ebb EBB_MODE- EBB_DEFAULTS_ENFORCE_PERCENT-\|exec ebb-b -- ebb mode auto\|$'
fails_at ' b -- .*PERCENT'
run ebb-canary --hosts 'a b' --node a --shares 10 "${quick[@]}"
is 'hosts: one that fails half-way takes all of them back' "$status $(orders)" \
	'1 ebb mode enforce|EBB_DEFAULTS_ENFORCE_PERCENT=%s\n'"' 10 >|EBB_DEFAULTS_ENFORCE_PERCENT=%s\n' 10 >|rm -f|rm -f|ebb mode auto|"
fails_at ''
run ebb-canary --node n9
like 'a node that is not there' "$status $said$calls" "^1 .*there is no node 'n9'$"
run ebb-canary --end
is 'the end takes the variables away' "$status $(orders)" '0 set env daemonset/ebb EBB_MODE- EBB_DEFAULTS_ENFORCE_PERCENT-|'

# what the way back does on a host: not done while the agent runs with them
mkdir -p "$fake/host/run/systemd/system/ebb.service.d"
dropins() { (cd "$fake/host/run/systemd/system/ebb.service.d" && echo *); }
touch "$fake/host/run/systemd/system/ebb.service.d/canary.conf"
for part in daemon-reload reset-failed restart; do
	fails_at "^systemctl $part"
	run ebb-canary --end --hosts a
	like "the way back on a host: no $part is no way back" "$status $(dropins) $said" '^1 canary\.gone .*a failed'
done
fails_at ''
run ebb-canary --end --hosts a
is 'the next that tries gets it done' "$status $(dropins) $(grep -c '^systemctl restart ebb$' <<<"$calls")" '0 * 1'
rm -r "$fake/host"

# interrupted
rm -f "$fake/calls"
ebb-canary --node n1 --checks 1000 --interval 1 >/dev/null 2>&1 &
canary=$!
end=$((SECONDS + 20))
until grep -qs 'mode enforce' "$fake/calls" || [ "$SECONDS" -ge "$end" ]; do read -rt 0.05 <> <(:) || true; done
kill -TERM "$canary"
wait "$canary"
is 'interrupted: back' "$? $(grep -c 'ebb mode auto' "$fake/calls")" '1 1'

# ------------------------------------------------------- how the canary judges

# judged NAME STATUS SAYS TEXT [OPTION...]: TEXT, a line 'DESTINATION KIND=N...' each, is what every look finds more of; by=WORKLOAD
# and pod=POD hold for the kinds after them. A line that begins with '@A-B ' holds only from look A to look B: the first is what
# was before. With '!A-B ' it is the same in these looks, and not there in others. 'fail': the look fails.
cat >"$fake/play" <<'SH'
metric() { printf '%s{destination="%s",workload="%s"%s%s} %d\n' "$1" "$destination" "$workload" "${pod:+,namespace=\"ns\",pod=\"$pod\"}" "$2" "$3"; }
while read -r line; do
	from=1 to=$looks still=''
	case $line in [@!]*)
		span=${line%% *} line=${line#* }
		[ "${span:0:1}" = @ ] || still=yes
		span=${span:1} from=${span%-*} to=${span#*-}
		[ -z "$still" ] || [ "$looks" -le "$to" ] || continue
		[ "$to" -le "$looks" ] || to=$looks
		;;
	esac
	times=$((to - from + 1))
	[ "$times" -gt 0 ] || times=0
	[ -z "$still" ] || [ "$times" = 0 ] || times=1
	[ "$line" != fail ] || [ "$to" != "$looks" ] || [ "$times" = 0 ] || exit 7
	[ -z "$still" ] || [ "$times" -gt 0 ] || continue
	destination=${line%% *} workload=w pod=''
	for word in ${line#* }; do
		case $word in
		by=*) workload=${word#*=} workload=${workload//+/ } && continue ;;
		pod=*) pod=${word#*=} && continue ;;
		fail) continue ;;
		esac
		n=$((${word#*=} * times))
		case ${word%=*} in
		ok) metric ebb_connects_total ,outcome=\"established\" $n ;;
		refused | timeout) metric ebb_connects_total ",outcome=\"${word%=*}\"" $n && metric ebb_connection_failures_total ",reason=\"${word%=*}\"" $n ;;
		reset) metric ebb_connection_failures_total ,reason=\"reset\" $n ;;
		would) metric ebb_denied_total ,cause=\"rate\",enforced=\"false\" $n ;;
		drop) metric ebb_dropped_packets_total ,cause=\"bytes\",enforced=\"true\" $n ;;
		would_drop) metric ebb_dropped_packets_total ,cause=\"bytes\",enforced=\"false\" $n ;;
		hands) metric ebb_reset_connections_total '' $n ;;
		*) metric ebb_connects_total ,outcome=\"denied\" $n && metric ebb_denied_total ",cause=\"${word%=*}\",enforced=\"true\"" $n ;;
		esac
	done
done <"$FAKE/text"
SH
judged() {
	local name=$1 wanted=$2 says=$3
	printf '%s\n' "$4" >"$fake/text"
	shift 4
	run ebb-canary --node n1 --shares 100 --checks 2 --patience 2 --interval 0 --timeout 5 "$@"
	like "judged: $name" "$status $said" "^$wanted .*$says"
}
judged 'one that cannot be connected to stops nothing, however much of it is refused' 0 'n1: x:81 fails by itself: 5 of 5 that got through failed; that it is refused \(95\)' \
	$'good ok=1000\nx:81 refused=5 breaker=95'
judged 'it is told of once in each step and node' 0 '' $'x:81 refused=5 breaker=95'
is 'judged: so, three times' "$(grep -c 'fails by itself' <<<"$said")" 3
judged 'one with little traffic is not hidden by the others' 1 'n1: little is refused although it answers: 50 of 100 attempts' $'busy ok=100000\nlittle ok=50 rate=50'
judged 'a breaker that refuses what answers stops it' 1 'n1: y is refused although it answers: 40 of 100 .* of 60 that got through 3 failed' $'y ok=57 timeout=3 breaker=40'
judged 'its probes, too, are refusals' 1 'n1: y is refused' $'y ok=60 half_open=40'
judged 'a limit on what fails by itself is not to blame' 0 'n1: y fails by itself' $'y timeout=40 ok=10 concurrency=50'
judged 'a limit that lets nothing through is' 1 'n1: y is refused' $'y rate=50'
judged 'an order by hand is what somebody wants' 0 'done' $'y override=50 ok=50'
judged 'what would be refused is not' 0 'done' $'y would=50 ok=50'
judged 'failures after connecting, where ebb touches nothing' 0 'n1: y fails by itself' $'y ok=100 reset=60'
judged 'failures after connecting, while a limit drops' 1 'n1: y fails while ebb drops, resets or slows what is sent to it: 60 of 100' $'y ok=100 reset=60 drop=9'
judged 'failures after connecting, while it would drop' 0 'n1: y fails by itself' $'y ok=100 reset=60 would_drop=9'
judged 'no connection, while a limit drops' 1 'n1: y fails while' $'y ok=20 timeout=80 drop=9'
judged 'no connection, while a breaker resets what lives' 0 'n1: y fails by itself' $'y ok=1 timeout=4 reset=1 breaker=95 hands=9'
judged 'connections that ebb resets, of what answers' 1 'n1: y is refused although' $'y ok=50 reset=40 breaker=50 hands=40'
judged 'one bad look is none' 0 'done' $'y ok=100\n@3-3 y rate=50'
judged 'the last look is not left open' 1 'n1: y is refused' $'y ok=100\n@3-99 y rate=50'
judged 'nor when nothing more comes, and it says which' 1 'n1: y is not clear, .*: is refused although it answers: 50 of 50 attempts.*; workload w' $'@3-3 y rate=50'
judged 'nor when it does not answer at last' 1 'n1 did not answer at last' $'@3-3 y rate=50\n@5-5 fail'
judged 'nothing gets through: its probes will tell' 0 'n1: y fails by itself' $'@1-3 y breaker=50\n@4-99 y breaker=50 refused=1'
judged 'the others are waited for' 1 'n1: few is refused' $'busy ok=100\nfew rate=5' --checks 8
judged 'fewer than are asked for are told of' 0 'n1: few is not judged: 10 attempts, 0 got through, 10 refused, 0 packets dropped; workload w.*done' \
	$'busy ok=100\nfew rate=5' --min-attempts 100
judged 'so are long connections of which packets are dropped' 0 'n1: y is not judged: 0 attempts, 0 got through, 0 refused, 100 packets dropped' $'y ok=0 drop=50'
judged 'and datagrams that are refused, of which no other is counted' 0 'n1: y is not judged: 100 attempts, 0 got through, 100 refused' $'y breaker=50'
judged 'what a breaker refused before counts when its probes are answered' 1 'n1: y is refused although .*: 150 of 151 attempts' \
	$'y breaker=50\n@4-4 y ok=1\n@6-6 y ok=1' --checks 6 --patience 1
judged 'those of a destination that was judged are not' 0 'done' $'y ok=100\n@3-3 y rate=5'
is 'judged: so' "$(grep -c 'not judged' <<<"$said")" 0
judged 'one workload is not hidden by another' 1 'n1: y is refused although .*: 40 of 40 attempts.*; workload shut' $'y by=busy ok=1000\ny by=shut rate=40'
judged 'nor is one refused because it answers another' 0 'n1: y fails by itself: 5 of 5 .*; workload b' $'y by=a ok=1000\ny by=b refused=5 breaker=95'
judged 'pods of one workload are judged together' 1 'n1: y is refused although .*: 30 of 30 attempts.*; workload ns/w' $'y pod=a rate=15\ny pod=b rate=15'
judged 'pods that go do not hide what is new' 1 'n1: y is refused although .*: 100 of 100' \
	$'!1-1 y pod=a ok=5000\n!1-2 y pod=b ok=5000\n!1-3 y pod=c ok=5000\n!1-4 y pod=d ok=5000\ny pod=e rate=100'
judged 'nor do they bring up what was before' 0 'done' \
	$'!1-1 y pod=a ok=1000\n!1-2 y pod=b ok=1000\n!1-3 y pod=c ok=1000\n!1-99 y pod=d ok=5000 rate=5000\ny pod=e ok=100'
judged 'what is new of a pod that comes is judged' 1 'n1: y is refused although .*: 100 of 100' $'!2-2 y pod=a rate=100\n!3-3 y pod=b rate=100'
judged 'a service that is started again is no news' 0 'done' $'y ok=100\n!3-99 y by=w+(cgroup+7) ok=5000 rate=5000' --patience 1
judged 'nor is an agent that counts anew' 0 'done' $'!1-2 y ok=5000 rate=5000\n!3-99 y ok=100' --patience 1
judged 'fewer may be asked for' 1 'n1: few is refused' $'busy ok=100\nfew rate=5' --min-attempts 5
judged 'a name with quotes' 1 'is refused although it answers: 50 of 100' $'a\\",outcome=\\"local ok=50 rate=50'
judged 'counters above 2^31' 1 'n1: y is refused although it answers: 1000 of 3000000000 attempts' $'y ok=2999999000 rate=1000' --max-refused 0
rm "$fake/play"

# ssh: 255 when there is no connection
echo 255 >"$fake/code"
echo 1 >"$fake/refused"
fails_at 'ssh .* a -- .*/health$'
run ebb-canary --hosts a --node a --shares 100 "${quick[@]}"
like 'a host that does not answer: back' "$status $said" '^1 .*: a does not answer'
run twice ebb-canary --hosts a --node a --shares 100 "${quick[@]}"
is 'twice in a row is not yet so' "$status" 0
# curl: 7 where nothing listens, 22 what is not 2xx
echo 7 >"$fake/code"
run twice ebb-canary --hosts a --node a --shares 100 "${quick[@]}"
is 'nor is an agent that is started again' "$status" 0
echo 22 >"$fake/code"
run twice ebb-canary --hosts a --node a --shares 100 "${quick[@]}"
like 'one that says that it is unhealthy is: back at once' "$status $said" '^1 .*: a is unhealthy'
rm "$fake/code"
fails_at ''

# ---------------------------------------------------------- dry run, status

{ revision 1 v1 && revision 2 v2; } >"$fake/revisions"
for command in "ebb-deploy --deb $fake/ebb.deb --hosts a" "ebb-deploy --manifests $fake/ebb.yaml" 'ebb-rollback --hosts a' \
	ebb-rollback 'ebb-rollback --helm' 'ebb-canary --node n1' 'ebb-canary --hosts a --node a'; do
	# shellcheck disable=SC2086
	run $command --dry-run
	is "dry run: $command" "$status $calls $(grep -c '^would run: timeout ' <<<"$said" | sed 's/[1-9].*/some/')" '0  some'
done
run ebb-fleet-status
like 'status: a line for each node' "$status $said" '^0 NODE .*n1 +ready +0\.1\.0 +enforces +1 +[0-9]+.*n2 +ready'
echo 3000000000 >"$fake/refused"
run ebb-fleet-status --hosts a
like 'status: more than 2^31 refused' "$status $said" '^0 .*a +ready .* 1 +3000000000'
fails_at 'ebb-b.*health/ready'
run ebb-fleet-status
like 'status: one that is not ready' "$status $said" '^1 .*n1 +ready.*n2 +not ready'
fails_at ' b -- .*curl'
run ebb-fleet-status --hosts 'a b'
like 'status: one that does not answer' "$status $said" '^1 .*a +ready.*b +no answer'

plan
