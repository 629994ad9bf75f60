/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Every map: who writes, who reads, what happens when it is full. Defined once
 * in maps.bpf.c; sizes are set by the loader. Names end in the version of
 * their layout (EBB_ABI_VERSION).
 *
 *   map           from -> to                        written by          when full
 *   endpoints     endpoint -> destination           kernel, agent       ~other, counted
 *   pairs         workload, destination -> pair     kernel              ~other, counted
 *   free_dsts     queue of free destination slots   agent, kernel takes ~other, counted
 *   free_pairs    queue of free pair slots          agent, kernel takes ~other, counted
 *   dsts          slot -> endpoint, histograms      kernel              fixed size
 *   pair_stats    slot -> owner, counters           kernel              fixed size
 *   gates         gate slot -> the kernel's words   kernel              fixed size
 *   verdicts      gate slot -> the agent's words    agent (mmap)        fixed size
 *   policies      destination -> settings           agent, command line (mmap)
 *   memories      gate slot -> what a restart needs agent (mmap); the kernel never reads it
 *   agents        one: heartbeat, mode              agent (mmap)        fixed size
 *   kernels       one: our own failures             kernel              fixed size
 *   conns         socket -> what it holds           kernel              let through, counted
 *   notes         CPU -> the last decision          kernel              overwritten
 *   unotes        CPU -> the last sendto() of UDP   kernel              overwritten
 *   guesses       CPU, mix of endpoint, workload    kernel              overwritten
 *   listeners     port of a namespace -> yes        kernel, agent       a witness less
 *   deafs         namespace -> yes                  kernel, agent       armed after a later pass
 *   counts        slot -> what is really open       kernel, agent       fixed size
 *   mets          open socket -> counted in pass    kernel, agent       counted twice, and so not judged
 *   events        hints                             kernel              lost, counted: costs one tick
 *   names         destination -> what it is called  agent (mmap)        fixed size
 *   routes        one: the table of prefixes        agent               refused with the configuration
 *   (inner)       prefix -> its destinations        agent               refused with the configuration
 *   ports         prefix, port -> destination       agent               refused with the configuration
 *   lookups       workload, endpoint -> destination agent, kernel       the address decides
 *   owns          pair -> policy of its own         agent, command line refused by the command
 *   workloads     cgroup -> its class               agent, kernel       let through, counted
 *   founds        workload -> destinations found    kernel              no share is kept
 *   losts         workload -> of these taken back   agent               no share is kept
 *   deeds         last orders of operators          command line (mmap) overwritten
 *   recorders     one: who records results, until when  command line (mmap)
 *   records       results of calls                  kernel, on request  lost, counted
 *   tracers       one: which connections become spans  agent (mmap)
 *   spans         how connections went              kernel, on request  lost, counted
 *   traceds       socket -> when it did what        kernel              not sampled, counted
 *   answers       DNS messages                      kernel              lost, counted: a name less
 *   askeds        socket -> whom it asked for names kernel              its answers are not believed
 *
 * No LRU map: it evicts others on update. Nobody writes into another's element.
 */
#ifndef EBB_MAPS_H
#define EBB_MAPS_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "bpf/abi.h"
#include "bpf/turn.h"

/* What a socket must remember of its own. Only sockets that need it have one. */
struct ebb_conn {
	__u64 probe_word;
	__u64 start_ns; /* of connect(), where known; 0: not */
	__u32 flags;	/* EBB_CONN_*, changed atomically */
	__u32 pair;
	__u32 pair_epoch;
	__u32 dst;
	__u32 dst_epoch;
	__u32 gen; /* in which the connection began */
	__u32 probe_index;
	__u32 old_errors; /* that an earlier attempt of the socket left in its error queue */
	/* of an established connection */
	__u64 own_pace;	  /* SO_MAX_PACING_RATE of the program itself, bytes/s; ~0: none */
	__u64 sent_bytes; /* already counted for the pair */
	__u64 received_bytes;
	__u32 retransmits;
	__u32 pace;	    /* SO_MAX_PACING_RATE that we set, bytes/s; 0: none */
	__u32 sender_epoch; /* in which it was last counted as sending (bpf/pace.h) */
	__u32 pad;
	struct ebb_turn_state turn;
};

