/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Byte and packet limits with real traffic. How exact and how smooth they are is for
 * the benchmark to say; here stands what must hold whoever else uses the machine: never
 * more than burst and rate x time, most of the rate used, nobody starved.
 */
#include "fixture.h"
#include "flows.h"

#include <errno.h>
#include <linux/udp.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/limit.h"

#define MS_NS	  1000000ULL
#define SECOND_NS 1000000000ULL
#define MB	  1000000ULL
#define DEPTH_NS  (250 * MS_NS) /* least depth for TCP */

/* Segments as on a network: the loopback's own MTU makes them 64 KB. */
#define MTU 1500

static struct fixture_options old_kernel = {.no_rdonly_cast = true};

static struct ebb_policy limited(uint32_t kind, uint64_t per_second, uint64_t burst)
{
	struct ebb_policy policy = policy_default();

	policy.mode = EBB_MODE_ENFORCE;
	assert_int_equal(ebb_limit_make(per_second * 3600, burst, &policy.limits.bucket[kind]), 0);
	return policy;
}

static void watch_packets(struct fixture *fx, bool wanted)
{
	struct ebb_why why = {0};

	if (ebb_loader_want_packets(fx->loader, wanted, &why) < 0)
		fail_msg("%s", why.text);
}

static void limit_bytes(struct fixture *fx, uint64_t per_second)
{
	struct ebb_policy policy = limited(EBB_LIMIT_BYTES, per_second, per_second / 4);

	policy_everywhere(fx, &policy);
	watch_packets(fx, true);
}

/* IP bytes of @payload in full segments of the MTU. */
static double wire(uint64_t payload)
{
	return (double)payload * MTU / (MTU - 52);
}

/* What was seen is not above the rate, and most of it. */
static void expect_rate(const struct flows_seen *seen, uint64_t per_second, double least)
{
	double allowed = (double)per_second * (double)seen->ns / SECOND_NS;
	/* a whole bucket may have been saved, and some was on its way */
	double depth = (double)per_second * DEPTH_NS / SECOND_NS + 4 * 65536.0;

	if (wire(seen->bytes) > allowed + depth)
		fail_msg("%.0f bytes in %.3f s at %llu bytes/s", wire(seen->bytes),
			 (double)seen->ns / SECOND_NS, (unsigned long long)per_second);
	if (wire(seen->bytes) < least * allowed)
		fail_msg("only %.0f%% of the rate was used", 100 * wire(seen->bytes) / allowed);
}

/* -------------------------------------------------------------- on demand -- */

static bool sees_packets(const struct fixture *fx)
{
	struct ebb_link_info links[EBB_LINKS_MAX];
	size_t count = ebb_maps_links(fx->pin_dir, links);

	for (size_t i = 0; i < count; i++) {
		if (strcmp(links[i].name, "egress") == 0)
			return links[i].attached;
	}
	return false;
}

static void packet_program_is_attached_on_demand(void **state)
{
	struct fixture *fx = *state;

	assert_false(sees_packets(fx));
	watch_packets(fx, true);
	assert_true(sees_packets(fx));
	watch_packets(fx, true);
	watch_packets(fx, false);
	assert_false(sees_packets(fx));
	watch_packets(fx, false);
	watch_packets(fx, true);
	/* the next agent finds it, and keeps or removes it */
	fixture_close_loader(fx);
	assert_true(sees_packets(fx));
	fixture_open_loader(fx);
	assert_true(sees_packets(fx));
	watch_packets(fx, false);
	assert_false(sees_packets(fx));
}

/* -------------------------------------------------------------------- TCP -- */

static void flows_share_the_rate(struct fixture *fx, int count, const char *congestion)
{
	struct flows_seen seen;
	struct address to;
	struct flows *flows;
	int listener;

	shell("ip link set lo mtu %d", MTU);
	listener = listen_at("127.0.0.1", &to);
	limit_bytes(fx, 10 * MB);
	flows = flows_begin(listener, &to, count, congestion);
	(void)flows_watch(flows, SECOND_NS); /* begins with a full bucket */
	seen = flows_watch(flows, 2 * SECOND_NS);
	flows_end(flows);
	expect_rate(&seen, 10 * MB, count < 64 ? 0.85 : 0.6);
	/* what only drops stalls 70% of all windows */
	assert_true(seen.stalled * 5 <= seen.windows);
	if (count < 64)
		assert_true(seen.jain > 0.9);
	wait_for(gate_of(fx, &to)->paced == 0);
}

