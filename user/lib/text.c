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

size_t ebb_text_next(const char *text, uint32_t *ret_char)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t length;

	if (*s == '\0')
		return 0;
	length = ebb_text_decode(s, ret_char);
	if (length == 0) {
		*ret_char = 0xfffd;
		length = 1;
	}
	return length;
}

size_t ebb_text_encode(uint32_t c, char bytes[EBB_TEXT_CHAR_MAX])
{
	size_t length = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	static const unsigned char first[] = {0, 0, 0xc0, 0xe0, 0xf0};

	for (size_t i = length - 1; i > 0; i--, c >>= 6)
		bytes[i] = (char)(0x80 | (c & 0x3f));
	bytes[0] = (char)(first[length] | c);
	return length;
}

/* First and last of characters that terminals draw alike; by Unicode's tables, without rare scripts. */
struct range {
	uint32_t first, last;
};

/* They stand on the character before: accents, joiners, variations. */
static const struct range marks[] = {
	{0x0300, 0x036f},   {0x0483, 0x0489}, {0x0591, 0x05bd}, {0x0610, 0x061a}, {0x064b, 0x065f},
	{0x06d6, 0x06dc},   {0x093c, 0x093c}, {0x0941, 0x0948}, {0x0e31, 0x0e31}, {0x0e34, 0x0e3a},
	{0x0e47, 0x0e4e},   {0x1ab0, 0x1aff}, {0x1dc0, 0x1dff}, {0x200b, 0x200d}, {0x2060, 0x2064},
	{0x20d0, 0x20ff},   {0x302a, 0x302d}, {0x3099, 0x309a}, {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f},
	{0xe0100, 0xe01ef},
};

/* East Asian wide and full-width, and what is drawn as a picture. */
static const struct range wides[] = {
	{0x1100, 0x115f},   {0x231a, 0x231b},	{0x2329, 0x232a},   {0x23e9, 0x23ec},	{0x23f0, 0x23f0},
	{0x23f3, 0x23f3},   {0x25fd, 0x25fe},	{0x2614, 0x2615},   {0x2648, 0x2653},	{0x267f, 0x267f},
	{0x2693, 0x2693},   {0x26a1, 0x26a1},	{0x26aa, 0x26ab},   {0x26bd, 0x26be},	{0x26c4, 0x26c5},
	{0x26ce, 0x26ce},   {0x26d4, 0x26d4},	{0x26ea, 0x26ea},   {0x26f2, 0x26f3},	{0x26f5, 0x26f5},
	{0x26fa, 0x26fa},   {0x26fd, 0x26fd},	{0x2705, 0x2705},   {0x270a, 0x270b},	{0x2728, 0x2728},
	{0x274c, 0x274c},   {0x274e, 0x274e},	{0x2753, 0x2755},   {0x2757, 0x2757},	{0x2795, 0x2797},
	{0x27b0, 0x27b0},   {0x27bf, 0x27bf},	{0x2b1b, 0x2b1c},   {0x2b50, 0x2b50},	{0x2b55, 0x2b55},
	{0x2e80, 0x303e},   {0x3041, 0x4dbf},	{0x4e00, 0xa4cf},   {0xa960, 0xa97c},	{0xac00, 0xd7a3},
	{0xf900, 0xfaff},   {0xfe10, 0xfe19},	{0xfe30, 0xfe6f},   {0xff01, 0xff60},	{0xffe0, 0xffe6},
	{0x16fe0, 0x18cd5}, {0x1aff0, 0x1b2fb}, {0x1f004, 0x1f004}, {0x1f0cf, 0x1f0cf}, {0x1f18e, 0x1f18e},
	{0x1f191, 0x1f19a}, {0x1f200, 0x1f320}, {0x1f32d, 0x1f335}, {0x1f337, 0x1f37c}, {0x1f37e, 0x1f393},
	{0x1f3a0, 0x1f3ca}, {0x1f3cf, 0x1f3d3}, {0x1f3e0, 0x1f3f0}, {0x1f3f4, 0x1f3f4}, {0x1f3f8, 0x1f43e},
	{0x1f440, 0x1f440}, {0x1f442, 0x1f4fc}, {0x1f4ff, 0x1f53d}, {0x1f54b, 0x1f54e}, {0x1f550, 0x1f567},
	{0x1f57a, 0x1f57a}, {0x1f595, 0x1f596}, {0x1f5a4, 0x1f5a4}, {0x1f5fb, 0x1f64f}, {0x1f680, 0x1f6c5},
	{0x1f6cc, 0x1f6cc}, {0x1f6d0, 0x1f6d2}, {0x1f6d5, 0x1f6df}, {0x1f6eb, 0x1f6ec}, {0x1f6f4, 0x1f6fc},
	{0x1f7e0, 0x1f7eb}, {0x1f90c, 0x1f93a}, {0x1f93c, 0x1f945}, {0x1f947, 0x1f9ff}, {0x1fa70, 0x1faff},
	{0x20000, 0x3fffd},
};

static bool in_ranges(const struct range *ranges, size_t count, uint32_t c)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (c > ranges[middle].last)
			low = middle + 1;
		else
			high = middle;
	}
	return low < count && c >= ranges[low].first;
}

unsigned int ebb_text_char_columns(uint32_t c)
{
	if (c < marks[0].first)
		return 1;
	if (in_ranges(marks, sizeof(marks) / sizeof(marks[0]), c))
		return 0;
	return in_ranges(wides, sizeof(wides) / sizeof(wides[0]), c) ? 2 : 1;
}

size_t ebb_text_columns(const char *text)
{
	size_t columns = 0, length;
	uint32_t c;

	while ((length = ebb_text_next(text, &c)) > 0) {
		columns += ebb_text_char_columns(c);
		text += length;
	}
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
