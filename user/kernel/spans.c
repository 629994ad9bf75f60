/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/spans.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bpf/libbpf.h>

struct ebb_spans {
	struct ebb_tracer *tracer; /* mapped, a page; MAP_FAILED: not */
	struct ring_buffer *ring;
	ebb_span_handler handle; /* during ebb_spans_take() */
	void *userdata;
	size_t taken, max;
};

static int on_sample(void *context, void *data, size_t size)
{
	struct ebb_spans *spans = context;

	if (size >= sizeof(struct ebb_span_end))
		spans->handle(spans->userdata, data);
	/* an error ends the walk behind this one, which is taken */
	return ++spans->taken < spans->max ? 0 : -ECANCELED;
}

int ebb_spans_new(int tracer_fd, int ring_fd, struct ebb_spans **ret_spans)
{
	struct ebb_spans *spans = calloc(1, sizeof(*spans));
	int r = 0;

	if (!spans)
		return -ENOMEM;
	spans->tracer =
		mmap(NULL, (size_t)sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE, MAP_SHARED, tracer_fd, 0);
	if (spans->tracer == MAP_FAILED)
		r = -errno;
	if (r == 0) {
		spans->ring = ring_buffer__new(ring_fd, on_sample, spans, NULL);
		if (!spans->ring)
			r = -errno;
	}
	if (r < 0) {
		ebb_spans_free(spans);
		return r;
	}
	*ret_spans = spans;
	return 0;
}

void ebb_spans_free(struct ebb_spans *spans)
{
	if (!spans)
		return;
	ring_buffer__free(spans->ring);
	if (spans->tracer != MAP_FAILED) {
		/* nobody reads them any more */
		ebb_spans_want(spans, 0, 0);
		(void)munmap(spans->tracer, (size_t)sysconf(_SC_PAGESIZE));
	}
	free(spans);
}

void ebb_spans_want(struct ebb_spans *spans, uint32_t share, uint64_t until_ns)
{
	__atomic_store_n(&spans->tracer->share, share, __ATOMIC_RELAXED);
	__atomic_store_n(&spans->tracer->until_ns, until_ns, __ATOMIC_RELEASE);
}

int ebb_spans_take(struct ebb_spans *spans, size_t max, ebb_span_handler handle, void *userdata)
{
	int r;

	spans->handle = handle;
	spans->userdata = userdata;
	spans->taken = 0;
	spans->max = max;
	r = ring_buffer__consume(spans->ring);
	return r < 0 && r != -ECANCELED ? r : (int)spans->taken;
}

uint64_t ebb_spans_lost(const struct ebb_spans *spans)
{
	return __atomic_load_n(&spans->tracer->lost, __ATOMIC_RELAXED);
}
