/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a gate answers, and how a result moves it. Functions of (gate, verdict,
 * policy, agent, now): no map, no helper, no clock, so that a plain unit test
 * runs the very code that the kernel runs.
 *
 * A gate is asked in the order of enum ebb_cause: override, node fuse, breaker verdict
 * (with a probe slot when half-open), connection rate, concurrency. A refusal ends
 * the list, and what was refused holds nothing: no probe, no token, no slot. The fuse
 * never refuses a probe: what has healed would not be seen.
 *
 * Shared words change by one compare-and-swap. Where a race is tolerated, the
 * function says where and by how much.
 */
#ifndef EBB_GATE_H
#define EBB_GATE_H

#include "bpf/abi.h"
#include "bpf/atomic.h"
#include "bpf/bucket.h"
#include "bpf/limit.h"
#include "bpf/mode.h"

/* An agent that has not ticked for so long leaves the end of half-open to the kernel. */
#define EBB_AGENT_ABSENT_NS 2000000000ULL

enum ebb_answer_kind {
	EBB_ANSWER_PASS,
	EBB_ANSWER_PROBE, /* passes, and its result decides */
	EBB_ANSWER_DENY,
};

struct ebb_answer {
	__u64 probe_word; /* PROBE: what was written into the probe slot */
	__u32 kind;	  /* enum ebb_answer_kind */
	__u32 cause;	  /* DENY: enum ebb_cause */
	__u32 gen;	  /* generation in force */
	__u32 probe_index;
	__u32 slot_taken; /* a concurrency slot is held */
	__u32 mute;	  /* passes although the gate is not closed: its result moves nothing */
	__u32 errors;	  /* 1 << enum ebb_error, to be counted */
	__u32 pad;
};

/*
 * Who asks. UDP has no results of its own, so it is never a probe. Nor is a socket of the kernel itself (a subflow of
 * MPTCP, NFS), which takes no slot either: nobody would give it back, since sock_release never runs for it (ruling 11).
 */
enum ebb_asker {
	EBB_ASKER_TCP,
	EBB_ASKER_TCP_KERNEL,
	EBB_ASKER_UDP_CONNECT,
	EBB_ASKER_UDP_SEND, /* a datagram of an unconnected socket: asks for no slot, and no connection */
};

/* What became of a result. */
#define EBB_RESULT_COUNTED   1U /* it moved the facts */
#define EBB_RESULT_PULLED    2U /* it opened the gate */
#define EBB_RESULT_EXHAUSTED 4U /* compare-and-swap lost too often */

static inline __attribute__((always_inline)) int ebb_agent_alive(const struct ebb_agent *agent, __u64 now_ns,
								 __u64 limit_ns)
{
	__u64 heartbeat = EBB_LOAD(agent->heartbeat_ns);

	/* signed: a tick may have ended after now was read */
	return heartbeat != 0 && (__s64)(now_ns - heartbeat) <= (__s64)limit_ns;
}

/* enum ebb_fuse_action: an agent that is gone says nothing about the node. */
static inline __attribute__((always_inline)) __u32 ebb_fuse_in_force(const struct ebb_agent *agent,
								     __u64 now_ns)
{
	__u32 fuse = EBB_LOAD(agent->fuse);

	return fuse && ebb_agent_alive(agent, now_ns, EBB_LOAD(agent->lease_ns)) ? fuse : EBB_FUSE_OFF;
}

/* @fuse: as in force, or without a clock as the agent said it last: then it is to be asked. */
static inline __attribute__((always_inline)) int ebb_fuse_sheds(const struct ebb_policy *policy, __u32 fuse)
{
	return fuse == EBB_FUSE_SHED && !policy->fuse_exempt;
}

static inline __attribute__((always_inline)) __u64 ebb_gate_word(const struct ebb_gate *gate,
								 const struct ebb_verdict *verdict)
{
	return ebb_word_in_force(EBB_LOAD(verdict->word), EBB_LOAD(gate->pull));
}