static void one_flow_cubic(void **state)
{
	flows_share_the_rate(*state, 1, "cubic");
}

static void one_flow_bbr(void **state)
{
	flows_share_the_rate(*state, 1, "bbr");
}

static void eight_flows_cubic(void **state)
{
	flows_share_the_rate(*state, 8, "cubic");
}

static void eight_flows_bbr(void **state)
{
	flows_share_the_rate(*state, 8, "bbr");
}

static void many_flows(void **state)
{
	flows_share_the_rate(*state, 64, "cubic");
}

static void flows_that_stop_leave_their_share(void **state)
{
	struct fixture *fx = *state;
	struct flows_seen seen;
	struct address to;
	struct flows *flows;
	int listener;

	shell("ip link set lo mtu %d", MTU);
	listener = listen_at("127.0.0.1", &to);
	limit_bytes(fx, 10 * MB);
	flows = flows_begin(listener, &to, 8, "cubic");
	(void)flows_watch(flows, SECOND_NS);
	flows_sending(flows, 1);
	(void)flows_watch(flows, SECOND_NS);
	seen = flows_watch(flows, SECOND_NS);
	expect_rate(&seen, 10 * MB, 0.8);
	flows_sending(flows, 8);
	(void)flows_watch(flows, SECOND_NS / 2);
	seen = flows_watch(flows, SECOND_NS);
	expect_rate(&seen, 10 * MB, 0.8);
	assert_true(seen.jain > 0.9);
	flows_end(flows);
}

static void limit_changes_under_a_transfer(void **state)
{
	static const uint64_t rates[] = {40 * MB, 5 * MB, 20 * MB};
	struct fixture *fx = *state;
	struct flows_seen seen;
	struct address to;
	struct flows *flows;
	int listener;

	shell("ip link set lo mtu %d", MTU);
	listener = listen_at("127.0.0.1", &to);
	/* begins with no limit at all, and without the packet program */
	flows = flows_begin(listener, &to, 2, "cubic");
	flows_wait_bytes(flows, 10 * MB);
	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		limit_bytes(fx, rates[i]);
		(void)flows_watch(flows, SECOND_NS);
		seen = flows_watch(flows, SECOND_NS);
		expect_rate(&seen, rates[i], 0.8);
	}
	assert_int_equal(gate_of(fx, &to)->paced, 2);
	/* and ends with none: nobody is paced any more */
	policy_everywhere(fx, &(struct ebb_policy){.mode = EBB_MODE_ENFORCE});
	wait_for(gate_of(fx, &to)->paced == 0);
	watch_packets(fx, false);
	(void)flows_watch(flows, SECOND_NS / 4);
	seen = flows_watch(flows, SECOND_NS / 4);
	assert_true((double)seen.bytes / (double)seen.ns > 0.1);
	flows_end(flows);
}

/* A small question now and then beside a transfer of the same gate. */
static void small_flow_does_not_wait_for_the_large_one(void **state)
{
	struct fixture *fx = *state;
	uint64_t worst = 0, start;
	struct flows_seen seen;
	struct address to;
	struct flows *flows;
	int listener, fd, peer, late = 0;
	char byte = 'x';

	shell("ip link set lo mtu %d", MTU);
	listener = listen_at("127.0.0.1", &to);
	limit_bytes(fx, 10 * MB);
	fd = tcp_socket(AF_INET);
	assert_int_equal(dial(fd, &to), 0);
	peer = accept_from(listener);
	flows = flows_begin(listener, &to, 1, "cubic");
	(void)flows_watch(flows, SECOND_NS);
	for (int i = 0; i < 20; i++) {
		seen = flows_watch(flows, FLOWS_WINDOW_NS);
		start = net_now_ns();
		assert_int_equal(send(fd, &byte, 1, 0), 1);
		receive_all(peer, 1);
		start = net_now_ns() - start;
		if (start > worst)
			worst = start;
		/* a first segment that is dropped waits for 200 ms */
		late += start > 100 * MS_NS;
	}
	seen = flows_watch(flows, SECOND_NS);
	flows_end(flows);
	/* the scheduler may hold up one; a limit that drops holds up most */
	if (late > 2)
		fail_msg("%d of 20 questions were late, the worst %llu ms", late,
			 (unsigned long long)(worst / MS_NS));
	/* and the small flow does not cost the large one half of the rate */
	expect_rate(&seen, 10 * MB, 0.85);
	hang_up(&fd);
	hang_up(&peer);
}

