/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcurl, loaded when it is first needed: with all that it needs it is 16 MB, and a command that fetches
 * nothing is not to pay for it. Only lib/fetch*.c include this.
 */
#ifndef EBB_LIB_CURL_H
#define EBB_LIB_CURL_H

#include <curl/curl.h>

#include "lib/why.h"

/* What we call of it, under its own names. */
struct ebb_curl {
	CURLcode (*global_init)(long);
	CURL *(*easy_init)(void);
	CURLcode (*easy_setopt)(CURL *, CURLoption, ...);
	CURLcode (*easy_getinfo)(CURL *, CURLINFO, ...);
	CURLcode (*easy_pause)(CURL *, int);
	const char *(*easy_strerror)(CURLcode);
	void (*easy_cleanup)(CURL *);
	CURLM *(*multi_init)(void);
	CURLMcode (*multi_setopt)(CURLM *, CURLMoption, ...);
	CURLMcode (*multi_add_handle)(CURLM *, CURL *);
	CURLMcode (*multi_remove_handle)(CURLM *, CURL *);
	CURLMcode (*multi_perform)(CURLM *, int *);
	CURLMcode (*multi_poll)(CURLM *, struct curl_waitfd[], unsigned int, int, int *);
	CURLMsg *(*multi_info_read)(CURLM *, int *);
	CURLMcode (*multi_cleanup)(CURLM *);
	struct curl_slist *(*slist_append)(struct curl_slist *, const char *);
	void (*slist_free_all)(struct curl_slist *);
};

/* 0, or -ENOENT: it is not installed, or too old. It stays loaded: a look-up of a name may outlive its transfer. */
int ebb_curl_load(struct ebb_curl *ret_curl, struct ebb_why *why);

#endif /* EBB_LIB_CURL_H */
