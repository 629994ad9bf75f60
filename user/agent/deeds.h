/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tells what operators did by hand, also while no agent ran: each deed once to each who listens, in order, and
 * how many were overwritten before they could be told. What the pinned maps remember as told (agent.deeds_told) is what is
 * safe in the audit log: after a crash the log may tell again, and nothing is left out.
 */
#ifndef EBB_AGENT_DEEDS_H
#define EBB_AGENT_DEEDS_H

#include <stdint.h>

#include "bpf/abi.h"
#include "kernel/maps.h"

/*
 * One deed that was not told yet; @lost before it are gone. Both are borrowed for the call. Not 0: it is not told by
 * that, and nor are those behind it.
 */
typedef int (*ebb_deed_handler)(void *userdata, const struct ebb_deed *deed, uint64_t lost);

/* Hands every deed behind serial *@io_told to @handle, and moves it on. Returns their number. */
uint32_t ebb_deeds_tell(const struct ebb_view *view, uint64_t *io_told, ebb_deed_handler handle,
			void *userdata);

/* A handler that writes a line to the log. */
int ebb_deed_log(void *userdata, const struct ebb_deed *deed, uint64_t lost);

#endif /* EBB_AGENT_DEEDS_H */
