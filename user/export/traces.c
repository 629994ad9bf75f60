/* SPDX-License-Identifier: Apache-2.0 */
#include "export/traces.h"

const char *ebb_span_result_name(enum ebb_span_result result)
{
	static const char *const names[EBB_SPAN_RESULT_MAX] = {
		[EBB_SPAN_SENT] = "sent",	  [EBB_SPAN_DROPPED] = "dropped",
		[EBB_SPAN_REJECTED] = "rejected", [EBB_SPAN_REFUSED] = "refused",
		[EBB_SPAN_EXPIRED] = "expired",	  [EBB_SPAN_INVALID] = "invalid",
	};

	return (unsigned int)result < EBB_SPAN_RESULT_MAX ? names[result] : "unknown";
}
