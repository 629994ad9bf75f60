/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/classify.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "node/cgroup.h"
#include "node/cgroup_tree.h"
#include "node/place.h"

/* an insertion that finds no memory leaves the entry out instead of ending the process */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#define DEPTH_MAX 64 /* of the tree of cgroups */

struct entry {
	uint64_t workload;
	uint32_t class;
	bool seen; /* in the present walk */
	UT_hash_handle hh;
};

struct ebb_classifier {
	const struct ebb_view *view;
	const struct ebb_workloads *rules;
	struct ebb_classifier_ops ops;
	char *mount;
	char *attach;
	char *own;
	struct entry *entries;
	bool unmet;	       /* the kernel told of somebody new since the last tick */
	uint64_t unclassified; /* EBB_ERR_UNCLASSIFIED at the last tick */
	uint32_t mode;	       /* enum ebb_rules */
};

static void take_up(void *argument, uint64_t workload, uint32_t class);

static const struct ebb_workloads no_rules = {.excluded = EBB_CLASS_OBSERVED};

int ebb_classifier_new(const struct ebb_view *view, const char *mount, const char *attach, const char *own,
		       const struct ebb_classifier_ops *ops, struct ebb_classifier **ret_classifier)
{
	struct ebb_classifier *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->view = view;
	c->rules = &no_rules;
	c->ops = *ops;
	c->mount = strdup(mount);
	c->attach = strdup(attach);
	c->own = own ? strdup(own) : NULL;
	if (!c->mount || !c->attach || (own && !c->own)) {
		ebb_classifier_free(c);
		return -ENOMEM;
	}
	(void)c->ops.each(c->ops.userdata, take_up, c);
	c->mode = view->agent->workload_rules;
	*ret_classifier = c;
	return 0;
}

void ebb_classifier_free(struct ebb_classifier *classifier)
{
	struct entry *entry, *next;

	if (!classifier)
		return;
	HASH_ITER (hh, classifier->entries, entry, next) {
		HASH_DEL(classifier->entries, entry);
		free(entry);
	}
	free(classifier->mount);
	free(classifier->attach);
	free(classifier->own);
	free(classifier);
}

/* ---------------------------------------------------------------- entries -- */

static struct entry *find(const struct ebb_classifier *c, uint64_t workload)
{
	struct entry *entry;

	HASH_FIND(hh, c->entries, &workload, sizeof(workload), entry);
	return entry;
}

enum ebb_class ebb_classifier_class(const struct ebb_classifier *classifier, uint64_t workload)
{
	const struct entry *entry = find(classifier, workload);

	return entry ? (enum ebb_class)entry->class : EBB_CLASS_MAX;
}

static void forget(struct ebb_classifier *c, struct entry *entry)
{
	if (!c->entries)
		return;
	HASH_DEL(c->entries, entry);
	free(entry);
}

/* Of an unknown one the kernel keeps since when: that stays as it is. */
static int tell(struct ebb_classifier *c, uint64_t workload, uint32_t class, uint32_t before)
{
	int r;

	if (class == before)
		return 0;
	if (class == EBB_CLASS_UNKNOWN || (class == EBB_CLASS_GOVERNED && c->mode == EBB_RULES_LISTED)) {
		/* one that was known gets its ten seconds from its next connection on */
		if (before == EBB_CLASS_MAX)
			return 0;
		r = c->ops.remove(c->ops.userdata, workload);
		return r == -ENOENT ? 0 : r;
	}
	return c->ops.put(c->ops.userdata, workload, class);
}

/* NULL: there is no room for it. */
static struct entry *add(struct ebb_classifier *c, uint64_t workload)
{
	struct entry *entry;

	if (HASH_COUNT(c->entries) >= EBB_WORKLOADS_MAX)
		return NULL;
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return NULL;
	entry->workload = workload;
	HASH_ADD(hh, c->entries, workload, sizeof(entry->workload), entry);
	if (!entry->hh.tbl) {
		free(entry);
		return NULL;
	}
	return entry;
}

/* 0, or -E2BIG: there is no room for it. */
static int set(struct ebb_classifier *c, uint64_t workload, uint32_t class)
{
	struct entry *entry = find(c, workload);
	int r;

	r = tell(c, workload, class, entry ? entry->class : EBB_CLASS_MAX);
	if (r < 0)
		return r;
	if (!entry)
		entry = add(c, workload);
	if (!entry)
		return -E2BIG;
	entry->class = class;
	entry->seen = true;
	return 0;
}

static void take_up(void *argument, uint64_t workload, uint32_t class)
{
	struct ebb_classifier *c = argument;
	struct entry *entry = find(c, workload);

	if (!entry)
		entry = add(c, workload);
	if (entry)
		entry->class = class;
}

/* ---------------------------------------------------------------- classes -- */

