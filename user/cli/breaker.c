/* SPDX-License-Identifier: Apache-2.0 */
/* 'ebb breaker' and 'ebb mode': an operator decides in place of the breaker, or of the configuration. */
#include "cli/order.h"

static enum ebb_exit override(const struct ebb_args *args, uint32_t state)
{
	return ebb_order_carry_out(args, &(struct ebb_order){.what = EBB_SAID_OVERRIDE, .value = state});
}

enum ebb_exit ebb_cmd_breaker_open(const struct ebb_args *args)
{
	return override(args, EBB_OVERRIDE_OPEN);
}

enum ebb_exit ebb_cmd_breaker_close(const struct ebb_args *args)
{
	return override(args, EBB_OVERRIDE_CLOSE);
}

enum ebb_exit ebb_cmd_breaker_auto(const struct ebb_args *args)
{
	return override(args, EBB_OVERRIDE_AUTO);
}

static enum ebb_exit mode(const struct ebb_args *args, uint32_t said)
{
	return ebb_order_carry_out(args, &(struct ebb_order){.what = EBB_SAID_MODE, .value = said});
}

enum ebb_exit ebb_cmd_mode_observe(const struct ebb_args *args)
{
	return mode(args, 1 + EBB_MODE_OBSERVE);
}

enum ebb_exit ebb_cmd_mode_enforce(const struct ebb_args *args)
{
	return mode(args, 1 + EBB_MODE_ENFORCE);
}

enum ebb_exit ebb_cmd_mode_auto(const struct ebb_args *args)
{
	return mode(args, 0);
}
