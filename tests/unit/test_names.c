/* SPDX-License-Identifier: Apache-2.0 */
/* user/node/names.c with a fake clock. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "node/names.h"

#define S     1000000000ULL
#define GRACE (10 * S)

#define IN_USE_NS (60 * S)
#define POD1	  101
#define POD2	  102

static struct ebb_names *names_with_room(uint32_t bindings, uint32_t lookups)
{
	struct ebb_names *names = NULL;

	assert_int_equal(ebb_names_new(bindings, lookups, 42, &names), 0);
	return names;
}

static int set_up(void **state)
{
	*state = names_with_room(64, 64);
	return 0;
}

static int tear_down(void **state)
{
	ebb_names_free(*state);
	return 0;
}

/* "10.0.0.1", "2001:db8::1" */
static const uint8_t *addr(const char *text)
{
	static uint8_t pool[8][16];
	static unsigned int next;
	uint8_t *a = pool[next++ % 8];

	memset(a, 0, 16);
	if (strchr(text, ':')) {
		assert_int_equal(inet_pton(AF_INET6, text, a), 1);
	} else {
		a[10] = a[11] = 0xff;
		assert_int_equal(inet_pton(AF_INET, text, a + 12), 1);
	}
	return a;
}

/* An answer with the addresses in @list, blanks between them. */
static void learn(struct ebb_names *names, const char *name, const char *list, uint32_t ttl_s,
		  enum ebb_names_rank rank, uint64_t workload, uint64_t now)
{
	struct ebb_dns_answer answer = {.count = 0};
	char copy[1024], *save = NULL;

	(void)snprintf(answer.name, sizeof(answer.name), "%s", name);
	(void)snprintf(copy, sizeof(copy), "%s", list);
	for (const char *text = strtok_r(copy, " ", &save); text; text = strtok_r(NULL, " ", &save)) {
		memcpy(answer.addresses[answer.count].addr, addr(text), 16);
		answer.addresses[answer.count++].ttl_s = ttl_s;
	}
	ebb_names_learn(names, &answer, rank, workload, now, GRACE);
}

/* The believed names of an address, the last answer first: "a b". */
static const char *names_of(const struct ebb_names *names, const char *text)
{
	static char list[1024];
	struct ebb_named named[16];
	size_t count = ebb_names_of(names, addr(text), named, 16), used = 0;

	list[0] = '\0';
	for (size_t i = 0; i < count; i++)
		used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s", i ? " " : "",
					 named[i].name);
	return list;
}

static bool never(void *userdata, const struct ebb_named *named)
{
	(void)userdata;
	(void)named;
	return false;
}

static bool always(void *userdata, const struct ebb_named *named)
{
	(void)named;
	if (userdata)
		++*(int *)userdata;
	return true;
}

static bool unless_superseded(void *userdata, const struct ebb_named *named)
{
	(void)userdata;
	return !named->superseded;
}

/* All that changed since the last call, sorted by arrival: "10.0.0.1 10.0.0.2". */
static const char *changed(struct ebb_names *names)
{
	static char list[65536];
	uint8_t a[16];
	size_t used = 0;

	list[0] = '\0';
	while (ebb_names_changed(names, a)) {
		char text[INET6_ADDRSTRLEN];

		if (a[10] == 0xff && a[11] == 0xff)
			(void)inet_ntop(AF_INET, a + 12, text, sizeof(text));
		else
			(void)inet_ntop(AF_INET6, a, text, sizeof(text));
		used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s", used ? " " : "", text);
	}
	return list;
}

static void on_lookup(void *userdata, uint64_t workload, const char *name)
{
	char *list = userdata;
	size_t used = strlen(list);

	(void)snprintf(list + used, 1024 - used, "%s%d:%s", used ? " " : "", (int)workload, name);
}

static const char *lookups_of(const struct ebb_names *names, const char *text)
{
	static char list[1024];

	list[0] = '\0';
	ebb_names_lookups(names, addr(text), on_lookup, list);
	return list;
}

/* ------------------------------------------------------------------- life -- */

