/* SPDX-License-Identifier: Apache-2.0 */
/* user/cli: what the commands say, over a view in this program's own memory. */
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

#include "tell/fuse.h"
#include "cli/render.h"
#include "core/limit.h"
#include "core/policy.h"

#define DSTS	     8
#define PAIRS	     16
#define MS	     1000000ULL
#define S	     1000000000ULL
#define NOW	     (1000 * S)
#define UNITS_PER_US 4ULL		   /* of a histogram */
#define REALTIME     1700000000000000000LL /* 2023-11-14 22:13:20 UTC */

static struct fake {
	struct ebb_agent agent;
	struct ebb_kernel kernel;
	struct ebb_dst dsts[DSTS];
	struct ebb_pair pairs[PAIRS];
	struct ebb_gate gates[DSTS + PAIRS];
	struct ebb_verdict verdicts[DSTS + PAIRS];
	struct ebb_policy policies[DSTS];
	struct ebb_memory memories[DSTS + PAIRS];
	struct ebb_name names[DSTS];
	struct ebb_deed deeds[EBB_DEEDS];
	struct ebb_view view;
	struct ebb_look look;
} fake;

#define GONE 4711 /* a cgroup that was removed */

static int fake_resolve(void *userdata, uint64_t id, char *ret_path, size_t size)
{
	(void)userdata;
	if (id == GONE)
		return -ESTALE;
	if (id == 1)
		(void)snprintf(ret_path, size, "/");
	else
		(void)snprintf(ret_path, size, "/work.slice/w%" PRIu64 "\x1b[2J", id);
	return 0;
}

static int make_fake(void **state)
{
	static const char *const links[] = {"connect4", "connect6", "sockops", "sock_release"};
	struct ebb_breaker_config config;

	(void)state;
	memset(&fake, 0, sizeof(fake));
	fake.view = (struct ebb_view){
		.agent = &fake.agent,
		.kernel = &fake.kernel,
		.dsts = fake.dsts,
		.pairs = fake.pairs,
		.gates = fake.gates,
		.verdicts = fake.verdicts,
		.policies = fake.policies,
		.memories = fake.memories,
		.names = fake.names,
		.deeds = fake.deeds,
		.dst_max = DSTS,
		.pair_max = PAIRS,
		.gate_max = DSTS + PAIRS,
	};
	fake.agent = (struct ebb_agent){
		.abi_version = EBB_ABI_VERSION,
		.mode = EBB_MODE_ENFORCE,
		.heartbeat_ns = NOW - 400 * MS,
		.lease_ns = 30 * S,
		.started_ns = NOW - 3600 * S / 10,
		.run_id = 11,
		.pid = 4242,
		.dst_max = DSTS,
		.pair_max = PAIRS,
		.cgroup_id = 1,
		.fuse_action = EBB_FUSE_SHED,
		.fuse_open_ppm = 500000,
		.fuse_min_destinations = 4,
		.fuse_min_calls = 50,
		.fuse_window_ns = 10 * S,
		.fuse_active = 8,
		.fuse_open = 1,
		.fuse_calls = 30,
	};
	ebb_policy_defaults(&config);
	for (int i = 0; i < DSTS; i++) {
		ebb_policy_to_kernel(&config, &fake.policies[i]);
		fake.policies[i].mode = EBB_MODE_ENFORCE;
		fake.policies[i].arm = ebb_arm(5, (uint32_t)ebb_ns_to_ticks(5 * S));
	}
	fake.look = (struct ebb_look){.view = &fake.view, .now_ns = NOW, .realtime_ns = REALTIME};
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++)
		fake.look.links[fake.look.link_count++] = (struct ebb_link_info){.name = links[i],
										 .attached = 1,
										 .program_id = 7,
										 .cgroup_id = 1};
	return ebb_cgroup_names_new_from(fake_resolve, NULL, 64, &fake.look.names);
}

static int free_fake(void **state)
{
	(void)state;
	ebb_cgroup_names_free(fake.look.names);
	return 0;
}

/* A destination 10.0.0.@last:443/tcp in slot @dst. */
static struct ebb_dst *add_dst(uint32_t dst, uint8_t last)
{
	struct ebb_dst *d = &fake.dsts[dst];

	d->endpoint = (struct ebb_endpoint){.addr = {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = last},
					    .port = htons(443),
					    .proto = IPPROTO_TCP};
	d->epoch++;
	d->state = EBB_SLOT_LIVE;
	d->created_ns = NOW - 125 * S;
	if (dst > fake.kernel.dst_high)
		fake.kernel.dst_high = dst;
	return d;
}

static struct ebb_pair *add_pair(uint32_t slot, uint32_t dst, uint32_t gate, uint64_t workload)
{
	struct ebb_pair *p = &fake.pairs[slot];

	*p = (struct ebb_pair){.workload = workload,
			       .dst = dst,
			       .dst_epoch = fake.dsts[dst].epoch,
			       .gate = gate,
			       .epoch = p->epoch + 1,
			       .state = EBB_SLOT_LIVE,
			       .created_ns = NOW - 60 * S};
	if (slot > fake.kernel.pair_high)
		fake.kernel.pair_high = slot;
	return p;
}

#define EPISODE	     0x0123456789abcdefULL
#define EPISODE_TEXT "0123456789abcdef"

/* Writes a transition of @gate, @ago before now, as the agent would. */
static void move(uint32_t gate, uint32_t reason, uint64_t ago, uint64_t until_ns, struct ebb_transition facts)
{
	struct ebb_memory *memory = &fake.memories[gate];
	uint32_t gen = ebb_gen_next(ebb_word_gen(fake.verdicts[gate].word));

	facts.at_ns = NOW - ago;
	facts.until_ns = until_ns;
	facts.reason = reason;
	facts.gen = gen;
	facts.episode = EPISODE;
	memory->last[memory->count++ % EBB_TRANSITIONS_KEPT] = facts;
	memory->since_ns = facts.at_ns;
	fake.verdicts[gate].word = ebb_word(gen, ebb_reason_to(reason), ebb_ns_to_ticks(until_ns));
}

/* One destination that is open, one that is fine and belongs to two workloads, each with its gate. */
static void make_node(void)
{
	struct ebb_dst *good = add_dst(1, 10), *bad = add_dst(2, 9);
	struct ebb_pair *p;

	good->scope = EBB_SCOPE_WORKLOAD;
	good->connect.buckets[ebb_hist_bucket(200 * UNITS_PER_US)] = 90;
	good->connect.buckets[ebb_hist_bucket(5000 * UNITS_PER_US)] = 10;
	good->connect.sum_units = 68000 * UNITS_PER_US;
	good->rtt.buckets[ebb_hist_bucket(100 * UNITS_PER_US)] = 3;
	good->rtt.sum_units = 300 * UNITS_PER_US;
	p = add_pair(1, 1, DSTS + 1, 21);
	p->active = 3;
	p->attempts = p->syn_sent = 1234;
	p->outcomes[EBB_OUTCOME_ESTABLISHED] = 1230;
	p->outcomes[EBB_OUTCOME_CANCELLED] = 4;
	p->sent_bytes = 1234567;
	p->received_bytes = 45600000000;
	p->retransmits = 3;
	p->adopted = 2;
	fake.memories[DSTS + 1].window_ok = 20;
	p = add_pair(2, 1, DSTS + 2, 22);
	p->attempts = 7;
	p->syn_sent = 6;

	bad->scope = EBB_SCOPE_NODE;
	p = add_pair(3, 2, 2, 21);
	p->attempts = p->syn_sent = 10;
	p->outcomes[EBB_OUTCOME_ESTABLISHED] = 5;
	p->outcomes[EBB_OUTCOME_REFUSED] = 5;
	p->denied[EBB_CAUSE_BREAKER] = 12345;
	p->sent_bytes = 800;
	p->received_bytes = 0;
	fake.policies[2].limits.concurrent = 64;
	fake.gates[2].in_use = 3;
	move(2, EBB_REASON_CONSECUTIVE_FAILURES, 3200 * MS, NOW + 1800 * MS,
	     (struct ebb_transition){.ok = 5, .failed = 5, .run = 5});
	/* its next opening is for longer than is configured */
	fake.verdicts[2].arm = ebb_arm(5, (uint32_t)ebb_ns_to_ticks(11 * S));
}

static struct ebb_snapshot take(void)
{
	struct ebb_snapshot snapshot;

	assert_int_equal(ebb_snapshot_take(&fake.look, &snapshot), 0);
	return snapshot;
}

static char *text;
static size_t text_size;

static FILE *open_text(void)
{
	FILE *out;

	free(text);
	text = NULL;
	out = open_memstream(&text, &text_size);
	assert_non_null(out);
	return out;
}

/* ------------------------------------------------------------- status -- */

static const char *status_text(void)
{
	struct ebb_snapshot snapshot = take();
	FILE *out = open_text();

	assert_int_equal(ebb_status_text(out, &fake.look, &snapshot), 0);
	assert_int_equal(fclose(out), 0);
	ebb_snapshot_free(&snapshot);
	return text;
}

static void status_tells_the_node_at_a_glance(void **state)
{
	(void)state;
	make_node();
	fake.kernel.errors[EBB_ERR_EVENT_LOST] = 7;
	assert_string_equal(status_text(),
			    "agent         running, pid 4242, since 2023-11-14 22:07:20 (6m00s)\n"
			    "lease         30.0s, renewed 400ms ago\n"
			    "mode          enforce\n"
			    "enforcement   active\n"
			    "cgroup        / (id 1)\n"
			    "programs      4 attached: connect4, connect6, sockops, sock_release\n"
			    "destinations  2 of 7\n"
			    "pairs         3 of 15\n"
			    "breakers      2 closed, 1 open\n"
			    "node fuse     does not act: 1 of 8 active destinations open, 30 results in 10.0s\n"
			    "connections   3 active; 1.25k let through, 5 failed, 12.3k refused, 0 would have been refused\n"
			    "turns         not seen: a connection is a success when it is established\n"
			    "traffic       1.24MB sent, 45.6GB received, 3 retransmits; 0 packets dropped, 0 would have been dropped\n"
			    "own errors    event_lost 7\n");
}

struct enforcement_case {
	const char *what;
	uint64_t heartbeat_ns;
	uint32_t mode;
	int attached; /* all, or not sockops */
	const char *said;
};

static const struct enforcement_case enforcement_cases[] = {
	{"fine", NOW, EBB_MODE_ENFORCE, 1, "enforcement   active\n"},
	{"observe", NOW, EBB_MODE_OBSERVE, 1,
	 "enforcement   not active: mode is observe: what would be refused is counted\n"},
	{"a program is gone", NOW, EBB_MODE_ENFORCE, 0,
	 "enforcement   not active: not attached: sockops: the agent attaches them again within 5 s, or its log says why not\n"},
	{"a program is gone, and so is the agent", NOW - 31 * S, EBB_MODE_ENFORCE, 0,
	 "enforcement   not active: not attached: sockops: start 'ebb run'\n"},
	{"the lease is over", NOW - 31 * S, EBB_MODE_ENFORCE, 1,
	 "enforcement   not active: the agent's lease is over: only what was given by hand holds; start 'ebb run'\n"},
	{"silent, but leased", NOW - 29 * S, EBB_MODE_ENFORCE, 1, "enforcement   active\n"},
	{"a dead agent", NOW - 31 * S, EBB_MODE_ENFORCE, 1,
	 "agent         dead, last heard of at 2023-11-14 22:12:49 (31.0s ago): 'ps 4242' tells whether it hangs or is gone\n"},
	{"a dead agent's lease", NOW - 31 * S, EBB_MODE_ENFORCE, 1,
	 "lease         of 30.0s is over since 1.00s\n"},
	{"a silent agent", NOW - 5 * S, EBB_MODE_ENFORCE, 1,
	 "agent         silent, last heard of at 2023-11-14 22:13:15 (5.00s ago): 'ps 4242' tells"},
	{"an agent that ended in order", NOW - 5 * S, EBB_MODE_ENFORCE, 1,
	 "agent         none, it ended at 2023-11-14 22:13:15 (5.00s ago): start 'ebb run'\n"},
	{"no agent", 0, EBB_MODE_ENFORCE, 1, "agent         none: start 'ebb run'\n"},
	{"a missing program", NOW, EBB_MODE_ENFORCE, 0, "programs      3 of 4 attached; missing: sockops\n"},
	{"no errors", NOW, EBB_MODE_ENFORCE, 1, "own errors    none\n"},
};

