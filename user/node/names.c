/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Four pools of fixed size, joined by indices. A list of a name or an address is walked in
 * whole where it is needed: both are short, an answer has at most 64 addresses.
 */
#include "node/names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NONE UINT32_MAX

/* Of an address that lost its last name while nobody had taken note yet. */
#define SPARE_ADDRESSES 1024

#define OWN_SHARE 4 /* of the bindings, one in so many may be OWN */

enum family {
	FAMILY_V4,
	FAMILY_V6,
	FAMILY_MAX,
};

struct name {
	char text[EBB_DNS_NAME_MAX];
	uint32_t next;	/* in its hash chain, or the free list */
	uint32_t first; /* binding */
	uint64_t answered_ns[FAMILY_MAX];
};

struct address {
	uint8_t addr[16];
	uint32_t next;
	uint32_t first;	 /* binding */
	uint32_t lookup; /* first one */
	uint32_t dirty;	 /* next in the list of changed ones */
	bool is_dirty;
};

struct binding {
	uint32_t name, address;
	uint32_t of_name, of_address; /* next of the same */
	uint32_t older, newer;	      /* of the same rank, by the last answer */
	uint32_t rank;
	uint64_t workload;
	uint64_t answered_ns;
	uint64_t expires_ns;
	uint64_t used_until_ns; /* its time is over, and it was in use: stays so long */
};

struct lookup {
	uint64_t workload;
	uint32_t address, binding;
	uint32_t of_address;
	uint32_t next; /* hash chain, free list */
	uint32_t older, newer;
};

/* Ends of a list, the newest first. */
struct ends {
	uint32_t newest, oldest;
};

struct ebb_names {
	uint64_t seed;
	uint32_t binding_max, lookup_max, address_max;
	uint32_t hash_mask;
	size_t bytes;

	struct name *names;
	struct address *addresses;
	struct binding *bindings;
	struct lookup *lookups;
	uint32_t *name_hash, *address_hash, *lookup_hash;

	uint32_t free_name, free_address, free_binding, free_lookup;
	uint32_t dirty_first, dirty_last;
	struct ends by_rank[EBB_NAMES_RANK_MAX];
	struct ends by_lookup;
	uint32_t binding_count, own_count;
	uint64_t evictions;
};

/* ------------------------------------------------------------------ memory -- */

static void *take_memory(struct ebb_names *n, size_t count, size_t size)
{
	n->bytes += count * size;
	return calloc(count, size);
}

int ebb_names_new(uint32_t bindings, uint32_t lookups, uint64_t seed, struct ebb_names **ret_names)
{
	struct ebb_names *n = calloc(1, sizeof(*n));
	uint32_t most = bindings > lookups ? bindings : lookups, hash = 64;

	if (!n)
		return -ENOMEM;
	while (hash < most)
		hash *= 2;
	n->bytes = sizeof(*n);
	n->seed = seed;
	n->binding_max = bindings;
	n->lookup_max = lookups;
	n->address_max = bindings + SPARE_ADDRESSES;
	n->hash_mask = hash - 1;
	n->names = take_memory(n, bindings, sizeof(*n->names));
	n->addresses = take_memory(n, n->address_max, sizeof(*n->addresses));
	n->bindings = take_memory(n, bindings, sizeof(*n->bindings));
	n->lookups = take_memory(n, lookups, sizeof(*n->lookups));
	n->name_hash = take_memory(n, hash, sizeof(*n->name_hash));
	n->address_hash = take_memory(n, hash, sizeof(*n->address_hash));
	n->lookup_hash = take_memory(n, hash, sizeof(*n->lookup_hash));
	if (!n->names || !n->addresses || !n->bindings || !n->lookups || !n->name_hash || !n->address_hash ||
	    !n->lookup_hash) {
		ebb_names_free(n);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < hash; i++)
		n->name_hash[i] = n->address_hash[i] = n->lookup_hash[i] = NONE;
	for (uint32_t i = 0; i < bindings; i++) {
		n->names[i].next = i + 1 < bindings ? i + 1 : NONE;
		n->bindings[i].of_name = i + 1 < bindings ? i + 1 : NONE;
	}
	for (uint32_t i = 0; i < n->address_max; i++)
		n->addresses[i].next = i + 1 < n->address_max ? i + 1 : NONE;
	for (uint32_t i = 0; i < lookups; i++)
		n->lookups[i].next = i + 1 < lookups ? i + 1 : NONE;
	n->free_name = n->free_binding = bindings ? 0 : NONE;
	n->free_address = 0;
	n->free_lookup = lookups ? 0 : NONE;
	n->dirty_first = n->dirty_last = NONE;
	for (int i = 0; i < EBB_NAMES_RANK_MAX; i++)
		n->by_rank[i] = (struct ends){NONE, NONE};
	n->by_lookup = (struct ends){NONE, NONE};
	*ret_names = n;
	return 0;
}

