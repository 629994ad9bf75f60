/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/naming.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/address.h"
#include "export/name.h"
#include "node/names.h"

#define NONE UINT32_MAX

/* Room, for each destination that there may be; and never less than for a small node. */
#define BINDINGS_EACH 2
#define BINDINGS_MIN  1024
#define CLAIMS_EACH   2 /* ports of an address that names claim, in the mean */
#define LOOKUPS_MAX   16384

#define NAMES_OF_ADDRESS 16 /* that are looked at, the last answers first */
#define PORTS_OF_ADDRESS 64
#define NEW_TEXTS	 64 /* destinations that get a new name in one tick */

/* What names gave to a destination: an entry of endpoints. */
struct claim {
	struct ebb_endpoint key;
	struct ebb_ref ref;
	struct ebb_ref installed; /* what of it the table says; slot 0: nothing */
	uint32_t next;		  /* of addresses with the same hash; free list */
	uint32_t destination;
	bool used;
	bool waits;	   /* not in the table yet: whose it was has open connections */
	bool leaves;	   /* still in the table: it has open connections itself */
	bool contested;	   /* another name of the address means something else */
	bool wanted;	   /* in a comparison: still said */
	uint64_t until_ns; /* found at the start: holds so long without an answer; else 0 */
};

/* What a workload means by an address that several names claim: an entry of lookups. */
struct meaning {
	struct ebb_lookup_key key;
	struct ebb_ref ref;
	uint32_t next;	       /* of addresses with the same hash; free list */
	uint32_t next_of_said; /* of keys with the same hash: thousands of workloads may share one address */
	bool used;
	bool wanted;
	uint64_t until_ns;
};

struct ebb_naming {
	const struct ebb_view *view;
	struct ebb_naming_ops ops;
	struct ebb_naming_config config;
	struct ebb_names *names;
	size_t bytes;
	uint64_t seed;
	uint64_t failures;
	uint32_t hash_mask;

	struct claim *claims;
	uint32_t claim_max, free_claim, claim_count, any_port_count, waiting;
	uint32_t *claim_hash;

	struct meaning *meanings;
	uint32_t free_meaning, meaning_count;
	uint32_t *meaning_hash;
	uint32_t *said_hash; /* the same meanings, by address and workload */

	/* by destination slot, as of the last tick */
	uint32_t *slot_next; /* discovered ones whose addresses share a hash */
	uint32_t *slot_hash;
	uint64_t *activity; /* what its pairs began */
	uint64_t *before;   /* at the tick before */
	uint64_t *only;	    /* the one workload that uses it; 0: none or several */
	bool *busy;
	bool *contested;
};

/* One port of an address, in a comparison. */
struct wanted {
	__be16 port;
	uint8_t proto;
	bool contested;
	uint32_t destination;
};

/* ------------------------------------------------------------------ memory -- */

static void *take_memory(struct ebb_naming *n, size_t count, size_t size)
{
	n->bytes += count * size;
	return calloc(count, size);
}

int ebb_naming_new(const struct ebb_view *view, const struct ebb_naming_ops *ops, uint64_t seed,
		   struct ebb_naming **ret_naming)
{
	struct ebb_naming *n = calloc(1, sizeof(*n));
	uint32_t bindings = view->dst_max * BINDINGS_EACH, hash = 1024;
	int r;

	if (!n)
		return -ENOMEM;
	if (bindings < BINDINGS_MIN)
		bindings = BINDINGS_MIN;
	n->view = view;
	n->ops = *ops;
	n->seed = seed;
	n->bytes = sizeof(*n);
	n->claim_max = bindings * CLAIMS_EACH;
	while (hash < n->claim_max)
		hash *= 2;
	n->hash_mask = hash - 1;
	r = ebb_names_new(bindings, LOOKUPS_MAX, seed, &n->names);
	n->claims = take_memory(n, n->claim_max, sizeof(*n->claims));
	n->meanings = take_memory(n, LOOKUPS_MAX, sizeof(*n->meanings));
	n->claim_hash = take_memory(n, hash, sizeof(*n->claim_hash));
	n->meaning_hash = take_memory(n, hash, sizeof(*n->meaning_hash));
	n->said_hash = take_memory(n, hash, sizeof(*n->said_hash));
	n->slot_hash = take_memory(n, hash, sizeof(*n->slot_hash));
	n->slot_next = take_memory(n, view->dst_max, sizeof(*n->slot_next));
	n->activity = take_memory(n, view->dst_max, sizeof(*n->activity));
	n->before = take_memory(n, view->dst_max, sizeof(*n->before));
	n->only = take_memory(n, view->dst_max, sizeof(*n->only));
	n->busy = take_memory(n, view->dst_max, sizeof(*n->busy));
	n->contested = take_memory(n, view->dst_max, sizeof(*n->contested));
	if (r < 0 || !n->claims || !n->meanings || !n->claim_hash || !n->meaning_hash || !n->said_hash ||
	    !n->slot_hash || !n->slot_next || !n->activity || !n->before || !n->only || !n->busy ||
	    !n->contested) {
		ebb_naming_free(n);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < hash; i++)
		n->claim_hash[i] = n->meaning_hash[i] = n->said_hash[i] = n->slot_hash[i] = NONE;
	for (uint32_t i = 0; i < n->claim_max; i++)
		n->claims[i].next = i + 1 < n->claim_max ? i + 1 : NONE;
	for (uint32_t i = 0; i < LOOKUPS_MAX; i++)
		n->meanings[i].next = i + 1 < LOOKUPS_MAX ? i + 1 : NONE;
	*ret_naming = n;
	return 0;
}

