/* SPDX-License-Identifier: Apache-2.0 */
#include "tell/addresses.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "export/name.h"
#include "lib/table.h"

/* What a walk over the maps is about. */
struct reading {
	const struct ebb_view *view;
	uint32_t dst;
	struct ebb_addresses *addresses;
	size_t entries; /* looked at in this map */
};

static bool is_it(const struct reading *r, const struct ebb_ref *ref)
{
	return ref->slot == r->dst && ref->epoch == r->view->dsts[r->dst].epoch;
}

static struct ebb_address *find(struct ebb_addresses *addresses, const struct ebb_endpoint *endpoint)
{
	for (size_t i = 0; i < addresses->count; i++) {
		if (memcmp(&addresses->list[i].endpoint, endpoint, sizeof(*endpoint)) == 0)
			return &addresses->list[i];
	}
	return NULL;
}

static void add(struct ebb_addresses *addresses, const struct ebb_endpoint *endpoint)
{
	if (find(addresses, endpoint))
		return;
	if (addresses->count == EBB_ADDRESSES_MAX)
		addresses->more++;
	else
		addresses->list[addresses->count++].endpoint = *endpoint;
}

static void add_other(const struct reading *r, const struct ebb_endpoint *endpoint, const struct ebb_ref *ref)
{
	struct ebb_address *address = find(r->addresses, endpoint);

	if (!address || is_it(r, ref))
		return;
	if (ref->slot == EBB_SLOT_DISCOVER) {
		address->unnamed++;
		return;
	}
	if (ref->slot >= r->view->dst_max || r->view->dsts[ref->slot].epoch != ref->epoch)
		return;
	for (size_t i = 0; i < address->other_count; i++) {
		if (address->others[i] == ref->slot)
			return;
	}
	if (address->other_count < EBB_OTHERS_MAX)
		address->others[address->other_count++] = ref->slot;
}

/* False: enough of this map was looked at. */
static bool may_go_on(struct reading *r)
{
	if (r->addresses->entries_max == 0 || r->entries++ < r->addresses->entries_max)
		return true;
	r->addresses->cut = true;
	return false;
}

/* What a walk over a map ended with: that it was cut is no error. */
static int walked(struct reading *r, int result)
{
	r->entries = 0;
	return result == -ECANCELED ? 0 : result;
}

static int on_endpoint(void *userdata, const struct ebb_endpoint *key, const struct ebb_ref *ref)
{
	struct reading *r = userdata;

	if (is_it(r, ref))
		add(r->addresses, key);
	return may_go_on(r) ? 0 : -ECANCELED;
}

static int on_lookup(void *userdata, const struct ebb_lookup_key *key, const struct ebb_ref *ref)
{
	struct reading *r = userdata;

	if (is_it(r, ref))
		add(r->addresses, &key->endpoint);
	return may_go_on(r) ? 0 : -ECANCELED;
}

static int on_other_endpoint(void *userdata, const struct ebb_endpoint *key, const struct ebb_ref *ref)
{
	add_other(userdata, key, ref);
	return may_go_on(userdata) ? 0 : -ECANCELED;
}

static int on_other_lookup(void *userdata, const struct ebb_lookup_key *key, const struct ebb_ref *ref)
{
	/* an address may have been somebody's before a rule claimed it: nobody may mean it any more */
	if (key->workload)
		add_other(userdata, &key->endpoint, ref);
	return may_go_on(userdata) ? 0 : -ECANCELED;
}

static int by_endpoint(const void *a, const void *b)
{
	const struct ebb_endpoint *x = &((const struct ebb_address *)a)->endpoint,
				  *y = &((const struct ebb_address *)b)->endpoint;
	int order = memcmp(x->addr, y->addr, sizeof(x->addr));

	if (order == 0)
		order = (int)ntohs(x->port) - (int)ntohs(y->port);
	return order ? order : (int)x->proto - (int)y->proto;
}

int ebb_addresses_read(struct ebb_mapping *mapping, const struct ebb_view *view, uint32_t dst,
		       struct ebb_addresses *ret_addresses)
{
	struct reading reading = {.view = view, .dst = dst, .addresses = ret_addresses};
	int r;

	*ret_addresses = (struct ebb_addresses){.entries_max = ret_addresses->entries_max};
	r = walked(&reading, ebb_endpoints_each(mapping, on_endpoint, &reading));
	if (r == 0)
		r = walked(&reading, ebb_lookups_each(mapping, on_lookup, &reading));
	if (r == 0 && ret_addresses->count)
		r = walked(&reading, ebb_endpoints_each(mapping, on_other_endpoint, &reading));
	if (r == 0 && ret_addresses->count)
		r = walked(&reading, ebb_lookups_each(mapping, on_other_lookup, &reading));
	if (r < 0)
		return r;
	qsort(ret_addresses->list, ret_addresses->count, sizeof(ret_addresses->list[0]), by_endpoint);
	return 0;
}

