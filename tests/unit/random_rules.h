/* SPDX-License-Identifier: Apache-2.0 */
/* Rule sets and addresses by chance, so close to each other that they meet. The same seed, the same rules. */
#ifndef EBB_TESTS_UNIT_RANDOM_RULES_H
#define EBB_TESTS_UNIT_RANDOM_RULES_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "core/match.h"

#define RULES_MAX 64

struct rule_set {
	struct ebb_match matches[RULES_MAX];
	struct ebb_rule rules[RULES_MAX];
	size_t count;
};

/* xorshift64: next of *@state, below @below */
uint32_t random_below(uint64_t *state, uint32_t below);

/* @hosts: among them rules about hosts, too. */
void random_rules(uint64_t *state, bool hosts, struct rule_set *ret_set);
void random_host(uint64_t *state, char ret_host[EBB_HOST_MAX]);
void random_address(uint64_t *state, uint8_t ret_addr[16]);
uint16_t random_port(uint64_t *state);
uint8_t random_proto(uint64_t *state);

/*
 * What design section 7 says, word for word: each rule is tried and ranked. About @host, or about
 * @addr when @host is NULL.
 */
uint32_t naive_match(const struct rule_set *set, const char *host, const uint8_t *addr, uint16_t port,
		     uint8_t proto);

#endif /* EBB_TESTS_UNIT_RANDOM_RULES_H */
