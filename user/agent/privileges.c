/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/privileges.h"

#include <errno.h>
#include <stddef.h>

#include <cap-ng.h>

int ebb_drop_privileges(bool enters_namespaces)
{
	/* the last two are for namespaces: CAP_SYS_PTRACE to see those of others, CAP_SYS_ADMIN to enter */
	static const unsigned int kept[] = {CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON, CAP_SYS_PTRACE,
					    CAP_SYS_ADMIN};
	int have[sizeof(kept) / sizeof(kept[0])];
	size_t count = sizeof(kept) / sizeof(kept[0]) - (enters_namespaces ? 0 : 2);
	capng_select_t sets;

	if (capng_get_caps_process() < 0)
		return -EPERM;
	/* without it the bounding set is as small as whoever started us made it */
	sets = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP) ? CAPNG_SELECT_BOTH : CAPNG_SELECT_CAPS;
	for (size_t i = 0; i < count; i++)
		have[i] = capng_have_capability(CAPNG_PERMITTED, kept[i]);
	capng_clear(CAPNG_SELECT_BOTH);
	for (size_t i = 0; i < count; i++) {
		if (have[i] && capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET,
					    kept[i]) < 0)
			return -EINVAL;
	}
	return capng_apply(sets) < 0 ? -EPERM : 0;
}
