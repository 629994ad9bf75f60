/* SPDX-License-Identifier: Apache-2.0 */
/* user/agent/notify.c against a socket as the service manager opens it: each datagram, to the byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/notify.h"

#define S 1000000000ULL

struct manager {
	char dir[64];
	char path[96]; /* as in NOTIFY_SOCKET */
	int fd;
	struct ebb_notify notify;
};

/* @abstract: "@name", of no file. */
static void listen_as_manager(struct manager *m, bool abstract)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	socklen_t length;

	(void)snprintf(m->dir, sizeof(m->dir), "/tmp/ebb-notify-XXXXXX");
	assert_non_null(mkdtemp(m->dir));
	(void)snprintf(m->path, sizeof(m->path), "%s%s/notify", abstract ? "@" : "", m->dir);
	length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(m->path));
	memcpy(address.sun_path, m->path, strlen(m->path) + 1);
	if (abstract)
		address.sun_path[0] = '\0';
	m->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(m->fd >= 0);
	assert_int_equal(bind(m->fd, (struct sockaddr *)&address, length), 0);
}

static void close_manager(struct manager *m)
{
	ebb_notify_done(&m->notify);
	(void)close(m->fd);
	(void)unlink(m->path);
	assert_int_equal(rmdir(m->dir), 0);
}

/* The next datagram, "" when none came. */
static const char *heard(const struct manager *m)
{
	static char text[2 * EBB_NOTIFY_MAX];
	ssize_t n = recv(m->fd, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

static void each_piece_of_news_is_one_datagram(void **state)
{
	(void)state;
	for (int abstract = 0; abstract < 2; abstract++) {
		struct manager m;

		listen_as_manager(&m, abstract);
		assert_int_equal(ebb_notify_init(&m.notify, m.path, NULL, NULL, 7), 0);
		assert_int_equal(ebb_notify_ready(&m.notify, "mode=observe"), 0);
		assert_string_equal(heard(&m), "READY=1\nSTATUS=mode=observe");
		assert_int_equal(ebb_notify_reloading(&m.notify, 12345678), 0);
		assert_string_equal(heard(&m), "RELOADING=1\nMONOTONIC_USEC=12345");
		assert_int_equal(ebb_notify_stopping(&m.notify, 40 * S), 0);
		assert_string_equal(heard(&m), "STOPPING=1\nEXTEND_TIMEOUT_USEC=40000000");
		assert_int_equal(ebb_notify_ticked(&m.notify, S), 0);
		assert_string_equal(heard(&m), "");
		close_manager(&m);
	}
}

static void keep_alive_comes_twice_in_the_time_given(void **state)
{
	struct manager m;

	(void)state;
	listen_as_manager(&m, false);
	assert_int_equal(ebb_notify_init(&m.notify, m.path, "30000000", "7", 7), 0);
	assert_int_equal(ebb_notify_ticked(&m.notify, 100 * S), 0);
	assert_string_equal(heard(&m), "WATCHDOG=1");
	assert_int_equal(ebb_notify_ticked(&m.notify, 115 * S - 1), 0);
	assert_string_equal(heard(&m), "");
	assert_int_equal(ebb_notify_ticked(&m.notify, 115 * S), 0);
	assert_string_equal(heard(&m), "WATCHDOG=1");
	close_manager(&m);
}

static void keep_alive_of_another_process_is_not_ours(void **state)
{
	struct manager m;

	(void)state;
	listen_as_manager(&m, false);
	assert_int_equal(ebb_notify_init(&m.notify, m.path, "30000000", "8", 7), 0);
	assert_int_equal(ebb_notify_ticked(&m.notify, 100 * S), 0);
	assert_string_equal(heard(&m), "");
	assert_int_equal(ebb_notify_ready(&m.notify, ""), 0);
	assert_string_equal(heard(&m), "READY=1\nSTATUS=");
	close_manager(&m);
}

/* It neither waits nor forgets: the keep-alive is due again. */
static void manager_that_takes_nothing_is_not_waited_for(void **state)
{
	struct manager m;
	int r = 0, sent;

	(void)state;
	listen_as_manager(&m, false);
	assert_int_equal(ebb_notify_init(&m.notify, m.path, "2000000", NULL, 7), 0);
	for (sent = 0; sent < 100000 && r == 0; sent++)
		r = ebb_notify_ticked(&m.notify, (uint64_t)sent * S);
	assert_int_equal(r, -EAGAIN);
	while (heard(&m)[0])
		;
	assert_int_equal(ebb_notify_ticked(&m.notify, (uint64_t)(sent - 1) * S), 0);
	assert_string_equal(heard(&m), "WATCHDOG=1");
	(void)unlink(m.path);
	assert_int_equal(ebb_notify_ready(&m.notify, ""), -ENOENT);
	close_manager(&m);
}

static void long_status_is_cut(void **state)
{
	char status[2 * EBB_NOTIFY_MAX];
	struct manager m;

	(void)state;
	memset(status, 'x', sizeof(status) - 1);
	status[sizeof(status) - 1] = '\0';
	listen_as_manager(&m, false);
	assert_int_equal(ebb_notify_init(&m.notify, m.path, NULL, NULL, 7), 0);
	assert_int_equal(ebb_notify_ready(&m.notify, status), 0);
	assert_int_equal(strlen(heard(&m)), EBB_NOTIFY_MAX - 1);
	close_manager(&m);
}

static void without_a_manager_nothing_is_sent(void **state)
{
	struct ebb_notify n;

	(void)state;
	assert_int_equal(ebb_notify_init(&n, NULL, "30000000", NULL, 7), 0);
	assert_int_equal(n.fd, -1);
	assert_int_equal(ebb_notify_ready(&n, ""), 0);
	assert_int_equal(ebb_notify_ticked(&n, S), 0);
	ebb_notify_done(&n);
	assert_int_equal(ebb_notify_init(&n, "", NULL, NULL, 7), 0);
	assert_int_equal(n.fd, -1);
}

static void what_no_manager_says_is_refused(void **state)
{
	static const struct {
		const char *path, *usec, *pid;
	} wrong[] = {
		{"run/notify", NULL, NULL},
		{"/", NULL, NULL},
		{"@", NULL, NULL},
		{"vsock:2:1234", NULL, NULL},
		{"/run/n", "", NULL},
		{"/run/n", "0", NULL},
		{"/run/n", "-5", NULL},
		{"/run/n", "30s", NULL},
		{"/run/n", "99999999999999999999", NULL},
		{"/run/n", " 30", NULL},
		{"/run/n", "30000000", "me"},
		{"/run/n", "30000000", "0"},
	};
	char path[sizeof(((struct sockaddr_un *)0)->sun_path) + 1];
	struct ebb_notify n;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(ebb_notify_init(&n, wrong[i].path, wrong[i].usec, wrong[i].pid, 7), -EINVAL);
		assert_int_equal(n.fd, -1);
		assert_int_equal(ebb_notify_ready(&n, ""), 0);
	}
	memset(path, 'a', sizeof(path) - 1);
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(ebb_notify_init(&n, path, NULL, NULL, 7), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_piece_of_news_is_one_datagram),
		cmocka_unit_test(keep_alive_comes_twice_in_the_time_given),
		cmocka_unit_test(keep_alive_of_another_process_is_not_ours),
		cmocka_unit_test(manager_that_takes_nothing_is_not_waited_for),
		cmocka_unit_test(long_status_is_cut),
		cmocka_unit_test(without_a_manager_nothing_is_sent),
		cmocka_unit_test(what_no_manager_says_is_refused),
	};

	return cmocka_run_group_tests_name("notify", tests, NULL, NULL);
}
