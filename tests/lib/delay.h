/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A path that takes time: two TUN devices, and a loop that hands each packet from the
 * one to the other after a fixed delay, both ways. For kernels without netem.
 *
 *	sender -> device 0 -> ring, due = now + delay -> device 1 -> receiver
 *
 * Packets pass as the stack made them, 64 KB of segments at once (IFF_VNET_HDR), so that
 * one process carries over 1 GB/s. Nothing is lost while the rings have room (64 MB).
 */
#ifndef EBB_TESTS_LIB_DELAY_H
#define EBB_TESTS_LIB_DELAY_H

#include <stdint.h>

#define DELAY_LATE_BUCKETS 32

struct delay_stats {
	uint64_t packets;		   /* as handed over, segments not split */
	uint64_t segments;		   /* what they are on a wire */
	uint64_t ip_bytes;		   /* of the segments, with the headers of each */
	uint64_t dropped;		   /* no room in the ring, or refused by the device */
	uint64_t held_max;		   /* bytes in the ring */
	uint64_t late_max_ns;		   /* handed over this long after it was due */
	uint64_t late[DELAY_LATE_BUCKETS]; /* packets; bucket i: late by less than 2^i us */
};

/*
 * Makes the TUN device @name in the network namespace @netns_fd (-1: the caller's). It
 * lives as long as *@ret_fd. The calling process must have one thread. 0 or negative errno.
 */
int delay_device(int netns_fd, const char *name, int *ret_fd);

/*
 * Carries packets between @devices until @stop_fd is readable. ret_stats[0]: device 0 to 1.
 * 0 or negative errno.
 */
int delay_run(const int devices[2], uint64_t delay_ns, int stop_fd, struct delay_stats ret_stats[2]);

/* Smallest bucket bound (us) below which the share @q of all packets was late. */
uint64_t delay_late_us(const struct delay_stats *stats, double q);

#endif /* EBB_TESTS_LIB_DELAY_H */
