/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 'ebb record': a trace of the calls of this node, a line each, for 'ebb simulate'. The kernel
 * writes the results into a ring of their own while somebody asks for it, and stops by itself
 * when that one dies.
 */
#include "cli/record.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/simulate.h"
#include "export/name.h"
#include "kernel/recording.h"
#include "lib/cleanup.h"

/* The ring holds what ends in this time at 180,000 calls a second. */
#define TAKE_NS 100000000L

/* ---------------------------------------------------------------- lines -- */

int ebb_record_log_init(struct ebb_record_log *log, const struct ebb_look *look, FILE *out)
{
	const struct ebb_view *view = look->view;

	*log = (struct ebb_record_log){.look = look, .out = out, .start_ns = look->now_ns};
	log->pairs = calloc(view->pair_max, sizeof(*log->pairs));
	if (!log->pairs)
		return -ENOMEM;
	for (uint32_t p = 0; p < view->pair_max; p++) {
		const struct ebb_pair *pair = &view->pairs[p];
		uint64_t attempts = pair->attempts, syn_sent = pair->syn_sent;

		log->pairs[p].epoch = pair->epoch;
		log->pairs[p].local = attempts > syn_sent ? attempts - syn_sent : 0;
		log->pairs[p].told = log->pairs[p].local;
	}
	return 0;
}

void ebb_record_log_done(struct ebb_record_log *log)
{
	free(log->pairs);
	log->pairs = NULL;
}

static void write_call(struct ebb_record_log *log, uint32_t dst, uint64_t workload, uint32_t outcome,
		       uint64_t at_ns, uint64_t took_ns)
{
	char name[EBB_DST_NAME_MAX];
	struct ebb_trace_call call = {.outcome = outcome};
	uint64_t end_ns = ebb_age(at_ns, log->start_ns);
	int r;

	call.took_ns = took_ns < end_ns ? took_ns : end_ns;
	call.at_ns = end_ns - call.took_ns;
	call.dest = ebb_dst_name(log->look->view, dst, name, sizeof(name));
	call.workload = workload ? ebb_cgroup_name(log->look->names, workload) : NULL;
	r = ebb_trace_write(log->out, &call);
	if (r < 0 && !log->error)
		log->error = r;
	if (r == 0)
		log->calls++;
}

void ebb_record_log_result(struct ebb_record_log *log, const struct ebb_record *record)
{
	const struct ebb_view *view = log->look->view;

	if (record->at_ns < log->start_ns)
		return;
	if (record->dst >= view->dst_max || view->dsts[record->dst].epoch != record->dst_epoch) {
		log->unnamed++;
		return;
	}
	if (record->outcome == EBB_RECORD_DENIED)
		write_call(log, record->dst, record->workload, EBB_SIM_DENIED, record->at_ns, 0);
	else if (record->outcome < EBB_OUTCOME_MAX)
		write_call(log, record->dst, record->workload, record->outcome, record->at_ns,
			   record->took_ns);
}

void ebb_record_log_locals(struct ebb_record_log *log)
{
	const struct ebb_view *view = log->look->view;

	for (uint32_t p = 0; p < view->pair_max && p <= view->kernel->pair_high; p++) {
		struct ebb_record_pair *seen = &log->pairs[p];
		struct ebb_pair pair;
		uint64_t local, sure;

		memcpy(&pair, &view->pairs[p], sizeof(pair));
		if (pair.epoch != seen->epoch)
			*seen = (struct ebb_record_pair){.epoch = pair.epoch};
		local = pair.attempts > pair.syn_sent ? pair.attempts - pair.syn_sent : 0;
		sure = local < seen->local ? local : seen->local;
		seen->local = local;
		if (sure <= seen->told || pair.dst >= view->dst_max)
			continue;
		for (; seen->told < sure; seen->told++) {
			if (ebb_look_class(log->look, pair.workload) == EBB_CLASS_GOVERNED)
				write_call(log, pair.dst, pair.workload, EBB_SIM_LOCAL, log->look->now_ns, 0);
		}
	}
}

/* -------------------------------------------------------------- command -- */

static void on_record(void *userdata, const struct ebb_record *record)
{
	ebb_record_log_result(userdata, record);
}

static int take(struct ebb_recording *recording, struct ebb_record_log *log)
{
	int r = ebb_recording_take(recording, on_record, log);

	ebb_record_log_locals(log);
	return r < 0 ? r : log->error;
}