/* "10.0.0.5:443/tcp", "10.0.0.5, every port of tcp" */
static void put_endpoint(struct ebb_table *table, const struct ebb_endpoint *endpoint)
{
	char text[EBB_DST_NAME_MAX];

	(void)ebb_endpoint_name(endpoint, text, sizeof(text));
	if (endpoint->port) {
		ebb_table_cell(table, "%s", text);
		return;
	}
	*strrchr(text, ':') = '\0';
	ebb_table_cell(table, "%s, every port of %s", text, endpoint->proto == IPPROTO_UDP ? "udp" : "tcp");
}

static void put_others(struct ebb_table *table, const struct ebb_view *view,
		       const struct ebb_address *address)
{
	char text[EBB_OTHERS_MAX * (EBB_DST_NAME_MAX + 2)] = "", name[EBB_DST_NAME_MAX];
	size_t used = 0;

	for (size_t i = 0; i < address->other_count; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", i ? ", " : "",
					 ebb_dst_name(view, address->others[i], name, sizeof(name)));
	if (address->other_count)
		ebb_table_cell(table,
			       "another name leads here, too: %s; each workload goes where it looked up last",
			       text);
	else if (address->unnamed)
		ebb_table_cell(table,
			       "another name leads here, too; who looked that up last gets a destination of its own");
	else
		ebb_table_cell(table, "%s", "");
}

/* What the name of a destination without a rule is worth. */
static void put_name(FILE *out, const struct ebb_view *view, uint32_t dst)
{
	const struct ebb_name *name = ebb_dst_given_name(view, dst);

	if (!name || !(name->flags & EBB_NAME_HOST))
		return;
	if (name->flags & EBB_NAME_OWN)
		(void)fputs("    the name is from an answer that nobody but its workload believes\n", out);
	else if (name->flags & EBB_NAME_AMBIGUOUS)
		(void)fputs("    another name has this address, too: it is called by the one that came first\n",
			    out);
}

int ebb_addresses_text(FILE *out, const struct ebb_view *view, uint32_t dst,
		       const struct ebb_addresses *addresses)
{
	static const struct ebb_column columns[] = {
		{NULL, EBB_ALIGN_LEFT, false, 0},
		{NULL, EBB_ALIGN_LEFT, true, 0},
	};
	struct ebb_table *table;
	int r;

	if (!addresses || !addresses->count)
		return 0;
	r = ebb_table_new(columns, 2, &table);
	if (r < 0)
		return r;
	for (size_t i = 0; i < addresses->count; i++) {
		put_endpoint(table, &addresses->list[i].endpoint);
		put_others(table, view, &addresses->list[i]);
	}
	(void)fputs("\n  addresses\n", out);
	r = ebb_table_print(table, out, 4, 0);
	ebb_table_free(table);
	if (addresses->more)
		(void)fprintf(out, "    and %zu more\n", addresses->more);
	put_name(out, view, dst);
	return r;
}

static json_t *address_json(const struct ebb_view *view, const struct ebb_address *address)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	char text[INET6_ADDRSTRLEN] = "?", name[EBB_DST_NAME_MAX];
	const uint8_t *addr = address->endpoint.addr;
	json_t *others = json_array();

	if (memcmp(addr, mapped, sizeof(mapped)) == 0)
		(void)inet_ntop(AF_INET, addr + sizeof(mapped), text, sizeof(text));
	else
		(void)inet_ntop(AF_INET6, addr, text, sizeof(text));
	for (size_t i = 0; i < address->other_count; i++)
		(void)json_array_append_new(others, json_string(ebb_dst_name(view, address->others[i], name,
									     sizeof(name))));
	return json_pack("{s:s, s:o, s:s, s:b, s:o}", "address", text, "port",
			 address->endpoint.port ? json_integer(ntohs(address->endpoint.port)) : json_null(),
			 "protocol", address->endpoint.proto == IPPROTO_UDP ? "udp" : "tcp", "ambiguous",
			 address->other_count || address->unnamed, "others", others);
}

json_t *ebb_addresses_json(const struct ebb_view *view, const struct ebb_addresses *addresses)
{
	json_t *list = json_array();

	for (size_t i = 0; list && addresses && i < addresses->count; i++) {
		if (json_array_append_new(list, address_json(view, &addresses->list[i])) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}
