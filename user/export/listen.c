/* SPDX-License-Identifier: Apache-2.0 */
#include "export/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/cleanup.h"

#define HOST_MAX 256

static int refuse_address(struct ebb_why *why, const char *address)
{
	return ebb_why(why, -EINVAL,
		       "--listen %s: expected ADDRESS:PORT, as 127.0.0.1:9478, [::1]:9478 or :9478 (all addresses)",
		       address);
}

/* "host:port", "[host]:port", ":port" into its parts. */
static int split_address(const char *address, char host[HOST_MAX], const char **ret_port)
{
	const char *colon = strrchr(address, ':');
	const char *begin = address, *end = colon, *digit;
	size_t length;

	if (!colon)
		return -EINVAL;
	if (*begin == '[') {
		if (end[-1] != ']' || end - begin < 3)
			return -EINVAL;
		begin++;
		end--;
	} else if (memchr(begin, ':', (size_t)(end - begin))) {
		return -EINVAL; /* IPv6 without brackets */
	}
	length = (size_t)(end - begin);
	if (length >= HOST_MAX)
		return -EINVAL;
	for (digit = colon + 1; *digit >= '0' && *digit <= '9'; digit++)
		;
	if (*digit || digit == colon + 1 || digit - colon > 6 || strtoul(colon + 1, NULL, 10) > 65535)
		return -EINVAL;
	memcpy(host, begin, length);
	host[length] = '\0';
	*ret_port = colon + 1;
	return 0;
}

static int listen_on(const struct addrinfo *info, bool all_addresses, int *ret_fd)
{
	_cleanup_close_ int fd = -1;
	const int yes = 1;
	int only_ipv6 = all_addresses ? 0 : 1;

	fd = socket(info->ai_family, info->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, info->ai_protocol);
	if (fd < 0)
		return -errno;
	/* or an agent that is started again would wait for the connections of the last one */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) < 0)
		return -errno;
	if (info->ai_family == AF_INET6 &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only_ipv6, sizeof(only_ipv6)) < 0)
		return -errno;
	if (bind(fd, info->ai_addr, info->ai_addrlen) < 0)
		return -errno;
	if (listen(fd, SOMAXCONN) < 0)
		return -errno;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int ebb_listen_explain(struct ebb_why *why, int r, const char *address)
{
	switch (r) {
	case -EADDRINUSE:
		return ebb_why(why, r,
			       "--listen %s: address in use: stop the other program or choose another port",
			       address);
	case -EACCES:
	case -EPERM:
		return ebb_why(why, r, "--listen %s: not permitted: choose a port above 1023", address);
	case -EADDRNOTAVAIL:
		return ebb_why(why, r,
			       "--listen %s: this machine does not have that address: choose one of its own",
			       address);
	case -EAFNOSUPPORT:
		return ebb_why(why, r,
			       "--listen %s: this machine does not speak that protocol: choose another address",
			       address);
	default:
		return ebb_why(why, r, "--listen %s: %s", address, ebb_strerror(r));
	}
}

static int resolve(const char *address, const char *host, const char *port, struct addrinfo **ret_list,
		   struct ebb_why *why)
{
	const struct addrinfo hints = {
		/* what stands in brackets is an address, never a name */
		.ai_flags = AI_PASSIVE | AI_NUMERICSERV | (*address == '[' ? AI_NUMERICHOST : 0),
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
	};
	int r;

	r = getaddrinfo(*host ? host : NULL, port, &hints, ret_list);
	if (r == EAI_MEMORY)
		return ebb_why(why, -ENOMEM, "--listen %s: no memory", address);
	if (r != 0)
		return ebb_why(why, -EINVAL, "--listen %s: no address for '%s': %s", address, host,
			       gai_strerror(r));
	return 0;
}

int ebb_listen(const char *address, int *ret_fd, struct ebb_why *why)
{
	struct addrinfo *list = NULL;
	char host[HOST_MAX];
	const char *port;
	int r;

	if (split_address(address, host, &port) < 0)
		return refuse_address(why, address);
	r = resolve(address, host, port, &list, why);
	if (r < 0)
		return r;
	r = -EADDRNOTAVAIL;
	/* all addresses: IPv6 first, since its socket takes IPv4 as well */
	for (int pass = 0; pass < 2 && r < 0; pass++) {
		for (const struct addrinfo *info = list; info && r < 0; info = info->ai_next) {
			bool first = *host || info->ai_family == AF_INET6;

			if (first == (pass == 0))
				r = listen_on(info, !*host, ret_fd);
			if (r == -EADDRINUSE || r == -EACCES)
				goto out; /* another address would not be what was asked for */
		}
	}
out:
	freeaddrinfo(list);
	return r < 0 ? ebb_listen_explain(why, r, address) : 0;
}

int ebb_listen_address(int fd, char *buffer, size_t size)
{
	struct sockaddr_storage address = {};
	socklen_t length = sizeof(address);
	char host[NI_MAXHOST], port[NI_MAXSERV];

	if (getsockname(fd, (struct sockaddr *)&address, &length) < 0)
		return -errno;
	if (getnameinfo((const struct sockaddr *)&address, length, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return -EINVAL;
	(void)snprintf(buffer, size, address.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
	return 0;
}
