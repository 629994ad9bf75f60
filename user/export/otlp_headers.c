/* SPDX-License-Identifier: Apache-2.0 */
#include "export/otlp_headers.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"

#define BLANKS " \t\r"

struct parsing {
	struct ebb_otlp_headers *headers;
	size_t used; /* of its text */
	unsigned int line;
	struct ebb_why *why;
};

/* What the request says by itself: another one would contradict it. */
static bool is_ours(const char *name)
{
	static const char *const ours[] = {"content-type", "content-encoding", "content-length",
					   "transfer-encoding", "host"};

	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		if (strcasecmp(name, ours[i]) == 0)
			return true;
	return false;
}

static int add(struct parsing *p, const char *name, const char *value)
{
	struct ebb_otlp_headers *headers = p->headers;
	char *place = headers->text + p->used;
	int length;

	if (!ebb_otlp_is_header_name(name))
		return ebb_why(p->why, -EINVAL,
			       "line %u: the name of a header has only letters, digits and '-'", p->line);
	if (is_ours(name))
		return ebb_why(p->why, -EINVAL,
			       "line %u: a header that every request has already: leave it out", p->line);
	for (const char *c = value; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			return ebb_why(p->why, -EINVAL, "line %u: a control character in a value", p->line);
	if (!value[0])
		return ebb_why(p->why, -EINVAL, "line %u: a header without a value", p->line);
	if (headers->count == EBB_OTLP_HEADERS_MAX)
		return ebb_why(p->why, -EINVAL, "line %u: more than %d headers", p->line,
			       EBB_OTLP_HEADERS_MAX);
	length = snprintf(place, sizeof(headers->text) - p->used, "%s: %s", name, value);
	if ((size_t)length >= sizeof(headers->text) - p->used)
		return ebb_why(p->why, -EINVAL, "line %u: it is too long", p->line);
	headers->lines[headers->count++] = place;
	p->used += (size_t)length + 1;
	return 0;
}

static int add_list(struct parsing *p, const char *text)
{
	struct ebb_otlp_pair pairs[EBB_OTLP_HEADERS_MAX];
	int r = 0, count = ebb_otlp_list_parse(text, pairs, EBB_OTLP_HEADERS_MAX);

	if (count < 0)
		return ebb_why(p->why, -EINVAL, "line %u: no list like 'name=value,name=value'", p->line);
	for (int i = 0; i < count && r == 0; i++)
		r = add(p, pairs[i].key, pairs[i].value);
	explicit_bzero(pairs, sizeof(pairs));
	return r;
}

/* @line is without its end, and is written over. */
static int parse_line(struct parsing *p, char *line)
{
	size_t length;
	char *end;

	line += strspn(line, BLANKS);
	for (length = strlen(line); length > 0 && strchr(BLANKS, line[length - 1]); length--)
		line[length - 1] = '\0';
	if (line[0] == '\0' || line[0] == '#')
		return 0;
	end = strpbrk(line, ":=");
	if (!end)
		return ebb_why(p->why, -EINVAL, "line %u: no header like 'Authorization: Bearer ...'",
			       p->line);
	if (*end == '=')
		return add_list(p, line);
	*end = '\0';
	return add(p, line, end + 1 + strspn(end + 1, BLANKS));
}

int ebb_otlp_headers_parse(const char *text, size_t size, struct ebb_otlp_headers *ret_headers,
			   struct ebb_why *why)
{
	struct parsing p = {.headers = ret_headers, .why = why};
	char line[EBB_OTLP_HEADERS_BYTES + 1];
	int r = 0;

	ret_headers->count = 0;
	if (size > EBB_OTLP_HEADERS_BYTES)
		r = ebb_why(why, -EINVAL, "it is longer than %d bytes", EBB_OTLP_HEADERS_BYTES);
	else if (memchr(text, '\0', size))
		r = ebb_why(why, -EINVAL, "it is no text");
	for (size_t at = 0; at < size && r == 0;) {
		const char *end = memchr(text + at, '\n', size - at);
		size_t length = end ? (size_t)(end - text) - at : size - at;

		memcpy(line, text + at, length);
		line[length] = '\0';
		p.line++;
		r = parse_line(&p, line);
		at += length + 1;
	}
	explicit_bzero(line, sizeof(line));
	if (r == 0 && ret_headers->count == 0)
		r = ebb_why(why, -EINVAL, "there is no header in it");
	if (r < 0)
		ret_headers->count = 0;
	return r;
}

/* Returns the number of bytes; one more than is possible where there are more. */
static ssize_t read_all(int fd, char *buffer, size_t size)
{
	size_t used = 0;

	while (used < size) {
		ssize_t n = read(fd, buffer + used, size - used);

		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		used += (size_t)n;
	}
	return (ssize_t)used;
}

int ebb_otlp_headers_read(const char *path, struct ebb_otlp_headers *ret_headers, struct ebb_why *why)
{
	char text[EBB_OTLP_HEADERS_BYTES + 1];
	_cleanup_close_ int fd = -1;
	struct stat st;
	ssize_t size;
	int r;

	/* O_NONBLOCK: a FIFO must not stop the agent */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, &st) < 0)
		return ebb_why(why, -errno, "it cannot be read: %s", strerror(errno));
	if (!S_ISREG(st.st_mode))
		return ebb_why(why, -EINVAL, "it is no file");
	size = read_all(fd, text, sizeof(text));
	if (size < 0)
		return ebb_why(why, (int)size, "it cannot be read: %s", strerror((int)-size));
	r = ebb_otlp_headers_parse(text, (size_t)size, ret_headers, why);
	explicit_bzero(text, sizeof(text));
	return r;
}
