/* SPDX-License-Identifier: Apache-2.0 */
/* The ring of DNS answers. Private to user/kernel; the agent reaches it through the loader. */
#ifndef EBB_KERNEL_ANSWERS_H
#define EBB_KERNEL_ANSWERS_H

#include <stddef.h>
#include <stdint.h>

#include "bpf/abi.h"

/* @bytes: head->length of them, in the ring; whoever sent them. */
typedef void (*ebb_answer_handler)(void *userdata, const struct ebb_dns_head *head, const uint8_t *bytes);

struct ebb_answers;

/* Reads the ring buffer @map_fd, which is borrowed. */
int ebb_answers_new(int map_fd, struct ebb_answers **ret_answers);
void ebb_answers_free(struct ebb_answers *answers);
int ebb_answers_fd(const struct ebb_answers *answers);

/* Takes what is there, at most @max; returns the number of answers or a negative errno. */
int ebb_answers_take(struct ebb_answers *answers, size_t max, ebb_answer_handler handle, void *userdata);

#endif /* EBB_KERNEL_ANSWERS_H */
