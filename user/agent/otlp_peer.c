/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/otlp_peer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/fetch.h"
#include "lib/log.h"

#define ANSWER_MAX 16384

int ebb_otlp_peer_init(struct ebb_otlp_peer *peer, const struct ebb_otlp_peer_setup *setup)
{
	peer->setup = *setup;
	peer->settings = calloc(1, sizeof(*peer->settings));
	peer->next = calloc(1, sizeof(*peer->next));
	return peer->settings && peer->next ? 0 : -ENOMEM;
}

void ebb_otlp_peer_done(struct ebb_otlp_peer *peer)
{
	free(peer->settings);
	free(peer->next);
}

/* ----------------------------------------------------------- configuration -- */

static void read_settings(struct ebb_otlp_peer *peer, const struct ebb_otlp_ours *ours)
{
	char instance[32], host[256] = "";
	struct ebb_otlp_self self = {.instance = instance, .host = host};

	(void)snprintf(instance, sizeof(instance), "%016" PRIx64, peer->setup.run_id);
	(void)gethostname(host, sizeof(host) - 1);
	for (const char *const *e = peer->setup.environ; e && *e; e++)
		if (strncmp(*e, "NODE_NAME=", strlen("NODE_NAME=")) == 0)
			self.node = *e + strlen("NODE_NAME=");
	ebb_otlp_settings_read(peer->setup.signal, peer->setup.environ, ours, &self, peer->next);
}

bool ebb_otlp_peer_configure(struct ebb_otlp_peer *peer, const struct ebb_otlp_ours *ours)
{
	struct ebb_otlp_settings *before = peer->settings;
	const char *name = peer->setup.name;

	read_settings(peer, ours);
	if (ebb_otlp_settings_equal(peer->next, before))
		return false;
	peer->settings = peer->next;
	peer->next = before;
	for (size_t i = 0; i < peer->settings->note_count; i++)
		ebb_warn("%s: %s", name, peer->settings->notes[i]);
	if (peer->settings->off_because[0])
		ebb_info("%s are not sent: %s says so", name, peer->settings->off_because);
	if (!peer->settings->url[0] && before->url[0])
		ebb_info("%s are no longer sent", name);
	return true;
}

/* ---------------------------------------------------------------- requests -- */

static void on_answer(void *userdata, struct ebb_fetch_answer *answer)
{
	struct ebb_otlp_peer *peer = userdata;
	struct ebb_otlp_answer meaning;

	peer->request = 0;
	if (answer->result < 0) {
		meaning = (struct ebb_otlp_answer){.result = EBB_SINK_RETRY};
		(void)snprintf(meaning.why, sizeof(meaning.why), "%.*s", (int)sizeof(meaning.why) - 1,
			       answer->why);
	} else {
		ebb_otlp_answer_read(answer->status, answer->body, answer->body_size, &meaning);
	}
	peer->setup.answered(peer->setup.userdata, &meaning, answer->retry_after_ns);
}

int ebb_otlp_peer_send(void *userdata, const char *body, size_t size, bool gzip)
{
	struct ebb_otlp_peer *peer = userdata;
	const struct ebb_otlp_settings *settings = peer->settings;
	const char *headers[EBB_OTLP_HEADERS_MAX + 2];
	struct ebb_why why = {0};
	struct ebb_fetch_request request = {
		.url = settings->url,
		.post = true,
		.body = body,
		.body_size = size,
		.headers = headers,
		.ca_file = settings->ca_file[0] ? settings->ca_file : NULL,
		.deadline_ns = settings->deadline_ns,
		.answer_max = ANSWER_MAX,
		.done = on_answer,
		.userdata = peer,
	};
	int r;

	headers[request.header_count++] = "Content-Type: application/json";
	if (gzip)
		headers[request.header_count++] = "Content-Encoding: gzip";
	for (size_t i = 0; i < settings->header_count; i++)
		headers[request.header_count++] = settings->headers[i];
	r = ebb_fetch_start(peer->setup.fetch, &request, &peer->request, &why);
	if (r < 0)
		ebb_debug("%s cannot be sent: %s", peer->setup.name, why.text);
	return r;
}

void ebb_otlp_peer_cancel(struct ebb_otlp_peer *peer)
{
	ebb_fetch_cancel(peer->setup.fetch, peer->request);
	peer->request = 0;
	peer->told = false;
}

/* -------------------------------------------------------------------- told -- */

void ebb_otlp_peer_tell(struct ebb_otlp_peer *peer, bool failing, const char *why)
{
	const struct ebb_otlp_peer_setup *setup = &peer->setup;

	if (failing)
		ebb_health_set(setup->health, setup->component, EBB_DEGRADED, setup->realtime_ns(),
			       "the collector of %s: %s", setup->name, why);
	else
		ebb_health_set(setup->health, setup->component, EBB_HEALTHY, setup->realtime_ns(), "%s", "");
	if (failing && !peer->told)
		ebb_warn("the collector does not take %s: %s; %s", setup->name, why, setup->otherwise);
	else if (!failing && peer->told)
		ebb_info("the collector takes %s again", setup->name);
	peer->told = failing;
}
