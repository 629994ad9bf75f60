/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our own failures in the kernel, as an operator hears of them: one line when a kind of them begins and
 * one when it has ended, however many there are and however long it lasts. Pure.
 */
#ifndef EBB_AGENT_TROUBLES_H
#define EBB_AGENT_TROUBLES_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/abi.h"

#define EBB_TROUBLE_QUIET_NS (300 * 1000000000ULL) /* no more of them for so long: ended */

struct ebb_trouble {
	uint64_t seen;	   /* the counter when last looked at */
	uint64_t began_at; /* the counter before it began */
	uint64_t began_ns;
	uint64_t last_ns; /* when it last grew */
	bool on;
};

struct ebb_troubles {
	struct ebb_trouble list[EBB_ERR_MAX];
};

struct ebb_trouble_news {
	uint32_t error; /* enum ebb_error */
	bool ended;
	uint64_t count; /* since it began */
	uint64_t lasted_ns;
};

/* @errors: as the kernel counts them now; what it counted before is old. */
void ebb_troubles_init(struct ebb_troubles *troubles, const uint64_t errors[EBB_ERR_MAX]);

/* Calls @tell for each that began or ended since the last look. */
void ebb_troubles_look(struct ebb_troubles *troubles, const uint64_t errors[EBB_ERR_MAX], uint64_t now_ns,
		       void (*tell)(void *userdata, const struct ebb_trouble_news *news), void *userdata);

/* "new ones share ~other": what we do instead, while it lasts. */
const char *ebb_trouble_instead(uint32_t error);

#endif /* EBB_AGENT_TROUBLES_H */
