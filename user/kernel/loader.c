/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/loader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/magic.h>
#include <linux/membarrier.h>

/* generated: it casts const away */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wcast-qual"
#include "ebb.skel.h"
#pragma GCC diagnostic pop

#include "kernel/answers.h"
#include "kernel/diag.h"
#include "kernel/events.h"
#include "kernel/layout.h"
#include "kernel/lost.h"
#include "kernel/probe.h"
#include "kernel/spans.h"
#include "kernel/queues.h"
#include "kernel/slots.h"
#include "lib/cleanup.h"
#include "lib/log.h"

#define BPFFS "/sys/fs/bpf"

struct ebb_loader {
	struct ebb_bpf *skeleton;
	struct ebb_maps *maps;
	struct ebb_events *events;
	struct ebb_answers *answer_ring;
	struct ebb_spans *spans;
	char pin_dir[EBB_PIN_PATH_MAX];
	int lock_fd;
	int cgroup_fd; /* borrowed */
	uint64_t cgroup_id;
	bool took_over;
	bool attached;
	bool packets; /* the optional programs are attached */
	bool answers;
	bool turns;
	bool cast;     /* the kernel has bpf_rdonly_cast */
	bool iterates; /* the kernel walks over open files for us */
	bool adopts;
	bool arms;
	bool recounts;
	enum ebb_reset_way reset_way;
	struct ebb_adopted adopted_first;
	uint32_t old_layout; /* there are maps of it, which this start replaces; 0: none */
	struct ebb_migration migration;
};

/* libbpf's messages come through our log, one level lower. */
static int on_libbpf_message(enum libbpf_print_level level, const char *format, va_list args)
	__attribute__((format(printf, 2, 0)));

static int on_libbpf_message(enum libbpf_print_level level, const char *format, va_list args)
{
	_cleanup_free_ char *text = NULL;
	char *line, *rest;

	if (level == LIBBPF_DEBUG || vasprintf(&text, format, args) < 0)
		return 0;
	/* the verifier's words are many lines */
	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		ebb_debug("%s", line);
	return 0;
}

static int is_bpffs(const char *path)
{
	struct statfs fs;

	if (statfs(path, &fs) < 0)
		return -errno;
	return (unsigned long)fs.f_type == BPF_FS_MAGIC;
}

/* Whoever owns a directory takes away and replaces what is in it, also where he may not write to that. */
static int check_pin_dir(const char *dir, struct ebb_why *why)
{
	_cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st, link;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0 || lstat(dir, &link) < 0) {
		r = -errno;
		return ebb_why(why, r, "cannot look at pin directory '%s': %s", dir, ebb_strerror(r));
	}
	if (st.st_uid != geteuid() || link.st_uid != geteuid())
		return ebb_why(why, -EPERM,
			       "pin directory '%s' belongs to user %u, who could replace what is pinned there: remove it, or choose another with --pin",
			       dir, link.st_uid != geteuid() ? link.st_uid : st.st_uid);
	if (st.st_mode & 077 && fchmod(fd, 0700) < 0) {
		r = -errno;
		return ebb_why(why, r, "cannot close pin directory '%s' to others: %s", dir, ebb_strerror(r));
	}
	return 0;
}

