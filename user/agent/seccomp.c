/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/seccomp.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/thread.h"

#if defined(__has_feature)
#define HAS_FEATURE(feature) __has_feature(feature)
#else
#define HAS_FEATURE(feature) 0
#endif

/* They trace their own process when it ends, and start programs that name addresses. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || HAS_FEATURE(address_sanitizer) || \
	HAS_FEATURE(thread_sanitizer)
#define SANITIZED true
#else
#define SANITIZED false
#endif

#define NUMBERS_MAX 1024 /* of system calls; the greatest one in use is below 500 */

/*
 * What our end-to-end tests were seen to call, and what libraries and other kernels, architectures and versions
 * of them may call in its place. Where in doubt a call is in it that does not help an intruder. It is not: to start programs;
 * to look into other processes or signal them; modules, mounts, namespaces, clocks, swapping, reboot; other identities
 * and more capabilities; keyrings; io_uring, which goes past filters; devices' nodes; file handles.
 */
static const char *const allowed[] = {
	/* descriptors */
	"close", "close_range", "copy_file_range", "dup", "dup2", "dup3", "fcntl", "ioctl", "lseek", "pipe",
	"pipe2", "pread64", "preadv", "preadv2", "pwrite64", "pwritev", "pwritev2", "read", "readv",
	"sendfile", "splice", "write", "writev",
	/* files */
	"access", "chmod", "chown", "creat", "faccessat", "faccessat2", "fadvise64", "fallocate", "fchmod",
	"fchmodat", "fchown", "fchownat", "fdatasync", "fgetxattr", "flock", "fstat", "fstatfs", "fsync",
	"ftruncate", "getcwd", "getdents", "getdents64", "getxattr", "inotify_add_watch", "inotify_init",
	"inotify_init1", "inotify_rm_watch", "lchown", "link", "linkat", "listxattr", "lstat", "mkdir",
	"mkdirat", "newfstatat", "open", "openat", "openat2", "readahead", "readlink", "readlinkat", "rename",
	"renameat", "renameat2", "rmdir", "stat", "statfs", "statx", "symlink", "symlinkat",
	"sync_file_range", "truncate", "umask", "unlink", "unlinkat", "utimensat",
	/* waiting */
	"epoll_create", "epoll_create1", "epoll_ctl", "epoll_pwait", "epoll_pwait2", "epoll_wait", "eventfd",
	"eventfd2", "pause", "poll", "ppoll", "pselect6", "select", "signalfd", "signalfd4", "timerfd_create",
	"timerfd_gettime", "timerfd_settime",
	/* sockets; which ones may be made: below */
	"accept", "accept4", "bind", "connect", "getpeername", "getsockname", "getsockopt", "listen",
	"recvfrom", "recvmmsg", "recvmsg", "sendmmsg", "sendmsg", "sendto", "setsockopt", "shutdown",
	/* memory; what may be executed: below */
	"brk", "get_mempolicy", "madvise", "membarrier", "memfd_create", "mincore", "mlock", "mlock2",
	"mremap", "msync", "munlock", "munmap",
	/* time */
	"alarm", "clock_getres", "clock_gettime", "clock_nanosleep", "getitimer", "gettimeofday", "nanosleep",
	"setitimer", "time", "timer_create", "timer_delete", "timer_getoverrun", "timer_gettime",
	"timer_settime", "times",
	/* threads, and what the process asks about itself */
	"arch_prctl", "capget", "exit", "exit_group", "futex", "futex_waitv", "get_robust_list", "getcpu",
	"getegid", "geteuid", "getgid", "getgroups", "getpgid", "getpgrp", "getpid", "getppid", "getpriority",
	"getrandom", "getresgid", "getresuid", "getrlimit", "getrusage", "getsid", "gettid", "getuid",
	"prctl", "restart_syscall", "rseq", "rt_sigaction", "rt_sigpending", "rt_sigprocmask", "rt_sigreturn",
	"rt_sigsuspend", "rt_sigtimedwait", "sched_get_priority_max", "sched_get_priority_min",
	"sched_getaffinity", "sched_getattr", "sched_getparam", "sched_getscheduler", "sched_yield",
	"set_robust_list", "set_tid_address", "setrlimit", "sigaltstack", "sysinfo", "uname", "wait4",
	"waitid",
	/* what it is for; how long its programs run */
	"bpf", "perf_event_open"};

/*
 * Libraries ask for these where the kernel has them: it has not, then, and nobody is told. What clone3() is asked lies in
 * memory, where no filter looks: who gets no answer from it calls clone().
 */
static const char *const not_there[] = {
	"add_key", "clone3", "io_uring_enter", "io_uring_register", "io_uring_setup", "keyctl", "request_key",
};

struct ebb_seccomp {
	enum ebb_seccomp_mode mode;
	int notify_fd; /* -1: another filter answers, of a container's runtime */
	int stop_fd;
	struct seccomp_notif *request;
	struct seccomp_notif_resp *response;
	pthread_t thread;
	bool runs;
	uint64_t count;
	uint64_t counts[NUMBERS_MAX]; /* the last: of all numbers beyond */
	uint64_t told[NUMBERS_MAX];
	uint64_t told_count;
};

