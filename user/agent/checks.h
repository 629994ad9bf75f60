/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The checks of health that somebody has to make: each on a timer of its own (agent/schedule.h), the result goes into
 * the health, from where it is served. What somebody took from us, a program or a pin, is put right here and told. What
 * becomes known by itself (a configuration, names, turns, limits) is set by who comes to know it.
 */
#ifndef EBB_AGENT_CHECKS_H
#define EBB_AGENT_CHECKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/troubles.h"
#include "export/health.h"
#include "kernel/lost.h"
#include "kernel/maps.h"
#include "lib/why.h"

struct ebb_checks;

/* Enforcement that is wanted is no longer in place, or is again. */
struct ebb_enforcement_news {
	bool lost;
	const char *component; /* of the health, that is to blame */
	const char *why;       /* lost; else NULL */
	uint64_t lasted_ns;    /* back */
};

struct ebb_checks_setup {
	const struct ebb_view *view;
	struct ebb_health *health;
	const struct ebb_troubles *troubles;
	uint64_t seed; /* of the phases */
	uint64_t (*now_ns)(void);
	int64_t (*realtime_ns)(void);

	/* The kernel, see kernel/loader.h. */
	void *userdata;
	size_t (*links_lost)(void *userdata, struct ebb_lost ret_lost[EBB_LINKS_MAX], size_t *ret_wanted);
	int (*link_mend)(void *userdata, const struct ebb_lost *lost, struct ebb_why *why);
	size_t (*pins_lost)(void *userdata, struct ebb_lost ret_lost[EBB_PINS_LOST_MAX]);
	int (*pin_mend)(void *userdata, const struct ebb_lost *lost, struct ebb_why *why);

	/*
	 * Who is told; @r: 0 it is as it was, else @why. What cannot be put right is told once. Of @count pins
	 * @lost is the first.
	 */
	void (*link_attached)(void *userdata, const struct ebb_lost *lost, int r, const char *why);
	void (*pins_restored)(void *userdata, const struct ebb_lost *lost, size_t count, int r,
			      const char *why);
	void (*enforcement)(void *userdata, const struct ebb_enforcement_news *news);
};

/* 0 or a negative errno. @setup is copied. */
int ebb_checks_new(const struct ebb_checks_setup *setup, struct ebb_checks **ret_checks);
void ebb_checks_free(struct ebb_checks *checks);

/* Readable when one is due: its descriptor, for ebb_checks_run(). */
int ebb_checks_fd(const struct ebb_checks *checks);

/* Makes all that are due, at first every one. */
void ebb_checks_run(struct ebb_checks *checks);

/* A tick is done: @late_ns after its time, with so many slots in use. */
void ebb_checks_ticked(struct ebb_checks *checks, uint64_t late_ns, uint32_t dst_live, uint32_t pair_live);

/* Real-time priority was taken from the agent, or is there again, or no longer wanted. */
void ebb_checks_priority(struct ebb_checks *checks, bool taken);

#endif /* EBB_AGENT_CHECKS_H */
