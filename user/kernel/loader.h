/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Load, attach, pin, take over. The only includer of the BPF skeleton.
 */
#ifndef EBB_KERNEL_LOADER_H
#define EBB_KERNEL_LOADER_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/answers.h"
#include "kernel/lost.h"
#include "kernel/maps.h"
#include "kernel/migrate.h"
#include "kernel/runs.h"
#include "lib/why.h"

struct ebb_loader;
struct ebb_spans;

struct ebb_loader_options {
	const char *pin_dir;
	int cgroup_fd;	       /* where to attach; borrowed */
	uint32_t destinations; /* capacities, ~other not counted */
	uint32_t pairs;
	uint32_t endpoints;
	bool no_set_retval;   /* refuse by rewriting the address, as on kernels before 6.1 */
	bool no_rdonly_cast;  /* the programs for kernels before 6.2: UDP of IPv4 is the task's */
	bool adopt;	      /* connections that are open already */
	bool no_arm;	      /* these do not call back, as on kernels before 6.12 */
	bool remember;	      /* ebb_loader_remember() will be asked for */
	bool reset;	      /* ebb_loader_reset() will be asked for */
	bool no_sock_destroy; /* destroy by netlink, as on kernels before 6.5 */
};

/* What passes over the open sockets met. */
struct ebb_adopted {
	uint64_t connections;  /* adopted */
	uint64_t destinations; /* that these go to */
	uint64_t slots;	       /* concurrency slots that open connections took */
	uint64_t undecided;    /* whose side opened them is not sure, or changing too fast: left alone */
	uint64_t ended;	       /* adopted earlier, and ended unseen: given back */
	uint64_t took_ns;
};

enum ebb_reset_way {
	EBB_RESET_IMPOSSIBLE,
	EBB_RESET_BPF,	   /* bpf_sock_destroy */
	EBB_RESET_NETLINK, /* SOCK_DESTROY */
};

/*
 * Loads the programs over the maps pinned in @options->pin_dir, or over new
 * ones, which it pins; takes the lock that makes a second agent fail (-EBUSY).
 * Nothing is attached yet, and on an error nothing new is left behind.
 */
int ebb_loader_open(const struct ebb_loader_options *options, struct ebb_loader **ret_loader,
		    struct ebb_why *why);

/* Were the maps there before, or moved from an older layout? Then their contents stand. */
bool ebb_loader_took_over(const struct ebb_loader *loader);

/* What was moved from an older layout; from 0: nothing. */
const struct ebb_migration *ebb_loader_migration(const struct ebb_loader *loader);

/*
 * Puts the slots that nobody owns into the free queues. Safe while programs run.
 */
int ebb_loader_fill_queues(struct ebb_loader *loader, struct ebb_why *why);

/*
 * Attaches: a link that is pinned gets the new program without a gap, a missing
 * one is made and pinned. On an error no new link is left behind.
 */
int ebb_loader_attach(struct ebb_loader *loader, struct ebb_why *why);

/*
 * Attaches the program that sees every packet on its way out, or takes it away: it is there only while
 * some policy asks for it (EBB_ASK_PACKET). Nothing happens when it is as wanted. A link that
 * a command made is taken up. Taken away only under the lock of kernel/maps.h, as of
 * which nobody asks for it.
 */
int ebb_loader_want_packets(struct ebb_loader *loader, bool wanted, struct ebb_why *why);

/* Is it attached, by us or by a command? */
bool ebb_loader_has_packets(const struct ebb_loader *loader);

/*
 * The same for the program that hands over DNS answers: it is there only while somebody wants
 * names. Only then is the descriptor readable, and is there something to take.
 */
int ebb_loader_want_answers(struct ebb_loader *loader, bool wanted, struct ebb_why *why);

/* The same for the program that sees answers come in: there only while turns are wanted. */
int ebb_loader_want_turns(struct ebb_loader *loader, bool wanted, struct ebb_why *why);

/* The ring of answers: its epoll descriptor, owned by the loader. */
int ebb_loader_answers_fd(const struct ebb_loader *loader);

/*
 * Takes up to about @max answers out of the ring; calls @handle for each, with the head->length bytes
 * of the message. Returns their number or a negative errno; with @max or more, some may be left.
 */
int ebb_loader_answers_take(struct ebb_loader *loader, size_t max, ebb_answer_handler handle, void *userdata);

/* How connections went, for traces; owned by the loader. */
struct ebb_spans *ebb_loader_spans(const struct ebb_loader *loader);

/*
 * A pass over the open sockets of every process that can be seen, in all network
 * namespaces: adopts what nobody counts, gives slots where a cap has come. -EOPNOTSUPP: the
 * kernel has no such iterator, or options said no. May run beside the loop, one at a time.
 */