/* Does the share that a closed gate lets through still grow, or did it once? Without a clock. */
static inline __attribute__((always_inline)) int ebb_gate_ramps(__u64 word, const struct ebb_policy *policy)
{
	return ebb_word_until(word) && policy->ramp_ticks;
}

/* Nothing to decide: closed, no override, no limit. The common case needs no clock. */
static inline __attribute__((always_inline)) int ebb_gate_is_plain(__u64 word,
								   const struct ebb_policy *policy)
{
	return ebb_word_state(word) == EBB_STATE_CLOSED && !policy->override_state &&
	       !(policy->asks & EBB_ASK_CONNECT) && !ebb_gate_ramps(word, policy);
}

/* The open time armed for the next trip, and the run that trips. */
static inline __attribute__((always_inline)) __u64 ebb_gate_arm(const struct ebb_verdict *verdict,
								const struct ebb_policy *policy)
{
	__u64 arm = EBB_LOAD(verdict->arm);

	return arm ? arm : EBB_LOAD(policy->arm);
}

static inline __attribute__((always_inline)) __u64 ebb_gate_open_word(__u32 gen, __u64 arm, __u64 now_ns)
{
	return ebb_word(gen, EBB_STATE_OPEN, ebb_ns_to_ticks(now_ns) + ebb_arm_open_ticks(arm));
}

/* Closed, from which on a ramp lets a growing share through. */
static inline __attribute__((always_inline)) __u64 ebb_closed_word(__u32 gen, __u32 ramp_ticks, __u64 now_ns)
{
	return ebb_word(gen, EBB_STATE_CLOSED, ramp_ticks ? ebb_ns_to_ticks(now_ns) + ramp_ticks : 0);
}

/*
 * The moves that the kernel makes alone at a connect(): open -> half_open when
 * its time is over; with no agent half_open -> closed or open by the probe
 * counts. Returns the word that is in force afterwards.
 *
 * The swap can fail only because another processor or the agent made the same
 * move; theirs is then in force.
 */
static inline __attribute__((always_inline)) __u64
ebb_gate_settle(struct ebb_gate *gate, const struct ebb_verdict *verdict, const struct ebb_policy *policy,
		const struct ebb_agent *agent, __u64 now_ns)
{
	__u64 pull = EBB_LOAD(gate->pull);
	__u64 word = ebb_word_in_force(EBB_LOAD(verdict->word), pull);
	__u32 gen = ebb_word_gen(word);
	__u32 state = ebb_word_state(word);
	__u64 next, result;

	if (state == EBB_STATE_OPEN) {
		if ((now_ns >> EBB_TICK_SHIFT) < ebb_word_until(word))
			return word;
		next = ebb_word(ebb_gen_next(gen), EBB_STATE_HALF_OPEN, 0);
	} else if (state == EBB_STATE_HALF_OPEN) {
		if (ebb_agent_alive(agent, now_ns, EBB_AGENT_ABSENT_NS))
			return word;
		result = EBB_LOAD(gate->probe_result);
		if (ebb_probe_succeeded(result, gen) >= policy->close_after)
			next = ebb_closed_word(ebb_gen_next(gen), policy->ramp_ticks, now_ns);
		else if (ebb_probe_failed(result, gen) >= policy->reopen_after)
			next = ebb_gate_open_word(ebb_gen_next(gen), ebb_gate_arm(verdict, policy), now_ns);
		else
			return word;
	} else {
		return word;
	}
	if (EBB_CAS(&gate->pull, pull, next) == pull)
		return next;
	return ebb_gate_word(gate, verdict);
}

/* ------------------------------------------------------------------ probes -- */

