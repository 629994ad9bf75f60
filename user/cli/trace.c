/* SPDX-License-Identifier: Apache-2.0 */
/* Reading and writing traces. The picture of a line is in the header. */
#include "cli/trace.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "core/simulate.h"
#include "lib/cleanup.h"
#include "lib/text.h"

#define READ_BYTES (1U << 18)
#define SHOWN_MAX  64 /* bytes of a wrong text that a reason repeats */

/* ------------------------------------------------------------ characters -- */

/* What is left of a line. Its end is a NUL, which stands in no JSON: so one look at @at is always safe. */
struct cursor {
	char *at;
	char *end;
};

static void skip_blanks(struct cursor *c)
{
	while (*c->at == ' ' || *c->at == '\t' || *c->at == '\r')
		c->at++;
}

static bool take(struct cursor *c, char wanted)
{
	skip_blanks(c);
	if (*c->at != wanted)
		return false;
	c->at++;
	return true;
}

/* "the line ends", "'x'": what stands where something else is expected. */
static const char *found(const struct cursor *c, char *buffer, size_t size)
{
	char one[EBB_TEXT_CHAR_MAX + 1] = "", shown[4 * sizeof(one)];
	uint32_t ignored;
	size_t length;

	if (c->at == c->end)
		return "the line ends";
	length = ebb_text_decode((const unsigned char *)c->at, &ignored);
	memcpy(one, c->at, length > 0 ? length : 1);
	(void)snprintf(buffer, size, "'%s'", one[0] ? ebb_text_escape(one, shown, sizeof(shown)) : "\\x00");
	return buffer;
}

static int expected(const struct cursor *c, const char *what, struct ebb_why *why)
{
	char buffer[32];

	return ebb_why(why, -EINVAL, "%s: expected %s", found(c, buffer, sizeof(buffer)), what);
}

/* ----------------------------------------------------------------- texts -- */

/* Four hexadecimal digits; -1: they are not. */
static int32_t take_hex(struct cursor *c)
{
	int32_t value = 0;

	for (int i = 0; i < 4; i++) {
		char d = *c->at;
		int digit = d >= '0' && d <= '9'		     ? d - '0'
			    : (d | 0x20) >= 'a' && (d | 0x20) <= 'f' ? (d | 0x20) - 'a' + 10
								     : -1;

		if (digit < 0)
			return -1;
		value = value * 16 + digit;
		c->at++;
	}
	return value;
}

/* Behind "\u", a pair of surrogates as one character. Zero, and half a pair, is none: -1. */
static int32_t take_unicode(struct cursor *c)
{
	int32_t high = take_hex(c), low;

	if (high <= 0 || (high >= 0xdc00 && high < 0xe000))
		return -1;
	if (high < 0xd800 || high >= 0xe000)
		return high;
	if (c->at[0] != '\\' || c->at[1] != 'u')
		return -1;
	c->at += 2;
	low = take_hex(c);
	if (low < 0xdc00 || low >= 0xe000)
		return -1;
	return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
}

/* What stands behind a backslash, to *@io_to, which is never ahead of the cursor. */
static bool take_escape(struct cursor *c, char **io_to)
{
	static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
	const char *name;
	int32_t code;

	if (*c->at == 'u') {
		c->at++;
		code = take_unicode(c);
		if (code < 0)
			return false;
		*io_to += ebb_text_encode((uint32_t)code, *io_to);
		return true;
	}
	name = *c->at ? strchr(names, *c->at) : NULL;
	if (!name)
		return false;
	*(*io_to)++ = values[name - names];
	c->at++;
	return true;
}

/* Tells why a text is none. */
static char *no_text(struct ebb_why *why, const char *reason)
{
	(void)ebb_why(why, -EINVAL, "%s", reason);
	return NULL;
}

