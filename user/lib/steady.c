/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/steady.h"

#include <stdbool.h>

int64_t ebb_steady_time(struct ebb_steady *steady, int64_t realtime_ns, uint64_t now_ns)
{
	int64_t offset_ns = realtime_ns - (int64_t)now_ns;
	bool first = steady->offset_ns == 0;
	bool ahead = !first && offset_ns > steady->offset_ns + EBB_STEADY_DAY_NS;

	if (ahead && !steady->ahead_since_ns)
		steady->ahead_since_ns = now_ns;
	if (!ahead || now_ns - steady->ahead_since_ns >= (uint64_t)EBB_STEADY_DAY_NS) {
		steady->offset_ns = offset_ns;
		steady->ahead_since_ns = 0;
	}
	return (int64_t)now_ns + steady->offset_ns;
}
