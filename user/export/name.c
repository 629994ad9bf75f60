/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of destinations. Put together by hand and not by snprintf: a scrape
 * writes a name for each family and destination.
 */
#include "export/name.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

struct text {
	char *next;
	char *end; /* room for the NUL is kept behind it */
};

static void put(struct text *text, const char *s)
{
	while (*s && text->next < text->end)
		*text->next++ = *s++;
}

static void put_number(struct text *text, unsigned int number)
{
	char digits[16];
	char *first = digits + sizeof(digits) - 1;

	*first = '\0';
	do {
		*--first = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	put(text, first);
}

static void put_address(struct text *text, const __u8 addr[16])
{
	static const __u8 mapped[12] = {[10] = 0xff, [11] = 0xff};
	char buffer[INET6_ADDRSTRLEN] = "?";

	if (memcmp(addr, mapped, sizeof(mapped)) == 0) {
		for (int i = 12; i < 16; i++) {
			if (i > 12)
				put(text, ".");
			put_number(text, addr[i]);
		}
		return;
	}
	(void)inet_ntop(AF_INET6, addr, buffer, sizeof(buffer));
	put(text, "[");
	put(text, buffer);
	put(text, "]");
}

static void put_protocol(struct text *text, __u8 proto)
{
	switch (proto) {
	case IPPROTO_TCP:
		put(text, "tcp");
		break;
	case IPPROTO_UDP:
		put(text, "udp");
		break;
	default:
		put_number(text, proto);
	}
}

const char *ebb_dst_name(const struct ebb_view *view, uint32_t dst, char *buffer, size_t size)
{
	struct text text = {.next = buffer, .end = buffer + size - 1};
	struct ebb_endpoint endpoint;

	if (size == 0)
		return buffer;
	if (dst == EBB_SLOT_OTHER) {
		put(&text, EBB_NAME_OTHER);
	} else if (dst >= view->dst_max) {
		put(&text, "~invalid");
	} else {
		memcpy(&endpoint, &view->dsts[dst].endpoint, sizeof(endpoint));
		put_address(&text, endpoint.addr);
		put(&text, ":");
		put_number(&text, ntohs(endpoint.port));
		put(&text, "/");
		put_protocol(&text, endpoint.proto);
	}
	*text.next = '\0';
	return buffer;
}
