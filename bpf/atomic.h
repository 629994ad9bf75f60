/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Shared words: loads and stores that the compiler neither splits nor repeats, and
 * the ways by which they change. Headers say them by these names only, so that a
 * native test can come between any two of them (tests/lib/orders.h).
 */
#ifndef EBB_ATOMIC_H
#define EBB_ATOMIC_H

#define EBB_CAS_TRIES 8

/* Clang 16 has no atomic builtin of a plain load or store for BPF. */
#ifdef __bpf__
#define EBB_LOAD(word)	       (*(const volatile __typeof__(word) *)&(word))
#define EBB_STORE(word, value) (*(volatile __typeof__(word) *)&(word) = (value))
#else
#define EBB_LOAD(word)	       __atomic_load_n(&(word), __ATOMIC_RELAXED)
#define EBB_STORE(word, value) __atomic_store_n(&(word), value, __ATOMIC_RELAXED)
#endif

/* Each returns what was there before. */
#define EBB_CAS(pointer, old, new) __sync_val_compare_and_swap(pointer, old, new)
#define EBB_ADD(pointer, amount)   __sync_fetch_and_add(pointer, amount)
#define EBB_AND(pointer, bits)	   __sync_fetch_and_and(pointer, bits)
#define EBB_OR(pointer, bits)	   __sync_fetch_and_or(pointer, bits)
#define EBB_EXCHANGE(pointer, new) __sync_lock_test_and_set(pointer, new)

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

/*
 * A static function out of line, verified as a part of who calls it. Used: clang drops a return value that no caller asks
 * for, and what is left in its place may be a pointer to the stack, with which the verifier lets no function end.
 */
#define EBB_NOINLINE __attribute__((noinline, used))

#endif /* EBB_ATOMIC_H */
