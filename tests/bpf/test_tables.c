/* SPDX-License-Identifier: Apache-2.0 */
/* Slots: who gets one, what happens when there is none, and that none is lost or given twice. */
#include "crowd.h"
#include "fixture.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "lib/cleanup.h"

#define SLOTS_MAX 4096

static void dial_once(const struct address *to, int expected)
{
	int fd = tcp_socket(to->sa.sa_family);

	assert_int_equal(dial(fd, to), expected);
	hang_up(&fd);
}

/*
 * Every slot but ~other is either in the table or in the queue of free ones, and
 * there once. Takes the queue apart and puts it together again.
 */
static void assert_slots_complete(const struct fixture *fx, const char *queue_name, const char *table_name,
				  size_t key_size, uint32_t slots)
{
	_cleanup_close_ int queue = fixture_map(fx, queue_name), table = fixture_map(fx, table_name);
	unsigned char key[32], next[32];
	const void *previous = NULL;
	static uint32_t seen[SLOTS_MAX], taken[SLOTS_MAX];
	uint32_t count = 0, slot;
	struct ebb_ref ref;

	assert_true(slots <= SLOTS_MAX && key_size <= sizeof(key));
	memset(seen, 0, sizeof(seen));
	while (bpf_map_get_next_key(table, previous, next) == 0) {
		memcpy(key, next, key_size);
		previous = key;
		assert_int_equal(bpf_map_lookup_elem(table, key, &ref), 0);
		assert_in_range(ref.slot, 1, slots - 1);
		seen[ref.slot]++;
	}
	while (count < slots && bpf_map_lookup_and_delete_elem(queue, NULL, &slot) == 0) {
		assert_in_range(slot, 1, slots - 1);
		seen[slot]++;
		taken[count++] = slot;
	}
	for (uint32_t i = 0; i < count; i++)
		assert_int_equal(bpf_map_update_elem(queue, NULL, &taken[i], BPF_ANY), 0);
	for (slot = 1; slot < slots; slot++)
		assert_int_equal(seen[slot], 1);
}

static void assert_all_slots_complete(const struct fixture *fx)
{
	assert_slots_complete(fx, "ebb_freedst_v2", "ebb_endpoint_v2", sizeof(struct ebb_endpoint),
			      fx->view->dst_max);
	assert_slots_complete(fx, "ebb_freepair_v2", "ebb_pair_v2", sizeof(struct ebb_pair_key),
			      fx->view->pair_max);
}

/* ------------------------------------------------------------------- full -- */

static struct fixture_options few_destinations = {.destinations = 4};

static void full_destination_table_puts_new_endpoints_into_other(void **state)
{
	struct fixture *fx = *state;
	struct address to[6];
	int fd;

	fx->errors_allowed = 1U << EBB_ERR_DST_TABLE_FULL;
	for (int i = 0; i < 6; i++) {
		(void)listen_at("127.0.0.1", &to[i]);
		dial_once(&to[i], 0);
	}
	for (int i = 0; i < 4; i++)
		expect_pair(fx, &to[i], .attempts = 1, .syn_sent = 1, .established = 1);
	for (int i = 4; i < 6; i++)
		assert_int_equal(dst_slot_of(fx, &to[i]), -1);
	assert_int_equal(error_count(fx, EBB_ERR_DST_TABLE_FULL), 2);
	/* ~other has a pair of this workload like any destination */
	fd = tcp_socket(AF_INET);
	assert_int_equal(dial(fd, &to[5]), 0);
	for (uint32_t slot = 1; slot < fx->view->pair_max; slot++) {
		if (fx->view->pairs[slot].state == EBB_SLOT_LIVE &&
		    fx->view->pairs[slot].dst == EBB_SLOT_OTHER)
			expect_pair_at(fx, &fx->view->pairs[slot],
				       &(struct want){.attempts = 3,
						      .syn_sent = 3,
						      .established = 3,
						      .active = 1},
				       __FILE__, __LINE__);
	}
	hang_up(&fd);
	assert_int_equal(error_count(fx, EBB_ERR_DST_TABLE_FULL), 3);
	assert_int_equal(fx->view->kernel->dst_high, 4);
	assert_all_slots_complete(fx);
}

