/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent refuses itself system calls that it never makes, once it has started: whoever gets it to run code of theirs
 * starts no program, traces no process, loads no module and opens no raw socket with its rights.
 *
 *	thread of the agent ---- a call that is in the list ----------> done
 *	        |
 *	        +-- another --> waits; the kernel asks our own thread --> EPERM, and counted (log: done, and counted)
 *
 * EPERM and not an end of the process: an agent that is gone protects nobody, and the call is refused either way. A thread
 * answers, not a handler of SIGSYS, since our threads block signals and a blocked one would end the process; and not the
 * kernel alone, since that names calls by number, in a log that containers do not see. The thread itself takes no lock
 * and writes no log: who is asked for news does (ebb_seccomp_news()).
 */
#ifndef EBB_AGENT_SECCOMP_H
#define EBB_AGENT_SECCOMP_H

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"
#include "lib/why.h"

struct ebb_seccomp;

/*
 * For all threads, those that are there and those to come, until the process ends. @enters_namespaces: setns() is in
 * the list. -ENOSYS: this build has no such filter or cannot have one; with @mode off nothing is done, and *@ret_seccomp
 * is NULL. Any other negative errno: there is no filter.
 */
int ebb_seccomp_new(enum ebb_seccomp_mode mode, bool enters_namespaces, struct ebb_seccomp **ret_seccomp,
		    struct ebb_why *why);

/* Ends the thread; the filter stays, and from then on what is not in the list fails with ENOSYS. */
void ebb_seccomp_free(struct ebb_seccomp *seccomp);

/* How many calls were not in the list. NULL: 0. */
uint64_t ebb_seccomp_count(const struct ebb_seccomp *seccomp);

/*
 * Tells of each call that was not in the list since the last look: its name, and how often so far. Where another filter
 * answers already (see ebb_seccomp_is_told()), nothing is known. NULL: nothing to tell.
 */
typedef void (*ebb_seccomp_told_fn)(void *userdata, const char *name, uint64_t count);
void ebb_seccomp_news(struct ebb_seccomp *seccomp, ebb_seccomp_told_fn told, void *userdata);

/* False: what is refused is in the kernel's log alone, by number. */
bool ebb_seccomp_is_told(const struct ebb_seccomp *seccomp);

#endif /* EBB_AGENT_SECCOMP_H */
