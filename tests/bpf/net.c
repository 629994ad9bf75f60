/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets, peers and networks for the tests. */
#include "net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/cleanup.h"

uint64_t net_now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ULL + (uint64_t)ts.tv_nsec;
}

void net_nap(void)
{
	(void)nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL);
}

/* -------------------------------------------------------------- addresses -- */

struct address address(const char *text, uint16_t port)
{
	struct address a = {0};

	if (inet_pton(AF_INET, text, &a.v4.sin_addr) == 1) {
		a.v4.sin_family = AF_INET;
		a.v4.sin_port = htons(port);
		a.length = sizeof(a.v4);
		return a;
	}
	assert_int_equal(inet_pton(AF_INET6, text, &a.v6.sin6_addr), 1);
	a.v6.sin6_family = AF_INET6;
	a.v6.sin6_port = htons(port);
	a.length = sizeof(a.v6);
	return a;
}

struct address udp_address(const char *text, uint16_t port)
{
	struct address a = address(text, port);

	a.udp = true;
	return a;
}

uint16_t port_of(const struct address *a)
{
	return ntohs(a->sa.sa_family == AF_INET ? a->v4.sin_port : a->v6.sin6_port);
}

/* ---------------------------------------------------------------- sockets -- */

/* Moves a descriptor to where tear-down looks for forgotten ones. */
static int keep(int fd)
{
	int high;

	assert_true(fd >= 0);
	high = fcntl(fd, F_DUPFD_CLOEXEC, SOCKETS_FROM);
	(void)close(fd);
	assert_true(high >= 0);
	return high;
}

