/* SPDX-License-Identifier: Apache-2.0 */
#include "config/document.h"

#include <errno.h>
#include <string.h>

#include "config/keys.h"
#include "lib/cleanup.h"

static const char preface[] =
	"# Configuration\n"
	"\n"
	"Made from the table in `user/config/keys.c`, by which the configuration is read: do not edit it.\n"
	"\n"
	"No configuration at all is fine: everything is observed, nothing is refused. What else should hold stands in\n"
	"one YAML file, `/etc/ebb/ebb.yaml` or the one that `--config` or the variable `EBB_CONFIG` names. The smallest\n"
	"that does something:\n"
	"\n"
	"```yaml\n"
	"mode: enforce\n"
	"```\n"
	"\n"
	"Examples with comments: [a laptop](examples/laptop.yaml), [production](examples/production.yaml),\n"
	"[model APIs](examples/model-apis.yaml).\n"
	"\n"
	"## How it is read\n"
	"\n"
	"**Who wins.** A flag of `ebb run`, then a variable `EBB_...`, then the file, then the default. What the file says\n"
	"about one destination stands over all that says what holds for every destination, whoever says that.\n"
	"`ebb config show` tells every value and who says it, of the agent that runs; `ebb config show DEST` all that\n"
	"holds for one destination. It reads the sources of that agent, and warns where the agent does not hold all of them: refused, gone, or waiting for a restart.\n"
	"\n"
	"**Whole or not at all.** A file that is wrong is refused with everything that is wrong in it, each as\n"
	"`FILE:LINE:COLUMN: what was found: what is possible`, and the agent goes on with what it had; it does not start\n"
	"with one. `ebb config check FILE` says the same without an agent, `ebb config check -` of standard input; it\n"
	"exits with 0 when an agent would take it. Warnings are no reason to refuse: something does nothing, or not what\n"
	"one might think.\n"
	"\n"
	"**Changes** are seen by themselves, those of a mounted ConfigMap too, and by SIGHUP. They act at once, and what\n"
	"they do not touch goes on: counters, connections, states. What says *restart* below acts when the agent starts\n"
	"again; another capacity needs `ebb detach` before, since it is the size of pinned maps.\n"
	"\n"
	"**Strict YAML.** Unknown keys, keys given twice, tabs that indent, anchors, aliases, tags and a second document\n"
	"are errors; so is anything that is no UTF-8, and a file above 4 MB. Quotes around a value change nothing: it is read\n"
	"as its key wants it. They are needed where YAML would see something else: `\"*.example.com\"`, `\"::/0\"`. Windows line\n"
	"ends are taken. A section or a list with nothing in it is as if it were not there.\n"
	"\n"
	"**Variables.** Every key that takes one value has a variable: `EBB_`, and its path in capitals with `_` for each\n"
	"dot. Lists are joined by commas, a burst is written as in `EBB_DEFAULTS_LIMITS_BYTES=10MB/s,burst=2MB`. An empty\n"
	"variable says nothing. One that begins with `EBB_` and is no key is told in a warning, except for what\n"
	"Kubernetes makes of a service named `ebb`.\n"
	"\n"
	"**Secrets** stand in files of their own, which a key names; what such a key holds is never printed.\n"
	"\n"
	"| takes | is written |\n"
	"|---|---|\n"
	"| duration | `250ms`, `10s`, `1m30s`, `2h`, `30d`; units ns us ms s m h d |\n"
	"| ratio | `0.5` or `50%` |\n"
	"| size | `512kB`, `100MB`, `2GB` (1000 each), `64MiB` (1024 each) |\n"
	"| rate | amount and interval: `20/s`, `100/min`, `10/h`; of bytes with a unit: `10MB/s` (1000 each), `8MiB/s` (1024), `100Mbit/s`; "
	"`none` or `off`. Or with a burst: `{rate: 20/s, burst: 40}` |\n"
	"| switch | `on` or `off`; `true` and `false` are taken, too |\n"
	"| list | `[a, b]`, or a line with `- ` for each |\n";

static const char matching[] =
	"**Which match wins.** The most specific: an exact host, then a wildcard host (the longer domain first), then the\n"
	"longest prefix, then a match that names no address. Among those one with a port before one without, then one\n"
	"with a protocol before one without. Of the same match in two destinations the first in the file counts, and a\n"
	"warning tells.\n"
	"\n"
	"```yaml\n"
	"destinations:\n"
	"  - name: payments\n"
	"    match:\n"
	"      - {host: api.payments.example, port: 443}\n"
	"    mode: enforce\n"
	"    breaker: {consecutive_failures: 3, open_for: 10s}\n"
	"    limits: {concurrent: 64, connects: {rate: 20/s, burst: 40}}\n"
	"  - name: postgres\n"
	"    match:\n"
	"      - {port: 5432, protocol: tcp}     # whatever the address\n"
	"    scope: workload                      # a breaker for each program\n"
	"  - name: office\n"
	"    match: [{cidr: 10.0.0.0/8}, {cidr: \"fd00::/8\"}]\n"
	"```\n"
	"\n"
	"Names come from the DNS answers that programs get: a host belongs to its destination from its first answer on,\n"
	"and its state stays when its addresses change. Addresses and ports are known to the kernel beforehand: the very\n"
	"first connection is governed.\n";

