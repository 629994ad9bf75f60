// SPDX-License-Identifier: Apache-2.0
/*
 * What stands between a program and its server, and what that costs:
 *
 *	none	    nothing
 *	ebb	    everything on: gates, results, turns, a limit that is not reached
 *	haproxy	    a proxy on the same node, in TCP mode, one thread: what a sidecar is
 *	splice	    the same with 'option splice-auto': what passes is not copied to the proxy and back
 *	nftables    a rule that counts new connections for each destination and refuses those above a rate that is not reached
 *	iptables    a rule that counts open connections to each destination
 *	none_again  against the first: what the method cannot tell apart
 *
 * or, with --tracers, those of libbpf-tools that tell of each connection: they watch the whole machine, and do nothing about it. Each
 * is started for its block and writes to a file; one that the kernel has no place for (no kprobes) is left out, and null.
 *
 * in three kinds of work, the server a process on another processor:
 *
 *	connection  connect(), a request, its answer until it ends, close()
 *	exchange    a request and its answer on a connection that is open
 *	bulk	    16 MB of an answer on a connection that is open
 *
 * Each by the clock on the wall as the client sees it, and by the processor time of client, server and proxy together. The
 * kernel's work for a packet is on the account of whoever runs at that moment, which is one of them.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "lib/cleanup.h"
#include "server.h"

#define WARM_UP	      16
#define REQUEST	      200
#define ANSWER	      600
#define PROXY_PORT    19478
#define SPLICE_PORT   19480
#define START_WAIT_NS 10000000000ULL

enum {
	CASE_NONE,
	CASE_EBB,
	CASE_HAPROXY,
	CASE_SPLICE,
	CASE_NFTABLES,
	CASE_IPTABLES,
	CASE_TCPCONNECT,
	CASE_TCPCONNLAT,
	CASE_TCPLIFE,
	CASE_TCPSTATES,
	CASE_NONE_AGAIN,
	CASE_MAX
};

enum set {
	SET_PEERS = 1,
	SET_TRACERS = 2,
	SET_BOTH = 3,
};

/* The network namespace is the benchmark's own, so what is added is all that there is. */
static const struct {
	const char *name;
	enum set set;
	enum bench_arm arm;
	enum bench_packets packets;
	const char *add, *remove; /* NULL: nothing to do */
} cases[CASE_MAX] = {
	[CASE_NONE] = {"none", SET_BOTH, BENCH_ARM_NONE, BENCH_PACKETS_NONE, NULL, NULL},
	[CASE_EBB] = {"ebb", SET_BOTH, BENCH_ARM_EBB, BENCH_PACKETS_TURNS, NULL, NULL},
	[CASE_HAPROXY] = {"haproxy", SET_PEERS, BENCH_ARM_NONE, BENCH_PACKETS_NONE, NULL, NULL},
	[CASE_SPLICE] = {"haproxy_splice", SET_PEERS, BENCH_ARM_NONE, BENCH_PACKETS_NONE, NULL, NULL},
	[CASE_TCPCONNECT] = {"tcpconnect", SET_TRACERS, BENCH_ARM_NONE, BENCH_PACKETS_NONE, NULL, NULL},
	[CASE_TCPCONNLAT] = {"tcpconnlat", SET_TRACERS, BENCH_ARM_NONE, BENCH_PACKETS_NONE, NULL, NULL},
	[CASE_TCPLIFE] = {"tcplife", SET_TRACERS, BENCH_ARM_NONE, BENCH_PACKETS_NONE, NULL, NULL},
	[CASE_TCPSTATES] = {"tcpstates", SET_TRACERS, BENCH_ARM_NONE, BENCH_PACKETS_NONE, NULL, NULL},
	[CASE_NFTABLES] =
		{"nftables", SET_PEERS, BENCH_ARM_NONE, BENCH_PACKETS_NONE,
		 "nft 'add table inet bench;"
		 " add set inet bench seen { type ipv4_addr . inet_service; flags dynamic; timeout 1m; };"
		 " add chain inet bench out { type filter hook output priority 0; };"
		 " add rule inet bench out ct state new tcp flags syn add @seen { ip daddr . tcp dport"
		 " limit rate over 1000000/second burst 1000000 packets } drop'",
		 "nft delete table inet bench"},
	[CASE_IPTABLES] =
		{"iptables", SET_PEERS, BENCH_ARM_NONE, BENCH_PACKETS_NONE,
		 "iptables -A OUTPUT -p tcp --syn -m connlimit --connlimit-above 100000 --connlimit-daddr -j REJECT",
		 "iptables -F OUTPUT"},
	[CASE_NONE_AGAIN] = {"none_again", SET_BOTH, BENCH_ARM_NONE, BENCH_PACKETS_NONE, NULL, NULL},
};

