/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the agent reads of its surroundings beside its configuration: OTEL_* variables, a line each, and the same text as a resolv.conf
 * and as mountinfo.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "export/otlp_settings.h"
#include "node/cgroup.h"
#include "node/resolvers.h"
#include "tests/lib/require.h"

#define VARIABLES 32

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_settings(const struct ebb_otlp_settings *s, bool pushed)
{
	REQUIRE(s->header_count <= EBB_OTLP_HEADERS_MAX && s->resource_count <= EBB_OTLP_ATTRIBUTES_MAX &&
		s->note_count <= EBB_OTLP_NOTES_MAX);
	REQUIRE(memchr(s->url, '\0', sizeof(s->url)) && memchr(s->ca_file, '\0', sizeof(s->ca_file)));
	REQUIRE(s->sample >= 0 && s->sample <= 1);
	REQUIRE(s->deadline_ns > 0 && (!pushed || s->interval_ns > 0));
	/* neither is sent a line that is not its own */
	REQUIRE(!strpbrk(s->url, " \r\n"));
	for (size_t i = 0; i < s->header_count; i++)
		REQUIRE(strchr(s->headers[i], ':') && !strpbrk(s->headers[i], "\r\n"));
	for (size_t i = 0; i < s->note_count; i++)
		REQUIRE(!strpbrk(s->notes[i], "\r\n\033"));
}

static void read_variables(const char *text)
{
	const char *environ[VARIABLES + 1] = {};
	static const struct ebb_otlp_self self = {.instance = "i", .host = "h", .node = "n"};
	static const struct ebb_otlp_ours ours = {.endpoint = "",
						  .sample = 1,
						  .interval_ns = 60000000000,
						  .timeout_ns = 5000000000};
	struct ebb_otlp_settings *settings = calloc(1, sizeof(*settings));
	char *copy = strdup(text), *rest = copy, *line;
	size_t count = 0;

	REQUIRE(settings && copy);
	while (count < VARIABLES && (line = strsep(&rest, "\n")))
		environ[count++] = line;
	for (int signal = EBB_OTLP_TRACES; signal <= EBB_OTLP_METRICS; signal++) {
		ebb_otlp_settings_read((enum ebb_otlp_signal)signal, environ, &ours, &self, settings);
		check_settings(settings, signal == EBB_OTLP_METRICS);
	}
	free(copy);
	free(settings);
}

static void read_resolvers(const char *text)
{
	struct ebb_resolvers resolvers = {};
	char shown[256];

	ebb_resolvers_add_text(&resolvers, text);
	REQUIRE(resolvers.count <= EBB_RESOLVERS_KNOWN_MAX);
	REQUIRE(strlen(ebb_resolvers_text(&resolvers, shown, sizeof(shown))) < sizeof(shown));
	for (size_t i = 0; i < resolvers.count; i++)
		REQUIRE(!resolvers.named[i]);
}

static void read_mounts(const uint8_t *data, size_t size)
{
	struct ebb_cgroup_mounts mounts = {};
	FILE *f = size ? fmemopen((void *)(uintptr_t)data, size, "re") : NULL;

	if (!f)
		return;
	if (ebb_cgroup_parse_mounts(f, &mounts) == 0)
		REQUIRE(memchr(mounts.path, '\0', sizeof(mounts.path)));
	(void)fclose(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	REQUIRE(text);
	memcpy(text, data, size);
	text[size] = '\0';
	read_variables(text);
	read_resolvers(text);
	read_mounts(data, size);
	free(text);
	return 0;
}