/* A text in quotes, unescaped and terminated in place; NULL with the reason. */
static char *take_text(struct cursor *c, size_t *ret_length, const char *what, struct ebb_why *why)
{
	char *start, *to;

	if (!take(c, '"')) {
		(void)expected(c, what, why);
		return NULL;
	}
	start = to = c->at;
	while (*c->at != '"') {
		unsigned char byte = (unsigned char)*c->at;
		uint32_t ignored;
		size_t length = 1;

		if (byte == '\\') {
			c->at++;
			if (!take_escape(c, &to))
				return no_text(why,
					       "a wrong escape in a text: expected one of JSON, and not \\u0000");
			continue;
		}
		if (c->at == c->end)
			return no_text(why, "the line ends: expected the quote that ends a text");
		if (byte < 0x20)
			return no_text(why, "a control character in a text: expected it escaped, as \\u0009");
		if (byte >= 0x80) {
			length = ebb_text_decode((const unsigned char *)c->at, &ignored);
			if (length == 0)
				return no_text(why, "a byte that is not UTF-8: expected UTF-8");
		}
		if (to != c->at)
			memmove(to, c->at, length);
		to += length;
		c->at += length;
	}
	c->at++;
	*to = '\0';
	*ret_length = (size_t)(to - start);
	return start;
}

/* --------------------------------------------------------------- numbers -- */

#define MORE_DIGITS  100000000000000000ULL /* below it there is room for another: 18 digits count */
#define EXPONENT_MAX 100000		   /* a line has fewer digits */

struct number {
	uint64_t digits; /* times 10^exponent */
	int exponent;
	bool negative;
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static void take_digits(struct cursor *c, struct number *number, bool behind_point)
{
	for (; is_digit(*c->at); c->at++) {
		if (number->digits < MORE_DIGITS) {
			number->digits = number->digits * 10 + (uint64_t)(*c->at - '0');
			number->exponent -= behind_point;
		} else {
			number->exponent += !behind_point;
		}
	}
}

/* As JSON writes numbers: no leading zero, plus or point. False: it is none. */
static bool take_number(struct cursor *c, struct number *ret_number)
{
	struct number number = {0};
	bool minus;
	int exponent = 0;

	number.negative = *c->at == '-';
	c->at += number.negative;
	if (!is_digit(*c->at) || (*c->at == '0' && is_digit(c->at[1])))
		return false;
	take_digits(c, &number, false);
	if (*c->at == '.') {
		c->at++;
		if (!is_digit(*c->at))
			return false;
		take_digits(c, &number, true);
	}
	if ((*c->at | 0x20) == 'e') {
		c->at++;
		minus = *c->at == '-';
		c->at += *c->at == '-' || *c->at == '+';
		if (!is_digit(*c->at))
			return false;
		for (; is_digit(*c->at); c->at++)
			exponent = exponent < EXPONENT_MAX ? exponent * 10 + (*c->at - '0') : exponent;
		number.exponent += minus ? -exponent : exponent;
	}
	*ret_number = number;
	return true;
}

/* @number times 10^@scale, to the nearest; false: it is above @most. */
static bool to_integer(const struct number *number, int scale, uint64_t most, uint64_t *ret_value)
{
	uint64_t value = number->digits;
	int exponent = number->exponent + scale;
	bool half = false;

	for (; exponent > 0 && value > 0; exponent--) {
		if (value > UINT64_MAX / 10)
			return false;
		value *= 10;
	}
	for (; exponent < 0 && value > 0; exponent++) {
		half = value % 10 >= 5;
		value /= 10;
	}
	value += half && exponent == 0;
	if (value > most)
		return false;
	*ret_value = value;
	return true;
}

/* A time in units of 10^@scale ns, at most @most_ns. */
static int take_time(struct cursor *c, const char *key, int scale, uint64_t most_ns, const char *range,
		     uint64_t *ret_ns, struct ebb_why *why)
{
	char *start, shown[SHOWN_MAX + 1] = "";
	struct number number;

	skip_blanks(c);
	start = c->at;
	if (!take_number(c, &number))
		return ebb_why(why, -EINVAL, "\"%s\" is no number as JSON writes it: expected %s", key,
			       range);
	(void)snprintf(shown, sizeof(shown), "%.*s", (int)(c->at - start), start);
	if (number.negative && number.digits > 0)
		return ebb_why(why, -EINVAL, "\"%s\" is %s, below zero: expected %s", key, shown, range);
	if (!to_integer(&number, scale, most_ns, ret_ns))
		return ebb_why(why, -EINVAL, "\"%s\" is %s, too large: expected %s", key, shown, range);
	return 0;
}

/* ------------------------------------------------------------------ keys -- */

/* Bits of those that were given. */
enum key {
	KEY_T = 1,
	KEY_DEST = 2,
	KEY_OUTCOME = 4,
	KEY_MS = 8,
	KEY_WORKLOAD = 16,
};

#define KEYS_EXPECTED "expected \"t\", \"dest\", \"outcome\", \"ms\" or \"workload\""

static unsigned int find_key(const char *name)
{
	static const struct {
		const char *name;
		unsigned int bit;
	} keys[] = {{"t", KEY_T},
		    {"dest", KEY_DEST},
		    {"outcome", KEY_OUTCOME},
		    {"ms", KEY_MS},
		    {"workload", KEY_WORKLOAD}};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (strcmp(name, keys[i].name) == 0)
			return keys[i].bit;
	}
	return 0;
}

