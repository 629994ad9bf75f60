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

#include "core/fuse.h"
#include "core/limit.h"
#include "core/match.h"
#include "core/policy.h"
#include "lib/why.h"

#define EBB_DESTINATION_NAME_MAX 64
#define EBB_RESOLVERS_MAX	 16
#define EBB_PATTERN_MAX		 256

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

enum ebb_scheduling {
	EBB_SCHEDULING_RR,    /* real-time while it enforces, where permitted */
	EBB_SCHEDULING_OTHER, /* ordinary */
};

struct ebb_config {
	char cgroup[512]; /* attach.cgroup: a path, or "auto" */
	char listen[256];
	struct ebb_settings defaults; /* mode: the global one */
	struct ebb_destination *destinations;
	size_t destination_count;
	struct ebb_workloads workloads;
	struct ebb_fuse_config node_fuse; /* its window is that of defaults.breaker */

	uint32_t dns_names;    /* 1: host names are shown also where no rule is about hosts */
	uint64_t dns_grace_ns; /* an answer is believed so long after its TTL */
	uint32_t dns_auto;     /* 1: resolvers are found: resolv.conf, the loopback stub, the cluster's DNS */
	uint8_t dns_resolvers[EBB_RESOLVERS_MAX][16]; /* beside these; IPv4 mapped */
	size_t dns_resolver_count;

	uint32_t turns; /* 0: off */
	uint32_t adopt; /* 0: connections that were there before are not counted */
	uint32_t scheduling;
	uint64_t lease_ns;
	uint64_t shutdown_timeout_ns;
	uint32_t on_exit_detach;

	uint32_t cap_destinations; /* capacity: needs a restart, and 'ebb detach' where pins stand */
	uint32_t cap_pairs;
	uint32_t cap_endpoints;
	uint64_t idle_ns;
	uint32_t log_level;

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

/*
 * What cannot be changed while the agent runs, and differs: "attach.cgroup, capacity.pairs"; "" when
 * nothing does. Returns @buffer.
 */
const char *ebb_config_needs_restart(const struct ebb_config *now, const struct ebb_config *next,
				     char *buffer, size_t size);

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

/* The same for a value. */
const char *ebb_config_value_origin(const struct ebb_config_value *value, char *buffer, size_t size);

/* All rules in the order of the file; the caller frees *@ret_rules, the matches stay @config's. 0 or -ENOMEM. */
int ebb_config_rules(const struct ebb_config *config, struct ebb_rule **ret_rules, size_t *ret_count);

/* A new matcher over the rules of @config, which is borrowed for its life. 0 or -ENOMEM. */
int ebb_config_matcher(const struct ebb_config *config, struct ebb_matcher **ret_matcher);

#endif /* EBB_CONFIG_CONFIG_H */
