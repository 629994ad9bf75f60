/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The contract between the BPF programs and user space: keys, values, enums,
 * sizes. The one header that both sides include. It holds plain types and the
 * few pure functions that define how a shared word or index is laid out, so
 * that there is one definition of each. It must not include anything of ours.
 *
 * Time is CLOCK_MONOTONIC in nanoseconds (_ns) or in ticks of 2^20 ns, about
 * 1.05 ms (_ticks), where it has to fit into a shared word.
 */
#ifndef EBB_ABI_H
#define EBB_ABI_H

#ifndef __bpf__
#include <linux/types.h>
#endif

/*
 * In the name of every map. An agent of a later version moves what an earlier one pinned over, field by
 * field and by name (user/kernel/migrate.c), and refuses a later one. So who changes the layout
 * of a pinned map raises it, who changes what a field means gives it another name, and enums whose
 * values are stored grow at their end.
 */
#define EBB_ABI_VERSION 2

#define EBB_TICK_SHIFT	     20 /* ns to ticks */
#define EBB_PROBES_MAX	     8	/* probe slots of a gate */
#define EBB_TRANSITIONS_KEPT 4	/* last transitions remembered for a gate */
#define EBB_SLOT_OTHER	     0U /* destination and pair '~other': what found no room */
#define EBB_RINGBUF_BYTES    (256 * 1024)
#define EBB_RECORD_BYTES     (1024 * 1024) /* some 18,000 results */
#define EBB_SPAN_BYTES	     (1024 * 1024) /* some 8,000 spans */
#define EBB_NAME_TEXT_MAX    272	   /* "HOST:PORT/udp" of the longest host name, and its end */
#define EBB_DEEDS	     256	   /* last orders of operators that are remembered */
#define EBB_GUESS_BITS	     10		   /* 1 << of them: endpoints that a CPU remembers; 64 bytes each */
#define EBB_DNS_BYTES_MAX    4096 /* of an answer that is looked at; the usual ones are below 1232 (EDNS) */

/* ---------------------------------------------------------------- enums -- */

enum ebb_mode {
	EBB_MODE_OBSERVE, /* count what would have been done */
	EBB_MODE_ENFORCE, /* do it */
	EBB_MODE_MAX,
};

enum ebb_state {
	EBB_STATE_CLOSED,
	EBB_STATE_OPEN,
	EBB_STATE_HALF_OPEN,
	EBB_STATE_MAX,
};

/* What moved a breaker. Each reason has exactly one (from, to). */
enum ebb_reason {
	EBB_REASON_CONSECUTIVE_FAILURES, /* closed -> open */
	EBB_REASON_FAILURE_RATE,	 /* closed -> open */
	EBB_REASON_SLOW_RATE,		 /* closed -> open */
	EBB_REASON_OPEN_EXPIRED,	 /* open -> half_open */
	EBB_REASON_PROBES_SUCCEEDED,	 /* half_open -> closed */
	EBB_REASON_PROBES_FAILED,	 /* half_open -> open */
	EBB_REASON_MAX,
};

/* How one connection attempt ended, and how an established one still failed. */
enum ebb_outcome {
	EBB_OUTCOME_ESTABLISHED,
	EBB_OUTCOME_REFUSED,
	EBB_OUTCOME_TIMEOUT,
	EBB_OUTCOME_UNREACHABLE,
	EBB_OUTCOME_ABANDONED,	/* the program gave up after at least abandon_after */
	EBB_OUTCOME_CANCELLED,	/* the program gave up earlier: no failure */
	EBB_OUTCOME_RESET,	/* after establishment */
	EBB_OUTCOME_UNANSWERED, /* after establishment */
	EBB_OUTCOME_MAX,
};

/* How a turn ended: one request and its answer (bpf/turn.h). */
enum ebb_turn {
	EBB_TURN_ANSWERED,
	EBB_TURN_UNANSWERED, /* by the peer's farewell, or the program gave up after at least abandon_after */
	EBB_TURN_RESET,	     /* by an error */
	EBB_TURN_CANCELLED,  /* the program gave up earlier, or the peer's farewell crossed the request */
	EBB_TURN_MAX,
};

/* Why a gate refuses. The order is the order in which a gate asks. */
enum ebb_cause {
	EBB_CAUSE_OVERRIDE,
	EBB_CAUSE_FUSE,
	EBB_CAUSE_BREAKER,   /* open */
	EBB_CAUSE_HALF_OPEN, /* half-open, and all probe slots are taken */
	EBB_CAUSE_RATE,
	EBB_CAUSE_CONCURRENCY,
	EBB_CAUSE_MAX,
};

/* By hand, stronger than the verdict. */
enum ebb_override {
	EBB_OVERRIDE_AUTO,
	EBB_OVERRIDE_OPEN,  /* refuse everything */
	EBB_OVERRIDE_CLOSE, /* the breaker refuses nothing; limits still do */
	EBB_OVERRIDE_MAX,
};

/* What the node fuse does: many destinations fail at once, so the fault is probably the node's own. */
enum ebb_fuse_action {
	EBB_FUSE_OFF,	  /* it does not act */
	EBB_FUSE_ALERT,	  /* only told */
	EBB_FUSE_RELEASE, /* breakers refuse nothing */
	EBB_FUSE_SHED,	  /* everything is refused that is not exempt, but probes */
	EBB_FUSE_MAX,
};

/* The limits of a gate that are token buckets; each counts in its own unit. */
enum ebb_limit_kind {
	EBB_LIMIT_BYTES,    /* IP bytes sent */
	EBB_LIMIT_PACKETS,  /* packets sent, as they stand on the wire */
	EBB_LIMIT_CONNECTS, /* connections begun */
	EBB_LIMIT_MAX,
};

/* Why a packet is dropped. */
enum ebb_drop {
	EBB_DROP_BYTES,	  /* over the byte limit */
	EBB_DROP_PACKETS, /* over the packet limit */
	EBB_DROP_BREAKER, /* the gate is open, and established is drop */
	EBB_DROP_MAX,
};

