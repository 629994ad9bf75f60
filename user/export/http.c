/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server is libmicrohttpd without a thread: its epoll descriptor is one of
 * those that the agent's loop waits for, and a call of ebb_http_run() does what
 * is ready, at most one chunk for each connection.
 *
 * A client has 5 s to ask and 5 s to take the answer. The library's own limit is
 * one of silence, which a client can stretch for ever with a byte every four
 * seconds; so each connection has a deadline here, and one that misses it is
 * shut down, whereupon the library sees its end and closes it:
 *
 *	connected --5 s--> request read --5 s--> answer taken --5 s--> next request read ...
 */
#include "export/http.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <microhttpd.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "export/accept.h"
#include "export/metrics.h"
#include "lib/cleanup.h"
#include "lib/log.h"
#include "lib/text.h"

#define CLIENTS_MAX	    64
#define CLIENT_MEMORY_BYTES (32U * 1024) /* request and chunk of the answer: bounds URLs and headers too */
#define DEADLINE_S	    5
#define REQUEST_ID_MAX	    128
#define ADDRESS_MAX	    80
#define HOST_MAX	    256

#define NS_PER_S  1000000000ULL
#define NS_PER_MS 1000000ULL
#define NEVER	  UINT64_MAX

struct client {
	bool used;
	int fd; /* the library's */
	uint64_t deadline_ns;
	struct ebb_http *http;
};

struct request {
	struct ebb_http *http;
	struct MHD_Connection *connection;
	bool head; /* without the body */
};

struct ebb_http {
	struct MHD_Daemon *daemon;
	const struct ebb_source *source;
	char address[ADDRESS_MAX];
	int epoll_fd; /* the library's */
	unsigned int clients_used;
	struct client clients[CLIENTS_MAX];
};

/* ---------------------------------------------------------------- answers -- */

static void add_header(struct MHD_Response *response, const char *name, const char *value)
{
	/* fails for want of memory only: then the answer goes out without it */
	(void)MHD_add_response_header(response, name, value);
}

/* An identifier that a client chose for its request: short and printable, or not repeated. */
static bool is_request_id(const char *id)
{
	size_t length = strnlen(id, REQUEST_ID_MAX + 1);

	if (length == 0 || length > REQUEST_ID_MAX)
		return false;
	for (; *id; id++)
		if (*id <= 0x20 || *id >= 0x7f)
			return false;
	return true;
}

/* Sends @response, which may be NULL when there was no memory for it, and drops it. */
static enum MHD_Result send_response(struct MHD_Connection *connection, unsigned int status,
				     struct MHD_Response *response, const char *type)
{
	const char *id = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "X-Request-ID");
	enum MHD_Result result;

	if (!response)
		return MHD_NO; /* closes the connection */
	add_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	add_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	add_header(response, "X-Content-Type-Options", "nosniff");
	if (id && is_request_id(id))
		add_header(response, "X-Request-ID", id);
	result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

static struct MHD_Response *response_of(char *text)
{
	return MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_COPY);
}

/* One line of text; the newline is added. */
static enum MHD_Result send_line(struct MHD_Connection *connection, unsigned int status, const char *line)
{
	char text[512];

	(void)snprintf(text, sizeof(text), "%s\n", line);
	return send_response(connection, status, response_of(text), "text/plain; charset=utf-8");
}

/* ---------------------------------------------------------------- /metrics -- */

static ssize_t read_metrics(void *userdata, uint64_t position, char *buffer, size_t size)
{
	ssize_t n = ebb_metrics_writer_next(userdata, buffer, size);

	(void)position;
	return n > 0 ? n : MHD_CONTENT_READER_END_OF_STREAM;
}

static void free_metrics(void *userdata)
{
	ebb_metrics_writer_free(userdata);
}

static enum MHD_Result get_metrics(const struct request *request)
{
	static const char *const types[] = {
		[EBB_METRICS_TEXT] = "text/plain; version=0.0.4; charset=utf-8",
		[EBB_METRICS_OPENMETRICS] = "application/openmetrics-text; version=1.0.0; charset=utf-8",
	};
	enum ebb_metrics_format format =
		ebb_accept(MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND,
						       MHD_HTTP_HEADER_ACCEPT));
	struct ebb_metrics_writer *writer;
	struct MHD_Response *response;

	if (ebb_metrics_writer_new(request->http->source, format, &writer) < 0)
		return send_line(request->connection, MHD_HTTP_SERVICE_UNAVAILABLE, "no memory: try again");
	response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, CLIENT_MEMORY_BYTES / 2, read_metrics,
						     writer, free_metrics);
	if (!response) {
		ebb_metrics_writer_free(writer);
		return MHD_NO;
	}
	/* libmicrohttpd 0.9.75 ends a HEAD with an empty chunk, which the client takes for the next answer */
	if (request->head)
		(void)MHD_set_response_options(response, MHD_RF_HTTP_1_0_COMPATIBLE_STRICT, MHD_RO_END);
	add_header(response, MHD_HTTP_HEADER_VARY, MHD_HTTP_HEADER_ACCEPT);
	return send_response(request->connection, MHD_HTTP_OK, response, types[format]);
}

