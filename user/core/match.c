/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules lie sorted: by kind, then by the host or prefix that they name, then by port, those
 * without one last; the stronger first. So what is said about a host, and there about a port,
 * is one run of entries, found by bisection, and the first of them that fits wins.
 */
#include "core/match.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/address.h"

#define KINDS	    (EBB_MATCH_ANY + 1)
#define BITS_LEVELS 129

struct entry {
	const struct ebb_match *match;
	uint32_t destination;
	uint32_t order; /* in the file */
};

struct ebb_matcher {
	struct entry *entries;
	size_t count;
	size_t kind_first[KINDS + 1]; /* where each kind begins; the last one: the end */
	uint8_t bits[BITS_LEVELS];    /* lengths that prefixes have, longest first */
	size_t bits_count;
};

/* Does it name the same host, prefix or nothing? As strcmp(). */
static int compare_subject(const struct ebb_match *a, const struct ebb_match *b)
{
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	if (a->kind == EBB_MATCH_HOST || a->kind == EBB_MATCH_WILDCARD)
		return strcmp(a->host, b->host);
	if (a->kind == EBB_MATCH_ANY)
		return 0;
	if (a->bits != b->bits)
		return a->bits > b->bits ? -1 : 1;
	return memcmp(a->addr, b->addr, sizeof(a->addr));
}

int ebb_match_compare(const struct ebb_match *a, const struct ebb_match *b)
{
	if (!a->port != !b->port)
		return a->port ? -1 : 1;
	if (a->port != b->port)
		return a->port < b->port ? -1 : 1;
	if (!a->proto != !b->proto)
		return a->proto ? -1 : 1;
	return 0;
}

static int compare_entries(const void *left, const void *right)
{
	const struct entry *a = left, *b = right;
	int r = compare_subject(a->match, b->match);

	if (r == 0)
		r = ebb_match_compare(a->match, b->match);
	if (r == 0)
		r = a->order < b->order ? -1 : 1;
	return r;
}

int ebb_matcher_new(const struct ebb_rule *rules, size_t count, struct ebb_matcher **ret_matcher)
{
	struct ebb_matcher *m = calloc(1, sizeof(*m));

	if (!m)
		return -ENOMEM;
	m->entries = calloc(count ? count : 1, sizeof(*m->entries));
	if (!m->entries) {
		free(m);
		return -ENOMEM;
	}
	m->count = count;
	for (size_t i = 0; i < count; i++)
		m->entries[i] = (struct entry){rules[i].match, rules[i].destination, (uint32_t)i};
	qsort(m->entries, count, sizeof(*m->entries), compare_entries);
	for (size_t i = 0; i < count; i++) {
		const struct ebb_match *match = m->entries[i].match;

		m->kind_first[match->kind + 1] = i + 1;
		if (match->kind == EBB_MATCH_PREFIX &&
		    (m->bits_count == 0 || m->bits[m->bits_count - 1] != match->bits))
			m->bits[m->bits_count++] = match->bits;
	}
	/* a kind without rules begins and ends where the one before it ends */
	for (size_t k = 1; k <= KINDS; k++) {
		if (m->kind_first[k] < m->kind_first[k - 1])
			m->kind_first[k] = m->kind_first[k - 1];
	}
	*ret_matcher = m;
	return 0;
}

void ebb_matcher_free(struct ebb_matcher *matcher)
{
	if (!matcher)
		return;
	free(matcher->entries);
	free(matcher);
}

bool ebb_matcher_has_hosts(const struct ebb_matcher *matcher)
{
	return matcher->kind_first[EBB_MATCH_WILDCARD + 1] > 0;
}

/* ------------------------------------------------------------------ look-up -- */

/* The entries about one subject. */
struct run {
	const struct entry *first, *end;
};

static struct run find_run(const struct ebb_matcher *m, const struct ebb_match *subject)
{
	size_t low = m->kind_first[subject->kind], end = m->kind_first[subject->kind + 1], high = end;
	struct run run;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_subject(m->entries[middle].match, subject) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	run.first = run.end = m->entries + low;
	while (run.end < m->entries + end && compare_subject(run.end->match, subject) == 0)
		run.end++;
	return run;
}

/* Those of @run about @port; 0: those without one. */
static struct run find_port(struct run run, uint16_t port)
{
	const struct ebb_match subject = {.port = port, .proto = EBB_PROTO_TCP};
	const struct entry *low = run.first, *high = run.end;