static void address_has_its_name_until_time_and_grace_are_over(void **state)
{
	struct ebb_names *names = *state;

	learn(names, "a", "10.0.0.1 2001:db8::1", 60, EBB_NAMES_SHOWN, POD1, S);
	assert_string_equal(names_of(names, "10.0.0.1"), "a");
	assert_string_equal(names_of(names, "2001:db8::1"), "a");
	assert_string_equal(names_of(names, "10.0.0.2"), "");
	ebb_names_expire(names, S + 70 * S - 1, IN_USE_NS, never, NULL);
	assert_string_equal(names_of(names, "10.0.0.1"), "a");
	ebb_names_expire(names, S + 70 * S, IN_USE_NS, never, NULL);
	assert_string_equal(names_of(names, "10.0.0.1"), "");
	assert_string_equal(names_of(names, "2001:db8::1"), "");
	assert_int_equal(ebb_names_count(names), 0);
}

static void next_answer_begins_the_time_anew(void **state)
{
	struct ebb_names *names = *state;

	learn(names, "a", "10.0.0.1", 60, EBB_NAMES_SHOWN, POD1, 0);
	learn(names, "a", "10.0.0.1", 60, EBB_NAMES_SHOWN, POD2, 60 * S);
	assert_int_equal(ebb_names_count(names), 1);
	ebb_names_expire(names, 129 * S, IN_USE_NS, never, NULL);
	assert_string_equal(names_of(names, "10.0.0.1"), "a");
	ebb_names_expire(names, 130 * S, IN_USE_NS, never, NULL);
	assert_string_equal(names_of(names, "10.0.0.1"), "");
}

static void what_is_in_use_stays(void **state)
{
	struct ebb_names *names = *state;
	int asked = 0;

	learn(names, "a", "10.0.0.1", 1, EBB_NAMES_CLAIMED, POD1, 0);
	ebb_names_expire(names, 10 * S, IN_USE_NS, always, &asked);
	assert_int_equal(asked, 0);
	ebb_names_expire(names, 1000 * S, IN_USE_NS, always, &asked);
	assert_int_equal(asked, 1);
	assert_string_equal(names_of(names, "10.0.0.1"), "a");
	/* quiet for a while is not out of use */
	ebb_names_expire(names, 1000 * S + IN_USE_NS - 1, IN_USE_NS, never, NULL);
	assert_string_equal(names_of(names, "10.0.0.1"), "a");
	ebb_names_expire(names, 1000 * S + IN_USE_NS, IN_USE_NS, never, NULL);
	assert_string_equal(names_of(names, "10.0.0.1"), "");
}

static void address_that_the_next_answer_lacks_is_superseded(void **state)
{
	struct ebb_names *names = *state;

	learn(names, "a", "10.0.0.1 10.0.0.2", 60, EBB_NAMES_CLAIMED, POD1, 0);
	learn(names, "a", "2001:db8::1", 60, EBB_NAMES_CLAIMED, POD1, S);
	learn(names, "b", "10.0.0.1", 60, EBB_NAMES_SHOWN, POD1, S);
	/* neither the answer with IPv6 addresses nor another name says anything about these */
	ebb_names_expire(names, 1000 * S, IN_USE_NS, unless_superseded, NULL);
	assert_string_equal(names_of(names, "10.0.0.1"), "b a");
	assert_string_equal(names_of(names, "10.0.0.2"), "a");
	learn(names, "a", "10.0.0.2 10.0.0.3", 60, EBB_NAMES_CLAIMED, POD1, 1001 * S);
	ebb_names_expire(names, 1002 * S, IN_USE_NS, unless_superseded, NULL);
	assert_string_equal(names_of(names, "10.0.0.1"), "b");
	assert_string_equal(names_of(names, "10.0.0.2"), "a");
	assert_string_equal(names_of(names, "2001:db8::1"), "a");
}

