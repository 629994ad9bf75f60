/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The prefixes in the order of a walk through the tree that they make: each one after
 * those that hold it. On the way down, what holds for a prefix is what holds for the one above it,
 * with its own rules laid over. IPv4 lies at ::ffff:0:0/96, inside of prefixes of
 * IPv6 that are not about it: there the walk begins anew, with the rules that name no address.
 */
#include "core/routes.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/address.h"
#include "lib/cleanup.h"

#define DEPTH_MAX 129 /* prefixes that hold each other */

static const uint8_t protos[2] = {EBB_PROTO_TCP, EBB_PROTO_UDP};

struct entry {
	const struct ebb_match *match; /* kind PREFIX; of the two that are always there port 0 and no rule */
	uint32_t destination;	       /* EBB_MATCH_NONE: no rule */
	uint32_t order;
};

/* What holds for a prefix. Of its ports none says what any says. */
struct said {
	uint32_t any[2];
	uint32_t set;
};

struct level {
	const struct ebb_match *prefix;
	struct said said;
};

struct flattener {
	struct ebb_routes *routes;
	size_t prefix_room, port_room, set_room;
	size_t *set_first; /* of each set; one more than sets */
	uint64_t *set_hash;
	uint32_t *buckets; /* by hash: set + 1; 0: none */
	size_t bucket_mask;
	struct level stack[DEPTH_MAX];
	size_t depth;
	struct ebb_routes_port
		*scratch; /* the set that is being made, in the order of ports, TCP before UDP */
	size_t scratch_count, scratch_room;
	struct ebb_why *why;
};

/* -------------------------------------------------------------------- order -- */

static int compare_prefixes(const struct ebb_match *a, const struct ebb_match *b)
{
	int r = memcmp(a->addr, b->addr, sizeof(a->addr));

	if (r == 0 && a->bits != b->bits)
		r = a->bits < b->bits ? -1 : 1;
	return r;
}

static int compare_entries(const void *left, const void *right)
{
	const struct entry *a = left, *b = right;
	int r = compare_prefixes(a->match, b->match);

	if (r == 0)
		r = ebb_match_compare(a->match, b->match);
	if (r == 0)
		r = a->order < b->order ? -1 : 1;
	return r;
}

static bool holds(const struct ebb_match *outer, const struct ebb_match *inner)
{
	uint8_t masked[16];

	ebb_address_mask(masked, inner->addr, outer->bits);
	return outer->bits <= inner->bits && memcmp(masked, outer->addr, sizeof(masked)) == 0;
}

/* --------------------------------------------------------------------- sets -- */

static int grow(void *array_of, size_t *room, size_t need, size_t size)
{
	void **array = array_of;
	size_t more = *room ? *room : 64;
	void *grown;

	if (need <= *room)
		return 0;
	while (more < need)
		more *= 2;
	grown = reallocarray(*array, more, size);
	if (!grown)
		return -ENOMEM;
	*array = grown;
	*room = more;
	return 0;
}

static uint64_t hash_scratch(const struct flattener *f)
{
	uint64_t hash = 0xcbf29ce484222325ULL;

	for (size_t i = 0; i < f->scratch_count; i++) {
		const struct ebb_routes_port *p = &f->scratch[i];

		hash = (hash ^ ((uint64_t)p->destination << 24 | (uint64_t)p->port << 8 | p->proto)) *
		       0x9e3779b97f4a7c15ULL;
		hash ^= hash >> 29;
	}
	return hash;
}

static bool same_as_scratch(const struct flattener *f, uint32_t set)
{
	const struct ebb_routes_port *ports = f->routes->ports + f->set_first[set];
	size_t count = f->set_first[set + 1] - f->set_first[set];

	if (count != f->scratch_count)
		return false;
	for (size_t i = 0; i < count; i++) {
		if (ports[i].port != f->scratch[i].port || ports[i].proto != f->scratch[i].proto ||
		    ports[i].destination != f->scratch[i].destination)
			return false;
	}
	return true;
}

