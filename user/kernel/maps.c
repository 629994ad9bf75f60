/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/maps.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "kernel/layout.h"
#include "lib/cleanup.h"

_Static_assert(EBB_LINKS_MAX == EBB_HOOK_MAX, "one for each hook");

enum table {
	TABLE_AGENT,
	TABLE_KERNEL,
	TABLE_DST,
	TABLE_PAIR,
	TABLE_GATE,
	TABLE_VERDICT,
	TABLE_POLICY,
	TABLE_MEMORY,
	TABLE_NAME,
	TABLE_DEED,
	TABLE_MAX,
};

static const struct {
	const char *name;
	uint32_t value_size;
} tables[TABLE_MAX] = {
	[TABLE_AGENT] = {"ebb_agent_v2", sizeof(struct ebb_agent)},
	[TABLE_KERNEL] = {"ebb_kernel_v2", sizeof(struct ebb_kernel)},
	[TABLE_DST] = {"ebb_dst_v2", sizeof(struct ebb_dst)},
	[TABLE_PAIR] = {"ebb_pstat_v2", sizeof(struct ebb_pair)},
	[TABLE_GATE] = {"ebb_gate_v2", sizeof(struct ebb_gate)},
	[TABLE_VERDICT] = {"ebb_verdict_v2", sizeof(struct ebb_verdict)},
	[TABLE_POLICY] = {"ebb_policy_v2", sizeof(struct ebb_policy)},
	[TABLE_MEMORY] = {"ebb_memory_v2", sizeof(struct ebb_memory)},
	[TABLE_NAME] = {"ebb_name_v2", sizeof(struct ebb_name)},
	[TABLE_DEED] = {"ebb_deed_v2", sizeof(struct ebb_deed)},
};

/* Maps that are pinned beside the tables; counted in ebb_maps_bytes(). */
static const char *const other_maps[] = {
	"ebb_endpoint_v2", "ebb_pair_v2",  "ebb_freedst_v2", "ebb_freepair_v2", "ebb_conn_v2",
	"ebb_event_v2",	   "ebb_route_v2", "ebb_port_v2",    "ebb_lookup_v2",	"ebb_own_v2",
	"ebb_wload_v2",	   "ebb_found_v2", "ebb_lost_v2",    "ebb_recorder_v2", "ebb_record_v2",
};

#define OTHER_MAX (sizeof(other_maps) / sizeof(other_maps[0]))

struct ebb_maps {
	struct ebb_view view;
	struct ebb_owns owns;
	uint64_t bytes;
	void *memory[TABLE_MAX];
	size_t size[TABLE_MAX];
};

/*
 * For readers, too, without BPF_F_RDONLY: mmap(2) takes VM_SHARED off a file that
 * is not open for writing, and then BPF refuses to map it. PROT_READ keeps a
 * reader from writing.
 */
static int open_pin(const char *pin_dir, const char *name, int *ret_fd, struct ebb_why *why)
{
	char path[EBB_PIN_PATH_MAX];
	int fd, r;

	r = ebb_pin_path(pin_dir, "", name, path, sizeof(path));
	if (r < 0)
		return ebb_why(why, r, "--pin: '%s' is too long", pin_dir);
	fd = bpf_obj_get(path);
	if (fd == -ENOENT)
		return ebb_why(why, fd, "nothing is pinned in '%s': start the agent with 'ebb run'", pin_dir);
	if (fd == -EPERM || fd == -EACCES)
		return ebb_why(why, fd, "not permitted to open '%s': run as root or with CAP_BPF", path);
	if (fd < 0)
		return ebb_why(why, fd, "cannot open '%s': %s", path, ebb_strerror(fd));
	*ret_fd = fd;
	return 0;
}

/* memlock is the kernel's own account of a map, in fdinfo. */
static uint64_t accounted_bytes(int map_fd)
{
	_cleanup_fclose_ FILE *f = NULL;
	unsigned long long bytes;
	char path[64], line[128];

	(void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", map_fd);
	f = fopen(path, "re");
	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "memlock: %llu", &bytes) == 1)
			return bytes;
	}
	return 0;
}

