/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 'ebb report': what a time of the audit log comes to, and what in it is suspicious.
 */
#include <errno.h>
#include <inttypes.h>

#include "cli/audit_place.h"
#include "cli/common.h"
#include "report/read.h"

#define NS_PER_US 1000

static enum ebb_exit print(const struct ebb_args *args, const struct ebb_report *report, bool json)
{
	if (json)
		return ebb_print_json(args, ebb_report_json(report));
	if (ebb_report_text(report, stdout) < 0)
		return ebb_fail(args, EBB_EXIT_FAILED, "cannot write the output");
	return EBB_EXIT_DONE;
}

enum ebb_exit ebb_cmd_report(const struct ebb_args *args)
{
	struct ebb_report *report = NULL;
	int64_t since_ns = 0, until_ns = 0;
	struct ebb_audit_source source;
	struct ebb_why why = {0};
	uint64_t unknown = 0;
	enum ebb_exit code;
	bool json;
	int r;

	code = ebb_output_format(args, &json);
	if (code == EBB_EXIT_DONE)
		code = ebb_period_options(args, &since_ns, &until_ns);
	if (code == EBB_EXIT_DONE)
		code = ebb_audit_source(args, &source);
	if (code != EBB_EXIT_DONE)
		return code;
	if (source.database)
		r = ebb_report_read_sqlite(source.path, since_ns / NS_PER_US, until_ns / NS_PER_US, &report,
					   &unknown, &why);
	else
		r = ebb_report_read_files(source.path, source.keep, since_ns / NS_PER_US,
					  until_ns / NS_PER_US, &report, &unknown, &why);
	if (r < 0)
		return ebb_audit_failed(args, &source, r, &why);
	if (unknown)
		(void)fprintf(stderr,
			      "ebb report: %" PRIu64
			      " events are left out: a later version wrote them, or they are damaged\n",
			      unknown);
	code = print(args, report, json);
	ebb_report_free(report);
	return code;
}
