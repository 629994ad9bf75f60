/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server of its own, as a client meets one: another process on another processor, which is not governed where it
 * is started before the benchmark enters its cgroup. Each connection: requests, whose first byte says what is asked.
 */
#ifndef EBB_TESTS_BENCH_SERVER_H
#define EBB_TESTS_BENCH_SERVER_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum bench_ask {
	BENCH_ASK_ONCE, /* an answer, and close: so no port of the client's waits for its end */
	BENCH_ASK_MORE, /* an answer, and the next request */
	BENCH_ASK_BULK, /* the same with BENCH_BULK bytes */
};

#define BENCH_BULK (16 << 20)

struct bench_server {
	pid_t pid; /* 0: none */
	struct sockaddr_in address;
};

/*
 * @far: in a network namespace of its own, behind a veth pair; the caller's has to be the benchmark's own, since it
 * gets one end. Prints what went wrong and returns a negative errno.
 */
int bench_server_start(struct bench_server *server, bool far, size_t request_size, size_t answer_size);
void bench_server_stop(struct bench_server *server);

/* Anywhere but on this processor, if there is another: it is the client's. */
void bench_leave_cpu(void);

/* Prints what went wrong and returns a negative errno. */
int bench_run_shell(const char *line);

#endif /* EBB_TESTS_BENCH_SERVER_H */
