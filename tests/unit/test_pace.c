/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The share of a limited gate: each rule by itself, then all of it under simulated
 * connections, which hear of their share a round trip late and send in whole packets,
 * as TCP does. The clock is the simulation's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "bpf/bucket.h"
#include "bpf/pace.h"
#include "core/limit.h"

#define MS 1000000ULL
#define S  1000000000ULL
#define MB 1000000ULL

#define START_NS (1000 * S)

/* -------------------------------------------------------------------- rules -- */

static struct ebb_pace_facts steady(void)
{
	return (struct ebb_pace_facts){
		.share = 10 * MB,
		.base = 10 * MB,
		.rate = 10 * MB,
		.senders = 1,
		.debt_ns = ebb_pace_target(250 * MS),
		.last_ns = ebb_pace_target(250 * MS),
		.since_ns = EBB_PACE_EPOCH_NS,
		.depth_ns = 250 * MS,
		.epoch_ns = EBB_PACE_EPOCH_NS,
	};
}

static uint64_t next_share(const struct ebb_pace_facts *f)
{
	return ebb_pace_share(ebb_pace_base(f), f);
}

static void share_stays_where_it_is_right(void **state)
{
	struct ebb_pace_facts f = steady();

	(void)state;
	assert_int_equal(ebb_pace_use(&f), 1024);
	assert_int_equal(ebb_pace_base(&f), 10 * MB);
	assert_int_equal(next_share(&f), 10 * MB);
}

static void use_is_what_was_sent(void **state)
{
	struct ebb_pace_facts f = steady();

	(void)state;
	f.debt_ns = f.last_ns + f.since_ns / 2; /* one and a half */
	assert_int_equal(ebb_pace_use(&f), 1536);
	f.debt_ns = 0; /* all of the debt and half of the time went by unused */
	f.last_ns = 0;
	f.lost_ns = f.since_ns / 2;
	assert_int_equal(ebb_pace_use(&f), 512);
	f.lost_ns = 100 * S; /* idle since long: never below 1/16 */
	assert_int_equal(ebb_pace_use(&f), 64);
}

static void share_follows_the_debt(void **state)
{
	struct ebb_pace_facts f = steady();

	(void)state;
	f.debt_ns += 30 * MS;
	assert_true(ebb_pace_base(&f) < 10 * MB);
	f = steady();
	f.last_ns += 30 * MS;
	assert_true(ebb_pace_base(&f) > 10 * MB);
	/* the level counts also where it does not move, and then it is not the base that goes */
	f = steady();
	f.debt_ns = f.last_ns = 150 * MS;
	assert_int_equal(ebb_pace_base(&f), 10 * MB);
	assert_true(next_share(&f) < 10 * MB);
	f.debt_ns = f.last_ns = 1 * MS;
	assert_true(next_share(&f) > 10 * MB);
	/* by a quarter at most */
	f.debt_ns = 100 * S;
	assert_int_equal(ebb_pace_share(10 * MB, &f), 7500000);
}

static void look_before_its_time_moves_the_base_only_where_it_must(void **state)
{
	struct ebb_pace_facts f = steady();

	(void)state;
	f.since_ns = f.epoch_ns / 2;
	f.debt_ns += 30 * MS;
	assert_int_equal(ebb_pace_base(&f), 10 * MB);
	f.senders = 2;
	f.debt_ns = 240 * MS;
	assert_int_equal(ebb_pace_base(&f), 5 * MB);
}

static void pacing_begins_with_the_debt_and_ends_without(void **state)
{
	struct ebb_pace_facts f = steady();

	(void)state;
	f.share = 0;
	f.senders = 4;
	f.debt_ns = f.depth_ns / 8;
	assert_false(ebb_pace_is_urgent(&f));
	assert_int_equal(ebb_pace_base(&f), 0);
	f.debt_ns++;
	assert_true(ebb_pace_is_urgent(&f));
	assert_int_equal(ebb_pace_base(&f), 10 * MB / 4);
	/* no debt, and most of the time nobody sent: the share grows until it means nothing */
	f.debt_ns = f.last_ns = 0;
	f.lost_ns = f.since_ns;
	f.share = f.base = 10 * MB;
	for (int i = 0; i < 3 && f.base; i++)
		f.share = f.base = ebb_pace_base(&f);
	assert_int_equal(f.base, 0);
	assert_int_equal(ebb_pace_share(0, &f), 0);
}

