/* SPDX-License-Identifier: Apache-2.0 */
/* Where an agent says that its audit log is, as another process finds it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "export/whereabouts.h"

static void is_said(const struct ebb_whereabouts *wanted)
{
	struct ebb_whereabouts found;

	memset(&found, 'x', sizeof(found));
	assert_int_equal(ebb_whereabouts_of((uint32_t)getpid(), &found), 0);
	assert_string_equal(found.dir, wanted->dir);
	assert_string_equal(found.sqlite, wanted->sqlite);
	assert_string_equal(found.file, wanted->file);
	assert_int_equal(found.keep, wanted->keep);
	assert_string_equal(found.host, wanted->host);
	assert_int_equal(found.port, wanted->port);
	assert_string_equal(found.database, wanted->database);
	assert_string_equal(found.user, wanted->user);
	assert_string_equal(found.password_file, wanted->password_file);
}

static void what_is_said_last_is_found(void **state)
{
	struct ebb_whereabouts said = {.dir = "/var/lib/ebb",
				       .sqlite = "/a b=c/audit.db",
				       .keep = 5,
				       .host = "db.example.com",
				       .port = 5432,
				       .database = "a=b",
				       .user = "writer",
				       .password_file = "/run/secret"},
			       found;
	struct stat st;
	int fd = -1;

	(void)state;
	assert_int_equal(ebb_whereabouts_of((uint32_t)getpid(), &found), -ENOENT);
	assert_int_equal(ebb_whereabouts_new(&fd), 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(ebb_whereabouts_of((uint32_t)getpid(), &found), -ENOENT);
	assert_int_equal(ebb_whereabouts_say(fd, &said), 0);
	is_said(&said);
	/* as long as they may be, and short again */
	memset(said.dir, 'd', sizeof(said.dir) - 1);
	memset(said.sqlite, 's', sizeof(said.sqlite) - 1);
	memset(said.file, 'f', sizeof(said.file) - 1);
	said.keep = UINT32_MAX;
	memset(said.host, 'h', sizeof(said.host) - 1);
	memset(said.database, 'b', sizeof(said.database) - 1);
	memset(said.user, 'u', sizeof(said.user) - 1);
	memset(said.password_file, 'p', sizeof(said.password_file) - 1);
	said.port = UINT32_MAX;
	assert_int_equal(ebb_whereabouts_say(fd, &said), 0);
	is_said(&said);
	said = (struct ebb_whereabouts){.dir = "/d"};
	assert_int_equal(ebb_whereabouts_say(fd, &said), 0);
	is_said(&said);
	assert_int_equal(close(fd), 0);
	assert_int_equal(ebb_whereabouts_of((uint32_t)getpid(), &found), -ENOENT);
}

/* One that is being written, or was by somebody else. */
static void what_is_not_whole_is_not_believed(void **state)
{
#define WITH_SIZE(text) text, sizeof(text)
#define BEGIN		"serial=1\0dir=/d\0sqlite=\0file=\0keep=5"
#define SERVER		"host=db\0port=1\0database=d\0user=u\0password_file="
	static const struct {
		const char *text;
		size_t size;
	} said_by_others[] = {
		{WITH_SIZE("serial=1")},
		{WITH_SIZE(BEGIN "\0" SERVER "\0serial=2")},
		{WITH_SIZE(BEGIN "\0serial=1\0" SERVER)},
		{WITH_SIZE(BEGIN "\0" SERVER "\0serial=1\0more")},
		/* of an earlier version, which does not say where PostgreSQL is */
		{WITH_SIZE(BEGIN "\0serial=1")},
	};
	struct ebb_whereabouts said = {.dir = "/d"}, found;
	int fd = -1;

	(void)state;
	assert_int_equal(ebb_whereabouts_new(&fd), 0);
	for (size_t i = 0; i < sizeof(said_by_others) / sizeof(said_by_others[0]); i++) {
		ssize_t size = (ssize_t)said_by_others[i].size;

		assert_int_equal(ftruncate(fd, 0), 0);
		assert_int_equal(pwrite(fd, said_by_others[i].text, (size_t)size, 0), size);
		assert_int_equal(ebb_whereabouts_of((uint32_t)getpid(), &found), -ENOENT);
	}
	assert_int_equal(ebb_whereabouts_say(fd, &said), 0);
	is_said(&said);
	assert_int_equal(close(fd), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_said_last_is_found),
		cmocka_unit_test(what_is_not_whole_is_not_believed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
