# SPDX-License-Identifier: Apache-2.0
# heldby: who holds the memory? `make help` lists the targets.

BUILD   ?= build
# One name for one folder, or what was built by the one is taken for up to date by the other.
override BUILD := $(patsubst $(CURDIR)/%,%,$(abspath $(BUILD)))
PREFIX  ?= /usr
CC      ?= gcc
CLANG   ?= clang-14
BPFTOOL ?= $(firstword $(wildcard /usr/sbin/bpftool) bpftool)
PYTHON  ?= /usr/bin/python3

Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-8s %s\n' "$(1)" "$(2)")

# Another architecture: ARCH=aarch64 SYSROOT=DIR CC="aarch64-linux-gnu-gcc --sysroot=DIR" CXX=...
ARCH     := $(shell uname -m)
BPF_ARCH := $(patsubst aarch64,arm64,$(patsubst x86_64,x86,$(ARCH)))

WARN     := -Wall -Wextra -Werror -Wmissing-prototypes -Wshadow
SAN      := $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer)
CFLAGS   ?= -O2 -g
ALL_CFLAGS := -std=gnu11 -D_GNU_SOURCE $(WARN) $(CFLAGS) $(SAN) -I$(BUILD) -MMD -MP
LIBS     := -lbpf -lelf -liberty -lZydis -ljson-c -lsystemd -llzma -lz -lpthread -ldl

BPF_CFLAGS := -g -O2 -target bpf -mcpu=v3 -D__TARGET_ARCH_$(BPF_ARCH) -Wall -Wextra -Werror \
	-Wno-unused-parameter -Wno-missing-prototypes -I$(SYSROOT)/usr/include/$(ARCH)-linux-gnu

# What a fresh Debian 12 needs to build, and what the tests run against.
DEPS_BUILD := gcc make pkg-config clang-14 llvm-14 bpftool libbpf-dev libelf-dev libdw-dev \
	libdebuginfod-dev liblzma-dev libiberty-dev libzydis-dev libjson-c-dev libsystemd-dev uthash-dev \
	zlib1g-dev libc6-dev python3
DEPS_TEST  := libcmocka-dev g++ libclang-rt-14-dev musl-tools binutils libjemalloc2 \
	libtcmalloc-minimal4 libgoogle-perftools4 libmimalloc2.0 openjdk-17-jdk-headless xz-utils \
	libc6-dbg dwz redis-server postgresql nginx runc containerd buildah libcap2-bin python3-yaml python3-grpcio
# What check-vm and check-e2e boot kernels with, where they can be had.
DEPS_VM    := qemu-system-x86 qemu-system-arm busybox-static gcc-aarch64-linux-gnu g++-aarch64-linux-gnu e2fsprogs