static const char inherited[] =
	"Besides these a destination takes every key of `defaults`: `scope`, `on_agent_loss`, `enforce_percent`, and the\n"
	"sections `breaker` and `limits`. What it does not say is as in `defaults`.\n";

static const char selectors[] =
	"A selector is one of the keys below, as in\n"
	"\n"
	"```yaml\n"
	"workloads:\n"
	"  exclude: [{namespace: kube-system}, {cgroup: \"/system.slice/*\"}]\n"
	"```\n"
	"\n"
	"The agent's own pod, `kube-system` and the priority classes of the system are excluded also without a rule; a rule of `include` that fits brings them back.\n";

/* What stands before and behind the table of a part of the file. */
static const struct {
	const char *part; /* the first word of the path; "": keys without a section */
	const char *title;
	const char *before, *behind;
} parts[] = {
	{"", "General", NULL, NULL},
	{"attach", "attach", NULL, NULL},
	{"workloads", "workloads", selectors, NULL},
	{"kubernetes", "kubernetes", NULL, NULL},
	{"defaults", "defaults", NULL, NULL},
	{"destinations", "destinations", matching, inherited},
	{"dns", "dns", NULL, NULL},
	{"capacity", "capacity", NULL, NULL},
	{"shutdown", "shutdown", NULL, NULL},
	{"health", "health", NULL, NULL},
	{"node_fuse", "node_fuse", NULL, NULL},
	{"metrics", "metrics", NULL, NULL},
	{"audit", "audit", NULL, NULL},
	{"traces", "traces", NULL, NULL},
};

static bool is_of(const struct ebb_key *key, const char *part)
{
	size_t length = strcspn(key->path, ".[");

	if (part[0] == '\0')
		return key->path[length] == '\0' && key->kind != EBB_KEY_SECTION &&
		       key->kind != EBB_KEY_DESTINATIONS;
	return strlen(part) == length && strncmp(key->path, part, length) == 0 && key->path[length] != '\0';
}

static void write_key(FILE *out, const struct ebb_key *key)
{
	char variable[EBB_KEY_ENVIRON_MAX];
	const char *environ_name = ebb_key_environ(key, variable, sizeof(variable));

	if (key->kind == EBB_KEY_SECTION) {
		(void)fprintf(out, "| **`%s`** | | | | %s |\n", key->path, key->help);
		return;
	}
	(void)fprintf(out, "| `%s` | %s: %s | ", key->path, key->type, key->range);
	if (key->fallback)
		(void)fprintf(out, "`%s`", key->fallback);
	else if (key->flags & EBB_KEY_MUST)
		(void)fputs("must be given", out);
	(void)fputs(" | ", out);
	if (key->flag)
		(void)fprintf(out, "`--%s` ", key->flag);
	else if (key->breaker && environ_name)
		(void)fprintf(out, "`--breaker %s=` ", key->breaker->name);
	if (environ_name)
		(void)fprintf(out, "`%s`", environ_name);
	(void)fprintf(out, " | %s%s |\n", key->help, key->flags & EBB_KEY_RESTART ? " (*restart*)" : "");
}

int ebb_config_document(FILE *out)
{
	_cleanup_free_ struct ebb_keys *keys = ebb_keys_new();

	if (!keys)
		return -ENOMEM;
	(void)fputs(preface, out);
	for (size_t p = 0; p < sizeof(parts) / sizeof(parts[0]); p++) {
		const struct ebb_key *section = ebb_keys_find(keys, parts[p].part);

		(void)fprintf(out, "\n## %s\n\n", parts[p].title);
		if (section)
			(void)fprintf(out, "%c%s.\n\n",
				      section->help[0] >= 'a' && section->help[0] <= 'z'
					      ? section->help[0] - 'a' + 'A'
					      : section->help[0],
				      section->help + 1);
		if (parts[p].before)
			(void)fprintf(out, "%s\n", parts[p].before);
		(void)fputs("| key | takes | default | flag, variable | meaning |\n|---|---|---|---|---|\n",
			    out);
		for (size_t i = 0; i < keys->count; i++) {
			if (is_of(&keys->list[i], parts[p].part) &&
			    !(keys->list[i].flags & EBB_KEY_INHERITED &&
			      strcmp(keys->list[i].path, "destinations[].mode") != 0) &&
			    strcmp(keys->list[i].path, "destinations[].breaker") != 0 &&
			    strcmp(keys->list[i].path, "destinations[].limits") != 0)
				write_key(out, &keys->list[i]);
		}
		if (parts[p].behind)
			(void)fprintf(out, "\n%s", parts[p].behind);
	}
	return ferror(out) ? -EIO : 0;
}
