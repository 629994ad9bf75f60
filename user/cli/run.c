/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 'ebb run': turns flags into the agent's options and runs it. One table says
 * what each flag takes and where its value goes.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/common.h"
#include "core/limit.h"
#include "lib/log.h"
#include "lib/units.h"

#define SECOND 1000000000ULL

/* The capacities are arrays in kernel memory: a destination takes about 2.5 KB, a pair 0.6 KB. */
#define CAPACITY_MAX (1U << 20)

enum setting_kind {
	SETTING_CHOICE,	  /* uint32_t: index in .choices */
	SETTING_COUNT,	  /* uint32_t from .min to .max */
	SETTING_DURATION, /* uint64_t, ns, from .min to .max */
	SETTING_LIMIT,	  /* struct ebb_limit of kind .min */
	SETTING_CAP,	  /* uint32_t, none is 0 */
};

struct setting {
	const char *option;
	enum setting_kind kind;
	size_t offset; /* in struct ebb_agent_options */
	const char *const *choices;
	uint64_t min, max;
	const char *expected; /* "observe or enforce", "2s to 1h" */
};

static const char *const modes[] = {"observe", "enforce", NULL}; /* enum ebb_mode */
static const char *const losses[] = {"release", "hold", NULL};	 /* enum ebb_on_agent_loss */
static const char *const scopes[] = {"node", "workload", NULL};	 /* enum ebb_scope */
static const char *const errnos[] = {"econnrefused", "ehostunreach", "etimedout", "eperm", NULL};

static const char *const schedulings[] = {"rr", "other", NULL}; /* enum ebb_scheduling */

static const char *const switches[] = {"off", "on", NULL};
static const char *const fates[] = {"keep", "drop", "reset", NULL}; /* enum ebb_established */

#define OFFSET(field) offsetof(struct ebb_agent_options, field)

static const struct setting settings[] = {
	{"mode", SETTING_CHOICE, OFFSET(mode), modes, 0, 0, "observe or enforce"},
	{"errno", SETTING_CHOICE, OFFSET(errno_code), errnos, 0, 0,
	 "econnrefused, ehostunreach, etimedout or eperm"},
	{"scheduling", SETTING_CHOICE, OFFSET(scheduling), schedulings, 0, 0, "rr or other"},
	{"on-agent-loss", SETTING_CHOICE, OFFSET(on_agent_loss), losses, 0, 0, "release or hold"},
	{"scope", SETTING_CHOICE, OFFSET(scope), scopes, 0, 0, "node or workload"},
	{"bytes", SETTING_LIMIT, OFFSET(limits.bucket[EBB_LIMIT_BYTES]), NULL, EBB_LIMIT_BYTES, 0, NULL},
	{"packets", SETTING_LIMIT, OFFSET(limits.bucket[EBB_LIMIT_PACKETS]), NULL, EBB_LIMIT_PACKETS, 0,
	 NULL},
	{"connects", SETTING_LIMIT, OFFSET(limits.bucket[EBB_LIMIT_CONNECTS]), NULL, EBB_LIMIT_CONNECTS, 0,
	 NULL},
	{"concurrent", SETTING_CAP, OFFSET(limits.concurrent), NULL, 0, UINT32_MAX,
	 "a whole number from 1, or none"},
	{"adopt", SETTING_CHOICE, OFFSET(adopt), switches, 0, 0, "on or off"},
	{"established", SETTING_CHOICE, OFFSET(established), fates, 0, 0, "keep, drop or reset"},
	{"destinations", SETTING_COUNT, OFFSET(destinations), NULL, 1, CAPACITY_MAX, "1 to 1048576"},
	{"pairs", SETTING_COUNT, OFFSET(pairs), NULL, 1, CAPACITY_MAX, "1 to 1048576"},
	{"endpoints", SETTING_COUNT, OFFSET(endpoints), NULL, 1, CAPACITY_MAX, "1 to 1048576"},
	{"idle", SETTING_DURATION, OFFSET(idle_ns), NULL, SECOND, 2592000 * SECOND, "1s to 30d"},
	/* the heartbeat of an idle agent comes once a second: a shorter lease would end between two */
	{"lease", SETTING_DURATION, OFFSET(lease_ns), NULL, 2 * SECOND, 3600 * SECOND, "2s to 1h"},
	{"shutdown-timeout", SETTING_DURATION, OFFSET(shutdown_timeout_ns), NULL, SECOND, 3600 * SECOND,
	 "1s to 1h"},
};

static int wrong_value(struct ebb_why *why, const char *option, const char *text, const char *expected)
{
	return ebb_why(why, -EINVAL, "--%s: '%s' is not possible: %s", option, text, expected);
}

static int apply_setting(const struct setting *s, const char *text, struct ebb_agent_options *options,
			 struct ebb_why *why)
{
	char *target = (char *)options + s->offset;
	struct ebb_why inner = {};
	struct ebb_limit limit;
	uint32_t count;
	uint64_t ns;

