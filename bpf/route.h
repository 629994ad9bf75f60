/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Endpoint -> destination -> pair and gate. A connect hook discovers what it
 * has not met; later hooks only look up.
 */
#ifndef EBB_ROUTE_H
#define EBB_ROUTE_H

#include "bpf/conn.h"
#include "bpf/key.h"
#include "bpf/maps.h"
#include "bpf/stats.h"
#include "bpf/workload.h"

/* Everything that a hook works on. All pointers are valid when it was found. */
struct ebb_route {
	struct ebb_dst *dst;
	struct ebb_pair *pair;
	struct ebb_gate *gate;
	struct ebb_verdict *verdict;
	struct ebb_policy *policy;
	__u32 dst_slot;
	__u32 pair_slot;
	__u32 gate_slot;
	__u32 class; /* enum ebb_class of the workload; ALONE also where nothing was found */
};

/* *high = max(*high, slot) */
static __always_inline void ebb_raise(__u32 *high, __u32 slot)
{
	__u32 old;

	for (int i = 0; i < EBB_CAS_TRIES; i++) {
		old = EBB_LOAD(*high);
		if (old >= slot || EBB_CAS(high, old, slot) == old)
			return;
	}
	ebb_count_error(EBB_ERR_CAS_EXHAUSTED);
}

/*
 * First connection to an endpoint: gives it a slot of its own. Where two
 * processors meet it at once, one slot wins and the other goes back.
 * Writes the slot and epoch that stand in the map then, ~other when there is no room.
 */
static __noinline int ebb_discover_dst(const struct ebb_endpoint *key, __u64 workload,
				       struct ebb_ref *ret_ref)
{
	struct ebb_kernel *kernel = ebb_kernel_get();
	struct ebb_policy *policy;
	struct ebb_ref *found;
	struct ebb_dst *dst;
	struct ebb_ref ref;
	__u32 slot = 0;
	long err;

	if (!key || !ret_ref || !kernel)
		return 0;
	ret_ref->slot = EBB_SLOT_OTHER;
	ret_ref->epoch = 0;
	if (!ebb_share_take(workload))
		return 0;
	if (bpf_map_pop_elem(&ebb_freedst_v1, &slot)) {
		ebb_share_give(workload);
		ebb_count_error(EBB_ERR_DST_TABLE_FULL);
		return 0;
	}
	dst = bpf_map_lookup_elem(&ebb_dst_v1, &slot);
	policy = bpf_map_lookup_elem(&ebb_policy_v1, &slot);
	if (!dst || !policy) {
		ebb_share_give(workload);
		ebb_count_error(EBB_ERR_SLOT_INVALID);
		return 0;
	}
	dst->endpoint = *key;
	dst->finder = workload;
	dst->scope = ebb_key_is_local(key) ? EBB_SCOPE_WORKLOAD : policy->scope;
	dst->created_ns = bpf_ktime_get_ns();
	__sync_lock_test_and_set(&dst->state, EBB_SLOT_LIVE); /* after all it says */
	ref.slot = slot;
	ref.epoch = dst->epoch;
	err = bpf_map_update_elem(&ebb_endpoint_v1, key, &ref, BPF_NOEXIST);
	if (!err) {
		ebb_raise(&kernel->dst_high, slot);
		*ret_ref = ref;
		ebb_hint(EBB_EVENT_DST_NEW, 0, 0, slot, 0);
		return 0;
	}
	EBB_STORE(dst->state, EBB_SLOT_FREE);
	dst->finder = 0;
	ebb_share_give(workload);
	if (bpf_map_push_elem(&ebb_freedst_v1, &slot, 0))
		ebb_count_error(EBB_ERR_SLOT_INVALID);
	found = bpf_map_lookup_elem(&ebb_endpoint_v1, key);
	if (found)
		*ret_ref = *found;
	else
		ebb_count_error(EBB_ERR_ENDPOINT_TABLE_FULL);
	return 0;
}

