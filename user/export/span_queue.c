/* SPDX-License-Identifier: Apache-2.0 */
#include "export/span_queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct head {
	uint64_t at_ns;
	uint64_t length;
};

int ebb_span_queue_init(struct ebb_span_queue *queue, size_t size, size_t count_max)
{
	memset(queue, 0, sizeof(*queue));
	queue->bytes = malloc(size);
	if (!queue->bytes)
		return -ENOMEM;
	queue->size = size;
	queue->count_max = count_max;
	return 0;
}

void ebb_span_queue_done(struct ebb_span_queue *queue)
{
	free(queue->bytes);
	memset(queue, 0, sizeof(*queue));
}

/* @at counts from the first byte in use. */
static void write_at(struct ebb_span_queue *queue, size_t at, const void *data, size_t length)
{
	size_t from = (queue->first + at) % queue->size, to_end = queue->size - from;
	size_t piece = length < to_end ? length : to_end;

	memcpy(queue->bytes + from, data, piece);
	memcpy(queue->bytes, (const char *)data + piece, length - piece);
}

static void read_at(const struct ebb_span_queue *queue, size_t at, void *data, size_t length)
{
	size_t from = (queue->first + at) % queue->size, to_end = queue->size - from;
	size_t piece = length < to_end ? length : to_end;

	memcpy(data, queue->bytes + from, piece);
	memcpy((char *)data + piece, queue->bytes, length - piece);
}

int ebb_span_queue_put(struct ebb_span_queue *queue, const char *span, size_t length, uint64_t now_ns)
{
	const struct head head = {now_ns, length};

	if (queue->count == queue->count_max || queue->size - queue->used < sizeof(head) + length)
		return -ENOBUFS;
	write_at(queue, queue->used, &head, sizeof(head));
	write_at(queue, queue->used + sizeof(head), span, length);
	queue->used += sizeof(head) + length;
	queue->count++;
	return 0;
}

uint64_t ebb_span_queue_oldest(const struct ebb_span_queue *queue)
{
	struct head head;

	if (queue->count == 0)
		return UINT64_MAX;
	read_at(queue, 0, &head, sizeof(head));
	return head.at_ns;
}

size_t ebb_span_queue_take(struct ebb_span_queue *queue, size_t most, struct ebb_line *line)
{
	size_t taken = 0;
	struct head head;

	while (taken < most && queue->count > 0) {
		read_at(queue, 0, &head, sizeof(head));
		if (line->size - line->used < head.length + 1)
			break;
		if (taken > 0)
			ebb_line_put(line, ",");
		read_at(queue, sizeof(head), line->data + line->used, head.length);
		line->used += head.length;
		queue->first = (queue->first + sizeof(head) + head.length) % queue->size;
		queue->used -= sizeof(head) + head.length;
		queue->count--;
		taken++;
	}
	return taken;
}
