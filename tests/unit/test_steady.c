/* SPDX-License-Identifier: Apache-2.0 */
/* Which clock is believed before something is removed for good. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "lib/steady.h"

#define SECOND 1000000000LL
#define DAY    EBB_STEADY_DAY_NS
#define NOW    (1700000000 * SECOND)
#define BOOT   (1000 * SECOND) /* of the monotonic clock at NOW */

/* @after_ns since BOOT the clock says @says_ns since NOW; @believed_ns since NOW is what is believed. */
static void says(struct ebb_steady *steady, int64_t after_ns, int64_t says_ns, int64_t believed_ns)
{
	assert_int_equal(ebb_steady_time(steady, NOW + says_ns, (uint64_t)(BOOT + after_ns)) - NOW,
			 believed_ns);
}

static void a_clock_that_goes_is_believed(void **state)
{
	struct ebb_steady steady = {0};

	(void)state;
	says(&steady, 0, 0, 0);
	says(&steady, 60 * SECOND, 61 * SECOND, 61 * SECOND);
	/* little by little it may go anywhere */
	for (int day = 1; day < 100; day++)
		says(&steady, day * DAY, day * 2 * DAY, day * 2 * DAY);
}

static void a_clock_that_is_set_back_is_believed(void **state)
{
	struct ebb_steady steady = {0};

	(void)state;
	says(&steady, 0, 0, 0);
	says(&steady, SECOND, -400 * DAY, -400 * DAY);
	says(&steady, 2 * SECOND, 2 * SECOND - 400 * DAY, 2 * SECOND - 400 * DAY);
}

static void a_leap_ahead_is_believed_after_a_day(void **state)
{
	struct ebb_steady steady = {0};

	(void)state;
	says(&steady, 0, 0, 0);
	says(&steady, SECOND, 400 * DAY, SECOND);
	says(&steady, DAY, 401 * DAY, DAY);
	says(&steady, DAY + SECOND, 401 * DAY, 401 * DAY);
	says(&steady, 2 * DAY, 402 * DAY, 402 * DAY);
}

static void a_leap_that_is_taken_back_was_none(void **state)
{
	struct ebb_steady steady = {0};

	(void)state;
	says(&steady, 0, 0, 0);
	says(&steady, SECOND, 400 * DAY, SECOND);
	says(&steady, 2 * SECOND, 2 * SECOND, 2 * SECOND);
	/* another one, later: from its own beginning */
	says(&steady, 2 * DAY, 400 * DAY, 2 * DAY);
	says(&steady, 2 * DAY + SECOND, 400 * DAY, 2 * DAY + SECOND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_clock_that_goes_is_believed),
		cmocka_unit_test(a_clock_that_is_set_back_is_believed),
		cmocka_unit_test(a_leap_ahead_is_believed_after_a_day),
		cmocka_unit_test(a_leap_that_is_taken_back_was_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
