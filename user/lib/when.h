/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A moment as a person gives it.
 */
#ifndef EBB_LIB_WHEN_H
#define EBB_LIB_WHEN_H

#include <stdint.h>

/* What ebb_when_parse() takes, for help and errors. */
#define EBB_WHEN_EXAMPLES "24h (so long ago), 2026-11-29, '2026-11-29 05:51:51' or 2026-11-29T05:51:51Z"

/*
 * So long before @now_ns: "24h", "30d"; or a day, or a day and a time, of the local clock, or with a Z of UTC:
 * "2026-11-29", "2026-11-29 05:51", "2026-11-29T05:51:51Z". In ns since 1970. -EINVAL, -ERANGE: untouched.
 */
int ebb_when_parse(const char *text, int64_t now_ns, int64_t *ret_ns);

#endif /* EBB_LIB_WHEN_H */
