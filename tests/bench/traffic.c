// SPDX-License-Identifier: Apache-2.0
/* What the commands that make traffic share: options, shared memory, noise, the report. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "lib/cleanup.h"
#include "lib/units.h"
#include "traffic.h"

static const struct option long_options[] = {
	{"cgroup", required_argument, NULL, 'g'},  {"far", required_argument, NULL, 'f'},
	{"control", required_argument, NULL, 'c'}, {"to", required_argument, NULL, 't'},
	{"port", required_argument, NULL, 'p'},	   {"flows", required_argument, NULL, 'n'},
	{"warm-up", required_argument, NULL, 'w'}, {"step", required_argument, NULL, 's'},
	{"window", required_argument, NULL, 'i'},  {"size", required_argument, NULL, 'z'},
	{"segment", required_argument, NULL, 'm'}, {"offer", required_argument, NULL, 'o'},
	{"pace", required_argument, NULL, 'r'},	   {NULL, 0, NULL, 0},
};

static const char *const usage_text =
	"usage: ebb-bench tcp|udp --cgroup DIR --to ADDRESS --port N [--far NETNS] [--warm-up MS] [--step MS]\n"
	"       [--window MS]; tcp: [--flows N,N,...] [--control NAME] [--pace BYTES]; udp: --offer BYTES [--size N] [--segment N]\n";

int traffic_error(const char *what)
{
	int r = -errno;

	(void)fprintf(stderr, "ebb-bench: %s: %s\n", what, strerror(-r));
	return r;
}

/* "1,8,1" */
static int parse_steps(char *text, struct traffic_options *options)
{
	char *part;

	options->step_count = 0;
	while ((part = strsep(&text, ",")) != NULL) {
		if (options->step_count == TRAFFIC_STEPS_MAX ||
		    ebb_parse_u32(part, &options->steps[options->step_count]) < 0 ||
		    options->steps[options->step_count] > TRAFFIC_FLOWS_MAX)
			return -EINVAL;
		options->step_count++;
	}
	return 0;
}

static int parse_number(int letter, const char *text, struct traffic_options *options)
{
	uint64_t number;

	if (ebb_parse_u64(text, &number) < 0 || (!strchr("or", letter) && number > 1000000))
		return -EINVAL;
	switch (letter) {
	case 'p':
		options->to.sin_port = htons((uint16_t)number);
		return number && number <= UINT16_MAX ? 0 : -EINVAL;
	case 'w':
		options->warm_up_ms = (uint32_t)number;
		return 0;
	case 's':
		options->step_ms = (uint32_t)number;
		return 0;
	case 'i':
		options->window_ms = (uint32_t)number;
		return number ? 0 : -EINVAL;
	case 'z':
		options->size = (uint32_t)number;
		return number && number <= 60000 ? 0 : -EINVAL;
	case 'm':
		options->segment = (uint32_t)number;
		return number && number <= 64 ? 0 : -EINVAL;
	case 'o':
		options->offer = number;
		return 0;
	case 'r':
		options->pace = number;
		return 0;
	default:
		return -EINVAL;
	}
}

