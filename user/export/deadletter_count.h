/* SPDX-License-Identifier: Apache-2.0 */
/* How many dead letters there are, and since when: for metrics. Commands may take some away at any time. */
#ifndef EBB_EXPORT_DEADLETTER_COUNT_H
#define EBB_EXPORT_DEADLETTER_COUNT_H

#include <stdbool.h>
#include <stdint.h>

struct ebb_deadletter_count {
	uint64_t letters;
	int64_t oldest_realtime_ns; /* 0: there is none */
	bool partly;		    /* some file cannot be read, or not to its end: there may be more */
	/* what was looked at */
	uint64_t seen; /* a mix of names, sizes and times of change */
};

/*
 * Starts as all zero. Reads the files of @path only when something has changed; a directory that is missing has none. What
 * cannot be read of a file is not counted, which is told once. Without memory, or with too many open files, @count
 * stays as it was, and the next call reads again.
 */
void ebb_deadletter_count(const char *path, struct ebb_deadletter_count *count);

#endif /* EBB_EXPORT_DEADLETTER_COUNT_H */
