/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a collector answers to a request: whether it has the spans or points, may have them later, or never takes them, by the
 * OTLP/HTTP specification. Pure.
 */
#ifndef EBB_EXPORT_OTLP_ANSWER_H
#define EBB_EXPORT_OTLP_ANSWER_H

#include <stddef.h>
#include <stdint.h>

#include "export/sink.h"

struct ebb_otlp_answer {
	enum ebb_sink_result result; /* DONE, RETRY or REFUSED */
	uint64_t rejected; /* DONE: of the spans or points, so many were not taken, and never will be */
	char why[200];	   /* one printable line; "": all is well */
};

/* @status of HTTP. @body: what came with it, cut at any length. */
void ebb_otlp_answer_read(unsigned int status, const char *body, size_t size,
			  struct ebb_otlp_answer *ret_answer);

#endif /* EBB_EXPORT_OTLP_ANSWER_H */
