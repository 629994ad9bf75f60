/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Values of errno: BTF has no macros, and errno.h does not compile for BPF. The
 * same on every architecture that we build for.
 */
#ifndef EBB_ERRNO_H
#define EBB_ERRNO_H

#define EBB_E_PIPE	  32
#define EBB_E_NETUNREACH  101
#define EBB_E_CONNABORTED 103
#define EBB_E_CONNRESET	  104
#define EBB_E_TIMEDOUT	  110
#define EBB_E_CONNREFUSED 111
#define EBB_E_HOSTUNREACH 113

#endif /* EBB_ERRNO_H */
