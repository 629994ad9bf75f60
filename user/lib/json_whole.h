/* SPDX-License-Identifier: Apache-2.0 */
/* Reads JSON, all of it or none: where memory runs out, Jansson's reader may go on with characters missing, or call it a mistake of the text. */
#ifndef EBB_LIB_JSON_WHOLE_H
#define EBB_LIB_JSON_WHOLE_H

#include <stddef.h>

#include <jansson.h>

/* As json_loadb(). -EBADMSG: *@ret_error (may be NULL) says where; -ENOMEM: nobody knows what the text is. */
int ebb_json_load(const char *text, size_t size, size_t flags, json_t **ret_root, json_error_t *ret_error);

#endif /* EBB_LIB_JSON_WHOLE_H */
