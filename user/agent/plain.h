/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Breakers that have moved, and have been closed again for a while: their sockets need no memory any more.
 *
 * A socket without a memory began in the plain generation of its gate (bpf/conn.h). While that is an earlier one
 * than the present, each new socket has to remember its own, which is most of what a connection costs. So
 * once in five minutes all gates are looked at, and where one was found closed in one generation twice:
 *
 *	walk     each socket from before that is still open gets a memory (EBB_SOCKETS_REMEMBER)
 *	then     the plain generation is the present one
 *
 * Only where the walk saw all sockets: then a result without a memory is of the plain generation.
 * What has no file any more (a farewell that nobody waits for, a SYN) has ended in these five minutes.
 *
 * A breaker that is apart (struct ebb_pair) is never plain: who asks it has a memory.
 *
 * Tolerated: a socket that is in no process, since it is on its way from one to another in a message. Its
 * result would count as one of the present generation.
 */
#ifndef EBB_AGENT_PLAIN_H
#define EBB_AGENT_PLAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/maps.h"

#define EBB_PLAIN_LOOK_NS (300 * 1000000000ULL)

struct ebb_plain;

/* @view is borrowed. 0 or -ENOMEM. */
int ebb_plain_new(const struct ebb_view *view, struct ebb_plain **ret_plain);
void ebb_plain_free(struct ebb_plain *plain);

/* Looks, when it is time to. True: a walk is wanted that begins after @now_ns. */
bool ebb_plain_look(struct ebb_plain *plain, uint64_t now_ns);

/*
 * A walk that has seen all sockets, and began at @began_ns, has ended. Returns for how many gates the plain
 * generation is another now; 0 also where no walk was wanted, or this one began before.
 */
uint32_t ebb_plain_walked(struct ebb_plain *plain, uint64_t began_ns);

#endif /* EBB_AGENT_PLAIN_H */
