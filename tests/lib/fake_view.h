/* SPDX-License-Identifier: Apache-2.0 */
/* The maps as plain zeroed memory, for tests that play the kernel themselves. */
#ifndef EBB_TESTS_LIB_FAKE_VIEW_H
#define EBB_TESTS_LIB_FAKE_VIEW_H

#include <errno.h>
#include <stdint.h>
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

/* Policies of one workload, in memory: by pair slot, said 0 is none. */
struct fake_owns {
	struct ebb_owns ops; /* first */
	struct ebb_own *list;
};

static inline int fake_own_get(const struct ebb_owns *owns, uint32_t pair, struct ebb_own *ret_own)
{
	const struct ebb_own *own = &((const struct fake_owns *)owns)->list[pair];

	if (!own->said)
		return -ENOENT;
	*ret_own = *own;
	return 0;
}

static inline int fake_own_put(const struct ebb_owns *owns, uint32_t pair, const struct ebb_own *own)
{
	((const struct fake_owns *)owns)->list[pair] = *own;
	return 0;
}

static inline int fake_own_remove(const struct ebb_owns *owns, uint32_t pair)
{
	((const struct fake_owns *)owns)->list[pair].said = 0;
	return 0;
}

static inline const struct ebb_owns *fake_owns_new(uint32_t pair_max)
{
	struct fake_owns *owns = fake_zeroed(1, sizeof(*owns));

	owns->list = fake_zeroed(pair_max, sizeof(*owns->list));
	owns->ops = (struct ebb_owns){fake_own_get, fake_own_put, fake_own_remove, -1};
	return &owns->ops;
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
		.owns = fake_owns_new(pair_max),
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
	free(((const struct fake_owns *)view->owns)->list);
	free((void *)(uintptr_t)view->owns);
}

#endif /* EBB_TESTS_LIB_FAKE_VIEW_H */
