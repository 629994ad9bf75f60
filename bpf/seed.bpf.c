// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Looks at the open sockets. Connections that were open before us are adopted: found among the open files of
 * every process, in whatever network namespace, counted for their destination and
 * workload, and given a slot where there is a cap. From then on they are like
 * others, but that their results move nothing, and that until they are armed (arm.bpf.c) their end
 * is seen only when the program lets go of them (release.bpf.c).
 *
 * Never touched are sockets outside the governed cgroup, and those that answer a
 * client. What cannot be told from these is left alone, and counted.
 *
 * Nothing here holds the socket's lock. What is read of a socket is read twice,
 * between two looks at the lock (snapshot()); what happens to it while it is adopted
 * is found by looking once more after its memory says all (settle()). Of two who
 * give back the same, one gets the flag.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "bpf/compat.h"
#include "bpf/conn.h"
#include "bpf/direction.h"
#include "bpf/key.h"
#include "bpf/limit.h"
#include "bpf/maps.h"
#include "bpf/route.h"
#include "bpf/stats.h"
#include "bpf/traffic.h"

struct ebb_seeding ebb_seeding = {};

struct facts {
	struct ebb_sent_facts sent;
	__u64 sent_total; /* what is counted elsewhere, or by nobody */
	__u64 received;
	__u32 retransmits;
	__u32 state;
	__u32 callbacks;
	__u32 pad;
};

static __always_inline void read_facts(const struct tcp_sock *tp, struct facts *ret)
{
	const struct sock *sk = &tp->inet_conn.icsk_inet.sk;

	ret->sent.bytes_sent = EBB_LOAD(tp->bytes_sent);
	ret->sent.bytes_retrans = EBB_LOAD(tp->bytes_retrans);
	ret->sent.bytes_acked = EBB_LOAD(tp->bytes_acked);
	ret->sent.snd_nxt = EBB_LOAD(tp->snd_nxt);
	ret->sent.snd_una = EBB_LOAD(tp->snd_una);
	ret->sent_total = ebb_tcp_sent(tp, BPF_TCP_ESTABLISHED);
	ret->received =
		ebb_received_payload(EBB_LOAD(tp->bytes_received), EBB_LOAD(sk->__sk_common.skc_flags));
	ret->retransmits = EBB_LOAD(tp->total_retrans);
	ret->state = EBB_LOAD(sk->__sk_common.skc_state);
	ret->callbacks = EBB_LOAD(tp->bpf_sock_ops_cb_flags);
	ret->pad = 0;
}

static __always_inline int same_facts(const struct facts *a, const struct facts *b)
{
	return a->sent.bytes_sent == b->sent.bytes_sent && a->sent.bytes_retrans == b->sent.bytes_retrans &&
	       a->sent.bytes_acked == b->sent.bytes_acked && a->sent.snd_nxt == b->sent.snd_nxt &&
	       a->sent.snd_una == b->sent.snd_una && a->received == b->received && a->state == b->state &&
	       a->callbacks == b->callbacks;
}

/*
 * All of it from one moment: with the lock free before and after, and the same twice.
 * Who changes these holds the lock, and changes at least one that both readings take.
 */
static EBB_NOINLINE int snapshot(const struct tcp_sock *tp, struct facts *ret)
{
	const struct sock *sk = &tp->inet_conn.icsk_inet.sk;
	struct facts again;

	for (int i = 0; i < EBB_CAS_TRIES; i++) {
		if (ebb_sock_is_locked(sk))
			continue;
		read_facts(tp, ret);
		read_facts(tp, &again);
		if (same_facts(ret, &again) && !ebb_sock_is_locked(sk))
			return 1;
	}
	return 0;
}

/* Its end, which is told by STATE_CB, is still to come: also while it says goodbye. */
static __always_inline int is_open(__u32 state)
{
	return state == BPF_TCP_SYN_SENT || ebb_is_established(state) || state == BPF_TCP_FIN_WAIT1 ||
	       state == BPF_TCP_FIN_WAIT2 || state == BPF_TCP_CLOSING || state == BPF_TCP_LAST_ACK;
}

/* Armed by us in CONNECT_CB, or the child of a listener that once was. */
static __always_inline int is_armed(const struct facts *facts)
{
	return (facts->callbacks & EBB_CALLBACKS) == EBB_CALLBACKS;
}

static __always_inline void listener_key(const struct sock *sk, struct ebb_listener *ret)
{
	ret->netns = sk->__sk_common.skc_net.net->ns.inum;
	ret->port = sk->__sk_common.skc_num;
	ret->pad = 0;
}

static __always_inline void collect_listener(const struct sock *sk)
{
	struct ebb_listener key;
	__u8 yes = 1;

	if (sk->__sk_common.skc_state != BPF_TCP_LISTEN)
		return;
	listener_key(sk, &key);
	/* full: the counters alone decide for the rest */
	bpf_map_update_elem(&ebb_listener_v2, &key, &yes, BPF_ANY);
}