/* ---------------------------------------------------------------- /health -- */

/* It answers, so it lives. */
static enum MHD_Result get_live(const struct request *request)
{
	return send_line(request->connection, MHD_HTTP_OK, "live");
}

static enum MHD_Result get_startup(const struct request *request)
{
	if (!request->http->source->health->started)
		return send_line(request->connection, MHD_HTTP_SERVICE_UNAVAILABLE,
				 "starting: the first tick is not done");
	return send_line(request->connection, MHD_HTTP_OK, "started");
}

/* What keeps the enforcement from being in place; the programs come first, since nothing works without them. */
static const char *why_not_enforcing(const struct ebb_health *health)
{
	static const enum ebb_health_component components[] = {EBB_HEALTH_PROGRAMS, EBB_HEALTH_ENFORCEMENT};

	for (size_t i = 0; i < sizeof(components) / sizeof(components[0]); i++) {
		const struct ebb_health_entry *entry = &health->entries[components[i]];

		if (entry->state == EBB_UNHEALTHY && entry->why[0])
			return entry->why;
	}
	return "no reason was given";
}

static enum MHD_Result get_ready(const struct request *request)
{
	const struct ebb_health *health = request->http->source->health;
	char printable[sizeof(health->entries[0].why)], line[256];

	if (ebb_health_ready(health))
		return send_line(request->connection, MHD_HTTP_OK, "ready");
	if (health->stopping)
		return send_line(request->connection, MHD_HTTP_SERVICE_UNAVAILABLE, "not ready: stopping");
	if (!health->started)
		return send_line(request->connection, MHD_HTTP_SERVICE_UNAVAILABLE, "not ready: starting");
	(void)ebb_text_escape(why_not_enforcing(health), printable, sizeof(printable));
	(void)snprintf(line, sizeof(line), "not ready: enforcement is asked for and not in place: %s",
		       printable);
	return send_line(request->connection, MHD_HTTP_SERVICE_UNAVAILABLE, line);
}

/* "2023-11-14T22:13:20.123Z" (RFC 3339). */
static void format_time(int64_t realtime_ns, char *buffer, size_t size)
{
	time_t seconds = (time_t)(realtime_ns / (int64_t)NS_PER_S);
	int ms = (int)(realtime_ns % (int64_t)NS_PER_S / (int64_t)NS_PER_MS);
	struct tm tm;
	size_t n = 0;

	if (gmtime_r(&seconds, &tm))
		n = strftime(buffer, size, "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(buffer + n, size - n, ".%03dZ", ms);
}

static json_t *component_json(const struct ebb_health_entry *entry)
{
	char since[64], why[sizeof(entry->why)];

	format_time(entry->since_realtime_ns, since, sizeof(since));
	return json_pack("{s:s, s:s, s:s}", "state", ebb_health_state_name(entry->state), "since", since,
			 "why", ebb_text_escape(entry->why, why, sizeof(why)));
}

/* NULL: no memory. */
static json_t *components_json(const struct ebb_health *health)
{
	json_t *components = json_object();

	for (int i = 0; i < EBB_HEALTH_MAX; i++) {
		const char *name = ebb_health_component_name((enum ebb_health_component)i);

		if (json_object_set_new(components, name, component_json(&health->entries[i])) < 0) {
			json_decref(components);
			return NULL;
		}
	}
	return components;
}

/* The caller frees it. NULL: no memory. */
static char *health_json(const struct ebb_source *source)
{
	const struct ebb_health *health = source->health;
	char *text = NULL;
	json_t *root;

	root = json_pack("{s:s, s:s, s:b, s:b, s:b, s:b}", "status",
			 ebb_health_state_name(ebb_health_overall(health)), "version", source->version,
			 "started", health->started, "stopping", health->stopping, "ready",
			 ebb_health_ready(health), "enforcing", ebb_health_enforcing(health));
	if (json_object_set_new(root, "components", components_json(health)) == 0)
		text = json_dumps(root, JSON_INDENT(2));
	json_decref(root);
	return text;
}

static enum MHD_Result get_health(const struct request *request)
{
	unsigned int status = MHD_HTTP_OK;
	char *text = health_json(request->http->source);
	struct MHD_Response *response;

	if (!text)
		return send_line(request->connection, MHD_HTTP_SERVICE_UNAVAILABLE, "no memory: try again");
	if (ebb_health_overall(request->http->source->health) == EBB_UNHEALTHY)
		status = MHD_HTTP_SERVICE_UNAVAILABLE;
	response = MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE);
	if (!response)
		free(text);
	return send_response(request->connection, status, response, "application/json");
}