/* Counts a probe's result under its generation; one of an earlier generation is dropped. */
EBB_SUBPROG __u32 ebb_probe_count(struct ebb_gate *gate, __u32 gen, int ok)
{
	__u64 old, new;
	__u32 old_gen;

	if (!gate)
		return 0;
	for (int i = 0; i < EBB_CAS_TRIES; i++) {
		old = EBB_LOAD(gate->probe_result);
		old_gen = (__u32)(old >> 41);
		if (old_gen != gen && !ebb_gen_after(gen, old_gen))
			return 0;
		new = ebb_probe_result_word(gen, ebb_probe_succeeded(old, gen) + (ok ? 1U : 0U),
					    ebb_probe_failed(old, gen) + (ok ? 0U : 1U));
		if (EBB_CAS(&gate->probe_result, old, new) == old)
			return EBB_RESULT_COUNTED;
	}
	return EBB_RESULT_EXHAUSTED;
}

/* Takes one of the first @probes slots for @word. Returns which, EBB_PROBES_MAX: all are taken. */
EBB_SUBPROG __u32 ebb_probe_slot_take(struct ebb_gate *gate, __u32 probes, __u64 word, __u64 now_ticks)
{
	__u32 gen = ebb_probe_slot_gen(word);
	__u64 old;

	if (!gate)
		return EBB_PROBES_MAX;
	for (__u32 i = 0; i < EBB_PROBES_MAX; i++) {
		if (i >= probes)
			break;
		old = EBB_LOAD(gate->probes[i]);
		if (old != 0 && ebb_probe_slot_gen(old) == gen && now_ticks < ebb_probe_slot_deadline(old))
			continue;
		if (EBB_CAS(&gate->probes[i], old, word) != old)
			continue;
		if (old != 0 && ebb_probe_slot_gen(old) == gen)
			(void)ebb_probe_count(gate, gen, 0);
		return i;
	}
	return EBB_PROBES_MAX;
}

/*
 * Takes a probe slot: a free one, one of an earlier generation, or one whose lease is
 * over; taking over the last counts the failed probe. -1: all taken, or the probes have
 * failed already, and the gate only waits for the agent, or for its absence, to be opened.
 */
static inline __attribute__((always_inline)) int ebb_probe_take(struct ebb_gate *gate,
								const struct ebb_policy *policy, __u32 gen,
								__u64 now_ns, __u64 *ret_word)
{
	__u64 now = now_ns >> EBB_TICK_SHIFT;
	__u32 index;

	if (ebb_probe_failed(EBB_LOAD(gate->probe_result), gen) >= policy->reopen_after)
		return -1;
	*ret_word = ebb_probe_slot_word(gen, ebb_ns_to_ticks(now_ns) + policy->probe_lease_ticks);
	index = ebb_probe_slot_take(gate, policy->probes, *ret_word, now);
	return index < EBB_PROBES_MAX ? (int)index : -1;
}

enum ebb_probe_end {
	EBB_PROBE_NONE, /* no result: given back */
	EBB_PROBE_OK,
	EBB_PROBE_FAILED,
};

/*
 * Gives a probe slot back, only from one's own value, and counts its result; after
 * the lease a success is a failure. A slot that was taken over is counted already.
 */
static inline __attribute__((always_inline)) __u32
ebb_probe_finish(struct ebb_gate *gate, __u32 index, __u64 word, __u64 now_ns, enum ebb_probe_end end)
{
	__u64 now = now_ns >> EBB_TICK_SHIFT;

	if (index >= EBB_PROBES_MAX)
		return 0;
	if (EBB_CAS(&gate->probes[index], word, 0) != word)
		return 0;
	if (now >= ebb_probe_slot_deadline(word))
		end = EBB_PROBE_FAILED;
	if (end == EBB_PROBE_NONE)
		return 0;
	return ebb_probe_count(gate, ebb_probe_slot_gen(word), end == EBB_PROBE_OK);
}

