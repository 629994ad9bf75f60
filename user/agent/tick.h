/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One tick: read maps -> windows -> breakers -> node fuse -> verdicts -> write what changed.
 * A function of the maps, the settings and the time it is given, so that a
 * test calls it with a fake clock and a fake kernel. It makes no system call
 * and allocates nothing.
 */
#ifndef EBB_AGENT_TICK_H
#define EBB_AGENT_TICK_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/moves.h"
#include "bpf/abi.h"
#include "core/fuse.h"
#include "core/policy.h"
#include "kernel/maps.h"

struct ebb_tick_result {
	uint32_t dst_live; /* slots in use, ~other not counted */
	uint32_t pair_live;
	uint32_t moves;
	bool busy; /* results or a move came in this tick or a moment ago: the next one is to be soon */
	uint64_t deadline_ns; /* when something ends by itself; UINT64_MAX: nothing */
};

typedef void (*ebb_fuse_handler)(void *userdata, const struct ebb_fuse_move *move);

struct ebb_ticker;

/*
 * @view is borrowed. @config holds for every destination until ebb_ticker_configure() says more. @seed: of the node's
 * jitter. @restore: the maps come from an earlier agent, and what they remember is taken up; that the node fuse acts, if
 * the lease was not over when this one started (agent.started_ns). @moves is borrowed, too, and has no listener yet: its
 * first are the ticker's own, which remember and obey. 0 or -ENOMEM.
 */
int ebb_ticker_new(const struct ebb_view *view, const struct ebb_breaker_config *config, uint64_t seed,
		   bool restore, struct ebb_moves *moves, struct ebb_ticker **ret_ticker);
void ebb_ticker_free(struct ebb_ticker *ticker);

/*
 * From now on the breakers of destination slot d follow @configs[@of_dst[d]]; both borrowed until
 * the next call. What a breaker has counted goes on, its window too. What is armed
 * follows with the next look.
 */
void ebb_ticker_configure(struct ebb_ticker *ticker, const struct ebb_breaker_config *configs,
			  const uint32_t *of_dst);

/*
 * From now on the node fuse follows @config, and its moves are told to @on_move (NULL: to nobody). Until then it is that of
 * the defaults. Whether it acts does not change by it, what it does then follows with the next tick.
 */
void ebb_ticker_fuse(struct ebb_ticker *ticker, const struct ebb_fuse_config *config,
		     ebb_fuse_handler on_move, void *userdata);

/* All gates, then the node fuse. @now_ns never goes back. The caller writes the heartbeat, as the last thing. */
void ebb_tick(struct ebb_ticker *ticker, uint64_t now_ns, struct ebb_tick_result *ret_result);

/* One gate, because of a hint; others wait for the tick. Returns its deadline as in ebb_tick_result. */
uint64_t ebb_tick_gate(struct ebb_ticker *ticker, uint32_t gate, uint64_t now_ns);

/* Marks the start of a look: the kernel then wakes the agent again for what comes after. */
void ebb_tick_begin(const struct ebb_view *view);

#endif /* EBB_AGENT_TICK_H */
