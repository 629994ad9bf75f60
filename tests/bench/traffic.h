/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Traffic for the comparison of limiters (tests/bench/limits.py): bulk flows from inside
 * the cgroup to a receiver outside of it, on the same machine or in another network
 * namespace, counted in windows. What is computed from the counts is Python's.
 *
 *	parent, in the cgroup      bulk flows, retransmissions, smoothed RTT
 *	child, in the cgroup       one byte, 20 times a second, to the same place: how long it waits
 *	child, outside             receives; reads the kernel's counters at the end of each window
 *
 * All of them write into one piece of shared memory; the parent prints it.
 */
#ifndef EBB_TESTS_BENCH_TRAFFIC_H
#define EBB_TESTS_BENCH_TRAFFIC_H

#include <jansson.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#define TRAFFIC_STEPS_MAX   8
#define TRAFFIC_FLOWS_MAX   256
#define TRAFFIC_SAMPLES_MAX 8192

struct traffic_options {
	const char *cgroup;
	const char *far;     /* network namespace of the receiver, a path; NULL: ours */
	const char *control; /* congestion control; NULL: the default */
	struct sockaddr_in to;
	uint32_t steps[TRAFFIC_STEPS_MAX]; /* flows that send, in each stretch of time */
	uint32_t step_count;
	uint32_t warm_up_ms; /* before the first step */
	uint32_t step_ms;
	uint32_t window_ms;
	uint32_t size;	  /* UDP: payload of a datagram */
	uint32_t segment; /* UDP: datagrams handed over at once (UDP_SEGMENT) */
	uint64_t offer;	  /* UDP: IP bytes a second that are sent */
	uint64_t pace;	  /* TCP: IP bytes a second that the sender itself keeps to, 0: as fast as it goes */
};

/* Counters since the beginning. */
struct traffic_sample {
	uint64_t at_ns;
	uint64_t payload;
	uint64_t segments;
};

struct traffic_shared {
	/* set by the parent, before the receiver's first sample */
	uint64_t start_ns; /* monotonic; 0: not yet */
	uint32_t stop;

	/* by the receiver */
	uint32_t ready;
	uint32_t accepted; /* bulk flows */
	struct traffic_sample samples[TRAFFIC_SAMPLES_MAX];
	uint32_t sample_count;
	uint64_t flow_bytes[TRAFFIC_STEPS_MAX + 1][TRAFFIC_FLOWS_MAX]; /* at the edges of the steps */
	uint32_t flow_count;
	uint64_t late_max_ns; /* a sample was taken this long after its time */
	uint64_t overflow;    /* UDP: datagrams that its socket had no room for */
	uint64_t receiver_cpu_ns;

	/* by the one that sends a byte at a time */
	uint32_t echo_connected;
	double echo_us[TRAFFIC_SAMPLES_MAX];
	uint32_t echo_count;
	bool echo_realtime;
};

#define TRAFFIC_STORE(word, value) __atomic_store_n(&(word), (value), __ATOMIC_RELEASE)
#define TRAFFIC_LOAD(word)	   __atomic_load_n(&(word), __ATOMIC_ACQUIRE)

/* How busy the machine was beside us: /proc/stat, in seconds of all processors. */
struct traffic_noise {
	double busy_s;
	double steal_s;
	double own_s; /* of this process */
	double at_s;
};

int traffic_noise_read(struct traffic_noise *ret_noise);

/* "Tcp:" in /proc/net/snmp: segments sent again, in this network namespace. */
int traffic_retransmitted(uint64_t *ret_segments);

int traffic_error(const char *what);
int traffic_enter_netns(const char *path);

/* Nanoseconds of processor time of this process. */
uint64_t traffic_cpu_ns(void);

/* Of the steps; the largest is how many flows there are. */
uint32_t traffic_flows(const struct traffic_options *options);

/* From start to the end of the last step. */
uint64_t traffic_length_ns(const struct traffic_options *options);

/* Receives until told to stop; 0 or negative errno. */
int traffic_receive(const struct traffic_options *options, struct traffic_shared *shared);

/* One byte at a time, until the last step ends. */
int traffic_echo(const struct traffic_options *options, struct traffic_shared *shared);

/* The commands: what they print is one JSON object. */
int traffic_tcp_main(int argc, char **argv);
int traffic_udp_main(int argc, char **argv);
int traffic_delay_main(int argc, char **argv);
int traffic_load_main(int argc, char **argv);

int traffic_parse(int argc, char **argv, struct traffic_options *ret_options);
struct traffic_shared *traffic_share(void);

/* The counters as JSON, and the noise between two readings. */
int traffic_report(const struct traffic_options *options, const struct traffic_shared *shared,
		   const struct traffic_noise noise[2], json_t *result);

#endif /* EBB_TESTS_BENCH_TRAFFIC_H */
