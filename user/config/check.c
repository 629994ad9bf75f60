/* SPDX-License-Identifier: Apache-2.0 */
/* What holds between keys, told where the key stands that can be changed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/reader.h"
#include "config/rules.h"
#include "export/groups.h"
#include "lib/cleanup.h"
#include "lib/units.h"

const struct ebb_origin *ebb_origin_of(const struct ebb_config_origins *origins, const struct ebb_key *key,
				       uint32_t destination)
{
	const struct ebb_origin *origin;

	if (destination == EBB_MATCH_NONE) {
		origin = &origins->once[key - origins->keys->list];
		return origin->key ? origin : NULL;
	}
	for (origin = origins->of_destination[destination].first; origin; origin = origin->next) {
		if (origin->key == key)
			return origin;
	}
	return NULL;
}

/* Who says @name of the breaker: of @destination, or of the defaults. */
static const struct ebb_origin *breaker_origin(const struct ebb_reader *r, uint32_t destination,
					       const char *name)
{
	char path[EBB_KEY_PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s.breaker.%s",
		       destination == EBB_MATCH_NONE ? "defaults" : "destinations[]", name);
	return ebb_origin_of(r->origins, ebb_keys_find(r->keys, path), destination);
}

static struct ebb_given given_of(const struct ebb_origin *origin)
{
	return (struct ebb_given){
		.key = origin->key,
		.layer = origin->layer,
		.name = origin->name,
		.line = origin->line,
		.column = origin->column,
	};
}

static void check_breaker(struct ebb_reader *r, const struct ebb_settings *settings, uint32_t destination)
{
	const struct ebb_origin *origin;
	const char *keys[2], *doubted;
	struct ebb_why why = {0};
	struct ebb_given given;

	if (ebb_policy_check(&settings->breaker, keys, &why) < 0) {
		origin = breaker_origin(r, destination, keys[0]);
		if (!origin)
			origin = breaker_origin(r, destination, keys[1]);
		/* neither is said here: it is told where it is */
		if (origin) {
			given = given_of(origin);
			ebb_reader_wrong(r, &given, "%s",
					 strncmp(why.text, "breaker: ", 9) == 0 ? why.text + 9 : why.text);
		}
	}
	origin = breaker_origin(r, destination, "slow_rate");
	if (origin && settings->breaker.slow_call_ns == 0)
		ebb_problem_warn(r->problems, origin->line, origin->column,
				 "slow_rate does nothing while slow_call is off: set slow_call, too");
	doubted = ebb_policy_doubt(&settings->breaker, &why);
	origin = doubted ? breaker_origin(r, destination, doubted) : NULL;
	if (origin)
		ebb_problem_warn(r->problems, origin->line, origin->column, "%s", why.text);
}

/* -------------------------------------------------------------- delivery -- */

