/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 'ebb audit': what happened, from the database, or where there is none from the file of JSON lines; and with --follow what
 * happens.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <string.h>
#include <unistd.h>

#include "cli/audit_place.h"
#include "cli/common.h"
#include "export/audit_follow.h"
#include "lib/text.h"
#include "lib/units.h"
#include "lib/when.h"
#include "tell/event_text.h"

#define LIMIT_MAX 1000000
#define LOOK_MS	  1000 /* where nobody tells that there is more */

/* ---------------------------------------------------------------- options -- */

/* "denials,failures"; a wrong one is told with those that there are. */
static enum ebb_exit read_types(const struct ebb_args *args, uint32_t *ret_types)
{
	const char *text = ebb_args_get(args, "type");
	char name[64];

	*ret_types = 0;
	while (text && *text) {
		size_t length = strcspn(text, ",");
		enum ebb_audit_type type;

		(void)snprintf(name, sizeof(name), "%.*s", (int)length, text);
		if (ebb_audit_type_of(name, &type) < 0) {
			char all[512] = "";
			size_t used = 0;

			for (unsigned int i = 0; i < EBB_AUDIT_MAX; i++)
				used += (size_t)snprintf(all + used, sizeof(all) - used, "%s%s",
							 i ? ", " : "",
							 ebb_audit_type_name((enum ebb_audit_type)i));
			return ebb_fail_option(args, "type", "'%s' is no type of an event: %s", name, all);
		}
		*ret_types |= 1U << type;
		text += length;
		text += *text == ',';
	}
	return EBB_EXIT_DONE;
}

static enum ebb_exit read_query(const struct ebb_args *args, struct ebb_audit_query *query)
{
	const char *limit = ebb_args_get(args, "limit");
	enum ebb_exit code;

	if (ebb_args_given(args, "follow") && ebb_args_given(args, "until"))
		return ebb_fail_option(args, "until", "with --follow there is no end: leave one of them out");
	code = ebb_period_options(args, &query->since_ns, &query->until_ns);
	if (code == EBB_EXIT_DONE)
		code = read_types(args, &query->types);
	if (code != EBB_EXIT_DONE)
		return code;
	if (limit &&
	    (ebb_parse_u64(limit, &query->limit) < 0 || query->limit < 1 || query->limit > LIMIT_MAX))
		return ebb_fail_option(args, "limit", "'%s' is not possible: a number from 1 to %d", limit,
				       LIMIT_MAX);
	query->destination = ebb_args_get(args, "destination");
	query->workload = ebb_args_get(args, "workload");
	query->user = ebb_args_get(args, "user");
	query->episode = ebb_args_get(args, "episode");
	return EBB_EXIT_DONE;
}

/* ----------------------------------------------------------------- output -- */

struct printing {
	bool json;
	uint64_t count;
	bool patient; /* nobody is waited for while events are read: see put() */
	FILE *aside;  /* what nobody took at once; NULL: all was taken */
};

static int output_failed(struct ebb_why *why)
{
	int r = errno ? -errno : -EIO;

	return ebb_why(why, r, "cannot write the output: %s", ebb_strerror(r));
}

static bool is_taken_at_once(size_t length)
{
	struct pollfd fd = {.fd = STDOUT_FILENO, .events = POLLOUT};

	/* so much a pipe takes that takes anything */
	return length <= PIPE_BUF && poll(&fd, 1, 0) != 0;
}

/*
 * A database that is read in the middle cannot empty its write-ahead log, which grows with each event: where nobody takes what
 * is printed, a pager say, it is put aside, and printed when all is read.
 */
static int put(struct printing *p, const char *text, size_t length)
{
	FILE *out;

	if (p->patient && !p->aside && !is_taken_at_once(length)) {
		p->aside = tmpfile();
		/* without room for it somebody is waited for */
		p->patient = p->aside != NULL;
	}
	out = p->aside ? p->aside : stdout;
	return fwrite(text, 1, length, out) == length ? 0 : -EIO;
}

static int print_aside(struct printing *p, struct ebb_why *why)
{
	char block[16384];
	size_t n;

	if (!p->aside)
		return 0;
	errno = 0;
	if (fflush(p->aside) != 0 || fseek(p->aside, 0, SEEK_SET) != 0)
		return output_failed(why);
	while ((n = fread(block, 1, sizeof(block), p->aside)) > 0) {
		if (fwrite(block, 1, n, stdout) != n)
			return output_failed(why);
	}
	return ferror(p->aside) ? output_failed(why) : 0;
}