/* ---------------------------------------------------------------- / -- */

static const char landing_page[] =
	"<!DOCTYPE html>\n"
	"<html lang=\"en\">\n"
	"<head>\n"
	"<meta charset=\"utf-8\">\n"
	"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
	"<title>ebb</title>\n"
	"<style>\n"
	":root { color-scheme: light dark; }\n"
	"body { font: 1rem/1.5 system-ui, sans-serif; max-width: 40rem; margin: 3rem auto; padding: 0 1rem; }\n"
	"dt { font-family: ui-monospace, monospace; }\n"
	"dd { margin: 0 0 0.75rem 1.5rem; }\n"
	"</style>\n"
	"</head>\n"
	"<body>\n"
	"<h1>ebb</h1>\n"
	"<p>Circuit breakers for the outgoing connections of this node. Nothing can be changed from here: use the\n"
	"command <code>ebb</code> on the node.</p>\n"
	"<dl>\n"
	"<dt><a href=\"/metrics\">/metrics</a></dt><dd>for Prometheus: text, or OpenMetrics to a client that prefers it</dd>\n"
	"<dt><a href=\"/health\">/health</a></dt><dd>every component: its state, since when and why, as JSON</dd>\n"
	"<dt><a href=\"/health/live\">/health/live</a></dt><dd>the agent answers</dd>\n"
	"<dt><a href=\"/health/ready\">/health/ready</a></dt><dd>enforcement is in place where it is asked for</dd>\n"
	"<dt><a href=\"/health/startup\">/health/startup</a></dt><dd>the first tick is done</dd>\n"
	"</dl>\n"
	"</body>\n"
	"</html>\n";

static enum MHD_Result get_landing_page(const struct request *request)
{
	char page[sizeof(landing_page)];
	struct MHD_Response *response;

	memcpy(page, landing_page, sizeof(page));
	response = response_of(page);
	if (!response)
		return MHD_NO;
	add_header(response, "Content-Security-Policy",
		   "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
		   "frame-ancestors 'none'");
	add_header(response, "Referrer-Policy", "no-referrer");
	return send_response(request->connection, MHD_HTTP_OK, response, "text/html; charset=utf-8");
}

/* ---------------------------------------------------------------- requests -- */

static const struct route {
	const char *path;
	enum MHD_Result (*get)(const struct request *request);
} routes[] = {
	{"/", get_landing_page},    {"/metrics", get_metrics},	  {"/health", get_health},
	{"/health/live", get_live}, {"/health/ready", get_ready}, {"/health/startup", get_startup},
};

static const struct route *find_route(const char *path)
{
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
		if (strcmp(path, routes[i].path) == 0)
			return &routes[i];
	return NULL;
}

static enum MHD_Result answer(const struct request *request, const char *path, bool reads)
{
	static const char paths[] =
		"not found: there are /, /metrics, /health, /health/live, /health/ready and /health/startup";
	char only_reading[] = "only GET and HEAD: nothing can be changed here\n";
	const struct route *route = find_route(path);
	struct MHD_Response *response;

	if (!route)
		return send_line(request->connection, MHD_HTTP_NOT_FOUND, paths);
	if (reads)
		return route->get(request);
	response = response_of(only_reading);
	if (!response)
		return MHD_NO;
	add_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	return send_response(request->connection, MHD_HTTP_METHOD_NOT_ALLOWED, response,
			     "text/plain; charset=utf-8");
}

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
 * Called when the headers are read, and again when the body is. An answer to the
 * first call ends the connection, an answer to the second one keeps it: so the
 * first is for what nobody should send.
 */