void ebb_names_free(struct ebb_names *names)
{
	if (!names)
		return;
	free(names->names);
	free(names->addresses);
	free(names->bindings);
	free(names->lookups);
	free(names->name_hash);
	free(names->address_hash);
	free(names->lookup_hash);
	free(names);
}

size_t ebb_names_bytes(const struct ebb_names *names)
{
	return names->bytes;
}

uint32_t ebb_names_count(const struct ebb_names *names)
{
	return names->binding_count;
}

uint64_t ebb_names_evictions(const struct ebb_names *names)
{
	return names->evictions;
}

/* ------------------------------------------------------------------ finding -- */

static uint32_t hash_of(const struct ebb_names *n, const void *data, size_t size)
{
	const uint8_t *bytes = data;
	uint64_t h = n->seed ^ 0xcbf29ce484222325ULL;

	for (size_t i = 0; i < size; i++) {
		h = (h ^ bytes[i]) * 0x9e3779b97f4a7c15ULL;
		h ^= h >> 29;
	}
	return (uint32_t)(h >> 32) & n->hash_mask;
}

static uint32_t *name_chain(const struct ebb_names *n, const char *text)
{
	return &n->name_hash[hash_of(n, text, strlen(text))];
}

static uint32_t *address_chain(const struct ebb_names *n, const uint8_t addr[16])
{
	return &n->address_hash[hash_of(n, addr, 16)];
}

static uint32_t *lookup_chain(const struct ebb_names *n, uint64_t workload, uint32_t address)
{
	struct {
		uint64_t workload;
		uint64_t address;
	} key = {workload, address};

	return &n->lookup_hash[hash_of(n, &key, sizeof(key))];
}

static uint32_t find_name(const struct ebb_names *n, const char *text)
{
	uint32_t i = *name_chain(n, text);

	while (i != NONE && strcmp(n->names[i].text, text) != 0)
		i = n->names[i].next;
	return i;
}

static uint32_t find_address(const struct ebb_names *n, const uint8_t addr[16])
{
	uint32_t i = *address_chain(n, addr);

	while (i != NONE && memcmp(n->addresses[i].addr, addr, 16) != 0)
		i = n->addresses[i].next;
	return i;
}

static uint32_t find_lookup(const struct ebb_names *n, uint64_t workload, uint32_t address)
{
	uint32_t i = *lookup_chain(n, workload, address);

	while (i != NONE && (n->lookups[i].workload != workload || n->lookups[i].address != address))
		i = n->lookups[i].next;
	return i;
}

/* @workload: 0 for a believed one. */
static uint32_t find_binding(const struct ebb_names *n, uint32_t name, uint32_t address, uint64_t workload)
{
	uint32_t i = n->addresses[address].first;

	while (i != NONE && (n->bindings[i].name != name || n->bindings[i].workload != workload))
		i = n->bindings[i].of_address;
	return i;
}

static enum family family_of(const uint8_t addr[16])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	return memcmp(addr, mapped, sizeof(mapped)) == 0 ? FAMILY_V4 : FAMILY_V6;
}

/* -------------------------------------------------------------------- lists -- */

/* The two ends and the links of bindings and lookups look alike, but are not of one type. */
#define PUSH_NEWEST(pool, ends, i)                          \
	do {                                                \
		(pool)[i].newer = NONE;                     \
		(pool)[i].older = (ends)->newest;           \
		if ((ends)->newest != NONE)                 \
			(pool)[(ends)->newest].newer = (i); \
		else                                        \
			(ends)->oldest = (i);               \
		(ends)->newest = (i);                       \
	} while (0)

#define UNLINK(pool, ends, i)                                            \
	do {                                                             \
		if ((pool)[i].newer != NONE)                             \
			(pool)[(pool)[i].newer].older = (pool)[i].older; \
		else                                                     \
			(ends)->newest = (pool)[i].older;                \
		if ((pool)[i].older != NONE)                             \
			(pool)[(pool)[i].older].newer = (pool)[i].newer; \
		else                                                     \
			(ends)->oldest = (pool)[i].newer;                \
	} while (0)

static void mark_dirty(struct ebb_names *n, uint32_t address)
{
	struct address *a = &n->addresses[address];

	if (a->is_dirty)
		return;
	a->is_dirty = true;
	a->dirty = NONE;
	if (n->dirty_last != NONE)
		n->addresses[n->dirty_last].dirty = address;
	else
		n->dirty_first = address;
	n->dirty_last = address;
}

