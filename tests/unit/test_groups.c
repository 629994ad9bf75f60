/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.labels: pairs that only a label which is left out tells apart are one series, whose sums never run backwards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/idle.h"
#include "core/limit.h"
#include "export/groups.h"
#include "export/items.h"
#include "node/pods.h"
#include "lib/cleanup.h"
#include "tests/lib/fake_source.h"
#include "tests/lib/scrape.h"

#define SECOND	    1000000000ULL
#define KEEP(label) (1U << EBB_KEPT_##label)
#define UID	    "8dbc2fb1-9f1e-4b3e-a3a3-0a1b2c3d4e5"
#define ID	    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde"
#define DSTS	    8
#define PAIRS	    64

/* Containers of pods by cgroup id from 1: PODS of them, two containers each. */
#define PODS 4

struct world {
	struct fake *fake;
	struct ebb_pods *pods;
	char paths[2 * PODS + 1][128];
};

/* Pod @pod of namespace @space is there: one of deployment/@owner, with containers app and log. */
static void put_pod(struct world *w, unsigned int pod, const char *space, const char *owner)
{
	char text[2048];
	struct ebb_pod_event event;

	(void)snprintf(text, sizeof(text),
		       "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"uid\":\"" UID "%x\","
		       "\"namespace\":\"%s\",\"name\":\"%s-%u\","
		       "\"ownerReferences\":[{\"kind\":\"StatefulSet\",\"name\":\"%s\",\"controller\":true}]},"
		       "\"status\":{\"containerStatuses\":[{\"name\":\"app\",\"containerID\":\"x://" ID
		       "%x\"},{\"name\":\"log\",\"containerID\":\"x://" ID "%x\"}]}}}",
		       pod, space, owner, pod, owner, 2 * pod, 2 * pod + 1);
	assert_int_equal(ebb_pod_event_parse(text, strlen(text), &event, NULL), 0);
	ebb_pods_put(w->pods, event.pod, SECOND);
}

static void remove_pod(struct world *w, unsigned int pod)
{
	char uid[64];

	(void)snprintf(uid, sizeof(uid), UID "%x", pod);
	ebb_pods_remove(w->pods, uid, 2 * SECOND);
}

/* The cgroup of container @container (0 app, 1 log) of @pod. */
static uint64_t cgroup_of(unsigned int pod, unsigned int container)
{
	return 1 + 2 * pod + container;
}

static int set_up(void **state)
{
	static struct world w;

	w = (struct world){.fake = fake_new(DSTS, PAIRS)};
	for (unsigned int pod = 0; pod < PODS; pod++)
		for (unsigned int c = 0; c < 2; c++) {
			uint64_t id = cgroup_of(pod, c);

			(void)snprintf(w.paths[id], sizeof(w.paths[id]), "/kubepods/pod" UID "%x/" ID "%x",
				       pod, 2 * pod + c);
			w.fake->names[id] = w.paths[id];
		}
	if (ebb_pods_new(&w.pods) < 0)
		return -1;
	ebb_cgroup_names_use(w.fake->source.workloads, w.pods);
	(void)fake_dst(w.fake, 1, "10.0.0.5", 443);
	fake_dst(w.fake, 2, "10.0.0.6", 443)->scope = EBB_SCOPE_WORKLOAD;
	*state = &w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	ebb_groups_drop(w->fake->source.groups);
	fake_free(w->fake);
	ebb_pods_free(w->pods);
	return 0;
}

static void keep(struct world *w, uint32_t labels)
{
	assert_int_equal(ebb_items_keep(&w->fake->source, labels), 0);
}

/* As the agent does it with a slot that nobody uses (agent/idle.c). */
static void give_back(struct world *w, uint32_t slot)
{
	struct ebb_pair *pair = &w->fake->view.pairs[slot];
	uint32_t epoch = pair->epoch;

	if (w->fake->source.groups)
		ebb_groups_leave(w->fake->source.groups, DSTS + slot);
	memset(&w->fake->view.memories[DSTS + slot], 0, sizeof(w->fake->view.memories[0]));
	memset(&w->fake->view.verdicts[DSTS + slot], 0, sizeof(w->fake->view.verdicts[0]));
	*pair = (struct ebb_pair){.epoch = epoch + 1};
}

