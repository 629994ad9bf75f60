/* SPDX-License-Identifier: Apache-2.0 */
/* What can be said of PostgreSQL without a server: values, and what its errors mean. tests/e2e/test_audit_databases.sh
 * has servers. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "export/pg_array.h"
#include "export/postgres.h"
#include "export/resolve.h"
#include "export/sink_postgres.h"
#include "lib/clock.h"
#include "tests/lib/batch.h"

#define NOW (1700000000LL * 1000000000LL)

static void an_array_says_what_was_put_into_it(void **state)
{
	struct ebb_pg_array array = {0};

	(void)state;
	ebb_pg_array_begin(&array);
	assert_string_equal(ebb_pg_array_end(&array), "{}");
	ebb_pg_array_begin(&array);
	ebb_pg_array_add(&array, "");
	ebb_pg_array_add(&array, NULL);
	ebb_pg_array_add(&array, "NULL");
	ebb_pg_array_add(&array, "a \"b\\c\",{d}\n'");
	ebb_pg_array_add_count(&array, 0);
	ebb_pg_array_add_count(&array, -1);
	ebb_pg_array_add_count(&array, INT64_MAX);
	assert_string_equal(ebb_pg_array_end(&array),
			    "{\"\",NULL,\"NULL\",\"a \\\"b\\\\c\\\",{d}\n'\",\"0\",NULL,\"9223372036854775807\"}");
	ebb_pg_array_done(&array);
}

/* Each length once, so that it grows at each possible place. */
static void an_array_grows(void **state)
{
	struct ebb_pg_array array = {0};
	char text[700];

	(void)state;
	memset(text, '"', sizeof(text));
	for (size_t length = 0; length < sizeof(text); length++) {
		const char *made;

		text[length] = '\0';
		ebb_pg_array_begin(&array);
		ebb_pg_array_add(&array, text);
		made = ebb_pg_array_end(&array);
		assert_int_equal(strlen(made), 2 * length + 4);
		assert_string_equal(made + 2 * length + 2, "\"}");
		text[length] = '"';
		if (length % 7 == 0)
			ebb_pg_array_done(&array);
	}
	ebb_pg_array_done(&array);
}

static void each_state_has_its_meaning(void **state)
{
	static const struct {
		const char *state;
		int r;
	} cases[] = {
		{"08006", -EAGAIN}, /* connection failure */
		{"57P01", -EAGAIN}, /* the server is stopped */
		{"57P03", -EAGAIN}, /* and starts */
		{"57014", -EAGAIN}, /* its time is over */
		{"53300", -EAGAIN}, /* too many clients */
		{"53200", -EAGAIN}, /* no memory */
		{"53100", -ENOSPC}, /* no room */
		{"40001", -EAGAIN}, /* once more */
		{"40P01", -EAGAIN}, /* deadlock */
		{"55P03", -EAGAIN}, /* a lock */
		{"XX000", -EAGAIN}, /* who knows */
		{"25006", -EROFS},  /* read-only */
		{"42501", -EACCES}, /* rights */
		{"42P01", -EPROTO}, /* no such table */
		{"42703", -EPROTO}, /* no such column */
		{"28P01", -EACCES}, /* password */
		{"28000", -EACCES}, /* pg_hba.conf */
		{"3D000", -ENOENT}, /* no such database */
		{"22P02", -EINVAL}, /* a value */
		{"23514", -EINVAL}, /* a constraint */
		{"54000", -EINVAL}, /* too large for an index */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *remedy;

		if (ebb_postgres_meaning(cases[i].state, &remedy) != cases[i].r)
			fail_msg("%s", cases[i].state);
		/* who must do something is told what */
		assert_true(cases[i].r == -EAGAIN || remedy);
	}
}

static void hosts_are_looked_up(void **state)
{
	struct ebb_resolve *pending = NULL;
	char text[EBB_RESOLVE_TEXT_MAX];
	struct ebb_why why = {0};

	(void)state;
	assert_int_equal(ebb_resolve(&pending, "192.0.2.7", 5 * EBB_NS_PER_S, text, &why), 1);
	assert_string_equal(text, "192.0.2.7");
	assert_null(pending);
	assert_int_equal(ebb_resolve(&pending, "2001:db8::7", 5 * EBB_NS_PER_S, text, &why), 1);
	assert_string_equal(text, "2001:db8::7");
	assert_true(ebb_resolve(&pending, "localhost", 5 * EBB_NS_PER_S, text, &why) >= 1);
	assert_non_null(strpbrk(text, "1"));
	assert_null(pending);
	ebb_resolve_free(NULL);
}

static enum ebb_sink_result offer_to(uint16_t port, struct ebb_why *why)
{
	const struct ebb_sink_postgres_setup setup = {.host = "127.0.0.1",
						      .port = port,
						      .database = "d",
						      .user = "u"};
	struct batch *batch = batch_new(0, 0, 3, NOW);
	enum ebb_sink_result result;
	struct ebb_sink sink;

	assert_int_equal(ebb_sink_postgres_new(&setup, &sink), 0);
	result = batch_offer(&sink, batch, why);
	sink.ops->free(sink.data);
	batch_free(batch);
	return result;
}

static void a_server_that_is_not_there_is_tried_again(void **state)
{
	struct ebb_why why = {0};

	(void)state;
	assert_int_equal(offer_to(1, &why), EBB_SINK_RETRY);
	assert_non_null(strstr(why.text, "PostgreSQL at 127.0.0.1:1, database d: "));
	assert_non_null(strstr(why.text, "Connection refused"));
	assert_null(strchr(why.text, '\n'));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_array_says_what_was_put_into_it),
		cmocka_unit_test(an_array_grows),
		cmocka_unit_test(each_state_has_its_meaning),
		cmocka_unit_test(hosts_are_looked_up),
		cmocka_unit_test(a_server_that_is_not_there_is_tried_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
