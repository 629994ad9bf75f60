/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines that are accepted, on disk until every reader has passed them. A position is the number of bytes before it,
 * ever; a segment is named by the position of its first byte.
 *
 *	spool-0000000000000000   spool-0000000000400000   spool-0000000000800000
 *	[line line line ...    ] [line line line ...    ] [line line li           the last may be torn: cut at the start
 *	                  ^ cursor-jsonl            ^ cursor-sqlite
 *
 * A segment goes when every cursor is behind it. One thread; other processes are kept out by a lock.
 */
#ifndef EBB_EXPORT_SPOOL_H
#define EBB_EXPORT_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/why.h"

#define EBB_SPOOL_READERS_MAX 4

/* The most that .max_bytes may be with segments of that size: what audit.spool may say. */
#define EBB_SPOOL_BYTES_MAX	64000000000ULL
#define EBB_SPOOL_SEGMENT_BYTES (4ULL << 20)

struct ebb_spool_setup {
	const char *dir; /* made if it is not there, but not what is above it */
	uint64_t max_bytes;
	uint64_t segment_bytes;
	const char *const *readers; /* whose cursors are kept: words; borrowed */
	size_t reader_count;
};

struct ebb_spool;

/*
 * -EBUSY: another process has it open. -EUCLEAN: files that cannot all be used (they overlap, are too many, or
 * are no files); @why names one to move away. A reader that is new begins at the oldest line.
 */
int ebb_spool_open(const struct ebb_spool_setup *setup, struct ebb_spool **ret_spool, struct ebb_why *why);
void ebb_spool_free(struct ebb_spool *spool);

/*
 * Adds whole lines, all or none. They outlive the process from here on, and a crash of the machine from
 * ebb_spool_sync() on. -ENOSPC: the disk, or what the spool may have, is full.
 */
int ebb_spool_append(struct ebb_spool *spool, const char *lines, size_t length, struct ebb_why *why);

/* What was added and passed, to the disk. */
int ebb_spool_sync(struct ebb_spool *spool, struct ebb_why *why);

/*
 * Whole lines from the cursor of @reader on, as many as fit in @size, which no line exceeds. *@ret_next: where the
 * cursor goes when they are delivered. Returns their bytes; 0: there are none.
 *
 * What holds no line, since the disk is damaged, is left out with a warning: the cursor goes over it, as by
 * ebb_spool_pass(). Negative: what comes next cannot be read now. Where the disk says each time that it is damaged or not
 * there any more, and takes what is written, the 30th try leaves it out, too, block by block up to what can be read.
 */
ssize_t ebb_spool_read(struct ebb_spool *spool, size_t reader, char *buffer, size_t size, uint64_t *ret_next,
		       struct ebb_why *why);

/* The lines before @position are delivered. */
int ebb_spool_pass(struct ebb_spool *spool, size_t reader, uint64_t position, struct ebb_why *why);

uint64_t ebb_spool_cursor(const struct ebb_spool *spool, size_t reader);

/* Bytes that @reader has not passed. */
uint64_t ebb_spool_waiting(const struct ebb_spool *spool, size_t reader);

/* Lines that @reader has not passed. Reads them all, or where they are many the first, and goes by these: then *@ret_guessed. */
uint64_t ebb_spool_count(const struct ebb_spool *spool, size_t reader, bool *ret_guessed);

/* So many bytes are counted, which takes moments: who waits for the count is the start of the agent, and whoever adds. */
#define EBB_SPOOL_COUNTED_BYTES (64ULL << 20)

#endif /* EBB_EXPORT_SPOOL_H */