static struct ebb_pair *add_pair(struct world *w, uint32_t slot, uint32_t dst, uint64_t cgroup, uint64_t sent)
{
	struct ebb_pair *pair = fake_pair(w->fake, slot, dst, cgroup);

	pair->created_ns = FAKE_NOW_NS;
	pair->sent_bytes = sent;
	return pair;
}

/* The value of @series in a new scrape; -1: it is not there. */
static double scraped(const struct world *w, const char *series)
{
	_cleanup_free_ char *text = render(w->fake, EBB_METRICS_OPENMETRICS);

	assert_no_duplicates(text);
	return has(text, series) ? value_of(text, series) : -1;
}

#define SENT_NAME    "ebb_sent_bytes_total{"
#define SENT(labels) SENT_NAME "destination=\"10.0.0.5:443/tcp\"" labels "}"

/* ---------------------------------------------------------------- what is one -- */

static void pairs_with_the_same_kept_labels_are_one_series(void **state)
{
	static const struct {
		uint32_t kept;
		const char *labels; /* of the pair of pod 0's app */
		double sent;	    /* of the four pairs: 1, 10, 100, 1000 */
	} cases[] = {
		{KEEP(DESTINATION), "", 1111},
		{KEEP(NAMESPACE), ",namespace=\"shop\"", 111},
		{KEEP(WORKLOAD), ",workload=\"statefulset/web\"", 1011},
		{KEEP(WORKLOAD) | KEEP(NAMESPACE), ",workload=\"statefulset/web\",namespace=\"shop\"", 11},
		{KEEP(POD), ",pod=\"web-0\"", 11},
		{KEEP(CONTAINER), ",container=\"app\"", 1101},
		{KEEP(NAMESPACE) | KEEP(POD) | KEEP(CONTAINER),
		 ",namespace=\"shop\",pod=\"web-0\",container=\"app\"", 1},
		{EBB_KEPT_ALL,
		 ",workload=\"statefulset/web\",namespace=\"shop\",pod=\"web-0\",container=\"app\"", 1},
		{0, ",workload=\"statefulset/web\",namespace=\"shop\",pod=\"web-0\",container=\"app\"", 1},
	};
	struct world *w = *state;

	put_pod(w, 0, "shop", "web");
	put_pod(w, 1, "shop", "job");
	put_pod(w, 2, "test", "web");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char series[256];

		(void)snprintf(series, sizeof(series), SENT("%s"), cases[i].labels);
		keep(w, cases[i].kept);
		(void)add_pair(w, 1, 1, cgroup_of(0, 0), 1);
		(void)add_pair(w, 2, 1, cgroup_of(0, 1), 10);
		(void)add_pair(w, 3, 1, cgroup_of(1, 0), 100);
		(void)add_pair(w, 4, 1, cgroup_of(2, 0), 1000);
		if (scraped(w, series) != cases[i].sent)
			fail_msg("%s: %g", series, scraped(w, series));
		for (uint32_t slot = 1; slot <= 4; slot++)
			give_back(w, slot);
	}
}

