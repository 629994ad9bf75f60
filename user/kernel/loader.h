/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Load, attach, pin, take over. The only includer of the BPF skeleton.
 */
#ifndef EBB_KERNEL_LOADER_H
#define EBB_KERNEL_LOADER_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/maps.h"
#include "lib/why.h"

struct ebb_loader;

struct ebb_loader_options {
	const char *pin_dir;
	int cgroup_fd;	       /* where to attach; borrowed */
	uint32_t destinations; /* capacities, ~other not counted */
	uint32_t pairs;
	uint32_t endpoints;
	bool no_set_retval; /* refuse by rewriting the address, as on kernels before 6.1 */
};

/*
 * Loads the programs over the maps pinned in @options->pin_dir, or over new
 * ones, which it pins; takes the lock that makes a second agent fail (-EBUSY).
 * Nothing is attached yet, and on an error nothing new is left behind.
 */
int ebb_loader_open(const struct ebb_loader_options *options, struct ebb_loader **ret_loader,
		    struct ebb_why *why);

/* Were the maps there before? Then their contents stand. */
bool ebb_loader_took_over(const struct ebb_loader *loader);

/*
 * Puts the slots that nobody owns into the free queues. Safe while programs run.
 */
int ebb_loader_fill_queues(struct ebb_loader *loader, struct ebb_why *why);

/*
 * Attaches: a link that is pinned gets the new program without a gap, a missing
 * one is made and pinned. On an error no new link is left behind.
 */
int ebb_loader_attach(struct ebb_loader *loader, struct ebb_why *why);

/*
 * Attaches the program that sees every packet, or takes it away: it is there only while
 * some policy asks for it (EBB_ASK_PACKET). Nothing happens when it is as wanted.
 */
int ebb_loader_want_packets(struct ebb_loader *loader, bool wanted, struct ebb_why *why);

const struct ebb_view *ebb_loader_view(const struct ebb_loader *loader);
uint64_t ebb_loader_map_bytes(const struct ebb_loader *loader);

/* The ring buffer's epoll descriptor (owned by the loader), readable when there are hints. */
int ebb_loader_events_fd(const struct ebb_loader *loader);

/* Takes what is in the ring; calls @handle for each. Returns their number or a negative errno. */
int ebb_loader_events_take(struct ebb_loader *loader,
			   void (*handle)(void *userdata, const struct ebb_event *event), void *userdata);

/* Releases memory and descriptors; what is pinned goes on. */
void ebb_loader_free(struct ebb_loader *loader);

#endif /* EBB_KERNEL_LOADER_H */
