/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/follow.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "lib/cleanup.h"

#define NS_PER_MS 1000000LL
#define LOOK_NS	  (2000 * NS_PER_MS)
#define SETTLE_NS (30 * NS_PER_MS) /* after a writer has closed it: "echo >f; echo >>f" is one change */

#define SETTLE_TURNS 32

#define WATCHES 3 /* the directories of the path and of what it leads to, and that file */

/* So many looks, ten minutes, one who writes may take to go on or to close the file: 'tee' waits for who types. */
#define WRITER_LOOKS 300

/* Of a directory. Not IN_MODIFY, which is asked of the file alone: others may be written to all the time. */
#define EVENTS                                                                                   \
	(IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE | IN_DELETE_SELF | \
	 IN_MOVE_SELF | IN_ONLYDIR)

/* Which file is there, and which version of it. All zero: none. */
struct version {
	dev_t device;
	ino_t inode;
	off_t size;
	struct timespec modified, changed;
};

struct ebb_follow {
	const char *path;
	int inotify_fd; /* -1: there is none */
	int timer_fd;
	int epoll_fd; /* of both */
	int watches[WATCHES];
	char real_name[NAME_MAX + 1]; /* of the file that the path leads to; "": none */
	bool settling;		      /* a writer has closed it a moment ago, or it is gone for a moment */
	unsigned int turns;	      /* how often that moment was prolonged */
	unsigned int writer_looks;    /* for which one who writes is waited for; 0: nobody does */
	struct version known;
	struct version last_look; /* what the last look found that was not known */
};

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool same_version(const struct version *a, const struct version *b)
{
	return a->device == b->device && a->inode == b->inode && a->size == b->size &&
	       same_time(&a->modified, &b->modified) && same_time(&a->changed, &b->changed);
}

static struct version version_of(const struct stat *st)
{
	return (struct version){
		.device = st->st_dev,
		.inode = st->st_ino,
		.size = st->st_size,
		.modified = st->st_mtim,
		.changed = st->st_ctim,
	};
}

static struct version present(const struct ebb_follow *w)
{
	struct stat st;

	return stat(w->path, &st) < 0 ? (struct version){0} : version_of(&st);
}

static void arm(const struct ebb_follow *w, int64_t ns)
{
	const struct itimerspec spec = {
		.it_interval = {.tv_sec = LOOK_NS / 1000000000, .tv_nsec = LOOK_NS % 1000000000},
		.it_value = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000},
	};

	(void)timerfd_settime(w->timer_fd, 0, &spec, NULL);
}

/* ---------------------------------------------------------------- watches -- */

/* The directory of @path, into @path itself. */
static void cut_name(char *path)
{
	char *slash = strrchr(path, '/');

	if (!slash)
		memcpy(path, ".", sizeof("."));
	else
		slash[slash == path] = '\0';
}

/* Of the nearest directory above @path that is there. -1: nothing can be watched. */
static int add_directory(const struct ebb_follow *w, const char *path)
{
	char directory[PATH_MAX];
	int descriptor;

	if ((size_t)snprintf(directory, sizeof(directory), "%s", path) >= sizeof(directory))
		return -1;
	do {
		cut_name(directory);
		descriptor = inotify_add_watch(w->inotify_fd, directory, EVENTS);
	} while (descriptor < 0 && (errno == ENOENT || errno == ENOTDIR) && strcmp(directory, "/") != 0 &&
		 strcmp(directory, ".") != 0);
	return descriptor;
}

/* Half of the node writes to /dev/null, which may stand for no configuration: looking has to do. */
static bool is_device(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && !S_ISREG(st.st_mode);
}

/*
 * Where the path leads may change with each event. What is watched already gives the
 * descriptor that it has.
 */
static void watch_all(struct ebb_follow *w)
{
	_cleanup_free_ char *real = NULL;
	int next[WATCHES] = {-1, -1, -1};

	if (w->inotify_fd < 0)
		return;
	real = realpath(w->path, NULL);
	w->real_name[0] = '\0';
	if (!real || !is_device(real))
		next[0] = add_directory(w, w->path);
	if (real && next[0] >= 0) {
		next[1] = add_directory(w, real);
		next[2] = inotify_add_watch(w->inotify_fd, real, IN_MODIFY | IN_CLOSE_WRITE);
		(void)snprintf(w->real_name, sizeof(w->real_name), "%s", strrchr(real, '/') + 1);
	}
	for (int i = 0; i < WATCHES; i++) {
		if (w->watches[i] >= 0 && w->watches[i] != next[0] && w->watches[i] != next[1] &&
		    w->watches[i] != next[2])
			(void)inotify_rm_watch(w->inotify_fd, w->watches[i]);
	}
	memcpy(w->watches, next, sizeof(next));
}

/* ----------------------------------------------------------------- events -- */

struct news {
	bool any;
	bool placed;  /* something whole has taken the place of ours: a rename, a link */
	bool created; /* a file, or a link */
	bool written; /* closed by who wrote it */
	bool begun;   /* written to, and not closed since */
	bool made;    /* a file, or a link, and nothing since */
};

