/* SPDX-License-Identifier: Apache-2.0 */
/* 'ebb status': the command; what it prints is tell/status.c. */
#include "cli/common.h"
#include "lib/text.h"
#include "tell/render.h"

static enum ebb_exit print_status(const struct ebb_args *args, const struct ebb_session *session,
				  struct ebb_snapshot *snapshot)
{
	if (session->json)
		return ebb_print_json(args, ebb_status_json(&session->look, snapshot));
	return ebb_printed(args, ebb_status_text(stdout, &session->look, snapshot));
}

enum ebb_exit ebb_cmd_status(const struct ebb_args *args)
{
	return ebb_with_snapshot(args, print_status);
}
