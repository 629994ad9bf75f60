/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/rests.h"

#define NS_PER_MS  1000000ULL
#define STRETCH_NS NS_PER_MS /* of work; a single answer may be longer */

uint64_t ebb_rests_worked(struct ebb_rests *rests, uint64_t start_ns, uint64_t end_ns)
{
	uint64_t rested_ns = start_ns - rests->end_ns;

	rests->owed_ns -= rested_ns < rests->owed_ns ? rested_ns : rests->owed_ns;
	rests->owed_ns += end_ns - start_ns;
	rests->end_ns = end_ns;
	if (rests->owed_ns < STRETCH_NS)
		return 0;
	return end_ns + rests->owed_ns / NS_PER_MS * NS_PER_MS;
}