static void two_names_of_one_address_come_in_the_order_of_their_answers(void **state)
{
	struct ebb_names *names = *state;
	struct ebb_named one;

	learn(names, "a", "10.0.0.1", 60, EBB_NAMES_CLAIMED, POD1, 1 * S);
	learn(names, "b", "10.0.0.1", 60, EBB_NAMES_SHOWN, POD1, 2 * S);
	learn(names, "c", "10.0.0.1", 60, EBB_NAMES_SHOWN, POD1, 3 * S);
	assert_string_equal(names_of(names, "10.0.0.1"), "c b a");
	learn(names, "a", "10.0.0.1", 60, EBB_NAMES_CLAIMED, POD1, 4 * S);
	assert_string_equal(names_of(names, "10.0.0.1"), "a c b");
	/* with little room the last ones are told, and the number of all */
	assert_int_equal(ebb_names_of(names, addr("10.0.0.1"), &one, 1), 3);
	assert_string_equal(one.name, "a");
	assert_int_equal(one.rank, EBB_NAMES_CLAIMED);
	assert_int_equal(ebb_names_of(names, addr("10.0.0.1"), NULL, 0), 3);
}

/* -------------------------------------------------------------------- trust -- */

/* Ruling 3. */
static void own_answers_are_for_their_workload_alone(void **state)
{
	struct ebb_names *names = *state;

	learn(names, "bank.example", "10.0.0.1", 60, EBB_NAMES_OWN, POD1, 0);
	assert_string_equal(names_of(names, "10.0.0.1"), "");
	assert_string_equal(lookups_of(names, "10.0.0.1"), "");
	assert_string_equal(ebb_names_own(names, addr("10.0.0.1"), POD1), "bank.example");
	assert_null(ebb_names_own(names, addr("10.0.0.1"), POD2));
	assert_null(ebb_names_own(names, addr("10.0.0.1"), 0));
	/* the last one that it was told */
	learn(names, "other.example", "10.0.0.1", 60, EBB_NAMES_OWN, POD1, S);
	assert_string_equal(ebb_names_own(names, addr("10.0.0.1"), POD1), "other.example");
	/* and believed names do not go by it: neither longer nor superseded */
	learn(names, "bank.example", "10.0.0.2", 60, EBB_NAMES_SHOWN, POD2, 2 * S);
	learn(names, "bank.example", "10.0.0.3", 6000, EBB_NAMES_OWN, POD1, 3 * S);
	ebb_names_expire(names, 72 * S - 1, IN_USE_NS, unless_superseded, NULL);
	assert_string_equal(names_of(names, "10.0.0.2"), "bank.example");
	ebb_names_expire(names, 72 * S, IN_USE_NS, unless_superseded, NULL);
	assert_string_equal(names_of(names, "10.0.0.2"), "bank.example");
	ebb_names_expire(names, 72 * S + IN_USE_NS, IN_USE_NS, never, NULL);
	assert_string_equal(names_of(names, "10.0.0.2"), "");
	assert_string_equal(ebb_names_own(names, addr("10.0.0.3"), POD1), "bank.example");
}

static void own_answers_take_a_quarter_of_the_room_at_most(void **state)
{
	struct ebb_names *names = *state;

	for (int i = 0; i < 100; i++) {
		char text[32];

		(void)snprintf(text, sizeof(text), "10.0.1.%d", i + 1);
		learn(names, "own.example", text, 60, EBB_NAMES_OWN, POD1, (uint64_t)i);
	}
	assert_int_equal(ebb_names_count(names), 16);
	assert_null(ebb_names_own(names, addr("10.0.1.84"), POD1));
	assert_non_null(ebb_names_own(names, addr("10.0.1.85"), POD1));
	assert_int_equal(ebb_names_evictions(names), 84);
}

/* --------------------------------------------------------------------- room -- */

static void fill(struct ebb_names *names, int from, int to, enum ebb_names_rank rank, uint64_t now)
{
	for (int i = from; i < to; i++) {
		char name[32], text[32];

		(void)snprintf(name, sizeof(name), "n%d.example", i);
		(void)snprintf(text, sizeof(text), "10.%d.%d.1", i / 200, i % 200);
		learn(names, name, text, 60, rank, POD1, now + (uint64_t)i);
		/* the agent takes note after each answer */
		(void)changed(names);
	}
}

