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

static void a_first_turn_shows_without_a_memory(void **state)
{
	static const struct {
		const char *what;
		struct ebb_turn_facts facts;
		int shows, later;
	} cases[] = {
		{"nothing was asked", {0, 0, 0, 0}, 0, 0},
		{"nor by one whose server spoke first", {0, 0, 9, 0}, 0, 0},
		{"asked, and on its way", {1, 1, 0, 0}, 1, 0},
		{"asked and acknowledged, but not answered", {1, 0, 0, 100}, 1, 0},
		{"answered", {1, 0, 600, 100}, 0, 1},
		{"asked first after the server spoke", {1, 1, 9, 0}, 1, 0},
		{"asked again", {2, 1, 600, 100}, 1, 1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (ebb_turn_shows(&cases[i].facts) != cases[i].shows ||
		    (cases[i].shows &&
		     ebb_turn_is_later(cases[i].facts.received, cases[i].facts.acked) != cases[i].later))
			fail_msg("%s", cases[i].what);
	}
}

static void a_turn_is_open_from_what_is_asked_to_the_answer(void **state)
{
	struct ebb_turn_state turn = {0};

	(void)state;
	assert_false(ebb_turn_is_open(&turn, 0, 1000));
	/* whatever the first number is */
	assert_true(ebb_turn_is_open(&turn, 1, 0));
	assert_true(ebb_turn_take(&turn, 1, 1200));
	assert_int_equal(turn.ended.count, 1);
	/* the rest of the answer is no turn */
	assert_false(ebb_turn_is_open(&turn, 1, 1200));
	assert_false(ebb_turn_take(&turn, 1, 1200));
	/* the next one begins with the next byte, and numbers wrap */
	assert_true(ebb_turn_is_open(&turn, 1, 1201));
	assert_int_equal(ebb_turn_bytes(&turn, 1201), 1);
	turn.ended.seq = 0xfffffff0;
	assert_int_equal(ebb_turn_bytes(&turn, 0x10), 0x20);
	assert_true(ebb_turn_take(&turn, 1, 0x10));
	assert_int_equal(turn.ended.count, 2);
}

static void a_first_turn_may_end_at_any_number(void **state)
{
	struct ebb_turn_state turn = {0};

	(void)state;
	assert_true(ebb_turn_take(&turn, 1, 0));
	assert_int_equal(turn.ended.count, 1);
	assert_false(ebb_turn_is_open(&turn, 1, 0));
	assert_false(ebb_turn_take(&turn, 1, 0));
}

static void when_it_was_sent_first_is_of_one_turn(void **state)
{
	struct ebb_turn_state turn = {.out_ns = 5 * S, .ended.count = 1, .ended.seq = 7};

	(void)state;
	assert_true(ebb_turn_take(&turn, 1, 8));
	assert_int_equal(turn.out_ns, 0);
}

static void a_byte_that_leaves_later_than_its_answer_comes_took_no_time(void **state)
{
	(void)state;
	assert_int_equal(ebb_turn_lasted(10 * S, 10 * S + 5 * MS), 5 * MS);
	assert_int_equal(ebb_turn_lasted(10 * S, 10 * S), 1);
	assert_int_equal(ebb_turn_lasted(10 * S, 9 * S), 1);
}

/* Of many answers at once exactly one ends the turn. */
#define ANSWERS 8
#define ROUNDS	5000

struct racing {
	struct ebb_turn_state turn;
	pthread_barrier_t barrier;
	uint32_t asked;
	uint32_t ended;
};

static void *answer(void *argument)
{
	struct racing *r = argument;

	for (int i = 0; i < ROUNDS; i++) {
		(void)pthread_barrier_wait(&r->barrier);
		if (ebb_turn_take(&r->turn, 1, r->asked))
			__atomic_fetch_add(&r->ended, 1, __ATOMIC_RELAXED);
		(void)pthread_barrier_wait(&r->barrier);
	}
	return NULL;
}

static void one_of_many_answers_ends_it(void **state)
{
	static struct racing r = {.asked = 1000};
	pthread_t threads[ANSWERS];

	(void)state;
	(void)pthread_barrier_init(&r.barrier, NULL, ANSWERS + 1);
	for (size_t i = 0; i < ANSWERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, answer, &r), 0);
	for (uint32_t i = 0; i < ROUNDS; i++) {
		r.asked += 100;
		(void)pthread_barrier_wait(&r.barrier);
		(void)pthread_barrier_wait(&r.barrier);
		assert_int_equal(r.ended, i + 1);
	}
	for (size_t i = 0; i < ANSWERS; i++)
		(void)pthread_join(threads[i], NULL);
}