static void every_counter_of_a_pair_is_added_up(void **state)
{
	static const char *const series[] = {
		"ebb_connects_total{destination=\"10.0.0.5:443/tcp\",outcome=\"established\"}",
		"ebb_connects_total{destination=\"10.0.0.5:443/tcp\",outcome=\"cancelled\"}",
		"ebb_connects_total{destination=\"10.0.0.5:443/tcp\",outcome=\"local\"}",
		"ebb_connects_total{destination=\"10.0.0.5:443/tcp\",outcome=\"denied\"}",
		"ebb_connection_failures_total{destination=\"10.0.0.5:443/tcp\",reason=\"unanswered\"}",
		"ebb_denied_total{destination=\"10.0.0.5:443/tcp\",cause=\"breaker\",enforced=\"true\"}",
		"ebb_denied_total{destination=\"10.0.0.5:443/tcp\",cause=\"rate\",enforced=\"false\"}",
		"ebb_active_connections{destination=\"10.0.0.5:443/tcp\"}",
		"ebb_adopted_connections_total{destination=\"10.0.0.5:443/tcp\"}",
		"ebb_reset_connections_total{destination=\"10.0.0.5:443/tcp\"}",
		"ebb_received_bytes_total{destination=\"10.0.0.5:443/tcp\"}",
		"ebb_retransmits_total{destination=\"10.0.0.5:443/tcp\"}",
		"ebb_dropped_bytes_total{destination=\"10.0.0.5:443/tcp\",cause=\"bytes\",enforced=\"true\"}",
		"ebb_dropped_packets_total{destination=\"10.0.0.5:443/tcp\",cause=\"breaker\",enforced=\"false\"}",
		"ebb_turns_total{destination=\"10.0.0.5:443/tcp\",result=\"cancelled\"}",
		"ebb_slow_turns_total{destination=\"10.0.0.5:443/tcp\"}",
	};
	struct world *w = *state;

	keep(w, KEEP(DESTINATION));
	for (uint32_t slot = 1; slot <= 2; slot++) {
		struct ebb_pair *pair = add_pair(w, slot, 1, slot, 0);

		pair->outcomes[EBB_OUTCOME_ESTABLISHED] = pair->outcomes[EBB_OUTCOME_CANCELLED] = slot;
		pair->outcomes[EBB_OUTCOME_UNANSWERED] = slot;
		pair->attempts = 3 * slot;
		pair->syn_sent = 2 * slot;
		pair->denied[EBB_CAUSE_BREAKER] = pair->would_deny[EBB_CAUSE_RATE] = slot;
		pair->active = pair->adopted = pair->reset = pair->received_bytes = pair->retransmits = slot;
		pair->dropped_bytes[EBB_DROP_BYTES] = pair->would_drop_packets[EBB_DROP_BREAKER] = slot;
		pair->turns[EBB_TURN_CANCELLED] = pair->turns_slow = slot;
		pair->turn_units = slot * 4 * SECOND / EBB_HIST_UNIT_NS;
	}
	for (size_t i = 0; i < sizeof(series) / sizeof(series[0]); i++)
		if (scraped(w, series[i]) != 3)
			fail_msg("%s: %g", series[i], scraped(w, series[i]));
	assert_true(scraped(w, "ebb_turn_seconds_total{destination=\"10.0.0.5:443/tcp\"}") == 12);
}

/* A list that tells all pairs apart says what no list says, but for the start. */
static void a_list_that_merges_nothing_changes_no_value(void **state)
{
	_cleanup_free_ char *without = NULL, *with = NULL;
	struct world *w = *state;
	int samples = 0;

	keep(w, KEEP(WORKLOAD));
	for (uint32_t slot = 1; slot < 12; slot++)
		add_pair(w, slot, 1 + slot % 2, 9 + slot, 1000 + slot)->denied[slot % EBB_CAUSE_MAX] = slot;
	for (uint32_t slot = 1; slot < 12; slot += 3)
		w->fake->view.memories[DSTS + slot].moved[EBB_REASON_FAILURE_RATE] = slot;
	with = render(w->fake, EBB_METRICS_TEXT);
	keep(w, 0);
	without = render(w->fake, EBB_METRICS_TEXT);
	for (const char *line = without; *line; line = strchr(line, '\n') + 1) {
		const char *end = strchr(line, '\n');
		_cleanup_free_ char *sample = strndup(line, (size_t)(end - line));

		if (!strstr(sample, "{destination="))
			continue;
		if (!strstr(with, sample))
			fail_msg("not there: %s", sample);
		samples++;
	}
	for (const char *line = with; (line = strstr(line, "{destination=")); line++)
		samples--;
	assert_int_equal(samples, 0);
}

