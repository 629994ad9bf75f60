/* SPDX-License-Identifier: Apache-2.0 */
#include "export/line.h"

#include <stdbool.h>
#include <string.h>

#include "lib/text.h"

#define NS_PER_S 1000000000ULL

void ebb_line_put_bytes(struct ebb_line *line, const char *bytes, size_t length)
{
	size_t room = line->size - line->used;

	if (length > room)
		length = room;
	memcpy(line->data + line->used, bytes, length);
	line->used += length;
}

void ebb_line_put(struct ebb_line *line, const char *text)
{
	ebb_line_put_bytes(line, text, strlen(text));
}

/* Writes @number, with zeros up to @width digits, so that it ends at @end; returns where it begins. */
static char *digits_before(char *end, uint64_t number, int width)
{
	do {
		*--end = (char)('0' + number % 10);
		number /= 10;
		width--;
	} while (number > 0 || width > 0);
	return end;
}

void ebb_line_put_number(struct ebb_line *line, uint64_t number)
{
	char digits[24];
	char *end = digits + sizeof(digits), *first = digits_before(end, number, 1);

	ebb_line_put_bytes(line, first, (size_t)(end - first));
}

/* @whole and @billionths, below 10^9, of one. */
static void put_decimal(struct ebb_line *line, uint64_t whole, uint64_t billionths)
{
	char digits[16];
	char *end = digits + sizeof(digits), *first;

	ebb_line_put_number(line, whole);
	if (billionths == 0)
		return;
	first = digits_before(end, billionths, 9);
	while (end[-1] == '0')
		end--;
	ebb_line_put_bytes(line, ".", 1);
	ebb_line_put_bytes(line, first, (size_t)(end - first));
}

void ebb_line_put_seconds(struct ebb_line *line, uint64_t ns)
{
	put_decimal(line, ns / NS_PER_S, ns % NS_PER_S);
}

void ebb_line_put_per_hour(struct ebb_line *line, uint64_t per_hour)
{
	const uint64_t hour = 3600;

	/* to the nearest: 3599 of 3600 is still below one */
	put_decimal(line, per_hour / hour, (per_hour % hour * NS_PER_S + hour / 2) / hour);
}

void ebb_line_put_hex(struct ebb_line *line, const uint8_t *bytes, size_t count)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < count; i++) {
		const char pair[2] = {digits[bytes[i] >> 4], digits[bytes[i] & 15]};

		ebb_line_put_bytes(line, pair, sizeof(pair));
	}
}

/* Nothing in it that must be escaped or looked at more closely? Nearly every value is so. */
static bool is_plain(const char *text, size_t *ret_length)
{
	const char *s = text;

	for (; *s; s++)
		if (*s < 0x20 || *s > 0x7e || *s == '"' || *s == '\\')
			return false;
	*ret_length = (size_t)(s - text);
	return true;
}

void ebb_line_put_label(struct ebb_line *line, const char *key, const char *value)
{
	char printable[EBB_LABEL_VALUE_MAX / 2]; /* each byte of it may become two */
	size_t length;

	ebb_line_put(line, key);
	ebb_line_put_bytes(line, "=\"", 2);
	if (is_plain(value, &length) && length < EBB_LABEL_VALUE_MAX / 2) {
		ebb_line_put_bytes(line, value, length);
	} else {
		(void)ebb_text_escape(value, printable, sizeof(printable));
		for (const char *s = printable; *s; s++) {
			if (*s == '"' || *s == '\\')
				ebb_line_put_bytes(line, "\\", 1);
			ebb_line_put_bytes(line, s, 1);
		}
	}
	ebb_line_put_bytes(line, "\"", 1);
}
