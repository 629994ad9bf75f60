/* SPDX-License-Identifier: Apache-2.0 */
#include "export/feed.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "export/health_json.h"
#include "export/name.h"
#include "export/row.h"
#include "kernel/mapping.h"
#include "lib/json_whole.h"
#include "lib/text.h"
#include "tell/fuse.h"
#include "tell/render.h"
#include "tell/status.h"

#define NS_PER_S  1000000000ULL
#define NS_PER_MS 1000000ULL
#define NEVER	  UINT64_MAX

#define RING_BYTES     (4U << 20) /* some 6,000 rows: three seconds of a node on which everything changes */
#define RING_ENTRIES   8192
#define BATCH_BYTES    (16U << 10) /* rows of one event */
#define PASS_NS	       NS_PER_S
#define SLICE_DSTS     64
#define SLICE_NS       NS_PER_MS       /* between two slices the loop does its work */
#define LINGER_NS      (60 * NS_PER_S) /* after the last reader: who comes back until then goes on where it was */
#define URGENT_MAX     64
#define CLOCK_SLACK_NS (50 * (int64_t)NS_PER_MS)
#define FACTS_MAX      256

/* What readers know of a gate. */
struct told {
	uint64_t hash; /* of its row; 0: nothing */
	uint32_t epoch;
	uint32_t pass; /* that met it last */
	struct ebb_rates rates;
};

struct ebb_feed {
	const struct ebb_source *source;
	int64_t clock_offset_ns; /* realtime - monotonic; steady, or each timestamp would change with each look */

	struct ebb_ring *ring;
	struct told *told; /* by gate */
	struct ebb_pairs_index index;
	char *batch; /* rows for the next event */
	size_t batch_used;

	bool active;
	uint64_t wanted_ns; /* when somebody last read */
	bool in_pass;
	uint32_t passes; /* done since it became active */
	uint32_t pass;	 /* serial of the present one */
	uint32_t dst;	 /* where it is */
	uint64_t pass_at_ns, slice_at_ns;
	uint64_t refreshed_ns;
	struct ebb_status adding, status;
	bool has_status;
	bool incomplete; /* the pass: there was no memory for a destination, which is neither gone nor in the sums */
	uint64_t status_hash, health_hash;
	uint32_t fuse;
	uint32_t urgent[URGENT_MAX]; /* destinations whose breaker moved */
	size_t urgent_count;
};

int ebb_feed_new(const struct ebb_source *source, struct ebb_feed **ret_feed)
{
	struct ebb_feed *feed = calloc(1, sizeof(*feed));

	if (!feed)
		return -ENOMEM;
	feed->source = source;
	*ret_feed = feed;
	return 0;
}

void ebb_feed_free(struct ebb_feed *feed)
{
	if (!feed)
		return;
	ebb_ring_free(feed->ring);
	ebb_pairs_index_done(&feed->index);
	free(feed->told);
	free(feed->batch);
	free(feed);
}

void ebb_feed_look(struct ebb_feed *feed, bool links, struct ebb_look *ret_look)
{
	const struct ebb_source *source = feed->source;
	uint64_t now_ns = source->now_ns();
	int64_t offset = source->realtime_ns() - (int64_t)now_ns, off = offset - feed->clock_offset_ns;
	struct ebb_look look = {.view = source->view, .names = source->workloads, .now_ns = now_ns};

	if (off > CLOCK_SLACK_NS || off < -CLOCK_SLACK_NS)
		feed->clock_offset_ns = offset;
	look.realtime_ns = (int64_t)now_ns + feed->clock_offset_ns;
	if (source->view->agent->workload_rules != EBB_RULES_NONE)
		look.mapping = source->mapping;
	if (links && source->pin_dir)
		look.link_count = ebb_maps_links(source->pin_dir, look.links);
	*ret_look = look;
}

uint64_t ebb_feed_run_id(const struct ebb_feed *feed)
{
	return feed->source->view->agent->run_id;
}

/* -------------------------------------------------------------- events -- */

/* FNV-1a; never 0. */
static uint64_t hash_of(const char *bytes, size_t length)
{
	uint64_t hash = 0xcbf29ce484222325ULL;

	for (size_t i = 0; i < length; i++)
		hash = (hash ^ (unsigned char)bytes[i]) * 0x100000001b3ULL;
	return hash ? hash : 1;
}

/* Adds one event. @data is one line. For want of memory it is left out: the next pass tells what is. */
static void tell(struct ebb_feed *feed, const char *kind, const char *data, size_t length)
{
	size_t size = length + 128;
	char *text = malloc(size);
	int n;

	if (!text || !feed->active) {
		free(text);
		return;
	}
	n = snprintf(text, size, "id: %016" PRIx64 "-%" PRIu64 "\nevent: %s\ndata: %.*s\n\n",
		     ebb_feed_run_id(feed), ebb_ring_end(feed->ring), kind, (int)length, data);
	if (n > 0 && (size_t)n < size)
		(void)ebb_ring_add(feed->ring, text, (size_t)n);
	free(text);
}

