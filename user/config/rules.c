/* SPDX-License-Identifier: Apache-2.0 */
#include "config/rules.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "lib/units.h"

#define LABEL_MAX   63
#define V4_BITS	    96 /* of a mapped address, before the bits of IPv4 */
#define PREFIX_TEXT 64 /* "2001:db8::/32", with room to see what is too long */

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool only(const char *text, size_t length, const char *characters)
{
	return strspn(text, characters) >= length;
}

/* ---------------------------------------------------------------- names -- */

int ebb_rule_name(const char *text, char *ret_name, struct ebb_why *why)
{
	size_t length = strlen(text);

	if (length == 0)
		return ebb_why(why, -EINVAL, "a name, such as payments");
	if (length >= EBB_DESTINATION_NAME_MAX)
		return ebb_why(why, -EINVAL, "at most %d characters", EBB_DESTINATION_NAME_MAX - 1);
	if (text[0] == '~')
		return ebb_why(why, -EINVAL, "names that begin with '~' are ebb's own: another name");
	for (size_t i = 0; i < length; i++) {
		if (!is_letter(text[i]) && !is_digit(text[i]) && !strchr("._-", text[i]))
			return ebb_why(why, -EINVAL, "only letters, digits, '.', '_' and '-'");
	}
	if (!is_letter(text[0]) && !is_digit(text[0]))
		return ebb_why(why, -EINVAL, "a letter or a digit comes first");
	if (only(text, length, "0123456789."))
		return ebb_why(why, -EINVAL,
			       "it looks like an address, which is how destinations without a name are called: another name");
	if (ret_name) {
		memset(ret_name, 0, EBB_DESTINATION_NAME_MAX);
		memcpy(ret_name, text, length);
	}
	return 0;
}

/* ---------------------------------------------------------------- hosts -- */

static bool looks_like_address(const char *text)
{
	size_t length = strlen(text);
	const char *last = strrchr(text, '.');
	uint8_t addr[16];

	if (inet_pton(AF_INET6, text, addr) == 1)
		return true;
	/* "10.0.0.1", "10.0.0.0/8", "10.1": no name ends in a number */
	return length > 0 && strspn(text, "0123456789./") == length && (last || is_digit(text[0]));
}

static int check_label(const char *label, size_t length, struct ebb_why *why)
{
	if (length == 0)
		return ebb_why(why, -EINVAL, "nothing stands between two dots");
	if (length > LABEL_MAX)
		return ebb_why(why, -EINVAL, "at most %d characters between two dots", LABEL_MAX);
	for (size_t i = 0; i < length; i++) {
		if ((unsigned char)label[i] >= 0x80)
			return ebb_why(why, -EINVAL,
				       "write it as DNS does, with labels that begin with xn-- ('idn2 NAME' tells)");
		if (label[i] == '*')
			return ebb_why(why, -EINVAL, "'*.' can stand only in front, for whole labels");
		if (!is_letter(label[i]) && !is_digit(label[i]) && label[i] != '-' && label[i] != '_')
			return ebb_why(why, -EINVAL, "only letters, digits, '-', '_' and dots");
	}
	if (label[0] == '-' || label[length - 1] == '-')
		return ebb_why(why, -EINVAL, "no label begins or ends with '-'");
	return 0;
}

/* @text: the name without its last dot, @length bytes of it. */
static int check_labels(const char *text, size_t length, struct ebb_why *why)
{
	for (size_t at = 0; at <= length;) {
		const char *dot = memchr(text + at, '.', length - at);
		size_t label = dot ? (size_t)(dot - text) - at : length - at;
		int r = check_label(text + at, label, why);

		if (r < 0)
			return r;
		at += label + 1;
	}
	return 0;
}

int ebb_rule_host(const char *text, struct ebb_match *ret_match, struct ebb_why *why)
{
	bool wildcard = strncmp(text, "*.", 2) == 0;
	const char *name = wildcard ? text + 2 : text;
	size_t length = strlen(name);
	int r;

	if (length == 0 || strcmp(text, "*") == 0)
		return ebb_why(why, -EINVAL,
			       "a host name; for every host leave it out and say a port or cidr: 0.0.0.0/0");
	if (looks_like_address(name))
		return ebb_why(why, -EINVAL, "a host name; for an address write cidr: instead of host:");
	if (strstr(name, "//") || strchr(name, '/'))
		return ebb_why(why, -EINVAL, "a host name alone, without scheme and path");
	if (strchr(name, ':'))
		return ebb_why(why, -EINVAL,
			       "a host name alone; the port has a key of its own, as in port: 443");
	if (name[length - 1] == '.')
		length--;
	if (length >= EBB_HOST_MAX)
		return ebb_why(why, -EINVAL, "a name has at most %d characters", EBB_HOST_MAX - 1);
	r = check_labels(name, length, why);
	if (r < 0)
		return r;
	ret_match->kind = wildcard ? EBB_MATCH_WILDCARD : EBB_MATCH_HOST;
	memset(ret_match->host, 0, sizeof(ret_match->host));
	for (size_t i = 0; i < length; i++)
		ret_match->host[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] - 'A' + 'a' : name[i]);
	return 0;
}

/* ------------------------------------------------------------- prefixes -- */

static bool is_mapped(const uint8_t addr[16])
{
	return memcmp(addr, mapped, sizeof(mapped)) == 0;
}