static int grow_buckets(struct flattener *f)
{
	size_t count = f->bucket_mask ? (f->bucket_mask + 1) * 2 : 64;
	uint32_t *buckets = calloc(count, sizeof(*buckets));

	if (!buckets)
		return -ENOMEM;
	free(f->buckets);
	f->buckets = buckets;
	f->bucket_mask = count - 1;
	for (uint32_t set = 0; set < f->routes->set_count; set++) {
		size_t at = f->set_hash[set] & f->bucket_mask;

		while (buckets[at])
			at = (at + 1) & f->bucket_mask;
		buckets[at] = set + 1;
	}
	return 0;
}

/* Room for one more set of @ports. */
static int make_room(struct flattener *f, size_t ports)
{
	struct ebb_routes *routes = f->routes;
	size_t hash_room = f->set_room;
	int r;

	r = grow(&routes->ports, &f->port_room, routes->port_count + ports, sizeof(*routes->ports));
	if (r == 0)
		r = grow(&f->set_hash, &hash_room, routes->set_count + 2, sizeof(*f->set_hash));
	if (r == 0)
		r = grow(&f->set_first, &f->set_room, routes->set_count + 2, sizeof(*f->set_first));
	if (r == 0 && (f->bucket_mask == 0 || (size_t)routes->set_count * 2 >= f->bucket_mask))
		r = grow_buckets(f);
	return r;
}

/* The set that has what the scratch has, an old one where there is one. */
static int find_set(struct flattener *f, uint32_t *ret_set)
{
	struct ebb_routes *routes = f->routes;
	uint64_t hash;
	size_t at;
	int r;

	*ret_set = EBB_ROUTES_NO_SET;
	if (f->scratch_count == 0)
		return 0;
	r = make_room(f, f->scratch_count);
	if (r < 0)
		return r;
	hash = hash_scratch(f);
	for (at = hash & f->bucket_mask; f->buckets[at]; at = (at + 1) & f->bucket_mask) {
		uint32_t set = f->buckets[at] - 1;

		if (f->set_hash[set] == hash && same_as_scratch(f, set)) {
			*ret_set = set;
			return 0;
		}
	}
	if (routes->port_count + f->scratch_count > EBB_PORTS_MAX)
		return ebb_why(f->why, -E2BIG,
			       "the rules about addresses and ports together make more than %d combinations of both: name fewer ports, or fewer prefixes with ports",
			       EBB_PORTS_MAX);
	for (size_t i = 0; i < f->scratch_count; i++) {
		f->scratch[i].set = routes->set_count;
		routes->ports[routes->port_count + i] = f->scratch[i];
	}
	f->buckets[at] = routes->set_count + 1;
	f->set_hash[routes->set_count] = hash;
	f->set_first[routes->set_count] = routes->port_count;
	routes->port_count += f->scratch_count;
	*ret_set = routes->set_count++;
	f->set_first[routes->set_count] = routes->port_count;
	return 0;
}

/* ------------------------------------------------------------------ lay over -- */

/* What the first of @rules says, all of one port, that fits @proto. */
static uint32_t first_fit(const struct entry *rules, const struct entry *end, uint8_t proto)
{
	for (const struct entry *e = rules; e < end; e++) {
		if (!e->match->proto || e->match->proto == proto)
			return e->destination;
	}
	return EBB_MATCH_NONE;
}

/* The end of those of @rules that are about the port of the first. */
static const struct entry *end_of_port(const struct entry *rules, const struct entry *end)
{
	const struct entry *e = rules;

	while (e < end && e->match->port == rules->match->port)
		e++;
	return e;
}

/* Merges what the prefix above says of ports with rules, both in the order of their ports. */
struct merge {
	size_t at, end; /* in the ports of the table: what is left of those above */
	bool hidden[2]; /* a rule without a port leaves nothing of this protocol to those above */
	uint32_t any[2];
};

/* What holds for all ports need not be said of one. */
static int put_port(struct flattener *f, const struct merge *merge, uint16_t port, int proto,
		    uint32_t destination)
{
	int r;

	if (destination == EBB_MATCH_NONE || destination == merge->any[proto])
		return 0;
	r = grow(&f->scratch, &f->scratch_room, f->scratch_count + 1, sizeof(*f->scratch));
	if (r < 0)
		return r;
	f->scratch[f->scratch_count++] =
		(struct ebb_routes_port){.port = port, .proto = protos[proto], .destination = destination};
	return 0;
}