/* ------------------------------------------------------------------- letting go -- */

static void drop_name(struct ebb_names *n, uint32_t name)
{
	uint32_t *link = name_chain(n, n->names[name].text);

	while (*link != name)
		link = &n->names[*link].next;
	*link = n->names[name].next;
	n->names[name].next = n->free_name;
	n->free_name = name;
}

static void drop_address(struct ebb_names *n, uint32_t address)
{
	uint32_t *link = address_chain(n, n->addresses[address].addr);

	while (*link != address)
		link = &n->addresses[*link].next;
	*link = n->addresses[address].next;
	n->addresses[address].next = n->free_address;
	n->free_address = address;
}

static void drop_lookup(struct ebb_names *n, uint32_t lookup)
{
	struct lookup *l = &n->lookups[lookup];
	uint32_t *link = lookup_chain(n, l->workload, l->address);

	while (*link != lookup)
		link = &n->lookups[*link].next;
	*link = l->next;
	link = &n->addresses[l->address].lookup;
	while (*link != lookup)
		link = &n->lookups[*link].of_address;
	*link = l->of_address;
	UNLINK(n->lookups, &n->by_lookup, lookup);
	mark_dirty(n, l->address);
	l->next = n->free_lookup;
	n->free_lookup = lookup;
}

/* Its address stays until somebody took note that it changed. */
static void drop_binding(struct ebb_names *n, uint32_t binding)
{
	struct binding *b = &n->bindings[binding];
	uint32_t *link, lookup, next;

	for (lookup = n->addresses[b->address].lookup; lookup != NONE; lookup = next) {
		next = n->lookups[lookup].of_address;
		if (n->lookups[lookup].binding == binding)
			drop_lookup(n, lookup);
	}
	link = &n->names[b->name].first;
	while (*link != binding)
		link = &n->bindings[*link].of_name;
	*link = b->of_name;
	link = &n->addresses[b->address].first;
	while (*link != binding)
		link = &n->bindings[*link].of_address;
	*link = b->of_address;
	UNLINK(n->bindings, &n->by_rank[b->rank], binding);
	n->binding_count--;
	n->own_count -= b->rank == EBB_NAMES_OWN;
	mark_dirty(n, b->address);
	if (n->names[b->name].first == NONE)
		drop_name(n, b->name);
	b->of_name = n->free_binding;
	n->free_binding = binding;
}

/* ------------------------------------------------------------------------ learning -- */

/* Frees one binding for a new one of @rank; false: there is no room for it. */
static bool make_room(struct ebb_names *n, enum ebb_names_rank rank)
{
	bool share_full = rank == EBB_NAMES_OWN && n->own_count >= n->binding_max / OWN_SHARE;

	if (n->free_binding != NONE && !share_full)
		return true;
	for (int least = EBB_NAMES_OWN; least <= (int)rank; least++) {
		if (n->by_rank[least].oldest == NONE)
			continue;
		n->evictions++;
		drop_binding(n, n->by_rank[least].oldest);
		return true;
	}
	n->evictions++;
	return false;
}

static uint32_t make_name(struct ebb_names *n, const char *text)
{
	uint32_t i = n->free_name, *chain = name_chain(n, text);

	n->free_name = n->names[i].next;
	n->names[i] = (struct name){.next = *chain, .first = NONE};
	memcpy(n->names[i].text, text, strlen(text) + 1);
	*chain = i;
	return i;
}

/* NONE: so many changed at once that there is no room; later answers will tell again. */
static uint32_t make_address(struct ebb_names *n, const uint8_t addr[16])
{
	uint32_t i = n->free_address, *chain = address_chain(n, addr);

	if (i == NONE)
		return NONE;
	n->free_address = n->addresses[i].next;
	n->addresses[i] = (struct address){.next = *chain, .first = NONE, .lookup = NONE, .dirty = NONE};
	memcpy(n->addresses[i].addr, addr, 16);
	*chain = i;
	return i;
}

/* The binding of @text and @addr, a new one where there is none. NONE: no room. */
static uint32_t bind_name(struct ebb_names *n, const char *text, const uint8_t addr[16],
			  enum ebb_names_rank rank, uint64_t workload)
{
	uint32_t name = find_name(n, text), address = find_address(n, addr), i = NONE;
	struct binding *b;

