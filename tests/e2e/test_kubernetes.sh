#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Who a workload is on Kubernetes: cgroups called as kubelet calls those of pods, an API server over TLS that tells of them
# (tests/lib/fake_kube.py), and what the agent makes of both, also when it is lied to, cut off or refused.
# deadline: 240

# SC2119: functions with optional arguments; SC2317: functions that are arguments
# shellcheck disable=SC2119,SC2317
# shellcheck source=../lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

kube=$scratch/kube
mkdir -p "$kube/pods"
echo token-one >"$kube/token"
echo token-one >"$scratch/token"
echo ok >"$kube/mode"
"$root/tests/lib/certificates.sh" "$scratch" || bail 'no certificates'

uid() { printf '0a0b0c0d-0000-0000-0000-%012d' "$1"; }
id() { printf '%064d' "$1"; }

# pod NUMBER NAMESPACE NAME OWNER-KIND OWNER LABELS: one of a single container, "app"
pod() {
	cat >"$kube/new" <<-JSON
		{"metadata": {"uid": "$(uid "$1")", "namespace": "$2", "name": "$3", "labels": $6,
		 "ownerReferences": [{"kind": "$4", "name": "$5", "controller": true}]},
		 "spec": {"nodeName": "node-1"},
		 "status": {"containerStatuses": [{"name": "app", "containerID": "containerd://$(id "$1")"}]}}
	JSON
	mv "$kube/new" "$kube/pods/$1"
}

# cgroup_of NUMBER: below ours, as the cgroupfs driver makes it
cgroup_of() { echo "kubepods/burstable/pod$(uid "$1")/$(id "$1")"; }

# connect_as NUMBER: to the server, from the container of that pod
connect_as() {
	mkdir -p "$cgroup/$(cgroup_of "$1")"
	in_cgroup -c "$(cgroup_of "$1")" "$python" -S "$root/tests/lib/connect.py" 127.0.0.1 "$port"
}

health() { http_get /health | json 'd["components"]["kubernetes"]["state"]'; }
why() { http_get /health | json 'd["components"]["kubernetes"]["why"]'; }
is_health() { [ "$(health)" = "$1" ]; }
# shows LABELS: is there a series of a pair with these?
shows() { grep -q "^ebb_connects_total{destination=\"127.0.0.1:$port/tcp\",$1,outcome=" <(http_get /metrics); }
hides() { ! shows "$1"; }
requests() { grep -c -- "$1" "$kube/requests"; }
asked() { grep -q -- "$1" "$kube/requests"; }
mode() { echo "$1" >"$kube/mode.new" && mv "$kube/mode.new" "$kube/mode"; }

pod 1 shop web-7d9-x2 ReplicaSet web-7d9 '{"app": "web", "role/x": "y", "role.x": "z", "pod-template-hash": "7d9"}'
pod 2 kube-system dns-1 DaemonSet dns '{}'

background "$python" -S "$root/tests/lib/fake_kube.py" "$kube" "$scratch/server.pem" "$scratch/server.key" >"$scratch/kube.port" 2>"$scratch/kube.err"
wait_for 10 test -s "$scratch/kube.port" || bail "no API server: $(cat "$scratch/kube.err")"
api=https://127.0.0.1:$(cat "$scratch/kube.port")

start_server

# Spans and events say who it was, too.
export OTEL_BSP_SCHEDULE_DELAY=100 EBB_AUDIT_FILE_PATH=$scratch/audit.jsonl
mkdir "$scratch/collector"
background "$python" -S "$root/tests/lib/collector.py" --port 0 "$scratch/collector" >"$scratch/collector/port" 2>"$scratch/collector/err"
wait_for 10 test -s "$scratch/collector/port" || bail "the collector does not start: $(cat "$scratch/collector/err")"
collector_port=$(cat "$scratch/collector/port")
spans_name() { grep -q "$1" "$scratch/collector/spans"; }

yaml() { # SOURCE CA
	cat <<-YAML
		mode: enforce
		kubernetes: {source: $1, api: "$api", kubelet: "$api", node: node-1, token_file: $scratch/token, ca_file: $2, labels: [app, role/x, role.x]}
		workloads: {exclude: [{namespace: "batch*"}, {label: "role=crawler"}]}
		traces: {otlp: {endpoint: "http://127.0.0.1:$collector_port", sample: 1}}
	YAML
}

# ------------------------------------------------------------------------ identity

yaml api "$scratch/ca.pem" >"$scratch/ebb.yaml"
start_agent --config "$scratch/ebb.yaml"
check 'pods of this node are asked for, and watched' wait_for 10 asked '^/api/v1/pods?watch=true.*fieldSelector=spec.nodeName%3Dnode-1 watch'
check 'whoever tells of pods is healthy' wait_for 10 is_health healthy

is 'a pod connects' "$(connect_as 1)" OK
check 'its series carry owner, namespace, pod and container' \
	wait_for 10 shows 'workload="deployment/web",namespace="shop",pod="web-7d9-x2",container="app"'
is_called() { [ "$(gate "$port" 'd["workload"]')" = "$1" ]; }
check 'commands call it by its pod' wait_for 5 is_called shop/web-7d9-x2/app
like 'ebb show, too' "$(ebb show "127.0.0.1:$port/tcp")" 'shop/web-7d9-x2/app'
is 'its owner is a pattern for --workload' "$(gate "$port" 'd["workload"]' deployment/web)" shop/web-7d9-x2/app
is 'and so is its namespace' "$(gate "$port" 'd["workload"]' 'shop/*')" shop/web-7d9-x2/app
like 'the API says the same' "$(http_get /api/v1/destinations)" 'shop/web-7d9-x2/app'

