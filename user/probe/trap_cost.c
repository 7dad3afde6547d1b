// SPDX-License-Identifier: Apache-2.0
#include "trap_cost.h"

#include <errno.h>
#include <link.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "../base/cleanup.h"
#include "../remote/procfs.h"

#define CALLS  200 /* of one round */
#define ROUNDS 9   /* the median counts */
#define GEN    (HB_GEN_USER | 0x7fffffffu) /* of ourselves, while returns are trapped */

/* Of a ret instruction: arm64 simulates it (arch/arm64/kernel/probes/decode-insn.c), x86 steps over it. */
#if defined(__x86_64__)
#define LEFT(emulated_ns, stepped_ns) (stepped_ns)
#else
#define LEFT(emulated_ns, stepped_ns) (emulated_ns)
#endif

/* Two functions that return NULL: one begins with what every kernel emulates, one with what none does. */
long trap_cost_emulated(long argument);
long trap_cost_stepped(long argument);

#if defined(__x86_64__)
asm(".pushsection .text\n"
    ".type trap_cost_emulated, @function\n"
    "trap_cost_emulated: push %rbp\n pop %rbp\n xor %eax, %eax\n ret\n"
    ".size trap_cost_emulated, . - trap_cost_emulated\n"
    ".type trap_cost_stepped, @function\n"
    "trap_cost_stepped: test %rdi, %rdi\n xor %eax, %eax\n ret\n"
    ".size trap_cost_stepped, . - trap_cost_stepped\n"
    ".popsection");
#elif defined(__aarch64__)
asm(".pushsection .text\n"
    ".type trap_cost_emulated, %function\n"
    "trap_cost_emulated: b 1f\n 1: mov x0, xzr\n ret\n"
    ".size trap_cost_emulated, . - trap_cost_emulated\n"
    ".type trap_cost_stepped, %function\n"
    "trap_cost_stepped: mov x0, xzr\n ret\n"
    ".size trap_cost_stepped, . - trap_cost_stepped\n"
    ".popsection");
#else
#error "two functions are wanted for this machine"
#endif

struct search {
	uintptr_t address;
	uint64_t offset;
	bool found;
};

/* The first object is the program itself. */
static int find_offset(struct dl_phdr_info *info, size_t size, void *ctx)
{
	struct search *search = ctx;

	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
		const uintptr_t start = info->dlpi_addr + segment->p_vaddr;

		if (segment->p_type != PT_LOAD || search->address - start >= segment->p_filesz)
			continue;
		search->offset = search->address - start + segment->p_offset;
		search->found = true;
	}
	return 1;
}

/* Of this thread: what others do meanwhile does not count. */
static double cpu_ns(void)
{
	struct timespec now = { 0 };

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static int compare(const void *left, const void *right)
{
	const double *a = left, *b = right;

	return (*a > *b) - (*a < *b);
}

/* Nanoseconds of a call of @function. */
static double time_calls(long (*function)(long))
{
	double each[ROUNDS];

	for (int round = 0; round < ROUNDS; round++) {
		const double began = cpu_ns();

		for (int i = 0; i < CALLS; i++)
			function(1);
		each[round] = (cpu_ns() - began) / CALLS;
	}
	qsort(each, ROUNDS, sizeof(each[0]), compare);
	return each[ROUNDS / 2];
}

/* What of that is the programs' own work, by the kernel's statistics; 0 where it keeps none. */
static double time_work(struct session *session, long (*function)(long))
{
	struct session_runs before, after;
	const int stats = session_stats();

	if (stats < 0)
		return 0;
	session_runs(session, &before);
	for (int i = 0; i < CALLS; i++)
		function(1);
	session_runs(session, &after);
	close(stats);
	return (double)(after.call_ns - before.call_ns + after.free_ns - before.free_ns) / CALLS;
}

/* The same with a probe on it, without what the programs do. 0 or negative errno. */
static int time_probed(struct session *session, int exe, long (*function)(long), enum probe_place place, double *ns)
{
	struct search search = { .address = (uintptr_t)function };
	struct probe_point point = {
		.cookie = (uint64_t)HB_ROLE_ALLOC << HB_COOKIE_ROLE_SHIFT |
			  (uint64_t)HB_SRC_DIRECT << HB_COOKIE_SOURCE_SHIFT | 1ULL << HB_COOKIE_SIZE_SHIFT |
			  1ULL << HB_COOKIE_PTR_SHIFT,
		.place = place,
		.function = "",
	};
	struct probe_set set = { .points = &point, .count = 1 };
	struct session_probes *probes;
	int err;

	dl_iterate_phdr(find_offset, &search);
	if (!search.found)
		return -ENOENT;
	point.offset = search.offset;
	err = session_attach(session, exe, &set, getpid(), &probes);
	if (err)
		return err;
	*ns = time_calls(function) - time_work(session, function);
	session_detach(probes);
	return 0;
}

int trap_cost_measure(struct session *session, struct trap_cost *cost)
{
	__cleanup(fd_closep) int exe = file_open_regular("/proc/self/exe");
	const double bare = time_calls(trap_cost_emulated);
	double emulated, stepped, both;
	int err;

	*cost = (struct trap_cost){ .emulated_ns = 200, .stepped_ns = 2600, .return_ns = 350,
				    .left_ns = LEFT(200, 2600) };
	if (exe < 0)
		return -errno;
	/* Not traced: the program ends where it has found that out. */
	err = time_probed(session, exe, trap_cost_emulated, PLACE_FREE, &emulated);
	if (!err)
		err = time_probed(session, exe, trap_cost_stepped, PLACE_FREE, &stepped);
	if (!err)
		err = session_trace(session, (uint32_t)getpid(), GEN, HB_PROC_TRACED);
	if (err)
		return err;
	err = time_probed(session, exe, trap_cost_emulated, PLACE_CALL, &both);
	session_untrace(session, (uint32_t)getpid());
	if (err)
		return err;
	cost->emulated_ns = emulated > bare ? emulated - bare : 0;
	cost->stepped_ns = stepped > bare ? stepped - bare : 0;
	cost->return_ns = both > emulated ? both - emulated : 0;
	cost->left_ns = LEFT(cost->emulated_ns, cost->stepped_ns);
	return 0;
}
