/* SPDX-License-Identifier: Apache-2.0 */
/* user/export/json.c: whatever the text is, a reader of JSON gets it back, with U+FFFD for what is no UTF-8. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* after the headers that it needs */
#include <cmocka.h>
#include <jansson.h>

#include "export/json.h"
#include "lib/text.h"

/* What a reader makes of @text as a string of JSON; the caller frees it. */
static char *round_trip(const char *text)
{
	char buffer[4096];
	struct ebb_line line = {.data = buffer, .size = sizeof(buffer)};
	json_t *value;
	char *read;

	ebb_json_put_string(&line, text);
	value = json_loadb(buffer, line.used, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_string(value))
		fail_msg("no string of JSON: %.*s", (int)line.used, buffer);
	read = strdup(json_string_value(value));
	json_decref(value);
	return read;
}

static void texts_come_back_as_they_were(void **state)
{
	static const char *const texts[] = {
		"",
		"plain",
		"\"",
		"\\",
		"a\"b\\c",
		"\n\t\x01\x1f",
		"\x7f",
		"\xc3\xa4",
		"a\xe2\x82\xacz",
		"\xf0\x9f\x98\x80",
		"\"\"",
		"ends in \\",
		"\x7f~ ",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		char *read = round_trip(texts[i]);

		assert_string_equal(read, texts[i]);
		free(read);
	}
}

static void what_is_no_utf8_is_replaced_byte_by_byte(void **state)
{
	char *read = round_trip("a\xff\xfe"
				"b\xc3");

	(void)state;
	assert_string_equal(read, "a\xef\xbf\xbd\xef\xbf\xbd"
				  "b\xef\xbf\xbd");
	free(read);
}

/* 20,000 texts of any bytes against the reading of one character after the other. */
static void any_bytes_are_a_string_of_json(void **state)
{
	uint64_t dice = 88172645463325252ULL;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		char text[32], expected[4 * sizeof(text)] = "", bytes[EBB_TEXT_CHAR_MAX];
		size_t used = 0, n, length;
		uint32_t c;
		char *read;

		dice ^= dice << 13, dice ^= dice >> 7, dice ^= dice << 17;
		length = dice % (sizeof(text) - 1);
		for (size_t i = 0; i < length; i++) {
			dice ^= dice << 13, dice ^= dice >> 7, dice ^= dice << 17;
			/* mostly plain, never the end */
			text[i] = (char)(dice & 0x700 ? 'a' + dice % 26 : 1 + dice % 255);
		}
		text[length] = '\0';
		for (const char *s = text; (n = ebb_text_next(s, &c)) > 0; s += n) {
			size_t size = ebb_text_encode(c, bytes);

			memcpy(expected + used, bytes, size);
			used += size;
		}
		expected[used] = '\0';
		read = round_trip(text);
		assert_string_equal(read, expected);
		free(read);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_come_back_as_they_were),
		cmocka_unit_test(what_is_no_utf8_is_replaced_byte_by_byte),
		cmocka_unit_test(any_bytes_are_a_string_of_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
