#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What the programs cost the verifier of this kernel, against the baseline (tests/kernels/baseline.json). On other kernels
# 'make test-kernels' asks the same.
#
# usage: test_verifier.sh [FIGURES]      leaves the figures there, for 'make baseline'

# SC2119: functions with optional arguments
# shellcheck disable=SC2119
# shellcheck source=../lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

# with everything that is loaded only where somebody asks for it
cat >"$EBB_CONFIG" <<'Y'
mode: enforce
destinations:
  - {name: web, match: [{cidr: 192.0.2.1/32, port: 80}], limits: {bytes: 10MB/s}, breaker: {established: reset}}
Y
start_agent --config "$EBB_CONFIG"
"$EBB_BUILD/tests/kernels/programs" "$agent" | sort >"$scratch/figures"
check 'the programs of an agent are found' test -s "$scratch/figures"
stop_agent
if [ $# -gt 0 ]; then
	cp "$scratch/figures" "$1"
	done_testing
fi
if said=$(EBB_BUILD=$EBB_BUILD "$python" "$root/tests/kernels/baseline.py" check \
	--kernel "$(uname -r | grep -oE '^[0-9.]+')" "$scratch/figures" 2>&1); then
	ok 'none costs the verifier more than it did'
else
	not_ok 'none costs the verifier more than it did'
fi
[ -z "$said" ] || note <<<"$said"
done_testing
