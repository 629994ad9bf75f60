/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON that is read and written in whole or not at all: where memory runs out, Jansson may go on with characters, names or
 * quotes missing, and call it a success, or a mistake of the text.
 */
#ifndef EBB_LIB_JSON_WHOLE_H
#define EBB_LIB_JSON_WHOLE_H

#include <stddef.h>

#include <jansson.h>

/* As json_loadb(). -EBADMSG: *@ret_error (may be NULL) says where; -ENOMEM: nobody knows what the text is. */
int ebb_json_load(const char *text, size_t size, size_t flags, json_t **ret_root, json_error_t *ret_error);

/* To be called before a document is put together that ebb_json_dump() will write, by the thread that does both. */
void ebb_json_begin(void);

/* As json_dumps(), for the caller to free. NULL: no @root, or out of memory: now, or at any time since ebb_json_begin(). */
char *ebb_json_dump(const json_t *root, size_t flags);

#endif /* EBB_LIB_JSON_WHOLE_H */
