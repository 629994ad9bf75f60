# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What comes from run.py, and what documents use:
# shellcheck disable=SC2154,SC2034
#
# Where the commands of a document run as they are printed: every path, address and name in it is
# the usual one, and all of it is the test's own. Called in new namespaces (mount, network, PID,
# UTS, cgroup) whose cgroup root is a cgroup of the test; nothing here reaches the machine around it.
#
#	/sys/fs/cgroup   that cgroup, with apps.slice below it for the programs that are governed
#	/sys/fs/bpf      a file system of its own: pins are where they always are
#	/etc, /var, /root, /tmp  copies and empty directories
#	10.20.0.0/16     addresses of this network namespace, all on lo
#
# needs: $cgroup_inode, of the cgroup that must be the root here; $program, the directory of ebb;
# $work, a directory; $repository

set -u
export LC_ALL=C HOME=/root TZ=UTC
PATH=$program:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

fail() {
	printf 'world: %s\n' "$*" >&2
	exit 1
}

make_world() {
	mount --make-rprivate /
	hostname node-1
	umount -R -l /sys/fs/cgroup
	mount -t cgroup2 cgroup2 /sys/fs/cgroup || fail 'cannot mount a cgroup2'
	# nothing may ever be attached to the root of the machine
	[ "$(stat -c %i /sys/fs/cgroup)" = "$cgroup_inode" ] || fail 'the cgroup is not the one of the test'
	mount -t bpf bpf /sys/fs/bpf || fail 'cannot mount a bpffs'
	local copy=$work/etc
	cp -a /etc "$copy" || fail 'cannot copy /etc'
	mount --bind "$copy" /etc || fail 'cannot mount over /etc'
	rm -rf /etc/ebb && mkdir /etc/ebb
	local directory
	for directory in /var/lib /var/log /root; do
		mount -t tmpfs -o mode=755 tmpfs "$directory" || fail "cannot mount over $directory"
	done
	ip link set lo up
	ip address add 10.20.0.5/16 dev lo
	# what is on no host is unreachable at once, not after asking for it
	local last
	for last in 6 7 8 9; do ip address add 10.20.0.$last/16 dev lo; done
	mkdir /sys/fs/cgroup/apps.slice
	cd /root || exit 1
}

# ---------------------------------------------------------- for <!-- setup --> --

python=/usr/bin/python3
agent_log=/var/log/ebb.log

wait_for() {
	local end=$((${EPOCHREALTIME/./} + $1 * 1000000))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $((${EPOCHREALTIME/./})) -lt "$end" ] || return 1
		sleep 0.02
	done
}

# [room=N] agent ARGS...: with room for N destinations it governs apps.slice, follows /etc/ebb/ebb.yaml, and is ready.
agent() {
	# small tables: quick to make
	ebb run --cgroup /sys/fs/cgroup/apps.slice --destinations "${room:-256}" --pairs 1024 --endpoints 1024 "$@" >>"$agent_log" 2>&1 &
	agent=$!
	wait_for 60 curl -sf http://127.0.0.1:9478/health/ready || {
		tail -5 "$agent_log"
		return 1
	}
}

# enter CGROUP: this shell, below apps.slice
enter() {
	mkdir -p "/sys/fs/cgroup/apps.slice/$1"
	echo "$BASHPID" >"/sys/fs/cgroup/apps.slice/$1/cgroup.procs"
}

# in_app NAME COMMAND...: a program of the cgroup apps.slice/NAME
in_app() { (enter "$1" && shift && exec "$@"); }

# serve ADDRESS PORT: a web server, whose pid is in $server
serve() {
	"$python" -S "$repository/tests/lib/server.py" --address "$1" --port "$2" >/dev/null 2>&1 &
	server=$!
	wait_for 5 "$python" -c "import socket; socket.create_connection(('$1', $2))"
}

# connects NAME ADDRESS PORT [N]: N connects of the program NAME, a second apart or less
connects() {
	in_app "$1" "$python" -S "$repository/tests/lib/connect.py" --sum --count "${4:-1}" "$2" "$3"
}

# What a set-up waits for.
is_half_open() { ebb list --state half_open | grep half_open; }
no_agent() { ! pidof ebb; }
lease_over() { ebb status | grep -q '^lease .* is over'; }
# told_override [N]: the audit log has so many orders by hand.
told_override() { [ "$(ebb audit --type override | grep -c override)" -ge "${1:-1}" ]; }
connects_ok() { [[ $(connects "$@") = OK=* ]]; }
metric() { curl -sf http://127.0.0.1:9478/metrics | grep -E "$1"; }
fuse_acts() { metric '^ebb_node_fuse_active 1'; }
lost_enforcement() { metric '^ebb_health_state\{component="enforcement"\} 2'; }
two_in_use() { metric '^ebb_concurrent_in_use\{.* 2$'; }
sink_retries() { metric '^ebb_delivery_attempts_total\{sink="postgres",result="retry"\} [1-9]'; }
spans_wait() { metric '^ebb_spans_waiting [1-9]'; }
letters_there() { metric '^ebb_dead_letters [1-9]'; }