int tcp_socket(int family)
{
	return keep(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

int tcp_socket_nonblocking(int family)
{
	return keep(socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

void close_sockets(void)
{
	(void)close_range(SOCKETS_FROM, ~0U, 0);
}

void hang_up(int *fd)
{
	assert_int_equal(close(*fd), 0);
	*fd = -1;
}

void hang_up_hard(int *fd)
{
	struct linger linger = {.l_onoff = 1};

	assert_int_equal(setsockopt(*fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
	hang_up(fd);
}

int closed_port_at(const char *text, struct address *ret_at)
{
	struct address at = address(text, 0);
	int fd = tcp_socket(at.sa.sa_family);

	assert_int_equal(bind(fd, &at.sa, at.length), 0);
	assert_int_equal(getsockname(fd, &at.sa, &at.length), 0);
	*ret_at = at;
	return fd;
}

int listen_at(const char *text, struct address *ret_at)
{
	int fd = closed_port_at(text, ret_at);

	assert_int_equal(listen(fd, 256), 0);
	return fd;
}

int accept_from(int listener)
{
	struct pollfd poller = {.fd = listener, .events = POLLIN};

	assert_int_equal(poll(&poller, 1, DEADLINE_NS / 1000000), 1);
	return keep(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
}

int dial(int fd, const struct address *to)
{
	return connect(fd, &to->sa, to->length) < 0 ? -errno : 0;
}

int dial_and_wait(int fd, const struct address *to)
{
	struct pollfd poller = {.fd = fd, .events = POLLOUT};
	socklen_t length = sizeof(int);
	int r = dial(fd, to);
	int err = 0;

	if (r != -EINPROGRESS)
		return r;
	assert_int_equal(poll(&poller, 1, DEADLINE_NS / 1000000), 1);
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &length), 0);
	return -err;
}

int undial(int fd)
{
	struct sockaddr nowhere = {.sa_family = AF_UNSPEC};

	return connect(fd, &nowhere, sizeof(nowhere)) < 0 ? -errno : 0;
}

void send_all(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

void receive_all(int fd, size_t count)
{
	char buffer[256];

	assert_true(count <= sizeof(buffer));
	assert_int_equal(recv(fd, buffer, count, MSG_WAITALL), count);
}

int receive_end(int fd)
{
	struct pollfd poller = {.fd = fd, .events = POLLIN};
	char byte;
	ssize_t n;

	assert_int_equal(poll(&poller, 1, DEADLINE_NS / 1000000), 1);
	n = recv(fd, &byte, 1, 0);
	assert_true(n <= 0);
	return n < 0 ? errno : 0;
}

int udp_socket(int family)
{
	return keep(socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
}

int udp_bound_at(const char *text, struct address *ret_at)
{
	struct address at = udp_address(text, 0);
	int fd = udp_socket(at.sa.sa_family);

	assert_int_equal(bind(fd, &at.sa, at.length), 0);
	assert_int_equal(getsockname(fd, &at.sa, &at.length), 0);
	*ret_at = at;
	return fd;
}

int udp_send(int fd)
{
	return send(fd, "x", 1, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int udp_send_to(int fd, const struct address *to)
{
	return sendto(fd, "x", 1, MSG_NOSIGNAL, &to->sa, to->length) < 0 ? -errno : 0;
}

void udp_receive(int fd, struct address *ret_from)
{
	struct pollfd poller = {.fd = fd, .events = POLLIN};
	char byte;

	*ret_from = (struct address){.length = sizeof(ret_from->v6), .udp = true};
	assert_int_equal(poll(&poller, 1, DEADLINE_NS / 1000000), 1);
	assert_int_equal(recvfrom(fd, &byte, 1, 0, &ret_from->sa, &ret_from->length), 1);
}

static struct tcp_info info_of(int fd)
{
	struct tcp_info info = {0};
	socklen_t length = sizeof(info);

	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length), 0);
	return info;
}

uint32_t syn_retransmits(int fd)
{
	return info_of(fd).tcpi_retransmits;
}

uint32_t ms_since_received(int fd)
{
	return info_of(fd).tcpi_last_data_recv;
}

/* --------------------------------------------------------------- networks -- */

static int present_namespace(void)
{
	int ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	assert_true(ns >= 0);
	return ns;
}

static void loopback_up(void)
{
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &request), 0);
}

int namespace_new(void)
{
	int before = present_namespace();
	int made;

	assert_int_equal(unshare(CLONE_NEWNET), 0);
	loopback_up();
	made = keep(present_namespace());
	namespace_enter(before);
	(void)close(before);
	return made;
}

void namespace_enter(int ns)
{
	assert_int_equal(setns(ns, CLONE_NEWNET), 0);
}

int namespace_far(void)
{
	_cleanup_close_ int near = present_namespace();
	int far = namespace_new();

	shell("ip link add near0 type veth peer name far0 netns /proc/%d/fd/%d", getpid(), far);
	shell("ip addr add " NEAR4 "/24 dev near0");
	shell("ip addr add " NEAR6 "/64 dev near0 nodad");
	shell("ip link set near0 up");
	namespace_enter(far);
	shell("ip addr add " FAR4 "/24 dev far0");
	shell("ip addr add " FAR6 "/64 dev far0 nodad");
	shell("ip link set far0 up");
	namespace_enter(near);
	return far;
}

int listen_far(struct address *ret_at)
{
	int far = namespace_far(), here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), listener;

	assert_true(here >= 0);
	namespace_enter(far);
	listener = listen_at(FAR4, ret_at);
	namespace_enter(here);
	(void)close(here);
	return listener;
}

void drop_syn(uint16_t port)
{
	shell("nft add table inet hole");
	shell("nft 'add chain inet hole in { type filter hook input priority 0; }'");
	shell("nft add rule inet hole in tcp dport %u 'tcp flags & (syn | ack) == syn' drop", port);
}

void write_file(const char *path, const char *text)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		fail_msg("cannot write '%s' to %s: %s", text, path, strerror(errno));
}

/* -------------------------------------------------------------- processes -- */

void shell(const char *format, ...)
{
	char line[512];
	va_list args;
	pid_t child;
	int n;

	va_start(args, format);
	n = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	assert_true(n > 0 && (size_t)n < sizeof(line));
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		(void)execl("/bin/sh", "sh", "-c", line, (char *)NULL);
		_exit(127);
	}
	n = reap(child);
	if (n != 0)
		fail_msg("'%s' ended with %d", line, n);
}

pid_t spawn(int (*body)(void *argument), void *argument)
{
	pid_t parent = getpid();
	pid_t child = fork();

	assert_true(child >= 0);
	if (child > 0)
		return child;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(126);
	_exit(body(argument));
}

int reap(pid_t child)
{
	int status = 0;

	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}