/* The next of those above, if it is about this port and protocol. */
static uint32_t take_above(const struct flattener *f, struct merge *merge, uint16_t port, int proto)
{
	const struct ebb_routes_port *above = &f->routes->ports[merge->at];

	if (merge->at == merge->end || above->port != port || above->proto != protos[proto])
		return EBB_MATCH_NONE;
	merge->at++;
	return merge->hidden[proto] ? EBB_MATCH_NONE : above->destination;
}

/* Those above that come before @port. */
static int inherit(struct flattener *f, struct merge *merge, uint32_t port)
{
	int r = 0;

	while (merge->at < merge->end && f->routes->ports[merge->at].port < port && r == 0) {
		const struct ebb_routes_port above = f->routes->ports[merge->at];
		int proto = above.proto == EBB_PROTO_UDP;

		r = put_port(f, merge, above.port, proto, take_above(f, merge, above.port, proto));
	}
	return r;
}

static int merge_ports(struct flattener *f, struct merge *merge, const struct entry *rules,
		       const struct entry *end)
{
	const struct entry *next;
	int r = 0;

	f->scratch_count = 0;
	for (const struct entry *e = rules; e < end && e->match->port && r == 0; e = next) {
		uint16_t port = e->match->port;

		next = end_of_port(e, end);
		r = inherit(f, merge, port);
		for (int i = 0; i < 2 && r == 0; i++) {
			uint32_t above = take_above(f, merge, port, i);
			uint32_t own = first_fit(e, next, protos[i]);

			r = put_port(f, merge, port, i, own == EBB_MATCH_NONE ? above : own);
		}
	}
	return r == 0 ? inherit(f, merge, UINT16_MAX + 1U) : r;
}

/* @above with the rules of one prefix [@rules, @end) laid over. */
static int lay_over(struct flattener *f, const struct said *above, const struct entry *rules,
		    const struct entry *end, struct said *ret_said)
{
	bool changes = rules < end && rules->match->port;
	const struct entry *portless = rules;
	struct said said = *above;
	struct merge merge = {0};
	int r;

	while (portless < end && portless->match->port)
		portless++;
	for (int i = 0; i < 2; i++) {
		uint32_t any = first_fit(portless, end, protos[i]);

		merge.hidden[i] = any != EBB_MATCH_NONE;
		if (merge.hidden[i])
			said.any[i] = any;
		merge.any[i] = said.any[i];
		changes |= merge.hidden[i];
	}
	if (changes) {
		if (above->set != EBB_ROUTES_NO_SET) {
			merge.at = f->set_first[above->set];
			merge.end = f->set_first[above->set + 1];
		}
		r = merge_ports(f, &merge, rules, end);
		if (r == 0)
			r = find_set(f, &said.set);
		if (r < 0)
			return r;
	}
	*ret_said = said;
	return 0;
}

/* --------------------------------------------------------------------- walk -- */

static const struct said nothing = {{EBB_MATCH_NONE, EBB_MATCH_NONE}, EBB_ROUTES_NO_SET};

static bool same(const struct said *a, const struct said *b)
{
	return a->any[0] == b->any[0] && a->any[1] == b->any[1] && a->set == b->set;
}

static int write_prefix(struct flattener *f, const struct ebb_match *prefix, const struct said *said)
{
	struct ebb_routes *routes = f->routes;
	struct ebb_routes_prefix *to;
	int r;

	if (routes->prefix_count == EBB_PREFIXES_MAX)
		return ebb_why(f->why, -E2BIG, "the rules name more than %d prefixes", EBB_PREFIXES_MAX);
	r = grow(&routes->prefixes, &f->prefix_room, routes->prefix_count + 1, sizeof(*routes->prefixes));
	if (r < 0)
		return r;
	to = &routes->prefixes[routes->prefix_count++];
	memset(to, 0, sizeof(*to));
	memcpy(to->addr, prefix->addr, sizeof(to->addr));
	to->bits = prefix->bits;
	memcpy(to->any, said->any, sizeof(to->any));
	to->set = said->set;
	return 0;
}

