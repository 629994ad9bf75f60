/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Maps of loaded programs, made again as they were: so that the verifier need not look at all programs again for each
 * test, which takes it most of a second. Fails the running test when something does not work.
 *
 * Every map that an attached program has is made again, whatever its type; one of a type that is not known here is an
 * error. What a socket remembers goes with the socket.
 */
#ifndef EBB_TESTS_BPF_RENEW_H
#define EBB_TESTS_BPF_RENEW_H

struct renewal;

/*
 * The maps that are pinned in @pin_dir, and those of the programs that are attached by its links, as they are now: before the
 * first connection.
 */
struct renewal *renewal_new(const char *pin_dir);

/* Only while the programs are attached nowhere. Hash tables and queues are empty then, all else is as it was. */
void renewal_apply(const struct renewal *renewal);

void renewal_free(struct renewal *renewal);

#endif /* EBB_TESTS_BPF_RENEW_H */