void ebb_naming_free(struct ebb_naming *naming)
{
	if (!naming)
		return;
	ebb_names_free(naming->names);
	free(naming->claims);
	free(naming->meanings);
	free(naming->claim_hash);
	free(naming->meaning_hash);
	free(naming->said_hash);
	free(naming->slot_hash);
	free(naming->slot_next);
	free(naming->activity);
	free(naming->before);
	free(naming->only);
	free(naming->busy);
	free(naming->contested);
	free(naming);
}

size_t ebb_naming_bytes(const struct ebb_naming *naming)
{
	return naming->bytes + ebb_names_bytes(naming->names);
}

struct ebb_naming_state ebb_naming_state(const struct ebb_naming *naming)
{
	return (struct ebb_naming_state){
		.names = ebb_names_count(naming->names),
		.addresses = naming->claim_count,
		.ambiguous = naming->meaning_count,
		.evictions = ebb_names_evictions(naming->names),
		.failures = naming->failures,
	};
}

bool ebb_naming_wants_answers(const struct ebb_naming *naming)
{
	return naming->config.shown ||
	       (naming->config.matcher && ebb_matcher_has_hosts(naming->config.matcher));
}

static uint32_t hash_of(const struct ebb_naming *n, const uint8_t addr[16])
{
	uint64_t high, low;

	memcpy(&high, addr, sizeof(high));
	memcpy(&low, addr + sizeof(high), sizeof(low));
	high = (high ^ n->seed) * 0x9e3779b97f4a7c15ULL;
	low = (low ^ high ^ (high >> 29)) * 0xff51afd7ed558ccdULL;
	return (uint32_t)(low >> 32) & n->hash_mask;
}

/* ------------------------------------------------------------------ slots -- */

static bool is_rule_slot(const struct ebb_naming *n, uint32_t slot)
{
	return slot < n->view->dst_max && n->view->names[slot].epoch == n->view->dsts[slot].epoch &&
	       (n->view->names[slot].flags & EBB_NAME_RULE);
}

/* A discovered destination that still is what @ref says. */
static bool is_discovered(const struct ebb_naming *n, const struct ebb_ref *ref)
{
	return ref->slot != EBB_SLOT_OTHER && ref->slot < n->view->dst_max &&
	       n->view->dsts[ref->slot].state == EBB_SLOT_LIVE &&
	       n->view->dsts[ref->slot].epoch == ref->epoch && !is_rule_slot(n, ref->slot);
}

static bool same_ref(const struct ebb_ref *a, const struct ebb_ref *b)
{
	return a->slot == b->slot && a->epoch == b->epoch;
}

/* Does some connection of it end only later? Then it is to be asked to part first. */
static bool has_open_connections(const struct ebb_naming *n, const struct ebb_ref *ref)
{
	uint32_t high = n->view->kernel->pair_high;

	for (uint32_t p = EBB_SLOT_OTHER + 1; p <= high && p < n->view->pair_max; p++) {
		const struct ebb_pair *pair = &n->view->pairs[p];
		uint64_t ended = 0;

		if (pair->state == EBB_SLOT_FREE || pair->dst != ref->slot || pair->dst_epoch != ref->epoch)
			continue;
		for (int i = EBB_OUTCOME_ESTABLISHED; i <= EBB_OUTCOME_CANCELLED; i++)
			ended += pair->outcomes[i];
		if (pair->active || pair->syn_sent != ended)
			return true;
	}
	return false;
}

/* 0: the address of @from may change hands now. */
static int part_from(struct ebb_naming *n, const struct ebb_ref *from)
{
	/* ~other: what is there has memories; and an entry of a slot that is gone is nobody's */
	if (from->slot == EBB_SLOT_OTHER || from->slot >= n->view->dst_max ||
	    n->view->dsts[from->slot].epoch != from->epoch || !has_open_connections(n, from))
		return 0;
	return n->ops.part(n->ops.userdata, from);
}

static int note_failure(struct ebb_naming *n, int r)
{
	if (r < 0 && r != -EAGAIN && r != -ENOENT)
		n->failures++;
	return r;
}

/* -------------------------------------------------------------- lookups -- */

/* Where the chain of what this workload said about the address begins. */
static uint32_t *said_chain(const struct ebb_naming *n, const struct ebb_lookup_key *key)
{
	uint32_t mixed = (uint32_t)(((key->workload ^ n->seed) * 0x9e3779b97f4a7c15ULL) >> 32);

	return &n->said_hash[(hash_of(n, key->endpoint.addr) ^ mixed) & n->hash_mask];
}

static struct meaning *find_meaning(const struct ebb_naming *n, const struct ebb_lookup_key *key)
{
	uint32_t i = *said_chain(n, key);

	for (; i != NONE; i = n->meanings[i].next_of_said) {
		if (memcmp(&n->meanings[i].key, key, sizeof(*key)) == 0)
			return &n->meanings[i];
	}
	return NULL;
}