static const struct ebb_origin *delivery_origin(const struct ebb_reader *r, const char *place,
						const char *name)
{
	char path[EBB_KEY_PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s.delivery.%s", place, name);
	return ebb_origin_of(r->origins, ebb_keys_find(r->keys, path), EBB_MATCH_NONE);
}

static void check_delivery(struct ebb_reader *r, const char *place, const struct ebb_delivery_settings *d)
{
	char first[EBB_FORMAT_MAX], max[EBB_FORMAT_MAX];
	const struct ebb_origin *origin = delivery_origin(r, place, "max");
	struct ebb_given given;

	if (d->max_ns >= d->first_ns)
		return;
	if (!origin)
		origin = delivery_origin(r, place, "first");
	if (!origin)
		return;
	given = given_of(origin);
	ebb_reader_wrong(r, &given, "max (%s) is below first (%s): raise max or lower first",
			 ebb_format_duration(d->max_ns, max, sizeof(max)),
			 ebb_format_duration(d->first_ns, first, sizeof(first)));
}

/* ---------------------------------------------------------------- names -- */

static const char *name_of(const struct ebb_reader *r, uint32_t destination)
{
	return r->config->destinations[destination].name;
}

static int compare_names(const void *a, const void *b, void *userdata)
{
	const struct ebb_reader *r = userdata;
	uint32_t one = *(const uint32_t *)a, other = *(const uint32_t *)b;
	int order = strcmp(name_of(r, one), name_of(r, other));

	return order ? order : (one > other) - (one < other);
}

/* @sorted: the destinations by name. */
static void check_twice(struct ebb_reader *r, const uint32_t *sorted, size_t count)
{
	const struct ebb_key *key = ebb_keys_find(r->keys, "destinations[].name");

	for (size_t i = 1; i < count; i++) {
		const struct ebb_origin *origin, *first;
		struct ebb_given given;

		if (!name_of(r, sorted[i])[0] ||
		    strcmp(name_of(r, sorted[i - 1]), name_of(r, sorted[i])) != 0)
			continue;
		origin = ebb_origin_of(r->origins, key, sorted[i]);
		first = ebb_origin_of(r->origins, key, sorted[i - 1]);
		if (!origin || !first)
			continue;
		given = given_of(origin);
		ebb_reader_wrong(r, &given, "'%s' is another destination already, in line %u",
				 name_of(r, sorted[i]), first->line);
	}
}

/* The destination named @name; EBB_MATCH_NONE: there is none. */
static uint32_t find_name(const struct ebb_reader *r, const uint32_t *sorted, size_t count, const char *name)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(name, name_of(r, sorted[middle]));

		if (order == 0)
			return sorted[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return EBB_MATCH_NONE;
}

/* A name that exempts nothing would be found out when everything is refused. */
static void check_exempt(struct ebb_reader *r, const uint32_t *sorted, size_t count)
{
	const struct ebb_origin *action =
		ebb_origin_of(r->origins, ebb_keys_find(r->keys, "node_fuse.action"), EBB_MATCH_NONE);

	for (const struct ebb_exempt *exempt = r->exempt; exempt; exempt = exempt->next) {
		uint32_t destination = find_name(r, sorted, count, exempt->name);

		if (destination == EBB_MATCH_NONE)
			ebb_reader_impossible(r, &exempt->given, exempt->name,
					      "there is no such name in destinations");
		else
			r->config->destinations[destination].fuse_exempt = 1;
	}
	if (action && r->config->node_fuse.action == EBB_FUSE_SHED && !r->exempt)
		ebb_problem_warn(r->problems, action->line, action->column,
				 "node_fuse.action: shed with nothing in exempt refuses name servers, too: give a destination to what must go on, such as {name: dns, match: [{port: 53}]}, and exempt it");
}

static void check_names(struct ebb_reader *r)
{
	size_t count = r->config->destination_count;
	_cleanup_free_ uint32_t *sorted = calloc(count + 1, sizeof(*sorted));

	if (!sorted) {
		r->no_memory = true;
		return;
	}
	for (size_t i = 0; i < count; i++)
		sorted[i] = (uint32_t)i;
	qsort_r(sorted, count, sizeof(*sorted), compare_names, r);
	check_twice(r, sorted, count);
	check_exempt(r, sorted, count);
}

/* --------------------------------------------------------------- matches -- */

static const struct ebb_match *match_of(const struct ebb_reader *r, const struct ebb_place *place)
{
	return &r->config->destinations[place->destination].matches[place->match];
}

/* By what is claimed; the same stands together, in the order of the file. */
static int compare_places(const void *a, const void *b, void *userdata)
{
	const struct ebb_reader *r = userdata;
	const struct ebb_place *one = a, *other = b;
	const struct ebb_match *m = match_of(r, one), *n = match_of(r, other);
	int order;

	if (m->kind != n->kind)
		return m->kind < n->kind ? -1 : 1;
	order = strcmp(m->host, n->host);
	if (order == 0)
		order = memcmp(m->addr, n->addr, sizeof(m->addr));
	if (order == 0)
		order = (int)m->bits - n->bits;
	if (order == 0)
		order = (int)m->port - n->port;
	if (order == 0)
		order = (int)m->proto - n->proto;
	if (order)
		return order;
	return one->line != other->line ? (one->line > other->line) - (one->line < other->line)
					: (one->column > other->column) - (one->column < other->column);
}

static bool same_match(const struct ebb_match *m, const struct ebb_match *n)
{
	return m->kind == n->kind && strcmp(m->host, n->host) == 0 &&
	       memcmp(m->addr, n->addr, sizeof(m->addr)) == 0 && m->bits == n->bits && m->port == n->port &&
	       m->proto == n->proto;
}

/* The first in the file wins: whoever wrote the second may not know. */
static void check_matches(struct ebb_reader *r)
{
	const struct ebb_place *first = r->places;

	if (r->place_count == 0)
		return;
	qsort_r(r->places, r->place_count, sizeof(r->places[0]), compare_places, r);
	for (size_t i = 1; i < r->place_count; i++) {
		const struct ebb_place *place = &r->places[i];
		char text[EBB_HOST_MAX + 64];

		if (!same_match(match_of(r, first), match_of(r, place))) {
			first = place;
			continue;
		}
		(void)ebb_rule_format(match_of(r, place), text, sizeof(text));
		if (first->destination == place->destination)
			ebb_problem_warn(r->problems, place->line, place->column,
					 "match: %s stands here twice, before in line %u", text, first->line);
		else
			ebb_problem_warn(r->problems, place->line, place->column,
					 "match: %s is claimed by '%s' in line %u, which comes first and wins",
					 text, name_of(r, first->destination), first->line);
	}
}

static void check_labels(struct ebb_reader *r)
{
	const uint32_t pod = 1U << EBB_KEPT_POD, namespace = 1U << EBB_KEPT_NAMESPACE;
	const struct ebb_origin *origin =
		ebb_origin_of(r->origins, ebb_keys_find(r->keys, "metrics.labels"), EBB_MATCH_NONE);

	if (origin && (r->config->metrics_labels & (pod | namespace)) == pod)
		ebb_problem_warn(r->problems, origin->line, origin->column,
				 "metrics.labels: pods of the same name in two namespaces are one series: keep namespace, too");
}

/* ----------------------------------------------------------------- all -- */

static void check_capacity(struct ebb_reader *r)
{
	const struct ebb_config *config = r->config;

	/* one place is ~other's */
	if (config->destination_count > 0 && config->destination_count >= config->cap_destinations) {
		ebb_problem(r->problems, r->destinations->line, r->destinations->column,
			    "destinations: %zu are more than capacity.destinations (%u) has room for: raise it",
			    config->destination_count, config->cap_destinations);
		r->wrong = true;
	}
}

void ebb_reader_check(struct ebb_reader *r)
{
	check_breaker(r, &r->config->defaults, EBB_MATCH_NONE);
	for (size_t i = 0; i < r->config->destination_count; i++)
		check_breaker(r, &r->config->destinations[i].settings, (uint32_t)i);
	check_delivery(r, "audit.file", &r->config->audit.file.delivery);
	check_delivery(r, "audit.sqlite", &r->config->audit.sqlite.delivery);
	check_delivery(r, "audit.postgres", &r->config->audit.postgres.delivery);
	check_names(r);
	check_matches(r);
	check_capacity(r);
	check_labels(r);
}
