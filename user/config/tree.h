/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A YAML document as a tree that knows where everything stands. It is bounded, and what can
 * mean another thing than it seems to is refused: anchors and aliases, tags, several
 * documents, characters that nobody sees. No knowledge of the keys.
 */
#ifndef EBB_CONFIG_TREE_H
#define EBB_CONFIG_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/problem.h"
#include "lib/arena.h"

#define EBB_TREE_BYTES_MAX (4U << 20)
#define EBB_TREE_NODES_MAX 500000
#define EBB_TREE_DEPTH_MAX 16

enum ebb_node_kind {
	EBB_NODE_SCALAR,
	EBB_NODE_MAPPING,
	EBB_NODE_SEQUENCE,
};

struct ebb_node {
	enum ebb_node_kind kind;
	uint32_t line, column; /* from 1; columns in characters */
	const char *text;      /* SCALAR, without NUL inside */
	bool nothing;	       /* SCALAR: nothing stands there, as behind "key:" */
	struct ebb_node *first, *last, *next;
	uint32_t count; /* of children; a MAPPING has a key and its value by turns, and keys are scalars */
};

/*
 * The tree of @text, in @arena; *@ret_root is NULL for an empty document. -EINVAL: what is
 * wrong is in @problems; -ENOMEM.
 */
int ebb_tree_parse(const char *text, size_t length, struct ebb_arena *arena, struct ebb_node **ret_root,
		   struct ebb_problems *problems);

#endif /* EBB_CONFIG_TREE_H */