/* What becomes of live connections when their gate opens. */
enum ebb_established {
	EBB_ESTABLISHED_KEEP,
	EBB_ESTABLISHED_DROP,  /* what they send is dropped */
	EBB_ESTABLISHED_RESET, /* they are destroyed */
	EBB_ESTABLISHED_MAX,
};

enum ebb_scope {
	EBB_SCOPE_NODE,	    /* one gate for all workloads */
	EBB_SCOPE_WORKLOAD, /* one gate for each pair */
	EBB_SCOPE_MAX,
};

enum ebb_on_agent_loss {
	EBB_LOSS_RELEASE, /* a stale lease refuses nothing */
	EBB_LOSS_HOLD,	  /* verdicts and limits go on */
	EBB_LOSS_MAX,
};

/* The errno that a refused connect() returns. */
enum ebb_errno {
	EBB_ERRNO_CONNREFUSED,
	EBB_ERRNO_HOSTUNREACH,
	EBB_ERRNO_TIMEDOUT,
	EBB_ERRNO_PERM,
	EBB_ERRNO_MAX,
};

/* What becomes of a workload. The kernel reads it from a map that the agent fills by its rules. */
enum ebb_class {
	EBB_CLASS_GOVERNED, /* also: there are no rules */
	EBB_CLASS_OBSERVED, /* excluded: counted, never refused; its results move nothing */
	EBB_CLASS_ALONE,    /* excluded: as if we were not there */
	EBB_CLASS_UNKNOWN,  /* not yet identified: let through for EBB_UNKNOWN_NS, then governed */
	EBB_CLASS_MAX,
};
#define EBB_UNKNOWN_NS 10000000000ULL

/* Whether the table of workloads is asked, and what becomes of one that is not in it. */
enum ebb_rules {
	EBB_RULES_NONE,	  /* not asked: all are governed */
	EBB_RULES_ALL,	  /* it is not identified yet */
	EBB_RULES_LISTED, /* it is governed */
	EBB_RULES_MAX,
};

#define EBB_SHARES \
	4 /* one workload holds at most one of so many parts of the destinations that no rule names */

/* Life of a destination or pair slot. */
enum ebb_slot_state {
	EBB_SLOT_FREE,
	EBB_SLOT_LIVE,
	EBB_SLOT_RETIRING,
	EBB_SLOT_MAX,
};

enum ebb_event_kind {
	EBB_EVENT_DST_NEW,	/* a destination was discovered */
	EBB_EVENT_FAILURE,	/* a failed result reached a gate */
	EBB_EVENT_PULL,		/* the kernel moved a gate by itself */
	EBB_EVENT_PROBE,	/* a probe has its result */
	EBB_EVENT_WORKLOAD_NEW, /* a workload nobody has classified yet connects; its id: pair:32 | gate:32 */
	EBB_EVENT_MAX,
};

/* Our own failures. Each means: let it through, and count why. */
enum ebb_error {
	EBB_ERR_DST_TABLE_FULL,	     /* new endpoints go to ~other */
	EBB_ERR_PAIR_TABLE_FULL,     /* new pairs go to ~other */
	EBB_ERR_ENDPOINT_TABLE_FULL, /* the endpoint map took no entry */
	EBB_ERR_SLOT_INVALID,	     /* an index outside its table */
	EBB_ERR_EPOCH_STALE,	     /* an index whose slot has a new owner */
	EBB_ERR_CONN_NO_MEMORY,	     /* no socket storage: probe, slot or mark was not given */
	EBB_ERR_NOTE_LOST,	     /* CONNECT_CB without a decision, address unknown */
	EBB_ERR_CAS_EXHAUSTED,	     /* 8 tries lost; counted, and done the slow way */
	EBB_ERR_GAUGE_UNDERFLOW,     /* a gauge would have gone below zero */
	EBB_ERR_LEASE_EXPIRED,	     /* would have refused, but the agent is gone */
	EBB_ERR_EVENT_LOST,	     /* ring buffer full: costs at most one tick */
	EBB_ERR_SOCKET_UNKNOWN,	     /* the helper gave no socket to read */
	EBB_ERR_FALLBACK_DEVICE,     /* no set_retval, socket bound to a device: let through */
	EBB_ERR_SHARE_FULL, /* a workload has found a quarter of all destinations: its new ones go to ~other */
	EBB_ERR_UNCLASSIFIED,	 /* the workload is not identified yet: let through */
	EBB_ERR_DNS_LOST,	 /* an answer that could not be handed over: its names are not known */
	EBB_ERR_GAUGE_CORRECTED, /* a gauge that two recounts agreed on was wrong (by the agent) */
	EBB_ERR_RECORD_LOST,	 /* a result that found no room while somebody records */
	EBB_ERR_MAX,
};

/* What a pass over the open sockets does (seed.bpf.c). */
enum ebb_pass {
	EBB_PASS_LISTEN, /* collects who listens; goes before each that adopts */
	EBB_PASS_FIRST,	 /* new maps, sockops not attached: adopts also what an earlier life of ours armed */
	EBB_PASS_ALL,	 /* adopts what nobody counts yet, gives slots to those who lack one */
	EBB_PASS_REMEMBER, /* gives a memory to those whose address is about to change hands (EBB_ASK_MEMORY) */
	EBB_PASS_MAX,
};

/* ----------------------------------------------------------------- keys -- */

struct ebb_endpoint {
	__u8 addr[16]; /* IPv6, or IPv4-mapped; network order */
	__be16 port;   /* network order, as in the packet; 0 in a key that stands for every port */
	__u8 proto;    /* IPPROTO_* */
	__u8 pad;      /* always 0 */
};
_Static_assert(sizeof(struct ebb_endpoint) == 20, "map key layout is ABI");

struct ebb_pair_key {
	__u64 workload; /* cgroup id */
	__u32 dst;	/* destination slot */
	__u32 dst_epoch;
};
_Static_assert(sizeof(struct ebb_pair_key) == 16, "map key layout is ABI");

/* Value of both look-up tables: a slot, and which owner of it is meant. */
struct ebb_ref {
	__u32 slot;
	__u32 epoch;
};
_Static_assert(sizeof(struct ebb_ref) == 8, "map value layout is ABI");

