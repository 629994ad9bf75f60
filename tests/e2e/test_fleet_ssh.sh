#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# deploy/bin with real ones: two machines with systemd, an sshd and an agent each, reached by ssh over networks of their
# own. Packages are put there, one fails half-way, one cannot be reached, what was done is taken back; the canary
# goes through, and is stopped by a limit that is too low and not by a destination that fails by itself.
# What is asked of whom, in every case, and Kubernetes: tests/unit/test_deploy.sh.
# deadline: 300

# SC2119: functions with optional arguments; SC2317: functions that are arguments
# SC2016: programs of shells elsewhere
# shellcheck disable=SC2016,SC2119,SC2317
# shellcheck source=../lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"
# shellcheck source=../lib/machine.sh
. "$root/tests/lib/machine.sh"

sshd=/usr/sbin/sshd
[ -x "$sshd" ] || { echo '1..0 # SKIP no sshd: openssh-server is missing'; exit 0; }

# ------------------------------------------------------------------- packages

# one at a time: test_package.sh makes one, too
(
	flock 9
	cd "$root" && DEB_BUILD_OPTIONS=noautodbgsym make -s deb BUILD="${EBB_BUILD#"$root"/}" && cp "$EBB_BUILD"/deb/ebb_*.deb "$scratch"
) 9>"$EBB_BUILD/deb.lock" >"$scratch/build" 2>&1 || bail "make deb: $(tail -20 "$scratch/build")"
package=$(find "$scratch" -maxdepth 1 -name 'ebb_*.deb')
old=$(dpkg-deb --field "$package" Version)
new=$old+next
# The next version has another configuration, and does not get ready where there is a file that says so.
dpkg-deb --raw-extract "$package" "$scratch/next"
sed -i "s/^Version: .*/Version: $new/" "$scratch/next/DEBIAN/control"
echo '# a new default' >>"$scratch/next/etc/ebb/ebb.yaml"
sed -i '2i [ ! -e /etc/breaks ] || { echo "this one breaks" >\&2; exit 1; }' "$scratch/next/DEBIAN/postinst"
dpkg-deb --root-owner-group -Zgzip -z1 --build "$scratch/next" "$scratch/next.deb" >"$scratch/build" || bail 'no next package'

# ------------------------------------------------------------------- machines

fleet=$test_id-a # the network namespace from which they are managed
ip netns add "$fleet" || bail 'no network namespace'
ssh-keygen -q -t ed25519 -N '' -f "$scratch/key" || bail 'no key'
declare -A machine_of
names=(one two)

for i in "${!names[@]}"; do
	name=${names[i]}
	launch_machine "$name"
	machine_of[$name]=$machine
	ip -n "$fleet" link add "to-$name" type veth peer name ve0 netns "$machine" || bail 'no veth pair'
	ip -n "$fleet" address add "10.9.$i.1/24" dev "to-$name"
	ip -n "$fleet" link set "to-$name" up
	nsenter --target="$machine" --net ip address add "10.9.$i.2/24" dev ve0
	nsenter --target="$machine" --net ip link set ve0 up
	cat >>"$scratch/ssh_config" <<-SSH
		Host $name
			HostName 10.9.$i.2
	SSH
done
cat >>"$scratch/ssh_config" <<-SSH
	Host *
		User root
		IdentityFile $scratch/key
		IdentitiesOnly yes
		UserKnownHostsFile $scratch/known_hosts
		GlobalKnownHostsFile /dev/null
		StrictHostKeyChecking yes
SSH

# on NAME COMMAND...
on() {
	machine=${machine_of[$1]}
	shift
	in_machine "$@"
}

