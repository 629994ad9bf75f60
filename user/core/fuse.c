/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The node fuse.
 *
 *	+-----+   enough destinations, results, and enough of the first open   +------+
 *	| off | -------------------------------------------------------------> | acts |
 *	+-----+ <------------------------------------------------------------- +------+
 *	            for one window less than half of that share open
 */
#include "core/fuse.h"

#include "core/policy.h"

void ebb_fuse_defaults(struct ebb_fuse_config *ret_config)
{
	struct ebb_breaker_config breaker;

	ebb_policy_defaults(&breaker);
	*ret_config = (struct ebb_fuse_config){
		.open_ratio = 0.5,
		.min_destinations = 4,
		.min_calls = 50,
		.action = EBB_FUSE_ALERT,
		.window_ns = breaker.window_ns,
	};
}

/* Half-open counts as open: its breaker has tripped and nobody has seen it healed, and the ratio must not swing with each probe. */
void ebb_fuse_count_gate(struct ebb_fuse_gates *io_gates, uint32_t state, uint64_t used_ns,
			 uint64_t window_ns, uint64_t now_ns)
{
	if (!used_ns || (now_ns > used_ns && now_ns - used_ns >= window_ns))
		return;
	io_gates->active++;
	io_gates->open += state != EBB_STATE_CLOSED;
}

void ebb_fuse_count_destination(struct ebb_fuse_facts *io_facts, const struct ebb_fuse_gates *gates,
				bool named)
{
	if (!gates->active || (!named && gates->workloads < 2))
		return;
	io_facts->active++;
	io_facts->open += 2 * (uint64_t)gates->open >= gates->active;
}

static double ratio_of(const struct ebb_fuse_facts *facts)
{
	return facts->active ? (double)facts->open / facts->active : 0;
}

static bool begins(const struct ebb_fuse *fuse, const struct ebb_fuse_config *config,
		   const struct ebb_fuse_facts *facts)
{
	return facts->active >= config->min_destinations && fuse->window.sum.ok >= config->min_calls &&
	       ratio_of(facts) >= config->open_ratio;
}

/* Also moves on the time since when the ratio is low enough. */
static bool ends(struct ebb_fuse *fuse, const struct ebb_fuse_config *config,
		 const struct ebb_fuse_facts *facts, uint64_t now_ns)
{
	if (ratio_of(facts) >= config->open_ratio / 2) {
		fuse->below_ns = 0;
		return false;
	}
	if (!fuse->below_ns)
		fuse->below_ns = now_ns;
	return now_ns - fuse->below_ns >= config->window_ns;
}

bool ebb_fuse_look(struct ebb_fuse *fuse, const struct ebb_fuse_config *config,
		   const struct ebb_fuse_facts *facts, uint64_t now_ns, struct ebb_fuse_move *ret_move)
{
	uint32_t results = facts->results < UINT32_MAX ? (uint32_t)facts->results : UINT32_MAX;

	ebb_window_shape(&fuse->window, config->window_ns, 0, now_ns);
	ebb_window_advance(&fuse->window, now_ns);
	ebb_window_add(&fuse->window, (struct ebb_counts){.ok = results});
	if (fuse->acts ? !ends(fuse, config, facts, now_ns) : !begins(fuse, config, facts))
		return false;
	fuse->acts = !fuse->acts;
	fuse->below_ns = 0;
	*ret_move = (struct ebb_fuse_move){
		.at_ns = now_ns,
		.acts = fuse->acts,
		.action = config->action,
		.active = facts->active,
		.open = facts->open,
		.calls = fuse->window.sum.ok,
	};
	return true;
}

uint64_t ebb_fuse_deadline(const struct ebb_fuse *fuse, const struct ebb_fuse_config *config)
{
	return fuse->acts && fuse->below_ns ? fuse->below_ns + config->window_ns : UINT64_MAX;
}

uint32_t ebb_fuse_of(const struct ebb_agent *agent, uint64_t now_ns)
{
	if (agent->heartbeat_ns == 0 || (int64_t)(now_ns - agent->heartbeat_ns) > (int64_t)agent->lease_ns)
		return EBB_FUSE_OFF;
	return agent->fuse;
}

bool ebb_fuse_refuses(const struct ebb_policy *policy, uint32_t fuse)
{
	return fuse == EBB_FUSE_SHED && !policy->fuse_exempt;
}

const char *ebb_fuse_name(uint32_t fuse)
{
	static const char *const names[EBB_FUSE_MAX] = {
		[EBB_FUSE_OFF] = "off",
		[EBB_FUSE_ALERT] = "alert",
		[EBB_FUSE_RELEASE] = "release",
		[EBB_FUSE_SHED] = "shed",
	};

	return fuse < EBB_FUSE_MAX ? names[fuse] : "unknown";
}