/* Makes the pin directory, root-only; mounts a bpf file system where the usual one is missing. */
static int prepare_pin_dir(const char *dir, struct ebb_why *why)
{
	bool made;
	int r;

	if (strncmp(dir, BPFFS "/", strlen(BPFFS "/")) == 0 && is_bpffs(BPFFS) == 0 &&
	    mount("bpf", BPFFS, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700") < 0) {
		r = -errno;
		return ebb_why(why, r,
			       "no bpf file system at " BPFFS
			       " and it cannot be mounted (%s): run 'mount -t bpf bpf " BPFFS "' as root",
			       ebb_strerror(r));
	}
	made = mkdir(dir, 0700) == 0;
	if (!made && errno != EEXIST) {
		r = -errno;
		return ebb_why(why, r, "cannot make pin directory '%s': %s", dir, ebb_strerror(r));
	}
	r = is_bpffs(dir);
	if (r < 0)
		return ebb_why(why, r, "cannot look at pin directory '%s': %s", dir, ebb_strerror(r));
	if (!r) {
		if (made)
			(void)rmdir(dir);
		return ebb_why(why, -EINVAL,
			       "'%s' is not on a bpf file system: choose a --pin directory below " BPFFS,
			       dir);
	}
	return check_pin_dir(dir, why);
}

/* Entries of a pinned map that is no table. */
static int pinned_entries(const char *dir, const char *name, uint32_t *ret_entries)
{
	struct bpf_map_info info = {0};
	__u32 info_size = sizeof(info);
	_cleanup_close_ int fd = -1;
	char path[EBB_PIN_PATH_MAX];
	int r;

	r = ebb_pin_path(dir, "", name, path, sizeof(path));
	if (r < 0)
		return r;
	fd = bpf_obj_get(path);
	if (fd < 0)
		return fd;
	r = bpf_obj_get_info_by_fd(fd, &info, &info_size);
	if (r < 0)
		return r;
	*ret_entries = info.max_entries;
	return 0;
}

static int refuse_capacity(const struct ebb_loader *l, const struct ebb_loader_options *o, uint32_t dst_max,
			   uint32_t pair_max, uint32_t endpoints, struct ebb_why *why)
{
	if (dst_max == o->destinations + 1 && pair_max == o->pairs + 1 && endpoints == o->endpoints)
		return 0;
	return ebb_why(why, -EPROTO,
		       "the maps in '%s' have room for %u destinations, %u pairs and %u endpoints, asked for are %u, %u and %u: run 'ebb detach --pin %s' first, which forgets all counters",
		       l->pin_dir, dst_max - 1, pair_max - 1, endpoints, o->destinations, o->pairs,
		       o->endpoints, l->pin_dir);
}

/*
 * Maps of our layout. They stand when an agent has taken charge of them; beside those of an older
 * layout others were being filled when that agent was killed, and are made again.
 */
static int inspect_ours(struct ebb_loader *l, const struct ebb_loader_options *o, const struct ebb_pins *pins,
			struct ebb_why *why)
{
	struct ebb_maps *maps = NULL;
	const struct ebb_view *view;
	uint32_t endpoints = 0;
	bool taken;
	int r;

	/* a new map in place of a missing one would not know what the others hold */
	if (pins->maps != EBB_PINNED_MAPS && pins->other_layout)
		return ebb_pins_remove_ours(l->pin_dir, why);
	if (pins->maps != EBB_PINNED_MAPS)
		return ebb_why(why, -EPROTO,
			       "the maps in '%s' are not complete: run 'ebb detach --pin %s' and start again",
			       l->pin_dir, l->pin_dir);
	r = ebb_maps_open(l->pin_dir, EBB_MAPS_WRITE, &maps, why);
	if (r < 0)
		return r;
	view = ebb_maps_view(maps);
	taken = view->agent->abi_version == EBB_ABI_VERSION;
	r = pinned_entries(l->pin_dir, "ebb_endpoint_v2", &endpoints);
	if (r < 0)
		r = ebb_why(why, r, "cannot read about map 'ebb_endpoint_v2' in '%s': %s", l->pin_dir,
			    ebb_strerror(r));
	else
		r = refuse_capacity(l, o, view->dst_max, view->pair_max, endpoints, why);
	ebb_maps_free(maps);
	if (r < 0)
		return r;
	l->took_over = taken;
	return !taken && pins->other_layout ? ebb_pins_remove_ours(l->pin_dir, why) : 0;
}

/* Whose maps are these? Refuses a later layout and another capacity before anything is loaded. */
static int inspect_pins(struct ebb_loader *l, const struct ebb_loader_options *o, struct ebb_why *why)
{
	uint32_t dst_max, pair_max, endpoints;
	struct ebb_pins pins;
	int r;

	r = ebb_pins_scan(l->pin_dir, &pins, why);
	if (r < 0)
		return r;
	if (pins.other_layout > EBB_ABI_VERSION)
		return ebb_why(why, -EPROTO,
			       "'%s' holds maps of layout v%u, this ebb speaks v%u: use the ebb that made them, or run 'ebb detach --pin %s', which forgets all counters",
			       l->pin_dir, pins.other_layout, EBB_ABI_VERSION, l->pin_dir);
	l->old_layout = pins.other_layout;
	if (pins.maps) {
		r = inspect_ours(l, o, &pins, why);
		if (r < 0 || l->took_over || !l->old_layout)
			return r;
	}
	if (!l->old_layout)
		return 0;
	r = ebb_migrate_capacity(l->pin_dir, l->old_layout, &dst_max, &pair_max, &endpoints, why);
	return r < 0 ? r : refuse_capacity(l, o, dst_max, pair_max, endpoints, why);
}

static int pin_at(struct ebb_loader *l, struct bpf_map *map, uint32_t entries, struct ebb_why *why)
{
	char path[EBB_PIN_PATH_MAX];
	int r;

	r = ebb_pin_path(l->pin_dir, "", bpf_map__name(map), path, sizeof(path));
	if (r == 0)
		r = bpf_map__set_pin_path(map, path);
	if (r == 0 && entries)
		r = bpf_map__set_max_entries(map, entries);
	if (r < 0)
		return ebb_why(why, r, "cannot prepare map '%s': %s", bpf_map__name(map), ebb_strerror(r));
	return 0;
}

static int prepare_maps(struct ebb_loader *l, const struct ebb_loader_options *o, struct ebb_why *why)
{
	uint32_t dsts = o->destinations + 1, pairs = o->pairs + 1;
	const struct {
		struct bpf_map *map;
		uint32_t entries; /* 0: as defined */
	} sizes[] = {
		{l->skeleton->maps.ebb_endpoint_v2, o->endpoints},
		{l->skeleton->maps.ebb_pair_v2, pairs},
		{l->skeleton->maps.ebb_freedst_v2, dsts},
		{l->skeleton->maps.ebb_freepair_v2, pairs},
		{l->skeleton->maps.ebb_dst_v2, dsts},
		{l->skeleton->maps.ebb_pstat_v2, pairs},
		{l->skeleton->maps.ebb_gate_v2, dsts + pairs},
		{l->skeleton->maps.ebb_verdict_v2, dsts + pairs},
		{l->skeleton->maps.ebb_policy_v2, dsts},
		{l->skeleton->maps.ebb_memory_v2, dsts + pairs},
		{l->skeleton->maps.ebb_agent_v2, 0},
		{l->skeleton->maps.ebb_kernel_v2, 0},
		{l->skeleton->maps.ebb_conn_v2, 0},
		{l->skeleton->maps.ebb_event_v2, 0},
		{l->skeleton->maps.ebb_name_v2, dsts},
		{l->skeleton->maps.ebb_route_v2, 0},
		{l->skeleton->maps.ebb_port_v2, 0},
		{l->skeleton->maps.ebb_lookup_v2, 0},
		{l->skeleton->maps.ebb_own_v2, 0},
		{l->skeleton->maps.ebb_wload_v2, 0},
		{l->skeleton->maps.ebb_found_v2, 0},
		{l->skeleton->maps.ebb_lost_v2, 0},
		{l->skeleton->maps.ebb_deed_v2, EBB_DEEDS},
		{l->skeleton->maps.ebb_recorder_v2, 0},
		{l->skeleton->maps.ebb_record_v2, 0},
	};
	int r;

	_Static_assert(sizeof(sizes) / sizeof(sizes[0]) == EBB_PINNED_MAPS, "every pinned map is counted");
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		r = pin_at(l, sizes[i].map, sizes[i].entries, why);
		if (r < 0)
			return r;
	}
	r = bpf_map__set_max_entries(l->skeleton->maps.ebb_count_v2, dsts + pairs);
	if (r < 0)
		return ebb_why(why, r, "cannot prepare map 'ebb_count_v2': %s", ebb_strerror(r));
	r = libbpf_num_possible_cpus();
	if (r > 0)
		r = bpf_map__set_max_entries(l->skeleton->maps.ebb_guess_v2, (uint32_t)r << EBB_GUESS_BITS);
	if (r < 0)
		return ebb_why(why, r, "cannot prepare map 'ebb_guess_v2': %s", ebb_strerror(r));
	l->skeleton->rodata->ebb_config.dst_max = dsts;
	l->skeleton->rodata->ebb_config.pair_max = pairs;
	l->skeleton->rodata->ebb_config.has_set_retval =
		!o->no_set_retval &&
		libbpf_probe_bpf_helper(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_FUNC_set_retval, NULL) == 1;
	return 0;
}

/* The same program for a kernel without bpf_rdonly_cast; NULL: it needs none. */
static struct bpf_program *without_cast(const struct ebb_loader *l, const struct bpf_program *program)
{
	char name[BPF_OBJ_NAME_LEN + 2];

	(void)snprintf(name, sizeof(name), "%s_b", bpf_program__name(program));
	return bpf_object__find_program_by_name(l->skeleton->obj, name);
}

/* Of two programs that differ in whether they call bpf_rdonly_cast, the one for this kernel. */
static void choose_programs(struct ebb_loader *l, const struct ebb_loader_options *o)
{
	struct bpf_program *program, *other;

	l->cast = !o->no_rdonly_cast && ebb_probe_one(EBB_FEATURE_CAST) == 0;
	bpf_object__for_each_program (program, l->skeleton->obj) {
		other = without_cast(l, program);
		if (other)
			(void)bpf_program__set_autoload(l->cast ? other : program, false);
	}
}

