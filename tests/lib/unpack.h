/* SPDX-License-Identifier: Apache-2.0 */
/* What was sent as gzip. */
#ifndef EBB_TESTS_LIB_UNPACK_H
#define EBB_TESTS_LIB_UNPACK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <zlib.h>

/* @packed, which has to be whole, as text that ends with '\0'; below @room. Returns its length. */
static inline size_t unpack(const char *packed, size_t size, char *text, size_t room)
{
	z_stream stream = {.next_in = (Bytef *)(uintptr_t)packed,
			   .avail_in = (uInt)size,
			   .next_out = (Bytef *)text,
			   .avail_out = (uInt)(room - 1)};

	assert_int_equal(inflateInit2(&stream, 15 + 16), Z_OK);
	assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
	assert_int_equal(inflateEnd(&stream), Z_OK);
	text[stream.total_out] = '\0';
	return stream.total_out;
}

#endif /* EBB_TESTS_LIB_UNPACK_H */
