// SPDX-License-Identifier: Apache-2.0
/* ebb-bench WHAT [options]: one measurement, its result as one JSON object. tests/bench/run.sh calls it. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "lib/units.h"
#include "traffic.h"

static const struct {
	const char *name;
	int (*run)(const struct bench_options *options, json_t *ret_result);
	struct bench_options defaults;
	bool pinned; /* to one processor */
} benchmarks[] = {
	{"refused", bench_refused, {.rounds = 60, .samples = 200}, true},
	{"allowed", bench_allowed, {.rounds = 150, .samples = 100}, true},
	{"send", bench_send, {.rounds = 150, .samples = 200}, true},
	{"trip", bench_trip, {.trials = 300, .threads = 1}, false},
	{"programs", bench_programs, {.rounds = 20, .samples = 500}, true},
	{"routes", bench_routes, {.rounds = 60, .samples = 60}, true},
	{"packets", bench_packets, {.rounds = 60, .samples = 20}, true},
	{"discover", bench_discover, {.trials = 1000}, false},
	{"growth", bench_growth, {.rounds = 40, .samples = 100, .trials = 1000, .workloads = 1}, true},
	{"visit", bench_visit, {.samples = 2000, .trials = 1000, .workloads = 1}, false},
	{"knock", bench_knock, {.rate = 2000, .trials = 1}, false},
	{"bulkhead", bench_bulkhead, {.trials = 100000, .threads = 32}, false},
	{"gate", bench_gate, {.rounds = 10, .samples = 10240}, false},
	{"ingress", bench_ingress, {.rounds = 60, .samples = 500}, true},
	{"names", bench_names, {.trials = 500}, false},
	{"request", bench_request, {.trials = 300000}, true},
	{"turns", bench_turns, {.rounds = 100, .samples = 60}, true},
	{"peers", bench_peers, {.rounds = 60, .samples = 60}, true},
};

/* These have options of their own. */
static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
} commands[] = {
	{"tcp", traffic_tcp_main},
	{"udp", traffic_udp_main},
	{"delay", traffic_delay_main},
	{"load", traffic_load_main},
};

#define BENCHMARKS (sizeof(benchmarks) / sizeof(benchmarks[0]))

static const struct option long_options[] = {
	{"cgroup", required_argument, NULL, 'g'},
	{"pin", required_argument, NULL, 'p'},
	{"rounds", required_argument, NULL, 'r'},
	{"samples", required_argument, NULL, 's'},
	{"trials", required_argument, NULL, 't'},
	{"threads", required_argument, NULL, 'n'},
	{"first", required_argument, NULL, 'f'},
	{"cpu", required_argument, NULL, 'c'},
	{"busy", no_argument, NULL, 'b'},
	{"agent", no_argument, NULL, 'a'},
	{"moved", no_argument, NULL, 'm'},
	{"tracers", no_argument, NULL, 'x'},
	{"destinations", required_argument, NULL, 'd'},
	{"workloads", required_argument, NULL, 'w'},
	{"rate", required_argument, NULL, 'q'},
	{"proxy", required_argument, NULL, 'y'},
	{"each", no_argument, NULL, 'e'},
	{NULL, 0, NULL, 0},
};

static int usage(void)
{
	(void)fprintf(stderr,
		      "usage: ebb-bench refused|allowed|send|trip|programs|routes|packets|discover|bulkhead|gate|ingress|names|request|\n"
		      "                 turns|peers|growth|visit|knock\n"
		      "       --cgroup DIR --pin DIR\n"
		      "       [--rounds N] [--samples N] [--trials N] [--threads N] [--first N] [--cpu N]\n"
		      "       [--destinations N] [--workloads N] [--rate N] [--proxy PORT]\n"
		      "       [--busy] [--agent] [--moved] [--tracers] [--each]\n"
		      "       ebb-bench tcp|udp|delay|load ...\n");
	return 2;
}

static int parse(int argc, char **argv, struct bench_options *options)
{
	uint32_t number = 0;
	int letter;

	while ((letter = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (strchr("rstnfcdwqy", letter) && ebb_parse_u32(optarg, &number) < 0)
			return -EINVAL;
		switch (letter) {
		case 'g':
			options->cgroup = optarg;
			break;
		case 'p':
			options->pin_dir = optarg;
			break;
		case 'r':
			options->rounds = number;
			break;
		case 's':
			options->samples = number;
			break;
		case 't':
			options->trials = number;
			break;
		case 'n':
			options->threads = number;
			break;
		case 'f':
			options->first = number;
			break;
		case 'c':
			options->cpu = (int)number;
			break;
		case 'd':
			options->destinations = number;
			break;
		case 'w':
			options->workloads = number;
			break;
		case 'q':
			options->rate = number;
			break;
		case 'y':
			options->proxy = number;
			break;
		case 'e':
			options->each = true;
			break;
		case 'b':
			options->busy = true;
			break;
		case 'a':
			options->agent = true;
			break;
		case 'm':
			options->moved = true;
			break;
		case 'x':
			options->tracers = true;
			break;
		default:
			return -EINVAL;
		}
	}
	return options->cgroup && options->pin_dir ? 0 : -EINVAL;
}

int main(int argc, char **argv)
{
	struct bench_options options;
	json_t *result;
	size_t b = 0;
	int r;

	for (size_t c = 0; argc > 1 && c < sizeof(commands) / sizeof(commands[0]); c++) {
		if (strcmp(argv[1], commands[c].name) == 0)
			return commands[c].run(argc - 1, argv + 1);
	}
	while (b < BENCHMARKS && (argc < 2 || strcmp(argv[1], benchmarks[b].name) != 0))
		b++;
	if (b == BENCHMARKS)
		return usage();
	options = benchmarks[b].defaults;
	options.cpu = -1;
	if (parse(argc - 1, argv + 1, &options) < 0)
		return usage();
	if (benchmarks[b].pinned && bench_pin_cpu(options.cpu) < 0)
		return 1;
	result = json_object();
	if (!result)
		return 1;
	r = benchmarks[b].run(&options, result);
	if (r == 0 && json_dumpf(result, stdout, JSON_COMPACT | JSON_REAL_PRECISION(8)) == 0)
		(void)putchar('\n');
	json_decref(result);
	return r == 0 ? 0 : 1;
}
