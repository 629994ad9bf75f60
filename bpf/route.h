/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Endpoint -> destination -> pair and gate. A connect hook discovers what it
 * has not met; later hooks only look up.
 *
 *	what this processor remembers (a guess)            almost always
 *	lookups    which name this workload means          only where some address has several
 *	endpoints  discovered, or an answer of DNS         exactly, then for all its ports
 *	routes     prefixes and ports of the configuration
 *	           none of these: it gets a slot of its own
 *
 * Addresses that a rule claims have no entry in endpoints, and their destination no address
 * of its own. Routes with one gate for all workloads claim no loopback or link-local address, which is
 * another peer for each of them (ruling 1).
 */
#ifndef EBB_ROUTE_H
#define EBB_ROUTE_H

#include "bpf/conn.h"
#include "bpf/key.h"
#include "bpf/maps.h"
#include "bpf/own.h"
#include "bpf/stats.h"
#include "bpf/workload.h"

/* Everything that a hook works on. All pointers are valid when it was found. */
struct ebb_route {
	struct ebb_dst *dst;
	struct ebb_pair *pair;
	struct ebb_gate *gate;	     /* limits and slots */
	struct ebb_gate *breaker;    /* state, results and probes: @gate, but for a workload that is apart */
	struct ebb_verdict *verdict; /* of breaker */
	struct ebb_policy *policy;
	__u32 dst_slot;
	__u32 pair_slot;
	__u32 gate_slot; /* of breaker */
	__u32 class;	 /* enum ebb_class of the workload; ALONE also where nothing was found */
	__u32 remember;	 /* 1: its address may not say at close what it said at connect */
	__u32 fuse;	 /* enum ebb_fuse_action, as the agent said it last; of a route that was sought */
};

/* How far a hook goes to find one. */
enum ebb_route_effort {
	EBB_ROUTE_KNOWN,    /* makes nothing */
	EBB_ROUTE_JOIN,	    /* makes a pair */
	EBB_ROUTE_DISCOVER, /* and a destination */
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

/* Of a name that no rule claims, by an address that one does: it stands in lookups. */
static __always_inline void ebb_lookup_apart(struct ebb_lookup_key *key, const struct ebb_endpoint *endpoint)
{
	key->workload = 0;
	key->endpoint = *endpoint;
	key->pad = 0;
}

/*
 * First connection to an endpoint: gives it a slot of its own. Where two
 * processors meet it at once, one slot wins and the other goes back.
 * Writes the slot and epoch that stand in the map then, ~other when there is no room.
 *
 * Port 0 can be connected to, but a key with it stands for every port of its address, which is for the agent to say.
 */
EBB_SUBPROG int ebb_discover_dst(const struct ebb_endpoint *endpoint, __u64 finder, int apart,
				 struct ebb_ref *ret_ref)
{
	struct ebb_kernel *kernel = ebb_kernel_get();
	struct ebb_lookup_key lookup;
	struct ebb_policy *policy;
	struct ebb_ref *found;
	struct ebb_dst *dst;
	struct ebb_ref ref;
	__u32 slot = 0;
	long err;

