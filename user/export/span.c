/* SPDX-License-Identifier: Apache-2.0 */
#include "export/span.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/policy.h"

#define NS_PER_US 1000ULL

#define ATTRIBUTES_MAX 32
#define MOVES_MAX      8
#define MOVE_FACTS     6
#define NAME_MAX_BYTES 320
#define EPISODE_MAX    17

/* What a span is put together of; nothing of it outlives the call. */
struct draft {
	struct ebb_otlp_attribute attributes[ATTRIBUTES_MAX];
	size_t count;
	char name[NAME_MAX_BYTES];
	char address[INET6_ADDRSTRLEN];
	char episode[EPISODE_MAX];
};

static void add_text(struct draft *d, const char *key, const char *text)
{
	if (text && text[0] && d->count < ATTRIBUTES_MAX)
		d->attributes[d->count++] =
			(struct ebb_otlp_attribute){.key = key, .type = EBB_OTLP_STRING, .text = text};
}

static void add_number(struct draft *d, const char *key, uint64_t number)
{
	if (d->count < ATTRIBUTES_MAX)
		d->attributes[d->count++] = (struct ebb_otlp_attribute){
			.key = key,
			.type = EBB_OTLP_INT,
			.number = number < INT64_MAX ? (int64_t)number : INT64_MAX,
		};
}

static void add_flag(struct draft *d, const char *key, bool flag)
{
	if (d->count < ATTRIBUTES_MAX)
		d->attributes[d->count++] =
			(struct ebb_otlp_attribute){.key = key, .type = EBB_OTLP_BOOL, .flag = flag};
}

static void add_seconds(struct draft *d, const char *key, uint64_t ns)
{
	if (d->count < ATTRIBUTES_MAX)
		d->attributes[d->count++] = (struct ebb_otlp_attribute){.key = key,
									.type = EBB_OTLP_DOUBLE,
									.real = (double)ns / 1e9};
}

static void add_who(struct draft *d, const struct ebb_span_who *who)
{
	add_text(d, "ebb.workload", who->workload);
	add_text(d, "k8s.namespace.name", who->namespace);
	add_text(d, "k8s.pod.name", who->pod);
	add_text(d, "k8s.pod.uid", who->pod_uid);
	add_text(d, "k8s.container.name", who->container);
	add_text(d, "container.id", who->container_id);
}

static void add_episode(struct draft *d, uint64_t episode)
{
	if (!episode)
		return;
	(void)snprintf(d->episode, sizeof(d->episode), "%016" PRIx64, episode);
	add_text(d, "ebb.episode", d->episode);
}

/* ------------------------------------------------------------- identifiers -- */

static void put_be64(uint8_t bytes[8], uint64_t word)
{
	for (int i = 0; i < 8; i++)
		bytes[i] = (uint8_t)(word >> (56 - 8 * i));
}

/* splitmix64 (Steele, Lea and Flood, 2014): one word well mixed, and never 0 here. */
static uint64_t mix(uint64_t word)
{
	word += 0x9e3779b97f4a7c15ULL;
	word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9ULL;
	word = (word ^ (word >> 27)) * 0x94d049bb133111ebULL;
	word ^= word >> 31;
	return word ? word : 1;
}

void ebb_span_of_episode(uint64_t episode, struct ebb_otlp_link *ret_link)
{
	put_be64(ret_link->trace_id, mix(episode));
	put_be64(ret_link->trace_id + 8, mix(~episode));
	put_be64(ret_link->span_id, episode);
}

/* Random, but for the 32 bits that the kernel has drawn: a small number drawn is a large one there. */
void ebb_span_ids(const struct ebb_connection *connection, uint8_t ret_trace_id[EBB_TRACE_ID_BYTES],
		  uint8_t ret_span_id[EBB_SPAN_ID_BYTES])
{
	uint32_t drawn = ~connection->dice;

	memcpy(ret_trace_id, connection->random, 9);
	for (int i = 0; i < 4; i++)
		ret_trace_id[9 + i] = (uint8_t)(drawn >> (24 - 8 * i));
	memcpy(ret_trace_id + 13, connection->random + 9, 3);
	memcpy(ret_span_id, connection->random + 12, 8);
	ret_trace_id[0] |= 1; /* neither is ever all zero */
	ret_span_id[0] |= 1;
}

