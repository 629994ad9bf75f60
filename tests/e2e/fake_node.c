/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_node PORT DESTINATIONS: a node made up in memory, served by the real HTTP server, for what no real one has at
 * hand: thousands of destinations that all change, names that are meant to break a page. Every fifth breaker
 * opens and closes again. Ends with its standard input.
 */
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <time.h>
#include <unistd.h>

#include "export/http.h"
#include "lib/units.h"
#include "tests/lib/fake_source.h"

#define NS_PER_S 1000000000ULL
#define STEP_NS	 (250 * 1000000ULL)

static uint32_t count;
static uint64_t seed = 1;

static uint64_t monotonic(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static int64_t realtime(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec * (int64_t)NS_PER_S + ts.tv_nsec;
}

static uint32_t random_below(uint32_t n)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(seed >> 33) % n;
}

static void name_slot(struct fake *fake, uint32_t d)
{
	static const char *const hostile[] = {
		"<img src=x onerror=alert(1)>",
		"\"><script>alert(2)</script>",
		"{{constructor}} &amp; <b>bold</b>",
		"a-name-that-is-longer-than-any-column-has-room-for.and-goes-on.and-on.eu-central-1.example.com:443/tcp",
	};
	static const char *const real[] = {
		"anthropic",
		"openai",
		"postgres-main",
		"redis-cache",
		"embeddings",
		"search-api",
		"payments",
		"s3.eu-central-1.amazonaws.com:443/tcp",
		"api.github.com:443/tcp",
		"vector-db",
		"crawl",
	};
	struct ebb_name *name = &fake->view.names[d];

	name->flags = EBB_NAME_RULE;
	name->epoch = fake->view.dsts[d].epoch;
	if (d <= 11)
		(void)snprintf(name->text, sizeof(name->text), "%s", real[d - 1]);
	else if (d <= 15)
		(void)snprintf(name->text, sizeof(name->text), "%s", hostile[d - 12]);
	else
		name->epoch--; /* goes by its address */
}

static void make_node(struct fake *fake)
{
	struct ebb_agent *agent = fake->view.agent;
	char address[32];

	agent->mode = EBB_MODE_ENFORCE;
	agent->lease_ns = 30 * NS_PER_S;
	agent->pid = (uint32_t)getpid();
	agent->run_id = (uint64_t)realtime();
	agent->started_ns = monotonic();
	agent->turns = 1;
	agent->fuse_action = EBB_FUSE_ALERT;
	agent->fuse_window_ns = 10 * NS_PER_S;
	for (uint32_t d = 1; d <= count; d++) {
		struct ebb_policy *policy = &fake->view.policies[d];

		(void)snprintf(address, sizeof(address), "10.%u.%u.%u", d >> 16, (d >> 8) & 255, d & 255);
		fake_dst(fake, d, address, 443)->created_ns = monotonic();
		name_slot(fake, d);
		(void)fake_pair(fake, d, d, d % 7 + 1);
		policy->mode = d % 4 ? EBB_MODE_ENFORCE : EBB_MODE_OBSERVE;
		policy->count_mask = 1U << EBB_OUTCOME_REFUSED | 1U << EBB_OUTCOME_TIMEOUT;
		policy->limits.concurrent = d % 3 ? 0 : 64;
	}
	fake->source.dst_live = fake->source.pair_live = count;
}

