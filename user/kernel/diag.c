/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/diag.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>

#include "bpf/gate.h"
#include "lib/cleanup.h"

#define TCP_STATE_ESTABLISHED 1
#define TCP_STATE_CLOSE_WAIT  8

struct request {
	struct nlmsghdr header;
	struct inet_diag_req_v2 body;
};

static int open_diag(int *ret_fd)
{
	const struct timeval patience = {.tv_sec = 1};
	_cleanup_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0)
		return -errno;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static int send_request(int fd, struct request *request)
{
	const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};

	request->header.nlmsg_len = sizeof(*request);
	request->body.sdiag_protocol = IPPROTO_TCP;
	return sendto(fd, request, sizeof(*request), 0, (const struct sockaddr *)&kernel, sizeof(kernel)) < 0
		       ? -errno
		       : 0;
}

/* Asks for the end of one socket; 0, or what the kernel says to it. */
static int destroy(int fd, uint8_t family, const struct inet_diag_sockid *id)
{
	struct request request = {
		.header = {.nlmsg_type = SOCK_DESTROY, .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK},
		.body = {.sdiag_family = family, .id = *id},
	};
	struct {
		struct nlmsghdr header;
		struct nlmsgerr error;
		char more[256];
	} answer;
	ssize_t n;
	int r;

	r = send_request(fd, &request);
	if (r < 0)
		return r;
	n = recv(fd, &answer, sizeof(answer), 0);
	if (n < 0)
		return -errno;
	if ((size_t)n < sizeof(answer.header) + sizeof(answer.error) ||
	    answer.header.nlmsg_type != NLMSG_ERROR)
		return -EPROTO;
	return answer.error.error;
}

int ebb_diag_try(void)
{
	/* no socket has port 0: where the kernel can destroy, it says that there is none */
	const struct inet_diag_sockid nobody = {
		.idiag_cookie = {INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE},
	};
	_cleanup_close_ int fd = -1;
	int r;

	r = open_diag(&fd);
	if (r < 0)
		return r;
	r = destroy(fd, AF_INET, &nobody);
	return r == -ENOENT ? 0 : r;
}

/* Attribute INET_DIAG_CGROUP_ID; 0: the kernel does not say (before 5.8). */
static uint64_t cgroup_of(struct nlmsghdr *header, struct inet_diag_msg *message)
{
	int left = (int)(header->nlmsg_len - NLMSG_LENGTH(sizeof(*message)));
	uint64_t id = 0;

	for (struct rtattr *a = (struct rtattr *)(message + 1); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
		if (a->rta_type == INET_DIAG_CGROUP_ID && RTA_PAYLOAD(a) >= sizeof(id))
			memcpy(&id, RTA_DATA(a), sizeof(id));
	}
	return id;
}

static void endpoint_of(const struct inet_diag_msg *message, struct ebb_endpoint *ret)
{
	*ret = (struct ebb_endpoint){.port = message->id.idiag_dport, .proto = IPPROTO_TCP};
	if (message->idiag_family == AF_INET) {
		ret->addr[10] = 0xff;
		ret->addr[11] = 0xff;
		memcpy(ret->addr + 12, message->id.idiag_dst, 4);
	} else {
		memcpy(ret->addr, message->id.idiag_dst, 16);
	}
}

struct walk {
	const struct ebb_view *view;
	int endpoints_fd, pairs_fd;
	int destroy_fd; /* the listing goes on on its own */
	uint64_t now_ns;
	uint64_t count;
};

static void look(struct walk *w, const struct inet_diag_msg *message, uint64_t cgroup)
{
	const struct ebb_view *v = w->view;
	struct ebb_endpoint endpoint;
	struct ebb_pair_key key = {.workload = cgroup};
	struct ebb_ref dst, pair;
	uint32_t gate;

	endpoint_of(message, &endpoint);
	if (!cgroup || bpf_map_lookup_elem(w->endpoints_fd, &endpoint, &dst) < 0)
		return;
	key.dst = dst.slot;
	key.dst_epoch = dst.epoch;
	if (bpf_map_lookup_elem(w->pairs_fd, &key, &pair) < 0 || dst.slot >= v->dst_max ||
	    pair.slot >= v->pair_max)
		return;
	gate = v->pairs[pair.slot].gate;
	if (gate >= v->gate_max || !ebb_gate_resets(&v->gates[gate], &v->verdicts[gate],
						    &v->policies[dst.slot], v->agent, w->now_ns))
		return;
	if (destroy(w->destroy_fd, message->idiag_family, &message->id) < 0)
		return;
	/* the kernel's counter; no program of ours counts what we do by netlink */
	__atomic_fetch_add(&v->pairs[pair.slot].reset, 1, __ATOMIC_RELAXED);
	w->count++;
}

/* 1: more will come. */
static int take(struct walk *w, int fd)
{
	_Alignas(struct nlmsghdr) char buffer[32768];
	struct nlmsghdr *header = (struct nlmsghdr *)buffer;
	ssize_t n = recv(fd, buffer, sizeof(buffer), 0);
	int left = (int)n;

	if (n < 0)
		return errno == EINTR ? 1 : -errno;
	for (; NLMSG_OK(header, (unsigned int)left); header = NLMSG_NEXT(header, left)) {
		struct inet_diag_msg *message = NLMSG_DATA(header);

		if (header->nlmsg_type == NLMSG_DONE)
			return 0;
		if (header->nlmsg_type == NLMSG_ERROR)
			return ((struct nlmsgerr *)NLMSG_DATA(header))->error;
		if (header->nlmsg_len >= NLMSG_LENGTH(sizeof(*message)))
			look(w, message, cgroup_of(header, message));
	}
	return 1;
}

static int walk_family(struct walk *w, uint8_t family)
{
	struct request request = {
		.header = {.nlmsg_type = SOCK_DIAG_BY_FAMILY, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
		.body = {.sdiag_family = family,
			 .idiag_states = 1U << TCP_STATE_ESTABLISHED | 1U << TCP_STATE_CLOSE_WAIT},
	};
	_cleanup_close_ int fd = -1;
	int r;

	r = open_diag(&fd);
	if (r == 0)
		r = send_request(fd, &request);
	if (r < 0)
		return r;
	do {
		r = take(w, fd);
	} while (r == 1);
	return r;
}

int ebb_diag_reset(const struct ebb_view *view, int endpoints_fd, int pairs_fd, uint64_t now_ns,
		   uint64_t *ret_count)
{
	struct walk w = {.view = view, .endpoints_fd = endpoints_fd, .pairs_fd = pairs_fd, .now_ns = now_ns};
	_cleanup_close_ int fd = -1;
	int r;

	r = open_diag(&fd);
	if (r < 0)
		return r;
	w.destroy_fd = fd;
	r = walk_family(&w, AF_INET);
	if (r == 0)
		r = walk_family(&w, AF_INET6);
	if (r < 0)
		return r;
	*ret_count = w.count;
	return 0;
}