/* ----------------------------------------------------------------- filter -- */

static int add(scmp_filter_ctx filter, uint32_t action, const char *name)
{
	int number = seccomp_syscall_resolve_name(name);

	/* not of this architecture, or newer than the library */
	return number < 0 ? 0 : seccomp_rule_add(filter, action, number, 0);
}

/* Where argument @arg is @value, of what @mask leaves of it. */
static int allow_if(scmp_filter_ctx filter, int number, unsigned int arg, scmp_datum_t mask,
		    scmp_datum_t value)
{
	const struct scmp_arg_cmp condition = {.arg = arg,
					       .op = SCMP_CMP_MASKED_EQ,
					       .datum_a = mask,
					       .datum_b = value};

	return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, number, 1, &condition);
}

#define WHOLE (~(scmp_datum_t)0)

/* Memory that is written is never executed: not at once, and not later. Libraries are still loaded. */
static int allow_memory(scmp_filter_ctx filter)
{
	int r = allow_if(filter, SCMP_SYS(mmap), 2, PROT_EXEC, 0);

	if (r == 0)
		r = allow_if(filter, SCMP_SYS(mmap), 2, PROT_WRITE, 0);
	if (r == 0)
		r = allow_if(filter, SCMP_SYS(mprotect), 2, PROT_EXEC, 0);
	return r;
}

static int allow_sockets(scmp_filter_ctx filter)
{
	static const unsigned int families[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};
	int r = 0;

	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]) && r == 0; i++) {
		r = allow_if(filter, SCMP_SYS(socket), 0, WHOLE, families[i]);
		if (r == 0)
			r = allow_if(filter, SCMP_SYS(socketpair), 0, WHOLE, families[i]);
	}
	return r;
}

/* Threads and forks, in the namespaces where we are. */
static int allow_threads(scmp_filter_ctx filter)
{
	const scmp_datum_t namespaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
					CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;

	return allow_if(filter, SCMP_SYS(clone), 0, namespaces, 0);
}

/*
 * Others are asked whether they are there; only ourselves are sent a signal, as abort() does, limited, or given another
 * priority, for which we may have the right to do it to all.
 */
static int allow_processes(scmp_filter_ctx filter)
{
	scmp_datum_t own = (scmp_datum_t)getpid();
	int r = allow_if(filter, SCMP_SYS(kill), 1, WHOLE, 0);

	if (r == 0)
		r = allow_if(filter, SCMP_SYS(kill), 0, WHOLE, own);
	if (r == 0)
		r = allow_if(filter, SCMP_SYS(tgkill), 0, WHOLE, own);
	if (r == 0)
		r = allow_if(filter, SCMP_SYS(prlimit64), 0, WHOLE, 0);
	if (r == 0)
		r = allow_if(filter, SCMP_SYS(prlimit64), 0, WHOLE, own);
	if (r == 0)
		r = allow_if(filter, SCMP_SYS(sched_setscheduler), 0, WHOLE, 0);
	if (r == 0)
		r = allow_if(filter, SCMP_SYS(setpriority), 1, WHOLE, 0);
	return r;
}

static int fill(scmp_filter_ctx filter, uint32_t otherwise, bool enters_namespaces)
{
	int r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);

	for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]) && r == 0; i++)
		r = add(filter, SCMP_ACT_ALLOW, allowed[i]);
	/* without CAP_DAC_READ_SEARCH the kernel says the same, and who asks walks instead (node/cgroup.c) */
	if (r == 0 && otherwise != SCMP_ACT_ERRNO(EPERM))
		r = add(filter, SCMP_ACT_ERRNO(EPERM), "open_by_handle_at");
	for (size_t i = 0; i < sizeof(not_there) / sizeof(not_there[0]) && r == 0; i++)
		r = add(filter, SCMP_ACT_ERRNO(ENOSYS), not_there[i]);
	if (r == 0)
		r = allow_memory(filter);
	if (r == 0)
		r = allow_sockets(filter);
	if (r == 0)
		r = allow_threads(filter);
	if (r == 0)
		r = allow_processes(filter);
	if (r == 0 && enters_namespaces)
		r = add(filter, SCMP_ACT_ALLOW, "setns");
	return r;
}

/* @otherwise: what becomes of a call that is not in the list. */
static int install(uint32_t otherwise, bool enters_namespaces, int *ret_notify_fd)
{
	scmp_filter_ctx filter = seccomp_init(otherwise);
	int r;

	if (!filter)
		return -ENOMEM;
	r = fill(filter, otherwise, enters_namespaces);
	/* in the kernel's log: an errno is not, unless asked for */
	if (r == 0 && otherwise != SCMP_ACT_NOTIFY)
		r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_LOG, 1);
	if (r == 0)
		r = seccomp_load(filter);
	if (r == 0 && otherwise == SCMP_ACT_NOTIFY)
		*ret_notify_fd = seccomp_notify_fd(filter);
	seccomp_release(filter);
	return r;
}

/* ----------------------------------------------------------------- answer -- */

