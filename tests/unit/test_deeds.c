/* SPDX-License-Identifier: Apache-2.0 */
/* What operators did: user/core/deed.c remembers it, user/agent/deeds.c tells it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/deeds.h"
#include "core/deed.h"
#include "tests/lib/fake_view.h"

/* What was told: the texts, and how many were lost before them. */
struct heard {
	char text[8192];
	uint64_t lost;
	uint32_t count;
};

static int hear(void *userdata, const struct ebb_deed *deed, uint64_t lost)
{
	struct heard *heard = userdata;

	if (heard->count < 8) {
		size_t used = strlen(heard->text);

		(void)snprintf(heard->text + used, sizeof(heard->text) - used, "%s|", deed->what);
	}
	heard->lost += lost;
	heard->count++;
	return 0;
}

static void record(const struct ebb_view *view, const char *what)
{
	ebb_deed_record(view->deeds, 0, 1000, 1700000000000000000ULL, what);
}

static int set_up(void **state)
{
	struct ebb_view *view = fake_zeroed(1, sizeof(*view));

	*view = fake_view_new(2, 2);
	*state = view;
	return 0;
}

static int tear_down(void **state)
{
	struct ebb_view *view = *state;

	fake_view_free(view);
	free(view);
	return 0;
}

static void each_is_told_once_and_in_order(void **state)
{
	const struct ebb_view *view = *state;
	struct heard heard = {0};

	assert_int_equal(ebb_deeds_tell(view, (uint64_t *)&view->agent->deeds_told, hear, &heard), 0);
	record(view, "limit set a --bytes 1MB/s");
	record(view, "breaker open b");
	assert_int_equal(ebb_deeds_tell(view, (uint64_t *)&view->agent->deeds_told, hear, &heard), 2);
	assert_string_equal(heard.text, "limit set a --bytes 1MB/s|breaker open b|");
	assert_int_equal(ebb_deeds_tell(view, (uint64_t *)&view->agent->deeds_told, hear, &heard), 0);
	record(view, "mode auto");
	assert_int_equal(ebb_deeds_tell(view, (uint64_t *)&view->agent->deeds_told, hear, &heard), 1);
	assert_string_equal(heard.text, "limit set a --bytes 1MB/s|breaker open b|mode auto|");
	assert_true(heard.lost == 0);
	assert_true(view->agent->deeds_told == 3);
}

static void what_was_overwritten_is_counted(void **state)
{
	const struct ebb_view *view = *state;
	struct heard heard = {0};
	char what[32];

	for (int i = 1; i <= EBB_DEEDS + 10; i++) {
		(void)snprintf(what, sizeof(what), "order %d", i);
		record(view, what);
	}
	assert_int_equal(ebb_deeds_tell(view, (uint64_t *)&view->agent->deeds_told, hear, &heard), EBB_DEEDS);
	assert_true(heard.lost == 10);
	assert_int_equal(strncmp(heard.text, "order 11|order 12|", 18), 0);
	record(view, "one more");
	heard = (struct heard){0};
	assert_int_equal(ebb_deeds_tell(view, (uint64_t *)&view->agent->deeds_told, hear, &heard), 1);
	assert_string_equal(heard.text, "one more|");
	assert_true(heard.lost == 0);
}

static void one_that_is_being_written_waits(void **state)
{
	const struct ebb_view *view = *state;
	struct heard heard = {0};

	record(view, "first");
	record(view, "second");
	view->deeds[2].serial = 0;
	assert_int_equal(ebb_deeds_tell(view, (uint64_t *)&view->agent->deeds_told, hear, &heard), 1);
	assert_string_equal(heard.text, "first|");
	/* its writer was killed: the next order takes the serial */
	record(view, "third");
	assert_int_equal(ebb_deeds_tell(view, (uint64_t *)&view->agent->deeds_told, hear, &heard), 1);
	assert_string_equal(heard.text, "first|third|");
	assert_true(heard.lost == 0);
}

static void what_is_too_long_is_cut_and_says_so(void **state)
{
	const struct ebb_view *view = *state;
	char longest[1024];
	struct ebb_deed deed;
	uint64_t lost;

	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	record(view, longest);
	assert_true(ebb_deed_next(view->deeds, 0, &deed, &lost));
	assert_int_equal(strlen(deed.what), sizeof(deed.what) - 1);
	assert_string_equal(deed.what + sizeof(deed.what) - 5, "x...");
	assert_int_equal(deed.uid, 0);
	assert_int_equal(deed.login_uid, 1000);
	assert_true(deed.at_realtime_ns == 1700000000000000000ULL);
	/* one that just fits is whole */
	longest[sizeof(deed.what) - 1] = '\0';
	record(view, longest);
	assert_true(ebb_deed_next(view->deeds, 1, &deed, &lost));
	assert_string_equal(deed.what, longest);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_is_told_once_and_in_order),
		TEST(what_was_overwritten_is_counted),
		TEST(one_that_is_being_written_waits),
		TEST(what_is_too_long_is_cut_and_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