/* Takes @root; *@io_hash is what was told last. */
static void tell_if_new(struct ebb_feed *feed, const char *kind, char *data, uint64_t *io_hash)
{
	uint64_t hash = data ? hash_of(data, strlen(data)) : 0;

	if (data && hash != *io_hash) {
		*io_hash = hash;
		tell(feed, kind, data, strlen(data));
	}
	free(data);
}

static void flush(struct ebb_feed *feed)
{
	if (feed->batch_used == 0)
		return;
	feed->batch[feed->batch_used] = ']';
	tell(feed, "destinations", feed->batch, feed->batch_used + 1);
	feed->batch_used = 0;
}

/* Adds a row to the event that is being made. */
static void add_to_batch(struct ebb_feed *feed, const char *row, size_t length)
{
	if (feed->batch_used + length + 2 > BATCH_BYTES)
		flush(feed);
	feed->batch[feed->batch_used] = feed->batch_used ? ',' : '[';
	memcpy(feed->batch + feed->batch_used + 1, row, length);
	feed->batch_used += length + 1;
}

static void tell_gone(struct ebb_feed *feed, uint32_t gate)
{
	char key[EBB_ROW_KEY_MAX], data[64];
	int n;

	flush(feed);
	n = snprintf(data, sizeof(data), "{\"key\":\"%s\"}",
		     ebb_row_key(gate, feed->told[gate].epoch, key, sizeof(key)));
	tell(feed, "gone", data, (size_t)n);
	feed->told[gate] = (struct told){};
}

/* --------------------------------------------------------------- gates -- */

static uint32_t epoch_of(const struct ebb_view *view, const struct ebb_gate_row *row)
{
	return row->gate < view->dst_max ? row->dst_epoch : view->pairs[row->gate - view->dst_max].epoch;
}

/* Looks at one gate and tells it if it changed. */
static void visit(struct ebb_feed *feed, const struct ebb_look *look, const struct ebb_gate_row *row)
{
	struct told *told = &feed->told[row->gate];
	uint32_t epoch = epoch_of(look->view, row);
	char text[EBB_ROW_MAX];
	struct ebb_line line = {.data = text, .size = sizeof(text)};
	uint64_t hash;

	if (told->hash && told->epoch != epoch)
		tell_gone(feed, row->gate);
	ebb_rates_take(&told->rates, row, &look->view->dsts[row->dst], epoch, look->now_ns);
	told->epoch = epoch;
	told->pass = feed->pass;
	ebb_row_put(&line, look, row, &told->rates);
	hash = hash_of(line.data, line.used);
	if (hash == told->hash)
		return;
	told->hash = hash;
	/* what the first pass finds, readers get by their snapshot */
	if (feed->passes > 0 && feed->active)
		add_to_batch(feed, line.data, line.used);
}

/* All gates of a destination. @adding: they belong to the pass, and to the status that it makes. */
static void visit_dst(struct ebb_feed *feed, const struct ebb_look *look, uint32_t dst, bool adding)
{
	struct ebb_snapshot snapshot;

	if (ebb_snapshot_of(look, &feed->index, dst, &snapshot) < 0) {
		feed->incomplete = true;
		return;
	}
	for (size_t i = 0; i < snapshot.count; i++) {
		visit(feed, look, &snapshot.rows[i]);
		if (adding)
			ebb_status_add(&feed->adding, &snapshot.rows[i]);
	}
	ebb_snapshot_free(&snapshot);
}

static void visit_urgent(struct ebb_feed *feed)
{
	struct ebb_look look;

	if (feed->urgent_count == 0)
		return;
	ebb_feed_look(feed, false, &look);
	if (feed->passes > 0 && !feed->in_pass)
		ebb_pairs_index_fill(look.view, &feed->index);
	for (size_t i = 0; i < feed->urgent_count && feed->passes > 0; i++)
		visit_dst(feed, &look, feed->urgent[i], false);
	feed->urgent_count = 0;
	flush(feed);
}

/* ---------------------------------------------------------------- pass -- */

static void begin_pass(struct ebb_feed *feed, uint64_t now_ns)
{
	struct ebb_look look;

	ebb_feed_look(feed, true, &look);
	ebb_pairs_index_fill(look.view, &feed->index);
	ebb_status_begin(&look, &feed->adding);
	feed->in_pass = true;
	feed->incomplete = false;
	feed->pass++;
	feed->dst = 0;
	feed->pass_at_ns = now_ns;
}

