/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Destroys connections by netlink, on kernels without bpf_sock_destroy (6.5):
 * NETLINK_SOCK_DIAG lists the sockets of the calling thread's network namespace with
 * their cgroups, and SOCK_DESTROY ends one. Private to user/kernel.
 */
#ifndef EBB_KERNEL_DIAG_H
#define EBB_KERNEL_DIAG_H

#include <stdint.h>

#include "kernel/maps.h"

/* Can this kernel destroy sockets, and may we? 0, or a negative errno. */
int ebb_diag_try(void);

/*
 * Destroys what bpf/reset.bpf.c would, but for connections that another program rewrote
 * the address of, which netlink does not know: the live connections whose workload and
 * peer have a pair, with its gate open and reset its policy.
 */
int ebb_diag_reset(const struct ebb_view *view, int endpoints_fd, int pairs_fd, uint64_t now_ns,
		   uint64_t *ret_count);

#endif /* EBB_KERNEL_DIAG_H */
