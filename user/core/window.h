/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The window that rates are judged over. It is a time or a number of results.
 *
 * A time: ten buckets, each one tenth of it, counted from monotonic zero. The window is the
 * current bucket and the nine before it.
 *
 *	bucket number = now / (window / 10)
 *
 *	 ... | n-9 | n-8 | ... | n-1 |  n  |
 *	      <------- the window --------->
 *
 * A number N: a ring of the last N results, two bits each.
 *
 *	  newest
 *	    v
 *	.o.FF.o.......s...           . success  F failure  o s the same, and slow
 *	    |<----- N ----->|
 */
#ifndef EBB_CORE_WINDOW_H
#define EBB_CORE_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EBB_WINDOW_BUCKETS   10
#define EBB_WINDOW_CALLS_MAX 1024
#define EBB_WINDOW_WORDS     (EBB_WINDOW_CALLS_MAX / 64)

struct ebb_counts {
	uint32_t ok;
	uint32_t failed;
	uint32_t slow; /* of both */
};

/* Results with a weight: a result of now weighs 1. */
struct ebb_weights {
	double all; /* added up in the same order as the others: where all are slow, it is the very same number */
	double failed;
	double slow;
};

struct ebb_window {
	uint64_t window_ns; /* as ebb_window_shape() was told */
	uint32_t calls;	    /* the same; 0: it is a time */
	struct ebb_counts sum;
	union {
		struct {
			uint64_t newest;			       /* number of the current bucket */
			struct ebb_counts buckets[EBB_WINDOW_BUCKETS]; /* by number % 10 */
		};
		struct {
			uint32_t next; /* place of the next result; the newest is before it */
			uint64_t failed[EBB_WINDOW_WORDS];
			uint64_t slow[EBB_WINDOW_WORDS];
		};
	};
};

/* Empties it; its shape stays. */
void ebb_window_clear(struct ebb_window *w);

/*
 * A time of @window_ns (10 ns at least), or, with @calls above 0, the last @calls results (up to
 * EBB_WINDOW_CALLS_MAX). A window of another shape keeps what it holds, as far as there is room: a bucket goes on as one of
 * the time at which it began; results without a time are taken to be of @now_ns, those of a bucket to have come
 * successes first.
 */
void ebb_window_shape(struct ebb_window *w, uint64_t window_ns, uint32_t calls, uint64_t now_ns);

/* Moves on to @now_ns, dropping what has left a window of time. Time never goes back. */
void ebb_window_advance(struct ebb_window *w, uint64_t now_ns);

/* Takes out all failures, and with @slow all that was slow; without it the successes that were stay slow. */
void ebb_window_forgive(struct ebb_window *w, bool slow);

/* The same for slow results alone: they stay as successes and failures. */
void ebb_window_forgive_slow(struct ebb_window *w);

/* Adds what came since: successes before failures, of each the slow ones last. Saturates. */
void ebb_window_add(struct ebb_window *w, struct ebb_counts counts);

/*
 * The same with weights: what is k buckets old weighs 2^(-k/5), half for each half window of age. Of a window of
 * calls each weighs 1.
 */
struct ebb_weights ebb_window_weigh(const struct ebb_window *w);

#endif /* EBB_CORE_WINDOW_H */
