// SPDX-License-Identifier: Apache-2.0
/*
 * From a DNS answer to its place in the maps, with the agent that is attached, whose rules claim "*.bench"
 * and which believes 127.0.0.9. Each trial is a new name with a new address. This program is
 * the name server as well: what it measures begins when it sends the answer.
 *
 *	stands		until the address is in the map
 *	governed	programs that connect so long after they have the answer: how many are counted
 *			for the name's destination at this first connect
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "kernel/mapping.h"

#define SERVER	    0x7f000009 /* 127.0.0.9 */
#define PORT	    7999       /* of the rule */
#define DEADLINE_NS 1000000000ULL
#define PAUSE_NS    1000000

static const uint64_t delays_us[] = {0, 50, 200};

#define DELAYS (sizeof(delays_us) / sizeof(delays_us[0]))

struct world {
	const struct ebb_view *view;
	struct ebb_mapping *mapping;
	int server, client, listener;
	uint32_t number; /* of the next trial */
};

static int complain(const char *what, int r)
{
	(void)fprintf(stderr, "ebb-bench: names: %s: %s\n", what, strerror(-r));
	return r;
}

/* Question and answer of "n<number>.bench", which has @address; the same bytes up to the record. */
static size_t make_message(uint32_t number, const struct sockaddr_in *address, uint8_t *bytes,
			   size_t *ret_question)
{
	static const uint8_t header[] = {0x12, 0x34, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0};
	static const uint8_t record[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0x0e, 0x10, 0, 4};
	size_t size = sizeof(header);
	int label;

	memcpy(bytes, header, sizeof(header));
	label = snprintf((char *)bytes + size + 1, 32, "n%u", number);
	bytes[size] = (uint8_t)label;
	size += 1 + (size_t)label;
	memcpy(bytes + size, "\5bench\0\0\1\0\1", 11);
	size += 11;
	*ret_question = size;
	memcpy(bytes + size, record, sizeof(record));
	size += sizeof(record);
	memcpy(bytes + size, &address->sin_addr, 4);
	return size + 4;
}

/* The client asks, the server has the question; *@ret_sent_ns: then it sends the answer. */
static int look_up(const struct world *w, uint32_t number, const struct sockaddr_in *address,
		   uint64_t *ret_sent_ns)
{
	uint8_t message[128], got[128];
	struct sockaddr_in from;
	socklen_t length = sizeof(from);
	size_t question, size = make_message(number, address, message, &question);

	if (send(w->client, message, question, 0) < 0 ||
	    recvfrom(w->server, got, sizeof(got), 0, (struct sockaddr *)&from, &length) < 0)
		return -errno;
	*ret_sent_ns = bench_now();
	if (sendto(w->server, message, size, 0, (const struct sockaddr *)&from, length) < 0)
		return -errno;
	return 0;
}

static struct ebb_endpoint key_of(const struct sockaddr_in *address)
{
	struct ebb_endpoint key = {.port = address->sin_port, .proto = IPPROTO_TCP};

	key.addr[10] = key.addr[11] = 0xff;
	memcpy(key.addr + 12, &address->sin_addr, 4);
	return key;
}

static int hear(const struct world *w)
{
	uint8_t got[128];

	return recv(w->client, got, sizeof(got), 0) < 0 ? -errno : 0;
}

/* Until the entry stands. */
static int time_one(struct world *w, double *ret_ns)
{
	struct sockaddr_in address = bench_address(w->number, PORT);
	struct ebb_endpoint key = key_of(&address);
	struct ebb_ref ref;
	uint64_t sent = 0, now;
	int r = look_up(w, w->number++, &address, &sent);

	while (r == 0) {
		bool stands = ebb_endpoints_get(w->mapping, &key, &ref) == 0;

		now = bench_now();
		if (stands) {
			*ret_ns = (double)(now - sent);
			return hear(w);
		}
		if (now - sent > DEADLINE_NS)
			r = -ETIME;
	}
	return r;
}

static uint64_t attempts_of(const struct ebb_view *view, uint32_t slot)
{
	uint64_t sum = 0;

	for (uint32_t p = 0; p <= view->kernel->pair_high && p < view->pair_max; p++) {
		if (view->pairs[p].state == EBB_SLOT_LIVE && view->pairs[p].dst == slot)
			sum += view->pairs[p].attempts;
	}
	return sum;
}

