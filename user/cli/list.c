/* SPDX-License-Identifier: Apache-2.0 */
/* 'ebb list': the command; what it prints is tell/list.c. */
#include <errno.h>

#include "cli/common.h"
#include "lib/text.h"
#include "tell/render.h"
#include "tell/status.h"

static struct ebb_list_filter filter_of(const struct ebb_args *args)
{
	return (struct ebb_list_filter){
		.state = ebb_args_get(args, "state"),
		.workload = ebb_args_get(args, "workload"),
		.sort = ebb_args_get(args, "sort"),
	};
}

/* Rows of enforce mode that say open, and refuse nothing: why. */
static void tell_inactive(const struct ebb_args *args, const struct ebb_status *status)
{
	if (status->enforcing > 0 && status->inactive[0])
		(void)ebb_fail(args, EBB_EXIT_DONE, "enforcement is not active: %s", status->inactive);
}

static enum ebb_exit print_list(const struct ebb_args *args, const struct ebb_session *session,
				struct ebb_snapshot *snapshot)
{
	const struct ebb_list_filter filter = filter_of(args);
	bool none = snapshot->count == 0;
	struct ebb_status status;
	struct ebb_why why = {};
	int r;

	ebb_status_of(&session->look, snapshot, &status);
	r = ebb_list_select(&session->look, snapshot, &filter, &why);
	if (r < 0)
		return ebb_fail(args, EBB_EXIT_FAILED, "%s", why.text);
	if (session->json)
		return ebb_print_json(args, ebb_list_json(&session->look, snapshot));
	if (snapshot->count == 0)
		return ebb_fail(args, EBB_EXIT_DONE, "%s",
				none ? "no destinations yet: they appear with the first connection"
				     : "no destination is like that: leave out --state or --workload");
	tell_inactive(args, &status);
	return ebb_printed(args, ebb_list_text(stdout, &session->look, snapshot));
}

enum ebb_exit ebb_cmd_list(const struct ebb_args *args)
{
	const struct ebb_list_filter filter = filter_of(args);
	struct ebb_why why = {};

	/* wrong use is told also where nothing is pinned yet: a script is tried before it is needed */
	if (ebb_list_check(&filter, &why) < 0)
		return ebb_fail(args, EBB_EXIT_USAGE, "%s", why.text);
	return ebb_with_snapshot(args, print_list);
}