static void status_says_whether_and_why_not_enforcement_is_active(void **state)
{
	make_node();
	for (size_t i = 0; i < sizeof(enforcement_cases) / sizeof(enforcement_cases[0]); i++) {
		const struct enforcement_case *c = &enforcement_cases[i];

		(void)state;
		fake.agent.heartbeat_ns = c->heartbeat_ns;
		fake.agent.pid = strstr(c->what, "in order") ? 0 : 4242;
		fake.agent.mode = c->mode;
		for (int d = 0; d < DSTS; d++)
			fake.policies[d].mode = c->mode;
		fake.look.links[2].attached = c->attached;
		if (!strstr(status_text(), c->said))
			fail_msg("%s:\n%s", c->what, text);
	}
}

static void status_says_that_the_cgroup_is_gone(void **state)
{
	(void)state;
	make_node();
	fake.agent.cgroup_id = GONE;
	assert_non_null(strstr(status_text(),
			       "\ncgroup        removed, or not to be seen from here (id 4711)\n"));
}

static void status_in_json_says_the_same(void **state)
{
	struct ebb_snapshot snapshot;
	json_t *root;

	(void)state;
	make_node();
	snapshot = take();
	root = ebb_status_json(&fake.look, &snapshot);
	assert_non_null(root);
	assert_string_equal(json_string_value(json_object_get(json_object_get(root, "agent"), "state")),
			    "running");
	assert_true(json_is_true(json_object_get(json_object_get(root, "enforcement"), "active")));
	assert_int_equal(json_integer_value(json_object_get(json_object_get(root, "breakers"), "open")), 1);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(root, "connections"), "denied")),
			 12345);
	assert_int_equal(json_array_size(json_object_get(root, "programs")), 4);
	assert_int_equal(json_object_size(json_object_get(root, "errors")), EBB_ERR_MAX);
	json_decref(root);
	ebb_snapshot_free(&snapshot);
}

/* --------------------------------------------------------------- list -- */

static const char *list_text(const struct ebb_list_filter *filter)
{
	struct ebb_snapshot snapshot = take();
	struct ebb_why why = {};
	FILE *out = open_text();

	assert_int_equal(ebb_list_select(&fake.look, &snapshot, filter, &why), 0);
	assert_int_equal(ebb_list_text(out, &fake.look, &snapshot), 0);
	assert_int_equal(fclose(out), 0);
	ebb_snapshot_free(&snapshot);
	return text;
}

static void list_has_a_row_for_each_gate(void **state)
{
	(void)state;
	make_node();
	/* numbers by value: .9 comes before .10; what a cgroup is called reaches no terminal unescaped */
	assert_string_equal(list_text(&(struct ebb_list_filter){}),
			    "DESTINATION        WORKLOAD                MODE     STATE   SINCE  ACTIVE  CONNECTS  FAILED    WINDOW  DENIED    SENT    RECV    P50     P95     P99    RTT  LIMITS\n"
			    "10.0.0.9:443/tcp   -                       enforce  open    3.20s       0        10       5         -   12.3k    800B       0      -       -       -      -  concurrent=3/64\n"
			    "10.0.0.10:443/tcp  /work.slice/w21\\x1b[2J  enforce  closed  1m00s       3     1.23k       0  0% of 20       0  1.23MB  45.6GB  210us  4.61ms  5.02ms  104us  -\n"
			    "10.0.0.10:443/tcp  /work.slice/w22\\x1b[2J  enforce  closed  1m00s       0         7       0         -       0       0       0  210us  4.61ms  5.02ms  104us  -\n");
}

static void list_fits_a_narrow_terminal(void **state)
{
	(void)state;
	make_node();
	fake.look.columns = 100;
	(void)list_text(&(struct ebb_list_filter){});
	for (const char *line = text, *end; *line; line = end + 1) {
		end = strchr(line, '\n');
		assert_true(end - line <= 100);
	}
	assert_non_null(strstr(text, "STATE"));
}

/* Two columns more than before, and what matters most still fits: a node scope, real figures. */
static void list_keeps_bytes_before_quantiles(void **state)
{
	(void)state;
	make_node();
	fake.dsts[1].state = EBB_SLOT_FREE;
	fake.dsts[1].epoch++;
	fake.pairs[3].sent_bytes = 12300000;
	fake.pairs[3].received_bytes = 456000000000;
	fake.look.columns = 110;
	assert_string_equal(list_text(&(struct ebb_list_filter){}),
			    "DESTINATION       MODE     STATE  SINCE  ACTIVE  CONNECTS  FAILED  WINDOW  DENIED    SENT   RECV  P50  P99\n"
			    "10.0.0.9:443/tcp  enforce  open   3.20s       0        10       5       -   12.3k  12.3MB  456GB    -    -\n");
	fake.pairs[3].dropped_packets[EBB_DROP_BYTES] = 1500;
	fake.pairs[3].would_drop_packets[EBB_DROP_PACKETS] = 7;
	assert_string_equal(list_text(&(struct ebb_list_filter){}),
			    "DESTINATION       MODE     STATE  SINCE  ACTIVE  CONNECTS  FAILED  WINDOW  DENIED    SENT  DROPPED  WOULD DROP\n"
			    "10.0.0.9:443/tcp  enforce  open   3.20s       0        10       5       -   12.3k  12.3MB    1.50k           7\n");
}

static void list_sorts_and_keeps_the_order_of_equals(void **state)
{
	static const struct {
		const char *sort, *order; /* last part of the address, 2 workloads of .10 */
	} cases[] = {
		{NULL, "9 a b"},     {"name", "9 a b"},	   {"state", "9 a b"},	{"connects", "a 9 b"},
		{"active", "a 9 b"}, {"failed", "9 a b"},  {"denied", "9 a b"}, {"p95", "a b 9"},
		{"p99", "a b 9"},    {"window", "a 9 b"},  {"since", "9 a b"},	{"sent", "a 9 b"},
		{"recv", "a 9 b"},   {"dropped", "b 9 a"},
	};

	(void)state;
	make_node();
	fake.pairs[2].would_drop_packets[EBB_DROP_PACKETS] = 2;
	fake.pairs[3].dropped_packets[EBB_DROP_BREAKER] = 1;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ebb_snapshot snapshot = take();
		struct ebb_why why = {};
		char order[16] = "";

		assert_int_equal(ebb_list_select(&fake.look, &snapshot,
						 &(struct ebb_list_filter){.sort = cases[i].sort}, &why),
				 0);
		assert_int_equal(snapshot.count, 3);
		for (size_t k = 0; k < 3; k++) {
			const struct ebb_gate_row *row = &snapshot.rows[k];

			size_t used = strlen(order);

			(void)snprintf(order + used, sizeof(order) - used, "%s%s", k ? " " : "",
				       row->dst == 2		? "9"
				       : row->workload_id == 21 ? "a"
								: "b");
		}
		if (strcmp(order, cases[i].order) != 0)
			fail_msg("--sort %s: %s", cases[i].sort ? cases[i].sort : "(none)", order);
		ebb_snapshot_free(&snapshot);
	}
}

static void list_filters(void **state)
{
	static const struct {
		const char *option, *state, *workload, *sort;
		int r;
		size_t count;
		const char *said;
	} cases[] = {
		{"all", NULL, NULL, NULL, 0, 3, NULL},
		{"open", "open", NULL, NULL, 0, 1, NULL},
		{"closed", "closed", NULL, NULL, 0, 2, NULL},
		{"forced", "forced_open", NULL, NULL, 0, 0, NULL},
		{"whole name", NULL, "/work.slice/w22\\x1b[2J", NULL, 0, 0, NULL}, /* '[' opens a class */
		{"last part", NULL, "w22\\x1b[2J", NULL, 0, 1, NULL},
		{"pattern", NULL, "/work.slice/w22*", NULL, 0, 1, NULL},
		{"a gate of the node by its pairs", NULL, "*w21*", NULL, 0, 2, NULL},
		{"no such", NULL, "w23", NULL, 0, 0, NULL},
		{"bad state", "opne", NULL, NULL, -EINVAL, 3,
		 "--state: 'opne' is not possible: closed, open, half_open, forced_open or forced_closed"},
		{"bad sort", NULL, NULL, "size", -EINVAL, 3,
		 "--sort: 'size' is not possible: one of name, state, since, active, connects, failed, window, denied, "
		 "sent, recv, dropped, p50, p95, p99, rtt, turns, slow, turn_p50, turn_p95, turn_p99"},
	};

	(void)state;
	make_node();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ebb_snapshot snapshot = take();
		struct ebb_why why = {};
		const struct ebb_list_filter filter = {cases[i].state, cases[i].workload, cases[i].sort};

		if (ebb_list_select(&fake.look, &snapshot, &filter, &why) != cases[i].r ||
		    snapshot.count != cases[i].count ||
		    (cases[i].said && strcmp(why.text, cases[i].said) != 0))
			fail_msg("%s: %zu rows, '%s'", cases[i].option, snapshot.count, why.text);
		ebb_snapshot_free(&snapshot);
	}
}

static void list_in_json_has_base_units(void **state)
{
	struct ebb_snapshot snapshot;
	json_t *root, *open_row, *closed_row;

	(void)state;
	make_node();
	snapshot = take();
	root = ebb_list_json(&fake.look, &snapshot);
	assert_non_null(root);
	open_row = json_array_get(json_object_get(root, "destinations"), 0);
	closed_row = json_array_get(json_object_get(root, "destinations"), 1);
	assert_string_equal(json_string_value(json_object_get(open_row, "destination")), "10.0.0.9:443/tcp");
	assert_true(json_is_null(json_object_get(open_row, "workload")));
	assert_string_equal(json_string_value(json_object_get(open_row, "state")), "open");
	assert_true(json_is_true(json_object_get(open_row, "refuses")));
	assert_float_equal(json_real_value(json_object_get(open_row, "since_timestamp")), 1700000000.0 - 3.2,
			   0.001);
	assert_float_equal(json_real_value(json_object_get(open_row, "open_until_timestamp")),
			   1700000000.0 + 1.8, 0.002);
	assert_int_equal(json_integer_value(json_object_get(open_row, "failures")), 5);
	assert_string_equal(json_string_value(json_object_get(open_row, "episode")), EPISODE_TEXT);
	assert_true(json_is_null(json_object_get(closed_row, "episode")));
	assert_int_equal(json_integer_value(json_object_get(json_object_get(open_row, "concurrent"),
							    "limit")),
			 64);
	assert_true(json_is_null(json_object_get(closed_row, "open_until_timestamp")));
	assert_float_equal(json_real_value(json_object_get(json_object_get(closed_row, "connect_seconds"),
							   "mean")),
			   0.00068, 0.000001);
	assert_float_equal(json_real_value(json_object_get(json_object_get(closed_row, "window"),
							   "failure_rate")),
			   0, 0);
	json_decref(root);
	ebb_snapshot_free(&snapshot);
}

static void what_is_torn_or_stale_is_left_out(void **state)
{
	struct ebb_snapshot snapshot;

	(void)state;
	make_node();
	fake.pairs[1].gate = DSTS + PAIRS; /* outside */
	fake.pairs[2].dst_epoch = 77;	   /* of an owner that is gone */
	fake.pairs[3].active = UINT64_MAX; /* below zero for a moment */
	fake.kernel.dst_high = fake.kernel.pair_high = UINT32_MAX;
	fake.dsts[5].state = EBB_SLOT_FREE;
	snapshot = take();
	assert_int_equal(snapshot.count, 2);
	assert_int_equal(snapshot.dst_live, 2);
	assert_int_equal(snapshot.rows[0].sums.active, 0);
	ebb_snapshot_free(&snapshot);
}

static void the_overflow_shows_once_it_counts(void **state)
{
	struct ebb_snapshot snapshot;

	(void)state;
	snapshot = take();
	assert_int_equal(snapshot.count, 0);
	ebb_snapshot_free(&snapshot);
	/* whatever it is that it counts: an attempt, an adopted connection, a datagram */
	for (int i = 0; i < 3; i++) {
		fake.pairs[0].attempts = i == 0;
		fake.pairs[0].adopted = i == 1;
		fake.pairs[0].sent_packets = i == 2;
		snapshot = take();
		assert_int_equal(snapshot.count, 1);
		ebb_snapshot_free(&snapshot);
	}
	snapshot = take();
	assert_string_equal(snapshot.rows[0].name, "~other");
	assert_int_equal(snapshot.pair_live, 0);
	ebb_snapshot_free(&snapshot);
}

/* --------------------------------------------------------------- show -- */