/* What the kernel refuses is not loaded, and what it is for is done without. */
static int prepare_optional(struct ebb_loader *l, const struct ebb_loader_options *o)
{
	int r;

	l->iterates = (o->adopt || o->remember) && ebb_probe_one(EBB_FEATURE_TASK_FILE) == 0;
	l->adopts = o->adopt && l->iterates;
	l->arms = l->adopts && !o->no_arm && ebb_probe_one(EBB_FEATURE_ARM) == 0;
	l->recounts = l->iterates && ebb_probe_one(EBB_FEATURE_SK_STORAGE_ITER) == 0;
	if (o->reset && !o->no_sock_destroy && ebb_probe_one(EBB_FEATURE_SOCK_DESTROY) == 0)
		l->reset_way = EBB_RESET_BPF;
	else if (o->reset && ebb_probe_one(EBB_FEATURE_DIAG_DESTROY) == 0)
		l->reset_way = EBB_RESET_NETLINK;
	r = bpf_program__set_autoload(l->skeleton->progs.ebb_seed, l->iterates);
	if (r == 0)
		r = bpf_program__set_autoload(l->skeleton->progs.ebb_arm_tcp, l->arms);
	if (r == 0)
		r = bpf_program__set_autoload(l->skeleton->progs.ebb_recount, l->recounts);
	if (r == 0)
		r = bpf_program__set_autoload(l->skeleton->progs.ebb_recfile, l->recounts);
	if (r == 0)
		r = bpf_program__set_autoload(l->skeleton->progs.ebb_reset,
					      l->reset_way != EBB_RESET_IMPOSSIBLE);
	l->skeleton->rodata->ebb_config.has_sock_destroy = l->reset_way == EBB_RESET_BPF;
	return r;
}

/* The kernel's errno says little; what is missing here says more. */
static int explain_load(int r, const char *pin_dir, struct ebb_why *why)
{
	struct ebb_feature_result features[EBB_FEATURE_MAX];

	if (r == -EMFILE || r == -ENFILE)
		return ebb_why(why, r,
			       "too few open files are allowed (%s): allow at least 256 (LimitNOFILE=, ulimit -n)",
			       ebb_strerror(r));
	ebb_probe_all(pin_dir, features);
	for (int i = 0; i < EBB_FEATURE_MAX; i++) {
		if (features[i].required && !features[i].present)
			return ebb_why(why, r,
				       "this kernel or our rights lack '%s' (to %s): %s; 'ebb doctor' says more",
				       features[i].name, features[i].help, features[i].remedy);
	}
	return ebb_why(why, r,
		       "the kernel refuses the BPF programs (%s): please report the output of 'ebb run --log-level debug'",
		       ebb_strerror(r));
}

static int make_lock(const char *pin_dir, const char *name, struct ebb_why *why)
{
	char path[EBB_PIN_PATH_MAX];
	int r;

	r = ebb_pin_path(pin_dir, "", name, path, sizeof(path));
	if (r == 0 && mkdir(path, 0700) < 0 && errno != EEXIST)
		r = -errno;
	return r < 0 ? ebb_why(why, r, "cannot make '%s': %s", path, ebb_strerror(r)) : 0;
}

/* @optional: what of it is asked for. */
static int load(struct ebb_loader *l, const struct ebb_loader_options *o,
		const struct ebb_loader_options *optional, struct ebb_why *why)
{
	int r;

	ebb_bpf__destroy(l->skeleton);
	l->skeleton = ebb_bpf__open();
	if (!l->skeleton) {
		r = -errno;
		return ebb_why(why, r, "cannot open the BPF object: %s", ebb_strerror(r));
	}
	r = prepare_maps(l, o, why);
	if (r < 0)
		return r;
	choose_programs(l, o);
	r = prepare_optional(l, optional);
	if (r < 0)
		return ebb_why(why, r, "cannot prepare the BPF programs: %s", ebb_strerror(r));
	r = ebb_bpf__load(l->skeleton);
	return r < 0 ? explain_load(r, l->pin_dir, why) : 0;
}

static int open_loader(struct ebb_loader *l, const struct ebb_loader_options *o, struct ebb_why *why)
{
	const struct ebb_loader_options nothing_optional = {.adopt = false};
	const struct ebb_view *view;
	int r;

	r = prepare_pin_dir(o->pin_dir, why);
	if (r < 0)
		return r;
	r = ebb_pins_lock(o->pin_dir, &l->lock_fd, why);
	if (r < 0)
		return r;
	/* only now are the pins ours to look after */
	(void)snprintf(l->pin_dir, sizeof(l->pin_dir), "%s", o->pin_dir);
	r = inspect_pins(l, o, why);
	if (r < 0) {
		l->took_over = true; /* they are somebody's: ebb_loader_free() leaves them */
		return r;
	}
	r = make_lock(l->pin_dir, EBB_POLICY_LOCK, why);
	if (r == 0)
		r = make_lock(l->pin_dir, EBB_RECORD_LOCK, why);
	if (r < 0)
		return r;
	r = load(l, o, o, why);
	/* the probes said yes, the kernel no: better without them than not at all */
	if (r < 0 && (l->iterates || l->reset_way != EBB_RESET_IMPOSSIBLE))
		r = load(l, o, &nothing_optional, why);
	if (r < 0)
		return r;
	r = ebb_maps_open(l->pin_dir, EBB_MAPS_WRITE, &l->maps, why);
	if (r < 0)
		return r;
	r = ebb_events_new(bpf_map__fd(l->skeleton->maps.ebb_event_v2), &l->events);
	if (r < 0)
		return ebb_why(why, r, "cannot read the ring buffer: %s", ebb_strerror(r));
	r = ebb_answers_new(bpf_map__fd(l->skeleton->maps.ebb_answer_v2), &l->answer_ring);
	if (r < 0)
		return ebb_why(why, r, "cannot read the ring of DNS answers: %s", ebb_strerror(r));
	r = ebb_spans_new(bpf_map__fd(l->skeleton->maps.ebb_tracer_v2),
			  bpf_map__fd(l->skeleton->maps.ebb_span_v2), &l->spans);
	if (r < 0)
		return ebb_why(why, r, "cannot read the ring of spans: %s", ebb_strerror(r));
	if (!l->took_over) {
		view = ebb_maps_view(l->maps);
		if (l->old_layout) {
			r = ebb_migrate(l->pin_dir, l->old_layout, &l->migration, why);
			if (r < 0)
				return r;
		}
		view->dsts[EBB_SLOT_OTHER].state = EBB_SLOT_LIVE;
		view->pairs[EBB_SLOT_OTHER].state = EBB_SLOT_LIVE;
	}
	return 0;
}

int ebb_loader_open(const struct ebb_loader_options *options, struct ebb_loader **ret_loader,
		    struct ebb_why *why)
{
	struct ebb_loader *l;
	struct stat st;
	int r;

	if (strlen(options->pin_dir) + 32 > EBB_PIN_PATH_MAX)
		return ebb_why(why, -ENAMETOOLONG, "--pin: the path is too long");
	if (fstat(options->cgroup_fd, &st) < 0) {
		r = -errno;
		return ebb_why(why, r, "cannot look at the cgroup: %s", ebb_strerror(r));
	}
	l = calloc(1, sizeof(*l));
	if (!l)
		return ebb_why(why, -ENOMEM, "out of memory");
	(void)libbpf_set_print(on_libbpf_message);
	l->lock_fd = -1;
	l->cgroup_fd = options->cgroup_fd;
	l->cgroup_id = st.st_ino;
	r = open_loader(l, options, why);
	if (r < 0) {
		ebb_loader_free(l);
		return r;
	}
	*ret_loader = l;
	return 0;
}

