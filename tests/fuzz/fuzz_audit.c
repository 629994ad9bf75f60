/* SPDX-License-Identifier: Apache-2.0 */
/* A line of the audit log: whatever it holds, it is an event whole, or refused; what is taken makes a line again. */
#include <stdint.h>
#include <string.h>

#include "export/audit_event.h"
#include "tests/lib/require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ebb_audit_record record, again;
	char line[EBB_AUDIT_LINE_MAX];
	struct ebb_why why = {0};
	int length;

	if (ebb_audit_parse((const char *)data, size, &record, &why) < 0) {
		REQUIRE(why.text[0] && !strchr(why.text, '\n'));
		return 0;
	}
	length = ebb_audit_line(&record.event, record.id, line, sizeof(line));
	/* escaped anew it may be longer than it was */
	if (length > 0) {
		REQUIRE(ebb_audit_parse(line, (size_t)length, &again, &why) == 0);
		REQUIRE(strcmp(again.id, record.id) == 0 && again.event.type == record.event.type);
		REQUIRE(again.event.realtime_ns == record.event.realtime_ns);
		REQUIRE(json_equal(again.event.details, record.event.details));
		ebb_audit_record_done(&again);
	}
	ebb_audit_record_done(&record);
	return 0;
}
