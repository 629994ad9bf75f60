/* SPDX-License-Identifier: Apache-2.0 */
#include "export/migration.h"

#include <stddef.h>

#include "migrations.h"

#define COUNT(array) (int)(sizeof(array) / sizeof((array)[0]))

int ebb_migration_last(enum ebb_database database)
{
	return database == EBB_DATABASE_SQLITE ? COUNT(sqlite_migrations) : COUNT(postgres_migrations);
}

const struct ebb_migration *ebb_migration_get(enum ebb_database database, int version)
{
	if (version < 1 || version > ebb_migration_last(database))
		return NULL;
	return database == EBB_DATABASE_SQLITE ? &sqlite_migrations[version - 1]
					       : &postgres_migrations[version - 1];
}