	if (name != NONE && address != NONE)
		i = find_binding(n, name, address, workload);
	if (i != NONE) {
		b = &n->bindings[i];
		UNLINK(n->bindings, &n->by_rank[b->rank], i);
		b->rank = rank;
		PUSH_NEWEST(n->bindings, &n->by_rank[rank], i);
		return i;
	}
	if (!make_room(n, rank))
		return NONE;
	/* what was in the way may have been the last of this very name */
	name = find_name(n, text);
	address = find_address(n, addr);
	if (address == NONE)
		address = make_address(n, addr);
	if (address == NONE)
		return NONE;
	if (name == NONE)
		name = make_name(n, text);
	i = n->free_binding;
	b = &n->bindings[i];
	n->free_binding = b->of_name;
	*b = (struct binding){
		.name = name,
		.address = address,
		.of_name = n->names[name].first,
		.of_address = n->addresses[address].first,
		.rank = rank,
		.workload = workload,
	};
	n->names[name].first = i;
	n->addresses[address].first = i;
	PUSH_NEWEST(n->bindings, &n->by_rank[rank], i);
	n->binding_count++;
	n->own_count += rank == EBB_NAMES_OWN;
	mark_dirty(n, address);
	return i;
}

static void remember_lookup(struct ebb_names *n, uint64_t workload, uint32_t binding)
{
	uint32_t address = n->bindings[binding].address, i = find_lookup(n, workload, address), *chain;
	struct lookup *l;

	if (i != NONE) {
		l = &n->lookups[i];
		UNLINK(n->lookups, &n->by_lookup, i);
		PUSH_NEWEST(n->lookups, &n->by_lookup, i);
		if (l->binding != binding)
			mark_dirty(n, address);
		l->binding = binding;
		return;
	}
	if (n->free_lookup == NONE && n->by_lookup.oldest != NONE)
		drop_lookup(n, n->by_lookup.oldest);
	i = n->free_lookup;
	if (i == NONE)
		return;
	l = &n->lookups[i];
	n->free_lookup = l->next;
	chain = lookup_chain(n, workload, address);
	*l = (struct lookup){
		.workload = workload,
		.address = address,
		.binding = binding,
		.of_address = n->addresses[address].lookup,
		.next = *chain,
	};
	*chain = i;
	n->addresses[address].lookup = i;
	PUSH_NEWEST(n->lookups, &n->by_lookup, i);
	mark_dirty(n, address);
}

void ebb_names_learn(struct ebb_names *names, const struct ebb_dns_answer *answer, enum ebb_names_rank rank,
		     uint64_t workload, uint64_t now_ns, uint64_t grace_ns)
{
	struct ebb_names *n = names;

	for (size_t i = 0; i < answer->count; i++) {
		const struct ebb_dns_address *a = &answer->addresses[i];
		uint32_t found =
			bind_name(n, answer->name, a->addr, rank, rank == EBB_NAMES_OWN ? workload : 0);
		struct binding *b;

		if (found == NONE)
			continue;
		b = &n->bindings[found];
		b->answered_ns = now_ns;
		b->expires_ns = now_ns + a->ttl_s * 1000000000ULL + grace_ns;
		if (rank != EBB_NAMES_OWN)
			n->names[b->name].answered_ns[family_of(a->addr)] = now_ns;
		if (rank != EBB_NAMES_OWN && workload)
			remember_lookup(n, workload, found);
	}
}

/* ------------------------------------------------------------------------- asking -- */

static struct ebb_named describe(const struct ebb_names *n, const struct binding *b)
{
	const struct name *name = &n->names[b->name];
	struct ebb_named named = {
		.name = name->text,
		.workload = b->workload,
		.rank = b->rank,
		.answered_ns = b->answered_ns,
		.expires_ns = b->expires_ns,
		.superseded = b->answered_ns < name->answered_ns[family_of(n->addresses[b->address].addr)],
	};

	memcpy(named.addr, n->addresses[b->address].addr, 16);
	return named;
}

size_t ebb_names_of(const struct ebb_names *names, const uint8_t addr[16], struct ebb_named *ret, size_t max)
{
	const struct ebb_names *n = names;
	uint32_t address = find_address(n, addr);
	size_t count = 0;

	if (address == NONE)
		return 0;
	for (uint32_t i = n->addresses[address].first; i != NONE; i = n->bindings[i].of_address) {
		struct ebb_named named;
		size_t at;

		if (n->bindings[i].rank == EBB_NAMES_OWN)
			continue;
		named = describe(n, &n->bindings[i]);
		/* into its place: the last answer first, and the same order for answers of one moment */
		at = count < max ? count : max;
		while (at > 0 && (ret[at - 1].answered_ns < named.answered_ns ||
				  (ret[at - 1].answered_ns == named.answered_ns &&
				   strcmp(ret[at - 1].name, named.name) > 0))) {
			if (at < max)
				ret[at] = ret[at - 1];
			at--;
		}
		if (at < max)
			ret[at] = named;
		count++;
	}
	return count;
}