static const char *sentence_of(uint32_t dst, uint32_t gate)
{
	static char sentence[512];
	struct ebb_gate_row row;

	ebb_gate_row_read(&fake.look, dst, gate, &row);
	return ebb_gate_sentence(&fake.look, &row, sentence, sizeof(sentence));
}

static void a_sentence_says_why_a_state_is_as_it_is(void **state)
{
	struct ebb_gate *gate = &fake.gates[2];
	struct ebb_policy *policy = &fake.policies[2];

	(void)state;
	add_dst(2, 9);
	assert_string_equal(sentence_of(2, 2), "closed since it was first seen 2m05s ago");
	gate->run = ebb_run_word(0, 1, 3);
	assert_string_equal(sentence_of(2, 2),
			    "closed since it was first seen 2m05s ago; 3 failed in a row by now, it opens at 5");

	move(2, EBB_REASON_FAILURE_RATE, 3200 * MS, NOW + 1800 * MS,
	     (struct ebb_transition){.ok = 4, .failed = 6});
	assert_string_equal(sentence_of(2, 2),
			    "open since 3.20s: 6 of 10 failed in the window; probes begin in 1.80s");

	policy->mode = EBB_MODE_OBSERVE;
	assert_string_equal(sentence_of(2, 2),
			    "open since 3.20s: 6 of 10 failed in the window; probes begin in "
			    "1.80s (observe: nothing is refused)");
	policy->mode = EBB_MODE_ENFORCE;
	fake.agent.heartbeat_ns = NOW - 40 * S;
	assert_string_equal(sentence_of(2, 2),
			    "open since 3.20s: 6 of 10 failed in the window; probes begin in "
			    "1.80s (the agent's lease is over: nothing is refused)");
	policy->on_agent_loss = EBB_LOSS_HOLD;
	assert_string_equal(sentence_of(2, 2),
			    "open since 3.20s: 6 of 10 failed in the window; probes begin in 1.80s");
	policy->on_agent_loss = EBB_LOSS_RELEASE;
	fake.agent.heartbeat_ns = NOW;

	move(2, EBB_REASON_OPEN_EXPIRED, 500 * MS, 0, (struct ebb_transition){});
	gate->probes[0] = ebb_probe_slot_word(2, ebb_ns_to_ticks(NOW + S));
	gate->probes[1] = ebb_probe_slot_word(2, ebb_ns_to_ticks(NOW - S)); /* its lease is over */
	gate->probes[2] = ebb_probe_slot_word(1, ebb_ns_to_ticks(NOW + S)); /* of another time */
	gate->probe_result = ebb_probe_result_word(2, 1, 0);
	assert_string_equal(sentence_of(2, 2),
			    "half_open since 500ms: its time was over; probes: 1 under way, 1 succeeded, 0 failed");

	move(2, EBB_REASON_PROBES_SUCCEEDED, 100 * MS, 0, (struct ebb_transition){.ok = 2});
	assert_string_equal(sentence_of(2, 2), "closed since 100ms: 2 probes succeeded");
	fake.verdicts[2].word = ebb_word(ebb_word_gen(fake.verdicts[2].word), EBB_STATE_CLOSED,
					 ebb_ns_to_ticks(NOW + 15 * S));
	assert_string_equal(sentence_of(2, 2), "closed since 100ms: 2 probes succeeded");
	policy->ramp_ticks = (uint32_t)ebb_ns_to_ticks(20 * S);
	assert_string_equal(sentence_of(2, 2),
			    "closed since 100ms: 2 probes succeeded; it ramps: 25% of new connections are let "
			    "through by now, all in 15.0s");
	policy->ramp_ticks = (uint32_t)ebb_ns_to_ticks(10 * S);
	assert_string_equal(sentence_of(2, 2),
			    "closed since 100ms: 2 probes succeeded; it ramps: 0% of new connections are let "
			    "through by now, all in 15.0s");
	fake.look.now_ns += 15 * S + 2 * MS;
	assert_string_equal(sentence_of(2, 2), "closed since 15.1s: 2 probes succeeded");
	fake.look.now_ns -= 15 * S + 2 * MS;
	policy->ramp_ticks = 0;

	policy->override_state = EBB_OVERRIDE_OPEN;
	assert_string_equal(sentence_of(2, 2),
			    "forced open by uid 0: everything is refused, until it is lifted by "
			    "hand; underneath it is closed");
	policy->override_state = EBB_OVERRIDE_CLOSE;
	policy->override_until_ns = NOW + 300 * S;
	policy->override_uid = 1000;
	assert_string_equal(sentence_of(2, 2),
			    "forced closed by uid 1000: the breaker refuses nothing, for another "
			    "5m00s; underneath it is closed");
	policy->override_until_ns = NOW;
	assert_string_equal(sentence_of(2, 2), "closed since 100ms: 2 probes succeeded");
}

static void what_the_kernel_did_alone_is_seen(void **state)
{
	(void)state;
	add_dst(2, 9);
	/* pulled 1 s ago for the armed 5 s */
	fake.gates[2].pull = ebb_word(1, EBB_STATE_OPEN, ebb_ns_to_ticks(NOW + 4 * S));
	assert_string_equal(sentence_of(2, 2),
			    "open since 1.00s: moved by the kernel, the agent has not looked yet; "
			    "probes begin in 4.00s");
	/* its time is over, and nobody called since */
	fake.gates[2].pull = ebb_word(1, EBB_STATE_OPEN, ebb_ns_to_ticks(NOW - 2 * S));
	assert_string_equal(sentence_of(2, 2),
			    "half_open since 2.00s: its time was over; probes: 0 under way, 0 "
			    "succeeded, 0 failed");
}

static const char *show_text(const char *name)
{
	struct ebb_snapshot snapshot = take();
	struct ebb_why why = {};
	size_t first, count;
	FILE *out = open_text();

	assert_int_equal(ebb_show_find(&snapshot, name, &first, &count, &why), 0);
	assert_int_equal(ebb_show_text(out, &fake.look, &snapshot.rows[first], count), 0);
	assert_int_equal(fclose(out), 0);
	ebb_snapshot_free(&snapshot);
	return text;
}

/* Of an episode only that is told which the agent has told of, and which is certainly not over. */
static void an_episode_is_told_while_it_lasts(void **state)
{
	struct ebb_gate_row row;
	struct ebb_gate *gate = &fake.gates[2];

	(void)state;
	add_dst(2, 9);
	ebb_gate_row_read(&fake.look, 2, 2, &row);
	assert_int_equal(row.episode, 0);
	move(2, EBB_REASON_FAILURE_RATE, 3 * S, NOW + 2 * S, (struct ebb_transition){.failed = 6});
	ebb_gate_row_read(&fake.look, 2, 2, &row);
	assert_true(row.episode == EPISODE);
	/* the kernel alone: its time is over; then more, that nobody has told of */
	gate->pull = ebb_word(2, EBB_STATE_HALF_OPEN, 0);
	ebb_gate_row_read(&fake.look, 2, 2, &row);
	assert_true(row.episode == EPISODE);
	gate->pull = ebb_word(3, EBB_STATE_OPEN, ebb_ns_to_ticks(NOW + 9 * S));
	ebb_gate_row_read(&fake.look, 2, 2, &row);
	assert_int_equal(row.episode, 0);
	/* the agent tells, and then the kernel alone again: it opens, or it closes */
	gate->pull = 0;
	move(2, EBB_REASON_OPEN_EXPIRED, 2 * S, 0, (struct ebb_transition){});
	ebb_gate_row_read(&fake.look, 2, 2, &row);
	assert_true(row.episode == EPISODE);
	gate->pull = ebb_word(3, EBB_STATE_OPEN, ebb_ns_to_ticks(NOW + 9 * S));
	ebb_gate_row_read(&fake.look, 2, 2, &row);
	assert_true(row.episode == EPISODE);
	gate->pull = ebb_word(3, EBB_STATE_CLOSED, 0);
	ebb_gate_row_read(&fake.look, 2, 2, &row);
	assert_int_equal(row.episode, 0);
	/* the agent tells of the end, and the kernel begins another */
	gate->pull = 0;
	move(2, EBB_REASON_PROBES_SUCCEEDED, 1 * S, 0, (struct ebb_transition){.ok = 2});
	ebb_gate_row_read(&fake.look, 2, 2, &row);
	assert_int_equal(row.episode, 0);
	gate->pull = ebb_word(4, EBB_STATE_OPEN, ebb_ns_to_ticks(NOW + 9 * S));
	ebb_gate_row_read(&fake.look, 2, 2, &row);
	assert_int_equal(row.episode, 0);
}

static void show_tells_a_destination_in_full(void **state)
{
	(void)state;
	make_node();
	assert_string_equal(show_text("10.0.0.9:443/tcp"),
			    "10.0.0.9:443/tcp\n"
			    "\n"
			    "  state   open since 3.20s: 5 failures in a row; probes begin in 1.80s\n"
			    "  window  empty\n"
			    "\n"
			    "  limits\n"
			    "    LIMIT       IN FORCE  AVAILABLE      FROM\n"
			    "    concurrent  64        61 (3 in use)  configured\n"
			    "\n"
			    "  transitions\n"
			    "    AT                         AGO  FROM    TO    EPISODE           BECAUSE\n"
			    "    2023-11-14 22:13:16.800  3.20s  closed  open  " EPISODE_TEXT
			    "  5 failures in a row\n"
			    "\n"
			    "  workloads\n"
			    "    WORKLOAD                ACTIVE  CONNECTS  ESTABLISHED  REFUSED  DENIED\n"
			    "    /work.slice/w21\\x1b[2J       0        10            5        5   12345\n"
			    "\n"
			    "  traffic\n"
			    "    WORKLOAD                SENT  RECEIVED  RETRANSMITS\n"
			    "    /work.slice/w21\\x1b[2J  800B         0            0\n"
			    "\n"
			    "  denied, by cause\n"
			    "    WORKLOAD                CAUSE    DENIED\n"
			    "    /work.slice/w21\\x1b[2J  breaker   12345\n"
			    "\n"
			    "  times\n"
			    "    TIME        COUNT  MEAN  P50  P90  P95  P99  MAX\n"
			    "    to connect      0     -    -    -    -    -    -\n"
			    "    round trip      0     -    -    -    -    -    -\n"
			    "    to answer       0     -    -    -    -    -    -\n"
			    "\n"
			    "  settings\n"
			    "    mode        enforce: a refused connect() returns ECONNREFUSED\n"
			    "    breaker     opens at 5 failures in a row, then for 5.00s; at which rates it opens too: 'ebb config show'\n"
			    "    failures    refused, timeout, unreachable, abandoned, reset, unanswered; given up after 1.00s counts as abandoned or unanswered\n"
			    "    black hole  a SYN that is sent again 2 times is a timeout\n"
			    "    probes      3 at once, each for 10.0s; 2 successes close, 2 failures open again\n"
			    "    live        keep: live connections go on when the breaker opens\n"
			    "    agent lost  release: nothing is refused after its lease\n"
			    "    scope       node: one gate for all workloads\n"
			    "    slot        2, epoch 1\n"
			    "    first seen  2023-11-14 22:11:15 (2m05s ago)\n");
}

static void show_tells_each_gate_of_a_destination(void **state)
{
	(void)state;
	make_node();
	assert_string_equal(show_text("10.0.0.10:443"),
			    "10.0.0.10:443/tcp\n"
			    "\n"
			    "  workload  /work.slice/w21\\x1b[2J\n"
			    "  state     closed since it was first seen 1m00s ago\n"
			    "  window    20 succeeded, 0 failed (0%), 0 slow\n"
			    "  limits    none\n"
			    "\n"
			    "  workload  /work.slice/w22\\x1b[2J\n"
			    "  state     closed since it was first seen 1m00s ago\n"
			    "  window    empty\n"
			    "  limits    none\n"
			    "\n"
			    "  workloads\n"
			    "    WORKLOAD                ACTIVE  CONNECTS  ESTABLISHED  CANCELLED  LOCAL  DENIED\n"
			    "    /work.slice/w21\\x1b[2J       3      1234         1230          4      0       0\n"
			    "    /work.slice/w22\\x1b[2J       0         7            0          0      1       0\n"
			    "\n"
			    "  traffic\n"
			    "    WORKLOAD                  SENT  RECEIVED  RETRANSMITS  ADOPTED\n"
			    "    /work.slice/w21\\x1b[2J  1.23MB    45.6GB            3        2\n"
			    "    /work.slice/w22\\x1b[2J       0         0            0        0\n"
			    "\n"
			    "  times\n"
			    "    TIME        COUNT   MEAN    P50    P90     P95     P99     MAX\n"
			    "    to connect    100  680us  210us  224us  4.61ms  5.02ms  5.12ms\n"
			    "    round trip      3  100us  104us  110us   111us   112us   112us\n"
			    "    to answer       0      -      -      -       -       -       -\n"
			    "\n"
			    "  settings\n"
			    "    mode        enforce: a refused connect() returns ECONNREFUSED\n"
			    "    breaker     opens at 5 failures in a row, then for 5.00s; at which rates it opens too: 'ebb config show'\n"
			    "    failures    refused, timeout, unreachable, abandoned, reset, unanswered; given up after 1.00s counts as abandoned or unanswered\n"
			    "    black hole  a SYN that is sent again 2 times is a timeout\n"
			    "    probes      3 at once, each for 10.0s; 2 successes close, 2 failures open again\n"
			    "    live        keep: live connections go on when the breaker opens\n"
			    "    agent lost  release: nothing is refused after its lease\n"
			    "    scope       workload: a gate for each\n"
			    "    slot        1, epoch 1\n"
			    "    first seen  2023-11-14 22:11:15 (2m05s ago)\n");
}

