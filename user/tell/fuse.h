/* SPDX-License-Identifier: Apache-2.0 */
/* The node fuse, as the reading commands tell it: the destination ~node. */
#ifndef EBB_TELL_FUSE_H
#define EBB_TELL_FUSE_H

#include "tell/look.h"

#define EBB_NAME_NODE	  "~node"
#define EBB_FUSE_TEXT_MAX 256

/* enum ebb_fuse_action: what it does now. When the agent's lease is over: nothing. */
uint32_t ebb_fuse_now(const struct ebb_look *look);

/* "sheds since 12s: 5 of 8 active destinations are open, 120 results in 10s". Returns @buffer. */
const char *ebb_fuse_sentence(const struct ebb_look *look, char *buffer, size_t size);

json_t *ebb_fuse_json(const struct ebb_look *look);

/* 'ebb show ~node' */
int ebb_fuse_text(FILE *out, const struct ebb_look *look);

#endif /* EBB_TELL_FUSE_H */
