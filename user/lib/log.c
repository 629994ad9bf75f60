/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/why.h"

#define LINE_MAX_BYTES 1024

/* Changed by a reload while other threads log: read and written atomically. */
static enum ebb_log_level threshold = EBB_LOG_INFO;

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

/* One write(2) for each line, so that lines of two processes do not mix. */
static void write_line(enum ebb_log_level level, const char *tail, const char *format, va_list args)
	__attribute__((format(printf, 3, 0)));

static void write_line(enum ebb_log_level level, const char *tail, const char *format, va_list args)
{
	char line[LINE_MAX_BYTES];
	size_t used;
	int n;

	n = snprintf(line, sizeof(line), "%s: ", level_names[level]);
	used = n < 0 ? 0 : (size_t)n;
	n = vsnprintf(line + used, sizeof(line) - used, format, args);
	used += n < 0 ? 0 : (size_t)n;
	if (used < sizeof(line) && tail) {
		n = snprintf(line + used, sizeof(line) - used, ": %s", tail);
		used += n < 0 ? 0 : (size_t)n;
	}
	if (used > sizeof(line) - 2)
		used = sizeof(line) - 2;
	line[used++] = '\n';
	/* nowhere left to report a failure to */
	if (write(STDERR_FILENO, line, used) < 0)
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