/* The word with which one's own slot is held @lease_ticks longer from now on; 0: it is lost. */
static inline __attribute__((always_inline)) __u64
ebb_probe_prolong(struct ebb_gate *gate, __u32 index, __u64 word, __u64 lease_ticks, __u64 now_ns)
{
	__u64 now = now_ns >> EBB_TICK_SHIFT;
	__u64 longer = ebb_probe_slot_word(ebb_probe_slot_gen(word), now + lease_ticks + 1);

	if (index >= EBB_PROBES_MAX || now >= ebb_probe_slot_deadline(word) ||
	    EBB_CAS(&gate->probes[index], word, longer) != word)
		return 0;
	return longer;
}

/*
 * Is the gate open now for its live connections, too? What an operator says goes before all.
 * One whose time is over is not, even if no connect() has come that moves it; nor one whose
 * verdict does not hold: the lease is over (@leased), or the node fuse releases.
 */
static inline __attribute__((always_inline)) int
ebb_gate_is_shut(const struct ebb_gate *gate, const struct ebb_verdict *verdict,
		 const struct ebb_policy *policy, const struct ebb_agent *agent, int leased, __u64 now_ns)
{
	__u32 override_state = ebb_override_in_force(policy, now_ns);
	__u64 word;

	if (override_state != EBB_OVERRIDE_AUTO)
		return override_state == EBB_OVERRIDE_OPEN;
	word = ebb_gate_word(gate, verdict);
	return leased && ebb_word_state(word) == EBB_STATE_OPEN &&
	       (now_ns >> EBB_TICK_SHIFT) < ebb_word_until(word) &&
	       ebb_fuse_in_force(agent, now_ns) != EBB_FUSE_RELEASE;
}

/* Are its live connections to be destroyed? */
static inline __attribute__((always_inline)) int ebb_gate_resets(const struct ebb_gate *gate,
								 const struct ebb_verdict *verdict,
								 const struct ebb_policy *policy,
								 const struct ebb_policy *node,
								 const struct ebb_agent *agent, __u64 now_ns)
{
	if (policy->established != EBB_ESTABLISHED_RESET ||
	    ebb_mode_in_force(policy, node, now_ns) != EBB_MODE_ENFORCE)
		return 0;
	return ebb_gate_is_shut(gate, verdict, policy, agent,
				policy->on_agent_loss == EBB_LOSS_HOLD ||
					ebb_agent_alive(agent, now_ns, EBB_LOAD(agent->lease_ns)),
				now_ns);
}

/* ------------------------------------------------------------- concurrency -- */

/* The way of those that lose: over for the moment between add and undo; nobody passes on the strength of it. */
static inline __attribute__((always_inline)) int ebb_slot_add(__u64 *in_use, __u32 limit)
{
	if (EBB_ADD(in_use, 1) < limit)
		return 1;
	EBB_ADD(in_use, (__u64)-1);
	return 0;
}

/* As ebb_bucket_take(): EBB_TOOK, EBB_EXHAUSTED. */
EBB_SUBPROG __u32 ebb_slot_try(__u64 *in_use, __u32 limit)
{
	__u64 old, seen;

	if (!in_use)
		return 0;
	old = EBB_LOAD(*in_use);
	for (int i = 0; i <= EBB_CAS_TRIES; i++) {
		if (old >= limit)
			return 0;
		if (i == EBB_CAS_TRIES)
			break;
		seen = EBB_CAS(in_use, old, old + 1);
		if (seen == old)
			return EBB_TOOK;
		old = seen;
	}
	return EBB_EXHAUSTED | (ebb_slot_add(in_use, limit) ? EBB_TOOK : 0);
}

/* Never over @limit: by compare-and-swap, after 8 lost tries and one more look by add and undo. */
static inline __attribute__((always_inline)) int ebb_slot_take(struct ebb_gate *gate, __u32 limit,
							       __u32 *io_errors)
{
	__u32 took = ebb_slot_try(&gate->in_use, limit);

	if (took & EBB_EXHAUSTED)
		*io_errors |= 1U << EBB_ERR_CAS_EXHAUSTED;
	return (took & EBB_TOOK) != 0;
}