static int take_name(struct cursor *c, const char *key, size_t most, const char **ret_name,
		     size_t *ret_length, struct ebb_why *why)
{
	const char *text = take_text(c, ret_length, "a name in quotes", why);

	if (!text)
		return -EINVAL;
	if (*ret_length == 0 || *ret_length > most)
		return ebb_why(why, -EINVAL, "\"%s\" has %zu bytes: expected 1 to %zu", key, *ret_length,
			       most);
	*ret_name = text;
	return 0;
}

static int take_outcome(struct cursor *c, uint32_t *ret_outcome, struct ebb_why *why)
{
	char shown[4 * SHOWN_MAX];
	const char *text;
	size_t length;

	text = take_text(c, &length, "the name of an outcome in quotes", why);
	if (!text)
		return -EINVAL;
	for (uint32_t i = 0; i < EBB_SIM_OUTCOME_MAX; i++) {
		if (strcmp(text, ebb_sim_outcome_name(i)) == 0) {
			*ret_outcome = i;
			return 0;
		}
	}
	return ebb_why(why, -EINVAL,
		       "there is no outcome '%s': expected established, refused, timeout, unreachable, abandoned, cancelled, reset, unanswered, local or denied",
		       ebb_text_escape(text, shown, SHOWN_MAX));
}

static int take_value(struct cursor *c, unsigned int key, struct ebb_trace_call *call, struct ebb_why *why)
{
	size_t ignored;

	switch (key) {
	case KEY_T:
		return take_time(c, "t", 9, EBB_TRACE_T_MAX_S * 1000000000, "seconds from 0 to 100000000",
				 &call->at_ns, why);
	case KEY_MS:
		return take_time(c, "ms", 6, EBB_TRACE_MS_MAX * 1000000, "milliseconds from 0 to 1000000000",
				 &call->took_ns, why);
	case KEY_DEST:
		return take_name(c, "dest", EBB_TRACE_DEST_MAX, &call->dest, &call->dest_length, why);
	case KEY_WORKLOAD:
		return take_name(c, "workload", EBB_TRACE_WORKLOAD_MAX, &call->workload, &ignored, why);
	default:
		return take_outcome(c, &call->outcome, why);
	}
}

/* One key and its value. */
static int take_member(struct cursor *c, unsigned int *io_given, struct ebb_trace_call *call,
		       struct ebb_why *why)
{
	char shown[4 * SHOWN_MAX];
	const char *name;
	size_t length;
	unsigned int key;

	name = take_text(c, &length, "a key in quotes", why);
	if (!name)
		return -EINVAL;
	key = find_key(name);
	if (key == 0)
		return ebb_why(why, -EINVAL, "unknown key '%s': " KEYS_EXPECTED,
			       ebb_text_escape(name, shown, SHOWN_MAX));
	if (*io_given & key)
		return ebb_why(why, -EINVAL, "\"%s\" stands here twice: expected it once", name);
	*io_given |= key;
	if (!take(c, ':'))
		return expected(c, "':' behind a key", why);
	return take_value(c, key, call, why);
}

int ebb_trace_parse(char *line, size_t length, struct ebb_trace_call *ret_call, struct ebb_why *why)
{
	struct cursor c = {.at = line, .end = line + length};
	struct ebb_trace_call call = {0};
	unsigned int given = 0;
	int r;

	*c.end = '\0';
	if (!take(&c, '{'))
		return expected(&c,
				"a call in braces, as in {\"t\": 12.5, \"dest\": \"api\", \"outcome\": \"refused\"}",
				why);
	do {
		r = take_member(&c, &given, &call, why);
		if (r < 0)
			return r;
	} while (take(&c, ','));
	if (!take(&c, '}'))
		return expected(&c, "',' or '}'", why);
	skip_blanks(&c);
	if (c.at != c.end)
		return expected(&c, "nothing behind the call", why);
	if (!(given & KEY_T))
		return ebb_why(why, -EINVAL, "\"t\" is missing: expected when the call began, in seconds");
	if (!(given & KEY_DEST))
		return ebb_why(why, -EINVAL, "\"dest\" is missing: expected the name of a destination");
	if (!(given & KEY_OUTCOME))
		return ebb_why(why, -EINVAL, "\"outcome\" is missing: expected established, refused, ...");
	*ret_call = call;
	return 0;
}

