/* SPDX-License-Identifier: Apache-2.0 */
/* user/cli/top_*.c: rates from two moments, keys, and what stands where, over a view in this program's memory. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "cli/top_view.h"
#include "core/policy.h"
#include "tests/lib/fake_view.h"

#define DSTS	 8
#define PAIRS	 16
#define MS	 1000000ULL
#define S	 1000000000ULL
#define NOW	 (1000 * S)
#define REALTIME 1700000000000000000LL /* 2023-11-14 22:13:20 UTC */
#define US	 4ULL		       /* in units of a histogram */
#define CTRL(c)	 ((uint32_t)((c) - 'A' + 1))

static struct fake {
	struct ebb_view view;
	struct ebb_look look;
	struct ebb_top_model *model;
	struct ebb_top_state state;
	struct ebb_top_frame frame;
	char *text;
} fake;

static int fake_resolve(void *userdata, uint64_t id, char *ret_path, size_t size)
{
	(void)userdata;
	(void)snprintf(ret_path, size, "/work.slice/w%" PRIu64, id);
	return 0;
}

static int make_fake(void **state)
{
	struct ebb_breaker_config config;
	struct ebb_why why = {};

	(void)state;
	memset(&fake, 0, sizeof(fake));
	fake.view = fake_view_new(DSTS, PAIRS);
	*fake.view.agent = (struct ebb_agent){.mode = EBB_MODE_ENFORCE,
					      .heartbeat_ns = NOW,
					      .lease_ns = 30 * S,
					      .started_ns = NOW - 60 * S,
					      .pid = 42};
	ebb_policy_defaults(&config);
	for (int d = 0; d < DSTS; d++) {
		ebb_policy_to_kernel(&config, &fake.view.policies[d]);
		fake.view.policies[d].mode = EBB_MODE_ENFORCE;
		fake.view.policies[d].arm = ebb_arm(5, (uint32_t)ebb_ns_to_ticks(5 * S));
	}
	fake.look = (struct ebb_look){.view = &fake.view, .now_ns = NOW, .realtime_ns = REALTIME};
	fake.look.links[0] = (struct ebb_link_info){.name = "sockops", .attached = 1};
	fake.look.link_count = 1;
	assert_int_equal(ebb_top_state_init(&fake.state, NULL, NULL, NULL, &why), 0);
	return ebb_cgroup_names_new_from(fake_resolve, NULL, 64, &fake.look.names);
}

static int free_fake(void **state)
{
	(void)state;
	ebb_top_frame_done(&fake.frame);
	ebb_top_state_done(&fake.state);
	ebb_top_model_free(fake.model);
	ebb_cgroup_names_free(fake.look.names);
	fake_view_free(&fake.view);
	free(fake.text);
	return 0;
}

/* A destination 10.0.0.@last:443/tcp in slot @dst. */
static struct ebb_dst *add_dst(uint32_t dst, uint8_t last)
{
	struct ebb_dst *d = &fake.view.dsts[dst];

	d->endpoint = (struct ebb_endpoint){.addr = {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = last},
					    .port = htons(443),
					    .proto = IPPROTO_TCP};
	d->epoch++;
	d->state = EBB_SLOT_LIVE;
	d->created_ns = NOW - 125 * S;
	if (dst > fake.view.kernel->dst_high)
		fake.view.kernel->dst_high = dst;
	return d;
}

static struct ebb_pair *add_pair(uint32_t slot, uint32_t dst, uint32_t gate, uint64_t workload)
{
	struct ebb_pair *p = &fake.view.pairs[slot];

	if (gate >= DSTS)
		fake.view.dsts[dst].scope = EBB_SCOPE_WORKLOAD;
	*p = (struct ebb_pair){.workload = workload,
			       .dst = dst,
			       .dst_epoch = fake.view.dsts[dst].epoch,
			       .gate = gate,
			       .epoch = p->epoch + 1,
			       .state = EBB_SLOT_LIVE,
			       .created_ns = NOW - 60 * S};
	if (slot > fake.view.kernel->pair_high)
		fake.view.kernel->pair_high = slot;
	return p;
}

static void connects(struct ebb_pair *p, uint64_t count)
{
	p->attempts += count;
	p->syn_sent += count;
	p->outcomes[EBB_OUTCOME_ESTABLISHED] += count;
}

static void name(uint32_t dst, const char *text)
{
	fake.view.names[dst].epoch = fake.view.dsts[dst].epoch;
	(void)snprintf(fake.view.names[dst].text, sizeof(fake.view.names[dst].text), "%s", text);
}

static void open_gate(uint32_t gate, uint64_t until_ns)
{
	fake.view.verdicts[gate].word = ebb_word(1, EBB_STATE_OPEN, ebb_ns_to_ticks(until_ns));
}

/* Two workloads at one destination with a gate each, a third destination that is open. */
static void make_node(void)
{
	add_dst(1, 10);
	add_pair(1, 1, DSTS + 1, 21);
	add_pair(2, 1, DSTS + 2, 22);
	add_dst(2, 9);
	add_pair(3, 2, 2, 21);
	open_gate(2, NOW + 20 * S);
}

