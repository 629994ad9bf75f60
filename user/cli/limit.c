/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 'ebb limit set' and 'ebb limit clear': what an operator says by hand, written into the pinned
 * maps at once. Works with the agent dead; it keeps what stands when it comes back.
 */
#include "cli/common.h"
#include "cli/order.h"
#include "core/limit.h"

/* ------------------------------------------------------------ options -- */

/* What --bytes and the others say; nothing given is wrong use. */
static enum ebb_exit read_change(const struct ebb_args *args, struct ebb_limits *ret_change)
{
	const char *concurrent = ebb_args_get(args, "concurrent");
	struct ebb_limits change = {0};
	struct ebb_why why = {};

	for (uint32_t kind = 0; kind < EBB_LIMIT_MAX; kind++) {
		const char *name = ebb_limit_kind_info(kind)->name;
		const char *text = ebb_args_get(args, name);

		if (!text)
			continue;
		if (ebb_limit_parse(text, kind, &change.bucket[kind], &why) < 0)
			return ebb_fail_option(args, name, "'%s' is not possible: %s", text, why.text);
		change.given |= 1U << kind;
	}
	if (concurrent) {
		if (ebb_limit_parse_concurrent(concurrent, &change.concurrent) < 0)
			return ebb_fail_option(args, "concurrent",
					       "'%s' is not possible: a whole number from 1, or none",
					       concurrent);
		change.given |= EBB_GIVEN_CONCURRENT;
	}
	if (!change.given)
		return ebb_fail(args, EBB_EXIT_USAGE,
				"which limit? give --bytes, --packets, --connects or --concurrent");
	*ret_change = change;
	return EBB_EXIT_DONE;
}

/* ----------------------------------------------------------- commands -- */

enum ebb_exit ebb_cmd_limit_set(const struct ebb_args *args)
{
	struct ebb_limits change;
	enum ebb_exit code;

	code = read_change(args, &change);
	if (code != EBB_EXIT_DONE)
		return code;
	return ebb_order_carry_out(args, &(struct ebb_order){.what = EBB_SAID_LIMITS, .change = &change});
}

enum ebb_exit ebb_cmd_limit_clear(const struct ebb_args *args)
{
	return ebb_order_carry_out(args, &(struct ebb_order){.what = EBB_SAID_LIMITS});
}

void ebb_help_limits(FILE *out)
{
	(void)fputs("How limits are written:\n", out);
	for (uint32_t kind = 0; kind < EBB_LIMIT_MAX; kind++) {
		const struct ebb_limit_kind_info *info = ebb_limit_kind_info(kind);
		char term[64], text[512];

		(void)snprintf(term, sizeof(term), "  %s", info->name);
		(void)snprintf(text, sizeof(text), "%s; %s or %s,burst=%s; a burst is %s, unless given",
			       info->what, info->example, info->example, info->example_burst, info->burst);
		ebb_help_term(out, 14, term, text);
	}
	ebb_help_term(out, 14, "  concurrent", "connections open and opening; 64");
	(void)fputc('\n', out);
	ebb_help_text(out, 2,
		      "A rate is for /s, /min or /h; none is no limit. Bytes take B, kB, MB, GB, TB (powers of "
		      "1000, also KB), KiB, MiB, GiB, TiB (powers of 1024), kbit, Mbit, Gbit, Tbit; packets and "
		      "connections take k and M.\n");
}
