/* SPDX-License-Identifier: Apache-2.0 */
/* 'ebb detach': the way out. Removes every program, map and pin. */
#include <errno.h>

#include "cli/common.h"
#include "node/pods_file.h"

/* Who holds the pin directory, as far as the maps tell; 0: unknown. */
static uint32_t agent_pid(const char *pin_dir)
{
	struct ebb_maps *maps;
	uint32_t pid;

	if (ebb_maps_open(pin_dir, EBB_MAPS_READ, &maps, NULL) < 0)
		return 0;
	pid = ebb_maps_view(maps)->agent->pid;
	ebb_maps_free(maps);
	return pid;
}

enum ebb_exit ebb_cmd_detach(const struct ebb_args *args)
{
	const char *pin_dir = ebb_args_get(args, "pin");
	struct ebb_link_info links[EBB_LINKS_MAX];
	size_t pins = 0, attached = 0, count;
	struct ebb_why why = {};
	int r;

	count = ebb_maps_links(pin_dir, links);
	for (size_t i = 0; i < count; i++)
		attached += links[i].attached != 0;

	r = ebb_maps_detach(pin_dir, &pins, &why);
	if (r == -EBUSY)
		return ebb_fail(args, EBB_EXIT_FAILED,
				"the agent runs on '%s' (pid %u): end it first, nothing was removed", pin_dir,
				agent_pid(pin_dir));
	if (r < 0)
		return ebb_fail(args, ebb_exit_from(r), "%s", why.text);
	ebb_pods_unsave(pin_dir);
	(void)printf("detached %zu program%s, removed %zu pin%s from %s\n", attached,
		     attached == 1 ? "" : "s", pins, pins == 1 ? "" : "s", pin_dir);
	return EBB_EXIT_DONE;
}
