/* SPDX-License-Identifier: Apache-2.0 */
/* bpf/outcome.h: how the end of a socket is named. The very header that the kernel runs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "bpf/errno.h"
#include "bpf/outcome.h"

static void attempt_is_named_by_its_error(void **state)
{
	static const struct {
		const char *name;
		struct ebb_end_facts facts;
		uint32_t outcome;
	} cases[] = {
		{"RST to the SYN", {.sk_err = EBB_E_CONNREFUSED}, EBB_OUTCOME_REFUSED},
		{"RST to a fast-open SYN", {.sk_err = EBB_E_CONNRESET}, EBB_OUTCOME_REFUSED},
		{"SYN timeout", {.sk_err = EBB_E_TIMEDOUT, .retransmits = 6}, EBB_OUTCOME_TIMEOUT},
		{"neighbour failure", {.sk_err = EBB_E_HOSTUNREACH}, EBB_OUTCOME_UNREACHABLE},
		{"ICMP net unreachable", {.sk_err = EBB_E_NETUNREACH}, EBB_OUTCOME_UNREACHABLE},
		{"ICMP admin prohibited, v6", {.sk_err = 13}, EBB_OUTCOME_UNREACHABLE},
		{"SO_ERROR consumed, error still queued",
		 {.queued_err = EBB_E_CONNREFUSED},
		 EBB_OUTCOME_REFUSED},
		{"the same, host unreachable", {.queued_err = EBB_E_HOSTUNREACH}, EBB_OUTCOME_UNREACHABLE},
		{"soft error only", {.sk_err_soft = EBB_E_HOSTUNREACH}, EBB_OUTCOME_UNREACHABLE},
		{"the hard error wins over the soft one",
		 {.sk_err = EBB_E_TIMEDOUT, .sk_err_soft = EBB_E_HOSTUNREACH},
		 EBB_OUTCOME_TIMEOUT},
		{"gave up after a retransmission",
		 {.retransmits = 1, .abandon_ms = 1000},
		 EBB_OUTCOME_ABANDONED},
		{"gave up after abandon_after", {.age_ms = 1000, .abandon_ms = 1000}, EBB_OUTCOME_ABANDONED},
		{"gave up just before", {.age_ms = 999, .abandon_ms = 1000}, EBB_OUTCOME_CANCELLED},
		{"gave up at once", {.abandon_ms = 1000}, EBB_OUTCOME_CANCELLED},
		{"destroyed on this node", {.sk_err = EBB_E_CONNABORTED}, EBB_OUTCOME_CANCELLED},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (ebb_outcome_connecting(&cases[i].facts) != cases[i].outcome)
			fail_msg("%s: outcome %u, expected %u", cases[i].name,
				 ebb_outcome_connecting(&cases[i].facts), cases[i].outcome);
	}
}

static void established_fails_only_while_an_answer_is_awaited(void **state)
{
	static const struct {
		const char *name;
		struct ebb_close_facts facts;
		uint32_t outcome;
	} cases[] = {
		{"clean close", {.peer_open = 1, .received = 1}, EBB_OUTCOME_ESTABLISHED},
		{"own linger 0", {.peer_open = 1}, EBB_OUTCOME_ESTABLISHED},
		{"RST before any byte", {.sk_err = EBB_E_CONNRESET, .peer_open = 1}, EBB_OUTCOME_RESET},
		{"RST with a request open",
		 {.sk_err = EBB_E_CONNRESET, .peer_open = 1, .received = 1, .asked_last = 1},
		 EBB_OUTCOME_RESET},
		{"RST on an idle connection",
		 {.sk_err = EBB_E_CONNRESET, .peer_open = 1, .received = 1},
		 EBB_OUTCOME_ESTABLISHED},
		{"RST after our FIN", {.sk_err = EBB_E_CONNRESET, .asked_last = 1}, EBB_OUTCOME_ESTABLISHED},
		{"RST in CLOSE_WAIT",
		 {.sk_err = EBB_E_PIPE, .peer_open = 1, .asked_last = 1},
		 EBB_OUTCOME_RESET},
		{"black hole",
		 {.sk_err = EBB_E_TIMEDOUT, .peer_open = 1, .asked_last = 1},
		 EBB_OUTCOME_RESET},
		{"route lost",
		 {.sk_err = EBB_E_HOSTUNREACH, .peer_open = 1, .asked_last = 1},
		 EBB_OUTCOME_RESET},
		{"destroyed on this node",
		 {.sk_err = EBB_E_CONNABORTED, .peer_open = 1},
		 EBB_OUTCOME_ESTABLISHED},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (ebb_outcome_established(&cases[i].facts) != cases[i].outcome)
			fail_msg("%s: outcome %u, expected %u", cases[i].name,
				 ebb_outcome_established(&cases[i].facts), cases[i].outcome);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(attempt_is_named_by_its_error),
		cmocka_unit_test(established_fails_only_while_an_answer_is_awaited),
	};

	return cmocka_run_group_tests_name("outcome", tests, NULL, NULL);
}