	switch (s->kind) {
	case SETTING_CHOICE:
		for (uint32_t i = 0; s->choices[i]; i++) {
			if (strcmp(s->choices[i], text) == 0) {
				memcpy(target, &i, sizeof(i));
				return 0;
			}
		}
		break;
	case SETTING_LIMIT:
		if (ebb_limit_parse(text, (uint32_t)s->min, &limit, &inner) < 0)
			return wrong_value(why, s->option, text, inner.text);
		memcpy(target, &limit, sizeof(limit));
		return 0;
	case SETTING_CAP:
		if (ebb_limit_parse_concurrent(text, &count) < 0)
			break;
		memcpy(target, &count, sizeof(count));
		return 0;
	case SETTING_COUNT:
		if (ebb_parse_u32(text, &count) < 0 || count < s->min || count > s->max)
			break;
		memcpy(target, &count, sizeof(count));
		return 0;
	case SETTING_DURATION:
		if (ebb_parse_duration(text, &ns) < 0 || ns < s->min || ns > s->max)
			break;
		memcpy(target, &ns, sizeof(ns));
		return 0;
	}
	return wrong_value(why, s->option, text, s->expected);
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

int ebb_run_options(const struct ebb_args *args, struct ebb_agent_options *ret_options, struct ebb_why *why)
{
	struct ebb_agent_options options = {
		.cgroup = ebb_args_get(args, "cgroup"),
		.pin_dir = ebb_args_get(args, "pin"),
		.listen = ebb_args_get(args, "listen"),
		.no_set_retval = ebb_args_get(args, "no-set-retval") != NULL,
		.no_sock_destroy = ebb_args_get(args, "no-sock-destroy") != NULL,
	};
	const char *on_exit = ebb_args_get(args, "on-exit");
	const char *breaker = ebb_args_get(args, "breaker");
	const char *seed = ebb_args_get(args, "seed");
	struct ebb_why inner = {};
	int r;

	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		r = apply_setting(&settings[i], ebb_args_get(args, settings[i].option), &options, why);
		if (r < 0)
			return r;
	}
	if (strcmp(on_exit, "keep") != 0 && strcmp(on_exit, "detach") != 0)
		return wrong_value(why, "on-exit", on_exit, "keep or detach");
	options.detach_on_exit = strcmp(on_exit, "detach") == 0;
	if (!is_listen_address(options.listen))
		return wrong_value(why, "listen", options.listen, "like 127.0.0.1:9478, [::1]:9478 or :9478");
	if (options.pin_dir[0] != '/')
		return wrong_value(why, "pin", options.pin_dir, "an absolute path on a bpf file system");
	if (options.cgroup[0] == '\0')
		return wrong_value(why, "cgroup", options.cgroup, "a cgroup2 directory, or auto");
	if (seed) {
		if (ebb_parse_u64(seed, &options.seed) < 0)
			return wrong_value(why, "seed", seed, "a whole number");
		options.seed_given = true;
	}
	ebb_policy_defaults(&options.breaker);
	if (breaker) {
		r = ebb_policy_parse(breaker, &options.breaker, &inner);
		if (r < 0)
			return ebb_why(why, -EINVAL, "--%s", inner.text); /* it begins with "breaker: " */
	}
	*ret_options = options;
	return 0;
}

/* A cgroup that is none is wrong use, told before anything is loaded. */
static enum ebb_exit check_cgroup(const struct ebb_args *args, const char *cgroup)
{
	struct ebb_why why = {};
	uint64_t id;
	int fd, r;

	if (strcmp(cgroup, "auto") == 0)
		return EBB_EXIT_DONE;
	r = ebb_cgroup_open(cgroup, &fd, &id, &why);
	if (r == -EPERM || r == -EACCES)
		return ebb_fail(args, EBB_EXIT_NOT_PERMITTED, "--cgroup: %s", why.text);
	if (r < 0)
		return ebb_fail_option(args, "cgroup", "%s", why.text);
	(void)close(fd);
	return EBB_EXIT_DONE;
}

enum ebb_exit ebb_cmd_run(const struct ebb_args *args)
{
	const char *level_name = ebb_args_get(args, "log-level");
	struct ebb_agent_options options;
	enum ebb_log_level level;
	struct ebb_why why = {};
	enum ebb_exit code;
	int r;

	if (ebb_log_parse_level(level_name, &level) < 0)
		return ebb_fail_option(args, "log-level", "'%s' is not possible: error, warn, info or debug",
				       level_name);
	r = ebb_run_options(args, &options, &why);
	if (r < 0)
		return ebb_fail(args, EBB_EXIT_USAGE, "%s", why.text);
	code = check_cgroup(args, options.cgroup);
	if (code != EBB_EXIT_DONE)
		return code;

	ebb_log_set_level(level);
	r = ebb_agent_run(&options, &why);
	if (r == -EPERM || r == -EACCES)
		return ebb_fail(args, EBB_EXIT_NOT_PERMITTED, "%s", why.text);
	if (r < 0)
		return ebb_fail(args, EBB_EXIT_FAILED, "%s", why.text);
	return EBB_EXIT_DONE;
}

void ebb_help_run(FILE *out)
{
	ebb_help_limits(out);
	(void)fputc('\n', out);
	ebb_help_breaker_keys(out);
}

void ebb_help_breaker_keys(FILE *out)
{
	size_t count, column = 0;
	const struct ebb_policy_key *keys = ebb_policy_keys(&count);

	for (size_t i = 0; i < count; i++) {
		if (strlen(keys[i].name) + 4 > column)
			column = strlen(keys[i].name) + 4;
	}
	(void)fputs("Keys of --breaker:\n", out);
	for (size_t i = 0; i < count; i++) {
		char term[64], text[512];

		(void)snprintf(term, sizeof(term), "  %s", keys[i].name);
		(void)snprintf(text, sizeof(text), "%s; %s (default %s)", keys[i].help, keys[i].range,
			       keys[i].fallback);
		ebb_help_term(out, column, term, text);
	}
}
