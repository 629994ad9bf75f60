/* SPDX-License-Identifier: Apache-2.0 */
/* Timers of a loop: descriptors of timerfd_create(CLOCK_MONOTONIC). */
#ifndef EBB_LIB_TIMER_H
#define EBB_LIB_TIMER_H

#include <stdint.h>

/* The timer @fd is due once, at @at_ns (CLOCK_MONOTONIC), and not when it was due before; UINT64_MAX: never. A negative errno. */
int ebb_timer_arm(int fd, uint64_t at_ns);

#endif /* EBB_LIB_TIMER_H */
