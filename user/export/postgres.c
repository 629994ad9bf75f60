/* SPDX-License-Identifier: Apache-2.0 */
#include "export/postgres.h"

#include <ctype.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/clock.h"

#define LIBRARY "libpq.so.5"

#define NS_PER_MS 1000000ULL

#define PASSWORD_MAX 1024
#define STATE_LENGTH 5

/* ---------------------------------------------------------------- library -- */

/* *@io_missing becomes the name of what the library does not have. */
static void *find(void *library, const char *name, const char **io_missing)
{
	void *function = dlsym(library, name);

	if (!function)
		*io_missing = name;
	return function;
}

static int load(struct ebb_postgres_functions *f, struct ebb_why *why)
{
	/* never closed: it brings OpenSSL, which has something to do when the process ends */
	void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	const char *missing = NULL;

	if (!library) {
		(void)ebb_why(why, -ENOENT,
			      "PostgreSQL cannot be used, " LIBRARY
			      " is missing: install libpq (Debian: libpq5)");
		return -ENOENT;
	}
	f->connectStartParams = find(library, "PQconnectStartParams", &missing);
	f->connectPoll = find(library, "PQconnectPoll", &missing);
	f->status = find(library, "PQstatus", &missing);
	f->socket = find(library, "PQsocket", &missing);
	f->errorMessage = find(library, "PQerrorMessage", &missing);
	f->host = find(library, "PQhost", &missing);
	f->port = find(library, "PQport", &missing);
	f->db = find(library, "PQdb", &missing);
	f->setErrorVerbosity = find(library, "PQsetErrorVerbosity", &missing);
	f->setNoticeReceiver = find(library, "PQsetNoticeReceiver", &missing);
	f->setnonblocking = find(library, "PQsetnonblocking", &missing);
	f->sendQuery = find(library, "PQsendQuery", &missing);
	f->sendQueryParams = find(library, "PQsendQueryParams", &missing);
	f->flush = find(library, "PQflush", &missing);
	f->consumeInput = find(library, "PQconsumeInput", &missing);
	f->isBusy = find(library, "PQisBusy", &missing);
	f->getResult = find(library, "PQgetResult", &missing);
	f->resultStatus = find(library, "PQresultStatus", &missing);
	f->resultErrorField = find(library, "PQresultErrorField", &missing);
	f->ntuples = find(library, "PQntuples", &missing);
	f->getvalue = find(library, "PQgetvalue", &missing);
	f->cmdTuples = find(library, "PQcmdTuples", &missing);
	f->clear = find(library, "PQclear", &missing);
	f->finish = find(library, "PQfinish", &missing);
	if (missing)
		(void)ebb_why(why, -ENOENT, LIBRARY " has no %s(): install a newer libpq", missing);
	return missing ? -ENOENT : 0;
}

/* ----------------------------------------------------------------- errors -- */

/* The library's texts have several lines; the first says it. */
static int first_line(const char *text)
{
	return (int)strcspn(text, "\n");
}

/* Who reads must see which server it is. */
static int say(const struct ebb_postgres *p, int r, const char *text, const char *remedy, struct ebb_why *why)
{
	const char *host = p->f.host(p->connection), *port = p->f.port(p->connection);
	const char *database = p->f.db(p->connection);

	return ebb_why(why, r, "PostgreSQL at %s:%s, database %s: %.*s%s%s", host ? host : "?",
		       port ? port : "?", database ? database : "?", first_line(text), text,
		       remedy ? ": " : "", remedy ? remedy : "");
}

static int too_late(const struct ebb_postgres *p, struct ebb_why *why)
{
	return say(p, -ETIMEDOUT, "it does not answer in time", NULL, why);
}

/*
 * The library keeps the state of a refused connection to itself, but writes it into its message when asked to be
 * verbose: "FATAL:  28P01: password authentication failed for user ...". NULL: the server did not speak.
 */
static const char *find_state(const char *message)
{
	for (const char *at = message; (at = strstr(at, ":  ")); at++) {
		const char *state = at + 3;
		int i = 0;

		while (i < STATE_LENGTH &&
		       (isdigit((unsigned char)state[i]) || isupper((unsigned char)state[i])))
			i++;
		if (i == STATE_LENGTH && strncmp(state + i, ": ", 2) == 0)
			return state;
	}
	return NULL;
}

