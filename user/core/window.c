/* SPDX-License-Identifier: Apache-2.0 */
/* The sliding window. The picture is in the header. */
#include "core/window.h"

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

void ebb_window_clear(struct ebb_window *w)
{
	memset(w, 0, sizeof(*w));
}

void ebb_window_advance(struct ebb_window *w, uint64_t window_ns, uint64_t now_ns)
{
	uint64_t number = now_ns / (window_ns / EBB_WINDOW_BUCKETS);

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
	/* summed again, not subtracted: a saturated sum could not be taken back */
	w->sum = (struct ebb_counts){0};
	for (size_t i = 0; i < EBB_WINDOW_BUCKETS; i++)
		add_counts(&w->sum, &w->buckets[i]);
}

void ebb_window_add(struct ebb_window *w, struct ebb_counts counts)
{
	add_counts(&w->buckets[w->newest % EBB_WINDOW_BUCKETS], &counts);
	add_counts(&w->sum, &counts);
}
