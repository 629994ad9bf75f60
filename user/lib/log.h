/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logging: one line to standard error, level, message, key=value facts.
 * Layers 1 and 2 log nothing above debug; whoever stops an error from
 * travelling logs it, once.
 */
#ifndef EBB_LIB_LOG_H
#define EBB_LIB_LOG_H

enum ebb_log_level {
	EBB_LOG_ERROR, /* we give up something */
	EBB_LOG_WARN,  /* degraded; the line ends with what we do instead */
	EBB_LOG_INFO,  /* start, stop, reload, breaker transitions */
	EBB_LOG_DEBUG, /* the rest */
	EBB_LOG_MAX,
};

/* The one permitted global of the product. The default is info. */
void ebb_log_set_level(enum ebb_log_level level);

/* 0, or -EINVAL when @name is no level (error, warn, info, debug). */
int ebb_log_parse_level(const char *name, enum ebb_log_level *ret_level);

void ebb_log(enum ebb_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Logs "message: strerror(r)" as an error and returns @r. */
int ebb_err_r(int r, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define ebb_err(...)   ebb_log(EBB_LOG_ERROR, __VA_ARGS__)
#define ebb_warn(...)  ebb_log(EBB_LOG_WARN, __VA_ARGS__)
#define ebb_info(...)  ebb_log(EBB_LOG_INFO, __VA_ARGS__)
#define ebb_debug(...) ebb_log(EBB_LOG_DEBUG, __VA_ARGS__)

#endif /* EBB_LIB_LOG_H */