/* The first look, or one that is @later. */
static const struct ebb_top_data *look(uint64_t later)
{
	fake.look.now_ns += later;
	fake.look.realtime_ns += (int64_t)later;
	if (!fake.model)
		assert_int_equal(ebb_top_model_new(&fake.look, &fake.model), 0);
	else
		assert_int_equal(ebb_top_model_look(fake.model, &fake.look), 0);
	assert_int_equal(ebb_top_arrange(&fake.state, ebb_top_model_data(fake.model)), 0);
	return ebb_top_model_data(fake.model);
}

static const struct ebb_top_row *gate_row(const struct ebb_top_data *data, uint32_t gate)
{
	for (size_t i = 0; i < data->gate_count; i++) {
		if (data->gates[i].slot == gate)
			return &data->gates[i];
	}
	fail_msg("no gate %u", gate);
	return NULL;
}

static void near(double got, double wanted)
{
	if (got < wanted - 1e-6 || got > wanted + 1e-6)
		fail_msg("got %f, wanted %f", got, wanted);
}

/* -------------------------------------------------------------- model -- */

static void the_first_moment_has_no_rates(void **state)
{
	const struct ebb_top_data *data;

	(void)state;
	make_node();
	connects(&fake.view.pairs[1], 1000);
	data = look(0);
	assert_int_equal(data->interval_ns, 0);
	assert_int_equal(data->gate_count, 3);
	assert_int_equal(data->pair_count, 3);
	near(data->total.connects, 0);
	near(gate_row(data, DSTS + 1)->rates.connects, 0);
}

static void rates_are_what_grew_by_the_time(void **state)
{
	struct ebb_pair *p = &fake.view.pairs[1];
	const struct ebb_top_data *data;
	const struct ebb_top_row *row;

	(void)state;
	make_node();
	connects(p, 1000);
	p->sent_bytes = 5000;
	(void)look(0);
	connects(p, 30);
	p->outcomes[EBB_OUTCOME_REFUSED] += 4;
	p->outcomes[EBB_OUTCOME_TIMEOUT] += 2;
	p->outcomes[EBB_OUTCOME_CANCELLED] += 50; /* no failure */
	p->denied[EBB_CAUSE_BREAKER] += 8;
	p->denied[EBB_CAUSE_RATE] += 2;
	p->would_deny[EBB_CAUSE_RATE] += 12;
	p->sent_bytes += 3000;
	p->received_bytes += 1;
	p->dropped_packets[EBB_DROP_BYTES] += 20;
	p->would_drop_packets[EBB_DROP_BYTES] += 6;
	connects(&fake.view.pairs[3], 10);
	data = look(2 * S);
	row = gate_row(data, DSTS + 1);
	near(row->rates.connects, 15);
	near(row->rates.failures, 3);
	near(row->rates.denied, 5);
	near(row->rates.would_deny, 6);
	near(row->rates.sent, 1500);
	near(row->rates.received, 0.5);
	near(row->rates.dropped, 10);
	near(row->rates.would_drop, 3);
	near(gate_row(data, DSTS + 2)->rates.connects, 0);
	near(gate_row(data, 2)->rates.connects, 5);
	near(data->total.connects, 20);
	near(data->total.failures, 3);

	/* and only what grew since */
	data = look(S);
	near(data->total.connects, 0);
	near(data->total.sent, 0);
}

static void a_gate_sums_its_workloads_and_each_has_its_own(void **state)
{
	const struct ebb_top_data *data;

	(void)state;
	add_dst(1, 10);
	add_pair(1, 1, 1, 21);
	add_pair(2, 1, 1, 22);
	(void)look(0);
	connects(&fake.view.pairs[1], 10);
	connects(&fake.view.pairs[2], 30);
	fake.view.pairs[1].connect_units += 10 * 200 * US;
	data = look(S);
	assert_int_equal(data->gate_count, 1);
	near(data->gates[0].rates.connects, 40);
	assert_int_equal(data->pair_count, 2);
	near(data->pairs[0].rates.connects, 10);
	assert_string_equal(data->pairs[0].workload, "/work.slice/w21");
	assert_int_equal(data->pairs[0].connect.count, 10);
	assert_int_equal(data->pairs[0].connect.mean, 200000);
	near(data->pairs[1].rates.connects, 30);
	assert_ptr_equal(data->pairs[1].gate, data->gates[0].gate);
}

static void who_is_new_counts_from_nothing(void **state)
{
	const struct ebb_top_data *data;

	(void)state;
	make_node();
	connects(&fake.view.pairs[1], 1000);
	fake.view.dsts[1].connect.buckets[ebb_hist_bucket(5000 * US)] = 9;
	(void)look(0);
	/* the slot has a new owner, who counted more already; another pair is met for the first time */
	add_pair(1, 1, DSTS + 1, 33);
	connects(&fake.view.pairs[1], 1007);
	add_pair(4, 2, 2, 34);
	connects(&fake.view.pairs[4], 3);
	data = look(S);
	near(gate_row(data, DSTS + 1)->rates.connects, 1007);
	near(gate_row(data, 2)->rates.connects, 3);
	/* a counter that shrank was cleared */
	fake.view.pairs[4].attempts = 2;
	data = look(S);
	near(gate_row(data, 2)->rates.connects, 2);
	/* one that is being taken back is not shown, and comes back with nothing new */
	fake.view.pairs[4].state = EBB_SLOT_RETIRING;
	data = look(S);
	assert_int_equal(data->pair_count, 3);
}

