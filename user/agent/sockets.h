/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walks over the open sockets of the node: adopts connections that were there before,
 * and destroys those of a breaker that opens. Both can take long on a full node, and
 * mean entering other network namespaces: a thread of its own does them,
 * one at a time, and the loop never waits for it.
 */
#ifndef EBB_AGENT_SOCKETS_H
#define EBB_AGENT_SOCKETS_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/loader.h"

#define EBB_SOCKETS_ADOPT \
	1U /* ebb_loader_adopt(), ebb_loader_arm() in each network namespace that needs it */
#define EBB_SOCKETS_RESET    2U	 /* ebb_loader_reset() in each network namespace */
#define EBB_SOCKETS_RECOUNT  8U	 /* ebb_recounter_run() */
#define EBB_SOCKETS_SLOTS    16U /* the same of slots alone: right however soon after another */
#define EBB_SOCKETS_REMEMBER 4U	 /* ebb_loader_remember(), see ebb_sockets_done_fd() */

struct ebb_sockets;

/*
 * Starts the thread. @loader and @cgroup (its path) are borrowed and outlive it;
 * @others: network namespaces other than ours too.
 */
int ebb_sockets_new(struct ebb_loader *loader, const char *cgroup, bool others,
		    struct ebb_sockets **ret_sockets);

/* Asks for work; what is asked for twice before it begins is done once. Never waits. */
void ebb_sockets_want(struct ebb_sockets *sockets, uint32_t what);

/*
 * Readable when a pass of EBB_SOCKETS_REMEMBER has ended, however it ended; owned by @sockets. What the
 * loop waits for is told by an eventfd, which the reader reads.
 */
int ebb_sockets_done_fd(const struct ebb_sockets *sockets);

/* When the last pass of EBB_SOCKETS_REMEMBER began that left no socket of the node out; 0: there was none. */
uint64_t ebb_sockets_saw_all_from_ns(const struct ebb_sockets *sockets);

/* Waits for the work that has begun. */
void ebb_sockets_free(struct ebb_sockets *sockets);

/*
 * After the first pass of ebb_loader_adopt(): arms what it found (ebb_loader_arm()), in other network namespaces too where
 * we may enter them. To be called with the rights of the start, before those to enter others are given up. Waits until
 * it is done, by a thread of its own, since whoever enters a namespace may not get out again.
 */
void ebb_sockets_arm_first(struct ebb_loader *loader, const char *cgroup);

/* One line about a pass: always when @first, else only when it did something. */
void ebb_sockets_log_adopted(const struct ebb_adopted *adopted, bool first);

/*
 * Is a connection alive that a breaker has opened behind? Counts of the maps only, cheap:
 * some gate is open now, its policy says reset, and it has active connections.
 */
bool ebb_sockets_reset_is_due(const struct ebb_view *view, uint64_t now_ns);

/*
 * Which destinations and workloads have a cap on concurrency; @capped holds one for each gate slot, and
 * *@io_high how many of them are known. Has one come where connections may be open already?
 */
bool ebb_sockets_cap_came(const struct ebb_view *view, uint64_t now_ns, bool *capped, uint32_t *io_high);

#endif /* EBB_AGENT_SOCKETS_H */
