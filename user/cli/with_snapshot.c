/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/common.h"
#include "lib/text.h"

enum ebb_exit ebb_with_snapshot(const struct ebb_args *args,
				enum ebb_exit (*print)(const struct ebb_args *args,
						       const struct ebb_session *session,
						       struct ebb_snapshot *snapshot))
{
	struct ebb_snapshot snapshot = {};
	struct ebb_session session;
	enum ebb_exit code;
	int r;

	code = ebb_session_open(args, &session);
	if (code != EBB_EXIT_DONE)
		return code;
	r = ebb_snapshot_take(&session.look, &snapshot);
	if (r < 0)
		code = ebb_fail(args, EBB_EXIT_FAILED, "%s", ebb_strerror(r));
	else
		code = print(args, &session, &snapshot);
	ebb_snapshot_free(&snapshot);
	ebb_session_close(&session);
	return code;
}
