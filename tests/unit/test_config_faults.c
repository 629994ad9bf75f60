/* SPDX-License-Identifier: Apache-2.0 */
/*
 * No memory, at every place where the configuration asks for some: it says so, keeps nothing and
 * leaks nothing (the build with sanitizers looks for that).
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/config.h"
#include "tests/lib/faults.h"

static const char text[] =
	"mode: enforce\n"
	"workloads: {include: [{namespace: a}], exclude: [{cgroup: /b}]}\n"
	"dns: {resolvers: [auto, 10.0.0.1]}\n"
	"node_fuse: {exempt: [a]}\n"
	"defaults: {breaker: {count: [refused]}, limits: {bytes: {rate: 1MB/s, burst: 1MB}}}\n"
	"destinations:\n"
	"  - {name: a, match: [{host: a.b}, {port: 1}], limits: {connects: 1/s}}\n"
	"  - {name: b, match: [{host: a.b}], breaker: {open_for: 1s}}\n";

static void memory_that_runs_out_is_told_and_nothing_is_kept(void **state)
{
	static const char *const variables[] = {"EBB_LEASE=10s", NULL};
	const struct ebb_config_flag flags[] = {{"mode", "--mode", "observe"},
						{"defaults.breaker", "--breaker", "probes=2"}};
	struct faults faults = {.kinds = FAULT_MEMORY, .error = ENOMEM};
	char path[] = "/tmp/ebb-test-faults-XXXXXX";
	const struct ebb_config_sources sources = {.path = path,
						   .environ = variables,
						   .flags = flags,
						   .flag_count = 2};
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
	(void)close(fd);
	while (faults_next(&faults)) {
		struct ebb_config *config = NULL;
		struct ebb_problems problems;
		int r;

		faults_on(&faults);
		r = ebb_config_load(&sources, &config, &problems);
		faults_off(&faults);
		assert_int_equal(r, faults.hit ? -ENOMEM : 0);
		if (r == 0) {
			assert_int_equal(config->destination_count, 2);
			ebb_config_free(config);
			continue;
		}
		assert_null(config);
		assert_int_equal(ebb_problems_errors(&problems), 1);
		assert_string_equal(problems.list[0].text, "out of memory");
	}
	(void)unlink(path);
	/* it did ask for memory, at many places */
	assert_true(faults.places > 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_that_runs_out_is_told_and_nothing_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
