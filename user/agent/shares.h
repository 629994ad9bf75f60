/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many destinations each workload holds (ruling 8): the kernel counts what it finds, the agent what
 * was taken back. The difference is what it holds.
 */
#ifndef EBB_AGENT_SHARES_H
#define EBB_AGENT_SHARES_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/maps.h"

/* The two maps; a test has its own. 0 or a negative errno; a get of what is not there is 0. */
struct ebb_share_ops {
	void *userdata;
	int (*each_found)(void *userdata,
			  int (*handle)(void *argument, uint64_t workload, const uint64_t *count),
			  void *argument);
	int (*each_lost)(void *userdata,
			 int (*handle)(void *argument, uint64_t workload, const uint64_t *count),
			 void *argument);
	int (*get_found)(void *userdata, uint64_t workload, uint64_t *ret_count);
	int (*get_lost)(void *userdata, uint64_t workload, uint64_t *ret_count);
	int (*put_lost)(void *userdata, uint64_t workload, uint64_t count);
	int (*forget)(void *userdata, uint64_t workload); /* in both */
};

/* A destination that @workload found has been taken back. */
int ebb_shares_lost(const struct ebb_share_ops *ops, uint64_t workload);

/*
 * At a start, when slots of an earlier agent have been taken back: counts anew what each workload
 * holds. Where one finds a destination in this very moment it may afterwards hold one more.
 */
int ebb_shares_recount(const struct ebb_view *view, const struct ebb_share_ops *ops);

/*
 * Forgets the workloads that hold nothing and are gone, as @gone says. Returns how many, or a
 * negative errno.
 */
int ebb_shares_sweep(const struct ebb_share_ops *ops, bool (*gone)(void *userdata, uint64_t workload),
		     void *userdata);

#endif /* EBB_AGENT_SHARES_H */