/*
 * 0, or 1 << EBB_ERR_GAUGE_UNDERFLOW when there was nothing to give back.
 *
 * Tolerated: in the moment between the two adds another one may take what is not there, and a
 * slot stays in use until the agent counts again what is open.
 */
static inline __attribute__((always_inline)) __u32 ebb_slot_give(struct ebb_gate *gate)
{
	if ((__s64)EBB_ADD(&gate->in_use, (__u64)-1) > 0)
		return 0;
	EBB_ADD(&gate->in_use, 1);
	return 1U << EBB_ERR_GAUGE_UNDERFLOW;
}

/* --------------------------------------------------------- connection rate -- */

/* One connection costs one token; @take 0: only asks. 1: admitted. */
static inline __attribute__((always_inline)) int
ebb_token_take(struct ebb_gate *gate, const struct ebb_limit *limit, __u64 now_ns, int take, __u32 *io_errors)
{
	__u64 *full_ns = &gate->full_ns[EBB_LIMIT_CONNECTS];
	__u64 cost_ns = ebb_bucket_cost(limit, 1), burst_ns = EBB_LOAD(limit->burst_ns), debt_ns;
	__u32 took;

	if (!take)
		return ebb_bucket_admits(full_ns, now_ns, cost_ns, burst_ns, EBB_TAKE_STRICT);
	took = ebb_bucket_take(full_ns, now_ns, cost_ns, burst_ns, EBB_TAKE_STRICT, &debt_ns);
	if (took & EBB_EXHAUSTED)
		*io_errors |= 1U << EBB_ERR_CAS_EXHAUSTED;
	if (took & EBB_TOOK)
		return 1;
	ebb_bucket_forgive(full_ns, now_ns, limit, EBB_MOST_CONNECTS, 1);
	return 0;
}

/*
 * Both limits at once: which one refuses, the rate before the cap; EBB_CAUSE_MAX: none.
 *
 * The slot is taken before the token, since a slot goes back without a trace, a token
 * only while time has not brought it back already. So who finds no slot takes no token.
 *
 * Tolerated: a slot that goes back since there is no token may meanwhile refuse another
 * one, which would then have found no token either, unless one came back in that moment.
 */
EBB_SUBPROG __u32 ebb_gate_admit(struct ebb_gate *gate, const struct ebb_limit *limit, __u32 concurrent,
				 __u64 now_ns, struct ebb_answer *io_answer)
{
	int slot, has_room;

	if (!gate || !io_answer)
		return EBB_CAUSE_MAX;
	slot = concurrent ? ebb_slot_take(gate, concurrent, &io_answer->errors) : 0;
	has_room = slot || !concurrent;
	if (!limit || ebb_token_take(gate, limit, now_ns, has_room, &io_answer->errors)) {
		io_answer->slot_taken = (__u32)slot;
		return has_room ? EBB_CAUSE_MAX : EBB_CAUSE_CONCURRENCY;
	}
	if (slot)
		io_answer->errors |= ebb_slot_give(gate);
	return EBB_CAUSE_RATE;
}

/* ------------------------------------------------------------------ shares -- */

/*
 * Is the @n'th (from 1) of those that a @share (of 2^32) of is chosen? By the fractional part of n times
 * the golden ratio, which fills [0, 1) more evenly than chance (additive recurrence; H. Weyl, 1916): of any
 * run of n in a row the share is met within a few, whatever it grows to meanwhile.
 */
static inline __attribute__((always_inline)) int ebb_share_has(__u64 n, __u64 share)
{
	return (__u32)(n * 2654435769U) < share;
}