static void take_event(struct news *news, uint32_t mask)
{
	if (mask & IN_IGNORED) /* a watch has ended, of which was told before */
		return;
	news->written |= (mask & IN_CLOSE_WRITE) != 0;
	news->created |= (mask & IN_CREATE) != 0;
	news->placed |= (mask & ~(uint32_t)(IN_MODIFY | IN_CLOSE_WRITE | IN_CREATE)) != 0;
	news->begun = (mask & IN_MODIFY) != 0;
	news->made = (mask & IN_CREATE) != 0;
}

/* Ours is the last name of the path and of where it leads; "..data" and its like are Kubernetes'. */
static bool is_ours(const struct ebb_follow *w, const struct inotify_event *event)
{
	const char *name = strrchr(w->path, '/');

	if (event->len == 0)
		return true; /* of the directory itself, or of the file */
	name = name ? name + 1 : w->path;
	return strcmp(event->name, name) == 0 || strcmp(event->name, w->real_name) == 0 ||
	       strncmp(event->name, "..", 2) == 0;
}

static struct news read_events(const struct ebb_follow *w)
{
	char buffer[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	struct news news = {0};
	ssize_t n;

	if (w->inotify_fd < 0)
		return news;
	while ((n = read(w->inotify_fd, buffer, sizeof(buffer))) > 0) {
		for (ssize_t at = 0; at < n;) {
			const struct inotify_event *event = (const struct inotify_event *)(buffer + at);

			news.any = true;
			if (is_ours(w, event))
				take_event(&news, event->mask);
			at += (ssize_t)(sizeof(*event) + event->len);
		}
	}
	return news;
}

static bool is_link(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISLNK(st.st_mode);
}

static bool timer_is_due(const struct ebb_follow *w)
{
	uint64_t expirations;

	return read(w->timer_fd, &expirations, sizeof(expirations)) == sizeof(expirations);
}

/* Waits until it is quiet, but not for ever for one who writes all the time. */
static void settle(struct ebb_follow *w)
{
	if (!w->settling)
		w->turns = 0;
	w->settling = true;
	if (w->turns++ < SETTLE_TURNS)
		arm(w, SETTLE_NS);
}

/* Half of a file is not looked at: who empties it, or writes to it, is waited for. */
static void follow_writer(struct ebb_follow *w, const struct news *news, bool due)
{
	if (news->begun)
		w->writer_looks = WRITER_LOOKS;
	else if (news->written || news->placed)
		w->writer_looks = 0;
	else if (due && w->writer_looks > 0)
		w->writer_looks--;
}

bool ebb_follow_take(struct ebb_follow *follow)
{
	struct ebb_follow *w = follow;
	bool due = timer_is_due(w), told = false;
	struct news news = read_events(w);
	struct version now;

	if (news.any || due)
		watch_all(w);
	now = present(w);
	news.placed |= news.created && is_link(w->path);
	/* a second name of what is whole is made with what is in it */
	news.begun |= news.made && now.inode != 0 && now.size == 0;
	follow_writer(w, &news, due);
	if (same_version(&now, &w->known)) {
		/* a change that was taken back, or of a neighbour */
		w->settling = false;
	} else if (news.written || (news.placed && now.inode == 0)) {
		/* gone: perhaps for a moment, until an editor has put the new one there */
		settle(w);
	} else if (news.placed || (w->settling && due && !w->writer_looks)) {
		told = true;
	} else if (due && !w->writer_looks) {
		/* nobody told: it has to stand still from one look to the next */
		told = same_version(&now, &w->last_look);
	}
	w->last_look = now;
	if (told) {
		w->known = now;
		w->settling = false;
	}
	return told;
}

void ebb_follow_known(struct ebb_follow *follow)
{
	follow->known = present(follow);
	follow->last_look = follow->known;
	follow->settling = false;
}

/* ------------------------------------------------------------------- life -- */

static int join(int epoll_fd, int fd)
{
	struct epoll_event event = {.events = EPOLLIN};

	return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

int ebb_follow_new(const char *path, const struct stat *read_as, struct ebb_follow **ret_follow)
{
	struct ebb_follow *w = calloc(1, sizeof(*w));
	int r = 0;

	if (!w)
		return -ENOMEM;
	w->path = path;
	w->watches[0] = w->watches[1] = w->watches[2] = -1;
	w->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	w->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (w->timer_fd < 0 || w->epoll_fd < 0)
		r = -errno;
	if (r == 0)
		r = join(w->epoll_fd, w->timer_fd);
	if (r == 0 && w->inotify_fd >= 0)
		r = join(w->epoll_fd, w->inotify_fd);
	if (r < 0) {
		ebb_follow_free(w);
		return r;
	}
	watch_all(w);
	if (read_as)
		w->known = version_of(read_as);
	arm(w, LOOK_NS);
	*ret_follow = w;
	return 0;
}

void ebb_follow_free(struct ebb_follow *follow)
{
	if (!follow)
		return;
	if (follow->inotify_fd >= 0)
		(void)close(follow->inotify_fd);
	if (follow->timer_fd >= 0)
		(void)close(follow->timer_fd);
	if (follow->epoll_fd >= 0)
		(void)close(follow->epoll_fd);
	free(follow);
}

int ebb_follow_fd(const struct ebb_follow *follow)
{
	return follow->epoll_fd;
}