/* Of a part of the tree: the part itself or below it? */
static bool is_below(const char *path, const char *above)
{
	size_t length = strlen(above);

	if (strcmp(above, "/") == 0)
		return true;
	return strncmp(path, above, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

static bool is_of_no_pod(const char *path)
{
	struct ebb_place place;

	ebb_place_of(path, &place);
	return place.pod_length == 0;
}

static uint32_t class_of(const struct ebb_classifier *c, const char *path)
{
	struct ebb_identity identity = {0};
	struct ebb_workload_facts facts = {.path = path, .own = c->own && is_below(path, c->own)};
	bool known;

	if (c->ops.identify)
		known = c->ops.identify(c->ops.userdata, path, &identity, &facts.awaited);
	else
		known = is_of_no_pod(path);
	facts.identity = known ? &identity : NULL;
	return ebb_workloads_classify(c->rules, &facts);
}

struct walk {
	struct ebb_classifier *classifier;
	struct ebb_classified result;
	char path[EBB_CGROUP_PATH_MAX]; /* below the mount */
	size_t length;			/* of where the walk began; 0: the mount itself */
};

/* @below: of where the walk began. One that is too deep for a path of ours keeps waiting for its class. */
static int meet_directory(void *userdata, uint64_t workload, const char *below)
{
	struct walk *w = userdata;
	size_t length = strcmp(below, "/") == 0 ? 0 : strlen(below);
	uint32_t class;

	if (w->length + length >= sizeof(w->path))
		return 0;
	memcpy(w->path + w->length, below, length);
	w->path[w->length + length] = '\0';
	class = class_of(w->classifier, w->path[0] ? w->path : "/");
	if (set(w->classifier, workload, class) < 0)
		w->result.left_out++;
	else
		w->result.count[class]++;
	return 0;
}

/* Of @attach below @mount; NULL: it is not there, and its whole path has to do. */
static const char *below_mount(const char *mount, const char *attach)
{
	size_t length = strlen(mount);

	while (length > 0 && mount[length - 1] == '/')
		length--;
	if (strncmp(attach, mount, length) != 0 || (attach[length] != '/' && attach[length] != '\0'))
		return attach;
	return attach + length;
}

static int walk_all(struct ebb_classifier *c, struct ebb_classified *ret_classified)
{
	_cleanup_close_ int fd = open(c->attach, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct walk w = {.classifier = c};
	size_t length;
	int r;

	if (fd < 0)
		return -errno;
	(void)snprintf(w.path, sizeof(w.path), "%s", below_mount(c->mount, c->attach));
	length = strlen(w.path);
	while (length > 0 && w.path[length - 1] == '/')
		w.path[--length] = '\0';
	w.length = length;
	r = ebb_cgroup_walk(fd, meet_directory, &w);
	if (r < 0)
		return r;
	*ret_classified = w.result;
	return 0;
}

int ebb_classifier_configure(struct ebb_classifier *classifier, const struct ebb_workloads *rules,
			     struct ebb_classified *ret_classified)
{
	struct ebb_classifier *c = classifier;
	struct ebb_agent *agent = c->view->agent;
	uint32_t mode_before = c->mode;
	struct entry *entry, *next;
	int r = 0;

	*ret_classified = (struct ebb_classified){0};
	c->rules = rules;
	/* kube-system and the like are excluded without a rule, where somebody knows who that is */
	c->mode = ebb_workloads_are_ruled(rules) || c->ops.identify ? EBB_RULES_ALL
		  : c->own					    ? EBB_RULES_LISTED
								    : EBB_RULES_NONE;
	HASH_ITER (hh, c->entries, entry, next) {
		entry->seen = false;
		/* the governed are listed in one mode and not in the other: told anew */
		if (c->mode != mode_before && entry->class == EBB_CLASS_GOVERNED) {
			if (c->mode != EBB_RULES_ALL)
				(void)c->ops.remove(c->ops.userdata, entry->workload);
			forget(c, entry);
		}
	}
	if (c->mode != EBB_RULES_NONE) {
		r = walk_all(c, ret_classified);
		/* the rules before are about to be freed: these hold, and who is met is classified by them */
		if (r < 0) {
			__atomic_store_n(&agent->workload_rules, c->mode, __ATOMIC_RELEASE);
			__atomic_fetch_add(&agent->mapping, 1, __ATOMIC_SEQ_CST);
			return r;
		}
	}
	/* the table first: from then on who is not in it is unknown */
	__atomic_store_n(&agent->workload_rules, c->mode, __ATOMIC_RELEASE);
	HASH_ITER (hh, c->entries, entry, next) {
		if (entry->seen)
			continue;
		(void)c->ops.remove(c->ops.userdata, entry->workload);
		forget(c, entry);
	}
	__atomic_fetch_add(&agent->mapping, 1, __ATOMIC_SEQ_CST);
	return 0;
}

void ebb_classifier_meet(struct ebb_classifier *classifier)
{
	classifier->unmet = true;
}

/* One that waits for its identity was met before: asked again, since it may have come. */
static void look_whether_unknown(void *argument, uint64_t workload, uint32_t class)
{
	bool *unknown = argument;

	(void)workload;
	*unknown |= class == EBB_CLASS_UNKNOWN;
}

/* One walk for all that are not known. */
static void meet_unknown(struct ebb_classifier *c)
{
	bool unknown = false;
	struct ebb_classified ignored;

	if (c->mode != EBB_RULES_ALL)
		return;
	(void)c->ops.each(c->ops.userdata, look_whether_unknown, &unknown);
	if (!unknown)
		return;
	(void)walk_all(c, &ignored);
	__atomic_fetch_add(&c->view->agent->mapping, 1, __ATOMIC_SEQ_CST);
}

void ebb_classifier_identified(struct ebb_classifier *classifier)
{
	meet_unknown(classifier);
}

void ebb_classifier_look(struct ebb_classifier *classifier)
{
	struct ebb_classifier *c = classifier;
	uint64_t unclassified = c->view->kernel->errors[EBB_ERR_UNCLASSIFIED];

	if (unclassified == c->unclassified && !c->unmet)
		return;
	c->unclassified = unclassified;
	c->unmet = false;
	meet_unknown(c);
}

uint32_t ebb_classifier_sweep(struct ebb_classifier *classifier,
			      bool (*gone)(void *userdata, uint64_t workload), void *userdata)
{
	struct ebb_classifier *c = classifier;
	struct entry *entry, *next;
	uint32_t forgotten = 0;

	HASH_ITER (hh, c->entries, entry, next) {
		if (!gone(userdata, entry->workload))
			continue;
		(void)c->ops.remove(c->ops.userdata, entry->workload);
		forget(c, entry);
		forgotten++;
	}
	return forgotten;
}

/* --------------------------------------------------------------- our own -- */

/* Is this process in the cgroup, and is anybody else? A process that we cannot see has number 0. */
static bool holds_us(int dir_fd, bool *ret_alone)
{
	int fd = openat(dir_fd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	_cleanup_fclose_ FILE *f = fd >= 0 ? fdopen(fd, "r") : NULL;
	bool found = false, alone = true;
	long pid;

	if (!f) {
		if (fd >= 0)
			(void)close(fd);
		return false;
	}
	while (fscanf(f, "%ld", &pid) == 1) {
		if (pid == (long)getpid())
			found = true;
		else
			alone = false;
	}
	*ret_alone = alone;
	return found;
}

struct search {
	char *path; /* below the mount */
	size_t size, length;
	bool alone;
};

/* @fd is closed. */
static bool search_us(struct search *s, int fd, unsigned int depth)
{
	_cleanup_closedir_ DIR *dir = fdopendir(fd);
	const struct dirent *item;

	if (!dir) {
		(void)close(fd);
		return false;
	}
	if (holds_us(fd, &s->alone))
		return true;
	while (depth < DEPTH_MAX && (item = readdir(dir))) {
		size_t before = s->length, name = strlen(item->d_name);
		int below;

		if (item->d_type != DT_DIR || strcmp(item->d_name, ".") == 0 ||
		    strcmp(item->d_name, "..") == 0 || before + name + 2 > s->size)
			continue;
		below = openat(fd, item->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (below < 0)
			continue;
		s->path[before] = '/';
		memcpy(s->path + before + 1, item->d_name, name + 1);
		s->length = before + 1 + name;
		if (search_us(s, below, depth + 1))
			return true;
		s->length = before;
		s->path[before] = '\0';
	}
	return false;
}

/* As /proc tells it: of the cgroup namespace, so it need not be a path below the mount. */
static bool told_by_proc(const char *mount, struct search *s)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/self/cgroup", "re");
	_cleanup_free_ char *line = NULL;
	char path[EBB_CGROUP_PATH_MAX * 2];
	_cleanup_close_ int fd = -1;
	size_t line_size = 0;

	while (f && getline(&line, &line_size, f) > 0) {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, "0::/", 4) != 0)
			continue;
		if ((size_t)snprintf(path, sizeof(path), "%s%s", mount, line + 3) >= sizeof(path) ||
		    (size_t)snprintf(s->path, s->size, "%s", line + 3) >= s->size)
			return false;
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		return fd >= 0 && holds_us(fd, &s->alone);
	}
	return false;
}

int ebb_classifier_own(const char *mount, const char *attach, char *ret_path, size_t size)
{
	char path[EBB_CGROUP_PATH_MAX];
	struct search s = {.path = path, .size = sizeof(path)};
	struct ebb_place place;

	if (!told_by_proc(mount, &s)) {
		int fd = open(mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		path[0] = '\0';
		if (fd < 0)
			return -errno;
		if (!search_us(&s, fd, 0))
			return -ENOENT;
	}
	ebb_place_of(path, &place);
	if (place.pod_length)
		path[place.pod_length] = '\0';
	else if (!s.alone)
		return -ENOENT;
	/* whoever attaches to a cgroup that holds the agent wants that governed */
	if (strlen(path) <= 1 || is_below(below_mount(mount, attach), path))
		return -ENOENT;
	if (strlen(path) >= size)
		return -ENAMETOOLONG;
	memcpy(ret_path, path, strlen(path) + 1);
	return 0;
}
