/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the dead letters (export/deadletter.h), and taking some away, while the agent may add to them:
 *
 *	{"time": ..., "reason": ..., "event": {...}}      a letter
 *	#"time": ..., "reason": ..., "event": {...}}      one that was delivered meanwhile: its first byte is overwritten
 *	{"time": ..., "reas                               half a line, of a writer that died
 *
 * One byte is overwritten or it is not: whatever ends us, each letter is either there or delivered. What is marked goes
 * when the file is written anew beside the old one and moved over it, under the lock of those who add.
 */
#ifndef EBB_EXPORT_LETTERS_H
#define EBB_EXPORT_LETTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "export/audit_event.h"
#include "lib/lines.h"
#include "lib/why.h"

#define EBB_LETTERS_SINK_MAX 32	 /* bytes of a sink's name, the NUL included */
#define EBB_LETTERS_MARK     '#' /* in place of the first byte of one that was delivered */

struct ebb_letter {
	const char *reason;
	int64_t realtime_ns; /* since when it is dead */
	const char *line;    /* the event as it was, without its newline; in the line that was parsed */
	size_t length;
	uint64_t position; /* in the file */
	struct ebb_audit_record record;
	json_t *head; /* owns the reason */
};

/* Whole or not at all: -EBADMSG with the reason, -ENOMEM. On success the caller calls ebb_letter_done(). */
int ebb_letter_parse(const char *line, size_t length, struct ebb_letter *ret_letter, struct ebb_why *why);
void ebb_letter_done(struct ebb_letter *letter);

/*
 * Sinks that have a file in @dir, sorted; a name that no sink can have is none. *@ret_names is the caller's (free() is
 * enough). Returns their number; -ENOENT: there is no such directory.
 */
int ebb_letters_sinks(const char *dir, char (**ret_names)[EBB_LETTERS_SINK_MAX], struct ebb_why *why);

/* Who takes letters away. One at a time: -EBUSY. The caller closes *@ret_fd. -ENOENT: there is no such directory. */
int ebb_letters_lock(const char *dir, int *ret_fd, struct ebb_why *why);

struct ebb_letters {
	int fd;
	char path[4096];
	uint64_t damaged; /* lines so far that are no letters */
	uint64_t marked;  /* that were delivered */
	struct ebb_lines lines;
};

/* The file of @sink; @mark: letters will be marked. -ENOENT: there is none. */
int ebb_letters_open(const char *dir, const char *sink, bool mark, struct ebb_letters *ret_letters,
		     struct ebb_why *why);
void ebb_letters_close(struct ebb_letters *letters);

/* 1: the next letter, for ebb_letter_done(), valid until the next call; 0: no more. Damaged lines are passed over. */
int ebb_letters_next(struct ebb_letters *letters, struct ebb_letter *ret_letter, struct ebb_why *why);

/* The letter at @position is delivered. */
int ebb_letters_mark(const struct ebb_letters *letters, uint64_t position, struct ebb_why *why);

/* Does a letter stay? @letter is NULL for a line that is none. */
typedef bool ebb_letters_stays(void *userdata, const struct ebb_letter *letter);

/*
 * Writes the file of @sink anew, without what is marked, and without what @stays (NULL: all do) denies; when nothing is
 * left, it goes. Under ebb_letters_lock(). -ENOENT: there is none.
 */
int ebb_letters_tidy(const char *dir, const char *sink, ebb_letters_stays *stays, void *userdata,
		     struct ebb_why *why);

/* The file that @path names, open with @flags and locked; another process may have put another in its place. */
int ebb_letters_lock_file(const char *path, int flags, int *ret_fd);

#endif /* EBB_EXPORT_LETTERS_H */
