/* SPDX-License-Identifier: Apache-2.0 */
#include "export/pg_array.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool make_room(struct ebb_pg_array *array, size_t more)
{
	size_t room = array->room ? array->room : 256;
	char *text;

	if (array->failed)
		return false;
	if (array->length + more <= array->room)
		return true;
	while (room < array->length + more)
		room *= 2;
	text = realloc(array->text, room);
	if (!text) {
		array->failed = true;
		return false;
	}
	array->text = text;
	array->room = room;
	return true;
}

static void put(struct ebb_pg_array *array, const char *bytes, size_t length)
{
	if (!make_room(array, length))
		return;
	memcpy(array->text + array->length, bytes, length);
	array->length += length;
}

void ebb_pg_array_begin(struct ebb_pg_array *array)
{
	array->length = 0;
	array->failed = false;
	put(array, "{", 1);
}

static void put_comma(struct ebb_pg_array *array)
{
	if (array->length > 1)
		put(array, ",", 1);
}

void ebb_pg_array_add(struct ebb_pg_array *array, const char *text)
{
	put_comma(array);
	if (!text) {
		put(array, "NULL", 4);
		return;
	}
	put(array, "\"", 1);
	while (*text) {
		size_t plain = strcspn(text, "\"\\");

		put(array, text, plain);
		text += plain;
		if (*text) {
			put(array, "\\", 1);
			put(array, text++, 1);
		}
	}
	put(array, "\"", 1);
}

void ebb_pg_array_add_count(struct ebb_pg_array *array, int64_t count)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%" PRId64, count);
	ebb_pg_array_add(array, count < 0 ? NULL : text);
}

const char *ebb_pg_array_end(struct ebb_pg_array *array)
{
	put(array, "}", sizeof("}"));
	return array->failed ? NULL : array->text;
}

void ebb_pg_array_done(struct ebb_pg_array *array)
{
	free(array->text);
	*array = (struct ebb_pg_array){0};
}
