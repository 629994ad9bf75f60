/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Functions of the kernel that programs call by its types (kfuncs). Not declared by vmlinux.h: two objects that both say that one is in
 * .ksyms are not linked by bpftool 7.1 ("failed to resolve size of underlying type": a function has none). So the first
 * object that is linked and calls one says it (EBB_KSYM), and the others leave it to that one.
 */
#ifndef EBB_KFUNC_H
#define EBB_KFUNC_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#ifndef EBB_KSYM
#define EBB_KSYM
#endif

extern void *bpf_rdonly_cast(const void *obj__ign, __u32 btf_id__k) __weak EBB_KSYM; /* 6.2 */
extern int bpf_sock_destroy(struct sock_common *sock) __weak __ksym; /* 6.5; one object calls it */

#endif /* EBB_KFUNC_H */
