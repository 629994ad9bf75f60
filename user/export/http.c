/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server is libmicrohttpd without a thread: its epoll descriptor is one of
 * those that the agent's loop waits for, and a call of ebb_http_run() does what
 * is ready, at most one chunk for each connection.
 *
 * A client has 5 s to ask and 5 s to take the answer. The library could limit
 * silence, which a client can stretch for ever with a byte every four seconds,
 * and which may be ours: a rest in a long answer, a stop of the agent. So that is
 * off, each connection has a deadline here, and one that misses it is shut down,
 * whereupon the library sees its end and closes it:
 *
 *	connected --5 s--> request read --5 s--> answer taken --5 s--> next request read ...
 *
 * When few places are left, no connection outlives its answer, and who has kept us waiting for 100 ms makes room;
 * when none is left, somebody does at once: export/peers.h says who.
 *
 *	0 ... places that are taken ... 80 -- close after an answer, end who is idle -- 96 -- end one at once
 */
#include "export/http.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "export/answer.h"
#include "export/readers.h"
#include "export/feed.h"
#include "export/listen.h"
#include "export/peers.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/log.h"

#define DEADLINE_S    5
#define ADDRESS_MAX   80
#define AUTHORITY_MAX 512 /* longer than any name with a port */
#define ROOM	      16  /* places that are kept free; the library takes up to ten clients at once */

#define NS_PER_S  1000000000ULL
#define NS_PER_MS 1000000ULL
#define NEVER	  UINT64_MAX

#define GRACE_NS (100 * NS_PER_MS) /* no client that reads and writes needs more */

_Static_assert(EBB_HTTP_CLIENTS_MAX >= EBB_READERS_MAX + 32, "readers of events leave room for others");
_Static_assert(EBB_HTTP_CLIENTS_MAX - ROOM > EBB_READERS_MAX,
	       "not all places that are taken are those of readers");

struct client {
	bool used, ended;
	int fd; /* the library's */
	struct ebb_peer peer;
	uint64_t deadline_ns;
	struct ebb_exchange exchange;
	struct ebb_http *http;
};

struct ebb_http {
	struct MHD_Daemon *daemon;
	const struct ebb_source *source;
	struct ebb_feed *feed;
	struct ebb_readers *events;
	char address[ADDRESS_MAX];
	int epoll_fd;				  /* the library's */
	unsigned int clients_used, clients_ended; /* ended: by us, and the library does not know yet */
	struct client clients[EBB_HTTP_CLIENTS_MAX];
};

/* What is ended already will be a place as soon as the library is run. */
static unsigned int places_taken(const struct ebb_http *http)
{
	return http->clients_used - http->clients_ended;
}

static bool is_crowded(const struct ebb_http *http)
{
	return places_taken(http) > EBB_HTTP_CLIENTS_MAX - ROOM;
}

/* ---------------------------------------------------------------- requests -- */

static struct client *client_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info ? info->socket_context : NULL;
}

static void extend_deadline(struct client *client)
{
	if (client)
		client->deadline_ns = client->http->source->now_ns() + DEADLINE_S * NS_PER_S;
}

static bool has_body(struct MHD_Connection *connection)
{
	return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH) ||
	       MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_TRANSFER_ENCODING);
}

/*
 * "http://localhost:9478/metrics", as proxies may ask, is as good as "/metrics" with that in its Host (RFC 9112, 3.2.2). Returns the
 * path; @authority becomes "" where there is none.
 */
static const char *path_of(const char *url, char authority[AUTHORITY_MAX])
{
	static const char scheme[] = "http://";
	const size_t before = sizeof(scheme) - 1;
	size_t length;

	authority[0] = '\0';
	if (strncasecmp(url, scheme, before) != 0)
		return url;
	length = strcspn(url + before, "/");
	(void)snprintf(authority, AUTHORITY_MAX, "%.*s", (int)length, url + before);
	return url[before + length] ? url + before + length : "/";
}

/*
 * Called when the headers are read, and again when the body is. An answer to the
 * first call ends the connection, an answer to the second one keeps it: so the
 * first is for what nobody should send.
 */
static enum MHD_Result handle_request(void *userdata, struct MHD_Connection *connection, const char *url,
				      const char *method, const char *version, const char *upload_data,
				      size_t *upload_data_size, void **seen)
{
	struct ebb_http *http = userdata;
	struct client *client = client_of(connection);
	struct ebb_exchange nobodys = {};
	char authority[AUTHORITY_MAX];
	const char *path = path_of(url, authority);
	const struct ebb_request request = {
		.source = http->source,
		.feed = http->feed,
		.events = http->events,
		.deadline_ns = client ? &client->deadline_ns : NULL,
		.peer = client ? &client->peer : NULL,
		.exchange = client ? &client->exchange : &nobodys,
		.method = method,
		.connection = connection,
		.path = path,
		.host = authority[0] ? authority
				     : MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
								   MHD_HTTP_HEADER_HOST),
		.head = strcmp(method, MHD_HTTP_METHOD_HEAD) == 0,
		.crowded = is_crowded(http),
	};
	bool reads = request.head || strcmp(method, MHD_HTTP_METHOD_GET) == 0;
	enum MHD_Result result;

	(void)version;
	(void)upload_data;
	if (!*seen) {
		extend_deadline(client);
		*request.exchange = (struct ebb_exchange){.start_ns = http->source->now_ns()};
		*seen = userdata; /* any mark will do */
		if (reads && !has_body(connection))
			return MHD_YES;
	}
	*upload_data_size = 0;
	result = ebb_route(&request, reads);
	if (request.exchange->status)
		ebb_http_count_answer(http->source->http, request.exchange);
	return result;
}