/* With weighting: exponential another one than the counts say: it is what failure_rate is compared with. */
static void the_share_of_failures_is_the_one_that_is_judged(void **state)
{
	struct ebb_memory *memory = &fake.memories[DSTS + 1];
	struct ebb_snapshot snapshot;
	json_t *root, *window;

	(void)state;
	make_node();
	memory->window_failed = 5;
	memory->window_ratio_ppm = 312500;
	assert_non_null(strstr(show_text("10.0.0.10:443"),
			       "  window    20 succeeded, 5 failed (31%), 0 slow\n"));
	assert_non_null(strstr(list_text(&(struct ebb_list_filter){}), "31% of 25"));
	snapshot = take();
	root = ebb_list_json(&fake.look, &snapshot);
	window = json_object_get(json_array_get(json_object_get(root, "destinations"), 1), "window");
	assert_float_equal(json_real_value(json_object_get(window, "failure_rate")), 0.3125, 0);
	json_decref(root);
	ebb_snapshot_free(&snapshot);
}

static void a_workload_that_is_apart_has_a_row_and_a_reason(void **state)
{
	struct ebb_snapshot snapshot;
	const char *shown;

	(void)state;
	add_dst(2, 9);
	add_pair(1, 2, 2, 31);
	add_pair(2, 2, DSTS + 2, 32);
	fake.gates[2].in_use = 7;
	move(DSTS + 2, EBB_REASON_CONSECUTIVE_FAILURES, 3200 * MS, NOW + 1800 * MS,
	     (struct ebb_transition){.run = 5});
	snapshot = take();
	assert_int_equal(snapshot.count, 2);
	assert_int_equal(snapshot.rows[0].aside, 1);
	assert_false(snapshot.rows[0].apart);
	assert_int_equal(snapshot.rows[0].state, EBB_STATE_CLOSED);
	assert_true(snapshot.rows[1].apart);
	assert_int_equal(snapshot.rows[1].state, EBB_STATE_OPEN);
	/* limits and slots are those of the destination */
	assert_int_equal(snapshot.rows[1].kernel.in_use, 7);
	ebb_snapshot_free(&snapshot);
	assert_non_null(strstr(list_text(&(struct ebb_list_filter){}), "closed, 1 apart"));
	shown = show_text("10.0.0.9:443");
	assert_non_null(strstr(shown, "  apart   1 workload, with a breaker of its own, below\n"));
	assert_non_null(strstr(shown,
			       "  apart     all that failed was its own while others were served: it alone is refused\n"));
	assert_non_null(strstr(shown,
			       "  state     open since 3.20s: 5 failures in a row; probes begin in 1.80s\n"));
	assert_non_null(strstr(shown, "    scope       node: one gate for all workloads\n"));
}

/* Also where no workload shares the gate of the destination now. */
static void a_destination_whose_workloads_are_all_apart_has_its_row(void **state)
{
	struct ebb_snapshot snapshot;

	(void)state;
	add_dst(2, 9);
	add_pair(2, 2, DSTS + 2, 32);
	snapshot = take();
	assert_int_equal(snapshot.count, 2);
	assert_null(snapshot.rows[0].workload);
	assert_int_equal(snapshot.rows[0].gate, 2);
	ebb_snapshot_free(&snapshot);
}

/* Two workloads that ask a model: one that is answered late, one that is not always answered. */
static void make_turns(void)
{
	struct ebb_pair *p = &fake.pairs[1];

	make_node();
	fake.agent.turns = 1;
	fake.dsts[1].turn.buckets[ebb_hist_bucket(400000 * UNITS_PER_US)] = 90;
	fake.dsts[1].turn.buckets[ebb_hist_bucket(3000000 * UNITS_PER_US)] = 10;
	fake.dsts[1].turn.sum_units = 66000000 * UNITS_PER_US;
	p->turns[EBB_TURN_ANSWERED] = 90;
	p->turns_slow = 10;
	p->turn_units = 36000000 * UNITS_PER_US;
	p->turn_buckets[ebb_turn_bucket(400000 * UNITS_PER_US)] = 90;
	p = &fake.pairs[2];
	p->turns[EBB_TURN_ANSWERED] = 10;
	p->turns[EBB_TURN_UNANSWERED] = 3;
	p->turns[EBB_TURN_RESET] = 2;
	p->turns[EBB_TURN_CANCELLED] = 1;
	p->turn_units = 30000000 * UNITS_PER_US;
	p->turn_buckets[ebb_turn_bucket(3000000 * UNITS_PER_US)] = 10;
}

static void turns_are_told(void **state)
{
	(void)state;
	make_turns();
	assert_non_null(strstr(status_text(),
			       "\nturns         100 answered, 10 of them slow; 3 unanswered, 2 reset\n"));
	fake.agent.turns = 0;
	assert_non_null(strstr(status_text(), "3 unanswered, 2 reset; not seen any more\n"));
	(void)show_text("10.0.0.10:443");
	assert_non_null(strstr(text,
			       "  turns: from the last byte of a request to the first of its answer\n"
			       "    WORKLOAD                ANSWERED  SLOW  UNANSWERED  RESET  CANCELLED   MEAN    P50    P95    P99\n"
			       "    /work.slice/w21\\x1b[2J        90    10           0      0          0  400ms  393ms  511ms  522ms\n"
			       "    /work.slice/w22\\x1b[2J        10     0           3      2          1  3.00s  3.15s  4.09s  4.17s\n"));
	fake.look.columns = 100;
	assert_non_null(strstr(list_text(&(struct ebb_list_filter){.sort = "turn_p99"}),
			       "DENIED  TURN P50  TURN P99\n"
			       "10.0.0.10:443/tcp"));
	(void)show_text("10.0.0.10:443");
	assert_non_null(strstr(text, "    to answer     100  660ms  430ms  459ms   2.88s   3.09s   3.15s\n"));
}

static void turns_in_json_are_those_of_each_workload(void **state)
{
	struct ebb_snapshot snapshot;
	struct ebb_why why = {};
	json_t *root, *workload, *turns;
	size_t first, count;

	(void)state;
	make_turns();
	snapshot = take();
	assert_int_equal(ebb_show_find(&snapshot, "10.0.0.10:443", &first, &count, &why), 0);
	root = ebb_show_json(&fake.look, &snapshot.rows[first], count);
	workload = json_array_get(json_object_get(root, "workloads"), 1);
	turns = json_object_get(workload, "turns");
	assert_int_equal(json_integer_value(json_object_get(turns, "answered")), 10);
	assert_int_equal(json_integer_value(json_object_get(turns, "unanswered")), 3);
	assert_int_equal(json_integer_value(json_object_get(turns, "reset")), 2);
	assert_int_equal(json_integer_value(json_object_get(turns, "cancelled")), 1);
	assert_int_equal(json_integer_value(json_object_get(turns, "slow")), 0);
	turns = json_object_get(workload, "turn_seconds");
	assert_true(json_real_value(json_object_get(turns, "mean")) == 3);
	json_decref(root);
	root = ebb_list_json(&fake.look, &snapshot);
	workload = json_array_get(json_object_get(root, "destinations"), 1);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(workload, "turns"), "slow")), 10);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(workload, "turn_seconds"),
							    "count")),
			 100);
	json_decref(root);
	ebb_snapshot_free(&snapshot);
}

static void an_unknown_destination_is_told_with_near_names(void **state)
{
	struct ebb_snapshot snapshot;
	struct ebb_why why = {};
	size_t first = 77, count = 77;

	(void)state;
	make_node();
	snapshot = take();
	assert_int_equal(ebb_show_find(&snapshot, "10.0.0.8:443/tcp", &first, &count, &why), -ENOENT);
	assert_string_equal(why.text,
			    "there is no destination '10.0.0.8:443/tcp': did you mean 10.0.0.9:443/tcp, "
			    "10.0.0.10:443/tcp? An address that a rule claims has the rule's name");
	assert_int_equal(ebb_show_find(&snapshot, "[2001:db8::5]:443", &first, &count, &why), -ENOENT);
	assert_string_equal(why.text,
			    "there is no destination '[2001:db8::5]:443': 'ebb list' tells which there are; an "
			    "address that a rule claims has the rule's name");
	assert_int_equal(ebb_show_find(&snapshot, "anthropic", &first, &count, &why), -ENOENT);
	assert_string_equal(why.text,
			    "there is no destination 'anthropic': 'ebb list' tells which there are");
	assert_int_equal(first, 77);
	assert_int_equal(count, 77);
	ebb_snapshot_free(&snapshot);
}

/* What the maps do not hold is to be found by one more command: of a name of the configuration by that name. */
static void show_tells_where_the_rates_stand(void **state)
{
	(void)state;
	make_node();
	assert_non_null(strstr(show_text("10.0.0.9:443/tcp"),
			       "at which rates it opens too: 'ebb config show'\n"));
	fake.memories[2].trips = 81;
	assert_non_null(strstr(show_text("10.0.0.9:443/tcp"),
			       "  trips   81 in a row: each opens for longer, up to open_max\n"));
	fake.names[2] = (struct ebb_name){.epoch = fake.dsts[2].epoch, .flags = EBB_NAME_RULE, .text = "api"};
	assert_non_null(strstr(show_text("api"), "at which rates it opens too: 'ebb config show api'\n"));
}

/* Of three names as long as names can be only the nearest finds room. */
static void near_names_find_room_however_long_they_are(void **state)
{
	struct ebb_snapshot snapshot;
	struct ebb_why why = {};
	size_t first, count;

	(void)state;
	for (uint32_t d = 1; d <= 3; d++) {
		struct ebb_name *name = &fake.names[d];

		(void)add_dst(d, (uint8_t)d);
		name->epoch = fake.dsts[d].epoch;
		memset(name->text, 'b', EBB_NAME_TEXT_MAX - 2);
		name->text[EBB_NAME_TEXT_MAX - 2] = (char)('0' + d);
	}
	snapshot = take();
	assert_int_equal(ebb_show_find(&snapshot, "bbb", &first, &count, &why), -ENOENT);
	assert_non_null(strstr(why.text, "'bbb': did you mean bbbb"));
	assert_non_null(strstr(why.text, "b1?"));
	assert_null(strstr(why.text, "b2"));
	ebb_snapshot_free(&snapshot);
}

static void show_in_json_has_gates_and_workloads(void **state)
{
	struct ebb_snapshot snapshot;
	struct ebb_why why = {};
	size_t first, count;
	json_t *root, *gate, *workload;

	(void)state;
	make_node();
	snapshot = take();
	assert_int_equal(ebb_show_find(&snapshot, "10.0.0.9:443", &first, &count, &why), 0);
	root = ebb_show_json(&fake.look, &snapshot.rows[first], count);
	assert_non_null(root);
	gate = json_array_get(json_object_get(root, "gates"), 0);
	workload = json_array_get(json_object_get(root, "workloads"), 0);
	assert_int_equal(json_array_size(json_object_get(gate, "transitions")), 1);
	assert_string_equal(json_string_value(json_object_get(json_array_get(json_object_get(gate,
											     "transitions"),
									     0),
							      "reason")),
			    "consecutive_failures");
	assert_int_equal(json_integer_value(json_object_get(json_object_get(workload, "outcomes"),
							    "refused")),
			 5);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(workload, "denied"), "breaker")),
			 12345);
	assert_string_equal(json_string_value(json_object_get(workload, "workload")),
			    "/work.slice/w21\\x1b[2J");
	assert_string_equal(json_string_value(json_object_get(json_object_get(root, "policy"), "errno")),
			    "ECONNREFUSED");
	assert_float_equal(json_number_value(json_object_get(json_object_get(root, "policy"),
							     "open_for_seconds")),
			   5.0, 0.001);
	json_decref(root);
	ebb_snapshot_free(&snapshot);
}

