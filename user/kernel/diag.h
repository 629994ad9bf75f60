/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Destroys connections by netlink, on kernels without bpf_sock_destroy (6.5). Which
 * ones, the iterator has said (bpf/reset.bpf.c). Private to user/kernel.
 */
#ifndef EBB_KERNEL_DIAG_H
#define EBB_KERNEL_DIAG_H

#include "bpf/abi.h"

/* Can this kernel destroy sockets, and may we? 0, or a negative errno. */
int ebb_diag_try(void);

/* A netlink socket in the network namespace of the calling thread, which owns *@ret_fd. */
int ebb_diag_open(int *ret_fd);

/* 0, -ENOENT when it has ended meanwhile, or another negative errno. */
int ebb_diag_destroy(int fd, const struct ebb_doomed *doomed);

#endif /* EBB_KERNEL_DIAG_H */
