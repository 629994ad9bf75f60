/* SPDX-License-Identifier: Apache-2.0 */
/* What the pieces of config/ share while a configuration is read. Private to config/. */
#ifndef EBB_CONFIG_READER_H
#define EBB_CONFIG_READER_H

#include "config/config.h"
#include "config/keys.h"
#include "config/problem.h"
#include "config/tree.h"
#include "lib/arena.h"

#define EBB_DESTINATIONS_MAX 32768
#define EBB_MATCHES_MAX	     32768 /* all together */
#define EBB_SELECTORS_MAX    1024  /* of each list */

/* Who says a key, and in which words. */
struct ebb_origin {
	const struct ebb_key *key;
	enum ebb_layer layer;
	uint32_t line, column;
	const char *text;	 /* NULL: a secret */
	const char *name;	 /* of the flag or the variable; NULL: default, file */
	struct ebb_origin *next; /* of the same destination */
};

struct ebb_origin_list {
	struct ebb_origin *first;
};

struct ebb_config_origins {
	struct ebb_arena arena; /* all texts */
	struct ebb_keys *keys;
	const char *path;			/* of the file; NULL: none was read */
	struct stat read_as;			/* what it was before a byte of it was read */
	struct ebb_origin once[EBB_KEYS_MAX];	/* by place in keys->list; what is of no destination */
	struct ebb_origin_list *of_destination; /* a list for each of config->destinations */
};

/* A value, where it comes from, and for whom. */
struct ebb_given {
	const struct ebb_key *key;
	enum ebb_layer layer;
	const char *name; /* of flag or variable */
	uint32_t line, column;
	uint32_t destination; /* index, for keys below a destination */
};

struct ebb_exempt;

struct ebb_reader {
	struct ebb_config *config;
	struct ebb_config_origins *origins; /* of config */
	const struct ebb_keys *keys;	    /* of origins */
	struct ebb_problems *problems;
	struct ebb_arena tree;		     /* of the file */
	const struct ebb_node *destinations; /* found, and read when the defaults stand */
	struct ebb_place *places;	     /* of all matches, in the order of the file */
	size_t place_count;
	size_t match_total;
	struct ebb_exempt *exempt; /* resolved when the destinations stand */
	const char *section;	   /* only what is of this one is read; NULL: all */
	bool wrong;		   /* an error was told */
	bool no_memory;
};

/* A name in node_fuse.exempt, and where it stands. All of them in the arena of the origins. */
struct ebb_exempt {
	const char *name;
	struct ebb_given given; /* its .name in the arena, too */
	struct ebb_exempt *next;
};

/* Where a match stands. */
struct ebb_place {
	uint32_t destination, match;
	uint32_t line, column;
};

/* An error about @given; its text begins with the flag, the variable, or the key's path. */
void ebb_reader_wrong(struct ebb_reader *r, const struct ebb_given *given, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* "KEY: 'TEXT' is not possible: EXPECTED" */
void ebb_reader_impossible(struct ebb_reader *r, const struct ebb_given *given, const char *text,
			   const char *expected);

/* The struct that the key's offset is in. */
void *ebb_reader_base(const struct ebb_reader *r, const struct ebb_given *given);

/* @text holds for @given->key: noted, for 'ebb config show'. */
void ebb_reader_note(struct ebb_reader *r, const struct ebb_given *given, const char *text);

/* A value as one text, whatever its kind; errors are told. */
void ebb_reader_set(struct ebb_reader *r, const struct ebb_given *given, const char *text);

/* Is what stands at @path, "audit" or "audit.dir", read at all? */
bool ebb_reader_wants(const struct ebb_reader *r, const char *path);

/* The tree of the file, all but destinations. */
void ebb_reader_read(struct ebb_reader *r, const struct ebb_node *root);
/* What it said about destinations, over the defaults as they are now. */
void ebb_reader_destinations(struct ebb_reader *r);

/* limits.errno, where nobody says it, is breaker.errno: of @destination, or with EBB_MATCH_NONE of the defaults. */
void ebb_reader_errno(struct ebb_reader *r, uint32_t destination);

/* What holds between keys. */
void ebb_reader_check(struct ebb_reader *r);

/* Who says @key of a destination, or with EBB_MATCH_NONE of none; NULL: nobody. */
const struct ebb_origin *ebb_origin_of(const struct ebb_config_origins *origins, const struct ebb_key *key,
				       uint32_t destination);

#endif /* EBB_CONFIG_READER_H */