int ebb_loader_adopt(struct ebb_loader *loader, struct ebb_adopted *ret_adopted, struct ebb_why *why);

/*
 * Does the last pass of ebb_loader_adopt() know of a connection that nothing tells of, and that cannot be paced? false also
 * where the kernel cannot help it.
 */
bool ebb_loader_is_deaf(const struct ebb_loader *loader);

/*
 * Makes such connections call back as others do (bpf/arm.bpf.c), where there are any in the network namespace of the
 * calling thread, whose inode number @netns is. May run beside the loop, not at the same time as another pass.
 */
int ebb_loader_arm(struct ebb_loader *loader, uint64_t netns, uint64_t *ret_count, struct ebb_why *why);

/* Does the kernel walk over open files for us? */
bool ebb_loader_walks(const struct ebb_loader *loader);

/* What a pass of ebb_loader_remember() came to. */
struct ebb_remembered {
	uint64_t count; /* memories made */
	bool all;	/* of the processes that can be seen no socket was left out */
};

/*
 * A pass that gives a memory to open connections of destinations whose policy asks for it
 * (EBB_ASK_MEMORY), so that they end where they belong when their address belongs to another, and to
 * those of a gate that has moved (agent/plain.h). Programs that run now have ended when it begins. -EOPNOTSUPP: the
 * kernel has no such iterator. May run beside the loop, not at the same time as another pass.
 */
int ebb_loader_remember(struct ebb_loader *loader, struct ebb_remembered *ret, struct ebb_why *why);

/*
 * Counts what is really open (bpf/recount.bpf.c). @ret_counted has room for view->gate_max slots. -EOPNOTSUPP as above. May
 * run beside the loop, one at a time.
 */
int ebb_loader_recount(struct ebb_loader *loader, struct ebb_counted *ret_counted,
		       struct ebb_counting *ret_counting, struct ebb_why *why);

/* What the pass between the links did (new maps only). All zero: there was none. */
const struct ebb_adopted *ebb_loader_adopted_first(const struct ebb_loader *loader);

enum ebb_reset_way ebb_loader_reset_way(const struct ebb_loader *loader);

/*
 * Destroys the live connections of open gates whose policy says reset, in the network
 * namespace of the calling thread. May run beside the loop, one at a time.
 */
int ebb_loader_reset(struct ebb_loader *loader, uint64_t *ret_count, struct ebb_why *why);

const struct ebb_view *ebb_loader_view(const struct ebb_loader *loader);
uint64_t ebb_loader_map_bytes(const struct ebb_loader *loader);

/*
 * What each of our attached programs ran since it was loaded. Returns their number; 0 while the kernel
 * does not count.
 */
size_t ebb_loader_runs(const struct ebb_loader *loader, struct ebb_program_runs ret_runs[EBB_LINKS_MAX]);

/*
 * Which of the programs that we attached no longer are, the first of them first to be attached. Returns their number;
 * *@ret_wanted: how many we attached.
 */
size_t ebb_loader_links_lost(const struct ebb_loader *loader, struct ebb_lost ret_lost[EBB_LINKS_MAX],
			     size_t *ret_wanted);

/* Attaches it again, over a pin that leads nowhere. -ENOENT: the cgroup is gone, see ebb_loader_move(). */
int ebb_loader_link_mend(struct ebb_loader *loader, const struct ebb_lost *lost, struct ebb_why *why);

/* The cgroup is gone and another took its place: from now on links are attached to that one. Borrowed, as the first. */
int ebb_loader_move(struct ebb_loader *loader, int cgroup_fd);

/* What of the pin directory is not as we made it, the links not counted. Returns their number. */
size_t ebb_loader_pins_lost(const struct ebb_loader *loader, struct ebb_lost ret_lost[EBB_PINS_LOST_MAX]);

/* Pins it again. -EBUSY: another agent has the directory. */
int ebb_loader_pin_mend(struct ebb_loader *loader, const struct ebb_lost *lost, struct ebb_why *why);

/* The ring buffer's epoll descriptor (owned by the loader), readable when there are hints. */
int ebb_loader_events_fd(const struct ebb_loader *loader);

/* Takes what is in the ring; calls @handle for each. Returns their number or a negative errno. */
int ebb_loader_events_take(struct ebb_loader *loader,
			   void (*handle)(void *userdata, const struct ebb_event *event), void *userdata);

/* Releases memory and descriptors; what is pinned goes on. */
void ebb_loader_free(struct ebb_loader *loader);

#endif /* EBB_KERNEL_LOADER_H */
