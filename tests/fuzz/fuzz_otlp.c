/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a collector answers, and what variables say of traces and metrics. The first line is a status of HTTP, and the rest its body;
 * or it is none, and every line is a variable. Whatever they hold: one printable line, no header that is two, no URL of
 * another kind.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "export/otlp_answer.h"
#include "export/otlp_settings.h"
#include "tests/lib/require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define VARIABLES_MAX 64

static void require_printable(const char *text)
{
	for (; *text; text++)
		REQUIRE((unsigned char)*text >= ' ' && *text != 0x7f);
}

static void read_answer(unsigned int status, const char *body, size_t size)
{
	struct ebb_otlp_answer answer;

	ebb_otlp_answer_read(status, body, size, &answer);
	require_printable(answer.why);
	REQUIRE(answer.result == EBB_SINK_DONE || answer.result == EBB_SINK_RETRY ||
		answer.result == EBB_SINK_REFUSED);
	REQUIRE(answer.result == EBB_SINK_DONE || (answer.why[0] && !answer.rejected));
	REQUIRE(!answer.rejected || answer.why[0]);
}

static void read_variables_of(enum ebb_otlp_signal signal, const char *const *environ)
{
	static struct ebb_otlp_settings settings;
	const struct ebb_otlp_ours ours = {.endpoint = "", .sample = 0.1, .interval_ns = 60000000000ULL};
	const struct ebb_otlp_self self = {.instance = "1", .host = "h"};

	ebb_otlp_settings_read(signal, environ, &ours, &self, &settings);
	REQUIRE(!settings.url[0] || strncmp(settings.url, "http", 4) == 0);
	require_printable(settings.url);
	REQUIRE(!strchr(settings.url, '@') ||
		strchr(strstr(settings.url, "://") + 3, '/') < strchr(settings.url, '@'));
	REQUIRE(settings.sample >= 0 && settings.sample <= 1);
	REQUIRE(settings.deadline_ns > 0);
	REQUIRE((signal == EBB_OTLP_TRACES ? settings.delay_ns : settings.interval_ns) > 0);
	for (size_t i = 0; i < settings.header_count; i++) {
		require_printable(settings.headers[i]);
		REQUIRE(strstr(settings.headers[i], ": ") > settings.headers[i]);
	}
	for (size_t i = 0; i < settings.resource_count; i++)
		REQUIRE(settings.resource[i].key[0] && settings.resource[i].value[0]);
	for (size_t i = 0; i < settings.note_count; i++)
		require_printable(settings.notes[i]);
}

static void read_variables(char *text)
{
	const char *environ[VARIABLES_MAX + 1] = {NULL};
	size_t count = 0;
	char *rest = text, *line;

	while (count < VARIABLES_MAX && (line = strsep(&rest, "\n")))
		environ[count++] = line;
	environ[count] = NULL;
	read_variables_of(EBB_OTLP_TRACES, environ);
	read_variables_of(EBB_OTLP_METRICS, environ);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), *body;
	unsigned long status;

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	status = strtoul(text, &body, 10);
	if (body > text && *body == '\n')
		read_answer((unsigned int)status, body + 1, size - (size_t)(body + 1 - text));
	else
		read_variables(text);
	free(text);
	return 0;
}
