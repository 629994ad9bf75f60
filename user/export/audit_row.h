/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An event as the row of the table audit_log: see user/export/migrations for what each column is.
 */
#ifndef EBB_EXPORT_AUDIT_ROW_H
#define EBB_EXPORT_AUDIT_ROW_H

#include <stdint.h>

#include "export/audit_event.h"

/* Negative: NULL. */
struct ebb_audit_counts {
	int64_t amount, at_breaker, would, ok, used, failing;
};

struct ebb_audit_row {
	const char *id, *type, *user, *session, *address, *outcome, *outcome_details;
	int64_t timestamp_us;
	char *details;			   /* JSON; owned */
	const char *destination, *episode; /* NULL: none */
	struct ebb_audit_counts counts;
};

/* All but .details borrows from @record. 0 or -ENOMEM. */
int ebb_audit_row(const struct ebb_audit_record *record, struct ebb_audit_row *ret_row);
void ebb_audit_row_done(struct ebb_audit_row *row);

#endif /* EBB_EXPORT_AUDIT_ROW_H */
