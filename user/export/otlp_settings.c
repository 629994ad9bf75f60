/* SPDX-License-Identifier: Apache-2.0 */
#include "export/otlp_settings.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define NS_PER_MS 1000000ULL
#define NS_PER_S  1000000000ULL

/* The specification has 10 s; we wait for nobody longer than this unless we are told to. */
#define DEADLINE_NS	(5 * NS_PER_S)
#define DEADLINE_MAX_MS 60000
#define DELAY_NS	(5 * NS_PER_S)
#define DELAY_MAX_MS	60000
#define INTERVAL_MIN_MS 1000
#define INTERVAL_MAX_MS 3600000

#define LOCAL_COLLECTOR "http://localhost:4318"

/* What is said of one signal alone. */
struct words {
	const char *name;
	const char *path;	   /* below where all signals go */
	const char *key, *enabled; /* ours; NULL: there is none */
	const char *exporter;	   /* OTEL_*_EXPORTER */
	const char *endpoint, *headers, *timeout, *compression, *protocol, *certificate;
};

#define OF_SIGNAL(signal)                                                                             \
	.exporter = "OTEL_" signal "_EXPORTER", .endpoint = "OTEL_EXPORTER_OTLP_" signal "_ENDPOINT", \
	.headers = "OTEL_EXPORTER_OTLP_" signal "_HEADERS",                                           \
	.timeout = "OTEL_EXPORTER_OTLP_" signal "_TIMEOUT",                                           \
	.compression = "OTEL_EXPORTER_OTLP_" signal "_COMPRESSION",                                   \
	.protocol = "OTEL_EXPORTER_OTLP_" signal "_PROTOCOL",                                         \
	.certificate = "OTEL_EXPORTER_OTLP_" signal "_CERTIFICATE"

static const struct words signals[] = {
	[EBB_OTLP_TRACES] = {.name = "traces",
			     .path = "/v1/traces",
			     .key = "traces.otlp.endpoint",
			     OF_SIGNAL("TRACES")},
	[EBB_OTLP_METRICS] = {.name = "metrics",
			      .path = "/v1/metrics",
			      .key = "metrics.otlp.endpoint",
			      .enabled = "metrics.otlp.enabled",
			      OF_SIGNAL("METRICS")},
};

struct reading {
	const struct words *words;
	const char *const *environ;
	struct ebb_otlp_settings *settings;
};

