/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>

#include "config/config.h"
#include "lib/cleanup.h"

int ebb_config_rules(const struct ebb_config *config, struct ebb_rule **ret_rules, size_t *ret_count)
{
	struct ebb_rule *rules;
	size_t count = 0;

	for (size_t i = 0; i < config->destination_count; i++)
		count += config->destinations[i].match_count;
	rules = calloc(count + 1, sizeof(*rules));
	if (!rules)
		return -ENOMEM;
	count = 0;
	for (size_t i = 0; i < config->destination_count; i++) {
		const struct ebb_destination *destination = &config->destinations[i];

		for (size_t m = 0; m < destination->match_count; m++)
			rules[count++] = (struct ebb_rule){&destination->matches[m], (uint32_t)i};
	}
	*ret_rules = rules;
	*ret_count = count;
	return 0;
}

int ebb_config_matcher(const struct ebb_config *config, struct ebb_matcher **ret_matcher)
{
	_cleanup_free_ struct ebb_rule *rules = NULL;
	size_t count;
	int r;

	r = ebb_config_rules(config, &rules, &count);
	return r < 0 ? r : ebb_matcher_new(rules, count, ret_matcher);
}
