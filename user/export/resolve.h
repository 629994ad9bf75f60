/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The addresses of a host, within a deadline: the resolver itself may take half a minute, and a library that asks it
 * (libpq) waits with it.
 */
#ifndef EBB_EXPORT_RESOLVE_H
#define EBB_EXPORT_RESOLVE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/why.h"

/* A question that is not answered yet; NULL: none. */
struct ebb_resolve;

/* Addresses that are told, at most. */
#define EBB_RESOLVE_MAX	     8
#define EBB_RESOLVE_TEXT_MAX 512

/*
 * Writes the addresses of @host, separated by commas, into @ret_text; returns how many. -ETIMEDOUT: there is no answer
 * yet; the question stays in *@io_pending for the next call, which must be for the same host. -EAGAIN: there is none now;
 * -ENOENT: there is no such host. Both with the reason.
 */
int ebb_resolve(struct ebb_resolve **io_pending, const char *host, uint64_t timeout_ns,
		char ret_text[EBB_RESOLVE_TEXT_MAX], struct ebb_why *why);

/* NULL is fine. */
void ebb_resolve_free(struct ebb_resolve *pending);

#endif /* EBB_EXPORT_RESOLVE_H */
