/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON put together by hand in a bounded line, for what is written thousands of times a second; the rest uses
 * jansson. What does not fit is cut: the caller has room for the most that it writes.
 */
#ifndef EBB_EXPORT_JSON_H
#define EBB_EXPORT_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "export/line.h"

/* "text", escaped; what is no UTF-8 becomes U+FFFD. */
void ebb_json_put_string(struct ebb_line *line, const char *text);

/* ,"name": with the comma where something stands before it in this object. @name needs no escape. */
void ebb_json_put_name(struct ebb_line *line, const char *name);

void ebb_json_put_bool(struct ebb_line *line, bool value);

/* Seconds, to a microsecond. */
void ebb_json_put_seconds(struct ebb_line *line, uint64_t ns);

/* Unix time, to a millisecond. */
void ebb_json_put_time(struct ebb_line *line, int64_t realtime_ns);

/* To a hundredth; negative: null. */
void ebb_json_put_rate(struct ebb_line *line, double rate);

#endif /* EBB_EXPORT_JSON_H */
