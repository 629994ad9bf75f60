/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a scrape costs: 1,000 destinations of 40 series each, and a pair for
 * each of them on top, rendered in the chunks that the HTTP server asks for;
 * full tables of pairs, each by itself and as one series for each destination.
 * And what a push of the same to a collector costs, and each of its slices,
 * which is what another source of the loop waits for.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "export/items.h"
#include "export/metrics.h"
#include "export/metrics_sender.h"
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

static void fill(struct fake *fake, int dsts, int pairs)
{
	for (uint32_t i = 1; i <= (uint32_t)dsts; i++) {
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

/* @dsts destinations; a pair for each, or none, or all of @workloads. @kept: metrics.labels, 0: all. */
static int run(uint32_t dsts, uint32_t workloads, uint32_t kept)
{
	uint32_t pairs = dsts * workloads;
	struct fake *fake = fake_new(dsts + 1, pairs + 1);
	static char chunk[CHUNK];
	size_t bytes = 0, lines = 0;
	double ms[ROUNDS];

	if (ebb_items_keep(&fake->source, kept) < 0)
		return 1;
	fill(fake, (int)dsts, workloads == 1);
	for (uint32_t p = 1; workloads > 1 && p <= pairs; p++)
		fake_pair(fake, p, 1 + p % dsts, 100000 + p / dsts)->sent_bytes = p;
	for (int round = 0; round < ROUNDS; round++) {
		struct ebb_metrics_writer *writer;
		double start = now_ms();
		ssize_t n;

		if (ebb_metrics_writer_new(&fake->source, EBB_METRICS_TEXT, &writer) < 0)
			return 1;
		bytes = 0;
		while ((n = ebb_metrics_writer_next(writer, chunk, sizeof(chunk))) > 0 || n == -EAGAIN) {
			if (n < 0)
				continue;
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
	(void)printf("metrics destinations=%u pairs=%u labels=%s lines=%zu bytes=%zu median_ms=%.1f min_ms=%.1f\n",
		     dsts, pairs, kept ? "destination" : "all", lines, bytes, ms[ROUNDS / 2], ms[0]);
	ebb_groups_drop(fake->source.groups);
	fake_free(fake);
	return 0;
}

#define SLICES_MAX 100000

/* Of the processor: what others do on it meanwhile is no slice of ours. */
static double work_us(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

struct push {
	double us[SLICES_MAX];
	size_t slices, bodies, bytes;
};

static int take_body(void *userdata, const char *body, size_t size, bool gzip)
{
	struct push *push = userdata;

	(void)body;
	(void)gzip;
	push->bodies++;
	push->bytes += size;
	return 0;
}

/* One whole push, each body taken at once. */
static void push_once(struct push *push, struct ebb_metrics_sender *sender)
{
	static const struct ebb_otlp_answer taken = {.result = EBB_SINK_DONE};
	struct ebb_metrics_sender_status status;

	push->bodies = push->bytes = 0;
	do {
		double start = work_us();
		uint64_t due = ebb_metrics_sender_run(sender, fake_now_ns);

		if (push->slices < SLICES_MAX)
			push->us[push->slices++] = work_us() - start;
		if (due == UINT64_MAX)
			ebb_metrics_sender_answer(sender, &taken, 0, fake_now_ns);
		ebb_metrics_sender_status(sender, &status);
	} while (status.pushing);
}

static int run_push(int dsts, bool gzip)
{
	static struct push push;
	static struct ebb_otlp_settings settings;
	struct fake *fake = fake_new((uint32_t)dsts + 1, (uint32_t)dsts + 1);
	struct ebb_hist worked = {0};
	const struct ebb_metrics_sender_setup setup = {
		.source = &fake->source,
		.settings = &settings,
		.version = "0",
		.delivery = ebb_delivery_defaults,
		.worked = &worked,
		.send = take_body,
		.userdata = &push,
	};
	struct ebb_metrics_sender_status status;
	struct ebb_metrics_sender *sender;
	double first_us = 0, sum_us = 0;

	fill(fake, dsts, 1);
	settings.interval_ns = 1;
	settings.gzip = gzip;
	push.slices = 0;
	if (ebb_metrics_sender_new(&setup, &sender) < 0)
		return 1;
	for (int round = 0; round < ROUNDS; round++) {
		size_t first = push.slices;

		fake_now_ns++;
		push_once(&push, sender);
		first_us = push.us[first] > first_us ? push.us[first] : first_us;
		push.us[first] = 0;
	}
	for (size_t i = 0; i < push.slices; i++)
		sum_us += push.us[i];
	qsort(push.us, push.slices, sizeof(push.us[0]), compare);
	ebb_metrics_sender_status(sender, &status);
	(void)printf("push destinations=%d gzip=%d points=%llu bodies=%zu bytes=%zu mean_ms=%.1f look_max_us=%.0f slices=%zu slice_us median=%.0f p99=%.0f max=%.0f\n",
		     dsts, gzip, (unsigned long long)status.points[EBB_SPAN_SENT] / ROUNDS, push.bodies,
		     push.bytes, sum_us / 1e3 / ROUNDS, first_us, push.slices / ROUNDS,
		     push.us[push.slices / 2], push.us[push.slices * 99 / 100], push.us[push.slices - 1]);
	ebb_metrics_sender_free(sender);
	fake_free(fake);
	return 0;
}

int main(void)
{
	return run(DESTINATIONS, 0, 0) | run(DESTINATIONS, 1, 0) | run(DESTINATIONS, 16, 0) |
	       run(DESTINATIONS, 16, 1U << EBB_KEPT_DESTINATION) | run_push(250, false) |
	       run_push(250, true) | run_push(4000, false) | run_push(4000, true);
}
