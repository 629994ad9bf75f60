/* SPDX-License-Identifier: Apache-2.0 */
/* A moment is understood whole, or not at all. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "lib/when.h"

#define SECOND 1000000000LL
/* 2026-11-29T05:51:51Z */
#define NOW    (1795931511 * SECOND)

static void moments_are_understood(void **state)
{
	static const struct {
		const char *text;
		int64_t ns;
	} cases[] = {
		{"0", NOW},
		{"1h", NOW - 3600 * SECOND},
		{"1m30s", NOW - 90 * SECOND},
		{"2026-11-29T05:51:51Z", NOW},
		{"2026-11-29 05:51:51Z", NOW},
		{"2026-11-29T05:51Z", NOW - 51 * SECOND},
		/* two hours east, a winter and a summer day */
		{"2026-11-29 07:51:51", NOW},
		{"2026-11-29", 1795903200 * SECOND},
		{"2026-07-01 03:00", 1782864000 * SECOND},
		{"1970-01-01T00:00:00Z", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t ns = -1;

		if (ebb_when_parse(cases[i].text, NOW, &ns) != 0 || ns != cases[i].ns)
			fail_msg("%s: %lld, not %lld", cases[i].text, (long long)ns, (long long)cases[i].ns);
	}
}

static void all_else_is_refused(void **state)
{
	static const struct {
		const char *text;
		int r;
	} cases[] = {
		{"", -EINVAL},
		{"yesterday", -EINVAL},
		{"-1h", -EINVAL},
		{"2026-11", -EINVAL},
		{"2026-13-01", -EINVAL},
		{"2026-02-30", -EINVAL},
		{"2026-11-29T", -EINVAL},
		{"2026-11-29 05", -EINVAL},
		{"2026-11-29 24:00", -EINVAL},
		{"2026-11-29 05:60", -EINVAL},
		{"2026-11-29Zx", -EINVAL},
		{"2026-11-29 05:51:51 ", -EINVAL},
		{"9999-01-01", -ERANGE},
		{"1960-01-01", -ERANGE},
		{"200000d", -ERANGE},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t ns = 17;
		int r = ebb_when_parse(cases[i].text, NOW, &ns);

		if (r != cases[i].r || ns != 17)
			fail_msg("'%s': %d, not %d", cases[i].text, r, cases[i].r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(moments_are_understood),
		cmocka_unit_test(all_else_is_refused),
	};

	(void)setenv("TZ", "EET-2EEST,M3.5.0/3,M10.5.0/4", 1);
	tzset();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
