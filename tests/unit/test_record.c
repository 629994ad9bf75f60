/* SPDX-License-Identifier: Apache-2.0 */
/* user/cli/record.c, and the writer of user/cli/trace.c: what stands in a recording, from memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/record.h"
#include "core/simulate.h"
#include "tests/lib/fake_view.h"

#define S     1000000000ULL
#define MS    1000000ULL
#define START (1000 * S)
#define DST   1
#define PAIR  1

struct world {
	struct ebb_view view;
	struct ebb_look look;
	struct ebb_record_log log;
	char *text;
	size_t size;
	FILE *out;
};

static int resolve(void *userdata, uint64_t id, char *ret_path, size_t size)
{
	(void)userdata;
	(void)snprintf(ret_path, size, "/w%llu \"x\"", (unsigned long long)id);
	return 0;
}

static int set_up(void **state)
{
	struct world *w = fake_zeroed(1, sizeof(*w));
	struct ebb_name *name;

	w->view = fake_view_new(4, 4);
	w->view.kernel->dst_high = DST;
	w->view.kernel->pair_high = PAIR;
	w->view.dsts[DST].state = EBB_SLOT_LIVE;
	w->view.dsts[DST].epoch = 7;
	w->view.pairs[PAIR] =
		(struct ebb_pair){.workload = 5, .dst = DST, .epoch = 3, .state = EBB_SLOT_LIVE};
	name = &w->view.names[DST];
	name->epoch = 7;
	(void)snprintf(name->text, sizeof(name->text), "api");
	w->look = (struct ebb_look){.view = &w->view, .now_ns = START};
	assert_int_equal(ebb_cgroup_names_new_from(resolve, NULL, 16, &w->look.names), 0);
	w->out = open_memstream(&w->text, &w->size);
	assert_non_null(w->out);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	ebb_record_log_done(&w->log);
	(void)fclose(w->out);
	free(w->text);
	ebb_cgroup_names_free(w->look.names);
	fake_view_free(&w->view);
	free(w);
	return 0;
}

static const char *text_of(struct world *w)
{
	assert_int_equal(fflush(w->out), 0);
	return w->text;
}

static void begin(struct world *w)
{
	assert_int_equal(ebb_record_log_init(&w->log, &w->look, w->out), 0);
}

static void result(struct world *w, uint32_t outcome, uint64_t at_ns, uint64_t took_ns)
{
	const struct ebb_record record = {.at_ns = at_ns,
					  .took_ns = took_ns,
					  .workload = 5,
					  .dst = DST,
					  .dst_epoch = 7,
					  .outcome = outcome};

	ebb_record_log_result(&w->log, &record);
}

static void a_call_stands_where_it_began_with_how_long_it_took(void **state)
{
	struct world *w = *state;

	begin(w);
	result(w, EBB_OUTCOME_REFUSED, START + 12500 * MS, 2500001);
	assert_string_equal(text_of(w), "{\"t\": 12.497499999, \"dest\": \"api\", \"outcome\": \"refused\", "
					"\"ms\": 2.500001, \"workload\": \"/w5 \\\"x\\\"\"}\n");
	assert_int_equal(w->log.calls, 1);
}

static void what_began_before_the_start_stands_at_zero_with_what_was_left(void **state)
{
	struct world *w = *state;

	begin(w);
	result(w, EBB_OUTCOME_TIMEOUT, START + 2 * S, 5 * S);
	assert_non_null(strstr(text_of(w), "{\"t\": 0.000000000, "));
	assert_non_null(strstr(text_of(w), "\"outcome\": \"timeout\", \"ms\": 2000.000000, "));
	result(w, EBB_OUTCOME_REFUSED, START - 1, 0);
	assert_int_equal(w->log.calls, 1);
}

static void a_refusal_of_ours_is_denied(void **state)
{
	struct world *w = *state;

	begin(w);
	result(w, EBB_RECORD_DENIED, START + S, 0);
	assert_non_null(strstr(text_of(w), "{\"t\": 1.000000000, \"dest\": \"api\", \"outcome\": \"denied\", "
					   "\"ms\": 0.000000, "));
}

static void what_lost_its_name_is_counted_and_left_out(void **state)
{
	struct world *w = *state;

	begin(w);
	w->view.dsts[DST].epoch = 8;
	result(w, EBB_OUTCOME_REFUSED, START + S, 0);
	assert_string_equal(text_of(w), "");
	assert_int_equal(w->log.calls, 0);
	assert_int_equal(w->log.unnamed, 1);
}

static void look(struct world *w)
{
	w->look.now_ns += 100 * MS;
	ebb_record_log_locals(&w->log);
}

static void failures_before_any_syn_are_told_when_two_looks_agree(void **state)
{
	struct world *w = *state;
	struct ebb_pair *pair = &w->view.pairs[PAIR];

	pair->attempts = 10;
	pair->syn_sent = 8; /* two of before */
	begin(w);
	look(w);
	assert_int_equal(w->log.calls, 0);
	pair->attempts = 12; /* one failed; one is under way */
	pair->syn_sent = 8;
	look(w);
	assert_int_equal(w->log.calls, 0);
	pair->syn_sent = 9;
	look(w);
	assert_int_equal(w->log.calls, 1);
	assert_non_null(strstr(text_of(w),
			       "{\"t\": 0.300000000, \"dest\": \"api\", \"outcome\": \"local\", "));
	look(w);
	assert_int_equal(w->log.calls, 1);
	/* a new owner of the slot; each of several at once has its line */
	*pair = (struct ebb_pair){.workload = 6, .dst = DST, .epoch = 4, .attempts = 3};
	look(w);
	look(w);
	assert_int_equal(w->log.calls, 4);
}

