/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/common.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/deed.h"
#include "kernel/mapping.h"
#include "lib/cleanup.h"
#include "lib/text.h"
#include "lib/units.h"
#include "node/pods_file.h"

#define NS_PER_S    1000000000ULL
#define MESSAGE_MAX 1024

/* ------------------------------------------------------------- errors -- */

/* One write for the whole line; what was typed or came from the kernel is escaped. */
static void print_error(const struct ebb_args *args, const char *option, const char *format, va_list list)
	__attribute__((format(printf, 3, 0)));

static void print_error(const struct ebb_args *args, const char *option, const char *format, va_list list)
{
	char text[MESSAGE_MAX], safe[2 * MESSAGE_MAX];

	(void)vsnprintf(text, sizeof(text), format, list);
	(void)ebb_text_escape(text, safe, sizeof(safe));
	(void)fprintf(stderr, "ebb %s: %s%s%s%s\n", ebb_args_command(args)->name, option ? "--" : "",
		      option ? option : "", option ? ": " : "", safe);
}

enum ebb_exit ebb_fail(const struct ebb_args *args, enum ebb_exit code, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	print_error(args, NULL, format, list);
	va_end(list);
	return code;
}

enum ebb_exit ebb_fail_option(const struct ebb_args *args, const char *option, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	print_error(args, option, format, list);
	va_end(list);
	return EBB_EXIT_USAGE;
}

enum ebb_exit ebb_for_option(const struct ebb_args *args, const char *example, uint64_t *ret_ns)
{
	const char *text = ebb_args_get(args, "for");

	if (text && (ebb_parse_duration(text, ret_ns) < 0 || *ret_ns == 0))
		return ebb_fail_option(args, "for", "'%s' is not possible: a time like %s", text, example);
	return EBB_EXIT_DONE;
}

enum ebb_exit ebb_exit_of_file(int r)
{
	switch (r) {
	case -ENOENT:
	case -ENOTDIR:
		return EBB_EXIT_NOT_FOUND;
	case -EPERM:
	case -EACCES:
		return EBB_EXIT_NOT_PERMITTED;
	default:
		return EBB_EXIT_FAILED;
	}
}

/* ------------------------------------------------------------ session -- */

enum ebb_exit ebb_output_format(const struct ebb_args *args, bool *ret_json)
{
	const char *output = ebb_args_get(args, "output");

	if (!output) {
		*ret_json = false;
		return EBB_EXIT_DONE;
	}
	if (strcmp(output, "json") != 0 && strcmp(output, "text") != 0)
		return ebb_fail_option(args, "output", "'%s' is no format: text or json", output);
	*ret_json = strcmp(output, "json") == 0;
	return EBB_EXIT_DONE;
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now = {};

	(void)clock_gettime(clock, &now); /* cannot fail for these clocks */
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

void ebb_session_look(const struct ebb_args *args, struct ebb_session *session)
{
	struct ebb_look *look = &session->look;

	look->link_count = ebb_maps_links(ebb_args_get(args, "pin"), look->links);
	look->now_ns = clock_ns(CLOCK_MONOTONIC);
	look->realtime_ns = (int64_t)clock_ns(CLOCK_REALTIME);
}

uint64_t ebb_session_pins(const struct ebb_args *args)
{
	struct stat st;

	return stat(ebb_args_get(args, "pin"), &st) == 0 ? st.st_ino : 0;
}

size_t ebb_terminal_columns(void)
{
	struct winsize size;

	if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0)
		return 0;
	return size.ws_col;
}

enum ebb_exit ebb_session_open(const struct ebb_args *args, struct ebb_session *ret_session)
{
	return ebb_session_open_as(args, EBB_MAPS_READ, ret_session);
}

enum ebb_exit ebb_session_open_as(const struct ebb_args *args, enum ebb_maps_access access,
				  struct ebb_session *ret_session)
{
	struct ebb_session session = {};
	struct ebb_why why = {};
	enum ebb_exit code;
	int r;

	code = ebb_output_format(args, &session.json);
	if (code != EBB_EXIT_DONE)
		return code;
	r = ebb_maps_open(ebb_args_get(args, "pin"), access, &session.maps, &why);
	if (r < 0)
		return ebb_fail(args, ebb_exit_from(r), "%s", why.text);
	r = ebb_cgroup_names_new(&session.look.names);
	if (r < 0) {
		ebb_session_close(&session);
		return ebb_fail(args, EBB_EXIT_FAILED, "%s", ebb_strerror(r));
	}
	session.look.view = ebb_maps_view(session.maps);
	/* without it workloads are shown as cgroups */
	if (ebb_pods_load(ebb_args_get(args, "pin"), &session.pods) == 0)
		ebb_cgroup_names_use(session.look.names, session.pods);
	/* without it all are shown as governed */
	if (session.look.view->agent->workload_rules != EBB_RULES_NONE)
		(void)ebb_mapping_open(ebb_args_get(args, "pin"), NULL, &session.look.mapping, NULL);
	session.look.columns = session.json ? 0 : ebb_terminal_columns();
	ebb_session_look(args, &session);
	*ret_session = session;
	return EBB_EXIT_DONE;
}

void ebb_session_close(struct ebb_session *session)
{
	ebb_mapping_free(session->look.mapping);
	ebb_cgroup_names_free(session->look.names);
	ebb_pods_free(session->pods);
	ebb_maps_free(session->maps);
	*session = (struct ebb_session){};
}

enum ebb_exit ebb_printed(const struct ebb_args *args, int r)
{
	if (r == 0)
		return EBB_EXIT_DONE;
	if (r == -ENOMEM)
		return ebb_fail(args, EBB_EXIT_FAILED, "out of memory");
	return ebb_fail(args, EBB_EXIT_FAILED, "cannot write the output: %s", ebb_strerror(r));
}

enum ebb_exit ebb_print_json(const struct ebb_args *args, json_t *root)
{
	int r;

	if (!root)
		return ebb_printed(args, -ENOMEM);
	errno = 0;
	r = json_dumpf(root, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
	if (r < 0 || fputc('\n', stdout) == EOF)
		r = errno ? -errno : -EIO;
	json_decref(root);
	return ebb_printed(args, r);
}

uint32_t ebb_login_uid(void)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/self/loginuid", "re");
	char line[16] = "";
	uint32_t uid;

	if (!f || !fgets(line, sizeof(line), f))
		return EBB_LOGIN_NONE;
	line[strcspn(line, "\n")] = '\0';
	return ebb_parse_u32(line, &uid) == 0 ? uid : EBB_LOGIN_NONE;
}

uint32_t ebb_operator_uid(void)
{
	uint32_t uid = ebb_login_uid();

	return uid != EBB_LOGIN_NONE ? uid : getuid();
}
