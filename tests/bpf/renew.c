/* SPDX-License-Identifier: Apache-2.0 */
/* Which maps there are is asked of the kernel, by the programs that are attached, and of the directory of pins. */
#include "renew.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "kernel/maps.h"
#include "lib/cleanup.h"

#define MAPS_MAX  64
#define VALUE_MAX 1024

struct known_map {
	struct bpf_map_info info;
	int fd;
	/* of an array that user space may write */
	void *memory, *before;
	size_t size;
};

struct renewal {
	struct known_map maps[MAPS_MAX];
	size_t count;
};

static bool is_known(const struct renewal *r, uint32_t id)
{
	for (size_t i = 0; i < r->count; i++) {
		if (r->maps[i].info.id == id)
			return true;
	}
	return false;
}

static void remember_array(struct known_map *map)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), value = (map->info.value_size + 7U) & ~7U;

	assert_true(map->info.map_flags & BPF_F_MMAPABLE);
	map->size = (value * map->info.max_entries + page - 1) / page * page;
	map->memory = mmap(NULL, map->size, PROT_READ | PROT_WRITE, MAP_SHARED, map->fd, 0);
	if (map->memory == MAP_FAILED) {
		assert_int_equal(errno, EPERM); /* constants */
		map->memory = NULL;
		return;
	}
	map->before = malloc(map->size);
	assert_non_null(map->before);
	memcpy(map->before, map->memory, map->size);
}

/* Takes @fd. */
static void remember_map(struct renewal *r, int fd)
{
	struct known_map map = {.fd = fd};
	uint32_t size = sizeof(map.info);

	assert_true(fd >= 0);
	assert_int_equal(bpf_obj_get_info_by_fd(fd, &map.info, &size), 0);
	if (is_known(r, map.info.id)) {
		(void)close(fd);
		return;
	}
	assert_true(r->count < MAPS_MAX);
	if (map.info.type == BPF_MAP_TYPE_ARRAY)
		remember_array(&map);
	r->maps[r->count++] = map;
}

static void remember_program(struct renewal *r, uint32_t id)
{
	uint32_t ids[MAPS_MAX], size = sizeof(struct bpf_prog_info);
	struct bpf_prog_info info = {.map_ids = (uintptr_t)ids, .nr_map_ids = MAPS_MAX};
	_cleanup_close_ int fd = bpf_prog_get_fd_by_id(id);

	assert_true(fd >= 0);
	assert_int_equal(bpf_obj_get_info_by_fd(fd, &info, &size), 0);
	assert_in_range(info.nr_map_ids, 1, MAPS_MAX);
	for (uint32_t i = 0; i < info.nr_map_ids; i++)
		remember_map(r, bpf_map_get_fd_by_id(ids[i]));
}

/* Some are for user space alone. */
static void remember_pinned(struct renewal *r, const char *pin_dir)
{
	_cleanup_closedir_ DIR *d = opendir(pin_dir);
	const struct dirent *entry;
	char path[512];

	assert_non_null(d);
	while ((entry = readdir(d))) {
		if (strncmp(entry->d_name, "ebb_", 4) != 0)
			continue;
		(void)snprintf(path, sizeof(path), "%s/%s", pin_dir, entry->d_name);
		remember_map(r, bpf_obj_get(path));
	}
}

struct renewal *renewal_new(const char *pin_dir)
{
	struct renewal *r = calloc(1, sizeof(*r));
	struct ebb_link_info links[EBB_LINKS_MAX];
	size_t count = ebb_maps_links(pin_dir, links);

	assert_non_null(r);
	assert_true(count > 0);
	for (size_t i = 0; i < count; i++)
		remember_program(r, links[i].program_id);
	remember_pinned(r, pin_dir);
	return r;
}

static void empty_hash(const struct known_map *map)
{
	char key[VALUE_MAX];

	assert_true(map->info.key_size <= sizeof(key));
	while (bpf_map_get_next_key(map->fd, NULL, key) == 0)
		assert_int_equal(bpf_map_delete_elem(map->fd, key), 0);
}

static void empty_queue(const struct known_map *map)
{
	char value[VALUE_MAX];

	assert_true(map->info.value_size <= sizeof(value));
	while (bpf_map_lookup_and_delete_elem(map->fd, NULL, value) == 0)
		;
}

static void clear_per_cpu(const struct known_map *map)
{
	int cpus = libbpf_num_possible_cpus();
	_cleanup_free_ void *zeros = NULL;

	assert_true(cpus > 0);
	zeros = calloc((size_t)cpus, (map->info.value_size + 7U) & ~7U);
	assert_non_null(zeros);
	for (uint32_t i = 0; i < map->info.max_entries; i++)
		assert_int_equal(bpf_map_update_elem(map->fd, &i, zeros, BPF_ANY), 0);
}

static int leave_it(void *context, void *data, size_t size)
{
	(void)context;
	(void)data;
	(void)size;
	return 0;
}

static void empty_ring(const struct known_map *map)
{
	struct ring_buffer *ring = ring_buffer__new(map->fd, leave_it, NULL, NULL);

	assert_non_null(ring);
	assert_true(ring_buffer__consume(ring) >= 0);
	ring_buffer__free(ring);
}

static void forget_inner(const struct known_map *map)
{
	for (uint32_t i = 0; i < map->info.max_entries; i++) {
		int r = bpf_map_delete_elem(map->fd, &i);

		assert_true(r == 0 || r == -ENOENT);
	}
}

void renewal_apply(const struct renewal *renewal)
{
	for (size_t i = 0; i < renewal->count; i++) {
		const struct known_map *map = &renewal->maps[i];

		switch (map->info.type) {
		case BPF_MAP_TYPE_ARRAY:
			if (map->memory)
				memcpy(map->memory, map->before, map->size);
			break;
		case BPF_MAP_TYPE_PERCPU_ARRAY:
			clear_per_cpu(map);
			break;
		case BPF_MAP_TYPE_HASH:
			empty_hash(map);
			break;
		case BPF_MAP_TYPE_QUEUE:
			empty_queue(map);
			break;
		case BPF_MAP_TYPE_RINGBUF:
			empty_ring(map);
			break;
		case BPF_MAP_TYPE_ARRAY_OF_MAPS:
			forget_inner(map);
			break;
		case BPF_MAP_TYPE_SK_STORAGE:
			break;
		default:
			fail_msg("map %s is of type %u, which cannot be made again", map->info.name,
				 map->info.type);
		}
	}
}

void renewal_free(struct renewal *renewal)
{
	for (size_t i = 0; renewal && i < renewal->count; i++) {
		struct known_map *map = &renewal->maps[i];

		if (map->memory)
			(void)munmap(map->memory, map->size);
		free(map->before);
		(void)close(map->fd);
	}
	free(renewal);
}
