// SPDX-License-Identifier: Apache-2.0
/*
 * What the program that looks for DNS answers costs all other packets that come in, by the
 * kernel's own account (BPF_ENABLE_STATS) and net of an empty program in the same run:
 *
 *	tcp		a stream
 *	udp_connected	datagrams to a socket with a peer
 *	udp		datagrams to a socket without one: their port has to be looked at
 *	answer		a DNS answer, handed over (nobody reads the ring: it is emptied between rounds)
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <linux/bpf.h>

#include "bench.h"

enum kind {
	KIND_TCP,
	KIND_UDP_CONNECTED,
	KIND_UDP,
	KIND_ANSWER,
	KIND_MAX,
};

static const char *const kind_names[KIND_MAX] = {"tcp", "udp_connected", "udp", "answer"};

#define ROUNDS_MAX 128
#define SERVER	   0x7f000009 /* 127.0.0.9 */

struct world {
	struct bench_hooks *hooks;
	int programs[2]; /* empty, ours */
	int server[KIND_MAX], client[KIND_MAX];
	struct sockaddr_in to[KIND_MAX]; /* the client's address */
};

static const uint8_t answer[] = {0x12, 0x34, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0,  0, 1, 'a', 0, 0, 1, 0,
				 1,    0xc0, 12,   0,	 1, 0, 1, 0, 0, 0, 60, 0, 4, 10,  0, 0, 7};

static int complain(const char *what, int r)
{
	(void)fprintf(stderr, "ebb-bench: ingress: %s: %s\n", what, strerror(-r));
	return r;
}

static struct sockaddr_in address_of(int fd)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t size = sizeof(address);

	(void)getsockname(fd, (struct sockaddr *)&address, &size);
	return address;
}

static int bound(int type, uint32_t host, uint16_t port, int *ret_fd)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
				 .sin_port = htons(port),
				 .sin_addr.s_addr = htonl(host)};

	*ret_fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
	if (*ret_fd < 0 || bind(*ret_fd, (const struct sockaddr *)&at, sizeof(at)) < 0)
		return -errno;
	return 0;
}

/* Receivers are in the cgroup, senders were made before. */
static int open_servers(struct world *w)
{
	int r = bound(SOCK_STREAM, INADDR_LOOPBACK, 0, &w->server[KIND_TCP]);

	if (r == 0 && listen(w->server[KIND_TCP], 1) < 0)
		r = -errno;
	if (r == 0)
		r = bound(SOCK_DGRAM, INADDR_LOOPBACK, 0, &w->server[KIND_UDP_CONNECTED]);
	if (r == 0)
		r = bound(SOCK_DGRAM, INADDR_LOOPBACK, 0, &w->server[KIND_UDP]);
	return r == 0 ? bound(SOCK_DGRAM, SERVER, 53, &w->server[KIND_ANSWER]) : r;
}

static int open_clients(struct world *w)
{
	struct sockaddr_in at;
	int peer, r = 0;

	for (int kind = KIND_UDP_CONNECTED; kind < KIND_MAX && r == 0; kind++) {
		r = bound(SOCK_DGRAM, INADDR_LOOPBACK, 0, &w->client[kind]);
		w->to[kind] = address_of(w->client[kind]);
	}
	if (r < 0)
		return r;
	at = address_of(w->server[KIND_UDP_CONNECTED]);
	if (connect(w->client[KIND_UDP_CONNECTED], (const struct sockaddr *)&at, sizeof(at)) < 0)
		return -errno;
	at = address_of(w->server[KIND_TCP]);
	w->client[KIND_TCP] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(w->client[KIND_TCP], (const struct sockaddr *)&at, sizeof(at)) < 0)
		return -errno;
	peer = accept4(w->server[KIND_TCP], NULL, NULL, SOCK_CLOEXEC);
	if (peer < 0)
		return -errno;
	(void)close(w->server[KIND_TCP]);
	w->server[KIND_TCP] = peer;
	return 0;
}

static int send_some(const struct world *w, enum kind kind, uint32_t count)
{
	uint8_t bytes[sizeof(answer)];

	for (uint32_t i = 0; i < count; i++) {
		ssize_t n = kind == KIND_TCP
				    ? send(w->server[kind], answer, sizeof(answer), 0)
				    : sendto(w->server[kind], answer, sizeof(answer), 0,
					     (const struct sockaddr *)&w->to[kind], sizeof(w->to[kind]));

		if (n < 0 || recv(w->client[kind], bytes, sizeof(bytes), 0) < 0)
			return -errno;
	}
	return 0;
}

