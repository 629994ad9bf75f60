/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bpf/turn.h: when a turn begins and ends, what becomes of one that is open when its connection
 * ends, what an alert of TLS looks like.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "bpf/turn.h"

#define MS 1000000ULL
#define S  1000000000ULL

/* ------------------------------------------------------------------- turns -- */

static void a_turn_lasts_from_the_last_byte_out(void **state)
{
	struct ebb_turn_state turn = {0};

	(void)state;
	ebb_turn_out(&turn, 10 * S, 100);
	ebb_turn_out(&turn, 11 * S, 200);
	assert_int_equal(turn.bytes, 300);
	assert_int_equal(ebb_turn_in(&turn, 11 * S + 5 * MS), 5 * MS);
	assert_int_equal(turn.done, 1);
	/* the rest of the answer is no turn */
	assert_int_equal(ebb_turn_in(&turn, 12 * S), 0);
	assert_int_equal(turn.done, 1);
	/* the next one begins anew */
	ebb_turn_out(&turn, 13 * S, 7);
	assert_int_equal(turn.bytes, 7);
	assert_int_equal(ebb_turn_in(&turn, 14 * S), 1 * S);
}

static void what_comes_first_is_no_turn(void **state)
{
	struct ebb_turn_state turn = {0};

	(void)state;
	assert_int_equal(ebb_turn_in(&turn, 10 * S), 0);
	assert_int_equal(turn.done, 0);
}

static void a_byte_that_leaves_later_than_its_answer_comes_took_no_time(void **state)
{
	struct ebb_turn_state turn = {0};

	(void)state;
	ebb_turn_out(&turn, 10 * S, 1);
	assert_int_equal(ebb_turn_in(&turn, 9 * S), 1);
	/* nor is a clock that says nothing no turn */
	ebb_turn_out(&turn, 0, 1);
	assert_int_equal(ebb_turn_in(&turn, 5), 4);
}

static void bytes_of_a_turn_saturate(void **state)
{
	struct ebb_turn_state turn = {0};

	(void)state;
	ebb_turn_out(&turn, S, UINT32_MAX - 1);
	ebb_turn_out(&turn, S, 100);
	assert_int_equal(turn.bytes, UINT32_MAX);
}

/* Of many answers at once exactly one ends the turn. */
#define ANSWERS 8
#define ROUNDS	5000

struct racing {
	struct ebb_turn_state turn;
	pthread_barrier_t barrier;
	uint32_t ended;
};

static void *answer(void *argument)
{
	struct racing *r = argument;

	for (int i = 0; i < ROUNDS; i++) {
		(void)pthread_barrier_wait(&r->barrier);
		if (ebb_turn_in(&r->turn, 2 * S))
			__atomic_fetch_add(&r->ended, 1, __ATOMIC_RELAXED);
		(void)pthread_barrier_wait(&r->barrier);
	}
	return NULL;
}

static void one_of_many_answers_ends_it(void **state)
{
	static struct racing r;
	pthread_t threads[ANSWERS];

	(void)state;
	(void)pthread_barrier_init(&r.barrier, NULL, ANSWERS + 1);
	for (size_t i = 0; i < ANSWERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, answer, &r), 0);
	for (uint32_t i = 0; i < ROUNDS; i++) {
		ebb_turn_out(&r.turn, S, 1);
		(void)pthread_barrier_wait(&r.barrier);
		(void)pthread_barrier_wait(&r.barrier);
		assert_int_equal(r.ended, i + 1);
	}
	for (size_t i = 0; i < ANSWERS; i++)
		(void)pthread_join(threads[i], NULL);
}

/* -------------------------------------------------------------------- ends -- */