static void what_counts_least_goes_first_and_of_that_the_oldest(void **state)
{
	struct ebb_names *names = *state;

	fill(names, 0, 10, EBB_NAMES_CLAIMED, 0);
	fill(names, 10, 60, EBB_NAMES_SHOWN, 0);
	fill(names, 60, 64, EBB_NAMES_OWN, 0);
	assert_int_equal(ebb_names_count(names), 64);
	/* the oldest of the least: all own ones, then shown ones */
	fill(names, 100, 106, EBB_NAMES_SHOWN, S);
	assert_null(ebb_names_own(names, addr("10.0.63.1"), POD1));
	assert_string_equal(names_of(names, "10.0.10.1"), "");
	assert_string_equal(names_of(names, "10.0.11.1"), "");
	assert_string_equal(names_of(names, "10.0.12.1"), "n12.example");
	/* one that was answered again is not the oldest */
	fill(names, 12, 13, EBB_NAMES_SHOWN, 2 * S);
	fill(names, 106, 107, EBB_NAMES_SHOWN, 3 * S);
	assert_string_equal(names_of(names, "10.0.12.1"), "n12.example");
	assert_string_equal(names_of(names, "10.0.13.1"), "");
	/* a thousand names of nobody's rules do not push out one that a rule is about */
	fill(names, 200, 1200, EBB_NAMES_SHOWN, 4 * S);
	for (int i = 0; i < 10; i++) {
		char text[32];

		(void)snprintf(text, sizeof(text), "10.0.%d.1", i);
		assert_int_not_equal(ebb_names_of(names, addr(text), NULL, 0), 0);
	}
	/* nor does anything push out what counts more */
	fill(names, 2000, 2100, EBB_NAMES_CLAIMED, 5 * S);
	assert_int_equal(ebb_names_count(names), 64);
	fill(names, 3000, 3010, EBB_NAMES_SHOWN, 6 * S);
	fill(names, 3010, 3020, EBB_NAMES_OWN, 6 * S);
	assert_string_equal(names_of(names, "10.15.0.1"), "");
	for (int i = 2036; i < 2100; i++) {
		char text[32];

		(void)snprintf(text, sizeof(text), "10.%d.%d.1", i / 200, i % 200);
		assert_int_equal(ebb_names_of(names, addr(text), NULL, 0), 1);
	}
}

static enum ebb_names_rank first_ten(void *userdata, const char *name)
{
	(void)userdata;
	return strlen(name) == strlen("n0.example") ? EBB_NAMES_CLAIMED : EBB_NAMES_SHOWN;
}

static void rules_that_change_change_what_a_name_counts(void **state)
{
	struct ebb_names *names = *state;

	fill(names, 0, 64, EBB_NAMES_SHOWN, 0);
	ebb_names_rank(names, first_ten, NULL);
	fill(names, 100, 1000, EBB_NAMES_SHOWN, S);
	assert_string_equal(names_of(names, "10.0.9.1"), "n9.example");
	assert_string_equal(names_of(names, "10.0.10.1"), "");
}

/* ------------------------------------------------------------------ lookups -- */

static void each_workload_means_the_name_that_it_looked_up_last(void **state)
{
	struct ebb_names *names = *state;

	learn(names, "a", "10.0.0.1 10.0.0.2", 60, EBB_NAMES_CLAIMED, POD1, 0);
	learn(names, "b", "10.0.0.1", 60, EBB_NAMES_SHOWN, POD2, S);
	assert_string_equal(lookups_of(names, "10.0.0.1"), "102:b 101:a");
	assert_string_equal(lookups_of(names, "10.0.0.2"), "101:a");
	learn(names, "b", "10.0.0.1", 60, EBB_NAMES_SHOWN, POD1, 2 * S);
	assert_string_equal(lookups_of(names, "10.0.0.1"), "102:b 101:b");
	learn(names, "a", "10.0.0.1", 60, EBB_NAMES_CLAIMED, POD1, 3 * S);
	assert_string_equal(lookups_of(names, "10.0.0.1"), "102:b 101:a");
	/* with the name goes what was meant by it */
	ebb_names_expire(names, 72 * S, IN_USE_NS, never, NULL);
	assert_string_equal(lookups_of(names, "10.0.0.1"), "101:a");
	ebb_names_forget_workload(names, POD1);
	assert_string_equal(lookups_of(names, "10.0.0.1"), "");
	assert_string_equal(names_of(names, "10.0.0.1"), "a");
}