/*
 * Routes: which destination an address belongs to by the rules of the configuration,
 * before anybody connected to it. The longest prefix that some rule names says it all: what
 * shorter ones say for other ports is written into it already (user/core/routes.c).
 *
 *	address -> longest prefix -> there are rules for ports? -> prefix, port, protocol -> destination
 *	                          -> any[protocol]
 */
struct ebb_prefix_key {
	__u32 bits;    /* of addr; IPv4 is mapped: 96 + its own */
	__u8 addr[16]; /* network order */
};
_Static_assert(sizeof(struct ebb_prefix_key) == 20, "map key layout is ABI");

struct ebb_prefix {
	__u32 id;	       /* in struct ebb_port_key; never used twice while a program may read it */
	__u32 ports;	       /* 1: some port has an entry of its own */
	struct ebb_ref any[2]; /* TCP, UDP: every other port; slot 0: none */
};
_Static_assert(sizeof(struct ebb_prefix) == 24, "map value layout is ABI");

struct ebb_port_key {
	__u32 prefix;
	__be16 port;
	__u8 proto;
	__u8 pad; /* always 0 */
};
_Static_assert(sizeof(struct ebb_port_key) == 8, "map key layout is ABI");

#define EBB_PREFIXES_MAX 65536 /* of a table */
#define EBB_PORTS_MAX	 40960 /* entries for ports of a table */

/*
 * Which of its names a workload meant by an address that has several: the one it looked up
 * last. Asked only while agent.ambiguous is not 0; exactly, then with port 0. Where it says
 * EBB_SLOT_DISCOVER, the endpoint gets a slot of its own beside the one that is claimed: it
 * stands here, too, under workload 0, for all who mean no rule's name by that address.
 */
struct ebb_lookup_key {
	__u64 workload;		      /* cgroup id; 0: see above */
	struct ebb_endpoint endpoint; /* port 0: every port */
	__u32 pad;		      /* always 0 */
};
_Static_assert(sizeof(struct ebb_lookup_key) == 32, "map key layout is ABI");

#define EBB_SLOT_DISCOVER 0xffffffffU /* in an ebb_ref of that table: no rule claims that name */

/* ---------------------------------------------------------------- words -- */

/*
 * The state of a gate is one 64-bit word, so that it changes by one store or
 * one compare-and-swap:
 *
 *   63            41 40 38 37                                   0
 *  +----------------+-----+--------------------------------------+
 *  |   generation   |state|   until, ticks since boot (8.9 years)|
 *  +----------------+-----+--------------------------------------+
 *
 * Until: of open its end; of closed the end of its ramp, 0: there is none.
 * There are two such words for a gate, the agent's verdict and the kernel's
 * pull. The one of the later generation is in force, on a tie the kernel's.
 * Generations wrap and are compared as serial numbers (RFC 1982).
 */
#define EBB_WORD_UNTIL_BITS 38
#define EBB_WORD_STATE_BITS 3
#define EBB_WORD_GEN_BITS   23
#define EBB_UNTIL_MASK	    ((1ULL << EBB_WORD_UNTIL_BITS) - 1)
#define EBB_GEN_MASK	    ((1U << EBB_WORD_GEN_BITS) - 1)

static inline __u64 ebb_word(__u32 gen, __u32 state, __u64 until_ticks)
{
	return ((__u64)(gen & EBB_GEN_MASK) << (EBB_WORD_UNTIL_BITS + EBB_WORD_STATE_BITS)) |
	       ((__u64)(state & 7U) << EBB_WORD_UNTIL_BITS) | (until_ticks & EBB_UNTIL_MASK);
}

static inline __u32 ebb_word_gen(__u64 word)
{
	return (__u32)(word >> (EBB_WORD_UNTIL_BITS + EBB_WORD_STATE_BITS));
}

static inline __u32 ebb_word_state(__u64 word)
{
	return (__u32)(word >> EBB_WORD_UNTIL_BITS) & 7U;
}

static inline __u64 ebb_word_until(__u64 word)
{
	return word & EBB_UNTIL_MASK;
}

/* The generation after @gen. */
static inline __u32 ebb_gen_next(__u32 gen)
{
	return (gen + 1) & EBB_GEN_MASK;
}

/* Is @a a later generation than @b? */
static inline int ebb_gen_after(__u32 a, __u32 b)
{
	__u32 distance = (a - b) & EBB_GEN_MASK;

	return distance != 0 && distance < (1U << (EBB_WORD_GEN_BITS - 1));
}

/* Which of the two words of a gate is in force. */
static inline __u64 ebb_word_in_force(__u64 verdict, __u64 pull)
{
	return ebb_gen_after(ebb_word_gen(verdict), ebb_word_gen(pull)) ? verdict : pull;
}

/* Rounds up, so that nothing ends early. */
static inline __u64 ebb_ns_to_ticks(__u64 ns)
{
	return (ns + (1ULL << EBB_TICK_SHIFT) - 1) >> EBB_TICK_SHIFT;
}

static inline __u64 ebb_ticks_to_ns(__u64 ticks)
{
	return ticks << EBB_TICK_SHIFT;
}

/*
 * More words of a gate, laid out by generation like the first:
 *
 *   run           generation:23 | whose:21 | failures in a row:20
 *   ramp_asked    generation:23 | zero:9  | connections:32
 *   probe result  generation:23 | zero:9  | succeeded:16 | failed:16
 *   probe slot    generation:23 | deadline in ticks:41       (0: free)
 *
 * A word of another generation counts as zero. Whose: the one workload that failed so often in
 * a row, as 1 + the slot of its pair, so that no two are taken for one; or MIXED: there are several.
 */
#define EBB_RUN_FAILURES_BITS 20
#define EBB_RUN_FAILURES_MAX  ((1U << EBB_RUN_FAILURES_BITS) - 1) /* it counts no further */
#define EBB_RUN_MIXED	      ((1U << 21) - 1)

/* Who a pair is in a run. Nobody knows how many share ~other. */
static inline __u32 ebb_run_who(__u32 pair)
{
	return pair == EBB_SLOT_OTHER || pair >= EBB_RUN_MIXED - 1 ? EBB_RUN_MIXED : pair + 1;
}