int traffic_parse(int argc, char **argv, struct traffic_options *ret_options)
{
	struct traffic_options options = {
		.to = {.sin_family = AF_INET},
		.steps = {1},
		.step_count = 1,
		.warm_up_ms = 1500,
		.step_ms = 5000,
		.window_ms = 50,
		.size = 1400,
		.segment = 1,
	};
	int letter, r = 0;

	while (r == 0 && (letter = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (letter == 'g')
			options.cgroup = optarg;
		else if (letter == 'f')
			options.far = optarg;
		else if (letter == 'c')
			options.control = optarg;
		else if (letter == 't')
			r = inet_pton(AF_INET, optarg, &options.to.sin_addr) == 1 ? 0 : -EINVAL;
		else if (letter == 'n')
			r = parse_steps(optarg, &options);
		else
			r = parse_number(letter, optarg, &options);
	}
	if (r == 0 && (!options.cgroup || !options.to.sin_port || !options.to.sin_addr.s_addr ||
		       traffic_length_ns(&options) / 1000000 / options.window_ms >= TRAFFIC_SAMPLES_MAX))
		r = -EINVAL;
	if (r < 0)
		(void)fputs(usage_text, stderr);
	else
		*ret_options = options;
	return r;
}

uint32_t traffic_flows(const struct traffic_options *options)
{
	uint32_t flows = 0;

	for (uint32_t s = 0; s < options->step_count; s++)
		flows = options->steps[s] > flows ? options->steps[s] : flows;
	return flows;
}

uint64_t traffic_length_ns(const struct traffic_options *options)
{
	return (options->warm_up_ms + (uint64_t)options->step_count * options->step_ms) * 1000000ULL;
}

struct traffic_shared *traffic_share(void)
{
	void *shared = mmap(NULL, sizeof(struct traffic_shared), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (shared == MAP_FAILED) {
		(void)traffic_error("mmap");
		return NULL;
	}
	return shared;
}

int traffic_enter_netns(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
		return traffic_error(path);
	return 0;
}

uint64_t traffic_cpu_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ULL + (uint64_t)ts.tv_nsec;
}

int traffic_noise_read(struct traffic_noise *ret_noise)
{
	_cleanup_fclose_ FILE *file = fopen("/proc/stat", "re");
	/* user nice system idle iowait irq softirq steal */
	unsigned long long ticks[8] = {0};
	double per_s = (double)sysconf(_SC_CLK_TCK);
	char line[256], *at = line + 3;

	if (!file || !fgets(line, sizeof(line), file) || strncmp(line, "cpu", 3) != 0)
		return traffic_error("/proc/stat");
	for (int i = 0; i < 8; i++)
		ticks[i] = strtoull(at, &at, 10);
	*ret_noise = (struct traffic_noise){
		.busy_s = (double)(ticks[0] + ticks[1] + ticks[2] + ticks[5] + ticks[6]) / per_s,
		.steal_s = (double)ticks[7] / per_s,
		.own_s = (double)traffic_cpu_ns() / 1e9,
		.at_s = (double)bench_now() / 1e9,
	};
	return 0;
}

/* The kernel prints two lines: names, then values. */
int traffic_retransmitted(uint64_t *ret_segments)
{
	_cleanup_fclose_ FILE *file = fopen("/proc/thread-self/net/snmp", "re");
	char names[1024], values[1024];
	char *name, *value, *names_at = names, *values_at = values;

	while (file && fgets(names, sizeof(names), file) && fgets(values, sizeof(values), file)) {
		if (strncmp(names, "Tcp:", 4) != 0)
			continue;
		while ((name = strsep(&names_at, " \n")) != NULL &&
		       (value = strsep(&values_at, " \n")) != NULL) {
			if (strcmp(name, "RetransSegs") == 0)
				return ebb_parse_u64(value, ret_segments);
		}
	}
	return traffic_error("/proc/net/snmp");
}

static json_t *flow_bytes(const struct traffic_options *options, const struct traffic_shared *shared)
{
	json_t *edges = json_array();

	for (uint32_t edge = 0; edge <= options->step_count; edge++) {
		json_t *row = json_array();

		for (uint32_t f = 0; f < shared->flow_count && f < TRAFFIC_FLOWS_MAX; f++)
			(void)json_array_append_new(row,
						    json_integer((json_int_t)shared->flow_bytes[edge][f]));
		(void)json_array_append_new(edges, row);
	}
	return edges;
}

int traffic_report(const struct traffic_options *options, const struct traffic_shared *shared,
		   const struct traffic_noise noise[2], json_t *result)
{
	json_t *samples = json_array(), *echo = json_array(), *flows = json_array(), *machine;
	double processors = (double)sysconf(_SC_NPROCESSORS_ONLN);
	double seconds = (noise[1].at_s - noise[0].at_s) * processors;
	double own = noise[1].own_s - noise[0].own_s + (double)shared->receiver_cpu_ns / 1e9;

	for (uint32_t i = 0; i < shared->sample_count; i++) {
		const struct traffic_sample *sample = &shared->samples[i];

		(void)json_array_append_new(samples,
					    json_pack("[f, I, I]",
						      (double)(sample->at_ns - shared->start_ns) / 1e9,
						      (json_int_t)sample->payload,
						      (json_int_t)sample->segments));
	}
	for (uint32_t i = 0; i < shared->echo_count; i++)
		(void)json_array_append_new(echo, json_real(shared->echo_us[i]));
	for (uint32_t i = 0; i < options->step_count; i++)
		(void)json_array_append_new(flows, json_integer(options->steps[i]));
	machine = json_pack("{s:f, s:f, s:f}", "steal", (noise[1].steal_s - noise[0].steal_s) / seconds,
			    "own", own / seconds, "busy", (noise[1].busy_s - noise[0].busy_s) / seconds);
	if (json_object_set_new(result, "samples", samples) < 0 ||
	    json_object_set_new(result, "flows", flows) < 0 ||
	    json_object_set_new(result, "echo_us", echo) < 0 ||
	    json_object_set_new(result, "machine", machine) < 0 ||
	    json_object_set_new(result, "flow_bytes", flow_bytes(options, shared)) < 0 ||
	    json_object_set_new(result, "late_us", json_real((double)shared->late_max_ns / 1e3)) < 0 ||
	    json_object_set_new(result, "overflow", json_integer((json_int_t)shared->overflow)) < 0 ||
	    json_object_set_new(result, "warm_up_s", json_real(options->warm_up_ms / 1e3)) < 0 ||
	    json_object_set_new(result, "step_s", json_real(options->step_ms / 1e3)) < 0)
		return -ENOMEM;
	return 0;
}