static int map_table(struct ebb_maps *m, enum table table, const char *pin_dir, enum ebb_maps_access access,
		     uint32_t *ret_entries, struct ebb_why *why)
{
	struct bpf_map_info info = {0};
	__u32 info_size = sizeof(info);
	_cleanup_close_ int fd = -1;
	void *memory;
	size_t size, page = (size_t)sysconf(_SC_PAGESIZE);
	int r;

	r = open_pin(pin_dir, tables[table].name, &fd, why);
	if (r < 0)
		return r;
	r = bpf_obj_get_info_by_fd(fd, &info, &info_size);
	if (r < 0)
		return ebb_why(why, r, "cannot read about map '%s' in '%s': %s", tables[table].name, pin_dir,
			       ebb_strerror(r));
	if (info.type != BPF_MAP_TYPE_ARRAY || info.value_size != tables[table].value_size ||
	    !(info.map_flags & BPF_F_MMAPABLE))
		return ebb_why(why, -EPROTO,
			       "map '%s' in '%s' has another layout than this ebb: run 'ebb detach --pin %s' first",
			       tables[table].name, pin_dir, pin_dir);
	size = ((size_t)info.max_entries * info.value_size + page - 1) / page * page;
	memory = mmap(NULL, size, access == EBB_MAPS_READ ? PROT_READ : PROT_READ | PROT_WRITE, MAP_SHARED,
		      fd, 0);
	if (memory == MAP_FAILED) {
		r = -errno;
		return ebb_why(why, r, "cannot map '%s' of '%s' into memory: %s", tables[table].name, pin_dir,
			       ebb_strerror(r));
	}
	m->memory[table] = memory;
	m->size[table] = size;
	m->bytes += accounted_bytes(fd);
	*ret_entries = info.max_entries;
	return 0;
}

static int get_own(const struct ebb_owns *owns, uint32_t pair, struct ebb_own *ret_own)
{
	struct ebb_own own;
	int r = bpf_map_lookup_elem(owns->fd, &pair, &own);

	if (r == 0)
		*ret_own = own;
	return r;
}

static int put_own(const struct ebb_owns *owns, uint32_t pair, const struct ebb_own *own)
{
	return bpf_map_update_elem(owns->fd, &pair, own, BPF_ANY);
}

static int remove_own(const struct ebb_owns *owns, uint32_t pair)
{
	int r = bpf_map_delete_elem(owns->fd, &pair);

	return r == -ENOENT ? 0 : r;
}

static int open_owns(struct ebb_maps *m, const char *pin_dir, struct ebb_why *why)
{
	static const char *const name = "ebb_own_v2";
	struct bpf_map_info info = {0};
	__u32 info_size = sizeof(info);
	int r;

	r = open_pin(pin_dir, name, &m->owns.fd, why);
	if (r < 0)
		return r;
	r = bpf_obj_get_info_by_fd(m->owns.fd, &info, &info_size);
	if (r < 0)
		return ebb_why(why, r, "cannot read about map '%s' in '%s': %s", name, pin_dir,
			       ebb_strerror(r));
	if (info.type != BPF_MAP_TYPE_HASH || info.key_size != sizeof(uint32_t) ||
	    info.value_size != sizeof(struct ebb_own))
		return ebb_why(why, -EPROTO,
			       "map '%s' in '%s' has another layout than this ebb: run 'ebb detach --pin %s' first",
			       name, pin_dir, pin_dir);
	m->owns.get = get_own;
	m->owns.put = put_own;
	m->owns.remove = remove_own;
	return 0;
}

int ebb_maps_open(const char *pin_dir, enum ebb_maps_access access, struct ebb_maps **ret_maps,
		  struct ebb_why *why)
{
	uint32_t entries[TABLE_MAX] = {0};
	struct ebb_pins pins;
	struct ebb_maps *m;
	int r;

	r = ebb_pins_scan(pin_dir, &pins, why);
	if (r < 0)
		return r;
	if (!pins.maps && pins.other_layout)
		return ebb_why(why, -EPROTO,
			       "'%s' holds maps of layout v%u, this ebb speaks v%u: use the ebb that made them, %s 'ebb detach --pin %s'",
			       pin_dir, pins.other_layout, EBB_ABI_VERSION,
			       pins.other_layout < EBB_ABI_VERSION
				       ? "start 'ebb run' of this one, which moves them over, or run"
				       : "or run",
			       pin_dir);
	m = calloc(1, sizeof(*m));
	if (!m)
		return ebb_why(why, -ENOMEM, "out of memory");
	m->owns.fd = -1;
	for (int t = 0; t < TABLE_MAX; t++) {
		r = map_table(m, (enum table)t, pin_dir, access, &entries[t], why);
		if (r < 0) {
			ebb_maps_free(m);
			return r;
		}
	}
	r = open_owns(m, pin_dir, why);
	if (r < 0) {
		ebb_maps_free(m);
		return r;
	}
	m->view = (struct ebb_view){
		.agent = m->memory[TABLE_AGENT],
		.kernel = m->memory[TABLE_KERNEL],
		.dsts = m->memory[TABLE_DST],
		.pairs = m->memory[TABLE_PAIR],
		.gates = m->memory[TABLE_GATE],
		.verdicts = m->memory[TABLE_VERDICT],
		.policies = m->memory[TABLE_POLICY],
		.memories = m->memory[TABLE_MEMORY],
		.names = m->memory[TABLE_NAME],
		.deeds = m->memory[TABLE_DEED],
		.owns = &m->owns,
		.dst_max = entries[TABLE_DST],
		.pair_max = entries[TABLE_PAIR],
		.gate_max = entries[TABLE_GATE],
	};
	if (entries[TABLE_GATE] != entries[TABLE_DST] + entries[TABLE_PAIR] ||
	    entries[TABLE_VERDICT] != entries[TABLE_GATE] || entries[TABLE_MEMORY] != entries[TABLE_GATE] ||
	    entries[TABLE_POLICY] != entries[TABLE_DST] || entries[TABLE_NAME] != entries[TABLE_DST] ||
	    entries[TABLE_DEED] != EBB_DEEDS) {
		ebb_maps_free(m);
		return ebb_why(why, -EPROTO,
			       "the maps in '%s' do not belong together: run 'ebb detach --pin %s' and start again",
			       pin_dir, pin_dir);
	}
	for (size_t i = 0; i < OTHER_MAX; i++) {
		_cleanup_close_ int fd = -1;

		/* for the account only */
		if (open_pin(pin_dir, other_maps[i], &fd, NULL) == 0)
			m->bytes += accounted_bytes(fd);
	}
	*ret_maps = m;
	return 0;
}