struct proxy {
	pid_t pid;
	struct sockaddr_in address;
	struct sockaddr_in splice;
	char config[64];
};

/* One of CASE_TCPCONNECT and on, while its block lasts. */
struct tracer {
	pid_t pid; /* 0: none */
	int output;
};

struct place {
	struct bench_server server;
	struct proxy proxy;
	struct tracer tracer;
	enum set set;
	bool absent[CASE_MAX];		   /* it does not run here */
	const struct sockaddr_in *address; /* where the client goes */
	int client;			   /* what is open */
};

static int fail(const char *what)
{
	int r = errno ? -errno : -EIO;

	(void)fprintf(stderr, "ebb-bench: peers: %s: %s\n", what, strerror(-r));
	return r;
}

/* -------------------------------------------------------------------- work -- */

static int open_client(const struct place *place, int *ret)
{
	int one = 1;

	*ret = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (*ret < 0 || connect(*ret, (const struct sockaddr *)place->address, sizeof(*place->address)) < 0)
		return fail("connect");
	(void)setsockopt(*ret, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return 0;
}

static int send_request(int client, enum bench_ask ask)
{
	char bytes[REQUEST] = {(char)ask};

	return send(client, bytes, sizeof(bytes), MSG_NOSIGNAL) == REQUEST ? 0 : fail("send");
}

static int read_answer(int client, size_t size)
{
	static char bytes[1 << 16];
	ssize_t n = 1;

	while (size > 0 && n > 0) {
		n = recv(client, bytes, size < sizeof(bytes) ? size : sizeof(bytes), 0);
		size -= n > 0 ? (size_t)n : 0;
	}
	return size == 0 ? 0 : fail("recv");
}

/* The server closes when it has answered, and all of that is seen before the client does. */
static int do_connection(const struct place *place)
{
	int client, r;
	char end;

	r = open_client(place, &client);
	if (r == 0)
		r = send_request(client, BENCH_ASK_ONCE);
	if (r == 0)
		r = read_answer(client, ANSWER);
	if (r == 0 && recv(client, &end, 1, 0) != 0)
		r = fail("it did not end");
	if (client >= 0)
		(void)close(client);
	return r;
}

static int do_exchange(const struct place *place)
{
	int r = send_request(place->client, BENCH_ASK_MORE);

	return r == 0 ? read_answer(place->client, ANSWER) : r;
}

static int do_bulk(const struct place *place)
{
	int r = send_request(place->client, BENCH_ASK_BULK);

	return r == 0 ? read_answer(place->client, BENCH_BULK) : r;
}

struct work {
	const char *name;
	int (*sample)(const struct place *place);
	bool open;	  /* on a connection that is open */
	uint32_t samples; /* of a block; 0: as many as asked for */
	struct bench_series wall[CASE_MAX];
	struct bench_series cpu[CASE_MAX]; /* one a block */
};

/* ------------------------------------------------------------------- proxy -- */

static int write_config(struct proxy *proxy, const struct sockaddr_in *server)
{
	char server_text[INET_ADDRSTRLEN];
	FILE *file;
	int fd;

	(void)inet_ntop(AF_INET, &server->sin_addr, server_text, sizeof(server_text));
	(void)snprintf(proxy->config, sizeof(proxy->config), "/tmp/ebb-bench-haproxy-XXXXXX");
	fd = mkstemp(proxy->config);
	file = fd < 0 ? NULL : fdopen(fd, "w");
	if (!file)
		return fail("haproxy's configuration");
	(void)fprintf(file,
		      "global\n\tnbthread 1\n"
		      "defaults\n\tmode tcp\n\ttimeout connect 5s\n\ttimeout client 1m\n\ttimeout server 1m\n"
		      "listen bench\n\tbind 127.0.0.1:%d\n\tserver one %s:%d\n"
		      "listen splice\n\toption splice-auto\n\tbind 127.0.0.1:%d\n\tserver one %s:%d\n",
		      PROXY_PORT, server_text, ntohs(server->sin_port), SPLICE_PORT, server_text,
		      ntohs(server->sin_port));
	return fclose(file) == 0 ? 0 : fail("haproxy's configuration");
}

static bool proxy_answers(const struct proxy *proxy)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd >= 0 && connect(fd, (const struct sockaddr *)&proxy->address, sizeof(proxy->address)) == 0;
}

