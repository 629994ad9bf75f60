/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/route_diff.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"

#define BITS	  128
#define PROTOCOLS 2 /* TCP, UDP: as in struct ebb_prefix */

enum side {
	BEFORE,
	AFTER,
	SIDES
};

struct entry {
	const struct ebb_route_prefix *prefix;
	enum side side;
};

/* The ports of each set, in order. */
struct ports {
	struct ebb_route_port *list;
	size_t *first; /* by set, and one more */
};

/* A prefix, and what either table says where no longer one does. NULL: nothing. */
struct level {
	struct ebb_prefix_key key;
	const struct ebb_route_prefix *said[SIDES];
};

struct diff {
	struct ports ports[SIDES];
	ebb_route_moved moved;
	void *userdata;
};

static bool covers(const struct ebb_prefix_key *a, const struct ebb_prefix_key *b)
{
	uint32_t bytes = a->bits / 8, rest = a->bits % 8;

	if (a->bits > b->bits || memcmp(a->addr, b->addr, bytes) != 0)
		return false;
	return rest == 0 || (a->addr[bytes] ^ b->addr[bytes]) >> (8 - rest) == 0;
}

static bool same_key(const struct ebb_prefix_key *a, const struct ebb_prefix_key *b)
{
	return a->bits == b->bits && memcmp(a->addr, b->addr, sizeof(a->addr)) == 0;
}

/* A prefix comes before all that it covers. */
static int compare_entries(const void *a, const void *b)
{
	const struct ebb_prefix_key *x = &((const struct entry *)a)->prefix->key;
	const struct ebb_prefix_key *y = &((const struct entry *)b)->prefix->key;
	int order = memcmp(x->addr, y->addr, sizeof(x->addr));

	return order ? order : (x->bits > y->bits) - (x->bits < y->bits);
}

static int compare_ports(const void *a, const void *b)
{
	const struct ebb_route_port *x = a, *y = b;

	if (x->set != y->set)
		return x->set < y->set ? -1 : 1;
	if (x->port != y->port)
		return x->port < y->port ? -1 : 1;
	return (x->proto > y->proto) - (x->proto < y->proto);
}

static int sort_ports(const struct ebb_route_table *table, struct ports *ret)
{
	ret->list = calloc(table->port_count + 1, sizeof(*ret->list));
	ret->first = calloc((size_t)table->set_count + 1, sizeof(*ret->first));
	if (!ret->list || !ret->first)
		return -ENOMEM;
	if (table->port_count)
		memcpy(ret->list, table->ports, table->port_count * sizeof(*ret->list));
	qsort(ret->list, table->port_count, sizeof(*ret->list), compare_ports);
	for (size_t i = 0; i < table->port_count; i++)
		ret->first[ret->list[i].set + 1] = i + 1;
	for (uint32_t set = 1; set <= table->set_count; set++) {
		if (ret->first[set] < ret->first[set - 1])
			ret->first[set] = ret->first[set - 1];
	}
	return 0;
}

static void free_ports(struct ports *ports)
{
	free(ports->list);
	free(ports->first);
}

static const struct ebb_ref *any_of(const struct ebb_route_prefix *prefix, uint8_t proto)
{
	static const struct ebb_ref none = {EBB_SLOT_OTHER, 0};

	return prefix ? &prefix->any[proto == IPPROTO_UDP] : &none;
}

static const struct ebb_ref *look_up(const struct ports *ports, const struct ebb_route_prefix *prefix,
				     uint16_t port, uint8_t proto)
{
	struct ebb_route_port wanted = {.port = port, .proto = proto};
	const struct ebb_route_port *found = NULL;

	if (prefix && prefix->set != EBB_ROUTE_NO_SET) {
		wanted.set = prefix->set;
		found = bsearch(&wanted, ports->list + ports->first[prefix->set],
				ports->first[prefix->set + 1] - ports->first[prefix->set], sizeof(wanted),
				compare_ports);
	}
	return found ? &found->ref : any_of(prefix, proto);
}

static void compare(const struct diff *d, const struct ebb_ref *before, const struct ebb_ref *after)
{
	if (before->slot != after->slot || (before->slot != EBB_SLOT_OTHER && before->epoch != after->epoch))
		d->moved(d->userdata, before, after);
}

/* Every port that either of them names, and those that neither does. */
static void compare_region(const struct diff *d, const struct ebb_route_prefix *const said[SIDES])
{
	static const uint8_t protocols[PROTOCOLS] = {IPPROTO_TCP, IPPROTO_UDP};

	for (int i = 0; i < PROTOCOLS; i++)
		compare(d, any_of(said[BEFORE], protocols[i]), any_of(said[AFTER], protocols[i]));
	for (int side = BEFORE; side < SIDES; side++) {
		uint32_t set = said[side] ? said[side]->set : EBB_ROUTE_NO_SET;

		if (set == EBB_ROUTE_NO_SET)
			continue;
		for (size_t i = d->ports[side].first[set]; i < d->ports[side].first[set + 1]; i++) {
			const struct ebb_route_port *port = &d->ports[side].list[i];

			compare(d, look_up(&d->ports[BEFORE], said[BEFORE], port->port, port->proto),
				look_up(&d->ports[AFTER], said[AFTER], port->port, port->proto));
		}
	}
}

static void walk(const struct diff *d, const struct entry *entries, size_t count)
{
	/* those that cover each other; the first: what holds where there is no prefix */
	struct level levels[BITS + 2] = {0};
	size_t depth = 0;

	for (size_t i = 0; i < count;) {
		const struct ebb_prefix_key *key = &entries[i].prefix->key;
		struct level *level;

		while (depth > 0 && !covers(&levels[depth].key, key))
			depth--;
		level = &levels[depth + 1];
		*level = levels[depth++];
		level->key = *key;
		for (; i < count && same_key(&entries[i].prefix->key, key); i++)
			level->said[entries[i].side] = entries[i].prefix;
		compare_region(d, level->said);
	}
}

int ebb_route_diff(const struct ebb_route_table *before, const struct ebb_route_table *after,
		   ebb_route_moved moved, void *userdata)
{
	const struct ebb_route_table *const tables[SIDES] = {before, after};
	size_t count = before->prefix_count + after->prefix_count;
	_cleanup_free_ struct entry *entries = calloc(count + 1, sizeof(*entries));
	struct diff d = {.moved = moved, .userdata = userdata};
	size_t used = 0;
	int r = entries ? 0 : -ENOMEM;

	for (int side = BEFORE; side < SIDES && r == 0; side++) {
		r = sort_ports(tables[side], &d.ports[side]);
		for (size_t i = 0; i < tables[side]->prefix_count && r == 0; i++)
			entries[used++] = (struct entry){&tables[side]->prefixes[i], side};
	}
	if (r == 0) {
		qsort(entries, count, sizeof(*entries), compare_entries);
		walk(&d, entries, count);
	}
	for (int side = BEFORE; side < SIDES; side++)
		free_ports(&d.ports[side]);
	return r;
}
