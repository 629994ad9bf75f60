/* SPDX-License-Identifier: Apache-2.0 */
/* In the place of seccomp.c where ebb is built without libseccomp (WITH_SECCOMP=0). */
#include <errno.h>
#include <stddef.h>

#include "agent/seccomp.h"

int ebb_seccomp_new(enum ebb_seccomp_mode mode, bool enters_namespaces, struct ebb_seccomp **ret_seccomp,
		    struct ebb_why *why)
{
	(void)enters_namespaces;
	*ret_seccomp = NULL;
	return mode == EBB_SECCOMP_OFF ? 0 : ebb_why(why, -ENOSYS, "it was made with WITH_SECCOMP=0");
}

void ebb_seccomp_free(struct ebb_seccomp *seccomp)
{
	(void)seccomp;
}

uint64_t ebb_seccomp_count(const struct ebb_seccomp *seccomp)
{
	(void)seccomp;
	return 0;
}

void ebb_seccomp_news(struct ebb_seccomp *seccomp, ebb_seccomp_told_fn told, void *userdata)
{
	(void)seccomp;
	(void)told;
	(void)userdata;
}

bool ebb_seccomp_is_told(const struct ebb_seccomp *seccomp)
{
	(void)seccomp;
	return false;
}
