/* SPDX-License-Identifier: Apache-2.0 */
/* The window. The pictures are in the header. */
#include "core/window.h"

#include <stdbool.h>
#include <string.h>

static uint32_t add_saturating(uint32_t a, uint32_t b)
{
	return a < UINT32_MAX - b ? a + b : UINT32_MAX;
}

static void add_counts(struct ebb_counts *to, const struct ebb_counts *from)
{
	to->ok = add_saturating(to->ok, from->ok);
	to->failed = add_saturating(to->failed, from->failed);
	to->slow = add_saturating(to->slow, from->slow);
}

static uint32_t min_u32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

void ebb_window_clear(struct ebb_window *w)
{
	uint64_t window_ns = w->window_ns;
	uint32_t calls = w->calls;

	memset(w, 0, sizeof(*w));
	w->window_ns = window_ns;
	w->calls = calls;
}

/* --------------------------------------------------------------- results -- */

static uint32_t held(const struct ebb_window *w)
{
	return w->sum.ok + w->sum.failed;
}

static bool test_bit(const uint64_t *words, uint32_t place)
{
	return words[place / 64] >> place % 64 & 1;
}

static void write_bit(uint64_t *words, uint32_t place, bool value)
{
	words[place / 64] &= ~(1ULL << place % 64);
	words[place / 64] |= (uint64_t)value << place % 64;
}

/* Takes the oldest out of the sum. */
static void drop_oldest(struct ebb_window *w)
{
	uint32_t place = (w->next + EBB_WINDOW_CALLS_MAX - held(w)) % EBB_WINDOW_CALLS_MAX;

	w->sum.slow -= test_bit(w->slow, place);
	if (test_bit(w->failed, place))
		w->sum.failed--;
	else
		w->sum.ok--;
}

static void push(struct ebb_window *w, bool failed, bool slow)
{
	if (held(w) == w->calls)
		drop_oldest(w);
	write_bit(w->failed, w->next, failed);
	write_bit(w->slow, w->next, slow);
	w->next = (w->next + 1) % EBB_WINDOW_CALLS_MAX;
	w->sum.slow += slow;
	if (failed)
		w->sum.failed++;
	else
		w->sum.ok++;
}

/* @count results, the last @slow of them slow; only those that stay are looked at. */
static void push_many(struct ebb_window *w, bool failed, uint32_t count, uint32_t slow)
{
	for (uint32_t left = min_u32(count, w->calls); left > 0; left--)
		push(w, failed, left <= slow);
}

static void push_counts(struct ebb_window *w, struct ebb_counts counts)
{
	uint32_t slow_ok = min_u32(counts.slow, counts.ok);

	push_many(w, false, counts.ok, slow_ok);
	push_many(w, true, counts.failed, min_u32(counts.slow - slow_ok, counts.failed));
}

/* ----------------------------------------------------------------- times -- */

/* Summed again, not subtracted: a saturated sum could not be taken back. */
static void sum_buckets(struct ebb_window *w)
{
	w->sum = (struct ebb_counts){0};
	for (size_t i = 0; i < EBB_WINDOW_BUCKETS; i++)
		add_counts(&w->sum, &w->buckets[i]);
}

static uint64_t bucket_ns(uint64_t window_ns)
{
	return window_ns / EBB_WINDOW_BUCKETS;
}

void ebb_window_advance(struct ebb_window *w, uint64_t now_ns)
{
	uint64_t number;

	if (w->calls > 0)
		return;
	number = now_ns / bucket_ns(w->window_ns);
	if (number == w->newest)
		return;
	/* unsigned: also where the number has gone back */
	if (number - w->newest >= EBB_WINDOW_BUCKETS) {
		ebb_window_clear(w);
		w->newest = number;
		return;
	}
	while (w->newest < number) {
		w->newest++;
		w->buckets[w->newest % EBB_WINDOW_BUCKETS] = (struct ebb_counts){0};
	}
	sum_buckets(w);
}