static void forget(void *userdata, const struct ebb_dns_head *head, const uint8_t *bytes)
{
	(void)userdata;
	(void)head;
	(void)bytes;
}

static int one_round(const struct world *w, int program, enum kind kind, uint32_t count, double *ret_ns)
{
	struct bpf_prog_info before = {}, after = {};
	__u32 size = sizeof(before);
	int link = bpf_link_create(program, w->hooks->cgroup_fd, BPF_CGROUP_INET_INGRESS, NULL), r;

	if (link < 0)
		return link;
	r = send_some(w, kind, 16);
	if (r == 0)
		r = bpf_obj_get_info_by_fd(program, &before, &size);
	if (r == 0)
		r = send_some(w, kind, count);
	size = sizeof(after);
	if (r == 0)
		r = bpf_obj_get_info_by_fd(program, &after, &size);
	(void)close(link);
	(void)ebb_loader_answers_take(w->hooks->loader, SIZE_MAX, forget, NULL);
	if (r == 0 && after.run_cnt == before.run_cnt)
		r = -ENODATA;
	if (r == 0)
		*ret_ns = (double)(after.run_time_ns - before.run_time_ns) /
			  (double)(after.run_cnt - before.run_cnt);
	return r;
}

static int measure(const struct bench_options *options, const struct world *w, json_t *ret_result)
{
	static double ns[KIND_MAX][2][ROUNDS_MAX];
	uint32_t rounds = options->rounds < ROUNDS_MAX ? options->rounds : ROUNDS_MAX;
	int stats = bpf_enable_stats(BPF_STATS_RUN_TIME), r = stats < 0 ? stats : 0;

	for (uint32_t round = 0; round < rounds && r == 0; round++) {
		for (int kind = 0; kind < KIND_MAX && r == 0; kind++) {
			for (uint32_t a = 0; a < 2 && r == 0; a++) {
				uint32_t arm = (round + a) % 2;

				r = one_round(w, w->programs[arm], (enum kind)kind, options->samples,
					      &ns[kind][arm][round]);
			}
		}
	}
	for (int kind = 0; kind < KIND_MAX && r == 0; kind++) {
		json_t *row = json_pack("{s:o, s:o}", "empty_ns", bench_summary(ns[kind][0], rounds), "ns",
					bench_summary(ns[kind][1], rounds));

		(void)json_object_set_new(ret_result, kind_names[kind], row);
	}
	if (stats >= 0)
		(void)close(stats);
	return r < 0 ? complain("a round", r) : 0;
}

/* The loader's program is taken from its link, and the link away. */
static int take_programs(struct world *w)
{
	static const struct bpf_insn empty[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1},
		{.code = BPF_JMP | BPF_EXIT},
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = BPF_CGROUP_INET_INGRESS);
	struct ebb_link_info infos[EBB_LINKS_MAX];
	struct ebb_why why = {};
	size_t count;
	int r = ebb_loader_want_answers(w->hooks->loader, true, &why);

	if (r < 0)
		return complain(why.text, r);
	count = ebb_maps_links(w->hooks->pin_dir, infos);
	w->programs[0] = bpf_prog_load(BPF_PROG_TYPE_CGROUP_SKB, "bench", "Dual BSD/GPL", empty, 2, &opts);
	for (size_t i = 0; i < count; i++) {
		if (strcmp(infos[i].name, "ingress") == 0)
			w->programs[1] = bpf_prog_get_fd_by_id(infos[i].program_id);
	}
	r = ebb_loader_want_answers(w->hooks->loader, false, &why);
	if (w->programs[0] < 0 || w->programs[1] <= 0)
		return complain("programs", -ENOENT);
	return r;
}

int bench_ingress(const struct bench_options *options, json_t *ret_result)
{
	struct bench_hooks hooks;
	struct world w = {.hooks = &hooks};
	int r = open_servers(&w);

	if (r < 0)
		return complain("servers", r);
	r = bench_enter_cgroup(options->cgroup);
	if (r == 0)
		r = bench_hooks_open(&hooks, options, 5);
	if (r < 0)
		return r;
	r = take_programs(&w);
	if (r == 0) {
		r = open_clients(&w);
		if (r < 0)
			(void)complain("clients", r);
	}
	if (r == 0)
		r = measure(options, &w, ret_result);
	bench_hooks_close(&hooks);
	return r;
}
