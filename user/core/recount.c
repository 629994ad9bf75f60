/* SPDX-License-Identifier: Apache-2.0 */
#include "core/recount.h"

#define TIMES	    2 /* recounts that have to agree */
#define TIMES_FILES 3 /* where files are the witness that something is missing */

static int64_t smaller(int64_t a, int64_t b)
{
	return (a < 0 ? a > b : a < b) ? a : b;
}

int64_t ebb_recount_judge(struct ebb_recount_past *past, const struct ebb_recount_facts *facts)
{
	int64_t difference = (int64_t)(facts->after - facts->seen);
	bool still, missing = difference > 0;

	/* busy: what was found before is neither confirmed nor refuted */
	if (facts->before != facts->after || facts->activity_before != facts->activity_after)
		return 0;
	if (difference == 0 || (missing && !facts->exact && !facts->complete)) {
		past->times = 0;
		return 0;
	}
	still = past->gauge == facts->after && past->activity == facts->activity_after;
	if (past->times == 0 || past->epoch != facts->epoch || (past->difference > 0) != missing ||
	    (missing && !facts->exact && !still)) {
		past->times = 0;
		past->difference = difference;
	}
	past->difference = smaller(past->difference, difference);
	past->gauge = facts->after;
	past->activity = facts->activity_after;
	past->epoch = facts->epoch;
	past->times++;
	if (past->times < (missing && !facts->exact ? TIMES_FILES : TIMES))
		return 0;
	past->times = 0;
	return -past->difference;
}