void ebb_maps_free(struct ebb_maps *maps)
{
	if (!maps)
		return;
	for (int t = 0; t < TABLE_MAX; t++) {
		if (maps->memory[t])
			(void)munmap(maps->memory[t], maps->size[t]);
	}
	if (maps->owns.fd >= 0)
		(void)close(maps->owns.fd);
	free(maps);
}

const struct ebb_view *ebb_maps_view(const struct ebb_maps *maps)
{
	return &maps->view;
}

uint64_t ebb_maps_bytes(const struct ebb_maps *maps)
{
	return maps->bytes;
}

static uint64_t monotonic_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/*
 * flock(2) dies with its holder, which a word in a map would not. It needs something to open: a
 * bpf file system has no files of ours (a pinned map cannot be opened, EIO), but directories, and
 * the pin directory itself is taken by the agent for as long as it lives. So the loader makes
 * an empty one beside the pins.
 */
int ebb_policies_lock(const char *pin_dir, uint64_t wait_ns, int *ret_fd, struct ebb_why *why)
{
	uint64_t end_ns = monotonic_ns() + wait_ns;
	_cleanup_close_ int fd = -1;
	char path[EBB_PIN_PATH_MAX];
	int r;

	r = ebb_pin_path(pin_dir, "", EBB_POLICY_LOCK, path, sizeof(path));
	if (r < 0)
		return ebb_why(why, r, "--pin: '%s' is too long", pin_dir);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		r = -errno;
		if (r == -ENOENT)
			return ebb_why(why, r, "nothing is pinned in '%s': start the agent with 'ebb run'",
				       pin_dir);
		return ebb_why(why, r, "cannot open '%s': %s", path, ebb_strerror(r));
	}
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		r = -errno;
		if (r != -EWOULDBLOCK)
			return ebb_why(why, r, "cannot lock '%s': %s", path, ebb_strerror(r));
		if (monotonic_ns() >= end_ns)
			return ebb_why(why, -EBUSY,
				       "another ebb has been writing policies in '%s' for too long: 'lsof %s' tells which",
				       pin_dir, path);
		(void)poll(NULL, 0, 1);
	}
	*ret_fd = TAKE_FD(fd);
	return 0;
}

size_t ebb_maps_links(const char *pin_dir, struct ebb_link_info ret_links[EBB_LINKS_MAX])
{
	char path[EBB_PIN_PATH_MAX];
	size_t count = 0;

	for (int h = 0; h < EBB_HOOK_MAX; h++) {
		struct ebb_link_info *link = &ret_links[count];
		struct bpf_link_info info = {0};
		__u32 info_size = sizeof(info);
		_cleanup_close_ int fd = -1;

		*link = (struct ebb_link_info){.name = ebb_hook_names[h]};
		if (ebb_pin_path(pin_dir, EBB_LINK_PREFIX, ebb_hook_names[h], path, sizeof(path)) < 0)
			break;
		fd = bpf_obj_get(path);
		/* one that nothing asks for is not missing */
		if (fd < 0 && h >= EBB_HOOK_OPTIONAL)
			continue;
		count++;
		if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &info_size) < 0)
			continue;
		link->program_id = info.prog_id;
		link->cgroup_id = info.cgroup.cgroup_id;
		/* a removed cgroup detaches its programs and leaves the pin: id 0 */
		link->attached = info.cgroup.cgroup_id != 0;
	}
	return count;
}

int ebb_maps_detach(const char *pin_dir, size_t *ret_count, struct ebb_why *why)
{
	_cleanup_close_ int lock = -1;
	struct ebb_pins pins;
	int r;

	r = ebb_pins_scan(pin_dir, &pins, why);
	if (r == -ENOENT || (r == 0 && !pins.maps && !pins.links && !pins.other_layout))
		return ebb_why(why, -ENOENT, "nothing of ebb is pinned in '%s'", pin_dir);
	if (r < 0)
		return r;
	r = ebb_pins_lock(pin_dir, &lock, why);
	if (r < 0)
		return r;
	return ebb_pins_remove(pin_dir, ret_count, why);
}
