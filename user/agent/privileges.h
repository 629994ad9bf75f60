/* SPDX-License-Identifier: Apache-2.0 */
/* Giving up what an attached agent no longer needs. */
#ifndef EBB_AGENT_PRIVILEGES_H
#define EBB_AGENT_PRIVILEGES_H

/*
 * Keeps of the capabilities that we have: CAP_BPF (maps), CAP_NET_ADMIN (links),
 * CAP_PERFMON (programs that follow kernel pointers), CAP_DAC_READ_SEARCH (cgroup
 * id -> path). Everything else goes for good. 0 or a negative errno.
 */
int ebb_drop_privileges(void);

#endif /* EBB_AGENT_PRIVILEGES_H */
