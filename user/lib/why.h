/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reason of a failure, for a person: one line saying what is wrong, where,
 * and what to do. It travels up beside the negative errno, to whoever stops
 * the error from travelling and prints it, once.
 *
 *	return ebb_why(why, -ENOTDIR, "'%s' is not a cgroup2 directory: pass one with --cgroup", path);
 */
#ifndef EBB_LIB_WHY_H
#define EBB_LIB_WHY_H

struct ebb_why {
	char text[512];
};

/* Writes the reason (cut at its end; @why may be NULL) and returns @r, a negative errno. */
int ebb_why(struct ebb_why *why, int r, const char *format, ...) __attribute__((format(printf, 3, 4)));

/*
 * A readable text for a negative errno, libbpf's and the kernel's internal
 * codes (524 and the like) included. The text is valid until the thread's next call.
 */
const char *ebb_strerror(int r);

#endif /* EBB_LIB_WHY_H */