check 'its labels are shown apart' grep -qx 'ebb_pod_labels{namespace="shop",pod="web-7d9-x2",uid="'"$(uid 1)"'",label_app="web",label_role_x="y"} 1' <(http_get /metrics)

# the first one came before anybody knew whose it was
is 'it connects again' "$(connect_as 1)" OK
for attribute in k8s.namespace.name=shop k8s.pod.name=web-7d9-x2 k8s.container.name=app ebb.workload=deployment/web "k8s.pod.uid=$(uid 1)"; do
	check "its span has ${attribute%%=*}" wait_for 10 spans_name "\"${attribute%%=*}\": *\"${attribute#*=}\""
done

# ------------------------------------------------------------------------ rules

class() { ebb show -o json "127.0.0.1:$port/tcp" | json "next(w for w in d['workloads'] if w['workload'] == '$1')['class']"; }
is_class() { [ "$(class "$1")" = "$2" ]; }

is 'a pod of the system connects' "$(connect_as 2)" OK
check 'and is excluded without a rule' wait_for 10 is_class kube-system/dns-1/app observed
check 'the other one is governed' wait_for 10 is_class shop/web-7d9-x2/app governed

is 'a pod connects that nobody has told of yet' "$(connect_as 3)" OK
pod 3 batch-1 import-28391040-k DaemonSet import '{}'
check 'when it is told of, a rule about its namespace holds' wait_for 10 is_class batch-1/import-28391040-k/app observed
is 'another' "$(connect_as 4)" OK
pod 4 shop crawl-0 StatefulSet crawl '{"role": "crawler"}'
check 'and one about its label' wait_for 10 is_class shop/crawl-0/app observed
check 'it has its series' wait_for 10 shows 'workload="statefulset/crawl",namespace="shop",pod="crawl-0",container="app"'

# ------------------------------------------------------------------------ the end of a pod

rm "$kube/pods/4"
check 'series end with their pod' wait_for 10 hides 'workload="statefulset/crawl",namespace="shop",pod="crawl-0",container="app"'
check 'others go on' shows 'workload="deployment/web",namespace="shop",pod="web-7d9-x2",container="app"'
is 'the name stays for a while' "$(gate "$port" 'd["workload"]' 'shop/crawl-0/*')" shop/crawl-0/app

# ------------------------------------------------------------------------ trouble

before=$(requests 'resourceVersion=0')
mode compact
pod 5 shop late-1 StatefulSet late '{}'
more_lists() { [ "$(requests 'resourceVersion=0')" -gt "$before" ]; }
check 'versions that are gone mean a list anew' wait_for 20 more_lists
mode ok
is 'a pod that came meanwhile connects' "$(connect_as 5)" OK
check 'and is known' wait_for 20 shows 'workload="statefulset/late",namespace="shop",pod="late-1",container="app"'

mode garbage
check 'garbage degrades' wait_for 20 is_health degraded
like 'and is named' "$(why)" 'no (list|watch) of pods|in the middle of an event'
check 'what is known stays' shows 'workload="deployment/web",namespace="shop",pod="web-7d9-x2",container="app"'
check 'the agent is as ready as before' http_get /health/ready
mode ok
check 'it ends with the garbage' wait_for 40 is_health healthy

echo token-two >"$kube/token"
mode garbage # ends the watch
wait_for 20 is_health degraded
mode ok
refused() { [[ "$(why)" == *'(401)'* ]]; }
check 'a token that is refused is named' wait_for 40 refused
like 'with its file' "$(why)" "$scratch/token"
echo token-two >"$scratch/token"
check 'one that was rotated is used' wait_for 90 is_health healthy
check 'that it was refused is in the audit log' wait_for 10 grep -q '"event_type":"credentials_refused".*"status":401' "$scratch/audit.jsonl"
refute 'no token is ever told' grep -q 'token-[ot]' "$agent_log"

# ------------------------------------------------------------------------ without the agent

stop_agent
is 'it ends' "$status" 0
is 'commands know pods without it' "$(gate "$port" 'd["workload"]' 'deployment/web')" shop/web-7d9-x2/app

# ------------------------------------------------------------------------ the kubelet

yaml kubelet "$scratch/ca.pem" >"$scratch/ebb.yaml"
: >"$kube/requests"
start_agent --config "$scratch/ebb.yaml"
check 'the kubelet is asked' wait_for 10 asked '^/pods 200'
pod 6 shop fresh-1 StatefulSet fresh '{}'
is 'a pod connects that it told of since' "$(connect_as 6)" OK
check 'it is asked again at once' wait_for 8 shows 'workload="statefulset/fresh",namespace="shop",pod="fresh-1",container="app"'
stop_agent

# ------------------------------------------------------------------------ whom not to trust

yaml api "$scratch/other-ca.pem" >"$scratch/ebb.yaml"
start_agent --config "$scratch/ebb.yaml"
check 'a server of another CA degrades' wait_for 10 is_health degraded
like 'the CA file is named' "$(why)" "$scratch/other-ca.pem"
is 'connections are counted all the same' "$(connect_as 1)" OK
check 'by what an earlier agent knew' wait_for 10 shows 'workload="deployment/web",namespace="shop",pod="web-7d9-x2",container="app"'
stop_agent
ebb detach >/dev/null
refute 'nothing is left of it' test -e "/run/ebb/sys-fs-bpf-$test_id.pods"

# ------------------------------------------------------------------------ configuration

echo 'kubernetes: {source: api, node: node-1}' >"$scratch/ebb.yaml"
launch_agent --config "$scratch/ebb.yaml"
wait_for 10 gone "$agent"
check 'an API server that nobody names is one clear line' logged 'set kubernetes.api, or KUBERNETES_SERVICE_HOST'

done_testing
