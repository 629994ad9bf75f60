/* SPDX-License-Identifier: Apache-2.0 */
#include "export/shared_spool.h"

static void count(struct ebb_shared_spool *shared, size_t reader)
{
	shared->waiting[reader] = ebb_spool_count(shared->spool, reader, &shared->guessed[reader]);
}

int ebb_shared_spool_open(struct ebb_shared_spool *shared, const struct ebb_spool_setup *setup,
			  struct ebb_why *why)
{
	struct ebb_spool_setup ours = *setup;
	int r;

	ours.readers = shared->names;
	ours.reader_count = shared->reader_count;
	r = ebb_spool_open(&ours, &shared->spool, why);
	for (size_t i = 0; r == 0 && i < shared->reader_count; i++)
		count(shared, i);
	return r;
}

void ebb_shared_spool_close(struct ebb_shared_spool *shared)
{
	ebb_spool_free(shared->spool);
	shared->spool = NULL;
}

int ebb_shared_spool_append(struct ebb_shared_spool *shared, const char *lines, size_t length, uint64_t added,
			    struct ebb_why *why)
{
	int r = ebb_spool_append(shared->spool, lines, length, why);

	for (size_t i = 0; r == 0 && i < shared->reader_count; i++)
		shared->waiting[i] += added;
	return r;
}

ssize_t ebb_shared_spool_read(struct ebb_shared_spool *shared, size_t reader, char *buffer, size_t size,
			      uint64_t *ret_next, struct ebb_why *why)
{
	uint64_t cursor;
	ssize_t n = 0;

	(void)pthread_mutex_lock(&shared->lock);
	if (shared->spool) {
		cursor = ebb_spool_cursor(shared->spool, reader);
		n = ebb_spool_read(shared->spool, reader, buffer, size, ret_next, why);
		/* what was left out may have been lines: nobody waits for them any more */
		if (ebb_spool_cursor(shared->spool, reader) != cursor)
			count(shared, reader);
	}
	(void)pthread_mutex_unlock(&shared->lock);
	return n;
}

int ebb_shared_spool_pass(struct ebb_shared_spool *shared, size_t reader, uint64_t position, uint64_t passed,
			  struct ebb_why *why)
{
	int r;

	(void)pthread_mutex_lock(&shared->lock);
	shared->waiting[reader] -= passed < shared->waiting[reader] ? passed : shared->waiting[reader];
	r = ebb_spool_pass(shared->spool, reader, position, why);
	/* few enough by now */
	if (shared->guessed[reader] && ebb_spool_waiting(shared->spool, reader) <= EBB_SPOOL_COUNTED_BYTES)
		count(shared, reader);
	(void)pthread_mutex_unlock(&shared->lock);
	return r;
}

bool ebb_shared_spool_has_more(struct ebb_shared_spool *shared, size_t reader)
{
	bool more;

	(void)pthread_mutex_lock(&shared->lock);
	more = shared->spool && ebb_spool_waiting(shared->spool, reader);
	(void)pthread_mutex_unlock(&shared->lock);
	return more;
}
