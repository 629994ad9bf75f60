/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent tells the audit log: each event has the details that export/audit_event.h says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/audit_feed.h"
#include "agent/audit_sums.h"
#include "core/deed.h"
#include "core/policy.h"
#include "tests/lib/fake_source.h"

#define S 1000000000ULL

static struct fake *fake;
static struct ebb_audit_feed *feed;

/* As the line of an event has it. */
static char told[256][EBB_AUDIT_LINE_MAX];
static unsigned int told_count;
static int answer;

static int hear(void *userdata, const struct ebb_audit_event *event)
{
	char id[EBB_AUDIT_ID_MAX];
	uint8_t random[10] = {0};

	assert_ptr_equal(userdata, fake);
	if (answer < 0)
		return answer;
	assert_true(told_count < 256);
	ebb_audit_id(event->realtime_ns, event->random ? event->random : random, id);
	assert_true(ebb_audit_line(event, id, told[told_count++], EBB_AUDIT_LINE_MAX) > 0);
	return 0;
}

static int set_up(void **state)
{
	struct ebb_audit_feed_setup setup = {.put = hear, .now_ns = fake_now, .realtime_ns = fake_realtime};

	(void)state;
	fake = fake_new(16, 128);
	fake->view.agent->run_id = 0xabcdef;
	setup.view = &fake->view;
	setup.names = fake->source.workloads;
	setup.userdata = fake;
	setup.told_until_ns = 100 * S;
	told_count = 0;
	answer = 0;
	return ebb_audit_feed_new(&setup, &feed);
}

static int tear_down(void **state)
{
	(void)state;
	ebb_audit_feed_free(feed);
	fake_free(fake);
	return 0;
}

/* The only one that was told. */
static void assert_told(const char *expected)
{
	const char *got;

	assert_int_equal(told_count, 1);
	told_count = 0;
	got = strstr(told[0], "\"event_type\"");
	assert_non_null(got);
	told[0][strlen(told[0]) - 1] = '\0';
	assert_string_equal(got, expected);
}

#define SESSION "\"session_id\":\"0000000000abcdef\""

static void the_agent(void **state)
{
	const struct ebb_audit_start start = {.version = "1.2.3",
					      .mode = "enforce",
					      .cgroup = "/a\xff",
					      .pin = "/p",
					      .listen = "127.0.0.1:1",
					      .took_over = true};

	(void)state;
	ebb_audit_feed_started(feed, &start);
	/* what is no UTF-8 is written so that it can be read */
	assert_told("\"event_type\":\"agent_start\",\"user_id\":\"\"," SESSION
		    ",\"ip_address\":\"\",\"outcome\":\"success\",\"outcome_details\":\"\",\"details\":"
		    "{\"version\":\"1.2.3\",\"mode\":\"enforce\",\"cgroup\":\"/a\\\\xff\",\"pin\":\"/p\",\"listen\":\"127.0.0.1:1\",\"took_over\":true}}");
	fake->view.agent->started_ns = FAKE_NOW_NS - 90 * S;
	ebb_audit_feed_stopped(feed, "Terminated", false);
	assert_told("\"event_type\":\"agent_stop\",\"user_id\":\"\"," SESSION
		    ",\"ip_address\":\"\",\"outcome\":\"success\",\"outcome_details\":\"\",\"details\":"
		    "{\"signal\":\"Terminated\",\"uptime_s\":90.0}}");
	ebb_audit_feed_stopped(feed, "out of memory", true);
	assert_told("\"event_type\":\"agent_stop\",\"user_id\":\"\"," SESSION
		    ",\"ip_address\":\"\",\"outcome\":\"failure\",\"outcome_details\":\"out of memory\",\"details\":"
		    "{\"signal\":\"\",\"uptime_s\":90.0}}");
	ebb_audit_feed_configured(feed, "/etc/ebb/ebb.yaml", 7, 12);
	assert_told("\"event_type\":\"config_applied\",\"user_id\":\"\"," SESSION
		    ",\"ip_address\":\"\",\"outcome\":\"success\",\"outcome_details\":\"\",\"details\":"
		    "{\"file\":\"/etc/ebb/ebb.yaml\",\"generation\":7,\"destinations\":12}}");
	ebb_audit_feed_rejected(feed, "/f", "f:1:1: no");
	assert_told("\"event_type\":\"config_rejected\",\"user_id\":\"\"," SESSION
		    ",\"ip_address\":\"\",\"outcome\":\"failure\",\"outcome_details\":\"rejected\",\"details\":"
		    "{\"file\":\"/f\",\"why\":\"f:1:1: no\"}}");
}