static void end_pass(struct ebb_feed *feed)
{
	const struct ebb_view *view = feed->source->view;
	struct ebb_look look;
	uint32_t fuse;

	if (feed->incomplete) {
		flush(feed);
		feed->in_pass = false;
		return;
	}
	for (uint32_t gate = 0; gate < view->gate_max; gate++) {
		if (feed->told[gate].hash && feed->told[gate].pass != feed->pass)
			tell_gone(feed, gate);
	}
	flush(feed);
	ebb_feed_look(feed, true, &look);
	ebb_status_end(&look, feed->source->dst_live, feed->source->pair_live, &feed->adding);
	feed->status = feed->adding;
	feed->has_status = true;
	feed->in_pass = false;
	feed->passes++;
	feed->refreshed_ns = look.now_ns;
	tell_if_new(feed, "status", ebb_feed_status(feed), &feed->status_hash);
	tell_if_new(feed, "health", ebb_feed_health(feed), &feed->health_hash);
	fuse = ebb_fuse_now(&look);
	if (fuse != feed->fuse) {
		json_t *root;
		char *data;

		ebb_json_begin();
		root = ebb_fuse_json(&look);
		data = root ? ebb_json_dump(root, JSON_COMPACT) : NULL;

		if (data)
			tell(feed, "fuse", data, strlen(data));
		free(data);
		json_decref(root);
	}
	feed->fuse = fuse;
}

/* Goes on with the pass for @dsts destinations. */
static void slice(struct ebb_feed *feed, uint32_t dsts)
{
	uint32_t end = ebb_snapshot_end(feed->source->view);
	struct ebb_look look;

	ebb_feed_look(feed, false, &look);
	for (; dsts > 0 && feed->dst < end; dsts--)
		visit_dst(feed, &look, feed->dst++, true);
	if (feed->dst >= end)
		end_pass(feed);
}

static int allocate(struct ebb_feed *feed)
{
	const struct ebb_view *view = feed->source->view;
	int r = 0;

	if (!feed->ring)
		r = ebb_ring_new(RING_BYTES, RING_ENTRIES, &feed->ring);
	if (r == 0 && !feed->index.first)
		r = ebb_pairs_index_new(view, &feed->index);
	if (!feed->told)
		feed->told = calloc(view->gate_max, sizeof(feed->told[0]));
	if (!feed->batch)
		feed->batch = malloc(BATCH_BYTES + EBB_ROW_MAX);
	return r == 0 && feed->told && feed->batch ? 0 : -ENOMEM;
}

int ebb_feed_want(struct ebb_feed *feed, uint64_t now_ns)
{
	int r = allocate(feed);

	if (r < 0)
		return r;
	feed->wanted_ns = now_ns;
	if (feed->active)
		return 0;
	feed->active = true;
	feed->passes = 0;
	feed->in_pass = false;
	feed->pass_at_ns = 0;
	feed->slice_at_ns = 0;
	feed->status_hash = feed->health_hash = 0;
	return 0;
}

/* Nobody came back: what was kept for that is of no use any more. What changes from now on nobody tells: who comes later gets a snapshot. */
static void fall_asleep(struct ebb_feed *feed)
{
	feed->active = false;
	feed->urgent_count = 0;
	feed->batch_used = 0;
	ebb_ring_clear(feed->ring);
	for (uint32_t gate = 0; gate < feed->source->view->gate_max; gate++)
		feed->told[gate].hash = 0;
}

uint64_t ebb_feed_run(struct ebb_feed *feed, uint64_t now_ns)
{
	if (!feed->active)
		return NEVER;
	if (now_ns - feed->wanted_ns > LINGER_NS) {
		fall_asleep(feed);
		return NEVER;
	}
	visit_urgent(feed);
	if (!feed->in_pass && (feed->pass_at_ns == 0 || now_ns - feed->pass_at_ns >= PASS_NS)) {
		begin_pass(feed, now_ns);
		feed->slice_at_ns = now_ns;
	}
	if (feed->in_pass && now_ns >= feed->slice_at_ns) {
		slice(feed, SLICE_DSTS);
		feed->slice_at_ns = now_ns + SLICE_NS;
	}
	return feed->in_pass ? feed->slice_at_ns : feed->pass_at_ns + PASS_NS;
}

bool ebb_feed_ready(const struct ebb_feed *feed)
{
	return feed->active && feed->passes > 0;
}

const struct ebb_ring *ebb_feed_ring(const struct ebb_feed *feed)
{
	return feed->ring;
}

int ebb_feed_refresh(struct ebb_feed *feed, uint64_t now_ns)
{
	int r = allocate(feed);

	if (r < 0 || (feed->has_status && now_ns - feed->refreshed_ns < PASS_NS))
		return r;
	if (!feed->in_pass)
		begin_pass(feed, now_ns);
	slice(feed, UINT32_MAX);
	return feed->incomplete ? -ENOMEM : 0;
}

