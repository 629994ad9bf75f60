/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/thread.h"

#include <signal.h>

int ebb_thread_start(pthread_t *ret_thread, void *(*work)(void *), void *argument)
{
	sigset_t all, before;
	int r;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	r = -pthread_create(ret_thread, NULL, work, argument);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return r;
}
