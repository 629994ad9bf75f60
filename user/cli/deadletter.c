/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 'ebb deadletter list', 'replay' and 'drop': events that a sink did not take, with the agent alive or dead.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/audit_place.h"
#include "cli/common.h"
#include "export/letters.h"
#include "export/replay.h"
#include "lib/cleanup.h"
#include "lib/text.h"
#include "lib/when.h"

#define NS_PER_S     1000000000LL
#define IDS_MAX	     1000
#define REASON_SHOWN (4 * sizeof(((struct ebb_why *)0)->text))

/* Of which sinks: those with letters, or the one that was asked for. */
struct letters {
	const struct ebb_args *args;
	struct ebb_audit_place place;
	char dir[PATH_MAX + 16]; /* of the letters */
	char (*sinks)[EBB_LETTERS_SINK_MAX];
	int sink_count;
	bool json;
	char *id_text; /* what the ids borrow from */
	const char *ids[IDS_MAX];
	size_t id_count;
};

/* ---------------------------------------------------------------- options -- */

/* "a,b,c", whole. */
static enum ebb_exit read_ids(struct letters *l)
{
	const char *text = ebb_args_get(l->args, "id");
	char *rest = NULL;

	if (!text)
		return EBB_EXIT_DONE;
	l->id_text = strdup(text);
	if (!l->id_text)
		return ebb_fail(l->args, EBB_EXIT_FAILED, "out of memory");
	for (char *id = strtok_r(l->id_text, ",", &rest); id; id = strtok_r(NULL, ",", &rest)) {
		if (strlen(id) != EBB_AUDIT_ID_MAX - 1)
			return ebb_fail_option(l->args, "id",
					       "'%s' is no id of an event: 'ebb deadletter list' shows them",
					       id);
		if (l->id_count == IDS_MAX)
			return ebb_fail_option(l->args, "id", "at most %d ids at once", IDS_MAX);
		l->ids[l->id_count++] = id;
	}
	return l->id_count ? EBB_EXIT_DONE : ebb_fail_option(l->args, "id", "no id is given");
}

/* Leaves the sink that was asked for. */
static enum ebb_exit choose_sink(struct letters *l)
{
	const char *sink = ebb_args_get(l->args, "sink");

	for (int i = 0; sink && i < l->sink_count; i++) {
		if (strcmp(l->sinks[i], sink) == 0) {
			memmove(l->sinks[0], l->sinks[i], sizeof(l->sinks[0]));
			l->sink_count = 1;
			return EBB_EXIT_DONE;
		}
	}
	return sink ? ebb_fail(l->args, EBB_EXIT_NOT_FOUND, "there are no dead letters of a sink '%s' in %s",
			       sink, l->dir)
		    : EBB_EXIT_DONE;
}

static enum ebb_exit open_letters(const struct ebb_args *args, struct letters *ret_letters)
{
	struct letters *l = ret_letters;
	struct ebb_why why = {0};
	enum ebb_exit code;

	memset(l, 0, sizeof(*l));
	l->args = args;
	code = ebb_output_format(args, &l->json);
	if (code == EBB_EXIT_DONE)
		code = read_ids(l);
	if (code == EBB_EXIT_DONE)
		code = ebb_audit_place(args, &l->place);
	if (code != EBB_EXIT_DONE)
		return code;
	(void)snprintf(l->dir, sizeof(l->dir), "%s/deadletter", l->place.dir);
	l->sink_count = ebb_letters_sinks(l->dir, &l->sinks, &why);
	/* the agent makes it with the first letter */
	if (l->sink_count == -ENOENT && !ebb_args_given(args, "dir"))
		l->sink_count = 0;
	if (l->sink_count < 0)
		return ebb_fail(args, ebb_exit_of_file(l->sink_count), "%s", why.text);
	return choose_sink(l);
}

static void close_letters(struct letters *l)
{
	ebb_audit_place_done(&l->place);
	free(l->sinks);
	free(l->id_text);
}

static enum ebb_exit say_none(const struct letters *l)
{
	if (!l->json)
		(void)printf("No dead letters.\n");
	else
		(void)printf("{\"sinks\": []}\n");
	return EBB_EXIT_DONE;
}

/* ------------------------------------------------------------------- list -- */

static void print_text(const char *sink, const struct ebb_letter *letter)
{
	char when[EBB_TIME_MAX], reason[REASON_SHOWN];

	(void)printf("%s  %-8s  %s  %-19s  %s\n",
		     ebb_format_time(letter->realtime_ns, false, when, sizeof(when)), sink, letter->record.id,
		     ebb_audit_type_name(letter->record.event.type),
		     ebb_text_escape(letter->reason, reason, sizeof(reason)));
}

/* The letter as it is, and whose. */
static int print_json(const char *sink, const struct ebb_letter *letter)
{
	json_t *root =
		json_pack("{s:s, s:O, s:s, s:O}", "sink", sink, "time", json_object_get(letter->head, "time"),
			  "reason", letter->reason, "event", letter->record.root);
	int r = root ? json_dumpf(root, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER) : -1;

	json_decref(root);
	return r < 0 || fputc('\n', stdout) == EOF ? -EIO : 0;
}