	if (!endpoint || !ret_ref || !kernel)
		return 0;
	ret_ref->slot = EBB_SLOT_OTHER;
	ret_ref->epoch = 0;
	if (!endpoint->port || !ebb_share_take(finder))
		return 0;
	if (bpf_map_pop_elem(&ebb_freedst_v2, &slot)) {
		ebb_share_give(finder);
		ebb_count_error(EBB_ERR_DST_TABLE_FULL);
		return 0;
	}
	dst = bpf_map_lookup_elem(&ebb_dst_v2, &slot);
	policy = bpf_map_lookup_elem(&ebb_policy_v2, &slot);
	if (!dst || !policy) {
		ebb_share_give(finder);
		ebb_count_error(EBB_ERR_SLOT_INVALID);
		return 0;
	}
	dst->endpoint = *endpoint;
	dst->scope = ebb_key_is_local(endpoint) ? EBB_SCOPE_WORKLOAD : policy->scope;
	dst->created_ns = bpf_ktime_get_ns();
	dst->finder = finder;
	dst->apart = apart;
	EBB_EXCHANGE(&dst->state, EBB_SLOT_LIVE); /* after all it says */
	ref.slot = slot;
	ref.epoch = dst->epoch;
	ebb_lookup_apart(&lookup, endpoint);
	if (apart)
		err = bpf_map_update_elem(&ebb_lookup_v2, &lookup, &ref, BPF_NOEXIST);
	else
		err = bpf_map_update_elem(&ebb_endpoint_v2, &lookup.endpoint, &ref, BPF_NOEXIST);
	if (!err) {
		ebb_raise(&kernel->dst_high, slot);
		*ret_ref = ref;
		ebb_hint(EBB_EVENT_DST_NEW, 0, 0, slot, 0);
		return 0;
	}
	EBB_STORE(dst->state, EBB_SLOT_FREE);
	dst->finder = 0;
	ebb_share_give(finder);
	if (bpf_map_push_elem(&ebb_freedst_v2, &slot, 0))
		ebb_count_error(EBB_ERR_SLOT_INVALID);
	if (apart)
		found = bpf_map_lookup_elem(&ebb_lookup_v2, &lookup);
	else
		found = bpf_map_lookup_elem(&ebb_endpoint_v2, &lookup.endpoint);
	if (found)
		*ret_ref = *found;
	else
		ebb_count_error(EBB_ERR_ENDPOINT_TABLE_FULL);
	return 0;
}

/* The same for a workload that meets a destination for the first time. */
EBB_SUBPROG int ebb_discover_pair(const struct ebb_pair_key *key, __u32 scope, struct ebb_ref *ret_ref)
{
	struct ebb_kernel *kernel = ebb_kernel_get();
	struct ebb_pair_key own; /* before Linux 6.5 a key lies on the stack of who asks */
	struct ebb_pair *pair;
	struct ebb_ref *found;
	struct ebb_ref ref;
	__u32 slot = 0;

	if (!key || !ret_ref || !kernel)
		return 0;
	own = *key;
	ret_ref->slot = EBB_SLOT_OTHER;
	ret_ref->epoch = 0;
	if (bpf_map_pop_elem(&ebb_freepair_v2, &slot)) {
		ebb_count_error(EBB_ERR_PAIR_TABLE_FULL);
		return 0;
	}
	pair = bpf_map_lookup_elem(&ebb_pstat_v2, &slot);
	if (!pair) {
		ebb_count_error(EBB_ERR_SLOT_INVALID);
		return 0;
	}
	pair->workload = key->workload;
	pair->dst = key->dst;
	pair->dst_epoch = key->dst_epoch;
	pair->gate = scope == EBB_SCOPE_WORKLOAD ? ebb_config.dst_max + slot : key->dst;
	pair->created_ns = bpf_ktime_get_ns();
	EBB_EXCHANGE(&pair->state, EBB_SLOT_LIVE);
	ref.slot = slot;
	ref.epoch = pair->epoch;
	if (!bpf_map_update_elem(&ebb_pair_v2, &own, &ref, BPF_NOEXIST)) {
		ebb_raise(&kernel->pair_high, slot);
		*ret_ref = ref;
		return 0;
	}
	EBB_STORE(pair->state, EBB_SLOT_FREE);
	if (bpf_map_push_elem(&ebb_freepair_v2, &slot, 0))
		ebb_count_error(EBB_ERR_SLOT_INVALID);
	found = bpf_map_lookup_elem(&ebb_pair_v2, &own);
	if (found)
		*ret_ref = *found;
	else
		ebb_count_error(EBB_ERR_PAIR_TABLE_FULL);
	return 0;
}

/* What became of an address in the tables that say where it belongs. */
#define EBB_RESOLVED	   1 /* to a destination that is there */
#define EBB_RESOLVED_APART 2 /* bits beside it: not by the address alone, but by what this workload means */
#define EBB_RESOLVED_NEW   4 /* in place of it: to a name without a destination yet, beside a claimed one */

/* lookups: which of its names the workload means by an address that has several. 0: it did not say. */
static __always_inline int ebb_resolve_lookup(const struct ebb_endpoint *endpoint, __u64 workload,
					      struct ebb_ref *ret_ref)
{
	struct ebb_lookup_key key = {.workload = workload, .endpoint = *endpoint};
	struct ebb_ref *found;