/* ------------------------------------------------------------ coming and going -- */

static void a_sum_stays_when_a_pair_goes(void **state)
{
	struct world *w = *state;

	keep(w, KEEP(DESTINATION));
	(void)add_pair(w, 1, 1, 9, 100);
	(void)add_pair(w, 2, 1, 10, 20);
	assert_true(scraped(w, SENT("")) == 120);
	/* what it counts between the last scrape and its end is not lost, either */
	w->fake->view.pairs[2].sent_bytes += 5;
	give_back(w, 2);
	assert_true(scraped(w, SENT("")) == 125);
	/* and the next owner of its slot begins with what it has */
	(void)add_pair(w, 2, 1, 11, 3);
	assert_true(scraped(w, SENT("")) == 128);
	give_back(w, 1);
	give_back(w, 2);
	/* no pair is left and the series ends; it goes on as long as its destination has a gate */
	assert_true(scraped(w, SENT("")) == -1);
	(void)add_pair(w, 2, 1, 11, 3);
	assert_true(scraped(w, SENT("")) == 131);
}

static void a_group_ends_with_its_last_member(void **state)
{
	struct world *w = *state;

	keep(w, KEEP(WORKLOAD));
	(void)add_pair(w, 1, 1, 9, 100);
	assert_true(scraped(w, SENT(",workload=\"/w/9\"")) == 100);
	give_back(w, 1);
	assert_true(scraped(w, SENT(",workload=\"/w/9\"")) == -1);
	(void)add_pair(w, 2, 1, 9, 3);
	assert_true(scraped(w, SENT(",workload=\"/w/9\"")) == 3);
}

/* Its key is taken out a second before it is given back: it may still be counted, or revived. */
static void a_pair_that_retires_still_counts(void **state)
{
	struct world *w = *state;

	keep(w, KEEP(DESTINATION));
	(void)add_pair(w, 1, 1, 9, 100);
	(void)add_pair(w, 2, 1, 10, 20);
	assert_true(scraped(w, SENT("")) == 120);
	w->fake->view.pairs[2].state = EBB_SLOT_RETIRING;
	assert_true(scraped(w, SENT("")) == 120);
	w->fake->view.pairs[2].state = EBB_SLOT_LIVE;
	assert_true(scraped(w, SENT("")) == 120);
}

/* Else the sum would fall at each start of the agent by what the last one carried. */
static void what_was_there_at_the_start_counts_from_then_on(void **state)
{
	struct world *w = *state;

	(void)add_pair(w, 1, 1, 9, 1000);
	w->fake->view.memories[1].moved[EBB_REASON_FAILURE_RATE] = 7;
	keep(w, KEEP(DESTINATION));
	assert_true(scraped(w, SENT("")) == 0);
	assert_true(scraped(w,
			    "ebb_breaker_transitions_total{destination=\"10.0.0.5:443/tcp\",from=\"closed\","
			    "to=\"open\",reason=\"failure_rate\"}") == 0);
	w->fake->view.pairs[1].sent_bytes += 7;
	w->fake->view.memories[1].moved[EBB_REASON_FAILURE_RATE]++;
	(void)add_pair(w, 2, 1, 10, 20);
	assert_true(scraped(w, SENT("")) == 27);
	assert_true(scraped(w,
			    "ebb_breaker_transitions_total{destination=\"10.0.0.5:443/tcp\",from=\"closed\","
			    "to=\"open\",reason=\"failure_rate\"}") == 1);
	give_back(w, 1);
	assert_true(scraped(w, SENT("")) == 27);
}

