/* SPDX-License-Identifier: Apache-2.0 */
/* The name of a destination in a path, as anybody may write it: refused, or text that fits and is found again. */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "export/api.h"
#include "lib/text.h"
#include "tests/lib/require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* As much memory as is said and no more, so that a byte too many is seen. */
static int decode(const char *path, size_t size, char **ret_text)
{
	char *text = malloc(size);
	int r;

	REQUIRE(text);
	r = ebb_api_decode(path, text, size);
	REQUIRE(r == 0 || r == -EINVAL || r == -ENAMETOOLONG);
	if (r == 0) {
		*ret_text = text;
		return 0;
	}
	free(text);
	return r;
}

static void check_text(const char *text)
{
	uint32_t c;
	size_t n;

	REQUIRE(*text);
	for (; *text; text += n) {
		n = ebb_text_decode((const unsigned char *)text, &c);
		REQUIRE(n > 0);
	}
}

/* What was taken has no escape that is none. */
static void check_escapes(const char *path)
{
	static const char digits[] = "0123456789abcdefABCDEF";

	for (; (path = strchr(path, '%')); path += 3)
		REQUIRE(strspn(path + 1, digits) >= 2);
}

/* Every byte of @text escaped, or none but '%', is the same name. */
static void check_again(const char *text, bool all)
{
	size_t length = strlen(text), room = 3 * length + 1, used = 0;
	char *path = malloc(room), *again = NULL;

	REQUIRE(path);
	for (size_t i = 0; i < length; i++) {
		if (all || text[i] == '%')
			used += (size_t)snprintf(path + used, room - used, i % 2 ? "%%%02x" : "%%%02X",
						 (unsigned char)text[i]);
		else
			path[used++] = text[i];
	}
	path[used] = '\0';
	REQUIRE(decode(path, length + 1, &again) == 0);
	REQUIRE(strcmp(again, text) == 0);
	free(again);
	REQUIRE(decode(path, length, &again) == -ENAMETOOLONG);
	free(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *path = malloc(size + 1), *text = NULL, *small = NULL;
	size_t room = size > 0 ? data[0] + 1U : 1;

	REQUIRE(path);
	memcpy(path, data, size);
	path[size] = '\0';
	if (decode(path, size + 1, &text) == 0) {
		size_t length = strlen(text);
		int r = decode(path, room, &small);

		check_escapes(path);
		check_text(text);
		check_again(text, true);
		check_again(text, false);
		REQUIRE(r == (length < room ? 0 : -ENAMETOOLONG));
		REQUIRE(r < 0 || strcmp(small, text) == 0);
		free(r == 0 ? small : NULL);
		free(text);
	}
	free(path);
	return 0;
}
