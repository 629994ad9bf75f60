/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/moving.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/btf.h>

#define PATH_MAX_LENGTH 128

/* Deeper than any value of ours. */
#define DEPTH_MAX 8

struct planner {
	const struct btf *from;
	const struct btf *to;
	const char *const *never;
	struct ebb_moving *moving;
};

/* A type, and where it stands in the value. */
struct place {
	uint32_t type;
	uint32_t offset;
};

static const struct btf_type *resolve(const struct btf *btf, uint32_t *io_id)
{
	const struct btf_type *t = btf__type_by_id(btf, *io_id);

	while (t && (btf_is_mod(t) || btf_is_typedef(t))) {
		*io_id = t->type;
		t = btf__type_by_id(btf, *io_id);
	}
	return t;
}

/* Is @path one of those in @text? */
static bool is_said(const char *text, const char *path)
{
	size_t length = strlen(path);
	const char *at = text;

	while ((at = strstr(at, path))) {
		if ((at == text || at[-1] == ' ') && (at[length] == '\0' || at[length] == ','))
			return true;
		at += length;
	}
	return false;
}

/* Once for all elements of an array; what no longer fits is cut. */
static void say_reset(struct planner *p, const char *path)
{
	char *text = p->moving->reset;
	size_t used = strlen(text);

	if (is_said(text, path) || used + strlen(path) + 3 > EBB_MOVING_RESET_MAX)
		return;
	(void)snprintf(text + used, EBB_MOVING_RESET_MAX - used, "%s%s", used ? ", " : "", path);
}

static int add(struct planner *p, uint32_t from, uint32_t to, uint32_t size)
{
	struct ebb_moving *m = p->moving;
	struct ebb_moved_bytes *last = m->count ? &m->list[m->count - 1] : NULL;
	struct ebb_moved_bytes *list;

	if (last && last->from + last->size == from && last->to + last->size == to) {
		last->size += size;
		return 0;
	}
	list = reallocarray(m->list, m->count + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	m->list = list;
	m->list[m->count++] = (struct ebb_moved_bytes){.from = from, .to = to, .size = size};
	return 0;
}

static bool is_never(const struct planner *p, const char *path)
{
	for (const char *const *name = p->never; name && *name; name++) {
		if (strcmp(*name, path) == 0)
			return true;
	}
	return false;
}

static bool is_padding(const char *name)
{
	return strncmp(name, "pad", 3) == 0 && strspn(name + 3, "0123456789") == strlen(name + 3);
}

static bool is_scalar(const struct btf_type *t)
{
	return btf_is_int(t) || btf_is_any_enum(t);
}

static int plan(struct planner *p, struct place from, struct place to, const char *path, int depth);

static int plan_scalar(struct planner *p, const struct btf_type *f, const struct btf_type *t,
		       struct place from, struct place to, const char *path)
{
	/* little endian, or of one size: the low bytes come first */
	bool fits = f->size == t->size || (f->size < t->size && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);

	if (fits)
		return add(p, from.offset, to.offset, f->size);
	say_reset(p, path);
	return 0;
}

static int plan_array(struct planner *p, const struct btf_type *f, const struct btf_type *t,
		      struct place from, struct place to, const char *path, int depth)
{
	const struct btf_array *fa = btf_array(f), *ta = btf_array(t);
	uint32_t count = fa->nelems < ta->nelems ? fa->nelems : ta->nelems;
	int64_t fsize = btf__resolve_size(p->from, fa->type), tsize = btf__resolve_size(p->to, ta->type);
	int r = 0;

	if (fsize <= 0 || tsize <= 0)
		return -EINVAL;
	for (uint32_t i = 0; i < count && r == 0; i++)
		r = plan(p, (struct place){fa->type, from.offset + i * (uint32_t)fsize},
			 (struct place){ta->type, to.offset + i * (uint32_t)tsize}, path, depth + 1);
	return r;
}

static const struct btf_member *find_member(const struct btf *btf, const struct btf_type *t, const char *name)
{
	const struct btf_member *m = btf_members(t);

	for (uint32_t i = 0; i < btf_vlen(t); i++) {
		if (strcmp(btf__name_by_offset(btf, m[i].name_off), name) == 0)
			return &m[i];
	}
	return NULL;
}

static void member_path(char *path, size_t size, const char *above, const char *name)
{
	(void)snprintf(path, size, "%s.%s", above, name);
}

static int plan_struct(struct planner *p, const struct btf_type *f, const struct btf_type *t,
		       struct place from, struct place to, int depth)
{
	const char *above = btf__name_by_offset(p->to, t->name_off);
	const struct btf_member *m = btf_members(t);
	char path[PATH_MAX_LENGTH];
	int r = 0;

	for (uint32_t i = 0; i < btf_vlen(t) && r == 0; i++) {
		const char *name = btf__name_by_offset(p->to, m[i].name_off);
		const struct btf_member *old = find_member(p->from, f, name);

		member_path(path, sizeof(path), above, name);
		if (is_padding(name) || is_never(p, path))
			continue;
		/* we have no bit fields, and would not move them */
		if (!old || m[i].offset % 8 || old->offset % 8 || btf_member_bitfield_size(t, i))
			say_reset(p, path);
		else
			r = plan(p, (struct place){old->type, from.offset + old->offset / 8},
				 (struct place){m[i].type, to.offset + m[i].offset / 8}, path, depth + 1);
	}
	m = btf_members(f);
	for (uint32_t i = 0; i < btf_vlen(f) && r == 0; i++) {
		const char *name = btf__name_by_offset(p->from, m[i].name_off);

		member_path(path, sizeof(path), above, name);
		if (!is_padding(name) && !is_never(p, path) && !find_member(p->to, t, name))
			say_reset(p, path);
	}
	return r;
}

static int plan(struct planner *p, struct place from, struct place to, const char *path, int depth)
{
	const struct btf_type *f = resolve(p->from, &from.type), *t = resolve(p->to, &to.type);

	if (!f || !t || depth > DEPTH_MAX)
		return -EINVAL;
	if (btf_is_struct(f) && btf_is_struct(t))
		return plan_struct(p, f, t, from, to, depth);
	if (btf_is_array(f) && btf_is_array(t))
		return plan_array(p, f, t, from, to, path, depth);
	if (is_scalar(f) && is_scalar(t))
		return plan_scalar(p, f, t, from, to, path);
	if (depth == 0)
		return -EINVAL;
	say_reset(p, path);
	return 0;
}

int ebb_moving_plan(const struct btf *from, uint32_t from_id, const struct btf *to, uint32_t to_id,
		    const char *const *never, struct ebb_moving *ret)
{
	struct ebb_moving moving = {0};
	struct planner p = {.from = from, .to = to, .never = never, .moving = &moving};
	int r;

	r = plan(&p, (struct place){from_id, 0}, (struct place){to_id, 0}, "value", 0);
	if (r < 0) {
		free(moving.list);
		return r;
	}
	*ret = moving;
	return 0;
}

void ebb_moving_apply(const struct ebb_moving *moving, const void *from, void *to)
{
	for (size_t i = 0; i < moving->count; i++) {
		const struct ebb_moved_bytes *m = &moving->list[i];

		memcpy((char *)to + m->to, (const char *)from + m->from, m->size);
	}
}