static int visit(const struct world *w, const struct sockaddr_in *address)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), peer = -1, r = 0;

	if (fd < 0 || connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
		r = -errno;
	if (r == 0)
		peer = accept4(w->listener, NULL, NULL, SOCK_CLOEXEC);
	if (fd >= 0)
		(void)close(fd);
	if (peer >= 0)
		(void)close(peer);
	return r;
}

/* Connects @delay_ns after the answer is there; *@ret_governed: counted for @slot. */
static int connect_one(struct world *w, uint32_t slot, uint64_t delay_ns, bool *ret_governed)
{
	struct sockaddr_in address = bench_address(w->number, PORT);
	uint64_t before = attempts_of(w->view, slot), sent, heard;
	int r = look_up(w, w->number++, &address, &sent);

	if (r == 0)
		r = hear(w);
	heard = bench_now();
	while (bench_now() - heard < delay_ns)
		;
	if (r == 0)
		r = visit(w, &address);
	*ret_governed = attempts_of(w->view, slot) != before;
	return r;
}

static int measure(struct world *w, const struct bench_options *options, double *times, json_t *ret_result)
{
	const struct timespec pause = {.tv_nsec = PAUSE_NS};
	struct sockaddr_in address;
	json_t *governed = json_object();
	struct ebb_endpoint key;
	struct ebb_ref ref;
	int r = 0;

	for (uint32_t i = 0; i < options->trials && r == 0; i++) {
		r = time_one(w, &times[i]);
		(void)nanosleep(&pause, NULL);
	}
	if (r < 0)
		return complain("the address does not stand in the map", r);
	address = bench_address(w->number - 1, PORT);
	key = key_of(&address);
	r = ebb_endpoints_get(w->mapping, &key, &ref);
	for (size_t d = 0; d < DELAYS && r == 0; d++) {
		uint32_t count = 0;
		char name[32];

		for (uint32_t i = 0; i < options->trials && r == 0; i++) {
			bool yes = false;

			r = connect_one(w, ref.slot, delays_us[d] * 1000, &yes);
			count += yes;
			(void)nanosleep(&pause, NULL);
		}
		(void)snprintf(name, sizeof(name), "%u_us", (unsigned int)delays_us[d]);
		(void)json_object_set_new(governed, name, json_real((double)count / options->trials));
	}
	if (r < 0)
		return complain("a trial", r);
	(void)json_object_set_new(ret_result, "busy", json_boolean(options->busy));
	(void)json_object_set_new(ret_result, "stands_ns", bench_summary(times, options->trials));
	(void)json_object_set_new(ret_result, "governed", governed);
	return 0;
}

static int open_sockets(struct world *w)
{
	struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons(53)},
			   any = {.sin_family = AF_INET, .sin_port = htons(PORT)};

	server.sin_addr.s_addr = htonl(SERVER);
	w->server = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	w->client = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	w->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (w->server < 0 || w->client < 0 || w->listener < 0 ||
	    bind(w->server, (const struct sockaddr *)&server, sizeof(server)) < 0 ||
	    connect(w->client, (const struct sockaddr *)&server, sizeof(server)) < 0 ||
	    bind(w->listener, (const struct sockaddr *)&any, sizeof(any)) < 0 || listen(w->listener, 64) < 0)
		return -errno;
	return 0;
}

int bench_names(const struct bench_options *options, json_t *ret_result)
{
	double *times = calloc(options->trials, sizeof(double));
	struct bench_burners burners = {};
	struct ebb_maps *maps = NULL;
	struct ebb_why why = {};
	struct world w = {.number = options->first};
	int r = times ? 0 : -ENOMEM;

	if (r == 0)
		r = ebb_maps_open(options->pin_dir, EBB_MAPS_READ, &maps, &why);
	if (r == 0)
		r = ebb_mapping_open(options->pin_dir, NULL, &w.mapping, &why);
	if (r < 0)
		(void)fprintf(stderr, "ebb-bench: %s\n", why.text);
	if (r == 0 && options->busy)
		r = bench_burners_start(&burners);
	if (r == 0)
		r = bench_enter_cgroup(options->cgroup);
	if (r == 0) {
		w.view = ebb_maps_view(maps);
		r = open_sockets(&w);
		if (r < 0)
			(void)complain("sockets", r);
	}
	if (r == 0)
		r = measure(&w, options, times, ret_result);
	bench_burners_stop(&burners);
	ebb_mapping_free(w.mapping);
	ebb_maps_free(maps);
	free(times);
	return r;
}
