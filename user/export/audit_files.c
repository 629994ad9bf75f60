/* SPDX-License-Identifier: Apache-2.0 */
/* The audit log from its files of JSON lines. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "export/audit_files.h"
#include "lib/cleanup.h"

static int remember(struct ebb_audit_last *l, const char *line, size_t length, struct ebb_why *why)
{
	size_t at = (size_t)(l->next % l->room);
	char *copy = malloc(length);

	if (!copy)
		return ebb_why(why, -ENOMEM, "out of memory");
	memcpy(copy, line, length);
	l->next++;
	free(l->lines[at]);
	l->lines[at] = copy;
	l->lengths[at] = length;
	return 0;
}

static int take_line(struct ebb_audit_reading *r, const struct ebb_lines_line *line, struct ebb_why *why)
{
	struct ebb_audit_record record;
	int n = ebb_audit_parse(line->text, line->length, &record, NULL);

	if (n == -ENOMEM)
		return ebb_why(why, n, "out of memory");
	if (n < 0) {
		r->unknown++;
		return 0;
	}
	if (ebb_audit_query_matches(r->query, &record))
		n = r->last.room ? remember(&r->last, line->text, line->length, why)
				 : r->visit(r->userdata, &record, why);
	ebb_audit_record_done(&record);
	return n;
}

int ebb_audit_read_lines(struct ebb_audit_reading *r, struct ebb_lines *lines, struct ebb_why *why)
{
	struct ebb_lines_line line;
	int n;

	while ((n = ebb_lines_next(lines, &line)) != 0) {
		if (n == -E2BIG)
			r->unknown++;
		else if (n < 0)
			(void)ebb_why(why, n, "cannot read the audit log: %s", ebb_strerror(n));
		else
			n = take_line(r, &line, why);
		if (n < 0 && n != -E2BIG)
			break;
	}
	return n;
}

static int read_file(struct ebb_audit_reading *r, int fd, struct ebb_why *why)
{
	struct ebb_lines lines;
	int n = ebb_lines_init(&lines, fd, EBB_AUDIT_LINE_MAX);

	if (n < 0)
		return ebb_why(why, n, "out of memory");
	n = ebb_audit_read_lines(r, &lines, why);
	ebb_lines_done(&lines);
	return n;
}

int ebb_audit_tell_last(struct ebb_audit_reading *r, struct ebb_why *why)
{
	struct ebb_audit_last *l = &r->last;
	uint64_t first = l->next > l->room ? l->next - l->room : 0;
	int n = 0;

	for (uint64_t i = first; n == 0 && i < l->next; i++) {
		struct ebb_audit_record record;

		/* it was parsed before */
		n = ebb_audit_parse(l->lines[i % l->room], l->lengths[i % l->room], &record, why);
		if (n < 0)
			break;
		n = r->visit(r->userdata, &record, why);
		ebb_audit_record_done(&record);
	}
	return n;
}

int ebb_audit_last_init(struct ebb_audit_last *l, uint64_t limit)
{
	l->room = limit;
	l->lines = calloc(limit, sizeof(*l->lines));
	l->lengths = calloc(limit, sizeof(*l->lengths));
	return l->lines && l->lengths ? 0 : -ENOMEM;
}

void ebb_audit_last_done(struct ebb_audit_last *l)
{
	for (uint64_t i = 0; l->lines && i < l->room; i++)
		free(l->lines[i]);
	free(l->lines);
	free(l->lengths);
}

/* Moved aside since it was opened: it would be read twice. */
static bool is_same(int fd, int before)
{
	struct stat one, other;

	return fstat(fd, &one) == 0 && fstat(before, &other) == 0 && one.st_ino == other.st_ino &&
	       one.st_dev == other.st_dev;
}

int ebb_audit_open_files(const char *path, unsigned int keep, int fds[EBB_AUDIT_FILES_MAX], size_t *ret_count,
			 struct ebb_why *why)
{
	char older[PATH_MAX + 16];
	unsigned int missing = 0;

	/* while they are moved aside, one may be missing between the others */
	for (unsigned int i = 0; i <= keep && i < EBB_AUDIT_FILES_MAX && missing < 2; i++) {
		int fd;

		(void)snprintf(older, sizeof(older), i ? "%s.%u" : "%s", path, i);
		fd = open(older, O_RDONLY | O_CLOEXEC);
		if (fd < 0 && errno != ENOENT)
			return ebb_why(why, -errno, "cannot open %s: %s", older, strerror(errno));
		missing = fd < 0 ? missing + 1 : 0;
		if (fd >= 0 && *ret_count && is_same(fd, fds[*ret_count - 1]))
			(void)close(fd);
		else if (fd >= 0)
			fds[(*ret_count)++] = fd;
	}
	return *ret_count ? 0 : ebb_why(why, -ENOENT, "there is no %s", path);
}

int ebb_audit_query_files(const char *path, unsigned int keep, const struct ebb_audit_query *query,
			  ebb_audit_visit *visit, void *userdata, uint64_t *ret_unknown, struct ebb_why *why)
{
	struct ebb_audit_reading reading = {.query = query, .visit = visit, .userdata = userdata};
	_cleanup_free_ int *fds = calloc(EBB_AUDIT_FILES_MAX, sizeof(*fds));
	size_t count = 0;
	int r = fds ? 0 : -ENOMEM;

	if (r == 0 && query->limit)
		r = ebb_audit_last_init(&reading.last, query->limit);
	if (r < 0)
		(void)ebb_why(why, r, "out of memory");
	if (r == 0)
		r = ebb_audit_open_files(path, keep, fds, &count, why);
	for (size_t i = count; r == 0 && i-- > 0;)
		r = read_file(&reading, fds[i], why);
	if (r == 0 && query->limit)
		r = ebb_audit_tell_last(&reading, why);
	for (size_t i = 0; i < count; i++)
		(void)close(fds[i]);
	ebb_audit_last_done(&reading.last);
	if (r == 0)
		*ret_unknown = reading.unknown;
	return r;
}
