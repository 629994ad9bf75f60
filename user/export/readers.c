/* SPDX-License-Identifier: Apache-2.0 */
#include "export/readers.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "export/http.h"
#include "export/json.h"
#include "export/peers.h"
#include "export/row.h"
#include "lib/cleanup.h"
#include "lib/log.h"

#define NS_PER_S     1000000000ULL
#define NEVER	     UINT64_MAX
#define HEARTBEAT_NS (15 * NS_PER_S)
#define DEADLINE_NS  (5 * NS_PER_S) /* for a piece of what is sent */
#define OUT_BYTES    (24U << 10)
#define SEND_BUFFER  (64 * 1024) /* of the kernel, for each reader; it takes twice as much */
#define FRAME_MAX    256

enum phase {
	PHASE_WAIT, /* for the first pass */
	PHASE_HELLO,
	PHASE_STATUS,
	PHASE_HEALTH,
	PHASE_ROWS,
	PHASE_FOLLOW,
};

struct reader {
	struct ebb_readers *events;
	struct MHD_Connection *connection;
	uint64_t *deadline_ns; /* of its connection */
	struct ebb_peer peer;
	uint64_t serial; /* the greater, the later it came */
	bool used, suspended;
	bool leaving; /* it makes room, and is no longer counted */
	enum phase phase;
	uint64_t number;    /* of the entry that it reads */
	size_t offset;	    /* in that */
	uint32_t dst, next; /* where its snapshot goes on */
	uint64_t sent_ns;
	char *out; /* what is to be sent before the ring goes on; NULL: that is done */
	size_t out_used, out_sent;
};

struct ebb_readers {
	const struct ebb_source *source;
	struct ebb_feed *feed;
	bool stopping;
	uint64_t serial; /* of the last that came */
	struct reader
		readers[EBB_HTTP_CLIENTS_MAX]; /* also those that are leaving: a connection has one at most */
};

int ebb_readers_new(const struct ebb_source *source, struct ebb_feed *feed, struct ebb_readers **ret_readers)
{
	struct ebb_readers *events = calloc(1, sizeof(*events));

	if (!events)
		return -ENOMEM;
	events->source = source;
	events->feed = feed;
	*ret_readers = events;
	return 0;
}

static void resume(struct reader *reader, uint64_t now_ns)
{
	reader->suspended = false;
	*reader->deadline_ns = now_ns + DEADLINE_NS;
	MHD_resume_connection(reader->connection);
}

void ebb_readers_stop(struct ebb_readers *events)
{
	events->stopping = true;
	for (size_t i = 0; i < EBB_HTTP_CLIENTS_MAX; i++) {
		if (events->readers[i].used && events->readers[i].suspended)
			resume(&events->readers[i], events->source->now_ns());
	}
}

void ebb_readers_free(struct ebb_readers *events)
{
	free(events);
}

/* ------------------------------------------------------------- what is sent -- */

/* One event, into the memory of @reader. */
static void put_event(struct reader *reader, const char *kind, const char *data)
{
	struct ebb_line line = {.data = reader->out, .size = OUT_BYTES, .used = reader->out_used};

	ebb_line_put(&line, "event: ");
	ebb_line_put(&line, kind);
	ebb_line_put(&line, "\ndata: ");
	ebb_line_put(&line, data);
	ebb_line_put(&line, "\n\n");
	reader->out_used = line.used;
}

static void put_hello(struct reader *reader, bool resumed)
{
	const struct ebb_readers *events = reader->events;
	char data[FRAME_MAX];
	struct ebb_line line = {.data = data, .size = sizeof(data) - 1};
	char run[17];

	(void)snprintf(run, sizeof(run), "%016" PRIx64, ebb_feed_run_id(events->feed));
	ebb_line_put(&line, "{\"run\":");
	ebb_json_put_string(&line, run);
	ebb_line_put(&line, ",\"version\":");
	ebb_json_put_string(&line, events->source->version);
	ebb_line_put(&line, ",\"time\":");
	ebb_json_put_time(&line, events->source->realtime_ns());
	ebb_line_put(&line, ",\"resumed\":");
	ebb_json_put_bool(&line, resumed);
	ebb_line_put(&line, "}");
	data[line.used] = '\0';
	put_event(reader, "hello", data);
}

