/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers with units, in and out. Durations are read in whole numbers: 0.1s is
 * exactly 100,000,000 ns, and what is finer than a nanosecond is refused.
 */
#include "lib/units.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name;
	uint64_t ns;
} duration_units[] = {
	{"d", 86400000000000}, {"h", 3600000000000}, {"m", 60000000000}, {"s", 1000000000},
	{"ms", 1000000},       {"us", 1000},	     {"ns", 1},
};

/* Bytes of a decimal number, and some: nobody writes that many digits. */
#define NUMBER_MAX 64

#define DURATION_UNITS (sizeof(duration_units) / sizeof(duration_units[0]))

/* Not isdigit(): no locale, no trap with a negative char. */
static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Digits at *@text, at least one; moves *@text behind them. */
static int take_u64(const char **text, uint64_t *ret_number)
{
	const char *p = *text;
	uint64_t number = 0;

	if (!is_digit(*p))
		return -EINVAL;
	for (; is_digit(*p); p++) {
		if (__builtin_mul_overflow(number, 10U, &number) ||
		    __builtin_add_overflow(number, (uint64_t)(*p - '0'), &number))
			return -ERANGE;
	}
	*text = p;
	*ret_number = number;
	return 0;
}

/* The unit at *@text, from @first on (units of a duration only get smaller). */
static int take_unit(const char **text, size_t first, size_t *ret_unit)
{
	size_t length = strspn(*text, "abcdefghijklmnopqrstuvwxyz");

	for (size_t i = first; i < DURATION_UNITS; i++) {
		if (strlen(duration_units[i].name) == length &&
		    memcmp(duration_units[i].name, *text, length) == 0) {
			*text += length;
			*ret_unit = i;
			return 0;
		}
	}
	return -EINVAL;
}

/* What @count digits behind the point are worth in a unit of @unit_ns; exact or refused. */
static int fraction_ns(const char *digits, size_t count, uint64_t unit_ns, uint64_t *ret_ns)
{
	uint64_t numerator = 0, denominator = 1;
	unsigned __int128 scaled;

	while (count > 0 && digits[count - 1] == '0')
		count--;
	if (count > 18) /* 10^18 is the last that fits, and far below a nanosecond */
		return -EINVAL;
	for (size_t i = 0; i < count; i++) {
		numerator = numerator * 10 + (uint64_t)(digits[i] - '0');
		denominator *= 10;
	}
	scaled = (unsigned __int128)numerator * unit_ns;
	if (scaled % denominator != 0)
		return -EINVAL;
	*ret_ns = (uint64_t)(scaled / denominator);
	return 0;
}

int ebb_parse_duration(const char *text, uint64_t *ret_ns)
{
	const char *p = text;
	uint64_t total = 0;
	size_t next_unit = 0;
	bool fraction = false;

	if (strcmp(text, "0") == 0) {
		*ret_ns = 0;
		return 0;
	}
	do {
		uint64_t number, part, part_ns = 0;
		const char *digits;
		size_t unit, count = 0;
		int r;

		if (fraction) /* only the last part may have one */
			return -EINVAL;
		r = take_u64(&p, &number);
		if (r < 0)
			return r;
		digits = p + 1;
		if (*p == '.') {
			fraction = true;
			count = strspn(digits, "0123456789");
			if (count == 0)
				return -EINVAL;
			p = digits + count;
		}
		r = take_unit(&p, next_unit, &unit);
		if (r < 0)
			return r;
		next_unit = unit + 1;
		r = fraction_ns(digits, count, duration_units[unit].ns, &part_ns);
		if (r < 0)
			return r;
		if (__builtin_mul_overflow(number, duration_units[unit].ns, &part) ||
		    __builtin_add_overflow(part, part_ns, &part) ||
		    __builtin_add_overflow(total, part, &total))
			return -ERANGE;
	} while (*p != '\0');
	*ret_ns = total;
	return 0;
}

/*
 * The number in the first @length bytes of @text, which must be all of them, times 10^@exponent. In one
 * step: 1.1 divided by 100 is not the number that 0.011 is.
 */
