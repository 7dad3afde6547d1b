// SPDX-License-Identifier: Apache-2.0
#include "oracle.h"

#include <dwarf.h>
#include <elfutils/libdwfl.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ucontext.h>
#include <sys/uio.h>

#include "../../user/base/cleanup.h"

#define PAGE_BYTES 4096
#define PAGES      64 /* of the stack, remembered for one walk */

struct page {
	uint64_t address;
	bool known;
	uint64_t words[PAGE_BYTES / 8];
};

struct oracle {
	Dwfl *dwfl;
	pid_t pid;
	pid_t tid; /* the thread being walked */
	Elf *machine; /* any file of the process's machine: ours */
	int machine_fd;
	const __u64 *registers;
	struct page pages[PAGES];
};

#if defined(__x86_64__)
/* DWARF's numbers 0 to 16 (System V ABI, AMD64, figure 3.36), and where struct pt_regs has them. */
static const unsigned char places[] = { 10, 12, 11, 5, 13, 14, 4, 19, 9, 8, 7, 6, 3, 2, 1, 0, 16 };
#define PLACE_SP 19
#define PLACE_PC 16
#define DWARF_SP 7
#elif defined(__aarch64__)
/* 0 to 30 are x0 to x30, 31 is sp (DWARF for the Arm 64-bit architecture, section 4.1). */
static const unsigned char places[] = {
	0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
	16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31,
};
#define PLACE_SP 31
#define PLACE_PC 32
#define DWARF_SP 31
#else
#error "only x86_64 and aarch64 are known here"
#endif

uint64_t registers_pc(const __u64 registers[SAMPLE_WORDS])
{
	return registers[PLACE_PC];
}

uint64_t registers_sp(const __u64 registers[SAMPLE_WORDS])
{
	return registers[PLACE_SP];
}

/* --- what libdwfl asks of a thread ------------------------------------------------------------ */

static pid_t next_thread(Dwfl *dwfl, void *arg, void **thread_arg)
{
	struct oracle *oracle = arg;

	(void)dwfl;
	if (*thread_arg)
		return 0;
	*thread_arg = oracle;
	return oracle->tid;
}

static bool get_thread(Dwfl *dwfl, pid_t tid, void *arg, void **thread_arg)
{
	struct oracle *oracle = arg;

	(void)dwfl;
	*thread_arg = oracle;
	return tid == oracle->tid;
}

static bool read_page(pid_t pid, struct page *page, uint64_t address)
{
	struct iovec local = { page->words, PAGE_BYTES }, remote = { (void *)address, PAGE_BYTES };

	page->address = address;
	page->known = process_vm_readv(pid, &local, 1, &remote, 1, 0) == PAGE_BYTES;
	return page->known;
}

static bool memory_read(Dwfl *dwfl, Dwarf_Addr address, Dwarf_Word *value, void *arg)
{
	struct oracle *oracle = arg;
	uint64_t start = address & ~(uint64_t)(PAGE_BYTES - 1);
	struct page *page = &oracle->pages[address / PAGE_BYTES % PAGES];
	struct iovec local = { value, 8 }, remote = { (void *)address, 8 };

	(void)dwfl;
	if (address & 7)
		return process_vm_readv(oracle->pid, &local, 1, &remote, 1, 0) == 8;
	if (!(page->known && page->address == start) && !read_page(oracle->pid, page, start))
		return false;
	*value = page->words[address % PAGE_BYTES / 8];
	return true;
}

bool oracle_read(struct oracle *oracle, uint64_t address, uint64_t *value)
{
	return memory_read(oracle->dwfl, address, value, oracle);
}

static bool set_registers(Dwfl_Thread *thread, void *arg)
{
	const struct oracle *oracle = arg;

	Dwarf_Word words[sizeof(places)];

	for (size_t i = 0; i < sizeof(places); i++)
		words[i] = oracle->registers[places[i]];
	if (!dwfl_thread_state_registers(thread, 0, sizeof(places), words))
		return false;
	dwfl_thread_state_register_pc(thread, registers_pc(oracle->registers));
	return true;
}

static const Dwfl_Thread_Callbacks thread_callbacks = {
	.next_thread = next_thread,
	.get_thread = get_thread,
	.memory_read = memory_read,
	.set_initial_registers = set_registers,
};

/* The unwind information that counts is the program's own. */
static int no_debuginfo(Dwfl_Module *module, void **user, const char *name, Dwarf_Addr base, const char *file,
			const char *link, GElf_Word crc, char **found)
{
	(void)module, (void)user, (void)name, (void)base, (void)file, (void)link, (void)crc, (void)found;
	return -1;
}