static void put_owned(struct reader *reader, const char *kind, char *data)
{
	if (data)
		put_event(reader, kind, data);
	free(data);
}

/* Rows of the snapshot; the last ones with the id from which the ring goes on. */
static void put_rows(struct reader *reader)
{
	struct ebb_line line = {.data = reader->out, .size = OUT_BYTES - FRAME_MAX};
	char end[FRAME_MAX];
	bool more;

	ebb_line_put(&line, "event: destinations\ndata: [");
	more = ebb_feed_rows(reader->events->feed, &line, &reader->dst, &reader->next);
	line.size = OUT_BYTES;
	ebb_line_put(&line, "]\n\n");
	if (!more) {
		(void)snprintf(end, sizeof(end),
			       "id: %016" PRIx64 "-%" PRIu64 "\nevent: snapshot\ndata: {}\n\n",
			       ebb_feed_run_id(reader->events->feed), reader->number - 1);
		ebb_line_put(&line, end);
		reader->phase = PHASE_FOLLOW;
	}
	reader->out_used = line.used;
}

/* Makes the next piece that does not come from the ring. */
static void make_next(struct reader *reader)
{
	struct ebb_feed *feed = reader->events->feed;

	switch (reader->phase) {
	case PHASE_WAIT:
		if (!ebb_feed_ready(feed))
			return;
		reader->number = ebb_ring_end(ebb_feed_ring(feed));
		reader->phase = PHASE_HELLO;
		put_hello(reader, false);
		return;
	case PHASE_HELLO:
		reader->phase = PHASE_STATUS;
		put_owned(reader, "status", ebb_feed_status(feed));
		return;
	case PHASE_STATUS:
		reader->phase = PHASE_HEALTH;
		put_owned(reader, "health", ebb_feed_health(feed));
		return;
	case PHASE_HEALTH:
	case PHASE_ROWS:
		reader->phase = PHASE_ROWS;
		put_rows(reader);
		return;
	case PHASE_FOLLOW:
		return;
	}
}

static size_t copy(char *buffer, size_t size, const char *bytes, size_t length, size_t *io_offset)
{
	size_t n = length - *io_offset < size ? length - *io_offset : size;

	memcpy(buffer, bytes + *io_offset, n);
	*io_offset += n;
	return n;
}

/* From the ring. 0: nothing yet. */
static size_t read_ring(struct reader *reader, char *buffer, size_t size)
{
	const struct ebb_ring *ring = ebb_feed_ring(reader->events->feed);
	size_t used = 0, length;
	const char *entry;

	while (used < size && (entry = ebb_ring_get(ring, reader->number, &length))) {
		used += copy(buffer + used, size - used, entry, length, &reader->offset);
		if (reader->offset < length)
			break;
		reader->offset = 0;
		reader->number++;
	}
	return used;
}

/* When nothing else was sent for long. It fits into any chunk. */
static size_t read_heartbeat(struct reader *reader, char *buffer, size_t size)
{
	static const char heartbeat[] = ": heartbeat\n\n";
	size_t sent = 0;

	if (reader->events->source->now_ns() - reader->sent_ns < HEARTBEAT_NS)
		return 0;
	return copy(buffer, size, heartbeat, sizeof(heartbeat) - 1, &sent);
}

static size_t read_next(struct reader *reader, char *buffer, size_t size)
{
	size_t used;

	if (!reader->out) {
		used = read_ring(reader, buffer, size);
		/* within an entry nothing else may be sent */
		return used > 0 || reader->offset > 0 ? used : read_heartbeat(reader, buffer, size);
	}
	if (reader->out_used == 0)
		make_next(reader);
	used = copy(buffer, size, reader->out, reader->out_used, &reader->out_sent);
	if (reader->out_sent < reader->out_used)
		return used;
	reader->out_sent = reader->out_used = 0;
	/* from here on only the ring is read, which all share */
	if (reader->phase == PHASE_FOLLOW)
		free(TAKE_PTR(reader->out));
	return used;
}