/* "ot=th:e6666666": what the 56 bits were not below, without zeros at the end. All failures are taken: "ot=th:0". */
static const char *trace_state(const struct ebb_connection *c, char *buffer, size_t size)
{
	uint32_t least = c->failed ? 0 : ~c->share;
	size_t length = (size_t)snprintf(buffer, size, "ot=th:%08" PRIx32, least);
	size_t shortest = strlen("ot=th:") + 1;

	while (length > shortest && buffer[length - 1] == '0')
		buffer[--length] = '\0';
	return buffer;
}

/* -------------------------------------------------------------- connection -- */

static bool is_v4(const struct ebb_endpoint *endpoint)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	return memcmp(endpoint->addr, mapped, sizeof(mapped)) == 0;
}

static void add_peer(struct draft *d, const struct ebb_connection *c)
{
	bool v4 = is_v4(&c->peer);

	(void)inet_ntop(v4 ? AF_INET : AF_INET6, c->peer.addr + (v4 ? 12 : 0), d->address,
			sizeof(d->address));
	add_text(d, "server.address", c->host ? c->host : d->address);
	add_number(d, "server.port", ntohs(c->peer.port));
	add_text(d, "network.peer.address", d->address);
	add_number(d, "network.peer.port", ntohs(c->peer.port));
	add_text(d, "network.transport", c->peer.proto == IPPROTO_UDP ? "udp" : "tcp");
	add_text(d, "network.type", v4 ? "ipv4" : "ipv6");
}

static void add_denial(struct draft *d, const struct ebb_connection *c)
{
	add_text(d, "ebb.outcome", "denied");
	add_text(d, "ebb.denied.cause", ebb_cause_name(c->cause));
	add_flag(d, "ebb.denied.enforced", c->enforced);
	if (c->enforced)
		add_text(d, "error.type", "denied");
	add_episode(d, c->episode);
}

static void add_end(struct draft *d, const struct ebb_connection *c)
{
	const char *outcome = ebb_outcome_name(c->outcome);

	add_text(d, "ebb.outcome", outcome);
	if (c->failed)
		add_text(d, "error.type", outcome);
	if (c->probe)
		add_flag(d, "ebb.probe", true);
	if (!c->start_realtime_ns)
		add_flag(d, "ebb.start_unknown", true);
	if (c->outcome != EBB_OUTCOME_ESTABLISHED && c->outcome != EBB_OUTCOME_RESET &&
	    c->outcome != EBB_OUTCOME_UNANSWERED)
		return;
	add_number(d, "ebb.sent_bytes", c->sent_bytes);
	add_number(d, "ebb.received_bytes", c->received_bytes);
	add_number(d, "ebb.retransmits", c->retransmits);
	if (c->rtt_us)
		add_seconds(d, "ebb.rtt", c->rtt_us * NS_PER_US);
	if (c->turn_ns)
		add_seconds(d, "ebb.first_turn", c->turn_ns);
}

static size_t list_events(const struct ebb_connection *c, struct ebb_otlp_event events[3])
{
	size_t count = 0;

	if (c->connected_realtime_ns)
		events[count++] =
			(struct ebb_otlp_event){.realtime_ns = c->connected_realtime_ns, .name = "connect"};
	if (c->answered_realtime_ns)
		events[count++] = (struct ebb_otlp_event){.realtime_ns = c->answered_realtime_ns,
							  .name = "first_answer"};
	if (!c->denied && c->connected_realtime_ns)
		events[count++] = (struct ebb_otlp_event){.realtime_ns = c->end_realtime_ns, .name = "close"};
	return count;
}

int ebb_span_put_connection(struct ebb_line *line, const struct ebb_connection *c)
{
	struct draft d = {.count = 0};
	struct ebb_otlp_event events[3];
	struct ebb_otlp_link link;
	struct ebb_otlp_span span = {
		.kind = EBB_OTLP_CLIENT,
		.name = d.name,
		.start_realtime_ns = c->start_realtime_ns ? c->start_realtime_ns : c->end_realtime_ns,
		.end_realtime_ns = c->end_realtime_ns,
		.attributes = d.attributes,
		.events = events,
		.links = &link,
		.failed = c->denied ? c->enforced : c->failed,
	};
	char state[32], message[64];

	(void)snprintf(d.name, sizeof(d.name), "connect %s", c->destination);
	ebb_span_ids(c, span.trace_id, span.span_id);
	span.trace_state = trace_state(c, state, sizeof(state));
	add_peer(&d, c);
	add_text(&d, "ebb.destination", c->destination);
	add_who(&d, &c->who);
	if (c->denied) {
		add_denial(&d, c);
		(void)snprintf(message, sizeof(message), "refused by ebb: %s", ebb_cause_name(c->cause));
	} else {
		add_end(&d, c);
		(void)snprintf(message, sizeof(message), "%s", ebb_outcome_name(c->outcome));
	}
	span.message = message;
	if (c->denied && c->episode) {
		ebb_span_of_episode(c->episode, &link);
		span.link_count = 1;
	}
	span.attribute_count = d.count;
	span.event_count = list_events(c, events);
	return ebb_otlp_put_span(line, &span);
}