void ebb_window_add(struct ebb_window *w, struct ebb_counts counts)
{
	if (w->calls > 0) {
		push_counts(w, counts);
		return;
	}
	add_counts(&w->buckets[w->newest % EBB_WINDOW_BUCKETS], &counts);
	add_counts(&w->sum, &counts);
}

void ebb_window_forgive(struct ebb_window *w, bool slow)
{
	struct ebb_counts left = {.ok = w->sum.ok, .slow = slow ? 0 : min_u32(w->sum.slow, w->sum.ok)};

	if (w->calls > 0) {
		ebb_window_clear(w);
		push_counts(w, left);
		return;
	}
	for (size_t i = 0; i < EBB_WINDOW_BUCKETS; i++) {
		struct ebb_counts *bucket = &w->buckets[i];

		bucket->failed = 0;
		bucket->slow = slow ? 0 : min_u32(bucket->slow, bucket->ok);
	}
	sum_buckets(w);
}

void ebb_window_forgive_slow(struct ebb_window *w)
{
	w->sum.slow = 0;
	if (w->calls > 0) {
		memset(w->slow, 0, sizeof(w->slow));
		return;
	}
	for (size_t i = 0; i < EBB_WINDOW_BUCKETS; i++)
		w->buckets[i].slow = 0;
}

struct ebb_weights ebb_window_weigh(const struct ebb_window *w)
{
	/* 2^(-k/5) */
	static const double weights[EBB_WINDOW_BUCKETS] = {
		1,   0.87055056329612412, 0.757858283255199,  0.6597539553864471,  0.57434917749851755,
		0.5, 0.43527528164806206, 0.3789291416275995, 0.32987697769322355, 0.28717458874925877,
	};
	struct ebb_weights sum = {0};

	if (w->calls > 0)
		return (struct ebb_weights){.all = held(w), .failed = w->sum.failed, .slow = w->sum.slow};
	for (uint64_t age = 0; age < EBB_WINDOW_BUCKETS && age <= w->newest; age++) {
		const struct ebb_counts *bucket = &w->buckets[(w->newest - age) % EBB_WINDOW_BUCKETS];

		sum.all += weights[age] * ((double)bucket->ok + bucket->failed);
		sum.failed += weights[age] * bucket->failed;
		sum.slow += weights[age] * bucket->slow;
	}
	return sum;
}

/* ----------------------------------------------------------------- shape -- */

/* The buckets of @old, oldest first, into @w, which is empty. */
static void pour(struct ebb_window *w, const struct ebb_window *old)
{
	for (uint64_t age = EBB_WINDOW_BUCKETS; age-- > 0;) {
		if (age > old->newest)
			continue;
		if (w->calls == 0)
			ebb_window_advance(w, (old->newest - age) * bucket_ns(old->window_ns));
		ebb_window_add(w, old->buckets[(old->newest - age) % EBB_WINDOW_BUCKETS]);
	}
	/* to where it was: what is older than the new window leaves it */
	if (w->calls == 0)
		ebb_window_advance(w, old->newest * bucket_ns(old->window_ns));
}

void ebb_window_shape(struct ebb_window *w, uint64_t window_ns, uint32_t calls, uint64_t now_ns)
{
	struct ebb_window old;

	if (w->window_ns == window_ns && w->calls == calls)
		return;
	if (calls > 0 && w->calls > 0) {
		w->window_ns = window_ns;
		w->calls = calls;
		while (held(w) > calls)
			drop_oldest(w);
		return;
	}
	old = *w;
	memset(w, 0, sizeof(*w));
	w->window_ns = window_ns;
	w->calls = calls;
	if (old.window_ns == 0)
		return; /* it had no shape yet */
	if (old.calls == 0) {
		pour(w, &old);
		return;
	}
	ebb_window_advance(w, now_ns);
	ebb_window_add(w, old.sum);
}