/* Slower than one segment in 200 ms, which TCP would wait for after a drop. */
static void slow_limit_is_kept_and_nothing_hangs(void **state)
{
	struct fixture *fx = *state;
	struct flows_seen seen;
	struct address to;
	struct flows *flows;
	int listener;

	shell("ip link set lo mtu %d", MTU);
	listener = listen_at("127.0.0.1", &to);
	limit_bytes(fx, 100000);
	flows = flows_begin(listener, &to, 1, "cubic");
	flows_wait_bytes(flows, 50000);
	seen = flows_watch(flows, 2 * SECOND_NS);
	flows_end(flows);
	expect_rate(&seen, 100000, 0.5);
}

static unsigned int pace_of(int fd)
{
	unsigned int rate = 0;
	socklen_t size = sizeof(rate);

	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &rate, &size), 0);
	return rate;
}

static void own_smaller_pace_stands_and_comes_back(void **state)
{
	struct fixture *fx = *state;
	unsigned int own = 1 * MB;
	struct flows_seen seen;
	struct address to;
	struct flows *flows;
	int listener;

	shell("ip link set lo mtu %d", MTU);
	listener = listen_at("127.0.0.1", &to);
	limit_bytes(fx, 8 * MB);
	flows = flows_begin(listener, &to, 2, "cubic");
	/* flow 0 set a pace of its own; flow 1 is paced by us, and sets one that is larger */
	assert_int_equal(setsockopt(flows_fd(flows, 0), SOL_SOCKET, SO_MAX_PACING_RATE, &own, sizeof(own)),
			 0);
	wait_for(pace_of(flows_fd(flows, 1)) != ~0U);
	own = 100 * MB;
	assert_int_equal(setsockopt(flows_fd(flows, 1), SOL_SOCKET, SO_MAX_PACING_RATE, &own, sizeof(own)),
			 0);
	wait_for(pace_of(flows_fd(flows, 1)) < 100 * MB);
	(void)flows_watch(flows, SECOND_NS);
	seen = flows_watch(flows, SECOND_NS);
	/* what the first leaves, the second has */
	expect_rate(&seen, 8 * MB, 0.8);
	assert_int_equal(pace_of(flows_fd(flows, 0)), 1 * MB);
	policy_everywhere(fx, &(struct ebb_policy){.mode = EBB_MODE_ENFORCE});
	wait_for(pace_of(flows_fd(flows, 1)) == 100 * MB);
	assert_int_equal(pace_of(flows_fd(flows, 0)), 1 * MB);
	flows_end(flows);
}

/* What we send to who connected to us is an answer, whatever it is. */
static void answers_are_not_limited(void **state)
{
	struct fixture *fx = *state;
	struct address to;
	int listener = listen_at("127.0.0.1", &to), fd = tcp_socket(AF_INET), peer;
	char buffer[65536];
	uint64_t sent = 0;

	limit_bytes(fx, 10000);
	assert_int_equal(dial(fd, &to), 0);
	peer = accept_from(listener);
	while (sent < 20 * MB) {
		ssize_t n = send(peer, buffer, sizeof(buffer), MSG_DONTWAIT);

		if (n > 0)
			sent += (uint64_t)n;
		while (recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT) > 0)
			;
	}
	assert_int_equal(pair_of(fx, &to)->dropped_packets[EBB_DROP_BYTES], 0);
	hang_up(&fd);
	hang_up(&peer);
}

