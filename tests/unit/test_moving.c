/* SPDX-License-Identifier: Apache-2.0 */
/* user/kernel/moving.h: a value of one layout becomes one of another, by the names of its fields. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <bpf/btf.h>

#include "kernel/moving.h"

/* Types of one side: numbers, and one struct after the other. */
struct types {
	struct btf *btf;
	int u32;
	int u64;
	int u16;
};

static struct types types_new(void)
{
	struct types t = {.btf = btf__new_empty()};

	assert_non_null(t.btf);
	t.u16 = btf__add_int(t.btf, "u16", 2, 0);
	t.u32 = btf__add_int(t.btf, "u32", 4, 0);
	t.u64 = btf__add_int(t.btf, "u64", 8, 0);
	assert_true(t.u16 > 0 && t.u32 > 0 && t.u64 > 0);
	return t;
}

static int begin(const struct types *t, const char *name, uint32_t size)
{
	int id = btf__add_struct(t->btf, name, size);

	assert_true(id > 0);
	return id;
}

static void field(const struct types *t, const char *name, int type, uint32_t offset)
{
	assert_int_equal(btf__add_field(t->btf, name, type, offset * 8, 0), 0);
}

static int array(const struct types *t, int type, uint32_t count)
{
	int id = btf__add_array(t->btf, t->u32, type, count);

	assert_true(id > 0);
	return id;
}

static struct ebb_moving planned(const struct types *from, int from_id, const struct types *to, int to_id)
{
	static const char *const never[] = {"thing.now", NULL};
	struct ebb_moving moving;

	assert_int_equal(ebb_moving_plan(from->btf, (uint32_t)from_id, to->btf, (uint32_t)to_id, never,
					 &moving),
			 0);
	return moving;
}

static void done(struct types *from, struct types *to, struct ebb_moving *moving)
{
	btf__free(from->btf);
	btf__free(to->btf);
	free(moving->list);
}

static void what_is_alike_is_one_piece(void **state)
{
	struct types from = types_new(), to = types_new();
	int a = begin(&from, "thing", 16), b;
	struct ebb_moving moving;

	(void)state;
	field(&from, "x", from.u32, 0);
	field(&from, "y", from.u32, 4);
	field(&from, "z", from.u64, 8);
	b = begin(&to, "thing", 16);
	field(&to, "x", to.u32, 0);
	field(&to, "y", to.u32, 4);
	field(&to, "z", to.u64, 8);
	moving = planned(&from, a, &to, b);
	assert_int_equal(moving.count, 1);
	assert_int_equal(moving.list[0].size, 16);
	assert_string_equal(moving.reset, "");
	done(&from, &to, &moving);
}

static void fields_are_found_by_name_wherever_they_stand(void **state)
{
	struct {
		uint32_t x, y;
		uint64_t z;
	} old = {1, 2, 3};
	struct {
		uint64_t born, z;
		uint32_t y, x;
	} new = {0};
	struct types from = types_new(), to = types_new();
	int a = begin(&from, "thing", 16), b;
	struct ebb_moving moving;

	(void)state;
	field(&from, "x", from.u32, 0);
	field(&from, "y", from.u32, 4);
	field(&from, "z", from.u64, 8);
	b = begin(&to, "thing", 24);
	field(&to, "born", to.u64, 0);
	field(&to, "z", to.u64, 8);
	field(&to, "y", to.u32, 16);
	field(&to, "x", to.u32, 20);
	moving = planned(&from, a, &to, b);
	ebb_moving_apply(&moving, &old, &new);
	assert_int_equal(new.x, 1);
	assert_int_equal(new.y, 2);
	assert_int_equal(new.z, 3);
	assert_int_equal(new.born, 0);
	assert_string_equal(moving.reset, "thing.born");
	done(&from, &to, &moving);
}

static void a_number_may_grow_and_not_shrink(void **state)
{
	struct {
		uint32_t grows, shrinks;
	} old = {0xfffffffe, 7};
	struct {
		uint64_t grows;
		uint16_t shrinks, rest[3];
	} new = {0};
	struct types from = types_new(), to = types_new();
	int a = begin(&from, "thing", 8), b;
	struct ebb_moving moving;

	(void)state;
	field(&from, "grows", from.u32, 0);
	field(&from, "shrinks", from.u32, 4);
	b = begin(&to, "thing", 16);
	field(&to, "grows", to.u64, 0);
	field(&to, "shrinks", to.u16, 8);
	moving = planned(&from, a, &to, b);
	ebb_moving_apply(&moving, &old, &new);
	assert_true(new.grows == 0xfffffffe);
	assert_int_equal(new.shrinks, 0);
	assert_string_equal(moving.reset, "thing.shrinks");
	done(&from, &to, &moving);
}