BPF_SRCS := $(wildcard bpf/*.bpf.c)
BPF_OBJS := $(BPF_SRCS:bpf/%.c=$(BUILD)/bpf/%.o)
# The same without the unwinder, for kernels that lack what it calls.
POINTERS_OBJS := $(BPF_SRCS:bpf/%.c=$(BUILD)/pointers/%.o)
SRCS     := user/main.c $(wildcard user/base/*.c user/model/*.c user/remote/*.c user/symbol/*.c user/view/*.c \
	user/probe/*.c user/cmd/*.c)
OBJS     := $(SRCS:user/%.c=$(BUILD)/user/%.o)

.PHONY: all help run test deps deps-build deps-test check check-native check-bpf check-unwind lint fuzz budget bench
.PHONY: deps-vm check-vm check-e2e check-kills install image-root clean
all: $(BUILD)/heldby

help:
	@echo 'all          build $(BUILD)/heldby; SANITIZE=address,undefined with sanitizers'
	@echo 'run          install what it needs, build, trace a real program (CMD="..." or ARGS="heldby arguments")'
	@echo 'test         install, build, run every test that this kernel allows, and a part of check-vm'
	@echo 'deps         install what building and testing need (Debian 12); deps-vm: for check-vm, too'
	@echo 'check        unit and golden tests, with address and undefined sanitizers'
	@echo 'check-native the BPF core as plain C over fake maps, with sanitizers'
	@echo 'check-bpf    the real programs on loads whose sums are known (root); ONLY=words selects'
	@echo 'check-kills  200 kills with heldby oom and 200 without: nobody else is killed (root); KILLS=number'
	@echo 'check-unwind stacks of real programs beside those of libdw (root); SAMPLES=10000, ONLY=program'
	@echo 'check-e2e    image, DaemonSet and unit, in containers and on an emulated host (root); ONLY=words'
	@echo 'check-vm     check-bpf under other kernels, in emulated machines, for hours; ONLY="6.1-x86_64 ..."'
	@echo 'check-vm-quick  the part of it that test has, in less than 10 minutes'
	@echo 'lint         layers, names, headers compile alone'
	@echo 'fuzz         each parser for FUZZ_S seconds (default 20)'
	@echo 'bench        what tracing costs, beside other tools (root); BENCH="pairs programs --rounds 8" selects'
	@echo 'budget       verified instructions per program, against tests/bpf/budget.csv'
	@echo 'install      to $(DESTDIR)$(PREFIX): program, systemd unit, manual page'
	@echo 'image-root   the files of a container image into DIR, see deploy/README.md'
	@echo 'V=1          show commands'

# --- the kernel side -------------------------------------------------------------------------
$(BUILD)/bpf/%.bpf.o: bpf/%.bpf.c $(wildcard bpf/*.h vmlinux/*.h)
	$(call say,BPF,$<)
	$(Q)mkdir -p $(@D) && $(CLANG) $(BPF_CFLAGS) -c $< -o $@

$(BUILD)/pointers/%.bpf.o: bpf/%.bpf.c $(wildcard bpf/*.h vmlinux/*.h)
	$(call say,BPF,$< (frame pointers))
	$(Q)mkdir -p $(@D) && $(CLANG) $(BPF_CFLAGS) -DHB_POINTERS_ONLY -c $< -o $@

$(BUILD)/heldby.bpf.o: $(BPF_OBJS)
	$(call say,LINK,$@)
	$(Q)$(BPFTOOL) gen object $@ $^

$(BUILD)/heldby_pointers.bpf.o: $(POINTERS_OBJS)
	$(call say,LINK,$@)
	$(Q)$(BPFTOOL) gen object $@ $^

.PRECIOUS: $(BUILD)/%.skel.h
$(BUILD)/%.skel.h: $(BUILD)/%.bpf.o
	$(call say,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name $*_bpf > $@.tmp && mv $@.tmp $@

# --- user space ------------------------------------------------------------------------------
$(BUILD)/user/%.o: user/%.c | $(BUILD)/heldby.skel.h $(BUILD)/heldby_pointers.skel.h
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D) && $(CC) $(ALL_CFLAGS) -c $< -o $@

$(BUILD)/heldby: $(OBJS)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(SAN) -o $@ $^ $(LIBS)

-include $(OBJS:.o=.d)

# --- running ---------------------------------------------------------------------------------
# The main job: a real program from beginning to end. CMD= names another one; ARGS= replaces all.
CMD ?= $(PYTHON) -m compileall -q -f -d heldby-run $(BUILD)/run/lib
ARGS ?= run --top 8 -- $(CMD)

run: deps-build
	$(Q)$(MAKE) --no-print-directory all $(BUILD)/run/lib
	$(BUILD)/heldby $(ARGS)

# A part of python's own library, copied so that nothing outside the build folder is written.
$(BUILD)/run/lib:
	$(Q)mkdir -p $@ && cp -r $$($(PYTHON) -c 'import json; print(json.__path__[0])') \
		$$($(PYTHON) -c 'import asyncio; print(asyncio.__path__[0])') $@

# Install $(1) unless all of it is there.
apt = $(Q)mkdir -p $(BUILD); dpkg-query -W -f '$${db:Status-Status}\n' $(1) 2>/dev/null | \
	awk '$$1 == "installed" { n++ } END { exit n != $(words $(1)) }' || \
	{ [ "$$(id -u)" = 0 ] || \
	  { echo 'heldby: packages are missing; run this as root, or: sudo make deps' >&2; exit 1; }; \
	  export DEBIAN_FRONTEND=noninteractive; \
	  apt-get -qq update && apt-get -qq install -y --no-install-recommends $(1); }

deps: deps-build deps-test
deps-build:
	$(call apt,$(DEPS_BUILD))
deps-test:
	$(call apt,$(DEPS_TEST))
# Where they cannot be had, the machines are skipped.
deps-vm:
	-$(call apt,$(DEPS_TEST) $(DEPS_VM))

# The unit names the program where it will be.
install: all
	install -D -m 0755 $(BUILD)/heldby $(DESTDIR)$(PREFIX)/bin/heldby
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	sed 's,^ExecStart=/usr/bin/,ExecStart=$(PREFIX)/bin/,' deploy/heldby.service \
		> $(DESTDIR)$(PREFIX)/lib/systemd/system/heldby.service
	chmod 0644 $(DESTDIR)$(PREFIX)/lib/systemd/system/heldby.service
	$(if $(wildcard deploy/heldby.8),install -D -m 0644 deploy/heldby.8 $(DESTDIR)$(PREFIX)/share/man/man8/heldby.8)

# The root of an image: the program, its libraries and their loader. What was in DIR goes.
image-root: all
	$(if $(DIR),,$(error image-root: DIR=FOLDER says where to))
	$(Q)deploy/collect $(BUILD)/heldby $(DIR)

clean:
	rm -rf $(BUILD)

include tests/tests.mk