	found = bpf_map_lookup_elem(&ebb_lookup_v2, &key);
	if (!found) {
		key.endpoint.port = 0;
		found = bpf_map_lookup_elem(&ebb_lookup_v2, &key);
	}
	if (!found)
		return 0;
	if (found->slot == EBB_SLOT_DISCOVER) {
		ebb_lookup_apart(&key, endpoint);
		found = bpf_map_lookup_elem(&ebb_lookup_v2, &key);
		if (!found)
			return EBB_RESOLVED_NEW | EBB_RESOLVED_APART;
	}
	*ret_ref = *found;
	return EBB_RESOLVED | EBB_RESOLVED_APART;
}

/*
 * routes: the longest prefix says it all, for the port or for all others. The table may be
 * replaced meanwhile: this program goes on with the one it has, whose ports stay until it has ended.
 */
static __always_inline int ebb_resolve_route(const struct ebb_endpoint *endpoint, struct ebb_ref *ret_ref)
{
	const __u32 *words = (const __u32 *)endpoint->addr;
	struct ebb_prefix_key key = {.bits = 128};
	struct ebb_port_key port = {};
	struct ebb_prefix *prefix;
	struct ebb_ref *found;
	__u32 zero = 0;
	void *table;

	table = bpf_map_lookup_elem(&ebb_route_v2, &zero);
	if (!table)
		return 0;
	((__u32 *)key.addr)[0] = words[0];
	((__u32 *)key.addr)[1] = words[1];
	((__u32 *)key.addr)[2] = words[2];
	((__u32 *)key.addr)[3] = words[3];
	prefix = bpf_map_lookup_elem(table, &key);
	if (!prefix)
		return 0;
	if (prefix->ports) {
		port.prefix = prefix->id;
		port.port = endpoint->port;
		port.proto = endpoint->proto;
		found = bpf_map_lookup_elem(&ebb_port_v2, &port);
		if (found) {
			*ret_ref = *found;
			return EBB_RESOLVED;
		}
	}
	if (endpoint->proto == IPPROTO_UDP)
		*ret_ref = prefix->any[1];
	else
		*ret_ref = prefix->any[0];
	return ret_ref->slot ? EBB_RESOLVED : 0;
}

/* Has each workload a gate of its own there? */
static __always_inline int ebb_is_of_each(__u32 dst_slot)
{
	const struct ebb_dst *dst = bpf_map_lookup_elem(&ebb_dst_v2, &dst_slot);

	return dst && dst->scope == EBB_SCOPE_WORKLOAD;
}

/* Which destination is this? 0: no rule says, and nobody has met it. */
EBB_SUBPROG int ebb_resolve(const struct ebb_endpoint *endpoint, __u64 workload, struct ebb_ref *ret_ref)
{
	struct ebb_agent *agent = ebb_agent_get();
	struct ebb_endpoint key;
	struct ebb_ref *found;
	int resolved;

	if (!endpoint || !ret_ref || !agent)
		return 0;
	if (agent->ambiguous) {
		resolved = ebb_resolve_lookup(endpoint, workload, ret_ref);
		if (resolved)
			return resolved;
	}
	key = *endpoint; /* as in ebb_discover_pair() */
	found = bpf_map_lookup_elem(&ebb_endpoint_v2, &key);
	if (!found && agent->any_port) {
		key.port = 0;
		found = bpf_map_lookup_elem(&ebb_endpoint_v2, &key);
	}
	if (found) {
		*ret_ref = *found;
		return EBB_RESOLVED;
	}
	if (!ebb_resolve_route(endpoint, ret_ref))
		return 0;
	return !ebb_key_is_local(endpoint) || ebb_is_of_each(ret_ref->slot) ? EBB_RESOLVED : 0;
}

/*
 * The gates of a pair: where the limits of its destination are, and whose breaker judges it. A
 * workload that is apart has that of its own gate, which is always there (struct ebb_pair).
 */
static __always_inline int ebb_route_gates(struct ebb_route *ret, __u32 dst_slot, __u32 pair_slot)
{
	__u32 own = ebb_config.dst_max + pair_slot, gate_slot = own;

	/* a workload without a pair of its own still asks the node's gate */
	if (ret->dst->scope == EBB_SCOPE_NODE)
		gate_slot = dst_slot;
	else if (pair_slot == EBB_SLOT_OTHER)
		gate_slot = EBB_SLOT_OTHER;
	ret->gate = bpf_map_lookup_elem(&ebb_gate_v2, &gate_slot);
	ret->breaker = ret->gate;
	if (EBB_LOAD(ret->pair->gate) == own && gate_slot != own && pair_slot != EBB_SLOT_OTHER) {
		gate_slot = own;
		ret->breaker = bpf_map_lookup_elem(&ebb_gate_v2, &gate_slot);
	}
	ret->verdict = bpf_map_lookup_elem(&ebb_verdict_v2, &gate_slot);
	ret->gate_slot = gate_slot;
	return ret->gate && ret->breaker && ret->verdict;
}

/* Everything that belongs to two slots. 0: an index is outside its table, or has a new owner. */
static __always_inline int ebb_route_open(__u32 dst_slot, __u32 dst_epoch, __u32 pair_slot, __u32 pair_epoch,
					  struct ebb_route *ret)
{
	struct ebb_policy *policy;

