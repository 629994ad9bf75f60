/* SPDX-License-Identifier: Apache-2.0 */
/* Threads that dial at once. */
#include "crowd.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void *crowd_thread(void *argument)
{
	const struct connector *self = argument;
	struct crowd *crowd = self->crowd;

	for (;;) {
		int fd;

		(void)pthread_barrier_wait(&crowd->together);
		if (crowd->stop)
			return NULL;
		fd = socket(crowd->to.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		crowd->results[self->index] = fd < 0 ? -errno : dial(fd, &crowd->to);
		crowd->fds[self->index] = fd;
		(void)pthread_barrier_wait(&crowd->together);
	}
}

void crowd_gather(struct crowd *crowd, const struct address *to)
{
	crowd->to = *to;
	crowd->stop = false;
	assert_int_equal(pthread_barrier_init(&crowd->together, NULL, CONNECTORS + 1), 0);
	for (int i = 0; i < CONNECTORS; i++) {
		crowd->connectors[i] = (struct connector){.crowd = crowd, .index = i};
		assert_int_equal(pthread_create(&crowd->threads[i], NULL, crowd_thread,
						&crowd->connectors[i]),
				 0);
	}
}

int crowd_dial(struct crowd *crowd, int refused)
{
	int passed = 0;

	(void)pthread_barrier_wait(&crowd->together);
	(void)pthread_barrier_wait(&crowd->together);
	for (int i = 0; i < CONNECTORS; i++)
		passed += crowd->results[i] != refused;
	return passed;
}

void crowd_hang_up(struct crowd *crowd)
{
	for (int i = 0; i < CONNECTORS; i++)
		hang_up(&crowd->fds[i]);
}

void crowd_dismiss(struct crowd *crowd)
{
	crowd->stop = true;
	(void)pthread_barrier_wait(&crowd->together);
	for (int i = 0; i < CONNECTORS; i++)
		(void)pthread_join(crowd->threads[i], NULL);
	(void)pthread_barrier_destroy(&crowd->together);
}
