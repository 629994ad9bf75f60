/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An event of the audit log as a sentence for people.
 */
#ifndef EBB_TELL_EVENT_TEXT_H
#define EBB_TELL_EVENT_TEXT_H

#include <stddef.h>

#include "export/audit_event.h"

#define EBB_EVENT_TEXT_MAX 1024

/*
 * "10.0.0.5:443/tcp opened: consecutive_failures, 5 failed in a row, the last refused" in @buffer, which is returned: without time
 * and type, escaped for a terminal, cut where it is too long. What an event of another version does not say is left out.
 */
const char *ebb_event_text(const struct ebb_audit_event *event, char *buffer, size_t size);

#endif /* EBB_TELL_EVENT_TEXT_H */
