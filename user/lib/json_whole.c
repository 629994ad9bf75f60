/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/json_whole.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

/*
 * Jansson 2.14 (and before) does not look whether its buffer of a token could grow: a character is left out; nor does it tell
 * a string that it has no memory for from one that is malformed. A text
 * of json_pack() that may be absent is, and where it writes, a name that does not fit. So we see for ourselves.
 */
static __thread bool ran_out;

static void *give(size_t size)
{
	void *memory = malloc(size);

	ran_out |= !memory;
	return memory;
}

static void take_over(void)
{
	json_set_alloc_funcs(give, free);
}

void ebb_json_begin(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	(void)pthread_once(&once, take_over);
	ran_out = false;
}

int ebb_json_load(const char *text, size_t size, size_t flags, json_t **ret_root, json_error_t *ret_error)
{
	json_t *root;

	ebb_json_begin();
	root = json_loadb(text, size, flags, ret_error);
	if (ran_out) {
		json_decref(root);
		return -ENOMEM;
	}
	if (!root)
		return -EBADMSG;
	*ret_root = root;
	return 0;
}

char *ebb_json_dump(const json_t *root, size_t flags)
{
	char *text = json_dumps(root, flags);

	if (!ran_out)
		return text;
	free(text);
	return NULL;
}