static void put_meaning(struct ebb_naming *n, const struct ebb_lookup_key *key, const struct ebb_ref *ref,
			uint64_t until_ns, bool *changed)
{
	struct meaning *m = find_meaning(n, key);
	uint32_t i = n->free_meaning, *chain = &n->meaning_hash[hash_of(n, key->endpoint.addr)];

	if (m) {
		m->wanted = true;
		m->until_ns = until_ns;
		if (same_ref(&m->ref, ref))
			return;
		if (note_failure(n, n->ops.lookup_put(n->ops.userdata, key, ref)) == 0) {
			m->ref = *ref;
			if (changed)
				*changed = true;
		}
		return;
	}
	if (i == NONE) {
		note_failure(n, -E2BIG);
		return;
	}
	if (changed && note_failure(n, n->ops.lookup_put(n->ops.userdata, key, ref)) < 0)
		return;
	m = &n->meanings[i];
	n->free_meaning = m->next;
	*m = (struct meaning){
		.key = *key,
		.ref = *ref,
		.next = *chain,
		.next_of_said = *said_chain(n, key),
		.used = true,
		.wanted = true,
		.until_ns = until_ns,
	};
	*chain = i;
	*said_chain(n, key) = i;
	n->meaning_count++;
	if (changed)
		*changed = true;
}

static void unlink_said(struct ebb_naming *n, uint32_t meaning)
{
	uint32_t *link = said_chain(n, &n->meanings[meaning].key);

	while (*link != meaning)
		link = &n->meanings[*link].next_of_said;
	*link = n->meanings[meaning].next_of_said;
}

/* Lets go the meanings of @addr that nothing says any more. */
static void drop_meanings(struct ebb_naming *n, const uint8_t addr[16], uint64_t now_ns, bool *changed)
{
	uint32_t *link = &n->meaning_hash[hash_of(n, addr)];

	while (*link != NONE) {
		struct meaning *m = &n->meanings[*link];
		uint32_t i = *link;

		if (m->wanted || memcmp(m->key.endpoint.addr, addr, 16) != 0 || m->until_ns > now_ns) {
			link = &m->next;
			continue;
		}
		if (note_failure(n, n->ops.lookup_remove(n->ops.userdata, &m->key)) < 0) {
			link = &m->next;
			continue;
		}
		*link = m->next;
		unlink_said(n, i);
		m->used = false;
		m->next = n->free_meaning;
		n->free_meaning = i;
		n->meaning_count--;
		if (changed)
			*changed = true;
	}
}

/* The destination of its own that an address has beside the claimed one: entered under workload 0. */
static struct ebb_lookup_key beside(const struct ebb_endpoint *key)
{
	return (struct ebb_lookup_key){.endpoint = *key};
}

/* ------------------------------------------------------------ endpoints -- */

static struct claim *find_claim(const struct ebb_naming *n, const struct ebb_endpoint *key)
{
	uint32_t i = n->claim_hash[hash_of(n, key->addr)];

	for (; i != NONE; i = n->claims[i].next) {
		if (memcmp(&n->claims[i].key, key, sizeof(*key)) == 0)
			return &n->claims[i];
	}
	return NULL;
}

static struct claim *make_claim(struct ebb_naming *n, const struct ebb_endpoint *key)
{
	uint32_t i = n->free_claim, *chain = &n->claim_hash[hash_of(n, key->addr)];
	struct claim *c;

	if (i == NONE) {
		note_failure(n, -E2BIG);
		return NULL;
	}
	c = &n->claims[i];
	n->free_claim = c->next;
	*c = (struct claim){.key = *key, .next = *chain, .used = true, .waits = true, .wanted = true};
	*chain = i;
	n->claim_count++;
	n->waiting++;
	n->any_port_count += key->port == 0;
	return c;
}

static void set_waits(struct ebb_naming *n, struct claim *c, bool waits)
{
	n->waiting += waits;
	n->waiting -= c->waits;
	c->waits = waits;
}

/* Whose the address was keeps its destination for who does not mean the claiming name. */
static void keep_beside(struct ebb_naming *n, const struct ebb_endpoint *key, const struct ebb_ref *ref)
{
	struct ebb_lookup_key own = beside(key);

	if (is_discovered(n, ref))
		(void)note_failure(n, n->ops.lookup_put(n->ops.userdata, &own, ref));
}

/* The claim becomes what the table says. */
static void install(struct ebb_naming *n, struct claim *c, bool *changed)
{
	struct ebb_ref now;
	int r;

	r = n->ops.endpoint_get(n->ops.userdata, &c->key, &now);
	if (r == 0 && same_ref(&now, &c->ref)) {
		c->installed = c->ref;
		set_waits(n, c, false);
		return;
	}
	if (r == 0) {
		keep_beside(n, &c->key, &now);
		r = part_from(n, &now);
	} else if (r == -ENOENT) {
		r = 0;
	}
	if (r == 0)
		r = n->ops.endpoint_put(n->ops.userdata, &c->key, &c->ref);
	if (r == 0)
		c->installed = c->ref;
	set_waits(n, c, note_failure(n, r) < 0);
	*changed |= r == 0;
}

/* The address goes back to the destination of its own, where there still is one. 0: the claim is gone. */
static int uninstall(struct ebb_naming *n, const struct claim *c, bool *changed)
{
	struct ebb_lookup_key own = beside(&c->key);
	struct ebb_ref now, found;
	int r;

	r = n->ops.endpoint_get(n->ops.userdata, &c->key, &now);
	/* what it was before it waited for a change stands there still */
	if (r < 0 || (!same_ref(&now, &c->ref) && !same_ref(&now, &c->installed)))
		return 0;
	r = part_from(n, &now);
	if (r < 0)
		return note_failure(n, r);
	if (n->ops.lookup_get(n->ops.userdata, &own, &found) == 0) {
		(void)n->ops.lookup_remove(n->ops.userdata, &own);
		r = is_discovered(n, &found) ? n->ops.endpoint_put(n->ops.userdata, &c->key, &found)
					     : n->ops.endpoint_remove(n->ops.userdata, &c->key);
	} else {
		r = n->ops.endpoint_remove(n->ops.userdata, &c->key);
	}
	if (changed)
		*changed = true;
	return r == -ENOENT ? 0 : note_failure(n, r);
}

