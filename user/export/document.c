/* SPDX-License-Identifier: Apache-2.0 */
/* docs/metrics.md, made from the table of metrics and from the lists that its labels take their values from. */
#include <errno.h>
#include <stdio.h>

#include "core/policy.h"
#include "export/family.h"
#include "export/metrics.h"

static const struct {
	const char *title;
	const char *text;
} groups[EBB_GROUP_MAX] = {
	[EBB_GROUP_CONNECTIONS] =
		{"Connections",
		 "One series for each pair of a workload and a destination (times the labels below)."},
	[EBB_GROUP_TRAFFIC] =
		{"Traffic",
		 "One series for each pair, times the labels below. What only TCP or only UDP has is there only "
		 "for such a destination, and for `~other`."},
	[EBB_GROUP_LATENCY] =
		{"Latency",
		 "Measured in the kernel, one histogram for each destination. A value that lies exactly on a "
		 "bound is counted above it, not below."},
	[EBB_GROUP_TURNS] =
		{"Turns",
		 "A turn is one request and its answer as they look from outside TLS ([turns](turns.md)). One series "
		 "for each pair whose destination speaks TCP, times the labels below; all stand still while `turns` "
		 "is off. The histogram of their times is under Latency, one for each destination; `ebb show` has "
		 "one for each pair."},
	[EBB_GROUP_BREAKERS] =
		{"Breakers",
		 "One series for each gate. The gate of a destination with `scope: node` is shared by all "
		 "workloads and has `workload=\"\"`; with `scope: workload` each pair has a gate of its own, and "
		 "so has a workload that is apart, since all that failed was its own, as long as it is."},
	[EBB_GROUP_LIMITS] =
		{"Limits",
		 "One series for each gate, as above. What is told is what holds now: what an operator gave by "
		 "hand, while it lasts, else what is configured. `ebb_limit_*` are there only where there is such "
		 "a limit, in observe mode too; `ebb_paced_connections` only where bytes are limited."},
	[EBB_GROUP_AGENT] = {"The agent", "About ebb itself."},
	[EBB_GROUP_HTTP] =
		{"The HTTP server",
		 "Requests to the agent itself. `handler` is what was asked for, never the path as it was written: "
		 "`events` are streams of `/api/v1/events`, `api` is the rest of `/api/v1`, `other` what is not "
		 "there. 200 is always shown (of `other` 404), another code from its first answer on. What is no "
		 "HTTP is not counted."},
	[EBB_GROUP_AUDIT] = {"The audit log",
			     "One series for each sink that is configured ([the audit log](audit.md))."},
	[EBB_GROUP_PROCESS] = {"The process",
			       "What every Prometheus client exports, for the process of the agent."},
};