static void share_is_never_far_below_what_all_senders_would_get(void **state)
{
	struct ebb_pace_facts f = steady();

	(void)state;
	f.senders = 8;
	f.share = f.base = 1000;
	assert_int_equal(ebb_pace_base(&f), 10 * MB / 8 / 4 * 3);
	/* and not below it while capacity is lost */
	f.lost_ns = 100 * MS;
	assert_int_equal(ebb_pace_base(&f), 10 * MB / 8);
	/* shortly before what drops not above it */
	f.lost_ns = 0;
	f.share = f.base = 10 * MB;
	f.debt_ns = f.last_ns = 240 * MS;
	assert_int_equal(ebb_pace_base(&f), 10 * MB / 8);
}

static void beyond_what_a_socket_can_be_told_nobody_is_paced(void **state)
{
	struct ebb_pace_facts f = steady();

	(void)state;
	f.rate = 5000 * MB;
	f.share = f.base = 3999 * MB;
	f.last_ns = 30 * MS;
	f.debt_ns = 0;
	assert_int_equal(ebb_pace_base(&f), 0);
}

/* A share has 32 bits. */
static void share_near_the_most_does_not_wrap(void **state)
{
	struct ebb_pace_facts f = steady();

	(void)state;
	f.rate = EBB_PACE_MAX;
	f.share = EBB_PACE_MAX;
	f.base = EBB_PACE_MAX;
	f.debt_ns = 0;
	f.last_ns = 0;
	assert_int_equal(ebb_pace_share(EBB_PACE_MAX, &f), EBB_PACE_MAX);
	assert_int_equal(ebb_pace_share(EBB_PACE_MAX - 1, &f), EBB_PACE_MAX);
	f.debt_ns = ebb_pace_target(f.depth_ns);
	assert_int_equal(ebb_pace_share(EBB_PACE_MAX, &f), EBB_PACE_MAX);
}

static void looks_are_as_far_apart_as_packets(void **state)
{
	(void)state;
	assert_int_equal(ebb_pace_epoch(0, 65536), EBB_PACE_EPOCH_NS);
	assert_int_equal(ebb_pace_epoch(100 * MB, 65536), EBB_PACE_EPOCH_NS);
	assert_int_equal(ebb_pace_epoch(1 * MB, 500000), S);
	assert_int_equal(ebb_pace_epoch(1, 65536), EBB_PACE_EPOCH_MAX_NS);
}

static void dither_is_fair_and_small(void **state)
{
	uint64_t sum = 0;

	(void)state;
	for (uint32_t salt = 0; salt < 16; salt++) {
		uint64_t pace = ebb_pace_dither(32000, salt);

		assert_in_range(pace, 31000, 33000);
		sum += pace;
	}
	assert_in_range(sum / 16, 31900, 32100);
}

static void late_sender_does_not_turn_the_count_back(void **state)
{
	uint64_t epoch = 1ULL << EBB_SENDER_SHIFT;
	__u64 senders = 0;
	uint32_t mine[8] = {0}, late = 0;

	(void)state;
	for (int i = 0; i < 8; i++)
		ebb_sender_count(&senders, &mine[i], START_NS + epoch);
	ebb_sender_count(&senders, &late, START_NS);
	assert_int_equal(ebb_sender_number(senders, START_NS + epoch), 8);
}

static void senders_are_counted_once_and_for_two_epochs(void **state)
{
	uint64_t now = START_NS & ~((1ULL << EBB_SENDER_SHIFT) - 1), epoch = 1ULL << EBB_SENDER_SHIFT;
	uint32_t mine[3] = {0};
	__u64 word = 0;

	(void)state;
	assert_int_equal(ebb_sender_number(word, now), 1);
	for (int i = 0; i < 3; i++) {
		ebb_sender_count(&word, &mine[i], now);
		ebb_sender_count(&word, &mine[i], now + 5);
	}
	assert_int_equal(ebb_sender_number(word, now), 3);
	/* one goes on: for one more epoch three are taken to send */
	ebb_sender_count(&word, &mine[0], now + epoch);
	assert_int_equal(ebb_sender_number(word, now + epoch), 3);
	assert_int_equal(ebb_sender_number(word, now + 2 * epoch), 1);
	ebb_sender_count(&word, &mine[0], now + 2 * epoch);
	assert_int_equal(ebb_sender_number(word, now + 2 * epoch), 1);
	/* nobody for long */
	assert_int_equal(ebb_sender_number(word, now + 9 * epoch), 1);
	ebb_sender_count(&word, &mine[1], now + 9 * epoch);
	assert_int_equal(ebb_sender_number(word, now + 9 * epoch), 1);
}

/* --------------------------------------------------------------- simulation -- */

#define FLOWS_MAX 64
#define LINE_RATE (400 * MB) /* of one connection that nobody paces */