static void show_tells_drops_by_cause_and_what_udp_sends(void **state)
{
	struct ebb_pair *p;

	(void)state;
	make_node();
	fake.dsts[2].endpoint.proto = IPPROTO_UDP;
	fake.gates[2].paced = 5;
	p = &fake.pairs[3];
	p->sent_packets = 1234567;
	p->reset = 4;
	p->would_deny[EBB_CAUSE_CONCURRENCY] = 6;
	p->dropped_packets[EBB_DROP_BYTES] = 1500;
	p->dropped_bytes[EBB_DROP_BYTES] = 2250000;
	p->would_drop_packets[EBB_DROP_BREAKER] = 7;
	p->would_drop_bytes[EBB_DROP_BREAKER] = 420;
	(void)show_text("10.0.0.9:443/udp");
	assert_non_null(strstr(text, "  window  empty\n"
				     "  paced   5 connections now\n"));
	assert_non_null(strstr(text,
			       "  traffic\n"
			       "    WORKLOAD                SENT  RECEIVED  RETRANSMITS  DATAGRAMS  RESET BY EBB\n"
			       "    /work.slice/w21\\x1b[2J  800B         -            -    1234567             4\n"
			       "\n"
			       "  denied, by cause\n"
			       "    WORKLOAD                CAUSE        DENIED  WOULD DENY\n"
			       "    /work.slice/w21\\x1b[2J  breaker       12345           0\n"
			       "    /work.slice/w21\\x1b[2J  concurrency       0           6\n"
			       "\n"
			       "  dropped, by cause\n"
			       "    WORKLOAD                CAUSE    DROPPED   BYTES  WOULD DROP  WOULD DROP BYTES\n"
			       "    /work.slice/w21\\x1b[2J  bytes       1500  2.25MB           0                 0\n"
			       "    /work.slice/w21\\x1b[2J  breaker        0       0           7              420B\n"
			       "\n"
			       "  times\n"));
}

/* A number in the object @key of @root, or in @root itself. */
static int64_t number_in(const json_t *root, const char *object, const char *key)
{
	const json_t *value = json_object_get(object ? json_object_get(root, object) : root, key);

	assert_true(json_is_integer(value));
	return json_integer_value(value);
}

/* Each field has a value of its own, beginning at @first. */
static void assert_traffic(const json_t *t, int64_t first)
{
	static const char *const causes[] = {"bytes", "packets", "breaker"};
	static const char *const drops[] = {"dropped_bytes", "dropped_packets", "would_drop_bytes",
					    "would_drop_packets"};

	assert_int_equal(number_in(t, NULL, "sent_bytes"), first);
	assert_int_equal(number_in(t, NULL, "received_bytes"), first + 1);
	assert_int_equal(number_in(t, NULL, "sent_datagrams"), first + 2);
	assert_int_equal(number_in(t, NULL, "retransmits"), first + 3);
	assert_int_equal(number_in(t, NULL, "adopted"), first + 4);
	assert_int_equal(number_in(t, NULL, "reset"), first + 5);
	for (int i = 0; i < 4 * EBB_DROP_MAX; i++)
		assert_int_equal(number_in(t, drops[i / EBB_DROP_MAX], causes[i % EBB_DROP_MAX]),
				 first + 6 + i);
}

static void traffic_in_json_is_complete(void **state)
{
	struct ebb_pair *p = &fake.pairs[3];
	struct ebb_snapshot snapshot;
	json_t *root;

	(void)state;
	make_node();
	memset(fake.pairs + 1, 0, 2 * sizeof(*p));
	fake.gates[2].paced = 5;
	p->sent_bytes = 100;
	p->received_bytes = 101;
	p->sent_packets = 102;
	p->retransmits = 103;
	p->adopted = 104;
	p->reset = 105;
	for (uint64_t d = 0; d < EBB_DROP_MAX; d++) {
		p->dropped_bytes[d] = 106 + d;
		p->dropped_packets[d] = 109 + d;
		p->would_drop_bytes[d] = 112 + d;
		p->would_drop_packets[d] = 115 + d;
	}
	snapshot = take();
	root = ebb_status_json(&fake.look, &snapshot);
	assert_traffic(json_object_get(root, "traffic"), 100);
	json_decref(root);

	root = ebb_show_json(&fake.look, &snapshot.rows[0], 1);
	assert_traffic(json_object_get(json_array_get(json_object_get(root, "workloads"), 0), "traffic"),
		       100);
	assert_traffic(json_object_get(json_array_get(json_object_get(root, "gates"), 0), "traffic"), 100);
	assert_int_equal(number_in(json_array_get(json_object_get(root, "gates"), 0), NULL, "paced"), 5);
	json_decref(root);
	ebb_snapshot_free(&snapshot);
}

static void only_the_last_transitions_are_kept_in_their_order(void **state)
{
	(void)state;
	add_dst(2, 9);
	add_pair(1, 2, 2, 21);
	move(2, EBB_REASON_CONSECUTIVE_FAILURES, 50 * S, NOW - 45 * S, (struct ebb_transition){.run = 5});
	move(2, EBB_REASON_OPEN_EXPIRED, 45 * S, 0, (struct ebb_transition){});
	move(2, EBB_REASON_PROBES_FAILED, 40 * S, NOW - 30 * S, (struct ebb_transition){.failed = 2});
	move(2, EBB_REASON_OPEN_EXPIRED, 30 * S, 0, (struct ebb_transition){});
	move(2, EBB_REASON_PROBES_SUCCEEDED, 20 * S, 0, (struct ebb_transition){.ok = 2});
	(void)show_text("10.0.0.9:443");
	assert_non_null(strstr(text,
			       "  last 4 of 5 transitions\n"
			       "    AT                         AGO  FROM       TO         EPISODE           BECAUSE\n"
			       "    2023-11-14 22:12:35.000  45.0s  open       half_open  " EPISODE_TEXT
			       "  its time was over\n"
			       "    2023-11-14 22:12:40.000  40.0s  half_open  open       " EPISODE_TEXT
			       "  2 probes failed\n"
			       "    2023-11-14 22:12:50.000  30.0s  open       half_open  " EPISODE_TEXT
			       "  its time was over\n"
			       "    2023-11-14 22:13:00.000  20.0s  half_open  closed     " EPISODE_TEXT
			       "  2 probes succeeded\n"));
}

/* ------------------------------------------------------------- limits -- */

static struct ebb_limit read_limit(uint32_t kind, const char *limit_text)
{
	struct ebb_limit limit;

	assert_int_equal(ebb_limit_parse(limit_text, kind, &limit, NULL), 0);
	return limit;
}

/* Configured: 5 MB/s, 20 connections a second, 64 at once. By hand for another 10 min: 10 MB/s, and no cap. */
static void make_limits(void)
{
	struct ebb_limits change = {.given = (1U << EBB_LIMIT_BYTES) | EBB_GIVEN_CONCURRENT};
	struct ebb_policy *policy = &fake.policies[2];

	make_node();
	policy->limits.bucket[EBB_LIMIT_BYTES] = read_limit(EBB_LIMIT_BYTES, "5MB/s");
	policy->limits.bucket[EBB_LIMIT_CONNECTS] = read_limit(EBB_LIMIT_CONNECTS, "20/s,burst=40");
	change.bucket[EBB_LIMIT_BYTES] = read_limit(EBB_LIMIT_BYTES, "10MB/s,burst=2MB");
	ebb_limits_give(policy, &change, NOW + 600 * S, 1000, NOW);
	fake.gates[2].full_ns[EBB_LIMIT_BYTES] = NOW + 50 * MS; /* 500 kB are missing */
	fake.gates[2].full_ns[EBB_LIMIT_CONNECTS] = NOW + S;	/* 20 of 40 */
}

static const char *limits_cell(void)
{
	static char cell[EBB_LIMITS_CELL_MAX];
	struct ebb_gate_row row;

	ebb_gate_row_read(&fake.look, 2, 2, &row);
	return ebb_limits_cell(&fake.look, &row, cell, sizeof(cell));
}

static void limits_are_listed_with_a_star_where_given_by_hand(void **state)
{
	(void)state;
	make_limits();
	assert_string_equal(limits_cell(), "bytes=10MB/s* connects=20/s concurrent=none*");
	fake.look.now_ns = NOW + 600 * S;
	fake.agent.heartbeat_ns = fake.look.now_ns;
	assert_string_equal(limits_cell(), "bytes=5MB/s connects=20/s concurrent=3/64");
	memset(&fake.policies[2].limits, 0, sizeof(fake.policies[2].limits));
	assert_string_equal(limits_cell(), "-");
}

/* What is configured is refused by nobody after the lease; what was given by hand goes on. */
static void limits_go_with_the_lease_unless_given_by_hand(void **state)
{
	(void)state;
	make_limits();
	fake.agent.heartbeat_ns = NOW - 31 * S;
	assert_string_equal(limits_cell(), "bytes=10MB/s* concurrent=none*");
	fake.policies[2].on_agent_loss = EBB_LOSS_HOLD;
	assert_string_equal(limits_cell(), "bytes=10MB/s* connects=20/s concurrent=none*");
}

static void show_tells_limits_where_from_and_what_is_left(void **state)
{
	(void)state;
	make_limits();
	(void)show_text("10.0.0.9:443/tcp");
	assert_non_null(strstr(text,
			       "  limits\n"
			       "    LIMIT       IN FORCE          AVAILABLE  FROM\n"
			       "    bytes       10MB/s burst 2MB  1.50MB     by hand by uid 1000, for another 10m00s; "
			       "configured: 5MB/s burst 1.25MB\n"
			       "    connects    20/s burst 40     20         configured\n"
			       "    concurrent  none              -          by hand by uid 1000, for another 10m00s; "
			       "configured: 64\n"
			       "\n"));
	fake.policies[2].by_hand_until_ns = 0;
	fake.policies[2].mode = EBB_MODE_OBSERVE;
	fake.policies[2].established = EBB_ESTABLISHED_DROP;
	(void)show_text("10.0.0.9:443/tcp");
	assert_non_null(strstr(text, "\n  limits (observe: nothing is refused or dropped, only counted)\n"));
	assert_non_null(strstr(text, "by hand by uid 1000, until it is cleared; configured: 64\n"));
	assert_non_null(strstr(text, "    live        drop: what live connections send is dropped while the "
				     "breaker is open\n"));
}

static void limits_in_json_have_numbers(void **state)
{
	struct ebb_snapshot snapshot;
	json_t *root, *limits, *wanted;

	(void)state;
	make_limits();
	snapshot = take();
	root = ebb_show_json(&fake.look, &snapshot.rows[0], 1);
	assert_non_null(root);
	limits = json_object_get(json_array_get(json_object_get(root, "gates"), 0), "limits");
	wanted =
		json_pack("{s:{s:f, s:i, s:f, s:b, s:i, s:f}, s:{s:n, s:n, s:n, s:b, s:n, s:n}, s:{s:f, s:i, s:f, s:b, s:n, "
			  "s:n}, s:{s:n, s:i, s:n, s:b, s:i, s:f}}",
			  "bytes", "rate_per_second", 1e7, "burst", 2000000, "available", 1500000.0,
			  "by_hand", 1, "uid", 1000, "until_timestamp", 1700000600.0, "packets",
			  "rate_per_second", "burst", "available", "by_hand", 0, "uid", "until_timestamp",
			  "connects", "rate_per_second", 20.0, "burst", 40, "available", 20.0, "by_hand", 0,
			  "uid", "until_timestamp", "concurrent", "limit", "in_use", 3, "available",
			  "by_hand", 1, "uid", 1000, "until_timestamp", 1700000600.0);
	assert_non_null(wanted);
	assert_true(json_equal(limits, wanted));
	json_decref(wanted);
	limits = json_object_get(json_object_get(root, "policy"), "limits");
	wanted = json_pack("{s:{s:f, s:i}, s:n, s:{s:f, s:i}, s:i}", "bytes", "rate_per_second", 5e6, "burst",
			   1250000, "packets", "connects", "rate_per_second", 20.0, "burst", 40, "concurrent",
			   64);
	assert_non_null(wanted);
	assert_true(json_equal(limits, wanted));
	json_decref(wanted);
	json_decref(root);
	ebb_snapshot_free(&snapshot);
}

