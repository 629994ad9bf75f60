/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The results of calls as the programs see them, for one who records at a time. While nobody
 * does, they write nothing. Works with the agent dead.
 */
#ifndef EBB_KERNEL_RECORDING_H
#define EBB_KERNEL_RECORDING_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/abi.h"
#include "lib/why.h"

/* How far ahead the end of a recording is pushed; it has to be pushed again before. */
#define EBB_RECORDING_LEASE_NS 2000000000ULL

struct ebb_recording;

typedef void (*ebb_record_handler)(void *userdata, const struct ebb_record *record);

/*
 * Takes the place of the one who records in @pin_dir; nothing is recorded before the first renewal. -ENOENT: nothing is
 * pinned; -EBUSY: somebody records, and the reason says who; -EPERM.
 */
int ebb_recording_open(const char *pin_dir, uint32_t uid, struct ebb_recording **ret_recording,
		       struct ebb_why *why);
/* Nothing is recorded any more; what was is still there for a last ebb_recording_take(). */
void ebb_recording_stop(struct ebb_recording *recording);
void ebb_recording_close(struct ebb_recording *recording);

/* True: it was late, and what ended in between is not recorded. */
bool ebb_recording_renew(struct ebb_recording *recording, uint64_t now_ns);

/* All that there is, the oldest first. 0 or a negative errno. */
int ebb_recording_take(struct ebb_recording *recording, ebb_record_handler handle, void *userdata);

#endif /* EBB_KERNEL_RECORDING_H */