static int print_event(void *userdata, const struct ebb_audit_record *record, struct ebb_why *why)
{
	char when[EBB_TIME_MAX], text[EBB_EVENT_TEXT_MAX], line[EBB_EVENT_TEXT_MAX + EBB_AUDIT_LINE_MAX];
	struct printing *p = userdata;
	int length;

	p->count++;
	/* a line of the log was one already, so it fits */
	if (p->json)
		length = ebb_audit_line(&record->event, record->id, line, EBB_AUDIT_LINE_MAX);
	else
		length = snprintf(line, sizeof(line), "%s  %-19s  %s\n",
				  ebb_format_time(record->event.realtime_ns, true, when, sizeof(when)),
				  ebb_audit_type_name(record->event.type),
				  ebb_event_text(&record->event, text, sizeof(text)));
	errno = 0;
	return length < 0 || put(p, line, (size_t)length) < 0 ? output_failed(why) : 0;
}

/* ----------------------------------------------------------------- follow -- */

static volatile sig_atomic_t ended;

static void note_end(int signal)
{
	(void)signal;
	ended = 1;
}

/* Ctrl-C is how it ends, and whoever reads may go away: neither is an error. */
static void catch_end(void)
{
	const struct sigaction end = {.sa_handler = note_end}, ignore = {.sa_handler = SIG_IGN};

	(void)sigaction(SIGINT, &end, NULL);
	(void)sigaction(SIGTERM, &end, NULL);
	(void)sigaction(SIGPIPE, &ignore, NULL);
}

/* Until there may be more. False: nobody reads any more, or a signal came. */
static bool wait_for_more(const struct ebb_audit_follow *follow)
{
	struct pollfd fds[] = {
		{.fd = STDOUT_FILENO}, /* its reader's end: an error without having been asked for */
		{.fd = follow->ops->fd(follow->data), .events = POLLIN},
	};

	if (ended)
		return false;
	(void)poll(fds, sizeof(fds) / sizeof(fds[0]), LOOK_MS);
	return !ended && !(fds[0].revents & POLLERR);
}

/* What nobody reads any more: not to be tried again, and complained of, when the program ends. */
static void forget_output(void)
{
	__fpurge(stdout);
	clearerr(stdout);
}

static int follow_events(const struct ebb_audit_follow *follow, struct printing *printing,
			 struct ebb_why *why)
{
	int r;

	do {
		r = follow->ops->take(follow->data, print_event, printing, why);
		errno = 0;
		if (r == 0 && fflush(stdout) != 0)
			r = output_failed(why);
	} while (r == 0 && wait_for_more(follow));
	if (r == -EPIPE)
		forget_output();
	return ended || r == -EPIPE ? 0 : r;
}

/* What is said before it: nothing, unless it is asked for. */
static int follow_source(const struct ebb_args *args, const struct ebb_audit_source *source,
			 struct ebb_audit_query *query, struct printing *printing, uint64_t *ret_unknown,
			 struct ebb_why *why)
{
	bool past = ebb_args_given(args, "since") || query->limit;
	struct ebb_audit_follow follow;
	int r;

	if (!past)
		query->since_ns = 0;
	if (source->database)
		r = ebb_audit_follow_sqlite(source->path, query, past, &follow);
	else
		r = ebb_audit_follow_files(source->path, source->keep, query, past, &follow);
	if (r < 0)
		return ebb_why(why, r, "out of memory");
	catch_end();
	r = follow_events(&follow, printing, why);
	*ret_unknown = follow.ops->unknown(follow.data);
	follow.ops->free(follow.data);
	return r;
}

static int read_source(const struct ebb_audit_source *source, const struct ebb_audit_query *query,
		       struct printing *printing, uint64_t *ret_unknown, struct ebb_why *why)
{
	int r;

	if (source->database) {
		printing->patient = true;
		r = ebb_audit_query_sqlite(source->path, query, print_event, printing, ret_unknown, why);
		r = r == 0 ? print_aside(printing, why) : r;
		if (printing->aside)
			(void)fclose(printing->aside);
		return r;
	}
	return ebb_audit_query_files(source->path, source->keep, query, print_event, printing, ret_unknown,
				     why);
}

/* ---------------------------------------------------------------- command -- */

enum ebb_exit ebb_cmd_audit(const struct ebb_args *args)
{
	struct ebb_audit_query query = {0};
	struct printing printing = {0};
	struct ebb_audit_source source;
	struct ebb_why why = {0};
	uint64_t unknown = 0;
	bool follow = ebb_args_given(args, "follow");
	enum ebb_exit code;
	int r;

	code = ebb_output_format(args, &printing.json);
	if (code == EBB_EXIT_DONE)
		code = read_query(args, &query);
	if (code == EBB_EXIT_DONE)
		code = ebb_audit_source(args, &source);
	if (code != EBB_EXIT_DONE)
		return code;
	r = follow ? follow_source(args, &source, &query, &printing, &unknown, &why)
		   : read_source(&source, &query, &printing, &unknown, &why);
	if (r < 0)
		return ebb_audit_failed(args, &source, r, &why);
	if (unknown)
		(void)fprintf(stderr,
			      "ebb audit: %" PRIu64
			      " events are left out: a later version wrote them, or they are damaged\n",
			      unknown);
	if (printing.count == 0 && !printing.json && !follow)
		(void)printf("Nothing of the kind happened in that time.\n");
	return EBB_EXIT_DONE;
}
