# SPDX-License-Identifier: Apache-2.0
# Everything built lies under build/. `make V=1` shows the commands.

BUILD   ?= build
PREFIX  ?= /usr/local
CLANG   ?= clang
BPFTOOL ?= bpftool
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
PKGS    := libbpf libmicrohttpd jansson libcurl zlib libcap libprotobuf-c
Q       := $(if $(V),,@)
say      = $(if $(V),,@printf '  %-6s %s\n' $(1) $(2);)

WARN     := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef
CPPFLAGS += -D_GNU_SOURCE -Iinclude -Iuser -I$(BUILD)
CFLAGS   ?= -O2 -g
CFLAGS   += -std=gnu17 $(WARN)
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
LDLIBS    = $(shell pkg-config --libs $(PKGS)) -lpthread -lm

BPF_CFLAGS := -O2 -g -target bpf -mcpu=v3 -Wall -Werror -D__TARGET_ARCH_x86 -Ivmlinux -Iinclude -Ibpf
BPF_OBJS   := $(patsubst bpf/%.bpf.c,$(BUILD)/bpf/%.bpf.o,$(wildcard bpf/*.bpf.c))
BPF_APART  := memory gpu_sched gpu_ioctl
SKELETON   := $(BUILD)/mlprof.skel.h $(BPF_APART:%=$(BUILD)/%.skel.h)

SRCS  := $(wildcard user/*/*.c)
PROTO := $(patsubst user/%.proto,$(BUILD)/%.pb-c.c,$(wildcard user/*/*.proto))
OBJS  := $(SRCS:%.c=$(BUILD)/%.o) $(PROTO:.c=.o)
TESTS := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(wildcard tests/unit/test_*.c))
FUZZ  := $(patsubst tests/fuzz/%.c,$(BUILD)/tests/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
GUEST := $(patsubst tests/guest/%.c,$(BUILD)/tests/guest/%,$(wildcard tests/guest/*.c))
BENCH := $(patsubst tests/bench/%.c,$(BUILD)/tests/bench/%,\
	$(filter-out %.bpf.c,$(wildcard tests/bench/*.c))) \
	 $(BUILD)/tests/bench/empty.bpf.o $(BUILD)/tests/bench/empty_ioctl.bpf.o

FAKE_NVML := $(BUILD)/tests/gpu/libnvidia-ml.so.1 $(BUILD)/tests/gpu/old/libnvidia-ml.so.1

.PHONY: FORCE all binary image test unit guest-test bench demo check fuzz setup install clean
.DELETE_ON_ERROR:
.SECONDARY:

all: setup
	$(Q)$(MAKE) --no-print-directory binary

binary: $(BUILD)/mlprof $(GUEST) $(BUILD)/tests/guest/sparse $(BUILD)/tests/bench/memory_probe $(BUILD)/tests/bench/gpu_probe

setup:
	$(Q)scripts/setup

# The BPF side: one object out of all files, and its skeleton. Objects of their own:
#   memory     functions of the kernel that it may call and that are not there have libbpf look into
#              every module, which takes CAP_SYS_ADMIN, and without fails all
#   gpu_*      are loaded where a GPU's driver is, which may come later
$(BUILD)/bpf/%.bpf.o: bpf/%.bpf.c
	$(call say,BPF,$<)mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/mlprof.bpf.o: $(filter-out $(BPF_APART:%=$(BUILD)/bpf/%.bpf.o),$(BPF_OBJS))
	$(call say,LINK,$@)$(BPFTOOL) gen object $@ $^

$(BPF_APART:%=$(BUILD)/%.bpf.o): $(BUILD)/%.bpf.o: $(BUILD)/bpf/%.bpf.o
	$(call say,LINK,$@)$(BPFTOOL) gen object $@ $^

$(BUILD)/%.skel.h: $(BUILD)/%.bpf.o
	$(call say,SKEL,$@)$(BPFTOOL) gen skeleton $< name $*_bpf > $@

# Only what names the version is built again when it changes.
VERSION_H := $(BUILD)/version.h
$(VERSION_H): FORCE
	$(Q)mkdir -p $(@D)
	$(Q)echo '#define MLPROF_VERSION "$(VERSION)"' > $@.new
	$(Q)cmp -s $@.new $@ && rm $@.new || mv $@.new $@

# Messages of others: made from .proto files into code that includes "AREA/NAME.pb-c.h".
$(BUILD)/%.pb-c.c: user/%.proto
	$(call say,PROTO,$<)mkdir -p $(@D)
	$(Q)protoc-c --proto_path=user --c_out=$(BUILD) $<

$(BUILD)/%.pb-c.o: $(BUILD)/%.pb-c.c
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -c $< -o $@

# User space. Only user/kernel may name libbpf, so only it waits for the skeleton.
KERNEL_SRCS := $(wildcard user/kernel/*.c)
$(KERNEL_SRCS:%.c=$(BUILD)/%.o) $(KERNEL_SRCS:%.c=$(BUILD)/asan/%.o): | $(SKELETON)

$(BUILD)/user/%.o: user/%.c | $(VERSION_H) $(PROTO)
	$(call say,CC,$<)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/mlprof: $(BUILD)/user/main.o $(OBJS)
	$(call say,LINK,$@)$(CC) $(CFLAGS) $^ $(LDFLAGS) $(LDLIBS) -o $@

# Unit tests run under ASan and UBSan, and so does everything they link.
$(BUILD)/asan/user/%.o: user/%.c | $(VERSION_H) $(PROTO)
	$(call say,ASAN,$<)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(SANITIZE) -MMD -MP -c $< -o $@

$(BUILD)/tests/unit/%: tests/unit/%.c $(SRCS:%.c=$(BUILD)/asan/%.o) $(PROTO:.c=.o)
	$(call say,TEST,$<)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -I. $(CFLAGS) $(SANITIZE) -MMD -MP $(filter %.c %.o,$^) $(LDFLAGS) \
		$(LDLIBS) -lcmocka -o $@

$(BUILD)/tests/fuzz/%: tests/fuzz/%.c $(SRCS) $(PROTO) $(VERSION_H)
	$(call say,FUZZ,$<)mkdir -p $(@D)
	$(Q)$(CLANG) $(CPPFLAGS) $(CFLAGS) -fsanitize=fuzzer,address,undefined $< \
		$(filter-out user/kernel/% user/cmd/%,$(SRCS)) $(PROTO) $(LDFLAGS) $(LDLIBS) -o $@

# What runs in guests: workloads are static, so that a cgroup of theirs holds nothing else.
$(BUILD)/tests/guest/%: tests/guest/%.c
	$(call say,CC,$<)mkdir -p $(@D)
	$(Q)$(CC) -D_GNU_SOURCE $(CFLAGS) -static $< -o $@ -lpthread

# Something to read that a guest does not have in memory: what it writes itself it has.
$(BUILD)/tests/guest/sparse:
	$(Q)mkdir -p $(@D)
	$(Q)truncate -s 64M $@

$(BUILD)/tests/bench/%.bpf.o: tests/bench/%.bpf.c
	$(call say,BPF,$<)mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -c $< -o $@

$(BUILD)/tests/bench/%: tests/bench/%.c $(filter-out $(BUILD)/user/cmd/%,$(OBJS))
	$(call say,CC,$<)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(filter %.c %.o,$^) $(LDFLAGS) $(LDLIBS) -o $@

# Libraries that stand in for NVIDIA's: one of today, and one that lacks what came late.
$(BUILD)/tests/gpu/libnvidia-ml.so.1: tests/gpu/fake_nvml.c user/gpu/nvml_abi.h
	$(call say,FAKE,$@)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -fPIC -shared $< -o $@

$(BUILD)/tests/gpu/old/libnvidia-ml.so.1: tests/gpu/fake_nvml.c user/gpu/nvml_abi.h
	$(call say,FAKE,$@)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -DOLD_NVML -fPIC -shared $< -o $@

$(BUILD)/tests/unit/test_nvml: | $(FAKE_NVML)

unit: $(TESTS)
	$(Q)scripts/run-unit $(TESTS)

test: setup
	$(Q)scripts/test

bench: setup
	$(Q)$(MAKE) --no-print-directory binary $(BENCH) >&2
	$(Q)scripts/bench

demo: setup
	$(Q)$(MAKE) --no-print-directory binary
	$(Q)scripts/demo

check: setup
	$(Q)scripts/check

fuzz: setup $(FUZZ)

image: all
	$(Q)image/build

install: all
	install -D -m 0755 $(BUILD)/mlprof $(DESTDIR)$(PREFIX)/bin/mlprof

clean:
	rm -rf $(BUILD)

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
