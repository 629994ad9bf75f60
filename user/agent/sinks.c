/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/sinks.h"

#include <errno.h>
#include <string.h>

#include "export/sink_jsonl.h"
#include "export/sink_postgres.h"
#include "export/sink_sqlite.h"
#include "lib/log.h"

/* ------------------------------------------------------------------ makers -- */

static int make_jsonl(const struct ebb_audit_config *config, struct ebb_sink *ret_sink)
{
	const struct ebb_sink_jsonl_setup setup = {
		.path = config->file.path,
		.max_bytes = config->file.max_bytes,
		.keep = config->file.keep,
	};

	return ebb_sink_jsonl_new(&setup, ret_sink);
}

static int make_sqlite(const struct ebb_audit_config *config, struct ebb_sink *ret_sink)
{
	const struct ebb_sink_sqlite_setup setup = {
		.path = config->sqlite.path,
		.keep_ns = config->sqlite.keep_ns,
	};

	return ebb_sink_sqlite_new(&setup, ret_sink);
}

#ifdef EBB_WITHOUT_POSTGRES
#define make_postgres NULL
#else
static int make_postgres(const struct ebb_audit_config *config, struct ebb_sink *ret_sink)
{
	const struct ebb_sink_postgres_setup setup = {
		.host = config->postgres.host,
		.port = (uint16_t)config->postgres.port,
		.database = config->postgres.database,
		.user = config->postgres.user,
		.password_file = config->postgres.password_file,
		.keep_ns = config->postgres.keep_ns,
	};

	return ebb_sink_postgres_new(&setup, ret_sink);
}
#endif

/* ------------------------------------------------------------------- table -- */

#define IN_CONFIG(member) offsetof(struct ebb_audit_config, member)

struct kind {
	const char *name;
	const char *key; /* that asks for it */
	size_t wanted;	 /* text of the configuration that is "" where it is not wanted */
	size_t delivery; /* its settings */
	enum ebb_health_component component;
	int (*make)(const struct ebb_audit_config *config,
		    struct ebb_sink *ret_sink); /* NULL: not built in */
};

static const struct kind kinds[] = {
	{"jsonl", "audit.file.path", IN_CONFIG(file.path), IN_CONFIG(file.delivery), EBB_HEALTH_AUDIT_JSONL,
	 make_jsonl},
	{"sqlite", "audit.sqlite.path", IN_CONFIG(sqlite.path), IN_CONFIG(sqlite.delivery),
	 EBB_HEALTH_AUDIT_SQLITE, make_sqlite},
	{"postgres", "audit.postgres.host", IN_CONFIG(postgres.host), IN_CONFIG(postgres.delivery),
	 EBB_HEALTH_AUDIT_POSTGRES, make_postgres},
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

_Static_assert(KINDS <= EBB_SPOOL_READERS_MAX, "each sink has a cursor");

const char *ebb_sinks_missing(const struct ebb_config *config, enum ebb_health_component *ret_component)
{
	const char *base = (const char *)&config->audit;

	for (size_t i = 0; i < KINDS; i++) {
		if (base[kinds[i].wanted] == '\0' || kinds[i].make)
			continue;
		*ret_component = kinds[i].component;
		return kinds[i].key;
	}
	return NULL;
}

int ebb_sinks_make(const struct ebb_config *config, struct ebb_audit_sinks *ret_sinks)
{
	const char *base = (const char *)&config->audit;
	struct ebb_audit_sinks sinks = {.count = 0};
	int r = 0;

	for (size_t i = 0; i < KINDS && r == 0; i++) {
		if (base[kinds[i].wanted] == '\0')
			continue;
		if (!kinds[i].make) {
			ebb_warn("%s asks for PostgreSQL, but this ebb is built without it (WITH_POSTGRES=0): no events go there",
				 kinds[i].key);
			continue;
		}
		r = kinds[i].make(&config->audit, &sinks.sinks[sinks.count]);
		if (r == 0)
			memcpy(&sinks.deliveries[sinks.count++], base + kinds[i].delivery,
			       sizeof(sinks.deliveries[0]));
	}
	if (r < 0) {
		for (size_t i = 0; i < sinks.count; i++)
			sinks.sinks[i].ops->free(sinks.sinks[i].data);
		return r;
	}
	*ret_sinks = sinks;
	return 0;
}

enum ebb_health_component ebb_sinks_component(const char *name)
{
	for (size_t i = 0; i < KINDS; i++) {
		if (strcmp(kinds[i].name, name) == 0)
			return kinds[i].component;
	}
	return EBB_HEALTH_AUDIT_SPOOL;
}
