/* SPDX-License-Identifier: Apache-2.0 */
#include "export/api.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/policy.h"
#include "export/json.h"
#include "export/name.h"
#include "kernel/mapping.h"
#include "lib/json_whole.h"
#include "lib/text.h"
#include "tell/render.h"

#define DUMP	    (JSON_COMPACT | JSON_REAL_PRECISION(15))
#define FRAME_MAX   128
#define MATCHES_MAX 64 /* destinations of one name */

/* Reading more entries than this of the maps of addresses would keep the loop from its work: some 10 ms. */
#define ENTRIES_MAX 32768

/* -------------------------------------------------------------- names -- */

static int hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c ? strchr(digits, c | 0x20) : NULL;

	/* of what | 0x20 makes a digit, only digits and letters are one */
	if (!at || (c < '0' || (c > '9' && c < 'A')))
		return -1;
	return (int)(at - digits);
}

int ebb_api_decode(const char *path, char *buffer, size_t size)
{
	size_t used = 0;
	uint32_t c;

	for (; *path; path++) {
		char byte = *path;

		if (byte == '%') {
			int high = hex_digit(path[1]), low = high < 0 ? -1 : hex_digit(path[2]);

			if (low < 0 || (high == 0 && low == 0))
				return -EINVAL;
			byte = (char)(high << 4 | low);
			path += 2;
		}
		if (used + 1 >= size)
			return -ENAMETOOLONG;
		buffer[used++] = byte;
	}
	buffer[used] = '\0';
	for (size_t at = 0, n; at < used; at += n) {
		n = ebb_text_decode((const unsigned char *)buffer + at, &c);
		if (n == 0)
			return -EINVAL;
	}
	return used ? 0 : -EINVAL;
}

/* ------------------------------------------------------------- answers -- */

static bool has_arguments(const struct ebb_request *request)
{
	return MHD_get_connection_values(request->connection, MHD_GET_ARGUMENT_KIND, NULL, NULL) > 0;
}

static enum MHD_Result refuse_arguments(const struct ebb_request *request)
{
	return ebb_answer_error(request, MHD_HTTP_BAD_REQUEST,
				"there are no parameters here: leave out what stands behind '?'");
}

static enum MHD_Result no_memory(const struct ebb_request *request)
{
	return ebb_answer_error(request, MHD_HTTP_SERVICE_UNAVAILABLE, "no memory: try again");
}

/* Sends @text, which it takes, with a newline behind it. */
static enum MHD_Result send_json(const struct ebb_request *request, char *text)
{
	struct MHD_Response *response;
	size_t length;
	char *line;

	if (!text)
		return no_memory(request);
	length = strlen(text);
	line = realloc(text, length + 2);
	if (!line) {
		free(text);
		return no_memory(request);
	}
	memcpy(line + length, "\n", 2);
	response = MHD_create_response_from_buffer(length + 1, line, MHD_RESPMEM_MUST_FREE);
	if (!response)
		free(line);
	return ebb_answer(request, MHD_HTTP_OK, response, "application/json");
}

enum MHD_Result ebb_api_status(struct ebb_feed *feed, const struct ebb_request *request)
{
	if (has_arguments(request))
		return refuse_arguments(request);
	if (ebb_feed_refresh(feed, request->source->now_ns()) < 0)
		return no_memory(request);
	return send_json(request, ebb_feed_status(feed));
}

/* -------------------------------------------------------------- gates -- */

static json_t *rates_json(const struct ebb_rates *rates)
{
	json_t *object;

	if (!rates->known)
		return json_null();
	object = json_object();
	for (int i = 0; i < EBB_RATE_MAX; i++) {
		if (json_object_set_new(object, ebb_rate_name((enum ebb_rate)i),
					json_real((double)rates->rates[i])) < 0) {
			json_decref(object);
			return NULL;
		}
	}
	return object;
}

/* What 'ebb list -o json' says of a gate, its failures by reason, and its rates. Takes @gate; NULL: no memory. */
static json_t *complete(json_t *gate, struct ebb_feed *feed, const struct ebb_gate_row *row)
{
	if (json_object_set_new(gate, "outcomes",
				ebb_json_counts(row->sums.outcomes, EBB_OUTCOME_MAX, ebb_outcome_name)) ==
		    0 &&
	    json_object_set_new(gate, "rates_per_second", rates_json(ebb_feed_rates(feed, row->gate))) == 0)
		return gate;
	json_decref(gate);
	return NULL;
}

/* ---------------------------------------------------- all destinations -- */

/* One answer under way: destination by destination, so that it costs the same however many there are. */
struct listing {
	struct ebb_feed *feed;
	struct ebb_look look;
	struct ebb_pairs_index index;
	struct ebb_snapshot snapshot; /* of the present destination */
	size_t row;
	uint32_t dst;
	bool begun, any, ended;
	char *text; /* what is to be sent before the next is made */
	size_t length, sent;
};

