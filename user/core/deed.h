/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What operators did, remembered in the maps for the agent to tell: the last EBB_DEEDS of them, by
 * serial. Pure.
 *
 * Who writes one holds the lock of kernel/maps.h; who reads holds none, and believes what
 * has the same serial before and after.
 */
#ifndef EBB_CORE_DEED_H
#define EBB_CORE_DEED_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/abi.h"

#define EBB_LOGIN_NONE UINT32_MAX /* nobody logged in, as in a container or a service */

/* The next deed, in the place of the oldest. @what is cut where it is too long, and ends in "..." then. */
void ebb_deed_record(struct ebb_deed deeds[EBB_DEEDS], uint32_t uid, uint32_t login_uid,
		     uint64_t at_realtime_ns, const char *what);

/*
 * The first deed after serial @told. False: there is none, or it is just being written. *@ret_lost: how many between
 * them were overwritten before anybody told them.
 */
bool ebb_deed_next(const struct ebb_deed deeds[EBB_DEEDS], uint64_t told, struct ebb_deed *ret_deed,
		   uint64_t *ret_lost);

#endif /* EBB_CORE_DEED_H */