bool ebb_loader_took_over(const struct ebb_loader *loader)
{
	return loader->took_over || loader->migration.from;
}

const struct ebb_migration *ebb_loader_migration(const struct ebb_loader *loader)
{
	return &loader->migration;
}

/*
 * A program that loses the race for a key makes its slot live for a moment, and then puts it back
 * itself; that of a killed agent which got no further than that idles out.
 */
static bool is_live_dst(const void *view, uint32_t slot)
{
	return ((const struct ebb_view *)view)->dsts[slot].state == EBB_SLOT_LIVE;
}

static bool is_live_pair(const void *view, uint32_t slot)
{
	return ((const struct ebb_view *)view)->pairs[slot].state == EBB_SLOT_LIVE;
}

int ebb_loader_fill_queues(struct ebb_loader *loader, struct ebb_why *why)
{
	const struct ebb_view *view = ebb_maps_view(loader->maps);
	int r;

	r = ebb_queue_rebuild(bpf_map__fd(loader->skeleton->maps.ebb_freedst_v2),
			      bpf_map__fd(loader->skeleton->maps.ebb_endpoint_v2),
			      sizeof(struct ebb_endpoint), view->dst_max, is_live_dst, view);
	if (r == 0)
		r = ebb_queue_rebuild(bpf_map__fd(loader->skeleton->maps.ebb_freepair_v2),
				      bpf_map__fd(loader->skeleton->maps.ebb_pair_v2),
				      sizeof(struct ebb_pair_key), view->pair_max, is_live_pair, view);
	if (r < 0)
		return ebb_why(why, r, "cannot fill the queues of free slots: %s", ebb_strerror(r));
	return 0;
}

/* The table in which a slot has its key, and the key there: of a destination apart it is another one. */
static int table_of(const struct ebb_loader *l, enum ebb_slot_kind kind, uint32_t slot, const void **key,
		    struct ebb_lookup_key *lookup)
{
	if (kind == EBB_SLOT_KIND_PAIR)
		return bpf_map__fd(l->skeleton->maps.ebb_pair_v2);
	if (!ebb_maps_view(l->maps)->dsts[slot].apart)
		return bpf_map__fd(l->skeleton->maps.ebb_endpoint_v2);
	*lookup = (struct ebb_lookup_key){.endpoint = *(const struct ebb_endpoint *)*key};
	*key = lookup;
	return bpf_map__fd(l->skeleton->maps.ebb_lookup_v2);
}

/* A rule's name took its address, and it was kept for who does not mean that name: such a one would find a stale slot. */
static void forget_beside(const struct ebb_loader *l, const void *key, uint32_t slot)
{
	const struct ebb_lookup_key beside = {.endpoint = *(const struct ebb_endpoint *)key};
	int fd = bpf_map__fd(l->skeleton->maps.ebb_lookup_v2);
	struct ebb_ref ref;

	if (!ebb_maps_view(l->maps)->dsts[slot].apart && bpf_map_lookup_elem(fd, &beside, &ref) == 0 &&
	    ref.slot == slot)
		(void)bpf_map_delete_elem(fd, &beside);
}

int ebb_slots_remove(struct ebb_loader *loader, enum ebb_slot_kind kind, const void *key, uint32_t slot)
{
	struct ebb_lookup_key lookup;
	struct ebb_ref ref;
	int fd, r;

	if (kind == EBB_SLOT_KIND_DST)
		forget_beside(loader, key, slot);
	fd = table_of(loader, kind, slot, &key, &lookup);
	r = bpf_map_lookup_elem(fd, key, &ref);
	if (r == 0 && ref.slot != slot)
		return 1;
	if (r == 0)
		r = bpf_map_delete_elem(fd, key);
	return r == -ENOENT ? 1 : r;
}

int ebb_slots_insert(struct ebb_loader *loader, enum ebb_slot_kind kind, const void *key,
		     const struct ebb_ref *ref)
{
	struct ebb_lookup_key lookup;
	int fd = table_of(loader, kind, ref->slot, &key, &lookup);

	return bpf_map_update_elem(fd, key, ref, BPF_NOEXIST);
}

int ebb_slots_release(struct ebb_loader *loader, enum ebb_slot_kind kind, uint32_t slot)
{
	int fd = bpf_map__fd(kind == EBB_SLOT_KIND_DST ? loader->skeleton->maps.ebb_freedst_v2
						       : loader->skeleton->maps.ebb_freepair_v2);

	return bpf_map_update_elem(fd, NULL, &slot, BPF_ANY);
}

static struct bpf_program *hook_program(const struct ebb_loader *l, int hook)
{
	struct bpf_program *program, *other;

	switch (hook) {
	case EBB_HOOK_RELEASE:
		program = l->skeleton->progs.ebb_release;
		break;
	case EBB_HOOK_SOCKOPS:
		program = l->skeleton->progs.ebb_sockops;
		break;
	case EBB_HOOK_SENDMSG6:
		program = l->skeleton->progs.ebb_sendmsg6;
		break;
	case EBB_HOOK_SENDMSG4:
		program = l->skeleton->progs.ebb_sendmsg4;
		break;
	case EBB_HOOK_CONNECT6:
		program = l->skeleton->progs.ebb_connect6;
		break;
	case EBB_HOOK_EGRESS:
		program = l->skeleton->progs.ebb_egress;
		break;
	case EBB_HOOK_INGRESS:
		program = l->skeleton->progs.ebb_ingress;
		break;
	case EBB_HOOK_TURNS:
		program = l->skeleton->progs.ebb_hear;
		break;
	default:
		program = l->skeleton->progs.ebb_connect4;
		break;
	}
	other = l->cast ? NULL : without_cast(l, program);
	return other ? other : program;
}

/*
 * A pinned link on the same cgroup gets the new program: 0. -ENOENT: there is
 * none that can be used; one of another or a removed cgroup is taken away.
 */
static int take_over_link(struct ebb_loader *l, int hook, const char *path)
{
	struct bpf_link_info info = {0};
	__u32 info_size = sizeof(info);
	struct bpf_link *link;
	int r;

	if (access(path, F_OK) < 0)
		return -errno;
	link = bpf_link__open(path);
	if (!link)
		return -errno;
	r = bpf_obj_get_info_by_fd(bpf_link__fd(link), &info, &info_size);
	if (r == 0 && info.cgroup.cgroup_id == l->cgroup_id) {
		r = bpf_link__update_program(link, hook_program(l, hook));
	} else if (r == 0) {
		(void)bpf_link__detach(link);
		r = unlink(path) < 0 ? -errno : -ENOENT;
	}
	/* the pin holds it; destroying would only close our descriptor */
	(void)bpf_link__destroy(link);
	return r;
}

static int make_link(struct ebb_loader *l, int hook, const char *path)
{
	struct bpf_link *link;
	int r;

	link = bpf_program__attach_cgroup(hook_program(l, hook), l->cgroup_fd);
	if (!link)
		return -errno;
	r = bpf_link__pin(link, path);
	(void)bpf_link__destroy(link);
	return r;
}

