/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/deeds.h"

#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>

#include "core/deed.h"
#include "lib/cleanup.h"
#include "lib/log.h"
#include "lib/text.h"

uint32_t ebb_deeds_tell(const struct ebb_view *view, uint64_t *io_told, ebb_deed_handler handle,
			void *userdata)
{
	struct ebb_deed deed;
	uint32_t count = 0;
	uint64_t lost = 0;

	/* as many as there can be, however fast others come */
	while (count < EBB_DEEDS && ebb_deed_next(view->deeds, *io_told, &deed, &lost) &&
	       handle(userdata, &deed, lost) == 0) {
		*io_told = deed.serial;
		count++;
	}
	return count;
}

/* From the file alone: a directory service could keep the loop waiting. "-": not there. */
static void name_user(uint32_t uid, char *buffer, size_t size)
{
	_cleanup_fclose_ FILE *f = fopen("/etc/passwd", "re");
	const struct passwd *user;

	(void)snprintf(buffer, size, "-");
	while (f && (user = fgetpwent(f))) {
		if (user->pw_uid == uid) {
			(void)ebb_text_escape(user->pw_name, buffer, size);
			return;
		}
	}
}

int ebb_deed_log(void *userdata, const struct ebb_deed *deed, uint64_t lost)
{
	char user[64], login_user[64] = "-", login[16] = "-", what[4 * sizeof(deed->what)];

	(void)userdata;
	if (lost)
		ebb_warn("orders by hand were overwritten before they could be told: count=%" PRIu64
			 "; they hold all the same",
			 lost);
	name_user(deed->uid, user, sizeof(user));
	if (deed->login_uid != EBB_LOGIN_NONE) {
		(void)snprintf(login, sizeof(login), "%u", deed->login_uid);
		name_user(deed->login_uid, login_user, sizeof(login_user));
	}
	ebb_info("by hand: uid=%u user=%s login_uid=%s login_user=%s at=%" PRIu64 ".%03u order=%" PRIu64
		 " what='%s'",
		 deed->uid, user, login, login_user, (uint64_t)deed->at_realtime_ns / 1000000000,
		 (unsigned int)(deed->at_realtime_ns / 1000000 % 1000), (uint64_t)deed->serial,
		 ebb_text_escape(deed->what, what, sizeof(what)));
	return 0;
}
