/* SPDX-License-Identifier: Apache-2.0 */
/*
 * user/kernel/queues.c over a queue in plain memory. At each of its steps a program comes between, and
 * takes what is in front: for good, or to put it back later, as one that loses the race for a key does.
 */
#include "kernel/queues.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <bpf/bpf.h>

#include "bpf/abi.h"

#define SLOTS 6 /* ~other, and five */
#define ROOM  16

static struct {
	uint32_t queue[ROOM];
	size_t count;
	uint32_t step, takes_at, ends_at; /* steps of the rebuild between which the program runs */
	uint32_t held;			  /* by the program */
	bool keeps;
	bool live[SLOTS]; /* what it kept */
} world;

static uint32_t take_front(void)
{
	uint32_t slot = world.count ? world.queue[0] : EBB_SLOT_OTHER;

	if (world.count)
		memmove(world.queue, world.queue + 1, --world.count * sizeof(slot));
	return slot;
}

static void push(uint32_t slot)
{
	assert_true(world.count < ROOM);
	world.queue[world.count++] = slot;
}

static void program_ends(void)
{
	if (world.held != EBB_SLOT_OTHER && world.keeps)
		world.live[world.held] = true;
	else if (world.held != EBB_SLOT_OTHER)
		push(world.held);
	world.held = EBB_SLOT_OTHER;
}

static void program_comes_between(void)
{
	if (world.step == world.takes_at)
		world.held = take_front();
	if (world.step >= world.ends_at)
		program_ends();
	world.step++;
}

/* membarrier(2): every program that ran has ended. */
long syscall(long number, ...)
{
	(void)number;
	program_ends();
	return 0;
}

/* In place of libbpf's. The table is empty. */
int bpf_map_lookup_and_delete_elem(int fd, const void *key, void *value)
{
	uint32_t slot;

	(void)fd;
	(void)key;
	program_comes_between();
	slot = take_front();
	if (slot == EBB_SLOT_OTHER)
		return -ENOENT;
	memcpy(value, &slot, sizeof(slot));
	return 0;
}

int bpf_map_update_elem(int fd, const void *key, const void *value, __u64 flags)
{
	uint32_t slot;

	(void)fd;
	(void)key;
	(void)flags;
	memcpy(&slot, value, sizeof(slot));
	push(slot);
	return 0;
}

int bpf_map_get_next_key(int fd, const void *key, void *next)
{
	(void)fd;
	(void)key;
	(void)next;
	return -ENOENT;
}

static bool is_live(const void *userdata, uint32_t slot)
{
	(void)userdata;
	return world.live[slot];
}

static void fill(uint32_t twice)
{
	memset(&world, 0, sizeof(world));
	world.takes_at = world.ends_at = UINT32_MAX;
	for (uint32_t slot = 1; slot < SLOTS; slot++) {
		push(slot);
		if (slot == twice)
			push(slot);
	}
}

static void rebuild(void)
{
	uint32_t places[SLOTS] = {0};

	assert_int_equal(ebb_queue_rebuild(1, 2, sizeof(uint32_t), SLOTS, is_live, NULL), 0);
	program_ends();
	for (size_t i = 0; i < world.count; i++) {
		assert_in_range(world.queue[i], 1, SLOTS - 1);
		places[world.queue[i]]++;
	}
	for (uint32_t slot = 1; slot < SLOTS; slot++)
		assert_int_equal(places[slot] + world.live[slot], 1);
}

/* Much longer than a rebuild of so few has steps. */
#define STEPS 40

static void whatever_a_program_takes_no_slot_is_lost_or_doubled(void **state)
{
	(void)state;
	for (uint32_t at = 0; at < STEPS; at++) {
		for (uint32_t later = 0; later < 8; later++) {
			for (int keeps = 0; keeps < 2; keeps++) {
				fill(EBB_SLOT_OTHER);
				world.takes_at = at;
				world.ends_at = at + later;
				world.keeps = keeps;
				rebuild();
			}
		}
	}
}

static void one_with_two_places_keeps_one(void **state)
{
	(void)state;
	for (uint32_t twice = 1; twice < SLOTS; twice++) {
		fill(twice);
		rebuild();
	}
}

static void missing_ones_come_back(void **state)
{
	(void)state;
	fill(EBB_SLOT_OTHER);
	world.count = 2;
	world.live[4] = true;
	rebuild();
	assert_int_equal(world.count, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whatever_a_program_takes_no_slot_is_lost_or_doubled),
		cmocka_unit_test(one_with_two_places_keeps_one),
		cmocka_unit_test(missing_ones_come_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
