/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every order of the steps of two or three contexts that share words. To be included
 * before the headers that are to be tried: it takes the place of the macros of
 * bpf/atomic.h, and each of them becomes a step in front of which any other context may
 * run. One context is one call of body(), under sequential consistency: what the
 * kernel's atomic operations that return a value give, and x86 for plain loads.
 *
 * Search in depth over all schedules by running the code itself (Godefroid, Model Checking
 * for Programming Languages using VeriSoft, POPL 1997), each state once. No stack is
 * copied: a context is a function of what its steps returned, so it is brought to where
 * it was by running it again from its start with the same answers; and a state is the
 * words and these answers. States are told apart by 128 bits of hash (Wolper and Leroy,
 * Reliable Hashing without Collision Detection, CAV 1993). A step on a word that no other
 * context touches, or nobody writes, is no place to switch, since it commutes with
 * all others; which these are is found out by searching until no new one is met.
 * Where something is wrong, it is searched again with 0, 1, 2 ... preemptions (Musuvathi and
 * Qadeer, Iterative Context Bounding, PLDI 2007), so that the schedule shown has the fewest.
 *
 * A defect can be planted into one step of the code, to see that it is found.
 */
#ifndef EBB_TESTS_LIB_ORDERS_H
#define EBB_TESTS_LIB_ORDERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/atomic.h"

#define ORDERS_CONTEXTS_MAX 3
#define ORDERS_OBSERVED_MAX 64
#define ORDERS_STEPS_MAX    128 /* of one context */

enum orders_kind {
	ORDERS_LOAD,
	ORDERS_STORE,
	ORDERS_CAS,
	ORDERS_ADD,
	ORDERS_AND,
	ORDERS_OR,
	ORDERS_EXCHANGE,
	ORDERS_PAUSE,
};

/* Where the code changes a word. */
struct orders_site {
	const char *file;
	const char *function;
	const char *word; /* as it is written there */
	uint32_t line;
	uint32_t kind; /* enum orders_kind */
	bool came_by;  /* the last orders_try() did */
};

enum orders_defect {
	ORDERS_TORN,	/* read and written in two steps */
	ORDERS_BLIND,	/* compare-and-swap that does not compare */
	ORDERS_DROPPED, /* left out, with the answer as if it were done */
	ORDERS_DEFECTS,
};

/* What is tried. Its words are static, all of them inside of @world. */
struct orders {
	const char *name;
	unsigned int contexts; /* 2 or 3 */
	void *world;	       /* a multiple of 8 bytes */
	size_t world_size;
	void *outcomes; /* one for each context, which alone writes it; zero at its start */
	size_t outcome_size;
	const char *(*word)(size_t offset); /* its name; NULL: it has none */

	void (*begin)(void); /* writes the world */
	void (*body)(unsigned int context);
	/*
	 * After each step, and at the end: NULL, or what is wrong. They look at the world and
	 * at the outcomes, and may write into a part of the world that no context reads.
	 */
	const char *(*always)(void);
	const char *(*finally)(void);
	/*
	 * Where given, the end of each order must be the end of an order without preemption:
	 * writes what is to be compared, zero otherwise.
	 */
	void (*observe)(uint64_t ret_observed[ORDERS_OBSERVED_MAX / 8]);
};

struct orders_plant {
	const struct orders_site *site; /* NULL: none */
	enum orders_defect defect;
};

#define ORDERS_SCHEDULE_MAX 8192

struct orders_report {
	double orders;		  /* complete schedules, of the steps that are places to switch */
	uint64_t states;	  /* in which they meet */
	const char *wrong;	  /* NULL: nothing */
	unsigned int preemptions; /* of the schedule */
	char schedule
		[ORDERS_SCHEDULE_MAX]; /* by orders_tell(): a line for each step, loads of words that nobody writes left out */
};

/* Tries all of them, up to the first that is wrong. @plant may be NULL. Keeps nothing of @orders. */
void orders_try(const struct orders *orders, const struct orders_plant *plant,
		struct orders_report *ret_report);

/* After an orders_try() that found something wrong: the schedule, with the fewest preemptions. */
void orders_tell(const struct orders *orders, const struct orders_plant *plant,
		 struct orders_report *ret_report);

/* In a body: a place to switch without a word, where a context holds what it took. */
void orders_pause(void);

/* The sites that are compiled into this program. */
size_t orders_sites(struct orders_site *const **ret_sites);

/* Can it have that defect? */
bool orders_site_can(const struct orders_site *site, enum orders_defect defect);

/* What the macros call. Outside of orders_try() it is done at once. */
uint64_t orders_step(struct orders_site *site, enum orders_kind kind, const void *word, size_t size,
		     uint64_t first, uint64_t second);

#define ORDERS_SITE(step, expression)                                                                        \
	({                                                                                                   \
		static struct orders_site orders_here = {__FILE__, __func__, expression,                     \
							 __LINE__, step,     false};                         \
		static struct orders_site *const orders_there __attribute__((used, section("ebb_orders"))) = \
			&orders_here;                                                                        \
		(void)orders_there;                                                                          \
		&orders_here;                                                                                \
	})
/* + 0: the value has the type of the word without its qualifiers. ({ }): it may stay unused. */
#define ORDERS_STEP(site, kind, pointer, first, second)                                          \
	({                                                                                       \
		(__typeof__(*(pointer) + 0))orders_step(site, kind, pointer, sizeof(*(pointer)), \
							(uint64_t)(first), (uint64_t)(second));  \
	})
#define ORDERS_CHANGE(kind, pointer, first, second) \
	ORDERS_STEP(ORDERS_SITE(kind, #pointer), kind, pointer, first, second)

#undef EBB_LOAD
#undef EBB_STORE
#undef EBB_CAS
#undef EBB_ADD
#undef EBB_AND
#undef EBB_OR
#undef EBB_EXCHANGE
#define EBB_LOAD(word)		   ORDERS_STEP((struct orders_site *)0, ORDERS_LOAD, &(word), 0, 0)
#define EBB_STORE(word, value)	   ((void)ORDERS_CHANGE(ORDERS_STORE, &(word), value, 0))
#define EBB_CAS(pointer, old, new) ORDERS_CHANGE(ORDERS_CAS, pointer, old, new)
#define EBB_ADD(pointer, amount)   ORDERS_CHANGE(ORDERS_ADD, pointer, amount, 0)
#define EBB_AND(pointer, bits)	   ORDERS_CHANGE(ORDERS_AND, pointer, bits, 0)
#define EBB_OR(pointer, bits)	   ORDERS_CHANGE(ORDERS_OR, pointer, bits, 0)
#define EBB_EXCHANGE(pointer, new) ORDERS_CHANGE(ORDERS_EXCHANGE, pointer, new, 0)

#endif /* EBB_TESTS_LIB_ORDERS_H */
