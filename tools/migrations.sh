#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# migrations.sh DIR OUT.h: the files DIR/DATABASE/NUMBER_NAME.up.sql and .down.sql as one table for each database.
# Numbers begin at 1 and have no gap.
set -eu

fail()
{
	echo "migrations: $*" >&2
	exit 1
}

# What is in file $1 as string literals.
literals()
{
	sed 's/\\/\\\\/g; s/"/\\"/g; s/^.*$/\t "&\\n"/' "$1"
}

table()
{
	number=0
	echo "static const struct ebb_migration $1_migrations[] = {"
	for up in "$dir/$1"/*.up.sql; do
		name=$(basename "$up" .up.sql)
		number=$((number + 1))
		[ "${name%%_*}" = "$(printf '%04d' "$number")" ] || fail "$up: its number is not $number"
		[ -f "${up%.up.sql}.down.sql" ] || fail "$up: no way down"
		printf '\t{%d, "%s",\n' "$number" "${name#*_}"
		literals "$up"
		printf '\t ,\n'
		literals "${up%.up.sql}.down.sql"
		printf '\t},\n'
	done
	echo "};"
}

dir=$1
out=$2
{
	echo "/* Made by tools/migrations.sh from $dir. */"
	table sqlite
	table postgres
} >"$out.new"
mv "$out.new" "$out"