static void lookups_without_room_replace_the_oldest(void **state)
{
	struct ebb_names *names = names_with_room(64, 4);

	(void)state;
	for (uint64_t pod = 1; pod <= 4; pod++)
		learn(names, "a", "10.0.0.1", 60, EBB_NAMES_SHOWN, pod, pod);
	learn(names, "a", "10.0.0.1", 60, EBB_NAMES_SHOWN, 1, 5);
	learn(names, "a", "10.0.0.1", 60, EBB_NAMES_SHOWN, 5, 6);
	assert_string_equal(lookups_of(names, "10.0.0.1"), "5:a 4:a 3:a 1:a");
	ebb_names_free(names);
}

/* ------------------------------------------------------------------- changes -- */

static void changes_are_told_once(void **state)
{
	struct ebb_names *names = *state;

	assert_string_equal(changed(names), "");
	learn(names, "a", "10.0.0.1 10.0.0.2", 60, EBB_NAMES_SHOWN, POD1, 0);
	assert_string_equal(changed(names), "10.0.0.1 10.0.0.2");
	assert_string_equal(changed(names), "");
	/* the same again says nothing new */
	learn(names, "a", "10.0.0.1 10.0.0.2", 60, EBB_NAMES_SHOWN, POD1, S);
	assert_string_equal(changed(names), "");
	/* another workload, another meaning, the end */
	learn(names, "a", "10.0.0.1", 60, EBB_NAMES_SHOWN, POD2, S);
	assert_string_equal(changed(names), "10.0.0.1");
	learn(names, "b", "10.0.0.1", 6000, EBB_NAMES_SHOWN, POD2, S);
	assert_string_equal(changed(names), "10.0.0.1");
	learn(names, "a", "10.0.0.1", 60, EBB_NAMES_SHOWN, POD2, S);
	assert_string_equal(changed(names), "10.0.0.1");
	ebb_names_change_all(names);
	assert_string_equal(changed(names), "10.0.0.1 10.0.0.2");
	ebb_names_expire(names, 71 * S, IN_USE_NS, never, NULL);
	assert_string_equal(changed(names), "10.0.0.2 10.0.0.1");
	assert_string_equal(names_of(names, "10.0.0.1"), "b");
}

/* What is pushed out, too, as often as nobody listens; its memory comes back all the same. */
static void what_is_pushed_out_is_told(void **state)
{
	struct ebb_names *names = names_with_room(2, 2);

	(void)state;
	learn(names, "a", "10.0.0.1", 60, EBB_NAMES_SHOWN, POD1, 0);
	learn(names, "b", "10.0.0.2", 60, EBB_NAMES_SHOWN, POD1, 1);
	(void)changed(names);
	learn(names, "c", "10.0.0.3", 60, EBB_NAMES_SHOWN, POD1, 2);
	assert_string_equal(changed(names), "10.0.0.1 10.0.0.3");
	/* one answer with more addresses than there is room for at all */
	learn(names, "d", "10.1.0.1 10.1.0.2 10.1.0.3 10.1.0.4 10.1.0.5", 60, EBB_NAMES_SHOWN, POD1, 3);
	(void)changed(names);
	assert_string_equal(names_of(names, "10.1.0.5"), "d");
	assert_string_equal(names_of(names, "10.1.0.4"), "d");
	assert_int_equal(ebb_names_count(names), 2);
	for (int i = 0; i < 3000; i++) {
		char text[32];

		(void)snprintf(text, sizeof(text), "10.2.%d.%d", i / 200, i % 200);
		learn(names, "e", text, 60, EBB_NAMES_SHOWN, POD1, S);
	}
	(void)changed(names);
	fill(names, 200, 201, EBB_NAMES_SHOWN, 2 * S);
	assert_string_equal(names_of(names, "10.1.0.1"), "n200.example");
	ebb_names_free(names);
}

