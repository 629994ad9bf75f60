/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/when.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "lib/units.h"

#define NS_PER_S   1000000000LL
#define YEAR_LEAST 1970
#define YEAR_MOST  2200 /* 64 bits of nanoseconds end in 2262 */

/* @count digits at *@io_text, which moves on. */
static bool take_digits(const char **io_text, int count, int *ret_number)
{
	int number = 0;

	for (int i = 0; i < count; i++) {
		char c = (*io_text)[i];

		if (c < '0' || c > '9')
			return false;
		number = number * 10 + (c - '0');
	}
	*io_text += count;
	*ret_number = number;
	return true;
}

static bool take_char(const char **io_text, const char *of)
{
	if (**io_text == '\0' || !strchr(of, **io_text))
		return false;
	(*io_text)++;
	return true;
}

static bool take_date(const char **io_text, struct tm *tm)
{
	return take_digits(io_text, 4, &tm->tm_year) && take_char(io_text, "-") &&
	       take_digits(io_text, 2, &tm->tm_mon) && take_char(io_text, "-") &&
	       take_digits(io_text, 2, &tm->tm_mday);
}

static bool take_time(const char **io_text, struct tm *tm)
{
	return take_char(io_text, "T ") && take_digits(io_text, 2, &tm->tm_hour) && take_char(io_text, ":") &&
	       take_digits(io_text, 2, &tm->tm_min) &&
	       (!take_char(io_text, ":") || take_digits(io_text, 2, &tm->tm_sec));
}

static int moment(const char *text, int64_t *ret_ns)
{
	struct tm tm = {.tm_isdst = -1}, back;
	time_t seconds;
	bool utc;

	if (!take_date(&text, &tm) || (*text && !take_time(&text, &tm)))
		return -EINVAL;
	utc = take_char(&text, "Z");
	if (*text)
		return -EINVAL;
	if (tm.tm_year < YEAR_LEAST || tm.tm_year > YEAR_MOST)
		return -ERANGE;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	back = tm;
	if (utc)
		back.tm_isdst = 0;
	seconds = utc ? timegm(&back) : mktime(&back);
	/* both take the 31st of February for a day of March; an hour that the clock leaves out becomes another */
	if (back.tm_mon != tm.tm_mon || back.tm_mday != tm.tm_mday || tm.tm_hour > 23 || tm.tm_min > 59 ||
	    tm.tm_sec > 59)
		return -EINVAL;
	*ret_ns = (int64_t)seconds * NS_PER_S;
	return 0;
}

int ebb_when_parse(const char *text, int64_t now_ns, int64_t *ret_ns)
{
	uint64_t ago;
	int r;

	/* a day has four digits and a dash */
	if (strnlen(text, 5) == 5 && text[4] == '-')
		return moment(text, ret_ns);
	r = ebb_parse_duration(text, &ago);
	if (r < 0)
		return r;
	if (ago > INT64_MAX || (int64_t)ago > now_ns)
		return -ERANGE;
	*ret_ns = now_ns - (int64_t)ago;
	return 0;
}
