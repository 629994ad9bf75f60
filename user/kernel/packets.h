/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program that sees every packet, attached by whoever gives an order that needs it: the
 * agent at its tick, or a command, with the agent alive or dead. The loader pins the program
 * beside the maps for that, and takes up a link that a command has made.
 */
#ifndef EBB_KERNEL_PACKETS_H
#define EBB_KERNEL_PACKETS_H

#include "lib/why.h"

/*
 * Attaches the pinned program to the cgroup and pins the link, where no link is pinned that
 * works. Under the lock of kernel/maps.h. -ENOENT: no program is pinned; -EPERM: not permitted.
 */
int ebb_packets_attach(const char *pin_dir, int cgroup_fd, struct ebb_why *why);

#endif /* EBB_KERNEL_PACKETS_H */
