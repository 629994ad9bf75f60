/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose DNS answers are believed (design ruling 3): the name servers that this node itself uses, and
 * those that the configuration names.
 *
 * Nobody else's resolv.conf is read: what a pod says of its own name servers is what it could lie
 * about. And a server in the socket's own network namespace could be the program itself: it
 * is believed only where that namespace is ours or the node's first.
 */
#ifndef EBB_NODE_RESOLVERS_H
#define EBB_NODE_RESOLVERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EBB_RESOLVERS_KNOWN_MAX 64

struct ebb_resolvers {
	uint8_t addrs[EBB_RESOLVERS_KNOWN_MAX][16]; /* IPv4 mapped */
	bool named[EBB_RESOLVERS_KNOWN_MAX]; /* by the configuration: also from a socket's own namespace */
	size_t count;
};

/* Adds one; what is there already stays. More than there is room for are left out. */
void ebb_resolvers_add(struct ebb_resolvers *resolvers, const uint8_t addr[16], bool named);

/* Adds the name servers in the text of a resolv.conf. */
void ebb_resolvers_add_text(struct ebb_resolvers *resolvers, const char *text);

/*
 * Adds those that this node uses: of /etc/resolv.conf, behind a loopback stub those of systemd-resolved, the stub
 * itself, and, in a pod of kube-system, the cluster's DNS service.
 */
void ebb_resolvers_find(struct ebb_resolvers *resolvers);

/* Has one of the files changed since the last call? True at the first. *@io_state begins as 0. */
bool ebb_resolvers_changed(uint64_t *io_state);

/* @local: the answer did not leave the socket's network namespace. @trusted: that one is ours, or the node's first. */
bool ebb_resolvers_believe(const struct ebb_resolvers *resolvers, const uint8_t from[16], bool local,
			   bool trusted);

/* The same ones, found in the same order? */
bool ebb_resolvers_equal(const struct ebb_resolvers *a, const struct ebb_resolvers *b);

/* "10.96.0.10 127.0.0.53", cut at its end. Returns @buffer. */
const char *ebb_resolvers_text(const struct ebb_resolvers *resolvers, char *buffer, size_t size);

#endif /* EBB_NODE_RESOLVERS_H */
