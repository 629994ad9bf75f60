/* SPDX-License-Identifier: Apache-2.0 */
#include "export/json.h"

#include <stdio.h>
#include <string.h>

#include "lib/text.h"

#define NS_PER_US 1000ULL
#define NS_PER_MS 1000000ULL

/* Bytes that stand for themselves: nearly all text is such from its beginning
 * to its end. */
static size_t plain_run(const char *text)
{
	size_t n = 0;

	while (text[n] >= 0x20 && text[n] < 0x7f && text[n] != '"' && text[n] != '\\')
		n++;
	return n;
}

void ebb_json_put_string(struct ebb_line *line, const char *text)
{
	char bytes[EBB_TEXT_CHAR_MAX], escaped[8];
	uint32_t c;
	size_t n;

	ebb_line_put(line, "\"");
	for (;; text += n) {
		n = plain_run(text);
		ebb_line_put_bytes(line, text, n);
		text += n;
		n = ebb_text_next(text, &c);
		if (n == 0)
			break;
		if (c == '"' || c == '\\') {
			escaped[0] = '\\';
			escaped[1] = (char)c;
			ebb_line_put_bytes(line, escaped, 2);
		} else if (c < 0x20) {
			(void)snprintf(escaped, sizeof(escaped), "\\u%04x", c);
			ebb_line_put(line, escaped);
		} else {
			ebb_line_put_bytes(line, bytes, ebb_text_encode(c, bytes));
		}
	}
	ebb_line_put(line, "\"");
}

void ebb_json_put_name(struct ebb_line *line, const char *name)
{
	bool first = line->used == 0 || line->data[line->used - 1] == '{';

	ebb_line_put(line, first ? "\"" : ",\"");
	ebb_line_put(line, name);
	ebb_line_put(line, "\":");
}

void ebb_json_put_bool(struct ebb_line *line, bool value)
{
	ebb_line_put(line, value ? "true" : "false");
}

void ebb_json_put_seconds(struct ebb_line *line, uint64_t ns)
{
	ebb_line_put_seconds(line, ns - ns % NS_PER_US);
}

void ebb_json_put_time(struct ebb_line *line, int64_t realtime_ns)
{
	uint64_t ns = realtime_ns > 0 ? (uint64_t)realtime_ns : 0;

	ebb_line_put_seconds(line, ns - ns % NS_PER_MS);
}

void ebb_json_put_rate(struct ebb_line *line, double rate)
{
	char text[32];

	if (rate < 0)
		(void)snprintf(text, sizeof(text), "null");
	else if (rate >= 100)
		(void)snprintf(text, sizeof(text), "%.0f", rate);
	else
		(void)snprintf(text, sizeof(text), "%.2f", rate);
	ebb_line_put(line, text);
}
