/* SPDX-License-Identifier: Apache-2.0 */
/* 'ebb show': the command; what it prints is tell/show.c. */
#include <string.h>

#include "cli/common.h"
#include "lib/text.h"
#include "tell/addresses.h"
#include "tell/fuse.h"
#include "tell/render.h"

/* Without them the rest is as good. */
static void read_addresses(const struct ebb_args *args, const struct ebb_view *view, uint32_t dst,
			   struct ebb_addresses *ret_addresses)
{
	struct ebb_mapping *mapping = NULL;

	if (ebb_mapping_open(ebb_args_get(args, "pin"), NULL, &mapping, NULL) < 0)
		return;
	(void)ebb_addresses_read(mapping, view, dst, ret_addresses);
	ebb_mapping_free(mapping);
}

static enum ebb_exit print_fuse(const struct ebb_args *args, const struct ebb_session *session)
{
	if (session->json)
		return ebb_print_json(args, ebb_fuse_json(&session->look));
	return ebb_printed(args, ebb_fuse_text(stdout, &session->look));
}

static enum ebb_exit print_destination(const struct ebb_args *args, const struct ebb_session *session,
				       struct ebb_snapshot *snapshot)
{
	struct ebb_addresses addresses = {.count = 0};
	struct ebb_look look = session->look;
	struct ebb_why why = {};
	size_t first, count;
	int r;

	if (strcmp(ebb_args_positional(args, 0), EBB_NAME_NODE) == 0)
		return print_fuse(args, session);
	r = ebb_show_find(snapshot, ebb_args_positional(args, 0), &first, &count, &why);
	if (r < 0)
		return ebb_fail(args, EBB_EXIT_NOT_FOUND, "%s", why.text);
	read_addresses(args, look.view, snapshot->rows[first].dst, &addresses);
	look.addresses = &addresses;
	if (session->json)
		return ebb_print_json(args, ebb_show_json(&look, &snapshot->rows[first], count));
	return ebb_printed(args, ebb_show_text(stdout, &look, &snapshot->rows[first], count));
}

enum ebb_exit ebb_cmd_show(const struct ebb_args *args)
{
	return ebb_with_snapshot(args, print_destination);
}
