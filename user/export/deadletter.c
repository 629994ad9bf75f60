/* SPDX-License-Identifier: Apache-2.0 */
#include "export/deadletter.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "export/json.h"
#include "export/letters.h"
#include "lib/cleanup.h"
#include "lib/own_dir.h"

/* Beside the event: time, reason, and the braces. */
#define AROUND_MAX (sizeof(((struct ebb_why *)0)->text) * 6 + 128)

static void put_letter(struct ebb_line *out, const char *line, size_t length, const char *reason,
		       const char *timestamp)
{
	ebb_line_put(out, "{");
	ebb_json_put_name(out, "time");
	ebb_json_put_string(out, timestamp);
	ebb_json_put_name(out, "reason");
	ebb_json_put_string(out, reason);
	ebb_json_put_name(out, "event");
	ebb_line_put_bytes(out, line, length - 1); /* without its newline */
	ebb_line_put(out, "}\n");
}

static int append(const char *path, const struct ebb_line *out, uint64_t max_bytes, struct ebb_why *why)
{
	_cleanup_close_ int fd = -1;
	struct stat st;
	char last;
	ssize_t n = ebb_letters_lock_file(path, O_RDWR | O_CREAT | O_APPEND, &fd);

	if (n == 0 && fstat(fd, &st) < 0)
		n = -errno;
	if (n < 0)
		return ebb_why(why, (int)n, "cannot open the dead letters %s: %s", path, strerror((int)-n));
	if ((uint64_t)st.st_size + out->used > max_bytes)
		return ebb_why(why, -ENOSPC, "%s is full", path);
	/* a line whose writer died ends here, and is told as no letter by who reads it */
	if (st.st_size && pread(fd, &last, 1, st.st_size - 1) == 1 && last != '\n' && write(fd, "\n", 1) != 1)
		return ebb_why(why, -ENOSPC, "cannot write %s", path);
	n = write(fd, out->data, out->used);
	if (n == (ssize_t)out->used && fdatasync(fd) == 0)
		return 0;
	n = n >= 0 && (size_t)n < out->used ? -ENOSPC : -errno;
	if (ftruncate(fd, st.st_size) < 0)
		return ebb_why(why, -errno, "cannot take back half a line of %s: %s", path, strerror(errno));
	return ebb_why(why, (int)n, "cannot write %s: %s", path, strerror((int)-n));
}

int ebb_deadletter_add(const char *dir, const char *sink, const struct ebb_sink_batch *batch,
		       const char *reason, int64_t realtime_ns, uint64_t max_bytes, struct ebb_why *why)
{
	_cleanup_free_ char *text = NULL;
	char path[PATH_MAX], timestamp[EBB_AUDIT_TIMESTAMP_MAX];
	struct ebb_line out = {0};
	int r;

	for (size_t i = 0; i < batch->count; i++)
		out.size += batch->lengths[i] + AROUND_MAX;
	text = malloc(out.size + 1);
	if (!text)
		return ebb_why(why, -ENOMEM, "out of memory");
	out.data = text;
	ebb_audit_timestamp(realtime_ns, timestamp);
	for (size_t i = 0; i < batch->count; i++)
		put_letter(&out, batch->lines[i], batch->lengths[i], reason, timestamp);
	r = ebb_own_dir(dir, why);
	if (r < 0)
		return r;
	if ((size_t)snprintf(path, sizeof(path), "%s/%s.jsonl", dir, sink) >= sizeof(path))
		return ebb_why(why, -ENAMETOOLONG, "the path of the dead letters is too long");
	return append(path, &out, max_bytes, why);
}
