# SPDX-License-Identifier: Apache-2.0
#
# ebb: install what it needs, build, run, test. 'make help' lists the targets.
# What the build makes is below $(BUILD); nothing else is written but documents (make docs).
# V=1 shows commands, CC=clang builds user space with clang.

VERSION := 0.1.0
BUILD ?= build
CLANG ?= clang-16
LLVM_STRIP ?= llvm-strip-16
CLANG_FORMAT ?= clang-format-16
CLANG_TIDY ?= clang-tidy-16
BPFTOOL ?= /usr/sbin/bpftool
# Debian's own: its python3-* packages are not seen by an interpreter from elsewhere.
PYTHON ?= /usr/bin/python3
ifeq ($(origin CC),default)
CC := gcc
endif

PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
UNITDIR ?= $(PREFIX)/lib/systemd/system
DESTDIR ?=
CONFIG = $(DESTDIR)$(SYSCONFDIR)/ebb/ebb.yaml
SHAREDIR = $(DESTDIR)$(PREFIX)/share
DOCDIR = $(SHAREDIR)/doc/ebb

# For 'make run': what the agent gets besides its defaults.
ARGS ?=

V ?= 0
Q := $(if $(filter 1,$(V)),,@)

MACHINE := $(shell uname -m)
ARCH := $(if $(filter aarch64,$(MACHINE)),arm64,x86)

.DELETE_ON_ERROR:
.SUFFIXES:
# Keep what is made on the way: it would be made again.
.SECONDARY:
.DEFAULT_GOAL := all
MAKEFLAGS += --no-builtin-rules

# As many jobs as processors, unless the user said how many.
JOBS = $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc))

# ---- packages (Debian 12)

DEPS_BUILD := gcc libc6-dev make pkg-config git clang-16 llvm-16 bpftool libbpf-dev libelf-dev zlib1g-dev \
	libmicrohttpd-dev libjansson-dev libcap-ng-dev libyaml-dev uthash-dev libncurses-dev libldns-dev libsqlite3-dev \
	libcurl4-openssl-dev $(if $(filter 0,$(WITH_SECCOMP)),,libseccomp-dev) $(if $(filter 0,$(WITH_POSTGRES)),,libpq-dev)
DEPS_TEST := libcmocka-dev libclang-rt-16-dev clang-format-16 clang-tidy-16 gcovr shellcheck \
	python3 python3-prometheus-client prometheus nodejs npm curl wget postgresql postgresql-client redis-server redis-tools \
	nginx openssl dnsmasq-base bind9-dnsutils unbound bsdutils iproute2 nftables iptables procps util-linux mount tmux \
	mandoc zsh fish systemd chromium chromium-driver python3-selenium sqlite3 jsonnet python3-yaml \
	python3-aiohttp python3-httpx python3-redis python3-requests openssh-client openssh-server \
	$(DEPS_DEB) $(DEPS_IMAGE) lintian docker-compose
DEPS_DEB := debhelper dpkg-dev
DEPS_BENCH := haproxy libbpf-tools linux-perf
DEPS_IMAGE := mmdebstrap buildah podman runc
DEPS_KERNELS := qemu-system-x86 busybox-static cpio xz-utils systemd nginx curl iproute2 python3
# What 'make test' installs besides what it needs, for whoever goes on with another target.
DEPS_MORE ?=

# ---- flags

WARNINGS := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla \
	-Wformat=2 -Wundef -Wwrite-strings -Wcast-qual
OPTIMIZE ?= -O2 -g
SANITIZE ?=
# _FORTIFY_SOURCE hides from the sanitizers what they intercept.
FORTIFY := $(if $(SANITIZE),,-D_FORTIFY_SOURCE=3)
HARDENING := -fstack-protector-strong -fstack-clash-protection -fPIE $(FORTIFY)
HARDENING_LD := -pie -Wl,-z,relro,-z,now -Wl,-z,noexecstack -Wl,--as-needed
# The same input gives the same output, wherever the tree lies.
REPRODUCIBLE := -ffile-prefix-map=$(CURDIR)=.

CPPFLAGS_ALL = -D_GNU_SOURCE -DEBB_VERSION='"$(VERSION)"' -I. -Iuser -I$(BUILD) -I$(BUILD)/bpf $(if $(filter 0,$(WITH_POSTGRES)),-DEBB_WITHOUT_POSTGRES) \
	$(CPPFLAGS)
