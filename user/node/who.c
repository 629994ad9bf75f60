/* SPDX-License-Identifier: Apache-2.0 */
#include "node/who.h"

#include <fnmatch.h>
#include <string.h>

#include "node/tag.h"

#define NOBODY "~other"

void ebb_who(struct ebb_cgroup_names *names, uint64_t workload, struct ebb_who *ret_who)
{
	const struct ebb_tag *tag = workload ? ebb_cgroup_tag(names, workload) : NULL;

	*ret_who = (struct ebb_who){.workload = NOBODY, .namespace = "", .pod = "", .container = ""};
	if (tag && tag->name) {
		ret_who->workload = tag->owner;
		ret_who->namespace = tag->namespace;
		ret_who->pod = tag->pod;
		ret_who->container = tag->container;
		ret_who->gone = tag->gone;
	} else if (workload) {
		ret_who->workload = ebb_cgroup_name(names, workload);
	}
}

bool ebb_who_matches(struct ebb_cgroup_names *names, uint64_t workload, const char *pattern)
{
	const char *name = ebb_cgroup_name(names, workload), *last = strrchr(name, '/');
	const struct ebb_tag *tag;

	if (fnmatch(pattern, name, 0) == 0 || (last && strcmp(pattern, last + 1) == 0))
		return true;
	tag = ebb_cgroup_tag(names, workload);
	return tag && tag->name &&
	       (fnmatch(pattern, tag->owner, 0) == 0 ||
		fnmatch(pattern, ebb_cgroup_path_name(names, workload), 0) == 0);
}
