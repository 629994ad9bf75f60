/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/orders.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX	(ORDERS_CONTEXTS_MAX * ORDERS_STEPS_MAX)
#define WORLD_MAX	4096
#define OUTCOMES_MAX	1024
#define UNIT		4 /* bytes: the smallest word */
#define SERIAL_MAX	32
#define ANY_PREEMPTIONS (~0U)
#define NO_CONTEXT	(~0U)

extern struct orders_site *const __start_ebb_orders[] __attribute__((weak));
extern struct orders_site *const __stop_ebb_orders[] __attribute__((weak));

struct hash {
	uint64_t a, b;
};

/* Where a context is. */
struct place {
	struct hash answers;
	uint32_t steps;
	bool ended;
};

/* What one comes back to. */
struct saved {
	struct place places[ORDERS_CONTEXTS_MAX];
	uint64_t world[WORLD_MAX / 8];
	uint64_t outcomes[OUTCOMES_MAX / 8];
};

struct seen {
	struct hash state;
	double orders; /* from here to the end; 0: an empty place */
};

static struct {
	const struct orders *orders;
	struct orders_plant plant;
	struct orders_report *report;

	struct place places[ORDERS_CONTEXTS_MAX];
	uint64_t answers[ORDERS_CONTEXTS_MAX][ORDERS_STEPS_MAX];
	/* by unit of the world, a bit for each context */
	uint8_t readers[WORLD_MAX / UNIT];
	uint8_t writers[WORLD_MAX / UNIT];
	bool shared[WORLD_MAX / UNIT]; /* a place to switch */

	/* of the step that is under way */
	unsigned int running;
	uint32_t fed;
	bool stepped;
	bool telling;
	jmp_buf out;

	/* of the search */
	uint64_t world[WORLD_MAX / 8]; /* at the beginning */
	unsigned int schedule[DEPTH_MAX];
	unsigned int depth;
	struct saved *saved; /* by depth */
	struct seen *seen;
	size_t seen_size; /* a power of two */
	size_t seen_count;
	uint64_t serial[SERIAL_MAX][ORDERS_OBSERVED_MAX / 8];
	unsigned int serial_count;
	bool serial_known;
} o = {.running = NO_CONTEXT};

static void give_up(const char *why)
{
	fprintf(stderr, "orders: %s: %s\n", o.orders ? o.orders->name : "", why);
	abort();
}

size_t orders_sites(struct orders_site *const **ret_sites)
{
	*ret_sites = __start_ebb_orders;
	return (size_t)(__stop_ebb_orders - __start_ebb_orders);
}

bool orders_site_can(const struct orders_site *site, enum orders_defect defect)
{
	/* a store is one step, and compares nothing */
	return defect == ORDERS_DROPPED || (defect == ORDERS_TORN && site->kind != ORDERS_STORE) ||
	       (defect == ORDERS_BLIND && site->kind == ORDERS_CAS);
}

/* ------------------------------------------------------------------- words -- */

static uint64_t word_load(const void *word, size_t size)
{
	return size == 8 ? *(const uint64_t *)word : *(const uint32_t *)word;
}

static void word_store(const void *word, size_t size, uint64_t value)
{
	void *target = (void *)(uintptr_t)word;

	if (size == 8)
		*(uint64_t *)target = value;
	else
		*(uint32_t *)target = (uint32_t)value;
}

/* What is to be written where @old was found; false: nothing. */
static bool word_next(enum orders_kind kind, uint64_t old, uint64_t first, uint64_t second, uint64_t *ret_new)
{
	switch (kind) {
	case ORDERS_STORE:
	case ORDERS_EXCHANGE:
		*ret_new = first;
		return true;
	case ORDERS_CAS:
		*ret_new = second;
		return old == first;
	case ORDERS_ADD:
		*ret_new = old + first;
		return true;
	case ORDERS_AND:
		*ret_new = old & first;
		return true;
	case ORDERS_OR:
		*ret_new = old | first;
		return true;
	default:
		return false;
	}
}

static size_t word_offset(const void *word, size_t size)
{
	const char *begin = o.orders->world, *at = word;

	if ((size != 4 && size != 8) || at < begin || at + size > begin + o.orders->world_size)
		give_up("a step on a word that is not in the world, or of no known size");
	return (size_t)(at - begin);
}

static bool word_is_shared(const void *word, size_t size)
{
	size_t unit = word_offset(word, size) / UNIT;

	return o.shared[unit] || (size == 8 && o.shared[unit + 1]);
}

