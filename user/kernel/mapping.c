/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/mapping.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "kernel/layout.h"
#include "lib/cleanup.h"

enum map {
	MAP_ENDPOINT,
	MAP_LOOKUP,
	MAP_ROUTE,
	MAP_PORT,
	MAP_FREEDST,
	MAP_WORKLOAD,
	MAP_FOUND,
	MAP_LOST,
	MAP_OWN,
	MAP_MAX,
};

/* A map with other sizes is not ours: the kernel would write past what we give it. */
static const struct {
	const char *name;
	uint32_t type;
	uint32_t key_size;
	uint32_t value_size;
} maps[MAP_MAX] = {
	[MAP_ENDPOINT] = {"ebb_endpoint_v2", BPF_MAP_TYPE_HASH, sizeof(struct ebb_endpoint),
			  sizeof(struct ebb_ref)},
	[MAP_LOOKUP] = {"ebb_lookup_v2", BPF_MAP_TYPE_HASH, sizeof(struct ebb_lookup_key),
			sizeof(struct ebb_ref)},
	[MAP_ROUTE] = {"ebb_route_v2", BPF_MAP_TYPE_ARRAY_OF_MAPS, sizeof(uint32_t), sizeof(uint32_t)},
	[MAP_PORT] = {"ebb_port_v2", BPF_MAP_TYPE_HASH, sizeof(struct ebb_port_key), sizeof(struct ebb_ref)},
	[MAP_FREEDST] = {"ebb_freedst_v2", BPF_MAP_TYPE_QUEUE, 0, sizeof(uint32_t)},
	[MAP_WORKLOAD] = {"ebb_wload_v2", BPF_MAP_TYPE_HASH, sizeof(uint64_t), sizeof(struct ebb_workload)},
	[MAP_FOUND] = {"ebb_found_v2", BPF_MAP_TYPE_HASH, sizeof(uint64_t), sizeof(uint64_t)},
	[MAP_LOST] = {"ebb_lost_v2", BPF_MAP_TYPE_HASH, sizeof(uint64_t), sizeof(uint64_t)},
	[MAP_OWN] = {"ebb_own_v2", BPF_MAP_TYPE_HASH, sizeof(uint32_t), sizeof(struct ebb_own)},
};

struct ebb_mapping {
	const struct ebb_view *view; /* borrowed; NULL: the command line */
	int fds[MAP_MAX];
	uint32_t next_id; /* of a prefix: none from here on is in use */

	/* a table that is written and not in force: that of its prefixes, and its ids */
	int staged_fd; /* -1: there is none */
	uint32_t staged_first, staged_count;
	uint32_t first, count; /* ids of the one in force */
};