static void enforcement(void **state)
{
	(void)state;
	ebb_audit_feed_enforcement(feed, true, "programs", "connect4 is not attached", 0);
	assert_told("\"event_type\":\"enforcement_lost\",\"user_id\":\"\"," SESSION
		    ",\"ip_address\":\"\",\"outcome\":\"failure\",\"outcome_details\":\"programs\",\"details\":"
		    "{\"component\":\"programs\",\"why\":\"connect4 is not attached\"}}");
	ebb_audit_feed_enforcement(feed, false, "programs", "", 2500000000);
	assert_told("\"event_type\":\"enforcement_back\",\"user_id\":\"\"," SESSION
		    ",\"ip_address\":\"\",\"outcome\":\"success\",\"outcome_details\":\"programs\",\"details\":"
		    "{\"component\":\"programs\",\"lasted_s\":2.5}}");
	ebb_audit_feed_link(feed, "connect4");
	assert_told("\"event_type\":\"link_attached\",\"user_id\":\"\"," SESSION
		    ",\"ip_address\":\"\",\"outcome\":\"success\",\"outcome_details\":\"\",\"details\":"
		    "{\"link\":\"connect4\"}}");
}

static void orders_have_an_id_of_their_own(void **state)
{
	char first[EBB_AUDIT_LINE_MAX];
	struct ebb_deed deed;
	uint64_t lost;

	(void)state;
	ebb_deed_record(fake->view.deeds, 0, 1000, FAKE_REALTIME_NS, "breaker open api");
	ebb_deed_record(fake->view.deeds, 0, EBB_LOGIN_NONE, FAKE_REALTIME_NS, "breaker open api");
	assert_true(ebb_deed_next(fake->view.deeds, 0, &deed, &lost));
	assert_int_equal(ebb_audit_feed_deed(feed, &deed, 3), 0);
	memcpy(first, told[0], sizeof(first));
	assert_told("\"event_type\":\"override\",\"user_id\":\"1000\"," SESSION
		    ",\"ip_address\":\"\",\"outcome\":\"success\",\"outcome_details\":\"\",\"details\":"
		    "{\"uid\":0,\"login_uid\":1000,\"command\":\"breaker open api\",\"lost\":3}}");
	/* told again it is the same event, by another agent, too */
	fake->view.agent->run_id++;
	assert_int_equal(ebb_audit_feed_deed(feed, &deed, 3), 0);
	assert_memory_equal(told[0], first, strlen("{\"id\":\"") + EBB_AUDIT_ID_MAX);
	told_count = 0;
	fake->view.agent->run_id--;
	/* another order, even with the same words at the same time, is another one */
	assert_true(ebb_deed_next(fake->view.deeds, 1, &deed, &lost));
	assert_int_equal(ebb_audit_feed_deed(feed, &deed, 0), 0);
	assert_memory_not_equal(told[0], first, strlen("{\"id\":\"") + EBB_AUDIT_ID_MAX);
	assert_told("\"event_type\":\"override\",\"user_id\":\"0\"," SESSION
		    ",\"ip_address\":\"\",\"outcome\":\"success\",\"outcome_details\":\"\",\"details\":"
		    "{\"uid\":0,\"login_uid\":null,\"command\":\"breaker open api\",\"lost\":0}}");
	answer = -ENOBUFS;
	assert_int_equal(ebb_audit_feed_deed(feed, &deed, 0), -ENOBUFS);
}