static const char preface[] =
	"# Metrics\n"
	"\n"
	"Made from the table in `user/export/metrics.c`, which also makes `/metrics`: do not edit it.\n"
	"\n"
	"`/metrics` speaks the Prometheus text format 0.0.4, and OpenMetrics 1.0 to a client that prefers it,\n"
	"both compressed (gzip) for one that allows it, as Prometheus does. Times are in seconds, sizes in bytes.\n"
	"Histograms have twelve buckets, eleven bounds from 64 us to 67 s, each four times the one before, and `+Inf`; `ebb show` computes its quantiles from the finer histograms behind them,\n"
	"which have four buckets for each power of two.\n"
	"\n"
	"**Labels.** `destination` is what was connected to, `10.0.0.5:443/tcp` or `[2001:db8::5]:443/tcp`;\n"
	"`workload` is who opened the connection. On Kubernetes that is the owner of the pod, `deployment/web`, with\n"
	"`namespace`, `pod` and `container` (docs/kubernetes.md); series end when the pod is deleted. Elsewhere these\n"
	"three are absent, and it is the cgroup, as a path below the cgroup2 mount, or `cgroup:ID` when\n"
	"it was gone before its name was asked for. A service that is started again has a new cgroup of the same\n"
	"path: its series go on with a counter reset, and what the old one had counted is shown as\n"
	"`PATH (cgroup ID)` until that pair is idle for long enough to be forgotten.\n"
	"\n"
	"**Cardinality** is bounded by the capacities given at start, whatever the traffic: no series has a process\n"
	"id or a source port. What found no room in a table is counted together under `destination=\"~other\"` (and\n"
	"`workload=\"~other\"`); both are always shown. A destination with node scope has 54 series, a pair 28 or\n"
	"more, a gate with limits up to 7 more. Destinations and pairs that were idle for long enough are forgotten\n"
	"and their series end.\n"
	"\n"
	"**Fewer labels.** `metrics.labels` names those of `destination`, `workload`, `namespace`, `pod` and `container` that\n"
	"the series of workloads and breakers keep; `destination` always stays. What only the others tell apart becomes one\n"
	"series, added up: with\n"
	"\n"
	"```yaml\n"
	"metrics: {labels: [destination, workload, namespace]}\n"
	"```\n"
	"\n"
	"a Deployment has one series for each destination however many pods it has, and with `[destination]` a node has one\n"
	"for all its workloads. Counters and `ebb_active_connections` are sums, of the limits and what is in use of them too;\n"
	"`ebb_breaker_state` says how many breakers are in each state; of times and ratios the greatest is shown. Sums never\n"
	"run backwards: what a pair counted that is given back is carried on by its series, until nobody is left whom it\n"
	"tells of. They begin at 0 when the agent starts, as with any other process, and when the list is changed, which\n"
	"can be done while it runs. A workload that gets another name (a pod that was not yet known) counts under it from then on. The\n"
	"same holds for what is pushed as OTLP; commands, the API and the page go on telling each pair apart.\n"
	"\n"
	"**Would-be denials and drops.** In observe mode nothing is refused and nothing is dropped. An attempt that\n"
	"enforce mode would have refused goes through and is counted twice: in `ebb_denied_total` with\n"
	"`enforced=\"false\"`, and in `ebb_connects_total` under what really happened to it. Only real refusals are\n"
	"`outcome=\"denied\"`. A packet that would have been dropped is sent, and counted as sent, too.\n"
	"\n"
	"**Series that come late.** In `ebb_denied_total` the causes `breaker` and `half_open` are always there,\n"
	"`rate` and `concurrency` where the destination has such a limit. A cause of `ebb_dropped_bytes_total` and\n"
	"`ebb_dropped_packets_total` is there where there is such a limit (`breaker`: where live connections are to\n"
	"be dropped), `ebb_reset_connections_total` where they are to be reset. Everything else of these, and\n"
	"`ebb_adopted_connections_total`, appears with the first that it counts, so that a pair does not carry zeros\n"
	"that nearly nobody needs; `rate()` does not see that first one.\n"
	"\n"
	"**When bytes are counted.** Those of a TCP connection, and its retransmissions, when it ends; from its first\n"
	"megabyte on also while it lives, in about every sixteenth round trip. An adopted connection for\n"
	"which the kernel does not call back is counted every five minutes while it lives. Packets are looked at only while some destination limits\n"
	"bytes or packets or drops what live connections send: the bytes of UDP, and the datagrams of connected\n"
	"sockets, are counted only then; datagrams of unconnected sockets always.\n"
	"\n"
	"**What is exact.** The counters of connections, breakers and errors in the kernel live in pinned maps and go\n"
	"on when the agent is started again. `outcome=\"local\"` is the difference of two of them: it may run ahead by\n"
	"the few connects that are under way at the moment of a scrape, is then held until the true number has\n"
	"passed it, and may fall back by as much when the agent is started again. `ebb_connection_failures_total`\n"
	"has the same reasons whatever the breaker is told to count. The lines of one scrape are read\n"
	"one after the other, so that two families may be apart by what happened in between.\n";