/* A call that libseccomp has no name for may be newer than both: a C library tries the older one after ENOSYS only. */
static int refusal(int number)
{
	char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, number);
	int r = name ? -EPERM : -ENOSYS;

	free(name);
	return r;
}

static void count(struct ebb_seccomp *s, int number)
{
	size_t slot = number >= 0 && number < NUMBERS_MAX ? (size_t)number : NUMBERS_MAX - 1;

	__atomic_fetch_add(&s->counts[slot], 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&s->count, 1, __ATOMIC_RELAXED);
}

/* Who asked may have been ended meanwhile: then there is nobody to answer. */
static void answer(struct ebb_seccomp *s)
{
	struct seccomp_notif_resp *response = s->response;
	struct seccomp_notif *request = s->request;

	memset(request, 0, sizeof(*request));
	if (seccomp_notify_receive(s->notify_fd, request) < 0)
		return;
	count(s, request->data.nr);
	memset(response, 0, sizeof(*response));
	response->id = request->id;
	if (s->mode == EBB_SECCOMP_LOG)
		response->flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	else
		response->error = refusal(request->data.nr);
	(void)seccomp_notify_respond(s->notify_fd, response);
}

static void *work(void *argument)
{
	struct ebb_seccomp *s = argument;
	struct pollfd sources[] = {{.fd = s->notify_fd, .events = POLLIN},
				   {.fd = s->stop_fd, .events = POLLIN}};

	(void)pthread_setname_np(pthread_self(), "ebb-seccomp");
	while (!(sources[1].revents & POLLIN)) {
		if (poll(sources, 2, -1) > 0 && sources[0].revents & POLLIN)
			answer(s);
	}
	return NULL;
}

static int start_thread(struct ebb_seccomp *s)
{
	int r = ebb_thread_start(&s->thread, work, s);

	s->runs = r == 0;
	return r;
}

/* ----------------------------------------------------------------- public -- */

int ebb_seccomp_new(enum ebb_seccomp_mode mode, bool enters_namespaces, struct ebb_seccomp **ret_seccomp,
		    struct ebb_why *why)
{
	struct ebb_seccomp *s;
	int r;

	*ret_seccomp = NULL;
	if (mode == EBB_SECCOMP_OFF)
		return 0;
	if (SANITIZED)
		return ebb_why(why, -ENOSYS, "it was made with a sanitizer, which makes calls of its own");
	s = calloc(1, sizeof(*s));
	if (!s)
		return ebb_why(why, -ENOMEM, "out of memory");
	s->mode = mode;
	s->notify_fd = -1;
	s->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (s->stop_fd < 0) {
		r = -errno;
		free(s);
		return ebb_why(why, r, "%s", ebb_strerror(r));
	}
	/* before the filter: it asks the kernel how large they are, and afterwards that call is refused, by its own thread */
	r = seccomp_notify_alloc(&s->request, &s->response);
	if (r == 0)
		r = install(SCMP_ACT_NOTIFY, enters_namespaces, &s->notify_fd);
	/* -EBUSY of the kernel, in whichever words of the library: one of its filters may ask, and one does already */
	if (r < 0)
		r = install(mode == EBB_SECCOMP_LOG ? SCMP_ACT_LOG : SCMP_ACT_ERRNO(EPERM), enters_namespaces,
			    NULL);
	else
		r = start_thread(s);
	if (r < 0) {
		ebb_seccomp_free(s);
		return ebb_why(why, r, "%s", ebb_strerror(r));
	}
	*ret_seccomp = s;
	return 0;
}

void ebb_seccomp_free(struct ebb_seccomp *seccomp)
{
	const uint64_t one = 1;

	if (!seccomp)
		return;
	if (seccomp->runs && write(seccomp->stop_fd, &one, sizeof(one)) == sizeof(one))
		(void)pthread_join(seccomp->thread, NULL);
	if (seccomp->notify_fd >= 0)
		(void)close(seccomp->notify_fd);
	(void)close(seccomp->stop_fd);
	seccomp_notify_free(seccomp->request, seccomp->response);
	free(seccomp);
}

uint64_t ebb_seccomp_count(const struct ebb_seccomp *seccomp)
{
	return seccomp ? __atomic_load_n(&seccomp->count, __ATOMIC_RELAXED) : 0;
}

bool ebb_seccomp_is_told(const struct ebb_seccomp *seccomp)
{
	return seccomp && seccomp->notify_fd >= 0;
}

void ebb_seccomp_news(struct ebb_seccomp *seccomp, ebb_seccomp_told_fn told, void *userdata)
{
	struct ebb_seccomp *s = seccomp;

	if (ebb_seccomp_count(s) == (s ? s->told_count : 0))
		return;
	s->told_count = ebb_seccomp_count(s);
	for (int number = 0; number < NUMBERS_MAX; number++) {
		uint64_t counted = __atomic_load_n(&s->counts[number], __ATOMIC_RELAXED);
		_cleanup_free_ char *name = NULL;

		if (counted == s->told[number])
			continue;
		s->told[number] = counted;
		name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, number);
		told(userdata, name ? name : "unknown", counted);
	}
}
