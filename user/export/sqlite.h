/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A SQLite database of ours. The library is loaded with the first one. Its functions are called as
 * s->f.step(statement) where nothing is said about them here.
 *
 *	int r = ebb_sqlite_prepare(s, "SELECT id FROM audit_log WHERE timestamp >= ?1", &statement, why);
 *	...
 *	while ((r = ebb_sqlite_step(s, statement, why)) > 0)
 *		puts((const char *)s->f.column_text(statement, 0));
 *	s->f.finalize(statement);
 */
#ifndef EBB_EXPORT_SQLITE_H
#define EBB_EXPORT_SQLITE_H

#include <limits.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <sys/types.h>

#include "lib/why.h"

struct ebb_sqlite_functions {
	int (*libversion_number)(void);
	int (*open_v2)(const char *, sqlite3 **, int, const char *);
	int (*close_v2)(sqlite3 *);
	int (*extended_errcode)(sqlite3 *);
	int (*system_errno)(sqlite3 *);
	const char *(*errmsg)(sqlite3 *);
	int (*busy_timeout)(sqlite3 *, int);
	int (*exec)(sqlite3 *, const char *, int (*)(void *, int, char **, char **), void *, char **);
	int (*prepare_v2)(sqlite3 *, const char *, int, sqlite3_stmt **, const char **);
	int (*step)(sqlite3_stmt *);
	int (*reset)(sqlite3_stmt *);
	int (*finalize)(sqlite3_stmt *);
	int (*bind_null)(sqlite3_stmt *, int);
	int (*bind_int64)(sqlite3_stmt *, int, sqlite3_int64);
	int (*bind_text)(sqlite3_stmt *, int, const char *, int, void (*)(void *));
	int (*column_type)(sqlite3_stmt *, int);
	int (*column_bytes)(sqlite3_stmt *, int);
	sqlite3_int64 (*column_int64)(sqlite3_stmt *, int);
	double (*column_double)(sqlite3_stmt *, int);
	const unsigned char *(*column_text)(sqlite3_stmt *, int);
	int (*changes)(sqlite3 *);
	int (*get_autocommit)(sqlite3 *);
	void (*progress_handler)(sqlite3 *, int, int (*)(void *), void *);
	void (*interrupt)(sqlite3 *);
};

struct ebb_sqlite {
	struct ebb_sqlite_functions f;
	sqlite3 *db;
	void *library;
	char path[PATH_MAX];
	dev_t device; /* which file it is */
	ino_t inode;
};

enum ebb_sqlite_access {
	EBB_SQLITE_READ,
	EBB_SQLITE_WRITE, /* made if it is not there, for the owner alone (0600), but not what is above it */
};

/* How long a statement waits for another process. */
#define EBB_SQLITE_BUSY_MS 3000

/*
 * Opens @path. -ENOENT: there is no such file, or no library; -EACCES, -EROFS: no rights; -EBUSY, -ENOSPC, -EIO, -ENOMEM:
 * perhaps later; -EUCLEAN: damaged; -EMEDIUMTYPE: it is something else. Each with the reason, here and below.
 */
int ebb_sqlite_open(const char *path, enum ebb_sqlite_access access, struct ebb_sqlite **ret_sqlite,
		    struct ebb_why *why);
void ebb_sqlite_close(struct ebb_sqlite *s);

/* False: the path leads to another file by now, or to none, and what is written is seen by nobody. */
bool ebb_sqlite_is_there(const struct ebb_sqlite *s);

/* One statement or several, without results. */
int ebb_sqlite_exec(struct ebb_sqlite *s, const char *sql, struct ebb_why *why);

int ebb_sqlite_prepare(struct ebb_sqlite *s, const char *sql, sqlite3_stmt **ret_statement,
		       struct ebb_why *why);

/* 1: there is a row; 0: there are no more. */
int ebb_sqlite_step(struct ebb_sqlite *s, sqlite3_stmt *statement, struct ebb_why *why);

/* The first column of the first row, a number; -ENODATA: there is no row. */
int ebb_sqlite_number(struct ebb_sqlite *s, const char *sql, sqlite3_int64 *ret_number, struct ebb_why *why);

/*
 * What a code of the library's means to us, with the reason. -EINVAL: a value is not allowed (a constraint); -EPROTO: tables
 * or columns are not as the statement thinks.
 */
int ebb_sqlite_failed(struct ebb_sqlite *s, int code, struct ebb_why *why);

#endif /* EBB_EXPORT_SQLITE_H */