	ret->dst = bpf_map_lookup_elem(&ebb_dst_v2, &dst_slot);
	ret->pair = bpf_map_lookup_elem(&ebb_pstat_v2, &pair_slot);
	policy = bpf_map_lookup_elem(&ebb_policy_v2, &dst_slot);
	if (!ret->dst || !ret->pair || !policy) {
		ebb_count_error(EBB_ERR_SLOT_INVALID);
		return 0;
	}
	if (ret->dst->epoch != dst_epoch || ret->pair->epoch != pair_epoch) {
		ebb_count_error(EBB_ERR_EPOCH_STALE);
		return 0;
	}
	if (!ebb_route_gates(ret, dst_slot, pair_slot)) {
		ebb_count_error(EBB_ERR_SLOT_INVALID);
		return 0;
	}
	ret->policy = ebb_policy_for(policy, pair_slot, pair_epoch);
	ret->dst_slot = dst_slot;
	ret->pair_slot = pair_slot;
	/* ~other is no workload: who knows which it is says it afterwards */
	ret->class =
		pair_slot == EBB_SLOT_OTHER ? EBB_CLASS_GOVERNED : ebb_workload_class(ret->pair->workload, 0);
	ret->remember = (policy->asks & EBB_ASK_MEMORY) != 0;
	return 1;
}

/*
 * Where an endpoint went for a workload when this processor last looked: it saves a hook its hash
 * lookups (30 ns each; with a route 130 and more). One entry for each index, the last that came.
 *
 * An entry holds its whole key, and agent.mapping of before it was looked up: whoever changes
 * what belongs where counts that up afterwards, so what was looked up before is void.
 * What it says of slots is held against the slots: one whose slot is retiring or has
 * another owner is a miss. So a guess is a hit or a miss, and never a mistake. ~other is never
 * guessed: its slots say nothing about the key.
 *
 * Entries are of one processor, so that there are no two at once. But a task can be
 * preempted in the middle of a write by another one, and both can be interrupted by the network.
 * Who finds @busy odd comes between, and neither reads nor writes. Who writes takes it from even to odd
 * by compare-and-swap, since the preempted one may have read it even; who reads looks at it
 * again afterwards. The order of plain accesses of one processor is that of the program; the
 * compiler keeps it for volatile ones.
 */
static __always_inline struct ebb_guess *ebb_guess_of(const struct ebb_endpoint *endpoint, __u64 workload)
{
	const __u32 *words = (const __u32 *)endpoint;
	__u64 mix = (__u64)words[3] << 32 | words[4];
	__u32 index;

	mix += (words[0] ^ words[1]) + ((__u64)words[2] << 16) + workload * 0x9e3779b97f4a7c15ULL;
	index = bpf_get_smp_processor_id() << EBB_GUESS_BITS |
		(__u32)((mix * 0xff51afd7ed558ccdULL) >> (64 - EBB_GUESS_BITS));
	return bpf_map_lookup_elem(&ebb_guess_v2, &index);
}

/* @mapping: as it was before the route was looked up. */
static __always_inline void ebb_guess_learn(struct ebb_guess *guess, const struct ebb_endpoint *endpoint,
					    __u64 workload, __u64 mapping, const struct ebb_route *route)
{
	const __u32 *from = (const __u32 *)endpoint;
	__u32 *to = (__u32 *)&guess->endpoint;
	__u32 busy = EBB_LOAD(guess->busy);

	if (route->dst_slot == EBB_SLOT_OTHER || route->pair_slot == EBB_SLOT_OTHER)
		return;
	if ((busy & 1) || EBB_CAS(&guess->busy, busy, busy + 1) != busy)
		return;
	for (int i = 0; i < 5; i++)
		EBB_STORE(to[i], from[i]);
	EBB_STORE(guess->workload, workload);
	EBB_STORE(guess->mapping, mapping);
	EBB_STORE(guess->dst, route->dst_slot);
	EBB_STORE(guess->dst_epoch, route->dst->epoch);
	EBB_STORE(guess->pair, route->pair_slot);
	EBB_STORE(guess->pair_epoch, route->pair->epoch);
	EBB_STORE(guess->class, (__u8)route->class);
	EBB_STORE(guess->remember, (__u8)route->remember);
	EBB_STORE(guess->busy, busy + 2);
}

/* 0: has to be looked up. */
static __always_inline int ebb_route_guess(const struct ebb_guess *guess, const struct ebb_endpoint *endpoint,
					   __u64 workload, __u64 mapping, struct ebb_route *ret)
{
	const __u32 *words = (const __u32 *)&guess->endpoint, *wanted = (const __u32 *)endpoint;
	__u32 dst_slot, dst_epoch, pair_slot, pair_epoch, busy;
	struct ebb_policy *policy;
	struct ebb_pair *pair;
	struct ebb_dst *dst;

	busy = EBB_LOAD(guess->busy);
	if ((busy & 1) || EBB_LOAD(guess->workload) != workload || EBB_LOAD(guess->mapping) != mapping ||
	    EBB_LOAD(words[3]) != wanted[3] || EBB_LOAD(words[4]) != wanted[4] ||
	    EBB_LOAD(words[2]) != wanted[2] || EBB_LOAD(words[1]) != wanted[1] ||
	    EBB_LOAD(words[0]) != wanted[0])
		return 0;
	dst_slot = EBB_LOAD(guess->dst);
	dst_epoch = EBB_LOAD(guess->dst_epoch);
	pair_slot = EBB_LOAD(guess->pair);
	pair_epoch = EBB_LOAD(guess->pair_epoch);
	ret->class = EBB_LOAD(guess->class);
	ret->remember = EBB_LOAD(guess->remember);
	if (EBB_LOAD(guess->busy) != busy)
		return 0;
	dst = bpf_map_lookup_elem(&ebb_dst_v2, &dst_slot);
	pair = bpf_map_lookup_elem(&ebb_pstat_v2, &pair_slot);
	if (!dst || dst->epoch != dst_epoch || dst->state != EBB_SLOT_LIVE)
		return 0;
	if (!pair || pair->epoch != pair_epoch || pair->state != EBB_SLOT_LIVE)
		return 0;
	ret->dst = dst;
	ret->pair = pair;
	policy = bpf_map_lookup_elem(&ebb_policy_v2, &dst_slot);
	if (!policy || !ebb_route_gates(ret, dst_slot, pair_slot))
		return 0;
	ret->policy = ebb_policy_for(policy, pair_slot, pair_epoch);
	if (policy->asks & EBB_ASK_MEMORY)
		ret->remember = 1;
	ret->dst_slot = dst_slot;
	ret->pair_slot = pair_slot;
	return 1;
}

/* What the tables say of an endpoint and a workload. Numbers only, so that it is verified once. */
struct ebb_found_route {
	struct ebb_ref dst;
	struct ebb_ref pair;
	__u32 class;
	__u32 remember;
};

/* Both: 0: there is nothing; ret->class is valid all the same. */

EBB_SUBPROG int ebb_look_up(const struct ebb_endpoint *endpoint, __u64 workload, struct ebb_found_route *ret)
{
	struct ebb_pair_key key = {.workload = workload};
	struct ebb_ref *found;
	int resolved;

	if (!endpoint || !ret)
		return 0;
	ret->class = ebb_workload_class(workload, 0);
	resolved = ebb_resolve(endpoint, workload, &ret->dst);
	if (!(resolved & EBB_RESOLVED))
		return 0;
	ret->remember = (resolved & EBB_RESOLVED_APART) != 0;
	key.dst = ret->dst.slot;
	key.dst_epoch = ret->dst.epoch;
	found = bpf_map_lookup_elem(&ebb_pair_v2, &key);
	if (!found)
		return 0;
	ret->pair = *found;
	return 1;
}

EBB_SUBPROG int ebb_look_up_or_make(const struct ebb_endpoint *endpoint, __u64 workload, int effort,
				    struct ebb_found_route *ret)
{
	struct ebb_pair_key key = {.workload = workload};
	struct ebb_ref *found;
	struct ebb_dst *dst;
	int resolved;
	__u32 slot;

