/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Puts a configuration into the maps, whole or not at all: slots for the destinations that it
 * names, their policies, the routes to them. What it does not change keeps its counters,
 * its connections and the state of its breaker; what operators said by hand stands.
 *
 * Four steps; with the lock of those who write policies held but in the second:
 *
 *	prepare   takes slots. Nothing in force changes
 *	work out  all else that can go wrong: memory, the tables of routes, which are written where nobody sees them yet. The
 *		  most of the work, 70 ms for 10,000 destinations, and another thread's (agent/errand.h)
 *	mark      destinations that are about to lose addresses ask for memories (EBB_ASK_MEMORY), so
 *		  that their open connections end where they belong. When it says so, the caller
 *		  lets go of the lock, makes a pass over the open sockets, and comes back
 *	commit    writes it all, in one go: no tick is between, and none sees a mix
 *
 * The order of a commit lets each connect be judged by the old settings of its destination or by the new
 * ones:
 *
 *	new slots, which no address leads to yet
 *	policies of those that lose no address: who comes to them comes to the new settings
 *	routes, at once; then what had a slot of its own and is claimed now, or no longer
 *	policies of those that lost some
 *
 * The marks are taken back a second later (ebb_apply_settle()).
 *
 * Tolerated: a destination that gets other settings, loses addresses and wins others, all in one
 * change, judges what it wins by its old settings for the moment between the last two.
 * The same holds for the defaults and all that no rule claims. And what
 * core/configure.h says about one policy that is read while it is written.
 */
#ifndef EBB_AGENT_APPLY_H
#define EBB_AGENT_APPLY_H

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"
#include "kernel/mapping.h"
#include "kernel/maps.h"
#include "lib/why.h"

/* What is written beside the tables of the view; as in kernel/mapping.h. A test has its own. */
struct ebb_apply_ops {
	void *userdata;
	int (*take_slot)(void *userdata, uint32_t *ret_slot);
	int (*give_slot_back)(void *userdata, uint32_t slot);
	int (*stage_routes)(void *userdata, const struct ebb_route_table *table, struct ebb_why *why);
	void (*unstage_routes)(void *userdata);
	int (*swap_routes)(void *userdata, struct ebb_why *why);
	int (*get_endpoint)(void *userdata, const struct ebb_endpoint *key, struct ebb_ref *ret_ref);
	int (*put_endpoint)(void *userdata, const struct ebb_endpoint *key, const struct ebb_ref *ref);
	int (*remove_endpoint)(void *userdata, const struct ebb_endpoint *key);
	void (*mapping_changed)(void *userdata);
};

struct ebb_apply;

/*
 * @view is borrowed, so is @ops->userdata. @fresh: the maps are new, and no route is in them.
 * @can_reset: live connections can be destroyed; else they are dropped where reset is asked for. 0 or -ENOMEM.
 */
int ebb_apply_new(const struct ebb_view *view, const struct ebb_apply_ops *ops, bool fresh, bool can_reset,
		  struct ebb_apply **ret_apply);
void ebb_apply_free(struct ebb_apply *apply);

/* What a change comes to, for the log and whoever has something to follow. */
struct ebb_apply_report {
	uint32_t added;
	uint32_t removed;
	uint32_t changed; /* settings, rules */
	uint32_t renewed; /* another scope: a slot of their own from now on, counters begin anew */
	uint32_t resets;  /* ask for reset, get drop */
	uint32_t stale;	  /* whose policies for single workloads could not be written: they are as before */
	bool moved;	  /* addresses belong to others: routes were replaced */
	char text[384];	  /* "added=a,b removed=c": as many as fit; "": nothing */
};

/*
 * Gets ready for @config, which is borrowed until another one is committed, or this one dropped. One that was
 * prepared before and not committed is dropped. On an error nothing has changed: -ENOSPC: no slot left for a destination,
 * -ENOMEM.
 */
int ebb_apply_prepare(struct ebb_apply *apply, const struct ebb_config *config, struct ebb_why *why);

/*
 * Of what is prepared. May be another thread's: meanwhile nobody may call a function that is declared below up to
 * ebb_apply_drop(), with it. On an error it is as if it was not begun: -E2BIG: too many routes, -ENOMEM.
 */
int ebb_apply_work_out(struct ebb_apply *apply, struct ebb_why *why);

/* Is one prepared, and neither in force nor dropped? Its slots are to stay as they are. */
bool ebb_apply_is_prepared(const struct ebb_apply *apply);

/* True: connections are open that need a memory before the commit. */
bool ebb_apply_mark(struct ebb_apply *apply);

/* Writes what was worked out. On an error what was in force before is in force, and nothing is prepared. */
int ebb_apply_commit(struct ebb_apply *apply, uint64_t now_ns, struct ebb_apply_report *ret_report,
		     struct ebb_why *why);

/* Once in a while, with the lock: takes marks back that are no longer needed. */
void ebb_apply_settle(struct ebb_apply *apply, uint64_t now_ns);

/* Forgets what was prepared. */
void ebb_apply_drop(struct ebb_apply *apply);

/* The configuration in force, NULL before the first commit; valid until the next commit. */
const struct ebb_config *ebb_apply_config(const struct ebb_apply *apply);

/* Its rules. */
const struct ebb_matcher *ebb_apply_matcher(const struct ebb_apply *apply);

/* The slot of its @destination'th destination, as a reference that look-up tables hold. */
struct ebb_ref ebb_apply_ref(const struct ebb_apply *apply, uint32_t destination);

/*
 * The breaker settings in force, [0] the defaults, and which of them each destination slot follows: for
 * ebb_ticker_configure(). Valid until the next commit.
 */
const struct ebb_breaker_config *ebb_apply_breakers(const struct ebb_apply *apply,
						    const uint32_t **ret_of_dst);

/* EBB_ASK_* of destinations that are met from now on. */
uint32_t ebb_apply_default_asks(const struct ebb_apply *apply);

#endif /* EBB_AGENT_APPLY_H */