/* Who is known by another name later leaves what it counted where it was, and takes nothing along. */
static void who_is_called_otherwise_takes_nothing_along(void **state)
{
	struct world *w = *state;

	put_pod(w, 0, "shop", "web");
	keep(w, KEEP(NAMESPACE));
	(void)add_pair(w, 1, 1, cgroup_of(0, 0), 100);
	(void)add_pair(w, 2, 1, cgroup_of(1, 0), 1);
	(void)add_pair(w, 3, 1, cgroup_of(2, 0), 10);
	assert_true(scraped(w, SENT(",namespace=\"shop\"")) == 100);
	assert_true(scraped(w, SENT("")) == 11);
	put_pod(w, 1, "shop", "web");
	assert_true(scraped(w, SENT(",namespace=\"shop\"")) == 100);
	assert_true(scraped(w, SENT("")) == 11);
	w->fake->view.pairs[2].sent_bytes += 5;
	assert_true(scraped(w, SENT(",namespace=\"shop\"")) == 105);
	assert_true(scraped(w, SENT("")) == 11);
	give_back(w, 2);
	assert_true(scraped(w, SENT(",namespace=\"shop\"")) == 105);
	assert_true(scraped(w, SENT("")) == 11);
}

static void a_series_ends_with_the_last_pod(void **state)
{
	struct world *w = *state;

	put_pod(w, 0, "shop", "web");
	put_pod(w, 1, "shop", "web");
	keep(w, KEEP(NAMESPACE) | KEEP(WORKLOAD));
	(void)add_pair(w, 1, 1, cgroup_of(0, 0), 100);
	(void)add_pair(w, 2, 1, cgroup_of(1, 0), 1);
	assert_true(scraped(w, SENT(",workload=\"statefulset/web\",namespace=\"shop\"")) == 101);
	remove_pod(w, 0);
	assert_true(scraped(w, SENT(",workload=\"statefulset/web\",namespace=\"shop\"")) == 101);
	remove_pod(w, 1);
	assert_true(scraped(w, SENT(",workload=\"statefulset/web\",namespace=\"shop\"")) == -1);
	/* all pods made anew: the sum goes on */
	put_pod(w, 2, "shop", "web");
	(void)add_pair(w, 3, 1, cgroup_of(2, 0), 7);
	assert_true(scraped(w, SENT(",workload=\"statefulset/web\",namespace=\"shop\"")) == 108);
}

static void local_failures_of_a_group_never_run_backwards(void **state)
{
	static const char local[] = "ebb_connects_total{destination=\"10.0.0.5:443/tcp\",outcome=\"local\"}";
	struct ebb_pair *pair;
	struct world *w = *state;

	keep(w, KEEP(DESTINATION));
	pair = add_pair(w, 1, 1, 9, 0);
	(void)add_pair(w, 2, 1, 10, 0);
	pair->attempts = 10;
	pair->syn_sent = 7;
	assert_true(scraped(w, local) == 3);
	pair->syn_sent = 9;
	assert_true(scraped(w, local) == 3);
	pair->attempts = 14;
	assert_true(scraped(w, local) == 5);
}

static struct ebb_pair *random_pair(struct world *w, uint32_t slot, uint64_t sent)
{
	return add_pair(w, slot, 1 + (uint32_t)random() % 2, 1 + (uint64_t)random() % (2 * PODS), sent);
}

/*
 * Any order of what can happen: each series that two scrapes have, and that did not end in between, is at least what it
 * was, and grows by no more than what was counted meanwhile.
 */