	if (!endpoint || !ret)
		return 0;
	ret->class = ebb_workload_class(workload, 1);
	if (ret->class == EBB_CLASS_ALONE)
		return 0;
	resolved = ebb_resolve(endpoint, workload, &ret->dst);
	if (!(resolved & EBB_RESOLVED)) {
		if (effort != EBB_ROUTE_DISCOVER)
			return 0;
		ebb_discover_dst(endpoint, workload, resolved == (EBB_RESOLVED_NEW | EBB_RESOLVED_APART),
				 &ret->dst);
	}
	ret->remember = (resolved & EBB_RESOLVED_APART) != 0;
	key.dst = ret->dst.slot;
	key.dst_epoch = ret->dst.epoch;
	found = bpf_map_lookup_elem(&ebb_pair_v2, &key);
	if (found) {
		ret->pair = *found;
		return 1;
	}
	slot = ret->dst.slot;
	dst = bpf_map_lookup_elem(&ebb_dst_v2, &slot);
	if (!dst)
		return 0;
	/* it would make a pair of a destination that is no more, and that nobody asks for */
	if (dst->epoch != ret->dst.epoch) {
		ebb_count_error(EBB_ERR_EPOCH_STALE);
		return 0;
	}
	ebb_discover_pair(&key, dst->scope, &ret->pair);
	return 1;
}

/* Finds or makes, as far as @effort (enum ebb_route_effort) goes; 0: there is nothing then. */
static __always_inline int ebb_route_seek(const struct ebb_endpoint *endpoint, __u64 workload, int effort,
					  struct ebb_route *ret)
{
	struct ebb_guess *guess = ebb_guess_of(endpoint, workload);
	struct ebb_agent *agent = ebb_agent_get();
	struct ebb_found_route found = {};
	__u64 mapping;
	int there;

