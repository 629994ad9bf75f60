/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The layers, the lower first: defaults of the table, the file, the environment, flags. What the
 * file says about destinations comes last, since it stands over the defaults that all of them
 * give together.
 */
#include "config/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "config/reader.h"
#include "lib/cleanup.h"
#include "lib/text.h"

#define ENVIRON_PREFIX "EBB_"
#define SHOWN_MAX      64

/* ------------------------------------------------------------------ life -- */

static void origins_free(struct ebb_config_origins *origins)
{
	if (!origins)
		return;
	free(origins->keys);
	free(origins->of_destination);
	ebb_arena_done(&origins->arena);
	free(origins);
}

void ebb_config_free(struct ebb_config *config)
{
	if (!config)
		return;
	for (size_t i = 0; i < config->destination_count; i++)
		free(config->destinations[i].matches);
	free(config->destinations);
	free(config->workloads.include);
	free(config->workloads.exclude);
	origins_free(config->origins);
	free(config);
}

static int config_new(struct ebb_config **ret_config)
{
	struct ebb_config *config = calloc(1, sizeof(*config));

	if (!config)
		return -ENOMEM;
	config->origins = calloc(1, sizeof(*config->origins));
	if (config->origins)
		config->origins->keys = ebb_keys_new();
	if (!config->origins || !config->origins->keys) {
		ebb_config_free(config);
		return -ENOMEM;
	}
	*ret_config = config;
	return 0;
}

static void set_defaults(struct ebb_config *config)
{
	const struct ebb_keys *keys = config->origins->keys;

	for (size_t i = 0; i < keys->count; i++) {
		const struct ebb_key *key = &keys->list[i];

		/* the table's own texts are valid: a test parses each */
		if (key->fallback && key->offset != EBB_KEY_NOWHERE && !(key->flags & EBB_KEY_DESTINATION))
			(void)ebb_key_parse(key, key->fallback, config, NULL);
	}
	config->dns_auto = 1;
}

/* ------------------------------------------------------------------ file -- */

/* Without a message of its own: see why_unreadable(). */
static int open_file(const char *path, int *ret_fd, struct stat *ret_stat)
{
	_cleanup_close_ int fd = -1;
	struct stat st;

	/* O_NONBLOCK: a FIFO must not stop the agent */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	if (!S_ISREG(st.st_mode) && !S_ISCHR(st.st_mode)) /* /dev/null is an empty file */
		return -ENOTSUP;
	*ret_fd = TAKE_FD(fd);
	*ret_stat = st;
	return 0;
}

/* One byte more than is possible, so that what is too big is seen. */
static int read_file(const char *path, char **ret_text, size_t *ret_length, struct stat *ret_stat)
{
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *text = NULL;
	size_t used = 0, size = 0;
	struct stat st;
	ssize_t n;
	int r;

	r = open_file(path, &fd, &st);
	if (r < 0)
		return r;
	do {
		if (used == size) {
			char *more = realloc(text, size ? 2 * size : 65536);

			if (!more)
				return -ENOMEM;
			text = more;
			size = size ? 2 * size : 65536;
		}
		n = read(fd, text + used, size - used);
		if (n < 0 && errno != EINTR)
			return -errno;
		used += n > 0 ? (size_t)n : 0;
	} while (n != 0 && used <= EBB_TREE_BYTES_MAX);
	*ret_text = TAKE_PTR(text);
	*ret_length = used;
	*ret_stat = st;
	return 0;
}

static const char *why_unreadable(int r)
{
	switch (r) {
	case -ENOENT:
		return "there is no such file";
	case -EISDIR:
		return "it is a directory: name the file in it";
	case -ENOTSUP:
		return "it is no regular file";
	default:
		return ebb_strerror(r);
	}
}

static int read_text(struct ebb_reader *r, const char *text, size_t length)
{
	struct ebb_arena arena = {0};
	struct ebb_node *root = NULL;
	int e;

	e = ebb_tree_parse(text, length, &arena, &root, r->problems);
	if (e == -EINVAL)
		r->wrong = true;
	else if (e < 0)
		r->no_memory = true;
	else
		ebb_reader_read(r, root);
	/* destinations are read when the other layers stand: the tree lives on for so long */
	r->tree = arena;
	return 0;
}

static int read_path(struct ebb_reader *r, const struct ebb_config_sources *sources)
{
	_cleanup_free_ char *text = NULL;
	char shown[4 * SHOWN_MAX];
	size_t length = 0;
	int e;

	if (!sources->path)
		return 0;
	e = read_file(sources->path, &text, &length, &r->origins->read_as);
	if (e == -ENOENT && sources->optional)
		return 0;
	if (e == -ENOMEM)
		return e;
	if (e < 0) {
		ebb_problem(r->problems, 0, 0, "%s%scannot read '%s': %s",
			    sources->path_by ? sources->path_by : "", sources->path_by ? ": " : "",
			    ebb_text_escape(sources->path, shown, sizeof(shown)), why_unreadable(e));
		return e;
	}
	r->origins->path = ebb_arena_text(&r->origins->arena, sources->path, strlen(sources->path));
	if (!r->origins->path)
		return -ENOMEM;
	return read_text(r, text, length);
}

