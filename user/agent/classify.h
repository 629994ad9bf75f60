/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeps the kernel's table of workloads as the rules say: all cgroups below the attach point at
 * start and at each change of the rules, a new one when the kernel tells of its first
 * connection. The table is bounded (EBB_WORKLOADS_MAX); cgroups that are gone are forgotten.
 *
 *	no rules, own cgroup shared with others   NONE     the table is not asked
 *	no rules                                  LISTED   only the agent's own is in it
 *	rules, or somebody identifies pods        ALL      who is not in it is not identified yet
 */
#ifndef EBB_AGENT_CLASSIFY_H
#define EBB_AGENT_CLASSIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/maps.h"
#include "node/workloads.h"

#define EBB_WORKLOADS_MAX 16384

/* What the classifier needs of the kernel; a test has its own. 0 or a negative errno. */
struct ebb_classifier_ops {
	void *userdata;
	int (*put)(void *userdata, uint64_t workload, uint32_t class); /* -E2BIG: full */
	int (*remove)(void *userdata, uint64_t workload);	       /* -ENOENT is fine */
	/* Calls @handle for each that is in the table. */
	int (*each)(void *userdata, void (*handle)(void *argument, uint64_t workload, uint32_t class),
		    void *argument);
	/*
	 * Who it belongs to. False: nobody knows yet, and *@ret_awaited says whether somebody will.
	 * NULL: what is not a pod belongs to nobody, a pod to somebody who is not known. With it the table is
	 * asked also where there are no rules: the pods of the system are excluded.
	 */
	bool (*identify)(void *userdata, const char *path, struct ebb_identity *ret_identity,
			 bool *ret_awaited);
};

struct ebb_classifier;

/*
 * @view and @ops->userdata are borrowed. @mount: where cgroup2 is mounted; @attach: the directory to
 * which the programs are attached; @own: the path below the mount of the agent's own cgroup, or of its pod, NULL: none
 * of its own. What an earlier agent left in the table is known from the start. -ENOMEM.
 */
int ebb_classifier_new(const struct ebb_view *view, const char *mount, const char *attach, const char *own,
		       const struct ebb_classifier_ops *ops, struct ebb_classifier **ret_classifier);
void ebb_classifier_free(struct ebb_classifier *classifier);

/* How many cgroups are of each class. */
struct ebb_classified {
	uint32_t count[EBB_CLASS_MAX];
	uint32_t left_out; /* the table was full */
};

/*
 * New rules, borrowed until the next ones: classifies every cgroup again, and then says to the kernel that
 * there are rules. A negative errno: the tree cannot be read; then the old classes stand.
 */
int ebb_classifier_configure(struct ebb_classifier *classifier, const struct ebb_workloads *rules,
			     struct ebb_classified *ret_classified);

/*
 * The kernel has told of a workload that is not in the table (EBB_EVENT_WORKLOAD_NEW): the next look classifies it,
 * with all others that came meanwhile, by one walk over the tree.
 */
void ebb_classifier_meet(struct ebb_classifier *classifier);

/* More is known of who belongs to whom than before: those that wait for it are asked again. */
void ebb_classifier_identified(struct ebb_classifier *classifier);

/* After hints, and at every tick: classifies those that are new, also where a hint was lost. */
void ebb_classifier_look(struct ebb_classifier *classifier);

/* Forgets those that are gone, as @gone says. Returns how many. */
uint32_t ebb_classifier_sweep(struct ebb_classifier *classifier,
			      bool (*gone)(void *userdata, uint64_t workload), void *userdata);

/* EBB_CLASS_MAX: not known. */
enum ebb_class ebb_classifier_class(const struct ebb_classifier *classifier, uint64_t workload);

/*
 * The path below @mount of the cgroup that is to be taken for the agent's own: its pod, else its
 * cgroup where it is alone in it. -ENOENT: there is none, or it holds @attach.
 */
int ebb_classifier_own(const char *mount, const char *attach, char *ret_path, size_t size);

#endif /* EBB_AGENT_CLASSIFY_H */
