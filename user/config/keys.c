/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table is written in four pieces: what stands once; what stands both below "defaults" and
 * below each destination; what stands below each place that something is delivered to; and the breaker's keys,
 * from core/policy.c. ebb_keys_new() puts them together.
 */
#include "config/keys.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "config/rules.h"
#include "export/groups.h"
#include "export/health.h"
#include "export/spool.h"
#include "lib/units.h"

#define SECOND	    1000000000ULL
#define MILLISECOND (SECOND / 1000)
#define MB	    1000000ULL
#define GB	    (1000 * MB)
#define HOUR	    (3600 * SECOND)
#define DAY	    (24 * HOUR)

/* The capacities are arrays in kernel memory: a destination takes about 2.5 KB, a pair 0.6 KB. */
#define CAPACITY_MAX (1U << 20)

static const char *const modes[] = {"observe", "enforce", NULL}; /* enum ebb_mode */
static const char *const losses[] = {"release", "hold", NULL};	 /* enum ebb_on_agent_loss */
static const char *const scopes[] = {"node", "workload", NULL};	 /* enum ebb_scope */
static const char *const errnos[] = {"econnrefused", "ehostunreach", "etimedout", "eperm",
				     NULL};			    /* ebb_errno */
static const char *const schedulings[] = {"rr", "other", NULL};	    /* enum ebb_scheduling */
static const char *const seccomps[] = {"on", "log", "off", NULL};   /* enum ebb_seccomp_mode */
static const char *const fates[] = {"keep", "drop", "reset", NULL}; /* enum ebb_established */
static const char *const exits[] = {"keep", "detach", NULL};
static const char *const excluded[] = {"observe", "ignore",
				       NULL};		       /* enum ebb_class, from EBB_CLASS_OBSERVED */
static const char *const log_formats[] = {"kv", "json", NULL}; /* enum ebb_log_format */
static const char *const levels[] = {"error", "warn", "info", "debug", NULL}; /* enum ebb_log_level */
static const char *const sources[] = {"auto", "api", "kubelet", "off", NULL}; /* enum ebb_kubernetes_source */
static const char *const pushes[] = {"auto", "on", "off", NULL};	      /* enum ebb_push */
static const char *const protocols[] = {"tcp", "udp", NULL};
static const char *const fuse_actions[] = {"alert", "release", "shed",
					   NULL}; /* enum ebb_fuse_action, from EBB_FUSE_ALERT */

#define ERRNOS "econnrefused, ehostunreach, etimedout or eperm"

#define AT(member) .offset = offsetof(struct ebb_config, member)
#define TEXT_AT(member) \
	.offset = offsetof(struct ebb_config, member), .size = sizeof(((struct ebb_config *)0)->member)
#define SETTING(member)	   .offset = offsetof(struct ebb_settings, member)
#define DELIVERY(member)   .offset = offsetof(struct ebb_delivery_settings, member)
#define NOWHERE		   .offset = EBB_KEY_NOWHERE
#define CHOICES(list)	   .kind = EBB_KEY_CHOICE, .type = "word", .choices = (list)
#define SWITCH		   .kind = EBB_KEY_SWITCH, .type = "switch", .range = "on or off"
#define DURATION(from, to) .kind = EBB_KEY_DURATION, .type = "duration", .min = (from), .max = (to)
#define BYTES(from, to)	   .kind = EBB_KEY_BYTES, .type = "size", .min = (from), .max = (to)
#define COUNT(from, to)	   .kind = EBB_KEY_COUNT, .type = "whole number", .min = (from), .max = (to)
#define SECTION		   .kind = EBB_KEY_SECTION, .type = "section", NOWHERE

/* Stands before everything of the table that is put in its place: settings, the breaker's keys. */
#define HERE_SETTINGS "*settings"
#define HERE_BREAKER  "*breaker"
/* Of the place that the row's .help names, "audit.file": the keys of a delivery. */
#define HERE_DELIVERY "*delivery"

/* Below "defaults" and below each destination. */
static const struct ebb_key setting_keys[] = {
	{.path = "scope",
	 CHOICES(scopes),
	 .range = "node or workload",
	 .fallback = "node",
	 .flag = "scope",
	 SETTING(scope),
	 .help = "node: all workloads share the breaker and the limits of a destination; workload: each has its own. "
		 "Loopback and link-local destinations always have one for each workload: a destination of node scope that is about other addresses, too, claims none of them"},
	{.path = "on_agent_loss",
	 CHOICES(losses),
	 .range = "release or hold",
	 .fallback = "release",
	 .flag = "on-agent-loss",
	 SETTING(on_agent_loss),
	 .help = "what holds when the agent is gone for longer than the lease: release refuses nothing more, hold goes "
		 "on refusing and limiting"},
	{.path = "enforce_percent",
	 COUNT(0, 100),
	 .range = "0 to 100",
	 .fallback = "100",
	 SETTING(enforce_percent),
	 .help = "of a hundred connections that would be refused so many are, to roll out carefully; the others are only counted, as in observe mode. What an operator opens by hand refuses all; limits of bytes and packets, and established, hold whole"},
	{.path = "breaker",
	 SECTION,
	 .help = "when connections are refused because a destination fails, and for how long (docs/state-machine.md)"},
	{.path = HERE_BREAKER},
	{.path = "breaker.errno",
	 CHOICES(errnos),
	 .range = ERRNOS,
	 .fallback = "econnrefused",
	 .flag = "errno",
	 SETTING(errno_code),
	 .help = "what a program sees that the breaker refuses"},
	{.path = "breaker.established",
	 CHOICES(fates),
	 .range = "keep, drop or reset",
	 .fallback = "keep",
	 .flag = "established",
	 SETTING(established),
	 .help = "what becomes of live connections when the breaker opens; drop: what they send is dropped; reset: they "
		 "are ended at once"},
	{.path = "limits", SECTION, .help = "what may be sent and opened at most (docs/limits.md)"},
	{.path = "limits.bytes",
	 .kind = EBB_KEY_LIMIT,
	 .type = "rate",
	 .min = EBB_LIMIT_BYTES,
	 .range = "none, or a rate up to 1TB/s; with {rate: 10MB/s, burst: 2MB} also how much at once",
	 .fallback = "none",
	 .flag = "bytes",
	 SETTING(limits.bucket[EBB_LIMIT_BYTES]),
	 .help = "IP bytes sent to it; TCP is paced, what exceeds the pace is dropped"},
	{.path = "limits.packets",
	 .kind = EBB_KEY_LIMIT,
	 .type = "rate",
	 .min = EBB_LIMIT_PACKETS,
	 .range = "none, or a rate up to 1000M/s; with {rate: 1000/s, burst: 500} also how many at once",
	 .fallback = "none",
	 .flag = "packets",
	 SETTING(limits.bucket[EBB_LIMIT_PACKETS]),
	 .help = "packets sent to it"},
	{.path = "limits.connects",
	 .kind = EBB_KEY_LIMIT,
	 .type = "rate",
	 .min = EBB_LIMIT_CONNECTS,
	 .range = "none, or a rate up to 1000M/s; with {rate: 20/s, burst: 40} also how many at once",
	 .fallback = "none",
	 .flag = "connects",
	 SETTING(limits.bucket[EBB_LIMIT_CONNECTS]),
	 .help = "new connections to it; what is over is refused at once"},
	{.path = "limits.concurrent",
	 .kind = EBB_KEY_CONCURRENT,
	 .type = "whole number",
	 .range = "a whole number from 1, or none",
	 .fallback = "none",
	 .flag = "concurrent",
	 SETTING(limits.concurrent),
	 .help = "open and opening connections that it may have; what is over is refused at once"},
	{.path = "limits.errno",
	 CHOICES(errnos),
	 .range = ERRNOS,
	 .flag = "errno", /* one flag for both: only the file sets them apart */
	 SETTING(limits_errno),
	 .help = "what a program sees that a limit refuses; without it as breaker.errno says"},
};