static enum ebb_exit list_sink(const struct letters *l, const char *sink, uint64_t *io_count,
			       uint64_t *io_damaged)
{
	struct ebb_letters letters;
	struct ebb_letter letter;
	struct ebb_why why = {0};
	int r;

	r = ebb_letters_open(l->dir, sink, false, &letters, &why);
	if (r == -ENOENT)
		return EBB_EXIT_DONE; /* just gone */
	if (r < 0)
		return ebb_fail(l->args, ebb_exit_of_file(r), "%s", why.text);
	while ((r = ebb_letters_next(&letters, &letter, &why)) > 0) {
		if (!l->json && *io_count == 0)
			(void)printf("%-19s  %-8s  %-36s  %-19s  %s\n", "SINCE", "SINK", "ID", "EVENT",
				     "WHY");
		if (!l->json)
			print_text(sink, &letter);
		else if (print_json(sink, &letter) < 0)
			r = ebb_why(&why, -EIO, "cannot write the output");
		ebb_letter_done(&letter);
		(*io_count)++;
		if (r < 0)
			break;
	}
	*io_damaged += letters.damaged;
	ebb_letters_close(&letters);
	return r < 0 ? ebb_fail(l->args, EBB_EXIT_FAILED, "%s", why.text) : EBB_EXIT_DONE;
}

enum ebb_exit ebb_cmd_deadletter_list(const struct ebb_args *args)
{
	_cleanup_free_ struct letters *l = malloc(sizeof(*l));
	uint64_t count = 0, damaged = 0;
	enum ebb_exit code;

	if (!l)
		return ebb_fail(args, EBB_EXIT_FAILED, "out of memory");
	code = open_letters(args, l);
	for (int i = 0; code == EBB_EXIT_DONE && i < l->sink_count; i++)
		code = list_sink(l, l->sinks[i], &count, &damaged);
	if (code == EBB_EXIT_DONE && !l->json) {
		if (count == 0)
			(void)printf("No dead letters.\n");
		if (damaged)
			(void)printf("%" PRIu64
				     " lines are damaged and no letters; 'ebb deadletter drop --all' removes them, too.\n",
				     damaged);
	}
	close_letters(l);
	return code;
}

/* ----------------------------------------------------------------- replay -- */

static void say_replayed(const char *sink, const struct ebb_replay *replay)
{
	(void)printf("%s: %" PRIu64 " replayed", sink, replay->replayed);
	if (replay->refused)
		(void)printf(", %" PRIu64 " refused again and kept", replay->refused);
	if (replay->left)
		(void)printf(", %" PRIu64 " not tried and kept", replay->left);
	if (replay->damaged)
		(void)printf(", %" PRIu64 " damaged lines left alone", replay->damaged);
	(void)printf("\n");
}

static json_t *replay_json(const char *sink, const struct ebb_replay *replay)
{
	bool whole = !replay->refused && !replay->left;

	return json_pack("{s:s, s:I, s:I, s:I, s:I, s:s?}", "sink", sink, "replayed",
			 (json_int_t)replay->replayed, "refused", (json_int_t)replay->refused, "left",
			 (json_int_t)replay->left, "damaged", (json_int_t)replay->damaged, "why",
			 whole ? NULL : replay->why);
}

static enum ebb_exit replay_sink(const struct letters *l, const char *name, json_t *list,
				 uint64_t *io_replayed)
{
	struct ebb_replay replay = {0};
	struct ebb_why why = {0};
	struct ebb_sink sink;
	int r;

	r = ebb_audit_place_sink(&l->place, name, &sink);
	if (r == -ENOENT)
		return ebb_fail(l->args, EBB_EXIT_FAILED,
				"%s: the configuration has no such sink: add it, or drop its letters with 'ebb deadletter drop --sink %s --all'",
				name, name);
	if (r < 0)
		return ebb_fail(l->args, EBB_EXIT_FAILED, "%s: %s", name, ebb_strerror(r));
	r = ebb_replay(l->dir, &sink, l->ids, l->id_count, &replay, &why);
	sink.ops->free(sink.data);
	if (r < 0 && r != -ENOENT)
		return ebb_fail(l->args, ebb_exit_of_file(r), "%s", why.text);
	*io_replayed += replay.replayed + replay.refused + replay.left;
	if (l->json)
		(void)json_array_append_new(list, replay_json(name, &replay));
	else if (replay.replayed + replay.refused + replay.left + replay.damaged > 0)
		say_replayed(name, &replay);
	if (replay.refused || replay.left)
		return ebb_fail(l->args, EBB_EXIT_FAILED, "%s: %s", name, replay.why);
	return EBB_EXIT_DONE;
}

/* All sinks, also when one of them fails. */
static enum ebb_exit replay_all(const struct letters *l)
{
	json_t *list = json_array();
	enum ebb_exit worst = EBB_EXIT_DONE, code;
	uint64_t met = 0;

