/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/diag.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>

#include "lib/cleanup.h"

int ebb_diag_open(int *ret_fd)
{
	const struct timeval patience = {.tv_sec = 1};
	_cleanup_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0)
		return -errno;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int ebb_diag_destroy(int fd, const struct ebb_doomed *doomed)
{
	const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	struct {
		struct nlmsghdr header;
		struct inet_diag_req_v2 body;
	} request = {
		.header = {.nlmsg_len = sizeof(request),
			   .nlmsg_type = SOCK_DESTROY,
			   .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK},
		.body = {.sdiag_family = (__u8)doomed->family,
			 .sdiag_protocol = IPPROTO_TCP,
			 .id = {.idiag_sport = doomed->local_port,
				.idiag_dport = doomed->peer_port,
				.idiag_if = doomed->device,
				.idiag_cookie = {(__u32)doomed->cookie, (__u32)(doomed->cookie >> 32)}}},
	};
	struct {
		struct nlmsghdr header;
		struct nlmsgerr error;
		char more[256];
	} answer;
	ssize_t n;

	_Static_assert(sizeof(request.body.id.idiag_src) == sizeof(doomed->local), "an IPv6 address");
	memcpy(request.body.id.idiag_src, doomed->local, sizeof(doomed->local));
	memcpy(request.body.id.idiag_dst, doomed->peer, sizeof(doomed->peer));
	if (sendto(fd, &request, sizeof(request), 0, (const struct sockaddr *)&kernel, sizeof(kernel)) < 0)
		return -errno;
	n = recv(fd, &answer, sizeof(answer), 0);
	if (n < 0)
		return -errno;
	if ((size_t)n < sizeof(answer.header) + sizeof(answer.error) ||
	    answer.header.nlmsg_type != NLMSG_ERROR)
		return -EPROTO;
	return answer.error.error;
}

/*
 * On a listening socket of our own. A request for one that does not exist would not do: its
 * answer, ENOENT, is also that of a kernel without its module tcp_diag, and rights are looked
 * at only once a socket is found.
 */
int ebb_diag_try(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	/* of any cookie */
	struct ebb_doomed doomed = {.cookie = ~0ULL, .family = AF_INET, .local[0] = at.sin_addr.s_addr};
	_cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), diag = -1;
	socklen_t size = sizeof(at);
	int r;

	if (fd < 0 || bind(fd, (const struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, 0) < 0 ||
	    getsockname(fd, (struct sockaddr *)&at, &size) < 0)
		return -errno;
	doomed.local_port = at.sin_port;
	r = ebb_diag_open(&diag);
	return r < 0 ? r : ebb_diag_destroy(diag, &doomed);
}
