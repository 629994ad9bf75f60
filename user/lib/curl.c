/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/curl.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>

#define LIBRARY "libcurl.so.4"

int ebb_curl_load(struct ebb_curl *ret_curl, struct ebb_why *why)
{
	struct ebb_curl curl;
	const struct {
		const char *name;
		void *place; /* of the pointer to the function */
	} symbols[] = {
		{"curl_global_init", &curl.global_init},
		{"curl_easy_init", &curl.easy_init},
		{"curl_easy_setopt", &curl.easy_setopt},
		{"curl_easy_getinfo", &curl.easy_getinfo},
		{"curl_easy_pause", &curl.easy_pause},
		{"curl_easy_strerror", &curl.easy_strerror},
		{"curl_easy_cleanup", &curl.easy_cleanup},
		{"curl_multi_init", &curl.multi_init},
		{"curl_multi_setopt", &curl.multi_setopt},
		{"curl_multi_add_handle", &curl.multi_add_handle},
		{"curl_multi_remove_handle", &curl.multi_remove_handle},
		{"curl_multi_perform", &curl.multi_perform},
		{"curl_multi_poll", &curl.multi_poll},
		{"curl_multi_info_read", &curl.multi_info_read},
		{"curl_multi_cleanup", &curl.multi_cleanup},
		{"curl_slist_append", &curl.slist_append},
		{"curl_slist_free_all", &curl.slist_free_all},
	};
	void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);

	for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++) {
		void *symbol = library ? dlsym(library, symbols[i].name) : NULL;

		if (!symbol)
			return ebb_why(why, -ENOENT,
				       "nothing can be fetched, %s is missing: install the package libcurl4",
				       LIBRARY);
		memcpy(symbols[i].place, &symbol, sizeof(symbol));
	}
	if (curl.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return ebb_why(why, -ENOENT, "nothing can be fetched, %s cannot be set up", LIBRARY);
	*ret_curl = curl;
	return 0;
}
