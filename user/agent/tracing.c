/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/tracing.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "agent/episodes.h"
#include "agent/otlp_peer.h"
#include "core/policy.h"
#include "export/name.h"
#include "export/span.h"
#include "export/span_sender.h"
#include "lib/log.h"
#include "lib/timer.h"
#include "node/place.h"
#include "node/who.h"

#define NS_PER_S 1000000000ULL

/* The kernel writes for so long after the last tick; a tick comes once a second, or late. */
#define LEASE_NS (10 * NS_PER_S)

/* Spans taken from one tick to the next. The rest waits in the ring of some 8,000. */
#define TAKE_MAX 500

/* Of them at a stretch: some 0.5 ms of work. Others have their turn after it. */
#define SLICE_SPANS 40
#define PAUSE_NS    1000000ULL

#define QUEUE_BYTES (4U << 20)
#define QUEUE_SPANS 4096

#define RANDOM_SPANS 64

struct ebb_tracing {
	struct ebb_tracing_setup setup;
	struct ebb_episodes *episodes;
	struct ebb_otlp_peer peer;
	struct ebb_span_sender *sender; /* NULL: off */
	struct ebb_traces_facts past;	/* of collectors that are no longer asked */
	int64_t realtime_minus_mono;
	struct ebb_exemplar *connects, *turns; /* by destination slot; untouched pages cost nothing */
	uint8_t random[RANDOM_SPANS][EBB_SPAN_RANDOM];
	size_t random_left;
	size_t may_take; /* spans, until the next tick */
	int timer_fd;
	char line[EBB_OTLP_SPAN_MAX];
};

/* ------------------------------------------------------------------ naming -- */

struct names {
	char destination[EBB_DST_NAME_MAX];
	char host[EBB_DST_NAME_MAX];
	char workload[EBB_CGROUP_PATH_MAX];
	struct ebb_place place;
};

static void name_workload(const struct ebb_tracing *t, uint64_t workload, struct names *n,
			  struct ebb_span_who *ret_who)
{
	struct ebb_who who;

	/* uid and container id stand in the path, also of a pod that nobody has told of */
	ebb_place_of(ebb_cgroup_path_name(t->setup.names, workload), &n->place);
	ebb_who(t->setup.names, workload, &who);
	(void)snprintf(n->workload, sizeof(n->workload), "%s", who.workload);
	*ret_who = (struct ebb_span_who){
		.workload = n->workload,
		.namespace = who.namespace,
		.pod = who.pod,
		.pod_uid = n->place.pod,
		.container = who.container,
		.container_id = n->place.container,
	};
}

/* "api.example.com:443/tcp" -> "api.example.com"; NULL: it goes by an address or by a rule. */
static const char *host_of(const struct ebb_tracing *t, uint32_t dst, char *buffer, size_t size)
{
	const struct ebb_name *name = ebb_dst_given_name(t->setup.view, dst);
	char *colon;

	if (!name || !(name->flags & EBB_NAME_HOST))
		return NULL;
	(void)snprintf(buffer, size, "%s", name->text);
	colon = strrchr(buffer, ':');
	if (colon)
		*colon = '\0';
	return buffer;
}

/* A slot that has a new owner since says nothing of this connection; its address does. */
static void name_destination(const struct ebb_tracing *t, const struct ebb_span_end *end, struct names *n,
			     struct ebb_connection *c)
{
	const struct ebb_view *view = t->setup.view;

	c->destination = n->destination;
	if (end->dst < view->dst_max && view->dsts[end->dst].epoch == end->dst_epoch) {
		(void)ebb_dst_name(view, end->dst, n->destination, sizeof(n->destination));
		c->host = host_of(t, end->dst, n->host, sizeof(n->host));
	} else {
		(void)ebb_endpoint_name(&end->peer, n->destination, sizeof(n->destination));
	}
}

/* ------------------------------------------------------------------- spans -- */

