/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What DNS answers mean: which addresses belong to destinations that rules name by host, and what
 * the others are called. It keeps the tables as the names and the rules say:
 *
 *	answer -> names (node/names.h) -> changed addresses -> endpoints, lookups
 *	                               \ once a second      -> names of discovered destinations
 *
 * An address of one name belongs to that name's destination (endpoints). Where an address has names
 * that mean different destinations, it belongs to the one that comes first in the configuration, and each
 * workload that looked it up to what it meant last (lookups). Only believed answers do any of this.
 *
 * Time comes in as an argument and the maps by functions, so that a test plays both.
 */
#ifndef EBB_AGENT_NAMING_H
#define EBB_AGENT_NAMING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/match.h"
#include "kernel/maps.h"
#include "node/dns.h"

/* How the tables are changed; each returns 0 or a negative errno, -ENOENT for what is not there. */
struct ebb_naming_ops {
	void *userdata;
	/* The slot of a destination of the configuration. */
	int (*slot_of)(void *userdata, uint32_t destination, struct ebb_ref *ret_ref);
	int (*endpoint_get)(void *userdata, const struct ebb_endpoint *key, struct ebb_ref *ret_ref);
	int (*endpoint_put)(void *userdata, const struct ebb_endpoint *key, const struct ebb_ref *ref);
	int (*endpoint_remove)(void *userdata, const struct ebb_endpoint *key);
	int (*lookup_get)(void *userdata, const struct ebb_lookup_key *key, struct ebb_ref *ret_ref);
	int (*lookup_put)(void *userdata, const struct ebb_lookup_key *key, const struct ebb_ref *ref);
	int (*lookup_remove)(void *userdata, const struct ebb_lookup_key *key);
	/* What belongs where has changed: what programs remember is void. */
	void (*changed)(void *userdata);
	/*
	 * Open connections of @from are to end where they began, whatever is changed from now on. 0: that
	 * is so; -EAGAIN: it will be, ask again. Only then an address of it changes hands.
	 */
	int (*part)(void *userdata, const struct ebb_ref *from);
};

struct ebb_naming;

/* @view is borrowed; @seed: a random number. All memory is taken here. -ENOMEM. */
int ebb_naming_new(const struct ebb_view *view, const struct ebb_naming_ops *ops, uint64_t seed,
		   struct ebb_naming **ret_naming);
void ebb_naming_free(struct ebb_naming *naming);
size_t ebb_naming_bytes(const struct ebb_naming *naming);

struct ebb_naming_config {
	const struct ebb_matcher *matcher; /* borrowed until the next one comes */
	bool shown;			   /* host names also where no rule is about hosts (dns.names) */
	uint64_t grace_ns;		   /* dns.grace */
};

/* New rules: everything is put where they say. */
void ebb_naming_configure(struct ebb_naming *naming, const struct ebb_naming_config *config, uint64_t now_ns);

/*
 * What stands in the tables from an agent before this one, after ebb_naming_configure(): for each entry of
 * endpoints and lookups. It holds until answers say otherwise, at least for the grace. ebb_naming_take_up_names()
 * does the same for what destinations are called.
 */
void ebb_naming_take_up_endpoint(struct ebb_naming *naming, const struct ebb_endpoint *key,
				 const struct ebb_ref *ref, uint64_t now_ns);
void ebb_naming_take_up_lookup(struct ebb_naming *naming, const struct ebb_lookup_key *key,
			       const struct ebb_ref *ref, uint64_t now_ns);
void ebb_naming_take_up_names(struct ebb_naming *naming, uint64_t now_ns);

/* @workload got @answer; the tables are changed before this returns. */
void ebb_naming_answer(struct ebb_naming *naming, const struct ebb_dns_answer *answer, uint64_t workload,
		       bool believed, uint64_t now_ns);

/* About once a second: lets go what is over, and calls discovered destinations by their names. */
void ebb_naming_tick(struct ebb_naming *naming, uint64_t now_ns);

/* Are answers needed at all? */
bool ebb_naming_wants_answers(const struct ebb_naming *naming);

/* What it holds now, for logs and metrics. */
struct ebb_naming_state {
	uint32_t names;	    /* of addresses */
	uint32_t addresses; /* entries of endpoints that names gave */
	uint32_t ambiguous; /* entries of lookups */
	uint64_t evictions; /* names that found no room, or took it from others */
	uint64_t failures;  /* changes of tables that failed, and are tried again */
};
struct ebb_naming_state ebb_naming_state(const struct ebb_naming *naming);

#endif /* EBB_AGENT_NAMING_H */