CFLAGS_ALL = -std=gnu11 $(OPTIMIZE) $(WARNINGS) $(HARDENING) $(REPRODUCIBLE) $(SANITIZE) $(CFLAGS)
LDFLAGS_ALL = $(HARDENING_LD) $(SANITIZE) $(LDFLAGS)
LIBS := -lbpf -lelf -lz -lmicrohttpd -ljansson -lcap-ng -lyaml -lm -lpthread $(if $(filter 0,$(WITH_SECCOMP)),,-lseccomp)
COMPILE = $(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -MMD -MP
LINK = $(CC) $(LDFLAGS_ALL)
COMPILE_BPF = $(CLANG) -target bpf -mcpu=v3 -DBPF_NO_KFUNC_PROTOTYPES -O2 -g -Wall -Wextra -Werror $(REPRODUCIBLE) -MMD -MP \
	-D__TARGET_ARCH_$(ARCH) -Ivmlinux/$(MACHINE) -I.

# ---- what there is

# maps.bpf.c first: the linker of libbpf 1.1 keeps the offset of a map only where its
# definition comes before the objects that declare it extern.
BPF_SOURCES := $(wildcard bpf/maps.bpf.c) $(filter-out bpf/maps.bpf.c,$(sort $(wildcard bpf/*.bpf.c)))
BPF_OBJECTS := $(BPF_SOURCES:%.c=$(BUILD)/%.o)
SKELETON := $(BUILD)/bpf/ebb.skel.h

# The page, as bytes, with the hashes of its style and its script.
PAGE := $(BUILD)/page.h

# The tables of the audit log's databases, as text.
MIGRATIONS := $(BUILD)/migrations.h
MIGRATION_FILES := $(sort $(wildcard user/export/migrations/*/*.sql))

# Parts that can be left out. WITH_OTLP=0: traces and the push of metrics; WITH_KUBERNETES=0: asking for pods; WITH_POSTGRES=0: the sink of
# the audit log that needs libpq; WITH_SECCOMP=0: the filter of the agent's own system calls, which needs libseccomp. What stands in their place says so where they are asked for.
WITH_OTLP ?= 1
WITH_KUBERNETES ?= 1
WITH_POSTGRES ?= 1
WITH_SECCOMP ?= 1
OTLP_SOURCES := user/agent/otlp_peer.c user/agent/pushing.c user/agent/tracing.c user/export/otlp.c user/export/otlp_headers.c user/export/otlp_json.c user/export/otlp_settings.c \
	user/export/otlp_answer.c user/export/otlp_metrics.c user/export/otlp_outbox.c user/export/metrics_sender.c user/export/span.c user/export/span_queue.c user/export/span_sender.c
POSTGRES_SOURCES := user/export/audit_pg.c user/export/pg_array.c user/export/postgres.c user/export/postgres_errors.c \
	user/export/resolve.c user/export/sink_postgres.c
LEFT_OUT := $(if $(filter 0,$(WITH_OTLP)),$(OTLP_SOURCES),user/agent/otlp_absent.c) \
	$(if $(filter 0,$(WITH_KUBERNETES)),user/agent/identities.c user/node/kube.c,user/agent/identities_absent.c) \
	$(if $(filter 0,$(WITH_POSTGRES)),$(POSTGRES_SOURCES)) \
	$(if $(filter 0,$(WITH_SECCOMP)),user/agent/seccomp.c,user/agent/seccomp_absent.c)

USER_SOURCES := $(filter-out $(LEFT_OUT),$(sort $(wildcard user/*/*.c)))
USER_OBJECTS := $(USER_SOURCES:%.c=$(BUILD)/%.o)
LIBRARY := $(BUILD)/libebb.a

# Documents are made from tables in the code, by a tool that links the library.
DOCS_TOOL := $(if $(wildcard user/export/metrics.c),$(BUILD)/tools/docs)

# Programs: test_*.c of unit/ and bpf/, every .c of e2e/, bench_*.c of bench/, and what else is in
# bench/ together as ebb-bench. The other .c of unit/ and bpf/, and those of lib/, are linked into
# the programs that need them. Every .bpf.c becomes a skeleton: #include "tests/bpf/NAME.skel.h".
test_sources = $(filter-out %.bpf.c,$(sort $(wildcard $(1:%=tests/%.c))))
UNTESTED := $(if $(filter 0,$(WITH_SECCOMP)),test_seccomp) $(if $(filter 0,$(WITH_KUBERNETES)),test_kube) $(if $(filter 00,$(WITH_KUBERNETES)$(WITH_OTLP)),test_fetch)
UNIT_PROGRAMS := $(filter-out $(UNTESTED:%=$(BUILD)/tests/unit/%),$(patsubst %.c,$(BUILD)/%,$(call test_sources,unit/test_*)))
BPF_PROGRAMS := $(patsubst %.c,$(BUILD)/%,$(call test_sources,bpf/test_*))
BENCH_OBJECTS := $(patsubst %.c,$(BUILD)/%.o,$(filter-out tests/bench/bench_%,$(call test_sources,bench/*)))
BENCH_PROGRAM := $(if $(BENCH_OBJECTS),$(BUILD)/tests/bench/ebb-bench)
HELPER_PROGRAMS := $(patsubst %.c,$(BUILD)/%,$(call test_sources,e2e/* chaos/* kernels/* bench/bench_*))
TEST_LIB_OBJECTS := $(patsubst %.c,$(BUILD)/%.o,\
	$(filter-out $(call test_sources,unit/test_* bpf/test_*),$(call test_sources,lib/* unit/* bpf/*)))
TEST_LIBRARY := $(if $(TEST_LIB_OBJECTS),$(BUILD)/libebbtest.a)
TEST_PROGRAMS := $(UNIT_PROGRAMS) $(BPF_PROGRAMS) $(HELPER_PROGRAMS)
TEST_OBJECTS := $(TEST_PROGRAMS:%=%.o) $(BENCH_OBJECTS) $(TEST_LIB_OBJECTS)
TEST_SKELETONS := $(patsubst %.bpf.c,$(BUILD)/%.skel.h,$(sort $(wildcard tests/*/*.bpf.c)))

# Unattended, what failed is run again and, when it passes then, named and not counted: see run.py.
RUN_AGAIN := $(if $(filter true,$(CI)),--again 3)
# How they are run: see tests/lib/run.py. Programs without sanitizers do not look at their options.
RUN_TESTS := EBB_BUILD=$(BUILD) ASAN_OPTIONS=exitcode=99:strict_string_checks=1:detect_stack_use_after_return=1 \
	UBSAN_OPTIONS=print_stacktrace=1 TSAN_OPTIONS=exitcode=66 $(PYTHON) tests/lib/run.py --deadline 240 --logs $(BUILD)/test-logs $(RUN_AGAIN)
UNIT_TESTS := $(UNIT_PROGRAMS) $(sort $(wildcard tests/unit/test_*.sh)) tests/lib/test_run.py tests/lib/test_otlp.py tests/lint/test_lint.py \
	tests/bench/test_figures.py tests/bench/test_flame.py tests/chaos/test_judges.py tests/unit/test_stack.py tests/model/test_cases.py tests/rules/test_rules.py tests/dashboards/test_dashboards.py
# 'ebb simulate' against a model of the breaker: so many random traces, in half a minute, or a few seconds.
MODEL_TEST := 'tests/model/test_model.py 100000'
MODEL_TEST_SHORT := 'tests/model/test_model.py 10000'
# Needs npm and, the first time, the network.
CHART_TEST := tests/chart/test_chart.py
# Needs the network, for Debian's packages.
IMAGE_TEST := tests/image/test_image.sh
UNIT_TESTS += tests/docs/test_documents.py tests/lib/test_coverage.py tests/kernels/test_baseline.py
BPF_TESTS := $(BPF_PROGRAMS) $(sort $(wildcard tests/bpf/test_*.sh))
E2E_LIB_TESTS := tests/lib/test_e2e.sh
# What happens to the agent under load: 'make chaos' all of it and often, 'make test' shortly, a minute of faults and one of load.
# What test_robbed does once is in e2e/test_health and bpf/test_neighbours too.
CHAOS_TESTS := $(sort $(wildcard tests/chaos/test_*.sh))
CHAOS_TESTS_SHORT := tests/chaos/test_soak.sh $(filter-out %/test_soak.sh %/test_robbed.sh %/test_clock.sh,$(CHAOS_TESTS))
E2E_TESTS := $(sort $(wildcard tests/e2e/test_*.sh tests/e2e/test_*.py))

# The same tests with everything built by 'make asan'.
ASAN_BUILD := $(BUILD)/asan
ASAN_MAKE := $(MAKE) BUILD=$(ASAN_BUILD) OPTIMIZE='-O1 -g' \
	SANITIZE='-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer'
# test_full.sh counts memory, of which the sanitizers need their own. test_page.sh is Chromium's work and
# test_prometheus.sh that of Prometheus; what they ask is in test_http. test_upgrade.sh and
# test_switches.sh build programs of their own, without them. test_orders would take 30 times as long, 100 s, and
# what it explores is in test_gate too. Left out are also tests whose subject is what the kernel and clients do: what
# the agent does there, others ask of it; what the core decides there, unit tests under the sanitizers do.
NOT_ASAN := agent_death apart fuse moves upgrade switches page prometheus full bytes clients isolation limits rate udp turns_http \
	turns_postgres turns_redis turns_tls black_hole scanner demo completion docs dashboards fleet_ssh package established audit_databases verifier
ASAN_UNIT_TESTS := $(patsubst $(BUILD)/%,$(ASAN_BUILD)/%,$(filter-out %/test_orders,$(UNIT_PROGRAMS)))
# What commands say and what is kept in tables is asked once in 'make test', under the sanitizers.
ONLY_ASAN := adopt audit_follow audit_log cli config deadletter log names notify record report top tuning turns workloads
# What takes longest begins first, so that none of it runs on alone.
LONG := upgrade docs audit_databases fleet_ssh health tuning traces switches
long_first = $(filter $(LONG:%=\%/test_%.sh),$(1)) $(filter-out $(LONG:%=\%/test_%.sh),$(1))
BOTH_E2E_TESTS := $(call long_first,$(filter-out $(ONLY_ASAN:%=\%/test_%.sh),$(E2E_TESTS)))
ASAN_E2E_TESTS := $(patsubst %,'EBB_BUILD=$(ASAN_BUILD) %',$(call long_first,$(filter-out $(NOT_ASAN:%=\%/test_%.sh),$(E2E_TESTS))))

# Tests of what has threads, with everything built by 'make tsan'. -Wno-tsan: a fence orders what
# another process writes, and no sanitizer sees that.
TSAN_BUILD := $(BUILD)/tsan
TSAN_MAKE := $(MAKE) BUILD=$(TSAN_BUILD) OPTIMIZE='-O1 -g' \
	SANITIZE='-fsanitize=thread -Wno-tsan -fno-omit-frame-pointer'
TSAN_UNIT_PROGRAMS := $(patsubst %.c,$(BUILD)/%,$(shell grep -lE 'pthread_create|ebb_(audit|reload)_new' $(call test_sources,unit/test_*)))
TSAN_UNIT_TESTS := $(TSAN_UNIT_PROGRAMS:$(BUILD)/%=$(TSAN_BUILD)/%)
TSAN_E2E_TESTS := $(patsubst %,'EBB_BUILD=$(TSAN_BUILD) tests/e2e/test_%.sh',adopt established reload)

# What 'make coverage' runs, with everything built by it: unit tests, and of the end-to-end tests as few as reach what
# needs a kernel, clients and an operator. A program that was killed has counted nothing.
COVERAGE_BUILD := $(BUILD)/coverage
COVERAGE_MAKE := $(MAKE) BUILD=$(COVERAGE_BUILD) OPTIMIZE='-O0 -g' SANITIZE='--coverage -fprofile-update=atomic' \
	CPPFLAGS='-D__always_inline__=__unused__ -Dalways_inline=unused'
# Without optimizing, threads of test_gate_threads outlive the lease of their probe.
COVERAGE_UNIT_TESTS := $(patsubst $(BUILD)/%,$(COVERAGE_BUILD)/%,$(filter-out %/test_gate_threads,$(UNIT_PROGRAMS))) 'EBB_BUILD=$(COVERAGE_BUILD) tests/model/test_cases.py'
COVERAGE_E2E_TESTS := $(patsubst %,'EBB_BUILD=$(COVERAGE_BUILD) tests/e2e/test_%.sh',cli restart top audit_log)

# Fuzzers: every tests/fuzz/fuzz_NAME.c, with its corpus in tests/fuzz/corpus/NAME, built by 'make fuzz'.
FUZZ_BUILD := $(BUILD)/fuzz
FUZZ_PROGRAMS := $(patsubst %.c,$(BUILD)/%,$(call test_sources,fuzz/fuzz_*))
FUZZ_OBJECTS := $(FUZZ_PROGRAMS:%=%.o)
FUZZ_MAKE := $(MAKE) BUILD=$(FUZZ_BUILD) CC=$(CLANG) OPTIMIZE='-O1 -g' \
	SANITIZE='-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer'
FUZZ_TESTS := $(FUZZ_PROGRAMS:$(BUILD)/%='tests/fuzz/run.sh $(FUZZ_BUILD)/%')
# Of tests/kernels/kernels.txt, what 'make test-kernels' boots, as SERIES or SERIES:PARTS; empty: all, as they stand there.
KERNELS ?=

# How many inputs 'make fuzz' tries besides the corpus.
RUNS ?= 20000

# ---- targets for people

##@ Build
all: $(BUILD)/ebb ## build build/ebb (the default)

deps: ## install every Debian package that building and testing need (root)
	@tools/deps.sh $(DEPS_BUILD) $(DEPS_TEST)

deps-build: ## install what building needs (root)
	@tools/deps.sh $(DEPS_BUILD)

install: all ## install program, unit, configuration, documents (DESTDIR, PREFIX, SYSCONFDIR, UNITDIR)
	install -d $(DESTDIR)$(PREFIX)/sbin $(DOCDIR)/docs/examples $(DOCDIR)/LICENSES
	install -m 755 $(BUILD)/ebb $(DESTDIR)$(PREFIX)/sbin/ebb
	install -m 644 $(wildcard README.md) LICENSE $(DOCDIR)
	install -m 644 $(wildcard docs/*.md) $(DOCDIR)/docs
	install -D -m 644 -t $(DOCDIR)/docs/runbooks $(wildcard docs/runbooks/*.md)
	install -m 644 $(wildcard docs/examples/*) $(DOCDIR)/docs/examples
	install -m 644 $(wildcard LICENSES/*) $(DOCDIR)/LICENSES
	install -d $(SHAREDIR)/ebb/migrations/sqlite $(SHAREDIR)/ebb/migrations/postgres
	install -m 644 user/export/migrations/sqlite/*.sql $(SHAREDIR)/ebb/migrations/sqlite
	install -m 644 user/export/migrations/postgres/*.sql $(SHAREDIR)/ebb/migrations/postgres
	install -D -m 644 docs/man/ebb.8 $(SHAREDIR)/man/man8/ebb.8
	install -D -m 644 docs/man/ebb.yaml.5 $(SHAREDIR)/man/man5/ebb.yaml.5
	install -D -m 644 deploy/completion/ebb.bash $(SHAREDIR)/bash-completion/completions/ebb
	install -D -m 644 deploy/completion/_ebb $(SHAREDIR)/zsh/site-functions/_ebb
	install -D -m 644 deploy/completion/ebb.fish $(SHAREDIR)/fish/vendor_completions.d/ebb.fish
	install -d $(DESTDIR)$(UNITDIR)
	sed 's|=/usr/sbin/ebb|=$(PREFIX)/sbin/ebb|' deploy/systemd/ebb.service >$(DESTDIR)$(UNITDIR)/ebb.service
	chmod 644 $(DESTDIR)$(UNITDIR)/ebb.service
	[ -e $(CONFIG) ] || install -D -m 644 deploy/systemd/ebb.yaml $(CONFIG)

# A configuration that somebody changed is theirs.
uninstall: ## remove what install put there
	rm -f $(DESTDIR)$(UNITDIR)/ebb.service
	if cmp -s deploy/systemd/ebb.yaml $(CONFIG); then rm $(CONFIG) && rmdir $(dir $(CONFIG)) || true; fi
	rm -f $(DESTDIR)$(PREFIX)/sbin/ebb $(SHAREDIR)/man/man8/ebb.8 $(SHAREDIR)/man/man5/ebb.yaml.5
	rm -f $(SHAREDIR)/bash-completion/completions/ebb $(SHAREDIR)/zsh/site-functions/_ebb
	rm -f $(SHAREDIR)/fish/vendor_completions.d/ebb.fish
	rm -rf $(DOCDIR) $(SHAREDIR)/ebb

dist: ## pack the committed sources into build/ebb-VERSION.tar.gz
	@mkdir -p $(BUILD)
	git archive --prefix=ebb-$(VERSION)/ HEAD | gzip -n >$(BUILD)/ebb-$(VERSION).tar.gz
	@echo $(BUILD)/ebb-$(VERSION).tar.gz

deb: all ## build the Debian package into build/deb
	@tools/deps.sh $(DEPS_DEB)
	@tools/deb.sh $(BUILD) $(VERSION)

clean: ## remove everything that was built
	rm -rf $(BUILD)

##@ Run
run: ## install what is missing, build, start the agent: it observes (ARGS='--mode enforce ...')
	@$(MAKE) --no-print-directory deps-build
	@$(MAKE) --no-print-directory $(JOBS) all
	@exec $(BUILD)/ebb run $(ARGS)

demo: ## a failing server, curl, the breaker that opens and heals, in under a minute (root)
	@$(MAKE) --no-print-directory deps
	@$(MAKE) --no-print-directory $(JOBS) all
	@EBB=$(BUILD)/ebb deploy/demo.sh

##@ Test
# What compiling does not need is installed meanwhile.
test: ## install what is missing, build, run every test (root)
	@tools/deps.sh $(DEPS_BUILD) libcmocka-dev
	@tools/deps.sh $(DEPS_TEST) $(DEPS_MORE) & deps=$$!; \
	$(MAKE) --no-print-directory $(JOBS) all tests lint-needs; status=$$?; wait $$deps && exit $$status
	@$(ASAN_MAKE) --no-print-directory $(JOBS) all tests-unit
	@$(TSAN_MAKE) --no-print-directory $(JOBS) all tests-tsan
	@$(FUZZ_MAKE) --no-print-directory $(JOBS) fuzzers
	@$(LINT_ENV) RUNS=$(RUNS) $(RUN_TESTS) --lanes 2 $(CHAOS_TESTS_SHORT) $(ASAN_E2E_TESTS) $(TSAN_E2E_TESTS) $(BPF_TESTS) $(E2E_LIB_TESTS) $(BOTH_E2E_TESTS) \
		--beside '$(LINT) --tap' $(UNIT_TESTS) $(CHART_TEST) $(IMAGE_TEST) $(MODEL_TEST) $(FUZZ_TESTS) $(ASAN_UNIT_TESTS) $(TSAN_UNIT_TESTS)

check: tests-unit lint-needs ## lint and unit tests; needs no privileges
	@$(LINT_ENV) $(RUN_TESTS) '$(LINT) --tap' $(UNIT_TESTS) $(MODEL_TEST_SHORT)

unit: tests-unit ## unit tests
	@$(RUN_TESTS) $(UNIT_TESTS) $(MODEL_TEST_SHORT)

test-bpf: tests-bpf ## the BPF programs in this kernel, in cgroups of their own (root)
	@$(RUN_TESTS) $(BPF_TESTS)

test-e2e: all tests-e2e ## the agent with real clients, in cgroups and namespaces of their own (root)
	@$(RUN_TESTS) $(E2E_LIB_TESTS) $(E2E_TESTS)

chaos: all tests-e2e ## faults under load: kill -9 and what else can happen to an agent, minutes (root; SEED=N)
	@CHAOS=full $(RUN_TESTS) $(filter-out %/test_soak.sh,$(CHAOS_TESTS))

# Directly: it may last for longer than a test may.
soak: all tests-e2e ## 2,000 connects/s to 500 destinations that fail and heal, nothing may grow (root; DURATION=20m)
	@EBB_BUILD=$(BUILD) DURATION=$(or $(DURATION),20m) tests/chaos/test_soak.sh

asan: ## unit and end-to-end tests with address and undefined behaviour sanitizers (root)
	@$(ASAN_MAKE) --no-print-directory $(JOBS) all tests
	@$(RUN_TESTS) $(ASAN_E2E_TESTS) --beside $(ASAN_UNIT_TESTS)

tsan: ## what has threads, the agent's too, with the thread sanitizer (root)
	@$(TSAN_MAKE) --no-print-directory $(JOBS) all tests-tsan
	@$(RUN_TESTS) $(TSAN_E2E_TESTS) --beside $(TSAN_UNIT_TESTS)

fuzz: ## parsers against their corpus and made-up input, with sanitizers (RUNS=20000)
	@$(FUZZ_MAKE) --no-print-directory $(JOBS) fuzzers
	@RUNS=$(RUNS) $(RUN_TESTS) $(FUZZ_TESTS)

test-chart: all ## the chart for Kubernetes: rendered, checked against schemas, every value (npm)
	@$(RUN_TESTS) $(CHART_TEST)

test-image: all ## the image: built from packages of Debian, run with three capabilities (root, buildah, podman)
	@tools/deps.sh $(DEPS_IMAGE)
	@$(RUN_TESTS) $(IMAGE_TEST)

test-kernels: ## the agent on other kernels, in emulated machines (root, for what is installed; KERNELS='6.12:netem')
	@tools/deps.sh $(DEPS_BUILD) $(DEPS_KERNELS)
	@$(MAKE) --no-print-directory $(JOBS) all $(BUILD)/tests/kernels/programs
	@$(RUN_TESTS) 'tests/kernels/run.sh $(KERNELS)'

test-arm64: ## built for arm64 by a cross compiler, and run on Debian's kernel in an emulated machine (root, 2 GB, minutes)
	@tools/deps.sh $(DEPS_BUILD) mmdebstrap qemu-system-arm qemu-user-static cpio
	@$(RUN_TESTS) tests/kernels/arm64.sh

# Of other kernels: what 'make test-kernels' left in $(BUILD)/kernels.
baseline: all tests-e2e ## write down what the programs cost now, on this kernel and those of 'make test-kernels' (root)
	@mkdir -p $(BUILD)/kernels
	@EBB_BUILD=$(BUILD) tests/e2e/test_verifier.sh $(BUILD)/kernels/$$(uname -r | grep -oE '^[0-9.]+').figures >/dev/null
	@EBB_BUILD=$(BUILD) $(PYTHON) tests/kernels/baseline.py renew $$(ls $(BUILD)/kernels/*.figures $(BUILD)/kernels/*.tried)
	@$(PYTHON) tests/kernels/baseline.py table docs/kernels.md
	@git --no-pager diff --stat -- tests/kernels/baseline.json docs/kernels.md

# Functions that are always part of their callers would be counted once for each caller: here they are functions.
# Threads of a test count too: hence atomic.
coverage: ## lines and branches that tests reach; fails where they are too few (root)
	@$(COVERAGE_MAKE) --no-print-directory $(JOBS) all tests-unit tests-e2e
	@find $(COVERAGE_BUILD) -name '*.gcda' -delete
	@find $(COVERAGE_BUILD) -type d -exec chmod a+rwx {} + # commands that tests run as nobody count, too
	@umask 0; status=0; $(RUN_TESTS) $(COVERAGE_E2E_TESTS) --beside $(COVERAGE_UNIT_TESTS) || status=1; echo; \
	gcovr --root . --filter 'user/' --filter 'bpf/.*\.h' --exclude-unreachable-branches --csv - \
		$(COVERAGE_BUILD) | $(PYTHON) tests/lib/coverage.py && exit $$status

bench: ## measure what ebb costs (root, a quiet machine)
	@tools/deps.sh $(DEPS_BUILD) $(DEPS_TEST) $(DEPS_BENCH)
	@$(MAKE) --no-print-directory $(JOBS) all tests
	@BUILD=$(BUILD) EBB_BUILD=$(BUILD) tests/bench/run.sh $(ARGS)

load: ## an open load up to 10,000 connections a second, with and without (root, quiet, 40 minutes; ARGS='--scale 0.1')
	@$(MAKE) --no-print-directory $(JOBS) all tests
	@BUILD=$(BUILD) tests/bench/load.py --write $(BUILD)/load.json $(ARGS)

bench-limits: ## measure how well limits hold, against nftables, iptables, tc (root, quiet, 10 minutes)
	@$(MAKE) --no-print-directory $(JOBS) all tests
	@BUILD=$(BUILD) tests/bench/limits.py --write $(BUILD)/limits.json $(ARGS)

##@ Code
lint: lint-needs ## format, clang-tidy, include directions, banned functions, layouts, scripts, documents
	@$(LINT_ENV) $(LINT)

format: ## format all C files
	$(CLANG_FORMAT) -i $(wildcard $(foreach d,bpf user user/* tests/* tools,$(d)/*.c $(d)/*.h))

docs: $(DOCS_TOOL) ## make docs/metrics.md and docs/configuration.md again
	@mkdir -p docs
	$(Q)for document in metrics configuration; do \
		$(DOCS_TOOL) $$document >$(BUILD)/$$document.md && mv $(BUILD)/$$document.md docs/$$document.md || exit 1; \
	done

mixin: ## make rules, alerts and dashboards again from deploy/prometheus/mixin
	tools/mixin.py
	@tools/chart.sh files $(BUILD)/chart

chart: ## copy rules and dashboards into helm/ebb, make its README again (npm)
	@tools/chart.sh packages $(BUILD)/chart
	@tools/chart.sh files $(BUILD)/chart
	@tools/chart.sh readme $(BUILD)/chart

manifests: chart ## make deploy/kubernetes again, from the chart (npm)
	@tools/chart.sh manifests $(BUILD)/chart

vmlinux: ## make vmlinux/*/vmlinux.h again (network; see vmlinux/README.md)
	vmlinux/update.sh

help: ## this list
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@printf '\n  V=1 shows commands, CC=clang builds with clang, BUILD=DIR builds elsewhere,\n'
	@printf '  WITH_OTLP=0 builds without traces and the push of metrics, WITH_POSTGRES=0 without PostgreSQL,\n'
	@printf '  WITH_KUBERNETES=0 without Kubernetes, WITH_SECCOMP=0 without a filter of system calls\n'

.PHONY: all deps deps-build install uninstall dist deb clean run demo test check unit test-bpf test-e2e chaos soak asan \
	tsan fuzz test-chart test-image test-kernels test-arm64 baseline coverage bench load bench-limits lint format docs mixin chart \
	manifests vmlinux help

# ---- targets between them

LINT = tests/lint/lint.py
LINT_ENV = EBB_BUILD="$(BUILD)" CC="$(CC)" CLANG="$(CLANG)" CLANG_FORMAT="$(CLANG_FORMAT)" CLANG_TIDY="$(CLANG_TIDY)"

tests: $(TEST_PROGRAMS) $(BENCH_PROGRAM)
tests-unit: $(UNIT_PROGRAMS) $(BUILD)/ebb
tests-bpf: $(BPF_PROGRAMS)
tests-e2e: $(HELPER_PROGRAMS) $(BENCH_PROGRAM)
tests-tsan: $(TSAN_UNIT_PROGRAMS)
fuzzers: $(FUZZ_PROGRAMS)
# clang-tidy reads the skeleton, the check of the documents runs the tool
lint-needs: $(SKELETON) $(PAGE) $(MIGRATIONS) $(DOCS_TOOL)

# The manual pages are documents like the others; where each lies says its section.
MANUALS := docs/man/ebb.8 docs/man/ebb.yaml.5
docs: $(MANUALS:docs/man/%=manual-%)
manual-%: $(DOCS_TOOL)
	@mkdir -p docs/man
	$(Q)$(DOCS_TOOL) $* >$(BUILD)/$*
	$(Q)mv $(BUILD)/$* docs/man/$*

.PHONY: tests tests-unit tests-bpf tests-e2e tests-tsan fuzzers lint-needs FORCE

# ---- what a result depends on besides files: when the text changes, what was made with it is made again

quote = '$(subst ','\'',$(strip $(1)))'
define remember
	@mkdir -p $(@D)
	@printf '%s\n' $(call quote,$(1)) | cmp -s - $@ || printf '%s\n' $(call quote,$(1)) >$@
endef

$(BUILD)/.compile: FORCE
	$(call remember,$(COMPILE))

$(BUILD)/.compile-bpf: FORCE
	$(call remember,$(COMPILE_BPF) $(LLVM_STRIP) $(BPFTOOL))

$(BUILD)/.link: FORCE
	$(call remember,$(LINK) $(LIBS) $(USER_OBJECTS) $(TEST_LIB_OBJECTS) $(BENCH_OBJECTS))

$(BUILD)/.link-bpf: FORCE
	$(call remember,$(BPF_OBJECTS))

# ---- BPF: each .bpf.c compiled, all linked into one object, one skeleton

$(BUILD)/%.bpf.o: %.bpf.c $(BUILD)/.compile-bpf
	@mkdir -p $(@D)
	@echo "  BPF   $<"
	$(Q)$(COMPILE_BPF) -c $< -o $@
	$(Q)$(LLVM_STRIP) -g $@

$(BUILD)/bpf/ebb.linked.o: $(BPF_OBJECTS) $(BUILD)/.link-bpf
	$(Q)$(BPFTOOL) gen object $@ $(filter %.bpf.o,$^)

# Its name is in the recipe: hence the Makefile.
$(SKELETON): $(BUILD)/bpf/ebb.linked.o Makefile
	@echo "  SKEL  $@"
	$(Q)$(BPFTOOL) gen skeleton $< name ebb_bpf >$@

$(BUILD)/tests/%.skel.h: $(BUILD)/tests/%.bpf.o Makefile
	@echo "  SKEL  $@"
	$(Q)$(BPFTOOL) gen skeleton $< name $(notdir $*) >$@

# ---- user space

$(BUILD)/user/core/%.o: WARNINGS += -Wconversion

$(BUILD)/%.o: %.c $(BUILD)/.compile
	@mkdir -p $(@D)
	@echo "  CC    $<"
	$(Q)$(COMPILE) -c $< -o $@

$(PAGE): user/export/page/index.html tools/page.sh
	@mkdir -p $(@D)
	@echo "  PAGE  $<"
	$(Q)tools/page.sh $< $@

$(MIGRATIONS): $(MIGRATION_FILES) tools/migrations.sh
	@mkdir -p $(@D)
	@echo "  SQL   user/export/migrations"
	$(Q)tools/migrations.sh user/export/migrations $@

# Only until there is a .d file, which knows who really includes a skeleton, the page, or the migrations.
$(BUILD)/user/export/http_page.o: | $(PAGE)
$(BUILD)/user/export/migration.o: | $(MIGRATIONS)
$(BUILD)/user/kernel/loader.o: | $(SKELETON)
$(TEST_OBJECTS): | $(SKELETON) $(TEST_SKELETONS)

# A member of a file that is gone must not stay in the archive.
$(LIBRARY): $(USER_OBJECTS) $(BUILD)/.link
	$(Q)rm -f $@
	$(Q)ar rcsD $@ $(filter %.o,$^)

$(BUILD)/libebbtest.a: $(TEST_LIB_OBJECTS) $(BUILD)/.link
	$(Q)rm -f $@
	$(Q)ar rcsD $@ $(filter %.o,$^)

$(BUILD)/ebb: $(BUILD)/user/main.o $(LIBRARY) $(BUILD)/.link
	@echo "  LD    $@"
	$(Q)$(LINK) $(filter %.o %.a,$^) $(LIBS) -o $@

$(BUILD)/tools/docs: $(BUILD)/tools/docs.o $(LIBRARY) $(BUILD)/.link
	@echo "  LD    $@"
	$(Q)$(LINK) $(filter %.o %.a,$^) $(LIBS) -o $@

# ---- tests

$(UNIT_PROGRAMS) $(BPF_PROGRAMS): TEST_LIBS := -lcmocka
# A test of what happens when memory or the kernel fails stands between us and them: tests/lib/faults.h.
FAULTS := open openat asprintf fsync fdatasync pread rename $(shell awk -F', *' '/^FAILS.FAULT/ { print $$4 } /^PARTLY.FAULT/ { print $$2 }' tests/lib/faults.c)
$(BUILD)/tests/unit/%_faults: LDFLAGS += $(FAULTS:%=-Wl,--wrap=%)
$(TEST_PROGRAMS): %: %.o $(TEST_LIBRARY) $(LIBRARY) $(BUILD)/.link
	@echo "  LD    $@"
	$(Q)$(LINK) $(filter %.o %.a,$^) $(TEST_LIBS) $(LIBS) -o $@

$(BUILD)/tests/bench/ebb-bench: $(BENCH_OBJECTS) $(TEST_LIBRARY) $(LIBRARY) $(BUILD)/.link
	@echo "  LD    $@"
	$(Q)$(LINK) $(filter %.o %.a,$^) $(LIBS) -o $@

$(FUZZ_PROGRAMS): %: %.o $(LIBRARY) $(BUILD)/.link
	@echo "  LD    $@"
	$(Q)$(LINK) -fsanitize=fuzzer $(filter %.o %.a,$^) $(LIBS) -o $@

-include $(patsubst %.o,%.d,$(BPF_OBJECTS) $(TEST_SKELETONS:.skel.h=.bpf.o) $(USER_OBJECTS) $(BUILD)/user/main.o \
	$(BUILD)/tools/docs.o $(TEST_OBJECTS) $(FUZZ_OBJECTS))