static void draw(struct ebb_tracing *t, uint8_t ret_random[EBB_SPAN_RANDOM])
{
	/* of up to 256 bytes it gives all or nothing, and after the start of the machine never nothing */
	if (t->random_left == 0) {
		for (size_t i = 0; i < RANDOM_SPANS; i++)
			(void)!getrandom(t->random[i], sizeof(t->random[i]), 0);
		t->random_left = RANDOM_SPANS;
	}
	memcpy(ret_random, t->random[--t->random_left], EBB_SPAN_RANDOM);
}

static int64_t to_realtime(const struct ebb_tracing *t, uint64_t at_ns)
{
	return at_ns ? (int64_t)at_ns + t->realtime_minus_mono : 0;
}

static void put_line(struct ebb_tracing *t, const struct ebb_line *line, int r)
{
	if (r < 0)
		ebb_span_sender_invalid(t->sender);
	else
		ebb_span_sender_put(t->sender, line->data, line->used, t->setup.now_ns());
}

/* The last connection of a destination that has a value. */
static void show(const struct ebb_connection *c, const struct ebb_span_end *end, uint64_t value_ns,
		 int64_t realtime_ns, struct ebb_exemplar *place)
{
	if (!value_ns || !realtime_ns)
		return;
	*place = (struct ebb_exemplar){.dst_epoch = end->dst_epoch,
				       .value_ns = value_ns,
				       .realtime_ns = realtime_ns};
	ebb_span_ids(c, place->trace_id, place->span_id);
}

static void on_span(void *userdata, const struct ebb_span_end *end)
{
	struct ebb_tracing *t = userdata;
	struct ebb_line line = {.data = t->line, .size = sizeof(t->line)};
	struct names names;
	struct ebb_connection c = {
		.peer = end->peer,
		.start_realtime_ns = to_realtime(t, end->start_ns),
		.connected_realtime_ns = to_realtime(t, end->connected_ns),
		.answered_realtime_ns = to_realtime(t, end->answered_ns),
		.end_realtime_ns = to_realtime(t, end->at_ns),
		.outcome = end->outcome,
		.failed = (end->flags & EBB_SPAN_FAILED) != 0,
		.denied = end->outcome == EBB_RECORD_DENIED,
		.cause = end->cause,
		.enforced = (end->flags & EBB_SPAN_ENFORCED) != 0,
		.probe = (end->flags & EBB_SPAN_PROBE) != 0,
		.sent_bytes = end->sent_bytes,
		.received_bytes = end->received_bytes,
		.rtt_us = end->rtt_us,
		.turn_ns = end->turn_ns,
		.retransmits = end->retransmits,
		.dice = end->dice,
		.share = end->share,
	};

	if (!t->sender)
		return;
	name_destination(t, end, &names, &c);
	name_workload(t, end->workload, &names, &c.who);
	if (c.denied && (c.cause == EBB_CAUSE_BREAKER || c.cause == EBB_CAUSE_HALF_OPEN))
		c.episode = ebb_episodes_at(t->setup.view, end->gate, end->at_ns);
	draw(t, c.random);
	if (end->dst < t->setup.view->dst_max) {
		show(&c, end, end->connected_ns ? end->connected_ns - end->start_ns : 0,
		     c.connected_realtime_ns, &t->connects[end->dst]);
		show(&c, end, end->turn_ns, c.answered_realtime_ns, &t->turns[end->dst]);
	}
	put_line(t, &line, ebb_span_put_connection(&line, &c));
}

static void put_episode(struct ebb_tracing *t, const struct ebb_move_facts *facts,
			const struct ebb_episode *episode)
{
	const struct ebb_move *move = facts->move;
	struct ebb_line line = {.data = t->line, .size = sizeof(t->line)};
	struct names names;
	struct ebb_episode_span span = {
		.destination = facts->destination,
		.episode = episode->id,
		.start_realtime_ns = to_realtime(t, episode->moves[0].at_ns),
		.end_realtime_ns = to_realtime(t, move->transition.at_ns),
		.moves = episode->moves,
		.move_count = episode->move_count,
		.dropped_moves = episode->dropped,
		.realtime_minus_mono = t->realtime_minus_mono,
		.last_failure = episode->last_failure,
		.mode = facts->mode,
	};

	if (move->pair != EBB_SLOT_OTHER)
		name_workload(t, t->setup.view->pairs[move->pair].workload, &names, &span.who);
	put_line(t, &line, ebb_span_put_episode(&line, &span));
}