static void observing_drops_and_paces_nothing(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = limited(EBB_LIMIT_BYTES, 1 * MB, 250000);
	struct address to;
	struct flows *flows;
	int listener = listen_at("127.0.0.1", &to);

	policy.mode = EBB_MODE_OBSERVE;
	policy_everywhere(fx, &policy);
	watch_packets(fx, true);
	flows = flows_begin(listener, &to, 1, "cubic");
	/* at the limit it would take 100 s */
	flows_wait_bytes(flows, 100 * MB);
	assert_int_equal(pace_of(flows_fd(flows, 0)), ~0U);
	flows_end(flows);
	assert_int_equal(pair_of(fx, &to)->dropped_packets[EBB_DROP_BYTES], 0);
	assert_true(pair_of(fx, &to)->would_drop_packets[EBB_DROP_BYTES] > 0);
	assert_true(pair_of(fx, &to)->would_drop_bytes[EBB_DROP_BYTES] > 50 * MB);
}

static void packets_are_limited_too(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = limited(EBB_LIMIT_PACKETS, 2000, 500);
	struct flows_seen seen;
	struct address to;
	struct flows *flows;
	int listener;

	shell("ip link set lo mtu %d", MTU);
	listener = listen_at("127.0.0.1", &to);
	policy_everywhere(fx, &policy);
	watch_packets(fx, true);
	flows = flows_begin(listener, &to, 1, "cubic");
	(void)flows_watch(flows, SECOND_NS);
	seen = flows_watch(flows, 2 * SECOND_NS);
	flows_end(flows);
	/* full segments */
	expect_rate(&seen, 2000 * MTU, 0.7);
}

/* No pace reaches a connection of one segment, and each is the only one in flight. */
static void short_connections_are_limited_together(void **state)
{
	struct fixture *fx = *state;
	char chunk[1400] = {0}, buffer[4096];
	uint64_t start, took, bytes = 0;
	struct address to;
	int listener;

	shell("ip link set lo mtu %d", MTU);
	listener = listen_at("127.0.0.1", &to);
	limit_bytes(fx, 100000);
	start = net_now_ns();
	while (net_now_ns() - start < 2 * SECOND_NS) {
		int fd = tcp_socket(AF_INET), peer;
		ssize_t got;

		assert_int_equal(dial(fd, &to), 0);
		peer = accept_from(listener);
		assert_int_equal(send(fd, chunk, sizeof(chunk), 0), (ssize_t)sizeof(chunk));
		hang_up(&fd);
		while ((got = recv(peer, buffer, sizeof(buffer), 0)) > 0)
			bytes += (uint64_t)got;
		hang_up(&peer);
	}
	took = net_now_ns() - start;
	/* the bucket and twice its depth of debt */
	if (bytes > 100000 * (took + 3 * DEPTH_NS) / SECOND_NS)
		fail_msg("%llu bytes in %.3f s", (unsigned long long)bytes, (double)took / SECOND_NS);
}

/* Below one a second, where whole packets a second are none. */
static void less_than_a_packet_a_second_is_a_limit(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct flows_seen seen;
	struct address to;
	struct flows *flows;
	int listener;

	policy.mode = EBB_MODE_ENFORCE;
	assert_int_equal(ebb_limit_make(3000, 64, &policy.limits.bucket[EBB_LIMIT_PACKETS]), 0);
	shell("ip link set lo mtu %d", MTU);
	listener = listen_at("127.0.0.1", &to);
	policy_everywhere(fx, &policy);
	watch_packets(fx, true);
	flows = flows_begin(listener, &to, 1, "cubic");
	(void)flows_watch(flows, SECOND_NS);
	seen = flows_watch(flows, SECOND_NS);
	flows_end(flows);
	/* what is vital passes beyond the burst, but no more than some segments */
	if (seen.bytes > 64 * MTU)
		fail_msg("%llu bytes in a second", (unsigned long long)seen.bytes);
}

/* ---------------------------------------------------------------- whose rate -- */

struct greedy {
	struct address to;
	const char *cgroup;
};