static void a_transition_has_all_of_its_facts(void **state)
{
	const struct ebb_move move = {.gate = 2,
				      .dst = 2,
				      .transition = {.gen = 5,
						     .reason = EBB_REASON_CONSECUTIVE_FAILURES,
						     .ok = 1,
						     .failed = 7,
						     .slow = 2,
						     .run = 5,
						     .episode = 0xfeed}};
	const struct ebb_move_facts facts = {.move = &move,
					     .destination = "api",
					     .who = {"w", "n", "p", "c"},
					     .from = "closed",
					     .to = "open",
					     .reason = "consecutive_failures",
					     .last_failure = "refused",
					     .open_for_ns = 5434411832,
					     .mode = "enforce"};

	(void)state;
	ebb_audit_feed_moved(feed, &facts);
	assert_told("\"event_type\":\"breaker_transition\",\"user_id\":\"w\"," SESSION
		    ",\"ip_address\":\"\",\"outcome\":\"denied\",\"outcome_details\":\"consecutive_failures\",\"details\":"
		    "{\"destination\":\"api\",\"from\":\"closed\",\"to\":\"open\",\"reason\":\"consecutive_failures\",\"ok\":1,\"failed\":7,"
		    "\"slow\":2,\"run\":5,\"last_failure\":\"refused\",\"open_for_s\":5.434411832,\"generation\":5,"
		    "\"episode\":\"000000000000feed\",\"mode\":\"enforce\",\"workload\":\"w\",\"namespace\":\"n\",\"pod\":\"p\",\"container\":\"c\"}}");
}

static void the_node_fuse(void **state)
{
	struct ebb_fuse_move move = {.acts = true,
				     .action = EBB_FUSE_RELEASE,
				     .active = 8,
				     .open = 5,
				     .calls = 99};

	(void)state;
	ebb_audit_feed_fuse(feed, &move);
	assert_told("\"event_type\":\"node_fuse\",\"user_id\":\"\"," SESSION
		    ",\"ip_address\":\"\",\"outcome\":\"failure\",\"outcome_details\":\"release\",\"details\":"
		    "{\"action\":\"release\",\"acts\":true,\"open\":5,\"active\":8,\"calls\":99}}");
	move.acts = false;
	ebb_audit_feed_fuse(feed, &move);
	assert_told("\"event_type\":\"node_fuse\",\"user_id\":\"\"," SESSION
		    ",\"ip_address\":\"\",\"outcome\":\"success\",\"outcome_details\":\"release\",\"details\":"
		    "{\"action\":\"release\",\"acts\":false,\"open\":5,\"active\":8,\"calls\":99}}");
}

static struct ebb_dst *find(uint32_t d, uint64_t created_ns)
{
	struct ebb_dst *dst = &fake->view.dsts[d];

	dst->state = EBB_SLOT_LIVE;
	dst->finder = 4;
	dst->created_ns = created_ns;
	dst->endpoint = (struct ebb_endpoint){.port = htons(443), .proto = IPPROTO_TCP};
	dst->endpoint.addr[10] = dst->endpoint.addr[11] = 0xff;
	dst->endpoint.addr[12] = 10;
	dst->endpoint.addr[15] = (uint8_t)d;
	if (fake->view.kernel->dst_high < d)
		fake->view.kernel->dst_high = d;
	return dst;
}

