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
#include "core/policy.h"
#include "lib/why.h"

struct ebb_agent_options {
	const char *cgroup; /* a path, or "auto" */
	const char *pin_dir;
	const char *listen;
	uint32_t mode;		  /* enum ebb_mode */
	uint32_t errno_code;	  /* enum ebb_errno: what a refused connect() returns */
	uint32_t on_agent_loss;	  /* enum ebb_on_agent_loss */
	uint32_t scheduling;	  /* enum ebb_scheduling */
	uint32_t scope;		  /* enum ebb_scope: of destinations that are met from now on */
	struct ebb_limits limits; /* of each destination */
	uint32_t adopt;		  /* 0: connections that were there before are not counted */
	uint32_t established; /* enum ebb_established: what becomes of live ones when their breaker opens */
	uint64_t lease_ns;
	uint64_t shutdown_timeout_ns;
	uint32_t destinations; /* capacities */
	uint32_t pairs;
	uint32_t endpoints;
	uint64_t idle_ns; /* slots unused for so long are given back */
	bool detach_on_exit;
	bool no_set_retval;   /* refuse as on a kernel before 6.1 */
	bool no_sock_destroy; /* reset as on a kernel before 6.5 */
	bool seed_given;
	uint64_t seed; /* of the jitter */
	struct ebb_breaker_config breaker;
};

/*
 * Runs until SIGTERM or SIGINT (a second one ends at once). 0, or a negative
 * errno with the reason; then nothing is left attached that was not before.
 */
int ebb_agent_run(const struct ebb_agent_options *options, struct ebb_why *why);

#endif /* EBB_AGENT_AGENT_H */
