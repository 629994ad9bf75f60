/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of rules as people write them: names of destinations, host names, prefixes,
 * selectors of workloads. Each returns 0, or -EINVAL with what was expected, and then nothing is
 * changed.
 */
#ifndef EBB_CONFIG_RULES_H
#define EBB_CONFIG_RULES_H

#include "config/config.h"

/* A destination's own name, into @ret_name of EBB_DESTINATION_NAME_MAX bytes (may be NULL). */
int ebb_rule_name(const char *text, char *ret_name, struct ebb_why *why);

/* "api.example.com", "*.example.com": kind and host of @ret_match. */
int ebb_rule_host(const char *text, struct ebb_match *ret_match, struct ebb_why *why);

/*
 * "10.0.0.0/8", "2001:db8::1": kind, addr and bits of @ret_match. IPv4 in the dress of IPv6
 * (::ffff:10.0.0.0/104) is refused; shorter prefixes of IPv6 never claim IPv4, see core/match.h.
 */
int ebb_rule_cidr(const char *text, struct ebb_match *ret_match, struct ebb_why *why);

/* A pattern of enum ebb_selector_kind. */
int ebb_rule_selector(uint32_t kind, const char *text, struct ebb_selector *ret_selector,
		      struct ebb_why *why);

/* One address, IPv4 mapped. */
int ebb_rule_address(const char *text, uint8_t ret_addr[16], struct ebb_why *why);

/* As it would be written: "10.0.0.0/8", "*.example.com"; in @buffer, which is returned. */
const char *ebb_rule_format(const struct ebb_match *match, char *buffer, size_t size);

/* An address without a prefix. */
const char *ebb_rule_format_address(const uint8_t addr[16], char *buffer, size_t size);

#endif /* EBB_CONFIG_RULES_H */