	ebb_remember_deed(l->args);
	for (int i = 0; i < l->sink_count; i++) {
		code = replay_sink(l, l->sinks[i], list, &met);
		worst = code != EBB_EXIT_DONE ? code : worst;
	}
	if (l->json) {
		code = ebb_print_json(l->args, json_pack("{s:o}", "sinks", list));
		worst = code != EBB_EXIT_DONE ? code : worst;
	} else {
		json_decref(list);
	}
	if (worst == EBB_EXIT_DONE && met == 0 && l->id_count)
		return ebb_fail(l->args, EBB_EXIT_NOT_FOUND, "no dead letter has such an id");
	return worst;
}

enum ebb_exit ebb_cmd_deadletter_replay(const struct ebb_args *args)
{
	_cleanup_free_ struct letters *l = malloc(sizeof(*l));
	enum ebb_exit code;

	if (!l)
		return ebb_fail(args, EBB_EXIT_FAILED, "out of memory");
	code = open_letters(args, l);
	if (code == EBB_EXIT_DONE)
		code = l->sink_count ? replay_all(l) : say_none(l);
	close_letters(l);
	return code;
}

/* ------------------------------------------------------------------- drop -- */

struct dropping {
	const struct letters *letters;
	int64_t before_ns; /* INT64_MAX: all */
	bool all;
	uint64_t dropped, kept;
};

static bool is_named(const struct letters *l, const char *id)
{
	for (size_t i = 0; i < l->id_count; i++) {
		if (strcmp(l->ids[i], id) == 0)
			return true;
	}
	return l->id_count == 0;
}

static bool stays(void *userdata, const struct ebb_letter *letter)
{
	struct dropping *d = userdata;
	bool goes = letter ? letter->realtime_ns < d->before_ns && is_named(d->letters, letter->record.id)
			   : d->all;

	if (goes)
		d->dropped++;
	else
		d->kept++;
	return !goes;
}

static enum ebb_exit read_before(const struct ebb_args *args, struct dropping *d)
{
	const char *before = ebb_args_get(args, "before");
	struct timespec now = {0};

	d->all = ebb_args_get(args, "all") != NULL;
	d->before_ns = INT64_MAX;
	if (d->all + (before != NULL) + (ebb_args_get(args, "id") != NULL) != 1)
		return ebb_fail(args, EBB_EXIT_USAGE, "which letters? give one of --before, --id and --all");
	(void)clock_gettime(CLOCK_REALTIME, &now);
	if (before && ebb_when_parse(before, (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec, &d->before_ns) < 0)
		return ebb_fail_option(args, "before", "'%s' is not possible: a time like " EBB_WHEN_EXAMPLES,
				       before);
	return EBB_EXIT_DONE;
}

static enum ebb_exit drop_all(struct dropping *d)
{
	const struct letters *l = d->letters;
	_cleanup_close_ int lock = -1;
	json_t *list = json_array();
	struct ebb_why why = {0};
	uint64_t dropped = 0;
	int r;

	ebb_remember_deed(l->args);
	r = ebb_letters_lock(l->dir, &lock, &why);
	for (int i = 0; r == 0 && i < l->sink_count; i++) {
		d->dropped = d->kept = 0;
		r = ebb_letters_tidy(l->dir, l->sinks[i], stays, d, &why);
		if (r == -ENOENT)
			r = 0; /* just gone */
		if (r < 0)
			break;
		dropped += d->dropped;
		if (l->json)
			(void)json_array_append_new(list, json_pack("{s:s, s:I, s:I}", "sink", l->sinks[i],
								    "dropped", (json_int_t)d->dropped, "kept",
								    (json_int_t)d->kept));
		else
			(void)printf("%s: %" PRIu64 " dropped, %" PRIu64 " kept\n", l->sinks[i], d->dropped,
				     d->kept);
	}
	if (l->json && r == 0)
		return ebb_print_json(l->args, json_pack("{s:o}", "sinks", list));
	json_decref(list);
	if (r < 0)
		return ebb_fail(l->args, ebb_exit_of_file(r), "%s", why.text);
	if (dropped == 0 && l->id_count)
		return ebb_fail(l->args, EBB_EXIT_NOT_FOUND, "no dead letter has such an id");
	return EBB_EXIT_DONE;
}

enum ebb_exit ebb_cmd_deadletter_drop(const struct ebb_args *args)
{
	_cleanup_free_ struct letters *l = malloc(sizeof(*l));
	struct dropping dropping = {.letters = l};
	enum ebb_exit code;

	if (!l)
		return ebb_fail(args, EBB_EXIT_FAILED, "out of memory");
	code = read_before(args, &dropping);
	if (code != EBB_EXIT_DONE)
		return code;
	code = open_letters(args, l);
	if (code == EBB_EXIT_DONE)
		code = l->sink_count ? drop_all(&dropping) : say_none(l);
	close_letters(l);
	return code;
}