/*
 * Who opened it? One that was accepted says so itself. For the others two witnesses: the counters, and that connect() never
 * chooses a port on which somebody listens. Where they disagree, or the counters say nothing, nobody knows.
 */
static __always_inline enum ebb_direction direction_of(const struct sock *sk, const struct facts *facts)
{
	enum ebb_direction direction;
	struct ebb_listener key;

	if (facts->state == BPF_TCP_SYN_SENT)
		return EBB_DIRECTION_ACTIVE;
	if (ebb_sock_was_accepted((const struct inet_sock *)sk))
		return EBB_DIRECTION_PASSIVE;
	direction = ebb_direction(&facts->sent);
	if (direction == EBB_DIRECTION_PASSIVE)
		return direction;
	listener_key(sk, &key);
	if (bpf_map_lookup_elem(&ebb_listener_v2, &key))
		return EBB_DIRECTION_UNKNOWN;
	/* that it was armed is a witness too, where a local drop has upset the counters */
	return is_armed(facts) ? EBB_DIRECTION_ACTIVE : direction;
}

static __always_inline int is_capped(const struct ebb_route *route)
{
	if (!(route->policy->asks & EBB_ASK_CONNECT) || route->class != EBB_CLASS_GOVERNED)
		return 0;
	/* whoever makes this pass is the agent, be it before its first heartbeat */
	return ebb_concurrent_in_force(route->policy, bpf_ktime_get_ns(), 1) != 0;
}

/* An adopted connection ended where we could not see it. */
static __always_inline void give_back(struct ebb_conn *conn, const struct ebb_route *route)
{
	ebb_conn_give_slot(conn, route->gate);
	ebb_conn_end_adopted(conn, route->pair);
}

/*
 * After the memory of an adopted socket says all: what happened to it meanwhile, and no
 * callback could tell of, since there was no memory yet.
 */
static __always_inline void settle(const struct sock *sk, struct ebb_conn *conn,
				   const struct ebb_route *route)
{
	__u32 state = EBB_LOAD(sk->__sk_common.skc_state);

	if (ebb_is_established(state))
		ebb_conn_opened(conn, route->pair);
	else if (state == BPF_TCP_CLOSE)
		give_back(conn, route);
}

/* What was said before its memory begins; see ebb_conn_take_up(). A FIN of ours takes a number, too. */
static __always_inline __u32 take_up(struct ebb_conn *conn, const struct facts *facts)
{
	__u32 una = facts->sent.snd_una;

	if (facts->state == BPF_TCP_FIN_WAIT2)
		una--;
	return ebb_conn_take_up(conn, facts->received, ebb_acked_payload(facts->sent.bytes_acked), una);
}

static EBB_NOINLINE int adopt(struct sock *sk, const struct facts *facts)
{
	struct ebb_endpoint endpoint;
	struct ebb_route route = {};
	struct ebb_conn *conn;
	__u32 flags = EBB_CONN_LIVE | EBB_CONN_ADOPTED | EBB_CONN_MUTE;

	ebb_key_from_sock(&endpoint, sk);
	if (!ebb_route_meet(&endpoint, ebb_sock_workload(sk), &route))
		return 0;
	conn = ebb_conn_make(sk);
	if (!conn || conn->flags)
		return 0;
	ebb_conn_begin(conn, route.pair_slot, route.pair->epoch, route.dst_slot, route.dst->epoch,
		       ebb_word_gen(ebb_gate_word(route.breaker, route.verdict)));
	flags |= ebb_route_apart(&route) | take_up(conn, facts);
	conn->sent_bytes = facts->sent_total;
	conn->received_bytes = facts->received;
	conn->retransmits = facts->retransmits;
	if (is_armed(facts))
		flags |= EBB_CONN_SYN;
	/* it is there: a cap can be exceeded by what was open before it, never by what comes after */
	if (is_capped(&route)) {
		ebb_add(&route.gate->in_use, 1);
		flags |= EBB_CONN_SLOT;
	}
	if (ebb_is_established(facts->state)) {
		ebb_add(&route.pair->active, 1);
		flags |= EBB_CONN_ACTIVE;
	} else {
		flags |= EBB_CONN_OPENING;
	}
	if (!ebb_conn_speak(conn, flags)) {
		if (flags & EBB_CONN_SLOT)
			ebb_count_errors(ebb_slot_give(route.gate));
		if (flags & EBB_CONN_ACTIVE)
			ebb_gauge_down(&route.pair->active);
		return 0;
	}
	ebb_add(&route.pair->adopted, 1);
	settle(sk, conn, &route);
	__sync_fetch_and_add(&ebb_seeding.adopted, 1);
	if (flags & EBB_CONN_SLOT)
		__sync_fetch_and_add(&ebb_seeding.slots, 1);
	return 0;
}