static int explain_attach(int r, const char *hook, struct ebb_why *why)
{
	if (r == -EPERM || r == -EACCES)
		return ebb_why(why, r,
			       "cannot attach %s (%s): either CAP_NET_ADMIN is missing, or a program is attached exclusively there or above; 'bpftool cgroup tree' shows it",
			       hook, ebb_strerror(r));
	if (r == -E2BIG)
		return ebb_why(why, r, "cannot attach %s: 64 programs are attached to this cgroup already",
			       hook);
	return ebb_why(why, r, "cannot attach %s: %s", hook, ebb_strerror(r));
}

/* ------------------------------------------------------------ open sockets -- */

/* What an iterator writes; -EAGAIN does not end it: a million objects, and nothing to say. */
static ssize_t read_iterator(int fd, void *buffer, size_t size)
{
	ssize_t n;

	do {
		n = read(fd, buffer, size);
	} while (n < 0 && (errno == EAGAIN || errno == EINTR));
	return n < 0 ? -errno : n;
}

static int open_iterator(const struct bpf_program *program)
{
	struct bpf_link *link = bpf_program__attach_iter(program, NULL);
	int fd;

	if (!link)
		return -errno;
	fd = bpf_iter_create(bpf_link__fd(link));
	(void)bpf_link__destroy(link);
	return fd;
}

/* Runs one that does its work in the kernel, from end to end. */
static int iterate(const struct bpf_program *program)
{
	_cleanup_close_ int fd = open_iterator(program);
	char buffer[64];
	ssize_t n;

	if (fd < 0)
		return fd;
	while ((n = read_iterator(fd, buffer, sizeof(buffer))) > 0)
		;
	return (int)n;
}

/* Of what an earlier pass found nothing need be true any more. Keys have at most 8 bytes. */
static int forget(const struct bpf_map *map)
{
	int fd = bpf_map__fd(map);
	__u64 key;
	int r;

	while ((r = bpf_map_get_next_key(fd, NULL, &key)) == 0) {
		r = bpf_map_delete_elem(fd, &key);
		if (r < 0 && r != -ENOENT)
			return r;
	}
	return r == -ENOENT ? 0 : r;
}

static uint64_t monotonic_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ULL + (uint64_t)ts.tv_nsec;
}

/* A socket that changes under the program's eyes is met again. */
#define BUSY_TURNS 4

static int one_pass(struct ebb_loader *l, enum ebb_pass pass, struct ebb_adopted *sum)
{
	struct ebb_seeding *seeding = &l->skeleton->bss->ebb_seeding;
	uint64_t start = monotonic_ns();
	int r;

	r = forget(l->skeleton->maps.ebb_listener_v2);
	if (r == 0)
		r = forget(l->skeleton->maps.ebb_deaf_v2);
	if (r < 0)
		return r;
	*seeding = (struct ebb_seeding){.pass = EBB_PASS_LISTEN};
	r = iterate(l->skeleton->progs.ebb_seed);
	for (int turn = 0; turn < BUSY_TURNS && r == 0; turn++) {
		*seeding = (struct ebb_seeding){.pass = pass};
		r = iterate(l->skeleton->progs.ebb_seed);
		sum->connections += seeding->adopted;
		sum->slots += seeding->slots;
		sum->ended += seeding->ended;
		sum->undecided = seeding->undecided + seeding->busy;
		if (seeding->busy == 0)
			break;
	}
	sum->took_ns = monotonic_ns() - start;
	return r;
}

/* How many destinations have more adopted connections than @before says? */
static uint64_t adopted_destinations(const struct ebb_view *view, const uint64_t *before, bool *seen)
{
	uint32_t high = view->kernel->pair_high;
	uint64_t count = 0;

	for (uint32_t p = 0; p <= high && p < view->pair_max; p++) {
		const struct ebb_pair *pair = &view->pairs[p];

		if (pair->adopted == before[p] || pair->dst >= view->dst_max || seen[pair->dst])
			continue;
		seen[pair->dst] = true;
		count++;
	}
	return count;
}

static int run_pass(struct ebb_loader *l, enum ebb_pass pass, struct ebb_adopted *ret_adopted)
{
	const struct ebb_view *view = ebb_maps_view(l->maps);
	_cleanup_free_ uint64_t *before = calloc(view->pair_max, sizeof(*before));
	_cleanup_free_ bool *seen = calloc(view->dst_max, sizeof(*seen));
	struct ebb_adopted sum = {0};
	int r;

	if (!before || !seen)
		return -ENOMEM;
	for (uint32_t p = 0; p < view->pair_max; p++)
		before[p] = view->pairs[p].adopted;
	r = one_pass(l, pass, &sum);
	if (r < 0)
		return r;
	sum.destinations = adopted_destinations(view, before, seen);
	*ret_adopted = sum;
	return 0;
}

int ebb_loader_adopt(struct ebb_loader *loader, struct ebb_adopted *ret_adopted, struct ebb_why *why)
{
	int r;

	if (!loader->adopts)
		return ebb_why(why, -EOPNOTSUPP, "the kernel has no iterator over open files");
	r = run_pass(loader, EBB_PASS_ALL, ret_adopted);
	if (r < 0)
		return ebb_why(why, r, "cannot walk over the open sockets: %s", ebb_strerror(r));
	return 0;
}

bool ebb_loader_is_deaf(const struct ebb_loader *loader)
{
	__u32 netns;

	return loader->arms &&
	       bpf_map_get_next_key(bpf_map__fd(loader->skeleton->maps.ebb_deaf_v2), NULL, &netns) == 0;
}

int ebb_loader_arm(struct ebb_loader *loader, uint64_t netns, uint64_t *ret_count, struct ebb_why *why)
{
	uint64_t before = loader->skeleton->bss->ebb_arms;
	uint32_t key = (uint32_t)netns;
	int r;

	if (!loader->arms)
		return ebb_why(why, -EOPNOTSUPP, "the kernel sets no callbacks by an iterator");
	r = bpf_map_delete_elem(bpf_map__fd(loader->skeleton->maps.ebb_deaf_v2), &key);
	if (r == 0)
		r = iterate(loader->skeleton->progs.ebb_arm_tcp);
	if (r < 0 && r != -ENOENT)
		return ebb_why(why, r, "cannot walk over the sockets of a network namespace: %s",
			       ebb_strerror(r));
	*ret_count = loader->skeleton->bss->ebb_arms - before;
	return 0;
}

bool ebb_loader_walks(const struct ebb_loader *loader)
{
	return loader->iterates;
}