struct flow {
	uint64_t next_ns;  /* its next packet */
	uint64_t pace;	   /* that it knows of; 0: none */
	uint64_t heard;	   /* a share that is on its way to it */
	uint64_t heard_ns; /* and when it arrives; 0: none */
	uint64_t own;	   /* it never sends faster; 0: as fast as it may */
	uint64_t sent;
	uint32_t sender_epoch;
	int silent;
};

struct world {
	struct ebb_gate gate;
	struct ebb_limit limit;
	struct flow flows[FLOWS_MAX];
	int count;
	uint64_t now;
	uint64_t rtt_ns;
	uint64_t packet;
	uint64_t depth_ns;
	uint64_t sent;
	uint64_t drops;
};

static struct world world_new(int count, uint64_t rate, uint64_t packet, uint64_t rtt_ns)
{
	struct world w = {.count = count, .now = START_NS, .rtt_ns = rtt_ns, .packet = packet};

	assert_int_equal(ebb_limit_make(rate * 3600, rate / 4, &w.limit), 0);
	w.depth_ns = w.limit.burst_ns > EBB_PACE_DEPTH_NS ? w.limit.burst_ns : EBB_PACE_DEPTH_NS;
	for (int i = 0; i < count; i++)
		w.flows[i].next_ns = START_NS + (uint64_t)i * 1000;
	return w;
}

static void send_packet(struct world *w, struct flow *f, uint32_t salt)
{
	uint64_t rate = LINE_RATE;
	__u64 debt, cost = ebb_bucket_cost(&w->limit, w->packet);

	if (f->heard_ns && f->heard_ns <= w->now) {
		f->pace = f->heard;
		f->heard_ns = 0;
	}
	ebb_pace_note_lost(&w->gate, w->gate.full_ns[EBB_LIMIT_BYTES], w->now);
	if (!(ebb_bucket_take(&w->gate.full_ns[EBB_LIMIT_BYTES], w->now, cost, w->depth_ns, EBB_TAKE_BORROW,
			      &debt) &
	      EBB_TOOK)) {
		w->drops++;
		f->next_ns = w->now + w->rtt_ns; /* with the next acknowledgement */
		return;
	}
	f->sent += w->packet;
	w->sent += w->packet;
	ebb_sender_count(&w->gate.senders, &f->sender_epoch, w->now);
	ebb_pace_steer(&w->gate, w->limit.per_hour / 3600, w->packet, w->now, debt + cost, w->depth_ns);
	/* its acknowledgement brings the share of then; here that of now, a round trip late */
	if (!f->heard_ns) {
		f->heard = w->gate.share ? ebb_pace_dither(w->gate.share, salt) : 0;
		f->heard_ns = w->now + w->rtt_ns;
	}
	if (f->pace && f->pace < rate)
		rate = f->pace;
	if (f->own && f->own < rate)
		rate = f->own;
	f->next_ns = w->now + w->packet * S / rate;
}

/* Returns what was sent meanwhile. */
static uint64_t run(struct world *w, uint64_t ns)
{
	uint64_t end = w->now + ns, before = w->sent;

	for (;;) {
		int first = -1;

		for (int i = 0; i < w->count; i++) {
			if (!w->flows[i].silent &&
			    (first < 0 || w->flows[i].next_ns < w->flows[first].next_ns))
				first = i;
		}
		if (first < 0 || w->flows[first].next_ns >= end)
			break;
		if (w->flows[first].next_ns > w->now)
			w->now = w->flows[first].next_ns;
		send_packet(w, &w->flows[first], (uint32_t)first * 7);
	}
	w->now = end;
	return w->sent - before;
}

/* In per mille of @expected. */
static void expect_within(uint64_t seen, uint64_t expected, uint64_t per_mille)
{
	uint64_t off = seen > expected ? seen - expected : expected - seen;

	if (off * 1000 > per_mille * expected)
		fail_msg("%llu instead of %llu", (unsigned long long)seen, (unsigned long long)expected);
}

static void greedy_connections_use_all_and_no_more(void **state)
{
	static const int counts[] = {1, 2, 8, 64};
	static const uint64_t rates[] = {10 * MB, 100 * MB};
	static const uint64_t rtts[] = {50000, 20 * MS, 100 * MS};

	(void)state;
	for (int c = 0; c < 4; c++) {
		for (int r = 0; r < 2; r++) {
			for (int t = 0; t < 3; t++) {
				struct world w = world_new(counts[c], rates[r], 3000, rtts[t]);
				uint64_t drops;

				(void)run(&w, 3 * S);
				drops = w.drops;
				expect_within(run(&w, 5 * S), 5 * rates[r], 15);
				assert_int_equal(w.drops, drops);
				for (int i = 0; i < counts[c]; i++)
					w.flows[i].sent = 0;
				(void)run(&w, 5 * S);
				for (int i = 0; i < counts[c]; i++)
					expect_within(w.flows[i].sent, 5 * rates[r] / (uint64_t)counts[c],
						      60);
			}
		}
	}
}

