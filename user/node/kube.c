/* SPDX-License-Identifier: Apache-2.0 */
#include "node/kube.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/log.h"

#define SECOND	   1000000000ULL
#define POLL_NS	   (10 * SECOND)
#define RESYNC_NS  (1800 * SECOND)
#define HURRY_NS   SECOND
#define FIRST_NS   SECOND /* the wait after the first failure, then twice as long each time */
#define LONGEST_NS (60 * SECOND)
#define AFTER_MAX  (300 * SECOND) /* what the server may ask us to wait */

#define LIST_MAX    (16U << 20)
#define EVENT_MAX   (2U << 20)	  /* a pod is at most 1.5 MB, as etcd has it */
#define WATCH_MIN_S 300		  /* for how long the server keeps a watch open, and up to twice as long */
#define IDLE_NS	    (90 * SECOND) /* bookmarks come once a minute; silent for longer, it may be dead */

enum state {
	WAITING, /* until due_ns */
	LISTING,
	WATCHING,
};

struct ebb_kube {
	struct ebb_kube_settings settings;
	struct ebb_kube_ops ops;
	struct ebb_pods *pods;
	enum state state;
	uint64_t request; /* under way */
	uint64_t due_ns, began_ns, resync_ns;
	char version[EBB_POD_VERSION_MAX]; /* to watch from; "": list first */
	bool opened;			   /* the watch is */
	uint32_t failed;		   /* times in a row */
	uint64_t dice;
	struct ebb_kube_status status;
};

static uint64_t now(const struct ebb_kube *k)
{
	return k->ops.now_ns(k->ops.userdata);
}

/* Below @range; an xorshift* generator (Vigna, 2016). */
static uint64_t draw(struct ebb_kube *k, uint64_t range)
{
	k->dice ^= k->dice >> 12;
	k->dice ^= k->dice << 25;
	k->dice ^= k->dice >> 27;
	return (k->dice * 2685821657736338717ULL >> 16) % range;
}

static const char *source_name(const struct ebb_kube *k)
{
	return k->settings.source == EBB_KUBE_API ? "the API server" : "the kubelet";
}

/* ---------------------------------------------------------------- outcomes -- */

/* It may be tried again after what the server asks, and not before a wait that grows with each failure. */
static uint64_t backoff(struct ebb_kube *k, uint64_t after_ns)
{
	uint64_t wait_ns = FIRST_NS;

	for (uint32_t i = 1; i < k->failed && wait_ns < LONGEST_NS; i++)
		wait_ns *= 2;
	if (wait_ns > LONGEST_NS)
		wait_ns = LONGEST_NS;
	if (after_ns > AFTER_MAX)
		after_ns = AFTER_MAX;
	if (after_ns > wait_ns)
		wait_ns = after_ns;
	/* half as long again at most: a fleet does not come back at once */
	return wait_ns + draw(k, wait_ns / 2);
}

static void fail(struct ebb_kube *k, uint64_t after_ns, const char *why)
{
	k->state = WAITING;
	k->request = 0;
	k->failed++;
	k->status.failures++;
	k->due_ns = now(k) + backoff(k, after_ns);
	if (k->status.healthy)
		ebb_warn("pods are not told of by %s: %s: identities known so far are kept, trying again",
			 source_name(k), why);
	k->status.healthy = false;
	(void)snprintf(k->status.why, sizeof(k->status.why), "%s", why);
}

static void succeed(struct ebb_kube *k)
{
	if (!k->status.healthy)
		ebb_info("pods are told of by %s again", source_name(k));
	k->failed = 0;
	k->status.healthy = true;
	k->status.why[0] = '\0';
}

/* As documented: a server that has changed its mind about us reads a new token from the file the next time. */
static void refuse(struct ebb_kube *k, unsigned int status, uint64_t after_ns)
{
	char why[200];

	if (status == 401)
		(void)snprintf(why, sizeof(why),
			       "%s refuses the token (401): is '%.100s' the one of our service account?",
			       source_name(k), k->settings.token_file);
	else
		(void)snprintf(why, sizeof(why), "%s does not allow it (403): grant the service account %s",
			       source_name(k),
			       k->settings.source == EBB_KUBE_API ? "list and watch of pods"
								  : "get of nodes/proxy");
	if (k->ops.credentials_refused)
		k->ops.credentials_refused(k->ops.userdata, k->settings.url, status);
	fail(k, after_ns, why);
}

/* What is neither a success nor 410. */
static void fail_answer(struct ebb_kube *k, const struct ebb_fetch_answer *answer)
{
	char why[200];

	if (answer->result < 0)
		return fail(k, 0, answer->why);
	if (answer->status == 401 || answer->status == 403)
		return refuse(k, answer->status, answer->retry_after_ns);
	(void)snprintf(why, sizeof(why), "%s answers %u", source_name(k), answer->status);
	fail(k, answer->retry_after_ns, why);
}

