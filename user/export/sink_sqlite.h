/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events as rows of a SQLite database, the table audit_log. Several processes may write.
 */
#ifndef EBB_EXPORT_SINK_SQLITE_H
#define EBB_EXPORT_SINK_SQLITE_H

#include <stdint.h>

#include "export/sink.h"

struct ebb_sink_sqlite_setup {
	const char *path; /* absolute */
	uint64_t keep_ns; /* older events are removed */
};

/* The file is opened, or made, with the first batch: what is wrong with it is then said by write(). 0 or -ENOMEM. */
int ebb_sink_sqlite_new(const struct ebb_sink_sqlite_setup *setup, struct ebb_sink *ret_sink);

#endif /* EBB_EXPORT_SINK_SQLITE_H */
