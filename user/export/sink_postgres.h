/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events as rows of a PostgreSQL database, the table audit_log, into which many nodes write.
 */
#ifndef EBB_EXPORT_SINK_POSTGRES_H
#define EBB_EXPORT_SINK_POSTGRES_H

#include <stdint.h>

#include "export/sink.h"

/* NULL or "": from the environment (PGHOST, ...), as for every client of PostgreSQL. */
struct ebb_sink_postgres_setup {
	const char *host; /* a name, an address, or the directory of a socket */
	uint16_t port;	  /* 0: from the environment */
	const char *database, *user;
	const char *password_file; /* its first line */
	uint64_t keep_ns;	   /* older events are removed, those of all nodes; 0: none are */
};

/* The server is looked for with the first batch: what is wrong with it is then said by write(). 0 or -ENOMEM. */
int ebb_sink_postgres_new(const struct ebb_sink_postgres_setup *setup, struct ebb_sink *ret_sink);

#endif /* EBB_EXPORT_SINK_POSTGRES_H */
