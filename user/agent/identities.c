/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/identities.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/log.h"
#include "node/place.h"
#include "node/pods_file.h"

#define SAVE_NS 1000000000ULL /* the file is not written more often */

struct ebb_identities {
	struct ebb_identities_setup setup;
	struct ebb_pods *pods;
	struct ebb_kube *kube;
	uint64_t seen, saved; /* generations */
	uint64_t save_at_ns;
	bool cannot_save; /* told already */
};

/* ----------------------------------------------------------------- source -- */

/* The API server as every container of a cluster is told it; false: this is none. */
static bool api_of_cluster(char *url, size_t size)
{
	const char *host = getenv("KUBERNETES_SERVICE_HOST"), *port = getenv("KUBERNETES_SERVICE_PORT");
	bool v6 = host && strchr(host, ':');
	int length;

	if (!host || !*host)
		return false;
	length = snprintf(url, size, "https://%s%s%s:%s", v6 ? "[" : "", host, v6 ? "]" : "",
			  port && *port ? port : "443");
	return length > 0 && (size_t)length < size;
}

/* A node's name is a DNS subdomain: so it is fit for a URL. */
static bool is_node(const char *name)
{
	return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789.-") == strlen(name);
}

static int choose(const struct ebb_kubernetes *config, struct ebb_kube_settings *settings,
		  struct ebb_why *why)
{
	const char *node = config->node[0] ? config->node : getenv("NODE_NAME");
	bool in_cluster = api_of_cluster(settings->url, sizeof(settings->url));
	size_t length;

	if (config->source == EBB_KUBERNETES_OFF || (config->source == EBB_KUBERNETES_AUTO && !in_cluster))
		return 0;
	settings->source = config->source == EBB_KUBERNETES_KUBELET ? EBB_KUBE_KUBELET : EBB_KUBE_API;
	if (settings->source == EBB_KUBE_KUBELET)
		(void)snprintf(settings->url, sizeof(settings->url), "%s", config->kubelet);
	else if (config->api[0])
		(void)snprintf(settings->url, sizeof(settings->url), "%s", config->api);
	else if (!in_cluster)
		return ebb_why(why, -EINVAL,
			       "kubernetes.source is api, and nobody says where it is: set kubernetes.api, or KUBERNETES_SERVICE_HOST");
	if (settings->source == EBB_KUBE_API && (!node || !*node))
		return ebb_why(why, -EINVAL,
			       "the API server is to be asked for the pods of this node, and nobody says which it is: set kubernetes.node, or NODE_NAME (fieldRef: spec.nodeName)");
	if (node && (!is_node(node) || strlen(node) >= sizeof(settings->node)))
		return ebb_why(why, -EINVAL,
			       "'%.64s' is no name of a node: small letters, digits, '.' and '-'", node);
	(void)snprintf(settings->node, sizeof(settings->node), "%s", node ? node : "");
	(void)snprintf(settings->token_file, sizeof(settings->token_file), "%s", config->token_file);
	(void)snprintf(settings->ca_file, sizeof(settings->ca_file), "%s", config->ca_file);
	settings->insecure = !config->verify;
	length = strlen(settings->url);
	while (length > 0 && settings->url[length - 1] == '/')
		settings->url[--length] = '\0';
	return 0;
}

/* ------------------------------------------------------------------- kube -- */

static int start_request(void *userdata, const struct ebb_fetch_request *request, uint64_t *ret_id,
			 struct ebb_why *why)
{
	const struct ebb_identities *i = userdata;

	return ebb_fetch_start(i->setup.fetch, request, ret_id, why);
}

static void cancel_request(void *userdata, uint64_t id)
{
	const struct ebb_identities *i = userdata;

	ebb_fetch_cancel(i->setup.fetch, id);
}

static uint64_t now_ns(void *userdata)
{
	const struct ebb_identities *i = userdata;

	return i->setup.now_ns();
}

static void credentials_refused(void *userdata, const char *url, unsigned int status)
{
	const struct ebb_identities *i = userdata;

	if (i->setup.credentials_refused)
		i->setup.credentials_refused(i->setup.userdata, url, status);
}