/* -------------------------------------------------------------------- ends -- */

static void a_farewell_in_reply_is_no_part_of_what_was_asked(void **state)
{
	(void)state;
	assert_true(ebb_turn_is_heard(200, 0));
	assert_true(ebb_turn_is_heard(200 + 24, 24));
	assert_false(ebb_turn_is_heard(200, 200));
	/* too much for a farewell, too little for a request */
	assert_false(ebb_turn_is_heard(1000, EBB_TLS_ALERT_MOST + 1));
	assert_true(ebb_turn_is_heard(EBB_TURN_LEAST_BYTES + 24, 24));
	assert_false(ebb_turn_is_heard(EBB_TURN_LEAST_BYTES + 23, 24));
}

static void the_end_of_an_open_turn(void **state)
{
	static const struct {
		const char *what;
		struct ebb_turn_end end; /* age, abandon, bytes, first, by_peer, heard, held */
		uint32_t how;
	} cases[] = {
		{"the peer is done", {0, S, 1, 1, 1, 1, 0}, EBB_TURN_UNANSWERED},
		{"whatever it heard of the first", {0, S, 1, 1, 1, 0, 0}, EBB_TURN_UNANSWERED},
		{"also in a later turn that is long enough", {0, S, 128, 0, 1, 1, 0}, EBB_TURN_UNANSWERED},
		{"which a farewell is not", {0, S, 127, 0, 1, 1, 0}, EBB_TURN_MAX},
		{"it had not heard the request", {9 * S, S, 500, 0, 1, 0, 0}, EBB_TURN_CANCELLED},
		{"the program waited long enough", {S, S, 1, 1, 0, 0, 0}, EBB_TURN_UNANSWERED},
		{"and not so long", {S - 1, S, 1, 1, 0, 0, 0}, EBB_TURN_CANCELLED},
		{"in a later one, too", {S, S, 128, 0, 0, 0, 0}, EBB_TURN_UNANSWERED},
		{"what we held back says nothing of the peer",
		 {60 * S, S, 500, 1, 1, 0, 1},
		 EBB_TURN_CANCELLED},
		{"nor of one for whom it was long", {60 * S, S, 500, 0, 0, 0, 1}, EBB_TURN_CANCELLED},
		{"but no ping", {60 * S, S, 127, 0, 0, 0, 0}, EBB_TURN_MAX},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (ebb_turn_ended(&cases[i].end) != cases[i].how)
			fail_msg("%s: %u", cases[i].what, ebb_turn_ended(&cases[i].end));
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
		cmocka_unit_test(a_first_turn_shows_without_a_memory),
		cmocka_unit_test(a_turn_is_open_from_what_is_asked_to_the_answer),
		cmocka_unit_test(a_first_turn_may_end_at_any_number),
		cmocka_unit_test(when_it_was_sent_first_is_of_one_turn),
		cmocka_unit_test(a_byte_that_leaves_later_than_its_answer_comes_took_no_time),
		cmocka_unit_test(one_of_many_answers_ends_it),
		cmocka_unit_test(a_farewell_in_reply_is_no_part_of_what_was_asked),
		cmocka_unit_test(the_end_of_an_open_turn),
		cmocka_unit_test(alerts_of_tls_are_told_from_data),
		cmocka_unit_test(buckets_of_pairs_double),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
