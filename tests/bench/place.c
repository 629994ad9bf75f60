// SPDX-License-Identifier: Apache-2.0
/* Where the measuring happens: processor, cgroup, addresses, and how busy the machine is. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "lib/cleanup.h"

static int fail(const char *what)
{
	int r = -errno;

	(void)fprintf(stderr, "ebb-bench: %s: %s\n", what, strerror(-r));
	return r;
}

int bench_pin_cpu(int cpu)
{
	cpu_set_t set;

	if (cpu < 0)
		cpu = (int)sysconf(_SC_NPROCESSORS_ONLN) - 1;
	CPU_ZERO(&set);
	CPU_SET((unsigned int)cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set) < 0 ? fail("sched_setaffinity") : 0;
}

int bench_enter_cgroup(const char *path)
{
	_cleanup_close_ int fd = -1;
	char procs[512];

	(void)snprintf(procs, sizeof(procs), "%s/cgroup.procs", path);
	fd = open(procs, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "0", 1) != 1)
		return fail(procs);
	return 0;
}

int bench_in_workload(const char *cgroup, uint32_t workload, int (*run)(void *data), void *data)
{
	struct clone_args args = {.flags = CLONE_INTO_CGROUP | CLONE_FILES, .exit_signal = SIGCHLD};
	_cleanup_close_ int fd = -1;
	char path[512];
	int status = 0;
	pid_t child;

	(void)snprintf(path, sizeof(path), "%s/w%u", cgroup, workload);
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return fail(path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return fail(path);
	args.cgroup = (__u64)fd;
	child = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (child == 0)
		_exit(run(data) == 0 ? 0 : 1);
	if (child < 0 || waitpid(child, &status, 0) != child)
		return fail("clone3");
	return status == 0 ? 0 : -EIO;
}

struct sockaddr_in bench_address(uint32_t n, uint16_t port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons(port),
		/* x from 1, so that nothing of the machine's own is met; z from 1 to 250 */
		.sin_addr.s_addr = htonl(0x7f000000U | (1U + n / 62500U) << 16 | (n / 250U % 250U) << 8 |
					 (n % 250U + 1U)),
	};
}

static int bind_any(int *ret_fd, uint16_t *ret_port)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t size = sizeof(address);
	_cleanup_close_ int fd = -1;

	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) < 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &size) < 0)
		return fail("cannot take a port");
	*ret_port = ntohs(address.sin_port);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int bench_listen(int *ret_fd, uint16_t *ret_port)
{
	_cleanup_close_ int fd = -1;
	int r;

	r = bind_any(&fd, ret_port);
	if (r < 0)
		return r;
	if (listen(fd, SOMAXCONN) < 0)
		return fail("listen");
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int bench_closed_port(int *ret_fd, uint16_t *ret_port)
{
	return bind_any(ret_fd, ret_port);
}

void *bench_accept_all(void *listener)
{
	int fd;

	while ((fd = accept4(*(const int *)listener, NULL, NULL, SOCK_CLOEXEC)) >= 0)
		(void)close(fd);
	return NULL;
}

static _Noreturn void burn(int cpu)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)bench_pin_cpu(cpu);
	for (;;)
		__asm__ volatile("" ::: "memory");
}

int bench_burners_start(struct bench_burners *burners)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	pid_t pid;

	burners->count = 0;
	for (int cpu = 0; cpu < cpus && cpu < BENCH_BURNERS_MAX; cpu++) {
		pid = fork();
		if (pid < 0) {
			int r = fail("fork");

			bench_burners_stop(burners);
			return r;
		}
		if (pid == 0)
			burn(cpu);
		burners->pids[burners->count++] = pid;
	}
	return 0;
}

void bench_burners_stop(struct bench_burners *burners)
{
	for (int i = 0; i < burners->count; i++) {
		(void)kill(burners->pids[i], SIGKILL);
		(void)waitpid(burners->pids[i], NULL, 0);
	}
	burners->count = 0;
}
