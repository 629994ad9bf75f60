/* SPDX-License-Identifier: Apache-2.0 */
/* A directory for files of ours alone. */
#ifndef EBB_LIB_OWN_DIR_H
#define EBB_LIB_OWN_DIR_H

#include "lib/why.h"

/*
 * Makes @path (0700), but not what is above it. One that is there already is taken if it is ours or root's: anybody else could put a link in the
 * place of a file that we write to, -EPERM. Its mode is its owner's affair: volumes of pods are open to all of the pod.
 */
int ebb_own_dir(const char *path, struct ebb_why *why);

#endif /* EBB_LIB_OWN_DIR_H */