static void request_completed(void *userdata, struct MHD_Connection *connection, void **seen,
			      enum MHD_RequestTerminationCode code)
{
	struct client *client = client_of(connection);

	(void)userdata;
	(void)code;
	*seen = NULL;
	if (!client)
		return;
	ebb_http_count_end(client->http->source->http, &client->exchange, client->http->source->now_ns());
	client->exchange = (struct ebb_exchange){};
	extend_deadline(client);
}

/* Paths are compared as they came: no other spelling of them is served. */
static size_t leave_escaped(void *userdata, struct MHD_Connection *connection, char *text)
{
	(void)userdata;
	(void)connection;
	return strlen(text);
}

/* ---------------------------------------------------------------- clients -- */

static void client_connected(struct ebb_http *http, struct MHD_Connection *connection, void **socket_context)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);

	for (size_t i = 0; info && i < EBB_HTTP_CLIENTS_MAX; i++) {
		struct client *client = &http->clients[i];

		if (client->used)
			continue;
		*client = (struct client){.used = true, .fd = info->connect_fd, .http = http};
		ebb_peer_of_socket(client->fd, &client->peer);
		extend_deadline(client);
		http->clients_used++;
		http->source->http->connections++;
		*socket_context = client;
		return;
	}
}

static void client_changed(void *userdata, struct MHD_Connection *connection, void **socket_context,
			   enum MHD_ConnectionNotificationCode code)
{
	struct ebb_http *http = userdata;
	struct client *client = *socket_context;

	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		client_connected(http, connection, socket_context);
	} else if (client) {
		client->used = false;
		http->clients_used--;
		http->clients_ended -= client->ended;
		http->source->http->connections--;
		*socket_context = NULL;
	}
}

/* Without what it did not take: that would stay in the kernel's memory. Gone already is as good. */
static void end_client(struct client *client)
{
	const struct linger drop = {.l_onoff = 1};

	(void)setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &drop, sizeof(drop));
	(void)shutdown(client->fd, SHUT_RDWR);
	client->deadline_ns = NEVER;
	client->http->clients_ended += !client->ended;
	client->ended = true;
}

/* False: the one whose turn it is may be working yet. */
static bool end_one(struct ebb_http *http, uint64_t now_ns)
{
	bool full = places_taken(http) == EBB_HTTP_CLIENTS_MAX;
	uint64_t young_ns = now_ns + DEADLINE_S * NS_PER_S - GRACE_NS;
	struct ebb_guest guests[EBB_HTTP_CLIENTS_MAX];
	size_t chosen;

	for (size_t i = 0; i < EBB_HTTP_CLIENTS_MAX; i++) {
		const struct client *client = &http->clients[i];

		guests[i] = (struct ebb_guest){
			.peer = client->peer,
			.here = client->used && !client->ended,
			.stays = client->exchange.stream,
			.deadline_ns = client->deadline_ns,
		};
	}
	chosen = ebb_peers_choose(guests, EBB_HTTP_CLIENTS_MAX);
	if (chosen == EBB_HTTP_CLIENTS_MAX || (!full && http->clients[chosen].deadline_ns > young_ns))
		return false;
	end_client(&http->clients[chosen]);
	http->source->http->crowded_out++;
	return true;
}

/* So that there is always one: the library hears of nobody else. Returns when to look again. */
static uint64_t make_room(struct ebb_http *http, uint64_t now_ns)
{
	while (is_crowded(http)) {
		if (!end_one(http, now_ns))
			return now_ns + GRACE_NS;
	}
	return NEVER;
}

/* Ends the connections that are over their time. Returns when the next one will be. */
static uint64_t end_overdue(struct ebb_http *http, uint64_t now_ns)
{
	uint64_t next = NEVER;

	for (size_t i = 0; i < EBB_HTTP_CLIENTS_MAX; i++) {
		struct client *client = &http->clients[i];

		if (!client->used || client->deadline_ns == NEVER)
			continue;
		if (client->deadline_ns <= now_ns) {
			end_client(client);
			if (client->exchange.stream)
				http->source->http->dropped[EBB_HTTP_STALLED]++;
		} else if (client->deadline_ns < next) {
			next = client->deadline_ns;
		}
	}
	return next;
}

/* ---------------------------------------------------------------- the server -- */

static void log_message(void *userdata, const char *format, va_list args)
	__attribute__((format(printf, 2, 0)));

/* Any client can cause these: for debugging only. */
static void log_message(void *userdata, const char *format, va_list args)
{
	char text[256];

	(void)userdata;
	(void)vsnprintf(text, sizeof(text), format, args);
	text[strcspn(text, "\n")] = '\0';
	ebb_debug("http: %s", text);
}

