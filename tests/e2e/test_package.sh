#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The Debian package under a real systemd: it is built and lintian has nothing to say; installed, it runs, is
# reloaded, watched, reinstalled; removed and purged it leaves nothing.
# deadline: 300

# SC2119: functions with optional arguments; SC2317: functions that are arguments
# SC2016: programs of awk
# shellcheck disable=SC2016,SC2119,SC2317
# shellcheck source=../lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"
# shellcheck source=../lib/machine.sh
. "$root/tests/lib/machine.sh"

# -------------------------------------------------------------------- build

exec 9>"$EBB_BUILD/deb.lock"
flock 9 # one at a time: test_fleet_ssh.sh makes one, too
begin=$(now_ms)
(cd "$root" && make -s deb BUILD="${EBB_BUILD#"$root"/}") >"$scratch/build" 2>&1 || bail "make deb: $(tail -20 "$scratch/build")"
note <<<"make deb: $((($(now_ms) - begin) / 1000)) s"
package=$(find "$EBB_BUILD/deb" -name 'ebb_*.deb')
is 'lintian has nothing to say' "$(lintian --allow-root --fail-on error,warning "$EBB_BUILD"/deb/*.changes 2>&1)" ''
is 'its configuration is a conffile' "$(dpkg-deb --info "$package" conffiles)" /etc/ebb/ebb.yaml
tree_is_clean() { [ -z "$(cd "$root" && find debian deploy/debian/.debhelper deploy/debian/ebb 2>/dev/null)" ]; }
check 'the tree is as it was' tree_is_clean
cp "$package" "$scratch/ebb.deb"
exec 9>&-

# ------------------------------------------------------------------ install

start_machine
at=/proc/$machine/root
# what there is of ebb in the machine
traces() {
	in_machine find /etc /usr/bin /usr/sbin /usr/local /usr/share /usr/lib/systemd /var/cache /var/lib /var/log /run /sys/fs/bpf \
		-path /var/lib/containers -prune -o \( -name 'ebb*' -o -name '_ebb' \) -print 2>/dev/null | sort
}
property() { in_machine systemctl show -p "$1" --value ebb; }
health() { in_machine curl -s --max-time 5 -o /dev/null -w '%{http_code}' http://127.0.0.1:9478/health/ready; }
in_service() { in_machine systemctl "$@" ebb; }
journal() { in_machine journalctl -u ebb --no-pager -o cat; }

before=$(traces)
cp "$scratch/ebb.deb" "$at/tmp/ebb.deb"
in_machine dpkg -i /tmp/ebb.deb >"$scratch/dpkg" 2>&1 || { note <"$scratch/dpkg"; journal | note; bail 'dpkg -i'; }
is 'installed, it runs, is ready, and will after a boot' "$(property ActiveState) $(health) $(in_service is-enabled)" 'active 200 enabled'
like 'systemd shows how it is' "$(property StatusText)" '^mode=observe configuration=1$'
like 'ebb status works beside it' "$(in_machine ebb status)" 'programs  +8 attached'
pid=$(property MainPID)
# NET_ADMIN 12, PERFMON 38, BPF 39
is 'it has the capabilities that it needs and can get no others' \
	"$(in_machine awk '/^Cap(Prm|Eff|Bnd):/ { print $2 } /^NoNewPrivs|^Seccomp:/ { print $2 }' "/proc/$pid/status" | tr '\n' ' ')" \
	"$(printf '%016x ' $((1 << 12 | 1 << 38 | 1 << 39)){,,})1 2 "
is 'nothing is warned of' "$(journal | grep -E 'warn|err|libcap' | grep -v 'not believed')" ''
# real-time priority, with nothing but LimitRTPRIO
in_machine sed -i 's/^mode: .*/mode: enforce/' /etc/ebb/ebb.yaml
check 'reload' in_service reload
is 'it enforces now' "$(property StatusText | grep -o 'mode=[a-z]*')" mode=enforce
# a root that may not raise limits, as in some containers, cannot give it
if in_machine grep -q '^Max realtime priority  *0 ' "/proc/$pid/limits"; then
	like 'without real-time priority, where systemd may not give it, and it says so' "$(journal)" 'warn: no real-time priority'
else
	like 'with real-time priority' "$(in_machine chrt -p "$pid")" 'SCHED_RR'
fi
echo 'mode: wrong' >"$at/etc/ebb/ebb.yaml"
refute 'a wrong configuration fails the reload' in_service reload
like 'the journal says where' "$(journal)" '/etc/ebb/ebb.yaml:1:[0-9]+: .*wrong'
is 'and it goes on' "$(property MainPID) $(health)" "$pid 200"
echo 'mode: enforce' >"$at/etc/ebb/ebb.yaml"
check 'a right one is taken' in_service reload

# --------------------------------------------------------- watchdog, upgrade

mkdir -p "$at/run/systemd/system/ebb.service.d"
printf '[Service]\nWatchdogSec=3s\n' >"$at/run/systemd/system/ebb.service.d/quick.conf"
in_machine systemctl daemon-reload
in_service restart
pid=$(property MainPID)
in_machine kill -STOP "$pid"
is_another() { [ "$(property ActiveState)" = active ] && [ "$(property MainPID)" != "$pid" ]; }
check 'one that hangs is started again' wait_for 30 is_another
like 'by the watchdog' "$(journal)" 'code=dumped|watchdog|Watchdog'
rm -r "$at/run/systemd/system/ebb.service.d"
in_machine systemctl daemon-reload
programs() { in_machine bpftool cgroup show /sys/fs/cgroup | awk '$NF ~ /^ebb_/ { print $1, $NF }' | sort; }
pid=$(property MainPID)
in_machine dpkg --force-confold -i /tmp/ebb.deb >"$scratch/dpkg" 2>&1 || { note <"$scratch/dpkg"; bail 'dpkg -i, again'; }
check 'an upgrade starts it again' is_another
like 'with the maps from before' "$(journal | grep ' started: ' | tail -1)" 'maps="?taken over'
is 'the changed configuration stays' "$(cat "$at/etc/ebb/ebb.yaml")" 'mode: enforce'
is 'eight programs' "$(programs | wc -l)" 8

# ------------------------------------------------------------ remove, purge

in_machine dpkg --remove ebb >"$scratch/dpkg" 2>&1 || { note <"$scratch/dpkg"; bail 'dpkg --remove'; }
is 'removed: no program, no pin, no process' "$(programs)$(ls -d "$at/sys/fs/bpf/ebb" 2>/dev/null)$(in_machine pidof ebb)" ''
check 'removed: configuration and audit log stay' test -e "$at/etc/ebb/ebb.yaml" -a -e "$at/var/lib/ebb/audit.db"
mkdir -p "$at/sys/fs/bpf/ebb"
in_machine dpkg --purge ebb >"$scratch/dpkg" 2>&1 || { note <"$scratch/dpkg"; bail 'dpkg --purge'; }
is 'purged: no trace' "$(traces)" "$before"
done_testing
