/* SPDX-License-Identifier: Apache-2.0 */
/* bpf/direction.h: who opened a connection, from what the kernel counts of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bpf/direction.h"

/*
 * The counters of one side: @acked_syn, then payload sent once, sent again, in flight.
 * @start: the sequence number behind the SYN.
 */
static struct ebb_sent_facts facts(uint64_t acked_syn, uint64_t sent, uint64_t again, uint32_t flying,
				   uint32_t start)
{
	return (struct ebb_sent_facts){
		.bytes_sent = sent + again,
		.bytes_retrans = again,
		.bytes_acked = sent - flying + acked_syn,
		.snd_una = start + (uint32_t)(sent - flying),
		.snd_nxt = start + (uint32_t)sent,
	};
}

static const struct {
	uint64_t sent, again;
	uint32_t flying, start;
} shapes[] = {
	{0, 0, 0, 0},
	{1, 0, 0, 0},
	{1, 0, 1, 0},
	{1, 7, 1, 0},
	{1000000, 0, 65536, 0xffff0000},    /* sequence numbers wrap in what is in flight */
	{(1ULL << 33) + 5, 12345, 777, 99}, /* and have wrapped before */
	{(1ULL << 32) - 1, 0, 0xffff, 0xffffffff},
};

static void acked_syn_is_what_tells(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		struct ebb_sent_facts ours =
			facts(1, shapes[i].sent, shapes[i].again, shapes[i].flying, shapes[i].start);
		struct ebb_sent_facts theirs =
			facts(0, shapes[i].sent, shapes[i].again, shapes[i].flying, shapes[i].start);

		assert_int_equal(ebb_direction(&ours), EBB_DIRECTION_ACTIVE);
		assert_int_equal(ebb_direction(&theirs), EBB_DIRECTION_PASSIVE);
	}
}

/* Dropped on its way out: counted as sent, and sent again without being counted as that. */
static void local_drops_never_make_a_server_a_client(void **state)
{
	(void)state;
	for (uint64_t drops = 1; drops < 100; drops++) {
		struct ebb_sent_facts theirs = facts(0, 1000, 0, 10, 5);

		theirs.bytes_sent += drops;
		assert_int_equal(ebb_direction(&theirs), EBB_DIRECTION_UNKNOWN);
	}
	{
		struct ebb_sent_facts ours = facts(1, 1000, 0, 10, 5);

		ours.bytes_sent += 1;
		assert_int_equal(ebb_direction(&ours), EBB_DIRECTION_PASSIVE);
		ours.bytes_sent += 1;
		assert_int_equal(ebb_direction(&ours), EBB_DIRECTION_UNKNOWN);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(acked_syn_is_what_tells),
		cmocka_unit_test(local_drops_never_make_a_server_a_client),
	};

	return cmocka_run_group_tests_name("direction", tests, NULL, NULL);
}
