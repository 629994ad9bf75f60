/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The collector of one signal, traces or metrics, as the agent deals with it: where it is and what it wants, by our
 * configuration and the environment; a request to it; what is told of it in the log and in health. What is sent to it, and
 * when, is that of its owner (agent/tracing.h, agent/pushing.h).
 */
#ifndef EBB_AGENT_OTLP_PEER_H
#define EBB_AGENT_OTLP_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "export/health.h"
#include "export/otlp_answer.h"
#include "export/otlp_headers.h"
#include "export/otlp_settings.h"

struct ebb_fetch;

/* Everything is borrowed. */
struct ebb_otlp_peer_setup {
	enum ebb_otlp_signal signal;
	const char *name;      /* "traces" */
	const char *otherwise; /* what becomes of them when they are not taken, for the log */
	enum ebb_health_component component;
	struct ebb_health *health;
	struct ebb_fetch *fetch;
	const char *const *environ; /* "NAME=value", NULL at the end */
	uint64_t run_id;
	int64_t (*realtime_ns)(void);
	/* Of a request; called from ebb_fetch_dispatch(). */
	void (*answered)(void *userdata, const struct ebb_otlp_answer *answer, uint64_t after_ns);
	void *userdata;
};

struct ebb_otlp_peer {
	struct ebb_otlp_peer_setup setup;
	struct ebb_otlp_settings *settings; /* in force */
	struct ebb_otlp_settings *next;	    /* being read */
	uint64_t request;		    /* under way; 0: none */
	bool told;			    /* that it does not take them */

	char headers_file[EBB_OTLP_TEXT_MAX]; /* "": the headers are those of the settings */
	struct ebb_otlp_headers *headers;     /* as it was read last; none: it never could be */
	struct ebb_otlp_headers *next_headers;
	struct ebb_why headers_why; /* it cannot be read now; "": it can */
};

/* -ENOMEM. */
int ebb_otlp_peer_init(struct ebb_otlp_peer *peer, const struct ebb_otlp_peer_setup *setup);
void ebb_otlp_peer_done(struct ebb_otlp_peer *peer);

/* Reads the settings. False: they are what they were. Else what is wrong or off is told; settings->url[0]: it is wanted. */
bool ebb_otlp_peer_configure(struct ebb_otlp_peer *peer, const struct ebb_otlp_ours *ours);

/* Begins a request (export/otlp_outbox.h); @userdata: struct ebb_otlp_peer. */
int ebb_otlp_peer_send(void *userdata, const char *body, size_t size, bool gzip);

/* No answer of it comes any more. */
void ebb_otlp_peer_cancel(struct ebb_otlp_peer *peer);

/* Tells log and health how it goes; not @failing also where nothing is sent. */
void ebb_otlp_peer_tell(struct ebb_otlp_peer *peer, bool failing, const char *why);

#endif /* EBB_AGENT_OTLP_PEER_H */
