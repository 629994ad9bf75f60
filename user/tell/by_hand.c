/* SPDX-License-Identifier: Apache-2.0 */
/* What stands by hand, as 'list', 'show', 'status' and the orders themselves tell it. */
#include "core/by_hand.h"

#include <inttypes.h>
#include <stdio.h>

#include "tell/render.h"
#include "core/policy.h"
#include "lib/units.h"

/* "by hand for the node by uid 0, for another 5m" */
static void by_whom(const struct ebb_look *look, const char *whom, uint32_t uid, uint64_t until_ns,
		    char *buffer, size_t size)
{
	char left[EBB_FORMAT_MAX];

	if (until_ns)
		(void)snprintf(buffer, size, "by hand%s by uid %u, for another %s", whom, uid,
			       ebb_format_duration(ebb_age(until_ns, look->now_ns), left, sizeof(left)));
	else
		(void)snprintf(buffer, size, "by hand%s by uid %u, until it is taken back", whom, uid);
}

const char *ebb_mode_sentence(const struct ebb_look *look, const struct ebb_gate_row *row, char *buffer,
			      size_t size)
{
	bool node = row->mode_from == EBB_MODE_BY_NODE;
	const struct ebb_policy *says = node ? &look->view->policies[EBB_SLOT_OTHER] : &row->policy;
	char by[128];

	by_whom(look, node ? " for the node" : "", says->mode_uid, says->mode_until_ns, by, sizeof(by));
	if (row->mode_from == EBB_MODE_CONFIGURED)
		(void)snprintf(buffer, size, "%s, as configured", ebb_mode_name(row->mode));
	else
		(void)snprintf(buffer, size, "%s %s; configured: %s", ebb_mode_name(row->mode), by,
			       ebb_mode_name(row->policy.mode));
	return buffer;
}

const char *ebb_node_mode_sentence(const struct ebb_look *look, char *buffer, size_t size)
{
	const struct ebb_policy *node = &look->view->policies[EBB_SLOT_OTHER];
	uint32_t said = ebb_mode_said(node, look->now_ns);
	char by[128];

	by_whom(look, "", node->mode_uid, node->mode_until_ns, by, sizeof(by));
	if (said)
		(void)snprintf(buffer, size, "%s %s; configured: %s", ebb_mode_name(said - 1), by,
			       ebb_mode_name(look->view->agent->mode));
	else
		(void)snprintf(buffer, size, "%s", ebb_mode_name(look->view->agent->mode));
	return buffer;
}

const char *ebb_own_sentence(const struct ebb_gate_row *row, char *buffer, size_t size)
{
	static const struct {
		uint32_t said;
		const char *name;
	} names[] = {{EBB_SAID_OVERRIDE, "breaker"}, {EBB_SAID_MODE, "mode"}, {EBB_SAID_LIMITS, "limits"}};
	size_t used = 0;

	buffer[0] = '\0';
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && used < size; i++) {
		if (row->own_said & names[i].said)
			used += (size_t)snprintf(buffer + used, size - used, "%s%s",
						 used ? ", " : "for this workload alone: ", names[i].name);
	}
	return buffer;
}

static json_t *mode_json(const struct ebb_look *look, const struct ebb_policy *says)
{
	uint32_t said = ebb_mode_said(says, look->now_ns);

	if (!said)
		return json_null();
	return json_pack("{s:s, s:I, s:o}", "mode", ebb_mode_name(said - 1), "uid",
			 (json_int_t)says->mode_uid, "until_timestamp",
			 ebb_json_timestamp(look, says->mode_until_ns));
}

static json_t *override_json(const struct ebb_look *look, const struct ebb_gate_row *row)
{
	if (row->override == EBB_OVERRIDE_AUTO)
		return json_null();
	return json_pack("{s:s, s:I, s:o}", "state", row->override == EBB_OVERRIDE_OPEN ? "open" : "close",
			 "uid", (json_int_t)row->policy.override_uid, "until_timestamp",
			 ebb_json_timestamp(look, row->policy.override_until_ns));
}

json_t *ebb_by_hand_json(const struct ebb_look *look, const struct ebb_gate_row *row)
{
	return json_pack("{s:o, s:o, s:o, s:b}", "breaker", override_json(look, row), "mode",
			 row->dst == EBB_SLOT_OTHER ? json_null() : mode_json(look, &row->policy),
			 "node_mode", mode_json(look, &look->view->policies[EBB_SLOT_OTHER]),
			 "workload_alone", row->own_said != 0);
}

json_t *ebb_node_mode_json(const struct ebb_look *look)
{
	return json_pack("{s:s, s:o}", "configured", ebb_mode_name(look->view->agent->mode), "by_hand",
			 mode_json(look, &look->view->policies[EBB_SLOT_OTHER]));
}
