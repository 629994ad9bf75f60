/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logging: one line to standard error, level, message, key=value facts.
 * Layers 1 and 2 log nothing above debug; whoever stops an error from
 * travelling logs it, once.
 *
 * Facts are what the format says they are, not what comes in with the values: "key=" after a
 * blank begins one, a blank, a comma or a semicolon of the format ends it. So
 *
 *	ebb_info("breaker moved: destination=%s ok=%u; %s", name, ok, instead)
 *
 * has a message, two facts and the rest of the message, whatever stands in the name.
 *
 *	EBB_LOG_KV	info: breaker moved: destination="a b" ok=3; going on
 *	EBB_LOG_JSON	{"time": "2026-11-29T07:39:31.123Z", "level": "info", "message": "breaker moved; going on",
 *			 "destination": "a b", "ok": 3}
 *
 * Of the conversions of printf() those of d, i, u, x, c and s are known, without and with flags, width, precision
 * and length.
 */
#ifndef EBB_LIB_LOG_H
#define EBB_LIB_LOG_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

enum ebb_log_level {
	EBB_LOG_ERROR, /* we give up something */
	EBB_LOG_WARN,  /* degraded; the line ends with what we do instead */
	EBB_LOG_INFO,  /* start, stop, reload, breaker transitions */
	EBB_LOG_DEBUG, /* the rest */
	EBB_LOG_MAX,
};

enum ebb_log_format {
	EBB_LOG_KV,
	EBB_LOG_JSON,
};

/* Level and format are the one permitted global of the product. The defaults are info and KV. */
void ebb_log_set_level(enum ebb_log_level level);
void ebb_log_set_format(enum ebb_log_format format);

/* 0, or -EINVAL when @name is no level (error, warn, info, debug). */
int ebb_log_parse_level(const char *name, enum ebb_log_level *ret_level);

void ebb_log(enum ebb_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Logs "message: strerror(r)" as an error and returns @r. */
int ebb_err_r(int r, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The longest line, its newline too; what does not fit is cut, a fact that does not is left out. */
#define EBB_LOG_LINE_MAX 4096

/*
 * The line as it is written, for tests too: @tail (NULL: none) follows the message, @realtime_ns is shown by JSON only.
 * Returns its length; there is no NUL behind it.
 */
size_t ebb_log_line(enum ebb_log_format as, enum ebb_log_level level, int64_t realtime_ns, const char *tail,
		    char line[EBB_LOG_LINE_MAX], const char *format, va_list args)
	__attribute__((format(printf, 6, 0)));

#define ebb_err(...)   ebb_log(EBB_LOG_ERROR, __VA_ARGS__)
#define ebb_warn(...)  ebb_log(EBB_LOG_WARN, __VA_ARGS__)
#define ebb_info(...)  ebb_log(EBB_LOG_INFO, __VA_ARGS__)
#define ebb_debug(...) ebb_log(EBB_LOG_DEBUG, __VA_ARGS__)

#endif /* EBB_LIB_LOG_H */
