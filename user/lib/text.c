/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/text.h"

#include <stdint.h>
#include <string.h>

#define DISTANCE_MAX_BYTES 63

size_t ebb_text_decode(const unsigned char *s, uint32_t *ret_char)
{
	static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t length;
	uint32_t c;

	if (s[0] < 0x80) {
		*ret_char = s[0];
		return 1;
	}
	if ((s[0] & 0xe0) == 0xc0)
		length = 2;
	else if ((s[0] & 0xf0) == 0xe0)
		length = 3;
	else if ((s[0] & 0xf8) == 0xf0)
		length = 4;
	else
		return 0;

	c = s[0] & (0x7fU >> length);
	for (size_t i = 1; i < length; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < smallest[length] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*ret_char = c;
	return length;
}

static bool is_printable(uint32_t c)
{
	if (c < 0x20 || (c >= 0x7f && c <= 0x9f)) /* C0, DEL, C1 */
		return false;
	if (c == 0x061c || c == 0x200e || c == 0x200f) /* marks of direction */
		return false;
	if (c >= 0x2028 && c <= 0x202e) /* line and paragraph separators, embeddings, overrides */
		return false;
	if (c >= 0x2066 && c <= 0x2069) /* isolates */
		return false;
	return c != 0xfeff;
}

const char *ebb_text_escape(const char *text, char *buffer, size_t size)
{
	static const char hex[] = "0123456789abcdef";
	const unsigned char *s = (const unsigned char *)text;
	size_t used = 0;

	if (size == 0)
		return buffer;
	while (*s) {
		uint32_t c = 0;
		size_t length = ebb_text_decode(s, &c);

		if (length > 0 && is_printable(c)) {
			if (used + length >= size)
				break;
			memcpy(buffer + used, s, length);
			used += length;
			s += length;
			continue;
		}
		if (length == 0)
			length = 1;
		if (used + 4 * length >= size)
			break;
		for (size_t i = 0; i < length; i++, s++) {
			buffer[used++] = '\\';
			buffer[used++] = 'x';
			buffer[used++] = hex[*s >> 4];
			buffer[used++] = hex[*s & 0xf];
		}
	}
	buffer[used] = '\0';
	return buffer;
}

size_t ebb_text_columns(const char *text)
{
	size_t columns = 0;

	for (; *text; text++)
		columns += (*text & 0xc0) != 0x80;
	return columns;
}

size_t ebb_text_distance(const char *a, const char *b)
{
	/* optimal string alignment: the present row of the table and the two above */
	size_t rows[3][DISTANCE_MAX_BYTES + 1];
	size_t a_length = strnlen(a, DISTANCE_MAX_BYTES), b_length = strnlen(b, DISTANCE_MAX_BYTES);

	for (size_t j = 0; j <= b_length; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= a_length; i++) {
		const size_t *above = rows[(i - 1) % 3];
		size_t *row = rows[i % 3];

		row[0] = i;
		for (size_t j = 1; j <= b_length; j++) {
			size_t best = above[j - 1] + (a[i - 1] != b[j - 1]);

			if (above[j] + 1 < best)
				best = above[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    rows[(i - 2) % 3][j - 2] + 1 < best)
				best = rows[(i - 2) % 3][j - 2] + 1;
			row[j] = best;
		}
	}
	return rows[a_length % 3][b_length];
}

bool ebb_text_like(const char *text, const char *candidate, size_t *ret_distance)
{
	size_t distance = ebb_text_distance(text, candidate);
	size_t length = strlen(candidate);

	if (length == 0 || text[0] == '\0')
		return false;
	/* a part of a name is likelier meant than a slip of equal length */
	if (strstr(candidate, text))
		distance = 1;
	else if (2 * distance >= length)
		return false;
	*ret_distance = distance;
	return true;
}
