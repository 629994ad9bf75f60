/* SPDX-License-Identifier: Apache-2.0 */
/* Histograms: the layout of bpf/abi.h, quantiles, and the counts that /metrics shows. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <math.h>

#include "core/hist.h"

static void count_ns(struct ebb_hist *h, uint64_t ns)
{
	h->buckets[ebb_hist_bucket(ns / EBB_HIST_UNIT_NS)]++;
	h->sum_units += ns / EBB_HIST_UNIT_NS;
}

static void every_value_lies_in_its_bucket(void **state)
{
	(void)state;
	for (uint32_t bucket = 0; bucket + 1 < EBB_HIST_BUCKETS; bucket++) {
		uint64_t lower = ebb_hist_lower(bucket), next = ebb_hist_lower(bucket + 1);

		assert_true(lower < next);
		assert_int_equal(ebb_hist_bucket(lower), bucket);
		assert_int_equal(ebb_hist_bucket(next - 1), bucket);
	}
	assert_int_equal(ebb_hist_bucket(ebb_hist_lower(EBB_HIST_BUCKETS - 1)), EBB_HIST_BUCKETS - 1);
	assert_int_equal(ebb_hist_bucket(UINT64_MAX), EBB_HIST_BUCKETS - 1);
}

static void an_empty_histogram_has_no_quantile(void **state)
{
	static const struct ebb_hist empty;

	(void)state;
	assert_int_equal(ebb_hist_count(&empty), 0);
	assert_int_equal(ebb_hist_quantile(&empty, 0.5), 0);
	assert_int_equal(ebb_hist_below(&empty, ebb_hist_shown_ns[EBB_HIST_SHOWN - 1]), 0);
}

static void one_value_has_all_quantiles_within_its_bucket(void **state)
{
	const uint64_t ns = 1234567;
	const uint32_t bucket = ebb_hist_bucket(ns / EBB_HIST_UNIT_NS);
	const double qs[] = {-1, 0, 0.5, 0.99, 1, 7, NAN};
	struct ebb_hist h = {0};

	(void)state;
	count_ns(&h, ns);
	for (size_t i = 0; i < sizeof(qs) / sizeof(qs[0]); i++) {
		uint64_t value = ebb_hist_quantile(&h, qs[i]);

		assert_in_range(value, ebb_hist_lower(bucket) * EBB_HIST_UNIT_NS,
				ebb_hist_lower(bucket + 1) * EBB_HIST_UNIT_NS);
	}
	assert_int_equal(ebb_hist_quantile(&h, NAN), ebb_hist_quantile(&h, 0));
	assert_int_equal(ebb_hist_quantile(&h, -1), ebb_hist_quantile(&h, 0));
}

static void quantiles_are_interpolated_within_a_bucket(void **state)
{
	struct ebb_hist h = {0};
	/* bucket 16: 32 to 40 units, 8,000 to 10,000 ns */
	const uint32_t bucket = 16;

	(void)state;
	assert_int_equal(ebb_hist_lower(bucket), 32);
	h.buckets[bucket] = 4;
	assert_int_equal(ebb_hist_quantile(&h, 0), 8000);
	assert_int_equal(ebb_hist_quantile(&h, 0.25), 8500);
	assert_int_equal(ebb_hist_quantile(&h, 0.5), 9000);
	assert_int_equal(ebb_hist_quantile(&h, 1), 10000);
	h.buckets[bucket + 20] = 4;
	assert_int_equal(ebb_hist_quantile(&h, 0.5), 10000);
	assert_true(ebb_hist_quantile(&h, 0.51) > 10000);
}

/* A bucket is at most a quarter of its lower bound wide: so is the error. */
static void quantiles_of_a_spread_are_within_a_quarter(void **state)
{
	struct ebb_hist h = {0};
	const uint64_t n = 10000;
	const double qs[] = {0.01, 0.1, 0.5, 0.9, 0.95, 0.99};

	(void)state;
	for (uint64_t i = 0; i < n; i++)
		count_ns(&h, 50000 + i * 7919);
	assert_int_equal(ebb_hist_count(&h), n);
	for (size_t i = 0; i < sizeof(qs) / sizeof(qs[0]); i++) {
		double exact = 50000 + qs[i] * (double)n * 7919;
		double got = (double)ebb_hist_quantile(&h, qs[i]);

		assert_true(fabs(got - exact) <= exact / 4);
	}
}

