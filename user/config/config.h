/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration: one validated set of settings, made of defaults, the file, the
 * environment and flags, or a list of errors and nothing changed. One table (config/keys.c)
 * describes every key: parser, 'ebb config show', docs/configuration.md and ebb.yaml(5) are
 * made from it.
 */
#ifndef EBB_CONFIG_CONFIG_H
#define EBB_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "core/fuse.h"
#include "core/limit.h"
#include "core/match.h"
#include "core/policy.h"
#include "lib/delivery_settings.h"
#include "lib/why.h"

#define EBB_DESTINATION_NAME_MAX 64
#define EBB_RESOLVERS_MAX	 16
#define EBB_PATTERN_MAX		 256
#define EBB_PATH_TEXT_MAX	 512
#define EBB_WORD_MAX		 256

/* What holds for a destination. */
struct ebb_settings {
	uint32_t mode;		  /* enum ebb_mode */
	uint32_t scope;		  /* enum ebb_scope */
	uint32_t errno_code;	  /* enum ebb_errno; breaker.errno */
	uint32_t limits_errno;	  /* enum ebb_errno; limits.errno */
	uint32_t on_agent_loss;	  /* enum ebb_on_agent_loss */
	uint32_t enforce_percent; /* of what would be refused in enforce mode so much is */
	uint32_t established;	  /* enum ebb_established; breaker.established */
	struct ebb_breaker_config breaker;
	struct ebb_limits limits; /* given: not used */
};

struct ebb_destination {
	char name[EBB_DESTINATION_NAME_MAX];
	struct ebb_settings settings; /* with the defaults where it says nothing */
	struct ebb_match *matches;
	size_t match_count;
	uint32_t line;	      /* in the file */
	uint32_t fuse_exempt; /* 1: node_fuse.exempt names it */
};

enum ebb_selector_kind {
	EBB_SELECT_CGROUP, /* pattern (fnmatch, '*' also matches '/') of the path below the cgroup2 mount */
	EBB_SELECT_NAMESPACE, /* of Kubernetes, a pattern */
	EBB_SELECT_LABEL,     /* "key=value" of the pod, the value a pattern */
	EBB_SELECT_PRIORITY,  /* priority class of the pod, a pattern */
};

struct ebb_selector {
	uint32_t kind;
	char pattern[EBB_PATTERN_MAX];
};

struct ebb_workloads {
	struct ebb_selector *include; /* none: all */
	size_t include_count;
	struct ebb_selector *exclude; /* stronger */
	size_t exclude_count;
	uint32_t excluded; /* enum ebb_class: OBSERVED or ALONE */
};

enum ebb_kubernetes_source {
	EBB_KUBERNETES_AUTO, /* the API server inside a cluster, else off */
	EBB_KUBERNETES_API,
	EBB_KUBERNETES_KUBELET,
	EBB_KUBERNETES_OFF,
};

#define EBB_KUBERNETES_LABELS_MAX 512

/* Who tells of pods. */
struct ebb_kubernetes {
	uint32_t source;
	char node[254]; /* "": as NODE_NAME says */
	char api[256];	/* "": as KUBERNETES_SERVICE_HOST says */
	char kubelet[256];
	char token_file[256];
	char ca_file[256];
	uint32_t verify;			/* 0: any certificate will do */
	char labels[EBB_KUBERNETES_LABELS_MAX]; /* of pods, to be exported; joined by commas */
};

enum ebb_scheduling {
	EBB_SCHEDULING_RR,    /* real-time while it enforces, where permitted */
	EBB_SCHEDULING_OTHER, /* ordinary */
};

/* Of the agent's own system calls, see agent/seccomp.h. */
enum ebb_seccomp_mode {
	EBB_SECCOMP_ON,	 /* what it does not need is refused */
	EBB_SECCOMP_LOG, /* only told */
	EBB_SECCOMP_OFF,
};

