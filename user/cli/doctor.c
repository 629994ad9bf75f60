/* SPDX-License-Identifier: Apache-2.0 */
/* 'ebb doctor': what this kernel and node can and cannot do, each with its remedy. */
#include <cap-ng.h>
#include <errno.h>
#include <string.h>

#include "cli/render.h"
#include "lib/cleanup.h"
#include "lib/table.h"
#include "lib/units.h"

#define JIT_SETTING "/proc/sys/net/core/bpf_jit_enable"

/* ------------------------------------------------------------ gathering -- */

static int read_jit(void)
{
	_cleanup_fclose_ FILE *file = fopen(JIT_SETTING, "re");
	char line[16];
	uint32_t value;

	if (!file || !fgets(line, sizeof(line), file))
		return -1;
	line[strcspn(line, "\n")] = '\0';
	return ebb_parse_u32(line, &value) == 0 && value <= 2 ? (int)value : -1;
}

/* CAP_SYS_ADMIN holds what CAP_BPF and CAP_PERFMON were cut out of. */
static const struct {
	const char *name;
	int capability;
	int instead; /* -1: none */
} capabilities[] = {
	{"CAP_BPF", CAP_BPF, CAP_SYS_ADMIN},
	{"CAP_NET_ADMIN", CAP_NET_ADMIN, -1},
	{"CAP_PERFMON", CAP_PERFMON, CAP_SYS_ADMIN},
};

static bool have(int capability)
{
	return capability >= 0 && capng_have_capability(CAPNG_EFFECTIVE, (unsigned int)capability) > 0;
}

static void missing_capabilities(char *buffer, size_t size)
{
	size_t used = 0;

	buffer[0] = '\0';
	if (capng_get_caps_process() < 0) {
		(void)snprintf(buffer, size, "unknown");
		return;
	}
	for (size_t i = 0; i < sizeof(capabilities) / sizeof(capabilities[0]) && used < size; i++) {
		if (!have(capabilities[i].capability) && !have(capabilities[i].instead))
			used += (size_t)snprintf(buffer + used, size - used, "%s%s", used ? ", " : "",
						 capabilities[i].name);
	}
}

static void gather(struct ebb_node_facts *ret_facts)
{
	struct ebb_node_facts facts = {.jit = read_jit()};
	struct ebb_cgroup_mounts mounts;

	if (ebb_cgroup_mounts(&mounts, NULL) == 0) {
		(void)snprintf(facts.mount, sizeof(facts.mount), "%s", mounts.path);
		facts.hybrid = mounts.v1;
		if (mounts.path[0] &&
		    ebb_cgroup_auto_below(mounts.path, facts.pods, sizeof(facts.pods)) == 0 &&
		    strcmp(facts.pods, mounts.path) == 0)
			facts.pods[0] = '\0';
	}
	missing_capabilities(facts.missing_capabilities, sizeof(facts.missing_capabilities));
	*ret_facts = facts;
}

bool ebb_doctor_fit(const struct ebb_feature_result results[EBB_FEATURE_MAX])
{
	for (int i = 0; i < EBB_FEATURE_MAX; i++) {
		if (results[i].required && !results[i].present)
			return false;
	}
	return true;
}

/* --------------------------------------------------------------- text -- */

/* Without permission nothing was learnt about the kernel. */
static const char *here(const struct ebb_feature_result *result)
{
	if (result->present)
		return "yes";
	if (result->error == -EPERM)
		return "not permitted";
	return result->required ? "NO, required" : "no";
}

static int features_text(FILE *out, const struct ebb_feature_result results[EBB_FEATURE_MAX], size_t columns)
{
	static const struct ebb_column headings[] = {
		{"FEATURE", EBB_ALIGN_LEFT, false, 0},
		{"HERE", EBB_ALIGN_LEFT, false, 0},
		{"USED FOR", EBB_ALIGN_LEFT, false, 0},
	};
	struct ebb_table *table;
	int r;

	r = ebb_table_new(headings, 3, &table);
	if (r < 0)
		return r;
	for (int i = 0; i < EBB_FEATURE_MAX; i++) {
		ebb_table_cell(table, "%s", results[i].name);
		ebb_table_cell(table, "%s", here(&results[i]));
		ebb_table_cell(table, "%s", results[i].help);
	}
	r = ebb_table_print(table, out, 0, columns);
	ebb_table_free(table);
	return r;
}

static const struct ebb_feature_result *find(const struct ebb_feature_result results[EBB_FEATURE_MAX],
					     enum ebb_feature feature)
{
	return &results[feature];
}

