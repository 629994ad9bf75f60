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
	peer->headers = calloc(1, sizeof(*peer->headers));
	peer->next_headers = calloc(1, sizeof(*peer->next_headers));
	return peer->settings && peer->next && peer->headers && peer->next_headers ? 0 : -ENOMEM;
}

static void free_headers(struct ebb_otlp_headers *headers)
{
	if (headers)
		explicit_bzero(headers, sizeof(*headers));
	free(headers);
}

void ebb_otlp_peer_done(struct ebb_otlp_peer *peer)
{
	free(peer->settings);
	free(peer->next);
	free_headers(peer->headers);
	free_headers(peer->next_headers);
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

/* What it could not be read for is told when that begins and ends. False: there are no headers to send. */
static bool read_headers(struct ebb_otlp_peer *peer)
{
	struct ebb_otlp_headers *before = peer->headers;
	struct ebb_why why = {0};
	bool bad = peer->headers_why.text[0];

	if (ebb_otlp_headers_read(peer->headers_file, peer->next_headers, &why) == 0) {
		peer->headers = peer->next_headers;
		peer->next_headers = before;
		peer->headers_why.text[0] = '\0';
		if (bad)
			ebb_info("%s: the headers in '%s' can be read again", peer->setup.name,
				 peer->headers_file);
		return true;
	}
	if (!bad)
		ebb_warn("%s: no headers from '%s': %s; %s", peer->setup.name, peer->headers_file, why.text,
			 before->count ? "those that it had go on" : "nothing is sent without them");
	peer->headers_why = why;
	return before->count > 0;
}

/* Those of another file are not sent to anybody. */
static void configure_headers(struct ebb_otlp_peer *peer, const struct ebb_otlp_ours *ours)
{
	const char *file = ours->headers_file ? ours->headers_file : "";

	if (strcmp(peer->headers_file, file) != 0) {
		(void)snprintf(peer->headers_file, sizeof(peer->headers_file), "%s", file);
		peer->headers->count = 0;
		peer->headers_why.text[0] = '\0';
	}
	if (file[0] && peer->settings->url[0])
		(void)read_headers(peer);
}

bool ebb_otlp_peer_configure(struct ebb_otlp_peer *peer, const struct ebb_otlp_ours *ours)
{
	struct ebb_otlp_settings *before = peer->settings;
	const char *name = peer->setup.name;

	read_settings(peer, ours);
	if (ebb_otlp_settings_equal(peer->next, before)) {
		configure_headers(peer, ours);
		return false;
	}
	peer->settings = peer->next;
	peer->next = before;
	for (size_t i = 0; i < peer->settings->note_count; i++)
		ebb_warn("%s: %s", name, peer->settings->notes[i]);
	if (peer->settings->off_because[0])
		ebb_info("%s are not sent: %s says so", name, peer->settings->off_because);
	if (!peer->settings->url[0] && before->url[0])
		ebb_info("%s are no longer sent", name);
	configure_headers(peer, ours);
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

	if (peer->headers_file[0] && !read_headers(peer))
		return -EINVAL;
	headers[request.header_count++] = "Content-Type: application/json";
	if (gzip)
		headers[request.header_count++] = "Content-Encoding: gzip";
	for (size_t i = 0; !peer->headers_file[0] && i < settings->header_count; i++)
		headers[request.header_count++] = settings->headers[i];
	for (size_t i = 0; peer->headers_file[0] && i < peer->headers->count; i++)
		headers[request.header_count++] = peer->headers->lines[i];
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
	char headers[sizeof(peer->headers_why.text) + sizeof(peer->headers_file) + 32];

	if (failing && peer->headers_why.text[0] && peer->headers->count == 0) {
		(void)snprintf(headers, sizeof(headers), "no headers from '%s': %s", peer->headers_file,
			       peer->headers_why.text);
		why = headers;
	}
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