/* ------------------------------------------------------------------ at random -- */

/* The same, as slow and simple as it can be: no room, no order, no lists. */
struct simple {
	bool bound[6][6]; /* name, address */
	int meant[4][6];  /* workload, address -> name; -1: none */
	uint64_t expires[6][6];
};

static void a_simple_model_agrees(void **state)
{
	struct simple model = {.bound = {{false}}};
	struct ebb_names *names = *state;
	uint64_t now = 0;

	memset(model.meant, 0xff, sizeof(model.meant));
	srandom(7);
	for (int step = 0; step < 20000; step++) {
		int name = (int)(random() % 6), pod = (int)(random() % 4), first = (int)(random() % 6);
		int count = (int)(random() % 3) + 1;
		uint32_t ttl = (uint32_t)(random() % 20);
		char text[256] = "", name_text[32];

		now += (uint64_t)(random() % 3) * S;
		(void)snprintf(name_text, sizeof(name_text), "n%d", name);
		for (int i = 0; i < count; i++) {
			int a = (first + i) % 6;

			(void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "10.0.0.%d ", a);
			model.bound[name][a] = true;
			model.expires[name][a] = now + ttl * S + GRACE;
			model.meant[pod][a] = name;
		}
		learn(names, name_text, text, ttl, random() % 2 ? EBB_NAMES_SHOWN : EBB_NAMES_CLAIMED,
		      (uint64_t)pod + 1, now);
		if (random() % 8 == 0) {
			now += (uint64_t)(random() % 30) * S;
			ebb_names_expire(names, now, IN_USE_NS, never, NULL);
			for (int n = 0; n < 6; n++) {
				for (int a = 0; a < 6; a++) {
					if (model.expires[n][a] > now)
						continue;
					model.bound[n][a] = false;
					for (int p = 0; p < 4; p++) {
						if (model.meant[p][a] == n)
							model.meant[p][a] = -1;
					}
				}
			}
			(void)changed(names);
		}
		for (int a = 0; a < 6; a++) {
			char at[32], list[1024], item[32];
			int bound = 0, meant = 0;

			(void)snprintf(at, sizeof(at), "10.0.0.%d", a);
			for (int n = 0; n < 6; n++)
				bound += model.bound[n][a];
			assert_int_equal(ebb_names_of(names, addr(at), NULL, 0), bound);
			(void)snprintf(list, sizeof(list), " %s ", lookups_of(names, at));
			for (int p = 0; p < 4; p++) {
				if (model.meant[p][a] < 0)
					continue;
				(void)snprintf(item, sizeof(item), " %d:n%d ", p + 1, model.meant[p][a]);
				assert_non_null(strstr(list, item));
				meant++;
			}
			for (const char *c = list; *c; c++)
				meant -= *c == ':';
			assert_int_equal(meant, 0);
		}
	}
}

#define names_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		names_test(address_has_its_name_until_time_and_grace_are_over),
		names_test(next_answer_begins_the_time_anew),
		names_test(what_is_in_use_stays),
		names_test(address_that_the_next_answer_lacks_is_superseded),
		names_test(two_names_of_one_address_come_in_the_order_of_their_answers),
		names_test(own_answers_are_for_their_workload_alone),
		names_test(own_answers_take_a_quarter_of_the_room_at_most),
		names_test(what_counts_least_goes_first_and_of_that_the_oldest),
		names_test(rules_that_change_change_what_a_name_counts),
		names_test(each_workload_means_the_name_that_it_looked_up_last),
		cmocka_unit_test(lookups_without_room_replace_the_oldest),
		names_test(changes_are_told_once),
		cmocka_unit_test(what_is_pushed_out_is_told),
		names_test(a_simple_model_agrees),
	};

	return cmocka_run_group_tests_name("names", tests, NULL, NULL);
}