static void note(struct ebb_otlp_settings *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void note(struct ebb_otlp_settings *s, const char *format, ...)
{
	va_list args;

	if (s->note_count == EBB_OTLP_NOTES_MAX)
		return;
	va_start(args, format);
	(void)vsnprintf(s->notes[s->note_count++], sizeof(s->notes[0]), format, args);
	va_end(args);
}

/* NULL: not set; an empty one is as good as that. */
static const char *get(const struct reading *r, const char *name)
{
	size_t length = strlen(name);

	for (const char *const *e = r->environ; e && *e; e++) {
		if (strncmp(*e, name, length) == 0 && (*e)[length] == '=')
			return (*e)[length + 1] ? *e + length + 1 : NULL;
	}
	return NULL;
}

/* What is said of the signal alone, else of all. *@ret_name: which of the two. */
static const char *get_either(const struct reading *r, const char *of_signal, const char *of_all,
			      const char **ret_name)
{
	const char *value = get(r, of_signal);

	*ret_name = value ? of_signal : of_all;
	return value ? value : get(r, of_all);
}

/* --------------------------------------------------------------- endpoint -- */

static bool is_url(const char *text)
{
	const char *host = NULL;

	if (strncmp(text, "http://", 7) == 0)
		host = text + 7;
	else if (strncmp(text, "https://", 8) == 0)
		host = text + 8;
	if (!host || !*host || *host == '/')
		return false;
	for (const char *s = text; *s; s++)
		if (*s <= ' ' || *s == 0x7f)
			return false;
	/* a password in it would be printed with it */
	return !strchr(host, '@');
}

/* Where all signals go: ours below it, unless it names that place itself. */
static void set_general(const struct reading *r, const char *url, const char *name)
{
	struct ebb_otlp_settings *s = r->settings;
	const char *path = r->words->path;
	size_t length = strlen(url), of_path = strlen(path);
	bool whole = length > of_path && strcmp(url + length - of_path, path) == 0;

	if (!is_url(url) || length + of_path + 1 >= sizeof(s->url)) {
		note(s, "%s is no URL like " LOCAL_COLLECTOR " without a password in it: no %s", name,
		     r->words->name);
		return;
	}
	/* precisions, since a compiler cannot see that all of it has room */
	(void)snprintf(s->url, sizeof(s->url), "%.*s%.16s", (int)(length - (url[length - 1] == '/')), url,
		       whole ? "" : path);
}

/* Where the signal goes: taken as it is, but that a URL has a path. */
static void set_whole(const struct reading *r, const char *url, const char *name)
{
	struct ebb_otlp_settings *s = r->settings;
	const char *host;

	if (!is_url(url) || strlen(url) + 2 >= sizeof(s->url)) {
		note(s, "%s is no URL like " LOCAL_COLLECTOR "%s without a password in it: no %s", name,
		     r->words->path, r->words->name);
		return;
	}
	host = strstr(url, "://") + 3;
	(void)snprintf(s->url, sizeof(s->url), "%s%s", url, strchr(host, '/') ? "" : "/");
}

static void turn_off(const struct reading *r, const char *because)
{
	(void)snprintf(r->settings->off_because, sizeof(r->settings->off_because), "%s", because);
}

static void read_endpoint(const struct reading *r, const struct ebb_otlp_ours *ours)
{
	const char *of_signal = get(r, r->words->endpoint);
	const char *of_all = get(r, "OTEL_EXPORTER_OTLP_ENDPOINT");
	const char *exporter = get(r, r->words->exporter);

	if (ours->off)
		turn_off(r, r->words->enabled);
	else if (ours->endpoint && ours->endpoint[0])
		set_general(r, ours->endpoint, r->words->key);
	else if (exporter && !ours->on && strcmp(exporter, "otlp") != 0)
		turn_off(r, r->words->exporter);
	else if (of_signal)
		set_whole(r, of_signal, r->words->endpoint);
	else if (of_all)
		set_general(r, of_all, "OTEL_EXPORTER_OTLP_ENDPOINT");
	else if (exporter || ours->on)
		set_general(r, LOCAL_COLLECTOR, "");
}

/* ------------------------------------------------------------------- lists -- */

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Copies @length bytes of @text, blanks around them left out and %XX read. False: it is none, or too long. */
static bool copy_decoded(const char *text, size_t length, char buffer[EBB_OTLP_TEXT_MAX])
{
	const char *end = text + length;
	size_t used = 0;

	while (text < end && (*text == ' ' || *text == '\t'))
		text++;
	while (end > text && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	for (; text < end; text++) {
		int c = (unsigned char)*text;

		if (c == '%') {
			int high = end - text > 2 ? hex(text[1]) : -1, low = high < 0 ? -1 : hex(text[2]);

			if (low < 0)
				return false;
			c = high * 16 + low;
			text += 2;
		}
		if (c < ' ' || c == 0x7f || used + 1 >= EBB_OTLP_TEXT_MAX)
			return false;
		buffer[used++] = (char)c;
	}
	buffer[used] = '\0';
	return true;
}

int ebb_otlp_list_parse(const char *text, struct ebb_otlp_pair *ret_pairs, size_t max)
{
	size_t count = 0;

	for (;;) {
		size_t length = strcspn(text, ",");
		const char *equals = memchr(text, '=', length);
		bool blank = strspn(text, " \t") >= length;

		if (!blank && (!equals || count == max ||
			       !copy_decoded(text, (size_t)(equals - text), ret_pairs[count].key) ||
			       !copy_decoded(equals + 1, (size_t)(text + length - equals - 1),
					     ret_pairs[count].value) ||
			       !ret_pairs[count].key[0]))
			return -1;
		count += !blank;
		if (!text[length])
			return (int)count;
		text += length + 1;
	}
}

bool ebb_otlp_is_header_name(const char *name)
{
	return name[0] && strspn(name, "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
				       "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == strlen(name);
}

/* What is wrong with one is not told: it may hold a secret. */
static void read_headers(const struct reading *r)
{
	struct ebb_otlp_settings *s = r->settings;
	struct ebb_otlp_pair pairs[EBB_OTLP_HEADERS_MAX];
	const char *name, *text = get_either(r, r->words->headers, "OTEL_EXPORTER_OTLP_HEADERS", &name);
	int count = text ? ebb_otlp_list_parse(text, pairs, EBB_OTLP_HEADERS_MAX) : 0;

	for (int i = 0; i < count; i++)
		if (!ebb_otlp_is_header_name(pairs[i].key))
			count = -1;
	if (count < 0)
		note(s,
		     "%s is no list of up to %d headers like 'name=value,name=value': none of them is sent",
		     name, EBB_OTLP_HEADERS_MAX);
	for (int i = 0; i < count; i++)
		(void)snprintf(s->headers[s->header_count++], sizeof(s->headers[0]), "%.*s: %.*s",
			       EBB_OTLP_TEXT_MAX - 4, pairs[i].key, EBB_OTLP_TEXT_MAX, pairs[i].value);
}

/* ---------------------------------------------------------------- resource -- */

static void set_attribute(struct ebb_otlp_settings *s, const char *key, const char *value)
{
	size_t i = 0;

	if (!value || !value[0])
		return;
	while (i < s->resource_count && strcmp(s->resource[i].key, key) != 0)
		i++;
	if (i == EBB_OTLP_ATTRIBUTES_MAX)
		return;
	if (i == s->resource_count)
		s->resource_count++;
	(void)snprintf(s->resource[i].key, sizeof(s->resource[i].key), "%s", key);
	(void)snprintf(s->resource[i].value, sizeof(s->resource[i].value), "%s", value);
}

/* Ours first, theirs over it, the name of the service over all. */
static void read_resource(const struct reading *r, const struct ebb_otlp_self *self)
{
	struct ebb_otlp_pair pairs[EBB_OTLP_ATTRIBUTES_MAX - 4];
	const size_t most = sizeof(pairs) / sizeof(pairs[0]);
	const char *text = get(r, "OTEL_RESOURCE_ATTRIBUTES");
	int count = text ? ebb_otlp_list_parse(text, pairs, most) : 0;

	set_attribute(r->settings, "service.name", "ebb");
	set_attribute(r->settings, "service.instance.id", self->instance);
	set_attribute(r->settings, "host.name", self->host);
	set_attribute(r->settings, "k8s.node.name", self->node);
	if (count < 0)
		note(r->settings,
		     "OTEL_RESOURCE_ATTRIBUTES is no list of up to %zu attributes like 'key=value,key=value': none of them is sent",
		     most);
	for (int i = 0; i < count; i++)
		set_attribute(r->settings, pairs[i].key, pairs[i].value);
	set_attribute(r->settings, "service.name", get(r, "OTEL_SERVICE_NAME"));
}

/* ----------------------------------------------------------------- numbers -- */

/* Milliseconds from @least to @most; else @fallback_ns, and told. */
static uint64_t read_ms(const struct reading *r, const char *name, const char *text, unsigned long least,
			unsigned long most, uint64_t fallback_ns)
{
	unsigned long ms;
	char *end;

	if (!text)
		return fallback_ns;
	ms = strtoul(text, &end, 10);
	if (*end || !isdigit((unsigned char)text[0]) || ms < least || ms > most) {
		note(r->settings, "%s is no whole number of milliseconds from %lu to %lu: %llu are taken",
		     name, least, most, (unsigned long long)(fallback_ns / NS_PER_MS));
		return fallback_ns;
	}
	return ms * NS_PER_MS;
}

/* Without a ratio it is 1, as the specification has it. */
static double read_ratio(const struct reading *r)
{
	const char *text = get(r, "OTEL_TRACES_SAMPLER_ARG");
	char *end = NULL;
	double ratio;

	if (!text)
		return 1;
	ratio = strtod(text, &end);
	if (end == text || *end || !(ratio >= 0 && ratio <= 1)) {
		note(r->settings, "OTEL_TRACES_SAMPLER_ARG is no number from 0 to 1: 1 is taken");
		return 1;
	}
	return ratio;
}

/* We have no parents: the samplers that go by them go by the rest. */
static void read_sampler(const struct reading *r, const struct ebb_otlp_ours *ours)
{
	static const char by_parent[] = "parentbased_";
	struct ebb_otlp_settings *s = r->settings;
	const char *sampler = get(r, "OTEL_TRACES_SAMPLER"), *name = sampler;

	s->sample = ours->sample;
	if (!sampler || ours->sample_given)
		return;
	if (strncmp(name, by_parent, strlen(by_parent)) == 0)
		name += strlen(by_parent);
	if (strcmp(name, "always_on") == 0)
		s->sample = 1;
	else if (strcmp(name, "traceidratio") == 0)
		s->sample = read_ratio(r);
	else if (strcmp(name, "always_off") == 0)
		turn_off(r, "OTEL_TRACES_SAMPLER");
	else
		note(s,
		     "OTEL_TRACES_SAMPLER is none of always_on, always_off, traceidratio and parentbased_ with one of these: %g of the connections are sampled",
		     s->sample);
}

static void read_times(const struct reading *r, const struct ebb_otlp_ours *ours)
{
	struct ebb_otlp_settings *s = r->settings;
	const char *name, *text;

	text = get_either(r, r->words->timeout, "OTEL_EXPORTER_OTLP_TIMEOUT", &name);
	s->deadline_ns = ours->timeout_given ? ours->timeout_ns
					     : read_ms(r, name, text, 1, DEADLINE_MAX_MS, DEADLINE_NS);
	text = get(r, "OTEL_BSP_SCHEDULE_DELAY");
	if (r->words == &signals[EBB_OTLP_TRACES])
		s->delay_ns = read_ms(r, "OTEL_BSP_SCHEDULE_DELAY", text, 1, DELAY_MAX_MS, DELAY_NS);
	text = get(r, "OTEL_METRIC_EXPORT_INTERVAL");
	if (r->words == &signals[EBB_OTLP_METRICS])
		s->interval_ns = ours->interval_given
					 ? ours->interval_ns
					 : read_ms(r, "OTEL_METRIC_EXPORT_INTERVAL", text, INTERVAL_MIN_MS,
						   INTERVAL_MAX_MS, ours->interval_ns);
}

static void read_transport(const struct reading *r, const struct ebb_otlp_ours *ours)
{
	struct ebb_otlp_settings *s = r->settings;
	const char *name, *text;

	text = get_either(r, r->words->compression, "OTEL_EXPORTER_OTLP_COMPRESSION", &name);
	s->gzip = ours->gzip_given ? ours->gzip : text && strcmp(text, "gzip") == 0;
	if (text && strcmp(text, "gzip") != 0 && strcmp(text, "none") != 0)
		note(s, "%s is neither gzip nor none: nothing is compressed", name);
	text = get_either(r, r->words->protocol, "OTEL_EXPORTER_OTLP_PROTOCOL", &name);
	if (text && strcmp(text, "http/json") != 0)
		note(s, "%s is not http/json, which is all that ebb speaks: that is sent", name);
	text = get_either(r, r->words->certificate, "OTEL_EXPORTER_OTLP_CERTIFICATE", &name);
	if (text && (size_t)snprintf(s->ca_file, sizeof(s->ca_file), "%s", text) >= sizeof(s->ca_file)) {
		note(s, "%s is too long a path", name);
		s->ca_file[0] = '\0';
	}
}

/* Whoever wants counters to begin anew with each push does not get that. */
static void read_temporality(const struct reading *r)
{
	static const char name[] = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";
	const char *text = get(r, name);

	if (text && strcasecmp(text, "cumulative") != 0)
		note(r->settings, "%s is not cumulative, which is all that ebb has: that is sent", name);
}

void ebb_otlp_settings_read(enum ebb_otlp_signal signal, const char *const *environ,
			    const struct ebb_otlp_ours *ours, const struct ebb_otlp_self *self,
			    struct ebb_otlp_settings *ret_settings)
{
	const struct reading r = {&signals[signal], environ, ret_settings};
	const char *disabled = get(&r, "OTEL_SDK_DISABLED");

	memset(ret_settings, 0, sizeof(*ret_settings));
	read_endpoint(&r, ours);
	if (signal == EBB_OTLP_TRACES)
		read_sampler(&r, ours);
	else
		read_temporality(&r);
	read_headers(&r);
	read_resource(&r, self);
	read_times(&r, ours);
	read_transport(&r, ours);
	if (disabled && strcasecmp(disabled, "true") == 0)
		turn_off(&r, "OTEL_SDK_DISABLED");
	if (ret_settings->off_because[0])
		ret_settings->url[0] = '\0';
}

/* Texts are compared with what is behind them, which is zero in both. */
bool ebb_otlp_settings_equal(const struct ebb_otlp_settings *a, const struct ebb_otlp_settings *b)
{
	return memcmp(a->url, b->url, sizeof(a->url)) == 0 &&
	       memcmp(a->off_because, b->off_because, sizeof(a->off_because)) == 0 &&
	       a->header_count == b->header_count &&
	       memcmp(a->headers, b->headers, sizeof(a->headers)) == 0 &&
	       memcmp(a->ca_file, b->ca_file, sizeof(a->ca_file)) == 0 && a->deadline_ns == b->deadline_ns &&
	       a->delay_ns == b->delay_ns && a->interval_ns == b->interval_ns && a->gzip == b->gzip &&
	       a->sample == b->sample && a->resource_count == b->resource_count &&
	       memcmp(a->resource, b->resource, sizeof(a->resource)) == 0 && a->note_count == b->note_count &&
	       memcmp(a->notes, b->notes, sizeof(a->notes)) == 0;
}

uint32_t ebb_otlp_share(double sample)
{
	if (!(sample > 0))
		return 0;
	return sample >= 1 ? UINT32_MAX : (uint32_t)lround(sample * UINT32_MAX);
}
