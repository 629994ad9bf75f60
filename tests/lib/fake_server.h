/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP server over real sockets on loopback, of a node without a kernel. Server and clients take turns in
 * one loop; the clock of the deadlines is the fake one. Include after <cmocka.h>.
 */
#ifndef EBB_TESTS_LIB_FAKE_SERVER_H
#define EBB_TESTS_LIB_FAKE_SERVER_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "export/http.h"
#include "tests/lib/fake_source.h"

#define NS_PER_S    1000000000ULL
#define PATIENCE_MS 60000 /* real time, after which a test has failed */
#define TEXT_MAX    (1 << 20)

struct server {
	struct fake *fake;
	struct ebb_http *http;
	int timeout_ms; /* as the server last said */
};

/* What a client got so far. */
struct client {
	int fd;
	char *text;
	size_t length;
	bool ended;
};

static inline int64_t real_ms(void)
{
	struct timespec ts;

	assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &ts), 0);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static inline void run(struct server *server)
{
	assert_int_equal(ebb_http_run(server->http, &server->timeout_ms), 0);
}

static inline struct server server_new(void)
{
	struct server server = {.fake = fake_new(8, 8)};
	struct ebb_why why = {""};

	if (ebb_http_new("127.0.0.1:0", &server.fake->source, &server.http, &why) < 0)
		fail_msg("%s", why.text);
	server.fake->health.started = true;
	run(&server);
	return server;
}

/* Its metrics do not fit into the buffers of a connection whose client does not read. */
static inline struct server server_with_more_than_a_socket_takes(void)
{
	struct server server = {.fake = fake_new(2001, 8)};
	struct ebb_why why = {""};

	for (uint32_t i = 1; i <= 2000; i++)
		fake_dst(server.fake, i, "10.0.0.1", (uint16_t)i);
	assert_int_equal(ebb_http_new("127.0.0.1:0", &server.fake->source, &server.http, &why), 0);
	run(&server);
	return server;
}

static inline void server_free(struct server *server)
{
	ebb_http_free(server->http);
	fake_free(server->fake);
}

static inline uint16_t port_of(const struct ebb_http *http)
{
	return (uint16_t)strtoul(strrchr(ebb_http_address(http), ':') + 1, NULL, 10);
}

static inline struct client client_new(const struct server *server)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_port = htons(port_of(server->http)),
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct client client = {.text = fake_zeroed(1, 1)};

	client.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(client.fd >= 0);
	/* the backlog takes it without the server */
	assert_int_equal(connect(client.fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(fcntl(client.fd, F_SETFL, O_NONBLOCK), 0);
	return client;
}

static inline void client_free(struct client *client)
{
	if (client->fd >= 0)
		(void)close(client->fd);
	free(client->text);
}

static inline void client_send(struct client *client, const char *data, size_t length)
{
	ssize_t n = send(client->fd, data, length, MSG_NOSIGNAL);

	/* a server that has seen enough may have closed already */
	assert_true(n == (ssize_t)length || (n < 0 && (errno == EPIPE || errno == ECONNRESET)) ||
		    (n > 0 && length > 4096));
}

static inline void client_ask(struct client *client, const char *request)
{
	client_send(client, request, strlen(request));
}

/* Takes what is there. */
static inline void client_receive(struct client *client)
{
	char buffer[65536];

	while (!client->ended) {
		ssize_t n = recv(client->fd, buffer, sizeof(buffer), 0);

		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return;
		if (n <= 0) {
			client->ended = true;
			return;
		}
		client->text = realloc(client->text, client->length + (size_t)n + 1);
		assert_non_null(client->text);
		memcpy(client->text + client->length, buffer, (size_t)n);
		client->length += (size_t)n;
		client->text[client->length] = '\0';
	}
}

/* Waits as the agent's loop would: for the server's descriptor and timeout, or for @fd. */
static inline void wait_for_events(struct server *server, int fd, int64_t until_ms)
{
	struct pollfd fds[] = {{.fd = ebb_http_fd(server->http), .events = POLLIN},
			       {.fd = fd, .events = POLLIN}};
	int64_t left = until_ms - real_ms();
	int timeout = (int)(left > 0 ? left : 0);

	if (left <= 0)
		fail_msg("nothing happens any more");
	if (server->timeout_ms >= 0 && server->timeout_ms < timeout)
		timeout = server->timeout_ms;
	assert_true(poll(fds, 2, timeout) >= 0);
	run(server);
}

/* Serves until @client is at its end, or has @wanted in its text (NULL: only the end). */
static inline void serve(struct server *server, struct client *client, const char *wanted)
{
	int64_t until = real_ms() + PATIENCE_MS;

	for (;;) {
		client_receive(client);
		if (client->ended || (wanted && strstr(client->text, wanted)))
			return;
		wait_for_events(server, client->fd, until);
	}
}

/* Lets the time pass that a client has, and the server notice. */
static inline void let_pass(struct server *server, uint64_t ns)
{
	fake_now_ns += ns;
	run(server);
}

/* Serves until nothing more happens by itself. */
static inline void serve_until_quiet(struct server *server)
{
	struct pollfd fd = {.fd = ebb_http_fd(server->http), .events = POLLIN};

	do
		run(server);
	while (server->timeout_ms == 0 || poll(&fd, 1, 50) > 0);
}

/* One request on a connection of its own; the whole answer, to be freed. */
static inline char *fetch(struct server *server, const char *request)
{
	struct client client = client_new(server);

	client_ask(&client, request);
	serve(server, &client, NULL);
	(void)close(client.fd);
	return client.text;
}

static inline char *get(struct server *server, const char *path, const char *headers)
{
	char request[1024];

	(void)snprintf(request, sizeof(request),
		       "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s\r\n", path, headers);
	return fetch(server, request);
}

static inline int status_of(const char *answer)
{
	int status = 0;

	if (sscanf(answer, "HTTP/1.%*d %d", &status) != 1)
		return 0;
	return status;
}

static inline const char *body_of(const char *answer)
{
	const char *body = strstr(answer, "\r\n\r\n");

	assert_non_null(body);
	return body + 4;
}

/* The value of a header; "" when it is not there. Valid until the next call. */
static inline const char *header_of(const char *answer, const char *name)
{
	static char value[512];
	const char *end = strstr(answer, "\r\n\r\n");

	value[0] = '\0';
	for (const char *line = strstr(answer, "\r\n"); line && line < end; line = strstr(line + 2, "\r\n"))
		if (strncasecmp(line + 2, name, strlen(name)) == 0 && line[2 + strlen(name)] == ':')
			(void)snprintf(value, sizeof(value), "%.*s",
				       (int)strcspn(line + 4 + strlen(name), "\r"), line + 4 + strlen(name));
	return value;
}

/* A reader of events that has its snapshot, or goes on after @last_id. */
static inline struct client listen_to_events(struct server *server, const char *last_id)
{
	struct client client = client_new(server);
	char request[256];

	(void)snprintf(request, sizeof(request), "GET /api/v1/events HTTP/1.1\r\nHost: x\r\n%s%s%s\r\n",
		       last_id ? "Last-Event-ID: " : "", last_id ? last_id : "", last_id ? "\r\n" : "");
	client_ask(&client, request);
	serve(server, &client, last_id ? "event: hello" : "event: snapshot");
	return client;
}

#endif /* EBB_TESTS_LIB_FAKE_SERVER_H */
