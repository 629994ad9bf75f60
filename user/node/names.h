/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What DNS answers said: which name has which addresses, for how long, and by which of its names
 * each workload meant an address last. Pure: the time comes in as an argument, and nothing here
 * knows of rules or maps.
 *
 *	name --- binding --- address          believed: for everybody
 *	            |                         own: the workload's own answer, for it alone
 *	          lookup --- workload         the name that this workload looked up last
 *
 * All memory is taken at the start. When it is full, what counts least goes first, and of that
 * what was answered longest ago; nothing that counts more makes room for what counts less.
 */
#ifndef EBB_NODE_NAMES_H
#define EBB_NODE_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/dns.h"

/* What a binding counts. */
enum ebb_names_rank {
	EBB_NAMES_OWN,	 /* not believed: for the workload that got the answer alone; a quarter of the room */
	EBB_NAMES_SHOWN, /* believed; no rule is about it */
	EBB_NAMES_CLAIMED, /* believed, and a rule is about the name */
	EBB_NAMES_RANK_MAX,
};

struct ebb_names;

/*
 * Room for so many bindings (and as many names and addresses) and lookups. @seed: a random
 * number, so that nobody can choose names that share a hash. -ENOMEM.
 */
int ebb_names_new(uint32_t bindings, uint32_t lookups, uint64_t seed, struct ebb_names **ret_names);
void ebb_names_free(struct ebb_names *names);

/* Bytes that it takes, for ever. */
size_t ebb_names_bytes(const struct ebb_names *names);

/* How many bindings there are; and how many answers found no room, or took it from others. */
uint32_t ebb_names_count(const struct ebb_names *names);
uint64_t ebb_names_evictions(const struct ebb_names *names);

/*
 * @workload got @answer. Its addresses hold until @now_ns plus their TTL plus @grace_ns, and stay
 * as long as ebb_names_expire() is told to keep them. A believed one is also what @workload (not 0) looked up last.
 */
void ebb_names_learn(struct ebb_names *names, const struct ebb_dns_answer *answer, enum ebb_names_rank rank,
		     uint64_t workload, uint64_t now_ns, uint64_t grace_ns);

/* One name of one address. */
struct ebb_named {
	const char *name; /* valid until the next call that is not const */
	uint8_t addr[16];
	uint64_t workload;    /* OWN: whose answer; else 0 */
	uint32_t rank;	      /* enum ebb_names_rank */
	uint64_t answered_ns; /* the last answer with this address */
	uint64_t expires_ns;  /* grace included */
	bool superseded;      /* the name has been looked up since, and was not given this address */
};

/* The names of @addr that are believed, the last answer first. Returns their number; at most @max are written. */
size_t ebb_names_of(const struct ebb_names *names, const uint8_t addr[16], struct ebb_named *ret, size_t max);

/* The last name that @workload itself was told for @addr, and nobody believes; NULL: none. */
const char *ebb_names_own(const struct ebb_names *names, const uint8_t addr[16], uint64_t workload);

/* Calls @handle for each workload that looked up @addr, with the name by which it did so last. */
void ebb_names_lookups(const struct ebb_names *names, const uint8_t addr[16],
		       void (*handle)(void *userdata, uint64_t workload, const char *name), void *userdata);

/* Takes an address whose names or lookups changed since it was taken last; false: there is none. */
bool ebb_names_changed(struct ebb_names *names, uint8_t ret_addr[16]);

/* Marks every address that has names as changed: what they are for has changed. */
void ebb_names_change_all(struct ebb_names *names);

/* Gives every believed binding the rank that @rank says for its name: the rules have changed. */
void ebb_names_rank(struct ebb_names *names, enum ebb_names_rank (*rank)(void *userdata, const char *name),
		    void *userdata);

/*
 * Lets go what is over, unless @keep says that it is in use, or said so less than @in_use_ns ago and no
 * later answer about its name lacks it.
 */
void ebb_names_expire(struct ebb_names *names, uint64_t now_ns, uint64_t in_use_ns,
		      bool (*keep)(void *userdata, const struct ebb_named *named), void *userdata);

/* What was learned from @workload, which is gone. */
void ebb_names_forget_workload(struct ebb_names *names, uint64_t workload);

#endif /* EBB_NODE_NAMES_H */
