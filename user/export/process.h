/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel says of our own process. */
#ifndef EBB_EXPORT_PROCESS_H
#define EBB_EXPORT_PROCESS_H

#include <stdint.h>

#define EBB_PROCESS_UNKNOWN UINT64_MAX

/* EBB_PROCESS_UNKNOWN where it cannot be read. */
struct ebb_process {
	uint64_t cpu_ns; /* user and system */
	uint64_t virtual_bytes;
	uint64_t virtual_max_bytes; /* unknown also when there is no limit */
	uint64_t heap_bytes;	    /* what malloc() has of the system */
	uint64_t resident_bytes;
	uint64_t anonymous_bytes; /* of the resident ones, those of no file */
	uint64_t open_fds;
	uint64_t max_fds;
	uint64_t threads;
};

void ebb_process_read(struct ebb_process *ret_process);

#endif /* EBB_EXPORT_PROCESS_H */