	if (!guess || !agent)
		return 0;
	mapping = EBB_LOAD(agent->mapping);
	ret->fuse = EBB_LOAD(agent->fuse);
	if (ebb_route_guess(guess, endpoint, workload, mapping, ret))
		return 1;
	if (effort == EBB_ROUTE_KNOWN)
		there = ebb_look_up(endpoint, workload, &found);
	else
		there = ebb_look_up_or_make(endpoint, workload, effort, &found);
	ret->class = found.class;
	if (!there ||
	    !ebb_route_open(found.dst.slot, found.dst.epoch, found.pair.slot, found.pair.epoch, ret))
		return 0;
	ret->class = found.class;
	ret->remember |= found.remember;
	/* UNKNOWN ends by itself; of ALONE only what was open before is found */
	if (ret->class == EBB_CLASS_GOVERNED || ret->class == EBB_CLASS_OBSERVED)
		ebb_guess_learn(guess, endpoint, workload, mapping, ret);
	return 1;
}

/* Finds or makes; without @discover it makes only a pair: 0 when the destination is not known. */
static __always_inline int ebb_route_join(const struct ebb_endpoint *endpoint, __u64 workload, int discover,
					  struct ebb_route *ret)
{
	return ebb_route_seek(endpoint, workload, discover ? EBB_ROUTE_DISCOVER : EBB_ROUTE_JOIN, ret);
}

/* For a connect hook: finds or makes. */
static __always_inline int ebb_route_meet(const struct ebb_endpoint *endpoint, __u64 workload,
					  struct ebb_route *ret)
{
	return ebb_route_seek(endpoint, workload, EBB_ROUTE_DISCOVER, ret);
}

/* Finds and does not make; 0: there is nothing to find. */
static __always_inline int ebb_route_known(const struct ebb_endpoint *endpoint, __u64 workload,
					   struct ebb_route *ret)
{
	return ebb_route_seek(endpoint, workload, EBB_ROUTE_KNOWN, ret);
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

/* The same where the kernel gave us the socket as @sock, too: see ebb_key_from_bpf_sock(). */
static __always_inline int ebb_route_find_by(const struct bpf_sock *sock, const struct sock *sk,
					     struct ebb_route *ret)
{
	struct ebb_endpoint endpoint;

