/* SPDX-License-Identifier: Apache-2.0 */
/* 'ebb detach': the way out. Removes every program, map and pin. */
#include <errno.h>

#include "cli/common.h"

/* The pid of an agent that still writes its heartbeat; 0: none. */
static uint32_t running_agent(const char *pin_dir)
{
	struct ebb_session session = {};
	const struct ebb_agent *agent;
	uint32_t pid = 0;

	/* maps of another layout are removed all the same */
	if (ebb_maps_open(pin_dir, EBB_MAPS_READ, &session.maps, NULL) < 0)
		return 0;
	agent = ebb_maps_view(session.maps)->agent;
	if (ebb_agent_state(agent, ebb_monotonic_ns()) == EBB_AGENT_RUNNING)
		pid = agent->pid;
	ebb_maps_free(session.maps);
	return pid;
}

enum ebb_exit ebb_cmd_detach(const struct ebb_args *args)
{
	const char *pin_dir = ebb_args_get(args, "pin");
	struct ebb_link_info links[EBB_LINKS_MAX];
	size_t pins = 0, attached = 0, count;
	struct ebb_why why = {};
	uint32_t pid;
	int r;

	pid = running_agent(pin_dir);
	count = ebb_maps_links(pin_dir, links);
	for (size_t i = 0; i < count; i++)
		attached += links[i].attached != 0;

	r = ebb_maps_detach(pin_dir, &pins, &why);
	if (r < 0)
		return ebb_fail(args, ebb_exit_from(r), "%s", why.text);
	(void)printf("detached %zu program%s, removed %zu pin%s from %s\n", attached,
		     attached == 1 ? "" : "s", pins, pins == 1 ? "" : "s", pin_dir);
	if (pid)
		return ebb_fail(args, EBB_EXIT_DONE,
				"the agent still runs with nothing to govern: end it, pid %u", pid);
	return EBB_EXIT_DONE;
}
