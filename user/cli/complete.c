/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/complete.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "tell/render.h"
#include "tell/snapshot.h"
#include "config/keys.h"
#include "core/policy.h"
#include "lib/text.h"
#include "node/pods_file.h"

#define MEANING_MAX 72 /* bytes of a meaning: it stands beside others */

struct completion {
	FILE *out;
	const struct ebb_command *commands;
	const struct ebb_command *command; /* NULL: still being typed */
	int count;
	char **words;	    /* behind 'ebb', the last is completed */
	const char *last;   /* what of it is compared */
	const char *before; /* what stands before each candidate: "--mode=" */
	size_t before_length;
};

/* A control character would end the line or the field; shells are told plain names only. */
static bool is_plain(const char *text)
{
	char safe[EBB_CGROUP_PATH_MAX + EBB_DST_NAME_MAX];

	return strcmp(ebb_text_escape(text, safe, sizeof(safe)), text) == 0;
}

/* With the first part of what it means. */
static void offer(const struct completion *c, const char *candidate, const char *meaning)
{
	char shown[MEANING_MAX + 1] = "";

	if (strncmp(candidate, c->last, strlen(c->last)) != 0 || !is_plain(candidate))
		return;
	if (meaning)
		(void)snprintf(shown, sizeof(shown), "%.*s", (int)strcspn(meaning, ";"), meaning);
	(void)fprintf(c->out, "%.*s%s%s%s\n", (int)c->before_length, c->before, candidate,
		      shown[0] ? "\t" : "", shown);
}

/* --------------------------------------------------------------- names -- */

/* The value of --pin, as far as it is typed. */
static const char *pin_of(const struct completion *c)
{
	const char *pin = EBB_DEFAULT_PIN_DIR;

	for (int i = 0; i + 1 < c->count; i++) {
		if (strncmp(c->words[i], "--pin=", 6) == 0)
			pin = c->words[i] + 6;
		else if (strcmp(c->words[i], "--pin") == 0 && i + 2 < c->count)
			pin = c->words[i + 1];
	}
	return pin;
}

static void offer_destinations(const struct completion *c, const struct ebb_view *view)
{
	for (uint32_t d = 0; d < view->dst_max && d <= view->kernel->dst_high; d++) {
		char name[EBB_DST_NAME_MAX];

		if (d == EBB_SLOT_OTHER || view->dsts[d].state == EBB_SLOT_LIVE)
			offer(c, ebb_dst_name(view, d, name, sizeof(name)), NULL);
	}
}

static int by_id(const void *pa, const void *pb)
{
	uint64_t a = *(const uint64_t *)pa, b = *(const uint64_t *)pb;

	return (a > b) - (a < b);
}

/* Each once. */
static void offer_workloads(const struct completion *c, const struct ebb_view *view,
			    struct ebb_cgroup_names *names)
{
	uint64_t *ids = calloc(view->pair_max, sizeof(*ids));
	size_t count = 0;

	for (uint32_t p = 1; ids && p < view->pair_max && p <= view->kernel->pair_high; p++) {
		if (view->pairs[p].state == EBB_SLOT_LIVE)
			ids[count++] = view->pairs[p].workload;
	}
	if (count > 1)
		qsort(ids, count, sizeof(*ids), by_id);
	for (size_t i = 0; i < count; i++) {
		if (i == 0 || ids[i] != ids[i - 1])
			offer(c, ebb_cgroup_name(names, ids[i]), NULL);
	}
	free(ids);
}

/* From the maps; nothing where they cannot be read. */
static void offer_names(const struct completion *c, bool workloads)
{
	struct ebb_cgroup_names *names = NULL;
	struct ebb_pods *pods = NULL;
	struct ebb_maps *maps;

	if (ebb_maps_open(pin_of(c), EBB_MAPS_READ, &maps, NULL) < 0)
		return;
	if (!workloads)
		offer_destinations(c, ebb_maps_view(maps));
	else if (ebb_cgroup_names_new(&names) == 0) {
		(void)ebb_pods_load(pin_of(c), &pods);
		ebb_cgroup_names_use(names, pods);
		offer_workloads(c, ebb_maps_view(maps), names);
	}
	ebb_cgroup_names_free(names);
	ebb_pods_free(pods);
	ebb_maps_free(maps);
}

/* -------------------------------------------------------------- values -- */

static void offer_all(const struct completion *c, const char *const *choices)
{
	for (size_t i = 0; choices[i]; i++)
		offer(c, choices[i], NULL);
}