/* Where events are kept. A sink whose path or host is "" is not wanted. All zero where nothing is kept. */
struct ebb_audit_config {
	char dir[EBB_PATH_TEXT_MAX];
	uint64_t spool_bytes;
	struct {
		char path[EBB_PATH_TEXT_MAX];
		uint64_t max_bytes;
		uint32_t keep; /* files */
		struct ebb_delivery_settings delivery;
	} file;
	struct {
		char path[EBB_PATH_TEXT_MAX];
		uint64_t keep_ns;
		struct ebb_delivery_settings delivery;
	} sqlite;
	struct {
		char host[EBB_WORD_MAX];
		uint32_t port;
		char database[EBB_WORD_MAX];
		char user[EBB_WORD_MAX];
		char password_file[EBB_PATH_TEXT_MAX];
		uint64_t keep_ns; /* 0: for ever */
		struct ebb_delivery_settings delivery;
	} postgres;
};

enum ebb_push {
	EBB_PUSH_AUTO, /* where there is an endpoint */
	EBB_PUSH_ON,
	EBB_PUSH_OFF,
};

/* The push of metrics to a collector. */
struct ebb_metrics_otlp_config {
	uint32_t enabled;    /* enum ebb_push */
	char endpoint[2048]; /* "": not said */
	char headers_file[EBB_PATH_TEXT_MAX];
	uint64_t interval_ns, timeout_ns;
	uint32_t gzip;
};

struct ebb_config {
	char cgroup[512]; /* attach.cgroup: a path, or "auto" */
	char listen[256];
	struct ebb_settings defaults; /* mode: the global one */
	struct ebb_destination *destinations;
	size_t destination_count;
	struct ebb_workloads workloads;
	struct ebb_kubernetes kubernetes;
	struct ebb_fuse_config node_fuse; /* its window is that of defaults.breaker */

	uint32_t dns_names;    /* 1: host names are shown also where no rule is about hosts */
	uint64_t dns_grace_ns; /* an answer is believed so long after its TTL */
	uint32_t dns_auto;     /* 1: resolvers are found: resolv.conf, the loopback stub, the cluster's DNS */
	uint8_t dns_resolvers[EBB_RESOLVERS_MAX][16]; /* beside these; IPv4 mapped */
	size_t dns_resolver_count;

	uint32_t turns; /* 0: off */
	uint32_t adopt; /* 0: connections that were there before are not counted */
	uint32_t scheduling;
	uint32_t seccomp; /* enum ebb_seccomp_mode */
	uint64_t lease_ns;
	uint64_t shutdown_delay_ns;
	uint64_t shutdown_timeout_ns;
	uint32_t on_exit_detach;
	uint32_t health_ignored; /* 1 << enum ebb_health_component */

	uint32_t cap_destinations; /* capacity: needs a restart, and 'ebb detach' where pins stand */
	uint32_t cap_pairs;
	uint32_t cap_endpoints;
	uint64_t idle_ns;
	uint32_t log_level;
	uint32_t log_format;

	struct ebb_audit_config audit;

	char traces_endpoint[2048]; /* of a collector (OTLP over HTTP); "": not said */
	char traces_headers_file[EBB_PATH_TEXT_MAX];
	double traces_sample;
	uint32_t metrics_labels; /* 1 << enum ebb_kept (export/groups.h); 0: all */
	struct ebb_metrics_otlp_config metrics_otlp;

	struct ebb_config_origins *origins; /* of each key: for 'ebb config show'; private to config/ */
};

/* One thing that is wrong, and where. */
struct ebb_problem {
	uint32_t line; /* from 1; 0: not in the file */
	uint32_t column;
	bool warning; /* accepted, but the user should know */
	char text[480];
};

#define EBB_PROBLEMS_MAX 64

struct ebb_problems {
	struct ebb_problem list[EBB_PROBLEMS_MAX];
	size_t count; /* of list */
	size_t more;  /* found and not kept */
};

/* "/etc/ebb/ebb.yaml:3:7: what is wrong" in @buffer, which is returned; @path is the file's. */
const char *ebb_problem_format(const struct ebb_problem *problem, const char *path, char *buffer,
			       size_t size);
#define EBB_PROBLEM_TEXT_MAX 1024

/* How many of the list are errors: they stand before the warnings. */
size_t ebb_problems_errors(const struct ebb_problems *problems);

/* A value given by a flag: "mode", "enforce"; @flag as it was typed: "--mode". */
struct ebb_config_flag {
	const char *key; /* as in the file: "defaults.scope"; or "defaults.breaker": "window=5s,probes=2" */
	const char *flag;
	const char *value;
};

