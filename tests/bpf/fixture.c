/* SPDX-License-Identifier: Apache-2.0 */
/* Load, attach, join; compare what was counted; clean up, also after a crash. */
#include "fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "core/limit.h"
#include "kernel/layout.h"
#include "lib/cleanup.h"
#include "node/cgroup.h"
#include "renew.h"

#define PREFIX "ebb-test-bpf-"
#define BPFFS  "/sys/fs/bpf"

#define SECOND_NS 1000000000ULL

uint64_t now_ns(void)
{
	return net_now_ns();
}

uint64_t now_ticks(void)
{
	return net_now_ns() >> EBB_TICK_SHIFT;
}

/* snprintf() that fails the test instead of cutting. */
static void text(char *ret_text, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));

static void text(char *ret_text, size_t size, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(ret_text, size, format, args);
	va_end(args);
	assert_true(n >= 0 && (size_t)n < size);
}

/* ------------------------------------------------------------- leftovers -- */

/* Calls @remove for what an earlier run left in @dir: its name ends in the id of a process that is gone. */
static void remove_leftovers(const char *dir, void (*remove_one)(const char *path))
{
	_cleanup_closedir_ DIR *d = opendir(dir);
	char path[FIXTURE_PATH_MAX];
	const struct dirent *entry;
	const char *dash;
	pid_t pid;

	if (!d)
		return;
	while ((entry = readdir(d))) {
		if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) != 0)
			continue;
		dash = strrchr(entry->d_name, '-');
		pid = (pid_t)strtol(dash + 1, NULL, 10);
		if (pid <= 0 || kill(pid, 0) == 0 || errno != ESRCH)
			continue;
		text(path, sizeof(path), "%s/%s", dir, entry->d_name);
		remove_one(path);
	}
}

static void remove_cgroup(const char *path)
{
	_cleanup_closedir_ DIR *d = opendir(path);
	char below[FIXTURE_PATH_MAX + 256];
	const struct dirent *entry;

	while (d && (entry = readdir(d))) {
		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		(void)snprintf(below, sizeof(below), "%s/%s", path, entry->d_name);
		(void)rmdir(below);
	}
	(void)rmdir(path);
}

static void remove_pins(const char *path)
{
	size_t count;

	if (ebb_maps_detach(path, &count, NULL) < 0)
		(void)rmdir(path);
}

/* ---------------------------------------------------------------- cgroups -- */

/* The cgroup2 directory in which this process is; read once, before it joins another. */
static const char *home_cgroup(const char *mount)
{
	static char home[FIXTURE_PATH_MAX];
	_cleanup_fclose_ FILE *f = NULL;
	char line[FIXTURE_PATH_MAX];

	if (home[0])
		return home;
	f = fopen("/proc/self/cgroup", "re");
	while (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, "0::", 3) == 0)
			text(home, sizeof(home), "%s%s", mount, line + 3);
	}
	return home;
}

static void move_to(const char *cgroup)
{
	char path[FIXTURE_PATH_MAX];

	text(path, sizeof(path), "%s/cgroup.procs", cgroup);
	write_file(path, "0");
}

void fixture_join(const struct fixture *fx)
{
	move_to(fx->cgroup);
}

void fixture_leave(const struct fixture *fx)
{
	(void)fx;
	move_to(home_cgroup(""));
}

/* ----------------------------------------------------------------- agent -- */

struct ebb_policy policy_default(void)
{
	return (struct ebb_policy){
		.mode = EBB_MODE_OBSERVE,
		.scope = EBB_SCOPE_NODE,
		.errno_code = EBB_ERRNO_CONNREFUSED,
		.on_agent_loss = EBB_LOSS_RELEASE,
		.count_mask = 1U << EBB_OUTCOME_REFUSED | 1U << EBB_OUTCOME_TIMEOUT |
			      1U << EBB_OUTCOME_UNREACHABLE | 1U << EBB_OUTCOME_ABANDONED |
			      1U << EBB_OUTCOME_RESET | 1U << EBB_OUTCOME_UNANSWERED,
		.probes = 3,
		.close_after = 2,
		.reopen_after = 2,
		.probe_lease_ticks = (uint32_t)ebb_ns_to_ticks(10 * SECOND_NS),
		.abandon_ms = 1000,
	};
}