int ebb_loader_remember(struct ebb_loader *loader, struct ebb_remembered *ret, struct ebb_why *why)
{
	struct ebb_seeding *seeding;
	uint64_t count = 0;
	int r = 0;

	if (!loader->iterates)
		return ebb_why(why, -EOPNOTSUPP, "the kernel has no iterator over open files");
	/* a connect that has not seen what its policy asks for is over, and its socket armed or nothing */
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) < 0)
		return ebb_why(why, -errno, "cannot wait for the programs that run now: %s", strerror(errno));
	seeding = &loader->skeleton->bss->ebb_seeding;
	for (int turn = 0; turn < BUSY_TURNS && r == 0; turn++) {
		*seeding = (struct ebb_seeding){.pass = EBB_PASS_REMEMBER};
		r = iterate(loader->skeleton->progs.ebb_seed);
		count += seeding->remembered;
		if (seeding->busy == 0)
			break;
	}
	if (r < 0)
		return ebb_why(why, r, "cannot walk over the open sockets: %s", ebb_strerror(r));
	*ret = (struct ebb_remembered){.count = count, .all = seeding->busy == 0 && seeding->hidden == 0};
	return 0;
}

/* Walks over the memories of all sockets. */
static int iterate_memories(struct ebb_loader *l)
{
	union bpf_iter_link_info info = {.map.map_fd = (__u32)bpf_map__fd(l->skeleton->maps.ebb_conn_v2)};
	LIBBPF_OPTS(bpf_iter_attach_opts, options, .link_info = &info, .link_info_len = sizeof(info));
	struct bpf_link *link = bpf_program__attach_iter(l->skeleton->progs.ebb_recount, &options);
	_cleanup_close_ int fd = -1;
	char buffer[64];
	ssize_t n;

	if (!link)
		return -errno;
	fd = bpf_iter_create(bpf_link__fd(link));
	(void)bpf_link__destroy(link);
	if (fd < 0)
		return fd;
	while ((n = read_iterator(fd, buffer, sizeof(buffer))) > 0)
		;
	return (int)n;
}

int ebb_loader_recount(struct ebb_loader *loader, struct ebb_counted *ret_counted,
		       struct ebb_counting *ret_counting, struct ebb_why *why)
{
	struct ebb_counting *counting = &loader->skeleton->bss->ebb_counting;
	size_t page = (size_t)sysconf(_SC_PAGESIZE), size;
	const struct ebb_view *view = ebb_maps_view(loader->maps);
	struct ebb_counted *counted;
	int r;

	if (!loader->recounts)
		return ebb_why(why, -EOPNOTSUPP,
			       "the kernel has no iterator over open files, or over sockets");
	size = (view->gate_max * sizeof(*counted) + page - 1) / page * page;
	counted = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED,
		       bpf_map__fd(loader->skeleton->maps.ebb_count_v2), 0);
	if (counted == MAP_FAILED)
		return ebb_why(why, -errno, "cannot map the counts of a recount: %s", strerror(errno));
	memset(counted, 0, view->gate_max * sizeof(*counted));
	counting->pass++;
	counting->hidden = 0;
	counting->left_out = 0;
	r = iterate_memories(loader);
	if (r == 0)
		r = iterate(loader->skeleton->progs.ebb_recfile);
	if (r == 0)
		r = forget(loader->skeleton->maps.ebb_met_v2);
	if (r == 0) {
		memcpy(ret_counted, counted, view->gate_max * sizeof(*counted));
		*ret_counting = *counting;
	}
	(void)munmap(counted, size);
	return r < 0 ? ebb_why(why, r, "cannot walk over the open sockets: %s", ebb_strerror(r)) : 0;
}

const struct ebb_adopted *ebb_loader_adopted_first(const struct ebb_loader *loader)
{
	return &loader->adopted_first;
}

enum ebb_reset_way ebb_loader_reset_way(const struct ebb_loader *loader)
{
	return loader->reset_way;
}

/*
 * New maps: what an earlier life of ours armed is counted nowhere now. Before sockops is
 * attached every armed socket is one of these; afterwards it is one that is counted.
 */
static int adopt_first(struct ebb_loader *l, struct ebb_why *why)
{
	int r;

	if (!l->adopts || l->took_over || l->migration.from)
		return 0;
	r = run_pass(l, EBB_PASS_FIRST, &l->adopted_first);
	if (r < 0)
		return ebb_why(why, r, "cannot walk over the open sockets: %s", ebb_strerror(r));
	return 0;
}

/*
 * Maps of an older layout were moved, and its programs go one after the other, armed sockets with
 * them. While that lasts every socket that we meet gets a memory (ebb_replacing); so afterwards
 * one that is armed and has none is theirs, and is adopted.
 */
static void begin_replacing(struct ebb_loader *l)
{
	l->skeleton->bss->ebb_replacing = l->migration.from && l->adopts;
}

static int end_replacing(struct ebb_loader *l, struct ebb_why *why)
{
	int r;

	if (!l->skeleton->bss->ebb_replacing)
		return 0;
	r = run_pass(l, EBB_PASS_FIRST, &l->adopted_first);
	l->skeleton->bss->ebb_replacing = 0;
	if (r < 0)
		return ebb_why(why, r, "cannot walk over the open sockets: %s", ebb_strerror(r));
	return 0;
}

/* Destroys what the iterator names, and counts it: no program of ours sees what is done by netlink. */
static int reset_by_netlink(struct ebb_loader *l, uint64_t *ret_count)
{
	const struct ebb_view *view = ebb_maps_view(l->maps);
	_cleanup_close_ int diag = -1, fd = open_iterator(l->skeleton->progs.ebb_reset);
	struct ebb_doomed doomed[64];
	uint64_t count = 0;
	size_t have = 0;
	ssize_t n;
	int r;

	if (fd < 0)
		return fd;
	r = ebb_diag_open(&diag);
	if (r < 0)
		return r;
	/* a record may come in two pieces */
	while ((n = read_iterator(fd, (char *)doomed + have, sizeof(doomed) - have)) > 0) {
		size_t whole = (have + (size_t)n) / sizeof(doomed[0]);

		for (size_t i = 0; i < whole; i++) {
			r = ebb_diag_destroy(diag, &doomed[i]);
			if (r < 0 && r != -ENOENT)
				return r;
			if (r < 0 || doomed[i].pair >= view->pair_max)
				continue;
			__atomic_fetch_add(&view->pairs[doomed[i].pair].reset, 1, __ATOMIC_RELAXED);
			count++;
		}
		have = have + (size_t)n - whole * sizeof(doomed[0]);
		memmove(doomed, &doomed[whole], have);
	}
	if (n < 0)
		return (int)n;
	*ret_count = count;
	return 0;
}

int ebb_loader_reset(struct ebb_loader *loader, uint64_t *ret_count, struct ebb_why *why)
{
	uint64_t before;
	int r;

	switch (loader->reset_way) {
	case EBB_RESET_BPF:
		before = loader->skeleton->bss->ebb_resets;
		r = iterate(loader->skeleton->progs.ebb_reset);
		if (r == 0)
			*ret_count = loader->skeleton->bss->ebb_resets - before;
		break;
	case EBB_RESET_NETLINK:
		r = reset_by_netlink(loader, ret_count);
		break;
	default:
		r = -EOPNOTSUPP;
		break;
	}
	if (r < 0)
		return ebb_why(why, r, "cannot destroy connections: %s", ebb_strerror(r));
	return 0;
}

