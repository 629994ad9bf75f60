/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why the message is walked here first, though the library bounds its reads: it follows up to
 * 65535 compression pointers for each name, so that a message of 4 KB in which every record has a
 * long way to its name costs milliseconds; it loses a record when a message has two signatures
 * (TSIG), which is a leak that a sender can repeat; and it goes on behind what it understood of a
 * record, not behind the record. So it gets single records of three types, with a size that
 * fits, whose names are short and lead back only.
 */
#include "node/dns.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <ldns/rdata.h>
#include <ldns/rr.h>
#include <ldns/wire2host.h>

#define LIBRARY "libldns.so.3"

#define HEADER	     12
#define NAME_BYTES   255 /* of a name in a message */
#define POINTERS_MAX 32
#define POINTER	     0xc0
#define LABEL_MAX    63
#define CLASS_IN     1
#define TYPE_A	     1
#define TYPE_CNAME   5
#define TYPE_AAAA    28
#define RECORD_FIXED 10 /* of a record, after its name: type, class, TTL, length */
#define TTL_SIGN     0x80000000U

struct ebb_dns {
	void *library;
	ldns_status (*wire2rr)(ldns_rr **, const uint8_t *, size_t, size_t *, ldns_pkt_section);
	ldns_rdf *(*rr_owner)(const ldns_rr *);
	ldns_rdf *(*rr_rdf)(const ldns_rr *, size_t);
	uint32_t (*rr_ttl)(const ldns_rr *);
	ldns_rr_type (*rr_get_type)(const ldns_rr *);
	void (*rr_free)(ldns_rr *);
	uint8_t *(*rdf_data)(const ldns_rdf *);
	size_t (*rdf_size)(const ldns_rdf *);
};

int ebb_dns_open(struct ebb_dns **ret_dns, struct ebb_why *why)
{
	struct ebb_dns *dns = calloc(1, sizeof(*dns));
	const struct {
		const char *name;
		void *place; /* of the pointer to the function */
	} symbols[] = {
		{"ldns_wire2rr", &dns->wire2rr},   {"ldns_rr_owner", &dns->rr_owner},
		{"ldns_rr_rdf", &dns->rr_rdf},	   {"ldns_rr_ttl", &dns->rr_ttl},
		{"ldns_rr_free", &dns->rr_free},   {"ldns_rr_get_type", &dns->rr_get_type},
		{"ldns_rdf_data", &dns->rdf_data}, {"ldns_rdf_size", &dns->rdf_size},
	};

	if (!dns)
		return ebb_why(why, -ENOMEM, "out of memory");
	dns->library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++) {
		void *symbol = dns->library ? dlsym(dns->library, symbols[i].name) : NULL;

		if (!symbol) {
			ebb_dns_free(dns);
			return ebb_why(why, -ENOENT,
				       "DNS answers cannot be read, " LIBRARY
				       " is missing: install the package libldns3");
		}
		memcpy(symbols[i].place, &symbol, sizeof(symbol));
	}
	*ret_dns = dns;
	return 0;
}

void ebb_dns_free(struct ebb_dns *dns)
{
	if (!dns)
		return;
	if (dns->library)
		(void)dlclose(dns->library);
	free(dns);
}

static uint16_t read16(const uint8_t *bytes)
{
	return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

/*
 * Behind the name at @at, or 0: it is broken. Each pointer must lead to before the place where the
 * piece that it ends began: then there is no circle, and the way is short.
 */
static size_t skip_name(const uint8_t *bytes, size_t length, size_t at)
{
	size_t end = 0, began = at, size = 1;

	for (int pointers = 0; pointers <= POINTERS_MAX;) {
		if (at >= length)
			return 0;
		if (bytes[at] == 0)
			return end ? end : at + 1;
		if ((bytes[at] & POINTER) == POINTER) {
			size_t target;

			if (at + 2 > length)
				return 0;
			target = read16(bytes + at) & 0x3fffU;
			if (target < HEADER || target >= began)
				return 0;
			if (!end)
				end = at + 2;
			at = began = target;
			pointers++;
			continue;
		}
		if (bytes[at] > LABEL_MAX)
			return 0;
		size += 1U + bytes[at];
		at += 1U + bytes[at];
		if (size > NAME_BYTES)
			return 0;
	}
	return 0;
}

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c - 'A' + 'a') : c;
}