/* A closed gate whose share still grows: does it let this one through? What it loses in a race it lets through. */
EBB_SUBPROG int ebb_ramp_admits(struct ebb_gate *gate, __u64 word, __u32 ramp_ticks, __u64 now_ns)
{
	__u64 share = ebb_ramp_share(word, ramp_ticks, now_ns >> EBB_TICK_SHIFT), old;
	__u32 gen = ebb_word_gen(word), asked;

	if (!gate || share >> 32)
		return 1;
	for (int i = 0; i < EBB_CAS_TRIES; i++) {
		old = EBB_LOAD(gate->ramp_asked);
		asked = ebb_asked(old, gen) + 1;
		if (EBB_CAS(&gate->ramp_asked, old, ebb_asked_word(gen, asked)) == old)
			return ebb_share_has(asked, share);
	}
	return 1;
}

/* What is refused is refused, but for the share that only counts (enforce_percent). An operator means what is said. */
static inline __attribute__((always_inline)) int
ebb_refusal_stands(struct ebb_gate *gate, const struct ebb_policy *policy, __u32 cause)
{
	__u32 spare = EBB_LOAD(policy->spare_percent);

	if (!spare || cause == EBB_CAUSE_OVERRIDE)
		return 1;
	return ebb_share_has(EBB_ADD(&gate->refusals, 1) + 1,
			     ((100ULL - (spare < 100 ? spare : 100)) << 32) / 100);
}

/* --------------------------------------------------------------------- ask -- */

/*
 * @gate has the limits and the slots, @breaker the state that @verdict is about and the probes. They
 * are one, but for a workload that is apart: its breaker is that of a gate of its own.
 *
 * Who cannot be a probe passes a half-open gate. A gate that only such ones use would never have the result
 * that ends the state, and would refuse for ever; one that they share with others has its
 * time of being open behind it, and the others' probes say what comes next.
 */
static inline __attribute__((always_inline)) void
ebb_gate_ask_as(struct ebb_gate *gate, struct ebb_gate *breaker, const struct ebb_verdict *verdict,
		const struct ebb_policy *policy, const struct ebb_agent *agent, __u64 now_ns,
		enum ebb_asker asker, struct ebb_answer *ret_answer)
{
	/* a stale lease refuses nothing, unless the destination says to hold */
	int in_force = policy->on_agent_loss == EBB_LOSS_HOLD ||
		       ebb_agent_alive(agent, now_ns, EBB_LOAD(agent->lease_ns));
	__u32 override_state = ebb_override_in_force(policy, now_ns);
	__u32 fuse = ebb_fuse_in_force(agent, now_ns);
	const struct ebb_limit *limit;
	__u32 state, concurrent, cause;
	int probe, refuses;
	__u64 word;

	word = ebb_gate_settle(breaker, verdict, policy, agent, now_ns);
	state = ebb_word_state(word);
	ret_answer->probe_word = 0;
	ret_answer->kind = EBB_ANSWER_PASS;
	ret_answer->cause = 0;
	ret_answer->gen = ebb_word_gen(word);
	ret_answer->probe_index = 0;
	ret_answer->slot_taken = 0;
	ret_answer->mute = state != EBB_STATE_CLOSED;
	ret_answer->errors = 0;