static int parse_decimal(const char *text, size_t length, int exponent, double *ret_number)
{
	char scaled[NUMBER_MAX];
	size_t whole = strspn(text, "0123456789");
	size_t used = whole;
	double number;
	char *end;

	if (whole == 0)
		return -EINVAL;
	if (text[used] == '.') {
		size_t digits = strspn(text + used + 1, "0123456789");

		if (digits == 0)
			return -EINVAL;
		used += 1 + digits;
	}
	if (used != length)
		return -EINVAL;
	if (length > NUMBER_MAX - sizeof("e-999"))
		return -ERANGE;
	length = (size_t)snprintf(scaled, sizeof(scaled), "%.*se%d", (int)length, text, exponent);
	number = strtod(scaled, &end);
	/* under another LC_NUMERIC strtod() stops at the point */
	if (end != scaled + length)
		return -EINVAL;
	if (!isfinite(number))
		return -ERANGE;
	*ret_number = number;
	return 0;
}

int ebb_parse_number(const char *text, double *ret_number)
{
	return parse_decimal(text, strlen(text), 0, ret_number);
}

int ebb_parse_ratio(const char *text, double *ret_ratio)
{
	size_t length = strlen(text);
	bool percent = length > 0 && text[length - 1] == '%';
	double ratio;
	int r;

	r = parse_decimal(text, percent ? length - 1 : length, percent ? -2 : 0, &ratio);
	if (r < 0)
		return r;
	if (ratio > 1)
		return -ERANGE;
	*ret_ratio = ratio;
	return 0;
}

int ebb_take_decimal(const char **io_text, uint64_t *ret_number, uint64_t *ret_divisor)
{
	const char *digits = *io_text;
	size_t whole = strspn(digits, "0123456789"), used = whole, fraction = 0;
	uint64_t number = 0, divisor = 1;

	if (whole == 0)
		return -EINVAL;
	if (digits[whole] == '.') {
		fraction = strspn(digits + whole + 1, "0123456789");
		if (fraction == 0)
			return -EINVAL;
		used += 1 + fraction;
		while (fraction > 0 && digits[whole + fraction] == '0')
			fraction--;
	}
	if (whole + fraction > 18) /* 10^18 is the last that fits */
		return -ERANGE;
	for (size_t i = 0; i < whole; i++)
		number = number * 10 + (uint64_t)(digits[i] - '0');
	for (size_t i = 0; i < fraction; i++) {
		number = number * 10 + (uint64_t)(digits[whole + 1 + i] - '0');
		divisor *= 10;
	}
	*io_text += used;
	*ret_number = number;
	*ret_divisor = divisor;
	return 0;
}

int ebb_parse_bytes(const char *text, uint64_t *ret_bytes)
{
	static const struct {
		const char *name;
		uint64_t bytes;
	} units[] = {
		{"B", 1},
		{"kB", 1000},
		{"KB", 1000},
		{"MB", 1000ULL * 1000},
		{"GB", 1000ULL * 1000 * 1000},
		{"TB", 1000ULL * 1000 * 1000 * 1000},
		{"KiB", 1ULL << 10},
		{"MiB", 1ULL << 20},
		{"GiB", 1ULL << 30},
		{"TiB", 1ULL << 40},
	};
	uint64_t number, divisor;
	unsigned __int128 bytes;
	int r = ebb_take_decimal(&text, &number, &divisor);

	if (r < 0)
		return r;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(text, units[i].name) != 0)
			continue;
		bytes = (unsigned __int128)number * units[i].bytes;
		if (bytes % divisor != 0)
			return -EINVAL;
		if (bytes / divisor > UINT64_MAX)
			return -ERANGE;
		*ret_bytes = (uint64_t)(bytes / divisor);
		return 0;
	}
	return -EINVAL;
}

int ebb_parse_u64(const char *text, uint64_t *ret_number)
{
	uint64_t number;
	int r;

	r = take_u64(&text, &number);
	if (r < 0)
		return r;
	if (*text != '\0')
		return -EINVAL;
	*ret_number = number;
	return 0;
}