static int connect_failed(const struct ebb_postgres *p, struct ebb_why *why)
{
	const char *message = p->f.errorMessage(p->connection), *state = find_state(message), *remedy;
	int r;

	if (!state)
		return say(p, -EAGAIN, message, NULL, why);
	r = ebb_postgres_meaning(state, &remedy);
	return say(p, r, state + STATE_LENGTH + 2, remedy, why);
}

static int query_failed(const struct ebb_postgres *p, const PGresult *result, struct ebb_why *why)
{
	const char *state = p->f.resultErrorField(result, PG_DIAG_SQLSTATE);
	const char *text = p->f.resultErrorField(result, PG_DIAG_MESSAGE_PRIMARY), *remedy = NULL;
	int r = state ? ebb_postgres_meaning(state, &remedy) : -EAGAIN;

	return say(p, r, text ? text : p->f.errorMessage(p->connection), remedy, why);
}

/* ------------------------------------------------------------------- wait -- */

/* False: the deadline is over. */
static bool wait_until(const struct ebb_postgres *p, short events, uint64_t deadline_ns)
{
	struct pollfd fd = {.fd = p->f.socket(p->connection), .events = events};
	uint64_t now = ebb_clock_monotonic();
	int r;

	if (now >= deadline_ns || fd.fd < 0)
		return false;
	r = poll(&fd, 1, (int)((deadline_ns - now + NS_PER_MS - 1) / NS_PER_MS));
	/* interrupted: the caller looks, and comes again */
	return r != 0;
}

/* ---------------------------------------------------------------- connect -- */

static int read_password(const char *path, char password[PASSWORD_MAX], struct ebb_why *why)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, password, PASSWORD_MAX - 1);

	if (n < 0)
		return ebb_why(why, -EACCES, "cannot read the password file %s: %s", path, strerror(errno));
	password[n] = '\0';
	password[strcspn(password, "\r\n")] = '\0';
	if (n == PASSWORD_MAX - 1 && strlen(password) == PASSWORD_MAX - 1)
		return ebb_why(why, -EACCES, "the first line of the password file %s is too long", path);
	if (password[0] == '\0')
		return ebb_why(why, -EACCES, "the password file %s begins with an empty line", path);
	return 0;
}

static void ignore_notice(void *argument, const PGresult *result)
{
	(void)argument;
	(void)result;
}

static int poll_connection(const struct ebb_postgres *p, uint64_t deadline_ns, struct ebb_why *why)
{
	PostgresPollingStatusType next = PGRES_POLLING_WRITING;

	while (next != PGRES_POLLING_OK) {
		if (next == PGRES_POLLING_FAILED)
			return connect_failed(p, why);
		if (!wait_until(p, next == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline_ns))
			return too_late(p, why);
		next = p->f.connectPoll(p->connection);
	}
	return 0;
}

/* What is still waiting for a lock when we have hung up would go on waiting, one more with each attempt. */
static int set_up(struct ebb_postgres *p, uint64_t deadline_ns, struct ebb_why *why)
{
	if (p->f.setnonblocking(p->connection, 1) != 0)
		return connect_failed(p, why);
	return ebb_postgres_script(p, "SET statement_timeout = 2500", deadline_ns, why);
}

static int start(struct ebb_postgres *p, const struct ebb_postgres_setup *setup, uint64_t deadline_ns,
		 struct ebb_why *why)
{
	char password[PASSWORD_MAX] = "";
	const char *const names[] = {"host",
				     "hostaddr",
				     "port",
				     "dbname",
				     "user",
				     "password",
				     "fallback_application_name",
				     "client_encoding",
				     NULL};
	const char *const values[] = {setup->host,     setup->address, setup->port,
				      setup->database, setup->user,    password,
				      "ebb",	       "UTF8",	       NULL};
	int r = 0;

	if (setup->password_file && setup->password_file[0])
		r = read_password(setup->password_file, password, why);
	if (r == 0)
		p->connection = p->f.connectStartParams(names, values, 0);
	explicit_bzero(password, sizeof(password));
	if (r < 0)
		return r;
	if (!p->connection)
		return ebb_why(why, -ENOMEM, "out of memory");
	(void)p->f.setErrorVerbosity(p->connection, PQERRORS_VERBOSE);
	(void)p->f.setNoticeReceiver(p->connection, ignore_notice, NULL);
	if (p->f.status(p->connection) == CONNECTION_BAD)
		return connect_failed(p, why);
	r = poll_connection(p, deadline_ns, why);
	return r == 0 ? set_up(p, deadline_ns, why) : r;
}

