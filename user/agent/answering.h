/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the ring of DNS answers to the tables: takes the messages, asks who is believed, reads them, and
 * hands them to agent/naming.h. Also sees to it that open connections part from an address before it
 * changes hands.
 */
#ifndef EBB_AGENT_ANSWERING_H
#define EBB_AGENT_ANSWERING_H

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"
#include "core/match.h"
#include "export/health.h"
#include "kernel/loader.h"
#include "kernel/mapping.h"
#include "lib/why.h"

struct ebb_answering;

struct ebb_answering_setup {
	struct ebb_loader *loader; /* everything here is borrowed */
	const struct ebb_view *view;
	struct ebb_mapping *mapping;
	struct ebb_health *health;
	const char *pin_dir;
	uint64_t (*now_ns)(void); /* CLOCK_MONOTONIC */
	int64_t (*realtime_ns)(void);
	void *userdata;
	/* The slot of a destination of the configuration in force. */
	struct ebb_ref (*slot_of)(void *userdata, uint32_t destination);
	/* Asks for a pass that gives memories; ebb_answering_remembered() tells its end. False: there is none. */
	bool (*remember)(void *userdata);
};

int ebb_answering_new(const struct ebb_answering_setup *setup, struct ebb_answering **ret_answering,
		      struct ebb_why *why);
void ebb_answering_free(struct ebb_answering *answering);

/* Another configuration and its rules are in force; both are borrowed until the next ones come. */
void ebb_answering_configure(struct ebb_answering *answering, const struct ebb_config *config,
			     const struct ebb_matcher *matcher);

/*
 * Once, when the programs are attached and passes can be made: takes up what an agent before this one left
 * in the tables, and attaches what hands over answers, where they are wanted.
 */
void ebb_answering_start(struct ebb_answering *answering);

/*
 * Takes what is in the ring, up to a bound. Returns when it wants to be called again (CLOCK_MONOTONIC); 0: when
 * the ring is readable.
 */
uint64_t ebb_answering_take(struct ebb_answering *answering);

/* With every tick. */
void ebb_answering_tick(struct ebb_answering *answering, uint64_t now_ns);

/* A pass has ended that gave memories, whoever asked for it. */
void ebb_answering_remembered(struct ebb_answering *answering);

#endif /* EBB_AGENT_ANSWERING_H */