/* Below each place that something is delivered to. */
static const struct ebb_key delivery_keys[] = {
	{.path = "delivery", SECTION, .help = "how often what fails is tried again"},
	{.path = "delivery.attempts",
	 COUNT(1, 100),
	 .range = "1 to 100",
	 .fallback = "5",
	 DELIVERY(attempts),
	 .help = "what failed so often goes to the dead letters"},
	{.path = "delivery.first",
	 DURATION(10 * MILLISECOND, HOUR),
	 .range = "10ms to 1h",
	 .fallback = "1s",
	 DELIVERY(first_ns),
	 .help = "wait before the second attempt"},
	{.path = "delivery.max",
	 DURATION(10 * MILLISECOND, HOUR),
	 .range = "10ms to 1h",
	 .fallback = "32s",
	 DELIVERY(max_ns),
	 .help = "the longest wait"},
	{.path = "delivery.factor",
	 .kind = EBB_KEY_NUMBER,
	 .type = "number",
	 .min = 1,
	 .max = 10,
	 .range = "1 to 10",
	 .fallback = "2",
	 DELIVERY(factor),
	 .help = "each wait is so many times the one before"},
	{.path = "delivery.jitter",
	 .kind = EBB_KEY_RATIO,
	 .type = "ratio",
	 .range = "0 to 1",
	 .fallback = "0.2",
	 DELIVERY(jitter),
	 .help = "each wait is so much longer or shorter, at most"},
};