void policy_everywhere(struct fixture *fx, const struct ebb_policy *policy)
{
	struct ebb_policy summarized = *policy;

	ebb_limits_summarize(&summarized);
	for (uint32_t slot = 0; slot < fx->view->dst_max; slot++)
		fx->view->policies[slot] = summarized;
}

void verdict_everywhere(struct fixture *fx, uint64_t word)
{
	for (uint32_t slot = 0; slot < fx->view->gate_max; slot++)
		fx->view->verdicts[slot].word = word;
}

void enforce_everywhere(struct fixture *fx, const struct ebb_policy *policy, uint64_t word)
{
	struct ebb_policy enforced = *policy;

	enforced.mode = EBB_MODE_ENFORCE;
	policy_everywhere(fx, &enforced);
	verdict_everywhere(fx, word);
}

void agent_alive(struct fixture *fx)
{
	/* a heartbeat of the future is never old */
	fx->view->agent->lease_ns = 30 * SECOND_NS;
	fx->view->agent->heartbeat_ns = now_ns() + 3600 * SECOND_NS;
}

void agent_absent(struct fixture *fx, uint64_t ago_ns, uint64_t lease_ns)
{
	fx->view->agent->lease_ns = lease_ns;
	fx->view->agent->heartbeat_ns = now_ns() - ago_ns;
}

/* -------------------------------------------------------------- up, down -- */

bool fixture_unavailable(void)
{
	char mount[FIXTURE_PATH_MAX];
	const char *missing = NULL;

	if (geteuid() != 0)
		missing = "not root";
	else if (ebb_cgroup_mount(mount, sizeof(mount), NULL) < 0)
		missing = "no cgroup2 mount";
	if (missing)
		(void)printf("1..0 # SKIP %s\n", missing);
	return missing != NULL;
}

int fixture_map(const struct fixture *fx, const char *name)
{
	char path[FIXTURE_PATH_MAX + 32];
	int fd;

	text(path, sizeof(path), "%s/%s", fx->pin_dir, name);
	fd = bpf_obj_get(path);
	assert_true(fd >= 0);
	return fd;
}

/* As if the agent had taken back more than the test can ever find: small tables can be filled by one. */
static void lift_share(const struct fixture *fx)
{
	_cleanup_close_ int lost = fixture_map(fx, "ebb_lost_v2");
	__u64 many = 1ULL << 40;

	assert_int_equal(bpf_map_update_elem(lost, &fx->cgroup_id, &many, BPF_ANY), 0);
}

/* What an agent does once its programs are loaded: it says who it is and what holds, and attaches them. */
static void begin(struct fixture *fx)
{
	struct ebb_policy policy = policy_default();
	struct ebb_why why = {0};

	if (ebb_loader_fill_queues(fx->loader, &why) < 0)
		fail_msg("%s", why.text);
	fx->view = ebb_loader_view(fx->loader);
	if (!ebb_loader_took_over(fx->loader)) {
		policy_everywhere(fx, &policy);
		fx->view->agent->dst_max = fx->view->dst_max;
		fx->view->agent->pair_max = fx->view->pair_max;
		fx->view->agent->cgroup_id = fx->cgroup_id;
		fx->view->agent->abi_version = EBB_ABI_VERSION;
	}
	if (!fx->options.shares)
		lift_share(fx);
	agent_alive(fx);
	if (ebb_loader_attach(fx->loader, &why) < 0)
		fail_msg("%s", why.text);
}

