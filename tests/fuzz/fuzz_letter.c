/* SPDX-License-Identifier: Apache-2.0 */
/* A dead letter: whatever stands in its file, it is one whole, with an event that stands in it, or it is refused. */
#include <stdint.h>
#include <string.h>

#include "export/letters.h"
#include "tests/lib/require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *line = (const char *)data;
	struct ebb_audit_record record;
	struct ebb_letter letter;
	struct ebb_why why = {0};

	if (ebb_letter_parse(line, size, &letter, &why) < 0) {
		REQUIRE(why.text[0] && !strchr(why.text, '\n'));
		return 0;
	}
	REQUIRE(letter.line > line && letter.line + letter.length + 2 == line + size);
	REQUIRE(ebb_audit_parse(letter.line, letter.length, &record, &why) == 0);
	REQUIRE(strcmp(record.id, letter.record.id) == 0 && letter.reason);
	ebb_audit_record_done(&record);
	ebb_letter_done(&letter);
	return 0;
}
