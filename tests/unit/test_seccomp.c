/* SPDX-License-Identifier: Apache-2.0 */
/*
 * user/agent/seccomp.c in processes of their own, since a filter stays: what an intruder would call is refused in every
 * thread, what the agent and its libraries call is not, and both are told by name.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/seccomp.h"

/* What went wrong in the child ends it: 0 is nothing, 77 that a sanitizer is in this build, and so it says. */
#define EXPECT(condition)                                                                        \
	do {                                                                                     \
		if (!(condition)) {                                                              \
			(void)fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #condition, \
				      strerror(errno));                                          \
			_exit(1);                                                                \
		}                                                                                \
	} while (0)

#define REFUSED(call) EXPECT((call) == -1 && errno == EPERM)

static void in_child(void (*run)(void))
{
	pid_t pid = fork();
	int status = 0;

	assert_return_code(pid, errno);
	if (pid == 0) {
		run();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	/* there the agent has no filter, and that is what is to be seen */
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		print_message("a sanitizer is in this build: no filter\n");
	else
		assert_int_equal(status, 0);
}

static struct ebb_seccomp *install(enum ebb_seccomp_mode mode, bool enters_namespaces)
{
	struct ebb_seccomp *seccomp = NULL;
	struct ebb_why why = {};
	int r = ebb_seccomp_new(mode, enters_namespaces, &seccomp, &why);

	if (r == -ENOSYS && strstr(why.text, "sanitizer"))
		_exit(77);
	if (r < 0)
		(void)fprintf(stderr, "%s\n", why.text);
	EXPECT(r == 0 && seccomp && ebb_seccomp_is_told(seccomp));
	return seccomp;
}

/* ----------------------------------------------------------------- refused -- */

static void try_programs_and_processes(void)
{
	static char name[] = "/bin/true";
	static char *const argv[] = {name, NULL};

	REFUSED(execve(name, argv, environ));
	REFUSED(syscall(SYS_execveat, AT_FDCWD, name, argv, environ, 0));
	REFUSED(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
	REFUSED(syscall(SYS_process_vm_readv, getppid(), NULL, 0UL, NULL, 0UL, 0UL));
	REFUSED(syscall(SYS_pidfd_open, getppid(), 0));
	REFUSED(kill(getppid(), SIGCONT));
	REFUSED(syscall(SYS_tgkill, getppid(), getppid(), SIGCONT));
	REFUSED(prlimit(getppid(), RLIMIT_CORE, NULL, &(struct rlimit){}));
}

static void try_kernel_and_identity(void)
{
	REFUSED(syscall(SYS_init_module, "", 0UL, ""));
	REFUSED(syscall(SYS_finit_module, -1, "", 0));
	REFUSED(syscall(SYS_kexec_load, 0UL, 0UL, NULL, 0UL));
	REFUSED(mount("none", "/", "tmpfs", 0, NULL));
	REFUSED(umount2("/nowhere", 0));
	REFUSED(syscall(SYS_pivot_root, "/", "/"));
	REFUSED(chroot("/"));
	REFUSED(unshare(CLONE_NEWUSER));
	REFUSED(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL));
	EXPECT(syscall(SYS_clone3, NULL, 0UL) == -1 && errno == ENOSYS);
	REFUSED(setns(-1, 0));
	REFUSED(syscall(SYS_setuid, 0));
	REFUSED(syscall(SYS_capset, NULL, NULL));
	REFUSED(personality(0xffffffff));
	REFUSED(syscall(SYS_open_by_handle_at, -1, NULL, 0));
	REFUSED(syscall(SYS_mknodat, AT_FDCWD, "/nowhere/x", 0, 0));
	REFUSED(syscall(SYS_userfaultfd, 0));
}

static void try_memory_and_sockets(void)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	EXPECT(page != MAP_FAILED);
	REFUSED(mprotect(page, 4096, PROT_READ | PROT_EXEC));
	EXPECT(mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
		       MAP_FAILED &&
	       errno == EPERM);
	REFUSED(socket(AF_PACKET, SOCK_RAW, 0));
	REFUSED(socket(AF_ALG, SOCK_SEQPACKET, 0));
	REFUSED(socket(AF_VSOCK, SOCK_STREAM, 0));
	/* not there, so that who asks does it in another way; also what nobody has a name for */
	EXPECT(syscall(SYS_io_uring_setup, 1, NULL) == -1 && errno == ENOSYS);
	EXPECT(syscall(SYS_keyctl, 0, 0, 0, 0, 0) == -1 && errno == ENOSYS);
	EXPECT(syscall(100000) == -1 && errno == ENOSYS);
}

static void refuse(void)
{
	struct ebb_seccomp *seccomp = install(EBB_SECCOMP_ON, false);

	try_programs_and_processes();
	try_kernel_and_identity();
	try_memory_and_sockets();
	EXPECT(ebb_seccomp_count(seccomp) >= 25);
}

static void what_an_intruder_needs_is_refused(void **state)
{
	(void)state;
	in_child(refuse);
}

/* ----------------------------------------------------------------- threads -- */

static pthread_barrier_t gate;

