# SPDX-License-Identifier: Apache-2.0
# Programs without frame pointers whose stacks libgcc's unwinder tells too (unwind.h).

LOAD_RUSTC ?= rustc

# A frame pointer only where the code needs one; siblings are jumped to; every call is made as written.
UNWIND_FLAGS := -O2 -g -fomit-frame-pointer -fno-builtin -fno-ipa-icf $(LOAD_WARN)
UNWIND_CFLAGS := -std=gnu11 -D_GNU_SOURCE $(UNWIND_FLAGS)
UNWIND_WRAP := -Wl,--wrap=malloc
UNWIND_C = $(LOAD_CC) $(UNWIND_CFLAGS) $(UNWIND_WRAP) -o $@ $(filter %.c %.S %.o,$^)
UNWIND_CXX = $(LOAD_CXX) -std=c++17 $(UNWIND_FLAGS) $(UNWIND_WRAP) -o $@ $(filter %.cc %.o,$^)
UNWIND_SHARED = $(LOAD_CC) $(UNWIND_CFLAGS) $(UNWIND_WRAP) -fPIC -shared -o $@ $<

UNWIND_HEADERS := $(LOAD_DIR)/unwind.h $(LOAD_HEADERS)
UNWIND_OBJS := $(LOAD_OUT)/unwind.o $(LOAD_OUT)/load.o

UNWIND_PLAIN := unwind_plain unwind_signal unwind_threads
UNWIND_NAMES := $(UNWIND_PLAIN) unwind_plain-static unwind_plain-static-pie unwind_throw unwind_throw-static \
	unwind_reload unwind_room libunwind_first.so libunwind_second.so unwind_lazy libunwind_ifunc.so \
	unwind_inline returns
ifeq ($(firstword $(subst -, ,$(shell $(LOAD_CC) -dumpmachine))),x86_64)
UNWIND_NAMES += unwind_bare unwind_step unwind_step-ibt
endif
ifneq ($(call load_has,$(LOAD_RUSTC)),)
UNWIND_NAMES += unwind_rust
endif
UNWIND_BINS := $(addprefix $(LOAD_OUT)/,$(UNWIND_NAMES))

$(LOAD_OUT)/unwind.o: $(LOAD_DIR)/unwind.c $(UNWIND_HEADERS) | $(LOAD_OUT)
	@$(LOAD_CC) $(UNWIND_CFLAGS) -fPIC -c -o $@ $<

$(addprefix $(LOAD_OUT)/,$(UNWIND_PLAIN)): $(LOAD_OUT)/%: $(LOAD_DIR)/%.c $(UNWIND_OBJS) $(UNWIND_HEADERS)
	@$(UNWIND_C) -pthread

$(LOAD_OUT)/unwind_plain-static: $(LOAD_DIR)/unwind_plain.c $(UNWIND_OBJS) $(UNWIND_HEADERS)
	@$(UNWIND_C) -static

$(LOAD_OUT)/unwind_plain-static-pie: $(LOAD_DIR)/unwind_plain.c $(UNWIND_OBJS) $(UNWIND_HEADERS)
	@$(UNWIND_C) -static-pie -fPIE

# With libstdc++ inside, operator new's own call of malloc is told, too.
$(LOAD_OUT)/unwind_throw $(LOAD_OUT)/unwind_inline: $(LOAD_OUT)/%: $(LOAD_DIR)/%.cc $(UNWIND_OBJS) $(UNWIND_HEADERS)
	@$(UNWIND_CXX) -static-libstdc++

$(LOAD_OUT)/unwind_throw-static: $(LOAD_DIR)/unwind_throw.cc $(UNWIND_OBJS) $(UNWIND_HEADERS)
	@$(UNWIND_CXX) -static

# One library in two kinds. They find unwind.c's malloc in the program that opens them.
$(LOAD_OUT)/libunwind_first.so: UNWIND_KIND := -DNAME=first -DROOM=200 -DBYTES=7901
$(LOAD_OUT)/libunwind_second.so: UNWIND_KIND := -DNAME=second -DROOM=1000 -DBYTES=7902
$(LOAD_OUT)/libunwind_first.so $(LOAD_OUT)/libunwind_second.so: $(LOAD_DIR)/unwind_library.c $(UNWIND_HEADERS) | \
		$(LOAD_OUT)
	@$(UNWIND_SHARED) $(UNWIND_KIND)

$(LOAD_OUT)/unwind_room: $(LOAD_DIR)/unwind_room.c $(UNWIND_OBJS) $(UNWIND_HEADERS)
	@$(UNWIND_C) -ldl

$(LOAD_OUT)/unwind_reload: $(LOAD_DIR)/unwind_reload.c $(UNWIND_OBJS) $(UNWIND_HEADERS)
	@$(UNWIND_C) -rdynamic -ldl

$(LOAD_OUT)/libunwind_ifunc.so: $(LOAD_DIR)/unwind_ifunc.c $(UNWIND_HEADERS) | $(LOAD_OUT)
	@$(UNWIND_SHARED)

$(LOAD_OUT)/unwind_lazy: $(LOAD_DIR)/unwind_lazy.c $(UNWIND_OBJS) $(LOAD_OUT)/libunwind_ifunc.so $(UNWIND_HEADERS)
	@$(UNWIND_C) -rdynamic -Wl,-z,lazy -L$(LOAD_OUT) -lunwind_ifunc -Wl,-rpath,'$$ORIGIN'

$(LOAD_OUT)/unwind_bare: $(LOAD_DIR)/unwind_bare.c $(LOAD_DIR)/unwind_asm.S $(UNWIND_OBJS) $(UNWIND_HEADERS)
	@$(UNWIND_C)

$(LOAD_OUT)/unwind_step: $(LOAD_DIR)/unwind_step.c $(UNWIND_OBJS) $(UNWIND_HEADERS)
	@$(UNWIND_C) -Wl,-z,lazy

# The other of the two layouts of a PLT slot.
$(LOAD_OUT)/unwind_step-ibt: $(LOAD_DIR)/unwind_step.c $(UNWIND_OBJS) $(UNWIND_HEADERS)
	@$(UNWIND_C) -Wl,-z,lazy,-z,ibtplt

$(LOAD_OUT)/unwind_rust: $(LOAD_DIR)/unwind_rust.rs $(UNWIND_OBJS)
	@$(LOAD_RUSTC) -O -g -o $@ $< -C link-arg=$(UNWIND_WRAP) $(UNWIND_OBJS:%=-C link-arg=%)

$(LOAD_OUT)/returns: $(LOAD_DIR)/returns.c $(LOAD_DIR)/load.c $(LOAD_HEADERS) | $(LOAD_OUT)
	@$(LOAD_C)
