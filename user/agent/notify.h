/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tells the service manager how the agent is: one datagram to $NOTIFY_SOCKET for each piece of news, by the
 * protocol of sd_notify(3), which systemd promises to keep. Never waits: what the manager does not take at
 * once is lost, and only the keep-alive is sent again.
 */
#ifndef EBB_AGENT_NOTIFY_H
#define EBB_AGENT_NOTIFY_H

#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

/* The longest message; what does not fit is cut. */
#define EBB_NOTIFY_MAX 512

struct ebb_notify {
	int fd; /* -1: nobody wants to hear */
	struct sockaddr_un address;
	socklen_t address_length;
	uint64_t alive_every_ns; /* 0: nobody watches */
	uint64_t alive_at_ns;	 /* when the next keep-alive is due */
};

/*
 * @path, @watchdog_usec, @watchdog_pid: what NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID say, NULL where they
 * are not set. Without a path, and after a failure, everything below does nothing. 0, or -EINVAL when one of
 * them cannot be what a service manager says, or the errno of socket().
 */
int ebb_notify_init(struct ebb_notify *notify, const char *path, const char *watchdog_usec,
		    const char *watchdog_pid, pid_t self);
void ebb_notify_done(struct ebb_notify *notify);

/* Started, or a reload has ended; @status is a line for people. All of these: 0 or a negative errno. */
int ebb_notify_ready(struct ebb_notify *notify, const char *status);

/* A reload begins, at @now_ns (CLOCK_MONOTONIC); ebb_notify_ready() must follow. */
int ebb_notify_reloading(struct ebb_notify *notify, uint64_t now_ns);

/* The end begins, and takes at most @most_ns: the manager is to wait so long before it kills. */
int ebb_notify_stopping(struct ebb_notify *notify, uint64_t most_ns);

/* A tick is done. Sends a keep-alive when one is due, twice in the time that the manager gives. */
int ebb_notify_ticked(struct ebb_notify *notify, uint64_t now_ns);

#endif /* EBB_AGENT_NOTIFY_H */