static void drop_claims(struct ebb_naming *n, const uint8_t addr[16], uint64_t now_ns, bool *changed)
{
	uint32_t *link = &n->claim_hash[hash_of(n, addr)];

	while (*link != NONE) {
		struct claim *c = &n->claims[*link];
		uint32_t i = *link;

		if (c->wanted || memcmp(c->key.addr, addr, 16) != 0 || c->until_ns > now_ns) {
			link = &c->next;
			continue;
		}
		c->leaves = uninstall(n, c, changed) < 0;
		if (c->leaves) {
			link = &c->next;
			continue;
		}
		c->used = false;
		set_waits(n, c, false);
		n->any_port_count -= c->key.port == 0;
		n->claim_count--;
		*link = c->next;
		c->next = n->free_claim;
		n->free_claim = i;
	}
}

/*
 * An address of which every port is claimed: what was discovered of it before stands in the way, since
 * the exact port is looked at first.
 */
static void clear_the_way(struct ebb_naming *n, const struct claim *c, bool *changed)
{
	uint32_t slot = n->slot_hash[hash_of(n, c->key.addr)];

	for (; slot != NONE; slot = n->slot_next[slot]) {
		const struct ebb_dst *dst = &n->view->dsts[slot];
		struct ebb_ref ref = {.slot = slot, .epoch = dst->epoch}, now;

		if (memcmp(dst->endpoint.addr, c->key.addr, 16) != 0 || dst->endpoint.proto != c->key.proto ||
		    !is_discovered(n, &ref) ||
		    n->ops.endpoint_get(n->ops.userdata, &dst->endpoint, &now) < 0 || !same_ref(&ref, &now))
			continue;
		keep_beside(n, &dst->endpoint, &ref);
		if (part_from(n, &ref) == 0 && n->ops.endpoint_remove(n->ops.userdata, &dst->endpoint) == 0)
			if (changed)
				*changed = true;
	}
}

/* ------------------------------------------------------------ comparison -- */

static struct ebb_endpoint key_of(const uint8_t addr[16], __be16 port, uint8_t proto)
{
	struct ebb_endpoint key = {.port = port, .proto = proto};

	memcpy(key.addr, addr, 16);
	return key;
}

static uint32_t destination_of(const struct ebb_naming *n, const char *name, __be16 port, uint8_t proto)
{
	return n->config.matcher ? ebb_match_host(n->config.matcher, name, ntohs(port), proto)
				 : EBB_MATCH_NONE;
}

static void want_port(struct wanted *wanted, size_t *count, uint16_t port, uint8_t proto)
{
	for (size_t i = 0; i < *count; i++) {
		if (wanted[i].port == htons(port) && wanted[i].proto == proto)
			return;
	}
	if (*count < PORTS_OF_ADDRESS)
		wanted[(*count)++] = (struct wanted){.port = htons(port), .proto = proto};
}

/* The ports of an address that rules about its names speak of, and whose each is. */
static size_t collect_wanted(const struct ebb_naming *n, const struct ebb_named *named, size_t named_count,
			     struct wanted *wanted)
{
	struct ebb_match_port ports[PORTS_OF_ADDRESS];
	size_t count = 0;

	for (size_t i = 0; i < named_count; i++) {
		size_t found =
			ebb_match_host_ports(n->config.matcher, named[i].name, ports, PORTS_OF_ADDRESS);

		for (size_t k = 0; k < found && k < PORTS_OF_ADDRESS; k++) {
			if (ports[k].proto != IPPROTO_UDP)
				want_port(wanted, &count, ports[k].port, IPPROTO_TCP);
			if (ports[k].proto != IPPROTO_TCP)
				want_port(wanted, &count, ports[k].port, IPPROTO_UDP);
		}
	}
	for (size_t k = 0; k < count; k++) {
		struct wanted *w = &wanted[k];
		uint32_t first = NONE;

		w->destination = EBB_MATCH_NONE;
		for (size_t i = 0; i < named_count; i++) {
			uint32_t d = destination_of(n, named[i].name, w->port, w->proto);

			if (i == 0)
				first = d;
			w->contested |= d != first;
			if (d < w->destination)
				w->destination = d;
		}
	}
	return count;
}

/*
 * The slot to which a destination's connections to @addr go. Negative: nothing of that address is the destination's. Nor is loopback or
 * link-local of one with one gate for all workloads, as it is by no route (ebb_resolve() of bpf/route.h; ruling 1).
 */
static int slot_for(const struct ebb_naming *n, uint32_t destination, const uint8_t addr[16],
		    struct ebb_ref *ret_ref)
{
	struct ebb_ref ref;
	int r = n->ops.slot_of(n->ops.userdata, destination, &ref);

	if (r < 0)
		return r;
	if (ebb_address_is_local(addr, 128) && n->view->dsts[ref.slot].scope == EBB_SCOPE_NODE)
		return -EADDRNOTAVAIL;
	*ret_ref = ref;
	return 0;
}

