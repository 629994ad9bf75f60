/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/log.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/text.h"
#include "lib/why.h"

#define NS_PER_S  1000000000LL
#define NS_PER_MS 1000000LL

#define MESSAGE_MAX 1024
#define VALUE_MAX   1024
#define SPEC_MAX    24

/* Changed by a reload while other threads log: read and written atomically. */
static enum ebb_log_level threshold = EBB_LOG_INFO;
static enum ebb_log_format written_as = EBB_LOG_KV;

static const char *const level_names[EBB_LOG_MAX] = {
	[EBB_LOG_ERROR] = "error",
	[EBB_LOG_WARN] = "warn",
	[EBB_LOG_INFO] = "info",
	[EBB_LOG_DEBUG] = "debug",
};

void ebb_log_set_level(enum ebb_log_level level)
{
	__atomic_store_n(&threshold, level, __ATOMIC_RELAXED);
}

void ebb_log_set_format(enum ebb_log_format format)
{
	__atomic_store_n(&written_as, format, __ATOMIC_RELAXED);
}

int ebb_log_parse_level(const char *name, enum ebb_log_level *ret_level)
{
	for (int i = 0; i < EBB_LOG_MAX; i++) {
		if (strcmp(name, level_names[i]) == 0) {
			*ret_level = (enum ebb_log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}

/* ------------------------------------------------------------------- text -- */

/* Text that is being put together; what does not fit is cut. */
struct text {
	char *data;
	size_t size;
	size_t used;
};

static void put(struct text *t, const char *bytes, size_t length)
{
	if (length > t->size - t->used)
		length = t->size - t->used;
	memcpy(t->data + t->used, bytes, length);
	t->used += length;
}

static void put_string(struct text *t, const char *string)
{
	put(t, string, strlen(string));
}

/* Within double quotes: JSON's escapes, which a reader of key="value" knows, too. */
static void put_quoted(struct text *t, const char *string)
{
	put_string(t, "\"");
	for (; *string; string++) {
		if (*string == '"' || *string == '\\')
			put_string(t, "\\");
		put(t, string, 1);
	}
	put_string(t, "\"");
}

/* ------------------------------------------------------------- conversions -- */

/* One conversion of a format. */
struct spec {
	char text[SPEC_MAX]; /* without '*' and length */
	size_t length;	     /* of it in the format */
	char conversion;
	int longs; /* 'l' counted; 'z' and 'j' are as good as one, since size_t and intmax_t are long here */
};

_Static_assert(sizeof(size_t) == sizeof(long) && sizeof(intmax_t) == sizeof(long), "z and j are l");

/* Reads the conversion at @format, and the arguments of its stars. */
static struct spec read_spec(const char *format, va_list *args)
{
	struct spec spec = {};
	struct text text = {.data = spec.text, .size = sizeof(spec.text) - 4};
	const char *c = format;
	char number[16];

	for (c++, put_string(&text, "%"); strchr("-+ #0123456789.*", *c) && *c; c++) {
		if (*c == '*') {
			(void)snprintf(number, sizeof(number), "%d", va_arg(*args, int));
			put_string(&text, number);
		} else {
			put(&text, c, 1);
		}
	}
	for (; strchr("hlzj", *c) && *c; c++)
		spec.longs += *c != 'h';
	spec.conversion = *c;
	/* always as the widest: a narrower argument was widened when it was read */
	if (strchr("diux", *c) && *c)
		put_string(&text, "j");
	put(&text, c, 1);
	spec.length = (size_t)(c - format) + (*c != '\0');
	return spec;
}

/* Writes its argument. */
static void put_argument(struct text *t, const struct spec *spec, va_list *args)
{
	char value[VALUE_MAX], printable[VALUE_MAX];
	int n = 0;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	switch (spec->conversion) {
	case '%':
		put_string(t, "%");
		return;
	case 'd':
	case 'i':
		n = snprintf(value, sizeof(value), spec->text,
			     (intmax_t)(spec->longs ? va_arg(*args, long) : va_arg(*args, int)));
		break;
	case 'u':
	case 'x':
		n = snprintf(value, sizeof(value), spec->text,
			     (uintmax_t)(spec->longs ? va_arg(*args, unsigned long)
						     : va_arg(*args, unsigned int)));
		break;
	case 'c':
		n = snprintf(value, sizeof(value), spec->text, (char)va_arg(*args, int));
		break;
	case 's':
		n = snprintf(value, sizeof(value), spec->text, va_arg(*args, const char *));
		break;
	default:
		/* what follows could not be read either */
		n = snprintf(value, sizeof(value), "(%%%c?)", spec->conversion);
		break;
	}
#pragma GCC diagnostic pop
	if (n >= 0)
		put_string(t, ebb_text_escape(value, printable, sizeof(printable)));
}

/* ------------------------------------------------------------------- facts -- */

struct line {
	enum ebb_log_format as;
	struct text *out;
	struct text message; /* JSON: it comes before the facts, which go on behind it */
	struct text facts;
};

/* "key=" at @c: its length without '=', or 0. */
static size_t key_length(const char *c)
{
	size_t n = 0;

	while (islower((unsigned char)c[n]) || (n > 0 && (isdigit((unsigned char)c[n]) || c[n] == '_')))
		n++;
	return c[n] == '=' ? n : 0;
}

/* A number that a reader of JSON takes for what it is: doubles are exact up to 2^53. */
static bool is_number(const char *value)
{
	const char *c = value + (*value == '-');
	size_t digits = strspn(c, "0123456789"), behind = 0;

	if (digits == 0 || digits > 15 || (*c == '0' && digits > 1))
		return false;
	c += digits;
	if (*c == '.') {
		behind = strspn(c + 1, "0123456789");
		c += 1 + behind;
	}
	return *c == '\0' && (behind > 0 || c[-1] != '.');
}

/* Would @value be taken for something else if it stood there as it is? */
static bool needs_quotes(const char *value)
{
	return *value == '\0' || *value == '\'' || strpbrk(value, " \"=;,") != NULL;
}

static void put_fact(struct line *line, const char *key, size_t key_size, const char *value, bool numeric,
		     bool apostrophes)
{
	struct text *out = line->as == EBB_LOG_KV ? line->out : &line->facts;
	struct text before = *out;

	if (line->as == EBB_LOG_KV) {
		put(out, key, key_size);
		put_string(out, "=");
		if (apostrophes && !strchr(value, '\'')) {
			put_string(out, "'");
			put_string(out, value);
			put_string(out, "'");
		} else if (apostrophes || needs_quotes(value)) {
			put_quoted(out, value);
		} else {
			put_string(out, value);
		}
		return;
	}
	put_string(out, ", \"");
	put(out, key, key_size);
	put_string(out, "\": ");
	if (numeric && is_number(value))
		put_string(out, value);
	else
		put_quoted(out, value);
	/* half a member would break the object */
	if (out->used == out->size)
		*out = before;
}

/*
 * Reads the value of a fact, which begins at @c; returns where it ends in the format. A value that stands
 * between apostrophes in the format may hold blanks there.
 */
static const char *walk_fact(struct line *line, const char *key, size_t key_size, va_list *args)
{
	const char *c = key + key_size + 1;
	bool apostrophes = *c == '\'', numeric = true;
	const char *ends = apostrophes ? "'" : " ;,";
	char value[VALUE_MAX];
	struct text text = {.data = value, .size = sizeof(value) - 1};

	for (c += apostrophes; *c && !strchr(ends, *c);) {
		if (*c == '%') {
			struct spec spec = read_spec(c, args);

			numeric &= strchr("diu", spec.conversion) != NULL;
			put_argument(&text, &spec, args);
			c += spec.length;
		} else {
			put(&text, c++, 1);
		}
	}
	value[text.used] = '\0';
	put_fact(line, key, key_size, value, numeric && !apostrophes, apostrophes);
	return c + (apostrophes && *c == '\'');
}

/* Behind "breaker moved: " come facts: in JSON the message ends before the colon. */
static void end_message(struct text *message)
{
	while (message->used > 0 && strchr(" :", message->data[message->used - 1]))
		message->used--;
}

static void walk(struct line *line, const char *format, va_list *args)
{
	struct text *message = line->as == EBB_LOG_KV ? line->out : &line->message;
	const char *c = format;

	while (*c) {
		size_t key = c == format || c[-1] == ' ' ? key_length(c) : 0;

		if (key) {
			if (line->as == EBB_LOG_JSON)
				end_message(message);
			c = walk_fact(line, c, key, args);
		} else if (*c == '%') {
			struct spec spec = read_spec(c, args);

			put_argument(message, &spec, args);
			c += spec.length;
		} else {
			put(message, c++, 1);
		}
	}
}

/* ------------------------------------------------------------------- lines -- */

/* "2023-11-14T22:13:20.123Z" (RFC 3339). */
static void put_time(struct text *t, int64_t realtime_ns)
{
	time_t seconds = (time_t)(realtime_ns / NS_PER_S);
	char text[64];
	struct tm tm;
	size_t n = 0;

	if (gmtime_r(&seconds, &tm))
		n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(text + n, sizeof(text) - n, ".%03dZ", (int)(realtime_ns % NS_PER_S / NS_PER_MS));
	put_string(t, text);
}

static void put_tail(struct text *message, const char *tail)
{
	if (!tail)
		return;
	put_string(message, ": ");
	put_string(message, tail);
}

static void put_kv(struct text *out, enum ebb_log_level level, const char *tail, const char *format,
		   va_list *args)
{
	struct line line = {.as = EBB_LOG_KV, .out = out};

	put_string(out, level_names[level]);
	put_string(out, ": ");
	walk(&line, format, args);
	put_tail(out, tail);
}

static void put_json(struct text *out, enum ebb_log_level level, int64_t realtime_ns, const char *tail,
		     const char *format, va_list *args)
{
	char message[MESSAGE_MAX], facts[EBB_LOG_LINE_MAX - 2 * MESSAGE_MAX - 128];
	struct line line = {
		.as = EBB_LOG_JSON,
		.out = out,
		.message = {.data = message, .size = sizeof(message) - 1},
		.facts = {.data = facts, .size = sizeof(facts) - 1},
	};
	char printable[MESSAGE_MAX];

	walk(&line, format, args);
	end_message(&line.message);
	put_tail(&line.message, tail);
	message[line.message.used] = '\0';
	facts[line.facts.used] = '\0';
	put_string(out, "{\"time\": \"");
	put_time(out, realtime_ns);
	put_string(out, "\", \"level\": \"");
	put_string(out, level_names[level]);
	put_string(out, "\", \"message\": ");
	/* again: a message that was cut may end within a character */
	put_quoted(out, ebb_text_escape(message, printable, sizeof(printable)));
	put_string(out, facts);
	put_string(out, "}");
}

size_t ebb_log_line(enum ebb_log_format as, enum ebb_log_level level, int64_t realtime_ns, const char *tail,
		    char line[EBB_LOG_LINE_MAX], const char *format, va_list args)
{
	struct text out = {.data = line, .size = EBB_LOG_LINE_MAX - 1};
	va_list walked;

	va_copy(walked, args);
	if (as == EBB_LOG_JSON)
		put_json(&out, level, realtime_ns, tail, format, &walked);
	else
		put_kv(&out, level, tail, format, &walked);
	va_end(walked);
	line[out.used++] = '\n';
	return out.used;
}

/* One write(2) for each line, so that lines of two processes do not mix. */
static void write_line(enum ebb_log_level level, const char *tail, const char *format, va_list args)
	__attribute__((format(printf, 3, 0)));

static void write_line(enum ebb_log_level level, const char *tail, const char *format, va_list args)
{
	char line[EBB_LOG_LINE_MAX];
	struct timespec now;
	size_t size;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	size = ebb_log_line(__atomic_load_n(&written_as, __ATOMIC_RELAXED), level,
			    (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec, tail, line, format, args);
	/* nowhere left to report a failure to */
	if (write(STDERR_FILENO, line, size) < 0)
		return;
}

void ebb_log(enum ebb_log_level level, const char *format, ...)
{
	va_list args;

	if (level > __atomic_load_n(&threshold, __ATOMIC_RELAXED))
		return;
	va_start(args, format);
	write_line(level, NULL, format, args);
	va_end(args);
}

int ebb_err_r(int r, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	write_line(EBB_LOG_ERROR, ebb_strerror(r), format, args);
	va_end(args);
	return r;
}