/* The breaker of @d moves on. */
static void turn_breaker(struct fake *fake, struct ebb_http *http, uint32_t d, uint64_t now_ns)
{
	struct ebb_memory *memory = &fake->view.memories[d];
	uint32_t state = ebb_word_state(fake->view.verdicts[d].word);
	struct ebb_transition move = {
		.at_ns = now_ns,
		.gen = ebb_word_gen(fake->view.verdicts[d].word) + 1,
		.run = 5,
		.ok = 2,
		.failed = 5,
		.episode = 0x0123456789abcdefULL + d,
	};

	move.reason = state == EBB_STATE_CLOSED ? EBB_REASON_CONSECUTIVE_FAILURES
		      : state == EBB_STATE_OPEN ? EBB_REASON_OPEN_EXPIRED
						: EBB_REASON_PROBES_SUCCEEDED;
	state = state == EBB_STATE_CLOSED ? EBB_STATE_OPEN
		: state == EBB_STATE_OPEN ? EBB_STATE_HALF_OPEN
					  : EBB_STATE_CLOSED;
	move.until_ns = state == EBB_STATE_OPEN ? now_ns + 60 * NS_PER_S : 0;
	fake->view.verdicts[d].word = ebb_word(move.gen, state, ebb_ns_to_ticks(move.until_ns));
	memory->last[memory->count++ % EBB_TRANSITIONS_KEPT] = move;
	memory->since_ns = now_ns;
	ebb_http_moved(http, d, d, &move);
}

/* Something is going on at every destination. */
static void step(struct fake *fake, struct ebb_http *http, uint64_t now_ns)
{
	fake->view.agent->heartbeat_ns = now_ns;
	for (uint32_t d = 1; d <= count; d++) {
		struct ebb_pair *pair = &fake->view.pairs[d];
		uint32_t calls = random_below(d % 11 + 2), ms = 1 + d % 40 + random_below(d % 40 + 1);
		bool open = ebb_word_state(fake->view.verdicts[d].word) == EBB_STATE_OPEN;

		pair->active = random_below(d % 9 + 1);
		fake->view.gates[d].in_use = d % 3 ? 0 : random_below(65);
		if (open) {
			pair->denied[EBB_CAUSE_BREAKER] += calls;
			continue;
		}
		pair->attempts += calls;
		pair->syn_sent += calls;
		pair->outcomes[d % 5 ? EBB_OUTCOME_ESTABLISHED : EBB_OUTCOME_REFUSED] += calls;
		pair->turns[EBB_TURN_ANSWERED] += calls;
		pair->turn_units += (uint64_t)calls * ms * 4000;
		fake->view.dsts[d].connect.buckets[ebb_hist_bucket(ms * 400)] += calls;
		fake->view.dsts[d].turn.buckets[ebb_hist_bucket(ms * 4000)] += calls;
		fake->view.memories[d].window_ok = d % 5 ? calls * 10 : calls;
		fake->view.memories[d].window_failed = d % 5 ? 0 : calls * 2;
	}
	if (count >= 5)
		turn_breaker(fake, http, 5 * (1 + random_below(count / 5)), now_ns);
}

int main(int argc, char **argv)
{
	struct ebb_http *http;
	struct ebb_why why;
	struct fake *fake;
	char listen[32];
	uint64_t at_ns = 0;

	if (argc != 3 || ebb_parse_u32(argv[2], &count) < 0)
		return 2;
	(void)signal(SIGPIPE, SIG_IGN);
	fake = fake_new(count + 1, count + 1);
	fake->source.now_ns = monotonic;
	fake->source.realtime_ns = realtime;
	fake->health.started = true;
	make_node(fake);
	(void)snprintf(listen, sizeof(listen), "127.0.0.1:%s", argv[1]);
	if (ebb_http_new(listen, &fake->source, &http, &why) < 0) {
		(void)fprintf(stderr, "fake_node: %s\n", why.text);
		return 1;
	}
	(void)printf("%s\n", ebb_http_address(http));
	(void)fflush(stdout);
	for (;;) {
		struct pollfd fds[] = {{.fd = ebb_http_fd(http), .events = POLLIN},
				       {.fd = STDIN_FILENO, .events = POLLIN}};
		int timeout_ms;

		if (monotonic() >= at_ns) {
			at_ns = monotonic() + STEP_NS;
			step(fake, http, monotonic());
		}
		if (ebb_http_run(http, &timeout_ms) < 0)
			break;
		(void)poll(fds, 2, timeout_ms < 0 || timeout_ms > 50 ? 50 : timeout_ms);
		if (fds[1].revents)
			break;
	}
	ebb_http_free(http);
	fake_free(fake);
	return 0;
}
