#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Every command that README and the documents show runs as printed, with a real agent, real
# servers and clients, and prints what they say it prints: see tests/docs/.
# deadline: 240

# shellcheck source=../lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

# documents to run: all, or those that are named; --write: see tests/docs/run.py
arguments=()
documents=()
for argument; do
	case $argument in --*) arguments+=("$argument") ;; *) documents+=("$argument") ;; esac
done
[ ${#documents[@]} -gt 0 ] || mapfile -t documents < <(find "$root"/README.md "$root"/docs -name '*.md' | sort)

"$python" "$root/tests/docs/run.py" "${arguments[@]}" --cgroup "$cgroup" --scratch "$scratch" \
	--program "$EBB_BUILD" "${documents[@]}"
exit
