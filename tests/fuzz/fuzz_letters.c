/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file of dead letters: whatever stands in it, a letter that is added is the last one that is read; those that are
 * marked, and only those, are gone when it is tidied up; and counting takes it as it is.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "export/deadletter.h"
#include "export/deadletter_count.h"
#include "export/letters.h"
#include "tests/lib/require.h"
#include "tests/lib/temp_dir.h"

#define FILE_MAX_BYTES (1 << 20)
#define LETTERS_MAX    256 /* of 8,192 bytes, and ours */

static const char event[] =
	"{\"id\":\"019acdb3-0000-7000-844c-00000000ffff\",\"timestamp\":\"2026-11-29T05:51:51.123456Z\",\"event_type\":\"denials\",\"user_id\":\"\",\"session_id\":\"\",\"ip_address\":\"\",\"outcome\":\"denied\",\"outcome_details\":\"\",\"details\":{}}\n";
static char dir[TEMP_DIR_MAX];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	REQUIRE(temp_dir_make("fuzz-letters", dir) == 0);
	return 0;
}

static void make_file(const uint8_t *data, size_t size)
{
	char path[TEMP_DIR_MAX + 16];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/jsonl.jsonl", dir);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	REQUIRE(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	(void)close(fd);
}

static void add_letter(void)
{
	const char *lines[] = {event};
	const size_t lengths[] = {sizeof(event) - 1};
	struct ebb_sink_batch batch = {.lines = lines, .lengths = lengths, .count = 1};
	struct ebb_why why = {0};

	REQUIRE(ebb_deadletter_add(dir, "jsonl", &batch, "it is \"there\"\n", 1700000000000000000,
				   FILE_MAX_BYTES, &why) == 0);
}

struct found {
	uint64_t count, marked;
	bool ours;		       /* the last one is */
	uint64_t letters[LETTERS_MAX]; /* what is in each, mixed */
};

/* FNV-1a */
static uint64_t mix(uint64_t seen, const void *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		seen = (seen ^ ((const uint8_t *)bytes)[i]) * 0x100000001b3ULL;
	return seen;
}

static uint64_t mix_letter(const struct ebb_letter *letter)
{
	uint64_t seen = mix(0xcbf29ce484222325ULL, &letter->realtime_ns, sizeof(letter->realtime_ns));

	seen = mix(seen, letter->reason, strlen(letter->reason) + 1);
	return mix(seen, letter->line, letter->length);
}

/* All there are; @mark: every second one is marked, the first to begin with. */
static struct found read_letters(bool mark)
{
	struct found found = {0};
	struct ebb_letters letters;
	struct ebb_letter letter;
	struct ebb_why why = {0};
	uint64_t behind = 0;
	int r;

	r = ebb_letters_open(dir, "jsonl", mark, &letters, &why);
	if (r == -ENOENT)
		return found;
	REQUIRE(r == 0);
	while ((r = ebb_letters_next(&letters, &letter, &why)) > 0) {
		REQUIRE(found.count == 0 || letter.position > behind);
		behind = letter.position;
		found.ours =
			letter.length == sizeof(event) - 2 && memcmp(letter.line, event, letter.length) == 0;
		if (mark && found.count % 2 == 0)
			REQUIRE(ebb_letters_mark(&letters, letter.position, &why) == 0);
		REQUIRE(found.count < LETTERS_MAX);
		found.letters[found.count++] = mix_letter(&letter);
		ebb_letter_done(&letter);
	}
	REQUIRE(r == 0);
	found.marked = letters.marked;
	ebb_letters_close(&letters);
	return found;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ebb_deadletter_count counted = {0};
	struct ebb_why why = {0};
	struct found found, left;

	make_file(data, size);
	add_letter();
	ebb_deadletter_count(dir, &counted);
	found = read_letters(false);
	REQUIRE(found.count >= 1 && found.ours);
	left = read_letters(true);
	REQUIRE(left.count == found.count);
	REQUIRE(memcmp(left.letters, found.letters, sizeof(found.letters)) == 0);
	REQUIRE(ebb_letters_tidy(dir, "jsonl", NULL, NULL, &why) == 0);
	left = read_letters(false);
	REQUIRE(left.count == found.count / 2 && left.marked == 0);
	for (uint64_t i = 0; i < left.count; i++)
		REQUIRE(left.letters[i] == found.letters[2 * i + 1]);
	return 0;
}
