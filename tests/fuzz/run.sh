#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# One fuzzer: every file of its corpus, then $RUNS inputs made from them, always the same ones
# for one build. What breaks it is kept beside the program, to be looked at and added to the corpus.
# deadline: 900
#
# usage: tests/fuzz/run.sh build/fuzz/tests/fuzz/fuzz_NAME
set -uo pipefail

program=$1
name=$(basename "$program")
corpus=$(dirname "$0")/corpus/${name#fuzz_}
runs=${RUNS:-20000}
# Each input is a whole agent that starts, ticks and shows everything.
[ "$name" != fuzz_maps ] || runs=$((runs / 50))
# Files are written and read for each, in memory where that can be.
case $name in
fuzz_spool | fuzz_letters)
	runs=$((runs / 10))
	[ ! -w /dev/shm ] || export TMPDIR=/dev/shm
	;;
esac
scratch=$(mktemp -d)
export TMPDIR=$scratch # libFuzzer ends without what is to be done at the end
trap 'rm -rf "$scratch"' EXIT
failed=0

# step NUMBER NAME COMMAND...
step() {
	local number=$1 what=$2
	shift 2
	if "$@" >"$scratch/log" 2>&1; then
		echo "ok $number - $what"
	else
		echo "not ok $number - $what"
		tail -60 "$scratch/log" | sed 's/^/# /'
		failed=1
	fi
}

files=("$corpus"/*)
[ -e "${files[0]}" ] || files=()
[ ${#files[@]} -gt 0 ] || { echo "Bail out! $corpus is empty"; exit 1; }
mkdir "$scratch/new"
step 1 "$name: ${#files[@]} files of its corpus" "$program" "${files[@]}"
step 2 "$name: $runs inputs made from them" "$program" -runs="$runs" -seed=1 -max_len=8192 -timeout=20 \
	-rss_limit_mb=1024 -artifact_prefix="$program-" "$scratch/new" "$corpus"
echo 1..2
exit "$failed"
