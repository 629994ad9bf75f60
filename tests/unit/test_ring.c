/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "export/ring.h"

#define BYTES	1000
#define ENTRIES 32

/* What entry @number holds: its length and bytes follow from the number. */
static size_t text_of(uint64_t number, char text[BYTES])
{
	size_t length = (size_t)(number * 37 % 211) + 1;

	memset(text, 'a' + (char)(number % 26), length);
	return length;
}

static void entries_are_whole_until_they_are_gone(void **state)
{
	struct ebb_ring *ring;
	char text[BYTES];

	(void)state;
	assert_int_equal(ebb_ring_new(BYTES, ENTRIES, &ring), 0);
	for (uint64_t added = 1; added < 5000; added++) {
		size_t kept_bytes = 0, length = text_of(added, text);

		assert_int_equal(ebb_ring_end(ring), added);
		assert_int_equal(ebb_ring_add(ring, text, length), 0);
		assert_true(ebb_ring_end(ring) - ebb_ring_first(ring) <= ENTRIES);
		for (uint64_t n = ebb_ring_first(ring); n < ebb_ring_end(ring); n++) {
			size_t got, wanted = text_of(n, text);
			const char *entry = ebb_ring_get(ring, n, &got);

			assert_non_null(entry);
			assert_int_equal(got, wanted);
			assert_memory_equal(entry, text, wanted);
			kept_bytes += got;
		}
		assert_true(kept_bytes <= BYTES);
		/* no more is forgotten than has to be: all but the longest entry and what did not fit at the end */
		assert_true(added < ENTRIES || kept_bytes > BYTES - 2 * 212);
	}
	assert_null(ebb_ring_get(ring, ebb_ring_first(ring) - 1, &(size_t){0}));
	assert_null(ebb_ring_get(ring, ebb_ring_end(ring), &(size_t){0}));
	ebb_ring_free(ring);
}

static void what_is_longer_than_the_ring_is_refused(void **state)
{
	struct ebb_ring *ring;
	char text[BYTES + 1] = "";

	(void)state;
	assert_int_equal(ebb_ring_new(BYTES, ENTRIES, &ring), 0);
	assert_int_equal(ebb_ring_add(ring, text, BYTES + 1), -E2BIG);
	assert_int_equal(ebb_ring_add(ring, text, BYTES), 0);
	assert_int_equal(ebb_ring_add(ring, text, BYTES), 0);
	assert_int_equal(ebb_ring_end(ring) - ebb_ring_first(ring), 1);
	ebb_ring_clear(ring);
	assert_int_equal(ebb_ring_first(ring), ebb_ring_end(ring));
	/* who had the second entry does not go on with the next */
	assert_int_equal(ebb_ring_first(ring), 4);
	ebb_ring_free(ring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_are_whole_until_they_are_gone),
		cmocka_unit_test(what_is_longer_than_the_ring_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