	if (override_state == EBB_OVERRIDE_OPEN) {
		ret_answer->kind = EBB_ANSWER_DENY;
		ret_answer->cause = EBB_CAUSE_OVERRIDE;
		return;
	}
	if (state == EBB_STATE_HALF_OPEN && asker == EBB_ASKER_TCP) {
		probe = ebb_probe_take(breaker, policy, ret_answer->gen, now_ns, &ret_answer->probe_word);
		if (probe >= 0) {
			ret_answer->kind = EBB_ANSWER_PROBE;
			ret_answer->probe_index = (__u32)probe;
			ret_answer->mute = 0;
		}
	}
	if (ebb_fuse_sheds(policy, fuse) && ret_answer->kind != EBB_ANSWER_PROBE) {
		ret_answer->kind = EBB_ANSWER_DENY;
		ret_answer->cause = EBB_CAUSE_FUSE;
		return;
	}
	if (state == EBB_STATE_CLOSED)
		refuses = asker <= EBB_ASKER_TCP_KERNEL && ebb_gate_ramps(word, policy) &&
			  !ebb_ramp_admits(breaker, word, policy->ramp_ticks, now_ns);
	else
		refuses = state == EBB_STATE_OPEN ||
			  (asker == EBB_ASKER_TCP && ret_answer->kind == EBB_ANSWER_PASS);
	if (refuses && override_state != EBB_OVERRIDE_CLOSE && fuse != EBB_FUSE_RELEASE) {
		if (in_force) {
			ret_answer->kind = EBB_ANSWER_DENY;
			ret_answer->cause =
				state == EBB_STATE_HALF_OPEN ? EBB_CAUSE_HALF_OPEN : EBB_CAUSE_BREAKER;
			return;
		}
		ret_answer->errors |= 1U << EBB_ERR_LEASE_EXPIRED;
	}
	if (asker == EBB_ASKER_UDP_SEND)
		return;
	limit = ebb_limit_in_force(policy, EBB_LIMIT_CONNECTS, now_ns, in_force);
	concurrent = asker == EBB_ASKER_TCP_KERNEL ? 0 : ebb_concurrent_in_force(policy, now_ns, in_force);
	if (!limit && !concurrent)
		return;
	cause = ebb_gate_admit(gate, limit, concurrent, now_ns, ret_answer);
	if (cause == EBB_CAUSE_MAX)
		return;
	/* a probe slot that a later rule makes useless is given back at once */
	if (ret_answer->kind == EBB_ANSWER_PROBE)
		(void)ebb_probe_finish(breaker, ret_answer->probe_index, ret_answer->probe_word, now_ns,
				       EBB_PROBE_NONE);
	ret_answer->kind = EBB_ANSWER_DENY;
	ret_answer->cause = cause;
}

static inline __attribute__((always_inline)) void
ebb_gate_ask(struct ebb_gate *gate, const struct ebb_verdict *verdict, const struct ebb_policy *policy,
	     const struct ebb_agent *agent, __u64 now_ns, struct ebb_answer *ret_answer)
{
	ebb_gate_ask_as(gate, gate, verdict, policy, agent, now_ns, EBB_ASKER_TCP, ret_answer);
}

/*
 * For the node fuse: somebody asks for a destination whose results do not say so, since it is refused or its breaker is not
 * closed. What an operator refuses says nothing about the destination.
 */
static inline __attribute__((always_inline)) void
ebb_gate_note_asked(struct ebb_gate *gate, const struct ebb_answer *answer, __u64 now_ns)
{
	if (answer->kind == EBB_ANSWER_DENY ? answer->cause != EBB_CAUSE_OVERRIDE
					    : answer->kind == EBB_ANSWER_PROBE || answer->mute)
		EBB_STORE(gate->asked_ns, now_ns);
}

/* ----------------------------------------------------------------- results -- */

/* A success ends the run of its own generation, and no other. Returns EBB_RESULT_*. */
static inline __attribute__((always_inline)) __u32 ebb_run_end(struct ebb_gate *gate, __u32 gen)
{
	__u64 old;

	for (int i = 0; i < EBB_CAS_TRIES; i++) {
		old = EBB_LOAD(gate->run);
		if (!ebb_run_failures(old, gen) || EBB_CAS(&gate->run, old, ebb_run_word(gen, 0, 0)) == old)
			return EBB_RESULT_COUNTED;
	}
	return EBB_RESULT_COUNTED | EBB_RESULT_EXHAUSTED;
}

/*
 * A success of @pair: how many it has, and whose the last one was. Of two at once one is named, but each
 * is counted as another's, so that a look that saw neither is not taken for one that saw both.
 */
static inline __attribute__((always_inline)) void ebb_gate_succeeded(struct ebb_gate *gate,
								     struct ebb_pair *pair, __u32 who)
{
	__u64 old = EBB_LOAD(gate->succeeded), seen;

