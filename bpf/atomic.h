/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Shared words: loads and stores that the compiler neither splits nor repeats, and
 * the one compare-and-swap by which they change. The same in the kernel and in a
 * native test.
 */
#ifndef EBB_ATOMIC_H
#define EBB_ATOMIC_H

#define EBB_CAS_TRIES 8

#define EBB_LOAD(word)		   (*(const volatile __typeof__(word) *)&(word))
#define EBB_STORE(word, value)	   (*(volatile __typeof__(word) *)&(word) = (value))
#define EBB_CAS(pointer, old, new) __sync_val_compare_and_swap(pointer, old, new)

/*
 * A function that the verifier looks at once by itself, and not again at each call and
 * for each state before it: what has loops and branches would be too much for it there.
 * Its pointers may be NULL. Weak, since each object that includes it brings one.
 */
#ifdef __bpf__
#define EBB_SUBPROG __attribute__((noinline, weak))
#else
#define EBB_SUBPROG static inline __attribute__((unused))
#endif

#endif /* EBB_ATOMIC_H */