/* Where a configuration comes from; everything borrowed. */
struct ebb_config_sources {
	const char *path;	    /* of the file; NULL: none. A missing file is an error unless optional */
	const char *path_by;	    /* "--config": who names it, for messages; NULL: nobody */
	bool optional;		    /* the default path: it need not be there */
	const char *const *environ; /* "EBB_MODE=enforce", NULL at the end; NULL: none */
	const struct ebb_config_flag *flags;
	size_t flag_count;
	const char *section; /* only what stands below it, "audit", is read and can be wrong; NULL: all */
};

#define EBB_CONFIG_PATH	   "/etc/ebb/ebb.yaml"
#define EBB_CONFIG_ENVIRON "EBB_CONFIG" /* another path, unless --config says one */

/*
 * Reads all sources: flags over environment over file over defaults. 0, and the caller owns
 * *@ret_config; or -EINVAL (something is wrong in it), -ENOENT, -EACCES, -ENOMEM, ... with what
 * is wrong in @ret_problems, which may hold warnings also on success. A file is read whole, at most 4 MB.
 */
int ebb_config_load(const struct ebb_config_sources *sources, struct ebb_config **ret_config,
		    struct ebb_problems *ret_problems);

/* The same from memory, for tests and fuzzers; @name stands for the file's in messages. */
int ebb_config_parse(const char *text, size_t length, struct ebb_config **ret_config,
		     struct ebb_problems *ret_problems);

void ebb_config_free(struct ebb_config *config);

/* The file that was read for it; NULL: none. Valid as long as @config. */
const char *ebb_config_file(const struct ebb_config *config);

/* What that file was before a byte of it was read: one that is another by now was changed since. NULL: none was read. */
const struct stat *ebb_config_read_as(const struct ebb_config *config);

/*
 * What cannot be changed while the agent runs, and differs: "attach.cgroup, capacity.pairs"; "" when
 * nothing does. Returns @buffer.
 */
const char *ebb_config_needs_restart(const struct ebb_config *now, const struct ebb_config *next,
				     char *buffer, size_t size);

/* Do both say the same of every key below @section ("audit")? */
bool ebb_config_same(const struct ebb_config *a, const struct ebb_config *b, const char *section);

/* ------------------------------------------------------------- origins -- */

enum ebb_layer {
	EBB_LAYER_DEFAULT,
	EBB_LAYER_FILE,
	EBB_LAYER_ENVIRON,
	EBB_LAYER_FLAG,
};

/* One effective value, and who says it. Everything borrowed from the configuration. */
struct ebb_config_value {
	const struct ebb_key *key; /* config/keys.h */
	const char *text;	   /* as it was written; NULL: nothing, or a secret */
	enum ebb_layer layer;
	const char *name;      /* "--mode", "EBB_MODE", the file's path; NULL: by default */
	uint32_t line, column; /* FILE */
	bool inherited;	       /* of a destination: from "defaults" or the global mode */
};

typedef void ebb_config_visit(void *userdata, const struct ebb_config_value *value);

/* Every key in the order of the documents; of @destination, or, with NULL, what is of none. -ENOENT: there is no such. */
int ebb_config_each(const struct ebb_config *config, const char *destination, ebb_config_visit *visit,
		    void *userdata);

/* Who says @path, such as "attach.cgroup": "--cgroup", "EBB_ATTACH_CGROUP", "/etc/ebb/ebb.yaml:3:7", "default". */
const char *ebb_config_origin(const struct ebb_config *config, const char *path, char *buffer, size_t size);

/* Does anybody say @path, or is it the default? */
bool ebb_config_is_given(const struct ebb_config *config, const char *path);

/* The same for a value. */
const char *ebb_config_value_origin(const struct ebb_config_value *value, char *buffer, size_t size);

/* All rules in the order of the file; the caller frees *@ret_rules, the matches stay @config's. 0 or -ENOMEM. */
int ebb_config_rules(const struct ebb_config *config, struct ebb_rule **ret_rules, size_t *ret_count);

/* A new matcher over the rules of @config, which is borrowed for its life. 0 or -ENOMEM. */
int ebb_config_matcher(const struct ebb_config *config, struct ebb_matcher **ret_matcher);

#endif /* EBB_CONFIG_CONFIG_H */
