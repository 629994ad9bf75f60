/* SPDX-License-Identifier: Apache-2.0 */
/* How connections went, as the programs write it for traces: which of them, and what they wrote. */
#ifndef EBB_KERNEL_SPANS_H
#define EBB_KERNEL_SPANS_H

#include <stddef.h>
#include <stdint.h>

#include "bpf/abi.h"

struct ebb_spans;

typedef void (*ebb_span_handler)(void *userdata, const struct ebb_span_end *span);

/* Both descriptors stay the caller's. -ENOMEM and the like. */
int ebb_spans_new(int tracer_fd, int ring_fd, struct ebb_spans **ret_spans);
void ebb_spans_free(struct ebb_spans *spans);

/*
 * Until @until_ns failures are written, and of other connections those whose number drawn, of 32 bits, is not
 * above @share. 0: none are.
 */
void ebb_spans_want(struct ebb_spans *spans, uint32_t share, uint64_t until_ns);

/* What there is, the oldest first, @max at most. Returns their number or a negative errno. */
int ebb_spans_take(struct ebb_spans *spans, size_t max, ebb_span_handler handle, void *userdata);

/* How many found no room, ever. */
uint64_t ebb_spans_lost(const struct ebb_spans *spans);

#endif /* EBB_KERNEL_SPANS_H */