/* What the agent does when it takes a slot back. */
static void retire(struct fixture *fx, const struct address *to)
{
	_cleanup_close_ int table = fixture_map(fx, "ebb_endpoint_v2");
	int slot = dst_slot_of(fx, to);
	struct ebb_dst *dst = dst_of(fx, to);

	dst->state = EBB_SLOT_RETIRING;
	dst->epoch++;
	assert_int_equal(bpf_map_delete_elem(table, &dst->endpoint), 0);
	memset(&dst->endpoint, 0, sizeof(dst->endpoint));
	dst->state = EBB_SLOT_FREE;
	assert_int_equal(ebb_loader_fill_queues(fx->loader, NULL), 0);
	assert_int_not_equal(slot, -1);
}

static struct ebb_pair *other_pair(const struct fixture *fx)
{
	for (uint32_t slot = 1; slot < fx->view->pair_max; slot++) {
		if (fx->view->pairs[slot].state == EBB_SLOT_LIVE &&
		    fx->view->pairs[slot].dst == EBB_SLOT_OTHER)
			return &fx->view->pairs[slot];
	}
	fail_msg("nothing of this workload is in ~other");
	return NULL;
}

static void connection_in_other_stays_there_when_its_endpoint_gets_a_slot(void **state)
{
	struct fixture *fx = *state;
	struct address to[5];
	int early, late;

	fx->errors_allowed = 1U << EBB_ERR_DST_TABLE_FULL;
	for (int i = 0; i < 5; i++)
		(void)listen_at("127.0.0.1", &to[i]);
	for (int i = 0; i < 4; i++)
		dial_once(&to[i], 0);
	early = tcp_socket(AF_INET);
	assert_int_equal(dial(early, &to[4]), 0);
	for (int i = 0; i < 4; i++)
		expect_pair(fx, &to[i], .attempts = 1, .syn_sent = 1, .established = 1);
	retire(fx, &to[0]);
	late = tcp_socket(AF_INET);
	assert_int_equal(dial(late, &to[4]), 0);
	hang_up(&early);
	expect_pair_at(fx, other_pair(fx), &(struct want){.attempts = 1, .syn_sent = 1, .established = 1},
		       __FILE__, __LINE__);
	expect_pair(fx, &to[4], .attempts = 1, .syn_sent = 1, .established = 1, .active = 1);
	hang_up(&late);
	expect_pair(fx, &to[4], .attempts = 1, .syn_sent = 1, .established = 1);
}

/* A slot that has a new owner is not touched by what the old one left; that it would have is counted. */
static void stale_epoch_changes_nothing_of_the_new_owner(void **state)
{
	struct fixture *fx = *state;
	struct address first, second, to[3];
	struct ebb_pair *old;
	int fd;

	(void)listen_at("127.0.0.1", &first);
	(void)listen_at("127.0.0.1", &second);
	verdict_everywhere(fx, ebb_word(2, EBB_STATE_CLOSED, 0)); /* so that it has a memory */
	fd = tcp_socket(AF_INET);
	assert_int_equal(dial(fd, &first), 0);
	old = pair_of(fx, &first);
	assert_int_equal(old->active, 1);
	retire(fx, &first);
	old->active = 0;
	for (int i = 0; i < 3; i++) {
		(void)listen_at("127.0.0.1", &to[i]);
		dial_once(&to[i], 0);
	}
	dial_once(&second, 0); /* the fourth: gets the slot of the first */
	assert_int_equal(dst_of(fx, &second)->epoch, 1);
	assert_int_equal(error_count(fx, EBB_ERR_EPOCH_STALE), 0);
	hang_up(&fd);
	wait_for(error_count(fx, EBB_ERR_EPOCH_STALE) > 0);
	fx->errors_allowed = 1U << EBB_ERR_EPOCH_STALE;
	expect_pair(fx, &second, .attempts = 1, .syn_sent = 1, .established = 1);
}