/* Zeroes what is behind @bits; true: there was something. */
static bool clear_host_part(uint8_t addr[16], unsigned int bits)
{
	bool was = false;

	for (unsigned int i = 0; i < 16; i++) {
		unsigned int kept = bits >= (i + 1) * 8 ? 8 : bits <= i * 8 ? 0 : bits - i * 8;
		uint8_t mask = (uint8_t)(0xff00U >> kept);

		was |= (addr[i] & ~mask) != 0;
		addr[i] &= mask;
	}
	return was;
}

const char *ebb_rule_format_address(const uint8_t addr[16], char *buffer, size_t size)
{
	if (is_mapped(addr))
		(void)inet_ntop(AF_INET, addr + sizeof(mapped), buffer, (socklen_t)size);
	else
		(void)inet_ntop(AF_INET6, addr, buffer, (socklen_t)size);
	return buffer;
}

int ebb_rule_address(const char *text, uint8_t ret_addr[16], struct ebb_why *why)
{
	uint8_t addr[16];

	memcpy(addr, mapped, sizeof(mapped));
	if (inet_pton(AF_INET, text, addr + sizeof(mapped)) != 1 && inet_pton(AF_INET6, text, addr) != 1)
		return ebb_why(why, -EINVAL, "an address like 10.0.0.10 or 2001:db8::10");
	memcpy(ret_addr, addr, sizeof(addr));
	return 0;
}

static int why_cidr(struct ebb_why *why)
{
	return ebb_why(why, -EINVAL, "a prefix like 10.0.0.0/8 or \"2001:db8::/32\", or one address");
}

int ebb_rule_cidr(const char *text, struct ebb_match *ret_match, struct ebb_why *why)
{
	char address[PREFIX_TEXT], network[PREFIX_TEXT], single[PREFIX_TEXT];
	const char *slash = strchr(text, '/');
	size_t length = slash ? (size_t)(slash - text) : strlen(text);
	uint8_t addr[16], given[16];
	uint32_t bits, most;
	bool v4;

	if (length >= sizeof(address))
		return why_cidr(why);
	memcpy(address, text, length);
	address[length] = '\0';
	if (strchr(address, '%'))
		return ebb_why(why, -EINVAL, "a prefix without an interface: write it without '%%'");
	if (ebb_rule_address(address, addr, NULL) < 0)
		return why_cidr(why);
	v4 = !strchr(address, ':');
	most = v4 ? 32 : 128;
	bits = most;
	if (slash && (ebb_parse_u32(slash + 1, &bits) < 0 || bits > most))
		return ebb_why(why, -EINVAL, "0 to %u bits behind the '/'", most);
	if (!v4 && is_mapped(addr) && bits >= V4_BITS)
		return ebb_why(why, -EINVAL, "IPv4 is written as such: %s/%u",
			       ebb_rule_format_address(addr, network, sizeof(network)), bits - V4_BITS);
	memcpy(given, addr, sizeof(given));
	if (clear_host_part(addr, v4 ? V4_BITS + bits : bits))
		return ebb_why(why, -EINVAL, "the network is %s/%u, the address alone %s/%u",
			       ebb_rule_format_address(addr, network, sizeof(network)), bits,
			       ebb_rule_format_address(given, single, sizeof(single)), most);
	ret_match->kind = EBB_MATCH_PREFIX;
	memcpy(ret_match->addr, addr, sizeof(addr));
	ret_match->bits = (uint8_t)(v4 ? V4_BITS + bits : bits);
	return 0;
}

const char *ebb_rule_format(const struct ebb_match *match, char *buffer, size_t size)
{
	char address[INET6_ADDRSTRLEN];

	switch (match->kind) {
	case EBB_MATCH_HOST:
	case EBB_MATCH_WILDCARD:
		(void)snprintf(buffer, size, "%s%s", match->kind == EBB_MATCH_WILDCARD ? "*." : "",
			       match->host);
		break;
	case EBB_MATCH_ANY:
		(void)snprintf(buffer, size, "every address");
		break;
	default:
		(void)snprintf(buffer, size, "%s/%u",
			       ebb_rule_format_address(match->addr, address, sizeof(address)),
			       is_mapped(match->addr) && match->bits >= V4_BITS ? match->bits - V4_BITS
										: match->bits);
		break;
	}
	return buffer;
}

/* ------------------------------------------------------------ selectors -- */

int ebb_rule_selector(uint32_t kind, const char *text, struct ebb_selector *ret_selector, struct ebb_why *why)
{
	size_t length = strlen(text);
	const char *equals = strchr(text, '=');

	if (length == 0)
		return ebb_why(why, -EINVAL, "a pattern, such as \"dev-*\"");
	if (length >= sizeof(ret_selector->pattern))
		return ebb_why(why, -EINVAL, "at most %zu characters", sizeof(ret_selector->pattern) - 1);
	if (kind == EBB_SELECT_CGROUP && text[0] != '/' && text[0] != '*')
		return ebb_why(why, -EINVAL,
			       "the path below the cgroup2 mount, which begins with '/', or a pattern that begins with '*'");
	if (kind == EBB_SELECT_LABEL && (!equals || equals == text))
		return ebb_why(why, -EINVAL, "key=value, such as app=crawler or \"app=*\"");
	if (kind != EBB_SELECT_CGROUP && strpbrk(text, " \t\n"))
		return ebb_why(why, -EINVAL, "a name or a pattern without blanks");
	memset(ret_selector, 0, sizeof(*ret_selector));
	ret_selector->kind = kind;
	memcpy(ret_selector->pattern, text, length);
	return 0;
}