static void free_listing(void *userdata)
{
	struct listing *listing = userdata;

	ebb_pairs_index_done(&listing->index);
	ebb_snapshot_free(&listing->snapshot);
	free(listing->text);
	free(listing);
}

/* The next row; *@ret_row is NULL: there is none. -ENOMEM. */
static int next_row(struct listing *listing, const struct ebb_gate_row **ret_row)
{
	int r = 0;

	*ret_row = NULL;
	while (listing->row == listing->snapshot.count) {
		ebb_snapshot_free(&listing->snapshot);
		listing->row = 0;
		if (listing->dst >= ebb_snapshot_end(listing->look.view))
			return 0;
		r = ebb_snapshot_of(&listing->look, &listing->index, listing->dst++, &listing->snapshot);
		if (r < 0)
			return r;
	}
	*ret_row = &listing->snapshot.rows[listing->row++];
	return 0;
}

/* "{...}" or ",\n{...}"; NULL: no memory. */
static char *row_text(struct listing *listing, const struct ebb_gate_row *row)
{
	char *json, *text = NULL;
	json_t *gate;

	ebb_json_begin();
	gate = complete(ebb_gate_json(&listing->look, row), listing->feed, row);
	json = gate ? ebb_json_dump(gate, DUMP) : NULL;
	json_decref(gate);
	if (json && asprintf(&text, "%s%s", listing->any ? ",\n" : "", json) < 0)
		text = NULL;
	free(json);
	listing->any = true;
	return text;
}

static char *head_text(const struct listing *listing)
{
	char text[FRAME_MAX];
	struct ebb_line line = {.data = text, .size = sizeof(text) - 1};

	ebb_line_put(&line, "{\"timestamp\":");
	ebb_json_put_time(&line, listing->look.realtime_ns);
	ebb_line_put(&line, ",\"destinations\":[\n");
	text[line.used] = '\0';
	return strdup(text);
}

/* Makes the next piece. False: no memory. */
static bool make_next(struct listing *listing)
{
	const struct ebb_gate_row *row;

	free(listing->text);
	listing->sent = 0;
	if (!listing->begun) {
		listing->begun = true;
		listing->text = head_text(listing);
	} else {
		listing->text = NULL;
		if (next_row(listing, &row) < 0)
			return false;
		listing->ended = !row;
		listing->text = row ? row_text(listing, row) : strdup("\n]}\n");
	}
	listing->length = listing->text ? strlen(listing->text) : 0;
	return listing->text != NULL;
}

static ssize_t read_listing(void *userdata, uint64_t position, char *buffer, size_t size)
{
	struct listing *listing = userdata;
	size_t used = 0, n;

	(void)position;
	while (used < size) {
		if (listing->sent == listing->length) {
			if (listing->ended)
				break;
			if (!make_next(listing))
				return MHD_CONTENT_READER_END_WITH_ERROR;
		}
		n = listing->length - listing->sent;
		n = n < size - used ? n : size - used;
		memcpy(buffer + used, listing->text + listing->sent, n);
		listing->sent += n;
		used += n;
	}
	return used ? (ssize_t)used : MHD_CONTENT_READER_END_OF_STREAM;
}

enum MHD_Result ebb_api_destinations(struct ebb_feed *feed, const struct ebb_request *request)
{
	struct MHD_Response *response;
	struct listing *listing;

	if (has_arguments(request))
		return refuse_arguments(request);
	if (ebb_feed_refresh(feed, request->source->now_ns()) < 0)
		return no_memory(request);
	listing = calloc(1, sizeof(*listing));
	if (!listing)
		return no_memory(request);
	listing->feed = feed;
	ebb_feed_look(feed, false, &listing->look);
	if (ebb_pairs_index_new(listing->look.view, &listing->index) < 0) {
		free_listing(listing);
		return no_memory(request);
	}
	response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, EBB_CLIENT_MEMORY_BYTES / 2,
						     read_listing, listing, free_listing);
	if (!response) {
		free_listing(listing);
		return MHD_NO;
	}
	ebb_answer_no_body(request, response);
	return ebb_answer(request, MHD_HTTP_OK, response, "application/json");
}

/* ----------------------------------------------------- one destination -- */

/* Slots of the destinations called @name, escaped as it is shown; returns their number. */
static size_t find_named(const struct ebb_view *view, const char *name, uint32_t slots[MATCHES_MAX])
{
	char own[EBB_DST_NAME_MAX], escaped[EBB_DST_NAME_MAX];
	size_t count = 0;

	for (uint32_t d = 0; d < ebb_snapshot_end(view) && count < MATCHES_MAX; d++) {
		if (d != EBB_SLOT_OTHER && view->dsts[d].state != EBB_SLOT_LIVE)
			continue;
		(void)ebb_text_escape(ebb_dst_name(view, d, own, sizeof(own)), escaped, sizeof(escaped));
		if (strcmp(escaped, name) == 0)
			slots[count++] = d;
	}
	return count;
}

