/* SPDX-License-Identifier: Apache-2.0 */
/* What /health says. */
#ifndef EBB_EXPORT_HEALTH_JSON_H
#define EBB_EXPORT_HEALTH_JSON_H

#include <stdbool.h>
#include <stddef.h>

#include "export/source.h"

/*
 * @checked: with when each component was last looked at, which is never twice the same. @flags: of json_dumps(). The
 * caller frees it. NULL: no memory.
 */
char *ebb_health_json_text(const struct ebb_source *source, bool checked, size_t flags);

#endif /* EBB_EXPORT_HEALTH_JSON_H */
