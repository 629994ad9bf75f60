// SPDX-License-Identifier: Apache-2.0
#include "server.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "lib/cleanup.h"

#define BUFFER_SIZE 4096
#define NEAR	    "10.9.8.1"
#define FAR_HOST    0x0a090802U /* 10.9.8.2 */

static int fail(const char *what)
{
	int r = errno ? -errno : -EIO;

	(void)fprintf(stderr, "ebb-bench: server: %s: %s\n", what, strerror(-r));
	return r;
}

int bench_run_shell(const char *line)
{
	pid_t child = fork();
	int status = 0;

	if (child == 0) {
		(void)execl("/bin/sh", "sh", "-c", line, (char *)NULL);
		_exit(127);
	}
	errno = 0;
	if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
		return fail(line);
	return 0;
}

void bench_leave_cpu(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	int here = sched_getcpu();
	cpu_set_t set;

	CPU_ZERO(&set);
	for (int cpu = 0; cpu < cpus && cpu < CPU_SETSIZE; cpu++) {
		if (cpu != here)
			CPU_SET((unsigned int)cpu, &set);
	}
	(void)sched_setaffinity(0, sizeof(set), &set);
}

static int go_far(void)
{
	char line[256];

	if (unshare(CLONE_NEWNET) < 0)
		return fail("unshare");
	(void)snprintf(line, sizeof(line),
		       "ip link add far0 type veth peer name near0 netns %d && "
		       "ip addr add 10.9.8.2/24 dev far0 && ip link set far0 up",
		       (int)getppid());
	return bench_run_shell(line);
}

static bool send_bulk(int client)
{
	static const char bytes[1 << 16];
	size_t left = BENCH_BULK;
	ssize_t n = 1;

	while (left > 0 && n > 0) {
		n = send(client, bytes, left < sizeof(bytes) ? left : sizeof(bytes), MSG_NOSIGNAL);
		left -= n > 0 ? (size_t)n : 0;
	}
	return left == 0;
}

static void answer(int client, size_t request_size, size_t answer_size)
{
	char bytes[BUFFER_SIZE] = {0};
	bool more = true;
	int one = 1;

	(void)setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	while (more && recv(client, bytes, request_size, MSG_WAITALL) == (ssize_t)request_size) {
		if (bytes[0] == BENCH_ASK_BULK)
			more = send_bulk(client);
		else
			more = send(client, bytes, answer_size, MSG_NOSIGNAL) == (ssize_t)answer_size &&
			       bytes[0] == BENCH_ASK_MORE;
	}
	(void)close(client);
}

/* Tells its port, and serves until it is killed. */
static int serve(bool far, size_t request_size, size_t answer_size, int tell)
{
	uint16_t port;
	int listener, r;

	bench_leave_cpu();
	r = far ? go_far() : 0;
	if (r == 0)
		r = bench_listen(&listener, &port);
	if (r == 0 && write(tell, &port, sizeof(port)) != sizeof(port))
		r = fail("write");
	(void)close(tell);
	while (r == 0) {
		int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

		if (client < 0)
			r = fail("accept");
		else
			answer(client, request_size, answer_size);
	}
	return r;
}

int bench_server_start(struct bench_server *server, bool far, size_t request_size, size_t answer_size)
{
	_cleanup_close_ int hear = -1, tell = -1;
	uint16_t port = 0;
	int ends[2], r;

	if (request_size > BUFFER_SIZE || answer_size > BUFFER_SIZE)
		return -EINVAL;
	if (pipe(ends) < 0)
		return fail("pipe");
	hear = ends[0];
	tell = ends[1];
	server->pid = fork();
	if (server->pid < 0) {
		server->pid = 0;
		return fail("fork");
	}
	if (server->pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(serve(far, request_size, answer_size, tell) == 0 ? 0 : 1);
	}
	(void)close(TAKE_FD(tell));
	errno = 0;
	r = read(hear, &port, sizeof(port)) == sizeof(port) ? 0 : fail("it did not start");
	if (r == 0 && far)
		r = bench_run_shell("ip addr add " NEAR "/24 dev near0 && ip link set near0 up");
	server->address = bench_address(0, port);
	if (far)
		server->address.sin_addr.s_addr = htonl(FAR_HOST);
	if (r < 0)
		bench_server_stop(server);
	return r;
}

void bench_server_stop(struct bench_server *server)
{
	if (!server->pid)
		return;
	(void)kill(server->pid, SIGKILL);
	(void)waitpid(server->pid, NULL, 0);
	server->pid = 0;
}
