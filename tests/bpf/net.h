/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets, peers and networks for the tests. Everything here fails the running
 * test when it does not work, unless it says otherwise, and nothing here knows
 * of ebb.
 *
 * Sockets live at descriptor SOCKETS_FROM and above: what a failed assertion
 * left open is closed by close_sockets().
 */
#ifndef EBB_TESTS_BPF_NET_H
#define EBB_TESTS_BPF_NET_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#define SOCKETS_FROM 300
#define DEADLINE_NS  10000000000ULL

/* Waits for a condition; fails with its text after DEADLINE_NS. */
#define wait_for(condition)                                         \
	do {                                                        \
		uint64_t end_ = net_now_ns() + DEADLINE_NS;         \
		bool met_ = (condition);                            \
		while (!met_ && net_now_ns() < end_) {              \
			net_nap();                                  \
			met_ = (condition);                         \
		}                                                   \
		_assert_true(met_, #condition, __FILE__, __LINE__); \
	} while (0)

uint64_t net_now_ns(void);
void net_nap(void);

struct address {
	union {
		struct sockaddr sa;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	};
	socklen_t length;
	bool udp; /* else TCP */
};

/* "127.0.0.1", "::1", "::ffff:127.0.0.1" */
struct address address(const char *text, uint16_t port);
struct address udp_address(const char *text, uint16_t port);
uint16_t port_of(const struct address *a);

int tcp_socket(int family);
int tcp_socket_nonblocking(int family);
void close_sockets(void);
/* Closes, and forgets the descriptor. */
void hang_up(int *fd);
/* Closes with SO_LINGER 0: a RST goes out. */
void hang_up_hard(int *fd);

/*
 * A listening socket, and where it listens. A test that wants many ports keeps them
 * all: one that is closed may be given out again.
 */
int listen_at(const char *text, struct address *ret_at);
/* A port that is taken, so that nobody else listens on it, and refuses. */
int closed_port_at(const char *text, struct address *ret_at);
int accept_from(int listener);

/* 0 or a negative errno. */
int dial(int fd, const struct address *to);
/* The same for a socket that does not block: waits for its end and reads SO_ERROR. */
int dial_and_wait(int fd, const struct address *to);
int undial(int fd); /* AF_UNSPEC */

void send_all(int fd, const char *text);
/* Reads until so many bytes came. */
void receive_all(int fd, size_t count);
/* The error that recv() gives at the end of the connection: 0 for a FIN. */
int receive_end(int fd);

int udp_socket(int family);
/* A socket that is bound, and where: it receives, and can answer. */
int udp_bound_at(const char *text, struct address *ret_at);
/* One byte. 0 or a negative errno. */
int udp_send(int fd);
int udp_send_to(int fd, const struct address *to);
/* Waits for a datagram. */
void udp_receive(int fd, struct address *ret_from);

/* Of TCP_INFO. */
uint32_t syn_retransmits(int fd);
uint32_t ms_since_received(int fd);

/* A new network namespace with loopback up; the present one is not left. */
int namespace_new(void);
void namespace_enter(int ns);
/*
 * Two namespaces that see one another: the present one, where the near end gets
 * 10.123.0.1 and fd00:eb::1, and a new one with 10.123.0.2 and fd00:eb::2.
 */
int namespace_far(void);
/* A server in such a new one: not loopback, so one gate for all workloads. */
int listen_far(struct address *ret_at);

#define NEAR4 "10.123.0.1"
#define FAR4  "10.123.0.2"
#define NEAR6 "fd00:eb::1"
#define FAR6  "fd00:eb::2"

/* Runs a command line in the present namespace; it must end with 0. */
void shell(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Every SYN to the port is dropped where it arrives, in the present namespace. */
void drop_syn(uint16_t port);

/* Writes a value to a file such as /proc/sys/net/... */
void write_file(const char *path, const char *text);

/*
 * A child that runs @body and ends with what it returns; it dies with its parent.
 * It shares all descriptors, so also the loader's lock on the pins.
 */
pid_t spawn(int (*body)(void *argument), void *argument);
/* Its exit code, or -signal. */
int reap(pid_t child);

#endif /* EBB_TESTS_BPF_NET_H */
