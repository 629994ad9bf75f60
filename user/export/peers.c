/* SPDX-License-Identifier: Apache-2.0 */
#include "export/peers.h"

#include <netinet/in.h>
#include <string.h>

#include "core/address.h"

#define NETWORK_BITS 64U

bool ebb_peer_is_loopback(const struct sockaddr_storage *address)
{
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;

	if (address->ss_family == AF_INET)
		return ntohl(v4->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	if (address->ss_family != AF_INET6)
		return false;
	return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr) ||
	       (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr) && v6->sin6_addr.s6_addr[12] == IN_LOOPBACKNET);
}

/* IPv4 as IPv4-mapped IPv6; zeros for what is neither, which ebb_listen() never has. */
static void address_of(const struct sockaddr_storage *from, struct in6_addr *ret_address)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)from;

	*ret_address = (struct in6_addr){};
	if (from->ss_family == AF_INET6) {
		*ret_address = ((const struct sockaddr_in6 *)from)->sin6_addr;
	} else if (from->ss_family == AF_INET) {
		ebb_address_mapped_prefix(ret_address->s6_addr);
		memcpy(&ret_address->s6_addr[12], &v4->sin_addr, sizeof(v4->sin_addr));
	}
}

void ebb_peer_of_address(const struct sockaddr_storage *peer, const struct sockaddr_storage *own,
			 struct ebb_peer *ret_peer)
{
	struct in6_addr theirs, ours;

	address_of(peer, &theirs);
	address_of(own, &ours);
	*ret_peer = (struct ebb_peer){
		/* who asks a node's own address from that node, has it */
		.local = ebb_peer_is_loopback(peer) || memcmp(&theirs, &ours, sizeof(theirs)) == 0,
	};
	memcpy(ret_peer->address, &theirs, sizeof(theirs));
	if (ret_peer->local)
		memcpy(ret_peer->network, &in6addr_loopback, sizeof(in6addr_loopback));
	else
		ebb_address_mask(ret_peer->network, ret_peer->address,
				 ebb_address_is_mapped(ret_peer->address) ? 128 : NETWORK_BITS);
}

void ebb_peer_of_socket(int fd, struct ebb_peer *ret_peer)
{
	struct sockaddr_storage peer = {}, own = {};
	socklen_t peer_length = sizeof(peer), own_length = sizeof(own);

	if (getpeername(fd, (struct sockaddr *)&peer, &peer_length) < 0 ||
	    getsockname(fd, (struct sockaddr *)&own, &own_length) < 0)
		*ret_peer = (struct ebb_peer){};
	else
		ebb_peer_of_address(&peer, &own, ret_peer);
}

/* How many places it takes away from others: its network first, and where that is the same, its address. */
static size_t weight_of(const struct ebb_guest *guests, size_t count, const struct ebb_peer *peer)
{
	size_t network = 0, address = 0;

	for (size_t i = 0; i < count; i++) {
		const struct ebb_peer *other = &guests[i].peer;

		if (!guests[i].here || memcmp(other->network, peer->network, sizeof(peer->network)) != 0)
			continue;
		network++;
		address += memcmp(other->address, peer->address, sizeof(peer->address)) == 0;
	}
	if (peer->local && network <= count / 2)
		network = 0;
	return network * (count + 1) + address;
}

size_t ebb_peers_choose(const struct ebb_guest *guests, size_t count)
{
	size_t chosen = count, most = 0;

	for (size_t i = 0; i < count; i++) {
		size_t weight;

		if (!guests[i].here || guests[i].stays)
			continue;
		weight = weight_of(guests, count, &guests[i].peer);
		if (chosen < count &&
		    (weight < most ||
		     (weight == most && guests[i].deadline_ns >= guests[chosen].deadline_ns)))
			continue;
		chosen = i;
		most = weight;
	}
	return chosen;
}