/* Sends into one connection until it is killed. */
static int send_for_ever(void *argument)
{
	const struct greedy *g = argument;
	char path[FIXTURE_PATH_MAX + 32], buffer[65536] = {0};
	int fd;

	(void)snprintf(path, sizeof(path), "%s/cgroup.procs", g->cgroup);
	write_file(path, "0");
	fd = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(fd, &g->to.sa, g->to.length) < 0)
		return 1;
	for (;;) {
		if (send(fd, buffer, sizeof(buffer), MSG_NOSIGNAL) < 0)
			return 2;
	}
}

/* Dropped, it would cost a second, and look like a SYN that was lost. */
static void syn_that_carries_data_goes(void **state)
{
	struct fixture *fx = *state;
	int fd, served, listener, one = 1;
	struct address to;

	/* client and server, without cookies, for every listener */
	write_file("/proc/sys/net/ipv4/tcp_fastopen", "1543");
	listener = listen_at("127.0.0.1", &to);
	limit_bytes(fx, 100000);
	fd = tcp_socket(AF_INET);
	assert_int_equal(dial(fd, &to), 0);
	hang_up(&fd);
	served = accept_from(listener);
	hang_up(&served);
	gate_of(fx, &to)->full_ns[EBB_LIMIT_BYTES] = now_ns() + 2 * SECOND_NS;
	fd = tcp_socket(AF_INET);
	assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &one, sizeof(one)), 0);
	assert_int_equal(dial(fd, &to), 0);
	send_all(fd, "hello");
	served = accept_from(listener);
	assert_int_equal(syn_retransmits(fd), 0);
	receive_all(served, 5);
	hang_up(&fd);
	hang_up(&served);
	assert_int_equal(pair_of(fx, &to)->dropped_packets[EBB_DROP_BYTES], 0);
}

static void workloads_do_not_share_a_bucket_of_their_own(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = limited(EBB_LIMIT_BYTES, 5 * MB, 5 * MB / 4);
	char cgroup[FIXTURE_PATH_MAX + 16];
	struct flows_seen seen;
	struct greedy greedy;
	struct flows *flows;
	struct address to;
	pid_t child;
	int listener, far_peer;

	/* loopback destinations have a gate for each workload */
	shell("ip link set lo mtu %d", MTU);
	listener = listen_at("127.0.0.1", &to);
	policy_everywhere(fx, &policy);
	watch_packets(fx, true);
	(void)snprintf(cgroup, sizeof(cgroup), "%s/greedy", fx->cgroup);
	assert_int_equal(mkdir(cgroup, 0755), 0);
	greedy = (struct greedy){.to = to, .cgroup = cgroup};
	child = spawn(send_for_ever, &greedy);
	far_peer = accept_from(listener);
	flows = flows_begin(listener, &to, 1, "cubic");
	(void)flows_watch(flows, SECOND_NS);
	seen = flows_watch(flows, SECOND_NS);
	expect_rate(&seen, 5 * MB, 0.8);
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(reap(child), -SIGKILL);
	hang_up_hard(&far_peer);
	flows_end(flows);
	wait_for(rmdir(cgroup) == 0);
}

/* -------------------------------------------------------------------- UDP -- */

#define UDP_BURST 100000.0  /* bytes */
#define UDP_RATE  2000000.0 /* bytes/s */

struct showered {
	uint64_t passed, refused;
	double most; /* bytes that a bucket would have let through, asked at these moments: a full one takes no more in */
};

/* As many datagrams of @size as are wanted for @ns. */
static struct showered shower(int fd, const struct address *to, size_t size, uint64_t ns)
{
	uint64_t start = net_now_ns(), before = start, now = start;
	double level = UDP_BURST, came;
	struct showered seen = {.most = UDP_BURST};
	char buffer[2048] = {0};

	for (; now - start < ns; before = now, now = net_now_ns()) {
		came = (double)(now - before) * UDP_RATE / (double)SECOND_NS;
		if (came > UDP_BURST - level)
			came = UDP_BURST - level;
		level += came;
		seen.most += came;
		if (sendto(fd, buffer, size, MSG_DONTWAIT, to ? &to->sa : NULL, to ? to->length : 0) >= 0) {
			seen.passed++;
			level = level > (double)(size + 28) ? level - (double)(size + 28) : 0;
		} else if (errno == EPERM) {
			seen.refused++;
		} else if (errno != EAGAIN && errno != ECONNREFUSED) {
			fail_msg("sendto: %s", strerror(errno));
		}
	}
	return seen;
}

