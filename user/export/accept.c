/* SPDX-License-Identifier: Apache-2.0 */
/*
 *	text/plain;version=0.0.4;q=0.5, application/openmetrics-text; version="1.0.0"
 *	|- type -| |- parameter -| | q | |- next range ...
 *
 * Names are compared without case.
 */
#include "export/accept.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

/* A piece of the header, not ended by a NUL. */
struct piece {
	const char *data;
	size_t length;
};

struct range {
	struct piece type;    /* "text/plain" */
	struct piece version; /* its parameter; length 0: none */
	int quality;	      /* in thousandths; -1: makes no sense */
};

/* How well the best range so far fits a format. */
struct fit {
	int exactness; /* 0: not at all, 1: any type, 2: any subtype, 3: the type, 4: its version too */
	int quality;
	int position;
};

struct format {
	const char *type;
	const char *any_subtype;
	const char *version;
};

static const struct format formats[] = {
	[EBB_METRICS_TEXT] = {"text/plain", "text/*", "0.0.4"},
	[EBB_METRICS_OPENMETRICS] = {"application/openmetrics-text", "application/*", "1.0.0"},
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static struct piece trimmed(const char *begin, const char *end)
{
	while (begin < end && is_blank(*begin))
		begin++;
	while (end > begin && is_blank(end[-1]))
		end--;
	return (struct piece){begin, (size_t)(end - begin)};
}

static bool equals(struct piece piece, const char *text)
{
	return piece.length == strlen(text) && strncasecmp(piece.data, text, piece.length) == 0;
}

/* Where the piece that begins at @s ends: at @stop, at @other, or at the end; not within quotes. */
static const char *piece_end(const char *s, char stop, char other)
{
	bool quoted = false;

	for (; *s; s++) {
		if (*s == '"')
			quoted = !quoted;
		else if (quoted && *s == '\\' && s[1])
			s++;
		else if (!quoted && (*s == stop || *s == other))
			break;
	}
	return s;
}

/* "0", "0.5", "1.000": thousandths, or -1. */
static int parse_quality(struct piece text)
{
	int quality = 0, scale = 1000;

	if (text.length == 0 || text.length > 5 || (text.data[0] != '0' && text.data[0] != '1'))
		return -1;
	if (text.length > 1 && text.data[1] != '.')
		return -1;
	for (size_t i = 0; i < text.length; i++) {
		if (i == 1)
			continue;
		if (text.data[i] < '0' || text.data[i] > '9')
			return -1;
		quality += (text.data[i] - '0') * scale;
		scale /= 10;
	}
	return quality <= 1000 ? quality : -1;
}

static void read_parameter(struct range *range, const char *begin, const char *end)
{
	const char *sign = memchr(begin, '=', (size_t)(end - begin));
	struct piece name, value;

	if (!sign)
		return;
	name = trimmed(begin, sign);
	value = trimmed(sign + 1, end);
	if (value.length >= 2 && value.data[0] == '"' && value.data[value.length - 1] == '"')
		value = (struct piece){value.data + 1, value.length - 2};
	if (equals(name, "q"))
		range->quality = parse_quality(value);
	else if (equals(name, "version"))
		range->version = value;
}

/* Reads the range at @s and returns where it ends: at its comma, or at the end. */
static const char *read_range(const char *s, struct range *ret_range)
{
	const char *end = piece_end(s, ';', ',');

	*ret_range = (struct range){.type = trimmed(s, end), .quality = 1000};
	while (*end == ';') {
		s = end + 1;
		end = piece_end(s, ';', ',');
		read_parameter(ret_range, s, end);
	}
	return end;
}

static int exactness_of(const struct range *range, const struct format *format)
{
	if (equals(range->type, "*/*"))
		return 1;
	if (equals(range->type, format->any_subtype))
		return 2;
	if (!equals(range->type, format->type))
		return 0;
	if (range->version.length == 0)
		return 3;
	return equals(range->version, format->version) ? 4 : 0;
}

static bool better(const struct fit *a, const struct fit *b)
{
	if (a->quality != b->quality)
		return a->quality > b->quality;
	if (a->exactness != b->exactness)
		return a->exactness > b->exactness;
	return a->position < b->position;
}

enum ebb_metrics_format ebb_accept(const char *header)
{
	struct fit fits[sizeof(formats) / sizeof(formats[0])] = {};
	const struct fit *open = &fits[EBB_METRICS_OPENMETRICS];
	int position = 0;

	for (const char *s = header; s && *s; s += *s == ',') {
		struct range range;

		s = read_range(s, &range);
		position++;
		if (range.quality < 0)
			continue;
		for (size_t f = 0; f < sizeof(fits) / sizeof(fits[0]); f++) {
			int exactness = exactness_of(&range, &formats[f]);

			/* the most exact range says it, whatever the others would allow */
			if (exactness > fits[f].exactness)
				fits[f] = (struct fit){exactness, range.quality, position};
		}
	}
	/* any type, and any subtype, is how a program says that it does not care */
	if (open->exactness < 3 || open->quality == 0)
		return EBB_METRICS_TEXT;
	return better(open, &fits[EBB_METRICS_TEXT]) ? EBB_METRICS_OPENMETRICS : EBB_METRICS_TEXT;
}

/* What @range says of the coding @name: "*" stands for all that are not named. */
static void take_coding(const struct range *range, const char *name, bool *io_named, int *io_quality)
{
	if (equals(range->type, name)) {
		*io_named = true;
		*io_quality = range->quality;
	} else if (equals(range->type, "*") && !*io_named) {
		*io_quality = range->quality;
	}
}

bool ebb_accept_gzip(const char *header)
{
	int gzip = 0, plain = 0;
	bool gzip_named = false, plain_named = false;

	for (const char *s = header; s && *s; s += *s == ',') {
		struct range range;

		s = read_range(s, &range);
		if (range.quality < 0)
			continue;
		take_coding(&range, "gzip", &gzip_named, &gzip);
		take_coding(&range, "x-gzip", &gzip_named, &gzip);
		/* "*" speaks of the plain text only to forbid it */
		take_coding(&range, "identity", &plain_named, &plain);
	}
	return gzip > 0 && (!plain_named || gzip >= plain);
}