static void sums_hold_whatever_happens(void **state)
{
	static const char *const spaces[] = {"shop", "test"};
	struct world *w = *state;
	_cleanup_free_ char *before = NULL;

	srandom(7);
	keep(w, KEEP(NAMESPACE));
	for (int step = 0; step < 1000; step++) {
		uint32_t slot = 1 + (uint32_t)random() % (PAIRS - 1);
		struct ebb_pair *pair = &w->fake->view.pairs[slot];
		_cleanup_free_ char *now = NULL;
		double counted = 0, grown = 0;
		const char *end;

		switch (random() % 5) {
		case 0:
			if (pair->state == EBB_SLOT_LIVE)
				give_back(w, slot);
			break;
		case 1:
			if (pair->state == EBB_SLOT_FREE)
				counted = (double)random_pair(w, slot, (uint64_t)random() % 100)->sent_bytes;
			break;
		case 2:
			put_pod(w, (unsigned int)random() % PODS, spaces[random() % 2], "web");
			break;
		default:
			if (pair->state == EBB_SLOT_LIVE) {
				pair->sent_bytes += 50;
				counted = 50;
			}
		}
		now = render(w->fake, EBB_METRICS_TEXT);
		assert_no_duplicates(now);
		end = now + strlen(now);
		for (const char *line = now; line < end; line = next_line(line, end)) {
			const char *closing = memchr(line, '}', (size_t)(end - line));
			char series[320];

			if (strncmp(line, SENT_NAME, strlen(SENT_NAME)) != 0 || !closing)
				continue;
			(void)snprintf(series, sizeof(series), "%.*s", (int)(closing + 1 - line), line);
			if (!before || !has(before, series))
				continue;
			if (value_of(now, series) < value_of(before, series))
				fail_msg("step %d: %s fell from %g to %g", step, series,
					 value_of(before, series), value_of(now, series));
			grown += value_of(now, series) - value_of(before, series);
		}
		if (grown > counted)
			fail_msg("step %d: %g were counted, %g are shown", step, counted, grown);
		free(before);
		before = TAKE_PTR(now);
	}
}

/* ------------------------------------------------------------------- gates -- */

static void open_gate(struct world *w, uint32_t gate, uint32_t state, uint64_t until_ns)
{
	w->fake->view.verdicts[gate].word = ebb_word(1, state, ebb_ns_to_ticks(until_ns));
}

static void gates_are_counted_by_their_state(void **state)
{
	static const char *const names[] = {"closed", "open", "half_open"};
	static const double wanted[] = {2, 3, 1};
	struct world *w = *state;

	keep(w, KEEP(DESTINATION));
	for (uint32_t slot = 1; slot <= 6; slot++)
		(void)add_pair(w, slot, 2, 8 + slot, 0);
	for (uint32_t slot = 1; slot <= 3; slot++)
		open_gate(w, DSTS + slot, EBB_STATE_OPEN, FAKE_NOW_NS + slot * SECOND);
	open_gate(w, DSTS + 4, EBB_STATE_HALF_OPEN, 0);
	w->fake->view.memories[DSTS + 1].window_ratio_ppm = 250000;
	w->fake->view.memories[DSTS + 5].window_ratio_ppm = 500000;
	w->fake->view.memories[DSTS + 6].window_ratio_ppm = 100000;
	w->fake->view.memories[DSTS + 1].window_ok = 7;
	w->fake->view.memories[DSTS + 6].window_failed = 4;
	w->fake->view.gates[DSTS + 1].in_use = 3;
	w->fake->view.gates[DSTS + 2].in_use = 4;
	w->fake->view.policies[2].limits.concurrent = 10;
	for (size_t i = 0; i < 3; i++) {
		char series[128];

		(void)snprintf(series, sizeof(series),
			       "ebb_breaker_state{destination=\"10.0.0.6:443/tcp\",state=\"%s\"}", names[i]);
		assert_true(scraped(w, series) == wanted[i]);
	}
	/* to the tick */
	assert_in_range(scraped(w,
				"ebb_breaker_open_until_timestamp_seconds{destination=\"10.0.0.6:443/tcp\"}") *
				1000,
			FAKE_REALTIME_NS / 1000000 + 3000, FAKE_REALTIME_NS / 1000000 + 3002);
	assert_true(scraped(w, "ebb_breaker_failure_ratio{destination=\"10.0.0.6:443/tcp\"}") == 0.5);
	assert_true(scraped(w, "ebb_breaker_window_calls{destination=\"10.0.0.6:443/tcp\"}") == 11);
	assert_true(scraped(w, "ebb_concurrent_in_use{destination=\"10.0.0.6:443/tcp\"}") == 7);
	assert_true(scraped(w, "ebb_concurrent_limit{destination=\"10.0.0.6:443/tcp\"}") == 60);
}

