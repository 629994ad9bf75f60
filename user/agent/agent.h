/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent: wires the modules together and owns the one event loop. Nothing
 * else knows everybody.
 */
#ifndef EBB_AGENT_AGENT_H
#define EBB_AGENT_AGENT_H

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"
#include "lib/why.h"

struct ebb_agent_options {
	const char *pin_dir;
	const struct ebb_config_sources *sources; /* read again when the file changes; borrowed */
	bool no_set_retval;			  /* refuse as on a kernel before 6.1 */
	bool no_sock_destroy;			  /* reset as on a kernel before 6.5 */
	bool seed_given;
	uint64_t seed; /* of the jitter */
};

/*
 * Runs with @config, which it owns from now on, until SIGTERM or SIGINT (a second one ends at
 * once); SIGHUP reads the sources again. 0, or a negative errno with the reason; then nothing is
 * left attached that was not before.
 */
int ebb_agent_run(const struct ebb_agent_options *options, struct ebb_config *config, struct ebb_why *why);

#endif /* EBB_AGENT_AGENT_H */
