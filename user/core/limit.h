/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits as people write them, and as the kernel wants them. Pure.
 *
 *	limit    = "none" | "off" | rate [ burst ]
 *	rate     = amount "/" ( "s" | "min" | "m" | "h" )
 *	burst    = ",burst=" amount | " burst " amount
 *	amount   = decimal number, and of bytes a unit
 *
 * Units of bytes are decimal as in SI (kB or KB is 1000), binary as in IEC (KiB is 1024), and
 * bits (Mbit is 125,000 bytes); packets and connections take k and M. What is not exactly a
 * whole number, of units an hour or of units, is refused and not rounded.
 */
#ifndef EBB_CORE_LIMIT_H
#define EBB_CORE_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/abi.h"
#include "lib/why.h"

#define EBB_LIMIT_BYTES_MAX 1000000000000ULL /* bytes/s: 1 TB/s */
#define EBB_LIMIT_COUNT_MAX \
	1000000000ULL /* packets/s and connections/s; 400 Gbit/s are 0.6e9 small packets/s */

#define EBB_LIMIT_BURST_MAX_NS 604800000000000ULL /* a full bucket lasts 7 days at most */

/* What is said about a kind of limit wherever it can be set. */
struct ebb_limit_kind_info {
	const char *name;    /* "bytes": the flag, and the key in JSON */
	const char *what;    /* "IP bytes sent" */
	const char *example; /* "10MB/s" */
	const char *example_burst;
	const char *burst;  /* in words: the burst where none is given */
	uint64_t rate_max;  /* units/s */
	uint64_t burst_min; /* units */
};

/* @kind below EBB_LIMIT_MAX. */
const struct ebb_limit_kind_info *ebb_limit_kind_info(uint32_t kind);

/*
 * A bucket of @burst units that refills at @per_hour units an hour; @per_hour 0 is no
 * limit. -ERANGE: the burst is 0, or lasts too long.
 */
int ebb_limit_make(uint64_t per_hour, uint64_t burst, struct ebb_limit *ret_limit);

/* From text, whole or not at all; "none" gives no limit. -EINVAL with the reason, without what was typed. */
int ebb_limit_parse(const char *text, uint32_t kind, struct ebb_limit *ret_limit, struct ebb_why *why);

/* Connections at once: a number from 1, or "none" (also "off"), which is 0. -EINVAL. */
int ebb_limit_parse_concurrent(const char *text, uint32_t *ret_concurrent);

#define EBB_LIMIT_TEXT_MAX 80

/*
 * The shortest exact text, in @buffer of at least EBB_LIMIT_TEXT_MAX bytes, which is returned:
 * "10MB/s burst 2.5MB", or "none". ebb_limit_parse() makes the same limit out of it.
 */
const char *ebb_limit_format(const struct ebb_limit *limit, uint32_t kind, char *buffer, size_t size);
/* "10MB/s" */
const char *ebb_limit_format_rate(const struct ebb_limit *limit, uint32_t kind, char *buffer, size_t size);
/* "480kB", to three digits. */
const char *ebb_limit_format_units(double units, uint32_t kind, char *buffer, size_t size);

/* The units that are left now, as metrics show them. */
double ebb_limit_available(const struct ebb_limit *limit, uint64_t full_ns, uint64_t now_ns);

/* Units per second. */
double ebb_limit_rate(const struct ebb_limit *limit);

/*
 * What holds at a gate now, by the rule of bpf/limit.h: what an operator gave by hand, while it
 * lasts, else what is configured. ret_limits->given: which of these are an operator's. A bucket
 * with per_hour 0, and concurrent 0, is no limit.
 */
void ebb_limits_in_force(const struct ebb_policy *policy, uint64_t now_ns, struct ebb_limits *ret_limits);

/* Keeps policy->asks true; to be called after each change of its limits. */
void ebb_limits_summarize(struct ebb_policy *io_policy);

/* ------------------------------------------------------------ by hand -- */

/* Does anything stand by hand whose time is not over? */
bool ebb_limits_by_hand(const struct ebb_policy *policy, uint64_t now_ns);

/*
 * The kinds of @change->given are from now on as in @change; what else stands by hand goes on,
 * all of it until @until_ns (0: no end). Those who write policies hold the lock of
 * kernel/maps.h; the kernel reads meanwhile, and sees for a moment what is configured in place of
 * what changes. A writer that is killed in between leaves a policy that is whole.
 */
void ebb_limits_give(struct ebb_policy *io_policy, const struct ebb_limits *change, uint64_t until_ns,
		     uint32_t uid, uint64_t now_ns);

/* Nothing stands by hand any more. */
void ebb_limits_take_back(struct ebb_policy *io_policy);

#endif /* EBB_CORE_LIMIT_H */
