#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
#
# In a virtual machine (run.sh), as its first process or as a service of systemd: tries what the kernel's command
# line names (parts=), each of a file part_NAME.sh, says what it saw in lines "guest: yes NAME" and "guest: no NAME", and switches
# off. "guest: note" is for whoever reads, "guest: figure" a line of programs.c.
exec >/dev/console 2>&1
if [ $$ = 1 ]; then
	/bin/busybox --install -s /bin
	export PATH=/usr/sbin:/usr/bin:/sbin:/bin
	mount -t proc proc /proc
	mount -t sysfs sys /sys
	mount -t devtmpfs dev /dev
	mount -t cgroup2 cgroup2 /sys/fs/cgroup
	mount -t bpf bpf /sys/fs/bpf
else
	/bin/busybox --install -s /bin
	export PATH=/usr/sbin:/usr/bin:/sbin:/bin
fi
ip link set lo up
for module in inet_diag tcp_diag veth sch_netem; do
	[ ! -e "/modules/$module.ko" ] || insmod "/modules/$module.ko"
done
group=/sys/fs/cgroup/clients
mkdir "$group" /tmp/www
echo hello >/tmp/www/index.html
httpd -p 127.0.0.1:8080 -h /tmp/www

yes() { echo "guest: yes $1"; }
no() { echo "guest: no $1"; }
note() { echo "guest: note $*"; }

# check NAME COMMAND...
check() {
	name=$1
	shift
	if "$@" >/tmp/said 2>&1; then
		yes "$name"
	else
		no "$name"
		cat /tmp/said
	fi
}

# refute NAME COMMAND...: does it fail?
refute() {
	name=$1
	shift
	if "$@" >/tmp/said 2>&1; then
		no "$name"
		cat /tmp/said
	else
		yes "$name"
	fi
}

# wait_for SECONDS COMMAND...: emulated, everything takes its time
wait_for() {
	left=$(($1 * 2))
	shift
	until "$@"; do
		left=$((left - 1))
		[ "$left" -gt 0 ] || return 1
		usleep 500000
	done
}

logged() { grep -q "$1" /tmp/log; }
listed() { ebb list -o json | grep -q "$1"; }
metrics() { wget -q -O - http://127.0.0.1:9478/metrics; }
metric() { metrics | grep -q "$1"; }

# client COMMAND...: in the cgroup
client() { sh -c 'echo $$ >"$0"/cgroup.procs; exec "$@"' "$group" "$@"; }

requests() {
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		client wget -q -O /dev/null http://127.0.0.1:8080/ || return 1
	done
}

refusals() {
	for _ in 1 2 3 4 5 6 7 8; do
		client nc -w 5 127.0.0.1 9 </dev/null && return 1
	done
	return 0
}

# What the verifier had to do.
figures() {
	programs "$1" >/tmp/figures
	sed 's/^/guest: figure /' /tmp/figures
	[ -s /tmp/figures ]
}

# Nothing of ours is in the kernel, or where pins are.
no_trace() {
	[ ! -e /sys/fs/bpf/ebb ] && programs >/tmp/left && [ ! -s /tmp/left ]
}

# Something is counted, a breaker opens and refuses, all is given back: of an agent that enforces.
governs() {
	check 'requests are answered' requests
	check 'their turns are counted' wait_for 30 metric '^ebb_turns_total{.*destination="web".*result="answered".*} 10$'
	check 'a dead server refuses' refusals
	check 'its breaker opens' wait_for 30 listed '"state": *"open"'
	check 'and refuses by itself' metric '^ebb_denied_total{.*cause="breaker".*} [1-9]'
	check 'more requests' requests
	check 'nothing is held' wait_for 30 metric '^ebb_active_connections{.*destination="web".*} 0$'
}

# The agent as a program: it starts, and ends and leaves nothing.
begin_agent() {
	ebb run --config /etc/ebb/ebb.yaml --cgroup "$group" >/tmp/log 2>&1 &
	agent=$!
	check 'the agent starts' wait_for 300 logged ' started: '
	figures "$agent"
}

end_agent() {
	kill "$agent"
	wait "$agent"
	check 'the agent ends well' test $? = 0
	check 'detach' ebb detach
	check 'nothing is left' wait_for 30 no_trace
}

# parts=a,b of the kernel's command line
for part in $(sed -n 's/.*\<parts=\([a-z_,]*\).*/\1/p' /proc/cmdline | tr , ' '); do
	# shellcheck disable=SC1090  # one of ours
	. "/part_$part.sh"
done
[ ! -e /tmp/log ] || cat /tmp/log
[ $$ = 1 ] && dmesg
check 'it has come to its end' true
poweroff -f