static void offer_states(const struct completion *c)
{
	for (uint32_t s = 0; s < EBB_STATE_MAX; s++)
		offer(c, ebb_state_name(s), NULL);
	offer(c, "forced_open", NULL);
	offer(c, "forced_closed", NULL);
}

static void offer_sort_keys(const struct completion *c)
{
	bool top = c->command && strcmp(c->command->name, "top") == 0;
	const char *(*key)(size_t index) = top ? ebb_top_sort_key : ebb_list_sort_key;

	for (size_t i = 0; key(i); i++)
		offer(c, key(i), NULL);
}

/* The flags of 'ebb run' are keys of the configuration, which know their choices. */
static bool offer_key(const struct completion *c, const char *flag)
{
	static const char *const switches[] = {"on", "off", NULL};
	struct ebb_keys *keys = ebb_keys_new();
	bool known = false;

	for (size_t i = 0; keys && i < keys->count && !known; i++) {
		const struct ebb_key *key = &keys->list[i];

		if (!key->flag || strcmp(key->flag, flag) != 0)
			continue;
		known = true;
		if (key->choices)
			offer_all(c, key->choices);
		else if (key->kind == EBB_KEY_SWITCH)
			offer_all(c, switches);
		else if (key->kind == EBB_KEY_CGROUP)
			(void)fputs(":dir\n", c->out);
	}
	free(keys);
	return known;
}

/* The keys of --breaker, the last of several. */
static void offer_breaker_keys(struct completion *c)
{
	const char *comma = strrchr(c->last, ',');
	const struct ebb_policy_key *keys;
	size_t count;

	if (comma) {
		c->before_length += (size_t)(comma + 1 - c->last);
		if (c->before_length > 0 && c->before[0] == '\0')
			c->before = c->last;
		c->last = comma + 1;
	}
	keys = ebb_policy_keys(&count);
	for (size_t i = 0; i < count; i++) {
		char candidate[64];

		(void)snprintf(candidate, sizeof(candidate), "%s=", keys[i].name);
		offer(c, candidate, keys[i].help);
	}
}

static void offer_value(struct completion *c, const struct ebb_option *option)
{
	static const char *const formats[] = {"text", "json", NULL};
	static const char *const modes[] = {"observe", "enforce", "auto", NULL};

	if (strcmp(option->value, "DIR") == 0)
		(void)fputs(":dir\n", c->out);
	else if (strcmp(option->value, "FILE") == 0)
		(void)fputs(":file\n", c->out);
	else if (strcmp(option->name, "output") == 0)
		offer_all(c, formats);
	else if (strcmp(option->name, "state") == 0)
		offer_states(c);
	else if (strcmp(option->name, "sort") == 0)
		offer_sort_keys(c);
	else if (strcmp(option->name, "workload") == 0)
		offer_names(c, true);
	else if (strcmp(option->name, "breaker") == 0)
		offer_breaker_keys(c);
	else if (!offer_key(c, option->name) && strcmp(option->value, "MODE") == 0)
		offer_all(c, modes);
}

/* ------------------------------------------------------------- command -- */

/* The command that the words before the last name, and how many of them do. */
static const struct ebb_command *find(const struct completion *c, int *ret_used)
{
	for (const struct ebb_command *command = c->commands; command->name; command++) {
		size_t first = strcspn(command->name, " ");
		bool two = command->name[first] == ' ';

		if (c->count < (two ? 3 : 2) || strncmp(c->words[0], command->name, first) != 0 ||
		    c->words[0][first] != '\0')
			continue;
		if (two && strcmp(c->words[1], command->name + first + 1) != 0)
			continue;
		*ret_used = two ? 2 : 1;
		return command;
	}
	return NULL;
}

/* "set, clear": what the second word can be after @first. */
static const char *second_words(const struct completion *c, const char *first, char *buffer, size_t size)
{
	size_t length = strlen(first), used = 0;

	buffer[0] = '\0';
	for (const struct ebb_command *command = c->commands; command->name && used < size; command++) {
		if (strncmp(command->name, first, length) == 0 && command->name[length] == ' ')
			used += (size_t)snprintf(buffer + used, size - used, "%s%s", used ? ", " : "",
						 command->name + length + 1);
	}
	return buffer;
}

