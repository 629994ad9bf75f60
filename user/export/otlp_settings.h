/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where traces or metrics go, and how: our own keys, and beside them the environment variables of the OpenTelemetry
 * specification. Ours win where both say something, since whoever wrote them meant ebb; but OTEL_SDK_DISABLED ends it all.
 * What a variable says wrongly is left out and told, as the specification wants it. Pure: the environment is given.
 */
#ifndef EBB_EXPORT_OTLP_SETTINGS_H
#define EBB_EXPORT_OTLP_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "export/otlp_json.h"

#define EBB_OTLP_URL_MAX	2048
#define EBB_OTLP_HEADERS_MAX	16
#define EBB_OTLP_ATTRIBUTES_MAX 32
#define EBB_OTLP_TEXT_MAX	1024 /* of a header, of an attribute */
#define EBB_OTLP_NOTES_MAX	8

/* What our own configuration says. Borrowed. "given": not by default. */
struct ebb_otlp_ours {
	const char *endpoint;	  /* "": not given */
	const char *headers_file; /* NULL, "": what variables say. Its headers come in their place */
	/* of traces */
	double sample;
	bool sample_given;
	/* of metrics */
	bool on,
		off; /* whatever variables say: to the collector on this node where no place is given; not at all */
	uint64_t interval_ns, timeout_ns;
	bool interval_given, timeout_given;
	bool gzip, gzip_given;
};

/* Who we are, where nothing else says it. Borrowed; NULL or "": not known. */
struct ebb_otlp_self {
	const char *instance; /* service.instance.id */
	const char *host;     /* host.name */
	const char *node;     /* k8s.node.name */
};

struct ebb_otlp_pair {
	char key[EBB_OTLP_TEXT_MAX];
	char value[EBB_OTLP_TEXT_MAX];
};

struct ebb_otlp_settings {
	char url[EBB_OTLP_URL_MAX]; /* of the signal, whole; "": it is not sent */
	char off_because[64];	    /* where there could be: "OTEL_SDK_DISABLED" */
	/* "Name: value". They are secrets: never to be printed. */
	char headers[EBB_OTLP_HEADERS_MAX][2 * EBB_OTLP_TEXT_MAX];
	size_t header_count;
	char ca_file[EBB_OTLP_TEXT_MAX]; /* "": whom the system trusts */
	uint64_t deadline_ns;		 /* of a request */
	uint64_t delay_ns;		 /* of traces: a span waits at most so long for others to go with */
	uint64_t interval_ns;		 /* of metrics: from one push to the next */
	bool gzip;
	double sample; /* of traces, 0 to 1 */
	struct ebb_otlp_pair resource[EBB_OTLP_ATTRIBUTES_MAX];
	size_t resource_count;
	/* what was left out and why, a line each */
	char notes[EBB_OTLP_NOTES_MAX][256];
	size_t note_count;
};

/* @environ: "NAME=value", NULL at the end; NULL: none. */
void ebb_otlp_settings_read(enum ebb_otlp_signal signal, const char *const *environ,
			    const struct ebb_otlp_ours *ours, const struct ebb_otlp_self *self,
			    struct ebb_otlp_settings *ret_settings);

/* Would they send the same, to the same place, in the same way? */
bool ebb_otlp_settings_equal(const struct ebb_otlp_settings *a, const struct ebb_otlp_settings *b);

/* A share of 0 to 1 as the kernel compares it: a number drawn of 32 bits is taken if it is not above. */
uint32_t ebb_otlp_share(double sample);

/*
 * "key=value,key=value", as W3C baggage has it without properties. Returns the number of pairs; -1: it is
 * malformed, or there are more than @max.
 */
int ebb_otlp_list_parse(const char *text, struct ebb_otlp_pair *ret_pairs, size_t max);

/* RFC 9110, "token" */
bool ebb_otlp_is_header_name(const char *name);

#endif /* EBB_EXPORT_OTLP_SETTINGS_H */