#define EBB_CONN_LIVE	 1U    /* the rest is valid */
#define EBB_CONN_SYN	 2U    /* a SYN was sent: the socket's state changes will be seen */
#define EBB_CONN_PROBE	 4U    /* holds a probe slot */
#define EBB_CONN_SLOT	 8U    /* holds a concurrency slot */
#define EBB_CONN_MUTE	 16U   /* its result moves nothing */
#define EBB_CONN_DENIED	 32U   /* refused by rewriting the address: not to be counted */
#define EBB_CONN_ACTIVE	 64U   /* counts in the pair's active connections */
#define EBB_CONN_ADOPTED 128U  /* was there before us: without EBB_CONN_SYN its state changes are not seen */
#define EBB_CONN_PACED	 256U  /* counts in the gate's paced connections */
#define EBB_CONN_UDP	 512U  /* a connected UDP socket */
#define EBB_CONN_OPENING 1024U /* adopted while it connects: becomes ACTIVE in one step */
#define EBB_CONN_JUDGED	 2048U /* has given a result: that it closes is none */
#define EBB_CONN_LOST	 4096U /* has failed after it was established, or before by syn_retries: fails no more */
#define EBB_CONN_SLOW	 8192U	/* to connect took longer than slow_call */
#define EBB_CONN_TOLD	 32768U /* stands in a recording: one line for each call */
#define EBB_CONN_LEFT	 16384U /* the program gave up while an answer was due: that it closes is no success */
#define EBB_CONN_SPANNED 131072U /* its span is written */
#define EBB_CONN_APART	 65536U /* its generation and its probe are of the gate of its pair (struct ebb_pair) */

/*
 * The decision of a connect hook, for the CONNECT_CB in the same system call; or of a
 * sendmsg hook (without gen, has_conn and endpoint), for the egress hook of the datagram.
 * It speaks for one attempt or one datagram: who has read it sets the cookie to 0.
 */
struct ebb_note {
	__u64 cookie;
	__u32 pair;
	__u32 pair_epoch;
	__u32 dst;
	__u32 dst_epoch;
	__u32 gen; /* without a memory: in which the connection began */
	__u32 has_conn;
	struct ebb_endpoint endpoint;
};

struct ebb_map_endpoints {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct ebb_endpoint);
	__type(value, struct ebb_ref);
};

struct ebb_map_pairs {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct ebb_pair_key);
	__type(value, struct ebb_ref);
};

struct ebb_map_queue {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 1);
	__type(value, __u32);
};

#define EBB_MAP_TABLE(name, value_type)            \
	struct ebb_map_##name {                    \
		__uint(type, BPF_MAP_TYPE_ARRAY);  \
		__uint(max_entries, 1);            \
		__uint(map_flags, BPF_F_MMAPABLE); \
		__type(key, __u32);                \
		__type(value, value_type);         \
	}

EBB_MAP_TABLE(dsts, struct ebb_dst);
EBB_MAP_TABLE(pair_stats, struct ebb_pair);
EBB_MAP_TABLE(gates, struct ebb_gate);
EBB_MAP_TABLE(verdicts, struct ebb_verdict);
EBB_MAP_TABLE(policies, struct ebb_policy);
EBB_MAP_TABLE(memories, struct ebb_memory);
EBB_MAP_TABLE(agents, struct ebb_agent);
EBB_MAP_TABLE(kernels, struct ebb_kernel);

struct ebb_map_conns {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct ebb_conn);
};

struct ebb_map_notes {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ebb_note);
};

/*
 * Looked at by ebb_route_guess() only: 1 << EBB_GUESS_BITS for each CPU, one after the other. Not a per-CPU array,
 * whose elements lie anywhere: here one is one cache line (mmapable arrays begin on a page). Not
 * pinned: a new load begins without guesses.
 */
struct ebb_guess {
	__u64 workload;
	__u64 mapping; /* agent.mapping of before it was looked up */
	struct ebb_endpoint endpoint;
	__u32 busy; /* odd while it is written */
	__u32 dst;
	__u32 dst_epoch;
	__u32 pair;
	__u32 pair_epoch;
	__u8 class;
	__u8 remember; /* of struct ebb_route */
	__u8 pad[6];
};
_Static_assert(sizeof(struct ebb_guess) == 64, "one cache line each");

struct ebb_map_guesses {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1 << EBB_GUESS_BITS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct ebb_guess);
};

/* Who listens, as of the pass over the open sockets that runs (seed.bpf.c). Not pinned. */
struct ebb_listener {
	__u32 netns; /* inode number */
	__u16 port;
	__u16 pad;
};

struct ebb_map_listeners {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct ebb_listener);
	__type(value, __u8);
};

/* Network namespaces, by inode number, in which an adopted connection is to be armed (arm.bpf.c). Not pinned. */
struct ebb_map_deafs {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, __u8);
};

/* Of a recount (recount.bpf.c). Not pinned. */
EBB_MAP_TABLE(counts, struct ebb_counted);

struct ebb_map_mets {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 131072);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64); /* inode number */
	__type(value, __u32);
};

struct ebb_map_events {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, EBB_RINGBUF_BYTES);
};

EBB_MAP_TABLE(recorders, struct ebb_recorder);

struct ebb_map_records {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, EBB_RECORD_BYTES);
};

/* Of traces (span.h). Not pinned. */
EBB_MAP_TABLE(tracers, struct ebb_tracer);

struct ebb_map_spans {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, EBB_SPAN_BYTES);
};

/* Only of connections that are sampled. */
struct ebb_traced {
	__u64 start_ns;
	__u64 connected_ns; /* 0: the rest is of an earlier connection of the socket */
	__u64 answered_ns;  /* 0: not yet */
	__u64 turn_ns;	    /* that it took then */
	__u32 dice;
	__u32 share;
};