static const char *said_after_a_change(void)
{
	struct ebb_gate_row row;
	FILE *out = open_text();

	ebb_gate_row_read(&fake.look, 2, 2, &row);
	ebb_limits_say(out, &fake.look, row.name, &row.policy);
	assert_int_equal(fclose(out), 0);
	return text;
}

static void a_change_is_answered_with_what_is_in_force(void **state)
{
	(void)state;
	make_limits();
	assert_string_equal(said_after_a_change(),
			    "10.0.0.9:443/tcp: bytes 10MB/s burst 2MB (by hand), connects 20/s burst 40 "
			    "(configured), concurrent none (by hand); by hand until 2023-11-14 22:23:20 (10m00s)\n");
	fake.policies[2].by_hand_until_ns = 0;
	assert_string_equal(said_after_a_change(),
			    "10.0.0.9:443/tcp: bytes 10MB/s burst 2MB (by hand), connects 20/s burst 40 "
			    "(configured), concurrent none (by hand); by hand until it is cleared\n");
	ebb_limits_take_back(&fake.policies[2]);
	assert_string_equal(said_after_a_change(),
			    "10.0.0.9:443/tcp: bytes 5MB/s burst 1.25MB (configured), connects 20/s burst 40 "
			    "(configured), concurrent 64 (configured); nothing by hand\n");
	memset(&fake.policies[2].limits, 0, sizeof(fake.policies[2].limits));
	assert_string_equal(said_after_a_change(), "10.0.0.9:443/tcp: no limit; nothing by hand\n");
}

/* ---------------------------------------------------------- node fuse -- */

static void blow(uint32_t fuse)
{
	fake.agent.fuse = fake.agent.fuse_action = fuse;
	fake.agent.fuse_since_ns = NOW - 12 * S;
	fake.agent.fuse_open = 5;
	fake.agent.fuse_acted = 1;
}

static const char *fuse_text(void)
{
	FILE *out = open_text();

	assert_int_equal(ebb_fuse_text(out, &fake.look), 0);
	assert_int_equal(fclose(out), 0);
	return text;
}

static void fuse_is_shown_as_the_destination_node(void **state)
{
	(void)state;
	make_node();
	assert_string_equal(fuse_text(),
			    "~node\n"
			    "  node fuse  does not act: 1 of 8 active destinations open, 30 results in 10.0s\n"
			    "  counts     active destinations that a rule names or two workloads use\n"
			    "  action     shed\n"
			    "  acts       when of at least 4 active destinations 50% are open, and 50 results came\n"
			    "  ends       when less than 25% were open for 10.0s\n"
			    "  exempt     nothing\n"
			    "  acted      never\n");
	blow(EBB_FUSE_SHED);
	fake.policies[1].fuse_exempt = fake.policies[2].fuse_exempt = 1;
	assert_string_equal(fuse_text(),
			    "~node\n"
			    "  node fuse  sheds since 12.0s: 5 of 8 active destinations open, 30 results in 10.0s\n"
			    "  counts     active destinations that a rule names or two workloads use\n"
			    "  action     shed\n"
			    "  acts       when of at least 4 active destinations 50% are open, and 50 results came\n"
			    "  ends       when less than 25% were open for 10.0s\n"
			    "  exempt     10.0.0.10:443/tcp, 10.0.0.9:443/tcp\n"
			    "  acted      1 time, the last change at 2023-11-14 22:13:08 (12.0s ago)\n");
	/* nobody renews it */
	fake.agent.heartbeat_ns = NOW - 31 * S;
	assert_non_null(strstr(fuse_text(), "does not act: the agent's lease is over\n"));
	fake.agent.fuse_action = EBB_FUSE_OFF;
	assert_non_null(strstr(fuse_text(), "no agent has looked yet\n"));
}

static void fuse_has_a_row_while_it_acts(void **state)
{
	(void)state;
	make_node();
	assert_null(strstr(list_text(&(struct ebb_list_filter){}), "~node"));
	blow(EBB_FUSE_RELEASE);
	assert_non_null(strstr(list_text(&(struct ebb_list_filter){}),
			       "\n~node              -                       -        release  12.0s "));
}

static void fuse_in_json_says_the_same(void **state)
{
	json_t *root;

	(void)state;
	make_node();
	blow(EBB_FUSE_SHED);
	fake.policies[2].fuse_exempt = 1;
	root = ebb_fuse_json(&fake.look);
	assert_string_equal(json_string_value(json_object_get(root, "destination")), "~node");
	assert_true(json_is_true(json_object_get(root, "acts")));
	assert_string_equal(json_string_value(json_object_get(root, "action")), "shed");
	assert_int_equal(json_integer_value(json_object_get(root, "open")), 5);
	assert_int_equal(json_integer_value(json_object_get(root, "active")), 8);
	assert_int_equal(json_integer_value(json_object_get(root, "results")), 30);
	assert_true(json_real_value(json_object_get(root, "open_ratio")) == 0.5);
	assert_int_equal(json_array_size(json_object_get(root, "exempt")), 1);
	json_decref(root);
	fake.agent.fuse = EBB_FUSE_OFF;
	root = ebb_fuse_json(&fake.look);
	assert_true(json_is_false(json_object_get(root, "acts")));
	json_decref(root);
}

/* Whether connects are refused is what an operator asks first. */
static void gate_refuses_as_the_fuse_has_it(void **state)
{
	static const struct {
		uint32_t fuse, state, override, exempt;
		bool refuses;
	} cases[] = {
		{EBB_FUSE_ALERT, EBB_STATE_OPEN, EBB_OVERRIDE_AUTO, 0, true},
		{EBB_FUSE_ALERT, EBB_STATE_CLOSED, EBB_OVERRIDE_AUTO, 0, false},
		{EBB_FUSE_RELEASE, EBB_STATE_OPEN, EBB_OVERRIDE_AUTO, 0, false},
		{EBB_FUSE_RELEASE, EBB_STATE_OPEN, EBB_OVERRIDE_OPEN, 0, true},
		{EBB_FUSE_SHED, EBB_STATE_CLOSED, EBB_OVERRIDE_AUTO, 0, true},
		{EBB_FUSE_SHED, EBB_STATE_CLOSED, EBB_OVERRIDE_CLOSE, 0, true},
		{EBB_FUSE_SHED, EBB_STATE_CLOSED, EBB_OVERRIDE_AUTO, 1, false},
		{EBB_FUSE_SHED, EBB_STATE_OPEN, EBB_OVERRIDE_AUTO, 1, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct ebb_gate_row row = {.mode = EBB_MODE_ENFORCE,
						 .leased = true,
						 .fuse = cases[i].fuse,
						 .state = cases[i].state,
						 .override = cases[i].override,
						 .policy.fuse_exempt = cases[i].exempt};

		assert_int_equal(ebb_gate_refuses(&row), cases[i].refuses);
	}
}

/* -------------------------------------------------------------- watch -- */

static const char *poll_text(struct ebb_watch *watch)
{
	FILE *out = open_text();

	fake.look.now_ns += 200 * MS;
	fake.look.realtime_ns += 200 * (int64_t)MS;
	assert_int_equal(ebb_watch_poll(watch, &fake.look, out), 0);
	assert_int_equal(fclose(out), 0);
	return text;
}

static struct ebb_watch *make_watch(bool json)
{
	struct ebb_watch *watch = NULL;

	assert_int_equal(ebb_watch_new(&fake.look, json, &watch), 0);
	return watch;
}

static void watch_tells_when_the_fuse_acts_and_ends(void **state)
{
	struct ebb_watch *watch;

	(void)state;
	make_node();
	watch = make_watch(false);
	blow(EBB_FUSE_SHED);
	assert_non_null(strstr(poll_text(watch),
			       "  ~node                       fuse       sheds since 12.2s: 5 of 8"));
	assert_string_equal(poll_text(watch), "");
	fake.agent.fuse = EBB_FUSE_OFF;
	assert_non_null(strstr(poll_text(watch),
			       "  ~node                       fuse       does not act: 5 of 8"));
	assert_string_equal(poll_text(watch), "");
	ebb_watch_free(watch);
}

static void watch_tells_only_what_changed(void **state)
{
	struct ebb_watch *watch;

	(void)state;
	make_node();
	watch = make_watch(false);
	assert_string_equal(poll_text(watch), "");

	fake.pairs[1].outcomes[EBB_OUTCOME_REFUSED] += 12;
	fake.pairs[1].outcomes[EBB_OUTCOME_TIMEOUT] += 1;
	fake.pairs[1].outcomes[EBB_OUTCOME_ESTABLISHED] += 3; /* no failure */
	fake.pairs[1].outcomes[EBB_OUTCOME_CANCELLED] += 3;
	fake.pairs[3].denied[EBB_CAUSE_BREAKER] += 40;
	fake.pairs[3].would_deny[EBB_CAUSE_HALF_OPEN] += 2;
	fake.pairs[3].dropped_packets[EBB_DROP_PACKETS] += 7;
	fake.pairs[3].dropped_packets[EBB_DROP_BREAKER] += 2;
	fake.pairs[3].would_drop_packets[EBB_DROP_BYTES] += 9;
	assert_string_equal(poll_text(watch),
			    "22:13:20.400  10.0.0.9:443/tcp            denied     +40 breaker\n"
			    "22:13:20.400  10.0.0.9:443/tcp            would      +2 half_open\n"
			    "22:13:20.400  10.0.0.9:443/tcp            dropped    +7 packets over the limit of packets, "
			    "+2 packets to an open breaker\n"
			    "22:13:20.400  10.0.0.9:443/tcp            would      drop +9 packets over the limit of bytes\n"
			    "22:13:20.400  10.0.0.10:443/tcp           failed     +12 refused, +1 timeout (/work.slice/w21\\x1b[2J)\n");
	assert_string_equal(poll_text(watch), "");
	ebb_watch_free(watch);
}

/* A line a second for each, or what moves drowns; at the end nothing is left out. */
static void watch_tells_counts_once_a_second(void **state)
{
	struct ebb_watch *watch;
	FILE *out;

	(void)state;
	make_node();
	watch = make_watch(false);
	for (int i = 0; i < 4; i++) {
		fake.pairs[3].denied[EBB_CAUSE_BREAKER] += 10;
		assert_string_equal(poll_text(watch),
				    i ? ""
				      : "22:13:20.200  10.0.0.9:443/tcp            denied     +10 breaker\n");
	}
	/* a success ends no second, and needs no line */
	fake.pairs[1].outcomes[EBB_OUTCOME_ESTABLISHED]++;
	assert_string_equal(poll_text(watch), "");
	fake.pairs[1].outcomes[EBB_OUTCOME_REFUSED]++;
	assert_string_equal(poll_text(watch),
			    "22:13:21.200  10.0.0.9:443/tcp            denied     +30 breaker\n"
			    "22:13:21.200  10.0.0.10:443/tcp           failed     +1 refused (/work.slice/w21\\x1b[2J)\n");
	/* what was counted before something moves is told with it */
	fake.pairs[3].denied[EBB_CAUSE_BREAKER] += 3;
	move(2, EBB_REASON_OPEN_EXPIRED, 0, 0, (struct ebb_transition){});
	fake.memories[2].last[1].at_ns = NOW + 1300 * MS;
	assert_string_equal(poll_text(watch),
			    "22:13:21.300  10.0.0.9:443/tcp            half_open  was open: its time was over; episode " EPISODE_TEXT
			    "\n"
			    "22:13:21.400  10.0.0.9:443/tcp            denied     +3 breaker\n");
	fake.pairs[3].denied[EBB_CAUSE_HALF_OPEN] += 2;
	assert_string_equal(poll_text(watch), "");
	out = open_text();
	assert_int_equal(ebb_watch_finish(watch, &fake.look, out), 0);
	assert_int_equal(fclose(out), 0);
	assert_string_equal(text, "22:13:21.600  10.0.0.9:443/tcp            denied     +2 half_open\n");
	ebb_watch_free(watch);
}

static void watch_tells_cause_move_and_consequence_in_the_order_of_time(void **state)
{
	struct ebb_watch *watch;

	(void)state;
	make_node();
	watch = make_watch(false);
	add_dst(3, 77);
	fake.dsts[3].created_ns = NOW + 50 * MS;
	add_pair(4, 3, 3, 22)->outcomes[EBB_OUTCOME_REFUSED] = 5;
	fake.pairs[4].denied[EBB_CAUSE_BREAKER] = 9;
	move(3, EBB_REASON_CONSECUTIVE_FAILURES, 0, NOW + 5 * S,
	     (struct ebb_transition){.failed = 5, .run = 5});
	fake.memories[3].last[0].at_ns = NOW + 120 * MS;
	/* what others do meanwhile stands where its time is */
	move(2, EBB_REASON_OPEN_EXPIRED, 0, 0, (struct ebb_transition){});
	fake.memories[2].last[1].at_ns = NOW + 150 * MS;
	fake.pairs[3].denied[EBB_CAUSE_HALF_OPEN] += 2;
	assert_string_equal(poll_text(watch),
			    "22:13:20.050  10.0.0.77:443/tcp           new        first connection\n"
			    "22:13:20.120  10.0.0.77:443/tcp           failed     +5 refused\n"
			    "22:13:20.120  10.0.0.77:443/tcp           open       was closed: 5 failures in a row; probes begin at "
			    "22:13:25.000; episode " EPISODE_TEXT "\n"
			    "22:13:20.150  10.0.0.9:443/tcp            half_open  was open: its time was over; episode " EPISODE_TEXT
			    "\n"
			    "22:13:20.200  10.0.0.9:443/tcp            denied     +2 half_open\n"
			    "22:13:20.200  10.0.0.77:443/tcp           denied     +9 breaker\n");
	assert_string_equal(poll_text(watch), "");
	ebb_watch_free(watch);
}

static void watch_tells_a_slot_with_a_new_owner_anew(void **state)
{
	struct ebb_watch *watch;

	(void)state;
	make_node();
	watch = make_watch(false);
	fake.dsts[2].state = EBB_SLOT_RETIRING;
	assert_string_equal(poll_text(watch), "");
	fake.dsts[2].state = EBB_SLOT_LIVE; /* it was used again before it was taken back */
	assert_string_equal(poll_text(watch), "");

	memset(&fake.memories[2], 0, sizeof(fake.memories[2]));
	memset(&fake.verdicts[2], 0, sizeof(fake.verdicts[2]));
	add_dst(2, 55);
	add_pair(3, 2, 2, 22)->outcomes[EBB_OUTCOME_REFUSED] = 2;
	assert_string_equal(poll_text(watch),
			    "22:13:20.600  10.0.0.55:443/tcp           new        first connection\n"
			    "22:13:20.600  10.0.0.55:443/tcp           failed     +2 refused\n");
	ebb_watch_free(watch);
}

static void watch_tells_the_agent_lost_and_back(void **state)
{
	struct ebb_watch *watch;

	(void)state;
	watch = make_watch(false);
	fake.agent.heartbeat_ns = fake.look.now_ns - 4 * S;
	assert_string_equal(poll_text(watch),
			    "22:13:20.200  -                           agent      silent; its lease holds\n");
	fake.agent.heartbeat_ns = fake.look.now_ns - 40 * S;
	assert_string_equal(poll_text(watch),
			    "22:13:20.400  -                           agent      dead; its lease is over\n");
	fake.agent.heartbeat_ns = fake.look.now_ns;
	fake.agent.run_id++;
	assert_string_equal(poll_text(watch),
			    "22:13:20.600  -                           agent      running\n");
	fake.agent.heartbeat_ns = fake.look.now_ns;
	fake.agent.run_id++;
	assert_string_equal(poll_text(watch),
			    "22:13:20.800  -                           agent      running, restarted\n");
	ebb_watch_free(watch);
}

static void watch_tells_what_the_kernel_did_without_an_agent(void **state)
{
	struct ebb_watch *watch;

	(void)state;
	add_dst(2, 9);
	fake.agent.heartbeat_ns = NOW - 10 * S;
	watch = make_watch(false);
	fake.gates[2].pull = ebb_word(1, EBB_STATE_OPEN, ebb_ns_to_ticks(NOW + 5 * S));
	assert_string_equal(poll_text(watch),
			    "22:13:20.200  10.0.0.9:443/tcp            open       was closed: "
			    "moved by the kernel, without the agent\n");
	assert_string_equal(poll_text(watch), "");
	ebb_watch_free(watch);
}

/* The look falls between the kernel's pull and the agent's word about it. */
static void watch_waits_a_look_for_why_the_kernel_moved(void **state)
{
	struct ebb_watch *watch;

	(void)state;
	add_dst(2, 9);
	add_pair(3, 2, 2, 21);
	watch = make_watch(false);
	fake.pairs[3].outcomes[EBB_OUTCOME_REFUSED] = 5;
	fake.gates[2].pull = ebb_word(1, EBB_STATE_OPEN, ebb_ns_to_ticks(NOW + 5 * S));
	assert_string_equal(poll_text(watch), "");
	move(2, EBB_REASON_CONSECUTIVE_FAILURES, 0, NOW + 5 * S,
	     (struct ebb_transition){.failed = 5, .run = 5});
	fake.memories[2].last[0].at_ns = NOW + 190 * MS;
	assert_string_equal(poll_text(watch),
			    "22:13:20.190  10.0.0.9:443/tcp            failed     +5 refused\n"
			    "22:13:20.190  10.0.0.9:443/tcp            open       was closed: 5 failures in a row; probes begin at "
			    "22:13:25.000; episode " EPISODE_TEXT "\n");
	ebb_watch_free(watch);
}

static void watch_in_json_is_an_object_on_a_line(void **state)
{
	struct ebb_watch *watch;
	size_t lines = 0;
	char *rest = NULL;

	(void)state;
	make_node();
	watch = make_watch(true);
	add_dst(3, 77);
	add_pair(4, 3, 3, 22)->outcomes[EBB_OUTCOME_REFUSED] = 5;
	fake.pairs[4].denied[EBB_CAUSE_BREAKER] = 9;
	fake.pairs[4].dropped_packets[EBB_DROP_BYTES] = 3;
	fake.dsts[3].created_ns = NOW + 50 * MS;
	move(3, EBB_REASON_CONSECUTIVE_FAILURES, 0, NOW + 5 * S,
	     (struct ebb_transition){.failed = 5, .run = 5});
	fake.memories[3].last[0].at_ns = NOW + 120 * MS;
	fake.agent.heartbeat_ns = 0;
	(void)poll_text(watch);
	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		static const char *const events[] = {"new_destination", "failures", "transition",
						     "agent",		"denials",  "drops"};
		json_t *object = json_loads(line, 0, NULL);

		assert_non_null(object);
		assert_true(lines < 6);
		assert_string_equal(json_string_value(json_object_get(object, "event")), events[lines]);
		assert_true(json_is_real(json_object_get(object, "timestamp")));
		if (lines != 3)
			assert_string_equal(json_string_value(json_object_get(object, "destination")),
					    "10.0.0.77:443/tcp");
		if (lines == 2)
			assert_string_equal(json_string_value(json_object_get(object, "to")), "open");
		if (lines == 5)
			assert_int_equal(json_integer_value(json_object_get(json_object_get(object,
											    "packets"),
									    "bytes")),
					 3);
		json_decref(object);
		lines++;
	}
	assert_int_equal(lines, 6);
	ebb_watch_free(watch);
}