	EBB_ADD(&pair->result_ok, 1);
	if ((__u32)old == who)
		return;
	seen = EBB_CAS(&gate->succeeded, old, ebb_succeeded_next(old, who));
	if (seen != old && (__u32)seen != who)
		EBB_ADD(&gate->succeeded, 1ULL << 32);
}

/* One more failure of @who in a row; how many it are now is in the word. */
static inline __attribute__((always_inline)) __u64 ebb_run_count(struct ebb_gate *gate, __u32 gen, __u32 who,
								 __u32 *io_result)
{
	__u64 old = 0, run;

	for (int i = 0; i < EBB_CAS_TRIES; i++) {
		old = EBB_LOAD(gate->run);
		/* the gate has opened and closed since we looked: that run is not ours */
		if (ebb_gen_after((__u32)(old >> 41), gen))
			return old;
		run = ebb_run_next(old, gen, who);
		if (EBB_CAS(&gate->run, old, run) == old)
			return run;
	}
	*io_result |= EBB_RESULT_EXHAUSTED;
	/* the contenders are of this generation, and say whose it is; not near the end of the bits */
	if (ebb_run_failures(old, gen) > EBB_RUN_FAILURES_MAX / 2)
		return old;
	return EBB_ADD(&gate->run, 1) + 1;
}

/*
 * A result of @pair (its slot: @pair_slot) that is no probe's. Only one whose connection began in the
 * generation in force, with the gate closed, counts: for the pair first, so that who reads the gate
 * before its pairs finds there whose results it has seen. The armed run of failures opens the
 * gate here, so that not one more connect slips through.
 *
 * Tolerated: a success that loses to a failure 8 times counts as if it had come before them
 * all; a failure that loses 8 times, while the gate opens and closes, as one of the later run,
 * and else as one of those whose run it is: then it is the agent that finds that it is mixed.
 */
static inline __attribute__((always_inline)) __u32
ebb_gate_result(struct ebb_gate *gate, const struct ebb_verdict *verdict, const struct ebb_policy *policy,
		struct ebb_pair *pair, __u32 pair_slot, __u64 now_ns, __u32 gen, int ok, int slow)
{
	__u64 word = ebb_gate_word(gate, verdict);
	__u32 result = EBB_RESULT_COUNTED;
	__u32 who = ebb_run_who(pair_slot);
	__u64 run, seen, arm, pull;

	if (ebb_word_gen(word) != gen || ebb_word_state(word) != EBB_STATE_CLOSED)
		return 0;
	if (slow) {
		EBB_ADD(&pair->result_slow, 1);
		EBB_ADD(&gate->slow, 1);
	}
	if (ok) {
		ebb_gate_succeeded(gate, pair, who);
		EBB_ADD(&gate->ok, 1);
		return ebb_run_end(gate, gen);
	}

	EBB_ADD(&pair->result_failed, 1);
	EBB_ADD(&gate->failed, 1);
	EBB_STORE(gate->last_failure_ns, now_ns);
	run = ebb_run_count(gate, gen, who, &result);

	seen = EBB_LOAD(verdict->succeeded); /* before the arm, which is written first */
	arm = ebb_gate_arm(verdict, policy);
	if (!ebb_arm_failures(arm) || ebb_run_failures(run, gen) < ebb_arm_failures(arm) ||
	    !ebb_arm_admits(arm, seen, ebb_run_whose(run, gen), EBB_LOAD(gate->succeeded)))
		return result;
	pull = EBB_LOAD(gate->pull);
	word = ebb_word_in_force(EBB_LOAD(verdict->word), pull);
	if (ebb_word_gen(word) != gen || ebb_word_state(word) != EBB_STATE_CLOSED)
		return result;
	if (EBB_CAS(&gate->pull, pull, ebb_gate_open_word(ebb_gen_next(gen), arm, now_ns)) == pull)
		result |= EBB_RESULT_PULLED;
	return result;
}

#endif /* EBB_GATE_H */
