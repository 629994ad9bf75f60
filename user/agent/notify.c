/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/notify.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NS_PER_US	1000ULL
/* longer than any watchdog, and small enough to count in ns */
#define WATCHDOG_MAX_US (365ULL * 24 * 3600 * 1000000)

/* "/path", or "@name" for the abstract name space, which begins with a NUL and ends with the length. */
static int set_address(struct ebb_notify *n, const char *path)
{
	size_t length = strlen(path);

	if ((path[0] != '/' && path[0] != '@') || length < 2 || length >= sizeof(n->address.sun_path))
		return -EINVAL;
	n->address.sun_family = AF_UNIX;
	memcpy(n->address.sun_path, path, length);
	if (path[0] == '@')
		n->address.sun_path[0] = '\0';
	n->address_length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (path[0] == '/'));
	return 0;
}

/* A whole decimal number above 0. */
static int parse(const char *text, uint64_t most, uint64_t *ret_value)
{
	char *end;
	unsigned long long value;

	if (text[0] < '0' || text[0] > '9')
		return -EINVAL;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || *end || !value || value > most)
		return -EINVAL;
	*ret_value = value;
	return 0;
}

static int set_watchdog(struct ebb_notify *n, const char *usec, const char *pid, pid_t self)
{
	uint64_t every_us, watched;
	int r;

	if (!usec)
		return 0;
	r = parse(usec, WATCHDOG_MAX_US, &every_us);
	if (r == 0 && pid) {
		r = parse(pid, INT32_MAX, &watched);
		/* another process is watched, whose environment we have */
		if (r == 0 && watched != (uint64_t)self)
			return 0;
	}
	if (r == 0)
		n->alive_every_ns = every_us * NS_PER_US / 2;
	return r;
}

int ebb_notify_init(struct ebb_notify *notify, const char *path, const char *watchdog_usec,
		    const char *watchdog_pid, pid_t self)
{
	int r;

	*notify = (struct ebb_notify){.fd = -1};
	if (!path || !path[0])
		return 0;
	r = set_address(notify, path);
	if (r == 0)
		r = set_watchdog(notify, watchdog_usec, watchdog_pid, self);
	if (r < 0)
		return r;
	notify->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return notify->fd < 0 ? -errno : 0;
}

void ebb_notify_done(struct ebb_notify *notify)
{
	if (notify->fd >= 0)
		(void)close(notify->fd);
	notify->fd = -1;
}

__attribute__((format(printf, 2, 3))) static int send_message(const struct ebb_notify *n, const char *format,
							      ...)
{
	char text[EBB_NOTIFY_MAX];
	va_list args;
	size_t length;
	int r;

	if (n->fd < 0)
		return 0;
	va_start(args, format);
	r = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (r < 0)
		return -EINVAL;
	length = (size_t)r < sizeof(text) ? (size_t)r : sizeof(text) - 1;
	/* by address each time: a manager that is started again has another socket of the same name */
	if (sendto(n->fd, text, length, MSG_NOSIGNAL, (const struct sockaddr *)&n->address,
		   n->address_length) < 0)
		return -errno;
	return 0;
}

int ebb_notify_ready(struct ebb_notify *notify, const char *status)
{
	return send_message(notify, "READY=1\nSTATUS=%s", status);
}

int ebb_notify_reloading(struct ebb_notify *notify, uint64_t now_ns)
{
	return send_message(notify, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, (uint64_t)(now_ns / NS_PER_US));
}

int ebb_notify_stopping(struct ebb_notify *notify, uint64_t most_ns)
{
	return send_message(notify, "STOPPING=1\nEXTEND_TIMEOUT_USEC=%" PRIu64,
			    (uint64_t)(most_ns / NS_PER_US));
}

int ebb_notify_ticked(struct ebb_notify *notify, uint64_t now_ns)
{
	int r;

	if (notify->fd < 0 || !notify->alive_every_ns || now_ns < notify->alive_at_ns)
		return 0;
	r = send_message(notify, "WATCHDOG=1");
	/* one that was not taken is due again with the next tick */
	if (r == 0)
		notify->alive_at_ns = now_ns + notify->alive_every_ns;
	return r;
}
