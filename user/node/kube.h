/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asks the kubelet or the API server which pods run on this node, and keeps node/pods.h as they say. It makes no
 * request itself and has no clock: both are handed in, and so a test has its own.
 *
 *	API server    LIST --ok--> WATCH --ended--> WATCH from the last version; after a while LIST again
 *	               ^             |
 *	               +-------------+ 410 Gone, garbage
 *	kubelet       LIST every so often, and at once when a pod is seen that nobody knows
 *
 * Whatever fails is tried again after a growing, jittered wait; what is known stays known meanwhile. The token is
 * read from its file for each request, so that one that was rotated is used with the next; it never goes over http://.
 */
#ifndef EBB_NODE_KUBE_H
#define EBB_NODE_KUBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/fetch.h"
#include "lib/why.h"
#include "node/pods.h"

#define EBB_KUBE_URL_MAX 512

enum ebb_kube_source {
	EBB_KUBE_OFF,
	EBB_KUBE_API,
	EBB_KUBE_KUBELET,
};

struct ebb_kube_settings {
	enum ebb_kube_source source;
	char url[EBB_KUBE_URL_MAX]; /* of the API server or the kubelet, without a slash at its end */
	char node[254];		    /* whose pods, for the API server; "": of all nodes that it tells of */
	char token_file[EBB_KUBE_URL_MAX];
	char ca_file[EBB_KUBE_URL_MAX]; /* "": whom the system trusts */
	bool insecure;			/* any certificate will do */
	uint64_t poll_ns;		/* of the kubelet; 0: 10 s */
	uint64_t resync_ns;		/* a whole list again, of the API server; 0: 30 min */
};

struct ebb_kube_ops {
	void *userdata;
	/* ebb_fetch_start(), ebb_fetch_cancel() */
	int (*start)(void *userdata, const struct ebb_fetch_request *request, uint64_t *ret_id,
		     struct ebb_why *why);
	void (*cancel)(void *userdata, uint64_t id);
	uint64_t (*now_ns)(void *userdata); /* monotonic */
	/* Our credentials were refused, with 401 or 403: for the audit log. NULL: nobody wants to know. */
	void (*credentials_refused)(void *userdata, const char *url, unsigned int status);
};

struct ebb_kube_status {
	bool healthy;	  /* the last answer was one, or none was due yet */
	bool synced;	  /* all pods were told of at least once */
	char why[200];	  /* why it is not healthy */
	uint64_t told_ns; /* when pods were last told of; 0: never */
	uint64_t lists, watches, failures;
};

struct ebb_kube;

/* @pods is borrowed. @seed: for the jitter. -ENOMEM. */
int ebb_kube_new(const struct ebb_kube_settings *settings, const struct ebb_kube_ops *ops,
		 struct ebb_pods *pods, uint64_t seed, struct ebb_kube **ret_kube);

/* Cancels what is under way. */
void ebb_kube_free(struct ebb_kube *kube);

/* At each tick, at least once a second: does what is due. */
void ebb_kube_tick(struct ebb_kube *kube);

/* A pod was seen that nobody knows: ask soon, at most once a second. */
void ebb_kube_hurry(struct ebb_kube *kube);

void ebb_kube_status(const struct ebb_kube *kube, struct ebb_kube_status *ret_status);

#endif /* EBB_NODE_KUBE_H */
