/* SPDX-License-Identifier: Apache-2.0 */
/* Threads beside the loop. */
#ifndef EBB_LIB_THREAD_H
#define EBB_LIB_THREAD_H

#include <pthread.h>

/* Begins @work(@argument) in a thread with all signals blocked: they are the loop's. A negative errno; then *@ret_thread is nothing. */
int ebb_thread_start(pthread_t *ret_thread, void *(*work)(void *), void *argument);

#endif /* EBB_LIB_THREAD_H */
