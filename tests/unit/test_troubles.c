/* SPDX-License-Identifier: Apache-2.0 */
/* user/agent/troubles.c: how often an operator hears of the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/troubles.h"

#define S 1000000000ULL

struct heard {
	uint32_t began, ended;
	struct ebb_trouble_news last;
};

static void tell(void *userdata, const struct ebb_trouble_news *news)
{
	struct heard *heard = userdata;

	heard->began += !news->ended;
	heard->ended += news->ended;
	heard->last = *news;
}

/* A scanner for an hour: two lines. */
static void what_lasts_is_told_when_it_begins_and_when_it_has_ended(void **state)
{
	uint64_t errors[EBB_ERR_MAX] = {[EBB_ERR_SHARE_FULL] = 7}, now = 1000 * S;
	struct ebb_troubles troubles;
	struct heard heard = {0};

	(void)state;
	ebb_troubles_init(&troubles, errors);
	ebb_troubles_look(&troubles, errors, now, tell, &heard);
	assert_int_equal(heard.began, 0);
	for (int i = 0; i < 3600; i++) {
		now += S;
		errors[EBB_ERR_SHARE_FULL] += 30;
		ebb_troubles_look(&troubles, errors, now, tell, &heard);
		assert_int_equal(heard.began, 1);
	}
	assert_int_equal(heard.last.error, EBB_ERR_SHARE_FULL);
	assert_int_equal(heard.last.count, 30);
	for (int i = 0; i < 299; i++) {
		now += S;
		ebb_troubles_look(&troubles, errors, now, tell, &heard);
	}
	assert_int_equal(heard.ended, 0);
	now += S;
	ebb_troubles_look(&troubles, errors, now, tell, &heard);
	assert_int_equal(heard.ended, 1);
	assert_int_equal(heard.last.count, 3600 * 30);
	assert_int_equal(heard.last.lasted_ns, 3599 * S);
	for (int i = 0; i < 1000; i++)
		ebb_troubles_look(&troubles, errors, now += S, tell, &heard);
	assert_int_equal(heard.began + heard.ended, 2);
	/* and then again */
	errors[EBB_ERR_SHARE_FULL]++;
	ebb_troubles_look(&troubles, errors, now + S, tell, &heard);
	assert_int_equal(heard.began, 2);
	assert_int_equal(heard.last.count, 1);
}

static void each_kind_is_told_apart(void **state)
{
	uint64_t errors[EBB_ERR_MAX] = {0};
	struct ebb_troubles troubles;
	struct heard heard = {0};

	(void)state;
	ebb_troubles_init(&troubles, errors);
	for (uint32_t i = 0; i < EBB_ERR_MAX; i++) {
		errors[i]++;
		ebb_troubles_look(&troubles, errors, (1 + i) * S, tell, &heard);
		assert_int_equal(heard.began, i + 1);
		assert_int_equal(heard.last.error, i);
		assert_non_null(ebb_trouble_instead(i));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_lasts_is_told_when_it_begins_and_when_it_has_ended),
		cmocka_unit_test(each_kind_is_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