for i in "${!names[@]}"; do
	machine=${machine_of[${names[i]}]}
	machine_comes_up
	at=/proc/$machine/root
	mkdir -p "$at/run/sshd" "$at/run/keys"
	ssh-keygen -q -t ed25519 -N '' -f "$at/run/keys/host"
	cp "$scratch/key.pub" "$at/run/keys/users"
	echo "10.9.$i.2 $(cut -d' ' -f1,2 "$at/run/keys/host.pub")" >>"$scratch/known_hosts"
	cat >"$at/run/keys/sshd_config" <<-SSHD
		ListenAddress 10.9.$i.2
		HostKey /run/keys/host
		AuthorizedKeysFile /run/keys/users
		PasswordAuthentication no
		UsePAM no
		PidFile none
	SSHD
	cp "$root/tests/lib/connect.py" "$at/run/"
	# what takes apt and dpkg most of their time here: the packages of all Debian, and an index of manuals
	rm -rf "$at"/var/lib/apt/lists/* "$at"/var/cache/apt/*.bin "$at/var/lib/man-db/auto-update"
	# an account without a password is not one that is locked
	in_machine usermod --password '*' root
	in_machine systemd-run --quiet --unit=sshd "$sshd" -D -e -f /run/keys/sshd_config || bail 'no sshd'
done
answers() { ip netns exec "$fleet" ssh -F "$scratch/ssh_config" -o BatchMode=yes "$1" true; }
for name in "${names[@]}"; do
	wait_for 10 answers "$name" || { answers "$name"; on "$name" journalctl -u sshd | note; bail "no ssh to $name"; }
done

# fleet COMMAND ARGS...: sets status and said
fleet() {
	local program=$1
	shift
	status=0
	said=$(ip netns exec "$fleet" "$root/deploy/bin/$program" --ssh-config "$scratch/ssh_config" --timeout 60 --hosts "${names[*]}" "$@" 2>&1) || status=$?
	note <<<"$program $*: $status after $SECONDS s"
}
unplug() { ip -n "$fleet" link set "to-$1" down; }
plug() {
	ip -n "$fleet" link set "to-$1" up
	wait_for 10 answers "$1" || bail "no ssh to $1 any more"
}
version() { on "$1" dpkg-query --show --showformat '${db:Status-Status} ${Version}' ebb; }
versions() { for name in "${names[@]}"; do version "$name" | tr '\n' ' '; echo -n '|'; done; }
pid() { on "$1" systemctl show --property MainPID --value ebb; }
mode() { on "$1" curl -s --max-time 5 http://127.0.0.1:9478/metrics | awk '/^ebb_enforcement_active/ { print $2 ? "enforces" : "observes" }'; }
modes() { for name in "${names[@]}"; do mode "$name"; done | tr '\n' ' '; }
# the agent takes an order by hand up at its next tick
modes_are() { [ "$(modes)" = "$1" ]; }
variables() { for name in "${names[@]}"; do on "$name" sh -c 'ls /run/systemd/system/ebb.service.d 2>/dev/null'; done; }

# ------------------------------------------------------------ deploy, roll back

fleet ebb-deploy --deb "$package"
is 'a first version' "$status $(versions)" "0 installed $old|installed $old|"
fleet ebb-fleet-status
like 'status: each is ready and observes' "$status $said" '^0 NODE.*one +ready +[0-9.]+ +observes .*two +ready +[0-9.]+ +observes '

echo '# mine' >>"/proc/${machine_of[one]}/root/etc/ebb/ebb.yaml"
touch "/proc/${machine_of[two]}/root/etc/breaks"
fleet ebb-deploy --deb "$scratch/next.deb"
like 'one that fails half-way ends it' "$status $said" "^1 .*this one breaks.*two failed; done before: one; .*back: ebb-rollback --hosts 'one two'"
is 'one has it, one is between the two' "$(versions)" "installed $new|half-configured $new|"
is 'what somebody changed in the configuration stays' "$(on one tail -1 /etc/ebb/ebb.yaml)" '# mine'
unplug two
fleet ebb-fleet-status
like 'status: one does not answer' "$status $said" '^1 .*one +ready .*two +no answer'
fleet ebb-rollback
like 'back, as it told: one that cannot be reached does not hold up the others' "$status $said" '^1 .*not back, or not ready: two$'
plug two
fleet ebb-rollback --hosts two
is 'one is back, and one that was broken' "$status $(versions)" "0 installed $old|installed $old|"

unplug two
fleet ebb-deploy --deb "$scratch/next.deb"
like 'one that cannot be reached ends it, and is not to go back' "$status $said" "^1 .*two failed; done before: one; .*back: ebb-rollback --hosts 'one' --ssh-config "
plug two
fleet ebb-deploy --deb "$scratch/next.deb" --hosts one
is 'the same once more does not lose the way back' "$status $(version one) $(on one dpkg-deb --field /var/cache/ebb/previous.deb Version)" "0 installed $new $old"

# --------------------------------------------------------------------- canary

start_server --netns "$fleet" --address 0.0.0.0
for i in "${!names[@]}"; do
	# one that answers, one that does not
	for to in "$port" 81; do
		on "${names[i]}" systemd-run --quiet --unit="to-$to" "$python" -S /run/connect.py --count 0 --every 0.02 --sum "10.9.$i.1" "$to"
	done
done
canary=(ebb-canary --node one --interval 1 --patience 2 --min-attempts 10)

before=$(pid two)
on one ebb limit set "10.9.0.1:$port" --connects 1/s >"$scratch/limit" 2>&1 || note <"$scratch/limit"
# more looks than it takes: on a busy machine some find too few attempts
fleet "${canary[@]}" --checks 20
like 'a limit that is too low stops it' "$status $said" "^1 .*one: 10\.9\.0\.1:$port/tcp is refused although it answers: .*going back"
check 'the one node observes again' wait_for 10 modes_are 'observes observes '
is 'the other was left alone' "$(pid two)" "$before"
on one ebb limit clear "10.9.0.1:$port" >"$scratch/limit" 2>&1 || note <"$scratch/limit"

fleet "${canary[@]}" --checks 1 --shares 100
like 'a destination that fails by itself stops nothing' "$status $said" '^0 .*done: everything enforces'
check 'all enforce' modes_are 'enforces enforces '
fleet ebb-fleet-status
like 'status says so' "$status $said" '^0 .*one +ready +[0-9.]+ +enforces +[01] +[1-9].*two +ready +[0-9.]+ +enforces '
fleet ebb-canary --end
is 'the end takes the variables away' "$status $(modes)$(variables)" '0 observes observes '

done_testing
