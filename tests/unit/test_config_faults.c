/* SPDX-License-Identifier: Apache-2.0 */
/*
 * No memory, at every place where the configuration asks for some: it says so, keeps nothing and
 * leaks nothing (the build with sanitizers looks for that). Linked with --wrap, see the Makefile.
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
#include "lib/cleanup.h"

/* How many more times memory is given; SIZE_MAX: always. */
static size_t left = SIZE_MAX;
static size_t refused;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
char *__wrap_strdup(const char *text);

static bool given(void)
{
	if (left == 0) {
		refused++;
		return false;
	}
	if (left != SIZE_MAX)
		left--;
	return true;
}

void *__wrap_malloc(size_t size)
{
	return given() ? __real_malloc(size) : NULL;
}

void *__wrap_calloc(size_t count, size_t size)
{
	return given() ? __real_calloc(count, size) : NULL;
}

void *__wrap_realloc(void *memory, size_t size)
{
	return given() ? __real_realloc(memory, size) : NULL;
}

char *__wrap_strdup(const char *text)
{
	return given() ? __real_strdup(text) : NULL;
}

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
	char path[] = "/tmp/ebb-test-faults-XXXXXX";
	const struct ebb_config_sources sources = {.path = path,
						   .environ = variables,
						   .flags = flags,
						   .flag_count = 2};
	int fd = mkstemp(path), r = -ENOMEM;
	size_t n = 0;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
	(void)close(fd);
	for (; r != 0 && n < 10000; n++) {
		struct ebb_config *config = NULL;
		struct ebb_problems problems;

		left = n;
		refused = 0;
		r = ebb_config_load(&sources, &config, &problems);
		left = SIZE_MAX;
		if (r == 0) {
			assert_int_equal(refused, 0);
			assert_int_equal(config->destination_count, 2);
			ebb_config_free(config);
			break;
		}
		assert_int_equal(r, -ENOMEM);
		assert_int_not_equal(refused, 0);
		assert_null(config);
		assert_int_equal(ebb_problems_errors(&problems), 1);
		assert_string_equal(problems.list[0].text, "out of memory");
	}
	(void)unlink(path);
	assert_int_equal(r, 0);
	/* it did ask for memory, at many places */
	assert_true(n > 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_that_runs_out_is_told_and_nothing_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
