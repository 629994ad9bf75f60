/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/troubles.h"

#include <string.h>

void ebb_troubles_init(struct ebb_troubles *troubles, const uint64_t errors[EBB_ERR_MAX])
{
	memset(troubles, 0, sizeof(*troubles));
	for (uint32_t i = 0; i < EBB_ERR_MAX; i++)
		troubles->list[i].seen = errors[i];
}

void ebb_troubles_look(struct ebb_troubles *troubles, const uint64_t errors[EBB_ERR_MAX], uint64_t now_ns,
		       void (*tell)(void *userdata, const struct ebb_trouble_news *news), void *userdata)
{
	for (uint32_t i = 0; i < EBB_ERR_MAX; i++) {
		struct ebb_trouble *t = &troubles->list[i];
		struct ebb_trouble_news news = {.error = i};
		uint64_t count = errors[i];

		if (count != t->seen) {
			if (!t->on) {
				t->on = true;
				t->began_at = t->seen;
				t->began_ns = now_ns;
				news.count = count - t->began_at;
				tell(userdata, &news);
			}
			t->seen = count;
			t->last_ns = now_ns;
			continue;
		}
		if (!t->on || now_ns - t->last_ns < EBB_TROUBLE_QUIET_NS)
			continue;
		t->on = false;
		news.ended = true;
		news.count = count - t->began_at;
		news.lasted_ns = t->last_ns - t->began_ns;
		tell(userdata, &news);
	}
}

const char *ebb_trouble_instead(uint32_t error)
{
	switch (error) {
	case EBB_ERR_DST_TABLE_FULL:
	case EBB_ERR_ENDPOINT_TABLE_FULL:
		return "new destinations share ~other, which is counted and never refused";
	case EBB_ERR_SHARE_FULL:
		return "its new destinations share ~other, which is counted and never refused; those of others do not";
	case EBB_ERR_PAIR_TABLE_FULL:
		return "new workloads of a destination are counted together, and ask its gate";
	case EBB_ERR_EVENT_LOST:
		return "verdicts wait for the next tick";
	case EBB_ERR_GAUGE_CORRECTED:
		return "they are right again";
	case EBB_ERR_RECORD_LOST:
		return "they are missing in the recording; 'ebb record' says how many";
	case EBB_ERR_DNS_LOST:
		return "names in these answers are not known";
	default:
		return "these connections are let through";
	}
}