/* A workload that is apart has a breaker of its own beside its destination's. */
static void a_gate_apart_is_counted_with_that_of_its_destination(void **state)
{
	static const char closed[] = "ebb_breaker_state{destination=\"10.0.0.5:443/tcp\",state=\"closed\"}";
	static const char opened[] = "ebb_breaker_state{destination=\"10.0.0.5:443/tcp\",state=\"open\"}";
	static const char moved[] =
		"ebb_breaker_transitions_total{destination=\"10.0.0.5:443/tcp\",from=\"closed\","
		"to=\"open\",reason=\"consecutive_failures\"}";
	struct world *w = *state;

	keep(w, KEEP(DESTINATION));
	(void)add_pair(w, 1, 1, 9, 0);
	(void)add_pair(w, 2, 1, 10, 0);
	assert_true(scraped(w, closed) == 1);
	w->fake->view.pairs[2].gate = DSTS + 2;
	open_gate(w, DSTS + 2, EBB_STATE_OPEN, FAKE_NOW_NS + SECOND);
	w->fake->view.memories[DSTS + 2].moved[EBB_REASON_CONSECUTIVE_FAILURES] = 2;
	w->fake->view.memories[1].moved[EBB_REASON_CONSECUTIVE_FAILURES] = 3;
	assert_true(scraped(w, closed) == 1);
	assert_true(scraped(w, opened) == 1);
	assert_true(scraped(w, moved) == 5);
	/* with the others again: its moves stay told */
	w->fake->view.pairs[2].gate = 1;
	assert_true(scraped(w, opened) == 0);
	assert_true(scraped(w, moved) == 5);
	give_back(w, 2);
	assert_true(scraped(w, moved) == 5);
}

static void the_gate_of_a_destination_has_no_workload(void **state)
{
	struct world *w = *state;

	keep(w, KEEP(WORKLOAD));
	(void)add_pair(w, 1, 1, 9, 5);
	assert_true(scraped(w,
			    "ebb_breaker_state{destination=\"10.0.0.5:443/tcp\",workload=\"\",state=\"closed\"}") ==
		    1);
	assert_true(scraped(w,
			    "ebb_breaker_state{destination=\"10.0.0.5:443/tcp\",workload=\"/w/9\",state=\"closed\"}") ==
		    -1);
	assert_true(scraped(w, SENT(",workload=\"/w/9\"")) == 5);
}

static void overflow_is_shown_without_its_workload(void **state)
{
	struct world *w = *state;

	keep(w, KEEP(NAMESPACE));
	w->fake->view.pairs[0].sent_bytes = 4;
	assert_true(scraped(w, "ebb_sent_bytes_total{destination=\"~other\"}") == 4);
	assert_true(scraped(w, "ebb_breaker_state{destination=\"~other\",state=\"closed\"}") == 1);
}

/* ------------------------------------------------------------------ changes -- */

static struct world *meddled;
static int meddling;

/* Everything changes under a scrape: its list, its pairs, its names. */
static void meddle(struct fake *fake)
{
	(void)fake;
	if (meddling++ % 3 == 0)
		keep(meddled, meddling % 2 ? KEEP(DESTINATION) : KEEP(NAMESPACE));
	if (meddling % 5 == 0)
		give_back(meddled, 2);
	else if (meddling % 5 == 1 && meddled->fake->view.pairs[2].state == EBB_SLOT_FREE)
		(void)add_pair(meddled, 2, 1, cgroup_of(0, 0), 5);
	put_pod(meddled, 0, meddling % 2 ? "shop" : "test", "web");
}

static void a_scrape_under_way_is_whole_whatever_changes(void **state)
{
	struct world *w = *state;
	char *text;

	meddled = w;
	put_pod(w, 0, "shop", "web");
	keep(w, KEEP(NAMESPACE));
	(void)add_pair(w, 1, 1, 9, 100);
	(void)add_pair(w, 2, 1, cgroup_of(0, 0), 20);
	for (int round = 0; round < 8; round++) {
		text = render_with(w->fake, EBB_METRICS_OPENMETRICS, 512, meddle);
		assert_no_duplicates(text);
		assert_non_null(strstr(text, "# EOF"));
		free(text);
	}
	keep(w, 0);
	assert_true(scraped(w, SENT(",workload=\"/w/9\"")) == 100);
}