static const struct ebb_key plain_keys[] = {
	{.path = "mode",
	 CHOICES(modes),
	 .range = "observe or enforce",
	 .fallback = "observe",
	 .flag = "mode",
	 AT(defaults.mode),
	 .help = "observe: count what would be refused; enforce: refuse it"},
	{.path = "attach", SECTION, .help = "where connections are governed"},
	{.path = "attach.cgroup",
	 .kind = EBB_KEY_CGROUP,
	 .type = "path",
	 .range = "a cgroup2 directory, or auto",
	 .fallback = "auto",
	 .flag = "cgroup",
	 TEXT_AT(cgroup),
	 .flags = EBB_KEY_RESTART,
	 .help = "connections opened below this cgroup2 directory are governed; auto is the kubepods slice if there is "
		 "one, else the root"},
	{.path = "listen",
	 .kind = EBB_KEY_LISTEN,
	 .type = "address",
	 .range = "like 127.0.0.1:9478, [::1]:9478 or :9478",
	 .fallback = "127.0.0.1:9478",
	 .flag = "listen",
	 TEXT_AT(listen),
	 .flags = EBB_KEY_RESTART,
	 .help = "where metrics and health are served, read-only; port 0 takes a free one"},
	{.path = "workloads", SECTION, .help = "which programs are governed"},
	{.path = "workloads.include",
	 .kind = EBB_KEY_SELECTORS,
	 .type = "list",
	 .range = "a list of selectors",
	 NOWHERE,
	 .flags = EBB_KEY_FILE_ONLY,
	 .help = "only these are governed; nothing here: all"},
	{.path = "workloads.exclude",
	 .kind = EBB_KEY_SELECTORS,
	 .type = "list",
	 .range = "a list of selectors",
	 NOWHERE,
	 .flags = EBB_KEY_FILE_ONLY,
	 .help = "these are not; stronger than include; the selectors of both are made of these keys"},
	{.path = "workloads.exclude[].cgroup",
	 .kind = EBB_KEY_PATTERN,
	 .type = "pattern",
	 .range = "a pattern that begins with '/' or '*'",
	 NOWHERE,
	 .flags = EBB_KEY_FILE_ONLY,
	 .help = "of the path below the cgroup2 mount, such as \"/system.slice/*\"; '*' takes any characters, '/' too"},
	{.path = "workloads.exclude[].namespace",
	 .kind = EBB_KEY_PATTERN,
	 .type = "pattern",
	 .range = "a name or a pattern",
	 NOWHERE,
	 .flags = EBB_KEY_FILE_ONLY,
	 .help = "of Kubernetes, such as kube-system or \"dev-*\""},
	{.path = "workloads.exclude[].label",
	 .kind = EBB_KEY_PATTERN,
	 .type = "pattern",
	 .range = "key=value; the value may be a pattern",
	 NOWHERE,
	 .flags = EBB_KEY_FILE_ONLY,
	 .help = "of the pod, such as app=crawler"},
	{.path = "workloads.exclude[].priority_class",
	 .kind = EBB_KEY_PATTERN,
	 .type = "pattern",
	 .range = "a name or a pattern",
	 NOWHERE,
	 .flags = EBB_KEY_FILE_ONLY,
	 .help = "of the pod, such as \"system-*\""},
	{.path = "workloads.excluded",
	 CHOICES(excluded),
	 .min = EBB_CLASS_OBSERVED,
	 .range = "observe or ignore",
	 .fallback = "observe",
	 AT(workloads.excluded),
	 .help = "observe: excluded ones are counted, never refused; ignore: as if ebb were not there"},
	{.path = "kubernetes", SECTION, .help = "who tells which pod a workload is of (docs/kubernetes.md)"},
	{.path = "kubernetes.source",
	 CHOICES(sources),
	 .range = "auto, api, kubelet or off",
	 .fallback = "auto",
	 AT(kubernetes.source),
	 .flags = EBB_KEY_RESTART,
	 .help = "api: a watch on the API server; kubelet: its /pods, every ten seconds and when a pod is new; auto: api "
		 "inside a cluster, else off"},
	{.path = "kubernetes.node",
	 .kind = EBB_KEY_WORD,
	 .type = "word",
	 .range = "the name of this node",
	 TEXT_AT(kubernetes.node),
	 .flags = EBB_KEY_RESTART,
	 .help = "whose pods the API server is asked for; without it as the variable NODE_NAME says"},
	{.path = "kubernetes.api",
	 .kind = EBB_KEY_URL,
	 .type = "URL",
	 .range = "like https://10.0.0.1:6443, without a password in it",
	 TEXT_AT(kubernetes.api),
	 .flags = EBB_KEY_RESTART,
	 .help = "the API server; without it as KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT say"},
	{.path = "kubernetes.kubelet",
	 .kind = EBB_KEY_URL,
	 .type = "URL",
	 .range = "like https://127.0.0.1:10250, without a password in it",
	 .fallback = "https://127.0.0.1:10250",
	 TEXT_AT(kubernetes.kubelet),
	 .flags = EBB_KEY_RESTART,
	 .help = "the kubelet of this node"},
	{.path = "kubernetes.token_file",
	 .kind = EBB_KEY_PATH,
	 .type = "path",
	 .range = "an absolute path",
	 .fallback = "/var/run/secrets/kubernetes.io/serviceaccount/token",
	 TEXT_AT(kubernetes.token_file),
	 .flags = EBB_KEY_RESTART,
	 .help = "the token, read for each request since it is rotated; it goes over https:// only"},
	{.path = "kubernetes.ca_file",
	 .kind = EBB_KEY_PATH,
	 .type = "path",
	 .range = "an absolute path",
	 .fallback = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt",
	 TEXT_AT(kubernetes.ca_file),
	 .flags = EBB_KEY_RESTART,
	 .help = "who may have signed the certificate of whom we ask, as PEM"},
	{.path = "kubernetes.verify",
	 SWITCH,
	 .fallback = "on",
	 AT(kubernetes.verify),
	 .flags = EBB_KEY_RESTART,
	 .help = "off: any certificate will do, for a kubelet that signed its own; whoever answers in its place gets the token"},
	{.path = "kubernetes.labels",
	 .kind = EBB_KEY_WORDS,
	 .type = "list",
	 .range = "a list of up to 8 labels of pods, such as app or app.kubernetes.io/name",
	 TEXT_AT(kubernetes.labels),
	 .flags = EBB_KEY_RESTART,
	 .help = "shown by ebb_pod_labels, to be joined with the other series"},
	{.path = "defaults", SECTION, .help = "what holds for every destination that does not say otherwise"},
	{.path = HERE_SETTINGS, .min = 0},
	{.path = "destinations",
	 .kind = EBB_KEY_DESTINATIONS,
	 .type = "list",
	 .range = "a list of destinations",
	 NOWHERE,
	 .flags = EBB_KEY_FILE_ONLY,
	 .help = "destinations with a name; an address that none of them claims is a destination of its own"},
	{.path = "destinations[].name",
	 .kind = EBB_KEY_NAME,
	 .type = "name",
	 .range = "up to 63 letters, digits, '.', '_' and '-', not like an address",
	 .offset = offsetof(struct ebb_destination, name),
	 .size = EBB_DESTINATION_NAME_MAX,
	 .flags = EBB_KEY_FILE_ONLY | EBB_KEY_DESTINATION | EBB_KEY_MUST,
	 .help = "as it is shown and called everywhere; breaker state and orders by hand belong to it"},
	{.path = "destinations[].match",
	 .kind = EBB_KEY_MATCHES,
	 .type = "list",
	 .range = "a list of matches",
	 NOWHERE,
	 .flags = EBB_KEY_FILE_ONLY | EBB_KEY_DESTINATION | EBB_KEY_MUST,
	 .help = "what belongs to it: each match names a host, a cidr or a port, and what it names must all fit"},
	{.path = "destinations[].match[].host",
	 .kind = EBB_KEY_HOST,
	 .type = "host name",
	 .range = "a host name, or \"*.\" and a domain",
	 NOWHERE,
	 .flags = EBB_KEY_FILE_ONLY | EBB_KEY_DESTINATION,
	 .help = "addresses that DNS answers gave for this name; \"*.example.com\" is every name below, not the domain itself"},
	{.path = "destinations[].match[].cidr",
	 .kind = EBB_KEY_CIDR,
	 .type = "prefix",
	 .range = "like 10.0.0.0/8, 192.0.2.7 or \"2001:db8::/32\"",
	 NOWHERE,
	 .flags = EBB_KEY_FILE_ONLY | EBB_KEY_DESTINATION,
	 .help = "addresses; \"::/0\" is all of IPv6 and nothing of IPv4"},
	{.path = "destinations[].match[].port",
	 COUNT(1, 65535),
	 .range = "1 to 65535",
	 NOWHERE,
	 .flags = EBB_KEY_FILE_ONLY | EBB_KEY_DESTINATION,
	 .help = "without it: every port"},
	{.path = "destinations[].match[].protocol",
	 CHOICES(protocols),
	 .range = "tcp or udp",
	 NOWHERE,
	 .flags = EBB_KEY_FILE_ONLY | EBB_KEY_DESTINATION,
	 .help = "without it: both"},
	{.path = "destinations[].mode",
	 CHOICES(modes),
	 .range = "observe or enforce",
	 .offset = offsetof(struct ebb_destination, settings.mode),
	 .flags = EBB_KEY_FILE_ONLY | EBB_KEY_DESTINATION | EBB_KEY_INHERITED,
	 .help = "for this one alone; without it, the mode above"},
	{.path = HERE_SETTINGS, .min = 1},
	{.path = "dns", SECTION, .help = "names of addresses, from the DNS answers that programs get"},
	{.path = "dns.names",
	 SWITCH,
	 .fallback = "on",
	 AT(dns_names),
	 .help = "show host names instead of addresses also where no match is about hosts; off: DNS answers are looked at "
		 "only for those"},
	{.path = "dns.grace",
	 DURATION(0, 7 * DAY),
	 .range = "0s to 7d",
	 .fallback = "10m",
	 AT(dns_grace_ns),
	 .help = "an answer is believed so long after its time to live: programs keep addresses for longer than they may"},
	{.path = "dns.resolvers",
	 .kind = EBB_KEY_RESOLVERS,
	 .type = "list",
	 .range = "auto, or a list of up to 16 addresses, auto among them",
	 .fallback = "auto",
	 NOWHERE,
	 .help = "whose answers are believed; auto: resolv.conf, the loopback stub, the cluster's DNS"},
	{.path = "turns",
	 SWITCH,
	 .fallback = "on",
	 AT(turns),
	 .help = "see requests and their answers: a connection's result is then that of its first one; off: it is a success "
		 "when it is established, and no program looks at packets unless a limit needs one"},
	{.path = "adopt",
	 SWITCH,
	 .fallback = "on",
	 .flag = "adopt",
	 AT(adopt),
	 .flags = EBB_KEY_RESTART,
	 .help = "count connections that were open before the agent; off: only those that come after"},
	{.path = "lease",
	 /* the heartbeat of an idle agent comes once a second: a shorter lease would end between two */
	 DURATION(2 * SECOND, HOUR),
	 .range = "2s to 1h",
	 .fallback = "30s",
	 .flag = "lease",
	 AT(lease_ns),
	 .help = "for how long verdicts hold when the agent no longer renews them"},
	{.path = "scheduling",
	 CHOICES(schedulings),
	 .range = "rr or other",
	 .fallback = "rr",
	 .flag = "scheduling",
	 AT(scheduling),
	 .help = "rr: the lowest real-time priority while it enforces, so that verdicts are not late on a busy machine; "
		 "other: none"},
	{.path = "seccomp",
	 CHOICES(seccomps),
	 .range = "on, log or off",
	 .fallback = "on",
	 AT(seccomp),
	 .flags = EBB_KEY_RESTART,
	 .help = "on: system calls that the agent does not need are refused to it once it has started, with a line in its log; log: they are only told; off: neither (docs/security.md)"},
	{.path = "log_level",
	 CHOICES(levels),
	 .range = "error, warn, info or debug",
	 .fallback = "info",
	 .flag = "log-level",
	 AT(log_level),
	 .help = "what goes to standard error"},
	{.path = "log_format",
	 CHOICES(log_formats),
	 .range = "kv or json",
	 .fallback = "kv",
	 .flag = "log-format",
	 AT(log_format),
	 .help = "kv: a message and key=value for people; json: an object each line, with its time, for collectors"},
	{.path = "capacity",
	 SECTION,
	 .help = "how much is kept; what finds no room is counted together as ~other"},
	{.path = "capacity.destinations",
	 COUNT(1, CAPACITY_MAX),
	 .range = "1 to 1048576",
	 .fallback = "4096",
	 .flag = "destinations",
	 AT(cap_destinations),
	 .flags = EBB_KEY_RESTART,
	 .help = "room for destinations, about 2.5 KB of kernel memory each"},
	{.path = "capacity.pairs",
	 COUNT(1, CAPACITY_MAX),
	 .range = "1 to 1048576",
	 .fallback = "16384",
	 .flag = "pairs",
	 AT(cap_pairs),
	 .flags = EBB_KEY_RESTART,
	 .help = "room for pairs of a workload and a destination, about 0.6 KB each"},
	{.path = "capacity.endpoints",
	 COUNT(1, CAPACITY_MAX),
	 .range = "1 to 1048576",
	 .fallback = "65536",
	 .flag = "endpoints",
	 AT(cap_endpoints),
	 .flags = EBB_KEY_RESTART,
	 .help = "room for addresses with their ports; those that a cidr or a port claims need none"},
	{.path = "capacity.idle",
	 DURATION(SECOND, 30 * DAY),
	 .range = "1s to 30d",
	 .fallback = "10m",
	 .flag = "idle",
	 AT(idle_ns),
	 .help = "room that nobody used for so long, and up to half a minute longer, is given back"},
	{.path = "shutdown", SECTION, .help = "how the agent ends"},
	{.path = "shutdown.delay",
	 DURATION(0, HOUR),
	 .range = "0s to 1h",
	 .fallback = "0s",
	 .flag = "shutdown-delay",
	 AT(shutdown_delay_ns),
	 .help = "after SIGTERM or SIGINT it is not ready and goes on for so long, so that who sends it requests finds out"},
	{.path = "shutdown.timeout",
	 DURATION(SECOND, HOUR),
	 .range = "1s to 1h",
	 .fallback = "30s",
	 .flag = "shutdown-timeout",
	 AT(shutdown_timeout_ns),
	 .help = "after SIGTERM or SIGINT, and the delay, it ends within this time"},
	{.path = "shutdown.on_exit",
	 CHOICES(exits),
	 .range = "keep or detach",
	 .fallback = "keep",
	 .flag = "on-exit",
	 AT(on_exit_detach),
	 .help = "keep: the pinned programs go on; detach: leave no trace"},
	{.path = "health", SECTION, .help = "what /health says (docs/operations.md)"},
	{.path = "health.ignore",
	 .kind = EBB_KEY_SET,
	 .type = "list",
	 .choices = ebb_health_component_names,
	 .range = "a list of components that /health names",
	 AT(health_ignored),
	 .help = "components that are checked and shown, and on which neither the whole nor readiness depends"},
	{.path = "node_fuse",
	 SECTION,
	 .help = "one breaker above the others: many destinations fail because the node does"},
	{.path = "node_fuse.open_ratio",
	 .kind = EBB_KEY_RATIO,
	 .type = "ratio",
	 .min = 1,
	 .range = "above 0 and up to 1",
	 .fallback = "0.5",
	 AT(node_fuse.open_ratio),
	 .help = "it acts when this share of the active destinations, or more, is open, and ends when less than half of it was for one defaults.breaker.window"},
	{.path = "node_fuse.min_destinations",
	 COUNT(1, CAPACITY_MAX),
	 .range = "1 to 1048576",
	 .fallback = "4",
	 AT(node_fuse.min_destinations),
	 .help = "with fewer active destinations it does not act; only those count that a rule names or two workloads use"},
	{.path = "node_fuse.min_calls",
	 COUNT(1, 1000000),
	 .range = "1 to 1000000",
	 .fallback = "50",
	 AT(node_fuse.min_calls),
	 .help = "results of all destinations together that the window must hold before it acts"},
	{.path = "node_fuse.action",
	 CHOICES(fuse_actions),
	 .min = EBB_FUSE_ALERT,
	 .range = "alert, release or shed",
	 .fallback = "alert",
	 AT(node_fuse.action),
	 .help = "alert: only tell; release: breakers stop refusing; shed: everything not exempt is refused, name servers too, but no probe"},
	{.path = "node_fuse.exempt",
	 .kind = EBB_KEY_WORDS,
	 .type = "list",
	 .range = "a list of names that stand in destinations",
	 NOWHERE,
	 .help = "destinations that shed never refuses"},
	{.path = "metrics", SECTION, .help = "what /metrics shows"},
	{.path = "metrics.labels",
	 .kind = EBB_KEY_SET,
	 .type = "list",
	 .choices = ebb_kept_names,
	 .range = "a list of destination, workload, namespace, pod, container",
	 AT(metrics_labels),
	 .help = "labels that the series of workloads keep; what only the others tell apart is one series, added up (docs/metrics.md). destination is always kept. Without it all five"},
	{.path = "metrics.otlp",
	 SECTION,
	 .help = "what /metrics shows, pushed to an OpenTelemetry collector as well (docs/otlp.md)"},
	{.path = "metrics.otlp.enabled",
	 CHOICES(pushes),
	 .range = "auto, on or off",
	 .fallback = "auto",
	 AT(metrics_otlp.enabled),
	 .help = "auto: where there is an endpoint, ours or by a variable of OpenTelemetry; on: without one to http://localhost:4318; off: whatever variables say"},
	{.path = "metrics.otlp.endpoint",
	 .kind = EBB_KEY_URL,
	 .type = "URL",
	 .range = "like http://otel-collector:4318, without a password in it",
	 TEXT_AT(metrics_otlp.endpoint),
	 .help = "the collector; /v1/metrics is appended. Without it what OTEL_EXPORTER_OTLP_ENDPOINT says, else nothing is pushed"},
	{.path = "metrics.otlp.headers_file",
	 .kind = EBB_KEY_PATH,
	 .type = "path",
	 .range = "an absolute path",
	 TEXT_AT(metrics_otlp.headers_file),
	 .help = "the headers of each request, a line like Authorization: Bearer abc for each; read for each request, so that a secret can be changed. Without it what OTEL_EXPORTER_OTLP_HEADERS says"},
	{.path = "metrics.otlp.interval",
	 DURATION(SECOND, HOUR),
	 .range = "1s to 1h",
	 .fallback = "60s",
	 AT(metrics_otlp.interval_ns),
	 .help = "from one push to the next"},
	{.path = "metrics.otlp.timeout",
	 DURATION(100 * MILLISECOND, 60 * SECOND),
	 .range = "100ms to 60s",
	 .fallback = "5s",
	 AT(metrics_otlp.timeout_ns),
	 .help = "how long the collector may take for a request"},
	{.path = "metrics.otlp.gzip",
	 SWITCH,
	 .fallback = "off",
	 AT(metrics_otlp.gzip),
	 .help = "compress what is pushed"},
	{.path = "audit",
	 SECTION,
	 .help = "where events are kept; any number of sinks at once (docs/audit.md)"},
	{.path = "audit.dir",
	 .kind = EBB_KEY_PATH,
	 .type = "path",
	 .range = "an absolute path",
	 .fallback = "/var/lib/ebb",
	 TEXT_AT(audit.dir),
	 .flags = EBB_KEY_RESTART,
	 .help = "directory of what waits for a sink, and of what none took; made if it is not there, but not what is above it"},
	{.path = "audit.spool",
	 BYTES(8 * MB, EBB_SPOOL_BYTES_MAX),
	 .range = "8MB to 64GB",
	 .fallback = "64MB",
	 AT(audit.spool_bytes),
	 .flags = EBB_KEY_RESTART,
	 .help = "so much may wait for the slowest sink; then no sink gets new events"},
	{.path = "audit.file", SECTION, .help = "lines of JSON"},
	{.path = "audit.file.path",
	 .kind = EBB_KEY_PATH,
	 .type = "path",
	 .range = "an absolute path, or off",
	 .fallback = "off",
	 TEXT_AT(audit.file.path),
	 .flags = EBB_KEY_OFF,
	 .help = "off: no such file"},
	{.path = "audit.file.size",
	 BYTES(MB, 64 * GB),
	 .range = "1MB to 64GB",
	 .fallback = "100MB",
	 AT(audit.file.max_bytes),
	 .help = "what would become longer is moved aside, to a name that ends with .1"},
	{.path = "audit.file.keep",
	 COUNT(1, 1000),
	 .range = "1 to 1000",
	 .fallback = "5",
	 AT(audit.file.keep),
	 .help = "older files that stay when a full one is moved aside"},
	{.path = HERE_DELIVERY, .help = "audit.file", AT(audit.file.delivery)},
	{.path = "audit.sqlite", SECTION, .help = "a database in one file: reports need no server"},
	{.path = "audit.sqlite.path",
	 .kind = EBB_KEY_PATH,
	 .type = "path",
	 .range = "an absolute path, or off",
	 .fallback = "/var/lib/ebb/audit.db",
	 TEXT_AT(audit.sqlite.path),
	 .flags = EBB_KEY_OFF,
	 .help = "the file; off: none"},
	{.path = "audit.sqlite.keep",
	 DURATION(HOUR, 3660 * DAY),
	 .range = "1h to 3660d",
	 .fallback = "30d",
	 AT(audit.sqlite.keep_ns),
	 .help = "older events are removed"},
	{.path = HERE_DELIVERY, .help = "audit.sqlite", AT(audit.sqlite.delivery)},
	{.path = "audit.postgres", SECTION, .help = "a PostgreSQL server, table audit_log"},
	{.path = "audit.postgres.host",
	 .kind = EBB_KEY_WORD,
	 .type = "word",
	 .range = "a host name, an address, or the directory of a socket",
	 TEXT_AT(audit.postgres.host),
	 .help = "without it: none"},
	{.path = "audit.postgres.port",
	 COUNT(1, 65535),
	 .range = "1 to 65535",
	 .fallback = "5432",
	 AT(audit.postgres.port),
	 .help = "its port"},
	{.path = "audit.postgres.database",
	 .kind = EBB_KEY_WORD,
	 .type = "word",
	 .range = "a word without blanks",
	 .fallback = "ebb",
	 TEXT_AT(audit.postgres.database),
	 .help = "its database"},
	{.path = "audit.postgres.user",
	 .kind = EBB_KEY_WORD,
	 .type = "word",
	 .range = "a word without blanks",
	 .fallback = "ebb",
	 TEXT_AT(audit.postgres.user),
	 .help = "as whom"},
	{.path = "audit.postgres.password_file",
	 .kind = EBB_KEY_PATH,
	 .type = "path",
	 .range = "an absolute path",
	 TEXT_AT(audit.postgres.password_file),
	 .flags = EBB_KEY_SECRET,
	 .help = "the first line of this file is the password"},
	{.path = "audit.postgres.keep",
	 DURATION(0, 3660 * DAY),
	 .range = "0s to 3660d",
	 .fallback = "0s",
	 AT(audit.postgres.keep_ns),
	 .help = "older events are removed, those of all nodes; 0s: none are"},
	{.path = HERE_DELIVERY, .help = "audit.postgres", AT(audit.postgres.delivery)},
	{.path = "traces", SECTION, .help = "where spans are sent"},
	{.path = "traces.otlp", SECTION, .help = "OpenTelemetry over HTTP"},
	{.path = "traces.otlp.endpoint",
	 .kind = EBB_KEY_URL,
	 .type = "URL",
	 .range = "like http://otel-collector:4318, without a password in it",
	 TEXT_AT(traces_endpoint),
	 .help = "the collector; /v1/traces is appended. Without it what OTEL_EXPORTER_OTLP_ENDPOINT says, else no traces (docs/traces.md)"},
	{.path = "traces.otlp.headers_file",
	 .kind = EBB_KEY_PATH,
	 .type = "path",
	 .range = "an absolute path",
	 TEXT_AT(traces_headers_file),
	 .help = "the headers of each request, a line like Authorization: Bearer abc for each; read for each request, so that a secret can be changed. Without it what OTEL_EXPORTER_OTLP_HEADERS says"},
	{.path = "traces.otlp.sample",
	 .kind = EBB_KEY_RATIO,
	 .type = "ratio",
	 .range = "0 to 1",
	 .fallback = "0.1",
	 AT(traces_sample),
	 .help = "the share of connections that become spans; those that fail always do"},
};