static const Dwfl_Callbacks callbacks = {
	.find_elf = dwfl_linux_proc_find_elf,
	.find_debuginfo = no_debuginfo,
};

/* --- life ------------------------------------------------------------------------------------- */

/* Without a file to tell the machine by, libdwfl would borrow one that the process may unmap. */
static int attach(struct oracle *oracle)
{
	elf_version(EV_CURRENT);
	oracle->machine_fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	oracle->machine = elf_begin(oracle->machine_fd, ELF_C_READ_MMAP, NULL);
	oracle->dwfl = dwfl_begin(&callbacks);
	if (!oracle->machine || !oracle->dwfl)
		return -ENOMEM;
	if (!dwfl_attach_state(oracle->dwfl, oracle->machine, oracle->pid, &thread_callbacks, oracle))
		return -EIO;
	return oracle_remap(oracle);
}

int oracle_new(struct oracle **out, pid_t pid)
{
	struct oracle *oracle = calloc(1, sizeof(*oracle));
	int err;

	if (!oracle)
		return -ENOMEM;
	oracle->pid = pid;
	err = attach(oracle);
	if (err) {
		oracle_free(oracle);
		return err;
	}
	*out = oracle;
	return 0;
}

void oracle_free(struct oracle *oracle)
{
	if (!oracle)
		return;
	if (oracle->dwfl)
		dwfl_end(oracle->dwfl);
	elf_end(oracle->machine);
	fd_closep(&oracle->machine_fd);
	free(oracle);
}

int oracle_remap(struct oracle *oracle)
{
	int err;

	dwfl_report_begin(oracle->dwfl);
	err = dwfl_linux_proc_report(oracle->dwfl, oracle->pid);
	if (dwfl_report_end(oracle->dwfl, NULL, NULL) || err)
		return err > 0 ? -err : -EIO;
	return 0;
}

/* --- walking ---------------------------------------------------------------------------------- */

#if defined(__aarch64__)
/* struct rt_sigframe of arch/arm64/kernel/signal.c, from its first byte to what we need of it */
struct signal_frame {
	siginfo_t info;
	ucontext_t context;
};

_Static_assert(offsetof(mcontext_t, sp) - offsetof(mcontext_t, regs) == PLACE_SP * sizeof(__u64) &&
	       offsetof(mcontext_t, pc) - offsetof(mcontext_t, regs) == PLACE_PC * sizeof(__u64),
	       "they lie as in struct pt_regs");

/* What the kernel lets a handler return to: mov x8, #__NR_rt_sigreturn; svc #0 */
static bool is_trampoline(struct oracle *oracle, uint64_t pc)
{
	uint64_t code;

	return oracle_read(oracle, pc, &code) && code == 0xd4000001d2801168;
}

/* The registers of what the signal interrupted. */
static bool read_interrupted(struct oracle *oracle, const struct oracle_frame *trampoline, __u64 *registers)
{
	struct iovec local = { registers, (PLACE_PC + 1) * sizeof(*registers) };
	struct iovec remote = { (void *)(trampoline->sp + offsetof(struct signal_frame, context.uc_mcontext.regs)),
				local.iov_len };

	return process_vm_readv(oracle->pid, &local, 1, &remote, 1, 0) == (ssize_t)local.iov_len;
}
#else
/* Elsewhere it has unwind information. */
static bool is_trampoline(struct oracle *oracle, uint64_t pc)
{
	(void)oracle, (void)pc;
	return false;
}

static bool read_interrupted(struct oracle *oracle, const struct oracle_frame *trampoline, __u64 *registers)
{
	(void)oracle, (void)trampoline, (void)registers;
	return false;
}
#endif

#if defined(__x86_64__)
/* Whether the end of @frame is found by rbx, which is known only if a frame below has saved it. */
static bool by_rbx(struct oracle *oracle, const struct oracle_frame *frame)
{
	const uint64_t at = frame->pc - !frame->exact;
	Dwfl_Module *module = dwfl_addrmodule(oracle->dwfl, at);
	__cleanup(freep) Dwarf_Frame *rules = NULL;
	Dwarf_Addr bias;
	Dwarf_CFI *cfi = module ? dwfl_module_eh_cfi(module, &bias) : NULL;
	Dwarf_Op *ops;
	size_t count;

	return cfi && !dwarf_cfi_addrframe(cfi, at - bias, &rules) && !dwarf_frame_cfa(rules, &ops, &count) && count &&
	       (ops[0].atom == DW_OP_breg3 || (ops[0].atom == DW_OP_bregx && ops[0].number == 3));
}
#else
static bool by_rbx(struct oracle *oracle, const struct oracle_frame *frame)
{
	(void)oracle, (void)frame;
	return false;
}
#endif