static void the_same_list_changes_nothing(void **state)
{
	struct world *w = *state;

	keep(w, KEEP(NAMESPACE));
	(void)add_pair(w, 1, 1, 9, 100);
	assert_true(scraped(w, SENT("")) == 100);
	keep(w, KEEP(NAMESPACE) | KEEP(DESTINATION));
	assert_true(scraped(w, SENT("")) == 100);
	/* another begins at 0 */
	keep(w, KEEP(DESTINATION));
	assert_true(scraped(w, SENT("")) == 0);
}

/* The collector of idle slots says so before it clears one. */
static int remove_key(void *userdata, enum ebb_slot_kind kind, const void *key, uint32_t slot)
{
	(void)userdata;
	(void)kind;
	(void)key;
	(void)slot;
	return 0;
}

static int insert_key(void *userdata, enum ebb_slot_kind kind, const void *key, const struct ebb_ref *ref)
{
	(void)userdata;
	(void)kind;
	(void)key;
	(void)ref;
	return 0;
}

static int release_slot(void *userdata, enum ebb_slot_kind kind, uint32_t slot)
{
	(void)userdata;
	(void)kind;
	(void)slot;
	return 0;
}

static void slot_ends(void *userdata, enum ebb_slot_kind kind, uint32_t slot)
{
	struct world *w = userdata;

	ebb_groups_leave(w->fake->source.groups, kind == EBB_SLOT_KIND_PAIR ? DSTS + slot : slot);
}

static void the_collector_tells_before_it_clears(void **state)
{
	struct world *w = *state;
	const struct ebb_idle_ops ops = {w, remove_key, insert_key, release_slot, slot_ends, NULL};
	struct ebb_collector *collector;
	struct ebb_pair *busy, *idle;
	uint64_t now_ns = FAKE_NOW_NS;

	keep(w, KEEP(DESTINATION));
	assert_int_equal(ebb_collector_new(&w->fake->view, SECOND, &ops, &collector), 0);
	busy = add_pair(w, 1, 1, 9, 100);
	idle = add_pair(w, 2, 1, 10, 20);
	assert_true(scraped(w, SENT("")) == 120);
	for (int i = 0; i < 80 && idle->state != EBB_SLOT_FREE; i++) {
		busy->attempts++;
		busy->syn_sent++;
		busy->outcomes[EBB_OUTCOME_ESTABLISHED]++;
		now_ns += SECOND;
		assert_return_code(ebb_collector_run(collector, now_ns), 0);
		assert_true(scraped(w, SENT("")) == 120);
	}
	assert_int_equal(idle->state, EBB_SLOT_FREE);
	assert_int_equal(idle->sent_bytes, 0);
	assert_true(scraped(w, SENT("")) == 120);
	ebb_collector_free(collector);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(pairs_with_the_same_kept_labels_are_one_series),
		TEST(every_counter_of_a_pair_is_added_up),
		TEST(a_list_that_merges_nothing_changes_no_value),
		TEST(a_sum_stays_when_a_pair_goes),
		TEST(a_group_ends_with_its_last_member),
		TEST(a_pair_that_retires_still_counts),
		TEST(what_was_there_at_the_start_counts_from_then_on),
		TEST(who_is_called_otherwise_takes_nothing_along),
		TEST(a_series_ends_with_the_last_pod),
		TEST(local_failures_of_a_group_never_run_backwards),
		TEST(sums_hold_whatever_happens),
		TEST(gates_are_counted_by_their_state),
		TEST(a_gate_apart_is_counted_with_that_of_its_destination),
		TEST(the_gate_of_a_destination_has_no_workload),
		TEST(overflow_is_shown_without_its_workload),
		TEST(a_scrape_under_way_is_whole_whatever_changes),
		TEST(the_same_list_changes_nothing),
		TEST(the_collector_tells_before_it_clears),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
