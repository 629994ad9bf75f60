#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The clock is set while there is load: a day on, a day back, ten years, a second at a time. What the agent decides does not
# depend on it; what it tells does. The clock is the agent's alone (a library before the C library's adds what a file says):
# the kernel's side uses the monotonic clock, which nobody can set, and that of the machine belongs to others.
# deadline: 300

# SC2119: functions with optional arguments; SC2317: functions that are arguments
# shellcheck disable=SC2119,SC2317
# shellcheck source=chaos.sh
. "$(dirname "$0")/chaos.sh"

cat >"$scratch/clock.c" <<'C'
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *offset_s;

__attribute__((constructor)) static void find(void)
{
	int fd = open(getenv("CLOCK_OFFSET"), O_RDONLY);
	void *map = mmap(NULL, sizeof(*offset_s), PROT_READ, MAP_SHARED, fd, 0);

	if (map != MAP_FAILED)
		offset_s = map;
	close(fd);
}

int clock_gettime(clockid_t clock, struct timespec *time)
{
	int r = syscall(SYS_clock_gettime, clock, time);

	if (r == 0 && offset_s && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
		time->tv_sec += *offset_s;
	return r;
}

time_t time(time_t *where)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (where)
		*where = now.tv_sec;
	return now.tv_sec;
}
C
"${CC:-cc}" -O1 -shared -fPIC -o "$scratch/clock.so" "$scratch/clock.c" || bail 'the library is not built'
set_clock() { "$python" -S -c 'import struct, sys
with open(sys.argv[1], "r+b") as f: f.write(struct.pack("q", int(sys.argv[2])))' "$scratch/offset" "$1"; }
printf '\0\0\0\0\0\0\0\0' >"$scratch/offset"

enter=(env LD_PRELOAD="$scratch/clock.so" CLOCK_OFFSET="$scratch/offset")
start_world </dev/null
# how far from the machine's clock the agent's is, in seconds, by when it looked last
skew() { curl -sS --max-time 5 "http://$address/health" | json 'round(__import__("datetime").datetime.fromisoformat(d["components"]["lease"]["checked"].replace("Z", "+00:00")).timestamp() - __import__("time").time())'; }
is_skewed() { local got; got=$(skew) && [ $((got - $1)) -ge -15 ] && [ $((got - $1)) -le 2 ]; }

day=86400
clock_set() {
	local offset
	for offset in "$@"; do
		set_clock "$offset"
		check "clock set by $offset s: the agent has it" wait_for 20 is_skewed "$offset"
		is_open_for() { ebb list -o json | json "[r for r in d['destinations'] if r['open_until_timestamp'] and abs(r['open_until_timestamp'] - __import__('time').time()) < 3]" | grep -q destination; }
		# commands have the machine's clock, and say by it until when a breaker is open
		check "clock set by $offset s: a breaker is open for as long as before" wait_for 30 is_open_for
		survives "clock set by $offset s"
	done
}
if [ "${CHAOS:-}" = full ]; then
	clock_set $day -$day $((3650 * day)) $((-3650 * day)) 1 -1 3600 -3600 0
else
	clock_set $day -$day
fi

# An agent that comes after: what the last one left is as old as it is by the monotonic clock.
end "$agent" KILL
set_clock $((-2 * day))
launch
survives 'clock set, and another agent'
set_clock 0

end_world
done_testing
