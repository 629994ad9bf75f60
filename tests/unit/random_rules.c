/* SPDX-License-Identifier: Apache-2.0 */
#include "random_rules.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

uint32_t random_below(uint64_t *state, uint32_t below)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return (uint32_t)(*state >> 32) % below;
}

uint16_t random_port(uint64_t *state)
{
	static const uint16_t ports[] = {1, 53, 80, 443, 65535};

	return ports[random_below(state, 5)];
}

uint8_t random_proto(uint64_t *state)
{
	return random_below(state, 2) ? IPPROTO_TCP : IPPROTO_UDP;
}

void random_host(uint64_t *state, char ret_host[EBB_HOST_MAX])
{
	uint32_t labels = 1 + random_below(state, 4);
	size_t at = 0;

	for (uint32_t i = 0; i < labels; i++)
		at += (size_t)snprintf(ret_host + at, EBB_HOST_MAX - at, "%s%c", i ? "." : "",
				       'a' + (char)random_below(state, 2));
}

/* Few bits are ever on, at both ends and around the places where IPv4 begins. */
void random_address(uint64_t *state, uint8_t ret_addr[16])
{
	static const uint8_t bytes[] = {0, 0, 0, 1, 0x80, 0xff};

	memset(ret_addr, 0, 16);
	switch (random_below(state, 4)) {
	case 0: /* IPv4 */
	case 1:
		memset(ret_addr + 10, 0xff, 2);
		ret_addr[12] = bytes[random_below(state, 6)];
		ret_addr[13] = bytes[random_below(state, 6)];
		break;
	case 2: /* near it */
		memset(ret_addr + 10, (int)random_below(state, 2) ? 0xff : 0xfe, 2);
		ret_addr[9] = bytes[random_below(state, 6)];
		break;
	default:
		ret_addr[0] = bytes[random_below(state, 6)];
		ret_addr[1] = bytes[random_below(state, 6)];
		break;
	}
	ret_addr[15] = bytes[random_below(state, 6)];
}

static bool bit_of(const uint8_t *addr, unsigned int bit)
{
	return (addr[bit / 8] >> (7 - bit % 8)) & 1;
}

static bool is_v4(const uint8_t *addr)
{
	for (unsigned int bit = 0; bit < 96; bit++) {
		if (bit_of(addr, bit) != (bit >= 80))
			return false;
	}
	return true;
}

static void random_prefix(uint64_t *state, struct ebb_match *match)
{
	static const uint8_t lengths[] = {0, 1, 8, 9, 16, 80, 81, 90, 95, 96, 97, 104, 105, 112, 127, 128};

	random_address(state, match->addr);
	match->bits = lengths[random_below(state, sizeof(lengths))];
	for (unsigned int bit = match->bits; bit < 128; bit++)
		match->addr[bit / 8] &= (uint8_t) ~(1U << (7 - bit % 8));
}

void random_rules(uint64_t *state, bool hosts, struct rule_set *ret_set)
{
	memset(ret_set, 0, sizeof(*ret_set));
	ret_set->count = random_below(state, random_below(state, 3) ? 8 : RULES_MAX);
	for (size_t i = 0; i < ret_set->count; i++) {
		struct ebb_match *match = &ret_set->matches[i];
		uint32_t kind = random_below(state, 8);

		if (hosts && kind < 4) {
			match->kind = kind % 2 ? EBB_MATCH_HOST : EBB_MATCH_WILDCARD;
			random_host(state, match->host);
		} else if (kind == 7) {
			match->kind = EBB_MATCH_ANY;
		} else {
			match->kind = EBB_MATCH_PREFIX;
			random_prefix(state, match);
		}
		if (random_below(state, 2))
			match->port = random_port(state);
		if (random_below(state, 3) == 0)
			match->proto = random_proto(state);
		ret_set->rules[i] = (struct ebb_rule){match, random_below(state, 6)};
	}
}

static bool is_below(const char *host, const char *domain)
{
	size_t length = strlen(host), tail = strlen(domain);

	return length > tail + 1 && host[length - tail - 1] == '.' &&
	       strcmp(host + length - tail, domain) == 0;
}

static bool fits(const struct ebb_match *match, const char *host, const uint8_t *addr)
{
	switch (match->kind) {
	case EBB_MATCH_HOST:
		return host && strcmp(host, match->host) == 0;
	case EBB_MATCH_WILDCARD:
		return host && is_below(host, match->host);
	case EBB_MATCH_PREFIX:
		if (!addr || (is_v4(addr) && match->bits < 96))
			return false;
		for (unsigned int bit = 0; bit < match->bits; bit++) {
			if (bit_of(addr, bit) != bit_of(match->addr, bit))
				return false;
		}
		return true;
	default:
		return addr != NULL;
	}
}

/* The higher the more specific. */
static uint32_t rank(const struct ebb_match *match)
{
	uint32_t subject = 0;

	if (match->kind == EBB_MATCH_HOST)
		subject = 2000;
	else if (match->kind == EBB_MATCH_WILDCARD)
		subject = 1000 + (uint32_t)strlen(match->host);
	else if (match->kind == EBB_MATCH_PREFIX)
		subject = 1U + match->bits;
	return subject * 4 + (match->port ? 2 : 0) + (match->proto ? 1 : 0);
}

uint32_t naive_match(const struct rule_set *set, const char *host, const uint8_t *addr, uint16_t port,
		     uint8_t proto)
{
	const struct ebb_rule *best = NULL;

	for (size_t i = 0; i < set->count; i++) {
		const struct ebb_match *match = set->rules[i].match;

		if ((match->port && match->port != port) || (match->proto && match->proto != proto) ||
		    !fits(match, host, addr))
			continue;
		if (!best || rank(match) > rank(best->match))
			best = &set->rules[i];
	}
	return best ? best->destination : EBB_MATCH_NONE;
}