/* What ebb_names_lookups() is told. */
struct meant {
	struct ebb_naming *n;
	const uint8_t *addr;
	const struct wanted *wanted;
	size_t count;
	bool *changed;
};

static void on_lookup(void *userdata, uint64_t workload, const char *name)
{
	const struct meant *m = userdata;
	struct ebb_naming *n = m->n;

	for (size_t k = 0; k < m->count; k++) {
		const struct wanted *w = &m->wanted[k];
		struct ebb_lookup_key key = {
			.workload = workload,
			.endpoint = key_of(m->addr, w->port, w->proto),
		};
		struct ebb_ref ref = {.slot = EBB_SLOT_DISCOVER};
		uint32_t d;

		if (!w->contested)
			continue;
		d = destination_of(n, name, w->port, w->proto);
		/* a name without a rule: the address may have one */
		if (d == EBB_MATCH_NONE)
			d = ebb_match_address(n->config.matcher, m->addr, ntohs(w->port), w->proto);
		if (d != EBB_MATCH_NONE && slot_for(n, d, m->addr, &ref) < 0)
			ref = (struct ebb_ref){.slot = EBB_SLOT_DISCOVER};
		put_meaning(n, &key, &ref, 0, m->changed);
	}
}

/* Every port of @addr to where its names say. */
static void settle(struct ebb_naming *n, const uint8_t addr[16], uint64_t now_ns, bool *changed)
{
	struct ebb_named named[NAMES_OF_ADDRESS];
	struct wanted wanted[PORTS_OF_ADDRESS];
	size_t named_count, count = 0;
	struct meant meant = {.n = n, .addr = addr, .wanted = wanted, .changed = changed};

	named_count = ebb_names_of(n->names, addr, named, NAMES_OF_ADDRESS);
	if (named_count > NAMES_OF_ADDRESS)
		named_count = NAMES_OF_ADDRESS;
	if (n->config.matcher && named_count)
		count = collect_wanted(n, named, named_count, wanted);
	for (uint32_t i = n->claim_hash[hash_of(n, addr)]; i != NONE; i = n->claims[i].next)
		n->claims[i].wanted = memcmp(n->claims[i].key.addr, addr, 16) != 0;
	for (uint32_t i = n->meaning_hash[hash_of(n, addr)]; i != NONE; i = n->meanings[i].next)
		n->meanings[i].wanted = memcmp(n->meanings[i].key.endpoint.addr, addr, 16) != 0;

	/* who means what comes first: a connect between the two is judged by it */
	meant.count = count;
	if (count)
		ebb_names_lookups(n->names, addr, on_lookup, &meant);
	if (n->meaning_count && !n->view->agent->ambiguous)
		__atomic_store_n(&n->view->agent->ambiguous, 1, __ATOMIC_RELEASE);
	for (size_t k = 0; k < count; k++) {
		struct ebb_endpoint key = key_of(addr, wanted[k].port, wanted[k].proto);
		struct claim *c = find_claim(n, &key);
		struct ebb_ref ref;

		if (wanted[k].destination == EBB_MATCH_NONE ||
		    slot_for(n, wanted[k].destination, addr, &ref) < 0)
			continue;
		if (!c)
			c = make_claim(n, &key);
		if (!c)
			continue;
		c->wanted = true;
		c->leaves = false;
		c->until_ns = 0;
		c->contested = wanted[k].contested;
		c->destination = wanted[k].destination;
		if (!same_ref(&c->ref, &ref))
			set_waits(n, c, true);
		c->ref = ref;
		if (c->waits)
			install(n, c, changed);
	}
	drop_claims(n, addr, now_ns, changed);
	drop_meanings(n, addr, now_ns, changed);
	if ((n->any_port_count != 0) != (n->view->agent->any_port != 0))
		__atomic_store_n(&n->view->agent->any_port, n->any_port_count != 0, __ATOMIC_RELEASE);
}

/* After the programs can see all of it: what stood in the way of claims of every port. */
static void settle_any_port(struct ebb_naming *n, const uint8_t addr[16], bool *changed)
{
	for (uint32_t i = n->claim_hash[hash_of(n, addr)]; i != NONE; i = n->claims[i].next) {
		if (n->claims[i].key.port == 0 && memcmp(n->claims[i].key.addr, addr, 16) == 0)
			clear_the_way(n, &n->claims[i], changed);
	}
}

static void settle_changed(struct ebb_naming *n, uint64_t now_ns)
{
	bool changed = false, cleared = false;
	uint8_t addr[16];

	while (ebb_names_changed(n->names, addr)) {
		settle(n, addr, now_ns, &changed);
		if (n->any_port_count)
			settle_any_port(n, addr, &cleared);
	}
	if (!n->meaning_count && n->view->agent->ambiguous)
		__atomic_store_n(&n->view->agent->ambiguous, 0, __ATOMIC_RELEASE);
	if (changed || cleared)
		n->ops.changed(n->ops.userdata);
}

/* ---------------------------------------------------------------- answers -- */

static enum ebb_names_rank rank_of(const struct ebb_naming *n, const char *name)
{
	struct ebb_match_port port;

	if (n->config.matcher && ebb_match_host_ports(n->config.matcher, name, &port, 1))
		return EBB_NAMES_CLAIMED;
	return EBB_NAMES_SHOWN;
}