static int open_map(const char *pin_dir, enum map map, int *ret_fd, struct ebb_why *why)
{
	struct bpf_map_info info = {0};
	__u32 info_size = sizeof(info);
	_cleanup_close_ int fd = -1;
	char path[EBB_PIN_PATH_MAX];
	int r;

	r = ebb_pin_path(pin_dir, "", maps[map].name, path, sizeof(path));
	if (r < 0)
		return ebb_why(why, r, "--pin: '%s' is too long", pin_dir);
	fd = bpf_obj_get(path);
	if (fd == -ENOENT)
		return ebb_why(why, fd, "nothing is pinned in '%s': start the agent with 'ebb run'", pin_dir);
	if (fd == -EPERM || fd == -EACCES)
		return ebb_why(why, fd, "not permitted to open '%s': run as root or with CAP_BPF", path);
	if (fd < 0)
		return ebb_why(why, fd, "cannot open '%s': %s", path, ebb_strerror(fd));
	r = bpf_obj_get_info_by_fd(fd, &info, &info_size);
	if (r < 0)
		return ebb_why(why, r, "cannot read about '%s': %s", path, ebb_strerror(r));
	if (info.type != maps[map].type || info.key_size != maps[map].key_size ||
	    info.value_size != maps[map].value_size)
		return ebb_why(why, -EPROTO,
			       "map '%s' in '%s' has another layout than this ebb: run 'ebb detach --pin %s' first",
			       maps[map].name, pin_dir, pin_dir);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* ------------------------------------------------------------------ entries -- */

#define BATCH_FIRST 1024

/*
 * Whole buckets at a time: unlike get_next_key it does not begin anew when the key it stands
 * on is taken out. A bucket that does not fit is -ENOSPC: then with more room.
 */
static int each_entry(const struct ebb_mapping *m, enum map map,
		      int (*visit)(void *context, const void *key, const void *value), void *context)
{
	size_t key_size = maps[map].key_size, value_size = maps[map].value_size;
	__u32 room = BATCH_FIRST, position = 0, next = 0;
	_cleanup_free_ char *values = NULL;
	_cleanup_free_ char *keys = NULL;
	bool begun = false, last;

	do {
		__u32 count = room;
		int r;

		if (!keys)
			keys = malloc(room * key_size);
		if (!values)
			values = malloc(room * value_size);
		if (!keys || !values)
			return -ENOMEM;
		r = bpf_map_lookup_batch(m->fds[map], begun ? &position : NULL, &next, keys, values, &count,
					 NULL);
		if (r == -ENOSPC) {
			free(TAKE_PTR(keys));
			free(TAKE_PTR(values));
			room *= 2;
			last = false;
			continue;
		}
		if (r < 0 && r != -ENOENT)
			return r;
		last = r == -ENOENT;
		begun = true;
		position = next;
		for (__u32 i = 0; i < count; i++) {
			r = visit(context, keys + i * key_size, values + i * value_size);
			if (r)
				return r;
		}
	} while (!last);
	return 0;
}

static int get_entry(const struct ebb_mapping *m, enum map map, const void *key, void *ret_value)
{
	return bpf_map_lookup_elem(m->fds[map], key, ret_value);
}

static int put_entry(const struct ebb_mapping *m, enum map map, const void *key, const void *value)
{
	return bpf_map_update_elem(m->fds[map], key, value, BPF_ANY);
}

static int remove_entry(const struct ebb_mapping *m, enum map map, const void *key)
{
	return bpf_map_delete_elem(m->fds[map], key);
}

/* ---------------------------------------------------------------- life -- */

static int find_next_id(void *context, const void *key, const void *value)
{
	const struct ebb_port_key *port = key;
	uint32_t *next = context;

	(void)value;
	if (port->prefix >= *next)
		*next = port->prefix + 1;
	return 0;
}

int ebb_mapping_open(const char *pin_dir, const struct ebb_view *view, struct ebb_mapping **ret_mapping,
		     struct ebb_why *why)
{
	struct ebb_mapping *m = calloc(1, sizeof(*m));
	int r = 0;

	if (!m)
		return ebb_why(why, -ENOMEM, "out of memory");
	m->view = view;
	m->next_id = 1;
	m->staged_fd = -1;
	for (int i = 0; i < MAP_MAX; i++)
		m->fds[i] = -1;
	for (int i = 0; i < MAP_MAX && r == 0; i++)
		r = open_map(pin_dir, (enum map)i, &m->fds[i], why);
	if (r == 0 && view) {
		r = each_entry(m, MAP_PORT, find_next_id, &m->next_id);
		if (r < 0)
			(void)ebb_why(why, r, "cannot read map '%s' in '%s': %s", maps[MAP_PORT].name,
				      pin_dir, ebb_strerror(r));
	}
	if (r < 0) {
		ebb_mapping_free(m);
		return r;
	}
	*ret_mapping = m;
	return 0;
}

void ebb_mapping_free(struct ebb_mapping *mapping)
{
	if (!mapping)
		return;
	for (int i = 0; i < MAP_MAX; i++) {
		if (mapping->fds[i] >= 0)
			(void)close(mapping->fds[i]);
	}
	if (mapping->staged_fd >= 0)
		(void)close(mapping->staged_fd);
	free(mapping);
}

void ebb_mapping_changed(struct ebb_mapping *mapping)
{
	/* who writes by hand opened it without; nothing of what they write says where an address belongs */
	if (!mapping->view)
		return;
	__atomic_fetch_add(&mapping->view->agent->mapping, 1, __ATOMIC_SEQ_CST);
}

/* ------------------------------------------------------------- destinations -- */

/*
 * The kernel's word for the highest slot says how far everybody has to look; a slot that was not
 * discovered has to be below it, too. Both raise it atomically.
 */
static void raise_high(uint32_t *high, uint32_t slot)
{
	uint32_t old = __atomic_load_n(high, __ATOMIC_RELAXED);

	while (old < slot &&
	       !__atomic_compare_exchange_n(high, &old, slot, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
		;
}

int ebb_slots_take(struct ebb_mapping *mapping, uint32_t *ret_slot)
{
	const struct ebb_view *view = mapping->view;
	uint32_t slot = EBB_SLOT_OTHER;
	int r;

	if (!view)
		return -EINVAL;
	do {
		r = bpf_map_lookup_and_delete_elem(mapping->fds[MAP_FREEDST], NULL, &slot);
		if (r < 0)
			return r;
		/* nobody may have put another one there: dropped */
	} while (slot == EBB_SLOT_OTHER || slot >= view->dst_max);
	raise_high(&view->kernel->dst_high, slot);
	*ret_slot = slot;
	return 0;
}

int ebb_slots_give_back(struct ebb_mapping *mapping, uint32_t slot)
{
	return bpf_map_update_elem(mapping->fds[MAP_FREEDST], NULL, &slot, BPF_ANY);
}

int ebb_endpoints_get(struct ebb_mapping *mapping, const struct ebb_endpoint *key, struct ebb_ref *ret_ref)
{
	return get_entry(mapping, MAP_ENDPOINT, key, ret_ref);
}

int ebb_endpoints_put(struct ebb_mapping *mapping, const struct ebb_endpoint *key, const struct ebb_ref *ref)
{
	return put_entry(mapping, MAP_ENDPOINT, key, ref);
}

int ebb_endpoints_remove(struct ebb_mapping *mapping, const struct ebb_endpoint *key)
{
	return remove_entry(mapping, MAP_ENDPOINT, key);
}

struct endpoint_visit {
	int (*handle)(void *userdata, const struct ebb_endpoint *key, const struct ebb_ref *ref);
	void *userdata;
};

static int visit_endpoint(void *context, const void *key, const void *value)
{
	const struct endpoint_visit *visit = context;

	return visit->handle(visit->userdata, key, value);
}

int ebb_endpoints_each(struct ebb_mapping *mapping,
		       int (*handle)(void *userdata, const struct ebb_endpoint *key,
				     const struct ebb_ref *ref),
		       void *userdata)
{
	struct endpoint_visit visit = {handle, userdata};

	return each_entry(mapping, MAP_ENDPOINT, visit_endpoint, &visit);
}

int ebb_lookups_get(struct ebb_mapping *mapping, const struct ebb_lookup_key *key, struct ebb_ref *ret_ref)
{
	return get_entry(mapping, MAP_LOOKUP, key, ret_ref);
}

int ebb_lookups_put(struct ebb_mapping *mapping, const struct ebb_lookup_key *key, const struct ebb_ref *ref)
{
	return put_entry(mapping, MAP_LOOKUP, key, ref);
}

int ebb_lookups_remove(struct ebb_mapping *mapping, const struct ebb_lookup_key *key)
{
	return remove_entry(mapping, MAP_LOOKUP, key);
}

struct lookup_visit {
	int (*handle)(void *userdata, const struct ebb_lookup_key *key, const struct ebb_ref *ref);
	void *userdata;
};

static int visit_lookup(void *context, const void *key, const void *value)
{
	const struct lookup_visit *visit = context;

	return visit->handle(visit->userdata, key, value);
}

int ebb_lookups_each(struct ebb_mapping *mapping,
		     int (*handle)(void *userdata, const struct ebb_lookup_key *key,
				   const struct ebb_ref *ref),
		     void *userdata)
{
	struct lookup_visit visit = {handle, userdata};

	return each_entry(mapping, MAP_LOOKUP, visit_lookup, &visit);
}

/* ------------------------------------------------------------------- routes -- */

/*
 * The order that lets a program read at any moment:
 *
 *	ports of the new table, under ids that nobody uses
 *	the new table of prefixes, whole
 *	swap
 *	no program reads the old one any more
 *	ports of every other id go
 *
 * What a killed agent leaves is ports that no prefix names: the next one takes them away.
 */

/* Ids of the present table and of what a killed agent left are below next_id; after a wrap they are far above. */
static uint32_t first_id(const struct ebb_mapping *m, uint32_t count)
{
	return m->next_id > UINT32_MAX / 2 || m->next_id + count > UINT32_MAX / 2 ? 1 : m->next_id;
}

static struct ebb_port_key port_key(const struct ebb_route_port *port, uint32_t first)
{
	return (struct ebb_port_key){.prefix = first + port->set,
				     .port = htons(port->port),
				     .proto = port->proto};
}

static int fill_prefixes(const struct ebb_route_table *table, uint32_t first, int *ret_fd)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_NO_PREALLOC);
	_cleanup_close_ int fd = -1;

	fd = bpf_map_create(BPF_MAP_TYPE_LPM_TRIE, "ebb_prefix", sizeof(struct ebb_prefix_key),
			    sizeof(struct ebb_prefix), EBB_PREFIXES_MAX, &opts);
	if (fd < 0)
		return fd;
	for (size_t i = 0; i < table->prefix_count; i++) {
		const struct ebb_route_prefix *from = &table->prefixes[i];
		struct ebb_prefix prefix = {
			.id = from->set == EBB_ROUTE_NO_SET ? 0 : first + from->set,
			.ports = from->set != EBB_ROUTE_NO_SET,
			.any = {from->any[0], from->any[1]},
		};
		int r = bpf_map_update_elem(fd, &from->key, &prefix, BPF_NOEXIST);

		if (r < 0)
			return r;
	}
	*ret_fd = TAKE_FD(fd);
	return 0;
}

struct ids {
	const struct ebb_mapping *mapping;
	uint32_t first, count;
	bool inside; /* which ones go: those of the range, or all others */
};

static int remove_port(void *context, const void *key, const void *value)
{
	const struct ebb_port_key *port = key;
	const struct ids *ids = context;
	int r;

	(void)value;
	if ((port->prefix - ids->first < ids->count) != ids->inside)
		return 0;
	r = remove_entry(ids->mapping, MAP_PORT, key);
	return r == -ENOENT ? 0 : r;
}

static int remove_ports(const struct ebb_mapping *m, uint32_t first, uint32_t count, bool inside)
{
	struct ids ids = {m, first, count, inside};

	return each_entry(m, MAP_PORT, remove_port, &ids);
}

static int add_ports(const struct ebb_mapping *m, const struct ebb_route_table *table, uint32_t first)
{
	for (size_t i = 0; i < table->port_count; i++) {
		struct ebb_port_key key = port_key(&table->ports[i], first);
		int r = bpf_map_update_elem(m->fds[MAP_PORT], &key, &table->ports[i].ref, BPF_NOEXIST);

		if (r < 0)
			return r;
	}
	return 0;
}

int ebb_routes_stage(struct ebb_mapping *mapping, const struct ebb_route_table *table, struct ebb_why *why)
{
	uint32_t first = first_id(mapping, table->set_count);
	int r;

	if (!mapping->view)
		return ebb_why(why, -EINVAL, "routes are the agent's");
	if (table->prefix_count > EBB_PREFIXES_MAX || table->port_count > EBB_PORTS_MAX)
		return ebb_why(why, -E2BIG,
			       "the rules about addresses need %zu prefixes and %zu ports, there is room for %d and %d",
			       table->prefix_count, table->port_count, EBB_PREFIXES_MAX, EBB_PORTS_MAX);
	ebb_routes_unstage(mapping);
	r = add_ports(mapping, table, first);
	if (r == 0)
		r = fill_prefixes(table, first, &mapping->staged_fd);
	if (r < 0) {
		(void)remove_ports(mapping, first, table->set_count, true);
		return ebb_why(why, r, "cannot write the rules about addresses into the maps: %s",
			       ebb_strerror(r));
	}
	mapping->staged_first = first;
	mapping->staged_count = table->set_count;
	return 0;
}

void ebb_routes_unstage(struct ebb_mapping *mapping)
{
	if (mapping->staged_fd < 0)
		return;
	(void)close(TAKE_FD(mapping->staged_fd));
	(void)remove_ports(mapping, mapping->staged_first, mapping->staged_count, true);
}

int ebb_routes_swap(struct ebb_mapping *mapping, struct ebb_why *why)
{
	uint32_t zero = 0;
	int r;

	if (mapping->staged_fd < 0)
		return ebb_why(why, -EINVAL, "no rules about addresses are written");
	/*
	 * Of a map of maps the kernel itself waits, before it returns, until every program that could
	 * still see the old one has ended (1ae80cf31938, 4.20). So the old ports can go after it.
	 */
	r = bpf_map_update_elem(mapping->fds[MAP_ROUTE], &zero, &mapping->staged_fd, BPF_ANY);
	if (r < 0) {
		ebb_routes_unstage(mapping);
		return ebb_why(why, r, "cannot put the rules about addresses in force: %s", ebb_strerror(r));
	}
	ebb_mapping_changed(mapping);
	(void)close(TAKE_FD(mapping->staged_fd));
	mapping->first = mapping->staged_first;
	mapping->count = mapping->staged_count;
	mapping->next_id = mapping->first + mapping->count;
	return 0;
}

void ebb_routes_sweep(struct ebb_mapping *mapping)
{
	/* those that stay are named by nobody; the next change tries again */
	(void)remove_ports(mapping, mapping->first, mapping->count, false);
}

/* ---------------------------------------------------------------- workloads -- */

int ebb_workloads_get(struct ebb_mapping *mapping, uint64_t workload, struct ebb_workload *ret_class)
{
	return get_entry(mapping, MAP_WORKLOAD, &workload, ret_class);
}

int ebb_workloads_put(struct ebb_mapping *mapping, uint64_t workload, const struct ebb_workload *value)
{
	return put_entry(mapping, MAP_WORKLOAD, &workload, value);
}

int ebb_workloads_remove(struct ebb_mapping *mapping, uint64_t workload)
{
	return remove_entry(mapping, MAP_WORKLOAD, &workload);
}

struct workload_visit {
	int (*handle)(void *userdata, uint64_t workload, const struct ebb_workload *value);
	void *userdata;
};

static int visit_workload(void *context, const void *key, const void *value)
{
	const struct workload_visit *visit = context;

	return visit->handle(visit->userdata, *(const uint64_t *)key, value);
}

int ebb_workloads_each(struct ebb_mapping *mapping,
		       int (*handle)(void *userdata, uint64_t workload, const struct ebb_workload *value),
		       void *userdata)
{
	struct workload_visit visit = {handle, userdata};

	return each_entry(mapping, MAP_WORKLOAD, visit_workload, &visit);
}

static int get_count(const struct ebb_mapping *m, enum map map, uint64_t workload, uint64_t *ret_count)
{
	uint64_t count = 0;
	int r = get_entry(m, map, &workload, &count);

	if (r < 0 && r != -ENOENT)
		return r;
	*ret_count = r == 0 ? count : 0;
	return 0;
}

int ebb_founds_get(struct ebb_mapping *mapping, uint64_t workload, uint64_t *ret_count)
{
	return get_count(mapping, MAP_FOUND, workload, ret_count);
}

int ebb_founds_remove(struct ebb_mapping *mapping, uint64_t workload)
{
	return remove_entry(mapping, MAP_FOUND, &workload);
}

struct found_visit {
	int (*handle)(void *userdata, uint64_t workload, const uint64_t *count);
	void *userdata;
};

static int visit_found(void *context, const void *key, const void *value)
{
	const struct found_visit *visit = context;

	return visit->handle(visit->userdata, *(const uint64_t *)key, value);
}

int ebb_founds_each(struct ebb_mapping *mapping,
		    int (*handle)(void *userdata, uint64_t workload, const uint64_t *count), void *userdata)
{
	struct found_visit visit = {handle, userdata};

	return each_entry(mapping, MAP_FOUND, visit_found, &visit);
}

int ebb_losts_get(struct ebb_mapping *mapping, uint64_t workload, uint64_t *ret_count)
{
	return get_count(mapping, MAP_LOST, workload, ret_count);
}

int ebb_losts_put(struct ebb_mapping *mapping, uint64_t workload, uint64_t count)
{
	return put_entry(mapping, MAP_LOST, &workload, &count);
}

int ebb_losts_remove(struct ebb_mapping *mapping, uint64_t workload)
{
	return remove_entry(mapping, MAP_LOST, &workload);
}

int ebb_losts_each(struct ebb_mapping *mapping,
		   int (*handle)(void *userdata, uint64_t workload, const uint64_t *count), void *userdata)
{
	struct found_visit visit = {handle, userdata};

	return each_entry(mapping, MAP_LOST, visit_found, &visit);
}

/* ------------------------------------------------- policies of one workload -- */

int ebb_owns_get(struct ebb_mapping *mapping, uint32_t pair, struct ebb_own *ret_own)
{
	return get_entry(mapping, MAP_OWN, &pair, ret_own);
}

int ebb_owns_put(struct ebb_mapping *mapping, uint32_t pair, const struct ebb_own *own)
{
	return put_entry(mapping, MAP_OWN, &pair, own);
}

int ebb_owns_remove(struct ebb_mapping *mapping, uint32_t pair)
{
	return remove_entry(mapping, MAP_OWN, &pair);
}

struct own_visit {
	int (*handle)(void *userdata, uint32_t pair, const struct ebb_own *own);
	void *userdata;
};

static int visit_own(void *context, const void *key, const void *value)
{
	const struct own_visit *visit = context;

	return visit->handle(visit->userdata, *(const uint32_t *)key, value);
}

int ebb_owns_each(struct ebb_mapping *mapping,
		  int (*handle)(void *userdata, uint32_t pair, const struct ebb_own *own), void *userdata)
{
	struct own_visit visit = {handle, userdata};

	return each_entry(mapping, MAP_OWN, visit_own, &visit);
}