/* An offset of before a clock was set would put a span where its events are not. */
static void look_at_clocks(struct ebb_tracing *t)
{
	t->realtime_minus_mono = t->setup.realtime_ns() - (int64_t)t->setup.now_ns();
}

void ebb_tracing_moved(struct ebb_tracing *tracing, const struct ebb_move_facts *facts)
{
	struct ebb_tracing *t = tracing;
	struct ebb_episode episode;

	/* also without a collector: it may be asked for while one goes on */
	if (!ebb_episodes_moved(t->episodes, facts->move, facts->last_failure, &episode) || !t->sender)
		return;
	look_at_clocks(t);
	put_episode(t, facts, &episode);
}

/* --------------------------------------------------------------- collector -- */

static void tell(struct ebb_tracing *t)
{
	struct ebb_span_sender_status status = {0};

	if (t->sender)
		ebb_span_sender_status(t->sender, &status);
	ebb_otlp_peer_tell(&t->peer, status.failing, status.why);
}

static void on_answer(void *userdata, const struct ebb_otlp_answer *answer, uint64_t after_ns)
{
	struct ebb_tracing *t = userdata;

	ebb_span_sender_answer(t->sender, answer, after_ns, t->setup.now_ns());
	tell(t);
}

static void add_status(struct ebb_traces_facts *facts, const struct ebb_span_sender_status *status)
{
	for (int i = 0; i < EBB_SPAN_RESULT_MAX; i++)
		facts->spans[i] += status->spans[i];
}

static void publish(struct ebb_tracing *t)
{
	struct ebb_span_sender_status status = {0};
	struct ebb_traces_facts facts = t->past;

	if (t->sender)
		ebb_span_sender_status(t->sender, &status);
	add_status(&facts, &status);
	facts.connects = t->connects;
	facts.turns = t->turns;
	facts.waiting = status.waiting;
	facts.lost = ebb_spans_lost(t->setup.spans);
	*t->setup.facts = facts;
}

static void stop_sending(struct ebb_tracing *t)
{
	struct ebb_span_sender_status status;

	if (!t->sender)
		return;
	ebb_otlp_peer_cancel(&t->peer);
	ebb_span_sender_status(t->sender, &status);
	status.spans[EBB_SPAN_EXPIRED] += status.waiting;
	add_status(&t->past, &status);
	ebb_span_sender_free(t->sender);
	t->sender = NULL;
}

/* ----------------------------------------------------------- configuration -- */

static void start_sending(struct ebb_tracing *t)
{
	const struct ebb_span_sender_setup setup = {
		.settings = t->peer.settings,
		.version = t->setup.version,
		.delivery = ebb_delivery_defaults,
		.queue_bytes = QUEUE_BYTES,
		.queue_spans = QUEUE_SPANS,
		.send = ebb_otlp_peer_send,
		.userdata = &t->peer,
	};
	char sample[32];

	if (ebb_span_sender_new(&setup, &t->sender) < 0) {
		ebb_err("no memory for traces: none are sent");
		return;
	}
	(void)snprintf(sample, sizeof(sample), "%g", t->peer.settings->sample);
	ebb_info("traces are sent: to=%s sample=%s", t->peer.settings->url, sample);
}

void ebb_tracing_configure(struct ebb_tracing *t, const struct ebb_config *config)
{
	const struct ebb_otlp_ours ours = {
		.endpoint = config->traces_endpoint,
		.headers_file = config->traces_headers_file,
		.sample = config->traces_sample,
		.sample_given = ebb_config_is_given(config, "traces.otlp.sample"),
	};

	if (!ebb_otlp_peer_configure(&t->peer, &ours))
		return;
	stop_sending(t);
	if (t->peer.settings->url[0])
		start_sending(t);
	if (!t->sender)
		ebb_spans_want(t->setup.spans, 0, 0);
	tell(t);
	publish(t);
}

