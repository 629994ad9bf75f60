/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The events of libyaml, put together to a tree. The text is looked through first: libyaml
 * tells only the byte of a character that it does not take, and takes some as line ends that
 * no editor shows as such.
 */
#include "config/tree.h"

#include <errno.h>
#include <string.h>
#include <yaml.h>

#include "lib/text.h"

struct builder {
	struct ebb_arena *arena;
	struct ebb_problems *problems;
	struct ebb_node *open[EBB_TREE_DEPTH_MAX]; /* collections that have not ended, the outermost first */
	size_t depth;
	struct ebb_node *root;
	uint32_t nodes;
	uint32_t documents;
};

/* ---------------------------------------------------------- characters -- */

/* What cannot stand in the file, or NULL. */
static const char *bad_character(uint32_t c)
{
	if (c == 0)
		return "a NUL byte: this is no text file";
	if (c == '\n' || c == '\r' || c == '\t')
		return NULL;
	if (c < 0x20 || (c >= 0x7f && c <= 0x9f))
		return "a control character: only text, blanks and line ends may stand here";
	if (c == 0x2028 || c == 0x2029)
		return "an invisible line end: write a blank or a newline";
	if (c == 0xfeff || c == 0xfffe || c == 0xffff)
		return "a mark that is no text: remove it";
	return NULL;
}

/* All of @text, which has a NUL behind its end. False: the first that is wrong was told. */
static bool check_characters(const char *text, size_t length, struct ebb_problems *problems)
{
	const unsigned char *s = (const unsigned char *)text, *end = s + length;
	uint32_t line = 1, column = 1;

	while (s < end) {
		uint32_t c;
		size_t bytes = ebb_text_decode(s, &c);
		const char *bad;

		if (bytes == 0) {
			ebb_problem(problems, line, column,
				    "byte 0x%02x is no UTF-8: save the file in the encoding UTF-8", *s);
			return false;
		}
		bad = bad_character(c);
		if (bad) {
			ebb_problem(problems, line, column, "%s", bad);
			return false;
		}
		s += bytes;
		column++;
		if (c == '\n' || (c == '\r' && *s != '\n')) {
			line++;
			column = 1;
		}
	}
	return true;
}

/* ---------------------------------------------------------------- tree -- */

static int refuse(const struct builder *b, const yaml_mark_t *mark, const char *what)
{
	ebb_problem(b->problems, (uint32_t)mark->line + 1, (uint32_t)mark->column + 1, "%s", what);
	return -EINVAL;
}

static int new_node(struct builder *b, const yaml_event_t *event, enum ebb_node_kind kind,
		    struct ebb_node **ret_node)
{
	struct ebb_node *node, *parent = b->depth > 0 ? b->open[b->depth - 1] : NULL;

	if (++b->nodes > EBB_TREE_NODES_MAX)
		return refuse(b, &event->start_mark, "the file is too big: at most 500000 keys and values");
	if (parent && parent->kind == EBB_NODE_MAPPING && parent->count % 2 == 0 && kind != EBB_NODE_SCALAR)
		return refuse(b, &event->start_mark, "a key must be a word, not a list or a mapping");
	node = ebb_arena_take(b->arena, sizeof(*node));
	if (!node)
		return -ENOMEM;
	node->kind = kind;
	node->line = (uint32_t)event->start_mark.line + 1;
	node->column = (uint32_t)event->start_mark.column + 1;
	if (!parent) {
		b->root = node;
	} else {
		if (parent->last)
			parent->last->next = node;
		else
			parent->first = node;
		parent->last = node;
		parent->count++;
	}
	*ret_node = node;
	return 0;
}

static int add_scalar(struct builder *b, const yaml_event_t *event)
{
	const char *value = (const char *)event->data.scalar.value;
	size_t length = event->data.scalar.length;
	struct ebb_node *node;
	int r;

	if (event->data.scalar.anchor)
		return refuse(b, &event->start_mark, "anchors (&name) are not taken: write the value out");
	if (event->data.scalar.tag)
		return refuse(b, &event->start_mark, "tags (!name) are not taken: write the value alone");
	if (memchr(value, '\0', length))
		return refuse(b, &event->start_mark, "a value cannot hold a NUL character");
	r = new_node(b, event, EBB_NODE_SCALAR, &node);
	if (r < 0)
		return r;
	node->nothing = length == 0 && event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	node->text = ebb_arena_text(b->arena, value, length);
	return node->text ? 0 : -ENOMEM;
}

