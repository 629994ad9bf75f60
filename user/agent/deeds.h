/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tells what operators did by hand, also while no agent ran: each deed once, in order, and
 * how many were overwritten before they could be told.
 */
#ifndef EBB_AGENT_DEEDS_H
#define EBB_AGENT_DEEDS_H

#include <stdint.h>

#include "bpf/abi.h"
#include "kernel/maps.h"

/* One deed that was not told yet; @lost before it are gone. Both are borrowed for the call. */
typedef void (*ebb_deed_handler)(void *userdata, const struct ebb_deed *deed, uint64_t lost);

/*
 * Hands every deed that was not told yet to @handle, and remembers in the maps that it was: after a
 * crash between the two it is told again, never left out. Returns their number.
 */
uint32_t ebb_deeds_tell(const struct ebb_view *view, ebb_deed_handler handle, void *userdata);

/* A handler that writes a line to the log. */
void ebb_deed_log(void *userdata, const struct ebb_deed *deed, uint64_t lost);

#endif /* EBB_AGENT_DEEDS_H */
