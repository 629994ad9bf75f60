/* SPDX-License-Identifier: Apache-2.0 */
#include "tell/fuse.h"

#include <inttypes.h>
#include <string.h>

#include "core/fuse.h"
#include "export/name.h"
#include "lib/table.h"
#include "lib/text.h"
#include "lib/units.h"

uint32_t ebb_fuse_now(const struct ebb_look *look)
{
	return ebb_fuse_of(look->view->agent, look->now_ns);
}

static const char *acts_how(uint32_t fuse)
{
	static const char *const texts[EBB_FUSE_MAX] = {
		[EBB_FUSE_OFF] = "does not act",
		[EBB_FUSE_ALERT] = "alerts",
		[EBB_FUSE_RELEASE] = "releases",
		[EBB_FUSE_SHED] = "sheds",
	};

	return fuse < EBB_FUSE_MAX ? texts[fuse] : "unknown";
}

const char *ebb_fuse_sentence(const struct ebb_look *look, char *buffer, size_t size)
{
	const struct ebb_agent *agent = look->view->agent;
	char since[EBB_FORMAT_MAX] = "", window[EBB_FORMAT_MAX];
	uint32_t fuse = ebb_fuse_now(look);

	if (agent->fuse_action == EBB_FUSE_OFF) {
		(void)snprintf(buffer, size, "no agent has looked yet");
		return buffer;
	}
	if (agent->fuse != EBB_FUSE_OFF && fuse == EBB_FUSE_OFF) {
		(void)snprintf(buffer, size, "does not act: the agent's lease is over");
		return buffer;
	}
	if (fuse != EBB_FUSE_OFF)
		(void)ebb_format_duration(ebb_age(look->now_ns, agent->fuse_since_ns), since, sizeof(since));
	(void)snprintf(buffer, size, "%s%s%s: %u of %u active destinations open, %u results in %s",
		       acts_how(fuse), since[0] ? " since " : "", since, agent->fuse_open, agent->fuse_active,
		       agent->fuse_calls, ebb_format_duration(agent->fuse_window_ns, window, sizeof(window)));
	return buffer;
}

/* ---------------------------------------------------------------- exempt -- */

/* Calls @visit with the escaped name of each destination that shed never refuses, until it returns a negative number. */
static int each_exempt(const struct ebb_view *view, int (*visit)(void *userdata, const char *name),
		       void *userdata)
{
	char name[EBB_DST_NAME_MAX], escaped[EBB_DST_NAME_MAX];
	int r = 0;

	for (uint32_t d = EBB_SLOT_OTHER + 1; d < view->dst_max && d <= view->kernel->dst_high && r >= 0;
	     d++) {
		if (view->dsts[d].state == EBB_SLOT_LIVE && view->policies[d].fuse_exempt)
			r = visit(userdata, ebb_text_escape(ebb_dst_name(view, d, name, sizeof(name)),
							    escaped, sizeof(escaped)));
	}
	return r;
}

struct names {
	char text[1024];
	size_t used;
};

static int add_name(void *userdata, const char *name)
{
	struct names *names = userdata;
	size_t room = sizeof(names->text) - names->used;

	if (strlen(name) + sizeof(", ...") > room) {
		(void)snprintf(names->text + names->used, room, ", ...");
		return -1;
	}
	names->used +=
		(size_t)snprintf(names->text + names->used, room, "%s%s", names->used ? ", " : "", name);
	return 0;
}

static int append_name(void *userdata, const char *name)
{
	return json_array_append_new(userdata, json_string(name));
}

/* ---------------------------------------------------------------- output -- */

json_t *ebb_fuse_json(const struct ebb_look *look)
{
	const struct ebb_agent *agent = look->view->agent;
	char sentence[EBB_FUSE_TEXT_MAX];
	json_t *exempt = json_array();

	if (each_exempt(look->view, append_name, exempt) < 0) {
		json_decref(exempt);
		exempt = NULL;
	}
	return json_pack("{s:s, s:b, s:s, s:s, s:o, s:I, s:I, s:I, s:I, s:f, s:I, s:I, s:o, s:o}",
			 "destination", EBB_NAME_NODE, "acts", ebb_fuse_now(look) != EBB_FUSE_OFF, "action",
			 ebb_fuse_name(agent->fuse_action), "sentence",
			 ebb_fuse_sentence(look, sentence, sizeof(sentence)), "since_timestamp",
			 ebb_json_timestamp(look, agent->fuse_since_ns), "open", (json_int_t)agent->fuse_open,
			 "active", (json_int_t)agent->fuse_active, "results", (json_int_t)agent->fuse_calls,
			 "acted", (json_int_t)agent->fuse_acted, "open_ratio", agent->fuse_open_ppm / 1e6,
			 "min_destinations", (json_int_t)agent->fuse_min_destinations, "min_calls",
			 (json_int_t)agent->fuse_min_calls, "window_seconds",
			 ebb_json_seconds(agent->fuse_window_ns), "exempt", exempt);
}

int ebb_fuse_text(FILE *out, const struct ebb_look *look)
{
	static const struct ebb_column columns[] = {{NULL, EBB_ALIGN_LEFT, false, 0},
						    {NULL, EBB_ALIGN_LEFT, false, 0}};
	const struct ebb_agent *agent = look->view->agent;
	char text[EBB_FUSE_TEXT_MAX], at[EBB_TIME_MAX], ago[EBB_FORMAT_MAX];
	struct names names = {.used = 0};
	struct ebb_table *table;
	int r;

	r = ebb_table_new(columns, 2, &table);
	if (r < 0)
		return r;
	ebb_table_cell(table, "node fuse");
	ebb_table_cell(table, "%s", ebb_fuse_sentence(look, text, sizeof(text)));
	ebb_table_cell(table, "counts");
	ebb_table_cell(table, "active destinations that a rule names or two workloads use");
	ebb_table_cell(table, "action");
	ebb_table_cell(table, "%s", ebb_fuse_name(agent->fuse_action));
	ebb_table_cell(table, "acts");
	ebb_table_cell(table, "when of at least %u active destinations %.4g%% are open, and %u results came",
		       agent->fuse_min_destinations, agent->fuse_open_ppm / 1e4, agent->fuse_min_calls);
	ebb_table_cell(table, "ends");
	ebb_table_cell(table, "when less than %.4g%% were open for %s", agent->fuse_open_ppm / 2e4,
		       ebb_format_duration(agent->fuse_window_ns, text, sizeof(text)));
	(void)each_exempt(look->view, add_name, &names);
	ebb_table_cell(table, "exempt");
	ebb_table_cell(table, "%s", names.used ? names.text : "nothing");
	ebb_table_cell(table, "acted");
	if (agent->fuse_acted == 0)
		ebb_table_cell(table, "never");
	else
		ebb_table_cell(table, "%u time%s, the last change at %s (%s ago)", agent->fuse_acted,
			       agent->fuse_acted == 1 ? "" : "s",
			       ebb_format_time(ebb_look_realtime(look, agent->fuse_since_ns), false, at,
					       sizeof(at)),
			       ebb_format_duration(ebb_age(look->now_ns, agent->fuse_since_ns), ago,
						   sizeof(ago)));
	(void)fputs(EBB_NAME_NODE "\n", out);
	r = ebb_table_print(table, out, 2, 0);
	ebb_table_free(table);
	return r;
}