/* ------------------------------------------------------------ the table -- */

/* NULL: there is no room, which a test would see. */
static struct ebb_key *append(struct ebb_keys *keys, const struct ebb_key *key, const char *prefix)
{
	struct ebb_key *place = &keys->list[keys->count];
	int length;

	if (keys->count == EBB_KEYS_MAX)
		return NULL;
	*place = *key;
	length = snprintf(place->path, sizeof(place->path), "%s%s", prefix, key->path);
	if (length < 0 || (size_t)length >= sizeof(place->path))
		return NULL;
	keys->count++;
	return place;
}

static const char *const breaker_types[] = {
	[EBB_POLICY_DURATION] = "duration",  [EBB_POLICY_DURATION_OR_OFF] = "duration",
	[EBB_POLICY_RATIO] = "ratio",	     [EBB_POLICY_FACTOR] = "number",
	[EBB_POLICY_COUNT] = "whole number", [EBB_POLICY_OUTCOMES] = "list",
	[EBB_POLICY_CHOICE] = "word",
};

static struct ebb_key breaker_key(const struct ebb_policy_key *from)
{
	struct ebb_key key = {
		.kind = EBB_KEY_BREAKER,
		.type = breaker_types[from->kind],
		.range = from->range,
		.fallback = from->fallback,
		.help = from->help,
		.breaker = from,
		.offset = offsetof(struct ebb_settings, breaker),
	};

