/* SPDX-License-Identifier: Apache-2.0 */
/* What is compressed comes out again, whatever the pieces; in memory that does not grow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "export/gzip.h"

/* A text of @length bytes, given in pieces of at most @piece. */
struct text {
	size_t length;
	size_t piece;
	size_t given;
	int error; /* instead of the end */
	bool noise;
};

/* As metrics are: lines that differ in a few bytes; or as they are not. */
static char byte_at(const struct text *text, size_t i)
{
	static const char line[] =
		"ebb_connects_total{destination=\"10.0.0.7:443/tcp\",outcome=\"refused\"} 1\n";

	if (text->noise)
		return (char)((i * 2654435761U) >> 13);
	return i % 80 == 79 ? (char)('0' + i / 80 % 10) : line[i % (sizeof(line) - 1)];
}

static ssize_t read_text(void *userdata, char *buffer, size_t size)
{
	struct text *text = userdata;
	size_t n = text->length - text->given;

	if (n == 0)
		return text->error;
	if (n > size)
		n = size;
	if (text->piece > 0 && n > text->piece)
		n = text->piece;
	for (size_t i = 0; i < n; i++)
		buffer[i] = byte_at(text, text->given + i);
	text->given += n;
	return (ssize_t)n;
}

/* Compresses @text in pieces of @chunk and compares what comes out of it. Returns the compressed size. */
static size_t round_trip(struct text text, size_t chunk)
{
	static char buffer[65536];
	z_stream stream = {};
	struct ebb_gzip *gzip = NULL;
	size_t compressed = 0, seen = 0;
	int r = Z_OK;
	ssize_t n;

	assert_int_equal(ebb_gzip_new(read_text, &text, &gzip), 0);
	assert_int_equal(inflateInit2(&stream, 15 + 16), Z_OK);
	while ((n = ebb_gzip_next(gzip, buffer, chunk)) > 0) {
		assert_true((size_t)n <= chunk);
		compressed += (size_t)n;
		stream.next_in = (Bytef *)buffer;
		stream.avail_in = (uInt)n;
		do {
			char plain[4096];

			stream.next_out = (Bytef *)plain;
			stream.avail_out = sizeof(plain);
			r = inflate(&stream, Z_NO_FLUSH);
			assert_true(r == Z_OK || r == Z_STREAM_END || r == Z_BUF_ERROR);
			for (size_t i = 0; i < sizeof(plain) - stream.avail_out; i++, seen++)
				if (plain[i] != byte_at(&text, seen))
					fail_msg("byte %zu", seen);
		} while (stream.avail_out == 0);
		assert_int_equal(stream.avail_in, 0);
	}
	assert_int_equal(n, 0);
	assert_int_equal(ebb_gzip_next(gzip, buffer, chunk), 0); /* and stays at its end */
	assert_int_equal(r, Z_STREAM_END);
	assert_int_equal(seen, text.length);
	assert_int_equal(inflateEnd(&stream), Z_OK);
	ebb_gzip_free(gzip);
	return compressed;
}

static void what_goes_in_comes_out_whatever_the_pieces(void **state)
{
	static const size_t lengths[] = {0, 1, 100, 8191, 8192, 8193, 300000};
	static const size_t chunks[] = {1, 7, 16384, 65536};

	(void)state;
	for (size_t l = 0; l < sizeof(lengths) / sizeof(lengths[0]); l++)
		for (size_t c = 0; c < sizeof(chunks) / sizeof(chunks[0]); c++)
			for (int noise = 0; noise < 2; noise++) {
				(void)round_trip((struct text){.length = lengths[l], .noise = noise},
						 chunks[c]);
				(void)round_trip((struct text){.length = lengths[l],
							       .piece = 13,
							       .noise = noise},
						 chunks[c]);
			}
}

static void metrics_become_a_tenth(void **state)
{
	(void)state;
	assert_true(round_trip((struct text){.length = 1000000}, 16384) < 100000);
}

/* Others are served between two pieces: one that has come is not held back for a full buffer. */
static void a_piece_is_given_as_soon_as_it_is_there(void **state)
{
	static char buffer[1 << 20];
	struct text text = {.length = 64U << 20};
	struct ebb_gzip *gzip = NULL;

	(void)state;
	assert_int_equal(ebb_gzip_new(read_text, &text, &gzip), 0);
	for (int i = 0; i < 20; i++) {
		size_t before = text.given;

		assert_true(ebb_gzip_next(gzip, buffer, sizeof(buffer)) > 0);
		assert_true(text.given - before <= 2U << 20);
	}
	ebb_gzip_free(gzip);
}

static void memory_does_not_grow_with_the_text(void **state)
{
	static char buffer[16384];
	struct text text = {.length = 8U << 20, .noise = true};
	struct ebb_gzip *gzip = NULL;
	size_t before = mallinfo2().uordblks;

	(void)state;
	assert_int_equal(ebb_gzip_new(read_text, &text, &gzip), 0);
	while (ebb_gzip_next(gzip, buffer, sizeof(buffer)) > 0)
		assert_true(mallinfo2().uordblks - before < 100000);
	ebb_gzip_free(gzip);
	assert_true(mallinfo2().uordblks <= before);
}

static void an_error_of_the_reader_is_handed_on(void **state)
{
	char buffer[64];
	struct text text = {.length = 100, .error = -EIO};
	struct ebb_gzip *gzip = NULL;
	ssize_t n;

	(void)state;
	assert_int_equal(ebb_gzip_new(read_text, &text, &gzip), 0);
	do
		n = ebb_gzip_next(gzip, buffer, sizeof(buffer));
	while (n > 0);
	assert_int_equal(n, -EIO);
	ebb_gzip_free(gzip);
	ebb_gzip_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_goes_in_comes_out_whatever_the_pieces),
		cmocka_unit_test(metrics_become_a_tenth),
		cmocka_unit_test(a_piece_is_given_as_soon_as_it_is_there),
		cmocka_unit_test(memory_does_not_grow_with_the_text),
		cmocka_unit_test(an_error_of_the_reader_is_handed_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
