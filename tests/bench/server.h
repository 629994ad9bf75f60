/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server of its own, as a client meets one: another process on another processor, which is not governed where it
 * is started before the benchmark enters its cgroup. Each connection: a request, its answer, close.
 */
#ifndef EBB_TESTS_BENCH_SERVER_H
#define EBB_TESTS_BENCH_SERVER_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

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

#endif /* EBB_TESTS_BENCH_SERVER_H */
