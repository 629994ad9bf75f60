/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bpf/bucket.h as this kernel runs it (BPF_PROG_RUN): the same answers as in user space,
 * and the same bound when several processors take out of one bucket at once.
 */
#include "fixture.h"

#include <pthread.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bpf/bucket.h"
#include "core/limit.h"
#include "hammer.h"

/* generated: it casts const away */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wcast-qual"
#include "tests/bpf/hammer.skel.h"
#pragma GCC diagnostic pop

#define HOUR	 3600ULL
#define MS	 1000000ULL
#define SECOND	 1000000000ULL
#define RUNNERS	 8
#define RUN_NS	 (300 * MS)
#define START_NS (365 * 24 * HOUR * SECOND)

static struct hammer *hammer_new(void)
{
	struct hammer *hammer = hammer__open_and_load();

	assert_non_null(hammer);
	return hammer;
}

static int run_program(const struct bpf_program *program, struct hammer_run *run)
{
	/* what the program writes comes back in the same place */
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = run, .ctx_size_in = sizeof(*run));

	return bpf_prog_test_run_opts(bpf_program__fd(program), &opts);
}

static struct ebb_limit limit_of(uint64_t per_hour, uint64_t burst)
{
	struct ebb_limit limit;

	assert_int_equal(ebb_limit_make(per_hour, burst, &limit), 0);
	return limit;
}

/* ---------------------------------------------------------------- compare -- */

static uint64_t random_next(uint64_t *seed)
{
	uint64_t z = *seed += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

static void kernel_answers_as_user_space_does(void **state)
{
	static const uint64_t rates[] = {1, 1000, 20 * HOUR, 1000000 * HOUR, HOUR * EBB_LIMIT_BYTES_MAX};
	struct hammer *hammer = hammer_new();
	uint64_t seed = 1;

	(void)state;
	for (size_t r = 0; r < sizeof(rates) / sizeof(rates[0]); r++) {
		struct hammer_run run = {.limit = limit_of(rates[r], 100), .now_ns = START_NS, .rounds = 1};
		__u64 word = 0, debt_ns = 0;

		hammer->bss->word = 0;
		for (int i = 0; i < 4000; i++) {
			uint32_t took;

			run.units = random_next(&seed) % (random_next(&seed) % 16 ? 40 : EBB_MOST_BYTES);
			run.how = random_next(&seed) % 3;
			run.now_ns += random_next(&seed) % 4 * (run.limit.burst_ns / 10);
			assert_int_equal(run_program(hammer->progs.test_hammer, &run), 0);
			took = ebb_bucket_take(&word, run.now_ns, ebb_bucket_cost(&run.limit, run.units),
					       run.limit.burst_ns, run.how, &debt_ns);
			assert_int_equal(run.took, took);
			assert_int_equal(run.debt_ns, debt_ns);
			assert_int_equal(hammer->bss->word, word);
			if (i % 100)
				continue;
			/* a debt of another limit */
			word = run.now_ns + random_next(&seed) % (100 * run.limit.burst_ns + 100 * SECOND);
			hammer->bss->word = word;
			run.units = i % 200 ? 1 : EBB_MOST_BYTES;
			assert_int_equal(run_program(hammer->progs.test_forgive, &run), 0);
			ebb_bucket_forgive(&word, run.now_ns, &run.limit, (uint32_t)run.units, 1);
			assert_int_equal(hammer->bss->word, word);
		}
	}
	hammer__destroy(hammer);
}

/* ----------------------------------------------------------------- at once -- */

struct crew {
	struct hammer *hammer;
	struct hammer_run run;
	uint64_t end_ns;
	uint64_t taken; /* atomic, like all below */
	uint64_t exhausted;
	uint64_t asked;
	int failed;
};

static void *run_until_the_end(void *argument)
{
	struct crew *crew = argument;

	do {
		struct hammer_run run = crew->run;

		if (run_program(crew->hammer->progs.test_hammer, &run) < 0)
			(void)__atomic_add_fetch(&crew->failed, 1, __ATOMIC_SEQ_CST);
		(void)__atomic_add_fetch(&crew->taken, run.taken, __ATOMIC_SEQ_CST);
		(void)__atomic_add_fetch(&crew->exhausted, run.exhausted, __ATOMIC_SEQ_CST);
		(void)__atomic_add_fetch(&crew->asked, HAMMER_ROUNDS, __ATOMIC_SEQ_CST);
	} while (now_ns() < crew->end_ns);
	return NULL;
}

static void run_crew(struct crew *crew)
{
	pthread_t threads[RUNNERS];

	crew->run.rounds = HAMMER_ROUNDS;
	crew->hammer->bss->word = 0;
	crew->taken = crew->exhausted = crew->asked = 0;
	for (int i = 0; i < RUNNERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, run_until_the_end, crew), 0);
	for (int i = 0; i < RUNNERS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(crew->failed, 0);
}

static void burst_is_exact_when_nothing_comes_back(void **state)
{
	struct crew crew = {.hammer = hammer_new(), .run.units = 1};

	(void)state;
	for (uint64_t burst = 1; burst <= 150; burst += 149) {
		crew.run.limit = limit_of(1, burst);
		crew.end_ns = now_ns() + 50 * MS;
		run_crew(&crew);
		assert_int_equal(crew.taken, burst);
		assert_true(crew.asked > burst);
	}
	hammer__destroy(crew.hammer);
}

/* A burst of half a second, so that no pause of a busy machine is longer. */
static void sum_stays_within_burst_and_rate_and_uses_them(void **state)
{
	static const uint64_t per_second[] = {20, 1000, 100000, 1000000};
	struct crew crew = {.hammer = hammer_new(), .run.units = 1};

	(void)state;
	for (size_t i = 0; i < sizeof(per_second) / sizeof(per_second[0]); i++) {
		uint64_t start = now_ns(), allowed, took_ns;

		crew.run.limit = limit_of(per_second[i] * HOUR, per_second[i] / 2);
		crew.end_ns = start + RUN_NS;
		run_crew(&crew);
		allowed = crew.run.limit.burst_ns + now_ns() - start;
		took_ns = crew.taken * ebb_bucket_cost(&crew.run.limit, 1);
		assert_true(took_ns <= allowed);
		/* the last ones may have come just too early */
		assert_true(took_ns + ebb_bucket_cost(&crew.run.limit, 1) >=
			    (crew.run.limit.burst_ns + RUN_NS) / 10 * 9);
		assert_true(crew.asked > crew.taken);
	}
	hammer__destroy(crew.hammer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kernel_answers_as_user_space_does),
		cmocka_unit_test(burst_is_exact_when_nothing_comes_back),
		cmocka_unit_test(sum_stays_within_burst_and_rate_and_uses_them),
	};

	if (fixture_unavailable())
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
