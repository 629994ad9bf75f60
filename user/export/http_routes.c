/* SPDX-License-Identifier: Apache-2.0 */
/* Which path is answered by what. */
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/utsname.h>

#include "export/answer.h"
#include "export/api.h"
#include "export/http_host.h"
#include "export/peers.h"
#include "export/readers.h"

#define DESTINATIONS "/api/v1/destinations"

static enum MHD_Result get_status(const struct ebb_request *request)
{
	return ebb_api_status(request->feed, request);
}

static enum MHD_Result get_destinations(const struct ebb_request *request)
{
	return ebb_api_destinations(request->feed, request);
}

static enum MHD_Result get_destination(const struct ebb_request *request)
{
	return ebb_api_destination(request->feed, request, request->path + strlen(DESTINATIONS "/"));
}

static enum MHD_Result get_events(const struct ebb_request *request)
{
	return ebb_readers_answer(request->events, request);
}

/* Paths are compared as they came: no other spelling of them is served. One that ends in a slash has a name behind it. */
static const struct route {
	const char *path;
	enum ebb_http_handler handler;
	enum MHD_Result (*get)(const struct ebb_request *request);
} routes[] = {
	{"/", EBB_HTTP_PAGE, ebb_get_page},
	{"/metrics", EBB_HTTP_METRICS, ebb_get_metrics},
	{"/health", EBB_HTTP_HEALTH, ebb_get_health},
	{"/health/live", EBB_HTTP_HEALTH, ebb_get_live},
	{"/health/ready", EBB_HTTP_HEALTH, ebb_get_ready},
	{"/health/startup", EBB_HTTP_HEALTH, ebb_get_startup},
	{"/api/v1/status", EBB_HTTP_API, get_status},
	{DESTINATIONS, EBB_HTTP_API, get_destinations},
	{DESTINATIONS "/", EBB_HTTP_API, get_destination},
	{"/api/v1/events", EBB_HTTP_EVENTS, get_events},
};

static bool leads_to(const struct route *route, const char *path)
{
	size_t length = strlen(route->path);

	if (length > 1 && route->path[length - 1] == '/')
		return strncmp(path, route->path, length) == 0;
	return strcmp(path, route->path) == 0;
}

static const struct route *find_route(const char *path)
{
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
		if (leads_to(&routes[i], path))
			return &routes[i];
	return NULL;
}

/* Tells whoever wants to know that somebody tried to change something. */
static void tell_refused(const struct ebb_request *request, unsigned int status)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	const struct ebb_source *source = request->source;
	char peer[NI_MAXHOST] = "?";
	socklen_t length;

	if (!source->refused)
		return;
	if (info && info->client_addr) {
		length = info->client_addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
								  : sizeof(struct sockaddr_in);
		if (getnameinfo(info->client_addr, length, peer, sizeof(peer), NULL, 0, NI_NUMERICHOST) != 0)
			(void)memcpy(peer, "?", 2);
	}
	source->refused(source->refused_userdata, request->method, request->path, peer, status);
}

static enum MHD_Result refuse_method(const struct ebb_request *request)
{
	static char only_reading[] = "only GET and HEAD: nothing can be changed here\n";
	struct MHD_Response *response;

	tell_refused(request, MHD_HTTP_METHOD_NOT_ALLOWED);
	response = MHD_create_response_from_buffer(sizeof(only_reading) - 1, only_reading,
						   MHD_RESPMEM_PERSISTENT);
	if (!response)
		return MHD_NO;
	ebb_answer_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	return ebb_answer(request, MHD_HTTP_METHOD_NOT_ALLOWED, response, "text/plain; charset=utf-8");
}

/* Browsers that a stranger can lead to us are on this machine, or at the other end of a port that is forwarded to it. */
static bool is_misled(const struct ebb_request *request)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct sockaddr_storage address = {};
	socklen_t length = sizeof(address);
	struct utsname self = {};

	if (!request->host || !info ||
	    getsockname(info->connect_fd, (struct sockaddr *)&address, &length) < 0 ||
	    !ebb_peer_is_loopback(&address))
		return false;
	(void)uname(&self);
	return !ebb_http_host_is_ours(request->host, self.nodename);
}

enum MHD_Result ebb_route(const struct ebb_request *request, bool reads)
{
	static const char paths[] =
		"not found: there are /, /metrics, /health, /health/live, /health/ready, /health/startup, "
		"/api/v1/status, /api/v1/destinations, /api/v1/destinations/NAME and /api/v1/events";
	const struct route *route = find_route(request->path);

	if (is_misled(request)) {
		request->exchange->handler = EBB_HTTP_OTHER;
		return ebb_answer_line(request, MHD_HTTP_MISDIRECTED_REQUEST,
				       "not under this name: on a loopback address ask for localhost, an address or this machine's name; a proxy sets Host so");
	}
	request->exchange->handler = route ? route->handler : EBB_HTTP_OTHER;
	if (!route && !reads)
		tell_refused(request, MHD_HTTP_NOT_FOUND);
	if (!route && strncmp(request->path, "/api/", 5) == 0)
		return ebb_answer_error(request, MHD_HTTP_NOT_FOUND, "%s", paths);
	if (!route)
		return ebb_answer_line(request, MHD_HTTP_NOT_FOUND, paths);
	return reads ? route->get(request) : refuse_method(request);
}
