/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The look-up tables and queues behind the slots, for the one who takes slots
 * back (user/agent/idle.c).
 */
#ifndef EBB_KERNEL_SLOTS_H
#define EBB_KERNEL_SLOTS_H

#include <stdint.h>

#include "bpf/abi.h"

enum ebb_slot_kind {
	EBB_SLOT_KIND_DST,  /* key: struct ebb_endpoint */
	EBB_SLOT_KIND_PAIR, /* key: struct ebb_pair_key */
	EBB_SLOT_KIND_MAX,
};

struct ebb_loader;

/*
 * Takes @key out of its table if it stands for @slot: who looks it up from now on
 * discovers a new slot. Nobody else takes keys out, so nothing comes between.
 * 0: it was there and is out. 1: it is not there, or stands for another slot, as when the address
 * was given to a destination that a rule names.
 */
int ebb_slots_remove(struct ebb_loader *loader, enum ebb_slot_kind kind, const void *key, uint32_t slot);

/* Puts @key back; -EEXIST when it has found another slot meanwhile. */
int ebb_slots_insert(struct ebb_loader *loader, enum ebb_slot_kind kind, const void *key,
		     const struct ebb_ref *ref);

/* Puts @slot into the free queue. */
int ebb_slots_release(struct ebb_loader *loader, enum ebb_slot_kind kind, uint32_t slot);

#endif /* EBB_KERNEL_SLOTS_H */