static int open_all(struct ebb_identities *i, const struct ebb_kube_settings *settings)
{
	const struct ebb_kube_ops ops = {
		.userdata = i,
		.start = start_request,
		.cancel = cancel_request,
		.now_ns = now_ns,
		.credentials_refused = credentials_refused,
	};
	int r = 0;

	/* what an earlier agent knew holds until somebody is asked: uids are never used twice */
	if (ebb_pods_load(i->setup.pin_dir, &i->pods) < 0)
		r = ebb_pods_new(&i->pods);
	if (r == 0)
		i->saved = ebb_pods_generation(i->pods);
	return r < 0 ? r : ebb_kube_new(settings, &ops, i->pods, i->setup.seed, &i->kube);
}

int ebb_identities_new(const struct ebb_identities_setup *setup, struct ebb_identities **ret_identities,
		       struct ebb_why *why)
{
	struct ebb_kube_settings settings = {0};
	struct ebb_identities *i;
	int r = choose(&setup->config->kubernetes, &settings, why);

	if (r < 0)
		return r;
	if (settings.source == EBB_KUBE_OFF) {
		*ret_identities = NULL;
		return 0;
	}
	i = calloc(1, sizeof(*i));
	if (!i)
		return ebb_why(why, -ENOMEM, "out of memory");
	i->setup = *setup;
	r = open_all(i, &settings);
	if (r < 0) {
		ebb_identities_free(i);
		return ebb_why(why, r, "cannot ask for pods: %s", ebb_strerror(r));
	}
	if (settings.insecure)
		ebb_warn("the certificate of %s is not verified (kubernetes.verify: off): whoever answers in its place gets our token",
			 settings.url);
	ebb_info("pods are asked for: url=%s node=%s", settings.url, settings.node[0] ? settings.node : "-");
	*ret_identities = i;
	return 0;
}

void ebb_identities_free(struct ebb_identities *i)
{
	if (!i)
		return;
	ebb_kube_free(i->kube);
	ebb_pods_free(i->pods);
	free(i);
}

/* ------------------------------------------------------------------- loop -- */

static void save(struct ebb_identities *i)
{
	uint64_t generation = ebb_pods_generation(i->pods);
	int r;

	if (generation == i->saved || i->setup.now_ns() < i->save_at_ns)
		return;
	i->save_at_ns = i->setup.now_ns() + SAVE_NS;
	r = ebb_pods_save(i->pods, i->setup.pin_dir);
	if (r == 0)
		i->saved = generation;
	if (r < 0 && !i->cannot_save)
		ebb_warn("pods cannot be written to " EBB_PODS_DIR " (%s): commands show cgroups instead",
			 ebb_strerror(r));
	i->cannot_save = r < 0;
}

bool ebb_identities_tick(struct ebb_identities *i)
{
	uint64_t generation;
	bool changed;

	if (!i)
		return false;
	ebb_kube_tick(i->kube);
	generation = ebb_pods_generation(i->pods);
	changed = generation != i->seen;
	i->seen = generation;
	save(i);
	return changed;
}

const struct ebb_pods *ebb_identities_pods(const struct ebb_identities *i)
{
	return i ? i->pods : NULL;
}

bool ebb_identities_of(struct ebb_identities *i, const char *path, struct ebb_identity *ret_identity,
		       bool *ret_awaited)
{
	const struct ebb_pod *pod;
	struct ebb_place place;

	*ret_awaited = true;
	ebb_place_of(path, &place);
	if (!place.pod_length)
		return true;
	pod = ebb_pods_find(i->pods, place.pod);
	if (!pod) {
		ebb_kube_hurry(i->kube);
		return false;
	}
	*ret_identity = (struct ebb_identity){
		.namespace = pod->namespace,
		.priority_class = pod->priority_class,
		.labels = pod->labels,
		.label_count = pod->label_count,
	};
	return true;
}

bool ebb_identities_status(const struct ebb_identities *i, struct ebb_kube_status *ret_status)
{
	if (!i)
		return false;
	ebb_kube_status(i->kube, ret_status);
	return true;
}
