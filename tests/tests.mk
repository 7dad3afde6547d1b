# SPDX-License-Identifier: Apache-2.0
# The tests. Each program ends with cmocka's own lines or "N passed, N failed"; `make test` adds them up.

T          := $(BUILD)/tests
TEST_SAN   ?= -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
TEST_CFLAGS = -std=gnu11 -D_GNU_SOURCE $(WARN) -O1 -g $(TEST_SAN) -I$(BUILD) -MMD -MP

# What runs without the kernel: every folder but probe's attaching half and cmd.
LIB_SRCS := $(wildcard user/base/*.c user/model/*.c user/remote/*.c user/symbol/*.c user/view/*.c \
	user/probe/allocator*.c user/probe/runtimes.c user/probe/ret_*.c user/probe/placement*.c \
	user/probe/unwind_pool.c)
LIB_OBJS := $(LIB_SRCS:user/%.c=$(T)/lib/%.o)
LIB_LIBS := -lelf -ldw -liberty -lZydis -ljson-c -llzma -lz -lcmocka -lpthread -ldl

UNIT     := $(patsubst tests/unit/%.c,$(T)/unit/%,$(wildcard tests/unit/test_*.c))
GOLDEN   := $(patsubst tests/golden/%.c,$(T)/golden/%,$(wildcard tests/golden/test_*.c))
NATIVE   := $(patsubst tests/native/%.c,$(T)/native/%,$(wildcard tests/native/test_*.c))
FUZZ     := $(patsubst tests/fuzz/%.c,$(T)/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_S   ?= 20

$(T)/lib/%.o: user/%.c
	$(call say,CC,$< (sanitized))
	$(Q)mkdir -p $(@D) && $(CC) $(TEST_CFLAGS) -c $< -o $@

$(UNIT): $(T)/unit/%: tests/unit/%.c $(LIB_OBJS)
	$(call say,TEST,$<)
	$(Q)mkdir -p $(@D) && $(CC) $(TEST_CFLAGS) -o $@ $< $(LIB_OBJS) $(LIB_LIBS)

$(GOLDEN): $(T)/golden/%: tests/golden/%.c $(LIB_OBJS)
	$(call say,TEST,$<)
	$(Q)mkdir -p $(@D) && $(CC) $(TEST_CFLAGS) -DGOLDEN_DIR='"$(CURDIR)/tests/golden"' \
		-o $@ $< $(LIB_OBJS) $(LIB_LIBS)

# What reads structures that only a kernel has stays there.
KERNEL_ONLY := config mapping_tree view vm probe_vm faults probe_pages \
	oom oom_command oom_control oom_domain oom_counters oom_stat probe_oom
NATIVE_SRCS := $(filter-out $(KERNEL_ONLY:%=bpf/%.bpf.c),$(BPF_SRCS)) $(wildcard tests/native/fake_*.c)
$(NATIVE): $(T)/native/%: tests/native/%.c $(NATIVE_SRCS) $(wildcard bpf/*.h tests/native/*.h)
	$(call say,TEST,$<)
	$(Q)mkdir -p $(@D) && $(CC) -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Werror -Wno-unused-parameter \
		-O1 -g $(TEST_SAN) -DHB_NATIVE -D__TARGET_ARCH_x86 -Itests/native -Ibpf \
		-o $@ $< $(NATIVE_SRCS) -lcmocka -lm

# What is fuzzed is compiled once for all targets.
FUZZ_OBJS  := $(LIB_SRCS:user/%.c=$(T)/fuzzed/%.o)
FUZZ_FLAGS := -std=gnu11 -D_GNU_SOURCE -O1 -g -MMD -MP -fno-sanitize-recover=all

$(T)/fuzzed/%.o: user/%.c
	$(Q)mkdir -p $(@D) && $(CLANG) $(FUZZ_FLAGS) -fsanitize=fuzzer-no-link,address,undefined -c $< -o $@

$(FUZZ): $(T)/fuzz/%: tests/fuzz/%.c $(FUZZ_OBJS)
	$(call say,FUZZ,$<)
	$(Q)mkdir -p $(@D) && $(CLANG) $(FUZZ_FLAGS) -fsanitize=fuzzer,address,undefined \
		-o $@ $< $(FUZZ_OBJS) $(filter-out -lcmocka,$(LIB_LIBS))

-include $(FUZZ_OBJS:.o=.d) $(LIB_OBJS:.o=.d) $(UNIT:=.d) $(GOLDEN:=.d)

# Each program of $(1), to the end of its output; the first that fails ends it.
run_each = $(Q)set -e; for program in $(1); do $$program; done

check: $(UNIT) $(GOLDEN)
	$(call run_each,$^)

check-native: $(NATIVE)
	$(call run_each,$^)

# Look for new crashes: inputs go to the build folder, the corpus stays as it is.
fuzz: $(FUZZ)
	$(Q)$(PYTHON) tests/fuzz/run.py $(T) $(FUZZ_S)

# Every kept input once, and a short search: part of `make test`.
fuzz-check: $(FUZZ)
	$(Q)$(PYTHON) tests/fuzz/run.py $(T) 1

check-bpf: all
	$(Q)$(MAKE) --no-print-directory -C tests/load OUT=$(abspath $(BUILD))/load
	$(Q)$(PYTHON) tests/bpf/run.py $(if $(ONLY),$(ONLY))

# As many victims under heldby oom as without it, and no second one in either.
check-kills: all
	$(Q)$(MAKE) --no-print-directory -C tests/load OUT=$(abspath $(BUILD))/load
	$(Q)HELDBY_TEST_KILLS=$(or $(KILLS),200) $(PYTHON) tests/bpf/run.py 'nobody else is killed with'

# --- stacks beside those of another unwinder: the product's programs and sample.bpf.c in one skeleton ----
U        := $(T)/unwind
U_OBJS   := $(patsubst tests/unwind/%.c,$(U)/%.o,$(filter-out %.bpf.c,$(wildcard tests/unwind/*.c))) \
	$(patsubst user/probe/%.c,$(U)/probe/%.o,$(wildcard user/probe/*.c)) \
	$(filter-out $(addprefix $(BUILD)/user/,main.o probe/% view/% cmd/%),$(OBJS))
U_CFLAGS  = $(subst -I$(BUILD),-I$(U) -I$(BUILD),$(ALL_CFLAGS))
SAMPLES  ?= 10000

$(U)/sample.bpf.o: tests/unwind/sample.bpf.c tests/unwind/sample.h $(wildcard bpf/*.h vmlinux/*.h)
	$(call say,BPF,$<)
	$(Q)mkdir -p $(@D) && $(CLANG) $(BPF_CFLAGS) -c $< -o $@

$(U)/heldby.bpf.o: $(BPF_OBJS) $(U)/sample.bpf.o
	$(call say,LINK,$@)
	$(Q)$(BPFTOOL) gen object $@ $^

$(U)/heldby.skel.h: $(U)/heldby.bpf.o
	$(call say,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name heldby_bpf > $@.tmp && mv $@.tmp $@

$(U)/%.o: tests/unwind/%.c | $(U)/heldby.skel.h
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D) && $(CC) $(U_CFLAGS) -c $< -o $@

$(U)/probe/%.o: user/probe/%.c | $(U)/heldby.skel.h $(BUILD)/heldby_pointers.skel.h
	$(call say,CC,$< (with the sampler))
	$(Q)mkdir -p $(@D) && $(CC) $(U_CFLAGS) -c $< -o $@

$(U)/differ: $(U_OBJS) | $(U)/throwing $(U)/programs
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(SAN) -o $@ $^ $(LIBS) -ldw

$(U)/throwing: tests/unwind/throwing.cc
	$(call say,TEST,$<)
	$(Q)mkdir -p $(@D) && $(CXX) -std=c++17 -O2 -g -fomit-frame-pointer -Wall -Wextra -Werror -pthread -o $@ $<

# What it runs lies beside it, so that the folder can be taken elsewhere.
$(U)/programs: $(wildcard tests/unwind/programs/*)
	$(Q)rm -rf $@ && cp -r tests/unwind/programs $@

U_ALL    := $(U)/differ $(U)/throwing $(U)/programs
check-unwind: $(U_ALL)
	$(Q)$(U)/differ --samples $(SAMPLES) $(if $(ONLY),--program $(ONLY))

-include $(U_OBJS:.o=.d)

# Each kernel in an emulated machine of its own. EXTRA: one more program and its arguments.
VM = $(PYTHON) tests/vm/vm.py --build $(BUILD) --libraries '$(filter %-dev,$(DEPS_BUILD))'
check-vm: all deps-vm
	$(Q)$(VM) $(if $(EXTRA),--extra '$(EXTRA)') $(ONLY)

# The part that `make test` has: HOLD=1 waits for the end of stdin when all is there.
check-vm-quick: all
	$(Q)$(VM) --quick $(if $(HOLD),--hold) $(ONLY)

# What deploy/ holds, run as people run it.
check-e2e: all
	$(Q)$(PYTHON) tests/e2e/run.py --build $(BUILD) $(ONLY)

budget: all
	$(Q)BUILD=$(BUILD) $(PYTHON) tests/bpf/budget.py $(if $(UPDATE),--update)

lint: all
	$(Q)BUILD=$(BUILD) $(PYTHON) tests/lint/lint.py

.PHONY: fuzz-check check-vm-quick
test: deps deps-vm
	$(Q)$(MAKE) --no-print-directory -j$$(nproc) all $(UNIT) $(GOLDEN) $(NATIVE) $(U_ALL) $(FUZZ) $(BENCHES)
	$(Q)$(PYTHON) tests/all.py

# --- what tracing costs: no test, for nothing here passes or fails ------------------------------
B := $(BUILD)/bench
# make test builds them, too, and runs none.
BENCHES := $(addprefix $(B)/,bursts churn churn-libc faults floor holder Buffers.class)
B_CFLAGS := -O2 -g -std=gnu11 -D_GNU_SOURCE $(WARN) -fno-builtin -fno-omit-frame-pointer -fcf-protection=none

$(B)/churn: tests/bench/churn.c
	$(call say,BENCH,$<)
	$(Q)mkdir -p $(@D) && $(CC) $(B_CFLAGS) -DOWN_MALLOC -o $@ $< -pthread

# With a libc of its own: what probes others' libc must not be measured here.
$(B)/churn-libc: tests/bench/churn.c
	$(call say,BENCH,$<)
	$(Q)mkdir -p $(@D)/lib && cp -L $$($(CC) -print-file-name=libc.so.6) $(@D)/lib/ && \
		$(CC) $(B_CFLAGS) -o $@ $< -pthread -Wl,-rpath,'$$ORIGIN/lib'

$(B)/floor: tests/bench/floor.c $(filter $(BUILD)/user/base/%.o $(BUILD)/user/remote/%.o $(BUILD)/user/symbol/%.o \
		$(BUILD)/user/model/%.o $(BUILD)/user/probe/allocator%.o $(BUILD)/user/probe/ret_%.o \
		$(BUILD)/user/probe/placement%.o,$(OBJS)) \
		$(patsubst %,$(BUILD)/user/probe/%.o,attach features runtimes tries)
	$(call say,BENCH,$<)
	$(Q)mkdir -p $(@D) && $(CC) $(ALL_CFLAGS) -o $@ $^ $(LIBS)

$(B)/faults $(B)/holder: $(B)/%: tests/bench/%.c
	$(call say,BENCH,$<)
	$(Q)mkdir -p $(@D) && $(CC) $(B_CFLAGS) -o $@ $<

$(B)/bursts: $(addprefix tests/load/,bursts.c load.c load.h Makefile)
	$(call say,BENCH,$<)
	$(Q)$(MAKE) -s -f tests/load/Makefile OUT=$(abspath $(B)) $(abspath $@)

$(B)/Buffers.class: tests/bench/Buffers.java
	$(call say,BENCH,$<)
	$(Q)mkdir -p $(@D) && { ! command -v javac >/dev/null || \
		javac --release 17 -XDignore.symbol.file -nowarn -d $(@D) $< 2>$(@D)/javac.log || \
		{ cat $(@D)/javac.log; exit 1; }; }

# Peers and real programs. bcc compiles against the headers of a kernel, whichever.
DEPS_BENCH := bpfcc-tools heaptrack redis-server redis-tools nginx-light wrk openjdk-17-jdk-headless \
	$(if $(wildcard /lib/modules/$(shell uname -r)/build),, \
		linux-headers-$(patsubst x86_64,amd64,$(ARCH:aarch64=arm64)))

define newline


endef

# Each is installed if it can be had; what is missing is left out, and said.
bench: all
	$(foreach package,$(DEPS_BENCH),-$(call apt,$(package))$(newline))
	$(Q)$(MAKE) -s $(BENCHES)
	$(Q)BUILD=$(BUILD) $(PYTHON) tests/bench/bench.py $(BENCH)