static inline __u64 ebb_run_word(__u32 gen, __u32 whose, __u32 failures)
{
	return ((__u64)(gen & EBB_GEN_MASK) << 41) | ((__u64)whose << EBB_RUN_FAILURES_BITS) | failures;
}

static inline __u32 ebb_run_failures(__u64 run, __u32 gen)
{
	return (__u32)(run >> 41) == gen ? (__u32)run & EBB_RUN_FAILURES_MAX : 0;
}

/* 0: nobody's, or it is not known. */
static inline __u32 ebb_run_whose(__u64 run, __u32 gen)
{
	return (__u32)(run >> 41) == gen ? (__u32)(run >> EBB_RUN_FAILURES_BITS) & EBB_RUN_MIXED : 0;
}

/* The run after one more failure, of @who. */
static inline __u64 ebb_run_next(__u64 run, __u32 gen, __u32 who)
{
	__u32 failures = ebb_run_failures(run, gen), whose = ebb_run_whose(run, gen);

	if (whose && whose != who)
		who = EBB_RUN_MIXED;
	return ebb_run_word(gen, who, failures < EBB_RUN_FAILURES_MAX ? failures + 1 : failures);
}

/* What of 2^32 a closed gate lets through whose share still grows; all once its ramp has ended. */
static inline __u64 ebb_ramp_share(__u64 word, __u32 ramp_ticks, __u64 now_ticks)
{
	__u64 left;

	if (!ramp_ticks || now_ticks >= ebb_word_until(word))
		return 1ULL << 32;
	left = ebb_word_until(word) - now_ticks;
	if (left > ramp_ticks) /* another ramp has been configured */
		left = ramp_ticks;
	return ((ramp_ticks - left) << 32) / ramp_ticks;
}

static inline __u64 ebb_asked_word(__u32 gen, __u32 connections)
{
	return ((__u64)(gen & EBB_GEN_MASK) << 41) | connections;
}

static inline __u32 ebb_asked(__u64 asked, __u32 gen)
{
	return (__u32)(asked >> 41) == gen ? (__u32)asked : 0;
}

static inline __u64 ebb_probe_result_word(__u32 gen, __u32 succeeded, __u32 failed)
{
	return ((__u64)(gen & EBB_GEN_MASK) << 41) | ((__u64)(succeeded & 0xffffU) << 16) |
	       (failed & 0xffffU);
}

static inline __u32 ebb_probe_succeeded(__u64 result, __u32 gen)
{
	return (__u32)(result >> 41) == gen ? (__u32)(result >> 16) & 0xffffU : 0;
}

static inline __u32 ebb_probe_failed(__u64 result, __u32 gen)
{
	return (__u32)(result >> 41) == gen ? (__u32)result & 0xffffU : 0;
}

static inline __u64 ebb_probe_slot_word(__u32 gen, __u64 deadline_ticks)
{
	return ((__u64)(gen & EBB_GEN_MASK) << 41) | (deadline_ticks & ((1ULL << 41) - 1));
}

static inline __u32 ebb_probe_slot_gen(__u64 slot)
{
	return (__u32)(slot >> 41);
}

static inline __u64 ebb_probe_slot_deadline(__u64 slot)
{
	return slot & ((1ULL << 41) - 1);
}

/*
 * The debt, in ns, of a bucket that will be full at @full_ns (bpf/bucket.h), 0 to 2 @depth_ns. It can be more: one packet may be
 * larger than the bucket, and a debt stays when the limit is changed.
 */
static inline __u64 ebb_bucket_debt(__u64 full_ns, __u64 now_ns, __u64 depth_ns)
{
	__u64 debt;

	if ((__s64)(full_ns - now_ns) <= 0)
		return 0;
	debt = full_ns - now_ns;
	return debt < 2 * depth_ns ? debt : 2 * depth_ns;
}

/* ----------------------------------------------------------- histograms -- */

/*
 * Log-linear (as HdrHistogram): four buckets for each power of two, in units
 * of 250 ns, so that srtt_us (1/8 us) converts by a shift:
 *
 *   units   0 1 2 3 | 4 5 6 7 | 8 10 12 14 | 16 20 24 28 | ...  to 268 s
 *   bucket  0 1 2 3 | 4 5 6 7 | 8  9 10 11 | 12 13 14 15 | ...  115
 */
#define EBB_HIST_UNIT_NS 250
#define EBB_HIST_BUCKETS 116

struct ebb_hist {
	__u64 sum_units; /* of all values; 250 ns each */
	__u64 buckets[EBB_HIST_BUCKETS];
	__u64 pad[3];
};
_Static_assert(sizeof(struct ebb_hist) == 960, "map value layout is ABI");

/* The bucket that counts a value of @units. */
static inline __u32 ebb_hist_bucket(__u64 units)
{
	__u32 k = 0, v;

	if (units >= (1ULL << 30))
		return EBB_HIST_BUCKETS - 1;
	v = (__u32)units;
	if (v < 4)
		return v;
	/* k = floor(log2(v)), by halving: no clz before BPF ISA v4 */
	if (v >> 16)
		k += 16;
	if (v >> (k + 8))
		k += 8;
	if (v >> (k + 4))
		k += 4;
	if (v >> (k + 2))
		k += 2;
	if (v >> (k + 1))
		k += 1;
	return (k - 1) * 4 + ((v >> (k - 2)) & 3);
}

/* The smallest value, in units, that @bucket counts. */
static inline __u64 ebb_hist_lower(__u32 bucket)
{
	__u32 k = bucket / 4 + 1;

	return bucket < 4 ? bucket : (4ULL + bucket % 4) << (k - 2);
}

/*
 * Of each pair there are only so many buckets, one for each power of two from 64 us on:
 *
 *	bucket    0      1             2              ...  21
 *	          < 64 us, 64 to 128 us, 128 to 256 us, ... from 67.1 s
 */
#define EBB_TURN_BUCKETS 22
#define EBB_TURN_SHIFT	 8 /* 64 us in units of 250 ns */