struct walk {
	struct oracle *oracle;
	struct oracle_stack *stack;
	bool interrupted; /* the last frame is a trampoline; the walk goes on with other registers */
};

static int on_frame(Dwfl_Frame *state, void *arg)
{
	struct walk *walk = arg;
	struct oracle_stack *stack = walk->stack;
	struct oracle_frame *frame = &stack->frames[stack->count];
	Dwarf_Word sp = 0;

	if (stack->count == ORACLE_FRAMES_MAX) {
		stack->cut = true;
		return DWARF_CB_ABORT;
	}
	if (!dwfl_frame_pc(state, &frame->pc, &frame->exact))
		return DWARF_CB_ABORT;
	dwfl_frame_reg(state, DWARF_SP, &sp);
	frame->sp = sp;
	stack->count++;
	walk->interrupted = is_trampoline(walk->oracle, frame->pc);
	return walk->interrupted ? DWARF_CB_ABORT : DWARF_CB_OK;
}

/* From @registers on. Whether it stopped at a signal's trampoline. */
static bool walk_on(struct oracle *oracle, const __u64 *registers, struct oracle_stack *stack)
{
	struct walk walk = { .oracle = oracle, .stack = stack };
	int got;

	oracle->registers = registers;
	got = dwfl_getthread_frames(oracle->dwfl, oracle->tid, on_frame, &walk);
	oracle->registers = NULL;
	stack->complete = !got;
	if (got)
		snprintf(stack->why, sizeof(stack->why), "%s",
			 stack->cut ? "it was cut" : walk.interrupted ? "a signal's frame" : dwfl_errmsg(-1));
	return walk.interrupted;
}

int oracle_walk(struct oracle *oracle, pid_t tid, const __u64 registers[SAMPLE_WORDS], struct oracle_stack *stack)
{
	__u64 saved[SAMPLE_WORDS] = { 0 };
	bool interrupted;

	for (size_t i = 0; i < PAGES; i++)
		oracle->pages[i].known = false;
	oracle->tid = tid;
	memset(stack, 0, sizeof(*stack));
	interrupted = walk_on(oracle, registers, stack);
	while (interrupted && read_interrupted(oracle, &stack->frames[stack->count - 1], saved)) {
		stack->frames[stack->count - 1].exact = true;
		stack->frames[stack->count - 1].resumed = true;
		interrupted = walk_on(oracle, saved, stack);
	}
	if (stack->complete && stack->count && by_rbx(oracle, &stack->frames[stack->count - 1])) {
		stack->complete = false;
		stack->lost = true;
		snprintf(stack->why, sizeof(stack->why), "rbx was not followed");
	}
	return stack->count ? 0 : -EIO;
}

bool oracle_knows(struct oracle *oracle, uint64_t pc, bool exact)
{
	const uint64_t at = pc - !exact;
	Dwfl_Module *module = dwfl_addrmodule(oracle->dwfl, at);
	__cleanup(freep) Dwarf_Frame *frame = NULL;
	Dwarf_Addr bias;
	Dwarf_CFI *cfi = module ? dwfl_module_eh_cfi(module, &bias) : NULL;

	if (cfi && !dwarf_cfi_addrframe(cfi, at - bias, &frame))
		return true;
	cfi = module ? dwfl_module_dwarf_cfi(module, &bias) : NULL;
	return cfi && !dwarf_cfi_addrframe(cfi, at - bias, &frame);
}

const char *oracle_name(struct oracle *oracle, uint64_t pc, bool exact, char *out, size_t size)
{
	Dwfl_Module *module = dwfl_addrmodule(oracle->dwfl, pc - !exact);
	const char *file = NULL, *function = NULL;
	GElf_Off offset = 0;
	GElf_Sym symbol;

	if (module) {
		file = dwfl_module_info(module, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
		function = dwfl_module_addrinfo(module, pc - !exact, &offset, &symbol, NULL, NULL, NULL);
	}
	if (file && strrchr(file, '/'))
		file = strrchr(file, '/') + 1;
	snprintf(out, size, "%.80s%s%.0lx (%s)", function ? function : "?", function ? "+0x" : "",
		 function ? (unsigned long)offset : 0, file ? file : "no file");
	return out;
}
