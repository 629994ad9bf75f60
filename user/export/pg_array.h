/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An array of PostgreSQL as text, {"a","b",NULL}: one value for a column of many rows.
 */
#ifndef EBB_EXPORT_PG_ARRAY_H
#define EBB_EXPORT_PG_ARRAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ebb_pg_array {
	char *text; /* owned */
	size_t length, room;
	bool failed; /* out of memory: it has no end */
};

/* Empty again; its memory stays. */
void ebb_pg_array_begin(struct ebb_pg_array *array);

/* @text: UTF-8; NULL: NULL. */
void ebb_pg_array_add(struct ebb_pg_array *array, const char *text);

/* Negative: NULL. */
void ebb_pg_array_add_count(struct ebb_pg_array *array, int64_t count);

/* The text, borrowed; NULL: out of memory. */
const char *ebb_pg_array_end(struct ebb_pg_array *array);

void ebb_pg_array_done(struct ebb_pg_array *array);

#endif /* EBB_EXPORT_PG_ARRAY_H */
