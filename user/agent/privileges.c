/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/privileges.h"

#include <errno.h>
#include <stddef.h>

#include <cap-ng.h>

/* As an agent needs them. */
enum need {
	ALWAYS,
	TO_ENTER_NAMESPACES, /* CAP_SYS_PTRACE to see those of others, CAP_SYS_ADMIN to enter */
	TO_RAISE,
};

static const struct {
	unsigned int capability;
	enum need need;
} kept[] = {
	{CAP_BPF, ALWAYS},
	{CAP_NET_ADMIN, ALWAYS},
	{CAP_PERFMON, ALWAYS},
	{CAP_SYS_PTRACE, TO_ENTER_NAMESPACES},
	{CAP_SYS_ADMIN, TO_ENTER_NAMESPACES},
	{CAP_SYS_NICE, TO_RAISE},
};

bool ebb_may_raise(void)
{
	return capng_get_caps_process() == 0 && capng_have_capability(CAPNG_EFFECTIVE, CAP_SYS_NICE);
}

int ebb_drop_privileges(bool enters_namespaces, bool raises)
{
	const bool needed[] = {
		[ALWAYS] = true,
		[TO_ENTER_NAMESPACES] = enters_namespaces,
		[TO_RAISE] = raises,
	};
	const size_t count = sizeof(kept) / sizeof(kept[0]);
	int have[sizeof(kept) / sizeof(kept[0])];
	capng_select_t sets;

	if (capng_get_caps_process() < 0)
		return -EPERM;
	/* without it the bounding set is as small as whoever started us made it */
	sets = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP) ? CAPNG_SELECT_BOTH : CAPNG_SELECT_CAPS;
	for (size_t i = 0; i < count; i++)
		have[i] = needed[kept[i].need] && capng_have_capability(CAPNG_PERMITTED, kept[i].capability);
	capng_clear(CAPNG_SELECT_BOTH);
	for (size_t i = 0; i < count; i++) {
		if (have[i] && capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET,
					    kept[i].capability) < 0)
			return -EINVAL;
	}
	return capng_apply(sets) < 0 ? -EPERM : 0;
}
