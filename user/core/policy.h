/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The settings of a breaker: defaults, ranges, and their text form. One table
 * describes every key; the flag --breaker, later the configuration file, and
 * the documents are made from it.
 */
#ifndef EBB_CORE_POLICY_H
#define EBB_CORE_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/abi.h"
#include "lib/why.h"

/* How results of the window count in its rates. */
enum ebb_weighting {
	EBB_WEIGHTING_SLIDING,	   /* all alike */
	EBB_WEIGHTING_EXPONENTIAL, /* half as much for each half window of age */
	EBB_WEIGHTING_MAX,
};

struct ebb_breaker_config {
	uint64_t window_ns;
	uint32_t window_calls; /* 0: the window is a time; else the last so many results */
	uint32_t weighting;    /* enum ebb_weighting */
	uint32_t min_calls;
	double failure_rate;	       /* trips at >= */
	uint64_t slow_call_ns;	       /* 0: off */
	double slow_rate;	       /* trips at >= */
	uint32_t consecutive_failures; /* 0: off */
	uint32_t count_mask;	       /* 1 << enum ebb_outcome */
	uint64_t open_for_ns;
	double open_factor;
	uint64_t open_max_ns;
	double open_jitter;
	uint32_t probes; /* 1 to EBB_PROBES_MAX */
	uint32_t close_after;
	uint32_t reopen_after;
	uint64_t probe_lease_ns;
	uint64_t ramp_ns; /* 0: all at once */
	uint64_t abandon_after_ns;
	uint32_t syn_retries;
};

/* The defaults of design section 5. */
void ebb_policy_defaults(struct ebb_breaker_config *ret_config);

/*
 * Applies "key=value,key=value" to @io_config, whole or not at all: on -EINVAL
 * it is untouched and @why names the key, the value and what was expected.
 * Outcomes in a list are joined by '+': "count=refused+timeout".
 */
int ebb_policy_parse(const char *text, struct ebb_breaker_config *io_config, struct ebb_why *why);

/* What the kernel needs of it, into the fields of @io_policy that come from a breaker config. */
void ebb_policy_to_kernel(const struct ebb_breaker_config *config, struct ebb_policy *io_policy);

/* How the value of a key is written. */
enum ebb_policy_kind {
	EBB_POLICY_DURATION,
	EBB_POLICY_DURATION_OR_OFF, /* off is 0 */
	EBB_POLICY_RATIO,
	EBB_POLICY_FACTOR,
	EBB_POLICY_COUNT,
	EBB_POLICY_OUTCOMES,
	EBB_POLICY_CHOICE,
};

/* One key: for the parser, help texts and documents. */
struct ebb_policy_key {
	const char *name;
	const char *unit;     /* "duration", "ratio", "factor", "count", "outcomes", "word" */
	const char *fallback; /* its default, as it would be written */
	const char *range;    /* as it would be told: "1 to 8" */
	const char *help;
	/* for the parser */
	enum ebb_policy_kind kind;
	size_t offset; /* into struct ebb_breaker_config */
	double min;    /* durations in ns */
	double max;
	bool above_min;		    /* min itself is outside */
	const char *const *choices; /* by value; ends with NULL */
};

/* All keys in the order of design section 5; *@ret_count is their number. */
const struct ebb_policy_key *ebb_policy_keys(size_t *ret_count);

/*
 * One value of one key, as it is written. -EINVAL: @io_config is untouched, and @why says what
 * was expected. What holds between keys is not looked at: see ebb_policy_check().
 */
int ebb_policy_parse_value(const struct ebb_policy_key *key, const char *text,
			   struct ebb_breaker_config *io_config, struct ebb_why *why);

/*
 * What holds between keys: open_max is not below open_for, and a window of calls weighs them all alike. -EINVAL;
 * @ret_keys are the names of the two keys that do not go together, the one that should give way first.
 */
int ebb_policy_check(const struct ebb_breaker_config *config, const char *ret_keys[2], struct ebb_why *why);

/*
 * What is valid, but probably not meant, into @ret_doubt (one line), and the name of the key to blame; NULL: nothing
 * of the kind.
 */
const char *ebb_policy_doubt(const struct ebb_breaker_config *config, struct ebb_why *ret_doubt);

/* Does every key say the same in both? */
bool ebb_policy_same(const struct ebb_breaker_config *a, const struct ebb_breaker_config *b);

/*
 * @config with every duration 2^@shift times as long, for a simulation whose clock is that much finer. The
 * caller sees to it that they fit.
 */
struct ebb_breaker_config ebb_policy_scale(const struct ebb_breaker_config *config, unsigned int shift);
/* The longest of its durations. */
uint64_t ebb_policy_longest_ns(const struct ebb_breaker_config *config);

/* Names as in metrics and on the command line; never NULL ("unknown" outside the range). */
const char *ebb_mode_name(uint32_t mode);
const char *ebb_state_name(uint32_t state);
const char *ebb_reason_name(uint32_t reason);
const char *ebb_outcome_name(uint32_t outcome);
const char *ebb_turn_name(uint32_t turn);
const char *ebb_cause_name(uint32_t cause);
const char *ebb_drop_name(uint32_t drop);
const char *ebb_scope_name(uint32_t scope);
const char *ebb_error_name(uint32_t error);

/* What becomes of a workload: "governed", "observed", "ignored", "unknown". */
const char *ebb_class_name(uint32_t class);

/* From and to of a reason: each reason has exactly one of each. */
uint32_t ebb_reason_from(uint32_t reason);
uint32_t ebb_reason_to(uint32_t reason);

#endif /* EBB_CORE_POLICY_H */
