/* SPDX-License-Identifier: Apache-2.0 */
/* The ring of hints. Private to user/kernel; the agent reaches it through the loader. */
#ifndef EBB_KERNEL_EVENTS_H
#define EBB_KERNEL_EVENTS_H

#include "bpf/abi.h"

typedef void (*ebb_event_handler)(void *userdata, const struct ebb_event *event);

struct ebb_events;

/* Reads the ring buffer @map_fd, which is borrowed. */
int ebb_events_new(int map_fd, struct ebb_events **ret_events);
void ebb_events_free(struct ebb_events *events);
int ebb_events_fd(const struct ebb_events *events);

/* Takes what is there; returns the number of events or a negative errno. */
int ebb_events_take(struct ebb_events *events, ebb_event_handler handle, void *userdata);

#endif /* EBB_KERNEL_EVENTS_H */
