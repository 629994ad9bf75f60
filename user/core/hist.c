/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading histograms. The kernel goes on counting while we read, so two passes
 * over the buckets may disagree by a few; nothing here relies on their sum.
 */
#include "core/hist.h"

const uint64_t ebb_hist_shown_ns[EBB_HIST_SHOWN] = {
	64000,	   256000,     1024000,	   4096000,	16384000,    65536000,
	262144000, 1048576000, 4194304000, 16777216000, 67108864000,
};

/* Where @bucket begins, in ns; for the one past the last, where that ends. */
static double lower_ns(uint32_t bucket)
{
	return (double)ebb_hist_lower(bucket) * EBB_HIST_UNIT_NS;
}

/* The same of the buckets of turns; the last has no end, and is taken to be as wide as a power of two. */
static double turn_lower_ns(uint32_t bucket)
{
	return bucket ? (double)(1ULL << (EBB_TURN_SHIFT + bucket - 1)) * EBB_HIST_UNIT_NS : 0;
}

static uint64_t quantile(const uint64_t *buckets, uint32_t bucket_count, double (*lower)(uint32_t bucket),
			 double q)
{
	double rank, count = 0, seen = 0, value = 0;

	if (!(q > 0)) /* NaN too */
		q = 0;
	if (q > 1)
		q = 1;
	for (uint32_t i = 0; i < bucket_count; i++)
		count += (double)buckets[i];
	rank = q * count;
	for (uint32_t i = 0; i < bucket_count; i++) {
		double in_bucket = (double)buckets[i], share;

		if (buckets[i] == 0)
			continue;
		share = (rank - seen) / in_bucket;
		/* values are taken to lie evenly within their bucket */
		value = lower(i) + (lower(i + 1) - lower(i)) * (share < 1 ? share : 1);
		if (share <= 1)
			break;
		seen += in_bucket;
	}
	return (uint64_t)(value + 0.5);
}

uint64_t ebb_hist_count(const struct ebb_hist *h)
{
	uint64_t count = 0;

	for (uint32_t i = 0; i < EBB_HIST_BUCKETS; i++)
		count += h->buckets[i];
	return count;
}

uint64_t ebb_hist_quantile(const struct ebb_hist *h, double q)
{
	uint64_t buckets[EBB_HIST_BUCKETS];

	for (uint32_t i = 0; i < EBB_HIST_BUCKETS; i++)
		buckets[i] = h->buckets[i];
	return quantile(buckets, EBB_HIST_BUCKETS, lower_ns, q);
}

uint64_t ebb_turn_quantile(const uint64_t buckets[EBB_TURN_BUCKETS], double q)
{
	return quantile(buckets, EBB_TURN_BUCKETS, turn_lower_ns, q);
}

uint64_t ebb_hist_below(const struct ebb_hist *h, uint64_t bound_ns)
{
	uint64_t count = 0;

	for (uint32_t i = 0; i < EBB_HIST_BUCKETS; i++) {
		if (ebb_hist_lower(i) * EBB_HIST_UNIT_NS >= bound_ns)
			break;
		count += h->buckets[i];
	}
	return count;
}
