/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pods that the agent knows, in a file of /run/ebb that is called after its pin directory: so that commands
 * name workloads as it does, with it or without it. Nothing is decided by it.
 */
#ifndef EBB_NODE_PODS_FILE_H
#define EBB_NODE_PODS_FILE_H

#include "node/pods.h"

#define EBB_PODS_DIR "/run/ebb" /* 0755; its files 0600, they are the agent's alone */

/* Replaces the file whole. 0 or a negative errno. */
int ebb_pods_save(const struct ebb_pods *pods, const char *pin_dir);

/* -ENOENT: there is none; -EBADMSG: it is none of ours; -E2BIG, -ENOMEM and others. The caller frees *@ret_pods. */
int ebb_pods_load(const char *pin_dir, struct ebb_pods **ret_pods);

/* With the pins, whether it is there or not. */
void ebb_pods_unsave(const char *pin_dir);

#endif /* EBB_NODE_PODS_FILE_H */
