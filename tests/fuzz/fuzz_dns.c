/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DNS answers: whatever somebody sends is refused, or gives the name of a host and addresses
 * inside their bounds.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/abi.h"
#include "node/dns.h"
#include "tests/lib/require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The library is loaded once: it is what is tried, not the loader. */
static const struct ebb_dns *dns_once(void)
{
	static struct ebb_dns *dns;
	struct ebb_why why;

	if (!dns && ebb_dns_open(&dns, &why) < 0) {
		(void)fprintf(stderr, "%s\n", why.text);
		abort();
	}
	return dns;
}

static void check_answer(const struct ebb_dns_answer *answer)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789-_.";
	size_t length = strnlen(answer->name, sizeof(answer->name));

	REQUIRE(answer->count <= EBB_DNS_ADDRESSES_MAX);
	REQUIRE(length < sizeof(answer->name));
	REQUIRE((answer->count == 0) == (length == 0));
	REQUIRE(strspn(answer->name, allowed) == length);
	if (length) {
		REQUIRE(answer->name[0] != '.' && answer->name[length - 1] != '.');
		REQUIRE(!strstr(answer->name, ".."));
	}
	for (size_t i = 0; i < answer->count; i++) {
		REQUIRE(answer->addresses[i].ttl_s <= EBB_DNS_TTL_MAX);
		for (size_t k = 0; k < i; k++)
			REQUIRE(memcmp(answer->addresses[i].addr, answer->addresses[k].addr, 16) != 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ebb_dns_answer answer;
	int r;

	/* what the kernel hands over is no longer */
	if (size > EBB_DNS_BYTES_MAX)
		return 0;
	r = ebb_dns_parse(dns_once(), data, size, &answer);
	REQUIRE(r == 0 || r == -EBADMSG || r == -ELOOP || r == -ENOMEM);
	if (r == 0)
		check_answer(&answer);
	return 0;
}
