/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a scrape costs: 1,000 destinations of 40 series each, and a pair for
 * each of them on top, rendered in the chunks that the HTTP server asks for.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "export/metrics.h"
#include "tests/lib/fake_source.h"

#define DESTINATIONS 1000
#define ROUNDS	     20
#define CHUNK	     16384

static double now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void fill(struct fake *fake, int pairs)
{
	for (uint32_t i = 1; i <= DESTINATIONS; i++) {
		struct ebb_dst *dst;
		char address[64];

		if (i % 4 == 0)
			(void)snprintf(address, sizeof(address), "2001:db8:1:2::%x", i);
		else
			(void)snprintf(address, sizeof(address), "10.%u.%u.7", i / 256, i % 256);
		dst = fake_dst(fake, i, address, 443);
		dst->connect.sum_units = dst->rtt.sum_units = 987654321;
		for (int b = 0; b < EBB_HIST_BUCKETS; b++)
			dst->connect.buckets[b] = dst->rtt.buckets[b] = i * 31 + (uint32_t)b;
		fake->view.memories[i].moved[EBB_REASON_FAILURE_RATE] = i;
		if (!pairs)
			continue;
		for (int o = 0; o < EBB_OUTCOME_MAX; o++)
			fake_pair(fake, i, i, 100000 + i % 60)->outcomes[o] = i * 1000 + (uint32_t)o;
	}
}

static int run(int pairs)
{
	struct fake *fake = fake_new(DESTINATIONS + 1, DESTINATIONS + 1);
	static char chunk[CHUNK];
	size_t bytes = 0, lines = 0;
	double ms[ROUNDS];

	fill(fake, pairs);
	for (int round = 0; round < ROUNDS; round++) {
		struct ebb_metrics_writer *writer;
		double start = now_ms();
		ssize_t n;

		if (ebb_metrics_writer_new(&fake->source, EBB_METRICS_TEXT, &writer) < 0)
			return 1;
		bytes = 0;
		while ((n = ebb_metrics_writer_next(writer, chunk, sizeof(chunk))) > 0) {
			bytes += (size_t)n;
			if (round > 0)
				continue;
			/* count in the first round only: it is not what is measured */
			for (ssize_t i = 0; i < n; i++)
				lines += chunk[i] == '\n';
		}
		ebb_metrics_writer_free(writer);
		ms[round] = now_ms() - start;
	}
	qsort(ms, ROUNDS, sizeof(ms[0]), compare);
	(void)printf("metrics destinations=%d pairs=%d lines=%zu bytes=%zu median_ms=%.1f min_ms=%.1f\n",
		     DESTINATIONS, pairs ? DESTINATIONS : 0, lines, bytes, ms[ROUNDS / 2], ms[0]);
	fake_free(fake);
	return 0;
}

int main(void)
{
	return run(0) | run(1);
}
