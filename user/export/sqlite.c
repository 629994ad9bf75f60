/* SPDX-License-Identifier: Apache-2.0 */
#include "export/sqlite.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/cleanup.h"

#define LIBRARY "libsqlite3.so.0"

#define VERSION_MIN 3037000 /* STRICT tables */

/* Extended codes say more in higher bits. */
#define PRIMARY(code) ((code)&0xff)

/* ---------------------------------------------------------------- library -- */

static int load(struct ebb_sqlite *s, struct ebb_why *why)
{
	struct ebb_sqlite_functions *f = &s->f;
	const struct {
		const char *name;
		void *place; /* of the pointer to the function */
	} symbols[] = {
		{"sqlite3_libversion_number", &f->libversion_number},
		{"sqlite3_open_v2", &f->open_v2},
		{"sqlite3_close_v2", &f->close_v2},
		{"sqlite3_extended_errcode", &f->extended_errcode},
		{"sqlite3_system_errno", &f->system_errno},
		{"sqlite3_errmsg", &f->errmsg},
		{"sqlite3_busy_timeout", &f->busy_timeout},
		{"sqlite3_exec", &f->exec},
		{"sqlite3_prepare_v2", &f->prepare_v2},
		{"sqlite3_step", &f->step},
		{"sqlite3_reset", &f->reset},
		{"sqlite3_finalize", &f->finalize},
		{"sqlite3_bind_null", &f->bind_null},
		{"sqlite3_bind_int64", &f->bind_int64},
		{"sqlite3_bind_text", &f->bind_text},
		{"sqlite3_column_type", &f->column_type},
		{"sqlite3_column_bytes", &f->column_bytes},
		{"sqlite3_column_int64", &f->column_int64},
		{"sqlite3_column_double", &f->column_double},
		{"sqlite3_column_text", &f->column_text},
		{"sqlite3_changes", &f->changes},
		{"sqlite3_get_autocommit", &f->get_autocommit},
		{"sqlite3_progress_handler", &f->progress_handler},
		{"sqlite3_interrupt", &f->interrupt},
	};

	s->library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	if (!s->library)
		return ebb_why(why, -ENOENT,
			       "the database %s cannot be used, " LIBRARY
			       " is missing: install SQLite (Debian: libsqlite3-0)",
			       s->path);
	for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++) {
		void *symbol = dlsym(s->library, symbols[i].name);

		if (!symbol)
			return ebb_why(why, -ENOENT, LIBRARY " has no %s(): install SQLite 3.37 or newer",
				       symbols[i].name);
		memcpy(symbols[i].place, &symbol, sizeof(symbol));
	}
	if (f->libversion_number() < VERSION_MIN)
		return ebb_why(why, -ENOENT, LIBRARY " is too old: install SQLite 3.37 or newer");
	return 0;
}

/* ----------------------------------------------------------------- errors -- */

struct meaning {
	int code;
	int r;
	const char *remedy;
};

static const struct meaning meanings[] = {
	{SQLITE_BUSY, -EBUSY, "another process holds it"},
	{SQLITE_LOCKED, -EBUSY, "another process holds it"},
	{SQLITE_PROTOCOL, -EBUSY, "another process holds it"},
	{SQLITE_FULL, -ENOSPC, "make room on its disk, or keep events for a shorter time"},
	{SQLITE_NOMEM, -ENOMEM, "out of memory"},
	{SQLITE_INTERRUPT, -EINTR, "it took too long"},
	{SQLITE_IOERR, -EIO, "look at its disk"},
	{SQLITE_READONLY, -EROFS, "let its user write the file and its directory"},
	{SQLITE_PERM, -EACCES, "let its user write the file and its directory"},
	{SQLITE_AUTH, -EACCES, "let its user write the file and its directory"},
	{SQLITE_CANTOPEN, -ENOENT, "is its directory there, and may it be used?"},
	{SQLITE_NOTADB, -EMEDIUMTYPE, "this is something else: name another path, or move it away"},
	{SQLITE_CORRUPT, -EUCLEAN,
	 "it is damaged: move it away with its -wal and -shm files, and a new one is made"},
	{SQLITE_CONSTRAINT, -EINVAL, "a value is not allowed"},
	{SQLITE_MISMATCH, -EINVAL, "a value is not allowed"},
	{SQLITE_TOOBIG, -EINVAL, "a value is not allowed"},
};

int ebb_sqlite_failed(struct ebb_sqlite *s, int code, struct ebb_why *why)
{
	const char *message = s->db ? s->f.errmsg(s->db) : "out of memory";
	int error = s->db ? s->f.system_errno(s->db) : 0;

	for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++) {
		const struct meaning *m = &meanings[i];

		if (m->code != PRIMARY(code))
			continue;
		/* what the system said is more than what the library makes of it */
		if (PRIMARY(code) == SQLITE_CANTOPEN && error > 0)
			return ebb_why(why, -error, "database %s: %s: %s", s->path, ebb_strerror(-error),
				       m->remedy);
		return ebb_why(why, m->r, "database %s: %s: %s", s->path, message, m->remedy);
	}
	return ebb_why(why, -EPROTO, "database %s: %s: its tables are not those of this version of ebb",
		       s->path, message);
}