int ebb_postgres_connect(const struct ebb_postgres_setup *setup, uint64_t deadline_ns,
			 struct ebb_postgres **ret_postgres, struct ebb_why *why)
{
	struct ebb_postgres *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return ebb_why(why, -ENOMEM, "out of memory");
	r = load(&p->f, why);
	r = r == 0 ? start(p, setup, deadline_ns, why) : r;
	if (r < 0) {
		ebb_postgres_close(p);
		return r;
	}
	*ret_postgres = p;
	return 0;
}

void ebb_postgres_close(struct ebb_postgres *p)
{
	if (!p)
		return;
	if (p->connection)
		p->f.finish(p->connection);
	free(p);
}

bool ebb_postgres_is_well(const struct ebb_postgres *p)
{
	return p->f.status(p->connection) == CONNECTION_OK;
}

/* ------------------------------------------------------------------ query -- */

/* All that was sent is gone. What the server says meanwhile is taken, or both would wait for each other. */
static int flush(const struct ebb_postgres *p, uint64_t deadline_ns, struct ebb_why *why)
{
	int r;

	while ((r = p->f.flush(p->connection)) == 1) {
		if (!wait_until(p, POLLIN | POLLOUT, deadline_ns))
			return too_late(p, why);
		if (!p->f.consumeInput(p->connection))
			return connect_failed(p, why);
	}
	return r < 0 ? connect_failed(p, why) : 0;
}

static int next_result(const struct ebb_postgres *p, uint64_t deadline_ns, PGresult **ret_result,
		       struct ebb_why *why)
{
	while (p->f.isBusy(p->connection)) {
		if (!wait_until(p, POLLIN, deadline_ns))
			return too_late(p, why);
		if (!p->f.consumeInput(p->connection))
			return connect_failed(p, why);
	}
	*ret_result = p->f.getResult(p->connection);
	return 0;
}

static bool is_good(const struct ebb_postgres *p, const PGresult *result)
{
	ExecStatusType status = p->f.resultStatus(result);

	return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_EMPTY_QUERY;
}

/* All results are taken, or the connection could not be used again; the last is kept, the first error told. */
static int take_results(const struct ebb_postgres *p, uint64_t deadline_ns, PGresult **ret_last,
			struct ebb_why *why)
{
	PGresult *last = NULL, *result = NULL;
	int failed = 0, r;

	while ((r = next_result(p, deadline_ns, &result, why)) == 0 && result) {
		if (!failed && !is_good(p, result))
			failed = query_failed(p, result, why);
		p->f.clear(last);
		last = result;
	}
	r = r < 0 ? r : failed;
	if (r < 0 || !ret_last)
		p->f.clear(last);
	else
		*ret_last = last;
	return r;
}

int ebb_postgres_query(struct ebb_postgres *p, const char *sql, int count, const char *const *values,
		       uint64_t deadline_ns, PGresult **ret_result, struct ebb_why *why)
{
	int r;

	if (!p->f.sendQueryParams(p->connection, sql, count, NULL, values, NULL, NULL, 0))
		return connect_failed(p, why);
	r = flush(p, deadline_ns, why);
	return r < 0 ? r : take_results(p, deadline_ns, ret_result, why);
}

int ebb_postgres_script(struct ebb_postgres *p, const char *sql, uint64_t deadline_ns, struct ebb_why *why)
{
	int r;

	if (!p->f.sendQuery(p->connection, sql))
		return connect_failed(p, why);
	r = flush(p, deadline_ns, why);
	return r < 0 ? r : take_results(p, deadline_ns, NULL, why);
}

int ebb_postgres_number(struct ebb_postgres *p, const char *sql, uint64_t deadline_ns, long long *ret_number,
			struct ebb_why *why)
{
	PGresult *result = NULL;
	int r = ebb_postgres_query(p, sql, 0, NULL, deadline_ns, &result, why);

	if (r < 0)
		return r;
	if (!result || p->f.ntuples(result) < 1) {
		p->f.clear(result);
		return say(p, -EPROTO, "it gave no answer", NULL, why);
	}
	*ret_number = strtoll(p->f.getvalue(result, 0, 0), NULL, 10);
	p->f.clear(result);
	return 0;
}