static void a_destination_is_told_once_for_each_owner(void **state)
{
	struct ebb_dst *dst = find(3, 101 * S);

	(void)state;
	(void)find(2, 99 * S);	      /* the agent before this one told of it */
	find(4, 101 * S)->finder = 0; /* a rule names it */
	ebb_audit_feed_tick(feed);
	assert_told("\"event_type\":\"destination_new\",\"user_id\":\"/w/4\"," SESSION
		    ",\"ip_address\":\"10.0.0.3\",\"outcome\":\"success\",\"outcome_details\":\"\",\"details\":"
		    "{\"destination\":\"10.0.0.3:443/tcp\",\"workload\":\"/w/4\",\"namespace\":\"\",\"pod\":\"\",\"container\":\"\"}}");
	ebb_audit_feed_tick(feed);
	assert_int_equal(told_count, 0);
	dst->epoch++;
	ebb_audit_feed_tick(feed);
	assert_int_equal(told_count, 1);
}

static struct ebb_pair *use(uint32_t p, uint32_t d)
{
	struct ebb_pair *pair = &fake->view.pairs[p];

	pair->state = EBB_SLOT_LIVE;
	pair->workload = 4;
	pair->dst = d;
	pair->gate = d;
	if (fake->view.kernel->pair_high < p)
		fake->view.kernel->pair_high = p;
	return pair;
}

static void denials_and_failures_are_told_by_the_minute(void **state)
{
	struct ebb_memory *memory = &fake->view.memories[3];
	struct ebb_pair *pair = use(5, 3);

	(void)state;
	(void)find(3, S);
	ebb_audit_feed_tick(feed);
	memory->count = 1;
	memory->last[0] =
		(struct ebb_transition){.reason = EBB_REASON_CONSECUTIVE_FAILURES, .episode = 0xbeef};
	pair->denied[EBB_CAUSE_BREAKER] = 2;
	pair->denied[EBB_CAUSE_RATE] = 1;
	fake_now_ns += EBB_AUDIT_MINUTE_NS;
	ebb_audit_feed_tick(feed);
	ebb_audit_feed_tick(feed);
	assert_told("\"event_type\":\"denials\",\"user_id\":\"/w/4\"," SESSION
		    ",\"ip_address\":\"10.0.0.3\",\"outcome\":\"denied\",\"outcome_details\":\"\",\"details\":"
		    "{\"destination\":\"10.0.0.3:443/tcp\",\"workload\":\"/w/4\",\"namespace\":\"\",\"pod\":\"\",\"container\":\"\","
		    "\"causes\":{\"breaker\":2,\"rate\":1},\"would\":{},\"first\":\"2023-11-14T22:13:20.000000Z\","
		    "\"last\":\"2023-11-14T22:13:20.000000Z\",\"episode\":\"000000000000beef\"}}");
	/* in observe mode they went through; and no breaker refused, so it is of no episode */
	pair->would_deny[EBB_CAUSE_CONCURRENCY] = 4;
	ebb_audit_feed_flush(feed);
	assert_told("\"event_type\":\"denials\",\"user_id\":\"/w/4\"," SESSION
		    ",\"ip_address\":\"10.0.0.3\",\"outcome\":\"success\",\"outcome_details\":\"\",\"details\":"
		    "{\"destination\":\"10.0.0.3:443/tcp\",\"workload\":\"/w/4\",\"namespace\":\"\",\"pod\":\"\",\"container\":\"\","
		    "\"causes\":{},\"would\":{\"concurrency\":4},\"first\":\"2023-11-14T22:13:20.000000Z\","
		    "\"last\":\"2023-11-14T22:13:20.000000Z\",\"episode\":\"\"}}");
	pair->attempts = 9;
	pair->outcomes[EBB_OUTCOME_REFUSED] = 3;
	pair->outcomes[EBB_OUTCOME_ESTABLISHED] = 6;
	pair->outcomes[EBB_OUTCOME_CANCELLED] = 1;
	pair->result_ok = 6;
	ebb_audit_feed_flush(feed);
	assert_told("\"event_type\":\"failures\",\"user_id\":\"/w/4\"," SESSION
		    ",\"ip_address\":\"10.0.0.3\",\"outcome\":\"failure\",\"outcome_details\":\"\",\"details\":"
		    "{\"destination\":\"10.0.0.3:443/tcp\",\"workload\":\"/w/4\",\"namespace\":\"\",\"pod\":\"\",\"container\":\"\","
		    "\"outcomes\":{\"refused\":3},\"ok\":6,\"destinations\":1,\"failing\":0}}");
}

