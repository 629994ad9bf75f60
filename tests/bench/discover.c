// SPDX-License-Identifier: Apache-2.0
/* Makes an agent that is attached know many destinations: one real connection to each. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"

static int visit(int listener, const struct sockaddr_in *address)
{
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int server = -1, r = 0;

	if (client < 0 || connect(client, (const struct sockaddr *)address, sizeof(*address)) < 0)
		r = -errno;
	if (r == 0) {
		server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		r = server < 0 ? -errno : 0;
	}
	if (server >= 0)
		(void)close(server);
	if (client >= 0)
		(void)close(client);
	return r;
}

int bench_discover(const struct bench_options *options, json_t *ret_result)
{
	struct ebb_maps *maps;
	struct ebb_why why = {};
	struct sockaddr_in address;
	uint16_t port;
	int fd, r;

	r = bench_listen(&fd, &port);
	if (r == 0)
		r = bench_enter_cgroup(options->cgroup);
	for (uint32_t i = 0; i < options->trials && r == 0; i++) {
		address = bench_address(options->first + i, port);
		r = visit(fd, &address);
		if (r < 0)
			(void)fprintf(stderr, "ebb-bench: discover: %s\n", strerror(-r));
	}
	if (r < 0)
		return r;
	(void)close(fd);
	r = ebb_maps_open(options->pin_dir, EBB_MAPS_READ, &maps, &why);
	if (r < 0) {
		(void)fprintf(stderr, "ebb-bench: %s\n", why.text);
		return r;
	}
	(void)json_object_set_new(ret_result, "destinations",
				  json_integer(ebb_maps_view(maps)->kernel->dst_high));
	(void)json_object_set_new(ret_result, "map_bytes", json_integer((json_int_t)ebb_maps_bytes(maps)));
	ebb_maps_free(maps);
	return 0;
}
