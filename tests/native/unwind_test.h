/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the unwinder share: a thread, a program, and what a walk came to. */
#ifndef HB_UNWIND_TEST_H
#define HB_UNWIND_TEST_H

#include "native_test.h"
#include "fake_tables.h"

#include <string.h>

#define STACK   0x7ffc00000000ULL
#define PROGRAM 0x555500001000ULL /* its text: 64 KiB from 0x3000 of its file on, so that two pages are touched */
#define LIBRARY 0x7f3000000000ULL
#define OBJECT  7
#define LIBRARY_OBJECT 0x7ffff0

#define RULE(cfa_, off, fp_, fp_off, aux_)                                                     \
	((struct hb_rule){ .cfa = HB_CFA_##cfa_, .fp = HB_SAVED_##fp_, .ra = HB_SAVED_AT_CFA,  \
			   .cfa_offset = (off), .fp_offset = (fp_off), .aux = (aux_) })
#define RULE_SP(off) RULE(SP, off, SAME, 0, 0)
#define RULE_FP      RULE(FP, 16, AT_CFA, -16, 0) /* push %rbp; mov %rsp,%rbp */
#define RULE_STOP    ((struct hb_rule){ .cfa = HB_CFA_STOP })
#define RULE_SIGNAL  ((struct hb_rule){ .cfa = HB_CFA_SIGNAL })
#define RULE_NONE    ((struct hb_rule){ .cfa = HB_CFA_NONE })
#define RULE_UNSUPPORTED ((struct hb_rule){ .cfa = HB_CFA_UNSUPPORTED })

static struct thread *walker;
static struct mm_struct *mm;
static struct code program;
static u64 outermost; /* an address in the function where stacks of the program end */

/* A thread whose stacks are unwound, in a program with an outermost function. */
static inline void begin(void)
{
	fake_unwinding(1, HB_FRAMES_MAX);
	tables_reset();
	walker = traced_thread();
	mm = walker->task->mm;
	fake_current(walker->task);
	assert_non_null(pending_task_create());
	memset(pending_task()->scratch, 0xee, sizeof(pending_task()->scratch));
	program = code_new(mm, OBJECT, PROGRAM, 0x10000, 0x3000);
	outermost = code_function(&program, RULE_STOP) + 0x10;
	code_call(mm, outermost);
}

/* An address in a new function of the program, behind a call. */
static inline u64 function(struct hb_rule rule)
{
	u64 address = code_function(&program, rule) + 0x20;

	code_call(mm, address);
	return address;
}

static struct code library;

/* A library with one function. Returns an address in it, behind a call; its callers find theirs 8 above. */
static inline u64 with_library(void)
{
	u64 address;

	library = code_new(mm, LIBRARY_OBJECT, LIBRARY, 0x40000, 0x10000);
	address = code_function(&library, RULE_SP(0x10)) + 0x30;
	code_call(mm, address);
	return address;
}

static inline void put(u64 address, u64 value)
{
	fake_write_u64(mm, address, value);
}

/* Whatever the thread remembers. */
static inline u64 walk_anyhow(u32 gen, u64 pc, u64 sp, u64 fp)
{
	struct hb_resume resume = { .pc = pc, .sp = sp, .fp = fp };

	return stack_capture_fetching(pending_task(), gen, &resume);
}

/* With nothing remembered; and if that is remembered, it is the same once more. */
static inline u64 walk_gen(u32 gen, u64 pc, u64 sp, u64 fp)
{
	struct hb_resume resume = { .pc = pc, .sp = sp, .fp = fp };
	struct hb_walk *walk = &pending_task()->walk;
	u64 key, end;

	memset(walk->replays, 0, sizeof(walk->replays));
	key = walk_anyhow(gen, pc, sp, fp);
	assert_false(walk->replayed);
	end = walk->end;
	if (walk->replays[walk->seat % HB_REPLAYS].reads) {
		assert_int_equal(stack_walk(pending_task(), gen, &resume), key);
		assert_true(walk->replayed);
		assert_int_equal(walk->end, end);
	}
	return key;
}

static inline u64 walk(u64 pc, u64 sp, u64 fp)
{
	return walk_gen(GEN, pc, sp, fp);
}

static inline u64 word(u64 address)
{
	return code_word(&program, address);
}

/* Handlers return to its start: no call stands before it. */
static inline u64 restorer_word(u64 address)
{
	return word(address) | HB_FRAME_EXACT;
}

static inline const struct hb_stack *walked(void)
{
	return (const struct hb_stack *)pending_task()->scratch;
}

static inline void check_walked(const struct hb_stack *stack, enum hb_end end, const u64 *frames, u32 count,
				const char *file, int line)
{
	for (u32 i = 0; i < count && i < stack->count; i++) {
		if (stack->frames[i] != frames[i])
			print_message("frame %u: %#llx, not %#llx\n", i, (unsigned long long)stack->frames[i],
				      (unsigned long long)frames[i]);
		_assert_int_equal(stack->frames[i], frames[i], file, line);
	}
	_assert_int_equal(stack->count, count, file, line);
	_assert_int_equal(stack->end, end, file, line);
	_assert_int_equal(stack->gen, GEN, file, line);
}

/* The last walk's frames were these, and it ended for that reason. */
#define assert_walked(end, ...)                                                                \
	check_walked(walked(), HB_END_##end, (const u64[]){ __VA_ARGS__ },                     \
		     sizeof((const u64[]){ __VA_ARGS__ }) / sizeof(u64), __FILE__, __LINE__)

#endif
