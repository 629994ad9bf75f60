/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/errand.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/thread.h"

struct ebb_errand {
	int done_fd;
	bool started;
	pthread_t thread;
	void (*work)(void *userdata);
	void *userdata;
};

int ebb_errand_new(struct ebb_errand **ret_errand)
{
	struct ebb_errand *e = calloc(1, sizeof(*e));
	int r;

	if (!e)
		return -ENOMEM;
	e->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (e->done_fd < 0) {
		r = -errno;
		free(e);
		return r;
	}
	*ret_errand = e;
	return 0;
}

static void *work(void *argument)
{
	struct ebb_errand *e = argument;
	const uint64_t one = 1;

	(void)pthread_setname_np(pthread_self(), "ebb-errand");
	e->work(e->userdata);
	/* an eventfd that stands at 0 takes it */
	(void)!write(e->done_fd, &one, sizeof(one));
	return NULL;
}

/* Its priority is ordinary: that of the loop is not inherited (SCHED_RESET_ON_FORK). */
int ebb_errand_start(struct ebb_errand *e, void (*work_fn)(void *userdata), void *userdata)
{
	int r;

	if (e->started)
		return -EBUSY;
	e->work = work_fn;
	e->userdata = userdata;
	r = ebb_thread_start(&e->thread, work, e);
	e->started = r == 0;
	return r;
}

int ebb_errand_fd(const struct ebb_errand *errand)
{
	return errand->done_fd;
}

bool ebb_errand_end(struct ebb_errand *e)
{
	uint64_t count;

	if (!e->started)
		return false;
	(void)pthread_join(e->thread, NULL);
	(void)!read(e->done_fd, &count, sizeof(count));
	e->started = false;
	return true;
}

void ebb_errand_free(struct ebb_errand *errand)
{
	if (!errand)
		return;
	(void)ebb_errand_end(errand);
	(void)close(errand->done_fd);
	free(errand);
}