/* ----------------------------------------------------------- environment -- */

static bool ends_with(const char *text, size_t length, const char *end)
{
	return length >= strlen(end) && memcmp(text + length - strlen(end), end, strlen(end)) == 0;
}

/*
 * What Kubernetes puts into every container of a namespace with a service 'ebb' or 'ebb-...':
 * EBB_SERVICE_HOST, EBB_SERVICE_PORT_HTTP, EBB_PORT=tcp://..., EBB_PORT_9478_TCP_ADDR.
 */
static bool is_of_kubernetes(const char *name, size_t length, const char *value)
{
	char text[128];

	if (length >= sizeof(text))
		return false;
	memcpy(text, name, length);
	text[length] = '\0';
	return ends_with(name, length, "_SERVICE_HOST") || strstr(text, "_SERVICE_PORT") ||
	       strstr(text, "_TCP") || strstr(text, "_UDP") ||
	       (ends_with(name, length, "_PORT") &&
		(strncmp(value, "tcp://", 6) == 0 || strncmp(value, "udp://", 6) == 0));
}

static const struct ebb_key *key_of_environ(const struct ebb_keys *keys, const char *name, size_t length)
{
	char own[EBB_KEY_ENVIRON_MAX];

	for (size_t i = 0; i < keys->count; i++) {
		if (ebb_key_environ(&keys->list[i], own, sizeof(own)) && strlen(own) == length &&
		    memcmp(own, name, length) == 0)
			return &keys->list[i];
	}
	return NULL;
}

static void unknown_environ(struct ebb_reader *r, const char *name, size_t length)
{
	char given[SHOWN_MAX], shown[4 * SHOWN_MAX], own[EBB_KEY_ENVIRON_MAX], best[EBB_KEY_ENVIRON_MAX] = "";
	size_t best_distance = 4, distance;

	(void)snprintf(given, sizeof(given), "%.*s", (int)length, name);
	(void)ebb_text_escape(given, shown, sizeof(shown));
	for (size_t i = 0; i < r->keys->count; i++) {
		if (!ebb_key_environ(&r->keys->list[i], own, sizeof(own)))
			continue;
		distance = ebb_text_distance(given, own);
		if (distance < best_distance) {
			best_distance = distance;
			(void)snprintf(best, sizeof(best), "%s", own);
		}
	}
	if (best[0])
		ebb_problem_warn(r->problems, 0, 0, "%s in the environment is no key: ignored; is it %s?",
				 shown, best);
	else
		ebb_problem_warn(r->problems, 0, 0, "%s in the environment is no key: ignored", shown);
}

static void read_environ(struct ebb_reader *r, const char *const *variables)
{
	for (; variables && *variables; variables++) {
		const char *name = *variables, *equals = strchr(name, '=');
		char own[EBB_KEY_ENVIRON_MAX];
		struct ebb_given given = {.layer = EBB_LAYER_ENVIRON, .name = own};
		size_t length;

		if (strncmp(name, ENVIRON_PREFIX, strlen(ENVIRON_PREFIX)) != 0 || !equals)
			continue;
		length = (size_t)(equals - name);
		given.key = key_of_environ(r->keys, name, length);
		if (given.key ? !ebb_reader_wants(r, given.key->path) : r->section != NULL)
			continue;
		if (given.key && equals[1] == '\0') /* "EBB_MODE=" is how a script says nothing */
			continue;
		if (given.key && !is_of_kubernetes(name, length, equals + 1)) {
			(void)ebb_key_environ(given.key, own, sizeof(own));
			ebb_reader_set(r, &given, equals + 1);
		} else if (!given.key && strncmp(name, EBB_CONFIG_ENVIRON "=", length + 1) != 0 &&
			   !is_of_kubernetes(name, length, equals + 1)) {
			unknown_environ(r, name, length);
		}
	}
}

/* ----------------------------------------------------------------- flags -- */