	(void)snprintf(key.path, sizeof(key.path), "breaker.%s", from->name);
	return key;
}

/* Of a destination: without the flag and the default of their own, they come from "defaults". */
static void append_setting(struct ebb_keys *keys, const struct ebb_key *key, bool of_destination)
{
	struct ebb_key *place = append(keys, key, of_destination ? "destinations[]." : "defaults.");

	if (!place)
		return;
	if (of_destination) {
		place->flag = NULL;
		place->fallback = NULL;
		place->flags |= EBB_KEY_DESTINATION | EBB_KEY_FILE_ONLY | EBB_KEY_INHERITED;
	}
	if (place->offset != EBB_KEY_NOWHERE)
		place->offset += of_destination ? offsetof(struct ebb_destination, settings)
						: offsetof(struct ebb_config, defaults);
}

static void append_settings(struct ebb_keys *keys, bool of_destination)
{
	size_t count;
	const struct ebb_policy_key *breaker = ebb_policy_keys(&count);

	for (size_t i = 0; i < sizeof(setting_keys) / sizeof(setting_keys[0]); i++) {
		if (strcmp(setting_keys[i].path, HERE_BREAKER) != 0) {
			append_setting(keys, &setting_keys[i], of_destination);
			continue;
		}
		for (size_t b = 0; b < count; b++) {
			struct ebb_key key = breaker_key(&breaker[b]);

			append_setting(keys, &key, of_destination);
		}
	}
}