struct ebb_map_traceds {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct ebb_traced);
};

EBB_MAP_TABLE(names, struct ebb_name);

EBB_MAP_TABLE(deeds, struct ebb_deed);

/* One table of prefixes is in force; the next is filled beside it, and takes its place at once. */
struct ebb_map_prefixes {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, EBB_PREFIXES_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	/* sizes: clang writes no types for what only a map inside a map mentions */
	__uint(key_size, sizeof(struct ebb_prefix_key));
	__uint(value_size, sizeof(struct ebb_prefix));
};

struct ebb_map_routes {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct ebb_map_prefixes);
};

/* The table in force, the next, and what an agent left that was killed between them. */
struct ebb_map_ports {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 3 * EBB_PORTS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct ebb_port_key);
	__type(value, struct ebb_ref);
};

struct ebb_map_lookups {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct ebb_lookup_key);
	__type(value, struct ebb_ref);
};

struct ebb_map_owns {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct ebb_own);
};

struct ebb_map_workloads {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct ebb_workload);
};

/* Two maps, so that kernel and agent each count in their own. */
struct ebb_map_shares {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, __u64);
};

/* Whom a socket asked for names; the last ones. Only sockets that send to port 53 have one. Not pinned. */
#define EBB_ASKED_MAX 4 /* a power of two; resolvers of libc know three name servers */

struct ebb_asked {
	__u64 netns; /* cookie of the socket's network namespace */
	__u32 initial;
	__u32 next;		       /* which of them is overwritten next */
	__u64 addrs[EBB_ASKED_MAX][2]; /* as in struct ebb_endpoint */
};

struct ebb_map_askeds {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct ebb_asked);
};

struct ebb_map_answers {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 512 * 1024);
};

extern struct ebb_map_endpoints ebb_endpoint_v2 SEC(".maps");
extern struct ebb_map_pairs ebb_pair_v2 SEC(".maps");
extern struct ebb_map_queue ebb_freedst_v2 SEC(".maps");
extern struct ebb_map_queue ebb_freepair_v2 SEC(".maps");
extern struct ebb_map_dsts ebb_dst_v2 SEC(".maps");
extern struct ebb_map_pair_stats ebb_pstat_v2 SEC(".maps");
extern struct ebb_map_gates ebb_gate_v2 SEC(".maps");
extern struct ebb_map_verdicts ebb_verdict_v2 SEC(".maps");
extern struct ebb_map_policies ebb_policy_v2 SEC(".maps");
extern struct ebb_map_memories ebb_memory_v2 SEC(".maps");
extern struct ebb_map_agents ebb_agent_v2 SEC(".maps");
extern struct ebb_map_kernels ebb_kernel_v2 SEC(".maps");
extern struct ebb_map_conns ebb_conn_v2 SEC(".maps");
extern struct ebb_map_notes ebb_note_v2 SEC(".maps");
extern struct ebb_map_notes ebb_unote_v2 SEC(".maps");
extern struct ebb_map_guesses ebb_guess_v2 SEC(".maps");
extern struct ebb_map_listeners ebb_listener_v2 SEC(".maps");
extern struct ebb_map_deafs ebb_deaf_v2 SEC(".maps");
extern struct ebb_map_counts ebb_count_v2 SEC(".maps");
extern struct ebb_map_mets ebb_met_v2 SEC(".maps");
extern struct ebb_map_events ebb_event_v2 SEC(".maps");
extern struct ebb_map_recorders ebb_recorder_v2 SEC(".maps");
extern struct ebb_map_records ebb_record_v2 SEC(".maps");
extern struct ebb_map_tracers ebb_tracer_v2 SEC(".maps");
extern struct ebb_map_spans ebb_span_v2 SEC(".maps");
extern struct ebb_map_traceds ebb_traced_v2 SEC(".maps");
extern struct ebb_map_names ebb_name_v2 SEC(".maps");
extern struct ebb_map_deeds ebb_deed_v2 SEC(".maps");
extern struct ebb_map_routes ebb_route_v2 SEC(".maps");
extern struct ebb_map_ports ebb_port_v2 SEC(".maps");
extern struct ebb_map_lookups ebb_lookup_v2 SEC(".maps");
extern struct ebb_map_owns ebb_own_v2 SEC(".maps");
extern struct ebb_map_workloads ebb_wload_v2 SEC(".maps");
extern struct ebb_map_shares ebb_found_v2 SEC(".maps");
extern struct ebb_map_shares ebb_lost_v2 SEC(".maps");
extern struct ebb_map_answers ebb_answer_v2 SEC(".maps");
extern struct ebb_map_askeds ebb_asked_v2 SEC(".maps");

extern const volatile struct ebb_load_config ebb_config;

/*
 * 1 while the programs of another layout are being replaced: sockets that they armed are counted
 * nowhere here until the pass that follows. Every socket that we meet ourselves meanwhile gets a
 * memory, so that the pass knows the two apart, and one without has nothing to give back.
 */
extern volatile __u32 ebb_replacing;

#endif /* EBB_MAPS_H */
