/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The states that a server may answer with (PostgreSQL's documentation, appendix A): the longest beginning counts. What is not here may go
 * by itself.
 */
#include <errno.h>
#include <string.h>

#include "export/postgres.h"

static const struct {
	const char *begin;
	int r;
	const char *remedy;
} meanings[] = {
	{"0A", -EPROTO, "the server is too old: PostgreSQL 13 or newer"},
	{"22", -EINVAL, "a value is not allowed"},
	{"23", -EINVAL, "a value is not allowed"},
	{"25006", -EROFS, "it is read-only (a standby?): name the server that takes writes"},
	{"28", -EACCES, "check user, password_file, and the server's pg_hba.conf"},
	{"3D", -ENOENT, "make the database, or name another"},
	{"3F", -ENOENT, "make the schema, or set the search_path of the user"},
	{"42", -EPROTO, "its table is not that of this version of ebb"},
	{"42501", -EACCES, "give the user the rights that docs/audit.md names"},
	{"53100", -ENOSPC, "make room on its disk"},
	{"54", -EINVAL, "a value is not allowed"},
};

int ebb_postgres_meaning(const char *state, const char **ret_remedy)
{
	size_t longest = 0;
	int r = -EAGAIN;

	*ret_remedy = NULL;
	for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++) {
		size_t length = strlen(meanings[i].begin);

		if (length > longest && strncmp(state, meanings[i].begin, length) == 0) {
			longest = length;
			r = meanings[i].r;
			*ret_remedy = meanings[i].remedy;
		}
	}
	return r;
}
