/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the tree of the file to the configuration: which key stands where is looked up in the
 * table, what it takes is the table's business, and everything that is wrong is told with its
 * place, so that one look shows all of it.
 */
#include "config/reader.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/rules.h"
#include "lib/cleanup.h"
#include "lib/text.h"

#define SHOWN_MAX	 64 /* bytes of a wrong value that a message repeats */
#define MAPPING_KEYS_MAX 256
#define PENDING_MAX	 EBB_KEYS_MAX /* sections, each once, since no key is taken twice */
#define PATH_TEXT_MAX	 160
#define BELOW		 "destinations[]."

/* -------------------------------------------------------------- telling -- */

/* As the user wrote it: what stands below a destination without saying so each time. */
static const char *shown_path(const struct ebb_key *key)
{
	return strncmp(key->path, BELOW, strlen(BELOW)) == 0 ? key->path + strlen(BELOW) : key->path;
}

void ebb_reader_wrong(struct ebb_reader *r, const struct ebb_given *given, const char *format, ...)
{
	char text[sizeof(((struct ebb_problem *)0)->text)];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	ebb_problem(r->problems, given->line, given->column, "%s: %s",
		    given->name ? given->name : shown_path(given->key), text);
	r->wrong = true;
}

static const char *shown_text(const char *text, char buffer[4 * SHOWN_MAX])
{
	char start[SHOWN_MAX];

	(void)snprintf(start, sizeof(start), "%s", text);
	return ebb_text_escape(start, buffer, 4 * (size_t)SHOWN_MAX);
}

void ebb_reader_impossible(struct ebb_reader *r, const struct ebb_given *given, const char *text,
			   const char *expected)
{
	char shown[4 * SHOWN_MAX];

	if (given->key->flags & EBB_KEY_SECRET)
		ebb_reader_wrong(r, given, "this value is not possible: %s", expected);
	else
		ebb_reader_wrong(r, given, "'%s' is not possible: %s", shown_text(text, shown), expected);
}

