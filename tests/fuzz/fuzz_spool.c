/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The spool of the audit log: whatever files stand in it, once all is passed there is room, a line that is added is the
 * last that each reader gets, what comes before it stood so in one of the files, and once passed nothing comes again.
 *
 * The input is a directory: names and contents, in turns, each ended by a byte 1.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "export/spool.h"
#include "lib/log.h"
#include "tests/lib/require.h"
#include "tests/lib/temp_dir.h"

#define END	  1
#define FILES_MAX 16
#define BUFFER	  512
#define READERS	  2

static const char line[] = "the new one\n";
static const char *const readers[READERS] = {"jsonl", "sqlite"};
static char dir[TEMP_DIR_MAX];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	ebb_log_set_level(EBB_LOG_ERROR);
	REQUIRE(temp_dir_make("fuzz-spool", dir) == 0);
	return 0;
}

/* Up to its end; the rest of @io_data is what follows. */
static size_t take(const uint8_t **io_data, size_t *io_size)
{
	const uint8_t *end = memchr(*io_data, END, *io_size);
	size_t length = end ? (size_t)(end - *io_data) : *io_size, whole = end ? length + 1 : length;

	*io_data += whole;
	*io_size -= whole;
	return length;
}

static void write_file(const uint8_t *name, size_t name_length, const uint8_t *content, size_t length)
{
	char path[TEMP_DIR_MAX + 64];
	int fd;

	if (name_length == 0 || name_length > 40 || memchr(name, '/', name_length) ||
	    memchr(name, '\0', name_length) || name[0] == '.')
		return;
	(void)snprintf(path, sizeof(path), "%s/spool/%.*s", dir, (int)name_length, (const char *)name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	REQUIRE(fd >= 0);
	REQUIRE(write(fd, content, length) == (ssize_t)length);
	(void)close(fd);
}

static void make_files(const uint8_t *data, size_t size)
{
	char path[TEMP_DIR_MAX + 8];

	(void)snprintf(path, sizeof(path), "%s/spool", dir);
	(void)temp_dir_remove(path);
	REQUIRE(mkdir(path, 0700) == 0);
	for (int i = 0; size > 0 && i < FILES_MAX; i++) {
		const uint8_t *name = data, *content;
		size_t name_length = take(&data, &size);

		content = data;
		write_file(name, name_length, content, take(&data, &size));
	}
}

static struct ebb_spool *open_spool(struct ebb_why *why)
{
	char path[TEMP_DIR_MAX + 8];
	const struct ebb_spool_setup setup = {
		.dir = path,
		.max_bytes = 1024,
		.segment_bytes = 256,
		.readers = readers,
		.reader_count = READERS,
	};
	struct ebb_spool *spool = NULL;

	(void)snprintf(path, sizeof(path), "%s/spool", dir);
	if (ebb_spool_open(&setup, &spool, why) < 0)
		REQUIRE(why->text[0] && !spool);
	return spool;
}

/* Did these bytes stand in a file? The new line may come behind them. */
static bool stood_there(const char *lines, size_t length, const uint8_t *data, size_t size)
{
	const size_t fresh = sizeof(line) - 1;

	if (memmem(data, size, lines, length))
		return true;
	return length >= fresh && memcmp(lines + length - fresh, line, fresh) == 0 &&
	       memmem(data, size, lines, length - fresh);
}

/* All that @reader has not passed. Does the new line come last? */
static bool read_all(struct ebb_spool *spool, size_t reader, const uint8_t *data, size_t size)
{
	char buffer[BUFFER] = "";
	struct ebb_why why = {0};
	size_t total = 0, last = 0;
	uint64_t next;
	bool guessed;
	ssize_t n;

	while ((n = ebb_spool_read(spool, reader, buffer, sizeof(buffer), &next, &why)) > 0) {
		REQUIRE(buffer[n - 1] == '\n' && next > ebb_spool_cursor(spool, reader));
		REQUIRE(stood_there(buffer, (size_t)n, data, size));
		REQUIRE(ebb_spool_pass(spool, reader, next, &why) == 0);
		total += (size_t)n;
		REQUIRE(total <= size + sizeof(line));
		last = (size_t)n;
	}
	REQUIRE(n == 0);
	REQUIRE(ebb_spool_waiting(spool, reader) == 0 && ebb_spool_count(spool, reader, &guessed) == 0);
	return last >= sizeof(line) - 1 &&
	       memcmp(buffer + last - (sizeof(line) - 1), line, sizeof(line) - 1) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ebb_why why = {0};
	struct ebb_spool *spool;
	bool guessed;

	make_files(data, size);
	spool = open_spool(&why);
	if (!spool)
		return 0;
	for (size_t i = 0; i < READERS; i++)
		REQUIRE(ebb_spool_count(spool, i, &guessed) <= size);
	if (ebb_spool_append(spool, line, sizeof(line) - 1, &why) < 0) {
		/* full, and never for ever */
		REQUIRE(why.text[0]);
		for (size_t i = 0; i < READERS; i++)
			(void)read_all(spool, i, data, size);
		REQUIRE(ebb_spool_append(spool, line, sizeof(line) - 1, &why) == 0);
	}
	for (size_t i = 0; i < READERS; i++) {
		REQUIRE(read_all(spool, i, data, size));
		/* the next one reads it in another process */
		ebb_spool_free(spool);
		spool = open_spool(&why);
		REQUIRE(spool);
	}
	for (size_t i = 0; i < READERS; i++)
		REQUIRE(ebb_spool_waiting(spool, i) == 0);
	ebb_spool_free(spool);
	return 0;
}
