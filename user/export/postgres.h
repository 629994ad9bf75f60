/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection to a PostgreSQL server with a deadline for everything. The library is loaded with the first one. What is not set is taken
 * from the environment (PGHOST, PGSSLMODE, ...), as by every client of PostgreSQL.
 *
 * Errors, each with the reason: -EAGAIN: perhaps later; -ETIMEDOUT: the deadline was over, and nobody knows what the
 * server did; -EINVAL: a value is not allowed; -ENOMEM; else nothing goes until a person changes something. After
 * -ETIMEDOUT, and wherever ebb_postgres_is_well() says so, the connection is of no use any more.
 */
#ifndef EBB_EXPORT_POSTGRES_H
#define EBB_EXPORT_POSTGRES_H

#include <postgresql/libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/why.h"

struct ebb_postgres_functions {
	PGconn *(*connectStartParams)(const char *const *, const char *const *, int);
	PostgresPollingStatusType (*connectPoll)(PGconn *);
	ConnStatusType (*status)(const PGconn *);
	int (*socket)(const PGconn *);
	char *(*errorMessage)(const PGconn *);
	char *(*host)(const PGconn *);
	char *(*port)(const PGconn *);
	char *(*db)(const PGconn *);
	PGVerbosity (*setErrorVerbosity)(PGconn *, PGVerbosity);
	PQnoticeReceiver (*setNoticeReceiver)(PGconn *, PQnoticeReceiver, void *);
	int (*setnonblocking)(PGconn *, int);
	int (*sendQuery)(PGconn *, const char *);
	int (*sendQueryParams)(PGconn *, const char *, int, const Oid *, const char *const *, const int *,
			       const int *, int);
	int (*flush)(PGconn *);
	int (*consumeInput)(PGconn *);
	int (*isBusy)(PGconn *);
	PGresult *(*getResult)(PGconn *);
	ExecStatusType (*resultStatus)(const PGresult *);
	char *(*resultErrorField)(const PGresult *, int);
	int (*ntuples)(const PGresult *);
	char *(*getvalue)(const PGresult *, int, int);
	char *(*cmdTuples)(PGresult *);
	void (*clear)(PGresult *);
	void (*finish)(PGconn *);
};

struct ebb_postgres {
	struct ebb_postgres_functions f;
	PGconn *connection;
};

/* NULL or "": from the environment. */
struct ebb_postgres_setup {
	const char *host; /* a name, an address, or the directory of a socket */
	const char *
		address; /* of a host that is a name: one or several, by commas; NULL: it is looked up, however long that takes */
	const char *port, *database, *user;
	const char *password_file; /* its first line; read each time */
};

/* @deadline_ns here and below: CLOCK_MONOTONIC. */
int ebb_postgres_connect(const struct ebb_postgres_setup *setup, uint64_t deadline_ns,
			 struct ebb_postgres **ret_postgres, struct ebb_why *why);
void ebb_postgres_close(struct ebb_postgres *p);

bool ebb_postgres_is_well(const struct ebb_postgres *p);

/* One statement with @count values (texts). @ret_result may be NULL, else it is to be cleared. */
int ebb_postgres_query(struct ebb_postgres *p, const char *sql, int count, const char *const *values,
		       uint64_t deadline_ns, PGresult **ret_result, struct ebb_why *why);

/* Statements without values, as one transaction. */
int ebb_postgres_script(struct ebb_postgres *p, const char *sql, uint64_t deadline_ns, struct ebb_why *why);

/* The first value of the first row as a number, 0 for NULL. */
int ebb_postgres_number(struct ebb_postgres *p, const char *sql, uint64_t deadline_ns, long long *ret_number,
			struct ebb_why *why);

/* What a state of five letters (SQLSTATE) means to us, and what to do about it. */
int ebb_postgres_meaning(const char *state, const char **ret_remedy);

#endif /* EBB_EXPORT_POSTGRES_H */
