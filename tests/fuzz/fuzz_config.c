/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration file: whatever it holds, it is taken whole or refused with a reason that has
 * a place in it; what is taken is inside its ranges.
 */
#include <stdint.h>
#include <string.h>

#include "config/config.h"
#include "config/keys.h"
#include "lib/cleanup.h"
#include "tests/lib/require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_problems(const struct ebb_problems *problems, bool failed)
{
	size_t errors = ebb_problems_errors(problems);
	char text[EBB_PROBLEM_TEXT_MAX];

	REQUIRE(problems->count <= EBB_PROBLEMS_MAX);
	REQUIRE(problems->more == 0 || problems->count == EBB_PROBLEMS_MAX);
	REQUIRE(failed == (errors > 0));
	for (size_t i = 0; i < problems->count; i++) {
		const struct ebb_problem *problem = &problems->list[i];

		REQUIRE(problem->line > 0 && problem->column > 0);
		REQUIRE(problem->text[0] != '\0');
		REQUIRE(problem->warning == (i >= errors));
		REQUIRE(!strchr(ebb_problem_format(problem, "f", text, sizeof(text)), '\n'));
		if (i > 0 && i != errors)
			REQUIRE(problem->line > problems->list[i - 1].line ||
				(problem->line == problems->list[i - 1].line &&
				 problem->column >= problems->list[i - 1].column));
	}
}

static void check_settings(const struct ebb_settings *settings)
{
	const struct ebb_breaker_config *breaker = &settings->breaker;

	REQUIRE(settings->mode < EBB_MODE_MAX && settings->scope < EBB_SCOPE_MAX);
	REQUIRE(settings->errno_code < EBB_ERRNO_MAX && settings->limits_errno < EBB_ERRNO_MAX);
	REQUIRE(settings->on_agent_loss < EBB_LOSS_MAX && settings->established < EBB_ESTABLISHED_MAX);
	REQUIRE(breaker->open_max_ns >= breaker->open_for_ns && breaker->open_for_ns > 0);
	REQUIRE(breaker->probes >= 1 && breaker->probes <= EBB_PROBES_MAX && breaker->count_mask != 0);
	REQUIRE(breaker->failure_rate > 0 && breaker->failure_rate <= 1);
	for (int kind = 0; kind < EBB_LIMIT_MAX; kind++)
		REQUIRE((settings->limits.bucket[kind].per_hour == 0) ==
			(settings->limits.bucket[kind].burst == 0));
}

static void count_value(void *userdata, const struct ebb_config_value *value)
{
	char origin[EBB_PROBLEM_TEXT_MAX];

	REQUIRE(value->key && ebb_config_value_origin(value, origin, sizeof(origin))[0]);
	(*(size_t *)userdata)++;
}

static void check_config(const struct ebb_config *config)
{
	size_t values = 0;

	check_settings(&config->defaults);
	REQUIRE(config->destination_count < config->cap_destinations);
	for (size_t i = 0; i < config->destination_count; i++) {
		const struct ebb_destination *destination = &config->destinations[i];

		REQUIRE(destination->name[0] && destination->match_count > 0);
		check_settings(&destination->settings);
		for (size_t m = 0; m < destination->match_count; m++) {
			const struct ebb_match *match = &destination->matches[m];
			bool host = match->kind == EBB_MATCH_HOST || match->kind == EBB_MATCH_WILDCARD;

			REQUIRE(match->kind <= EBB_MATCH_ANY && match->bits <= 128);
			REQUIRE(host == (match->host[0] != '\0'));
		}
		REQUIRE(ebb_config_each(config, destination->name, count_value, &values) == 0);
	}
	REQUIRE(ebb_config_each(config, NULL, count_value, &values) == 0);
	REQUIRE(values > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ebb_config *config = NULL;
	struct ebb_problems problems;
	int r = ebb_config_parse((const char *)data, size, &config, &problems);

	check_problems(&problems, r < 0);
	REQUIRE((r == 0) == (config != NULL));
	if (config)
		check_config(config);
	ebb_config_free(config);
	return 0;
}