/* The version is too old: all of it anew. Soon, but not all agents of a fleet at once. */
static void start_over(struct ebb_kube *k)
{
	k->version[0] = '\0';
	k->state = WAITING;
	k->request = 0;
	k->due_ns = now(k) + draw(k, SECOND);
}

/* ---------------------------------------------------------------- requests -- */

/* The first line of the token file. -ENOENT and the like, -EINVAL: empty or too long. */
static int read_token(const char *path, char token[EBB_FETCH_TOKEN_MAX + 1])
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length;

	if (fd < 0)
		return -errno;
	length = read(fd, token, EBB_FETCH_TOKEN_MAX + 1);
	if (length < 0)
		return -errno;
	if (length > (ssize_t)EBB_FETCH_TOKEN_MAX)
		return -EINVAL;
	token[length] = '\0';
	token[strcspn(token, "\r\n")] = '\0';
	return token[0] ? 0 : -EINVAL;
}

static int start(struct ebb_kube *k, struct ebb_fetch_request *request, enum state state)
{
	static const char *const headers[] = {"Accept: application/json"};
	char token[EBB_FETCH_TOKEN_MAX + 1];
	struct ebb_why why = {0};
	int r = 0;

	request->headers = headers;
	request->header_count = 1;
	request->ca_file = k->settings.ca_file[0] ? k->settings.ca_file : NULL;
	request->insecure = k->settings.insecure;
	request->userdata = k;
	if (strncmp(request->url, "https://", strlen("https://")) == 0 && k->settings.token_file[0]) {
		r = read_token(k->settings.token_file, token);
		if (r < 0)
			(void)ebb_why(&why, r, "the token in '%.100s' cannot be read: %s",
				      k->settings.token_file,
				      r == -EINVAL ? "it is empty or too long" : ebb_strerror(r));
		request->token = token;
	}
	k->began_ns = now(k);
	k->state = state;
	if (r == 0)
		r = k->ops.start(k->ops.userdata, request, &k->request, &why);
	request->token = NULL;
	explicit_bzero(token, sizeof(token));
	if (r < 0)
		fail(k, 0, why.text);
	return r;
}

/* What became of a list, in the thread of the requests. */
struct digest {
	struct ebb_pod_list *list;
	struct ebb_why why;
};

static void *digest_list(const char *body, size_t size)
{
	struct digest *digest = calloc(1, sizeof(*digest));

	if (digest && ebb_pod_list_parse(body, size, &digest->list, &digest->why) < 0)
		digest->list = NULL;
	return digest;
}

static void free_digest(void *digested)
{
	struct digest *digest = digested;

	ebb_pod_list_free(digest->list);
	free(digest);
}