/* @here: below what, and where it is kept. */
static void append_delivery(struct ebb_keys *keys, const struct ebb_key *here)
{
	char prefix[EBB_KEY_PATH_MAX];
	struct ebb_key *place;

	(void)snprintf(prefix, sizeof(prefix), "%s.", here->help);
	for (size_t i = 0; i < sizeof(delivery_keys) / sizeof(delivery_keys[0]); i++) {
		place = append(keys, &delivery_keys[i], prefix);
		if (place && place->offset != EBB_KEY_NOWHERE)
			place->offset += here->offset;
	}
}

static int compare_paths(const void *a, const void *b, void *userdata)
{
	const struct ebb_keys *keys = userdata;

	return strcmp(keys->list[*(const uint16_t *)a].path, keys->list[*(const uint16_t *)b].path);
}

struct ebb_keys *ebb_keys_new(void)
{
	struct ebb_keys *keys = calloc(1, sizeof(*keys));

	if (!keys)
		return NULL;
	for (size_t i = 0; i < sizeof(plain_keys) / sizeof(plain_keys[0]); i++) {
		if (strcmp(plain_keys[i].path, HERE_SETTINGS) == 0)
			append_settings(keys, plain_keys[i].min != 0);
		else if (strcmp(plain_keys[i].path, HERE_DELIVERY) == 0)
			append_delivery(keys, &plain_keys[i]);
		else
			(void)append(keys, &plain_keys[i], "");
	}
	for (size_t i = 0; i < keys->count; i++)
		keys->sorted[i] = (uint16_t)i;
	qsort_r(keys->sorted, keys->count, sizeof(keys->sorted[0]), compare_paths, keys);
	return keys;
}