static void quantiles_are_those_of_the_interval(void **state)
{
	const struct ebb_top_data *data;
	struct ebb_hist *hist;

	(void)state;
	make_node();
	hist = &fake.view.dsts[1].connect;
	hist->buckets[ebb_hist_bucket(5000 * US)] = 1000; /* long ago, and slow */
	(void)look(0);
	hist->buckets[ebb_hist_bucket(200 * US)] += 99;
	hist->buckets[ebb_hist_bucket(1000 * US)] += 1;
	data = look(S);
	for (uint32_t gate = DSTS + 1; gate <= DSTS + 2; gate++) { /* both gates of the destination */
		const struct ebb_times *times = &gate_row(data, gate)->connect;

		assert_int_equal(times->count, 100);
		assert_in_range(times->p50, 190000, 230000);
		assert_in_range(times->p95, 190000, 230000);
		assert_in_range(times->most, 1000000, 1300000);
	}
	assert_int_equal(gate_row(data, 2)->connect.count, 0);
	data = look(S);
	assert_int_equal(gate_row(data, DSTS + 1)->connect.count, 0);
	/* another destination in the same slot */
	fake.view.dsts[1].epoch++;
	fake.view.pairs[1].dst_epoch = fake.view.pairs[2].dst_epoch = fake.view.dsts[1].epoch;
	data = look(S);
	assert_int_equal(gate_row(data, DSTS + 1)->connect.count, 1100);
}

static const char *draw(size_t width, size_t height);

/* Of a destination finely, of a workload coarsely; both of the interval. */
static void turns_are_those_of_the_interval(void **state)
{
	const struct ebb_top_data *data;
	struct ebb_pair *p;

	(void)state;
	make_node();
	(void)look(0);
	assert_null(strstr(draw(200, 16), "TURN"));
	p = &fake.view.pairs[1];
	p->turns[EBB_TURN_ANSWERED] = p->turn_buckets[20] = 7; /* long ago, and slow */
	p->turn_units = 7 * 60000000 * US;
	p->turn_buckets[13] = UINT32_MAX; /* it comes round */
	(void)look(S);
	p->turns[EBB_TURN_ANSWERED] += 10;
	p->turns[EBB_TURN_UNANSWERED] += 1;
	p->turns[EBB_TURN_RESET] += 1;
	p->turns[EBB_TURN_CANCELLED] += 5;
	p->turn_units += 10 * 400000 * US;
	p->turn_buckets[13] += 9; /* 262 to 524 ms */
	p->turn_buckets[16] += 1;
	fake.view.dsts[1].turn.buckets[ebb_hist_bucket(400000 * US)] += 10;
	data = look(S);
	near(gate_row(data, DSTS + 1)->rates.turns, 12);
	near(data->total.turns, 12);
	assert_int_equal(gate_row(data, DSTS + 1)->turn.count, 10);
	assert_in_range(gate_row(data, DSTS + 1)->turn.p50, 390 * MS, 450 * MS);
	assert_int_equal(data->pairs[0].turn.count, 10);
	assert_int_equal(data->pairs[0].turn.mean, 400 * MS);
	assert_in_range(data->pairs[0].turn.p50, 262 * MS, 525 * MS);
	assert_in_range(data->pairs[0].turn.most, 2 * S, 4300 * MS);
	assert_int_equal(data->pairs[1].turn.count, 0);
	assert_non_null(strstr(draw(200, 16), " TURN/s  TURN P50  TURN P95  TURN P99 "));
	assert_non_null(strstr(fake.text, "   12/s turns"));
	data = look(S);
	near(data->total.turns, 0);
	assert_int_equal(data->pairs[0].turn.count, 0);
}

static void states_and_the_time_that_is_left(void **state)
{
	const struct ebb_top_data *data;

	(void)state;
	make_node();
	data = look(0);
	assert_int_equal(data->by_state[EBB_STATE_CLOSED], 2);
	assert_int_equal(data->by_state[EBB_STATE_OPEN], 1);
	assert_in_range(ebb_top_time_left(gate_row(data, 2)->gate, NOW), 20 * S, 20 * S + 2 * MS);
	assert_int_equal(ebb_top_time_left(gate_row(data, DSTS + 1)->gate, NOW), 0);
	fake.view.policies[1].override_state = EBB_OVERRIDE_CLOSE;
	fake.view.policies[1].override_until_ns = NOW + 600 * S;
	data = look(30 * S);
	assert_int_equal(data->by_state[EBB_STATE_HALF_OPEN], 1);
	assert_int_equal(data->forced, 2);
	assert_int_equal(ebb_top_time_left(gate_row(data, 2)->gate, fake.look.now_ns), 0);
	assert_int_equal(ebb_top_time_left(gate_row(data, DSTS + 1)->gate, fake.look.now_ns), 570 * S);
}

/* -------------------------------------------------------------- state -- */

static enum ebb_top_action press(uint32_t key)
{
	enum ebb_top_action action = ebb_top_press(&fake.state, key);

	if (action == EBB_TOP_ARRANGE)
		assert_int_equal(ebb_top_arrange(&fake.state, ebb_top_model_data(fake.model)), 0);
	return action;
}

static void type(const char *text)
{
	for (; *text; text++)
		(void)press((uint32_t)*text);
}