static inline __u32 ebb_turn_bucket(__u64 units)
{
	__u32 bucket = 0;

	units >>= EBB_TURN_SHIFT;
	if (units >> 16) {
		bucket = 16;
		units >>= 16;
	}
	if (units >> 8) {
		bucket += 8;
		units >>= 8;
	}
	if (units >> 4) {
		bucket += 4;
		units >>= 4;
	}
	if (units >> 2) {
		bucket += 2;
		units >>= 2;
	}
	bucket += units > 1 ? 2 : (__u32)units;
	return bucket < EBB_TURN_BUCKETS ? bucket : EBB_TURN_BUCKETS - 1;
}

/* --------------------------------------------------------------- values -- */

/* The memory of each table, aligned by hand. */
/* clang-format off */

/* Kernel. One for each destination slot. */
struct ebb_dst {
	struct ebb_endpoint endpoint;	/* that it was discovered by; all zero: a rule names it */
	__u32	epoch;			/* + 1 each time the slot gets a new owner */
	__u32	state;			/* enum ebb_slot_state */
	__u32	scope;			/* enum ebb_scope */
	__u64	created_ns;
	__u64	finder;			/* workload that discovered it, 0: a rule */
	__u32	apart;			/* 1: its endpoint stands in lookups, since a rule claims the address */
	__u32	pad0;
	__u64	pad;
	struct ebb_hist connect;	/* time to connect */
	struct ebb_hist rtt;		/* smoothed round-trip time */
	struct ebb_hist turn;		/* last byte out to first byte in */
};
_Static_assert(sizeof(struct ebb_dst) == 64 + 3 * 960, "map value layout is ABI");

/* Kernel. One for each pair slot. Counters only grow. */
struct ebb_pair {
	__u64	workload;		/* cgroup id */
	__u32	dst;			/* destination slot */
	__u32	dst_epoch;
	__u32	gate;			/* gate slot; of a workload that is apart its own (written by the agent) */
	__u32	epoch;
	__u32	state;			/* enum ebb_slot_state */
	__u32	pad0;
	__u64	created_ns;
	__u64	active;			/* gauge: established connections */
	__u64	attempts;		/* passed by us at connect(); of UDP these are established at once */
	__u64	syn_sent;		/* of these, SYN sent; attempts - syn_sent failed locally */
	__u64	outcomes[EBB_OUTCOME_MAX];
	__u64	denied[EBB_CAUSE_MAX];	/* refused */
	__u64	would_deny[EBB_CAUSE_MAX];	/* observe: would have been refused */
	__u64	connect_units;		/* sum of times to connect, 250 ns each */
	__u64	result_ok;		/* results that its breaker counted: successes, of probes too */
	__u64	result_failed;		/* and failures; of probes not */
	__u64	result_slow;		/* of both, the slow ones */
	__u64	sent_bytes;		/* TCP: payload without retransmissions; UDP: IP bytes */
	__u64	received_bytes;		/* TCP: payload */
	__u64	sent_packets;		/* UDP: datagrams; of connected sockets while egress is attached */
	__u64	retransmits;		/* TCP segments */
	__u64	dropped_bytes[EBB_DROP_MAX];	/* IP bytes */
	__u64	dropped_packets[EBB_DROP_MAX];
	__u64	would_drop_bytes[EBB_DROP_MAX];	/* observe: would have been dropped */
	__u64	would_drop_packets[EBB_DROP_MAX];
	__u64	adopted;		/* connections that were there before the agent */
	__u64	reset;			/* destroyed by us (established: reset) */
	__u64	turns[EBB_TURN_MAX];
	__u64	turns_slow;		/* of those answered */
	__u64	turn_units;		/* sum of their times, 250 ns each */
	__u32	turn_buckets[EBB_TURN_BUCKETS];	/* the same, coarsely: see ebb_turn_bucket() */
	__u64	pad[5];
};
_Static_assert(sizeof(struct ebb_pair) == 576, "map value layout is ABI");

/* Kernel. One for each gate slot; the first cache line is the hot one. */
struct ebb_gate {
	__u64	pull;			/* state word */
	__u64	run;			/* failures in a row */
	__u64	ok;			/* results of the closed state: successes */
	__u64	failed;			/* and failures */
	__u64	slow;			/* of both, the slow ones */
	__u64	in_use;			/* concurrency slots taken */
	__u64	succeeded;		/* whose success was the last */
	__u64	last_failure_ns;
	__u64	probes[EBB_PROBES_MAX];
	__u64	full_ns[EBB_LIMIT_MAX];	/* buckets: when each is full again (bpf/bucket.h) */
	__u32	share;			/* bytes/s that one connection may send; 0: not paced (bpf/pace.h) */
	__u32	share_base;		/* the same without what steers the debt */
	__u64	share_at_ns;		/* when the share was last adjusted */
	__u32	share_debt_us;		/* debt of the bucket then */
	__u32	share_lost_us;		/* time since then in which the bucket was full: capacity that nobody used */
	__u64	senders;		/* connections that sent, by epoch (bpf/pace.h) */
	__u64	paced;			/* gauge: connections that we pace now */
	__u64	ramp_asked;		/* run word: connections that asked while the share of a closed gate grew */
	__u64	refusals;		/* of these enforce_percent carries a share out */
	__u64	turns_answered;
	__u64	turns_unanswered;
	__u64	asked_ns;		/* the last that it refused, or met while it was not closed; not by an operator's order */
	__u64	probe_result;
	__u64	pad[2];
};
_Static_assert(sizeof(struct ebb_gate) == 256, "map value layout is ABI");

/* Agent. One for each gate slot. */
struct ebb_verdict {
	__u64	word;			/* state word */
	__u64	arm;			/* see below; 0: the policy's */
	__u64	succeeded;		/* of the gate, as the look read it that made the arm; written after it */
	__u64	answered_from;		/* of the gate's turns, those before are not judged any more */
	__u64	unanswered_from;
	__u32	plain_gen;		/* the generation in which connections began whose sockets have no memory */
	__u32	pad32;
	__u64	pad[2];
};
_Static_assert(sizeof(struct ebb_verdict) == 64, "map value layout is ABI");

/* clang-format on */

