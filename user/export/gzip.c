/* SPDX-License-Identifier: Apache-2.0 */
/*
 *	reader --> input, 8 KiB --> deflate --> the caller's buffer
 *
 * What it costs is chosen for metrics, whose lines repeat the one before but for
 * a word: the fastest level and a small window find that as well as the best do.
 */
#include "export/gzip.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <zlib.h>

#include "lib/cleanup.h"

#define INPUT_BYTES 8192
#define WINDOW_BITS 13 /* 8 KiB: memory for it is four times that */
#define AS_GZIP	    16 /* added to the window: a head and a checksum of gzip around it */
#define MEMORY	    6  /* of zlib's 1 to 9: 32 KiB */

struct ebb_gzip {
	ebb_gzip_read read;
	void *userdata;
	bool input_ended;
	bool ended;
	z_stream stream;
	char input[INPUT_BYTES];
};

int ebb_gzip_new(ebb_gzip_read read, void *userdata, struct ebb_gzip **ret_gzip)
{
	_cleanup_free_ struct ebb_gzip *gzip = calloc(1, sizeof(*gzip));

	if (!gzip)
		return -ENOMEM;
	gzip->read = read;
	gzip->userdata = userdata;
	if (deflateInit2(&gzip->stream, Z_BEST_SPEED, Z_DEFLATED, WINDOW_BITS + AS_GZIP, MEMORY,
			 Z_DEFAULT_STRATEGY) != Z_OK)
		return -ENOMEM;
	*ret_gzip = TAKE_PTR(gzip);
	return 0;
}

void ebb_gzip_free(struct ebb_gzip *gzip)
{
	if (!gzip)
		return;
	(void)deflateEnd(&gzip->stream);
	free(gzip);
}

static int take_input(struct ebb_gzip *gzip)
{
	ssize_t n = gzip->read(gzip->userdata, gzip->input, sizeof(gzip->input));

	if (n < 0)
		return (int)n;
	gzip->input_ended = n == 0;
	gzip->stream.next_in = (Bytef *)gzip->input;
	gzip->stream.avail_in = (uInt)n;
	return 0;
}

ssize_t ebb_gzip_next(struct ebb_gzip *gzip, char *buffer, size_t size)
{
	uInt room = size < UINT_MAX ? (uInt)size : UINT_MAX;

	gzip->stream.next_out = (Bytef *)buffer;
	gzip->stream.avail_out = room;
	/* the first bytes are enough: whoever asks has others to serve */
	while (!gzip->ended && gzip->stream.avail_out == room) {
		int r = gzip->stream.avail_in == 0 && !gzip->input_ended ? take_input(gzip) : 0;

		if (r < 0)
			return r;
		/* with room, a stream of its own and nothing after its end it cannot fail */
		r = deflate(&gzip->stream, gzip->input_ended ? Z_FINISH : Z_NO_FLUSH);
		if (r == Z_STREAM_ERROR)
			return -EINVAL;
		gzip->ended = r == Z_STREAM_END;
	}
	return (ssize_t)(room - gzip->stream.avail_out);
}
