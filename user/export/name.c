/* SPDX-License-Identifier: Apache-2.0 */
#include "export/name.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "export/line.h"

static void put_address(struct ebb_line *line, const __u8 addr[16])
{
	static const __u8 mapped[12] = {[10] = 0xff, [11] = 0xff};
	char text[INET6_ADDRSTRLEN] = "?";

	if (memcmp(addr, mapped, sizeof(mapped)) == 0) {
		for (int i = 12; i < 16; i++) {
			if (i > 12)
				ebb_line_put(line, ".");
			ebb_line_put_number(line, addr[i]);
		}
		return;
	}
	(void)inet_ntop(AF_INET6, addr, text, sizeof(text));
	ebb_line_put(line, "[");
	ebb_line_put(line, text);
	ebb_line_put(line, "]");
}

static void put_protocol(struct ebb_line *line, __u8 proto)
{
	switch (proto) {
	case IPPROTO_TCP:
		ebb_line_put(line, "tcp");
		break;
	case IPPROTO_UDP:
		ebb_line_put(line, "udp");
		break;
	default:
		ebb_line_put_number(line, proto);
	}
}

const char *ebb_endpoint_name(const struct ebb_endpoint *endpoint, char *buffer, size_t size)
{
	struct ebb_line line = {.data = buffer, .size = size - 1};

	if (size == 0)
		return buffer;
	put_address(&line, endpoint->addr);
	ebb_line_put(&line, ":");
	ebb_line_put_number(&line, ntohs(endpoint->port));
	ebb_line_put(&line, "/");
	put_protocol(&line, endpoint->proto);
	buffer[line.used] = '\0';
	return buffer;
}

const struct ebb_name *ebb_dst_given_name(const struct ebb_view *view, uint32_t dst)
{
	const struct ebb_name *name;

	if (dst >= view->dst_max)
		return NULL;
	name = &view->names[dst];
	if (__atomic_load_n(&name->epoch, __ATOMIC_ACQUIRE) != view->dsts[dst].epoch || !name->text[0])
		return NULL;
	return name;
}

const char *ebb_dst_name(const struct ebb_view *view, uint32_t dst, char *buffer, size_t size)
{
	struct ebb_line line = {.data = buffer, .size = size - 1};
	const struct ebb_name *name = ebb_dst_given_name(view, dst);
	struct ebb_endpoint endpoint;

	if (size == 0)
		return buffer;
	if (dst == EBB_SLOT_OTHER) {
		ebb_line_put(&line, EBB_NAME_OTHER);
	} else if (dst >= view->dst_max) {
		ebb_line_put(&line, "~invalid");
	} else if (name) {
		/* cut where the agent changes it meanwhile */
		char text[EBB_NAME_TEXT_MAX];

		memcpy(text, name->text, sizeof(text));
		text[sizeof(text) - 1] = '\0';
		ebb_line_put(&line, text);
	} else {
		memcpy(&endpoint, &view->dsts[dst].endpoint, sizeof(endpoint));
		return ebb_endpoint_name(&endpoint, buffer, size);
	}
	buffer[line.used] = '\0';
	return buffer;
}
