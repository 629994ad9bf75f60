// SPDX-License-Identifier: Apache-2.0
/*
 * ebb-bench delay NAME NETNS NAME US: a path that takes US microseconds each way, between
 * a TUN device here and one in the network namespace NETNS (a path). Prints "ready" when
 * the devices are there, and when its input ends what passed, as one JSON object.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/units.h"
#include "tests/lib/delay.h"
#include "traffic.h"

static json_t *describe(const struct delay_stats *stats)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f}", "packets", (json_int_t)stats->packets,
			 "segments", (json_int_t)stats->segments, "ip_bytes", (json_int_t)stats->ip_bytes,
			 "dropped", (json_int_t)stats->dropped, "late_us_p50",
			 (json_int_t)delay_late_us(stats, 0.5), "late_us_p99",
			 (json_int_t)delay_late_us(stats, 0.99), "held_max", (json_int_t)stats->held_max,
			 "late_us_max", (double)stats->late_max_ns / 1e3);
}

int traffic_delay_main(int argc, char **argv)
{
	struct sched_param first = {.sched_priority = 2};
	_cleanup_close_ int near = -1, far = -1, netns = -1;
	struct delay_stats stats[2];
	uint32_t us;
	json_t *result;
	int devices[2], r;

	if (argc != 5 || ebb_parse_u32(argv[4], &us) < 0) {
		(void)fprintf(stderr, "usage: ebb-bench delay NAME NETNS NAME MICROSECONDS\n");
		return 2;
	}
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	netns = open(argv[2], O_RDONLY | O_CLOEXEC);
	if (netns < 0)
		return traffic_error(argv[2]) < 0;
	r = delay_device(-1, argv[1], &near);
	if (r == 0)
		r = delay_device(netns, argv[3], &far);
	if (r < 0) {
		(void)fprintf(stderr, "ebb-bench: delay: cannot make a TUN device: %s\n", strerror(-r));
		return 1;
	}
	/* a packet that is due does not wait for who has been sending */
	(void)sched_setscheduler(0, SCHED_FIFO, &first);
	(void)puts("ready");
	(void)fflush(stdout);
	devices[0] = near;
	devices[1] = far;
	r = delay_run(devices, us * 1000ULL, STDIN_FILENO, stats);
	if (r < 0) {
		(void)fprintf(stderr, "ebb-bench: delay: %s\n", strerror(-r));
		return 1;
	}
	result = json_pack("{s:o, s:o}", "out", describe(&stats[0]), "back", describe(&stats[1]));
	if (result && json_dumpf(result, stdout, JSON_COMPACT) == 0)
		(void)putchar('\n');
	json_decref(result);
	return result ? 0 : 1;
}