/*
 * arm: only mixed runs:1 | failures in a row at which the kernel opens (0: never):31 | open time in ticks:32
 * succeeded: how often it has become another's:32 | whose the last was, as in a run (0: nobody's):32
 */
#define EBB_ARM_MIXED (1ULL << 63)

static inline __u64 ebb_arm(__u32 failures, __u32 open_ticks)
{
	return ((__u64)failures << 32) | open_ticks;
}

static inline __u32 ebb_arm_failures(__u64 arm)
{
	return (__u32)(arm >> 32) & 0x7fffffffU;
}

/* The word after a success of @who: the same while nobody else has one. */
static inline __u64 ebb_succeeded_next(__u64 succeeded, __u32 who)
{
	return (__u32)succeeded == who ? succeeded : (((succeeded >> 32) + 1) << 32) | who;
}

/*
 * May a run of @whose open a gate? Not that of one workload while another may have succeeded within
 * the window: then the agent looks whose fault it is (core/apart.h). The arm says that no two had, as the look
 * saw it, when the last success was @seen; and since then nobody has but who had the last.
 */
static inline int ebb_arm_admits(__u64 arm, __u64 seen, __u32 whose, __u64 succeeded)
{
	if (whose == EBB_RUN_MIXED)
		return 1;
	if ((arm & EBB_ARM_MIXED) || ((__u32)succeeded && (__u32)succeeded != whose))
		return 0;
	return succeeded == seen || (!seen && succeeded >> 32 == 1);
}

static inline __u32 ebb_arm_open_ticks(__u64 arm)
{
	return (__u32)arm;
}

/* clang-format off */

/*
 * One token bucket. All zero: no limit. The kernel computes in time: so many units
 * take mult * units >> shift nanoseconds of the rate (user/core/limit.c makes these).
 */
struct ebb_limit {
	__u64	per_hour;		/* units an hour: 1/h to 1 TB/s are whole numbers */
	__u64	burst;			/* units */
	__u64	burst_ns;		/* the same in time */
	__u64	mult;
	__u32	shift;
	__u32	pad;
};
_Static_assert(sizeof(struct ebb_limit) == 40, "map value layout is ABI");

#define EBB_GIVEN_CONCURRENT (1U << EBB_LIMIT_MAX)

/* A policy at one glance, kept true by whoever writes it (ebb_limits_summarize()). */
#define EBB_ASK_CONNECT 1U /* connects or concurrent is limited */
#define EBB_ASK_PACKET	2U /* bytes or packets are limited, or established is drop */
/* What its limits do not say: kept as they are by ebb_limits_summarize(). */
#define EBB_ASK_MEMORY	4U /* its addresses are about to change hands: every new connection gets a memory */
#define EBB_ASK_OWN	8U /* some workload has a policy of its own for it (struct ebb_own) */
#define EBB_ASK_KEPT	(EBB_ASK_MEMORY | EBB_ASK_OWN)

struct ebb_limits {
	struct ebb_limit bucket[EBB_LIMIT_MAX];
	__u32	concurrent;		/* 0: no limit */
	__u32	given;			/* by hand: 1 << enum ebb_limit_kind, EBB_GIVEN_CONCURRENT: which of these stand */
};
_Static_assert(sizeof(struct ebb_limits) == 128, "map value layout is ABI");

/*
 * Agent and command line. One for each destination slot; free slots hold the defaults.
 *
 * Tolerated: a packet that comes while a limit is being rewritten may be charged by
 * half of the old and half of the new; a debt that cannot be is forgiven (ebb_bucket_forgive()).
 */
struct ebb_policy {
	__u64	arm;			/* for a gate without a verdict */
	__u32	mode;			/* enum ebb_mode */
	__u32	scope;			/* enum ebb_scope */
	__u32	errno_code;		/* enum ebb_errno */
	__u32	on_agent_loss;		/* enum ebb_on_agent_loss */
	__u32	count_mask;		/* 1 << enum ebb_outcome: what is a failure */
	__u32	probes;			/* at once, <= EBB_PROBES_MAX */
	__u32	close_after;
	__u32	reopen_after;
	__u32	probe_lease_ticks;
	__u32	established;		/* enum ebb_established */
	__u32	abandon_ms;
	__u32	override_state;		/* enum ebb_override */
	__u64	override_until_ns;	/* 0: no end */
	__u64	slow_ns;		/* 0: off */
	__u32	override_uid;
	__u32	asks;			/* EBB_ASK_* */
	struct ebb_limits limits;	/* as configured */
	struct ebb_limits by_hand;	/* by an operator; stronger */
	__u64	by_hand_until_ns;	/* 0: no end */
	__u32	by_hand_uid;
	__u32	limits_errno;		/* enum ebb_errno: what a limit refuses with */
	__u64	mode_until_ns;		/* 0: no end */
	__u32	mode_by_hand;		/* 0: none, 1 + enum ebb_mode; of ~other: the node's, stronger than all others */
	__u32	mode_uid;
	__u64	wide_until_ns;		/* end of those of by_hand that are @wide; 0: no end */
	__u32	wide;			/* as given: of the policy of one workload, what was said for all of them */
	__u32	wide_uid;
	__u32	ramp_ticks;		/* after closing, the share that is let through grows to all; 0: all at once */
	__u32	spare_percent;		/* of refusals, so many are only counted */
	__u32	syn_retries;		/* a SYN that was sent again so often has failed by timeout; 0: not asked */
	__u32	fuse_exempt;		/* 1: the node fuse sheds nothing here */
};
_Static_assert(sizeof(struct ebb_policy) == 400, "map value layout is ABI");

/*
 * Agent and command line. By pair slot, only where an operator said something about one workload:
 * the whole policy of this pair, in place of its destination's. Whoever writes that one
 * writes this one too (core/by_hand.h makes it).
 */
struct ebb_own {
	__u32	pair_epoch;
	__u32	said;			/* EBB_SAID_*: for this workload alone; the rest is its destination's */
	__u64	until_ns;		/* all of that is over then, and the destination's policy holds; 0: no end */
	struct ebb_policy policy;
};
_Static_assert(sizeof(struct ebb_own) == 416, "map value layout is ABI");