static int node_text(FILE *out, const struct ebb_feature_result results[EBB_FEATURE_MAX],
		     const struct ebb_node_facts *facts)
{
	static const struct ebb_column columns[] = {{NULL, EBB_ALIGN_LEFT, false, 0},
						    {NULL, EBB_ALIGN_LEFT, false, 0}};
	struct ebb_table *table;
	int r;

	r = ebb_table_new(columns, 2, &table);
	if (r < 0)
		return r;
	ebb_table_cell(table, "cgroup2");
	if (!facts->mount[0])
		ebb_table_cell(table, "not mounted");
	else
		ebb_table_cell(table, "%s (%s)", facts->mount,
			       facts->hybrid ? "hybrid: v1 controllers are mounted beside it" : "pure");
	ebb_table_cell(table, "pods");
	ebb_table_cell(table, "%s",
		       facts->pods[0] ? facts->pods : "none: '--cgroup auto' means the cgroup2 root");
	ebb_table_cell(table, "JIT");
	ebb_table_cell(table, "%s",
		       facts->jit > 0 ? "on"
		       : facts->jit == 0
			       ? "off: programs are interpreted; turn it on with 'sysctl net.core.bpf_jit_enable=1'"
			       : "unknown: " JIT_SETTING " cannot be read");
	ebb_table_cell(table, "refusal");
	ebb_table_cell(table, "%s",
		       find(results, EBB_FEATURE_SET_RETVAL)->present
			       ? "connect() returns the configured errno"
		       : find(results, EBB_FEATURE_SET_RETVAL)->error == -EPERM
			       ? "not known: needs permission to try"
			       : "the address is rewritten to a closed port: connect() returns ECONNREFUSED, whatever is configured");
	ebb_table_cell(table, "capabilities");
	ebb_table_cell(table, "%s%s",
		       facts->missing_capabilities[0] ? "missing: " : "all that the agent needs",
		       facts->missing_capabilities);
	r = ebb_table_print(table, out, 0, 0);
	ebb_table_free(table);
	return r;
}

/* What is missing, each with its remedy. False: nothing is. */
static bool remedies_text(FILE *out, const struct ebb_feature_result results[EBB_FEATURE_MAX])
{
	bool blind = !find(results, EBB_FEATURE_BPF)->present;
	bool missing = false;

	for (int i = 0; i < EBB_FEATURE_MAX; i++) {
		char text[512];

		/* without bpf(2) nothing else could be tried: those remedies would mislead */
		if (results[i].present || (blind && i != EBB_FEATURE_BPF))
			continue;
		(void)fputs(missing ? "" : "\nWhat to do:\n", out);
		missing = true;
		(void)snprintf(text, sizeof(text), "%s (%s): %s", results[i].name,
			       results[i].error ? ebb_strerror(results[i].error) : "missing",
			       results[i].remedy);
		ebb_help_text(out, 2, text);
	}
	if (blind)
		ebb_help_text(out, 2, "then ask again: without bpf nothing else can be tried");
	return missing;
}

int ebb_doctor_text(FILE *out, const struct ebb_feature_result results[EBB_FEATURE_MAX],
		    const struct ebb_node_facts *facts, size_t columns)
{
	bool missing;
	int r;

	r = features_text(out, results, columns);
	if (r < 0)
		return r;
	(void)fputc('\n', out);
	r = node_text(out, results, facts);
	if (r < 0)
		return r;
	missing = remedies_text(out, results);
	(void)fprintf(out, "\n%s\n",
		      !ebb_doctor_fit(results) ? "The agent cannot run here: something required is missing."
		      : missing		       ? "The agent can run here, with what is missing left out."
					       : "Everything is here.");
	return ferror(out) ? -EIO : 0;
}

/* --------------------------------------------------------------- JSON -- */

json_t *ebb_doctor_json(const struct ebb_feature_result results[EBB_FEATURE_MAX],
			const struct ebb_node_facts *facts)
{
	json_t *features = json_array();

	for (int i = 0; i < EBB_FEATURE_MAX; i++) {
		const struct ebb_feature_result *f = &results[i];

		if (json_array_append_new(features,
					  json_pack("{s:s, s:b, s:b, s:s, s:o, s:o}", "name", f->name,
						    "present", f->present, "required", f->required,
						    "used_for", f->help, "error",
						    f->present || !f->error
							    ? json_null()
							    : json_string(ebb_strerror(f->error)),
						    "remedy",
						    f->present ? json_null() : json_string(f->remedy))) < 0) {
			json_decref(features);
			return NULL;
		}
	}
	return json_pack("{s:b, s:o, s:{s:o, s:b, s:o}, s:o, s:s, s:s}", "fit", ebb_doctor_fit(results),
			 "features", features, "cgroup2", "mount",
			 facts->mount[0] ? json_string(facts->mount) : json_null(), "hybrid", facts->hybrid,
			 "pods", facts->pods[0] ? json_string(facts->pods) : json_null(), "jit",
			 facts->jit < 0 ? json_null() : json_boolean(facts->jit > 0), "refusal",
			 find(results, EBB_FEATURE_SET_RETVAL)->present ? "errno" : "rewritten_address",
			 "missing_capabilities", facts->missing_capabilities);
}

/* ------------------------------------------------------------ command -- */

enum ebb_exit ebb_cmd_doctor(const struct ebb_args *args)
{
	struct ebb_feature_result results[EBB_FEATURE_MAX] = {};
	struct ebb_node_facts facts;
	enum ebb_exit code;
	bool json;

	code = ebb_output_format(args, &json);
	if (code != EBB_EXIT_DONE)
		return code;
	ebb_probe_all(ebb_args_get(args, "pin"), results);
	gather(&facts);
	if (json)
		code = ebb_print_json(args, ebb_doctor_json(results, &facts));
	else
		code = ebb_printed(args, ebb_doctor_text(stdout, results, &facts, ebb_terminal_columns()));
	if (code == EBB_EXIT_DONE && !ebb_doctor_fit(results))
		code = EBB_EXIT_FAILED;
	return code;
}