/* One prefix with its rules. @base: what holds where no prefix above speaks. */
static int visit(struct flattener *f, const struct entry *rules, const struct entry *end,
		 const struct said *base)
{
	const struct ebb_match *prefix = rules->match;
	const struct said *above = base, *found = &nothing;
	struct level level = {.prefix = prefix};
	bool written;
	int r;

	while (f->depth && !holds(f->stack[f->depth - 1].prefix, prefix))
		f->depth--;
	/* all of IPv4 has nothing from the prefixes of IPv6 that hold it */
	if (f->depth && !(prefix->bits == EBB_MAPPED_BITS && ebb_address_is_mapped(prefix->addr)))
		above = &f->stack[f->depth - 1].said;
	r = lay_over(f, above, rules, end, &level.said);
	if (r < 0)
		return r;
	if (f->depth)
		found = &f->stack[f->depth - 1].said;
	/* one that says what the look-up would find without it is not written */
	written = !same(&level.said, found);
	f->stack[f->depth++] = level;
	return written ? write_prefix(f, prefix, &level.said) : 0;
}

static int walk(struct flattener *f, const struct entry *entries, size_t count, const struct said *base)
{
	size_t first = 0;
	int r = 0;

	for (size_t i = 1; i <= count && r == 0; i++) {
		if (i < count && compare_prefixes(entries[first].match, entries[i].match) == 0)
			continue;
		r = visit(f, entries + first, entries + i, base);
		first = i;
	}
	return r;
}

static int flatten(struct flattener *f, const struct ebb_rule *rules, size_t count)
{
	_cleanup_free_ struct entry *entries = calloc(count + 2, sizeof(*entries));
	struct ebb_match all = {.kind = EBB_MATCH_PREFIX}, mapped = {.kind = EBB_MATCH_PREFIX};
	_cleanup_free_ struct entry *bare = calloc(count + 1, sizeof(*bare));
	size_t entry_count = 0, bare_count = 0;
	struct said base;
	int r;

	if (!entries || !bare)
		return -ENOMEM;
	mapped.bits = EBB_MAPPED_BITS;
	ebb_address_mapped_prefix(mapped.addr);
	/* these two are there without rules, too: rules that name no address begin in them */
	entries[entry_count++] = (struct entry){&all, EBB_MATCH_NONE, UINT32_MAX};
	entries[entry_count++] = (struct entry){&mapped, EBB_MATCH_NONE, UINT32_MAX};
	for (size_t i = 0; i < count; i++) {
		struct entry entry = {rules[i].match, rules[i].destination, (uint32_t)i};

		if (rules[i].match->kind == EBB_MATCH_PREFIX)
			entries[entry_count++] = entry;
		else if (rules[i].match->kind == EBB_MATCH_ANY)
			bare[bare_count++] = entry;
	}
	qsort(entries, entry_count, sizeof(*entries), compare_entries);
	qsort(bare, bare_count, sizeof(*bare), compare_entries);
	r = lay_over(f, &nothing, bare, bare + bare_count, &base);
	return r < 0 ? r : walk(f, entries, entry_count, &base);
}

int ebb_routes_flatten(const struct ebb_rule *rules, size_t count, struct ebb_routes **ret_routes,
		       struct ebb_why *why)
{
	struct flattener *f = calloc(1, sizeof(*f));
	struct ebb_routes *routes = calloc(1, sizeof(*routes));
	int r = -ENOMEM;

	if (f && routes) {
		f->routes = routes;
		f->why = why;
		r = flatten(f, rules, count);
	}
	if (f) {
		free(f->set_first);
		free(f->set_hash);
		free(f->buckets);
		free(f->scratch);
		free(f);
	}
	if (r < 0) {
		ebb_routes_free(routes);
		return r == -ENOMEM ? ebb_why(why, r, "out of memory") : r;
	}
	*ret_routes = routes;
	return 0;
}

void ebb_routes_free(struct ebb_routes *routes)
{
	if (!routes)
		return;
	free(routes->prefixes);
	free(routes->ports);
	free(routes);
}