int ebb_http_new(const char *listen, const struct ebb_source *source, struct ebb_http **ret_http,
		 struct ebb_why *why)
{
	struct ebb_http *http;
	_cleanup_close_ int fd = -1;
	const union MHD_DaemonInfo *info;
	int r;

	r = ebb_listen(listen, &fd, why);
	if (r < 0)
		return r;
	http = calloc(1, sizeof(*http));
	if (!http)
		return ebb_why(why, -ENOMEM, "--listen %s: no memory", listen);
	http->source = source;
	r = ebb_listen_address(fd, http->address, sizeof(http->address));
	if (r < 0) {
		(void)ebb_listen_explain(why, r, listen);
		goto fail;
	}
	r = ebb_feed_new(source, &http->feed);
	if (r == 0)
		r = ebb_readers_new(source, http->feed, &http->events);
	if (r < 0) {
		r = ebb_why(why, r, "--listen %s: no memory", listen);
		goto fail;
	}
	http->daemon =
		MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_ERROR_LOG | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
				 handle_request, http,
				 /* the logger comes first, so that it hears of the other options */
				 MHD_OPTION_EXTERNAL_LOGGER, log_message, NULL, MHD_OPTION_LISTEN_SOCKET, fd,
				 MHD_OPTION_CONNECTION_LIMIT, (unsigned int)EBB_HTTP_CLIENTS_MAX,
				 MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)EBB_CLIENT_MEMORY_BYTES,
				 MHD_OPTION_NOTIFY_CONNECTION, client_changed, http,
				 MHD_OPTION_NOTIFY_COMPLETED, request_completed, http,
				 MHD_OPTION_UNESCAPE_CALLBACK, leave_escaped, NULL, MHD_OPTION_END);
	if (!http->daemon) {
		r = ebb_why(why, -ENOMEM, "--listen %s: the HTTP server cannot be started", listen);
		goto fail;
	}
	(void)TAKE_FD(fd); /* the library closes it */
	info = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	if (!info || info->epoll_fd < 0) {
		r = ebb_why(why, -ENOTSUP, "--listen %s: libmicrohttpd was built without epoll", listen);
		goto fail;
	}
	http->epoll_fd = info->epoll_fd;
	*ret_http = http;
	return 0;

fail:
	ebb_http_free(http);
	return r;
}

void ebb_http_free(struct ebb_http *http)
{
	if (!http)
		return;
	if (http->daemon) {
		ebb_readers_stop(http->events);
		MHD_stop_daemon(http->daemon);
	}
	ebb_readers_free(http->events);
	ebb_feed_free(http->feed);
	free(http);
}

void ebb_http_moved(struct ebb_http *http, uint32_t dst, uint32_t gate, const struct ebb_transition *move)
{
	ebb_feed_moved(http->feed, dst, gate, move);
}

const char *ebb_http_address(const struct ebb_http *http)
{
	return http->address;
}

int ebb_http_fd(const struct ebb_http *http)
{
	return http->epoll_fd;
}

void ebb_http_rest(struct ebb_http *http, uint64_t ns)
{
	for (size_t i = 0; i < EBB_HTTP_CLIENTS_MAX; i++) {
		struct client *client = &http->clients[i];

		if (client->used && client->deadline_ns != NEVER)
			client->deadline_ns += ns;
	}
}

/* Milliseconds from now to @at_ns, rounded up, so that it is not asked again too early; -1 for never. */
static int ms_until(uint64_t at_ns, uint64_t now_ns)
{
	if (at_ns == NEVER)
		return -1;
	return at_ns > now_ns ? (int)((at_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS) : 0;
}

int ebb_http_run(struct ebb_http *http, int *ret_timeout_ms)
{
	uint64_t now_ns = http->source->now_ns();
	MHD_UNSIGNED_LONG_LONG library_ms;
	bool full = http->clients_used == EBB_HTTP_CLIENTS_MAX;
	uint64_t next_ns;
	int timeout_ms;

	(void)ebb_readers_run(http->events, now_ns);
	if (MHD_run(http->daemon) != MHD_YES)
		return -EIO;
	/* full, it does not wait for new clients and looks for room only when it is run; and who came last was not heard yet */
	full = full || http->clients_used == EBB_HTTP_CLIENTS_MAX;
	if (full && MHD_run(http->daemon) != MHD_YES)
		return -EIO;

	/* also for those who came just now */
	next_ns = ebb_readers_run(http->events, now_ns);
	/* only now that all were heard: what lay there while we were away is none of their delay */
	next_ns = ebb_earlier(next_ns, end_overdue(http, now_ns));
	next_ns = ebb_earlier(next_ns, make_room(http, now_ns));
	timeout_ms = ms_until(next_ns, now_ns);
	if (MHD_get_timeout(http->daemon, &library_ms) == MHD_YES &&
	    (timeout_ms < 0 || library_ms < (MHD_UNSIGNED_LONG_LONG)timeout_ms))
		timeout_ms = (int)library_ms;
	*ret_timeout_ms = timeout_ms;
	return 0;
}
