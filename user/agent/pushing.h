/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The push of metrics to a collector of OpenTelemetry, beside what is scraped: docs/otlp.md. It works in the loop, a slice
 * at a time by a timer of its own, and never in a tick; requests are another thread's (lib/fetch.h).
 */
#ifndef EBB_AGENT_PUSHING_H
#define EBB_AGENT_PUSHING_H

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"
#include "export/health.h"
#include "export/source.h"

struct ebb_fetch;
struct ebb_pushing;

/* Everything is borrowed. */
struct ebb_pushing_setup {
	struct ebb_source *source; /* what is pushed; told what became of it */
	struct ebb_health *health;
	struct ebb_fetch *fetch;
	const char *const *environ; /* "NAME=value", NULL at the end */
	const char *version;
};

/* -ENOMEM, -EMFILE and the like. */
int ebb_pushing_new(const struct ebb_pushing_setup *setup, struct ebb_pushing **ret_pushing);
void ebb_pushing_free(struct ebb_pushing *pushing);

/* Another configuration is in force. */
void ebb_pushing_configure(struct ebb_pushing *pushing, const struct ebb_config *config);

/* Readable when there is something to do; -1: there never is. */
int ebb_pushing_fd(const struct ebb_pushing *pushing);
void ebb_pushing_dispatch(struct ebb_pushing *pushing);

/*
 * The agent ends: once more, what was counted until now. False: it is there, or the collector does not take it. To be
 * called again, while the loop goes on.
 */
bool ebb_pushing_flush(struct ebb_pushing *pushing);

#endif /* EBB_AGENT_PUSHING_H */
