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

uint64_t ebb_hist_count(const struct ebb_hist *h)
{
	uint64_t count = 0;

	for (uint32_t i = 0; i < EBB_HIST_BUCKETS; i++)
		count += h->buckets[i];
	return count;
}

uint64_t ebb_hist_quantile(const struct ebb_hist *h, double q)
{
	double rank, seen = 0, value = 0;

	if (!(q > 0)) /* NaN too */
		q = 0;
	if (q > 1)
		q = 1;
	rank = q * (double)ebb_hist_count(h);
	for (uint32_t i = 0; i < EBB_HIST_BUCKETS; i++) {
		double in_bucket = (double)h->buckets[i], share;

		if (h->buckets[i] == 0)
			continue;
		share = (rank - seen) / in_bucket;
		/* values are taken to lie evenly within their bucket */
		value = lower_ns(i) + (lower_ns(i + 1) - lower_ns(i)) * (share < 1 ? share : 1);
		if (share <= 1)
			break;
		seen += in_bucket;
	}
	return (uint64_t)(value + 0.5);
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