	while (low < high) {
		const struct entry *middle = low + (high - low) / 2;

		if (ebb_match_compare(middle->match, &subject) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (high = low; high < run.end && high->match->port == port;)
		high++;
	return (struct run){low, high};
}

/* The first that fits; @port 0 fits only rules without one. */
static uint32_t first_fit(struct run run, uint16_t port, uint8_t proto)
{
	const struct run runs[2] = {find_port(run, port), find_port(run, 0)};

	for (int i = 0; i < 2; i++) {
		for (const struct entry *e = runs[i].first; e < runs[i].end; e++) {
			if (!e->match->proto || e->match->proto == proto)
				return e->destination;
		}
	}
	return EBB_MATCH_NONE;
}

/* What is said about a host, the stronger first: its own name, then one label less in front at each turn. */
struct host_walk {
	const struct ebb_matcher *matcher;
	struct ebb_match subject;
	const char *rest; /* after the next dot */
	bool begun;
};

/* False: the name is too long to be one. */
static bool walk_host(struct host_walk *walk, const struct ebb_matcher *matcher, const char *host)
{
	if (strlen(host) >= EBB_HOST_MAX)
		return false;
	walk->matcher = matcher;
	walk->rest = host;
	walk->begun = false;
	return true;
}

static bool next_run(struct host_walk *walk, struct run *ret_run)
{
	const char *dot;

	if (!walk->begun) {
		walk->begun = true;
		walk->subject.kind = EBB_MATCH_HOST;
	} else {
		dot = strchr(walk->rest, '.');
		if (!dot)
			return false;
		walk->rest = dot + 1;
		walk->subject.kind = EBB_MATCH_WILDCARD;
	}
	memcpy(walk->subject.host, walk->rest, strlen(walk->rest) + 1);
	*ret_run = find_run(walk->matcher, &walk->subject);
	return true;
}

uint32_t ebb_match_host(const struct ebb_matcher *matcher, const char *host, uint16_t port, uint8_t proto)
{
	uint32_t found = EBB_MATCH_NONE;
	struct host_walk walk;
	struct run run;

	if (!walk_host(&walk, matcher, host))
		return EBB_MATCH_NONE;
	while (found == EBB_MATCH_NONE && next_run(&walk, &run))
		found = first_fit(run, port, proto);
	return found;
}

uint32_t ebb_match_address(const struct ebb_matcher *matcher, const uint8_t addr[16], uint16_t port,
			   uint8_t proto)
{
	bool mapped = ebb_address_is_mapped(addr);
	struct ebb_match subject = {.kind = EBB_MATCH_PREFIX};
	uint32_t found;

	for (size_t i = 0; i < matcher->bits_count; i++) {
		/* those of IPv6 that hold the mapped ones are not about them */
		if (mapped && matcher->bits[i] < EBB_MAPPED_BITS)
			break;
		subject.bits = matcher->bits[i];
		ebb_address_mask(subject.addr, addr, subject.bits);
		found = first_fit(find_run(matcher, &subject), port, proto);
		if (found != EBB_MATCH_NONE)
			return found;
	}
	subject = (struct ebb_match){.kind = EBB_MATCH_ANY};
	return first_fit(find_run(matcher, &subject), port, proto);
}

/* -------------------------------------------------------------------- ports -- */

struct port_list {
	struct ebb_match_port *ports;
	size_t max, count;
};

static void add_port(struct port_list *list, uint16_t port, uint8_t proto, uint32_t destination)
{
	if (list->count < list->max)
		list->ports[list->count] = (struct ebb_match_port){port, proto, destination};
	list->count++;
}

/* What is said of @port, except where @any (TCP, UDP) says the same of all ports. */
static void add_answers(struct port_list *list, const struct ebb_matcher *matcher, const char *host,
			uint16_t port, const uint32_t any[2])
{
	static const uint8_t protos[2] = {EBB_PROTO_TCP, EBB_PROTO_UDP};
	uint32_t found[2];

	for (int i = 0; i < 2; i++) {
		found[i] = ebb_match_host(matcher, host, port, protos[i]);
		if (found[i] == any[i])
			found[i] = EBB_MATCH_NONE;
	}
	if (found[0] == found[1] && found[0] != EBB_MATCH_NONE) {
		add_port(list, port, 0, found[0]);
		return;
	}
	for (int i = 0; i < 2; i++) {
		if (found[i] != EBB_MATCH_NONE)
			add_port(list, port, protos[i], found[i]);
	}
}

/* Was the port of @entry named by one before it, of @run or of a stronger one? */
static bool was_named(const struct ebb_matcher *matcher, const char *host, struct run run,
		      const struct entry *entry)
{
	uint16_t port = entry->match->port;
	struct host_walk walk;
	struct run before;

	if (entry > run.first && entry[-1].match->port == port)
		return true;
	if (!walk_host(&walk, matcher, host))
		return false;
	/* an empty one may begin where it begins */
	while (next_run(&walk, &before) && (before.first != run.first || before.end != run.end)) {
		before = find_port(before, port);
		if (before.first < before.end)
			return true;
	}
	return false;
}

size_t ebb_match_host_ports(const struct ebb_matcher *matcher, const char *host,
			    struct ebb_match_port *ret_ports, size_t max)
{
	static const uint32_t nothing[2] = {EBB_MATCH_NONE, EBB_MATCH_NONE};
	struct port_list list = {ret_ports, max, 0};
	struct host_walk walk;
	uint32_t any[2];
	struct run run;

	if (!walk_host(&walk, matcher, host))
		return 0;
	any[0] = ebb_match_host(matcher, host, 0, EBB_PROTO_TCP);
	any[1] = ebb_match_host(matcher, host, 0, EBB_PROTO_UDP);
	while (next_run(&walk, &run)) {
		for (const struct entry *e = run.first; e < run.end; e++) {
			if (e->match->port && !was_named(matcher, host, run, e))
				add_answers(&list, matcher, host, e->match->port, any);
		}
	}
	add_answers(&list, matcher, host, 0, nothing);
	return list.count;
}