int ebb_parse_u32(const char *text, uint32_t *ret_number)
{
	uint64_t number;
	int r;

	r = ebb_parse_u64(text, &number);
	if (r < 0)
		return r;
	if (number > UINT32_MAX)
		return -ERANGE;
	*ret_number = (uint32_t)number;
	return 0;
}

/* @number / @divisor to the nearest, halves up; does not overflow. */
static uint64_t divide_nearest(uint64_t number, uint64_t divisor)
{
	return number / divisor + (number % divisor >= divisor - divisor / 2 ? 1 : 0);
}

/*
 * @number in units of @unit, to three digits: "1.20", "12.3", "123". False when
 * that is not under @limit units, so that 999.9us becomes 1.00ms.
 */
static bool format_three_digits(uint64_t number, uint64_t unit, uint64_t limit, const char *suffix,
				char *buffer, size_t size)
{
	uint64_t cents = divide_nearest(number, unit / 100);
	uint64_t tenths = divide_nearest(number, unit / 10);
	uint64_t wholes = divide_nearest(number, unit);

	if (cents < 1000) {
		(void)snprintf(buffer, size, "%u.%02u%s", (unsigned int)(cents / 100),
			       (unsigned int)(cents % 100), suffix);
	} else if (tenths < 1000 && tenths < limit * 10) {
		(void)snprintf(buffer, size, "%u.%u%s", (unsigned int)(tenths / 10),
			       (unsigned int)(tenths % 10), suffix);
	} else if (tenths >= 1000 && wholes < limit) {
		(void)snprintf(buffer, size, "%u%s", (unsigned int)wholes, suffix);
	} else {
		return false;
	}
	return true;
}

const char *ebb_format_duration(uint64_t ns, char *buffer, size_t size)
{
	uint64_t seconds = divide_nearest(ns, 1000000000);
	uint64_t minutes = divide_nearest(ns, 60000000000);
	uint64_t hours = divide_nearest(ns, 3600000000000);

	if (ns < 1000)
		(void)snprintf(buffer, size, "%uns", (unsigned int)ns);
	else if (format_three_digits(ns, 1000, 1000, "us", buffer, size) ||
		 format_three_digits(ns, 1000000, 1000, "ms", buffer, size) ||
		 format_three_digits(ns, 1000000000, 60, "s", buffer, size))
		return buffer;
	else if (seconds < 3600)
		(void)snprintf(buffer, size, "%um%02us", (unsigned int)(seconds / 60),
			       (unsigned int)(seconds % 60));
	else if (minutes < 24ULL * 60)
		(void)snprintf(buffer, size, "%uh%02um", (unsigned int)(minutes / 60),
			       (unsigned int)(minutes % 60));
	else
		(void)snprintf(buffer, size, "%ud%02uh", (unsigned int)(hours / 24),
			       (unsigned int)(hours % 24));
	return buffer;
}

/* "999" and @plain, or to three digits with the suffix of its power of 1000. */
static const char *format_thousands(uint64_t number, const char *plain, const char *const suffixes[6],
				    char *buffer, size_t size)
{
	uint64_t unit = 1000;

	if (number < 1000) {
		(void)snprintf(buffer, size, "%u%s", (unsigned int)number, plain);
		return buffer;
	}
	for (size_t i = 0; i < 6; i++, unit *= 1000) {
		if (format_three_digits(number, unit, 1000, suffixes[i], buffer, size))
			break;
	}
	return buffer;
}

const char *ebb_format_count(uint64_t count, char *buffer, size_t size)
{
	static const char *const suffixes[6] = {"k", "M", "G", "T", "P", "E"};

	return format_thousands(count, "", suffixes, buffer, size);
}

const char *ebb_format_bytes(uint64_t bytes, char *buffer, size_t size)
{
	static const char *const suffixes[6] = {"kB", "MB", "GB", "TB", "PB", "EB"};

	return format_thousands(bytes, "B", suffixes, buffer, size);
}