/* Has the place of @reader been overwritten? */
static bool is_lost(const struct reader *reader)
{
	return reader->phase > PHASE_WAIT &&
	       reader->number < ebb_ring_first(ebb_feed_ring(reader->events->feed));
}

static ssize_t read_events(void *userdata, uint64_t position, char *buffer, size_t size)
{
	struct reader *reader = userdata;
	uint64_t now_ns = reader->events->source->now_ns();
	size_t n;

	(void)position;
	if (reader->events->stopping)
		return MHD_CONTENT_READER_END_OF_STREAM;
	if (reader->leaving) {
		reader->events->source->http->dropped[EBB_HTTP_CROWDED]++;
		return MHD_CONTENT_READER_END_WITH_ERROR;
	}
	if (is_lost(reader)) {
		ebb_debug("http: a reader of events is too slow: ended, it may begin anew");
		reader->events->source->http->dropped[EBB_HTTP_OVERTAKEN]++;
		return MHD_CONTENT_READER_END_WITH_ERROR;
	}
	n = read_next(reader, buffer, size);
	if (n > 0) {
		reader->sent_ns = now_ns;
		*reader->deadline_ns = now_ns + DEADLINE_NS;
		return (ssize_t)n;
	}
	reader->suspended = true;
	*reader->deadline_ns = NEVER;
	MHD_suspend_connection(reader->connection);
	return 0;
}

uint64_t ebb_readers_run(struct ebb_readers *events, uint64_t now_ns)
{
	uint64_t next_ns, heartbeat_ns = NEVER;
	bool any = false;

	for (size_t i = 0; i < EBB_HTTP_CLIENTS_MAX; i++)
		any = any || events->readers[i].used;
	if (any)
		(void)ebb_feed_want(events->feed, now_ns);
	next_ns = ebb_feed_run(events->feed, now_ns);
	for (size_t i = 0; i < EBB_HTTP_CLIENTS_MAX; i++) {
		struct reader *reader = &events->readers[i];
		bool ready;

		if (!reader->used || !reader->suspended)
			continue;
		ready = reader->phase == PHASE_WAIT
				? ebb_feed_ready(events->feed)
				: reader->number != ebb_ring_end(ebb_feed_ring(events->feed));
		if (ready || now_ns - reader->sent_ns >= HEARTBEAT_NS)
			resume(reader, now_ns);
		else if (reader->sent_ns + HEARTBEAT_NS < heartbeat_ns)
			heartbeat_ns = reader->sent_ns + HEARTBEAT_NS;
	}
	return next_ns < heartbeat_ns ? next_ns : heartbeat_ns;
}

/* --------------------------------------------------------------- beginning -- */

static void free_reader(void *userdata)
{
	struct reader *reader = userdata;

	reader->events->source->http->streams--;
	free(reader->out);
	*reader = (struct reader){};
}

/* "RUN-NUMBER", whole: the number. */
static bool parse_id(const struct ebb_readers *events, const char *id, uint64_t *ret_number)
{
	char run[18], *end;

	(void)snprintf(run, sizeof(run), "%016" PRIx64 "-", ebb_feed_run_id(events->feed));
	if (strncmp(id, run, 17) != 0 || id[17] < '0' || id[17] > '9')
		return false;
	errno = 0;
	*ret_number = strtoull(id + 17, &end, 10);
	return errno == 0 && *end == '\0';
}

/* Where @reader goes on, if all that came after what it had last is still there. */
static void find_place(struct reader *reader)
{
	const char *id = MHD_lookup_connection_value(reader->connection, MHD_HEADER_KIND, "Last-Event-ID");
	const struct ebb_ring *ring = ebb_feed_ring(reader->events->feed);
	uint64_t number;

	if (!id || !ebb_feed_ready(reader->events->feed) || !parse_id(reader->events, id, &number) ||
	    number >= ebb_ring_end(ring) || number + 1 < ebb_ring_first(ring))
		return;
	reader->number = number + 1;
	reader->phase = PHASE_FOLLOW;
	put_hello(reader, true);
}