/* --breaker: several keys at once, "window=5s,probes=2". */
static void read_breaker_flag(struct ebb_reader *r, const struct ebb_config_flag *flag)
{
	struct ebb_given given = {.layer = EBB_LAYER_FLAG, .name = flag->flag};
	_cleanup_free_ char *copy = strdup(flag->value);
	char path[EBB_KEY_PATH_MAX];
	struct ebb_why why = {0};
	char *rest = copy;

	if (!copy) {
		r->no_memory = true;
		return;
	}
	if (ebb_policy_parse(flag->value, &r->config->defaults.breaker, &why) < 0) {
		/* its text begins with "breaker: " as the flag's name does */
		ebb_problem(r->problems, 0, 0, "--%s", why.text);
		r->wrong = true;
		return;
	}
	for (char *item; (item = strsep(&rest, ","));) {
		const char *value = item + strcspn(item, "=");

		(void)snprintf(path, sizeof(path), "defaults.breaker.%.*s", (int)(value - item), item);
		given.key = ebb_keys_find(r->keys, path);
		if (given.key && *value)
			ebb_reader_note(r, &given, value + 1);
	}
}

static void read_flags(struct ebb_reader *r, const struct ebb_config_flag *flags, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct ebb_given given = {.layer = EBB_LAYER_FLAG, .name = flags[i].flag};

		if (!ebb_reader_wants(r, flags[i].key))
			continue;
		if (strcmp(flags[i].key, "defaults.breaker") == 0) {
			read_breaker_flag(r, &flags[i]);
			continue;
		}
		given.key = ebb_keys_find(r->keys, flags[i].key);
		if (given.key) {
			ebb_reader_set(r, &given, flags[i].value);
		} else {
			ebb_problem(r->problems, 0, 0, "%s: there is no key '%s'", flags[i].flag,
				    flags[i].key);
			r->wrong = true;
		}
	}
}

/* --------------------------------------------------------------- together -- */

static int finish(struct ebb_reader *r)
{
	ebb_reader_errno(r, EBB_MATCH_NONE);
	r->config->node_fuse.window_ns = r->config->defaults.breaker.window_ns;
	ebb_reader_destinations(r);
	if (!r->no_memory)
		ebb_reader_check(r);
	return r->no_memory ? -ENOMEM : r->wrong ? -EINVAL : 0;
}

/* From @text, or with NULL from the file of @sources. */
static int load(const struct ebb_config_sources *sources, const char *text, size_t length,
		struct ebb_config **ret_config, struct ebb_problems *ret_problems)
{
	struct ebb_reader reader = {.problems = ret_problems};
	struct ebb_config *config;
	int r;

	memset(ret_problems, 0, sizeof(*ret_problems));
	r = config_new(&config);
	if (r == 0) {
		set_defaults(config);
		reader.config = config;
		reader.origins = config->origins;
		reader.keys = config->origins->keys;
		reader.section = sources->section;
		r = text ? read_text(&reader, text, length) : read_path(&reader, sources);
		if (r == 0) {
			read_environ(&reader, sources->environ);
			read_flags(&reader, sources->flags, sources->flag_count);
			r = finish(&reader);
		}
		free(reader.places);
		ebb_arena_done(&reader.tree);
		if (r < 0)
			ebb_config_free(config);
	}
	if (r == -ENOMEM)
		ebb_problem(ret_problems, 0, 0, "out of memory");
	if (r == 0)
		*ret_config = config;
	return r;
}

int ebb_config_load(const struct ebb_config_sources *sources, struct ebb_config **ret_config,
		    struct ebb_problems *ret_problems)
{
	return load(sources, NULL, 0, ret_config, ret_problems);
}

int ebb_config_parse(const char *text, size_t length, struct ebb_config **ret_config,
		     struct ebb_problems *ret_problems)
{
	const struct ebb_config_sources none = {0};

	return load(&none, text, length, ret_config, ret_problems);
}

const char *ebb_config_file(const struct ebb_config *config)
{
	return config->origins->path;
}

const struct stat *ebb_config_read_as(const struct ebb_config *config)
{
	return config->origins->path ? &config->origins->read_as : NULL;
}

const char *ebb_config_needs_restart(const struct ebb_config *now, const struct ebb_config *next,
				     char *buffer, size_t size)
{
	const struct ebb_keys *keys = now->origins->keys;
	size_t used = 0;

	buffer[0] = '\0';
	for (size_t i = 0; i < keys->count && used < size; i++) {
		if (keys->list[i].flags & EBB_KEY_RESTART && !ebb_key_same(&keys->list[i], now, next))
			used += (size_t)snprintf(buffer + used, size - used, "%s%s", used ? ", " : "",
						 keys->list[i].path);
	}
	return buffer;
}

bool ebb_config_same(const struct ebb_config *a, const struct ebb_config *b, const char *section)
{
	const struct ebb_keys *keys = a->origins->keys;
	size_t length = strlen(section);

	for (size_t i = 0; i < keys->count; i++) {
		const struct ebb_key *key = &keys->list[i];

		if (strncmp(key->path, section, length) == 0 && key->path[length] == '.' &&
		    !ebb_key_same(key, a, b))
			return false;
	}
	return true;
}