/* The first word of a name, or after that the second. */
static void offer_commands(const struct completion *c)
{
	const char *last = "";

	for (const struct ebb_command *command = c->commands; command->name; command++) {
		size_t first = strcspn(command->name, " ");
		char word[64], seconds[MEANING_MAX];

		if (c->count == 2) {
			if (command->name[first] == ' ' && strncmp(c->words[0], command->name, first) == 0 &&
			    c->words[0][first] == '\0')
				offer(c, command->name + first + 1, command->summary);
			continue;
		}
		/* one of several that begin alike */
		if (strncmp(last, command->name, first) == 0 && strcspn(last, " ") == first)
			continue;
		last = command->name;
		(void)snprintf(word, sizeof(word), "%.*s", (int)first, command->name);
		offer(c, word,
		      command->name[first] == ' ' ? second_words(c, word, seconds, sizeof(seconds))
						  : command->summary);
	}
	if (c->count == 1) {
		offer(c, "--help", "the commands");
		offer(c, "--version", "the version");
	}
}

/* The option that @word is: "--pin", "-o"; NULL: none that has a value. */
static const struct ebb_option *option_with_value(const struct ebb_command *command, const char *word)
{
	for (const struct ebb_option *o = command->options; o && o->name; o++) {
		if (!o->value)
			continue;
		if (word[0] == '-' && word[1] == '-' && strcmp(word + 2, o->name) == 0)
			return o;
		if (o->letter && word[0] == '-' && word[1] == o->letter && word[2] == '\0')
			return o;
	}
	return NULL;
}

static bool is_given(const struct completion *c, const struct ebb_option *option)
{
	size_t length = strlen(option->name);

	for (int i = 0; i + 1 < c->count; i++) {
		const char *word = c->words[i];

		if (strncmp(word, "--", 2) == 0 && strncmp(word + 2, option->name, length) == 0 &&
		    (word[2 + length] == '\0' || word[2 + length] == '='))
			return true;
		if (option->letter && word[0] == '-' && word[1] == option->letter)
			return true;
	}
	return false;
}

static void offer_options(const struct completion *c)
{
	char candidate[64];

	for (const struct ebb_option *o = c->command->options; o && o->name; o++) {
		if (is_given(c, o))
			continue;
		(void)snprintf(candidate, sizeof(candidate), "--%s", o->name);
		offer(c, candidate, o->help);
	}
	offer(c, "--help", "this command");
}

/* "DEST", "MODE [DEST]": the @index'th word, NULL: there is none. */
static bool positional_is(const struct ebb_command *command, int index, const char *word)
{
	const char *s = command->positional ? command->positional : "";

	for (; index > 0; index--) {
		s += strcspn(s, " ");
		s += strspn(s, " ");
	}
	s += strspn(s, "[");
	return strcspn(s, " ]") == strlen(word) && strncmp(s, word, strlen(word)) == 0;
}

static void offer_positional(const struct completion *c, int index)
{
	static const char *const modes[] = {"observe", "enforce", "auto", NULL};

	if (positional_is(c->command, index, "DEST"))
		offer_names(c, false);
	else if (positional_is(c->command, index, "MODE"))
		offer_all(c, modes);
	else if (positional_is(c->command, index, "FILE"))
		(void)fputs(":file\n", c->out);
}

/* What stands behind the command: options with their values, and how many positional words. */
static void complete_arguments(struct completion *c, int used)
{
	const struct ebb_option *waiting = NULL; /* for its value */
	int positional = 0;

	for (int i = used; i + 1 < c->count; i++) {
		if (waiting)
			waiting = NULL;
		else if (c->words[i][0] == '-')
			waiting = option_with_value(c->command, c->words[i]);
		else
			positional++;
	}
	if (waiting) {
		offer_value(c, waiting);
		return;
	}
	if (strncmp(c->last, "--", 2) == 0 && strchr(c->last, '=')) {
		char name[64];
		size_t length = strcspn(c->last, "=");

		(void)snprintf(name, sizeof(name), "%.*s", (int)length, c->last);
		waiting = option_with_value(c->command, name);
		c->before = c->last;
		c->before_length = length + 1;
		c->last += length + 1;
		if (waiting)
			offer_value(c, waiting);
		return;
	}
	if (c->last[0] == '-')
		offer_options(c);
	else
		offer_positional(c, positional);
}

enum ebb_exit ebb_complete(FILE *out, const struct ebb_command *commands, int count, char **words)
{
	struct completion c = {.out = out,
			       .commands = commands,
			       .count = count,
			       .words = words,
			       .before = ""};
	int used = 0;

	if (count < 1)
		return EBB_EXIT_USAGE;
	c.last = words[count - 1];
	c.command = find(&c, &used);
	if (c.command)
		complete_arguments(&c, used);
	else if (count <= 2)
		offer_commands(&c);
	return fflush(out) == 0 ? EBB_EXIT_DONE : EBB_EXIT_FAILED;
}
