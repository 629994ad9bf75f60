# SPDX-License-Identifier: Apache-2.0
# ebb: build, run, test. 'make help' lists the targets.

VERSION := 0.1.0
BUILD ?= build
CLANG ?= clang-16
LLVM_STRIP ?= llvm-strip-16
BPFTOOL ?= /usr/sbin/bpftool
CC ?= gcc

V ?= 0
Q := $(if $(filter 1,$(V)),,@)

MACHINE := $(shell uname -m)
ARCH := $(if $(filter aarch64,$(MACHINE)),arm64,x86)

.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules

WARNINGS := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla \
	-Wformat=2 -Wundef -Wwrite-strings -Wcast-qual
HARDENING := -fstack-protector-strong -fPIE -D_FORTIFY_SOURCE=3 -fstack-clash-protection
HARDENING_LD := -pie -Wl,-z,relro,-z,now -Wl,-z,noexecstack
OPTIMIZE := -O2 -g
SANITIZE :=
CPPFLAGS_ALL := -D_GNU_SOURCE -DEBB_VERSION='"$(VERSION)"' -I. -Iuser -I$(BUILD)/bpf
CFLAGS_ALL := -std=gnu11 $(OPTIMIZE) $(WARNINGS) $(HARDENING) $(SANITIZE) $(CFLAGS)
LDFLAGS_ALL := $(HARDENING_LD) $(SANITIZE) $(LDFLAGS)
LIBS := -lbpf -lelf -lz -lmicrohttpd -ljansson -lcap-ng -lm

# maps.bpf.c first: the linker of libbpf 1.1 keeps the offset of a map only where its
# definition comes before the objects that declare it extern.
BPF_SOURCES := bpf/maps.bpf.c $(filter-out bpf/maps.bpf.c,$(wildcard bpf/*.bpf.c))
BPF_OBJECTS := $(BPF_SOURCES:%.c=$(BUILD)/%.o)
SKELETON := $(BUILD)/bpf/ebb.skel.h
USER_SOURCES := $(filter-out user/main.c,$(wildcard user/*/*.c))
USER_OBJECTS := $(USER_SOURCES:%.c=$(BUILD)/%.o)
LIBRARY := $(BUILD)/libebb.a
UNIT_TESTS := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(wildcard tests/unit/test_*.c))

all: $(BUILD)/ebb

# ---- BPF: each .bpf.c compiled, all linked into one object, one skeleton

$(BUILD)/bpf/%.bpf.o: bpf/%.bpf.c Makefile
	@mkdir -p $(@D)
	@echo "  BPF   $<"
	$(Q)$(CLANG) -target bpf -mcpu=v3 -O2 -g -Wall -Wextra -Werror -D__TARGET_ARCH_$(ARCH) \
		-Ivmlinux/$(MACHINE) -I. -MMD -MP -c $< -o $@
	$(Q)$(LLVM_STRIP) -g $@

$(BUILD)/bpf/ebb.linked.o: $(BPF_OBJECTS)
	$(Q)$(BPFTOOL) gen object $@ $^

$(SKELETON): $(BUILD)/bpf/ebb.linked.o
	@echo "  SKEL  $@"
	$(Q)$(BPFTOOL) gen skeleton $< name ebb_bpf > $@

# ---- user space

$(BUILD)/user/kernel/loader.o: $(SKELETON)
$(BUILD)/user/core/%.o: WARNINGS += -Wconversion

$(BUILD)/%.o: %.c Makefile
	@mkdir -p $(@D)
	@echo "  CC    $<"
	$(Q)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -MMD -MP -c $< -o $@

$(LIBRARY): $(USER_OBJECTS)
	$(Q)rm -f $@ && ar rcs $@ $^

$(BUILD)/ebb: $(BUILD)/user/main.o $(LIBRARY)
	@echo "  LD    $@"
	$(Q)$(CC) $(LDFLAGS_ALL) $^ $(LIBS) -o $@

# ---- tests

$(BUILD)/tests/unit/test_%: $(BUILD)/tests/unit/test_%.o $(LIBRARY)
	$(Q)$(CC) $(LDFLAGS_ALL) $^ -lcmocka $(LIBS) -o $@

unit: $(UNIT_TESTS)

clean:
	rm -rf $(BUILD)

-include $(BPF_OBJECTS:.o=.d) $(USER_OBJECTS:.o=.d) $(BUILD)/user/main.d
-include $(UNIT_TESTS:%=%.d)

.PHONY: all unit clean
