/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When a batch is tried, and what becomes of it. It knows neither what is in a batch nor where it goes, and has no
 * clock.
 *
 *	          due                            result
 *	waiting ------> may it be tried now? ------------> DELIVERED: the next one
 *	   ^                                  |----------> SPLIT: refused, and more than one: each alone
 *	   |            later, by backoff,    |----------> DEAD: refused alone, or tried often enough
 *	   +-------------- breaker or Retry-After --------- AGAIN
 */
#ifndef EBB_EXPORT_DELIVERY_H
#define EBB_EXPORT_DELIVERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "export/guard.h"
#include "export/sink.h"
#include "lib/delivery_settings.h"

/* 5 attempts, 1 s, 32 s, 2, 0.2 */
extern const struct ebb_delivery_settings ebb_delivery_defaults;

enum ebb_delivery_fate {
	EBB_DELIVERY_DELIVERED,
	EBB_DELIVERY_AGAIN,
	EBB_DELIVERY_SPLIT,
	EBB_DELIVERY_DEAD,
};

struct ebb_delivery {
	struct ebb_delivery_settings settings;
	struct ebb_guard guard;
	uint32_t failed;   /* attempts of the present batch */
	uint64_t due_ns;   /* not before */
	uint64_t dice;	   /* jitter */
	uint64_t since_ns; /* since when the last attempt did not deliver; 0: it did */
	bool unusable;	   /* the last one found the place unusable */
};

/* A wait that the other side asks for is kept, but not longer than this. */
#define EBB_DELIVERY_AFTER_MAX_NS (3600ULL * 1000000000ULL)

/* @name: whose jitter it is. */
void ebb_delivery_init(struct ebb_delivery *d, const char *name,
		       const struct ebb_delivery_settings *settings);

/* May the batch be tried now? Then its result must follow. */
bool ebb_delivery_begin(struct ebb_delivery *d, uint64_t now_ns);

/* What becomes of a batch of @count; @after_ns: what the other side asks to wait, 0: nothing. */
enum ebb_delivery_fate ebb_delivery_end(struct ebb_delivery *d, enum ebb_sink_result result,
					uint64_t after_ns, size_t count, uint64_t now_ns);

/* When ebb_delivery_begin() is next worth while. */
uint64_t ebb_delivery_due_ns(const struct ebb_delivery *d);

#endif /* EBB_EXPORT_DELIVERY_H */