static enum MHD_Result handle_request(void *userdata, struct MHD_Connection *connection, const char *url,
				      const char *method, const char *version, const char *upload_data,
				      size_t *upload_data_size, void **seen)
{
	const struct request request = {
		.http = userdata,
		.connection = connection,
		.head = strcmp(method, MHD_HTTP_METHOD_HEAD) == 0,
	};
	bool reads = request.head || strcmp(method, MHD_HTTP_METHOD_GET) == 0;

	(void)version;
	(void)upload_data;
	if (!*seen) {
		extend_deadline(client_of(connection));
		*seen = userdata; /* any mark will do */
		if (reads && !has_body(connection))
			return MHD_YES;
	}
	*upload_data_size = 0;
	return answer(&request, url, reads);
}

static void request_completed(void *userdata, struct MHD_Connection *connection, void **seen,
			      enum MHD_RequestTerminationCode code)
{
	(void)userdata;
	(void)code;
	*seen = NULL;
	extend_deadline(client_of(connection));
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

	for (size_t i = 0; info && i < CLIENTS_MAX; i++) {
		struct client *client = &http->clients[i];

		if (client->used)
			continue;
		*client = (struct client){.used = true, .fd = info->connect_fd, .http = http};
		extend_deadline(client);
		http->clients_used++;
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
		*socket_context = NULL;
	}
}

/* Ends the connections that are over their time. Returns when the next one will be. */
static uint64_t end_overdue(struct ebb_http *http, uint64_t now_ns)
{
	uint64_t next = NEVER;

	for (size_t i = 0; i < CLIENTS_MAX; i++) {
		struct client *client = &http->clients[i];

		if (!client->used || client->deadline_ns == NEVER)
			continue;
		if (client->deadline_ns <= now_ns) {
			const struct linger drop = {.l_onoff = 1};

			/* without what it did not take: that would stay in the kernel's memory; gone already is as good */
			(void)setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &drop, sizeof(drop));
			(void)shutdown(client->fd, SHUT_RDWR);
			client->deadline_ns = NEVER;
		} else if (client->deadline_ns < next) {
			next = client->deadline_ns;
		}
	}
	return next;
}

/* ---------------------------------------------------------------- listening -- */

static int refuse_address(struct ebb_why *why, const char *address)
{
	return ebb_why(why, -EINVAL,
		       "--listen %s: expected ADDRESS:PORT, as 127.0.0.1:9478, [::1]:9478 or :9478 (all addresses)",
		       address);
}

/* "host:port", "[host]:port", ":port" into its parts. */
static int split_address(const char *address, char host[HOST_MAX], const char **ret_port)
{
	const char *colon = strrchr(address, ':');
	const char *begin = address, *end = colon, *digit;
	size_t length;

	if (!colon)
		return -EINVAL;
	if (*begin == '[') {
		if (end[-1] != ']' || end - begin < 3)
			return -EINVAL;
		begin++;
		end--;
	} else if (memchr(begin, ':', (size_t)(end - begin))) {
		return -EINVAL; /* IPv6 without brackets */
	}
	length = (size_t)(end - begin);
	if (length >= HOST_MAX)
		return -EINVAL;
	for (digit = colon + 1; *digit >= '0' && *digit <= '9'; digit++)
		;
	if (*digit || digit == colon + 1 || digit - colon > 6 || strtoul(colon + 1, NULL, 10) > 65535)
		return -EINVAL;
	memcpy(host, begin, length);
	host[length] = '\0';
	*ret_port = colon + 1;
	return 0;
}

static int listen_on(const struct addrinfo *info, bool all_addresses, int *ret_fd)
{
	_cleanup_close_ int fd = -1;
	const int yes = 1;
	int only_ipv6 = all_addresses ? 0 : 1;

	fd = socket(info->ai_family, info->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, info->ai_protocol);
	if (fd < 0)
		return -errno;
	/* or an agent that is started again would wait for the connections of the last one */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) < 0)
		return -errno;
	if (info->ai_family == AF_INET6 &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only_ipv6, sizeof(only_ipv6)) < 0)
		return -errno;
	if (bind(fd, info->ai_addr, info->ai_addrlen) < 0)
		return -errno;
	if (listen(fd, SOMAXCONN) < 0)
		return -errno;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static int explain_listen(struct ebb_why *why, int r, const char *address)
{
	switch (r) {
	case -EADDRINUSE:
		return ebb_why(why, r,
			       "--listen %s: address in use: stop the other program or choose another port",
			       address);
	case -EACCES:
	case -EPERM:
		return ebb_why(why, r, "--listen %s: not permitted: choose a port above 1023", address);
	case -EADDRNOTAVAIL:
		return ebb_why(why, r,
			       "--listen %s: this machine does not have that address: choose one of its own",
			       address);
	case -EAFNOSUPPORT:
		return ebb_why(why, r,
			       "--listen %s: this machine does not speak that protocol: choose another address",
			       address);
	default:
		return ebb_why(why, r, "--listen %s: %s", address, ebb_strerror(r));
	}
}