/* Until a signal, the end, or the end of the maps. */
static enum ebb_exit record_loop(const struct ebb_args *args, struct ebb_session *session,
				 struct ebb_recording *recording, struct ebb_record_log *log, uint64_t for_ns)
{
	const struct timespec interval = {.tv_nsec = TAKE_NS};
	uint64_t pins = ebb_session_pins(args), renewed_ns = log->start_ns;
	bool done = false, late = false;
	sigset_t signals;
	int r;

	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGINT);
	(void)sigaddset(&signals, SIGTERM);
	if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
		return ebb_fail(args, EBB_EXIT_FAILED, "cannot wait for signals: %s", ebb_strerror(-errno));
	(void)ebb_recording_renew(recording, renewed_ns);
	while (!done) {
		done = sigtimedwait(&signals, NULL, &interval) > 0;
		ebb_session_look(args, session);
		done = done || (for_ns && ebb_age(session->look.now_ns, log->start_ns) >= for_ns);
		if (done) {
			ebb_recording_stop(recording);
		} else if (ebb_age(session->look.now_ns, renewed_ns) >= EBB_RECORDING_LEASE_NS / 2) {
			late = ebb_recording_renew(recording, session->look.now_ns) || late;
			renewed_ns = session->look.now_ns;
		}
		r = take(recording, log);
		if (r < 0)
			return ebb_fail(args, EBB_EXIT_FAILED, "cannot write the trace: %s", ebb_strerror(r));
		if (!done && ebb_session_pins(args) != pins)
			return ebb_fail(args, EBB_EXIT_NO_AGENT,
					"the maps in '%s' were removed: start 'ebb run'",
					ebb_args_get(args, "pin"));
	}
	if (late)
		(void)ebb_fail(args, EBB_EXIT_DONE,
			       "the machine was too busy: for moments nothing was recorded");
	return EBB_EXIT_DONE;
}

static enum ebb_exit record(const struct ebb_args *args, struct ebb_session *session,
			    struct ebb_recording *recording, FILE *out, uint64_t for_ns)
{
	const __u64 *lost = &session->look.view->kernel->errors[EBB_ERR_RECORD_LOST];
	uint64_t lost_before = *lost;
	struct ebb_record_log log;
	enum ebb_exit code;

	ebb_session_look(args, session);
	if (ebb_record_log_init(&log, &session->look, out) < 0)
		return ebb_fail(args, EBB_EXIT_FAILED, "out of memory");
	(void)ebb_fail(args, EBB_EXIT_DONE, "recording; Ctrl-C ends it");
	code = record_loop(args, session, recording, &log, for_ns);
	ebb_recording_stop(recording);
	(void)ebb_fail(args, EBB_EXIT_DONE, "%" PRIu64 " calls, %" PRIu64 " lost, %" PRIu64 " without a name",
		       log.calls, (uint64_t)__atomic_load_n(lost, __ATOMIC_RELAXED) - lost_before,
		       log.unnamed);
	ebb_record_log_done(&log);
	return code;
}

/* Standard output, or --trace: made anew. */
static enum ebb_exit open_trace(const struct ebb_args *args, FILE **ret_out)
{
	const char *path = ebb_args_get(args, "trace");
	_cleanup_close_ int fd = -1;
	FILE *out;

	if (!path || strcmp(path, "-") == 0)
		fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	else
		fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	if (fd < 0) {
		int r = -errno;

		return ebb_fail(args, ebb_exit_of_file(r), "cannot write '%s': %s", path ? path : "-",
				ebb_strerror(r));
	}
	out = fdopen(fd, "we");
	if (!out)
		return ebb_fail(args, EBB_EXIT_FAILED, "%s", ebb_strerror(-errno));
	(void)TAKE_FD(fd);
	/* whole lines, whenever it is read or we are killed */
	(void)setvbuf(out, NULL, _IOLBF, EBB_TRACE_WRITTEN_MAX);
	*ret_out = out;
	return EBB_EXIT_DONE;
}

enum ebb_exit ebb_cmd_record(const struct ebb_args *args)
{
	struct ebb_recording *recording = NULL;
	_cleanup_fclose_ FILE *out = NULL;
	struct ebb_session session;
	struct ebb_why why = {};
	uint64_t for_ns = 0;
	enum ebb_exit code;
	int r;

	code = ebb_for_option(args, "10m", &for_ns);
	if (code != EBB_EXIT_DONE)
		return code;
	code = ebb_session_open(args, &session);
	if (code != EBB_EXIT_DONE)
		return code;
	r = ebb_recording_open(ebb_args_get(args, "pin"), ebb_operator_uid(), &recording, &why);
	if (r < 0)
		code = ebb_fail(args, ebb_exit_from(r), "%s", why.text);
	if (r == 0)
		code = open_trace(args, &out);
	if (code == EBB_EXIT_DONE)
		code = record(args, &session, recording, out, for_ns);
	ebb_recording_close(recording);
	ebb_session_close(&session);
	return code;
}
