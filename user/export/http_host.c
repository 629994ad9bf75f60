/* SPDX-License-Identifier: Apache-2.0 */
#include "export/http_host.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#define NAME_MAX_SIZE 256

static bool ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), wanted = strlen(end);

	return length >= wanted && strcasecmp(text + length - wanted, end) == 0;
}

bool ebb_http_host_is_ours(const char *host, const char *own)
{
	char name[NAME_MAX_SIZE];
	struct in_addr address;
	size_t length, first;

	if (!host || host[0] == '[')
		return true;
	length = strcspn(host, ":");
	if (length >= sizeof(name))
		return false;
	memcpy(name, host, length);
	name[length] = '\0';
	/* the root of DNS may stand at the end */
	if (length > 0 && name[length - 1] == '.')
		name[length - 1] = '\0';
	first = strcspn(name, ".");
	if (name[first] == '\0' || inet_pton(AF_INET, name, &address) == 1 || ends_with(name, ".localhost"))
		return true;
	return own && own[0] && strcspn(own, ".") == first && strncasecmp(name, own, first) == 0;
}