static void word_note(const void *word, size_t size, bool writes)
{
	size_t unit = word_offset(word, size) / UNIT;

	for (size_t i = unit; i < unit + size / UNIT; i++) {
		o.readers[i] |= (uint8_t)(1U << o.running);
		if (writes)
			o.writers[i] |= (uint8_t)(1U << o.running);
	}
}

/* Are there more words than we knew that one writes and another one touches? */
static bool learn_shared(void)
{
	bool learned = false;

	for (size_t i = 0; i < o.orders->world_size / UNIT; i++) {
		bool shared = o.writers[i] && (o.readers[i] & (o.readers[i] - 1));

		learned = learned || shared != o.shared[i];
		o.shared[i] = shared;
	}
	return learned;
}

/* ----------------------------------------------------------------- telling -- */

static void tell(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void tell(const char *format, ...)
{
	size_t length = strlen(o.report->schedule);
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(o.report->schedule + length, ORDERS_SCHEDULE_MAX - length, format, arguments);
	va_end(arguments);
}

static void tell_step(enum orders_kind kind, const void *word, size_t size, uint64_t old, bool writes)
{
	static const char *const verbs[] = {"load", "store", "cas", "add", "and", "or", "exchange", "pause"};
	const char *name;
	size_t offset;

	if (!o.telling || (kind == ORDERS_LOAD && !word_is_shared(word, size)))
		return;
	tell("  %c  %-8s ", (char)('A' + o.running), verbs[kind]);
	if (word) {
		offset = word_offset(word, size);
		name = o.orders->word ? o.orders->word(offset) : NULL;
		if (name)
			tell("%s ", name);
		else
			tell("+%zu ", offset);
		tell("0x%" PRIx64, old);
		if (writes)
			tell(" -> 0x%" PRIx64, word_load(word, size));
		else if (kind == ORDERS_CAS)
			tell(" lost");
	}
	tell("\n");
}

/* ------------------------------------------------------------------- steps -- */

static struct hash mix(struct hash h, uint64_t value)
{
	h.a = (h.a ^ value) * 0x9e3779b97f4a7c15ULL;
	h.a ^= h.a >> 29;
	h.b = (h.b + value) * 0xd6e8feb86659fd93ULL;
	h.b ^= h.b >> 32;
	return h;
}

/* The answer of an earlier step, given once more; false: there is none, so it is to be done now. */
static bool feed(uint64_t *ret_answer)
{
	if (o.fed >= o.places[o.running].steps)
		return false;
	*ret_answer = o.answers[o.running][o.fed++];
	return true;
}

static void answered(uint64_t answer)
{
	struct place *place = &o.places[o.running];

	if (place->steps == ORDERS_STEPS_MAX)
		give_up("a context has more steps than expected");
	o.answers[o.running][place->steps++] = answer;
	o.fed++;
	place->answers = mix(place->answers, answer);
}

/* In front of a place to switch: the second one of a step ends it. */
static void arrive(void)
{
	if (o.stepped)
		longjmp(o.out, 1);
	o.stepped = true;
}

static uint64_t do_step(enum orders_kind kind, const void *word, size_t size, uint64_t first, uint64_t second)
{
	uint64_t answer, new = 0;
	bool writes;

	if (o.running == NO_CONTEXT) {
		answer = word_load(word, size);
		if (word_next(kind, answer, first, second, &new))
			word_store(word, size, new);
		return answer;
	}
	if (feed(&answer))
		return answer;
	if (word_is_shared(word, size))
		arrive();
	answer = word_load(word, size);
	writes = word_next(kind, answer, first, second, &new);
	if (writes)
		word_store(word, size, new);
	word_note(word, size, writes);
	tell_step(kind, word, size, answer, writes);
	answered(answer);
	return answer;
}

uint64_t orders_step(struct orders_site *site, enum orders_kind kind, const void *word, size_t size,
		     uint64_t first, uint64_t second)
{
	bool planted = o.running != NO_CONTEXT && site && site == o.plant.site;
	uint64_t old, new;

	/* what a word holds is as wide as it is */
	if (size == 4) {
		first = (uint32_t)first;
		second = (uint32_t)second;
	}
	if (o.running != NO_CONTEXT && site)
		site->came_by = true;
	if (!planted)
		return do_step(kind, word, size, first, second);
	switch (o.plant.defect) {
	case ORDERS_TORN:
		old = do_step(ORDERS_LOAD, word, size, 0, 0);
		if (word_next(kind, old, first, second, &new))
			(void)do_step(ORDERS_STORE, word, size, new, 0);
		return old;
	case ORDERS_BLIND:
		(void)do_step(ORDERS_STORE, word, size, second, 0);
		return first;
	default:
		old = do_step(ORDERS_LOAD, word, size, 0, 0);
		return kind == ORDERS_CAS ? first : old;
	}
}

void orders_pause(void)
{
	uint64_t answer;

	if (o.running == NO_CONTEXT || feed(&answer))
		return;
	arrive();
	tell_step(ORDERS_PAUSE, NULL, 0, 0, false);
	answered(0);
}

static char *outcome_of(unsigned int context)
{
	return (char *)o.orders->outcomes + context * o.orders->outcome_size;
}

static void step(unsigned int context)
{
	memset(outcome_of(context), 0, o.orders->outcome_size);
	o.running = context;
	o.fed = 0;
	o.stepped = false;
	if (!setjmp(o.out)) {
		o.orders->body(context);
		o.places[o.running].ended = true;
	}
	o.running = NO_CONTEXT;
}

/* ------------------------------------------------------------------ states -- */

static void save(struct saved *to)
{
	memcpy(to->places, o.places, sizeof(o.places));
	memcpy(to->world, o.orders->world, o.orders->world_size);
	memcpy(to->outcomes, o.orders->outcomes, o.orders->contexts * o.orders->outcome_size);
}

static void restore(const struct saved *from)
{
	memcpy(o.places, from->places, sizeof(o.places));
	memcpy(o.orders->world, from->world, o.orders->world_size);
	memcpy(o.orders->outcomes, from->outcomes, o.orders->contexts * o.orders->outcome_size);
}

/* Of the world only what is not as at the beginning: that is little, and most of the time goes into this. */
static struct hash world_now(struct hash h)
{
	const uint64_t *words = o.orders->world;

	for (size_t i = 0; i < o.orders->world_size / 8; i++) {
		if (words[i] != o.world[i])
			h = mix(mix(h, i), words[i]);
	}
	return h;
}

/* @last and @left count only where preemptions are counted. */
static struct hash state_now(unsigned int last, uint32_t left)
{
	struct hash h = world_now((struct hash){last, left});

	for (unsigned int i = 0; i < o.orders->contexts; i++) {
		const struct place *place = &o.places[i];

		h = mix(h, place->ended ? ~0ULL : place->steps);
		/* of one that has ended only its outcome matters */
		for (size_t j = 0; place->ended && j < o.orders->outcome_size; j += 8)
			h = mix(h, *(const uint64_t *)(const void *)(outcome_of(i) + j));
		h = place->ended ? h : mix(mix(h, place->answers.a), place->answers.b);
	}
	return h;
}

static struct seen *seen_find(struct hash state)
{
	size_t at = state.a & (o.seen_size - 1);

	while (o.seen[at].orders != 0 && (o.seen[at].state.a != state.a || o.seen[at].state.b != state.b))
		at = (at + 1) & (o.seen_size - 1);
	return &o.seen[at];
}

static void seen_make(size_t size)
{
	o.seen = calloc(size, sizeof(*o.seen));
	o.seen_size = size;
	o.seen_count = 0;
	if (!o.seen)
		give_up("no memory");
}

static void seen_add(struct hash state, double count)
{
	if (2 * o.seen_count >= o.seen_size) {
		struct seen *old = o.seen;
		size_t size = o.seen_size, number = o.seen_count;

		seen_make(2 * size);
		for (size_t i = 0; i < size; i++) {
			if (old[i].orders != 0)
				*seen_find(old[i].state) = old[i];
		}
		o.seen_count = number;
		free(old);
	}
	*seen_find(state) = (struct seen){state, count};
	o.seen_count++;
}

/* ------------------------------------------------------------------ search -- */

static bool all_ended(void)
{
	for (unsigned int i = 0; i < o.orders->contexts; i++) {
		if (!o.places[i].ended)
			return false;
	}
	return true;
}

static unsigned int serial_find(const uint64_t observed[ORDERS_OBSERVED_MAX / 8])
{
	unsigned int i = 0;

	while (i < o.serial_count && memcmp(o.serial[i], observed, ORDERS_OBSERVED_MAX) != 0)
		i++;
	return i;
}

static const char *check_end(void)
{
	uint64_t observed[ORDERS_OBSERVED_MAX / 8] = {0};
	const char *wrong = o.orders->finally ? o.orders->finally() : NULL;
	unsigned int found;

	if (wrong || !o.orders->observe)
		return wrong;
	o.orders->observe(observed);
	found = serial_find(observed);
	if (found < o.serial_count)
		return NULL;
	if (o.serial_known)
		return "no order without preemption ends like this";
	if (found == SERIAL_MAX)
		give_up("more ends than expected");
	memcpy(o.serial[o.serial_count++], observed, ORDERS_OBSERVED_MAX);
	return NULL;
}

/* Searches on from where we are; the number of complete orders, or 0 with report->wrong. */
static double visit(unsigned int last, uint32_t left)
{
	bool counted = left != ANY_PREEMPTIONS;
	struct hash state = state_now(counted ? last : 0, left);
	const struct seen *before = seen_find(state);
	struct saved *here = &o.saved[o.depth];
	double count = 0;

	if (before->orders != 0)
		return before->orders;
	if (all_ended()) {
		o.report->wrong = check_end();
		return o.report->wrong ? 0 : 1;
	}
	save(here);
	for (unsigned int i = 0; i < o.orders->contexts && !o.report->wrong; i++) {
		bool preempts = last != NO_CONTEXT && last != i && !here->places[last].ended;

		if (here->places[i].ended || (counted && preempts && left == 0))
			continue;
		restore(here);
		o.schedule[o.depth++] = i;
		step(i);
		o.report->wrong = o.orders->always ? o.orders->always() : NULL;
		if (!o.report->wrong)
			count += visit(i, counted && preempts ? left - 1 : left);
		if (!o.report->wrong)
			o.depth--;
	}
	if (!o.report->wrong)
		seen_add(state, count);
	return count;
}

static void begin(void)
{
	memset(o.places, 0, sizeof(o.places));
	memset(o.orders->outcomes, 0, o.orders->contexts * o.orders->outcome_size);
	o.orders->begin();
	memcpy(o.world, o.orders->world, o.orders->world_size);
	o.depth = 0;
	o.report->wrong = NULL;
}

/* All orders of at most so many preemptions. */
static double search(uint32_t preemptions)
{
	double count;

	begin();
	seen_make(1024);
	count = visit(NO_CONTEXT, preemptions);
	o.report->states = o.seen_count;
	free(o.seen);
	return count;
}

static void start(const struct orders *orders, const struct orders_plant *plant, struct orders_report *report)
{
	if (orders->contexts > ORDERS_CONTEXTS_MAX || orders->world_size % 8 ||
	    orders->world_size > WORLD_MAX || orders->outcome_size % 8 ||
	    orders->contexts * orders->outcome_size > OUTCOMES_MAX)
		give_up("too large, or no multiple of 8 bytes");
	memset(&o, 0, sizeof(o));
	memset(report, 0, sizeof(*report));
	o.running = NO_CONTEXT;
	o.orders = orders;
	o.report = report;
	o.saved = calloc(DEPTH_MAX + 1, sizeof(*o.saved));
	if (!o.saved)
		give_up("no memory");
	/* how it ends without preemption is asked of the code without the defect */
	if (orders->observe) {
		(void)search(0);
		o.serial_known = !report->wrong;
	}
	if (plant)
		o.plant = *plant;
}

/* Which words are shared is known when nobody has met another one; where something is wrong before, it is wrong. */
static void search_all(void)
{
	if (o.report->wrong)
		return;
	do {
		o.report->orders = search(ANY_PREEMPTIONS);
	} while (!o.report->wrong && learn_shared());
}

void orders_try(const struct orders *orders, const struct orders_plant *plant,
		struct orders_report *ret_report)
{
	struct orders_site *const *sites;
	size_t count = orders_sites(&sites);

	for (size_t i = 0; i < count; i++)
		sites[i]->came_by = false;
	start(orders, plant, ret_report);
	search_all();
	free(o.saved);
}

void orders_tell(const struct orders *orders, const struct orders_plant *plant,
		 struct orders_report *ret_report)
{
	const char *wrong;
	unsigned int length;

	start(orders, plant, ret_report);
	search_all();
	if (!ret_report->wrong)
		give_up("nothing to tell");
	while (search(ret_report->preemptions), !ret_report->wrong)
		ret_report->preemptions++;
	wrong = ret_report->wrong;
	length = o.depth;
	begin();
	o.telling = true;
	for (unsigned int i = 0; i < length; i++)
		step(o.schedule[i]);
	ret_report->wrong = wrong;
	free(o.saved);
}