/* For commands that need a program which nobody attaches for them (kernel/packets.h). */
static int pin_program(const struct ebb_loader *l, int hook)
{
	return ebb_pin_put(l->pin_dir, EBB_PROGRAM_PREFIX, ebb_hook_names[hook],
			   bpf_program__fd(hook_program(l, hook)));
}

int ebb_loader_attach(struct ebb_loader *loader, struct ebb_why *why)
{
	char paths[EBB_HOOK_MAX][EBB_PIN_PATH_MAX];
	bool made[EBB_HOOK_MAX] = {false};
	struct ebb_why left = {};
	int r = 0;

	begin_replacing(loader);
	for (int h = 0; h < EBB_HOOK_MAX && r == 0; h++) {
		if (h == EBB_HOOK_SOCKOPS)
			r = adopt_first(loader, why);
		if (r < 0)
			break;
		r = ebb_pin_path(loader->pin_dir, EBB_LINK_PREFIX, ebb_hook_names[h], paths[h],
				 sizeof(paths[h]));
		if (r == 0)
			r = take_over_link(loader, h, paths[h]);
		if (h == EBB_HOOK_EGRESS)
			loader->packets = r == 0;
		if (h == EBB_HOOK_INGRESS)
			loader->answers = r == 0;
		if (h == EBB_HOOK_TURNS)
			loader->turns = r == 0;
		if (r == -ENOENT && h >= EBB_HOOK_OPTIONAL) {
			r = 0;
		} else if (r == -ENOENT) {
			r = make_link(loader, h, paths[h]);
			made[h] = r == 0;
		}
		if (r < 0)
			r = explain_attach(r, ebb_hook_names[h], why);
	}
	if (r == 0)
		r = end_replacing(loader, why);
	if (r < 0) {
		for (int h = 0; h < EBB_HOOK_MAX; h++) {
			if (made[h])
				(void)unlink(paths[h]);
		}
		return r;
	}
	loader->attached = true;
	/* without it a command waits for us to attach it */
	r = pin_program(loader, EBB_HOOK_EGRESS);
	if (r < 0)
		ebb_debug("%s is not pinned: %s", ebb_hook_names[EBB_HOOK_EGRESS], ebb_strerror(r));
	/* nothing uses them any more; what cannot be removed now is tried again at the next start */
	if (loader->old_layout && ebb_pins_remove_others(loader->pin_dir, &left) < 0)
		ebb_debug("maps of an older layout are left: %s", left.text);
	return 0;
}

/* A link that a command made is as good as ours, and may come while we make one. */
static int attach_wanted(struct ebb_loader *l, int hook, const char *path)
{
	int r = take_over_link(l, hook, path);

	if (r == -ENOENT)
		r = make_link(l, hook, path);
	return r == -EEXIST ? take_over_link(l, hook, path) : r;
}

/* By us, or by a command. */
static bool is_pinned(const struct ebb_loader *l, int hook)
{
	char path[EBB_PIN_PATH_MAX];

	return ebb_pin_path(l->pin_dir, EBB_LINK_PREFIX, ebb_hook_names[hook], path, sizeof(path)) == 0 &&
	       access(path, F_OK) == 0;
}

/* Attaches or takes away a program that is there only on demand. */
static int want(struct ebb_loader *l, int hook, bool wanted, bool *attached, struct ebb_why *why)
{
	const char *name = ebb_hook_names[hook];
	char path[EBB_PIN_PATH_MAX];
	int r;

	if (wanted ? *attached : !*attached && !is_pinned(l, hook))
		return 0;
	r = ebb_pin_path(l->pin_dir, EBB_LINK_PREFIX, name, path, sizeof(path));
	if (r < 0)
		return explain_attach(r, name, why);
	if (wanted) {
		r = attach_wanted(l, hook, path);
		if (r < 0)
			return explain_attach(r, name, why);
	} else {
		r = ebb_pin_detach_link(path);
		if (r < 0 && r != -ENOENT)
			return ebb_why(why, r, "cannot take %s away: %s", name, ebb_strerror(r));
	}
	*attached = wanted;
	return 0;
}

bool ebb_loader_has_packets(const struct ebb_loader *loader)
{
	return loader->packets || is_pinned(loader, EBB_HOOK_EGRESS);
}

int ebb_loader_want_packets(struct ebb_loader *loader, bool wanted, struct ebb_why *why)
{
	return want(loader, EBB_HOOK_EGRESS, wanted, &loader->packets, why);
}

int ebb_loader_want_answers(struct ebb_loader *loader, bool wanted, struct ebb_why *why)
{
	const struct ebb_view *view = ebb_maps_view(loader->maps);
	int r = want(loader, EBB_HOOK_INGRESS, wanted, &loader->answers, why);

	if (r == 0)
		__atomic_store_n(&view->agent->answers, wanted, __ATOMIC_RELAXED);
	return r;
}

int ebb_loader_want_turns(struct ebb_loader *loader, bool wanted, struct ebb_why *why)
{
	return want(loader, EBB_HOOK_TURNS, wanted, &loader->turns, why);
}

int ebb_loader_answers_fd(const struct ebb_loader *loader)
{
	return ebb_answers_fd(loader->answer_ring);
}

int ebb_loader_answers_take(struct ebb_loader *loader, size_t max, ebb_answer_handler handle, void *userdata)
{
	return ebb_answers_take(loader->answer_ring, max, handle, userdata);
}

struct ebb_spans *ebb_loader_spans(const struct ebb_loader *loader)
{
	return loader->spans;
}

const struct ebb_view *ebb_loader_view(const struct ebb_loader *loader)
{
	return ebb_maps_view(loader->maps);
}

uint64_t ebb_loader_map_bytes(const struct ebb_loader *loader)
{
	return ebb_maps_bytes(loader->maps);
}

/* ------------------------------------------------- what somebody took from us -- */

static uint32_t program_id(const struct ebb_loader *l, int hook)
{
	struct bpf_prog_info info = {0};
	__u32 size = sizeof(info);

	return bpf_obj_get_info_by_fd(bpf_program__fd(hook_program(l, hook)), &info, &size) == 0 ? info.id
												 : 0;
}

static uint32_t map_id(const struct bpf_map *map)
{
	struct bpf_map_info info = {0};
	__u32 size = sizeof(info);

	return bpf_obj_get_info_by_fd(bpf_map__fd(map), &info, &size) == 0 ? info.id : 0;
}

/* Did we attach it, and not take it away? */
static bool is_ours(const struct ebb_loader *l, int hook)
{
	switch (hook) {
	case EBB_HOOK_EGRESS:
		return l->packets;
	case EBB_HOOK_INGRESS:
		return l->answers;
	case EBB_HOOK_TURNS:
		return l->turns;
	default:
		return l->attached;
	}
}

size_t ebb_loader_links_lost(const struct ebb_loader *loader, struct ebb_lost ret_lost[EBB_LINKS_MAX],
			     size_t *ret_wanted)
{
	char path[EBB_PIN_PATH_MAX];
	size_t count = 0, wanted = 0;

	for (int h = 0; h < EBB_HOOK_MAX; h++) {
		if (!is_ours(loader, h) ||
		    ebb_pin_path(loader->pin_dir, EBB_LINK_PREFIX, ebb_hook_names[h], path, sizeof(path)) < 0)
			continue;
		wanted++;
		ret_lost[count].name = ebb_hook_names[h];
		if (ebb_link_is_lost(path, program_id(loader, h), loader->cgroup_id, &ret_lost[count].how))
			count++;
	}
	*ret_wanted = wanted;
	return count;
}

