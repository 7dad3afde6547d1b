# SPDX-License-Identifier: Apache-2.0
# The tests. Each program ends with cmocka's own lines or "N passed, N failed"; `make test` adds them up.

T          := $(BUILD)/tests
TEST_SAN   ?= -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
TEST_CFLAGS = -std=gnu11 -D_GNU_SOURCE $(WARN) -O1 -g $(TEST_SAN) -I$(BUILD) -MMD -MP

# What runs without the kernel: every folder but probe's attaching half and cmd.
LIB_SRCS := $(wildcard user/base/*.c user/model/*.c user/remote/*.c user/symbol/*.c user/view/*.c \
	user/probe/allocator*.c user/probe/runtimes.c user/probe/ret_sites.c user/probe/placement.c)
LIB_OBJS := $(LIB_SRCS:user/%.c=$(T)/lib/%.o)
LIB_LIBS := -lelf -liberty -lZydis -ljson-c -lcmocka -lpthread -ldl

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

NATIVE_SRCS := $(filter-out bpf/config.bpf.c,$(BPF_SRCS)) $(wildcard tests/native/fake_*.c)
$(NATIVE): $(T)/native/%: tests/native/%.c $(NATIVE_SRCS) $(wildcard bpf/*.h tests/native/*.h)
	$(call say,TEST,$<)
	$(Q)mkdir -p $(@D) && $(CC) -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Werror -Wno-unused-parameter \
		-O1 -g $(TEST_SAN) -DHB_NATIVE -D__TARGET_ARCH_x86 -Itests/native -Ibpf -o $@ $< $(NATIVE_SRCS) -lcmocka

$(FUZZ): $(T)/fuzz/%: tests/fuzz/%.c $(LIB_SRCS) $(wildcard user/*/*.h bpf/record.h)
	$(call say,FUZZ,$<)
	$(Q)mkdir -p $(@D) && $(CLANG) -std=gnu11 -D_GNU_SOURCE -O1 -g -fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=all -o $@ $< $(LIB_SRCS) $(filter-out -lcmocka,$(LIB_LIBS))

-include $(LIB_OBJS:.o=.d) $(UNIT:=.d) $(GOLDEN:=.d)

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
	$(Q)$(PYTHON) tests/fuzz/run.py $(T) 5

check-bpf: all
	$(Q)$(MAKE) --no-print-directory -C tests/load OUT=$(abspath $(BUILD))/load
	$(Q)$(PYTHON) tests/bpf/run.py $(if $(ONLY),$(ONLY))

budget: all
	$(Q)BUILD=$(BUILD) $(PYTHON) tests/bpf/budget.py $(if $(UPDATE),--update)

lint: all
	$(Q)BUILD=$(BUILD) $(PYTHON) tests/lint/lint.py

.PHONY: fuzz-check
test: deps
	$(Q)$(MAKE) --no-print-directory -j$$(nproc) all $(UNIT) $(GOLDEN) $(NATIVE)
	$(Q)$(PYTHON) tests/all.py
