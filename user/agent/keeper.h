/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeps the books about workloads: their classes (agent/classify.h) and their shares of the
 * destinations (agent/shares.h), over the real maps and cgroups.
 */
#ifndef EBB_AGENT_KEEPER_H
#define EBB_AGENT_KEEPER_H

#include <stddef.h>
#include <stdint.h>

#include "agent/identities.h"
#include "agent/idle.h"
#include "config/config.h"
#include "kernel/mapping.h"
#include "kernel/maps.h"
#include "lib/why.h"
#include "node/cgroup.h"

struct ebb_keeper;

/*
 * Everything is borrowed. @attach: the directory to which the programs are attached. @identities: NULL without Kubernetes. @collector is told
 * which workloads are gone. Counts the shares anew; call it when slots that an earlier agent was taking back are free. 0 or a negative errno.
 */
int ebb_keeper_new(const struct ebb_view *view, struct ebb_mapping *mapping, struct ebb_cgroup_names *names,
		   const char *attach, struct ebb_identities *identities, struct ebb_collector *collector,
		   struct ebb_keeper **ret_keeper, struct ebb_why *why);
void ebb_keeper_free(struct ebb_keeper *keeper);

/* Rules, borrowed until the next ones; what comes of them is logged. */
void ebb_keeper_configure(struct ebb_keeper *keeper, const struct ebb_workloads *rules);

/* The kernel told of a workload that nobody has classified yet; after several of them, all are classified at once. */
void ebb_keeper_meet(struct ebb_keeper *keeper);
void ebb_keeper_met(struct ebb_keeper *keeper);

/* The pods are others than they were: whoever waits for an identity is asked again, soon all are. */
void ebb_keeper_identified(struct ebb_keeper *keeper);

/* At each tick. */
void ebb_keeper_tick(struct ebb_keeper *keeper, uint64_t now_ns);

/* A destination that @workload found has been taken back: 0 or a negative errno. */
int ebb_keeper_lost(struct ebb_keeper *keeper, uint64_t workload);

/* The name of the workload that holds most of the destinations; "-": none does. Returns @buffer. */
const char *ebb_keeper_greediest(const struct ebb_keeper *keeper, char *buffer, size_t size);

#endif /* EBB_AGENT_KEEPER_H */
