/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/answers.h"

#include <errno.h>
#include <stdlib.h>

#include <bpf/libbpf.h>

struct ebb_answers {
	struct ring_buffer *ring;
	ebb_answer_handler handle; /* during ebb_answers_take() */
	void *userdata;
	size_t taken, max;
};

static int on_sample(void *context, void *data, size_t size)
{
	struct ebb_answers *answers = context;
	const struct ebb_dns_head *head = data;

	if (size >= sizeof(*head) && head->length <= size - sizeof(*head))
		answers->handle(answers->userdata, head, (const uint8_t *)(head + 1));
	/* an error ends the walk behind this one, which is taken */
	return ++answers->taken < answers->max ? 0 : -ECANCELED;
}

int ebb_answers_new(int map_fd, struct ebb_answers **ret_answers)
{
	struct ebb_answers *answers = calloc(1, sizeof(*answers));

	if (!answers)
		return -ENOMEM;
	answers->ring = ring_buffer__new(map_fd, on_sample, answers, NULL);
	if (!answers->ring) {
		int r = -errno;

		free(answers);
		return r;
	}
	*ret_answers = answers;
	return 0;
}

void ebb_answers_free(struct ebb_answers *answers)
{
	if (!answers)
		return;
	ring_buffer__free(answers->ring);
	free(answers);
}

int ebb_answers_fd(const struct ebb_answers *answers)
{
	return ring_buffer__epoll_fd(answers->ring);
}

int ebb_answers_take(struct ebb_answers *answers, size_t max, ebb_answer_handler handle, void *userdata)
{
	int r;

	answers->handle = handle;
	answers->userdata = userdata;
	answers->taken = 0;
	answers->max = max;
	r = ring_buffer__consume(answers->ring);
	return r < 0 && r != -ECANCELED ? r : (int)answers->taken;
}
