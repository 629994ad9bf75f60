/* SPDX-License-Identifier: Apache-2.0 */
/* The manual pages, made from the tables of commands and of configuration keys; in mdoc(7). */
#ifndef EBB_CLI_MANUAL_H
#define EBB_CLI_MANUAL_H

#include <stdio.h>

/* ebb(8), ebb.yaml(5). 0 or a negative errno. */
int ebb_manual_document(FILE *out);
int ebb_manual_config_document(FILE *out);

#endif /* EBB_CLI_MANUAL_H */