const char *ebb_names_own(const struct ebb_names *names, const uint8_t addr[16], uint64_t workload)
{
	const struct ebb_names *n = names;
	uint32_t address = find_address(n, addr);
	const struct binding *last = NULL;

	if (address == NONE || !workload)
		return NULL;
	for (uint32_t i = n->addresses[address].first; i != NONE; i = n->bindings[i].of_address) {
		const struct binding *b = &n->bindings[i];

		if (b->workload == workload && (!last || b->answered_ns > last->answered_ns))
			last = b;
	}
	return last ? n->names[last->name].text : NULL;
}

void ebb_names_lookups(const struct ebb_names *names, const uint8_t addr[16],
		       void (*handle)(void *userdata, uint64_t workload, const char *name), void *userdata)
{
	const struct ebb_names *n = names;
	uint32_t address = find_address(n, addr);

	if (address == NONE)
		return;
	for (uint32_t i = n->addresses[address].lookup; i != NONE; i = n->lookups[i].of_address)
		handle(userdata, n->lookups[i].workload,
		       n->names[n->bindings[n->lookups[i].binding].name].text);
}

bool ebb_names_changed(struct ebb_names *names, uint8_t ret_addr[16])
{
	struct ebb_names *n = names;
	uint32_t i = n->dirty_first;
	struct address *a;

	if (i == NONE)
		return false;
	a = &n->addresses[i];
	n->dirty_first = a->dirty;
	if (n->dirty_first == NONE)
		n->dirty_last = NONE;
	a->is_dirty = false;
	memcpy(ret_addr, a->addr, 16);
	if (a->first == NONE)
		drop_address(n, i);
	return true;
}

void ebb_names_change_all(struct ebb_names *names)
{
	for (int rank = EBB_NAMES_OWN; rank < EBB_NAMES_RANK_MAX; rank++) {
		for (uint32_t i = names->by_rank[rank].newest; i != NONE; i = names->bindings[i].older)
			mark_dirty(names, names->bindings[i].address);
	}
}

void ebb_names_rank(struct ebb_names *names, enum ebb_names_rank (*rank)(void *userdata, const char *name),
		    void *userdata)
{
	struct ebb_names *n = names;
	uint32_t next;

	/* the oldest first: what moves counts as just answered, which is near enough */
	for (int old = EBB_NAMES_SHOWN; old < EBB_NAMES_RANK_MAX; old++) {
		for (uint32_t i = n->by_rank[old].oldest; i != NONE; i = next) {
			enum ebb_names_rank now = rank(userdata, n->names[n->bindings[i].name].text);

			next = n->bindings[i].newer;
			if (now == (enum ebb_names_rank)old || now == EBB_NAMES_OWN)
				continue;
			UNLINK(n->bindings, &n->by_rank[old], i);
			n->bindings[i].rank = now;
			PUSH_NEWEST(n->bindings, &n->by_rank[now], i);
		}
	}
}

void ebb_names_expire(struct ebb_names *names, uint64_t now_ns, uint64_t in_use_ns,
		      bool (*keep)(void *userdata, const struct ebb_named *named), void *userdata)
{
	struct ebb_names *n = names;
	uint32_t next;

	for (int rank = EBB_NAMES_OWN; rank < EBB_NAMES_RANK_MAX; rank++) {
		for (uint32_t i = n->by_rank[rank].oldest; i != NONE; i = next) {
			struct ebb_named named;

			next = n->bindings[i].newer;
			if (n->bindings[i].expires_ns > now_ns)
				continue;
			named = describe(n, &n->bindings[i]);
			/* a program that connects now and then is quiet in between */
			if (keep(userdata, &named))
				n->bindings[i].used_until_ns = now_ns + in_use_ns;
			else if (named.superseded || n->bindings[i].used_until_ns <= now_ns)
				drop_binding(n, i);
		}
	}
}

void ebb_names_forget_workload(struct ebb_names *names, uint64_t workload)
{
	struct ebb_names *n = names;
	uint32_t next;

	for (uint32_t i = n->by_lookup.oldest; i != NONE; i = next) {
		next = n->lookups[i].newer;
		if (n->lookups[i].workload == workload)
			drop_lookup(n, i);
	}
	for (uint32_t i = n->by_rank[EBB_NAMES_OWN].oldest; i != NONE; i = next) {
		next = n->bindings[i].newer;
		if (n->bindings[i].workload == workload)
			drop_binding(n, i);
	}
}
