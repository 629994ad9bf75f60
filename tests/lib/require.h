/* SPDX-License-Identifier: Apache-2.0 */
/* What must hold of whatever a fuzzer tries: else it says what did not, and aborts, which keeps the input. */
#ifndef EBB_TESTS_LIB_REQUIRE_H
#define EBB_TESTS_LIB_REQUIRE_H

#include <stdio.h>
#include <stdlib.h>

#define REQUIRE(condition)                                                                            \
	do {                                                                                          \
		if (!(condition)) {                                                                   \
			(void)fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
			abort();                                                                      \
		}                                                                                     \
	} while (0)

#endif /* EBB_TESTS_LIB_REQUIRE_H */
