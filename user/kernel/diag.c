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

int ebb_diag_try(void)
{
	/* no socket has port 0: where the kernel can destroy, it says that there is none */
	const struct ebb_doomed nobody = {.cookie = ~0ULL, .family = AF_INET};
	_cleanup_close_ int fd = -1;
	int r;

	r = ebb_diag_open(&fd);
	if (r < 0)
		return r;
	r = ebb_diag_destroy(fd, &nobody);
	return r == -ENOENT ? 0 : r;
}
