// SPDX-License-Identifier: Apache-2.0
/*
 * Handlers that allocate above a function that was interrupted at its first instruction, on the
 * same stack and on one of their own, and one inside the other.
 */
#include "unwind.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define STACK_SIZE (64 << 10)

static char *hole; /* a page: what touches it faults until the handler opens it */
static long page;
static size_t handler_bytes;
static int nested;

/*
 * Faults at its first byte, while the byte before it belongs to a function whose frame is larger:
 * who looks up the caller of an interrupted frame there goes wrong.
 */
void fault_first(const char *where);
#if defined(__x86_64__)
__asm__(".text\n"
	".type before_fault, @function\n"
	"before_fault:\n"
	"	.cfi_startproc\n"
	"	sub $72, %rsp\n"
	"	.cfi_def_cfa_offset 80\n"
	"	call abort@PLT\n"
	"	.cfi_endproc\n"
	".size before_fault, . - before_fault\n"
	".globl fault_first\n"
	".type fault_first, @function\n"
	"fault_first:\n"
	"	.cfi_startproc\n"
	"	movb (%rdi), %al\n"
	"	ret\n"
	"	.cfi_endproc\n"
	".size fault_first, . - fault_first\n");
#elif defined(__aarch64__)
__asm__(".text\n"
	".type before_fault, %function\n"
	"before_fault:\n"
	"	.cfi_startproc\n"
	"	sub sp, sp, #80\n"
	"	.cfi_def_cfa_offset 80\n"
	"	bl abort\n"
	"	.cfi_endproc\n"
	".size before_fault, . - before_fault\n"
	".globl fault_first\n"
	".type fault_first, %function\n"
	"fault_first:\n"
	"	.cfi_startproc\n"
	"	ldrb w1, [x0]\n"
	"	ret\n"
	"	.cfi_endproc\n"
	".size fault_first, . - fault_first\n");
#endif

LOAD_CALL void stand_under(void)
{
	fault_first(hole);
	UNWIND_STAY();
}

static void open_hole(int prot)
{
	load_check(!mprotect(hole, (size_t)page, prot), "a page opens and closes");
}

static void on_fault(int number)
{
	(void)number;
	UNWIND_TAKE(handler_bytes);
	open_hole(PROT_READ);
	if (!nested--)
		return;
	handler_bytes++;
	open_hole(PROT_NONE);
	stand_under();
	UNWIND_STAY();
}

static void arm(int flags)
{
	struct sigaction action = { .sa_handler = on_fault, .sa_flags = SA_NODEFER | flags };

	sigemptyset(&action.sa_mask);
	load_check(!sigaction(SIGSEGV, &action, NULL), "a handler");
	page = sysconf(_SC_PAGESIZE);
	hole = mmap(NULL, (size_t)page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	load_check(hole != MAP_FAILED, "a page");
}

static void use_other_stack(void)
{
	static char other_stack[STACK_SIZE] __attribute__((aligned(16)));
	stack_t stack = { .ss_sp = other_stack, .ss_size = sizeof(other_stack) };

	load_check(!sigaltstack(&stack, NULL), "another stack");
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";

	if (!strcmp(mode, "same")) {
		handler_bytes = 7201;
		arm(0);
	} else if (!strcmp(mode, "other")) {
		handler_bytes = 7202;
		use_other_stack();
		arm(SA_ONSTACK);
	} else if (!strcmp(mode, "nested")) {
		handler_bytes = 7203;
		nested = 1;
		arm(0);
	} else {
		load_fail("usage: unwind_signal same|other|nested");
	}
	stand_under();
	_exit(0);
}