static struct fixture_options few_pairs = {.pairs = 2};

static void full_pair_table_counts_in_other_and_asks_the_right_gate(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct address to[3], far = address(FAR4, 81);
	int fd;

	fx->errors_allowed = 1U << EBB_ERR_PAIR_TABLE_FULL;
	(void)namespace_far();
	for (int i = 0; i < 3; i++) {
		(void)listen_at("127.0.0.1", &to[i]);
		dial_once(&to[i], 0);
	}
	expect_pair(fx, &to[0], .attempts = 1, .syn_sent = 1, .established = 1);
	expect_pair(fx, &to[1], .attempts = 1, .syn_sent = 1, .established = 1);
	expect_other(fx, .attempts = 1, .syn_sent = 1, .established = 1);
	assert_int_equal(error_count(fx, EBB_ERR_PAIR_TABLE_FULL), 1);
	fd = tcp_socket(AF_INET);
	assert_int_equal(dial(fd, &to[2]), 0);
	expect_other(fx, .attempts = 2, .syn_sent = 2, .established = 2, .active = 1);
	hang_up(&fd);
	expect_other(fx, .attempts = 2, .syn_sent = 2, .established = 2);
	/* a workload without a pair of its own still asks the node's gate */
	dial_once(&far, -ECONNREFUSED);
	expect_other(fx, .attempts = 3, .syn_sent = 3, .established = 2, .refused = 1);
	policy.mode = EBB_MODE_ENFORCE;
	policy_everywhere(fx, &policy);
	fx->view->verdicts[dst_slot_of(fx, &far)].word = ebb_word(1, EBB_STATE_OPEN, EBB_UNTIL_MASK);
	dial_once(&far, -ECONNREFUSED);
	expect_other(fx, .attempts = 3, .syn_sent = 3, .established = 2, .refused = 1,
		     .denied[EBB_CAUSE_BREAKER] = 1);
	assert_all_slots_complete(fx);
}

static struct fixture_options few_endpoints = {.endpoints = 3};

static void full_endpoint_table_gives_the_slot_back(void **state)
{
	struct fixture *fx = *state;
	struct address to[5];

	fx->errors_allowed = 1U << EBB_ERR_ENDPOINT_TABLE_FULL;
	for (int i = 0; i < 5; i++) {
		(void)listen_at("127.0.0.1", &to[i]);
		dial_once(&to[i], 0);
	}
	assert_int_equal(error_count(fx, EBB_ERR_ENDPOINT_TABLE_FULL), 2);
	assert_all_slots_complete(fx);
	expect_pair_at(fx, other_pair(fx), &(struct want){.attempts = 2, .syn_sent = 2, .established = 2},
		       __FILE__, __LINE__);
}

/* ---------------------------------------------------------------- at once -- */

static struct fixture_options many = {.destinations = 200, .pairs = 200, .endpoints = 400};

/* dst_slot_of() fails where an endpoint has two slots. */
static void endpoint_that_all_meet_at_once_gets_one_slot(void **state)
{
	static struct crowd crowd;
	struct fixture *fx = *state;

	crowd_gather(&crowd, &(struct address){0});
	for (int round = 0; round < 60; round++) {
		struct address to;

		(void)closed_port_at(round % 2 ? "127.0.0.1" : "::1", &to);
		crowd.to = to;
		(void)crowd_dial(&crowd, 0);
		crowd_hang_up(&crowd);
		expect_pair(fx, &to, .attempts = CONNECTORS, .syn_sent = CONNECTORS, .refused = CONNECTORS);
	}
	crowd_dismiss(&crowd);
	expect_other(fx, .attempts = 0);
	assert_all_slots_complete(fx);
	assert_int_equal(ebb_loader_fill_queues(fx->loader, NULL), 0);
	assert_all_slots_complete(fx);
}

/* So many that the queues are turned over for a good part of the time. */
static struct fixture_options very_many = {.destinations = 4000, .pairs = 4000, .endpoints = 8000};

