#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Installs the Debian packages named as arguments, as far as they are missing.
# Fast and silent when nothing is. No service is started or enabled by it.
#
# usage: tools/deps.sh PACKAGE...
set -eu

fail()
{
	echo "deps: $*" >&2
	exit 1
}

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
	echo "deps: no apt here; what Debian calls: $*" >&2
	echo "deps: going on with what is installed" >&2
	exit 0
fi

missing=''
# dpkg-query fails for a name it has never seen; what it does not list as installed is missing.
installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null |
	sed -n 's/^installed //p') || true
for package in "$@"; do
	# any node does, whoever packaged it, and the npm that came with it
	case $package in
	nodejs) ! command -v node >/dev/null || continue ;;
	npm) ! command -v npm >/dev/null || continue ;;
	esac
	echo "$installed" | grep -qxF "$package" || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

[ "$(id -u)" -eq 0 ] || fail "missing packages: as root, run: apt-get install --no-install-recommends$missing"
echo "deps: installing$missing (once; this may take a minute)"

log=$(mktemp)
policy=''
trap 'rm -f "$log" $policy' EXIT
trap 'exit 1' HUP INT TERM

# Some packages bring a service (prometheus, for promtool). The usual way to keep apt from
# starting services is a policy; ours is there only while apt runs, and not if there is one.
if [ ! -e /usr/sbin/policy-rc.d ]; then
	policy=/usr/sbin/policy-rc.d
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 755 "$policy"
fi

# quietly COMMAND...: what it says is shown only when it fails
quietly()
{
	"$@" >"$log" 2>&1 || {
		cat "$log" >&2
		fail "failed: $*"
	}
}

export DEBIAN_FRONTEND=noninteractive
quietly apt-get -q update
# shellcheck disable=SC2086  # a list of words
quietly apt-get -q -y -o Dpkg::Use-Pty=0 install --no-install-recommends $missing

# Only the programs are wanted: no server that listens from the next boot on.
for server in prometheus:prometheus openssh-server:ssh; do
	case " $missing " in *" ${server%:*} "*) ;; *) continue ;; esac
	command -v systemctl >/dev/null || continue
	systemctl --quiet disable "${server#*:}.service" >"$log" 2>&1 || echo "deps: ${server#*:}.service is still enabled: $(cat "$log")" >&2
done
