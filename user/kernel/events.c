/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/events.h"

#include <errno.h>
#include <stdlib.h>

#include <bpf/libbpf.h>

struct ebb_events {
	struct ring_buffer *ring;
	ebb_event_handler handle; /* during ebb_events_take() */
	void *userdata;
};

static int on_sample(void *context, void *data, size_t size)
{
	const struct ebb_events *events = context;

	if (size >= sizeof(struct ebb_event))
		events->handle(events->userdata, data);
	return 0;
}

int ebb_events_new(int map_fd, struct ebb_events **ret_events)
{
	struct ebb_events *events = calloc(1, sizeof(*events));

	if (!events)
		return -ENOMEM;
	events->ring = ring_buffer__new(map_fd, on_sample, events, NULL);
	if (!events->ring) {
		int r = -errno;

		free(events);
		return r;
	}
	*ret_events = events;
	return 0;
}

void ebb_events_free(struct ebb_events *events)
{
	if (!events)
		return;
	ring_buffer__free(events->ring);
	free(events);
}

int ebb_events_fd(const struct ebb_events *events)
{
	return ring_buffer__epoll_fd(events->ring);
}

int ebb_events_take(struct ebb_events *events, ebb_event_handler handle, void *userdata)
{
	events->handle = handle;
	events->userdata = userdata;
	return ring_buffer__consume(events->ring);
}
