/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/migrate.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>

#include "bpf/abi.h"
#include "kernel/layout.h"
#include "kernel/moving.h"
#include "lib/cleanup.h"

/* Keys of ours are smaller; an entry with its key on the stack. */
#define KEY_MAX 64

/*
 * What is moved. Of the others the queues are made from the slots, routes and their ports from the
 * configuration, the memories of sockets by the pass over the open ones.
 */
static const struct {
	const char *noun;
	bool keyed; /* a hash table; else an array */
} moved[] = {
	{"agent", false},   {"kernel", false}, {"dst", false},	  {"pstat", false}, {"gate", false},
	{"verdict", false}, {"policy", false}, {"memory", false}, {"name", false},  {"deed", false},
	{"endpoint", true}, {"pair", true},    {"lookup", true},  {"own", true},    {"wload", true},
	{"found", true},    {"lost", true},
};

#define MOVED (sizeof(moved) / sizeof(moved[0]))

/* Counts what is open now, or says that the copy is whole: never copied. */
static const char *const never[] = {
	"ebb_pair.active",
	"ebb_gate.in_use",
	"ebb_gate.probes",
	"ebb_gate.paced",
	"ebb_gate.senders",
	"ebb_gate.share",
	"ebb_gate.share_base",
	"ebb_gate.share_at_ns",
	"ebb_gate.share_debt_us",
	"ebb_gate.share_lost_us",
	"ebb_agent.abi_version",
	"ebb_agent.pid",
	NULL,
};

/* One map of one layout. */
struct side {
	int fd;
	struct bpf_map_info info;
	struct btf *btf; /* NULL: the kernel knows no types of it */
};

static void side_done(struct side *side)
{
	btf__free(side->btf);
	if (side->fd >= 0)
		(void)close(side->fd);
}

/* "DIR/ebb_NOUN_vLAYOUT". -ENOENT: that layout has no such map. */
static int side_open(const char *pin_dir, const char *noun, uint32_t layout, struct side *ret)
{
	char name[64], path[EBB_PIN_PATH_MAX];
	struct side side = {.fd = -1};
	__u32 size = sizeof(side.info);
	int r;

	(void)snprintf(name, sizeof(name), "ebb_%s_v%u", noun, layout);
	r = ebb_pin_path(pin_dir, "", name, path, sizeof(path));
	if (r < 0)
		return r;
	side.fd = bpf_obj_get(path);
	if (side.fd < 0)
		return side.fd;
	r = bpf_obj_get_info_by_fd(side.fd, &side.info, &size);
	if (r == 0 && side.info.btf_id)
		side.btf = btf__load_from_kernel_by_id(side.info.btf_id);
	if (r < 0) {
		side_done(&side);
		return r;
	}
	*ret = side;
	return 0;
}

int ebb_migrate_capacity(const char *pin_dir, uint32_t layout, uint32_t *ret_dst_max, uint32_t *ret_pair_max,
			 uint32_t *ret_endpoints, struct ebb_why *why)
{
	static const char *const nouns[] = {"dst", "pstat", "endpoint"};
	uint32_t entries[3];

	for (size_t i = 0; i < 3; i++) {
		struct side side;
		int r = side_open(pin_dir, nouns[i], layout, &side);

		if (r < 0)
			return ebb_why(why, r,
				       "the maps of layout v%u in '%s' are not complete (no '%s'): run 'ebb detach --pin %s' and start again",
				       layout, pin_dir, nouns[i], pin_dir);
		entries[i] = side.info.max_entries;
		side_done(&side);
	}
	*ret_dst_max = entries[0];
	*ret_pair_max = entries[1];
	*ret_endpoints = entries[2];
	return 0;
}

static int plan_values(const struct side *from, const struct side *to, struct ebb_moving *ret)
{
	if (!from->btf || !to->btf)
		return -EOPNOTSUPP;
	return ebb_moving_plan(from->btf, from->info.btf_value_type_id, to->btf, to->info.btf_value_type_id,
			       never, ret);
}

static size_t mapped_size(const struct side *side)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return ((size_t)side->info.max_entries * side->info.value_size + page - 1) / page * page;
}

