/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A piece of work beside the loop, at ordinary priority: what would keep a processor from others for milliseconds at that
 * of the loop. One at a time, each in a thread that is there for it alone.
 *
 *	loop     ebb_errand_start() ....... ebb_errand_fd() is readable: ebb_errand_end()
 *	              |                            ^
 *	thread        `------> work(userdata) -----'
 */
#ifndef EBB_AGENT_ERRAND_H
#define EBB_AGENT_ERRAND_H

#include <stdbool.h>

struct ebb_errand;

/* -ENOMEM, -EMFILE. */
int ebb_errand_new(struct ebb_errand **ret_errand);

/* Waits for the work that has begun. NULL is fine. */
void ebb_errand_free(struct ebb_errand *errand);

/*
 * Begins @work; until ebb_errand_end() what it touches is its own. -EBUSY: another one is not ended; -EAGAIN: there is
 * no thread for it. Then nothing is begun.
 */
int ebb_errand_start(struct ebb_errand *errand, void (*work)(void *userdata), void *userdata);

/* Readable when the work is done. */
int ebb_errand_fd(const struct ebb_errand *errand);

/* Waits for its end. False: nothing was begun. */
bool ebb_errand_end(struct ebb_errand *errand);

#endif /* EBB_AGENT_ERRAND_H */