/* A memory for one that has none, still to be made to speak. NULL: it has one, or cannot have it. */
static __always_inline struct ebb_conn *begin_memory(struct sock *sk, const struct ebb_route *route,
						     const struct facts *facts, __u32 *io_flags)
{
	struct ebb_conn *conn = ebb_conn_make(sk);

	if (!conn || conn->flags)
		return NULL;
	ebb_conn_begin(conn, route->pair_slot, route->pair->epoch, route->dst_slot, route->dst->epoch,
		       ebb_route_plain_gen(route));
	*io_flags |= take_up(conn, facts);
	return conn;
}

/*
 * Counted since its connect(), without a memory: it gets one when it needs a slot.
 *
 * Tolerated: one that ends in this very moment may keep its slot until the program lets go
 * of it, or the next pass.
 */
static EBB_NOINLINE int hold_slot(struct sock *sk, const struct facts *facts)
{
	__u32 state, flags = EBB_CONN_LIVE | EBB_CONN_SYN | EBB_CONN_SLOT;
	struct ebb_route route = {};
	struct ebb_conn *conn;

	if (direction_of(sk, facts) == EBB_DIRECTION_PASSIVE || !ebb_route_find(sk, &route) ||
	    !is_capped(&route))
		return 0;
	conn = begin_memory(sk, &route, facts, &flags);
	if (!conn)
		return 0;
	ebb_add(&route.gate->in_use, 1);
	if (ebb_is_established(facts->state))
		flags |= EBB_CONN_ACTIVE;
	/* its first packet may have made it a memory meanwhile: the next pass gives that one its slot */
	if (!ebb_conn_speak(conn, flags)) {
		ebb_count_errors(ebb_slot_give(route.gate));
		return 0;
	}
	state = EBB_LOAD(sk->__sk_common.skc_state);
	/* established() has counted it, or will: the flag says only that somebody has to take it off */
	if (ebb_is_established(state))
		ebb_conn_set(conn, EBB_CONN_ACTIVE);
	else if (state == BPF_TCP_CLOSE)
		ebb_conn_end(conn, route.gate);
	__sync_fetch_and_add(&ebb_seeding.slots, 1);
	return 0;
}

/* Is a result that comes without a memory not to be taken for one of the present generation? */
static __always_inline int has_moved(const struct ebb_route *route)
{
	return route->breaker != route->gate ||
	       ebb_word_gen(ebb_gate_word(route->breaker, route->verdict)) != ebb_route_plain_gen(route);
}

/*
 * Its address is about to belong to another destination, and its end would be looked for
 * there: it gets a memory of where it belongs. So does one of a gate that has moved since, whose
 * plain generation is about to be another. Of others, only those of a destination that asks for it.
 *
 * Tolerated: a connection that no process holds any more and that is still saying goodbye is
 * not met here; one connect() that was between its hook and its SYN may be met too early. Each
 * of them ends at the new destination, and the next count of the open sockets puts it right.
 */
static EBB_NOINLINE int remember(struct sock *sk, const struct facts *facts)
{
	__u32 state, flags = EBB_CONN_LIVE | EBB_CONN_SYN;
	struct ebb_route route = {};
	struct ebb_conn *conn;

	/* after a FIN of ours the counters no longer say who opened it */
	if (ebb_is_established(facts->state) && direction_of(sk, facts) == EBB_DIRECTION_PASSIVE)
		return 0;
	if (!ebb_route_find(sk, &route) || (!(route.policy->asks & EBB_ASK_MEMORY) && !has_moved(&route)))
		return 0;
	conn = begin_memory(sk, &route, facts, &flags);
	if (!conn)
		return 0;
	if (facts->state != BPF_TCP_SYN_SENT)
		flags |= EBB_CONN_ACTIVE;
	/* as in hold_slot(): who else made it speak meanwhile said the same */
	if (!ebb_conn_speak(conn, flags))
		return 0;
	state = EBB_LOAD(sk->__sk_common.skc_state);
	if (is_open(state) && state != BPF_TCP_SYN_SENT)
		ebb_conn_set(conn, EBB_CONN_ACTIVE);
	else if (state == BPF_TCP_CLOSE)
		ebb_conn_end(conn, route.gate);
	__sync_fetch_and_add(&ebb_seeding.remembered, 1);
	return 0;
}

