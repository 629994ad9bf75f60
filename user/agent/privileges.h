/* SPDX-License-Identifier: Apache-2.0 */
/* Giving up what an attached agent no longer needs. */
#ifndef EBB_AGENT_PRIVILEGES_H
#define EBB_AGENT_PRIVILEGES_H

#include <stdbool.h>

/*
 * Keeps of the capabilities that we have: CAP_BPF (maps), CAP_NET_ADMIN (links),
 * CAP_PERFMON (programs that follow kernel pointers); to enter the network namespaces
 * of others also CAP_SYS_PTRACE and CAP_SYS_ADMIN; to have real-time priority again, where no limit permits it
 * (ebb_scheduling_permit()), also CAP_SYS_NICE. Everything else goes for good. Also
 * CAP_DAC_READ_SEARCH, which would make a path of a cgroup's id: it reads every file of
 * the node, in containers' images too, and a walk over the cgroups does it as well.
 * 0 or a negative errno.
 */
int ebb_drop_privileges(bool enters_namespaces, bool raises);

/* Have we CAP_SYS_NICE? */
bool ebb_may_raise(void);

#endif /* EBB_AGENT_PRIVILEGES_H */