/* A version is told back as it came: it must be fit for a URL. */
static bool is_version(const char *version)
{
	return version[0] &&
	       strspn(version, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ._-") ==
		       strlen(version);
}

static void on_list(void *userdata, struct ebb_fetch_answer *answer)
{
	struct ebb_kube *k = userdata;
	const struct digest *digest = answer->digested;
	char why[200];

	if (answer->result < 0 || answer->status != 200)
		return fail_answer(k, answer);
	if (!digest || !digest->list) {
		(void)snprintf(why, sizeof(why), "what %s sends is no list of pods: %.120s", source_name(k),
			       digest ? digest->why.text : "out of memory");
		return fail(k, 0, why);
	}
	if (k->settings.source == EBB_KUBE_API && !is_version(digest->list->version))
		return fail(k, 0, "what the API server sends is no list of pods: without a resourceVersion");
	(void)snprintf(k->version, sizeof(k->version), "%s", digest->list->version);
	ebb_pods_replace(k->pods, digest->list, now(k));
	k->state = WAITING;
	k->request = 0;
	k->status.lists++;
	k->status.synced = true;
	k->status.told_ns = now(k);
	k->resync_ns = now(k) + (k->settings.resync_ns ? k->settings.resync_ns : RESYNC_NS);
	k->due_ns = now(k);
	if (k->settings.source == EBB_KUBE_KUBELET)
		k->due_ns += k->settings.poll_ns ? k->settings.poll_ns : POLL_NS;
	succeed(k);
}

/* ------------------------------------------------------------------- watch -- */

static void on_opened(void *userdata)
{
	struct ebb_kube *k = userdata;

	k->opened = true;
	k->status.watches++;
	k->status.told_ns = now(k);
	succeed(k);
}

/* The watch is of no more use. */
static void leave_watch(struct ebb_kube *k)
{
	k->ops.cancel(k->ops.userdata, k->request);
	k->request = 0;
}

static void on_error_event(struct ebb_kube *k, const struct ebb_pod_event *event)
{
	char why[200];

	leave_watch(k);
	if (event->code == 410)
		return start_over(k);
	(void)snprintf(why, sizeof(why), "the API server ends the watch: %s (%d)", event->message,
		       event->code);
	k->version[0] = '\0';
	fail(k, 0, why);
}

static void on_line(void *userdata, const char *line, size_t length)
{
	struct ebb_kube *k = userdata;
	struct ebb_pod_event event;
	struct ebb_why why = {0};
	char text[200];

	if (ebb_pod_event_parse(line, length, &event, &why) < 0) {
		(void)snprintf(text, sizeof(text), "what the API server sends is no watch of pods: %.120s",
			       why.text);
		leave_watch(k);
		k->version[0] = '\0';
		return fail(k, 0, text);
	}
	if (event.type == EBB_POD_ERROR)
		return on_error_event(k, &event);
	k->status.told_ns = now(k);
	if (is_version(event.version))
		(void)snprintf(k->version, sizeof(k->version), "%s", event.version);
	if (!event.pod)
		return;
	if (event.type == EBB_POD_DELETED) {
		ebb_pods_remove(k->pods, event.pod->uid, now(k));
		ebb_pod_free(event.pod);
	} else {
		ebb_pods_put(k->pods, event.pod, now(k));
	}
}

/* An end that is as it should be: the server's time was over, or ours to wait for a word. */
static bool ended_well(const struct ebb_kube *k, const struct ebb_fetch_answer *answer)
{
	if (!k->opened)
		return false;
	return answer->result == -ETIMEDOUT ||
	       (answer->result == 0 && answer->status == 200 && answer->body_size == 0);
}

static void on_watch(void *userdata, struct ebb_fetch_answer *answer)
{
	struct ebb_kube *k = userdata;

	if (ended_well(k, answer)) {
		k->state = WAITING;
		k->request = 0;
		k->due_ns = now(k) + draw(k, SECOND);
		return;
	}
	if (answer->result == 0 && answer->status == 410)
		return start_over(k);
	if (answer->result == 0 && answer->status == 200)
		return fail(k, 0, "the API server ended a watch in the middle of an event");
	fail_answer(k, answer);
}

/* --------------------------------------------------------------------- due -- */

static void list(struct ebb_kube *k)
{
	char url[EBB_FETCH_URL_MAX];
	struct ebb_fetch_request request = {
		.url = url,
		.answer_max = LIST_MAX,
		.digest = digest_list,
		.digest_free = free_digest,
		.done = on_list,
	};

	/* version 0: from the API server's cache, which a fleet that starts does not hurt */
	if (k->settings.source == EBB_KUBE_KUBELET)
		(void)snprintf(url, sizeof(url), "%s/pods", k->settings.url);
	else
		(void)snprintf(url, sizeof(url), "%s/api/v1/pods?resourceVersion=0%s%s", k->settings.url,
			       k->settings.node[0] ? "&fieldSelector=spec.nodeName%3D" : "",
			       k->settings.node);
	(void)start(k, &request, LISTING);
}

static void watch(struct ebb_kube *k)
{
	char url[EBB_FETCH_URL_MAX];
	struct ebb_fetch_request request = {
		.url = url,
		.answer_max = EVENT_MAX,
		.line = on_line,
		.opened = on_opened,
		.idle_ns = IDLE_NS,
		.done = on_watch,
	};
	unsigned int seconds = WATCH_MIN_S + (unsigned int)draw(k, WATCH_MIN_S);

	(void)snprintf(url, sizeof(url),
		       "%s/api/v1/pods?watch=true&allowWatchBookmarks=true&timeoutSeconds=%u&resourceVersion=%s%s%s",
		       k->settings.url, seconds, k->version,
		       k->settings.node[0] ? "&fieldSelector=spec.nodeName%3D" : "", k->settings.node);
	k->opened = false;
	(void)start(k, &request, WATCHING);
}

void ebb_kube_tick(struct ebb_kube *k)
{
	uint64_t now_ns = now(k);

	ebb_pods_sweep(k->pods, now_ns);
	if (k->state != WAITING || now_ns < k->due_ns)
		return;
	if (k->settings.source == EBB_KUBE_API && k->version[0] && now_ns < k->resync_ns)
		watch(k);
	else
		list(k);
}

void ebb_kube_hurry(struct ebb_kube *k)
{
	if (k->settings.source != EBB_KUBE_KUBELET || k->state != WAITING || k->failed)
		return;
	if (k->due_ns > k->began_ns + HURRY_NS)
		k->due_ns = k->began_ns + HURRY_NS;
}

/* -------------------------------------------------------------------- life -- */

int ebb_kube_new(const struct ebb_kube_settings *settings, const struct ebb_kube_ops *ops,
		 struct ebb_pods *pods, uint64_t seed, struct ebb_kube **ret_kube)
{
	struct ebb_kube *k = calloc(1, sizeof(*k));

	if (!k)
		return -ENOMEM;
	k->settings = *settings;
	k->ops = *ops;
	k->pods = pods;
	k->dice = seed ? seed : 1;
	k->status.healthy = true;
	*ret_kube = k;
	return 0;
}

void ebb_kube_free(struct ebb_kube *k)
{
	if (!k)
		return;
	if (k->request)
		k->ops.cancel(k->ops.userdata, k->request);
	free(k);
}

void ebb_kube_status(const struct ebb_kube *k, struct ebb_kube_status *ret_status)
{
	*ret_status = k->status;
}