/* The last parts of the addresses in the order that is shown. */
static const char *order(void)
{
	static char text[256];
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < fake.state.row_count; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%u", i ? " " : "",
					 fake.view.dsts[fake.state.rows[i]->gate->dst].endpoint.addr[15]);
	return text;
}

/* 10.0.0.1 to .5, each its own gate of the node; the odd ones used by w21. */
static void make_five(void)
{
	for (uint8_t d = 1; d <= 5; d++) {
		add_dst(d, d);
		add_pair(d, d, d, 20 + d % 2);
	}
}

static void what_stands_in_the_way_comes_first(void **state)
{
	(void)state;
	make_five();
	open_gate(3, NOW + 20 * S);
	fake.view.policies[5].override_state = EBB_OVERRIDE_OPEN;
	open_gate(2, NOW - S); /* its time is over: half-open */
	(void)look(0);
	assert_string_equal(order(), "5 3 2 1 4");
	assert_int_equal(press('r'), EBB_TOP_ARRANGE);
	/* equal ones stay in the order of their names */
	assert_string_equal(order(), "1 4 2 3 5");
}

static void columns_are_chosen_by_keys_and_by_name(void **state)
{
	struct ebb_top_state other;
	struct ebb_why why = {};

	(void)state;
	make_five();
	(void)look(0);
	connects(&fake.view.pairs[4], 10);
	connects(&fake.view.pairs[2], 5);
	(void)look(S);
	assert_string_equal(order(), "1 2 3 4 5");
	/* state, left, active, connects */
	(void)press('>');
	(void)press('s');
	(void)press(EBB_TOP_KEY_RIGHT);
	assert_string_equal(order(), "4 2 1 3 5");
	(void)press('<');
	assert_string_equal(order(), "1 2 3 4 5");
	/* around, over columns of this page only */
	for (int i = 0; i < 4; i++)
		(void)press(EBB_TOP_KEY_LEFT);
	assert_string_equal(ebb_top_columns[fake.state.sort[0]].key, "workload");
	(void)press('<');
	(void)press('<');
	assert_string_equal(ebb_top_columns[fake.state.sort[0]].key, "limits");
	(void)press('<');
	assert_string_equal(ebb_top_columns[fake.state.sort[0]].key, "p99");

	assert_int_equal(ebb_top_state_init(&other, "denied", "x", "250ms", &why), 0);
	assert_string_equal(ebb_top_columns[other.sort[0]].key, "denied");
	assert_string_equal(ebb_top_columns[other.sort[1]].key, "denied");
	assert_int_equal(other.delay_ns, 250 * MS);
	assert_int_equal(ebb_top_state_init(&other, "mean", NULL, NULL, &why), 0);
	assert_string_equal(ebb_top_columns[other.sort[0]].key, "state");
	assert_string_equal(ebb_top_columns[other.sort[1]].key, "mean");
	assert_int_equal(ebb_top_state_init(&other, "size", NULL, NULL, &why), -EINVAL);
	assert_non_null(strstr(why.text, "--sort: 'size' is not possible: one of name, workload"));
	assert_int_equal(ebb_top_state_init(&other, NULL, NULL, "5ms", &why), -EINVAL);
	assert_non_null(strstr(why.text, "--delay: '5ms' is not possible"));
}

static void the_cursor_stays_with_its_row(void **state)
{
	(void)state;
	make_five();
	(void)look(0);
	assert_int_equal(fake.state.cursor, 0);
	(void)press('j');
	(void)press(EBB_TOP_KEY_DOWN);
	assert_int_equal(fake.state.cursor, 2);
	/* 10.0.0.3 opens, and stands first */
	open_gate(3, NOW + 20 * S);
	(void)look(S);
	assert_string_equal(order(), "3 1 2 4 5");
	assert_int_equal(fake.state.cursor, 0);
	(void)press(EBB_TOP_KEY_END);
	assert_int_equal(fake.state.cursor, 4);
	(void)press(EBB_TOP_KEY_DOWN);
	assert_int_equal(fake.state.cursor, 4);
	/* the last one goes: the cursor is on the new last one */
	fake.view.dsts[5].state = EBB_SLOT_FREE;
	fake.view.dsts[5].epoch++;
	(void)look(S);
	assert_int_equal(fake.state.cursor, 3);
	fake.state.visible = 3;
	(void)press(EBB_TOP_KEY_PAGE_UP);
	assert_int_equal(fake.state.cursor, 1);
	(void)press('g');
	assert_int_equal(fake.state.cursor, 0);
	(void)press('k');
	assert_int_equal(fake.state.cursor, 0);
	(void)press('G');
	assert_int_equal(fake.state.cursor, 3);
}

static void the_filter_takes_parts_patterns_and_all_words(void **state)
{
	static const struct {
		const char *filter, *order;
	} cases[] = {
		{"", "3 1 2 4 5"},     {"0.0.2", "2"},
		{"OPEN", "3"},	       {"closed", "1 2 4 5"},
		{"w21", "3 1 5"}, /* gates of the node, by who uses them */
		{"w21 closed", "1 5"}, {"  w21   closed ", "1 5"},
		{"*.4:443/tcp", "4"},  {"10.0.0.?:*", "3 1 2 4 5"},
		{"*.4", ""}, /* a pattern is for the whole */
		{"nothing", ""},
	};

	(void)state;
	make_five();
	open_gate(3, NOW + 20 * S);
	(void)look(0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		(void)press('/');
		(void)press(CTRL('U'));
		type(cases[i].filter);
		if (strcmp(order(), cases[i].order) != 0)
			fail_msg("filter '%s': %s", cases[i].filter, order());
		(void)press(EBB_TOP_KEY_ENTER);
		assert_int_equal(fake.state.prompt, EBB_TOP_NO_PROMPT);
		assert_string_equal(order(), cases[i].order);
		assert_int_equal(fake.state.row_total, 5);
	}
	(void)press(EBB_TOP_KEY_ESCAPE);
	assert_string_equal(order(), "3 1 2 4 5");
}