static void udp_is_exact(struct fixture *fx, bool connected, size_t size)
{
	struct ebb_policy policy = limited(EBB_LIMIT_BYTES, (uint64_t)UDP_RATE, (uint64_t)UDP_BURST);
	uint64_t bytes, refused;
	struct showered seen;
	struct address to;
	int sink, fd;

	sink = udp_bound_at("127.0.0.1", &to);

	policy_everywhere(fx, &policy);
	watch_packets(fx, true);
	fd = udp_socket(AF_INET);
	if (connected)
		assert_int_equal(dial(fd, &to), 0);
	seen = shower(fd, connected ? NULL : &to, size, SECOND_NS);
	refused = seen.refused;
	bytes = seen.passed * (size + 28);
	assert_true((double)bytes <= seen.most + 2.0 * (double)(size + 28) + UDP_RATE / 1000);
	assert_true((double)bytes >= seen.most * 0.98);
	to.udp = true;
	assert_int_equal(pair_of(fx, &to)->dropped_packets[EBB_DROP_BYTES], refused);
	assert_int_equal(pair_of(fx, &to)->dropped_bytes[EBB_DROP_BYTES], refused * (size + 28));
	assert_int_equal(pair_of(fx, &to)->sent_bytes, bytes);
	hang_up(&fd);
	hang_up(&sink);
}

static void udp_is_exact_connected(void **state)
{
	udp_is_exact(*state, true, 1000);
}

static void udp_is_exact_unconnected(void **state)
{
	udp_is_exact(*state, false, 100);
}

/* A buffer that segmentation offload cuts up costs what goes over the wire. */
static void segments_of_one_buffer_are_all_paid(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = limited(EBB_LIMIT_PACKETS, 1, 15);
	char buffer[10000] = {0};
	int sink, fd, segment = 1000;
	struct address to;

	shell("ip link set lo mtu %d", MTU);
	sink = udp_bound_at("127.0.0.1", &to);
	policy_everywhere(fx, &policy);
	watch_packets(fx, true);
	fd = udp_socket(AF_INET);
	assert_int_equal(setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof(segment)), 0);
	assert_int_equal(dial(fd, &to), 0);
	assert_int_equal(send(fd, buffer, sizeof(buffer), 0), (ssize_t)sizeof(buffer));
	to.udp = true;
	assert_int_equal(pair_of(fx, &to)->sent_packets, 10);
	assert_int_equal(pair_of(fx, &to)->sent_bytes, 10 * (1000 + 28));
	/* five are left, and ten do not fit */
	assert_int_equal(send(fd, buffer, sizeof(buffer), 0), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(send(fd, buffer, 5000, 0), 5000);
	assert_int_equal(pair_of(fx, &to)->dropped_packets[EBB_DROP_PACKETS], 10);
	hang_up(&fd);
	hang_up(&sink);
}

static int send_one(int fd)
{
	char byte = 0;

	return send(fd, &byte, 1, MSG_DONTWAIT) < 0 ? -errno : 0;
}

/* On all that it sends: twice eight bytes, each with one option that says nothing. */
static void send_with_extensions(int fd)
{
	static const uint8_t options[8] = {0, 0, 1, 4};

	assert_int_equal(setsockopt(fd, IPPROTO_IPV6, IPV6_HOPOPTS, options, sizeof(options)), 0);
	assert_int_equal(setsockopt(fd, IPPROTO_IPV6, IPV6_DSTOPTS, options, sizeof(options)), 0);
}

