/* SPDX-License-Identifier: Apache-2.0 */
/* What 'watch' and 'doctor' print, apart from how they get at it: so a test renders a view of its own. */
#ifndef EBB_CLI_RENDER_H
#define EBB_CLI_RENDER_H

#include "cli/common.h"
#include "kernel/probe.h"
#include "tell/render.h"

/* -------------------------------------------------------------- watch -- */

struct ebb_watch;

/* Remembers the present as what is known. */
int ebb_watch_new(const struct ebb_look *look, bool json, struct ebb_watch **ret_watch);
void ebb_watch_free(struct ebb_watch *watch);
/* Prints what changed since the last time: a line each, or a JSON object. 0 or a negative errno. */
int ebb_watch_poll(struct ebb_watch *watch, const struct ebb_look *look, FILE *out);
/* The same for the last time: also counts that would have waited for the next line of their gate. */
int ebb_watch_finish(struct ebb_watch *watch, const struct ebb_look *look, FILE *out);

/* ------------------------------------------------------------- doctor -- */

/* Facts about the node, as 'ebb doctor' tells them. */
struct ebb_node_facts {
	char mount[EBB_CGROUP_PATH_MAX]; /* of cgroup2; "": none */
	bool hybrid;
	char pods[EBB_CGROUP_PATH_MAX]; /* cgroup of the pods; "": none */
	int jit;			/* 0: off, 1 and 2: on, negative: unknown */
	char missing_capabilities[128]; /* "": none */
};

/* True when everything required is there. */
bool ebb_doctor_fit(const struct ebb_feature_result results[EBB_FEATURE_MAX]);
int ebb_doctor_text(FILE *out, const struct ebb_feature_result results[EBB_FEATURE_MAX],
		    const struct ebb_node_facts *facts, size_t columns);
json_t *ebb_doctor_json(const struct ebb_feature_result results[EBB_FEATURE_MAX],
			const struct ebb_node_facts *facts);

#endif /* EBB_CLI_RENDER_H */
