/* SPDX-License-Identifier: Apache-2.0 */
/* GET /metrics: rendered while the client takes it, and compressed for one that allows it. */
#include <errno.h>
#include <stdlib.h>

#include "core/hist.h"
#include "export/accept.h"
#include "export/answer.h"
#include "export/gzip.h"
#include "export/metrics.h"

struct scrape {
	const struct ebb_source *source;
	struct ebb_metrics_writer *writer;
	uint64_t spent_ns;
	struct ebb_gzip *gzip; /* NULL: plain */
};

static ssize_t read_plain(void *userdata, char *buffer, size_t size)
{
	return ebb_metrics_writer_next(userdata, buffer, size);
}

/* Only whole scrapes are counted: what a client left says nothing of what one costs. */
static void count_scrape(const struct scrape *scrape)
{
	struct ebb_hist *hist = scrape->source->scrape_duration;

	hist->buckets[ebb_hist_bucket(scrape->spent_ns / EBB_HIST_UNIT_NS)]++;
	hist->sum_units += scrape->spent_ns / EBB_HIST_UNIT_NS;
}

static ssize_t read_scrape(void *userdata, uint64_t position, char *buffer, size_t size)
{
	struct scrape *scrape = userdata;
	uint64_t start_ns = scrape->source->now_ns();
	ssize_t n = scrape->gzip ? ebb_gzip_next(scrape->gzip, buffer, size)
				 : ebb_metrics_writer_next(scrape->writer, buffer, size);

	(void)position;
	scrape->spent_ns += scrape->source->now_ns() - start_ns;
	/* 0: nothing yet, and we are asked again when it is our turn */
	if (n > 0 || n == -EAGAIN)
		return n > 0 ? n : 0;
	if (n < 0)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	count_scrape(scrape);
	return MHD_CONTENT_READER_END_OF_STREAM;
}

static void free_scrape(void *userdata)
{
	struct scrape *scrape = userdata;

	if (!scrape)
		return;
	ebb_gzip_free(scrape->gzip);
	ebb_metrics_writer_free(scrape->writer);
	free(scrape);
}

static struct scrape *scrape_new(const struct ebb_source *source, enum ebb_metrics_format format, bool gzip)
{
	struct scrape *scrape = calloc(1, sizeof(*scrape));
	uint64_t start_ns = source->now_ns();
	int r;

	if (!scrape)
		return NULL;
	scrape->source = source;
	r = ebb_metrics_writer_new(source, format, &scrape->writer);
	if (r == 0 && gzip)
		r = ebb_gzip_new(read_plain, scrape->writer, &scrape->gzip);
	if (r < 0) {
		free_scrape(scrape);
		return NULL;
	}
	scrape->spent_ns = source->now_ns() - start_ns;
	return scrape;
}

static const char *asked(const struct ebb_request *request, const char *header)
{
	return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, header);
}

enum MHD_Result ebb_get_metrics(const struct ebb_request *request)
{
	static const char *const types[] = {
		[EBB_METRICS_TEXT] = "text/plain; version=0.0.4; charset=utf-8",
		[EBB_METRICS_OPENMETRICS] = "application/openmetrics-text; version=1.0.0; charset=utf-8",
	};
	enum ebb_metrics_format format = ebb_accept(asked(request, MHD_HTTP_HEADER_ACCEPT));
	bool gzip = ebb_accept_gzip(asked(request, MHD_HTTP_HEADER_ACCEPT_ENCODING));
	struct scrape *scrape = scrape_new(request->source, format, gzip);
	struct MHD_Response *response;

	if (!scrape)
		return ebb_answer_line(request, MHD_HTTP_SERVICE_UNAVAILABLE, "no memory: try again");
	response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, EBB_CLIENT_MEMORY_BYTES / 2,
						     read_scrape, scrape, free_scrape);
	if (!response) {
		free_scrape(scrape);
		return MHD_NO;
	}
	ebb_answer_no_body(request, response);
	if (gzip)
		ebb_answer_header(response, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip");
	ebb_answer_header(response, MHD_HTTP_HEADER_VARY, "Accept, Accept-Encoding");
	return ebb_answer(request, MHD_HTTP_OK, response, types[format]);
}
