#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# deploy/docker-compose.yml is one that docker-compose takes; the files that it mounts are there, and those who read
# them take them, too. deploy/Dockerfile gets all of the sources, and tells what is in the image.
# deadline: 60

# SC2317: functions that are arguments
# shellcheck disable=SC2317
set -uo pipefail
export LC_ALL=C
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=../lib/tap.sh
. tests/lib/tap.sh

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
compose() { docker-compose -f deploy/docker-compose.yml config "$@"; }
export EBB_POSTGRES_PASSWORD=x
check 'docker-compose takes it' compose -q
refute 'but not without a password' env -u EBB_POSTGRES_PASSWORD docker-compose -f deploy/docker-compose.yml config -q

# the left side of every bind mount that is ours
mounts() { sed -n 's|^ *- "*\(\./[^:]*\):.*|deploy/\1|p; s|.*\["\(\./[^:]*\):.*|deploy/\1|p' deploy/docker-compose.yml; }
check 'it mounts files of ours' test "$(mounts | wc -l)" -ge 6
while read -r path; do
	check "there is $path" test -e "$path"
done < <(mounts)

check 'the agent takes its configuration' "${EBB_BUILD:-build}/ebb" config check deploy/compose/ebb.yaml
# rules as they lie there, not where they are mounted
sed "s|/etc/prometheus/ebb|$PWD/deploy/prometheus|" deploy/compose/prometheus.yml >"$scratch/prometheus.yml"
promtool check config "$scratch/prometheus.yml" >"$scratch/promtool" 2>&1
is 'Prometheus takes its own' "$? $(grep -v SUCCESS "$scratch/promtool" | grep . | grep -v '^Checking')" '0 '
check 'with rules' grep -q 'SUCCESS: [1-9][0-9]* rules found' "$scratch/promtool"

# every directory that the Makefile builds from is let in
for path in bpf user vmlinux tools Makefile LICENSE; do
	check "the image is built with $path" grep -qx "!$path" .dockerignore
done
check 'the list of packages is JSON of SPDX' bash -c 'tools/sbom.sh 1.2.3 | /usr/bin/python3 -c "
import json, sys
document = json.load(sys.stdin)
names = {p[\"name\"] for p in document[\"packages\"]}
ids = [p[\"SPDXID\"] for p in document[\"packages\"]]
assert document[\"spdxVersion\"] == \"SPDX-2.3\" and {\"ebb\", \"libc6\"} <= names
assert {r[\"relatedSpdxElement\"] for r in document[\"relationships\"]} == set(ids) - {\"SPDXRef-ebb\"}
"'
plan
