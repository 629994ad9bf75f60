/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands in a pin directory: the names of maps and links. Private to
 * user/kernel.
 *
 *	DIR/ebb_<noun>_v<layout>	maps
 *	DIR/link_<hook>			links
 *	DIR/prog_<hook>			programs that a command may have to attach
 *	DIR/lock_policy/		an empty directory: the lock of those who write policies
 *	DIR/lock_record/		another: the lock of the one who records
 */
#ifndef EBB_KERNEL_LAYOUT_H
#define EBB_KERNEL_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/why.h"

#define EBB_LINK_PREFIX	   "link_"
#define EBB_PROGRAM_PREFIX "prog_"
#define EBB_POLICY_LOCK	   "lock_policy"
#define EBB_RECORD_LOCK	   "lock_record"
#define EBB_PIN_PATH_MAX   512
#define EBB_PINNED_MAPS	   25 /* in a complete directory */

/*
 * The hooks in the order in which they are attached: connect last, so that what it
 * starts is seen. Those from EBB_HOOK_OPTIONAL on are attached only while something asks for them.
 */
enum ebb_hook {
	EBB_HOOK_RELEASE,
	EBB_HOOK_SOCKOPS,
	EBB_HOOK_SENDMSG6,
	EBB_HOOK_SENDMSG4,
	EBB_HOOK_CONNECT6,
	EBB_HOOK_CONNECT4,
	EBB_HOOK_OPTIONAL,
	EBB_HOOK_EGRESS = EBB_HOOK_OPTIONAL,
	EBB_HOOK_INGRESS,
	EBB_HOOK_TURNS,
	EBB_HOOK_MAX,
};

extern const char *const ebb_hook_names[EBB_HOOK_MAX];

/* "DIR/NAME", or -ENAMETOOLONG. */
int ebb_pin_path(const char *dir, const char *prefix, const char *name, char *ret_path, size_t size);

/* What is in the directory. */
struct ebb_pins {
	size_t maps; /* of this layout */
	size_t links;
	uint32_t other_layout; /* the latest layout that is not ours, 0: none */
};

/* -ENOENT when there is no such directory. */
int ebb_pins_scan(const char *dir, struct ebb_pins *ret_pins, struct ebb_why *why);

/* Detaches the link that is pinned at @path and removes the pin. 0 or a negative errno. */
int ebb_pin_detach_link(const char *path);

/* Removes maps and links of any layout and the directory itself; links are detached first. */
int ebb_pins_remove(const char *dir, size_t *ret_count, struct ebb_why *why);

/* Removes the maps of our layout, which were being filled when somebody was killed. */
int ebb_pins_remove_ours(const char *dir, struct ebb_why *why);

/* Removes the maps of other layouts, and links of hooks that we do not know, which are detached. */
int ebb_pins_remove_others(const char *dir, struct ebb_why *why);

/*
 * The lock that an agent holds on its pin directory. -EBUSY: another one has it;
 * the caller owns *@ret_fd.
 */
int ebb_pins_lock(const char *dir, int *ret_fd, struct ebb_why *why);

#endif /* EBB_KERNEL_LAYOUT_H */