static void *try_in_thread(void *waits)
{
	if (waits)
		(void)pthread_barrier_wait(&gate);
	REFUSED(personality(0xffffffff));
	return NULL;
}

static void refuse_in_threads(void)
{
	pthread_t before, after;

	EXPECT(pthread_barrier_init(&gate, NULL, 2) == 0);
	EXPECT(pthread_create(&before, NULL, try_in_thread, &gate) == 0);
	(void)install(EBB_SECCOMP_ON, false);
	(void)pthread_barrier_wait(&gate);
	EXPECT(pthread_join(before, NULL) == 0);
	EXPECT(pthread_create(&after, NULL, try_in_thread, NULL) == 0);
	EXPECT(pthread_join(after, NULL) == 0);
}

static void threads_from_before_and_after_are_refused_too(void **state)
{
	(void)state;
	in_child(refuse_in_threads);
}

/* -------------------------------------------------------------------- told -- */

struct news {
	unsigned int count;
	uint64_t times;
	char name[32];
};

static void hear(void *userdata, const char *name, uint64_t count)
{
	struct news *news = userdata;

	news->count++;
	news->times = count;
	(void)snprintf(news->name, sizeof(news->name), "%s", name);
}

static void tell(void)
{
	struct ebb_seccomp *seccomp = install(EBB_SECCOMP_ON, false);
	struct news news = {};

	ebb_seccomp_news(seccomp, hear, &news);
	EXPECT(news.count == 0);
	for (int i = 0; i < 3; i++)
		REFUSED(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
	ebb_seccomp_news(seccomp, hear, &news);
	EXPECT(news.count == 1 && news.times == 3 && strcmp(news.name, "ptrace") == 0);
	ebb_seccomp_news(seccomp, hear, &news);
	EXPECT(news.count == 1 && ebb_seccomp_count(seccomp) == 3);
	/* nobody answers any more: refused as not there */
	ebb_seccomp_free(seccomp);
	EXPECT(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == -1 && errno == ENOSYS);
}

static void what_is_refused_is_told_once_by_name(void **state)
{
	(void)state;
	in_child(tell);
}

static void only_tell(void)
{
	struct ebb_seccomp *seccomp = install(EBB_SECCOMP_LOG, false);
	struct news news = {};

	EXPECT(personality(0xffffffff) >= 0);
	ebb_seccomp_news(seccomp, hear, &news);
	EXPECT(news.count == 1 && news.times == 1 && strcmp(news.name, "personality") == 0);
}

static void log_does_it_and_tells(void **state)
{
	(void)state;
	in_child(only_tell);
}

/* Only one filter of a process may ask somebody: a container's runtime may have taken that place. */
static void beside_another(void)
{
	struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog program = {.len = 1, .filter = &allow};
	struct ebb_seccomp *seccomp = NULL;
	struct ebb_why why = {};
	int r;

	EXPECT(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	EXPECT(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program) >=
	       0);
	r = ebb_seccomp_new(EBB_SECCOMP_ON, false, &seccomp, &why);
	if (r == -ENOSYS && strstr(why.text, "sanitizer"))
		_exit(77);
	EXPECT(r == 0 && seccomp && !ebb_seccomp_is_told(seccomp));
	REFUSED(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
	EXPECT(ebb_seccomp_count(seccomp) == 0);
}

static void where_another_filter_asks_the_kernel_refuses_alone(void **state)
{
	(void)state;
	in_child(beside_another);
}

/* ----------------------------------------------------------------- allowed -- */

static void go_on(void)
{
	struct ebb_seccomp *seccomp = install(EBB_SECCOMP_ON, true);
	int fds[2];

	EXPECT(kill(getppid(), 0) == 0);
	EXPECT(raise(0) == 0);
	EXPECT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
	EXPECT(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
	EXPECT(setns(-1, 0) == -1 && errno == EBADF);
	EXPECT(socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0) >= 0 || errno == EAFNOSUPPORT);
	EXPECT(getrlimit(RLIMIT_NOFILE, &(struct rlimit){}) == 0);
	EXPECT(ebb_seccomp_count(seccomp) == 0);
}

static void what_the_agent_calls_goes_on(void **state)
{
	(void)state;
	in_child(go_on);
}

static void off_is_off(void **state)
{
	struct ebb_seccomp *seccomp = NULL;

	(void)state;
	assert_int_equal(ebb_seccomp_new(EBB_SECCOMP_OFF, false, &seccomp, NULL), 0);
	assert_null(seccomp);
	assert_true(personality(0xffffffff) >= 0);
	ebb_seccomp_news(NULL, hear, NULL);
	ebb_seccomp_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_an_intruder_needs_is_refused),
		cmocka_unit_test(threads_from_before_and_after_are_refused_too),
		cmocka_unit_test(what_is_refused_is_told_once_by_name),
		cmocka_unit_test(log_does_it_and_tells),
		cmocka_unit_test(where_another_filter_asks_the_kernel_refuses_alone),
		cmocka_unit_test(what_the_agent_calls_goes_on),
		cmocka_unit_test(off_is_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