/* Makes it again where it was removed. One in its place is ours unless another agent has it. */
static int mend_directory(struct ebb_loader *l, struct ebb_why *why)
{
	enum ebb_lost_how how;
	int fd = -1, r;

	if (!ebb_path_is_lost(l->pin_dir, l->lock_fd, &how))
		return 0;
	r = prepare_pin_dir(l->pin_dir, why);
	if (r == 0)
		r = ebb_pins_lock(l->pin_dir, &fd, why);
	if (r < 0)
		return r;
	(void)close(l->lock_fd);
	l->lock_fd = fd;
	return 0;
}

/* The dead link stays pinned until there is another one. */
static int mend_link(struct ebb_loader *l, int hook)
{
	struct bpf_link *link = bpf_program__attach_cgroup(hook_program(l, hook), l->cgroup_fd);
	int r;

	if (!link)
		return -errno;
	r = ebb_pin_put(l->pin_dir, EBB_LINK_PREFIX, ebb_hook_names[hook], bpf_link__fd(link));
	(void)bpf_link__destroy(link);
	return r;
}

int ebb_loader_move(struct ebb_loader *loader, int cgroup_fd)
{
	struct stat st;

	if (fstat(cgroup_fd, &st) < 0)
		return -errno;
	loader->cgroup_fd = cgroup_fd;
	loader->cgroup_id = st.st_ino;
	return 0;
}

int ebb_loader_link_mend(struct ebb_loader *loader, const struct ebb_lost *lost, struct ebb_why *why)
{
	int r = mend_directory(loader, why);

	if (r < 0)
		return r;
	for (int h = 0; h < EBB_HOOK_MAX; h++) {
		if (strcmp(lost->name, ebb_hook_names[h]) != 0)
			continue;
		r = mend_link(loader, h);
		if (r == -ENOENT)
			return ebb_why(why, r, "the cgroup was removed: waiting for one at the same place");
		return r < 0 ? explain_attach(r, lost->name, why) : 0;
	}
	return ebb_why(why, -ENOENT, "there is no program '%s'", lost->name);
}

static void add_lost(struct ebb_lost *lost, size_t *io_count, const char *name, enum ebb_lost_how how)
{
	if (*io_count < EBB_PINS_LOST_MAX)
		lost[(*io_count)++] = (struct ebb_lost){.name = name, .how = how};
}

static const char *const locks[] = {EBB_POLICY_LOCK, EBB_RECORD_LOCK};

/* Of EBB_HOOK_EGRESS, see pin_program(). */
#define COMMAND_PROGRAM EBB_PROGRAM_PREFIX "egress"

size_t ebb_loader_pins_lost(const struct ebb_loader *loader, struct ebb_lost ret_lost[EBB_PINS_LOST_MAX])
{
	char path[EBB_PIN_PATH_MAX];
	struct bpf_map *map;
	enum ebb_lost_how how;
	size_t count = 0;

	if (ebb_path_is_lost(loader->pin_dir, loader->lock_fd, &how))
		add_lost(ret_lost, &count, EBB_PIN_DIRECTORY, how);
	for (size_t i = 0; i < sizeof(locks) / sizeof(locks[0]); i++) {
		if (ebb_pin_path(loader->pin_dir, "", locks[i], path, sizeof(path)) == 0 &&
		    ebb_path_is_lost(path, -1, &how))
			add_lost(ret_lost, &count, locks[i], how);
	}
	if (ebb_pin_path(loader->pin_dir, "", COMMAND_PROGRAM, path, sizeof(path)) == 0 &&
	    ebb_path_is_lost(path, -1, &how))
		add_lost(ret_lost, &count, COMMAND_PROGRAM, how);
	bpf_object__for_each_map (map, loader->skeleton->obj) {
		if (bpf_map__is_pinned(map) && ebb_map_is_lost(bpf_map__pin_path(map), map_id(map), &how))
			add_lost(ret_lost, &count, bpf_map__name(map), how);
	}
	return count;
}

int ebb_loader_pin_mend(struct ebb_loader *loader, const struct ebb_lost *lost, struct ebb_why *why)
{
	const struct bpf_map *map;
	int r = mend_directory(loader, why);

	if (r < 0 || strcmp(lost->name, EBB_PIN_DIRECTORY) == 0)
		return r;
	for (size_t i = 0; i < sizeof(locks) / sizeof(locks[0]); i++) {
		if (strcmp(lost->name, locks[i]) == 0)
			return make_lock(loader->pin_dir, locks[i], why);
	}
	map = bpf_object__find_map_by_name(loader->skeleton->obj, lost->name);
	if (strcmp(lost->name, COMMAND_PROGRAM) == 0)
		r = pin_program(loader, EBB_HOOK_EGRESS);
	else
		r = map ? ebb_pin_put(loader->pin_dir, "", lost->name, bpf_map__fd(map)) : -ENOENT;
	return r < 0 ? ebb_why(why, r, "cannot pin '%s' in '%s': %s", lost->name, loader->pin_dir,
			       ebb_strerror(r))
		     : 0;
}

size_t ebb_loader_runs(const struct ebb_loader *loader, struct ebb_program_runs ret_runs[EBB_LINKS_MAX])
{
	size_t count = 0;

	if (!ebb_runs_are_counted())
		return 0;
	for (int h = 0; h < EBB_HOOK_MAX; h++) {
		if (!is_pinned(loader, h) ||
		    ebb_runs_read(bpf_program__fd(hook_program(loader, h)), &ret_runs[count]) < 0)
			continue;
		ret_runs[count++].name = ebb_hook_names[h];
	}
	return count;
}

int ebb_loader_events_fd(const struct ebb_loader *loader)
{
	return ebb_events_fd(loader->events);
}

int ebb_loader_events_take(struct ebb_loader *loader,
			   void (*handle)(void *userdata, const struct ebb_event *event), void *userdata)
{
	return ebb_events_take(loader->events, handle, userdata);
}

void ebb_loader_free(struct ebb_loader *loader)
{
	size_t count;

	if (!loader)
		return;
	ebb_events_free(loader->events);
	ebb_answers_free(loader->answer_ring);
	ebb_spans_free(loader->spans);
	ebb_maps_free(loader->maps);
	ebb_bpf__destroy(loader->skeleton);
	/* maps that we made and never attached to anything are of no use to anyone */
	if (loader->pin_dir[0] && !loader->took_over && !loader->attached) {
		if (loader->old_layout)
			(void)ebb_pins_remove_ours(loader->pin_dir, NULL);
		else
			(void)ebb_pins_remove(loader->pin_dir, &count, NULL);
	}
	if (loader->lock_fd >= 0)
		(void)close(loader->lock_fd);
	free(loader);
}