/* ----------------------------------------------------------------- lines -- */

struct reader {
	int fd;
	uint64_t line;	   /* that is being read, from 1 */
	char *buffer;	   /* READ_BYTES + 1 */
	size_t start, end; /* what of it is not used up */
	bool over;	   /* the file is read to its end */
};

/* More bytes behind those that are there. */
static int fill(struct reader *reader)
{
	ssize_t n;

	memmove(reader->buffer, reader->buffer + reader->start, reader->end - reader->start);
	reader->end -= reader->start;
	reader->start = 0;
	do {
		n = read(reader->fd, reader->buffer + reader->end, READ_BYTES - reader->end);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	reader->over = n == 0;
	reader->end += (size_t)n;
	return 0;
}

/* The next line without its newline; 1: there is one, 0: there is none. */
static int next_line(struct reader *reader, char **ret_line, size_t *ret_length, struct ebb_why *why)
{
	size_t seen = 0;

	reader->line++;
	for (;;) {
		char *line = reader->buffer + reader->start;
		size_t length = reader->end - reader->start;
		char *newline = memchr(line + seen, '\n', length - seen);
		int r;

		if (newline)
			length = (size_t)(newline - line);
		if (length >= EBB_TRACE_LINE_MAX)
			return ebb_why(why, -EINVAL, "the line is too long: expected at most %d bytes",
				       EBB_TRACE_LINE_MAX - 1);
		if (newline || reader->over) {
			*ret_line = line;
			*ret_length = length;
			reader->start += length + (newline != NULL);
			return newline || length > 0;
		}
		seen = length;
		r = fill(reader);
		if (r < 0)
			return r;
	}
}

static bool is_blank(const char *line, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if (line[i] != ' ' && line[i] != '\t' && line[i] != '\r')
			return false;
	}
	return true;
}

int ebb_trace_read(int fd,
		   int (*visit)(void *userdata, const struct ebb_trace_call *call, struct ebb_why *why),
		   void *userdata, uint64_t *ret_line, struct ebb_why *why)
{
	_cleanup_free_ char *buffer = malloc(READ_BYTES + 1);
	struct reader reader = {.fd = fd, .buffer = buffer};
	struct ebb_trace_call call;
	char *line = NULL;
	size_t length = 0;
	int r;

	if (!buffer)
		return ebb_why(why, -ENOMEM, "out of memory");
	while ((r = next_line(&reader, &line, &length, why)) > 0) {
		if (is_blank(line, length))
			continue;
		r = ebb_trace_parse(line, length, &call, why);
		if (r == 0)
			r = visit(userdata, &call, why);
		if (r < 0)
			break;
	}
	*ret_line = reader.line;
	return r;
}

/* --------------------------------------------------------------- writing -- */

#define NS_PER_S  1000000000
#define NS_PER_MS 1000000

/* @text in quotes; NULL: it is no UTF-8, or there is no memory. The caller's to free. */
static char *quoted(const char *text)
{
	json_t *string = json_string(text);
	char *dumped = json_dumps(string, JSON_ENCODE_ANY);

	json_decref(string);
	return dumped;
}

int ebb_trace_write(FILE *out, const struct ebb_trace_call *call)
{
	_cleanup_free_ char *dest = quoted(call->dest);
	_cleanup_free_ char *workload = call->workload ? quoted(call->workload) : NULL;

	if (!dest || (call->workload && !workload))
		return -EINVAL;
	errno = 0;
	(void)fprintf(out,
		      "{\"t\": %" PRIu64 ".%09" PRIu64 ", \"dest\": %s, \"outcome\": \"%s\", \"ms\": %" PRIu64
		      ".%06" PRIu64,
		      call->at_ns / NS_PER_S, call->at_ns % NS_PER_S, dest,
		      ebb_sim_outcome_name(call->outcome), call->took_ns / NS_PER_MS,
		      call->took_ns % NS_PER_MS);
	if (workload)
		(void)fprintf(out, ", \"workload\": %s", workload);
	(void)fputs("}\n", out);
	if (!ferror(out))
		return 0;
	return errno ? -errno : -EIO;
}