const struct ebb_rates *ebb_feed_rates(const struct ebb_feed *feed, uint32_t gate)
{
	static const struct ebb_rates unknown = {.latency = -1};

	return feed->told ? &feed->told[gate].rates : &unknown;
}

/* ------------------------------------------------------------ snapshots -- */

/* The row of the gate that is @next - 1; the first where @next is 0, or that gate is gone meanwhile: some are told again, none is left out. */
static size_t find_next(const struct ebb_snapshot *snapshot, uint32_t next)
{
	for (size_t i = 0; next && i < snapshot->count; i++) {
		if (snapshot->rows[i].gate + 1 == next)
			return i;
	}
	return 0;
}

static void put_snapshot_row(const struct ebb_feed *feed, struct ebb_line *line, const struct ebb_look *look,
			     const struct ebb_gate_row *row)
{
	struct ebb_rates rates = feed->told[row->gate].rates;
	uint32_t epoch = epoch_of(look->view, row);

	if (rates.epoch != epoch)
		rates = (struct ebb_rates){.epoch = epoch, .latency = -1};
	if (line->used && line->data[line->used - 1] == '}')
		ebb_line_put(line, ",");
	ebb_row_put(line, look, row, &rates);
}

bool ebb_feed_rows(struct ebb_feed *feed, struct ebb_line *line, uint32_t *io_dst, uint32_t *io_next)
{
	uint32_t end = ebb_snapshot_end(feed->source->view);
	struct ebb_look look;

	ebb_feed_look(feed, false, &look);
	for (; *io_dst < end; ++*io_dst, *io_next = 0) {
		struct ebb_snapshot snapshot;

		if (ebb_snapshot_of(&look, &feed->index, *io_dst, &snapshot) < 0)
			continue;
		for (size_t i = find_next(&snapshot, *io_next); i < snapshot.count; i++) {
			const struct ebb_gate_row *row = &snapshot.rows[i];

			if (line->size - line->used < EBB_ROW_MAX + 2) {
				*io_next = row->gate + 1;
				ebb_snapshot_free(&snapshot);
				return true;
			}
			put_snapshot_row(feed, line, &look, row);
		}
		ebb_snapshot_free(&snapshot);
	}
	return false;
}

char *ebb_feed_status(struct ebb_feed *feed)
{
	struct ebb_look look;
	json_t *root;
	char *text;

	ebb_feed_look(feed, true, &look);
	ebb_json_begin();
	root = ebb_status_told(&look, &feed->status);
	/* it is told by being told: the number alone would make an event each second */
	(void)json_object_del(json_object_get(root, "agent"), "heartbeat_age_seconds");
	text = root && json_object_set_new(root, "version", json_string(feed->source->version)) == 0
		       ? ebb_json_dump(root, JSON_COMPACT | JSON_REAL_PRECISION(15))
		       : NULL;
	json_decref(root);
	return text;
}

char *ebb_feed_health(struct ebb_feed *feed)
{
	/* when it was checked makes no news */
	return ebb_health_json_text(feed->source, false, JSON_COMPACT);
}

void ebb_feed_moved(struct ebb_feed *feed, uint32_t dst, uint32_t gate, const struct ebb_transition *move)
{
	const struct ebb_view *view = feed->source->view;
	char name[EBB_DST_NAME_MAX], escaped[EBB_DST_NAME_MAX], key[EBB_ROW_KEY_MAX], facts[FACTS_MAX];
	uint32_t epoch =
		gate < view->dst_max ? view->dsts[dst].epoch : view->pairs[gate - view->dst_max].epoch;
	const char *workload = NULL;
	struct ebb_look look;
	json_t *root;
	char *data;

	if (!feed->active)
		return;
	if (feed->urgent_count < URGENT_MAX)
		feed->urgent[feed->urgent_count++] = dst;
	ebb_feed_look(feed, false, &look);
	if (gate >= view->dst_max)
		workload = ebb_cgroup_name(look.names, view->pairs[gate - view->dst_max].workload);
	ebb_json_begin();
	root = ebb_transition_json(&look, move);
	(void)ebb_text_escape(ebb_dst_name(view, dst, name, sizeof(name)), escaped, sizeof(escaped));
	if (json_object_set_new(root, "key", json_string(ebb_row_key(gate, epoch, key, sizeof(key)))) == 0 &&
	    json_object_set_new(root, "destination", json_string(escaped)) == 0 &&
	    json_object_set_new(root, "workload", workload ? json_string(workload) : json_null()) == 0 &&
	    json_object_set_new(root, "facts",
				json_string(ebb_transition_facts(move, facts, sizeof(facts)))) == 0) {
		data = ebb_json_dump(root, JSON_COMPACT | JSON_REAL_PRECISION(15));
		if (data)
			tell(feed, "transition", data, strlen(data));
		free(data);
	}
	json_decref(root);
}