/* The same for a workload that meets a destination for the first time. */
static __noinline int ebb_discover_pair(const struct ebb_pair_key *key, __u32 scope, struct ebb_ref *ret_ref)
{
	struct ebb_kernel *kernel = ebb_kernel_get();
	struct ebb_pair *pair;
	struct ebb_ref *found;
	struct ebb_ref ref;
	__u32 slot = 0;

	if (!key || !ret_ref || !kernel)
		return 0;
	ret_ref->slot = EBB_SLOT_OTHER;
	ret_ref->epoch = 0;
	if (bpf_map_pop_elem(&ebb_freepair_v1, &slot)) {
		ebb_count_error(EBB_ERR_PAIR_TABLE_FULL);
		return 0;
	}
	pair = bpf_map_lookup_elem(&ebb_pstat_v1, &slot);
	if (!pair) {
		ebb_count_error(EBB_ERR_SLOT_INVALID);
		return 0;
	}
	pair->workload = key->workload;
	pair->dst = key->dst;
	pair->dst_epoch = key->dst_epoch;
	pair->gate = scope == EBB_SCOPE_WORKLOAD ? ebb_config.dst_max + slot : key->dst;
	pair->created_ns = bpf_ktime_get_ns();
	__sync_lock_test_and_set(&pair->state, EBB_SLOT_LIVE);
	ref.slot = slot;
	ref.epoch = pair->epoch;
	if (!bpf_map_update_elem(&ebb_pair_v1, key, &ref, BPF_NOEXIST)) {
		ebb_raise(&kernel->pair_high, slot);
		*ret_ref = ref;
		return 0;
	}
	EBB_STORE(pair->state, EBB_SLOT_FREE);
	if (bpf_map_push_elem(&ebb_freepair_v1, &slot, 0))
		ebb_count_error(EBB_ERR_SLOT_INVALID);
	found = bpf_map_lookup_elem(&ebb_pair_v1, key);
	if (found)
		*ret_ref = *found;
	else
		ebb_count_error(EBB_ERR_PAIR_TABLE_FULL);
	return 0;
}

/* Everything that belongs to two slots. 0: an index is outside its table, or has a new owner. */
static __always_inline int ebb_route_open(__u32 dst_slot, __u32 dst_epoch, __u32 pair_slot, __u32 pair_epoch,
					  struct ebb_route *ret)
{
	__u32 gate_slot;

	ret->dst = bpf_map_lookup_elem(&ebb_dst_v1, &dst_slot);
	ret->pair = bpf_map_lookup_elem(&ebb_pstat_v1, &pair_slot);
	ret->policy = bpf_map_lookup_elem(&ebb_policy_v1, &dst_slot);
	if (!ret->dst || !ret->pair || !ret->policy) {
		ebb_count_error(EBB_ERR_SLOT_INVALID);
		return 0;
	}
	if (ret->dst->epoch != dst_epoch || ret->pair->epoch != pair_epoch) {
		ebb_count_error(EBB_ERR_EPOCH_STALE);
		return 0;
	}
	/* a workload without a pair of its own still asks the node's gate */
	if (ret->dst->scope == EBB_SCOPE_NODE)
		gate_slot = dst_slot;
	else
		gate_slot = pair_slot == EBB_SLOT_OTHER ? EBB_SLOT_OTHER : ebb_config.dst_max + pair_slot;
	ret->gate = bpf_map_lookup_elem(&ebb_gate_v1, &gate_slot);
	ret->verdict = bpf_map_lookup_elem(&ebb_verdict_v1, &gate_slot);
	if (!ret->gate || !ret->verdict) {
		ebb_count_error(EBB_ERR_SLOT_INVALID);
		return 0;
	}
	ret->dst_slot = dst_slot;
	ret->pair_slot = pair_slot;
	ret->gate_slot = gate_slot;
	/* ~other is no workload: who knows which it is says it afterwards */
	ret->class =
		pair_slot == EBB_SLOT_OTHER ? EBB_CLASS_GOVERNED : ebb_workload_class(ret->pair->workload, 0);
	return 1;
}

/*
 * Where the route of an endpoint and a workload was found last: both slots in one
 * word, 0 for none, so that no reader sees half of one. It saves a hook its two hash
 * lookups (30 ns each).
 *
 * It is only a guess, and held against what the slots themselves say: one that is
 * stale, or of another key with the same index, is a miss and never a mistake. ~other
 * is never guessed, since its slots say nothing about the key.
 *
 * Tolerated: a pair slot once used by the same key, and now given to it again by a
 * processor that will lose the race for the pair (ebb_discover_pair), takes one count.
 */
