/* SPDX-License-Identifier: Apache-2.0 */
/* How often, and how far apart, something is tried that failed. */
#ifndef EBB_LIB_DELIVERY_SETTINGS_H
#define EBB_LIB_DELIVERY_SETTINGS_H

#include <stdint.h>

struct ebb_delivery_settings {
	uint32_t attempts; /* of one batch, the first one too */
	uint64_t first_ns; /* wait before the second */
	uint64_t max_ns;   /* the longest */
	double factor;	   /* each wait is so many times the one before */
	double jitter;	   /* a wait is so much longer or shorter, at most */
};

#endif /* EBB_LIB_DELIVERY_SETTINGS_H */
