/* SPDX-License-Identifier: Apache-2.0 */
/* docs/configuration.md, made from the table of keys. */
#ifndef EBB_CONFIG_DOCUMENT_H
#define EBB_CONFIG_DOCUMENT_H

#include <stdio.h>

/* -ENOMEM, -EIO. */
int ebb_config_document(FILE *out);

#endif /* EBB_CONFIG_DOCUMENT_H */