/* The rows of all of them, one behind the other. -ENOMEM. */
static int take_named(const struct ebb_look *look, const uint32_t *slots, size_t count,
		      struct ebb_snapshot *ret_snapshot)
{
	struct ebb_snapshot all = {}, one;
	struct ebb_pairs_index index = {0};
	int r;

	r = ebb_pairs_index_new(look->view, &index);
	for (size_t i = 0; i < count && r == 0; i++) {
		struct ebb_gate_row *rows;

		r = ebb_snapshot_of(look, &index, slots[i], &one);
		if (r < 0 || one.count == 0)
			continue;
		rows = reallocarray(all.rows, all.count + one.count, sizeof(*rows));
		if (!rows) {
			ebb_snapshot_free(&one);
			r = -ENOMEM;
			break;
		}
		memcpy(rows + all.count, one.rows, one.count * sizeof(*rows));
		all.rows = rows;
		all.count += one.count;
		free(one.rows);
	}
	ebb_pairs_index_done(&index);
	if (r < 0) {
		ebb_snapshot_free(&all);
		return r;
	}
	*ret_snapshot = all;
	return 0;
}

/* Takes @shown, what 'ebb show -o json' says. */
static char *destination_text(struct ebb_feed *feed, json_t *shown, const struct ebb_snapshot *snapshot)
{
	json_t *gates = json_object_get(shown, "gates"), *gate;
	size_t i;
	char *text;

	json_array_foreach (gates, i, gate) {
		if (complete(json_incref(gate), feed, &snapshot->rows[i]))
			json_decref(gate);
	}
	text = shown ? ebb_json_dump(shown, DUMP) : NULL;
	json_decref(shown);
	return text;
}

static enum MHD_Result send_named(struct ebb_feed *feed, const struct ebb_request *request,
				  const uint32_t *slots, size_t count)
{
	struct ebb_addresses *addresses = calloc(1, sizeof(*addresses));
	struct ebb_snapshot snapshot = {};
	enum MHD_Result result;
	struct ebb_look look;
	json_t *shown;

	ebb_feed_look(feed, false, &look);
	if (!addresses || take_named(&look, slots, count, &snapshot) < 0) {
		free(addresses);
		return no_memory(request);
	}
	if (snapshot.count == 0) { /* ~other, which nobody met yet, or gone since it was found */
		free(addresses);
		return ebb_answer_error(request, MHD_HTTP_NOT_FOUND, "that destination has seen nothing yet");
	}
	addresses->entries_max = ENTRIES_MAX;
	if (request->source->mapping)
		(void)ebb_addresses_read(request->source->mapping, look.view, slots[0], addresses);
	look.addresses = addresses;
	ebb_json_begin();
	shown = ebb_show_json(&look, snapshot.rows, snapshot.count);
	(void)json_object_set_new(shown, "addresses_cut", json_boolean(addresses->cut));
	result = send_json(request, destination_text(feed, shown, &snapshot));
	ebb_snapshot_free(&snapshot);
	free(addresses);
	return result;
}

enum MHD_Result ebb_api_destination(struct ebb_feed *feed, const struct ebb_request *request,
				    const char *name)
{
	static const char *const endings[] = {"", "/tcp", "/udp"};
	char decoded[EBB_DST_NAME_MAX], escaped[EBB_DST_NAME_MAX], text[EBB_DST_NAME_MAX + 8];
	uint32_t slots[MATCHES_MAX];
	size_t count = 0;
	int r;

	if (has_arguments(request))
		return refuse_arguments(request);
	r = ebb_api_decode(name, decoded, sizeof(decoded));
	if (r == -ENAMETOOLONG)
		return ebb_answer_error(request, MHD_HTTP_BAD_REQUEST,
					"the name is longer than the %d bytes of any destination's",
					EBB_DST_NAME_MAX - 1);
	if (r < 0)
		return ebb_answer_error(request, MHD_HTTP_BAD_REQUEST,
					"the name is not well encoded: UTF-8, with %%XX for what a path cannot hold");
	if (ebb_feed_refresh(feed, request->source->now_ns()) < 0)
		return no_memory(request);
	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]) && count == 0; i++) {
		(void)snprintf(text, sizeof(text), "%s%s", decoded, endings[i]);
		count = find_named(request->source->view, text, slots);
	}
	if (count == 0)
		return ebb_answer_error(request, MHD_HTTP_NOT_FOUND,
					"there is no destination '%s': /api/v1/destinations has them all",
					ebb_text_escape(decoded, escaped, sizeof(escaped)));
	return send_named(feed, request, slots, count);
}
