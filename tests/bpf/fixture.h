/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every test in tests/bpf stands on: the real programs, loaded by the real
 * loader, attached to a cgroup that the test made and joined, with a pin
 * directory and a network namespace of its own.
 *
 * A socket belongs to the cgroup in which it is created, so the test process
 * itself is the program under observation; children inherit both cgroup and
 * namespace. Namespaces have no name and go with the process; the cgroup and the
 * pins carry the process id, and set-up removes those whose process is gone.
 *
 * Tear-down also checks what holds after every test: no connection is counted as
 * active, no slot is taken, and no error was counted that the test did not allow.
 *
 * Between tests with the same options the programs stay loaded, attached nowhere:
 * the next gets a new cgroup, a new network, and maps as new (renew.h). So a program
 * lists those with the same options one after the other.
 */
#ifndef EBB_TESTS_BPF_FIXTURE_H
#define EBB_TESTS_BPF_FIXTURE_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <cmocka.h>

#include "bpf/abi.h"
#include "kernel/loader.h"
#include "net.h"

#define FIXTURE_PATH_MAX 256

struct fixture_options {
	uint32_t destinations; /* 0: 64 */
	uint32_t pairs;	       /* 0: 64 */
	uint32_t endpoints;    /* 0: 128 */
	bool no_set_retval;
	bool no_rdonly_cast;
	bool adopt;    /* connections that are open when the loader attaches, and by adopt_open() */
	bool no_arm;   /* but not to be armed */
	bool remember; /* ebb_loader_remember() */
	bool reset;
	bool no_sock_destroy; /* reset by netlink */
	bool shares; /* the test process gets no more than the share of one workload; else all that there is */
	bool not_attached; /* the test opens the loader itself, when it wants to */
};

struct fixture {
	struct fixture_options options;
	char cgroup[FIXTURE_PATH_MAX];
	char pin_dir[FIXTURE_PATH_MAX];
	int cgroup_fd;
	uint64_t cgroup_id;
	int ns;		/* the network namespace that the test runs in */
	int outside_ns; /* and the one that the process came from */
	struct ebb_loader *loader;
	struct renewal *maps; /* of a loader that the next test may have; NULL: it may not */
	const struct ebb_view *view;
	uint32_t errors_allowed; /* 1 << enum ebb_error */
};

/*
 * For cmocka. *@state is a struct fixture_options or NULL before set-up, and the
 * struct fixture after it.
 */
int fixture_up(void **state);
int fixture_down(void **state);

#define bpf_test(function) cmocka_unit_test_setup_teardown(function, fixture_up, fixture_down)
#define bpf_test_with(function, options) \
	cmocka_unit_test_prestate_setup_teardown(function, fixture_up, fixture_down, options)

/* Is something missing that every test here needs? Then it is said, as a skip of them all. */
bool fixture_unavailable(void);

/* Loads and attaches in place of what fixture_up() did; fixture_close_loader() goes before. */
void fixture_open_loader(struct fixture *fx);
void fixture_close_loader(struct fixture *fx);

/* A pass over the open sockets; fails the test where it cannot be made. */
struct ebb_adopted adopt_open(struct fixture *fx);

/* Arms what was adopted in the network namespace where the test is: how many. */
uint64_t arm_open(struct fixture *fx);

/* Gives memories to what is open now, as far as somebody asks for it: how many. */
uint64_t remember_open(const struct fixture *fx);
/* Removes links, maps and pins, as 'ebb detach' does; fixture_open_loader() makes new ones. */
void fixture_detach(struct fixture *fx);

/* A pinned map, to be closed by the caller. */
int fixture_map(const struct fixture *fx, const char *name);

/* Moves the calling process into the cgroup, and out again to where it came from. */
void fixture_join(const struct fixture *fx);
void fixture_leave(const struct fixture *fx);

/* ------------------------------------------------------------- the agent -- */

/* The settings that a fresh fixture writes into every policy: the product's defaults, nothing armed. */
struct ebb_policy policy_default(void);
/* Nothing has its slot before its first connection, so settings go everywhere. */
void policy_everywhere(struct fixture *fx, const struct ebb_policy *policy);
void verdict_everywhere(struct fixture *fx, uint64_t word);
/* Both: every destination refuses for real, and a verdict stands before its first connection. */
void enforce_everywhere(struct fixture *fx, const struct ebb_policy *policy, uint64_t word);

/* An agent that never stops ticking, as after set-up; and one that last ticked @ago_ns ago. */
void agent_alive(struct fixture *fx);
void agent_absent(struct fixture *fx, uint64_t ago_ns, uint64_t lease_ns);

uint64_t now_ns(void);
uint64_t now_ticks(void);

/* ------------------------------------------------------- what was counted -- */

/* -1: there is none. */
int dst_slot_of(const struct fixture *fx, const struct address *to);
int pair_slot_of(const struct fixture *fx, const struct address *to);
/* These fail the test where the destination is not known. */
struct ebb_dst *dst_of(const struct fixture *fx, const struct address *to);
struct ebb_pair *pair_of(const struct fixture *fx, const struct address *to);
struct ebb_gate *gate_of(const struct fixture *fx, const struct address *to);
struct ebb_verdict *verdict_of(const struct fixture *fx, const struct address *to);
struct ebb_policy *policy_of(const struct fixture *fx, const struct address *to);
/* The state word in force. */
uint64_t word_of(const struct fixture *fx, const struct address *to);

uint64_t error_count(const struct fixture *fx, enum ebb_error error);
uint32_t probes_held(const struct ebb_gate *gate);

/* All that a pair counts; what is not named is 0. */
struct want {
	uint64_t attempts;
	uint64_t syn_sent;
	uint64_t active;
	uint64_t sent_packets;
	uint64_t established;
	uint64_t refused;
	uint64_t timeout;
	uint64_t unreachable;
	uint64_t abandoned;
	uint64_t cancelled;
	uint64_t reset;
	uint64_t unanswered;
	uint64_t denied[EBB_CAUSE_MAX];
	uint64_t would_deny[EBB_CAUSE_MAX];
};

/* Waits until the pair counts exactly this. */
#define expect_pair(fx, to, ...) \
	expect_pair_at(fx, pair_of(fx, to), &(struct want){__VA_ARGS__}, __FILE__, __LINE__)
#define expect_other(fx, ...)                                                                         \
	expect_pair_at(fx, &(fx)->view->pairs[EBB_SLOT_OTHER], &(struct want){__VA_ARGS__}, __FILE__, \
		       __LINE__)
void expect_pair_at(const struct fixture *fx, const struct ebb_pair *pair, const struct want *want,
		    const char *file, int line);

#endif /* EBB_TESTS_BPF_FIXTURE_H */