	ebb_key_from_bpf_sock(&endpoint, sock);
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
 * The generation in which a connection without a memory began. It asked the gate that all share: who asks one apart
 * has a memory, since such a gate begins open, and none is plain.
 */
static __always_inline __u32 ebb_route_plain_gen(const struct ebb_route *route)
{
	const struct ebb_verdict *verdict = route->verdict;
	__u32 gate_slot = route->dst_slot;

	if (route->breaker != route->gate)
		verdict = bpf_map_lookup_elem(&ebb_verdict_v2, &gate_slot);
	return verdict ? EBB_LOAD(verdict->plain_gen) : 0;
}

/* For a memory that begins: whose its generation is. */
static __always_inline __u32 ebb_route_apart(const struct ebb_route *route)
{
	return route->breaker != route->gate ? EBB_CONN_APART : 0;
}

/*
 * The breaker that a connection asked: its result is for none but this, and its probe is there. That of
 * the route is another one when its workload was put apart since, or is no longer.
 */
static __always_inline struct ebb_gate *ebb_route_asked(const struct ebb_route *route,
							const struct ebb_conn *conn)
{
	__u32 apart = conn->flags & EBB_CONN_APART, own;
	struct ebb_gate *gate;

	if (apart == ebb_route_apart(route))
		return route->breaker;
	if (!apart)
		return route->gate;
	own = ebb_config.dst_max + route->pair_slot;
	gate = bpf_map_lookup_elem(&ebb_gate_v2, &own);
	return gate ? gate : route->gate;
}

#endif /* EBB_ROUTE_H */