void ebb_naming_answer(struct ebb_naming *naming, const struct ebb_dns_answer *answer, uint64_t workload,
		       bool believed, uint64_t now_ns)
{
	enum ebb_names_rank rank = believed ? rank_of(naming, answer->name) : EBB_NAMES_OWN;

	if (answer->count == 0)
		return;
	/* a name without a rule matters, too: one of its addresses may be that of a name with one */
	ebb_names_learn(naming->names, answer, rank, workload, now_ns, naming->config.grace_ns);
	settle_changed(naming, now_ns);
}

static enum ebb_names_rank rank_by_rules(void *userdata, const char *name)
{
	return rank_of(userdata, name);
}

void ebb_naming_configure(struct ebb_naming *naming, const struct ebb_naming_config *config, uint64_t now_ns)
{
	naming->config = *config;
	ebb_names_rank(naming->names, rank_by_rules, naming);
	ebb_names_change_all(naming->names);
	settle_changed(naming, now_ns);
}

/* ---------------------------------------------------------------- taking up -- */

void ebb_naming_take_up_endpoint(struct ebb_naming *naming, const struct ebb_endpoint *key,
				 const struct ebb_ref *ref, uint64_t now_ns)
{
	struct claim *c;

	/* discovered ones are the kernel's */
	if (!is_rule_slot(naming, ref->slot) || naming->view->dsts[ref->slot].epoch != ref->epoch ||
	    find_claim(naming, key))
		return;
	c = make_claim(naming, key);
	if (!c)
		return;
	c->ref = *ref;
	c->destination = EBB_MATCH_NONE;
	c->until_ns = now_ns + naming->config.grace_ns;
	set_waits(naming, c, false);
	if (key->port == 0)
		__atomic_store_n(&naming->view->agent->any_port, 1, __ATOMIC_RELEASE);
}

void ebb_naming_take_up_lookup(struct ebb_naming *naming, const struct ebb_lookup_key *key,
			       const struct ebb_ref *ref, uint64_t now_ns)
{
	/* those of workload 0 are the kernel's */
	if (!key->workload || find_meaning(naming, key))
		return;
	put_meaning(naming, key, ref, now_ns + naming->config.grace_ns, NULL);
	__atomic_store_n(&naming->view->agent->ambiguous, 1, __ATOMIC_RELEASE);
}

/* "api.example.com[10.0.0.5]:443/tcp" -> "api.example.com"; false: no host name. */
static bool host_in(const char *text, char ret_host[EBB_DNS_NAME_MAX])
{
	size_t size = strcspn(text, "[:/");

	if (size == 0 || size >= EBB_DNS_NAME_MAX)
		return false;
	memcpy(ret_host, text, size);
	ret_host[size] = '\0';
	return true;
}

void ebb_naming_take_up_names(struct ebb_naming *naming, uint64_t now_ns)
{
	const struct ebb_view *view = naming->view;

	for (uint32_t slot = EBB_SLOT_OTHER + 1; slot < view->dst_max; slot++) {
		const struct ebb_name *name = ebb_dst_given_name(view, slot);
		struct ebb_dns_answer answer = {.count = 1};

		if (!name || view->dsts[slot].state != EBB_SLOT_LIVE || !(name->flags & EBB_NAME_HOST) ||
		    !host_in(name->text, answer.name))
			continue;
		memcpy(answer.addresses[0].addr, view->dsts[slot].endpoint.addr, 16);
		if (name->flags & EBB_NAME_OWN)
			ebb_names_learn(naming->names, &answer, EBB_NAMES_OWN, view->dsts[slot].finder,
					now_ns, naming->config.grace_ns);
		else
			ebb_names_learn(naming->names, &answer, rank_of(naming, answer.name), 0, now_ns,
					naming->config.grace_ns);
	}
	settle_changed(naming, now_ns);
}

/* -------------------------------------------------------------------- tick -- */

/* What pairs tell of their destinations: who uses them, and whether anything happens there. */
static void look_at_pairs(struct ebb_naming *n)
{
	uint32_t high = n->view->kernel->pair_high;

	for (uint32_t p = EBB_SLOT_OTHER + 1; p <= high && p < n->view->pair_max; p++) {
		const struct ebb_pair *pair = &n->view->pairs[p];

		if (pair->state == EBB_SLOT_FREE || pair->dst >= n->view->dst_max ||
		    pair->dst_epoch != n->view->dsts[pair->dst].epoch)
			continue;
		n->activity[pair->dst] += pair->attempts + pair->sent_packets;
		n->busy[pair->dst] |= pair->active != 0;
		if (pair->workload != n->view->dsts[pair->dst].finder)
			n->only[pair->dst] = 0;
	}
}

/* Discovered destinations by address, and which of all are in use. */
static void look_at_slots(struct ebb_naming *n)
{
	uint32_t high = n->view->kernel->dst_high;

	if (high >= n->view->dst_max)
		high = n->view->dst_max - 1;
	for (uint32_t i = 0; i <= n->hash_mask; i++)
		n->slot_hash[i] = NONE;
	for (uint32_t slot = EBB_SLOT_OTHER + 1; slot <= high; slot++) {
		const struct ebb_dst *dst = &n->view->dsts[slot];
		uint32_t *chain = &n->slot_hash[hash_of(n, dst->endpoint.addr)];

		n->before[slot] = n->activity[slot];
		n->activity[slot] = 0;
		n->busy[slot] = false;
		n->contested[slot] = false;
		n->only[slot] = dst->finder;
		if (dst->state != EBB_SLOT_LIVE || is_rule_slot(n, slot))
			continue;
		n->slot_next[slot] = *chain;
		*chain = slot;
	}
	look_at_pairs(n);
	for (uint32_t slot = EBB_SLOT_OTHER + 1; slot <= high; slot++)
		n->busy[slot] |= n->activity[slot] != n->before[slot];
}