/* -------------------------------------------------------------------- loop -- */

static void drop_span(void *userdata, const struct ebb_span_end *end)
{
	(void)userdata;
	(void)end;
}

/* A slice of what there is: spans first, then what becomes of them. */
static void run(struct ebb_tracing *t)
{
	size_t most = t->may_take < SLICE_SPANS ? t->may_take : SLICE_SPANS;
	uint64_t due_ns;
	int n;

	look_at_clocks(t);
	n = ebb_spans_take(t->setup.spans, most, on_span, t);
	t->may_take -= n > 0 ? (size_t)n : 0;
	/* UINT64_MAX: with the next tick */
	if (n > SLICE_SPANS / 8)
		due_ns = t->setup.now_ns() + PAUSE_NS;
	else
		due_ns = ebb_span_sender_run(t->sender, false, t->setup.now_ns());
	(void)ebb_timer_arm(t->timer_fd, due_ns);
	publish(t);
}

void ebb_tracing_tick(struct ebb_tracing *t, uint64_t now_ns)
{
	if (!t->sender) {
		/* what was on its way when it was turned off */
		(void)ebb_spans_take(t->setup.spans, TAKE_MAX, drop_span, NULL);
		return;
	}
	ebb_spans_want(t->setup.spans, ebb_otlp_share(t->peer.settings->sample), now_ns + LEASE_NS);
	t->may_take = TAKE_MAX;
	run(t);
}

int ebb_tracing_fd(const struct ebb_tracing *tracing)
{
	return tracing->timer_fd;
}

void ebb_tracing_dispatch(struct ebb_tracing *t)
{
	uint64_t expirations;

	(void)!read(t->timer_fd, &expirations, sizeof(expirations));
	if (t->sender)
		run(t);
}

bool ebb_tracing_flush(struct ebb_tracing *t, uint64_t now_ns)
{
	struct ebb_span_sender_status status;
	int n;

	if (!t->sender)
		return false;
	ebb_spans_want(t->setup.spans, 0, 0);
	look_at_clocks(t);
	do {
		n = ebb_spans_take(t->setup.spans, TAKE_MAX, on_span, t);
	} while (n == TAKE_MAX);
	(void)ebb_span_sender_run(t->sender, true, now_ns);
	publish(t);
	ebb_span_sender_status(t->sender, &status);
	return status.waiting && !status.failing;
}

static int open_peer(struct ebb_tracing *t)
{
	const struct ebb_otlp_peer_setup setup = {
		.signal = EBB_OTLP_TRACES,
		.name = "traces",
		.otherwise = "they wait in memory, and when that is full they are dropped",
		.component = EBB_HEALTH_TRACES,
		.health = t->setup.health,
		.fetch = t->setup.fetch,
		.environ = t->setup.environ,
		.run_id = t->setup.view->agent->run_id,
		.realtime_ns = t->setup.realtime_ns,
		.answered = on_answer,
		.userdata = t,
	};

	return ebb_otlp_peer_init(&t->peer, &setup);
}

int ebb_tracing_new(const struct ebb_tracing_setup *setup, struct ebb_tracing **ret_tracing)
{
	struct ebb_tracing *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->setup = *setup;
	t->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	t->connects = calloc(setup->view->dst_max, sizeof(*t->connects));
	t->turns = calloc(setup->view->dst_max, sizeof(*t->turns));
	if (t->timer_fd < 0 || open_peer(t) < 0 || !t->connects || !t->turns ||
	    ebb_episodes_new(setup->view, &t->episodes) < 0) {
		ebb_tracing_free(t);
		return -ENOMEM;
	}
	*ret_tracing = t;
	return 0;
}

void ebb_tracing_free(struct ebb_tracing *tracing)
{
	if (!tracing)
		return;
	stop_sending(tracing);
	ebb_episodes_free(tracing->episodes);
	free(tracing->connects);
	free(tracing->turns);
	ebb_otlp_peer_done(&tracing->peer);
	if (tracing->timer_fd >= 0)
		(void)close(tracing->timer_fd);
	free(tracing);
}