/* At a node that is no key of the table: an item, a key that is not known. */
static void wrong_at(struct ebb_reader *r, const struct ebb_node *node, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void wrong_at(struct ebb_reader *r, const struct ebb_node *node, const char *format, ...)
{
	char text[sizeof(((struct ebb_problem *)0)->text)];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	ebb_problem(r->problems, node->line, node->column, "%s", text);
	r->wrong = true;
}

static const char *what_is(const struct ebb_node *node)
{
	if (node->kind == EBB_NODE_MAPPING)
		return "keys stand here";
	if (node->kind == EBB_NODE_SEQUENCE)
		return node->count ? "a list stands here" : "an empty list stands here";
	return node->nothing ? "nothing stands here" : "a value stands here";
}

/* ------------------------------------------------------------- origins -- */

void *ebb_reader_base(const struct ebb_reader *r, const struct ebb_given *given)
{
	if (given->key->flags & EBB_KEY_DESTINATION)
		return &r->config->destinations[given->destination];
	return r->config;
}

void ebb_reader_note(struct ebb_reader *r, const struct ebb_given *given, const char *text)
{
	struct ebb_config_origins *origins = r->origins;
	struct ebb_origin *origin = &origins->once[given->key - r->keys->list];

	if (given->key->flags & EBB_KEY_DESTINATION) {
		origin = ebb_arena_take(&origins->arena, sizeof(*origin));
		if (!origin) {
			r->no_memory = true;
			return;
		}
		origin->next = origins->of_destination[given->destination].first;
		origins->of_destination[given->destination].first = origin;
	}
	origin->key = given->key;
	origin->layer = given->layer;
	origin->line = given->line;
	origin->column = given->column;
	origin->name = NULL;
	origin->text = NULL;
	if (given->name) {
		origin->name = ebb_arena_text(&origins->arena, given->name, strlen(given->name));
		r->no_memory |= !origin->name;
	}
	if (!(given->key->flags & EBB_KEY_SECRET)) {
		origin->text = ebb_arena_text(&origins->arena, text, strlen(text));
		r->no_memory |= !origin->text;
	}
}

/* ---------------------------------------------------------- one as text -- */

/* The next of "a,b, c": cut out of *@io_rest. NULL: that was all. */
static char *next_item(char **io_rest)
{
	char *item = *io_rest, *comma;

	if (!item)
		return NULL;
	comma = strchr(item, ',');
	*io_rest = comma ? comma + 1 : NULL;
	if (comma)
		*comma = '\0';
	item += strspn(item, " ");
	for (size_t length = strlen(item); length > 0 && item[length - 1] == ' '; length--)
		item[length - 1] = '\0';
	return item;
}

/* Adds "auto" or an address to config->dns_resolvers. */
static bool add_resolver(struct ebb_reader *r, const struct ebb_given *given, const char *text)
{
	struct ebb_config *config = r->config;
	struct ebb_why why = {0};

	if (strcmp(text, "auto") == 0) {
		config->dns_auto = 1;
		return true;
	}
	if (config->dns_resolver_count == EBB_RESOLVERS_MAX) {
		ebb_reader_wrong(r, given, "at most %d addresses", EBB_RESOLVERS_MAX);
		return false;
	}
	if (ebb_rule_address(text, config->dns_resolvers[config->dns_resolver_count], &why) < 0) {
		ebb_reader_impossible(r, given, text, why.text);
		return false;
	}
	config->dns_resolver_count++;
	return true;
}

static bool set_resolvers(struct ebb_reader *r, const struct ebb_given *given, char *text)
{
	bool good = true;

	r->config->dns_auto = 0;
	r->config->dns_resolver_count = 0;
	for (char *item; (item = next_item(&text));)
		good &= add_resolver(r, given, item);
	return good;
}

/* Whether there is such a destination is asked when they stand. */
static bool add_exempt(struct ebb_reader *r, const struct ebb_given *given, const char *text)
{
	struct ebb_arena *arena = &r->origins->arena;
	struct ebb_exempt *exempt;
	struct ebb_why why = {0};

	if (ebb_key_parse(given->key, text, NULL, &why) < 0) {
		ebb_reader_impossible(r, given, text, why.text);
		return false;
	}
	exempt = ebb_arena_take(arena, sizeof(*exempt));
	if (!exempt) {
		r->no_memory = true;
		return false;
	}
	exempt->name = ebb_arena_text(arena, text, strlen(text));
	exempt->given = *given;
	if (given->name)
		exempt->given.name = ebb_arena_text(arena, given->name, strlen(given->name));
	exempt->next = r->exempt;
	r->exempt = exempt;
	r->no_memory |= !exempt->name || (given->name && !exempt->given.name);
	return !r->no_memory;
}

static bool set_exempt(struct ebb_reader *r, const struct ebb_given *given, char *text)
{
	bool good = true;

	r->exempt = NULL;
	for (char *item; (item = next_item(&text));)
		good &= add_exempt(r, given, item);
	return good;
}

/* A list of words begins anew where it is said again: by the environment over the file. */
static void empty_set(struct ebb_reader *r, const struct ebb_given *given)
{
	memset((char *)ebb_reader_base(r, given) + given->key->offset, 0, sizeof(uint32_t));
}

static bool set_one(struct ebb_reader *r, const struct ebb_given *given, const char *text)
{
	struct ebb_why why = {0};

	if (ebb_key_parse(given->key, text, ebb_reader_base(r, given), &why) == 0)
		return true;
	ebb_reader_impossible(r, given, text, why.text);
	return false;
}

static bool set_set(struct ebb_reader *r, const struct ebb_given *given, char *text)
{
	bool good = true;

	empty_set(r, given);
	for (char *item; (item = next_item(&text));)
		good &= set_one(r, given, item);
	return good;
}

/* Outcomes as every other list: "refused, timeout" becomes "refused+timeout", in place. */
static void join_outcomes(char *text)
{
	char *rest = text, *to = text;

	for (char *item; (item = next_item(&rest));) {
		size_t length = strlen(item);

		if (to != text)
			*to++ = '+';
		memmove(to, item, length);
		to += length;
	}
	*to = '\0';
}

void ebb_reader_set(struct ebb_reader *r, const struct ebb_given *given, const char *text)
{
	_cleanup_free_ char *copy = strdup(text);
	bool good;

	if (!copy) {
		r->no_memory = true;
		return;
	}
	if (given->key->kind == EBB_KEY_RESOLVERS) {
		good = set_resolvers(r, given, copy);
	} else if (given->key->kind == EBB_KEY_WORDS && given->key->offset == EBB_KEY_NOWHERE) {
		good = set_exempt(r, given, copy);
	} else if (given->key->kind == EBB_KEY_SET) {
		good = set_set(r, given, copy);
	} else {
		if (given->key->breaker && given->key->breaker->kind == EBB_POLICY_OUTCOMES)
			join_outcomes(copy);
		good = set_one(r, given, copy);
	}
	if (good)
		ebb_reader_note(r, given, text);
}

/* ------------------------------------------------------- nodes as text -- */

/* Does it mean the same without quotes, also in a list? */
static bool is_plain(const char *text)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/+=%";

	return *text != '\0' && *text != '-' && *text != '%' && strspn(text, letters) == strlen(text);
}

