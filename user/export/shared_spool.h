/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The spool between two threads: one adds, whatever sinks do, and one delivers. Nobody holds the lock while a sink works, so who
 * adds waits for the disk at most.
 */
#ifndef EBB_EXPORT_SHARED_SPOOL_H
#define EBB_EXPORT_SHARED_SPOOL_H

#include <pthread.h>
#include <stdbool.h>

#include "export/spool.h"

struct ebb_shared_spool {
	pthread_mutex_t lock;			  /* of what follows */
	struct ebb_spool *spool;		  /* NULL: not open */
	const char *names[EBB_SPOOL_READERS_MAX]; /* of its readers */
	size_t reader_count;
	uint64_t waiting[EBB_SPOOL_READERS_MAX]; /* lines that each has not passed */
	bool guessed[EBB_SPOOL_READERS_MAX];	 /* they are so many that it is about so many */
};

/* ---- with the lock held */

/* Opens it for these readers: @setup without them. */
int ebb_shared_spool_open(struct ebb_shared_spool *shared, const struct ebb_spool_setup *setup,
			  struct ebb_why *why);
void ebb_shared_spool_close(struct ebb_shared_spool *shared);

/* Adds @added whole lines, all or none; it is open. */
int ebb_shared_spool_append(struct ebb_shared_spool *shared, const char *lines, size_t length, uint64_t added,
			    struct ebb_why *why);

/* ---- without it; while it is not open there is nothing in it */

ssize_t ebb_shared_spool_read(struct ebb_shared_spool *shared, size_t reader, char *buffer, size_t size,
			      uint64_t *ret_next, struct ebb_why *why);

/* The @passed lines before @position are delivered. */
int ebb_shared_spool_pass(struct ebb_shared_spool *shared, size_t reader, uint64_t position, uint64_t passed,
			  struct ebb_why *why);

bool ebb_shared_spool_has_more(struct ebb_shared_spool *shared, size_t reader);

#endif /* EBB_EXPORT_SHARED_SPOOL_H */
