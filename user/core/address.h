/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses as keys: 16 octets in network order, IPv4 as IPv4-mapped IPv6 (RFC 4291, 2.5.5.2). */
#ifndef EBB_CORE_ADDRESS_H
#define EBB_CORE_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Of IP, as in the packet; <netinet/in.h> has them too, and much that is not for the core. */
#define EBB_PROTO_TCP 6
#define EBB_PROTO_UDP 17

#define EBB_MAPPED_BITS 96 /* of the prefix that holds all of IPv4 */

static inline void ebb_address_mapped_prefix(uint8_t ret_addr[16])
{
	memset(ret_addr, 0, 16);
	ret_addr[10] = ret_addr[11] = 0xff;
}

static inline bool ebb_address_is_mapped(const uint8_t addr[16])
{
	uint8_t mapped[16];

	ebb_address_mapped_prefix(mapped);
	return memcmp(addr, mapped, EBB_MAPPED_BITS / 8) == 0;
}

/* The first @bits of @addr, the rest zero. @ret_addr may be @addr. */
static inline void ebb_address_mask(uint8_t ret_addr[16], const uint8_t addr[16], unsigned int bits)
{
	unsigned int whole = bits / 8, rest = bits % 8;

	memmove(ret_addr, addr, whole);
	if (rest)
		ret_addr[whole] = (uint8_t)(addr[whole] & (0xff00U >> rest));
	whole += rest != 0;
	memset(ret_addr + whole, 0, 16 - whole);
}

/* Is all of that prefix loopback or link-local, where the same address is another peer for each workload? As bpf/key.h. */
static inline bool ebb_address_is_local(const uint8_t addr[16], unsigned int bits)
{
	static const uint8_t loopback[16] = {[15] = 1};

	if (ebb_address_is_mapped(addr))
		return (bits >= EBB_MAPPED_BITS + 8 && addr[12] == 127) ||
		       (bits >= EBB_MAPPED_BITS + 16 && addr[12] == 169 && addr[13] == 254);
	if (memcmp(addr, loopback, sizeof(loopback)) == 0)
		return bits == 128;
	return bits >= 10 && addr[0] == 0xfe && (addr[1] & 0xc0) == 0x80;
}

#endif /* EBB_CORE_ADDRESS_H */
