/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes a document that is made from a table in the code to standard output,
 * so that the document cannot differ from the code. 'make docs' stores them
 * below docs/, 'make lint' compares them.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/manual.h"
#include "config/document.h"
#include "export/metrics.h"
#include "lib/why.h"

static const struct {
	const char *name;
	int (*write)(FILE *out);
} documents[] = {
	{"configuration", ebb_config_document},
	{"metrics", ebb_metrics_document},
	{"ebb.8", ebb_manual_document},
	{"ebb.yaml.5", ebb_manual_config_document},
};

#define DOCUMENTS (sizeof(documents) / sizeof(documents[0]))

int main(int argc, char **argv)
{
	int r = -ENOENT;

	if (argc != 2) {
		(void)fprintf(stderr, "usage: docs DOCUMENT\n");
		return 2;
	}
	for (size_t i = 0; i < DOCUMENTS; i++) {
		if (strcmp(argv[1], documents[i].name) == 0)
			r = documents[i].write(stdout);
	}
	if (r == 0 && fflush(stdout) != 0)
		r = -errno;
	if (r < 0) {
		(void)fprintf(stderr, "docs: cannot write document '%s': %s\n", argv[1], ebb_strerror(r));
		return 1;
	}
	return 0;
}