/* ----------------------------------------------------------------- episode -- */

static void describe_move(const struct ebb_transition *move, int64_t offset_ns,
			  struct ebb_otlp_attribute facts[MOVE_FACTS], struct ebb_otlp_event *ret_event)
{
	const struct {
		const char *key;
		uint32_t number;
	} numbers[] = {{"ebb.ok", move->ok},
		       {"ebb.failed", move->failed},
		       {"ebb.slow", move->slow},
		       {"ebb.run", move->run},
		       {"ebb.generation", move->gen}};

	facts[0] = (struct ebb_otlp_attribute){.key = "ebb.reason",
					       .type = EBB_OTLP_STRING,
					       .text = ebb_reason_name(move->reason)};
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		facts[1 + i] = (struct ebb_otlp_attribute){.key = numbers[i].key,
							   .type = EBB_OTLP_INT,
							   .number = numbers[i].number};
	*ret_event = (struct ebb_otlp_event){
		.realtime_ns = (int64_t)move->at_ns + offset_ns,
		.name = ebb_state_name(ebb_reason_to(move->reason)),
		.attributes = facts,
		.attribute_count = MOVE_FACTS,
	};
}

/* The one that it began with says why, the one that it ended with how. */
static void add_causes(struct draft *d, const struct ebb_episode_span *e)
{
	const struct ebb_transition *first, *last;

	if (e->move_count == 0)
		return;
	first = &e->moves[0];
	last = &e->moves[e->move_count - 1];
	if (ebb_reason_from(first->reason) == EBB_STATE_CLOSED) {
		add_text(d, "ebb.reason", ebb_reason_name(first->reason));
		add_text(d, "error.type", ebb_reason_name(first->reason));
		add_number(d, "ebb.ok", first->ok);
		add_number(d, "ebb.failed", first->failed);
		add_number(d, "ebb.slow", first->slow);
		add_number(d, "ebb.run", first->run);
	} else {
		add_flag(d, "ebb.start_unknown", true);
	}
	add_text(d, "ebb.last_failure", e->last_failure);
	add_text(d, "ebb.end_reason", ebb_reason_name(last->reason));
}

int ebb_span_put_episode(struct ebb_line *line, const struct ebb_episode_span *episode)
{
	struct ebb_otlp_attribute facts[MOVES_MAX][MOVE_FACTS];
	struct ebb_otlp_event events[MOVES_MAX];
	struct draft d = {.count = 0};
	struct ebb_otlp_link self;
	struct ebb_otlp_span span = {
		.kind = EBB_OTLP_INTERNAL,
		.name = d.name,
		.trace_state = "ot=th:0",
		.start_realtime_ns = episode->start_realtime_ns,
		.end_realtime_ns = episode->end_realtime_ns,
		.attributes = d.attributes,
		.events = events,
		.dropped_events = episode->dropped_moves,
		.failed = true,
		.message = "the breaker was open",
	};

	if (episode->move_count > MOVES_MAX)
		return -E2BIG;
	(void)snprintf(d.name, sizeof(d.name), "breaker %s", episode->destination);
	ebb_span_of_episode(episode->episode, &self);
	memcpy(span.trace_id, self.trace_id, sizeof(span.trace_id));
	memcpy(span.span_id, self.span_id, sizeof(span.span_id));
	add_text(&d, "ebb.destination", episode->destination);
	add_who(&d, &episode->who);
	add_episode(&d, episode->episode);
	add_text(&d, "ebb.mode", episode->mode);
	add_causes(&d, episode);
	for (size_t i = 0; i < episode->move_count; i++)
		describe_move(&episode->moves[i], episode->realtime_minus_mono, facts[i], &events[i]);
	span.attribute_count = d.count;
	span.event_count = episode->move_count;
	return ebb_otlp_put_span(line, &span);
}
