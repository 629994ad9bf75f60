/* SPDX-License-Identifier: Apache-2.0 */
/* Paths of cgroups: whoever may make one may name it; what is read from it has its shape. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "node/place.h"
#include "tests/lib/require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char digits[] = "0123456789abcdef-";
	struct ebb_place place;
	/* not strndup(): what it is given has no end of its own */
	char *path = malloc(size + 1);
	size_t pod;

	REQUIRE(path);
	memcpy(path, data, size);
	path[size] = '\0';
	ebb_place_of(path, &place);
	pod = strlen(place.pod);
	REQUIRE((place.qos == EBB_QOS_NONE) == (pod == 0));
	REQUIRE(pod == 0 || pod == 32 || pod == 36);
	REQUIRE(strspn(place.pod, digits) == pod);
	REQUIRE(place.container[0] == '\0' || (pod && strlen(place.container) == 64));
	REQUIRE(strspn(place.container, digits) == strlen(place.container));
	REQUIRE(!strchr(place.unit, '/'));
	REQUIRE(place.unit[0] == '\0' || strstr(path, place.unit));
	free(path);
	return 0;
}
