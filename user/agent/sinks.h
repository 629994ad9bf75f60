/* SPDX-License-Identifier: Apache-2.0 */
/* The table of sinks of the audit log: what a configuration says of each becomes a sink here, and nowhere else. */
#ifndef EBB_AGENT_SINKS_H
#define EBB_AGENT_SINKS_H

#include "config/config.h"
#include "export/audit.h"
#include "export/health.h"

/*
 * What @config wants, as far as it is built in; what is not is told in a line of the log. -ENOMEM: nothing is made. The
 * caller owns the sinks.
 */
int ebb_sinks_make(const struct ebb_config *config, struct ebb_audit_sinks *ret_sinks);

/* The key that asks for a sink that is not built in, and its component of /health; NULL: none does. */
const char *ebb_sinks_missing(const struct ebb_config *config, enum ebb_health_component *ret_component);

/* The component of /health that stands for the sink @name. */
enum ebb_health_component ebb_sinks_component(const char *name);

#endif /* EBB_AGENT_SINKS_H */