/* ------------------------------------------------------------- doctor -- */

static void make_features(struct ebb_feature_result features[EBB_FEATURE_MAX])
{
	for (int i = 0; i < EBB_FEATURE_MAX; i++)
		features[i] = (struct ebb_feature_result){.name = "thing",
							  .help = "something",
							  .remedy = "do this",
							  .required = i != EBB_FEATURE_SET_RETVAL,
							  .present = true};
}

static void doctor_says_what_to_do(void **state)
{
	struct ebb_feature_result features[EBB_FEATURE_MAX];
	struct ebb_node_facts facts = {.mount = "/sys/fs/cgroup", .jit = 1};
	json_t *root;
	FILE *out;

	(void)state;
	make_features(features);
	out = open_text();
	assert_int_equal(ebb_doctor_text(out, features, &facts, 0), 0);
	assert_int_equal(fclose(out), 0);
	assert_true(ebb_doctor_fit(features));
	assert_non_null(strstr(text, "\nEverything is here.\n"));
	assert_non_null(strstr(text, "cgroup2       /sys/fs/cgroup (pure)\n"));

	features[EBB_FEATURE_SET_RETVAL].present = false;
	features[EBB_FEATURE_SET_RETVAL].error = -EINVAL;
	out = open_text();
	assert_int_equal(ebb_doctor_text(out, features, &facts, 0), 0);
	assert_int_equal(fclose(out), 0);
	assert_true(ebb_doctor_fit(features));
	assert_non_null(strstr(text, "What to do:\n  thing (Invalid argument): do this\n"));
	assert_non_null(strstr(text, "returns ECONNREFUSED, whatever is configured"));

	/* who may not even ask is told that alone */
	features[EBB_FEATURE_BPF].present = false;
	features[EBB_FEATURE_BPF].error = -EPERM;
	out = open_text();
	assert_int_equal(ebb_doctor_text(out, features, &facts, 0), 0);
	assert_int_equal(fclose(out), 0);
	assert_non_null(strstr(text,
			       "What to do:\n  thing (Operation not permitted): do this\n  then ask again"));
	assert_null(strstr(text, "Invalid argument"));
	features[EBB_FEATURE_BPF].present = true;

	features[EBB_FEATURE_BTF].present = false;
	assert_false(ebb_doctor_fit(features));
	root = ebb_doctor_json(features, &facts);
	assert_non_null(root);
	assert_true(json_is_false(json_object_get(root, "fit")));
	assert_string_equal(json_string_value(json_object_get(root, "refusal")), "rewritten_address");
	json_decref(root);
}

/* ---------------------------------------------------------------- run -- */

static struct ebb_agent_options run_options;
static struct ebb_run_sources run_sources;
static struct ebb_config *run_config;
static struct ebb_problems run_problems;

static enum ebb_exit read_options(const struct ebb_args *args)
{
	return ebb_run_options(args, &run_sources, &run_config, &run_options, &run_problems) == 0
		       ? EBB_EXIT_DONE
		       : EBB_EXIT_USAGE;
}

static const struct ebb_option options[] = {
	EBB_OPTION_PIN,
	{"config", "F", NULL, "", 0},
	{"mode", "M", "observe", "", 0},
	{"cgroup", "P", "auto", "", 0},
	{"listen", "A", "127.0.0.1:9478", "", 0},
	{"breaker", "K", NULL, "", 0},
	{"bytes", "L", "none", "", 0},
	{"packets", "L", "none", "", 0},
	{"connects", "L", "none", "", 0},
	{"concurrent", "N", "none", "", 0},
	{"scope", "S", "node", "", 0},
	{"established", "W", "keep", "", 0},
	{"adopt", "W", "on", "", 0},
	{"errno", "N", "econnrefused", "", 0},
	{"lease", "T", "30s", "", 0},
	{"on-agent-loss", "W", "release", "", 0},
	{"on-exit", "W", "keep", "", 0},
	{"shutdown-timeout", "T", "30s", "", 0},
	{"destinations", "N", "4096", "", 0},
	{"pairs", "N", "16384", "", 0},
	{"endpoints", "N", "65536", "", 0},
	{"idle", "TIME", "10m", "", 0},
	{"scheduling", "POLICY", "rr", "", 0},
	{"seed", "N", NULL, "", 0},
	{"no-set-retval", NULL, NULL, "", 0},
	{"no-sock-destroy", NULL, NULL, "", 0},
	EBB_OPTIONS_END,
};