/* Is there a discovered destination that could be called @name? */
static bool has_discovered(const struct ebb_naming *n, const struct ebb_named *named)
{
	uint32_t slot = n->slot_hash[hash_of(n, named->addr)];

	for (; slot != NONE; slot = n->slot_next[slot]) {
		const struct ebb_endpoint *endpoint = &n->view->dsts[slot].endpoint;

		if (memcmp(endpoint->addr, named->addr, 16) == 0 &&
		    (named->rank != EBB_NAMES_CLAIMED ||
		     destination_of(n, named->name, endpoint->port, endpoint->proto) == EBB_MATCH_NONE))
			return true;
	}
	return false;
}

/* Is a destination that claims @name in use? */
static bool is_busy(const struct ebb_naming *n, const char *name)
{
	struct ebb_match_port ports[PORTS_OF_ADDRESS];
	struct ebb_ref ref;
	size_t count = n->config.matcher
			       ? ebb_match_host_ports(n->config.matcher, name, ports, PORTS_OF_ADDRESS)
			       : 0;

	for (size_t i = 0; i < count && i < PORTS_OF_ADDRESS; i++) {
		if (n->ops.slot_of(n->ops.userdata, ports[i].destination, &ref) == 0 &&
		    ref.slot < n->view->dst_max && n->busy[ref.slot])
			return true;
	}
	return false;
}

/*
 * A binding whose time is over stays while it is in use: a program may keep an address for as
 * long as it lives (many do). Not when the name was looked up again without this address.
 */
static bool keep(void *userdata, const struct ebb_named *named)
{
	const struct ebb_naming *n = userdata;
	struct ebb_named others[2];

	if (named->rank == EBB_NAMES_CLAIMED && !named->superseded && is_busy(n, named->name))
		return true;
	if (!has_discovered(n, named))
		return false;
	/* to call a destination by; but not beside another name that is still true */
	return !named->superseded ||
	       (named->rank != EBB_NAMES_OWN && ebb_names_of(n->names, named->addr, others, 2) == 1);
}

/*
 * Claims that waited for open connections or for room, that could not leave yet, and what was found at
 * the start and no answer confirmed: one of a destination in use stays.
 */
static void look_at_claims(struct ebb_naming *n, uint64_t now_ns, bool *changed)
{
	for (uint32_t i = 0; i < n->claim_max && n->claim_count; i++) {
		struct claim *c = &n->claims[i];
		uint8_t addr[16];

		if (!c->used)
			continue;
		if (c->until_ns && c->until_ns <= now_ns && c->ref.slot < n->view->dst_max &&
		    n->busy[c->ref.slot] && ebb_names_of(n->names, c->key.addr, NULL, 0) == 0)
			c->until_ns = now_ns + n->config.grace_ns;
		memcpy(addr, c->key.addr, 16);
		if (c->leaves || (c->until_ns && c->until_ns <= now_ns))
			settle(n, addr, now_ns, changed);
		else if (c->waits)
			install(n, c, changed);
		else if (c->key.port == 0)
			clear_the_way(n, c, changed);
		if (c->used && c->contested && !c->waits && c->ref.slot < n->view->dst_max)
			n->contested[c->ref.slot] = true;
	}
	for (uint32_t i = 0; i < LOOKUPS_MAX && n->meaning_count; i++) {
		const struct meaning *m = &n->meanings[i];
		uint8_t addr[16];

		if (!m->used || !m->until_ns || m->until_ns > now_ns)
			continue;
		memcpy(addr, m->key.endpoint.addr, 16);
		settle(n, addr, now_ns, changed);
	}
}

/* ------------------------------------------------------------------- names -- */

/* Readers take it for none while it is being changed (struct ebb_name). */
static void write_name(const struct ebb_view *view, uint32_t slot, const char *text, uint32_t flags)
{
	struct ebb_name *name = &view->names[slot];
	uint32_t epoch = view->dsts[slot].epoch;

	__atomic_store_n(&name->epoch, epoch - 1, __ATOMIC_SEQ_CST);
	memset(name->text, 0, sizeof(name->text));
	memcpy(name->text, text, strlen(text));
	name->flags = flags;
	__atomic_store_n(&name->epoch, epoch, __ATOMIC_SEQ_CST);
}

/* Every name is one destination's: metrics and commands go by it. */
static bool is_taken(const struct ebb_view *view, uint32_t slot, const char *text)
{
	uint32_t high = view->kernel->dst_high;

	for (uint32_t other = EBB_SLOT_OTHER + 1; other <= high && other < view->dst_max; other++) {
		if (other != slot && view->dsts[other].state != EBB_SLOT_FREE &&
		    view->names[other].epoch == view->dsts[other].epoch &&
		    strcmp(view->names[other].text, text) == 0)
			return true;
	}
	return false;
}

