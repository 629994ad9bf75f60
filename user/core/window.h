/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sliding window: ten buckets, each one tenth of the window, counted from
 * monotonic zero. The window is the current bucket and the nine before it.
 *
 *	bucket number = now / (window / 10)
 *
 *	 ... | n-9 | n-8 | ... | n-1 |  n  |
 *	      <------- the window --------->
 */
#ifndef EBB_CORE_WINDOW_H
#define EBB_CORE_WINDOW_H

#include <stddef.h>
#include <stdint.h>

#define EBB_WINDOW_BUCKETS 10

struct ebb_counts {
	uint32_t ok;
	uint32_t failed;
	uint32_t slow; /* of both */
};

struct ebb_window {
	uint64_t newest;			       /* number of the current bucket */
	struct ebb_counts buckets[EBB_WINDOW_BUCKETS]; /* by number % 10 */
	struct ebb_counts sum;
};

/* Empties it. */
void ebb_window_clear(struct ebb_window *w);

/*
 * Moves on to @now_ns, dropping what has left the window of @window_ns (10 ns at
 * least). Time never goes back; another @window_ns numbers the buckets anew, so
 * it empties the window (or ages it, where it is just a little shorter).
 */
void ebb_window_advance(struct ebb_window *w, uint64_t window_ns, uint64_t now_ns);

/* Adds to the current bucket; saturates. */
void ebb_window_add(struct ebb_window *w, struct ebb_counts counts);

#endif /* EBB_CORE_WINDOW_H */