/* ------------------------------------------------------------------- open -- */

/*
 * The library would make it readable for all. Its companions (-wal, -shm) get the rights that the file has. An
 * empty file is an empty database.
 */
static int make_file(const struct ebb_sqlite *s, struct ebb_why *why)
{
	_cleanup_close_ int fd = open(s->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0600);

	if (fd < 0)
		return ebb_why(why, -errno,
			       "cannot open the database %s: %s: is its directory there, and may it be used?",
			       s->path, strerror(errno));
	return 0;
}

static int look_at_file(struct ebb_sqlite *s, struct ebb_why *why)
{
	struct stat st;

	if (stat(s->path, &st) < 0)
		return ebb_why(why, -errno, "cannot open the database %s: %s", s->path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return ebb_why(why, -EMEDIUMTYPE, "the database %s is no plain file: name another path",
			       s->path);
	s->device = st.st_dev;
	s->inode = st.st_ino;
	return 0;
}

/*
 * A commit waits for the disk (FULL): the cursor of the spool moves behind what is committed, and then the spool forgets
 * it. It is one wait for a batch. Where there is no WAL (some network file systems) a rollback journal does, slower.
 * auto_vacuum only counts while the file is empty. The size of the log is what a large transaction leaves behind.
 */
static int set_up(struct ebb_sqlite *s, struct ebb_why *why)
{
	return ebb_sqlite_exec(s,
			       "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; "
			       "PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 16777216;",
			       why);
}

static int open_file(struct ebb_sqlite *s, enum ebb_sqlite_access access, struct ebb_why *why)
{
	int flags = access == EBB_SQLITE_WRITE ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY;
	int r = access == EBB_SQLITE_WRITE ? make_file(s, why) : 0, code;

	r = r == 0 ? look_at_file(s, why) : r;
	r = r == 0 ? load(s, why) : r;
	if (r < 0)
		return r;
	/* one thread at a time has it */
	code = s->f.open_v2(s->path, &s->db, flags | SQLITE_OPEN_NOMUTEX, NULL);
	if (code != SQLITE_OK)
		return ebb_sqlite_failed(s, code, why);
	(void)s->f.busy_timeout(s->db, EBB_SQLITE_BUSY_MS);
	return access == EBB_SQLITE_WRITE ? set_up(s, why) : 0;
}

int ebb_sqlite_open(const char *path, enum ebb_sqlite_access access, struct ebb_sqlite **ret_sqlite,
		    struct ebb_why *why)
{
	struct ebb_sqlite *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return ebb_why(why, -ENOMEM, "out of memory");
	(void)snprintf(s->path, sizeof(s->path), "%s", path);
	r = open_file(s, access, why);
	if (r < 0) {
		ebb_sqlite_close(s);
		return r;
	}
	*ret_sqlite = s;
	return 0;
}

void ebb_sqlite_close(struct ebb_sqlite *s)
{
	if (!s)
		return;
	if (s->db)
		(void)s->f.close_v2(s->db);
	if (s->library)
		(void)dlclose(s->library);
	free(s);
}

bool ebb_sqlite_is_there(const struct ebb_sqlite *s)
{
	struct stat st;

	return stat(s->path, &st) == 0 && st.st_dev == s->device && st.st_ino == s->inode;
}

/* -------------------------------------------------------------- statements -- */

int ebb_sqlite_exec(struct ebb_sqlite *s, const char *sql, struct ebb_why *why)
{
	int code = s->f.exec(s->db, sql, NULL, NULL, NULL);

	return code == SQLITE_OK ? 0 : ebb_sqlite_failed(s, code, why);
}

int ebb_sqlite_prepare(struct ebb_sqlite *s, const char *sql, sqlite3_stmt **ret_statement,
		       struct ebb_why *why)
{
	sqlite3_stmt *statement;
	int code = s->f.prepare_v2(s->db, sql, -1, &statement, NULL);

	if (code != SQLITE_OK)
		return ebb_sqlite_failed(s, code, why);
	*ret_statement = statement;
	return 0;
}

int ebb_sqlite_step(struct ebb_sqlite *s, sqlite3_stmt *statement, struct ebb_why *why)
{
	int code = s->f.step(statement);

	if (code == SQLITE_ROW)
		return 1;
	return code == SQLITE_DONE ? 0 : ebb_sqlite_failed(s, code, why);
}

int ebb_sqlite_number(struct ebb_sqlite *s, const char *sql, sqlite3_int64 *ret_number, struct ebb_why *why)
{
	sqlite3_stmt *statement = NULL;
	int r = ebb_sqlite_prepare(s, sql, &statement, why);

	if (r < 0)
		return r;
	r = ebb_sqlite_step(s, statement, why);
	if (r > 0)
		*ret_number = s->f.column_int64(statement, 0);
	(void)s->f.finalize(statement);
	if (r == 0)
		return ebb_why(why, -ENODATA, "database %s: no answer to: %s", s->path, sql);
	return r < 0 ? r : 0;
}