/* "host:port/tcp"; with the address where another destination has that name already. "": none is free. */
static void make_text(const struct ebb_view *view, uint32_t slot, const char *host,
		      char ret_text[EBB_NAME_TEXT_MAX])
{
	char address[EBB_DST_NAME_MAX], long_text[EBB_DNS_NAME_MAX + EBB_DST_NAME_MAX];
	const char *rest;
	int size;

	/* "10.0.0.5:443/tcp", "[2001:db8::5]:443/tcp" */
	(void)ebb_endpoint_name(&view->dsts[slot].endpoint, address, sizeof(address));
	rest = strrchr(address, ':');
	size = snprintf(ret_text, EBB_NAME_TEXT_MAX, "%s%s", host, rest ? rest : "");
	if (size > 0 && size < EBB_NAME_TEXT_MAX && !is_taken(view, slot, ret_text))
		return;
	if (address[0] == '[')
		size = snprintf(long_text, sizeof(long_text), "%s%s", host, address);
	else
		size = snprintf(long_text, sizeof(long_text), "%s[%.*s]%s", host,
				(int)(rest ? rest - address : 0), address, rest ? rest : "");
	ret_text[0] = '\0';
	if (size > 0 && size < EBB_NAME_TEXT_MAX && !is_taken(view, slot, long_text))
		memcpy(ret_text, long_text, (size_t)size + 1);
}

/* What a discovered destination should be called; *@ret_flags 0: by its address. */
static void choose_host(const struct ebb_naming *n, uint32_t slot, const char *present,
			char ret_host[EBB_DNS_NAME_MAX], uint32_t *ret_flags)
{
	const struct ebb_dst *dst = &n->view->dsts[slot];
	struct ebb_named named[NAMES_OF_ADDRESS];
	size_t count = ebb_names_of(n->names, dst->endpoint.addr, named, NAMES_OF_ADDRESS), good = 0;
	const char *own;

	*ret_flags = 0;
	for (size_t i = 0; i < count && i < NAMES_OF_ADDRESS; i++) {
		/* that name is a rule's, and this destination is what is left of the address */
		if (destination_of(n, named[i].name, dst->endpoint.port, dst->endpoint.proto) !=
		    EBB_MATCH_NONE)
			continue;
		/* the last answer's, but it does not change while it is true */
		if (good++ == 0 || strcmp(named[i].name, present) == 0)
			(void)snprintf(ret_host, EBB_DNS_NAME_MAX, "%s", named[i].name);
	}
	if (good) {
		*ret_flags = EBB_NAME_HOST | (good > 1 ? EBB_NAME_AMBIGUOUS : 0);
		return;
	}
	own = n->only[slot] ? ebb_names_own(n->names, dst->endpoint.addr, n->only[slot]) : NULL;
	if (own) {
		(void)snprintf(ret_host, EBB_DNS_NAME_MAX, "%s", own);
		*ret_flags = EBB_NAME_HOST | EBB_NAME_OWN;
	}
}

/* True when a new text was written. */
static bool name_discovered(const struct ebb_naming *n, uint32_t slot)
{
	const struct ebb_name *name = ebb_dst_given_name(n->view, slot);
	char host[EBB_DNS_NAME_MAX], present[EBB_DNS_NAME_MAX] = "", text[EBB_NAME_TEXT_MAX];
	uint32_t flags;

	if (name && (!(name->flags & EBB_NAME_HOST) || !host_in(name->text, present)))
		present[0] = '\0';
	choose_host(n, slot, present, host, &flags);
	if (name && flags && strcmp(host, present) == 0) {
		if (name->flags != flags)
			__atomic_store_n(&n->view->names[slot].flags, flags, __ATOMIC_RELAXED);
		return false;
	}
	if (!flags) {
		if (name)
			write_name(n->view, slot, "", 0);
		return false;
	}
	make_text(n->view, slot, host, text);
	if (text[0])
		write_name(n->view, slot, text, flags);
	else if (name)
		write_name(n->view, slot, "", 0);
	return true;
}

static void mark_contested(const struct ebb_naming *n, uint32_t slot)
{
	uint32_t *flags = &n->view->names[slot].flags;

	if (n->contested[slot] && !(*flags & EBB_NAME_AMBIGUOUS))
		__atomic_fetch_or(flags, EBB_NAME_AMBIGUOUS, __ATOMIC_RELAXED);
	else if (!n->contested[slot] && (*flags & EBB_NAME_AMBIGUOUS))
		__atomic_fetch_and(flags, ~EBB_NAME_AMBIGUOUS, __ATOMIC_RELAXED);
}

static void name_destinations(const struct ebb_naming *n)
{
	uint32_t high = n->view->kernel->dst_high, written = 0;

	for (uint32_t slot = EBB_SLOT_OTHER + 1; slot <= high && slot < n->view->dst_max; slot++) {
		if (n->view->dsts[slot].state != EBB_SLOT_LIVE)
			continue;
		if (is_rule_slot(n, slot))
			mark_contested(n, slot);
		/* one without an address was a rule's, and keeps its name for when the rule comes back */
		else if (n->config.shown && n->view->dsts[slot].endpoint.proto && written < NEW_TEXTS)
			written += name_discovered(n, slot);
	}
}

void ebb_naming_tick(struct ebb_naming *naming, uint64_t now_ns)
{
	bool changed = false;

	look_at_slots(naming);
	ebb_names_expire(naming->names, now_ns, naming->config.grace_ns, keep, naming);
	settle_changed(naming, now_ns);
	look_at_claims(naming, now_ns, &changed);
	if (changed)
		naming->ops.changed(naming->ops.userdata);
	name_destinations(naming);
}
