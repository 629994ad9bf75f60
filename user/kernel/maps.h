/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pinned maps as plain memory. Every table is a BPF array mapped with
 * mmap(2), so that a reader needs no system call and works with the agent dead.
 * Who may write into which table is said in bpf/abi.h and bpf/maps.h; everything
 * else is read-only by convention, and by the mapping for readers.
 *
 * A test builds an ebb_view over its own memory and has a fake kernel.
 */
#ifndef EBB_KERNEL_MAPS_H
#define EBB_KERNEL_MAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/abi.h"
#include "lib/why.h"

#define EBB_DEFAULT_PIN_DIR "/sys/fs/bpf/ebb"

/*
 * Policies of one workload, by pair slot. No table to look into: a map that is asked, and only where the policy of
 * the destination says EBB_ASK_OWN. An entry is replaced whole: no reader meets half of one.
 */
struct ebb_owns {
	/* 0; -ENOENT: it has none; or another negative errno. */
	int (*get)(const struct ebb_owns *owns, uint32_t pair, struct ebb_own *ret_own);
	/* -E2BIG: 1024 workloads have one already. */
	int (*put)(const struct ebb_owns *owns, uint32_t pair, const struct ebb_own *own);
	/* Also 0 when there was none. */
	int (*remove)(const struct ebb_owns *owns, uint32_t pair);
	int fd;
};

/* Slots [0, max). Destination slot d has node gate d; pair slot p has workload gate dst_max + p. */
struct ebb_view {
	struct ebb_agent *agent;   /* one element */
	struct ebb_kernel *kernel; /* one element */
	struct ebb_dst *dsts;
	struct ebb_pair *pairs;
	struct ebb_gate *gates;
	struct ebb_verdict *verdicts;
	struct ebb_policy *policies; /* by destination slot */
	struct ebb_memory *memories; /* by gate slot */
	struct ebb_name *names;	     /* by destination slot */
	struct ebb_deed *deeds;	     /* EBB_DEEDS */
	const struct ebb_owns *owns; /* see node/owns.h */
	uint32_t dst_max;
	uint32_t pair_max;
	uint32_t gate_max; /* dst_max + pair_max */
};

/* The state word of a gate that is in force now: the agent's, or what the kernel pulled since. */
static inline uint64_t ebb_view_word(const struct ebb_view *view, uint32_t gate)
{
	return ebb_word_in_force(__atomic_load_n(&view->verdicts[gate].word, __ATOMIC_RELAXED),
				 __atomic_load_n(&view->gates[gate].pull, __ATOMIC_RELAXED));
}

/*
 * Is a workload judged by the gate of its pair, although all share that of their destination (core/apart.h)?
 * Limits and slots are at that of the destination all the same.
 */
static inline bool ebb_pair_is_apart(const struct ebb_view *view, const struct ebb_pair *pair)
{
	return pair->gate >= view->dst_max && pair->dst < view->dst_max &&
	       view->dsts[pair->dst].scope == EBB_SCOPE_NODE;
}

/* Where the limits of a pair are, and its slots. */
static inline uint32_t ebb_pair_limits_gate(const struct ebb_view *view, const struct ebb_pair *pair)
{
	return ebb_pair_is_apart(view, pair) ? pair->dst : pair->gate;
}

struct ebb_maps;

enum ebb_maps_access {
	EBB_MAPS_READ,
	EBB_MAPS_WRITE,
};

/*
 * Opens what is pinned in @pin_dir. Versions and sizes are checked before a byte is
 * mapped. -ENOENT: nothing pinned; -EPERM, -EACCES: not permitted; -EPROTO: another layout.
 */
int ebb_maps_open(const char *pin_dir, enum ebb_maps_access access, struct ebb_maps **ret_maps,
		  struct ebb_why *why);
void ebb_maps_free(struct ebb_maps *maps);

const struct ebb_view *ebb_maps_view(const struct ebb_maps *maps);

/*
 * The lock of those who write policies: the agent and the command line. Waits for it up to
 * @wait_ns, else -EBUSY; -ENOENT: nothing pinned. The caller owns *@ret_fd; closing it gives the lock back, and so does
 * the end of the process, however it ends.
 */
int ebb_policies_lock(const char *pin_dir, uint64_t wait_ns, int *ret_fd, struct ebb_why *why);

/* Which of the pinned programs are really attached. */
struct ebb_link_info {
	const char *name; /* of the program, e.g. "connect4" */
	int attached;	  /* 1, or 0: pin gone, or its cgroup was removed */
	uint32_t program_id;
	uint64_t cgroup_id;
};

#define EBB_LINKS_MAX 9 /* all hooks */

/*
 * Fills @ret_links and returns their number (never an error: a missing link is a fact). A
 * program that is attached only on demand is among them while it is wanted.
 */
size_t ebb_maps_links(const char *pin_dir, struct ebb_link_info ret_links[EBB_LINKS_MAX]);

/* Bytes of kernel memory that the pinned maps take, as the kernel accounts them. */
uint64_t ebb_maps_bytes(const struct ebb_maps *maps);

/* Removes every link, map and pin of ebb in @pin_dir. *@ret_count: pins removed. -ENOENT: nothing there. */
int ebb_maps_detach(const char *pin_dir, size_t *ret_count, struct ebb_why *why);

#endif /* EBB_KERNEL_MAPS_H */