/* The values of labels that come from a list, each made from that list. */
static void document_values(FILE *out)
{
	(void)fputs("\n## Values of labels\n\n| label | values |\n|---|---|\n| outcome | ", out);
	(void)fputs("established, refused, timeout, unreachable, local (failed before any SYN: no route, no source "
		    "port), abandoned, cancelled, denied (refused by a gate) |\n| reason of a failure | ",
		    out);
	for (size_t i = 0; i < EBB_FAILURES; i++)
		(void)fprintf(out, "%s%s", i > 0 ? ", " : "", ebb_outcome_name(ebb_failures[i]));
	(void)fputs(" |\n| result of a turn | ", out);
	for (uint32_t i = 0; i < EBB_TURN_MAX; i++)
		(void)fprintf(out, "%s%s", i > 0 ? ", " : "", ebb_turn_name(i));
	(void)fputs(" |\n| cause of a denial | ", out);
	for (uint32_t i = 0; i < EBB_CAUSE_MAX; i++)
		(void)fprintf(out, "%s%s", i > 0 ? ", " : "", ebb_cause_name(i));
	(void)fputs(" |\n| cause of a drop | ", out);
	for (uint32_t i = 0; i < EBB_DROP_MAX; i++)
		(void)fprintf(out, "%s%s", i > 0 ? ", " : "", ebb_drop_name(i));
	(void)fputs(" |\n| state | ", out);
	for (uint32_t i = 0; i < EBB_STATE_MAX; i++)
		(void)fprintf(out, "%s%s", i > 0 ? ", " : "", ebb_state_name(i));
	(void)fputs(" |\n| from, to, reason of a transition | ", out);
	for (uint32_t i = 0; i < EBB_REASON_MAX; i++)
		(void)fprintf(out, "%s%s to %s: %s", i > 0 ? "; " : "", ebb_state_name(ebb_reason_from(i)),
			      ebb_state_name(ebb_reason_to(i)), ebb_reason_name(i));
	(void)fputs(" |\n| reason of an error in the kernel | ", out);
	for (uint32_t i = 0; i < EBB_ERR_MAX; i++)
		(void)fprintf(out, "%s%s", i > 0 ? ", " : "", ebb_error_name(i));
	(void)fputs(" |\n| result of a reload | ", out);
	for (uint32_t i = 0; i < EBB_RELOAD_MAX; i++)
		(void)fprintf(out, "%s%s", i > 0 ? ", " : "", ebb_reload_name(i));
	(void)fputs(" |\n| handler | ", out);
	for (uint32_t i = 0; i < EBB_HTTP_HANDLER_MAX; i++)
		(void)fprintf(out, "%s%s", i > 0 ? ", " : "", ebb_http_handler_name(i));
	(void)fputs(" |\n| code | ", out);
	for (uint32_t i = 0; i < EBB_HTTP_CODES; i++)
		(void)fprintf(out, "%s%s", i > 0 ? ", " : "", ebb_http_code_name(i));
	(void)fputs(" |\n", out);
}

static void document_family(FILE *out, const struct ebb_family *family)
{
	static const char *const item_labels[] = {
		[EBB_WALK_ONCE] = "",
		[EBB_WALK_HANDLER] = "handler",
		[EBB_WALK_DST] = "destination",
		[EBB_WALK_PAIR] = "destination, workload, namespace, pod, container",
		[EBB_WALK_POD] = "namespace, pod, uid",
		[EBB_WALK_GATE] = "destination, workload, namespace, pod, container",
	};
	const char *first = item_labels[family->walk], *second = family->labels ? family->labels : "";

	(void)fprintf(out, "| `%s%s` | %s | %s%s%s | %s |\n", family->name, ebb_family_suffix(family),
		      ebb_family_type_name(family->type), first, *first && *second ? ", " : "", second,
		      family->help);
}

int ebb_metrics_document(FILE *out)
{
	(void)fputs(preface, out);
	for (int group = 0; group < EBB_GROUP_MAX; group++) {
		(void)fprintf(out, "\n## %s\n\n%s\n\n| name | type | labels | meaning |\n|---|---|---|---|\n",
			      groups[group].title, groups[group].text);
		for (size_t i = 0; i < ebb_family_count; i++)
			if (ebb_families[i].group == (enum ebb_family_group)group)
				document_family(out, &ebb_families[i]);
	}
	document_values(out);
	return fflush(out) == 0 && !ferror(out) ? 0 : -EIO;
}