/* The longer keeps what it has no value for at 0; structs in arrays move element by element. */
static void arrays_move_as_far_as_both_reach(void **state)
{
	struct {
		uint32_t few[2];
		struct {
			uint32_t a, b;
		} items[3];
	} old = {{1, 2}, {{3, 4}, {5, 6}, {7, 8}}};
	struct {
		uint32_t few[3];
		struct {
			uint32_t b, c, a;
		} items[2];
	} new = {0};
	struct types from = types_new(), to = types_new();
	int item = begin(&from, "item", 8), a, b;
	struct ebb_moving moving;

	(void)state;
	field(&from, "a", from.u32, 0);
	field(&from, "b", from.u32, 4);
	{
		int few = array(&from, from.u32, 2), items = array(&from, item, 3);

		a = begin(&from, "thing", sizeof(old));
		field(&from, "few", few, 0);
		field(&from, "items", items, 8);
	}
	item = begin(&to, "item", 12);
	field(&to, "b", to.u32, 0);
	field(&to, "c", to.u32, 4);
	field(&to, "a", to.u32, 8);
	{
		int few = array(&to, to.u32, 3), items = array(&to, item, 2);

		b = begin(&to, "thing", sizeof(new));
		field(&to, "few", few, 0);
		field(&to, "items", items, 12);
	}
	moving = planned(&from, a, &to, b);
	ebb_moving_apply(&moving, &old, &new);
	assert_int_equal(new.few[0], 1);
	assert_int_equal(new.few[1], 2);
	assert_int_equal(new.few[2], 0);
	assert_int_equal(new.items[0].a, 3);
	assert_int_equal(new.items[0].b, 4);
	assert_int_equal(new.items[1].a, 5);
	assert_int_equal(new.items[1].b, 6);
	assert_int_equal(new.items[1].c, 0);
	assert_string_equal(moving.reset, "item.c"); /* once */
	done(&from, &to, &moving);
}

static void some_are_never_moved_and_padding_is_not_spoken_of(void **state)
{
	struct {
		uint32_t now, pad, gone, pad1;
	} old = {1, 2, 3, 4}, new = {0};
	struct types from = types_new(), to = types_new();
	int a = begin(&from, "thing", 16), b;
	struct ebb_moving moving;

	(void)state;
	field(&from, "now", from.u32, 0);
	field(&from, "pad", from.u32, 4);
	field(&from, "gone", from.u32, 8);
	field(&from, "pad1", from.u32, 12);
	b = begin(&to, "thing", 16);
	field(&to, "now", to.u32, 0);
	field(&to, "pad", to.u32, 4);
	field(&to, "padded", to.u32, 8);
	moving = planned(&from, a, &to, b);
	ebb_moving_apply(&moving, &old, &new);
	assert_int_equal(new.now, 0);
	assert_int_equal(new.pad, 0);
	assert_string_equal(moving.reset, "thing.padded, thing.gone");
	done(&from, &to, &moving);
}

static void another_kind_of_field_begins_anew_and_another_kind_of_value_is_refused(void **state)
{
	struct types from = types_new(), to = types_new();
	struct ebb_moving moving = {.count = 77};
	int list = array(&to, to.u32, 2), a = begin(&from, "thing", 8), b;

	(void)state;
	field(&from, "x", from.u64, 0);
	b = begin(&to, "thing", 8);
	field(&to, "x", list, 0);
	moving = planned(&from, a, &to, b);
	assert_int_equal(moving.count, 0);
	assert_string_equal(moving.reset, "thing.x");
	moving.count = 77;
	assert_int_equal(ebb_moving_plan(from.btf, (uint32_t)a, to.btf, (uint32_t)to.u32, NULL, &moving),
			 -EINVAL);
	assert_int_equal(moving.count, 77); /* untouched */
	done(&from, &to, &moving);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_alike_is_one_piece),
		cmocka_unit_test(fields_are_found_by_name_wherever_they_stand),
		cmocka_unit_test(a_number_may_grow_and_not_shrink),
		cmocka_unit_test(arrays_move_as_far_as_both_reach),
		cmocka_unit_test(some_are_never_moved_and_padding_is_not_spoken_of),
		cmocka_unit_test(another_kind_of_field_begins_anew_and_another_kind_of_value_is_refused),
	};

	return cmocka_run_group_tests_name("moving", tests, NULL, NULL);
}