static void quantiles_never_fall_as_q_grows(void **state)
{
	struct ebb_hist h = {0};
	uint64_t last = 0;

	(void)state;
	for (uint32_t i = 0; i < EBB_HIST_BUCKETS; i += 3)
		h.buckets[i] = i % 7;
	for (int q = 0; q <= 1000; q++) {
		uint64_t value = ebb_hist_quantile(&h, q / 1000.0);

		assert_true(value >= last);
		last = value;
	}
}

static void shown_bounds_are_bucket_bounds_four_times_apart(void **state)
{
	(void)state;
	assert_int_equal(ebb_hist_shown_ns[0], 64000);
	assert_int_equal(ebb_hist_shown_ns[EBB_HIST_SHOWN - 1], 67108864000);
	for (size_t i = 0; i < EBB_HIST_SHOWN; i++) {
		uint64_t units = ebb_hist_shown_ns[i] / EBB_HIST_UNIT_NS;

		assert_int_equal(ebb_hist_shown_ns[i] % EBB_HIST_UNIT_NS, 0);
		assert_int_equal(ebb_hist_lower(ebb_hist_bucket(units)), units);
		if (i > 0)
			assert_int_equal(ebb_hist_shown_ns[i], 4 * ebb_hist_shown_ns[i - 1]);
	}
}

static void below_counts_what_is_below_a_bound(void **state)
{
	struct ebb_hist h = {0};

	(void)state;
	count_ns(&h, 0);
	count_ns(&h, 63750);
	count_ns(&h, 64000);
	count_ns(&h, 255750);
	count_ns(&h, 256000);
	count_ns(&h, UINT64_MAX);
	assert_int_equal(ebb_hist_below(&h, 0), 0);
	assert_int_equal(ebb_hist_below(&h, 64000), 2);
	assert_int_equal(ebb_hist_below(&h, 256000), 4);
	assert_int_equal(ebb_hist_below(&h, 1024000), 5);
	assert_int_equal(ebb_hist_below(&h, ebb_hist_shown_ns[EBB_HIST_SHOWN - 1]), 5);
	assert_int_equal(ebb_hist_count(&h), 6);
}

/* Of a pair there is one bucket for each power of two. */
static void turns_of_a_pair_are_right_to_a_factor_of_two(void **state)
{
	const uint64_t unit = 64000; /* ns: where the second bucket begins */
	uint64_t buckets[EBB_TURN_BUCKETS] = {};

	(void)state;
	assert_int_equal(ebb_turn_quantile(buckets, 0.5), 0);
	for (uint32_t i = 0; i < EBB_TURN_BUCKETS; i++) {
		uint64_t lower = i ? unit << (i - 1) : 0;

		assert_int_equal(ebb_turn_bucket(lower / EBB_HIST_UNIT_NS), i);
		if (i > 0)
			assert_int_equal(ebb_turn_bucket(lower / EBB_HIST_UNIT_NS - 1), i - 1);
		buckets[i] = 4;
		assert_int_equal(ebb_turn_quantile(buckets, 0), lower);
		assert_int_equal(ebb_turn_quantile(buckets, 1), i ? 2 * lower : unit);
		buckets[i] = 0;
	}
	assert_int_equal(ebb_turn_bucket(UINT64_MAX), EBB_TURN_BUCKETS - 1);
	buckets[1] = buckets[2] = 2;
	assert_int_equal(ebb_turn_quantile(buckets, 0.5), 2 * unit);
	assert_int_equal(ebb_turn_quantile(buckets, 0.75), 3 * unit);
	assert_int_equal(ebb_turn_quantile(buckets, 1), 4 * unit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_value_lies_in_its_bucket),
		cmocka_unit_test(an_empty_histogram_has_no_quantile),
		cmocka_unit_test(one_value_has_all_quantiles_within_its_bucket),
		cmocka_unit_test(quantiles_are_interpolated_within_a_bucket),
		cmocka_unit_test(quantiles_of_a_spread_are_within_a_quarter),
		cmocka_unit_test(quantiles_never_fall_as_q_grows),
		cmocka_unit_test(shown_bounds_are_bucket_bounds_four_times_apart),
		cmocka_unit_test(below_counts_what_is_below_a_bound),
		cmocka_unit_test(turns_of_a_pair_are_right_to_a_factor_of_two),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
