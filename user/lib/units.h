/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers with units, in and out. Parsers accept or reject the whole text
 * (no sign, no blank, no trailing byte) and return 0, -EINVAL or -ERANGE with
 * the output untouched.
 */
#ifndef EBB_LIB_UNITS_H
#define EBB_LIB_UNITS_H

#include <stddef.h>
#include <stdint.h>

/*
 * "250ms", "10s", "1.5s", "2m", "1h", "30d", "0"; units ns us ms s m h d. Parts
 * add up, the larger unit first: "1m30s". Finer than 1 ns is -EINVAL.
 */
int ebb_parse_duration(const char *text, uint64_t *ret_ns);

/* "0.5", "1", "50%": 0 to 1. */
int ebb_parse_ratio(const char *text, double *ret_ratio);
/* For whoever says what is expected in place of one: "50" is written for 50% as often as not. */
#define EBB_RATIO_EXAMPLES ", like 0.5 or 50%"

/* A decimal number, finite, not negative. */
int ebb_parse_number(const char *text, double *ret_number);

/*
 * The decimal number at *@io_text, exactly: "2.50MB" is 25 / 10 and leaves "MB". Up to 18
 * digits, else -ERANGE.
 */
int ebb_take_decimal(const char **io_text, uint64_t *ret_number, uint64_t *ret_divisor);

/* A decimal whole number. */
int ebb_parse_u32(const char *text, uint32_t *ret_number);
int ebb_parse_u64(const char *text, uint64_t *ret_number);

/* "100MB", "1.5GiB", "512B": B, kB, MB, GB, TB (1000), KiB, MiB, GiB, TiB (1024). Without a unit: -EINVAL. */
int ebb_parse_bytes(const char *text, uint64_t *ret_bytes);

#define EBB_FORMAT_MAX 32

/*
 * For people, in @buffer of at least EBB_FORMAT_MAX bytes, which is returned:
 * "850ns", "12.3us", "4.50ms", "1.20s", "2m05s", "3h12m", "4d06h".
 */
const char *ebb_format_duration(uint64_t ns, char *buffer, size_t size);

/* "999", "12.3k", "4.56M" */
const char *ebb_format_count(uint64_t count, char *buffer, size_t size);

/* "999B", "12.3kB", "4.56MB": a kB is 1000 bytes. */
const char *ebb_format_bytes(uint64_t bytes, char *buffer, size_t size);

#endif /* EBB_LIB_UNITS_H */