static void the_filter_is_edited(void **state)
{
	(void)state;
	make_five();
	(void)look(0);
	(void)press('/');
	type("abd");
	(void)press(EBB_TOP_KEY_LEFT);
	type("c");
	assert_string_equal(fake.state.filter, "abcd");
	(void)press(EBB_TOP_KEY_HOME);
	(void)press(EBB_TOP_KEY_DELETE);
	(void)press(EBB_TOP_KEY_BACKSPACE); /* nothing before */
	assert_string_equal(fake.state.filter, "bcd");
	(void)press(EBB_TOP_KEY_END);
	(void)press(0xfc); /* u with two dots */
	(void)press(0x4e2d);
	(void)press(0x1f600);
	assert_string_equal(fake.state.filter, "bcd\u00fc\u4e2d\U0001f600");
	(void)press(EBB_TOP_KEY_BACKSPACE);
	(void)press(EBB_TOP_KEY_LEFT);
	(void)press(EBB_TOP_KEY_BACKSPACE);
	assert_string_equal(fake.state.filter, "bcd\u4e2d");
	(void)press(EBB_TOP_KEY_RIGHT);
	type(" two  three");
	(void)press(CTRL('W'));
	assert_string_equal(fake.state.filter, "bcd\u4e2d two  ");
	(void)press(CTRL('W'));
	assert_string_equal(fake.state.filter, "bcd\u4e2d ");
	/* what steers a terminal is not taken, q is a letter, a long text ends */
	(void)press(0x202e);
	(void)press(CTRL('C'));
	(void)press('q');
	assert_string_equal(fake.state.filter, "bcd\u4e2d q");
	for (int i = 0; i < 2 * EBB_TOP_LINE_MAX; i++)
		(void)press('x');
	assert_int_equal(strlen(fake.state.filter), EBB_TOP_LINE_MAX - 1);
	/* Escape: as it was before */
	(void)press(EBB_TOP_KEY_ESCAPE);
	assert_string_equal(fake.state.filter, "");
	assert_string_equal(order(), "1 2 3 4 5");
}

