#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# 'make install' puts things where it is told and nowhere else; 'make uninstall' removes just these; the unit
# of systemd is right, and as closed as docs/operations.md says.
# deadline: 120
set -uo pipefail
export LC_ALL=C
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=../lib/tap.sh
. tests/lib/tap.sh

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
make_target() { make -s -o all BUILD="${EBB_BUILD:-build}" "$@" >"$scratch/make" 2>&1 || cat "$scratch/make"; }
files() { (cd "$scratch/$1" && find . ! -type d -printf '%m %P\n' | grep -v '/doc/' | sort -k 2); }

installed() {
	cat <<-LIST
		644 etc/ebb/ebb.yaml
		644 $1lib/systemd/system/ebb.service
		755 $1sbin/ebb
		644 $1share/bash-completion/completions/ebb
		644 $1share/ebb/migrations/postgres/0001_audit_log.down.sql
		644 $1share/ebb/migrations/postgres/0001_audit_log.up.sql
		644 $1share/ebb/migrations/sqlite/0001_audit_log.down.sql
		644 $1share/ebb/migrations/sqlite/0001_audit_log.up.sql
		644 $1share/fish/vendor_completions.d/ebb.fish
		644 $1share/man/man5/ebb.yaml.5
		644 $1share/man/man8/ebb.8
		644 $1share/zsh/site-functions/_ebb
	LIST
}

make_target install DESTDIR="$scratch/local"
is 'install: where to' "$(files local)" "$(installed usr/local/)"
like=$(grep -c '^Exec.*=/usr/local/sbin/ebb' "$scratch/local/usr/local/lib/systemd/system/ebb.service")
is 'the unit starts what was installed' "$like" 2
make_target uninstall DESTDIR="$scratch/local"
is 'uninstall: nothing is left' "$(find "$scratch/local" ! -type d)" ''
is 'nor a directory of ours' "$(find "$scratch/local" -name '*ebb*')" ''

mkdir -p "$scratch/usr/etc/ebb" "$scratch/usr/usr/sbin" "$scratch/usr/usr/share/doc"
echo 'mode: enforce' >"$scratch/usr/etc/ebb/ebb.yaml"
touch "$scratch/usr/usr/sbin/neighbour" "$scratch/usr/etc/ebb/token"
before=$(files usr)
for target in install install uninstall; do
	make_target "$target" DESTDIR="$scratch/usr" PREFIX=/usr UNITDIR=/lib/systemd/system
	[ "$target" = uninstall ] || is 'a configuration that is there stays' "$(cat "$scratch/usr/etc/ebb/ebb.yaml")" 'mode: enforce'
done
is 'uninstall: what others put there, and a changed configuration, stay' "$(files usr)" "$before"

check 'the configuration that is installed is right' "${EBB_BUILD:-build}/ebb" config check deploy/systemd/ebb.yaml
is 'and observes' "$(grep -c '^mode: observe$' deploy/systemd/ebb.yaml)" 1

# The unit as it is installed, in a root where all that it names is.
root=$scratch/root
make_target install DESTDIR="$root" PREFIX=/usr UNITDIR=/lib/systemd/system
for file in basic sysinit shutdown multi-user network-online; do
	printf '[Unit]\nDefaultDependencies=no\n' >"$root/lib/systemd/system/$file.target"
done
printf '[Slice]\n' >"$root/lib/systemd/system/system.slice"
install -D /bin/true "$root/bin/kill"
complaints=$(systemd-analyze verify --man=no --root="$root" ebb.service 2>&1)
is 'systemd has nothing to say against the unit' "$complaints" ''
sed -i 's/^WatchdogSec=/WatchdogSecs=/' "$root/lib/systemd/system/ebb.service"
complaints=$(systemd-analyze verify --man=no --root="$root" ebb.service 2>&1)
like 'and would have, were it wrong' "$complaints" WatchdogSecs

score=$(systemd-analyze security --no-pager --offline=yes deploy/systemd/ebb.service 2>&1 | sed -n 's/.*Overall exposure level for ebb.service: \([0-9.]*\).*/\1/p')
stated=$(sed -n 's/.*systemd-analyze security.* gives the unit \([0-9.]*\).*/\1/p' docs/operations.md)
is 'how exposed it is, is stated' "$score" "$stated"
# 'OK' ends at 5; a line less in the unit is to be seen
check 'and is 2.8 at most' awk -v score="$score" 'BEGIN { exit !(score > 0 && score <= 2.8) }'

plan