static void open_loader(struct fixture *fx)
{
	struct ebb_loader_options options = {
		.pin_dir = fx->pin_dir,
		.cgroup_fd = fx->cgroup_fd,
		.destinations = fx->options.destinations ? fx->options.destinations : 64,
		.pairs = fx->options.pairs ? fx->options.pairs : 64,
		.endpoints = fx->options.endpoints ? fx->options.endpoints : 128,
		.no_set_retval = fx->options.no_set_retval,
		.no_rdonly_cast = fx->options.no_rdonly_cast,
		.adopt = fx->options.adopt,
		.no_arm = fx->options.no_arm,
		.remember = fx->options.remember,
		.reset = fx->options.reset,
		.no_sock_destroy = fx->options.no_sock_destroy,
	};
	struct ebb_why why = {0};

	if (ebb_loader_open(&options, &fx->loader, &why) < 0)
		fail_msg("%s", why.text);
	begin(fx);
}

void fixture_close_loader(struct fixture *fx)
{
	renewal_free(fx->maps);
	ebb_loader_free(fx->loader);
	fx->maps = NULL;
	fx->loader = NULL;
	fx->view = NULL;
}

void fixture_detach(struct fixture *fx)
{
	size_t count;

	fixture_close_loader(fx);
	assert_int_equal(ebb_maps_detach(fx->pin_dir, &count, NULL), 0);
}

struct ebb_adopted adopt_open(struct fixture *fx)
{
	struct ebb_adopted adopted = {0};
	struct ebb_why why = {0};

	if (ebb_loader_adopt(fx->loader, &adopted, &why) < 0)
		fail_msg("%s", why.text);
	return adopted;
}

uint64_t arm_open(struct fixture *fx)
{
	struct ebb_why why = {0};
	uint64_t count = 0;
	struct stat st;

	assert_int_equal(stat("/proc/thread-self/ns/net", &st), 0);
	if (ebb_loader_arm(fx->loader, st.st_ino, &count, &why) < 0)
		fail_msg("%s", why.text);
	return count;
}

uint64_t remember_open(const struct fixture *fx)
{
	struct ebb_remembered remembered = {0};
	struct ebb_why why = {0};

	if (ebb_loader_remember(fx->loader, &remembered, &why) < 0)
		fail_msg("%s", why.text);
	return remembered.count;
}

/* ----------------------------------------------- programs that stay loaded -- */

/* What the last test left, for the next with the same options; by the process that cleans up when it ends. */
static struct {
	struct ebb_loader *loader;
	struct renewal *maps;
	struct fixture_options options;
	char pin_dir[FIXTURE_PATH_MAX];
	pid_t owner;
} kept;

static int drop_kept(void)
{
	size_t count;

	if (!kept.loader)
		return 0;
	ebb_loader_free(TAKE_PTR(kept.loader));
	renewal_free(TAKE_PTR(kept.maps));
	return ebb_maps_detach(kept.pin_dir, &count, NULL);
}

static void drop_kept_at_exit(void)
{
	if (getpid() != kept.owner || drop_kept() == 0)
		return;
	print_error("%s is still there\n", kept.pin_dir);
	(void)fflush(NULL);
	_exit(1);
}

/* Takes every program off its cgroup, whoever attached it. */
static int detach_links(const char *pin_dir)
{
	char path[FIXTURE_PATH_MAX + 32];
	int r;

	for (int h = 0; h < EBB_HOOK_MAX; h++) {
		text(path, sizeof(path), "%s/" EBB_LINK_PREFIX "%s", pin_dir, ebb_hook_names[h]);
		r = ebb_pin_detach_link(path);
		if (r < 0 && r != -ENOENT)
			return r;
	}
	return 0;
}

static bool keep_programs(struct fixture *fx)
{
	if (!fx->maps || detach_links(fx->pin_dir) < 0)
		return false;
	if (!kept.owner) {
		kept.owner = getpid();
		assert_int_equal(atexit(drop_kept_at_exit), 0);
	}
	kept.loader = TAKE_PTR(fx->loader);
	kept.maps = TAKE_PTR(fx->maps);
	kept.options = fx->options;
	text(kept.pin_dir, sizeof(kept.pin_dir), "%s", fx->pin_dir);
	return true;
}

