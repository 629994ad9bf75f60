/* SPDX-License-Identifier: Apache-2.0 */
/* Opens what 'listen' of the configuration asks for. */
#ifndef EBB_EXPORT_LISTEN_H
#define EBB_EXPORT_LISTEN_H

#include <stddef.h>

#include "lib/why.h"

/* "127.0.0.1:9478", "[::1]:9478", ":9478"; the caller owns *@ret_fd. -EADDRINUSE, -EINVAL, ... with the reason. */
int ebb_listen(const char *address, int *ret_fd, struct ebb_why *why);

/* Where @fd listens, as text. */
int ebb_listen_address(int fd, char *buffer, size_t size);

/* Says why it is not possible to listen on @address; returns @r. */
int ebb_listen_explain(struct ebb_why *why, int r, const char *address);

#endif /* EBB_EXPORT_LISTEN_H */
