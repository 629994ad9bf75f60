/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/pushing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "agent/otlp_peer.h"
#include "export/metrics_sender.h"
#include "lib/log.h"
#include "lib/timer.h"
#include "lib/units.h"

struct ebb_pushing {
	struct ebb_pushing_setup setup;
	struct ebb_otlp_peer peer;
	struct ebb_metrics_sender *sender;  /* NULL: off */
	uint64_t past[EBB_SPAN_RESULT_MAX]; /* of collectors that are no longer asked */
	bool flushing;
	int timer_fd;
};

static void publish(struct ebb_pushing *p)
{
	struct ebb_metrics_sender_status status = {0};

	if (p->sender)
		ebb_metrics_sender_status(p->sender, &status);
	for (int i = 0; i < EBB_SPAN_RESULT_MAX; i++)
		p->setup.source->pushed[i] = p->past[i] + status.points[i];
	ebb_otlp_peer_tell(&p->peer, status.failing, status.why);
}

static void run(struct ebb_pushing *p)
{
	(void)ebb_timer_arm(p->timer_fd,
			    p->sender ? ebb_metrics_sender_run(p->sender, p->setup.source->now_ns())
				      : UINT64_MAX);
}

static void on_answer(void *userdata, const struct ebb_otlp_answer *answer, uint64_t after_ns)
{
	struct ebb_pushing *p = userdata;

	ebb_metrics_sender_answer(p->sender, answer, after_ns, p->setup.source->now_ns());
	publish(p);
	run(p);
}

/* ----------------------------------------------------------- configuration -- */

static void stop_pushing(struct ebb_pushing *p)
{
	struct ebb_metrics_sender_status status;

	if (!p->sender)
		return;
	ebb_otlp_peer_cancel(&p->peer);
	ebb_metrics_sender_status(p->sender, &status);
	/* nobody waits for their answer any more */
	status.points[EBB_SPAN_EXPIRED] += status.waiting;
	for (int i = 0; i < EBB_SPAN_RESULT_MAX; i++)
		p->past[i] += status.points[i];
	ebb_metrics_sender_free(p->sender);
	p->sender = NULL;
}

/* Somewhere within the interval: the agents of a fleet that get their configuration at once do not push at once. */
static uint64_t first_push(const struct ebb_pushing *p)
{
	uint32_t dice = 0;

	(void)!getrandom(&dice, sizeof(dice), 0);
	return p->setup.source->now_ns() +
	       (uint64_t)((double)p->peer.settings->interval_ns * dice / UINT32_MAX);
}

static void start_pushing(struct ebb_pushing *p)
{
	const struct ebb_metrics_sender_setup setup = {
		.source = p->setup.source,
		.settings = p->peer.settings,
		.version = p->setup.version,
		.delivery = ebb_delivery_defaults,
		.first_ns = first_push(p),
		.worked = &p->setup.source->push_duration,
		.send = ebb_otlp_peer_send,
		.userdata = &p->peer,
	};
	char interval[EBB_FORMAT_MAX];

	if (ebb_metrics_sender_new(&setup, &p->sender) < 0) {
		ebb_err("no memory for the push of metrics: none are sent");
		return;
	}
	ebb_info("metrics are sent: to=%s interval=%s", p->peer.settings->url,
		 ebb_format_duration(p->peer.settings->interval_ns, interval, sizeof(interval)));
}

void ebb_pushing_configure(struct ebb_pushing *p, const struct ebb_config *config)
{
	const struct ebb_metrics_otlp_config *otlp = &config->metrics_otlp;
	const struct ebb_otlp_ours ours = {
		.endpoint = otlp->endpoint,
		.headers_file = otlp->headers_file,
		.on = otlp->enabled == EBB_PUSH_ON,
		.off = otlp->enabled == EBB_PUSH_OFF,
		.interval_ns = otlp->interval_ns,
		.interval_given = ebb_config_is_given(config, "metrics.otlp.interval"),
		.timeout_ns = otlp->timeout_ns,
		.timeout_given = ebb_config_is_given(config, "metrics.otlp.timeout"),
		.gzip = otlp->gzip,
		.gzip_given = ebb_config_is_given(config, "metrics.otlp.gzip"),
	};

	if (!ebb_otlp_peer_configure(&p->peer, &ours))
		return;
	stop_pushing(p);
	if (p->peer.settings->url[0])
		start_pushing(p);
	publish(p);
	run(p);
}

/* -------------------------------------------------------------------- loop -- */

int ebb_pushing_fd(const struct ebb_pushing *pushing)
{
	return pushing->timer_fd;
}

void ebb_pushing_dispatch(struct ebb_pushing *p)
{
	uint64_t expirations;

	(void)!read(p->timer_fd, &expirations, sizeof(expirations));
	run(p);
	publish(p);
}

bool ebb_pushing_flush(struct ebb_pushing *p)
{
	struct ebb_metrics_sender_status status;

	if (!p->sender)
		return false;
	if (!p->flushing) {
		p->flushing = true;
		ebb_metrics_sender_finish(p->sender);
		run(p);
	}
	ebb_metrics_sender_status(p->sender, &status);
	return status.pushing && !status.failing;
}

static int open_peer(struct ebb_pushing *p)
{
	const struct ebb_otlp_peer_setup setup = {
		.signal = EBB_OTLP_METRICS,
		.name = "metrics",
		.otherwise = "what was counted goes with a later push",
		.component = EBB_HEALTH_METRICS_OTLP,
		.health = p->setup.health,
		.fetch = p->setup.fetch,
		.environ = p->setup.environ,
		.run_id = p->setup.source->view->agent->run_id,
		.realtime_ns = p->setup.source->realtime_ns,
		.answered = on_answer,
		.userdata = p,
	};

	return ebb_otlp_peer_init(&p->peer, &setup);
}

int ebb_pushing_new(const struct ebb_pushing_setup *setup, struct ebb_pushing **ret_pushing)
{
	struct ebb_pushing *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	p->setup = *setup;
	p->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	r = p->timer_fd < 0 ? -errno : open_peer(p);
	if (r < 0) {
		ebb_pushing_free(p);
		return r;
	}
	*ret_pushing = p;
	return 0;
}

void ebb_pushing_free(struct ebb_pushing *pushing)
{
	if (!pushing)
		return;
	stop_pushing(pushing);
	ebb_otlp_peer_done(&pushing->peer);
	if (pushing->timer_fd >= 0)
		(void)close(pushing->timer_fd);
	free(pushing);
}