const struct ebb_key *ebb_keys_find(const struct ebb_keys *keys, const char *path)
{
	size_t low = 0, high = keys->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct ebb_key *key = &keys->list[keys->sorted[middle]];
		int order = strcmp(path, key->path);

		if (order == 0)
			return key;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

const char *ebb_key_name(const struct ebb_key *key)
{
	const char *dot = strrchr(key->path, '.');

	return dot ? dot + 1 : key->path;
}

const char *ebb_key_environ(const struct ebb_key *key, char *buffer, size_t size)
{
	size_t used;

	if (key->kind == EBB_KEY_SECTION || key->flags & EBB_KEY_FILE_ONLY)
		return NULL;
	used = (size_t)snprintf(buffer, size, "EBB_%s", key->path);
	for (size_t i = 0; i < used && i < size; i++) {
		if (buffer[i] == '.')
			buffer[i] = '_';
		else if (buffer[i] >= 'a' && buffer[i] <= 'z')
			buffer[i] = (char)(buffer[i] - 'a' + 'A');
	}
	return buffer;
}

/* --------------------------------------------------------------- values -- */

/* What a chart makes of "on" and "off" on its way is taken, too. */
static bool is_off(const char *text)
{
	return strcmp(text, "off") == 0 || strcmp(text, "false") == 0;
}

static bool is_on(const char *text)
{
	return strcmp(text, "on") == 0 || strcmp(text, "true") == 0;
}

/* Only the form: whether it is free to listen on is found out by listening. */
static bool is_listen_address(const char *text)
{
	const char *colon = strrchr(text, ':');
	char host[INET6_ADDRSTRLEN + 2];
	unsigned char address[sizeof(struct in6_addr)];
	uint32_t port;
	size_t length;

	if (!colon || ebb_parse_u32(colon + 1, &port) < 0 || port > UINT16_MAX)
		return false;
	length = (size_t)(colon - text);
	if (length == 0)
		return true;
	if (length >= sizeof(host))
		return false;
	if (text[0] == '[' && text[length - 1] == ']') {
		(void)snprintf(host, sizeof(host), "%.*s", (int)length - 2, text + 1);
		return inet_pton(AF_INET6, host, address) == 1;
	}
	(void)snprintf(host, sizeof(host), "%.*s", (int)length, text);
	return inet_pton(AF_INET, host, address) == 1;
}

static bool is_word(const char *text)
{
	if (*text == '\0' || strlen(text) > 255)
		return false;
	for (; *text; text++) {
		if (*text <= ' ' || *text == 0x7f)
			return false;
	}
	return true;
}

/* "http://host", maybe with a port and a path; a user and a password are no part of it. */
static bool is_url(const char *text)
{
	const char *host;

	if (strncmp(text, "http://", strlen("http://")) == 0)
		host = text + strlen("http://");
	else if (strncmp(text, "https://", strlen("https://")) == 0)
		host = text + strlen("https://");
	else
		return false;
	return is_word(host) && host[0] != '/' && host[0] != ':' && !strchr(host, '@');
}

static void *place(const struct ebb_key *key, void *base)
{
	return key->offset == EBB_KEY_NOWHERE || !base ? NULL : (char *)base + key->offset;
}

static int store(const struct ebb_key *key, void *base, const void *value, size_t size)
{
	void *target = place(key, base);

	if (target)
		memcpy(target, value, size);
	return 0;
}

static int store_u32(const struct ebb_key *key, void *base, uint32_t value)
{
	return store(key, base, &value, sizeof(value));
}

static int expected(const struct ebb_key *key, struct ebb_why *why)
{
	return ebb_why(why, -EINVAL, "%s", key->range);
}

static int parse_choice(const struct ebb_key *key, const char *text, void *base, struct ebb_why *why)
{
	for (uint32_t i = 0; key->choices[i]; i++) {
		if (strcmp(key->choices[i], text) == 0)
			return store_u32(key, base, (uint32_t)key->min + i);
	}
	return expected(key, why);
}

/* One word of a list is added to what is there. */
static int parse_set(const struct ebb_key *key, const char *text, void *base, struct ebb_why *why)
{
	char all[256] = "";
	size_t used = 0;
	uint32_t set = 0;

	for (uint32_t i = 0; key->choices[i]; i++) {
		if (strcmp(key->choices[i], text) == 0) {
			if (place(key, base))
				memcpy(&set, place(key, base), sizeof(set));
			return store_u32(key, base, set | 1U << i);
		}
		used += (size_t)snprintf(all + used, used < sizeof(all) ? sizeof(all) - used : 0, "%s%s",
					 used ? ", " : "", key->choices[i]);
	}
	return ebb_why(why, -EINVAL, "one of %s", all);
}

static int parse_text(const struct ebb_key *key, const char *text, bool fits, void *base, struct ebb_why *why)
{
	char *target = place(key, base);

	if (!fits)
		return expected(key, why);
	if (key->size && strlen(text) >= key->size)
		return ebb_why(why, -EINVAL, "at most %zu characters", key->size - 1);
	if (target) {
		memset(target, 0, key->size);
		memcpy(target, text, strlen(text));
	}
	return 0;
}

static int parse_path(const struct ebb_key *key, const char *text, void *base, struct ebb_why *why)
{
	if (key->flags & EBB_KEY_OFF && is_off(text))
		return parse_text(key, "", true, base, why);
	return parse_text(key, text, text[0] == '/', base, why);
}

static int parse_bytes(const struct ebb_key *key, const char *text, void *base, struct ebb_why *why)
{
	uint64_t bytes;

	if (ebb_parse_bytes(text, &bytes) < 0 || bytes < key->min || bytes > key->max)
		return expected(key, why);
	return store(key, base, &bytes, sizeof(bytes));
}

static int parse_number(const struct ebb_key *key, const char *text, void *base, struct ebb_why *why)
{
	double number;

	if (ebb_parse_number(text, &number) < 0 || number < (double)key->min || number > (double)key->max)
		return expected(key, why);
	return store(key, base, &number, sizeof(number));
}

static int parse_limit(const struct ebb_key *key, const char *text, void *base, struct ebb_why *why)
{
	struct ebb_limit limit;

	if (ebb_limit_parse(is_off(text) ? "none" : text, (uint32_t)key->min, &limit, why) < 0)
		return -EINVAL;
	return store(key, base, &limit, sizeof(limit));
}

static int parse_breaker(const struct ebb_key *key, const char *text, void *base, struct ebb_why *why)
{
	struct ebb_breaker_config scratch, *target = place(key, base);

	if (key->breaker->kind == EBB_POLICY_DURATION_OR_OFF && is_off(text))
		text = "off";
	return ebb_policy_parse_value(key->breaker, text, target ? target : &scratch, why);
}

int ebb_key_parse(const struct ebb_key *key, const char *text, void *base, struct ebb_why *why)
{
	uint32_t count;
	uint64_t ns;
	double ratio;

	switch (key->kind) {
	case EBB_KEY_CHOICE:
		return parse_choice(key, text, base, why);
	case EBB_KEY_SET:
		return parse_set(key, text, base, why);
	case EBB_KEY_SWITCH:
		if (!is_on(text) && !is_off(text))
			return expected(key, why);
		return store_u32(key, base, is_on(text));
	case EBB_KEY_COUNT:
		if (ebb_parse_u32(text, &count) < 0 || count < key->min || count > key->max)
			return expected(key, why);
		return store_u32(key, base, count);
	case EBB_KEY_DURATION:
		if (ebb_parse_duration(text, &ns) < 0 || ns < key->min || ns > key->max)
			return expected(key, why);
		return store(key, base, &ns, sizeof(ns));
	case EBB_KEY_BYTES:
		return parse_bytes(key, text, base, why);
	case EBB_KEY_NUMBER:
		return parse_number(key, text, base, why);
	case EBB_KEY_RATIO:
		if (ebb_parse_ratio(text, &ratio) < 0 || (key->min && ratio <= 0))
			return ebb_why(why, -EINVAL, "a ratio %s%s%s", key->min ? "" : "from ", key->range,
				       EBB_RATIO_EXAMPLES);
		return store(key, base, &ratio, sizeof(ratio));
	case EBB_KEY_BREAKER:
		return parse_breaker(key, text, base, why);
	case EBB_KEY_LIMIT:
		return parse_limit(key, text, base, why);
	case EBB_KEY_CONCURRENT:
		if (ebb_limit_parse_concurrent(is_off(text) ? "none" : text, &count) < 0)
			return expected(key, why);
		return store_u32(key, base, count);
	case EBB_KEY_CGROUP:
		return parse_text(key, text, text[0] != '\0', base, why);
	case EBB_KEY_LISTEN:
		return parse_text(key, text, is_listen_address(text), base, why);
	case EBB_KEY_PATH:
		return parse_path(key, text, base, why);
	case EBB_KEY_WORD:
	case EBB_KEY_WORDS:
		return parse_text(key, text, is_word(text), base, why);
	case EBB_KEY_URL:
		return parse_text(key, text, is_url(text), base, why);
	case EBB_KEY_NAME:
		return ebb_rule_name(text, place(key, base), why);
	case EBB_KEY_HOST:
	case EBB_KEY_CIDR:
	case EBB_KEY_PATTERN:
	case EBB_KEY_RESOLVERS:
	case EBB_KEY_SELECTORS:
	case EBB_KEY_MATCHES:
	case EBB_KEY_DESTINATIONS:
	case EBB_KEY_SECTION:
		break;
	}
	return expected(key, why);
}

static size_t value_size(const struct ebb_key *key)
{
	switch (key->kind) {
	case EBB_KEY_CHOICE:
	case EBB_KEY_SET:
	case EBB_KEY_SWITCH:
	case EBB_KEY_COUNT:
	case EBB_KEY_CONCURRENT:
		return sizeof(uint32_t);
	case EBB_KEY_DURATION:
	case EBB_KEY_BYTES:
		return sizeof(uint64_t);
	case EBB_KEY_NUMBER:
	case EBB_KEY_RATIO:
		return sizeof(double);
	case EBB_KEY_LIMIT:
		return sizeof(struct ebb_limit);
	case EBB_KEY_BREAKER:
		return sizeof(struct ebb_breaker_config);
	default:
		return key->size; /* of text; nothing of what is kept elsewhere */
	}
}

bool ebb_key_same(const struct ebb_key *key, const void *a, const void *b)
{
	if (key->offset == EBB_KEY_NOWHERE)
		return true;
	return memcmp((const char *)a + key->offset, (const char *)b + key->offset, value_size(key)) == 0;
}
