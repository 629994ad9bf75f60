/* SPDX-License-Identifier: Apache-2.0 */
/* user/agent/route_diff.c against looking up every address of a small world in both tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <netinet/in.h>

#include "agent/route_diff.h"

#define SLOTS	 6
#define PREFIXES 6
#define SETS	 3
#define PORTS	 4 /* 1 to 4 are named, 0 stands for all others */
#define BITS	 4 /* addresses differ in their first bits only */
#define ROUNDS	 3000

struct table {
	struct ebb_route_prefix prefixes[PREFIXES];
	struct ebb_route_port ports[SETS * PORTS * 2];
	struct ebb_route_table table;
};

struct moves {
	bool moved[SLOTS][SLOTS];
};

static uint32_t draw(uint32_t end)
{
	static uint64_t state = 0x9e3779b97f4a7c15;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 33) % end;
}

static struct ebb_ref draw_ref(void)
{
	return (struct ebb_ref){draw(SLOTS), 0};
}

static void draw_table(struct table *t)
{
	memset(t, 0, sizeof(*t));
	t->table = (struct ebb_route_table){t->prefixes, 0, t->ports, 0, SETS};
	for (int i = 0; i < PREFIXES; i++) {
		struct ebb_prefix_key key = {.bits = draw(BITS + 1)};
		bool known = false;

		key.addr[0] = (uint8_t)(draw(1U << key.bits) << (8 - key.bits));
		for (size_t j = 0; j < t->table.prefix_count; j++)
			known |= memcmp(&t->prefixes[j].key, &key, sizeof(key)) == 0;
		if (known)
			continue;
		t->prefixes[t->table.prefix_count++] =
			(struct ebb_route_prefix){key,
						  {draw_ref(), draw_ref()},
						  draw(2) ? draw(SETS) : EBB_ROUTE_NO_SET};
	}
	for (uint32_t set = 0; set < SETS; set++) {
		for (uint16_t port = 1; port <= PORTS; port++) {
			if (draw(2))
				t->ports[t->table.port_count++] =
					(struct ebb_route_port){set, port,
								draw(2) ? IPPROTO_TCP : IPPROTO_UDP,
								draw_ref()};
		}
	}
}

/* As the kernel does it. */
static uint32_t look_up(const struct ebb_route_table *t, uint8_t address, uint16_t port, uint8_t proto)
{
	const struct ebb_route_prefix *best = NULL;

	for (size_t i = 0; i < t->prefix_count; i++) {
		const struct ebb_prefix_key *key = &t->prefixes[i].key;

		if ((address ^ key->addr[0]) >> (8 - key->bits) == 0 && (!best || key->bits > best->key.bits))
			best = &t->prefixes[i];
	}
	if (!best)
		return EBB_SLOT_OTHER;
	for (size_t i = 0; i < t->port_count && best->set != EBB_ROUTE_NO_SET; i++) {
		if (t->ports[i].set == best->set && t->ports[i].port == port && t->ports[i].proto == proto)
			return t->ports[i].ref.slot;
	}
	return best->any[proto == IPPROTO_UDP].slot;
}

static void on_moved(void *userdata, const struct ebb_ref *from, const struct ebb_ref *to)
{
	struct moves *moves = userdata;

	moves->moved[from->slot][to->slot] = true;
}

/* Is all of it covered by longer prefixes of the two? Then what it says may be told and does not matter. */
static bool covered_region(const struct table *a, const struct table *b)
{
	const struct table *const both[] = {a, b};

	for (int t = 0; t < 2; t++) {
		for (size_t i = 0; i < both[t]->table.prefix_count; i++) {
			const struct ebb_prefix_key *key = &both[t]->prefixes[i].key;
			uint32_t left = 0;

			for (uint32_t n = 0; n < 1U << BITS; n++) {
				uint8_t address = (uint8_t)(n << (8 - BITS));
				bool longer = false;

				if ((address ^ key->addr[0]) >> (8 - key->bits) != 0)
					continue;
				for (int u = 0; u < 2; u++) {
					for (size_t j = 0; j < both[u]->table.prefix_count; j++) {
						const struct ebb_prefix_key *k = &both[u]->prefixes[j].key;

						longer |= k->bits > key->bits &&
							  (address ^ k->addr[0]) >> (8 - k->bits) == 0;
					}
				}
				left += !longer;
			}
			if (left == 0)
				return true;
		}
	}
	return false;
}

static void tells_what_looking_up_tells(void **state)
{
	uint32_t exact = 0;

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		struct moves wanted = {0}, got = {0};
		struct table a, b;

		draw_table(&a);
		draw_table(&b);
		for (uint32_t n = 0; n < 1U << BITS; n++) {
			for (uint16_t port = 0; port <= PORTS; port++) {
				for (int proto = 0; proto < 2; proto++) {
					uint8_t p = proto ? IPPROTO_UDP : IPPROTO_TCP;
					uint32_t from =
						look_up(&a.table, (uint8_t)(n << (8 - BITS)), port, p);
					uint32_t to = look_up(&b.table, (uint8_t)(n << (8 - BITS)), port, p);

					if (from != to)
						wanted.moved[from][to] = true;
				}
			}
		}
		assert_int_equal(ebb_route_diff(&a.table, &b.table, on_moved, &got), 0);
		for (uint32_t from = 0; from < SLOTS; from++) {
			for (uint32_t to = 0; to < SLOTS; to++)
				assert_true(got.moved[from][to] || !wanted.moved[from][to]);
		}
		if (covered_region(&a, &b))
			continue;
		exact++;
		assert_memory_equal(&got, &wanted, sizeof(got));
	}
	assert_true(exact > ROUNDS / 10);
}

static void nothing_moves_between_the_same(void **state)
{
	struct moves got = {0};
	static const struct moves none;
	struct table a;

	(void)state;
	for (int round = 0; round < 100; round++) {
		draw_table(&a);
		assert_int_equal(ebb_route_diff(&a.table, &a.table, on_moved, &got), 0);
		assert_memory_equal(&got, &none, sizeof(got));
	}
}

/* The slot of a name that was given to another. */
static void another_epoch_is_another_destination(void **state)
{
	struct ebb_route_prefix before = {.key = {.bits = 8},
					  .any = {{3, 1}, {3, 1}},
					  .set = EBB_ROUTE_NO_SET};
	struct ebb_route_prefix after = before;
	const struct ebb_route_table a = {&before, 1, NULL, 0, 0}, b = {&after, 1, NULL, 0, 0};
	struct moves got = {0};

	(void)state;
	after.any[1].epoch = 2;
	assert_int_equal(ebb_route_diff(&a, &b, on_moved, &got), 0);
	assert_true(got.moved[3][3]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_what_looking_up_tells),
		cmocka_unit_test(nothing_moves_between_the_same),
		cmocka_unit_test(another_epoch_is_another_destination),
	};

	return cmocka_run_group_tests_name("route_diff", tests, NULL, NULL);
}