/* It has a memory. */
static EBB_NOINLINE int look_again(const struct tcp_sock *tp, struct ebb_conn *conn,
				   const struct facts *facts)
{
	const struct sock *sk = &tp->inet_conn.icsk_inet.sk;
	struct ebb_route route = {};
	__u32 flags;

	if (!conn)
		return 0;
	flags = EBB_LOAD(conn->flags);
	if (!(flags & EBB_CONN_LIVE) || !ebb_route_conn(conn, &route))
		return 0;
	if (facts->state == BPF_TCP_CLOSE) {
		if (!(flags & (EBB_CONN_SYN | EBB_CONN_ADOPTED)) ||
		    !(flags & (EBB_CONN_SLOT | EBB_CONN_ACTIVE)))
			return 0;
		give_back(conn, &route);
		__sync_fetch_and_add(&ebb_seeding.ended, 1);
		return 0;
	}
	if (facts->state != BPF_TCP_SYN_SENT && !ebb_is_established(facts->state))
		return 0;
	if (flags & EBB_CONN_ADOPTED) {
		settle(sk, conn, &route);
		/* no callback may come that counts; what moves after the last pass is not counted */
		ebb_traffic_count(conn, route.pair, tp, facts->state);
	}
	if ((flags & EBB_CONN_SLOT) || !is_capped(&route))
		return 0;
	/* taken before it says so: who gives it back must find one */
	ebb_add(&route.gate->in_use, 1);
	ebb_conn_set(conn, EBB_CONN_SLOT);
	/* ended, and forgotten, between the two looks */
	if (!(EBB_LOAD(conn->flags) & EBB_CONN_LIVE))
		ebb_conn_give_slot(conn, route.gate);
	__sync_fetch_and_add(&ebb_seeding.slots, 1);
	return 0;
}

static __always_inline void look(struct sock *sk, const struct tcp_sock *tp)
{
	struct ebb_conn *conn = bpf_sk_storage_get(&ebb_conn_v2, sk, NULL, 0);
	struct facts facts = {};

	if (!snapshot(tp, &facts)) {
		__sync_fetch_and_add(&ebb_seeding.busy, 1);
		return;
	}
	if (conn && conn->flags) {
		__sync_fetch_and_add(&ebb_seeding.known, 1);
		if (ebb_seeding.pass != EBB_PASS_REMEMBER)
			look_again(tp, conn, &facts);
		return;
	}
	if (ebb_seeding.pass == EBB_PASS_REMEMBER) {
		if (is_open(facts.state) && is_armed(&facts))
			remember(sk, &facts);
		return;
	}
	if (facts.state != BPF_TCP_SYN_SENT && !ebb_is_established(facts.state))
		return;
	if (is_armed(&facts) && ebb_seeding.pass != EBB_PASS_FIRST) {
		__sync_fetch_and_add(&ebb_seeding.known, 1);
		hold_slot(sk, &facts);
		return;
	}
	switch (direction_of(sk, &facts)) {
	case EBB_DIRECTION_ACTIVE:
		adopt(sk, &facts);
		break;
	case EBB_DIRECTION_PASSIVE:
		__sync_fetch_and_add(&ebb_seeding.accepted, 1);
		break;
	default:
		__sync_fetch_and_add(&ebb_seeding.undecided, 1);
		break;
	}
}

/* It is to be armed by whoever comes to its network namespace. Out of line: behind all that was looked at before. */
static EBB_NOINLINE int note_deaf(struct sock *sk, const struct tcp_sock *tp)
{
	__u32 netns = sk->__sk_common.skc_net.net->ns.inum;
	__u8 yes = 1;

	/* full: the next pass says it again */
	if (ebb_conn_is_deaf(bpf_sk_storage_get(&ebb_conn_v2, sk, NULL, 0), tp))
		bpf_map_update_elem(&ebb_deaf_v2, &netns, &yes, BPF_ANY);
	return 0;
}

SEC("iter/task_file")
int ebb_seed(struct bpf_iter__task_file *ctx)
{
	struct ebb_agent *agent = ebb_agent_get();
	const struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct socket *socket;
	struct tcp_sock *tp;
	struct sock *sk;

	if (!file || !agent || !task)
		return 0;
	if (ebb_seeding.pass == EBB_PASS_REMEMBER && ebb_task_may_hide(task, agent->cgroup_id))
		__sync_fetch_and_add(&ebb_seeding.hidden, 1);
	socket = bpf_sock_from_file(file);
	if (!socket)
		return 0;
	/* the file is held: the socket stays, and so does what it points to */
	tp = socket->sk ? bpf_skc_to_tcp_sock(socket->sk) : NULL;
	if (!tp)
		return 0;
	sk = &tp->inet_conn.icsk_inet.sk;
	if (ebb_seeding.pass == EBB_PASS_LISTEN) {
		collect_listener(sk);
	} else if (ebb_sock_is_below(sk, agent->cgroup_id)) {
		look(sk, tp);
		if (ebb_seeding.pass != EBB_PASS_REMEMBER)
			note_deaf(sk, tp);
	}
	return 0;
}
