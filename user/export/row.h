/* SPDX-License-Identifier: Apache-2.0 */
/* A gate as the page's table has it, in one line of JSON: docs/api.md, "A row". */
#ifndef EBB_EXPORT_ROW_H
#define EBB_EXPORT_ROW_H

#include "export/line.h"
#include "export/rates.h"
#include "tell/look.h"
#include "tell/snapshot.h"

/* The most bytes that a row takes: two names, escaped, and numbers. */
#define EBB_ROW_MAX 6144

/* "12.3": a gate and its owner, by which a reader knows it again. */
#define EBB_ROW_KEY_MAX 24
const char *ebb_row_key(uint32_t gate, uint32_t epoch, char *buffer, size_t size);

void ebb_row_put(struct ebb_line *line, const struct ebb_look *look, const struct ebb_gate_row *row,
		 const struct ebb_rates *rates);

#endif /* EBB_EXPORT_ROW_H */