static void want_all(struct fixture *fx, bool wanted)
{
	struct ebb_why why = {0};

	if (ebb_loader_want_packets(fx->loader, wanted, &why) < 0 ||
	    ebb_loader_want_answers(fx->loader, wanted, &why) < 0 ||
	    ebb_loader_want_turns(fx->loader, wanted, &why) < 0)
		fail_msg("%s", why.text);
}

/* In a cgroup where there is nobody, so that the maps are remembered as they are before anything happens. */
static void load_to_keep(const struct fixture *fx)
{
	struct fixture empty = {.options = fx->options};

	text(empty.cgroup, sizeof(empty.cgroup), "%s/empty", fx->cgroup);
	text(empty.pin_dir, sizeof(empty.pin_dir), "%s", fx->pin_dir);
	assert_int_equal(mkdir(empty.cgroup, 0755), 0);
	empty.cgroup_fd = open(empty.cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(empty.cgroup_fd >= 0);
	open_loader(&empty);
	/* programs that are there on demand have maps of their own; what they say of themselves is not to stay */
	want_all(&empty, true);
	empty.view->agent->answers = 0;
	empty.maps = renewal_new(empty.pin_dir);
	assert_true(keep_programs(&empty));
	(void)close(empty.cgroup_fd);
	assert_int_equal(rmdir(empty.cgroup), 0);
}

static void take_kept(struct fixture *fx)
{
	fx->loader = TAKE_PTR(kept.loader);
	fx->maps = TAKE_PTR(kept.maps);
	renewal_apply(fx->maps);
	assert_int_equal(ebb_loader_move(fx->loader, fx->cgroup_fd), 0);
	begin(fx);
}

void fixture_open_loader(struct fixture *fx)
{
	/* an agent that starts again finds the maps of the one before */
	if (!kept.loader && access(fx->pin_dir, F_OK) == 0) {
		open_loader(fx);
		return;
	}
	if (!kept.loader)
		load_to_keep(fx);
	take_kept(fx);
}

int fixture_up(void **state)
{
	static struct fixture fixture;
	struct fixture *fx = &fixture;
	char mount[128];
	struct stat st;

	assert_int_equal(ebb_cgroup_mount(mount, sizeof(mount), NULL), 0);
	(void)home_cgroup(mount);
	remove_leftovers(mount, remove_cgroup);
	remove_leftovers(BPFFS, remove_pins);

	*fx = (struct fixture){.cgroup_fd = -1, .outside_ns = -1};
	if (*state)
		fx->options = *(const struct fixture_options *)*state;
	if (memcmp(&fx->options, &kept.options, sizeof(kept.options)) != 0)
		assert_int_equal(drop_kept(), 0);
	*state = fx;
	text(fx->cgroup, sizeof(fx->cgroup), "%s/" PREFIX "%s-%d", mount, program_invocation_short_name,
	     getpid());
	text(fx->pin_dir, sizeof(fx->pin_dir), BPFFS "/" PREFIX "%s-%d", program_invocation_short_name,
	     getpid());
	assert_int_equal(mkdir(fx->cgroup, 0755), 0);
	fx->cgroup_fd = open(fx->cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fx->cgroup_fd >= 0);
	assert_int_equal(fstat(fx->cgroup_fd, &st), 0);
	fx->cgroup_id = st.st_ino;

	fx->outside_ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	assert_true(fx->outside_ns >= 0);
	fx->ns = namespace_new();
	namespace_enter(fx->ns);
	if (!fx->options.not_attached)
		fixture_open_loader(fx);
	fixture_join(fx);
	return 0;
}

/* What must hold when every socket is closed. */
static bool settled(const struct ebb_view *view)
{
	for (uint32_t slot = 0; slot < view->pair_max; slot++) {
		if (view->pairs[slot].active != 0)
			return false;
	}
	for (uint32_t slot = 0; slot < view->gate_max; slot++) {
		if (view->gates[slot].in_use != 0 || probes_held(&view->gates[slot]) != 0)
			return false;
	}
	return true;
}

static int check_settled(const struct fixture *fx)
{
	uint64_t end = now_ns() + 3 * SECOND_NS;
	int r = 0;

	while (!settled(fx->view) && now_ns() < end)
		net_nap();
	if (!settled(fx->view)) {
		print_error("after the last socket was closed, something is active or a slot is taken\n");
		r = -1;
	}
	for (int e = 0; e < EBB_ERR_MAX; e++) {
		if (!(fx->errors_allowed & 1U << e) && fx->view->kernel->errors[e] != 0) {
			print_error("error %d was counted %" PRIu64 " times\n", e,
				    (uint64_t)fx->view->kernel->errors[e]);
			r = -1;
		}
	}
	return r;
}

int fixture_down(void **state)
{
	struct fixture *fx = *state;
	bool keeps;
	size_t count;
	int r = 0;

	close_sockets();
	if (fx->view)
		r = check_settled(fx);
	if (fx->outside_ns >= 0) {
		namespace_enter(fx->outside_ns);
		(void)close(fx->outside_ns);
	}
	fixture_leave(fx);
	keeps = (r == 0 && keep_programs(fx)) || (!fx->loader && kept.loader);
	if (!keeps) {
		fixture_close_loader(fx);
		(void)ebb_maps_detach(fx->pin_dir, &count, NULL);
	}
	if (fx->cgroup_fd >= 0)
		(void)close(fx->cgroup_fd);
	if (rmdir(fx->cgroup) < 0) {
		print_error("cannot remove %s: %s\n", fx->cgroup, strerror(errno));
		r = -1;
	}
	if (!keeps && access(fx->pin_dir, F_OK) == 0) {
		print_error("%s is still there\n", fx->pin_dir);
		r = -1;
	}
	return r;
}

/* ------------------------------------------------------------- look-ups -- */

static struct ebb_endpoint endpoint_of(const struct address *a)
{
	struct ebb_endpoint e = {.proto = a->udp ? IPPROTO_UDP : IPPROTO_TCP, .port = htons(port_of(a))};

	if (a->sa.sa_family == AF_INET) {
		e.addr[10] = 0xff;
		e.addr[11] = 0xff;
		memcpy(e.addr + 12, &a->v4.sin_addr, 4);
	} else {
		memcpy(e.addr, &a->v6.sin6_addr, 16);
	}
	return e;
}

int dst_slot_of(const struct fixture *fx, const struct address *to)
{
	struct ebb_endpoint endpoint = endpoint_of(to);
	int found = -1;

	for (uint32_t slot = 1; slot < fx->view->dst_max; slot++) {
		if (fx->view->dsts[slot].state == EBB_SLOT_LIVE &&
		    memcmp(&fx->view->dsts[slot].endpoint, &endpoint, sizeof(endpoint)) == 0) {
			assert_int_equal(found, -1); /* one endpoint, one slot */
			found = (int)slot;
		}
	}
	return found;
}

int pair_slot_of(const struct fixture *fx, const struct address *to)
{
	int dst = dst_slot_of(fx, to);
	int found = -1;

	for (uint32_t slot = 1; dst >= 0 && slot < fx->view->pair_max; slot++) {
		const struct ebb_pair *pair = &fx->view->pairs[slot];

		if (pair->state != EBB_SLOT_LIVE || pair->workload != fx->cgroup_id ||
		    pair->dst != (uint32_t)dst || pair->dst_epoch != fx->view->dsts[dst].epoch)
			continue;
		assert_int_equal(found, -1);
		found = (int)slot;
	}
	return found;
}

struct ebb_dst *dst_of(const struct fixture *fx, const struct address *to)
{
	int slot = dst_slot_of(fx, to);

	assert_int_not_equal(slot, -1);
	return &fx->view->dsts[slot];
}

struct ebb_pair *pair_of(const struct fixture *fx, const struct address *to)
{
	int slot = pair_slot_of(fx, to);

	assert_int_not_equal(slot, -1);
	return &fx->view->pairs[slot];
}

static uint32_t gate_slot_of(const struct fixture *fx, const struct address *to)
{
	return pair_of(fx, to)->gate;
}

struct ebb_gate *gate_of(const struct fixture *fx, const struct address *to)
{
	return &fx->view->gates[gate_slot_of(fx, to)];
}

struct ebb_verdict *verdict_of(const struct fixture *fx, const struct address *to)
{
	return &fx->view->verdicts[gate_slot_of(fx, to)];
}

struct ebb_policy *policy_of(const struct fixture *fx, const struct address *to)
{
	return &fx->view->policies[pair_of(fx, to)->dst];
}

uint64_t word_of(const struct fixture *fx, const struct address *to)
{
	return ebb_word_in_force(verdict_of(fx, to)->word, *(volatile __u64 *)&gate_of(fx, to)->pull);
}

uint64_t error_count(const struct fixture *fx, enum ebb_error error)
{
	return *(volatile __u64 *)&fx->view->kernel->errors[error];
}

uint32_t probes_held(const struct ebb_gate *gate)
{
	uint32_t held = 0;

	for (int i = 0; i < EBB_PROBES_MAX; i++)
		held += *(const volatile __u64 *)&gate->probes[i] != 0;
	return held;
}

/* --------------------------------------------------------------- compare -- */

static struct want counted(const struct ebb_pair *pair)
{
	struct want w = {
		.attempts = pair->attempts,
		.syn_sent = pair->syn_sent,
		.active = pair->active,
		.sent_packets = pair->sent_packets,
		.established = pair->outcomes[EBB_OUTCOME_ESTABLISHED],
		.refused = pair->outcomes[EBB_OUTCOME_REFUSED],
		.timeout = pair->outcomes[EBB_OUTCOME_TIMEOUT],
		.unreachable = pair->outcomes[EBB_OUTCOME_UNREACHABLE],
		.abandoned = pair->outcomes[EBB_OUTCOME_ABANDONED],
		.cancelled = pair->outcomes[EBB_OUTCOME_CANCELLED],
		.reset = pair->outcomes[EBB_OUTCOME_RESET],
		.unanswered = pair->outcomes[EBB_OUTCOME_UNANSWERED],
	};

	memcpy(w.denied, pair->denied, sizeof(w.denied));
	memcpy(w.would_deny, pair->would_deny, sizeof(w.would_deny));
	return w;
}

static void print_want(const char *what, const struct want *w)
{
	print_error("%s: attempts %" PRIu64 " syn_sent %" PRIu64 " active %" PRIu64 " sent_packets %" PRIu64
		    " established %" PRIu64 " refused %" PRIu64 " timeout %" PRIu64 " unreachable %" PRIu64
		    " abandoned %" PRIu64 " cancelled %" PRIu64 " reset %" PRIu64 " unanswered %" PRIu64,
		    what, w->attempts, w->syn_sent, w->active, w->sent_packets, w->established, w->refused,
		    w->timeout, w->unreachable, w->abandoned, w->cancelled, w->reset, w->unanswered);
	for (int c = 0; c < EBB_CAUSE_MAX; c++) {
		if (w->denied[c] || w->would_deny[c])
			print_error(" denied[%d] %" PRIu64 " would_deny[%d] %" PRIu64, c, w->denied[c], c,
				    w->would_deny[c]);
	}
	print_error("\n");
}

void expect_pair_at(const struct fixture *fx, const struct ebb_pair *pair, const struct want *want,
		    const char *file, int line)
{
	uint64_t end = now_ns() + 2 * SECOND_NS;
	struct want have = counted(pair);

	(void)fx;
	while (memcmp(&have, want, sizeof(have)) != 0 && now_ns() < end) {
		net_nap();
		__sync_synchronize();
		have = counted(pair);
	}
	if (memcmp(&have, want, sizeof(have)) == 0)
		return;
	print_want("expected", want);
	print_want("counted ", &have);
	_fail(file, line);
}
