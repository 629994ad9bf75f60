/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every key of the configuration: what it takes, in which range, what holds without it, what it
 * is for. The parser reads by this table; flags, environment, 'ebb config show',
 * docs/configuration.md and ebb.yaml(5) are made from it. The keys of the breaker come from
 * core/policy.h.
 */
#ifndef EBB_CONFIG_KEYS_H
#define EBB_CONFIG_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/policy.h"
#include "lib/why.h"

enum ebb_key_kind {
	EBB_KEY_SECTION,      /* has keys below it */
	EBB_KEY_CHOICE,	      /* uint32_t: .min + index in .choices */
	EBB_KEY_SWITCH,	      /* uint32_t: on is 1 */
	EBB_KEY_COUNT,	      /* uint32_t from .min to .max */
	EBB_KEY_DURATION,     /* uint64_t, ns, from .min to .max */
	EBB_KEY_BYTES,	      /* uint64_t, from .min to .max */
	EBB_KEY_NUMBER,	      /* double, from .min to .max */
	EBB_KEY_RATIO,	      /* double, 0 to 1; .min 1: 0 itself is outside */
	EBB_KEY_BREAKER,      /* as .breaker says */
	EBB_KEY_LIMIT,	      /* struct ebb_limit of kind .min */
	EBB_KEY_CONCURRENT,   /* uint32_t, none is 0 */
	EBB_KEY_CGROUP,	      /* char[], a path or "auto" */
	EBB_KEY_LISTEN,	      /* char[], an address and a port */
	EBB_KEY_PATH,	      /* an absolute path */
	EBB_KEY_WORD,	      /* text without blanks */
	EBB_KEY_URL,	      /* http:// or https:// */
	EBB_KEY_WORDS,	      /* a list of them; char[] joins them by commas */
	EBB_KEY_SET,	      /* a list of words of .choices: uint32_t, 1 << index */
	EBB_KEY_NAME,	      /* of a destination */
	EBB_KEY_HOST,	      /* of a match: a host name, maybe with "*." in front */
	EBB_KEY_CIDR,	      /* of a match: an address, or with "/" and bits a prefix */
	EBB_KEY_PATTERN,      /* of a selector */
	EBB_KEY_RESOLVERS,    /* "auto", or a list of addresses, "auto" among them */
	EBB_KEY_SELECTORS,    /* a list of sections */
	EBB_KEY_MATCHES,      /* likewise */
	EBB_KEY_DESTINATIONS, /* likewise */
};

enum ebb_key_flags {
	EBB_KEY_RESTART = 1,	 /* a change acts when the agent starts again */
	EBB_KEY_MUST = 2,	 /* has no default */
	EBB_KEY_SECRET = 4,	 /* its value is not printed */
	EBB_KEY_DESTINATION = 8, /* stands below a destination: .offset is in struct ebb_destination */
	EBB_KEY_FILE_ONLY = 16,	 /* too rich for the environment */
	EBB_KEY_INHERITED =
		32,	  /* of a destination that does not say it: as in "defaults", or the global mode */
	EBB_KEY_OFF = 64, /* "off" is possible, too: the text is empty then */
};

#define EBB_KEY_NOWHERE	 SIZE_MAX
#define EBB_KEY_PATH_MAX 64

struct ebb_key {
	char path[EBB_KEY_PATH_MAX]; /* "defaults.breaker.window", "destinations[].match[].host" */
	enum ebb_key_kind kind;
	const char *type;     /* in words: "duration", "rate" */
	const char *range;    /* what is possible: "2s to 1h", "node or workload" */
	const char *fallback; /* what holds without it, as it would be written; NULL: nothing */
	const char *help;
	const char *flag; /* of 'ebb run', without the dashes; NULL: none */
	const char *const *choices;
	const struct ebb_policy_key *breaker;
	uint64_t min, max;
	size_t offset; /* in struct ebb_config, or see EBB_KEY_DESTINATION; EBB_KEY_NOWHERE: not kept */
	size_t size;   /* of char[] */
	uint32_t flags;
};

#define EBB_KEYS_MAX 256

/* About 40 KB: on the heap. */
struct ebb_keys {
	struct ebb_key list[EBB_KEYS_MAX]; /* in the order of the documents, sections before what they hold */
	size_t count;
	uint16_t sorted[EBB_KEYS_MAX]; /* by path */
};

/* The table; NULL: out of memory. free() gives it back. */
struct ebb_keys *ebb_keys_new(void);

/* By its path; NULL: there is none. */
const struct ebb_key *ebb_keys_find(const struct ebb_keys *keys, const char *path);

/* The last part of its path: "window", "host". */
const char *ebb_key_name(const struct ebb_key *key);

#define EBB_KEY_ENVIRON_MAX (EBB_KEY_PATH_MAX + 8)

/* "EBB_DEFAULTS_BREAKER_WINDOW" in @buffer, which is returned; NULL for what only the file can say. */
const char *ebb_key_environ(const struct ebb_key *key, char *buffer, size_t size);

/*
 * Reads a scalar into the struct that @base points to, or only checks it where nothing keeps
 * it (@base may be NULL then). -EINVAL: untouched, and @why says what was expected, without the value.
 */
int ebb_key_parse(const struct ebb_key *key, const char *text, void *base, struct ebb_why *why);

/* Does it hold the same in both structs? True for what is kept nowhere. */
bool ebb_key_same(const struct ebb_key *key, const void *a, const void *b);

#endif /* EBB_CONFIG_KEYS_H */
