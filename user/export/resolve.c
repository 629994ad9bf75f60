/* SPDX-License-Identifier: Apache-2.0 */
#include "export/resolve.h"

#include <errno.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "lib/clock.h"

struct ebb_resolve {
	struct gaicb question;
	struct addrinfo hints;
	char host[NI_MAXHOST];
};

static int ask(const char *host, struct ebb_resolve **ret_pending)
{
	struct ebb_resolve *p = calloc(1, sizeof(*p));
	struct gaicb *list[1];

	if (!p)
		return -ENOMEM;
	(void)snprintf(p->host, sizeof(p->host), "%s", host);
	p->hints.ai_socktype = SOCK_STREAM;
	p->question.ar_name = p->host;
	p->question.ar_request = &p->hints;
	list[0] = &p->question;
	if (getaddrinfo_a(GAI_NOWAIT, list, 1, NULL) != 0) {
		free(p);
		return -EAGAIN;
	}
	*ret_pending = p;
	return 0;
}

static bool is_answered(struct ebb_resolve *p)
{
	return gai_error(&p->question) != EAI_INPROGRESS;
}

/*
 * 0: there is an answer, good or bad. gai_suspend() also returns at once, answer or not, while a request is between
 * being made and being taken up: it is asked again, after a breath.
 */
static int wait_for(struct ebb_resolve *p, uint64_t timeout_ns)
{
	static const struct timespec breath = {.tv_nsec = 100000};
	const struct gaicb *const list[] = {&p->question};
	uint64_t now = ebb_clock_monotonic(), end = now + timeout_ns;

	while (!is_answered(p)) {
		struct timespec left;

		if (now >= end)
			return -ETIMEDOUT;
		left = (struct timespec){.tv_sec = (time_t)((end - now) / EBB_NS_PER_S),
					 .tv_nsec = (long)((end - now) % EBB_NS_PER_S)};
		if (gai_suspend(list, 1, &left) != EAI_AGAIN && !is_answered(p))
			(void)nanosleep(&breath, NULL);
		now = ebb_clock_monotonic();
	}
	return 0;
}

static int tell_error(const struct ebb_resolve *p, int error, struct ebb_why *why)
{
	if (error == EAI_NONAME || error == EAI_NODATA)
		return ebb_why(why, -ENOENT, "there is no host %s: %s", p->host, gai_strerror(error));
	return ebb_why(why, -EAGAIN, "cannot look up the host %s: %s", p->host, gai_strerror(error));
}

static int tell(const struct ebb_resolve *p, char text[EBB_RESOLVE_TEXT_MAX])
{
	size_t used = 0;
	int count = 0;

	for (const struct addrinfo *a = p->question.ar_result; a && count < EBB_RESOLVE_MAX; a = a->ai_next) {
		char address[NI_MAXHOST];
		int n;

		if (getnameinfo(a->ai_addr, a->ai_addrlen, address, sizeof(address), NULL, 0,
				NI_NUMERICHOST) != 0)
			continue;
		n = snprintf(text + used, EBB_RESOLVE_TEXT_MAX - used, "%s%s", count ? "," : "", address);
		if ((size_t)n >= EBB_RESOLVE_TEXT_MAX - used) {
			text[used] = '\0';
			break;
		}
		used += (size_t)n;
		count++;
	}
	return count;
}

int ebb_resolve(struct ebb_resolve **io_pending, const char *host, uint64_t timeout_ns,
		char ret_text[EBB_RESOLVE_TEXT_MAX], struct ebb_why *why)
{
	int error, r = *io_pending ? 0 : ask(host, io_pending);

	if (r < 0)
		return ebb_why(why, r, "cannot look up the host %s: %s", host, ebb_strerror(r));
	if (wait_for(*io_pending, timeout_ns) < 0)
		return ebb_why(why, -ETIMEDOUT, "the host %s is looked up, and there is no answer yet", host);
	error = gai_error(&(*io_pending)->question);
	r = error ? tell_error(*io_pending, error, why) : tell(*io_pending, ret_text);
	ebb_resolve_free(*io_pending);
	*io_pending = NULL;
	return r != 0 ? r : ebb_why(why, -EAGAIN, "the host %s has no address", host);
}

void ebb_resolve_free(struct ebb_resolve *p)
{
	if (!p)
		return;
	/* the thread that asks still writes into it: it stays, which is once, at the end */
	if (gai_error(&p->question) == EAI_INPROGRESS && gai_cancel(&p->question) == EAI_NOTCANCELED)
		return;
	if (p->question.ar_result)
		freeaddrinfo(p->question.ar_result);
	free(p);
}