static int move_array(const struct side *from, const struct side *to, const struct ebb_moving *moving)
{
	uint32_t count =
		from->info.max_entries < to->info.max_entries ? from->info.max_entries : to->info.max_entries;
	char *old, *new;

	old = mmap(NULL, mapped_size(from), PROT_READ, MAP_SHARED, from->fd, 0);
	if (old == MAP_FAILED)
		return -errno;
	new = mmap(NULL, mapped_size(to), PROT_READ | PROT_WRITE, MAP_SHARED, to->fd, 0);
	if (new == MAP_FAILED) {
		int r = -errno;

		(void)munmap(old, mapped_size(from));
		return r;
	}
	for (size_t i = 0; i < count; i++)
		ebb_moving_apply(moving, old + i * from->info.value_size, new + i * to->info.value_size);
	(void)munmap(old, mapped_size(from));
	(void)munmap(new, mapped_size(to));
	return 0;
}

/* A table that is full here keeps no more: what finds no room is met again. */
static int move_keyed(const struct side *from, const struct side *to, const struct ebb_moving *keys,
		      const struct ebb_moving *values, uint32_t *ret_count)
{
	_cleanup_free_ char *old = calloc(1, from->info.value_size), *new = calloc(1, to->info.value_size);
	char key[KEY_MAX], next[KEY_MAX], moved_key[KEY_MAX];
	const void *previous = NULL;
	uint32_t count = 0;
	int r;

	if (!old || !new)
		return -ENOMEM;
	if (from->info.key_size > KEY_MAX || to->info.key_size > KEY_MAX)
		return -E2BIG;
	/* the old programs go on: what they take out under us ends the walk early, at worst from the start again */
	for (uint32_t left = 2 * from->info.max_entries; left; left--) {
		r = bpf_map_get_next_key(from->fd, previous, next);
		if (r < 0)
			break;
		memcpy(key, next, from->info.key_size);
		previous = key;
		if (bpf_map_lookup_elem(from->fd, key, old) < 0)
			continue;
		memset(moved_key, 0, sizeof(moved_key));
		memset(new, 0, to->info.value_size);
		ebb_moving_apply(keys, key, moved_key);
		ebb_moving_apply(values, old, new);
		r = bpf_map_update_elem(to->fd, moved_key, new, BPF_ANY);
		if (r == -E2BIG)
			break;
		if (r < 0)
			return r;
		count++;
	}
	*ret_count = count;
	return 0;
}

static void note_reset(struct ebb_migration *migration, const char *text)
{
	size_t used = strlen(migration->reset);

	if (text[0])
		(void)snprintf(migration->reset + used, sizeof(migration->reset) - used, "%s%s",
			       used ? ", " : "", text);
}

static int move_map(const struct side *from, const struct side *to, const char *noun, bool keyed,
		    struct ebb_migration *io_migration)
{
	struct ebb_moving keys = {0}, values = {0};
	uint32_t count = 0;
	int r;

	r = plan_values(from, to, &values);
	if (r == 0 && keyed)
		r = ebb_moving_plan(from->btf, from->info.btf_key_type_id, to->btf, to->info.btf_key_type_id,
				    NULL, &keys);
	if (r == 0 && keyed)
		r = move_keyed(from, to, &keys, &values, &count);
	else if (r == 0)
		r = move_array(from, to, &values);
	if (r == 0) {
		note_reset(io_migration, values.reset);
		note_reset(io_migration, keys.reset);
		if (strcmp(noun, "endpoint") == 0)
			io_migration->endpoints = count;
		if (strcmp(noun, "pair") == 0)
			io_migration->pairs = count;
	}
	free(keys.list);
	free(values.list);
	return r;
}

int ebb_migrate(const char *pin_dir, uint32_t from, struct ebb_migration *ret, struct ebb_why *why)
{
	struct ebb_migration migration = {.from = from};

	for (size_t i = 0; i < MOVED; i++) {
		struct side old = {.fd = -1}, new = {.fd = -1};
		int r;

		r = side_open(pin_dir, moved[i].noun, from, &old);
		if (r == -ENOENT) { /* there was none then */
			note_reset(&migration, moved[i].noun);
			continue;
		}
		if (r == 0)
			r = side_open(pin_dir, moved[i].noun, EBB_ABI_VERSION, &new);
		if (r == 0)
			r = move_map(&old, &new, moved[i].noun, moved[i].keyed, &migration);
		side_done(&old);
		side_done(&new);
		if (r < 0)
			return ebb_why(why, r,
				       "cannot move map '%s' in '%s' from layout v%u to v%u (%s): run 'ebb detach --pin %s' first, which forgets all counters",
				       moved[i].noun, pin_dir, from, EBB_ABI_VERSION, ebb_strerror(r),
				       pin_dir);
	}
	*ret = migration;
	return 0;
}