static void put_scalar(FILE *out, const char *text)
{
	if (is_plain(text)) {
		(void)fputs(text, out);
		return;
	}
	(void)fputc('"', out);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			(void)fputc('\\', out);
		if (*text == '\n')
			(void)fputs("\\n", out);
		else
			(void)fputc(*text, out);
	}
	(void)fputc('"', out);
}

/* In one line: [{host: "*.example.com", port: 443}]. NULL: out of memory. */
static char *node_text(const struct ebb_node *root)
{
	const struct ebb_node *above[EBB_TREE_DEPTH_MAX + 1], *node = root;
	uint32_t left[EBB_TREE_DEPTH_MAX + 1];
	size_t depth = 0, size;
	char *text = NULL;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	while (node) {
		if (node->kind == EBB_NODE_SCALAR) {
			put_scalar(out, node->text);
		} else {
			(void)fputc(node->kind == EBB_NODE_MAPPING ? '{' : '[', out);
			above[depth] = node;
			left[depth++] = node->count;
		}
		node = node->kind == EBB_NODE_SCALAR ? node->next : node->first;
		for (; depth > 0 && left[depth - 1] == 0; depth--) {
			node = above[depth - 1]->next;
			(void)fputc(above[depth - 1]->kind == EBB_NODE_MAPPING ? '}' : ']', out);
		}
		if (depth == 0)
			break;
		if (left[depth - 1] < above[depth - 1]->count)
			(void)fputs(above[depth - 1]->kind == EBB_NODE_MAPPING && left[depth - 1] % 2 ? ": "
												      : ", ",
				    out);
		left[depth - 1]--;
	}
	if (fclose(out) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

static void note_node(struct ebb_reader *r, const struct ebb_given *given, const struct ebb_node *node)
{
	_cleanup_free_ char *text = node_text(node);

	if (text)
		ebb_reader_note(r, given, text);
	else
		r->no_memory = true;
}

/* --------------------------------------------------------- kinds of keys -- */

static struct ebb_given at_node(const struct ebb_given *given, const struct ebb_node *node)
{
	struct ebb_given at = *given;

	at.line = node->line;
	at.column = node->column;
	return at;
}

static void wrong_kind(struct ebb_reader *r, const struct ebb_given *given, const struct ebb_node *node,
		       const char *expected)
{
	struct ebb_given at = at_node(given, node);

	ebb_reader_wrong(r, &at, "%s: expected %s", what_is(node), expected);
}

/* Is the list one? Nothing behind the key is an empty one. */
static bool is_list(struct ebb_reader *r, const struct ebb_given *given, const struct ebb_node *node)
{
	if (node->kind == EBB_NODE_SEQUENCE || node->nothing)
		return true;
	wrong_kind(r, given, node, given->key->range);
	return false;
}

/* A list of outcomes: each by itself, then together. */
static void read_outcomes(struct ebb_reader *r, const struct ebb_given *given, const struct ebb_node *node)
{
	struct ebb_breaker_config scratch;
	char joined[256] = "", shown[4 * SHOWN_MAX];
	struct ebb_why why = {0};
	size_t used = 0;

	if (node->count == 0) {
		wrong_kind(r, given, node, "at least one outcome");
		return;
	}
	for (const struct ebb_node *item = node->first; item; item = item->next) {
		struct ebb_given at = at_node(given, item);

		if (item->kind != EBB_NODE_SCALAR || item->nothing) {
			wrong_kind(r, given, item, "an outcome");
			return;
		}
		if (strchr(item->text, '+') ||
		    ebb_policy_parse_value(given->key->breaker, item->text, &scratch, &why) < 0) {
			ebb_reader_wrong(r, &at,
					 "'%s' is not possible: any of refused, timeout, unreachable, abandoned, reset, unanswered",
					 shown_text(item->text, shown));
			return;
		}
		used += (size_t)snprintf(joined + used, sizeof(joined) - used, "%s%s", used ? "+" : "",
					 item->text);
		if (used >= sizeof(joined) ||
		    ebb_policy_parse_value(given->key->breaker, joined, &scratch, &why) < 0) {
			ebb_reader_wrong(r, &at, "'%s' stands twice", shown_text(item->text, shown));
			return;
		}
	}
	if (set_one(r, given, joined))
		note_node(r, given, node);
}

/* {rate: 10MB/s, burst: 2MB} */
static void read_limit(struct ebb_reader *r, const struct ebb_given *given, const struct ebb_node *node)
{
	const struct ebb_node *rate = NULL, *burst = NULL;
	char text[256];
	struct ebb_given at;
	struct ebb_limit limit;
	struct ebb_why why = {0};
	bool is_amount;

	for (const struct ebb_node *key = node->first; key; key = key->next->next) {
		const struct ebb_node **place = strcmp(key->text, "rate") == 0	  ? &rate
						: strcmp(key->text, "burst") == 0 ? &burst
										  : NULL;

		if (!place) {
			wrong_at(r, key, "%s: unknown key '%s': expected rate and burst",
				 shown_path(given->key), shown_text(key->text, text));
			return;
		}
		if (*place) {
			wrong_at(r, key, "%s: %s is given twice", shown_path(given->key), key->text);
			return;
		}
		*place = key->next;
		if (key->next->kind != EBB_NODE_SCALAR || key->next->nothing) {
			wrong_kind(r, given, key->next, "an amount");
			return;
		}
	}
	if (!rate) {
		wrong_kind(r, given, node, "a rate among them, as in {rate: 20/s, burst: 40}");
		return;
	}
	at = at_node(given, rate);
	if (strpbrk(rate->text, ", ")) {
		ebb_reader_impossible(r, &at, rate->text, "a rate alone; the burst has a key of its own");
		return;
	}
	if (!set_one(r, &at, rate->text) || !burst) {
		if (!burst)
			note_node(r, given, node);
		return;
	}
	at = at_node(given, burst);
	is_amount = burst->text[0] >= '0' && burst->text[0] <= '9';
	(void)snprintf(text, sizeof(text), "%s,burst=%.128s", rate->text, burst->text);
	if (strlen(rate->text) + strlen(burst->text) > 128 ||
	    ebb_limit_parse(text, (uint32_t)given->key->min, &limit, &why) < 0) {
		(void)snprintf(text, sizeof(text), "an amount such as %s",
			       ebb_limit_kind_info((uint32_t)given->key->min)->example_burst);
		ebb_reader_impossible(r, &at, burst->text, is_amount && why.text[0] ? why.text : text);
		return;
	}
	(void)set_one(r, &at, text);
	note_node(r, given, node);
}

static bool add_word(struct ebb_reader *r, const struct ebb_given *given, const char *text)
{
	switch (given->key->kind) {
	case EBB_KEY_RESOLVERS:
		return add_resolver(r, given, text);
	case EBB_KEY_SET:
		return set_one(r, given, text);
	default:
		return add_exempt(r, given, text);
	}
}

/* Of a list that is kept as one text. */
static void read_joined(struct ebb_reader *r, const struct ebb_given *given, const struct ebb_node *node)
{
	char text[EBB_KUBERNETES_LABELS_MAX + 1] = "";
	size_t used = 0;

	for (const struct ebb_node *item = node->first; item; item = item->next) {
		if (item->kind != EBB_NODE_SCALAR || item->nothing || strchr(item->text, ',')) {
			wrong_kind(r, given, item, given->key->range);
			return;
		}
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", used ? "," : "",
					 item->text);
		if (used >= sizeof(text))
			break; /* too long, which is told */
	}
	if (used == 0 || set_one(r, given, text))
		note_node(r, given, node);
}

static void read_words(struct ebb_reader *r, const struct ebb_given *given, const struct ebb_node *node)
{
	bool good = true;

	if (given->key->kind == EBB_KEY_SET) {
		empty_set(r, given);
	} else if (given->key->kind == EBB_KEY_WORDS) {
		r->exempt = NULL;
	} else {
		r->config->dns_auto = 0;
		r->config->dns_resolver_count = 0;
		if (node->count == 0) {
			wrong_kind(r, given, node, given->key->range);
			return;
		}
	}
	for (const struct ebb_node *item = node->first; item; item = item->next) {
		struct ebb_given at = at_node(given, item);

		if (item->kind != EBB_NODE_SCALAR || item->nothing) {
			wrong_kind(r, given, item, given->key->range);
			good = false;
		} else {
			good &= add_word(r, &at, item->text);
		}
	}
	if (good)
		note_node(r, given, node);
}

/* The values of a mapping whose keys are @names, the last one NULL; false: something was told. */
static bool read_mapping(struct ebb_reader *r, const struct ebb_node *node, const char *what,
			 const char *const *names, const struct ebb_node **ret_values)
{
	char shown[4 * SHOWN_MAX], all[128] = "";
	const char *best = NULL;
	size_t best_distance = SIZE_MAX, distance, used = 0;
	bool good = true;

	for (size_t i = 0; names[i]; i++) {
		ret_values[i] = NULL;
		used += (size_t)snprintf(all + used, sizeof(all) - used, "%s%s", used ? ", " : "", names[i]);
	}
	if (node->kind != EBB_NODE_MAPPING) {
		wrong_at(r, node, "%s: %s: expected keys such as {%s: ...}", what, what_is(node), names[0]);
		return false;
	}
	for (const struct ebb_node *key = node->first; key; key = key->next->next) {
		size_t i = 0;

		while (names[i] && strcmp(names[i], key->text) != 0)
			i++;
		if (names[i] && ret_values[i]) {
			wrong_at(r, key, "%s: %s is given twice", what, key->text);
			good = false;
		} else if (names[i] && (key->next->kind != EBB_NODE_SCALAR || key->next->nothing)) {
			wrong_at(r, key->next, "%s: %s: %s: expected one value", what, key->text,
				 what_is(key->next));
			good = false;
		} else if (names[i]) {
			ret_values[i] = key->next;
		}
		if (names[i])
			continue;
		good = false;
		for (i = 0; names[i]; i++) {
			if (ebb_text_like(key->text, names[i], &distance) && distance < best_distance) {
				best = names[i];
				best_distance = distance;
			}
		}
		if (best)
			wrong_at(r, key, "%s: unknown key '%s': did you mean '%s'?", what,
				 shown_text(key->text, shown), best);
		else
			wrong_at(r, key, "%s: unknown key '%s': expected one of %s", what,
				 shown_text(key->text, shown), all);
		best = NULL;
		best_distance = SIZE_MAX;
	}
	return good;
}

static void read_selectors(struct ebb_reader *r, const struct ebb_given *given, const struct ebb_node *node)
{
	/* enum ebb_selector_kind */
	static const char *const names[] = {"cgroup", "namespace", "label", "priority_class", NULL};
	bool include = strcmp(ebb_key_name(given->key), "include") == 0;
	struct ebb_workloads *workloads = &r->config->workloads;
	struct ebb_selector *list;
	const struct ebb_node *values[4];
	size_t count = 0;

	if (!is_list(r, given, node))
		return;
	if (node->count > EBB_SELECTORS_MAX) {
		ebb_reader_wrong(r, given, "at most %d selectors", EBB_SELECTORS_MAX);
		return;
	}
	list = calloc(node->count ? node->count : 1, sizeof(*list));
	if (!list) {
		r->no_memory = true;
		return;
	}
	for (const struct ebb_node *item = node->first; item; item = item->next) {
		struct ebb_why why = {0};
		uint32_t kind = 0, found = 0;

		if (!read_mapping(r, item, "selector", names, values))
			continue;
		for (uint32_t i = 0; names[i]; i++) {
			if (values[i]) {
				kind = i;
				found++;
			}
		}
		if (found != 1) {
			wrong_at(r, item,
				 "selector: %u keys: expected exactly one of cgroup, namespace, label, priority_class",
				 found);
			continue;
		}
		if (ebb_rule_selector(kind, values[kind]->text, &list[count], &why) < 0) {
			struct ebb_given at = at_node(given, values[kind]);

			at.name = names[kind];
			ebb_reader_impossible(r, &at, values[kind]->text, why.text);
			continue;
		}
		count++;
	}
	if (include) {
		workloads->include = list;
		workloads->include_count = count;
	} else {
		workloads->exclude = list;
		workloads->exclude_count = count;
	}
	note_node(r, given, node);
}

/* -------------------------------------------------------------- matches -- */

enum match_key {
	MATCH_HOST,
	MATCH_CIDR,
	MATCH_PORT,
	MATCH_PROTOCOL,
	MATCH_KEYS,
};

static const char *const match_names[] = {"host", "cidr", "port", "protocol", NULL};

/* By @key of the table; false: it was told. */
static bool read_match_part(struct ebb_reader *r, const struct ebb_given *given, enum match_key part,
			    const struct ebb_node *value, struct ebb_match *io_match)
{
	struct ebb_given at = at_node(given, value);
	char path[EBB_KEY_PATH_MAX];
	struct ebb_key key;
	struct ebb_why why = {0};
	uint32_t number = 0;
	int e = 0;

	(void)snprintf(path, sizeof(path), "destinations[].match[].%s", match_names[part]);
	at.key = ebb_keys_find(r->keys, path);
	if (!at.key)
		return false;
	switch (part) {
	case MATCH_HOST:
		e = ebb_rule_host(value->text, io_match, &why);
		break;
	case MATCH_CIDR:
		e = ebb_rule_cidr(value->text, io_match, &why);
		break;
	case MATCH_PORT:
	case MATCH_PROTOCOL:
		key = *at.key;
		key.offset = 0;
		e = ebb_key_parse(&key, value->text, &number, &why);
		if (e == 0 && part == MATCH_PORT)
			io_match->port = (uint16_t)number;
		else if (e == 0)
			io_match->proto = number == 0 ? IPPROTO_TCP : IPPROTO_UDP;
		break;
	case MATCH_KEYS:
		break;
	}
	if (e < 0)
		ebb_reader_impossible(r, &at, value->text, why.text);
	return e == 0;
}

/* One match. False: what is wrong was told. */
static bool read_match(struct ebb_reader *r, const struct ebb_given *given, const struct ebb_node *item,
		       struct ebb_match *ret_match)
{
	const struct ebb_node *values[MATCH_KEYS];
	struct ebb_match match = {.kind = EBB_MATCH_ANY};
	bool good = true, some = false;

	if (!read_mapping(r, item, "match", match_names, values))
		return false;
	if (values[MATCH_HOST] && values[MATCH_CIDR]) {
		wrong_at(r, item, "match: host and cidr: expected one of them; write two matches");
		return false;
	}
	for (enum match_key part = 0; part < MATCH_KEYS; part++) {
		if (!values[part])
			continue;
		some = true;
		good &= read_match_part(r, given, part, values[part], &match);
	}
	if (!some) {
		wrong_at(r, item,
			 "match: expected a host, a cidr or a port; everything is {cidr: 0.0.0.0/0} and {cidr: \"::/0\"}");
		return false;
	}
	if (good)
		*ret_match = match;
	return good;
}

static void read_matches(struct ebb_reader *r, const struct ebb_given *given, const struct ebb_node *node)
{
	struct ebb_destination *destination = &r->config->destinations[given->destination];

	if (!is_list(r, given, node))
		return;
	if (node->count == 0) {
		wrong_kind(r, given, node, "at least one match: nothing would belong to it");
		return;
	}
	r->match_total += node->count;
	if (r->match_total > EBB_MATCHES_MAX) {
		ebb_reader_wrong(r, given, "too many: all destinations together may have %d",
				 EBB_MATCHES_MAX);
		return;
	}
	destination->matches = calloc(node->count, sizeof(destination->matches[0]));
	if (!destination->matches) {
		r->no_memory = true;
		return;
	}
	for (const struct ebb_node *item = node->first; item; item = item->next) {
		struct ebb_match *match = &destination->matches[destination->match_count];

		if (!read_match(r, given, item, match))
			continue;
		r->places[r->place_count++] =
			(struct ebb_place){given->destination, (uint32_t)destination->match_count, item->line,
					   item->column};
		destination->match_count++;
	}
	note_node(r, given, node);
}

/* ------------------------------------------------------------ the tree -- */

static void read_value(struct ebb_reader *r, const struct ebb_given *given, const struct ebb_node *node)
{
	const struct ebb_key *key = given->key;

	switch (key->kind) {
	case EBB_KEY_SELECTORS:
		read_selectors(r, given, node);
		return;
	case EBB_KEY_MATCHES:
		read_matches(r, given, node);
		return;
	case EBB_KEY_DESTINATIONS:
		if (is_list(r, given, node))
			r->destinations = node;
		return;
	case EBB_KEY_WORDS:
	case EBB_KEY_SET:
	case EBB_KEY_RESOLVERS:
		if (node->nothing) /* as if it were not there */
			return;
		if (node->kind == EBB_NODE_SEQUENCE) {
			if (key->kind == EBB_KEY_WORDS && key->offset != EBB_KEY_NOWHERE)
				read_joined(r, given, node);
			else
				read_words(r, given, node);
			return;
		}
		break;
	case EBB_KEY_LIMIT:
		if (node->kind == EBB_NODE_MAPPING) {
			read_limit(r, given, node);
			return;
		}
		break;
	case EBB_KEY_BREAKER:
		if (node->kind == EBB_NODE_SEQUENCE && key->breaker->kind == EBB_POLICY_OUTCOMES) {
			read_outcomes(r, given, node);
			return;
		}
		break;
	default:
		break;
	}
	if (node->kind != EBB_NODE_SCALAR || node->nothing)
		wrong_kind(r, given, node, key->range);
	else
		ebb_reader_set(r, given, node->text);
}

/* The key below @prefix that was probably meant: another name, or one that stands elsewhere below it. */
static const struct ebb_key *nearest_key(const struct ebb_keys *keys, const char *prefix, const char *name)
{
	const struct ebb_key *best = NULL;
	size_t best_distance = SIZE_MAX, distance, length = strlen(prefix);

	for (size_t i = 0; i < keys->count; i++) {
		const struct ebb_key *key = &keys->list[i];

		if (strncmp(key->path, prefix, length) != 0)
			continue;
		if (strcmp(ebb_key_name(key), name) == 0)
			distance = 0;
		else if (strpbrk(key->path + length, ".[") ||
			 !ebb_text_like(name, key->path + length, &distance))
			continue;
		if (distance < best_distance) {
			best_distance = distance;
			best = key;
		}
	}
	return best;
}

static void unknown_key(struct ebb_reader *r, const char *prefix, const struct ebb_node *node)
{
	char shown[4 * SHOWN_MAX], all[320] = "";
	const struct ebb_key *nearest;
	size_t used = 0, length = strlen(prefix);

	r->wrong = true;
	if (r->problems->count == EBB_PROBLEMS_MAX) {
		ebb_problem(r->problems, node->line, node->column, "unknown key");
		return;
	}
	if (strchr(node->text, '.')) {
		ebb_problem(r->problems, node->line, node->column,
			    "unknown key '%s': keys have no dots, write each part below the one before",
			    shown_text(node->text, shown));
		return;
	}
	nearest = nearest_key(r->keys, prefix, node->text);
	if (nearest) {
		ebb_problem(r->problems, node->line, node->column, "unknown key '%s': did you mean '%s'?",
			    shown_text(node->text, shown), nearest->path + length);
		return;
	}
	for (size_t i = 0; i < r->keys->count && used < sizeof(all); i++) {
		const char *path = r->keys->list[i].path;

		if (strncmp(path, prefix, length) == 0 && !strpbrk(path + length, ".["))
			used += (size_t)snprintf(all + used, sizeof(all) - used, "%s%s", used ? ", " : "",
						 path + length);
	}
	ebb_problem(r->problems, node->line, node->column, "unknown key '%s': expected one of %s",
		    shown_text(node->text, shown), all);
}

/* The line in which the same key stood before, or 0. */
static uint32_t line_before(const struct ebb_node *mapping, const struct ebb_node *key)
{
	for (const struct ebb_node *earlier = mapping->first; earlier != key; earlier = earlier->next->next) {
		if (strcmp(earlier->text, key->text) == 0)
			return earlier->line;
	}
	return 0;
}

static bool is_name(const char *text)
{
	return *text != '\0' && strspn(text, "abcdefghijklmnopqrstuvwxyz_") == strlen(text) &&
	       strlen(text) < EBB_KEY_PATH_MAX / 2;
}

/* Sections that wait to be read. */
struct pending {
	struct {
		const struct ebb_node *node;
		const struct ebb_key *section;
	} list[PENDING_MAX];
	size_t count;
};

static void push(struct pending *pending, const struct ebb_node *node, const struct ebb_key *section)
{
	pending->list[pending->count].node = node;
	pending->list[pending->count].section = section;
	pending->count++;
}

static void read_key(struct ebb_reader *r, const struct ebb_node *node, const char *prefix,
		     uint32_t destination, struct pending *pending)
{
	struct ebb_given given = {.layer = EBB_LAYER_FILE,
				  .line = node->next->line,
				  .column = node->next->column,
				  .destination = destination};
	char path[PATH_TEXT_MAX] = "";

	if (is_name(node->text))
		(void)snprintf(path, sizeof(path), "%s%s", prefix, node->text);
	given.key = ebb_keys_find(r->keys, path);
	if (!given.key) {
		unknown_key(r, prefix, node);
	} else if (given.key->kind == EBB_KEY_SECTION) {
		push(pending, node->next, given.key);
	} else {
		read_value(r, &given, node->next);
	}
}

bool ebb_reader_wants(const struct ebb_reader *r, const char *path)
{
	size_t length = r->section ? strlen(r->section) : 0;

	return !r->section ||
	       (strncmp(path, r->section, length) == 0 && (path[length] == '.' || path[length] == '\0'));
}

/* The keys of one mapping, not those of the sections below it. */
static void read_keys(struct ebb_reader *r, const struct ebb_node *node, const char *prefix,
		      uint32_t destination, struct pending *pending)
{
	uint32_t count = 0;

	if (node->kind == EBB_NODE_SCALAR && node->nothing)
		return;
	if (node->kind != EBB_NODE_MAPPING) {
		wrong_at(r, node, "%.*s%s: expected keys", (int)(*prefix ? strlen(prefix) - 1 : 0), prefix,
			 *prefix ? (node->kind == EBB_NODE_SCALAR ? ": a value stands here"
								  : ": a list stands here")
				 : "no keys stand here");
		return;
	}
	for (const struct ebb_node *key = node->first; key; key = key->next->next) {
		uint32_t before;

		if (!*prefix && !ebb_reader_wants(r, key->text))
			continue;
		if (++count > MAPPING_KEYS_MAX) {
			wrong_at(r, key, "too many keys: there are not that many");
			return;
		}
		before = line_before(node, key);
		if (before) {
			char shown[4 * SHOWN_MAX];

			wrong_at(r, key, "'%s' is given twice, before in line %u",
				 shown_text(key->text, shown), before);
			continue;
		}
		read_key(r, key, prefix, destination, pending);
	}
}

/* A mapping with all sections below it. */
static void read_all(struct ebb_reader *r, const struct ebb_node *node, const char *prefix,
		     uint32_t destination)
{
	struct pending pending;
	char below[EBB_KEY_PATH_MAX + 1];

	pending.count = 0;
	read_keys(r, node, prefix, destination, &pending);
	while (pending.count > 0) {
		pending.count--;
		(void)snprintf(below, sizeof(below), "%s.", pending.list[pending.count].section->path);
		read_keys(r, pending.list[pending.count].node, below, destination, &pending);
	}
}

void ebb_reader_read(struct ebb_reader *r, const struct ebb_node *root)
{
	if (root)
		read_all(r, root, "", 0);
}

void ebb_reader_errno(struct ebb_reader *r, uint32_t destination)
{
	struct ebb_settings *settings = destination == EBB_MATCH_NONE
						? &r->config->defaults
						: &r->config->destinations[destination].settings;

	if (ebb_origin_of(r->origins, ebb_keys_find(r->keys, "defaults.limits.errno"), EBB_MATCH_NONE))
		return;
	if (destination == EBB_MATCH_NONE ||
	    !ebb_origin_of(r->origins, ebb_keys_find(r->keys, "destinations[].limits.errno"), destination))
		settings->limits_errno = settings->errno_code;
}

static void read_destination(struct ebb_reader *r, const struct ebb_node *node, uint32_t index)
{
	struct ebb_destination *destination = &r->config->destinations[index];
	const struct ebb_node *name = NULL, *match = NULL;

	destination->settings = r->config->defaults;
	destination->line = node->line;
	if (node->kind != EBB_NODE_MAPPING) {
		wrong_at(r, node, "destination: %s: expected keys, name and match among them", what_is(node));
		return;
	}
	for (const struct ebb_node *key = node->first; key; key = key->next->next) {
		if (strcmp(key->text, "name") == 0)
			name = key;
		if (strcmp(key->text, "match") == 0)
			match = key;
	}
	if (!name)
		wrong_at(r, node, "destination: name is missing");
	if (!match)
		wrong_at(r, node, "destination: match is missing: nothing would belong to it");
	read_all(r, node, BELOW, index);
	ebb_reader_errno(r, index);
}

static size_t count_places(const struct ebb_node *list)
{
	size_t places = 0;

	for (const struct ebb_node *item = list->first; item; item = item->next) {
		if (item->kind != EBB_NODE_MAPPING)
			continue;
		for (const struct ebb_node *key = item->first; key; key = key->next->next)
			places += strcmp(key->text, "match") == 0 ? key->next->count : 0;
	}
	return places;
}

void ebb_reader_destinations(struct ebb_reader *r)
{
	const struct ebb_node *list = r->destinations;
	struct ebb_config *config = r->config;
	uint32_t index = 0;

	if (!list || list->count == 0)
		return;
	if (list->count > EBB_DESTINATIONS_MAX) {
		wrong_at(r, list, "destinations: %u are too many: at most %d", list->count,
			 EBB_DESTINATIONS_MAX);
		return;
	}
	config->destinations = calloc(list->count, sizeof(config->destinations[0]));
	r->origins->of_destination = calloc(list->count, sizeof(r->origins->of_destination[0]));
	r->places = calloc(count_places(list) + 1, sizeof(r->places[0]));
	if (!config->destinations || !r->origins->of_destination || !r->places) {
		r->no_memory = true;
		return;
	}
	config->destination_count = list->count;
	for (const struct ebb_node *item = list->first; item; item = item->next)
		read_destination(r, item, index++);
}