static __always_inline __u64 *ebb_guess_of(const struct ebb_endpoint *endpoint, __u64 workload)
{
	const __u32 *words = (const __u32 *)endpoint;
	__u64 mix = (__u64)words[3] << 32 | words[4];
	__u32 index;

	mix += (words[0] ^ words[1]) + ((__u64)words[2] << 16) + workload * 0x9e3779b97f4a7c15ULL;
	index = (__u32)((mix * 0xff51afd7ed558ccdULL) >> (64 - EBB_GUESS_BITS));
	return bpf_map_lookup_elem(&ebb_guess_v1, &index);
}

static __always_inline void ebb_guess_learn(__u64 *guess, const struct ebb_route *route)
{
	if (route->dst_slot != EBB_SLOT_OTHER && route->pair_slot != EBB_SLOT_OTHER)
		EBB_STORE(*guess, (__u64)route->dst_slot << 32 | route->pair_slot);
}

/* 0: has to be looked up. */
static __always_inline int ebb_route_guess(const __u64 *guess, const struct ebb_endpoint *endpoint,
					   __u64 workload, struct ebb_route *ret)
{
	__u64 word = EBB_LOAD(*guess);
	__u32 dst_slot = (__u32)(word >> 32), pair_slot = (__u32)word, gate_slot;
	struct ebb_pair *pair;
	struct ebb_dst *dst;

	if (!word)
		return 0;
	dst = bpf_map_lookup_elem(&ebb_dst_v1, &dst_slot);
	pair = bpf_map_lookup_elem(&ebb_pstat_v1, &pair_slot);
	if (!dst || dst->state != EBB_SLOT_LIVE || !ebb_key_equal(&dst->endpoint, endpoint))
		return 0;
	if (!pair || pair->state != EBB_SLOT_LIVE || pair->workload != workload || pair->dst != dst_slot ||
	    pair->dst_epoch != dst->epoch)
		return 0;
	gate_slot = dst->scope == EBB_SCOPE_NODE ? dst_slot : ebb_config.dst_max + pair_slot;
	ret->dst = dst;
	ret->pair = pair;
	ret->policy = bpf_map_lookup_elem(&ebb_policy_v1, &dst_slot);
	ret->gate = bpf_map_lookup_elem(&ebb_gate_v1, &gate_slot);
	ret->verdict = bpf_map_lookup_elem(&ebb_verdict_v1, &gate_slot);
	if (!ret->policy || !ret->gate || !ret->verdict)
		return 0;
	ret->dst_slot = dst_slot;
	ret->pair_slot = pair_slot;
	ret->gate_slot = gate_slot;
	ret->class = ebb_workload_class(workload, 1);
	return 1;
}

static __noinline int ebb_look_up_or_make(const struct ebb_endpoint *endpoint, __u64 workload, int discover,
					  struct ebb_route *ret)
{
	struct ebb_ref *found, dst_ref = {}, pair_ref = {};
	struct ebb_pair_key key;
	struct ebb_dst *dst;
	__u32 dst_slot, class;

	if (!endpoint || !ret)
		return 0;
	class = ebb_workload_class(workload, 1);
	ret->class = class;
	if (class == EBB_CLASS_ALONE)
		return 0;
	found = bpf_map_lookup_elem(&ebb_endpoint_v1, endpoint);
	if (found)
		dst_ref = *found;
	else if (discover)
		ebb_discover_dst(endpoint, workload, &dst_ref);
	else
		return 0;
	key.workload = workload;
	key.dst = dst_ref.slot;
	key.dst_epoch = dst_ref.epoch;
	found = bpf_map_lookup_elem(&ebb_pair_v1, &key);
	if (found) {
		pair_ref = *found;
	} else {
		dst_slot = dst_ref.slot;
		dst = bpf_map_lookup_elem(&ebb_dst_v1, &dst_slot);
		if (!dst)
			return 0;
		ebb_discover_pair(&key, dst->scope, &pair_ref);
	}
	if (!ebb_route_open(dst_ref.slot, dst_ref.epoch, pair_ref.slot, pair_ref.epoch, ret))
		return 0;
	ret->class = class;
	return 1;
}