static const struct ebb_command commands[] = {
	{"run", NULL, "", NULL, options, read_options, NULL},
	{NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

static enum ebb_exit run_with(const char *option)
{
	char program[] = "ebb", command[] = "run", argument[128];
	char *argv[] = {program, command, argument};

	(void)snprintf(argument, sizeof(argument), "%s", option ? option : "");
	ebb_config_free(run_config);
	run_config = NULL;
	/* whatever this machine has in /etc, and those who run the tests in the environment */
	assert_int_equal(unsetenv("EBB_BUILD"), 0);
	assert_int_equal(unsetenv("EBB_REQUIRE"), 0);
	assert_int_equal(setenv("EBB_CONFIG", "/dev/null", 1), 0);
	return ebb_cli_main(commands, option ? 3 : 2, argv);
}

static void run_has_safe_defaults(void **state)
{
	(void)state;
	assert_int_equal(run_with(NULL), EBB_EXIT_DONE);
	assert_int_equal(run_config->defaults.mode, EBB_MODE_OBSERVE);
	assert_int_equal(run_config->defaults.errno_code, EBB_ERRNO_CONNREFUSED);
	assert_int_equal(run_config->defaults.on_agent_loss, EBB_LOSS_RELEASE);
	assert_int_equal(run_config->lease_ns, 30 * S);
	assert_int_equal(run_config->shutdown_timeout_ns, 30 * S);
	assert_int_equal(run_config->cap_destinations, 4096);
	assert_int_equal(run_config->cap_pairs, 16384);
	assert_int_equal(run_config->cap_endpoints, 65536);
	assert_int_equal(run_config->idle_ns, 600000000000ULL);
	assert_int_equal(run_config->scheduling, EBB_SCHEDULING_RR);
	assert_int_equal(run_config->defaults.limits.concurrent, 0);
	for (int kind = 0; kind < EBB_LIMIT_MAX; kind++)
		assert_int_equal(run_config->defaults.limits.bucket[kind].per_hour, 0);
	assert_int_equal(run_config->defaults.scope, EBB_SCOPE_NODE);
	assert_int_equal(run_config->adopt, 1);
	assert_int_equal(run_config->defaults.established, EBB_ESTABLISHED_KEEP);
	assert_int_equal(run_config->defaults.breaker.consecutive_failures, 5);
	assert_false(run_config->on_exit_detach);
	assert_false(run_options.no_set_retval);
	assert_false(run_options.no_sock_destroy);
	assert_false(run_options.seed_given);
	assert_string_equal(run_options.pin_dir, "/sys/fs/bpf/ebb");
}

static void run_takes_what_it_is_given(void **state)
{
	(void)state;
	assert_int_equal(run_with("--mode=enforce"), EBB_EXIT_DONE);
	assert_int_equal(run_config->defaults.mode, EBB_MODE_ENFORCE);
	assert_int_equal(run_with("--adopt=off"), EBB_EXIT_DONE);
	assert_int_equal(run_config->adopt, 0);
	assert_int_equal(run_with("--established=drop"), EBB_EXIT_DONE);
	assert_int_equal(run_config->defaults.established, EBB_ESTABLISHED_DROP);
	assert_int_equal(run_with("--established=reset"), EBB_EXIT_DONE);
	assert_int_equal(run_config->defaults.established, EBB_ESTABLISHED_RESET);
	assert_int_equal(run_with("--no-sock-destroy"), EBB_EXIT_DONE);
	assert_true(run_options.no_sock_destroy);
	assert_int_equal(run_with("--errno=eperm"), EBB_EXIT_DONE);
	assert_int_equal(run_config->defaults.errno_code, EBB_ERRNO_PERM);
	assert_int_equal(run_with("--on-agent-loss=hold"), EBB_EXIT_DONE);
	assert_int_equal(run_config->defaults.on_agent_loss, EBB_LOSS_HOLD);
	assert_int_equal(run_with("--on-exit=detach"), EBB_EXIT_DONE);
	assert_true(run_config->on_exit_detach);
	assert_int_equal(run_with("--lease=2s"), EBB_EXIT_DONE);
	assert_int_equal(run_config->lease_ns, 2 * S);
	assert_int_equal(run_with("--seed=0"), EBB_EXIT_DONE);
	assert_true(run_options.seed_given);
	assert_int_equal(run_with("--no-set-retval"), EBB_EXIT_DONE);
	assert_true(run_options.no_set_retval);
	assert_int_equal(run_with("--breaker=consecutive_failures=3,open_for=1s"), EBB_EXIT_DONE);
	assert_int_equal(run_config->defaults.breaker.consecutive_failures, 3);
	assert_int_equal(run_with("--listen=[::1]:0"), EBB_EXIT_DONE);
	assert_int_equal(run_with("--listen=:9478"), EBB_EXIT_DONE);
	assert_int_equal(run_with("--bytes=10MB/s,burst=2MB"), EBB_EXIT_DONE);
	assert_int_equal(run_config->defaults.limits.bucket[EBB_LIMIT_BYTES].per_hour, 36000000000);
	assert_int_equal(run_config->defaults.limits.bucket[EBB_LIMIT_BYTES].burst, 2000000);
	assert_int_equal(run_with("--packets=1000/s"), EBB_EXIT_DONE);
	assert_int_equal(run_config->defaults.limits.bucket[EBB_LIMIT_PACKETS].per_hour, 3600000);
	assert_int_equal(run_config->defaults.limits.bucket[EBB_LIMIT_BYTES].per_hour, 0);
	assert_int_equal(run_with("--connects=20/s"), EBB_EXIT_DONE);
	assert_int_equal(run_config->defaults.limits.bucket[EBB_LIMIT_CONNECTS].burst, 20);
	assert_int_equal(run_with("--concurrent=64"), EBB_EXIT_DONE);
	assert_int_equal(run_config->defaults.limits.concurrent, 64);
	assert_int_equal(run_with("--concurrent=none"), EBB_EXIT_DONE);
	assert_int_equal(run_config->defaults.limits.concurrent, 0);
	assert_int_equal(run_config->defaults.limits.given, 0);
	assert_int_equal(run_with("--scope=workload"), EBB_EXIT_DONE);
	assert_int_equal(run_config->defaults.scope, EBB_SCOPE_WORKLOAD);
	assert_int_equal(run_with("--destinations=1"), EBB_EXIT_DONE);
	assert_int_equal(run_config->cap_destinations, 1);
}

static void run_refuses_what_is_not_possible(void **state)
{
	static const struct {
		const char *option, *said;
	} cases[] = {
		{"--mode=on", "--mode: 'on' is not possible: observe or enforce"},
		{"--errno=eagain",
		 "--errno: 'eagain' is not possible: econnrefused, ehostunreach, etimedout or eperm"},
		{"--lease=1s", "--lease: '1s' is not possible: 2s to 1h"},
		{"--lease=30", "--lease: '30' is not possible: 2s to 1h"},
		{"--lease=2h", "--lease: '2h' is not possible: 2s to 1h"},
		{"--shutdown-timeout=", "--shutdown-timeout: '' is not possible: 1s to 1h"},
		{"--destinations=0", "--destinations: '0' is not possible: 1 to 1048576"},
		{"--pairs=1048577", "--pairs: '1048577' is not possible: 1 to 1048576"},
		{"--concurrent=-1", "--concurrent: '-1' is not possible: a whole number from 1, or none"},
		{"--concurrent=0", "--concurrent: '0' is not possible: a whole number from 1, or none"},
		{"--bytes=20/s", "--bytes: '20/s' is not possible: bytes need a unit, as in 20B/s or 20MB/s"},
		{"--packets=0/s",
		 "--packets: '0/s' is not possible: a rate must be above 0; none is no limit"},
		{"--connects=20/s,burst=0",
		 "--connects: '20/s,burst=0' is not possible: a burst must hold at least one connection"},
		{"--scope=pod", "--scope: 'pod' is not possible: node or workload"},
		{"--on-exit=stop", "--on-exit: 'stop' is not possible: keep or detach"},
		{"--seed=x", "--seed: 'x' is not possible: a whole number"},
		{"--pin=ebb", "--pin: 'ebb' is not possible: an absolute path on a bpf file system"},
		{"--cgroup=", "--cgroup: '' is not possible: a cgroup2 directory, or auto"},
		{"--listen=localhost:1",
		 "--listen: 'localhost:1' is not possible: like 127.0.0.1:9478, [::1]:9478 or :9478"},
		{"--listen=127.0.0.1:65536",
		 "--listen: '127.0.0.1:65536' is not possible: like 127.0.0.1:9478, [::1]:9478 or :9478"},
		{"--listen=127.0.0.1",
		 "--listen: '127.0.0.1' is not possible: like 127.0.0.1:9478, [::1]:9478 or :9478"},
		{"--listen=[]:1",
		 "--listen: '[]:1' is not possible: like 127.0.0.1:9478, [::1]:9478 or :9478"},
		{"--listen=[:1", "--listen: '[:1' is not possible: like 127.0.0.1:9478, [::1]:9478 or :9478"},
		{"--breaker=probes=9", "--breaker: probes=9: expected a whole number from 1 to 8"},
		{"--config=", "--config: cannot read '': there is no such file"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (run_with(cases[i].option) != EBB_EXIT_USAGE || run_problems.count != 1 ||
		    run_problems.list[0].line != 0 || strcmp(run_problems.list[0].text, cases[i].said) != 0)
			fail_msg("%s: %zu: '%s'", cases[i].option, run_problems.count,
				 run_problems.list[0].text);
	}
}

static int free_text(void **state)
{
	(void)state;
	free(text);
	ebb_config_free(run_config);
	return 0;
}

int main(void)
{
#define WITH_FAKE(test) cmocka_unit_test_setup_teardown(test, make_fake, free_fake)
	const struct CMUnitTest tests[] = {
		WITH_FAKE(status_tells_the_node_at_a_glance),
		WITH_FAKE(status_says_whether_and_why_not_enforcement_is_active),
		WITH_FAKE(status_says_that_the_cgroup_is_gone),
		WITH_FAKE(status_in_json_says_the_same),
		WITH_FAKE(list_has_a_row_for_each_gate),
		WITH_FAKE(list_fits_a_narrow_terminal),
		WITH_FAKE(list_keeps_bytes_before_quantiles),
		WITH_FAKE(list_sorts_and_keeps_the_order_of_equals),
		WITH_FAKE(list_filters),
		WITH_FAKE(list_in_json_has_base_units),
		WITH_FAKE(the_share_of_failures_is_the_one_that_is_judged),
		WITH_FAKE(what_is_torn_or_stale_is_left_out),
		WITH_FAKE(the_overflow_shows_once_it_counts),
		WITH_FAKE(a_sentence_says_why_a_state_is_as_it_is),
		WITH_FAKE(what_the_kernel_did_alone_is_seen),
		WITH_FAKE(an_episode_is_told_while_it_lasts),
		WITH_FAKE(show_tells_a_destination_in_full),
		WITH_FAKE(show_tells_each_gate_of_a_destination),
		WITH_FAKE(a_workload_that_is_apart_has_a_row_and_a_reason),
		WITH_FAKE(a_destination_whose_workloads_are_all_apart_has_its_row),
		WITH_FAKE(turns_are_told),
		WITH_FAKE(turns_in_json_are_those_of_each_workload),
		WITH_FAKE(an_unknown_destination_is_told_with_near_names),
		WITH_FAKE(show_tells_where_the_rates_stand),
		WITH_FAKE(near_names_find_room_however_long_they_are),
		WITH_FAKE(show_in_json_has_gates_and_workloads),
		WITH_FAKE(show_tells_drops_by_cause_and_what_udp_sends),
		WITH_FAKE(traffic_in_json_is_complete),
		WITH_FAKE(only_the_last_transitions_are_kept_in_their_order),
		WITH_FAKE(limits_are_listed_with_a_star_where_given_by_hand),
		WITH_FAKE(limits_go_with_the_lease_unless_given_by_hand),
		WITH_FAKE(show_tells_limits_where_from_and_what_is_left),
		WITH_FAKE(limits_in_json_have_numbers),
		WITH_FAKE(a_change_is_answered_with_what_is_in_force),
		WITH_FAKE(fuse_is_shown_as_the_destination_node),
		WITH_FAKE(fuse_has_a_row_while_it_acts),
		WITH_FAKE(fuse_in_json_says_the_same),
		WITH_FAKE(gate_refuses_as_the_fuse_has_it),
		WITH_FAKE(watch_tells_when_the_fuse_acts_and_ends),
		WITH_FAKE(watch_tells_only_what_changed),
		WITH_FAKE(watch_tells_counts_once_a_second),
		WITH_FAKE(watch_tells_cause_move_and_consequence_in_the_order_of_time),
		WITH_FAKE(watch_tells_a_slot_with_a_new_owner_anew),
		WITH_FAKE(watch_tells_the_agent_lost_and_back),
		WITH_FAKE(watch_tells_what_the_kernel_did_without_an_agent),
		WITH_FAKE(watch_waits_a_look_for_why_the_kernel_moved),
		WITH_FAKE(watch_in_json_is_an_object_on_a_line),
		cmocka_unit_test(doctor_says_what_to_do),
		cmocka_unit_test(run_has_safe_defaults),
		cmocka_unit_test(run_takes_what_it_is_given),
		cmocka_unit_test(run_refuses_what_is_not_possible),
	};

	/* times are shown in local time */
	if (setenv("TZ", "UTC", 1) < 0)
		return 1;
	tzset();
	return cmocka_run_group_tests(tests, NULL, free_text);
}