static void the_delay_is_set_or_refused(void **state)
{
	static const struct {
		const char *text;
		int r;
		uint64_t ns;
	} cases[] = {
		{"1s", 0, S},	     {"2", 0, 2 * S},	   {"0.5", 0, 500 * MS}, {"100ms", 0, 100 * MS},
		{"1h", 0, 3600 * S}, {"99ms", -ERANGE, 0}, {"0", -ERANGE, 0},	 {"3601", -ERANGE, 0},
		{"", -EINVAL, 0},    {"-1", -EINVAL, 0},   {"1x", -EINVAL, 0},	 {"9e9", -EINVAL, 0},
		{"61m", -ERANGE, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t ns = 0;
		int r = ebb_top_parse_delay(cases[i].text, &ns);

		if (r != cases[i].r || ns != cases[i].ns)
			fail_msg("'%s': %d, %" PRIu64, cases[i].text, r, ns);
	}
	(void)look(0);
	(void)press('d');
	assert_string_equal(fake.state.line.text, "1s");
	(void)press(CTRL('U'));
	type("0.01");
	assert_int_equal(press(EBB_TOP_KEY_ENTER), EBB_TOP_DRAW);
	assert_int_equal(fake.state.prompt, EBB_TOP_DELAY);
	assert_string_not_equal(fake.state.message, "");
	(void)press(CTRL('U'));
	type("0.2");
	assert_int_equal(press(EBB_TOP_KEY_ENTER), EBB_TOP_LOOK);
	assert_int_equal(fake.state.delay_ns, 200 * MS);
	assert_string_equal(fake.state.message, "");
}

static void pause_help_and_quit(void **state)
{
	(void)state;
	(void)look(0);
	assert_int_equal(press('p'), EBB_TOP_DRAW);
	assert_true(fake.state.paused);
	assert_int_equal(press('p'), EBB_TOP_LOOK);
	assert_false(fake.state.paused);
	(void)press('?');
	assert_true(fake.state.help);
	assert_int_equal(press('q'), EBB_TOP_DRAW); /* any key leads back */
	assert_false(fake.state.help);
	assert_int_equal(press('q'), EBB_TOP_QUIT);
}

static void enter_shows_one_destination_and_escape_leads_back(void **state)
{
	(void)state;
	make_node();
	(void)look(0);
	assert_string_equal(order(), "9 10 10");
	(void)press('j');
	(void)press(EBB_TOP_KEY_ENTER);
	assert_true(fake.state.detail);
	assert_string_equal(fake.state.lines[0], "10.0.0.10:443/tcp");
	assert_true(fake.state.line_count > 20);
	fake.state.visible = 10;
	(void)press(EBB_TOP_KEY_DOWN);
	assert_int_equal(fake.state.line_first, 1);
	(void)press(EBB_TOP_KEY_END);
	assert_int_equal(fake.state.line_first, fake.state.line_count - 10);
	(void)press(EBB_TOP_KEY_RIGHT);
	assert_int_equal(fake.state.line_left, 8);
	(void)press(EBB_TOP_KEY_LEFT);
	(void)press(EBB_TOP_KEY_LEFT);
	assert_int_equal(fake.state.line_left, 0);
	/* the slot goes to another: nothing of that is shown under the old name */
	fake.view.dsts[1].epoch++;
	(void)look(S);
	assert_null(fake.state.lines);
	(void)press(EBB_TOP_KEY_ESCAPE);
	assert_false(fake.state.detail);
}

static void workloads_are_the_other_page(void **state)
{
	(void)state;
	make_five();
	(void)look(0);
	(void)press('j');
	(void)press('w');
	assert_int_equal(fake.state.row_count, 5);
	assert_true(fake.state.rows[0]->is_pair);
	assert_int_equal(fake.state.cursor, 0);
	(void)press(EBB_TOP_KEY_DOWN);
	(void)press(EBB_TOP_KEY_ENTER);
	assert_string_equal(fake.state.lines[0], "10.0.0.2:443/tcp");
	(void)press(EBB_TOP_KEY_ESCAPE);
	(void)press('w');
	assert_false(fake.state.rows[0]->is_pair);
}

/* --------------------------------------------------------------- view -- */

static const char *draw(size_t width, size_t height)
{
	size_t size;
	FILE *out;

	assert_int_equal(ebb_top_frame_resize(&fake.frame, width, height), 0);
	ebb_top_draw(&fake.state, ebb_top_model_data(fake.model), "node-1", &fake.frame);
	free(fake.text);
	fake.text = NULL;
	out = open_memstream(&fake.text, &size);
	assert_non_null(out);
	assert_int_equal(ebb_top_print(&fake.frame, out), 0);
	assert_int_equal(fclose(out), 0);
	return fake.text;
}

/* What a user sees on a node that has something to tell. */
static void make_story(void)
{
	struct ebb_pair *p;

	add_dst(1, 10);
	name(1, "anthropic");
	p = add_pair(1, 1, 1, 21);
	p->active = 3;
	add_dst(2, 9);
	add_pair(2, 2, 2, 21);
	open_gate(2, NOW + 20 * S);
	(void)look(0);
	connects(p, 1234);
	p->sent_bytes += 1234567;
	p->received_bytes += 45600000;
	fake.view.dsts[1].connect.buckets[ebb_hist_bucket(200 * US)] = 1234;
	fake.view.pairs[2].denied[EBB_CAUSE_BREAKER] += 91;
	fake.view.pairs[2].outcomes[EBB_OUTCOME_REFUSED] += 2;
	fake.view.agent->heartbeat_ns += S;
	(void)look(S);
}

static void a_screen_of_eighty_columns(void **state)
{
	(void)state;
	make_story();
	assert_string_equal(draw(80, 16),
			    " ebb top  node-1  agent running, pid 42, lease 30.0s                   22:13:21\n"
			    " mode enforce   destinations 2 of 7   pairs 2 of 15   active 3\n"
			    " breakers 1 closed   1 open   0 half_open   0 by hand\n"
			    " now 1.23k/s connects   2.0/s failed   91/s denied   1.23MB/s out   45.6MB/s in\n"
			    "\n"
			    " DESTINATION       STATE▼       LEFT  ACTIVE  CONN/s  FAIL/s  DENY/s   OUT/s\n"
			    ">10.0.0.9:443/tcp  open        19.0s       0       0    2.00    91.0       0\n"
			    " anthropic         closed          -       3   1.23k       0       0  1.23MB\n"
			    "\n\n\n\n\n\n\n"
			    " 1 of 2  every 1s   q quit  h help  Enter details  w workloads  / filter\n");
}

static void a_wide_screen_has_all_columns(void **state)
{
	(void)state;
	make_story();
	fake.view.policies[1].limits.concurrent = 64;
	fake.view.pairs[2].would_deny[EBB_CAUSE_RATE] = 1;
	fake.view.pairs[2].dropped_packets[EBB_DROP_BREAKER] = 1;
	(void)look(S);
	(void)draw(170, 16);
	assert_non_null(strstr(fake.text,
			       " DESTINATION       MODE     STATE▼       LEFT  ACTIVE  CONN/s  FAIL/s  DENY/s  WOULD/s   OUT/s    IN/s  DROP/s     P50     P95     P99  LIMITS\n"));
	assert_non_null(strstr(fake.text, "concurrent=0/64\n"));
}

/* What is shown of the heading at each width; state, failures and denials are the last to go. */
static void a_narrow_screen_leaves_columns_out(void **state)
{
	static const struct {
		size_t width;
		const char *heading;
	} cases[] = {
		{103,
		 " DESTINATION       STATE▼       LEFT  ACTIVE  CONN/s  FAIL/s  DENY/s   OUT/s    IN/s     P50     P99\n"},
		{72, " DESTINATION       STATE▼       LEFT  ACTIVE  CONN/s  FAIL/s  DENY/s\n"},
		{62, " DESTINATION       STATE▼     ACTIVE  CONN/s  FAIL/s  DENY/s\n"},
		{54, " DESTINATION       STATE▼     CONN/s  FAIL/s  DENY/s\n"},
		{46, " DESTINATION       STATE▼     FAIL/s  DENY/s\n"},
		{40, " DESTINATION  STATE▼     FAIL/s  DENY/s\n"},
	};

	(void)state;
	make_story();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (!strstr(draw(cases[i].width, 16), cases[i].heading))
			fail_msg("width %zu:\n%s", cases[i].width, fake.text);
	}
}

