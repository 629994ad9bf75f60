// SPDX-License-Identifier: Apache-2.0
/* Medians, quantiles, ratios by rounds. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

#define CLOCK_SAMPLES 10001

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double bench_quantile(double *values, size_t count, double q)
{
	size_t at;

	if (count == 0)
		return NAN;
	qsort(values, count, sizeof(*values), compare);
	at = (size_t)ceil(q * (double)count);
	return values[at > 0 ? at - 1 : 0];
}

uint64_t bench_clock_cost(void)
{
	static double samples[CLOCK_SAMPLES];

	for (size_t i = 0; i < CLOCK_SAMPLES; i++) {
		uint64_t start = bench_now();

		samples[i] = (double)(bench_now() - start);
	}
	return (uint64_t)bench_quantile(samples, CLOCK_SAMPLES, 0.5);
}

json_t *bench_summary(double *values, size_t count)
{
	if (count == 0)
		return json_null();
	qsort(values, count, sizeof(*values), compare);
	return json_pack("{s:I, s:f, s:f, s:f, s:f, s:f}", "n", (json_int_t)count, "p25",
			 bench_quantile(values, count, 0.25), "p50", bench_quantile(values, count, 0.5),
			 "p75", bench_quantile(values, count, 0.75), "p99",
			 bench_quantile(values, count, 0.99), "max", values[count - 1]);
}

int bench_series_init(struct bench_series *series, uint32_t rounds, uint32_t samples)
{
	memset(series, 0, sizeof(*series));
	series->samples = calloc((size_t)rounds * samples, sizeof(double));
	series->medians = calloc(rounds, sizeof(double));
	if (!series->samples || !series->medians) {
		bench_series_done(series);
		return -ENOMEM;
	}
	/* touched now, so that no sample pays for a page */
	memset(series->samples, 1, (size_t)rounds * samples * sizeof(double));
	return 0;
}

void bench_series_done(struct bench_series *series)
{
	free(series->samples);
	free(series->medians);
	memset(series, 0, sizeof(*series));
}

void bench_series_end_round(struct bench_series *series, uint32_t count)
{
	series->medians[series->round_count++] =
		bench_quantile(series->samples + series->sample_count - count, count, 0.5);
}

json_t *bench_ratio(const struct bench_series *a, const struct bench_series *b)
{
	double *ratios = calloc(a->round_count, sizeof(double));
	json_t *summary;

	if (!ratios)
		return NULL;
	for (uint32_t i = 0; i < a->round_count; i++)
		ratios[i] = a->medians[i] / b->medians[i];
	summary = bench_summary(ratios, a->round_count);
	free(ratios);
	return summary;
}
