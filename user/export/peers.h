/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is at the other end of the connections of the HTTP server, and whose makes room when there are too many: of the
 * network that holds the most, there of the address that does, the one that has kept us waiting longest. So a client
 * alone keeps nobody out, whatever it does and however often it comes again, and there is no limit that a proxy with
 * many readers behind it would meet before.
 *
 *	10.0.0.5, ::ffff:10.0.0.5	each IPv4 address is a network
 *	2001:db8::5, 2001:db8::6	one: one machine may have all of the 64 bits, or share them with others
 *	127.0.0.1, 127.0.0.2, ::1	one: this machine, its own addresses too
 */
#ifndef EBB_EXPORT_PEERS_H
#define EBB_EXPORT_PEERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct ebb_peer {
	uint8_t network[16];
	uint8_t address[16]; /* IPv4-mapped */
	bool local;	     /* on this machine: a probe, a scrape, a forwarded port */
};

/* A connection. */
struct ebb_guest {
	struct ebb_peer peer;
	bool here;
	bool stays;	      /* it counts, and does not have to go */
	uint64_t deadline_ns; /* monotonic; the earlier, the longer it has kept us waiting */
};

/* Whether nobody but this machine has @address: 127.0.0.0/8, also IPv4-mapped, or ::1. */
bool ebb_peer_is_loopback(const struct sockaddr_storage *address);

/* Who is at the other end of @fd. One that cannot be told is nobody, like all others of which that is so. */
void ebb_peer_of_socket(int fd, struct ebb_peer *ret_peer);
void ebb_peer_of_address(const struct sockaddr_storage *peer, const struct sockaddr_storage *own,
			 struct ebb_peer *ret_peer);

/*
 * Which of @guests has to go; @count: none can. Who is on this machine is left alone as long as all of them hold no
 * more than half of the @count places and somebody else can go.
 */
size_t ebb_peers_choose(const struct ebb_guest *guests, size_t count);

#endif /* EBB_EXPORT_PEERS_H */