static int start_proxy(struct proxy *proxy, const struct sockaddr_in *server)
{
	const uint64_t end = bench_now() + START_WAIT_NS;
	const struct timespec moment = {.tv_nsec = 20000000};
	int r = write_config(proxy, server);

	proxy->address = (struct sockaddr_in){.sin_family = AF_INET,
					      .sin_port = htons(PROXY_PORT),
					      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	proxy->splice = proxy->address;
	proxy->splice.sin_port = htons(SPLICE_PORT);
	if (r < 0)
		return r;
	proxy->pid = fork();
	if (proxy->pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		bench_leave_cpu();
		(void)execlp("haproxy", "haproxy", "-db", "-q", "-f", proxy->config, (char *)NULL);
		_exit(127);
	}
	while (proxy->pid > 0 && !proxy_answers(proxy)) {
		bool ended = waitpid(proxy->pid, NULL, WNOHANG) != 0;

		if (ended || bench_now() > end) {
			proxy->pid = ended ? 0 : proxy->pid;
			errno = ENOENT;
			return fail("haproxy does not start: apt-get install haproxy");
		}
		(void)nanosleep(&moment, NULL);
	}
	return proxy->pid > 0 ? 0 : fail("fork");
}

static void stop_proxy(struct proxy *proxy)
{
	if (proxy->pid > 0) {
		(void)kill(proxy->pid, SIGKILL);
		(void)waitpid(proxy->pid, NULL, 0);
	}
	if (proxy->config[0])
		(void)unlink(proxy->config);
}

/* ----------------------------------------------------------------- tracers -- */

static bool is_tracer(int c)
{
	return c >= CASE_TCPCONNECT && c <= CASE_TCPSTATES;
}

static void stop_tracer(struct tracer *tracer)
{
	if (!tracer->pid)
		return;
	(void)kill(tracer->pid, SIGKILL);
	(void)waitpid(tracer->pid, NULL, 0);
	(void)close(tracer->output);
	tracer->pid = 0;
}

static pid_t run_tracer(const char *name, int output)
{
	pid_t child = fork();

	if (child != 0)
		return child;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	bench_leave_cpu();
	(void)dup2(output, STDOUT_FILENO);
	(void)execlp(name, name, (char *)NULL);
	_exit(127);
}

/* It watches when it has written about connections, which are made until then. -ENOENT: it does not run here. */
static int start_tracer(struct place *place, int c)
{
	const uint64_t end = bench_now() + START_WAIT_NS;
	struct tracer *tracer = &place->tracer;
	char path[] = "/tmp/ebb-bench-tracer-XXXXXX";
	struct stat stat = {0};
	int r = 0;

	tracer->output = mkstemp(path);
	if (tracer->output < 0 || unlink(path) < 0)
		return fail(path);
	tracer->pid = run_tracer(cases[c].name, tracer->output);
	if (tracer->pid < 0)
		return fail("fork");
	place->address = &place->server.address;
	while (r == 0 && stat.st_size == 0) {
		if (waitpid(tracer->pid, NULL, WNOHANG) != 0) {
			(void)close(tracer->output);
			tracer->pid = 0;
			return -ENOENT;
		}
		r = bench_now() < end ? do_connection(place) : -ETIMEDOUT;
		if (r == 0 && fstat(tracer->output, &stat) < 0)
			r = fail("fstat");
	}
	return r;
}

/* What does not even start is left out, and said. */
static int try_tracers(struct place *place)
{
	int r = 0;

	for (int c = 0; c < CASE_MAX && r == 0; c++) {
		place->absent[c] = !(cases[c].set & place->set);
		if (!is_tracer(c) || place->absent[c])
			continue;
		r = start_tracer(place, c);
		stop_tracer(&place->tracer);
		if (r != -ENOENT)
			continue;
		(void)fprintf(stderr, "ebb-bench: peers: %s does not run here\n", cases[c].name);
		place->absent[c] = true;
		r = 0;
	}
	return r;
}

/* ----------------------------------------------------------------- measure -- */

static uint64_t process_ns(pid_t pid)
{
	struct timespec ts = {0};
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) == 0)
		(void)clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ULL + (uint64_t)ts.tv_nsec;
}

static uint64_t spent_ns(const struct place *place)
{
	return process_ns(getpid()) + process_ns(place->server.pid) + process_ns(place->proxy.pid) +
	       (place->tracer.pid ? process_ns(place->tracer.pid) : 0);
}

static int use(struct bench_hooks *hooks, struct place *place, int c)
{
	int r = bench_hooks_use(hooks, cases[c].arm);

	if (r == 0)
		r = bench_hooks_use_packets(hooks, cases[c].packets);
	if (r == 0 && cases[c].add)
		r = bench_run_shell(cases[c].add);
	if (r == 0 && is_tracer(c))
		r = start_tracer(place, c);
	place->address = c == CASE_HAPROXY  ? &place->proxy.address
			 : c == CASE_SPLICE ? &place->proxy.splice
					    : &place->server.address;
	return r;
}