static int open_collection(struct builder *b, const yaml_event_t *event, enum ebb_node_kind kind,
			   const yaml_char_t *anchor, const yaml_char_t *tag)
{
	struct ebb_node *node;
	int r;

	if (anchor)
		return refuse(b, &event->start_mark, "anchors (&name) are not taken: write the value out");
	if (tag)
		return refuse(b, &event->start_mark, "tags (!name) are not taken: write the value alone");
	if (b->depth == EBB_TREE_DEPTH_MAX)
		return refuse(b, &event->start_mark, "nested too deep: no key is that far below another");
	r = new_node(b, event, kind, &node);
	if (r < 0)
		return r;
	b->open[b->depth++] = node;
	return 0;
}

static int take_event(struct builder *b, const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (event->data.document_start.version_directive ||
		    event->data.document_start.tag_directives.start !=
			    event->data.document_start.tag_directives.end)
			return refuse(b, &event->start_mark,
				      "directives (%...) are not taken: remove the line");
		if (b->documents++ > 0)
			return refuse(b, &event->start_mark,
				      "a second document: the file holds one, remove the line '---'");
		return 0;
	case YAML_ALIAS_EVENT:
		return refuse(b, &event->start_mark, "aliases (*name) are not taken: write the value out");
	case YAML_SCALAR_EVENT:
		return add_scalar(b, event);
	case YAML_MAPPING_START_EVENT:
		return open_collection(b, event, EBB_NODE_MAPPING, event->data.mapping_start.anchor,
				       event->data.mapping_start.tag);
	case YAML_SEQUENCE_START_EVENT:
		return open_collection(b, event, EBB_NODE_SEQUENCE, event->data.sequence_start.anchor,
				       event->data.sequence_start.tag);
	case YAML_MAPPING_END_EVENT:
	case YAML_SEQUENCE_END_EVENT:
		b->depth--;
		return 0;
	case YAML_NO_EVENT:
	case YAML_STREAM_START_EVENT:
	case YAML_STREAM_END_EVENT:
	case YAML_DOCUMENT_END_EVENT:
		break;
	}
	return 0;
}

/* What libyaml does not understand, in words that help. */
static int why_no_yaml(const struct builder *b, const yaml_parser_t *parser, const char *text)
{
	const yaml_mark_t *mark = &parser->problem_mark;
	const char *problem = parser->problem ? parser->problem : "cannot be read";

	if (parser->error == YAML_MEMORY_ERROR)
		return -ENOMEM;
	/* libyaml counts characters: a tab that begins no token stands on a line of one-byte blanks before it */
	for (size_t line = 0; *text && line < mark->line; text++)
		line += *text == '\n';
	if (strspn(text, " \t") > strspn(text, " "))
		return refuse(b, mark, "a tab: YAML is indented with blanks");
	if (parser->context)
		ebb_problem(b->problems, (uint32_t)mark->line + 1, (uint32_t)mark->column + 1,
			    "no YAML: %s (%s that began in line %zu)", problem, parser->context,
			    parser->context_mark.line + 1);
	else
		ebb_problem(b->problems, (uint32_t)mark->line + 1, (uint32_t)mark->column + 1, "no YAML: %s",
			    problem);
	return -EINVAL;
}

static int build(struct builder *b, yaml_parser_t *parser, const char *text)
{
	bool end = false;
	int r = 0;

	while (!end && r == 0) {
		yaml_event_t event;

		if (!yaml_parser_parse(parser, &event))
			return why_no_yaml(b, parser, text);
		r = take_event(b, &event);
		end = event.type == YAML_STREAM_END_EVENT;
		yaml_event_delete(&event);
	}
	return r;
}

int ebb_tree_parse(const char *text, size_t length, struct ebb_arena *arena, struct ebb_node **ret_root,
		   struct ebb_problems *problems)
{
	static const char bom[] = "\xef\xbb\xbf";
	struct builder b = {.arena = arena, .problems = problems};
	yaml_parser_t parser;
	char *copy;
	int r;

	if (length > EBB_TREE_BYTES_MAX) {
		ebb_problem(problems, 1, 1, "the file is too big: at most 4 MB");
		return -EINVAL;
	}
	if (length >= strlen(bom) && memcmp(text, bom, strlen(bom)) == 0) {
		text += strlen(bom);
		length -= strlen(bom);
	}
	copy = ebb_arena_text(arena, text, length);
	if (!copy)
		return -ENOMEM;
	if (!check_characters(copy, length, problems))
		return -EINVAL;
	if (!yaml_parser_initialize(&parser))
		return -ENOMEM;
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, (const unsigned char *)copy, length);
	r = build(&b, &parser, copy);
	yaml_parser_delete(&parser);
	if (r < 0)
		return r;
	/* a document with nothing but comments is a scalar with nothing in it */
	*ret_root = b.root && b.root->kind == EBB_NODE_SCALAR && b.root->nothing ? NULL : b.root;
	return 0;
}