struct filler {
	struct fixture *fx;
	bool stop;
	int rounds;
	int failed;
};

static void *fill_again_and_again(void *argument)
{
	struct filler *filler = argument;

	while (!__atomic_load_n(&filler->stop, __ATOMIC_ACQUIRE)) {
		if (ebb_loader_fill_queues(filler->fx->loader, NULL) < 0)
			filler->failed++;
		filler->rounds++;
	}
	return NULL;
}

static void queues_can_be_filled_while_programs_take_from_them(void **state)
{
	static struct crowd crowd;
	struct fixture *fx = *state;
	struct filler filler = {.fx = fx};
	pthread_t thread;

	/* nobody reads the ring */
	fx->errors_allowed = 1U << EBB_ERR_EVENT_LOST;
	crowd_gather(&crowd, &(struct address){0});
	assert_int_equal(pthread_create(&thread, NULL, fill_again_and_again, &filler), 0);
	for (int round = 0; round < 150; round++) {
		struct address to;

		(void)closed_port_at("127.0.0.1", &to);
		crowd.to = to;
		(void)crowd_dial(&crowd, 0);
		crowd_hang_up(&crowd);
	}
	crowd_dismiss(&crowd);
	__atomic_store_n(&filler.stop, true, __ATOMIC_RELEASE);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(filler.failed, 0);
	assert_true(filler.rounds > 0);
	expect_other(fx, .attempts = 0);
	assert_all_slots_complete(fx);
}

static void lost_slots_come_back_when_the_queues_are_filled(void **state)
{
	struct fixture *fx = *state;
	_cleanup_close_ int queue = fixture_map(fx, "ebb_freedst_v2");
	struct address to;
	uint32_t slot;

	/* as after a crash between two steps of taking a slot back */
	for (int i = 0; i < 3; i++)
		assert_int_equal(bpf_map_lookup_and_delete_elem(queue, NULL, &slot), 0);
	(void)closed_port_at("127.0.0.1", &to);
	dial_once(&to, -ECONNREFUSED);
	assert_int_equal(dst_slot_of(fx, &to), 4);
	assert_int_equal(ebb_loader_fill_queues(fx->loader, NULL), 0);
	assert_all_slots_complete(fx);
}

/* A slot with two places would get two owners. */
static void slot_that_is_queued_twice_loses_its_second_place(void **state)
{
	struct fixture *fx = *state;
	_cleanup_close_ int queue = fixture_map(fx, "ebb_freedst_v2");
	uint32_t slot, twice = 2;

	assert_int_equal(bpf_map_lookup_and_delete_elem(queue, NULL, &slot), 0);
	for (uint32_t i = 2; i < fx->view->dst_max; i++) {
		assert_int_equal(bpf_map_lookup_and_delete_elem(queue, NULL, &slot), 0);
		assert_int_equal(bpf_map_update_elem(queue, NULL, &slot, BPF_ANY), 0);
		if (slot == twice)
			assert_int_equal(bpf_map_update_elem(queue, NULL, &slot, BPF_ANY), 0);
	}
	assert_int_equal(ebb_loader_fill_queues(fx->loader, NULL), 0);
	assert_all_slots_complete(fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bpf_test(lost_slots_come_back_when_the_queues_are_filled),
		bpf_test(slot_that_is_queued_twice_loses_its_second_place),
		bpf_test_with(full_destination_table_puts_new_endpoints_into_other, &few_destinations),
		bpf_test_with(connection_in_other_stays_there_when_its_endpoint_gets_a_slot,
			      &few_destinations),
		bpf_test_with(stale_epoch_changes_nothing_of_the_new_owner, &few_destinations),
		bpf_test_with(full_pair_table_counts_in_other_and_asks_the_right_gate, &few_pairs),
		bpf_test_with(full_endpoint_table_gives_the_slot_back, &few_endpoints),
		bpf_test_with(endpoint_that_all_meet_at_once_gets_one_slot, &many),
		bpf_test_with(queues_can_be_filled_while_programs_take_from_them, &very_many),
	};

	if (fixture_unavailable())
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
