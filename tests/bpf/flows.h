/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TCP flows that send as fast as they may, and what arrives of them. One thread sends
 * for all, one receives; both end with flows_end().
 */
#ifndef EBB_TESTS_BPF_FLOWS_H
#define EBB_TESTS_BPF_FLOWS_H

#include <stdint.h>

#include "net.h"

#define FLOWS_MAX	64
#define FLOWS_WINDOW_NS 50000000ULL

struct flows;

/*
 * Connects @count flows to @to, where @listener listens. @congestion: "cubic", "bbr".
 */
struct flows *flows_begin(int listener, const struct address *to, int count, const char *congestion);
/* Only the first @count flows go on sending; the others are silent, and stay open. */
void flows_sending(struct flows *flows, int count);
int flows_fd(const struct flows *flows, int flow);
void flows_end(struct flows *flows);

struct flows_seen {
	uint64_t ns;
	uint64_t bytes;	      /* of payload, received */
	uint32_t windows;     /* of 50 ms */
	uint32_t stalled;     /* of these, with less than a twentieth of the mean */
	double cov;	      /* coefficient of variation of the windows */
	double jain;	      /* fairness among the flows: 1 is fair */
	uint64_t retransmits; /* segments */
};

/* Watches for @ns. */
struct flows_seen flows_watch(struct flows *flows, uint64_t ns);
/* Waits until so many bytes have been received in all. */
void flows_wait_bytes(struct flows *flows, uint64_t bytes);

#endif /* EBB_TESTS_BPF_FLOWS_H */