/* A name longer than its column says so; of a workload the end is shown. */
static void long_names_are_cut_and_wide_ones_keep_the_columns(void **state)
{
	const char *line, *other;

	(void)state;
	make_node();
	name(1, "\u4e2d\u6587-a-very-long-name-of-a-destination-that-does-not-fit");
	name(2, "e\u0301t\u00e9\x1b[31m");
	(void)look(0);
	(void)draw(80, 16);
	line = strstr(fake.text, " \u4e2d\u6587-a-very-long-name-of-\u2026  /work.slice/w21  closed");
	other = strstr(fake.text, ">e\u0301t\u00e9\\x1b[31m ");
	if (!line || !other || strchr(fake.text, '\x1b'))
		fail_msg("%s", fake.text);
	/* the state stands in the same column behind a wide name, an accent, and plain letters */
	for (size_t y = 6; y <= 8; y++) {
		const struct ebb_top_cell *cells = &fake.frame.cells[y * 80];

		assert_true(cells[44].c == ' ' && (cells[46].c == 'o' || cells[46].c == 'c'));
	}
	assert_int_equal(fake.frame.cells[7 * 80 + 1].c, 0x4e2d);
	assert_int_equal(fake.frame.cells[7 * 80 + 2].c, 0);
	assert_int_equal(fake.frame.cells[6 * 80 + 1].mark, 0x301);
	fake.state.ascii = true;
	(void)draw(80, 16);
	for (const char *c = fake.text; *c; c++)
		assert_true((*c & 0x80) == 0);
	assert_non_null(strstr(fake.text, "-a-very-long-name-of-a->  /work"));
	assert_non_null(strstr(fake.text, "STATEv"));
}

static void every_size_is_drawn_within_it(void **state)
{
	static const char keys[] = "  hx/abc\x01wd";

	(void)state;
	make_story();
	for (size_t key = 0; key < sizeof(keys); key++) {
		for (size_t width = 0; width <= 130; width += width < 30 ? 1 : 7) {
			for (size_t height = 0; height <= 30; height++) {
				(void)draw(width, height);
				for (size_t i = 0; i < width * height; i++)
					assert_true(fake.frame.cells[i].c < 0x110000);
				if (fake.frame.cursor)
					assert_true(fake.frame.cursor_x < width &&
						    fake.frame.cursor_y < height);
			}
		}
		if (keys[key] == ' ')
			(void)press(key == 0 ? EBB_TOP_KEY_ENTER : EBB_TOP_KEY_ESCAPE);
		else
			(void)press((uint32_t)keys[key]);
	}
}

static void rows_scroll_with_the_cursor(void **state)
{
	(void)state;
	make_five();
	(void)look(0);
	(void)draw(80, 10); /* a low screen has one line of header: 7 rows */
	assert_int_equal(fake.state.visible, 7);
	(void)draw(80, 6); /* heading and three rows */
	assert_int_equal(fake.state.visible, 3);
	for (int i = 0; i < 3; i++)
		(void)press('j');
	(void)draw(80, 6);
	assert_non_null(strstr(fake.text, ">10.0.0.4:443/tcp"));
	assert_non_null(strstr(fake.text, " 10.0.0.2:443/tcp")); /* no further than need be */
	(void)press(EBB_TOP_KEY_END);
	(void)draw(80, 6);
	assert_non_null(strstr(fake.text, ">10.0.0.5:443/tcp"));
	assert_non_null(strstr(fake.text, " 10.0.0.3:443/tcp"));
	assert_null(strstr(fake.text, "10.0.0.2:443"));
	(void)press('k');
	(void)press('k');
	(void)draw(80, 6);
	assert_non_null(strstr(fake.text, ">10.0.0.3:443/tcp"));
	assert_non_null(strstr(fake.text, " 10.0.0.5:443/tcp")); /* nothing moved that need not */
	(void)press('k');
	(void)draw(80, 6);
	assert_non_null(strstr(fake.text, ">10.0.0.2:443/tcp"));
	/* a taller screen shows what stood above */
	(void)press(EBB_TOP_KEY_END);
	(void)draw(80, 16);
	assert_non_null(strstr(fake.text, " 10.0.0.1:443/tcp"));
}

