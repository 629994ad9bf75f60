/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events as lines of a file, moved aside when it is full: audit.jsonl is the newest, audit.jsonl.1 the one before, up
 * to .keep. Several processes may write: each holds a lock on the file for a batch.
 */
#ifndef EBB_EXPORT_SINK_JSONL_H
#define EBB_EXPORT_SINK_JSONL_H

#include <stdint.h>

#include "export/sink.h"

struct ebb_sink_jsonl_setup {
	const char *path;
	uint64_t max_bytes; /* a file with more is moved aside */
	uint32_t keep;	    /* files that stay then, beside the newest */
};

/* The file is opened with the first batch: what is wrong with it is then said by write(). 0 or -ENOMEM. */
int ebb_sink_jsonl_new(const struct ebb_sink_jsonl_setup *setup, struct ebb_sink *ret_sink);

#endif /* EBB_EXPORT_SINK_JSONL_H */
