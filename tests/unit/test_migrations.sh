#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# 'make install' below a directory of its own: the tables of the audit log are there as files, the very ones that are compiled in, and
# work by hand; 'make uninstall' leaves nothing.
# deadline: 120

# SC2317: functions that are arguments
# shellcheck disable=SC2317
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=../lib/tap.sh
. tests/lib/tap.sh
EBB_BUILD=${EBB_BUILD:-build}
export -n EBB_BUILD
python=${PYTHON:-/usr/bin/python3}
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
migrations=$scratch/usr/share/ebb/migrations
target() { make --no-print-directory -o all BUILD="$EBB_BUILD" DESTDIR="$scratch" PREFIX=/usr "$1"; }
all_there() { diff <(cd user/export/migrations && find . -name '*.sql' | sort) <(cd "$migrations" && find . -type f | sort); }
# Each, byte for byte, is a text in the program.
compiled_in() {
	find "$migrations" -name '*.sql' -exec "$python" -S -c 'import sys
program = open(sys.argv[1], "rb").read()
missing = [name for name in sys.argv[2:] if open(name, "rb").read() not in program]
sys.exit(f"not in the program: {missing}" if missing else 0)' "$scratch/usr/sbin/ebb" {} +
}
# by_hand FILE: as docs/audit.md says
by_hand() { (echo 'BEGIN;' && cat "$1" && echo 'COMMIT;') | sqlite3 -bail "$scratch/audit.db"; }
tables() { sqlite3 "$scratch/audit.db" 'SELECT count(*) FROM sqlite_schema'; }
up() { for file in "$migrations"/sqlite/*.up.sql; do by_hand "$file" || return; done; }
down() { for file in $(printf '%s\n' "$migrations"/sqlite/*.down.sql | sort -r); do by_hand "$file" || return; done; }
will_do() { [ "$("$scratch/usr/sbin/ebb" audit --from "$scratch/audit.db")" = 'Nothing of the kind happened in that time.' ]; }
empty() { [ "$(tables)" = 0 ]; }
nothing_left() { [ -z "$(find "$scratch/usr" -type f)" ] && [ ! -e "$scratch/usr/share/ebb" ]; }

check 'make install' target install
check 'each file of the tables is there' all_there
check 'and is what is compiled in' compiled_in
check 'up by hand' up
check 'the program takes these tables' will_do
check 'down by hand' down
check 'nothing is left of them' empty
check 'make uninstall' target uninstall
check 'leaves nothing' nothing_left
plan