static void extension_headers_evade_no_limit(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = limited(EBB_LIMIT_PACKETS, 1, 3);
	int listener, sink, fd, served;
	struct address to, at;

	sink = udp_bound_at("::1", &to);
	listener = listen_at("::1", &at);
	policy_everywhere(fx, &policy);
	watch_packets(fx, true);
	fd = udp_socket(AF_INET6);
	send_with_extensions(fd);
	assert_int_equal(dial(fd, &to), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(send_one(fd), 0);
	assert_int_equal(send_one(fd), -EPERM);
	hang_up(&fd);
	hang_up(&sink);
	fd = tcp_socket(AF_INET6);
	send_with_extensions(fd);
	assert_int_equal(dial(fd, &at), 0);
	served = accept_from(listener);
	gate_of(fx, &at)->full_ns[EBB_LIMIT_PACKETS] = 0;
	send_all(fd, "question");
	receive_all(served, 8);
	assert_true(gate_of(fx, &at)->full_ns[EBB_LIMIT_PACKETS] != 0);
	hang_up(&fd);
	hang_up(&served);
}

/* ---------------------------------------------------------- what is in force -- */

static void limit_by_hand_is_the_stronger_until_its_end(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = limited(EBB_LIMIT_PACKETS, 1, 1000);
	struct address to;
	int sink, fd;

	sink = udp_bound_at("127.0.0.1", &to);
	assert_int_equal(ebb_limit_make(1, 1, &policy.by_hand.bucket[EBB_LIMIT_PACKETS]), 0);
	policy.by_hand.given = 1U << EBB_LIMIT_PACKETS;
	policy.by_hand_until_ns = now_ns() + 3600 * SECOND_NS;
	policy_everywhere(fx, &policy);
	watch_packets(fx, true);
	fd = udp_socket(AF_INET);
	assert_int_equal(dial(fd, &to), 0);
	assert_int_equal(send_one(fd), 0);
	assert_int_equal(send_one(fd), -EPERM);
	to.udp = true;
	/* an hour later; the hour of debt is none of the limit that is now in force */
	policy_of(fx, &to)->by_hand_until_ns = now_ns();
	wait_for(send_one(fd) == 0);
	hang_up(&fd);
	hang_up(&sink);
}

static void limits_of_a_dead_agent_go_or_stay(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = limited(EBB_LIMIT_PACKETS, 1, 1);
	struct address to;
	int sink, fd;

	sink = udp_bound_at("127.0.0.1", &to);
	policy_everywhere(fx, &policy);
	watch_packets(fx, true);
	fd = udp_socket(AF_INET);
	assert_int_equal(dial(fd, &to), 0);
	assert_int_equal(send_one(fd), 0);
	assert_int_equal(send_one(fd), -EPERM);
	agent_absent(fx, 60 * SECOND_NS, 30 * SECOND_NS);
	assert_int_equal(send_one(fd), 0);
	policy.on_agent_loss = EBB_LOSS_HOLD;
	policy_everywhere(fx, &policy);
	assert_int_equal(send_one(fd), -EPERM);
	/* what an operator says does not ask for the agent */
	policy.on_agent_loss = EBB_LOSS_RELEASE;
	policy.by_hand = policy.limits;
	policy.by_hand.given = 1U << EBB_LIMIT_PACKETS;
	policy_everywhere(fx, &policy);
	assert_int_equal(send_one(fd), -EPERM);
	hang_up(&fd);
	hang_up(&sink);
}

/* established: drop. What a live connection sends to an open gate goes nowhere; it can be closed. */
static void open_gate_drops_what_live_connections_send(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct address to;
	int listener = listen_at("127.0.0.1", &to), fd = tcp_socket(AF_INET), peer;

	policy.mode = EBB_MODE_ENFORCE;
	policy.established = EBB_ESTABLISHED_DROP;
	policy_everywhere(fx, &policy);
	watch_packets(fx, true);
	assert_int_equal(dial(fd, &to), 0);
	peer = accept_from(listener);
	send_all(fd, "hello");
	receive_all(peer, 5);
	verdict_everywhere(fx, ebb_word(1, EBB_STATE_OPEN, EBB_UNTIL_MASK));
	send_all(fd, "lost");
	wait_for(pair_of(fx, &to)->dropped_packets[EBB_DROP_BREAKER] >= 2); /* and tried again */
	/* the node fuse releases: what waits gets through; one that sheds is about new connections */
	fx->view->agent->fuse = EBB_FUSE_RELEASE;
	receive_all(peer, 4);
	fx->view->agent->fuse = EBB_FUSE_SHED;
	send_all(fd, "lost");
	wait_for(pair_of(fx, &to)->dropped_packets[EBB_DROP_BREAKER] >= 4);
	/* answers still come in */
	send_all(peer, "answer");
	receive_all(fd, 6);
	/* healed */
	verdict_everywhere(fx, ebb_word(2, EBB_STATE_CLOSED, 0));
	receive_all(peer, 4);
	hang_up(&fd);
	assert_int_equal(receive_end(peer), 0);
	hang_up(&peer);
	wait_for(pair_of(fx, &to)->sent_bytes == 13 && pair_of(fx, &to)->received_bytes == 6);
}

/* What is over is over, also where no connect() comes that would say so; and an operator is the stronger. */
static void gate_that_is_open_no_longer_drops_nothing(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct address to;
	int listener = listen_at("127.0.0.1", &to), fd = tcp_socket(AF_INET), peer;

	policy.mode = EBB_MODE_ENFORCE;
	policy.established = EBB_ESTABLISHED_DROP;
	policy_everywhere(fx, &policy);
	watch_packets(fx, true);
	assert_int_equal(dial(fd, &to), 0);
	peer = accept_from(listener);
	verdict_everywhere(fx, ebb_word(1, EBB_STATE_OPEN, now_ticks()));
	send_all(fd, "over");
	receive_all(peer, 4);
	verdict_everywhere(fx, ebb_word(2, EBB_STATE_OPEN, EBB_UNTIL_MASK));
	policy_of(fx, &to)->override_state = EBB_OVERRIDE_CLOSE;
	send_all(fd, "closed by hand");
	receive_all(peer, 14);
	assert_int_equal(pair_of(fx, &to)->dropped_packets[EBB_DROP_BREAKER], 0);
	/* which ends, too */
	policy_of(fx, &to)->override_until_ns = now_ns();
	send_all(fd, "lost");
	wait_for(pair_of(fx, &to)->dropped_packets[EBB_DROP_BREAKER] > 0);
	verdict_everywhere(fx, ebb_word(3, EBB_STATE_CLOSED, 0));
	receive_all(peer, 4);
	hang_up(&fd);
	hang_up(&peer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bpf_test(packet_program_is_attached_on_demand),
		bpf_test(one_flow_cubic),
		bpf_test(one_flow_bbr),
		bpf_test(eight_flows_cubic),
		bpf_test(eight_flows_bbr),
		bpf_test(many_flows),
		bpf_test(flows_that_stop_leave_their_share),
		bpf_test(limit_changes_under_a_transfer),
		bpf_test(small_flow_does_not_wait_for_the_large_one),
		bpf_test(slow_limit_is_kept_and_nothing_hangs),
		bpf_test(own_smaller_pace_stands_and_comes_back),
		bpf_test(answers_are_not_limited),
		bpf_test(observing_drops_and_paces_nothing),
		bpf_test(packets_are_limited_too),
		bpf_test_with(packets_are_limited_too, &old_kernel),
		bpf_test(short_connections_are_limited_together),
		bpf_test(less_than_a_packet_a_second_is_a_limit),
		bpf_test(syn_that_carries_data_goes),
		bpf_test(workloads_do_not_share_a_bucket_of_their_own),
		bpf_test(udp_is_exact_connected),
		bpf_test(udp_is_exact_unconnected),
		bpf_test(segments_of_one_buffer_are_all_paid),
		bpf_test_with(segments_of_one_buffer_are_all_paid, &old_kernel),
		bpf_test(extension_headers_evade_no_limit),
		bpf_test_with(extension_headers_evade_no_limit, &old_kernel),
		bpf_test(limit_by_hand_is_the_stronger_until_its_end),
		bpf_test(limits_of_a_dead_agent_go_or_stay),
		bpf_test(open_gate_drops_what_live_connections_send),
		bpf_test(gate_that_is_open_no_longer_drops_nothing),
	};

	if (fixture_unavailable())
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