/* Segmentation offload at a low rate: the packets of one connection are far apart. */
static void large_packets_do_not_make_it_swing(void **state)
{
	static const int counts[] = {1, 8, 64};

	(void)state;
	for (int c = 0; c < 3; c++) {
		struct world w = world_new(counts[c], 10 * MB, 65536, 50000);

		(void)run(&w, 10 * S);
		expect_within(run(&w, 10 * S), 100 * MB, 25);
	}
}

static void who_needs_less_leaves_the_rest(void **state)
{
	struct world w = world_new(4, 10 * MB, 3000, MS);

	(void)state;
	w.flows[0].own = 500000;
	w.flows[1].own = 1000000;
	(void)run(&w, 5 * S);
	for (int i = 0; i < 4; i++)
		w.flows[i].sent = 0;
	expect_within(run(&w, 10 * S), 100 * MB, 15);
	expect_within(w.flows[0].sent, 5 * MB, 10);
	expect_within(w.flows[1].sent, 10 * MB, 10);
	expect_within(w.flows[2].sent, 42500000, 60);
	expect_within(w.flows[3].sent, 42500000, 60);
}

static void who_stops_leaves_a_share_and_who_starts_gets_one(void **state)
{
	struct world w = world_new(8, 10 * MB, 3000, MS);

	(void)state;
	(void)run(&w, 3 * S);
	for (int i = 1; i < 8; i++)
		w.flows[i].silent = 1;
	/* within a second most of the rate is used again, and then all */
	expect_within(run(&w, S), 10 * MB, 400);
	expect_within(run(&w, S), 10 * MB, 100);
	for (int i = 1; i < 8; i++) {
		w.flows[i].silent = 0;
		w.flows[i].next_ns = w.now;
	}
	(void)run(&w, 2 * S);
	for (int i = 0; i < 8; i++)
		w.flows[i].sent = 0;
	expect_within(run(&w, 4 * S), 40 * MB, 15);
	for (int i = 0; i < 8; i++)
		expect_within(w.flows[i].sent, 5 * MB, 60);
}

static void limit_that_is_not_reached_paces_nobody(void **state)
{
	struct world w = world_new(4, 10 * MB, 3000, MS);

	(void)state;
	for (int i = 0; i < 4; i++)
		w.flows[i].own = 2 * MB;
	expect_within(run(&w, 5 * S), 40 * MB, 10);
	assert_int_equal(w.gate.share, 0);
	assert_int_equal(w.drops, 0);
}

static void rate_that_changes_is_followed(void **state)
{
	struct world w = world_new(4, 50 * MB, 3000, 5 * MS);

	(void)state;
	(void)run(&w, 3 * S);
	assert_int_equal(ebb_limit_make(5 * MB * 3600, 5 * MB / 4, &w.limit), 0);
	(void)run(&w, 2 * S);
	expect_within(run(&w, 5 * S), 25 * MB, 30);
	assert_int_equal(ebb_limit_make(100 * MB * 3600, 100 * MB / 4, &w.limit), 0);
	(void)run(&w, 2 * S);
	expect_within(run(&w, 5 * S), 500 * MB, 30);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(share_stays_where_it_is_right),
		cmocka_unit_test(use_is_what_was_sent),
		cmocka_unit_test(share_follows_the_debt),
		cmocka_unit_test(look_before_its_time_moves_the_base_only_where_it_must),
		cmocka_unit_test(pacing_begins_with_the_debt_and_ends_without),
		cmocka_unit_test(share_is_never_far_below_what_all_senders_would_get),
		cmocka_unit_test(beyond_what_a_socket_can_be_told_nobody_is_paced),
		cmocka_unit_test(share_near_the_most_does_not_wrap),
		cmocka_unit_test(looks_are_as_far_apart_as_packets),
		cmocka_unit_test(dither_is_fair_and_small),
		cmocka_unit_test(senders_are_counted_once_and_for_two_epochs),
		cmocka_unit_test(late_sender_does_not_turn_the_count_back),
		cmocka_unit_test(greedy_connections_use_all_and_no_more),
		cmocka_unit_test(large_packets_do_not_make_it_swing),
		cmocka_unit_test(who_needs_less_leaves_the_rest),
		cmocka_unit_test(who_stops_leaves_a_share_and_who_starts_gets_one),
		cmocka_unit_test(limit_that_is_not_reached_paces_nobody),
		cmocka_unit_test(rate_that_changes_is_followed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