/* What an operator can say. */
#define EBB_SAID_OVERRIDE 1U
#define EBB_SAID_MODE	  2U
#define EBB_SAID_LIMITS	  4U

/* Agent. One for each destination slot. It counts while its epoch is the slot's. */
struct ebb_name {
	__u32	epoch;			/* written last; of a change first, as epoch - 1 */
	__u32	flags;			/* EBB_NAME_* */
	char	text[EBB_NAME_TEXT_MAX];	/* "anthropic", "api.example.com:443/tcp"; "": its address */
};
_Static_assert(sizeof(struct ebb_name) == 280, "map value layout is ABI");

#define EBB_NAME_RULE	   1U /* of the configuration: never idle */
#define EBB_NAME_HOST	   2U /* a host name seen in DNS */
#define EBB_NAME_AMBIGUOUS 4U /* an address of it has another name, too */
#define EBB_NAME_OWN	   8U /* HOST, by an answer that only the one workload believes that uses it */

/* Agent; by the kernel one that it meets first, as UNKNOWN. By cgroup id. */
struct ebb_workload {
	__u32	class;			/* enum ebb_class */
	__u32	pad;
	__u64	since_ns;		/* UNKNOWN: since when */
};
_Static_assert(sizeof(struct ebb_workload) == 16, "map value layout is ABI");

/* Command line. What operators did, for the agent to tell later; by serial % EBB_DEEDS. */
struct ebb_deed {
	__u64	serial;			/* from 1; written last */
	__u64	at_realtime_ns;
	__u32	uid;
	__u32	login_uid;		/* (u32)-1: none */
	char	what[488];		/* as it was typed: "limit set api --bytes 10MB/s" */
};
_Static_assert(sizeof(struct ebb_deed) == 512, "map value layout is ABI");

/* Kernel. Before the bytes of a DNS message in its ring buffer. Not in a pinned map. */
struct ebb_dns_head {
	__u64	at_ns;
	__u64	workload;
	__u8	from[16];		/* who answered */
	__u64	netns;			/* cookie of the socket's network namespace; 0: not known */
	__u32	length;			/* bytes that follow */
	__u32	flags;			/* EBB_DNS_* */
};
_Static_assert(sizeof(struct ebb_dns_head) == 48, "ring buffer layout is ABI");

#define EBB_DNS_ASKED	1U /* the socket had sent something to that address and port */
#define EBB_DNS_INITIAL 2U /* its network namespace is the node's first */
#define EBB_DNS_LOCAL	4U /* it came by the loopback device: from the socket's own network namespace */

/* Agent. The one element of its map. */
struct ebb_agent {
	__u32	abi_version;
	__u32	mode;			/* enum ebb_mode */
	__u64	heartbeat_ns;		/* 0: no agent; the last write of a tick */
	__u64	lease_ns;
	__u64	looked;			/* + 1 at the start of each look */
	__u64	started_ns;
	__u64	started_realtime_s;
	__u64	run_id;
	__u64	seed;			/* of the jitter */
	__u32	pid;
	__u32	dst_max;		/* destination slots, ~other included */
	__u32	pair_max;
	__u32	fuse;			/* enum ebb_fuse_action: what the node fuse does now; for no longer than the lease */
	__u64	cgroup_id;		/* what the programs are attached to */
	__u64	generation;		/* of the configuration */
	__u64	mapping;		/* + 1 after each change of what belongs where: guesses made before are void */
	__u64	deeds_told;		/* serial of the last deed that was told */
	__u32	workload_rules;		/* enum ebb_rules */
	__u32	ambiguous;		/* 1: the table of lookups is to be asked */
	__u32	any_port;		/* 1: some endpoint with port 0 stands for all ports of its address */
	__u32	answers;		/* 1: DNS answers are read: who asks a name server is to be remembered */
	/* the node fuse, for those who show it */
	__u64	fuse_since_ns;		/* when it began to act, or ended; 0: it never acted */
	__u32	fuse_action;		/* enum ebb_fuse_action: what it does when it acts; OFF: no agent has said it */
	__u32	fuse_open_ppm;		/* settings: open_ratio in millionths */
	__u32	fuse_min_destinations;
	__u32	fuse_min_calls;
	__u32	fuse_active;		/* as of the last look: active destinations */
	__u32	fuse_open;		/* of these, open */
	__u32	fuse_calls;		/* results of the node in the window */
	__u32	fuse_acted;		/* how often it began to act */
	__u64	fuse_window_ns;
	__u32	turns;			/* 1: requests and answers are seen: what is established alone is no success */
	__u32	config_behind;		/* 1: what holds is not all that the configuration says by now; /health tells why */
	__u64	pad;
};
_Static_assert(sizeof(struct ebb_agent) == 192, "map value layout is ABI");

/* Kernel. The one element of its map. */
struct ebb_kernel {
	__u64	woken_for;		/* agent.looked at the last wake-up */
	__u32	dst_high;		/* highest slot ever used; raised by the agent, too */
	__u32	pair_high;
	__u64	errors[EBB_ERR_MAX];
};

/* Agent. What it must find again after a restart; one for each gate slot. */
struct ebb_transition {
	__u64	at_ns;
	__u64	until_ns;		/* end of open; 0 elsewhere */
	__u32	gen;			/* the generation that it began */
	__u32	reason;			/* enum ebb_reason */
	__u32	ok;			/* the facts that caused it: window or probes */
	__u32	failed;
	__u32	slow;
	__u32	run;			/* failures in a row */
	__u64	episode;		/* id of the stay outside closed that it begins, goes on or ends; 0: of an earlier layout */
};
_Static_assert(sizeof(struct ebb_transition) == 48, "map value layout is ABI");

struct ebb_memory {
	__u32	trips;			/* in a row: decides the next open time */
	__u32	count;			/* transitions ever; last[(count - 1) % KEPT] is the newest */
	__u64	since_ns;		/* when the present state began; 0: never moved */
	__u32	window_ok;		/* the window as of the last look, for the command line */
	__u32	window_failed;
	__u32	window_slow;
	__u32	moved[EBB_REASON_MAX];	/* transitions by reason */
	__u32	window_ratio_ppm;	/* share of failures, as it is judged; millionths */
	struct ebb_transition last[EBB_TRANSITIONS_KEPT];
};
_Static_assert(sizeof(struct ebb_memory) == 56 + 4 * 48, "map value layout is ABI");

