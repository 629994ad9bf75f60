/* SPDX-License-Identifier: Apache-2.0 */
/* The maps as plain zeroed memory, for tests that play the kernel themselves. */
#ifndef EBB_TESTS_LIB_FAKE_VIEW_H
#define EBB_TESTS_LIB_FAKE_VIEW_H

#include <stdio.h>
#include <stdlib.h>

#include "kernel/maps.h"

/* Zeroed memory; without any the program ends. */
static inline void *fake_zeroed(size_t count, size_t size)
{
	void *memory = calloc(count, size);

	if (!memory) {
		perror("calloc");
		exit(99);
	}
	return memory;
}

static inline struct ebb_view fake_view_new(uint32_t dst_max, uint32_t pair_max)
{
	return (struct ebb_view){
		.agent = fake_zeroed(1, sizeof(struct ebb_agent)),
		.kernel = fake_zeroed(1, sizeof(struct ebb_kernel)),
		.dsts = fake_zeroed(dst_max, sizeof(struct ebb_dst)),
		.pairs = fake_zeroed(pair_max, sizeof(struct ebb_pair)),
		.gates = fake_zeroed(dst_max + pair_max, sizeof(struct ebb_gate)),
		.verdicts = fake_zeroed(dst_max + pair_max, sizeof(struct ebb_verdict)),
		.policies = fake_zeroed(dst_max, sizeof(struct ebb_policy)),
		.memories = fake_zeroed(dst_max + pair_max, sizeof(struct ebb_memory)),
		.names = fake_zeroed(dst_max, sizeof(struct ebb_name)),
		.deeds = fake_zeroed(EBB_DEEDS, sizeof(struct ebb_deed)),
		.dst_max = dst_max,
		.pair_max = pair_max,
		.gate_max = dst_max + pair_max,
	};
}

static inline void fake_view_free(const struct ebb_view *view)
{
	free(view->agent);
	free(view->kernel);
	free(view->dsts);
	free(view->pairs);
	free(view->gates);
	free(view->verdicts);
	free(view->policies);
	free(view->memories);
	free(view->names);
	free(view->deeds);
}

#endif /* EBB_TESTS_LIB_FAKE_VIEW_H */