static struct reader *find_free(struct ebb_readers *events)
{
	for (size_t i = 0; i < EBB_HTTP_CLIENTS_MAX; i++) {
		if (!events->readers[i].used)
			return &events->readers[i];
	}
	return NULL;
}

/* Those that hold a place, and behind them the one that comes; returns their number without it. */
static size_t list_guests(const struct ebb_readers *events, const struct ebb_peer *comes,
			  struct ebb_guest guests[EBB_HTTP_CLIENTS_MAX + 1],
			  size_t ret_readers[EBB_HTTP_CLIENTS_MAX])
{
	size_t count = 0;

	for (size_t i = 0; i < EBB_HTTP_CLIENTS_MAX; i++) {
		const struct reader *reader = &events->readers[i];

		if (!reader->used || reader->leaving)
			continue;
		ret_readers[count] = i;
		guests[count++] =
			(struct ebb_guest){.peer = reader->peer, .here = true, .deadline_ns = reader->serial};
	}
	/* it goes, unless somebody holds more than it would */
	guests[count] = (struct ebb_guest){.peer = *comes, .here = true, .deadline_ns = 0};
	return count;
}

/* False: there are as many readers as there may be, and nobody holds more of them than who comes. */
static bool make_room(struct ebb_readers *events, const struct ebb_peer *comes, uint64_t now_ns)
{
	struct ebb_guest guests[EBB_HTTP_CLIENTS_MAX + 1];
	size_t readers[EBB_HTTP_CLIENTS_MAX];
	size_t count = list_guests(events, comes, guests, readers), chosen;
	struct reader *reader;

	if (count < EBB_READERS_MAX)
		return true;
	chosen = ebb_peers_choose(guests, count + 1);
	if (chosen == count)
		return false;
	reader = &events->readers[readers[chosen]];
	reader->leaving = true;
	if (reader->suspended)
		resume(reader, now_ns);
	return true;
}

static enum MHD_Result begin(struct reader *reader, const struct ebb_request *request)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(reader->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	const int send_buffer = SEND_BUFFER;
	struct MHD_Response *response;
	enum MHD_Result result;

	/* what a reader does not take lies in the kernel: not without end */
	if (info)
		(void)setsockopt(info->connect_fd, SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof(send_buffer));
	response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, EBB_CLIENT_MEMORY_BYTES / 2,
						     read_events, reader, free_reader);
	if (!response) {
		free_reader(reader);
		return MHD_NO;
	}
	/* no proxy in between is to collect them */
	ebb_answer_header(response, "X-Accel-Buffering", "no");
	result = ebb_answer(request, MHD_HTTP_OK, response, "text/event-stream");
	request->exchange->stream = result == MHD_YES;
	return result;
}

enum MHD_Result ebb_readers_answer(struct ebb_readers *events, const struct ebb_request *request)
{
	uint64_t now_ns = events->source->now_ns();
	struct reader *reader;

	if (request->head)
		return ebb_answer(request, MHD_HTTP_OK,
				  MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT),
				  "text/event-stream");
	reader = find_free(events);
	if (!reader || !request->peer)
		return ebb_answer_error(request, MHD_HTTP_SERVICE_UNAVAILABLE, "no memory: try again");
	if (!make_room(events, request->peer, now_ns))
		return ebb_answer_error(request, MHD_HTTP_SERVICE_UNAVAILABLE,
					"%d readers of events are here, and no address has more of them than yours: end one of them, or try again later",
					EBB_READERS_MAX);
	*reader = (struct reader){
		.events = events,
		.connection = request->connection,
		.deadline_ns = request->deadline_ns,
		.peer = *request->peer,
		.serial = ++events->serial,
		.used = true,
		.sent_ns = now_ns,
		.out = malloc(OUT_BYTES),
	};
	events->source->http->streams++;
	if (!reader->out || ebb_feed_want(events->feed, now_ns) < 0) {
		free_reader(reader);
		return ebb_answer_error(request, MHD_HTTP_SERVICE_UNAVAILABLE, "no memory: try again");
	}
	find_place(reader);
	return begin(reader, request);
}