/* Names as the library gives them: labels with their lengths, without compression. */
static bool same_name(const struct ebb_dns *dns, const ldns_rdf *a, const ldns_rdf *b)
{
	const uint8_t *x, *y;

	if (!a || !b || dns->rdf_size(a) != dns->rdf_size(b))
		return false;
	x = dns->rdf_data(a);
	y = dns->rdf_data(b);
	/* lengths are below 'A', and stay as they are */
	for (size_t i = 0; i < dns->rdf_size(a); i++) {
		if (lower(x[i]) != lower(y[i]))
			return false;
	}
	return true;
}

static bool is_host_character(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/* "api.example.com"; false: not the name of a host, and nothing that a person should be shown. */
static bool name_text(const struct ebb_dns *dns, const ldns_rdf *name, char ret_text[EBB_DNS_NAME_MAX])
{
	const uint8_t *bytes = dns->rdf_data(name);
	size_t size = dns->rdf_size(name), used = 0;

	for (size_t at = 0; at < size && bytes[at]; at += 1U + bytes[at]) {
		/* a dot before each but the first, and the end */
		if (at + 1U + bytes[at] > size || used + 2U + bytes[at] > EBB_DNS_NAME_MAX)
			return false;
		if (used)
			ret_text[used++] = '.';
		for (size_t i = 1; i <= bytes[at]; i++) {
			uint8_t c = lower(bytes[at + i]);

			if (!is_host_character(c))
				return false;
			ret_text[used++] = (char)c;
		}
	}
	ret_text[used] = '\0';
	return used != 0;
}

/* What is kept of the answer section. */
struct records {
	ldns_rr *question;
	ldns_rr *aliases[EBB_DNS_CHAIN_MAX];
	size_t alias_count;
	ldns_rr *addresses[EBB_DNS_ADDRESSES_MAX];
	size_t address_count;
};

static void free_records(const struct ebb_dns *dns, const struct records *records)
{
	dns->rr_free(records->question);
	for (size_t i = 0; i < records->alias_count; i++)
		dns->rr_free(records->aliases[i]);
	for (size_t i = 0; i < records->address_count; i++)
		dns->rr_free(records->addresses[i]);
}

/* 1: decoded; 0: the library takes it for broken, or has no memory. */
static int decode(const struct ebb_dns *dns, const uint8_t *bytes, size_t length, size_t at,
		  ldns_pkt_section section, ldns_rr **ret)
{
	ldns_rr *rr = NULL;

	if (dns->wire2rr(&rr, bytes, length, &at, section) != LDNS_STATUS_OK || !rr)
		return 0;
	*ret = rr;
	return 1;
}

/* One record of the answer section, which begins at @at; *@ret_end is behind it. */
static int read_record(const struct ebb_dns *dns, const uint8_t *bytes, size_t length, size_t at,
		       uint16_t wanted, struct records *records, size_t *ret_end)
{
	size_t fixed = skip_name(bytes, length, at), data, end;
	uint16_t type, class, size;
	ldns_rr *rr;

	if (!fixed || fixed + RECORD_FIXED > length)
		return -EBADMSG;
	type = read16(bytes + fixed);
	class = read16(bytes + fixed + 2);
	size = read16(bytes + fixed + 8);
	data = fixed + RECORD_FIXED;
	end = data + size;
	if (end > length)
		return -EBADMSG;
	*ret_end = end;
	if (class != CLASS_IN)
		return 0;
	if (type == TYPE_CNAME) {
		if (skip_name(bytes, length, data) != end)
			return -EBADMSG;
		if (records->alias_count == EBB_DNS_CHAIN_MAX)
			return -ELOOP;
	} else if (type == wanted) {
		if (size != (type == TYPE_A ? 4 : 16))
			return -EBADMSG;
		if (records->address_count == EBB_DNS_ADDRESSES_MAX)
			return 0;
	} else {
		return 0;
	}
	/* no further than this record, whatever it says */
	if (!decode(dns, bytes, end, at, LDNS_SECTION_ANSWER, &rr))
		return -EBADMSG;
	if (type == TYPE_CNAME)
		records->aliases[records->alias_count++] = rr;
	else
		records->addresses[records->address_count++] = rr;
	return 0;
}

static uint32_t min_ttl(const struct ebb_dns *dns, const ldns_rr *rr, uint32_t ttl_s)
{
	uint32_t own = dns->rr_ttl(rr);

	if (own & TTL_SIGN) /* RFC 2181, 8 */
		own = 0;
	return own < ttl_s ? own : ttl_s;
}

static void add_address(const struct ebb_dns *dns, const ldns_rr *rr, uint32_t ttl_s,
			struct ebb_dns_answer *answer)
{
	static const uint8_t nothing[16];
	const ldns_rdf *data = dns->rr_rdf(rr, 0);
	struct ebb_dns_address *address = &answer->addresses[answer->count];
	size_t size = data ? dns->rdf_size(data) : 0;

	memset(address, 0, sizeof(*address));
	if (size == 4) {
		address->addr[10] = address->addr[11] = 0xff;
		memcpy(address->addr + 12, dns->rdf_data(data), 4);
	} else if (size == 16) {
		memcpy(address->addr, dns->rdf_data(data), 16);
	}
	/* the unspecified address is how filters say no */
	if (memcmp(address->addr + (size == 4 ? 12 : 0), nothing, size == 4 ? 4 : 16) == 0)
		return;
	address->ttl_s = min_ttl(dns, rr, ttl_s);
	for (size_t i = 0; i < answer->count; i++) {
		if (memcmp(answer->addresses[i].addr, address->addr, 16) == 0)
			return;
	}
	answer->count++;
}

/* From the name in the question along the canonical names to the addresses. */
static int follow(const struct ebb_dns *dns, const struct records *records, struct ebb_dns_answer *answer)
{
	const ldns_rdf *name = dns->rr_owner(records->question);
	uint32_t ttl_s = EBB_DNS_TTL_MAX;
	size_t steps = 0, i;

	do {
		for (i = 0; i < records->alias_count; i++) {
			if (same_name(dns, dns->rr_owner(records->aliases[i]), name))
				break;
		}
		if (i == records->alias_count)
			break;
		ttl_s = min_ttl(dns, records->aliases[i], ttl_s);
		name = dns->rr_rdf(records->aliases[i], 0);
	} while (++steps <= records->alias_count);
	if (steps > records->alias_count)
		return -ELOOP;
	for (i = 0; i < records->address_count; i++) {
		if (same_name(dns, dns->rr_owner(records->addresses[i]), name))
			add_address(dns, records->addresses[i], ttl_s, answer);
	}
	return 0;
}

static int parse(const struct ebb_dns *dns, const uint8_t *bytes, size_t length, struct records *records,
		 struct ebb_dns_answer *answer)
{
	size_t at = skip_name(bytes, length, HEADER);
	uint16_t count, type;
	int r;

	if (!at || at + 4 > length)
		return -EBADMSG;
	type = read16(bytes + at);
	if (read16(bytes + at + 2) != CLASS_IN || (type != TYPE_A && type != TYPE_AAAA))
		return 0;
	at += 4;
	if (!decode(dns, bytes, at, HEADER, LDNS_SECTION_QUESTION, &records->question))
		return -EBADMSG;
	if (!name_text(dns, dns->rr_owner(records->question), answer->name))
		return 0;
	count = read16(bytes + 6);
	/* each takes bytes of the message, so a wrong count ends at its end */
	for (uint16_t i = 0; i < count; i++) {
		r = read_record(dns, bytes, length, at, type, records, &at);
		if (r < 0)
			return r;
	}
	return follow(dns, records, answer);
}

int ebb_dns_parse(const struct ebb_dns *dns, const uint8_t *bytes, size_t length,
		  struct ebb_dns_answer *ret_answer)
{
	struct ebb_dns_answer answer;
	struct records records;
	int r;

	if (length < HEADER)
		return -EBADMSG;
	answer.name[0] = '\0';
	answer.count = 0;
	/* a question, an update, an error; and more than one question, which nobody asks */
	if (!(bytes[2] & 0x80) || (bytes[2] & 0x78) || (bytes[3] & 0x0f) || read16(bytes + 4) != 1) {
		*ret_answer = answer;
		return 0;
	}
	records.question = NULL;
	records.alias_count = 0;
	records.address_count = 0;
	r = parse(dns, bytes, length, &records, &answer);
	free_records(dns, &records);
	if (r < 0)
		return r;
	if (answer.count == 0)
		answer.name[0] = '\0';
	*ret_answer = answer;
	return 0;
}
