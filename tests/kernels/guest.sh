#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
#
# The first and only process of a virtual machine (run.sh): tries the agent, says what it saw in lines
# "guest: yes NAME" and "guest: no NAME", and switches off.
/bin/busybox --install -s /bin
export PATH=/bin

mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t bpf bpf /sys/fs/bpf
ip link set lo up
group=/sys/fs/cgroup/clients
mkdir "$group" /tmp/www
echo hello >/tmp/www/index.html

# check NAME COMMAND...
check() {
	name=$1
	shift
	if "$@" >/tmp/said 2>&1; then
		echo "guest: yes $name"
	else
		echo "guest: no $name"
		cat /tmp/said
	fi
}

# wait_for SECONDS COMMAND...: emulated, everything takes its time
wait_for() {
	left=$1
	shift
	until "$@"; do
		left=$((left - 1))
		[ "$left" -gt 0 ] || return 1
		sleep 1
	done
}

logged() { grep -q "$1" /tmp/log; }
listed() { ebb list -o json | grep -q "$1"; }
metric() { wget -q -O - http://127.0.0.1:9478/metrics | grep -q "$1"; }

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

httpd -p 127.0.0.1:8080 -h /tmp/www
printf 'mode: enforce\ndestinations:\n  - {name: web, match: [{cidr: 127.0.0.1/32, port: 8080}], limits: {concurrent: 20}}\n' >/tmp/ebb.yaml
ebb run --config /tmp/ebb.yaml --cgroup "$group" >/tmp/log 2>&1 &
agent=$!
check 'the agent starts' wait_for 180 logged ' started: '
check 'requests are answered' requests
check 'their turns are counted' wait_for 30 metric '^ebb_turns_total{.*destination="web".*result="answered".*} 10$'
check 'a dead server refuses' refusals
check 'its breaker opens' wait_for 30 listed '"state": *"open"'
check 'and refuses by itself' metric '^ebb_denied_total{.*cause="breaker".*} [1-9]'
check 'more requests' requests
check 'nothing is held' wait_for 30 metric '^ebb_active_connections{.*destination="web".*} 0$'
kill "$agent"
wait "$agent"
check 'the agent ends well' test $? = 0
check 'detach' ebb detach
check 'no pin is left' test ! -e /sys/fs/bpf/ebb
dmesg
cat /tmp/log
check 'it has come to its end' true
poweroff -f