static int block(struct place *place, struct work *work, int c, uint32_t count)
{
	struct bench_series *wall = &work->wall[c], *cpu = &work->cpu[c];
	int r = work->open ? open_client(place, &place->client) : 0;
	uint64_t spent;

	for (uint32_t i = 0; i < (work->samples ? 1 : WARM_UP) && r == 0; i++)
		r = work->sample(place);
	spent = spent_ns(place);
	for (uint32_t i = 0; i < count && r == 0; i++) {
		uint64_t start = bench_now();

		r = work->sample(place);
		wall->samples[wall->sample_count++] = (double)(bench_now() - start);
	}
	cpu->samples[cpu->sample_count++] = (double)(spent_ns(place) - spent) / count;
	bench_series_end_round(wall, count);
	bench_series_end_round(cpu, 1);
	if (work->open)
		(void)close(place->client);
	return r;
}

static int measure(const struct bench_options *options, struct bench_hooks *hooks, struct place *place,
		   struct work *work)
{
	uint32_t count = work->samples ? work->samples : options->samples;
	int r = 0;

	for (int c = 0; c < CASE_MAX && r == 0; c++) {
		r = bench_series_init(&work->wall[c], options->rounds, count);
		if (r == 0)
			r = bench_series_init(&work->cpu[c], options->rounds, 1);
	}
	for (uint32_t round = 0; round < options->rounds && r == 0; round++) {
		for (uint32_t i = 0; i < CASE_MAX && r == 0; i++) {
			int c = (int)((round + i) % CASE_MAX), end = 0;

			if (place->absent[c])
				continue;
			r = use(hooks, place, c);
			if (r == 0)
				r = block(place, work, c, count);
			stop_tracer(&place->tracer);
			if (cases[c].remove)
				end = bench_run_shell(cases[c].remove);
			r = r < 0 ? r : end;
		}
	}
	return r;
}

static json_t *describe(const struct place *place, const struct work *work)
{
	json_t *result = json_object();

	for (int c = 0; c < CASE_MAX; c++) {
		const struct bench_series *wall = &work->wall[c], *cpu = &work->cpu[c];

		if (place->absent[c]) {
			if (cases[c].set & place->set)
				(void)json_object_set_new(result, cases[c].name, json_null());
			continue;
		}
		(void)json_object_set_new(result, cases[c].name,
					  json_pack("{s:o, s:o, s:o, s:o}", "ns",
						    bench_summary(wall->samples, wall->sample_count),
						    "to_none", bench_ratio(wall, &work->wall[CASE_NONE]),
						    "cpu_ns", bench_summary(cpu->samples, cpu->sample_count),
						    "cpu_to_none", bench_ratio(cpu, &work->cpu[CASE_NONE])));
	}
	return result;
}

int bench_peers(const struct bench_options *options, json_t *ret_result)
{
	struct work works[] = {
		{.name = "connection", .sample = do_connection},
		{.name = "exchange", .sample = do_exchange, .open = true},
		{.name = "bulk", .sample = do_bulk, .open = true, .samples = 4},
	};
	struct place place = {.client = -1, .set = options->tracers ? SET_TRACERS : SET_PEERS};
	size_t work_count = sizeof(works) / sizeof(works[0]);
	struct bench_hooks hooks;
	int r;

	/* before entering the cgroup: their sockets are not governed */
	r = bench_server_start(&place.server, false, REQUEST, ANSWER);
	if (r == 0 && !options->tracers)
		r = start_proxy(&place.proxy, &place.server.address);
	if (r == 0)
		r = bench_enter_cgroup(options->cgroup);
	if (r == 0)
		r = try_tracers(&place);
	/* they tell of connections: of 16 MB they see no more than of 16 bytes */
	if (options->tracers)
		work_count--;
	if (r == 0)
		r = bench_hooks_open(&hooks, options, 5);
	if (r == 0) {
		for (size_t w = 0; w < work_count && r == 0; w++) {
			r = measure(options, &hooks, &place, &works[w]);
			if (r == 0)
				(void)json_object_set_new(ret_result, works[w].name,
							  describe(&place, &works[w]));
			for (int c = 0; c < CASE_MAX; c++) {
				bench_series_done(&works[w].wall[c]);
				bench_series_done(&works[w].cpu[c]);
			}
		}
		bench_hooks_close(&hooks);
	}
	stop_proxy(&place.proxy);
	bench_server_stop(&place.server);
	return r;
}