static int keep_call(void *userdata, const struct ebb_trace_call *call, struct ebb_why *why)
{
	struct ebb_trace_call *kept = userdata;

	(void)why;
	*kept = *call;
	assert_string_equal(call->dest, "a\"b\\\n\xc3\xa9");
	assert_string_equal(call->workload, "/w");
	return 0;
}

static void what_is_written_is_read_again_to_the_nanosecond(void **state)
{
	static const uint32_t outcomes[] = {EBB_OUTCOME_ESTABLISHED, EBB_OUTCOME_CANCELLED,
					    EBB_OUTCOME_UNANSWERED, EBB_SIM_LOCAL, EBB_SIM_DENIED};

	(void)state;
	for (size_t i = 0; i < sizeof(outcomes) / sizeof(outcomes[0]); i++) {
		const struct ebb_trace_call call = {.at_ns = 86400 * S + i,
						    .took_ns = 127 * S + 1,
						    .outcome = outcomes[i],
						    .dest = "a\"b\\\n\xc3\xa9",
						    .workload = "/w"};
		FILE *file = tmpfile();
		struct ebb_trace_call got;
		struct ebb_why why = {};
		uint64_t line = 0;

		assert_non_null(file);
		assert_int_equal(ebb_trace_write(file, &call), 0);
		assert_int_equal(fflush(file), 0);
		rewind(file);
		assert_int_equal(ebb_trace_read(fileno(file), keep_call, &got, &line, &why), 0);
		assert_true(got.at_ns == call.at_ns && got.took_ns == call.took_ns);
		assert_int_equal(got.outcome, call.outcome);
		assert_int_equal(fclose(file), 0);
	}
}

static void a_disk_that_is_full_is_told(void **state)
{
	struct world *w = *state;
	FILE *full = fopen("/dev/full", "we");

	assert_non_null(full);
	assert_int_equal(setvbuf(full, NULL, _IONBF, 0), 0);
	assert_int_equal(ebb_record_log_init(&w->log, &w->look, full), 0);
	result(w, EBB_OUTCOME_REFUSED, START + S, 0);
	assert_int_equal(w->log.error, -ENOSPC);
	assert_int_equal(w->log.calls, 0);
	(void)fclose(full);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_call_stands_where_it_began_with_how_long_it_took),
		TEST(what_began_before_the_start_stands_at_zero_with_what_was_left),
		TEST(a_refusal_of_ours_is_denied),
		TEST(what_lost_its_name_is_counted_and_left_out),
		TEST(failures_before_any_syn_are_told_when_two_looks_agree),
		cmocka_unit_test(what_is_written_is_read_again_to_the_nanosecond),
		TEST(a_disk_that_is_full_is_told),
	};

	return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}