static void the_agent_is_told_in_the_first_line(void **state)
{
	static const struct {
		uint64_t heartbeat_ns, pid;
		const char *said;
	} cases[] = {
		{NOW, 42, "agent running, pid 42, lease 30.0s"},
		{NOW - 5 * S, 42, "agent silent for 5.00s, its lease holds for 25.0s"},
		{NOW - 42 * S, 42, "agent dead, its lease is over since 12.0s: start 'ebb run'"},
		{NOW, 0, "agent none: start 'ebb run'"},
		{0, 0, "agent none: start 'ebb run'"},
	};

	(void)state;
	make_five();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		fake.view.agent->heartbeat_ns = cases[i].heartbeat_ns;
		fake.view.agent->pid = (uint32_t)cases[i].pid;
		(void)look(0);
		if (!strstr(draw(120, 20), cases[i].said))
			fail_msg("%s:\n%s", cases[i].said, fake.text);
	}
	fake.look.links[0].attached = 0;
	(void)look(0);
	assert_non_null(strstr(draw(120, 20), "programs 0 of 1 attached"));
}

static void what_was_chosen_is_told_in_the_last_line(void **state)
{
	(void)state;
	make_five();
	(void)look(0);
	(void)press('p');
	assert_non_null(strstr(draw(120, 20), "\n  PAUSED   1 of 5  every 1s"));
	(void)press('/');
	type("0.3");
	assert_non_null(strstr(draw(120, 20), "\n filter: 0.3   name, workload or state"));
	assert_true(fake.frame.cursor);
	assert_int_equal(fake.frame.cursor_x, strlen(" filter: 0.3"));
	assert_int_equal(fake.frame.cursor_y, 19);
	(void)press(EBB_TOP_KEY_ENTER);
	assert_non_null(strstr(draw(120, 20), " filter 0.3: 1 of 5"));
	assert_false(fake.frame.cursor);
	(void)press('/');
	type("z");
	assert_non_null(strstr(draw(120, 20), "nothing is like the filter: Esc clears it"));
}

static void nothing_to_show_is_said(void **state)
{
	(void)state;
	(void)look(0);
	assert_non_null(strstr(draw(80, 20), "no destinations yet"));
}

/* Nothing but the clock moves between two draws of the same moment: no flicker can come from here. */
static void the_same_moment_is_the_same_screen(void **state)
{
	struct ebb_top_cell *before;
	size_t bytes;

	(void)state;
	make_story();
	(void)draw(100, 24);
	bytes = fake.frame.width * fake.frame.height * sizeof(*before);
	before = malloc(bytes);
	assert_non_null(before);
	memcpy(before, fake.frame.cells, bytes);
	(void)draw(100, 24);
	assert_memory_equal(before, fake.frame.cells, bytes);
	free(before);
}

/* The text says all that the colours say. */
static void states_have_colours_and_words(void **state)
{
	(void)state;
	make_story();
	(void)press('j'); /* off the open one: the row of the cursor has no colours */
	(void)draw(80, 16);
	assert_int_equal(fake.frame.cells[6 * 80 + 19].c, 'o');
	assert_int_equal(fake.frame.cells[6 * 80 + 19].style, EBB_TOP_BAD);
	assert_int_equal(fake.frame.cells[7 * 80 + 19].c, 'c');
	assert_int_equal(fake.frame.cells[7 * 80 + 19].style, EBB_TOP_PLAIN | EBB_TOP_REVERSE);
	assert_int_equal(fake.frame.cells[5 * 80].style, EBB_TOP_REVERSE);
}

static void one_frame_for_a_file_has_every_row_and_no_cursor(void **state)
{
	size_t width, height;

	(void)state;
	make_five();
	(void)look(0);
	fake.state.batch = true;
	ebb_top_measure(&fake.state, ebb_top_model_data(fake.model), &width, &height);
	(void)draw(width, height);
	assert_non_null(strstr(fake.text, "\n 10.0.0.1:443/tcp"));
	assert_non_null(strstr(fake.text, "\n 10.0.0.5:443/tcp"));
	assert_null(strstr(fake.text, "quit"));
	assert_null(strchr(fake.text, '>'));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_fake, free_fake)
	const struct CMUnitTest tests[] = {
		TEST(the_first_moment_has_no_rates),
		TEST(rates_are_what_grew_by_the_time),
		TEST(a_gate_sums_its_workloads_and_each_has_its_own),
		TEST(who_is_new_counts_from_nothing),
		TEST(quantiles_are_those_of_the_interval),
		TEST(turns_are_those_of_the_interval),
		TEST(states_and_the_time_that_is_left),
		TEST(what_stands_in_the_way_comes_first),
		TEST(columns_are_chosen_by_keys_and_by_name),
		TEST(the_cursor_stays_with_its_row),
		TEST(the_filter_takes_parts_patterns_and_all_words),
		TEST(the_filter_is_edited),
		TEST(the_delay_is_set_or_refused),
		TEST(pause_help_and_quit),
		TEST(enter_shows_one_destination_and_escape_leads_back),
		TEST(workloads_are_the_other_page),
		TEST(a_screen_of_eighty_columns),
		TEST(a_wide_screen_has_all_columns),
		TEST(a_narrow_screen_leaves_columns_out),
		TEST(long_names_are_cut_and_wide_ones_keep_the_columns),
		TEST(every_size_is_drawn_within_it),
		TEST(rows_scroll_with_the_cursor),
		TEST(the_agent_is_told_in_the_first_line),
		TEST(what_was_chosen_is_told_in_the_last_line),
		TEST(nothing_to_show_is_said),
		TEST(the_same_moment_is_the_same_screen),
		TEST(states_have_colours_and_words),
		TEST(one_frame_for_a_file_has_every_row_and_no_cursor),
	};

	(void)setenv("TZ", "UTC", 1);
	tzset();
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