/* A few with each tick, so that none is late for it. */
static void a_minute_of_many_pairs_is_told_bit_by_bit(void **state)
{
	unsigned int before, most = 0;

	(void)state;
	for (uint32_t p = 1; p <= 100; p++)
		use(p, 3)->denied[EBB_CAUSE_BREAKER] = use(p, 3)->outcomes[EBB_OUTCOME_REFUSED] = p;
	fake_now_ns += EBB_AUDIT_MINUTE_NS;
	for (unsigned int tick = 0; tick < 5; tick++) {
		before = told_count;
		ebb_audit_feed_tick(feed);
		most = told_count - before > most ? told_count - before : most;
	}
	assert_int_equal(told_count, 200);
	assert_int_equal(most, 64);
}

static void refused_requests_are_counted(void **state)
{
	char path[32];

	(void)state;
	ebb_audit_feed_request(feed, "POST", "/metrics", "::1", 405);
	ebb_audit_feed_request(feed, "POST", "/metrics", "::1", 405);
	ebb_audit_feed_tick(feed);
	assert_int_equal(told_count, 0);
	fake_now_ns += EBB_AUDIT_MINUTE_NS;
	ebb_audit_feed_tick(feed);
	assert_told("\"event_type\":\"request_refused\",\"user_id\":\"\"," SESSION
		    ",\"ip_address\":\"::1\",\"outcome\":\"denied\",\"outcome_details\":\"\",\"details\":"
		    "{\"method\":\"POST\",\"path\":\"/metrics\",\"status\":405,\"count\":2}}");
	for (int i = 0; i < 100; i++) {
		(void)snprintf(path, sizeof(path), "/%d", i);
		ebb_audit_feed_request(feed, "PUT", path, "::1", 405);
	}
	ebb_audit_feed_flush(feed);
	assert_int_equal(told_count, 33);
	assert_non_null(strstr(told[0], "\"path\":\"/0\",\"status\":405,\"count\":1}"));
	assert_non_null(strstr(told[32],
			       "\"method\":\"~other\",\"path\":\"~other\",\"status\":0,\"count\":68}"));
	told_count = 0;
	ebb_audit_feed_flush(feed);
	assert_int_equal(told_count, 0);
}

static void refused_credentials_are_told_once_a_minute(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++)
		ebb_audit_feed_credentials(feed, "kubernetes", "10.96.0.1", 401);
	assert_told("\"event_type\":\"credentials_refused\",\"user_id\":\"\"," SESSION
		    ",\"ip_address\":\"\",\"outcome\":\"denied\",\"outcome_details\":\"kubernetes\",\"details\":"
		    "{\"component\":\"kubernetes\",\"address\":\"10.96.0.1\",\"status\":401}}");
	fake_now_ns += EBB_AUDIT_MINUTE_NS;
	ebb_audit_feed_tick(feed);
	ebb_audit_feed_credentials(feed, "kubernetes", "10.96.0.1", 401);
	assert_int_equal(told_count, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_agent, set_up, tear_down),
		cmocka_unit_test_setup_teardown(enforcement, set_up, tear_down),
		cmocka_unit_test_setup_teardown(orders_have_an_id_of_their_own, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_transition_has_all_of_its_facts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_node_fuse, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_destination_is_told_once_for_each_owner, set_up, tear_down),
		cmocka_unit_test_setup_teardown(denials_and_failures_are_told_by_the_minute, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_minute_of_many_pairs_is_told_bit_by_bit, set_up, tear_down),
		cmocka_unit_test_setup_teardown(refused_requests_are_counted, set_up, tear_down),
		cmocka_unit_test_setup_teardown(refused_credentials_are_told_once_a_minute, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