static int resolve(const char *address, const char *host, const char *port, struct addrinfo **ret_list,
		   struct ebb_why *why)
{
	const struct addrinfo hints = {
		/* what stands in brackets is an address, never a name */
		.ai_flags = AI_PASSIVE | AI_NUMERICSERV | (*address == '[' ? AI_NUMERICHOST : 0),
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
	};
	int r;

	r = getaddrinfo(*host ? host : NULL, port, &hints, ret_list);
	if (r == EAI_MEMORY)
		return ebb_why(why, -ENOMEM, "--listen %s: no memory", address);
	if (r != 0)
		return ebb_why(why, -EINVAL, "--listen %s: no address for '%s': %s", address, host,
			       gai_strerror(r));
	return 0;
}

static int open_listener(const char *address, int *ret_fd, struct ebb_why *why)
{
	struct addrinfo *list = NULL;
	char host[HOST_MAX];
	const char *port;
	int r;

	if (split_address(address, host, &port) < 0)
		return refuse_address(why, address);
	r = resolve(address, host, port, &list, why);
	if (r < 0)
		return r;
	r = -EADDRNOTAVAIL;
	/* all addresses: IPv6 first, since its socket takes IPv4 as well */
	for (int pass = 0; pass < 2 && r < 0; pass++) {
		for (const struct addrinfo *info = list; info && r < 0; info = info->ai_next) {
			bool first = *host || info->ai_family == AF_INET6;

			if (first == (pass == 0))
				r = listen_on(info, !*host, ret_fd);
			if (r == -EADDRINUSE || r == -EACCES)
				goto out; /* another address would not be what was asked for */
		}
	}
out:
	freeaddrinfo(list);
	return r < 0 ? explain_listen(why, r, address) : 0;
}

/* Where @fd listens, as text. */
static int describe_listener(int fd, char *buffer, size_t size)
{
	struct sockaddr_storage address = {};
	socklen_t length = sizeof(address);
	char host[NI_MAXHOST], port[NI_MAXSERV];

	if (getsockname(fd, (struct sockaddr *)&address, &length) < 0)
		return -errno;
	if (getnameinfo((const struct sockaddr *)&address, length, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return -EINVAL;
	(void)snprintf(buffer, size, address.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
	return 0;
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

	r = open_listener(listen, &fd, why);
	if (r < 0)
		return r;
	http = calloc(1, sizeof(*http));
	if (!http)
		return ebb_why(why, -ENOMEM, "--listen %s: no memory", listen);
	http->source = source;
	r = describe_listener(fd, http->address, sizeof(http->address));
	if (r < 0) {
		(void)explain_listen(why, r, listen);
		goto fail;
	}
	http->daemon =
		MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_ERROR_LOG, 0, NULL, NULL, handle_request, http,
				 /* the logger comes first, so that it hears of the other options */
				 MHD_OPTION_EXTERNAL_LOGGER, log_message, NULL, MHD_OPTION_LISTEN_SOCKET, fd,
				 MHD_OPTION_CONNECTION_LIMIT, (unsigned int)CLIENTS_MAX,
				 MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CLIENT_MEMORY_BYTES,
				 MHD_OPTION_CONNECTION_TIMEOUT, (unsigned int)DEADLINE_S,
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
	if (http->daemon)
		MHD_stop_daemon(http->daemon);
	free(http);
}

const char *ebb_http_address(const struct ebb_http *http)
{
	return http->address;
}

int ebb_http_fd(const struct ebb_http *http)
{
	return http->epoll_fd;
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
	bool was_full = http->clients_used == CLIENTS_MAX;
	int timeout_ms;

	(void)end_overdue(http, now_ns);
	if (MHD_run(http->daemon) != MHD_YES)
		return -EIO;
	/* full, it does not wait for new clients; it looks for room only when it is run */
	if (was_full && http->clients_used < CLIENTS_MAX && MHD_run(http->daemon) != MHD_YES)
		return -EIO;

	timeout_ms = ms_until(end_overdue(http, now_ns), now_ns);
	if (MHD_get_timeout(http->daemon, &library_ms) == MHD_YES &&
	    (timeout_ms < 0 || library_ms < (MHD_UNSIGNED_LONG_LONG)timeout_ms))
		timeout_ms = (int)library_ms;
	*ret_timeout_ms = timeout_ms;
	return 0;
}