/* Finds or makes; without @discover it makes only a pair: 0 when the destination is not known. */
static __always_inline int ebb_route_join(const struct ebb_endpoint *endpoint, __u64 workload, int discover,
					  struct ebb_route *ret)
{
	__u64 *guess = ebb_guess_of(endpoint, workload);

	if (!guess)
		return 0;
	if (ebb_route_guess(guess, endpoint, workload, ret) && ret->class != EBB_CLASS_ALONE)
		return 1;
	if (!ebb_look_up_or_make(endpoint, workload, discover, ret))
		return 0;
	ebb_guess_learn(guess, ret);
	return 1;
}

/* For a connect hook: finds or makes. */
static __always_inline int ebb_route_meet(const struct ebb_endpoint *endpoint, __u64 workload,
					  struct ebb_route *ret)
{
	return ebb_route_join(endpoint, workload, 1, ret);
}

/* Finds and does not make; 0: there is nothing to find. */
static __always_inline int ebb_route_known(const struct ebb_endpoint *endpoint, __u64 workload,
					   struct ebb_route *ret)
{
	__u64 *guess = ebb_guess_of(endpoint, workload);
	struct ebb_pair_key key = {.workload = workload};
	struct ebb_ref *dst_ref, *pair_ref;

	if (guess && ebb_route_guess(guess, endpoint, workload, ret))
		return 1;
	ret->class = ebb_workload_class(workload, 0);
	dst_ref = bpf_map_lookup_elem(&ebb_endpoint_v1, endpoint);
	if (!dst_ref)
		return 0;
	key.dst = dst_ref->slot;
	key.dst_epoch = dst_ref->epoch;
	pair_ref = bpf_map_lookup_elem(&ebb_pair_v1, &key);
	if (!pair_ref)
		return 0;
	return ebb_route_open(key.dst, key.dst_epoch, pair_ref->slot, pair_ref->epoch, ret);
}

/*
 * For a socket without a memory: what connect decided is found again by its address.
 * 0 also when there is nothing to find: then it is not ours, since what connect
 * put to ~other has a memory. Other programs can have us called for such sockets.
 */
static __always_inline int ebb_route_find(const struct sock *sk, struct ebb_route *ret)
{
	struct ebb_endpoint endpoint;

	ebb_key_from_sock(&endpoint, sk);
	return ebb_route_known(&endpoint, ebb_sock_workload(sk), ret);
}

/* For a socket with a memory. */
static __always_inline int ebb_route_conn(const struct ebb_conn *conn, struct ebb_route *ret)
{
	if (!ebb_route_open(conn->dst, conn->dst_epoch, conn->pair, conn->pair_epoch, ret))
		return 0;
	if (conn->pair == EBB_SLOT_OTHER && (conn->flags & EBB_CONN_MUTE))
		ret->class = EBB_CLASS_OBSERVED;
	return 1;
}

/*
 * An established connection that had no memory gets one, since it has to remember its
 * pace or what is counted of it. Without one it began in generation 0. NULL: it cannot be had.
 */
static __always_inline struct ebb_conn *ebb_conn_late(struct bpf_sock *sock, const struct ebb_route *route)
{
	struct ebb_conn *conn;

	conn = bpf_sk_storage_get(&ebb_conn_v1, sock, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (!conn) {
		ebb_count_error(EBB_ERR_CONN_NO_MEMORY);
		return NULL;
	}
	if (conn->flags & EBB_CONN_LIVE)
		return conn;
	ebb_conn_begin(conn, route->pair_slot, route->pair->epoch, route->dst_slot, route->dst->epoch, 0);
	/* seed.bpf.c may do the same at the same time: who comes first says what it is */
	(void)EBB_CAS(&conn->flags, 0, EBB_CONN_LIVE | EBB_CONN_SYN | EBB_CONN_ACTIVE);
	return conn;
}

#endif /* EBB_ROUTE_H */