static void the_end_of_an_open_turn(void **state)
{
	static const struct {
		const char *what;
		uint32_t done, bytes;
		struct ebb_turn_end end;
		uint32_t how;
	} cases[] = {
		{"the peer is done", 0, 1, {0, S, 1, 1}, EBB_TURN_UNANSWERED},
		{"also in a later turn that is long enough", 5, 128, {0, S, 1, 1}, EBB_TURN_UNANSWERED},
		{"which a farewell is not", 5, 127, {0, S, 1, 1}, EBB_TURN_MAX},
		{"it had not heard the request", 5, 500, {9 * S, S, 1, 0}, EBB_TURN_CANCELLED},
		{"the program waited long enough", 0, 1, {S, S, 0, 0}, EBB_TURN_UNANSWERED},
		{"and not so long", 0, 1, {S - 1, S, 0, 0}, EBB_TURN_CANCELLED},
		{"in a later one, too", 3, 128, {S, S, 0, 0}, EBB_TURN_UNANSWERED},
		{"but no ping", 3, 127, {60 * S, S, 0, 0}, EBB_TURN_MAX},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ebb_turn_state turn = {.done = cases[i].done};
		uint32_t how;

		ebb_turn_out(&turn, 10 * S, cases[i].bytes);
		how = ebb_turn_end(&turn, &cases[i].end);
		if (how != cases[i].how)
			fail_msg("%s: %u", cases[i].what, how);
		/* there is none any more */
		assert_int_equal(ebb_turn_end(&turn, &cases[i].end), EBB_TURN_MAX);
		assert_int_equal(ebb_turn_in(&turn, 20 * S), 0);
	}
}

/* ------------------------------------------------------------------ alerts -- */

static void alerts_of_tls_are_told_from_data(void **state)
{
	static const struct {
		const char *what;
		uint8_t header[EBB_TLS_RECORD_HEADER];
		uint32_t payload;
		enum ebb_tls_alert alert;
	} cases[] = {
		{"handshake_failure in clear text", {21, 3, 3, 0, 2}, 7, EBB_TLS_ALERT_OPEN},
		{"the same of TLS 1.0", {21, 3, 1, 0, 2}, 7, EBB_TLS_ALERT_OPEN},
		{"TLS 1.2, AES-GCM", {21, 3, 3, 0, 26}, 31, EBB_TLS_ALERT_SECRET},
		{"TLS 1.2, AES-CBC with SHA-256", {21, 3, 3, 0, 48}, 53, EBB_TLS_ALERT_SECRET},
		{"TLS 1.3", {23, 3, 3, 0, 19}, 24, EBB_TLS_ALERT_SECRET},
		{"three bytes of data by TLS 1.3", {23, 3, 3, 0, 20}, 25, EBB_TLS_NO_ALERT},
		{"data behind it", {21, 3, 3, 0, 26}, 32, EBB_TLS_NO_ALERT},
		{"a piece of one", {21, 3, 3, 0, 26}, 30, EBB_TLS_NO_ALERT},
		{"a handshake", {22, 3, 1, 0, 19}, 24, EBB_TLS_NO_ALERT},
		{"no TLS", {21, 2, 3, 0, 2}, 7, EBB_TLS_NO_ALERT},
		{"longer than any alert", {21, 3, 3, 0, 60}, 65, EBB_TLS_NO_ALERT},
		{"PING", {'P', 'I', 'N', 'G', '\r'}, 6, EBB_TLS_NO_ALERT},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (ebb_tls_alert_of(cases[i].header, cases[i].payload) != cases[i].alert)
			fail_msg("%s", cases[i].what);
	}
}

/* ----------------------------------------------------------------- buckets -- */

static void buckets_of_pairs_double(void **state)
{
	(void)state;
	assert_int_equal(ebb_turn_bucket(0), 0);
	for (uint32_t b = 1; b < EBB_TURN_BUCKETS - 1; b++) {
		uint64_t from = (1ULL << (b - 1)) << EBB_TURN_SHIFT;

		assert_int_equal(ebb_turn_bucket(from - 1), b - 1);
		assert_int_equal(ebb_turn_bucket(from), b);
		assert_int_equal(ebb_turn_bucket(2 * from - 1), b);
	}
	assert_int_equal(ebb_turn_bucket(1ULL << (20 + EBB_TURN_SHIFT)), EBB_TURN_BUCKETS - 1);
	assert_int_equal(ebb_turn_bucket(UINT64_MAX), EBB_TURN_BUCKETS - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_turn_lasts_from_the_last_byte_out),
		cmocka_unit_test(what_comes_first_is_no_turn),
		cmocka_unit_test(a_byte_that_leaves_later_than_its_answer_comes_took_no_time),
		cmocka_unit_test(bytes_of_a_turn_saturate),
		cmocka_unit_test(one_of_many_answers_ends_it),
		cmocka_unit_test(the_end_of_an_open_turn),
		cmocka_unit_test(alerts_of_tls_are_told_from_data),
		cmocka_unit_test(buckets_of_pairs_double),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
