/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compresses what a reader gives, as it is asked for: gzip (RFC 1952) with a
 * window of 8 KiB, some 70 KB for each scrape under way however large it is.
 */
#ifndef EBB_EXPORT_GZIP_H
#define EBB_EXPORT_GZIP_H

#include <stddef.h>
#include <sys/types.h>

struct ebb_gzip;

/* Fills @buffer with the next bytes and returns their number, 0 at the end. */
typedef ssize_t (*ebb_gzip_read)(void *userdata, char *buffer, size_t size);

/* @userdata is borrowed. -ENOMEM. */
int ebb_gzip_new(ebb_gzip_read read, void *userdata, struct ebb_gzip **ret_gzip);
void ebb_gzip_free(struct ebb_gzip *gzip);

/*
 * Fills @buffer, of at least one byte, with some of the next compressed bytes and returns their
 * number; 0 at the end, a negative errno when the reader failed with it.
 */
ssize_t ebb_gzip_next(struct ebb_gzip *gzip, char *buffer, size_t size);

#endif /* EBB_EXPORT_GZIP_H */