/* Known at load; the verifier drops what it turns off. */
struct ebb_load_config {
	__u32 dst_max;
	__u32 pair_max;
	__u32 has_set_retval;	/* 0: refuse by rewriting the address (before 6.1) */
	__u32 has_sock_destroy;	/* 0: tell user space which sockets to destroy (before 6.5) */
};
_Static_assert(sizeof(struct ebb_load_config) == 16, "load-time configuration is ABI");

/* What a pass over the open sockets is to do, and what it met. Not in a pinned map. */
struct ebb_seeding {
	__u32	pass;			/* enum ebb_pass */
	__u32	pad;
	__u64	adopted;
	__u64	known;			/* counted already */
	__u64	accepted;		/* answers to clients: never governed; by descriptor */
	__u64	undecided;		/* who opened it is not sure: left alone; by descriptor */
	__u64	busy;			/* changed under our eyes: a later pass will see it; by descriptor */
	__u64	slots;			/* concurrency slots taken for connections that had none */
	__u64	ended;			/* adopted ones whose end was not seen: given back */
	__u64	remembered;		/* memories made by EBB_PASS_REMEMBER */
	__u64	hidden;			/* below our cgroup, who can hold sockets that are in no table of files; by descriptor */
};
_Static_assert(sizeof(struct ebb_seeding) == 80, "shared with user space");

/* What a recount found, by slot: active of a pair, the others of a gate. Not in a pinned map. */
struct ebb_counted {
	__u32	active;
	__u32	slots;
	__u32	paced;
	__u32	pad;
};
_Static_assert(sizeof(struct ebb_counted) == 16, "shared with user space");

struct ebb_counting {
	__u32	pass;			/* serial of the recount */
	__u32	pad;
	__u64	hidden;			/* open files of programs that can hold sockets which are in no table of files */
	__u64	left_out;		/* sockets that may be counted twice */
};
_Static_assert(sizeof(struct ebb_counting) == 24, "shared with user space");

/* A connection that user space is to destroy by netlink. */
struct ebb_doomed {
	__u64	cookie;
	__u32	local[4];		/* network order; IPv4: the first word */
	__u32	peer[4];
	__be16	local_port;
	__be16	peer_port;
	__u32	family;
	__u32	device;			/* that it is bound to, 0: none */
	__u32	pair;
};
_Static_assert(sizeof(struct ebb_doomed) == 56, "shared with user space");

/*
 * Command line. The one element of its map: 'ebb record'. It pushes the end a little ahead of now, again and
 * again, so that a recording ends by itself when the command dies.
 */
struct ebb_recorder {
	__u64	until_ns;		/* results are written into their ring until then; 0: nobody records */
	__u32	pid;
	__u32	uid;
};
_Static_assert(sizeof(struct ebb_recorder) == 16, "map value layout is ABI");

/* Kernel. How one call ended, in the ring of results: once for each, while somebody records. */
struct ebb_record {
	__u64	at_ns;			/* when it was known */
	__u64	took_ns;		/* what it is judged by: to connect, or its turn; 0: nothing was timed */
	__u64	workload;		/* cgroup id */
	__u32	dst;			/* destination slot */
	__u32	dst_epoch;
	__u32	outcome;		/* enum ebb_outcome, EBB_RECORD_DENIED */
	__u32	pad;
};
_Static_assert(sizeof(struct ebb_record) == 40, "ring buffer layout is ABI");

#define EBB_RECORD_DENIED 0xffffffffU /* refused by us, or would have been */

/* Agent. The one element of its map: which connections become spans. Not in a pinned map. */
struct ebb_tracer {
	__u64	until_ns;		/* they are written until then; 0: nobody wants them */
	__u32	share;			/* of those that do not fail: whose number drawn is not above */
	__u32	pad;
	__u64	lost;			/* by the kernel: spans that found no room in their ring */
};
_Static_assert(sizeof(struct ebb_tracer) == 24, "shared with user space");

/* Kernel. How a connection went, or that it was refused, in the ring of spans. Not in a pinned map. */
struct ebb_span_end {
	__u64	at_ns;			/* when it was over */
	__u64	start_ns;		/* of connect(); 0: not seen */
	__u64	connected_ns;		/* 0: never, or not seen */
	__u64	answered_ns;		/* the first answer; likewise */
	__u64	turn_ns;		/* from the last byte of its request */
	__u64	workload;		/* cgroup id */
	__u64	sent_bytes;		/* payload, each byte once */
	__u64	received_bytes;
	__u32	dst;			/* destination slot */
	__u32	dst_epoch;
	__u32	pair;
	__u32	gate;			/* whose breaker judges it */
	__u32	outcome;		/* enum ebb_outcome, EBB_RECORD_DENIED */
	__u32	cause;			/* enum ebb_cause, where it was denied */
	__u32	flags;			/* EBB_SPAN_* */
	__u32	dice;			/* the number drawn */
	__u32	share;			/* and what it was compared with */
	__u32	rtt_us;			/* smoothed, at the end; 0: not measured */
	__u32	retransmits;		/* segments */
	struct ebb_endpoint peer;	/* at the end: another program may have rewritten it since connect() */
};
_Static_assert(sizeof(struct ebb_span_end) == 128, "ring buffer layout is ABI");

#define EBB_SPAN_FAILED	  1U /* by the policy of its destination */
#define EBB_SPAN_PROBE	  2U /* it tried a breaker that was half-open */
#define EBB_SPAN_ENFORCED 4U /* it was refused; else it would have been */

/* A hint in the ring buffer. The maps are the truth. */
struct ebb_event {
	__u64	at_ns;
	__u32	kind;			/* enum ebb_event_kind */
	__u32	outcome;		/* enum ebb_outcome, for FAILURE and PROBE */
	__u32	pair;
	__u32	gate;
};
_Static_assert(sizeof(struct ebb_event) == 24, "ring buffer layout is ABI");

/* clang-format on */

#endif /* EBB_ABI_H */
