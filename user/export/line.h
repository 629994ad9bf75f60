/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A line being put together in memory of the caller's: names, numbers, labels.
 * What does not fit is cut. By hand and not by snprintf, because a scrape of
 * 1,000 destinations has some 60,000 lines and 50 ms for all of them.
 */
#ifndef EBB_EXPORT_LINE_H
#define EBB_EXPORT_LINE_H

#include <stddef.h>
#include <stdint.h>

struct ebb_line {
	char *data; /* not ended by a NUL */
	size_t size;
	size_t used;
};

/* The most bytes that a label's value takes, escaped and all. */
#define EBB_LABEL_VALUE_MAX 1024

void ebb_line_put(struct ebb_line *line, const char *text);
void ebb_line_put_bytes(struct ebb_line *line, const char *bytes, size_t length);

/* "1234" */
void ebb_line_put_number(struct ebb_line *line, uint64_t number);

/* "12.5" for 12,500,000,000 ns: exact, in seconds, without zeros at the end. */
void ebb_line_put_seconds(struct ebb_line *line, uint64_t ns);

/* "0.027777778" for 100 an hour: per second, to nine digits behind the point, without zeros at the end. */
void ebb_line_put_per_hour(struct ebb_line *line, uint64_t per_hour);

/* "09af": two digits for each byte. */
void ebb_line_put_hex(struct ebb_line *line, const uint8_t *bytes, size_t count);

/*
 * key="value". The value may be anything: what cannot be printed or is no
 * UTF-8 is shown as by ebb_text_escape(), and what would end the value or the
 * line is escaped as Prometheus wants it.
 */
void ebb_line_put_label(struct ebb_line *line, const char *key, const char *value);

#endif /* EBB_EXPORT_LINE_H */
