// SPDX-License-Identifier: Apache-2.0
/*
 * A program of 32 bits, without a library: it needs a compiler that has -m32, and nothing else. A dot on stdout when
 * it waits, and one byte on stdin lets it go on. What it maps by each function is in tests/bpf/cases_mmap.py.
 */
#define KIB  1024ul
#define MIB  (1024 * KIB)
#define PAGE 4096ul

#define READ      3
#define WRITE     4
#define EXIT      1
#define BRK       45
#define OLD_MMAP  90
#define MUNMAP    91
#define IPC       117
#define MPROTECT  125
#define MREMAP    163
#define MMAP2     192
#define SHMAT     397
#define SHMDT     398

/* The first argument of ipc(): include/uapi/linux/ipc.h */
#define IPC_SHMAT  21
#define IPC_SHMDT  22
#define IPC_SHMGET 23
#define IPC_SHMCTL 24
#define REMOVE     0x100 /* IPC_RMID | IPC_64 */

#define PRIVATE_ANONYMOUS 0x22
#define READ_WRITE        3
#define MAYMOVE           1
#define AT_SYSINFO        32

#define CALL __attribute__((noinline, noclone))

static unsigned long vsyscall; /* the kernel's own way in, as libraries use it */

/* By int $0x80: number, arguments. */
static long direct(long number, long a, long b, long c, long d, long e)
{
	long result;

	__asm__ volatile("push %%ebp\n\txor %%ebp, %%ebp\n\tint $0x80\n\tpop %%ebp"
			 : "=a"(result) : "0"(number), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e) : "memory");
	return result;
}

/* By the vdso. */
static long through(long number, long a, long b, long c, long d, long e)
{
	long result;

	__asm__ volatile("call *%1"
			 : "=a"(result)
			 : "m"(vsyscall), "0"(number), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e) : "memory");
	return result;
}

static void wait_for_byte(void)
{
	char byte = '.';

	direct(WRITE, 1, (long)&byte, 1, 0, 0);
	if (direct(READ, 0, (long)&byte, 1, 0, 0) != 1)
		direct(EXIT, 1, 0, 0, 0, 0);
}

/* 2 MiB by the vdso, of which 64 KiB in the middle go again. */
CALL void map_through(void)
{
	long at = through(MMAP2, 0, 2 * MIB, READ_WRITE, PRIVATE_ANONYMOUS, -1);

	through(MUNMAP, at + MIB, 64 * KIB, 0, 0, 0);
}

/* 1 MiB, of which the half may not be touched. */
CALL long map_direct(void)
{
	long at = direct(MMAP2, 0, MIB, READ_WRITE, PRIVATE_ANONYMOUS, -1);

	direct(MPROTECT, at, 512 * KIB, 0, 0, 0);
	return at;
}

/* 64 KiB of it move, and grow by 192 KiB. */
CALL void grow(long at)
{
	direct(MREMAP, at + 512 * KIB, 64 * KIB, 256 * KIB, MAYMOVE, 0);
}

CALL void heap(void)
{
	direct(BRK, direct(BRK, 0, 0, 0, 0, 0) + 33 * PAGE, 0, 0, 0, 0);
}

/* The arguments lie in memory: nobody's. */
CALL void map_old(void)
{
	const unsigned long args[6] = { 0, 128 * KIB, READ_WRITE, PRIVATE_ANONYMOUS, -1ul, 0 };

	direct(OLD_MMAP, (long)args, 0, 0, 0, 0);
}

/* A segment of 256 KiB three times, by the call of old and by its own; it goes with the last of them. */
CALL void attach(long attached[3])
{
	const long id = direct(IPC, IPC_SHMGET, 0, 256 * KIB, 0600, 0);

	direct(IPC, IPC_SHMAT, id, 0, (long)&attached[0], 0);
	for (int i = 1; i < 3; i++)
		attached[i] = direct(SHMAT, id, 0, 0, 0, 0);
	direct(IPC, IPC_SHMCTL, id, REMOVE, 0, 0);
}

CALL void detach(const long attached[3])
{
	direct(IPC, IPC_SHMDT, 0, 0, 0, attached[0]);
	direct(SHMDT, attached[1], 0, 0, 0, 0);
}

CALL void touch(void)
{
	volatile char *at = (char *)direct(MMAP2, 0, 16 * MIB, READ_WRITE, PRIVATE_ANONYMOUS, -1);

	for (unsigned long i = 0; i < 16 * MIB; i += PAGE)
		at[i] = 1;
}

__attribute__((used)) void begin(const unsigned long *stack)
{
	const unsigned long *at = stack + 1 + stack[0] + 1;
	long attached[3];

	while (*at++)
		; /* the environment; behind it the auxiliary vector */
	for (; at[0]; at += 2) {
		if (at[0] == AT_SYSINFO)
			vsyscall = at[1];
	}
	wait_for_byte();
	if (vsyscall)
		map_through();
	grow(map_direct());
	heap();
	touch();
	wait_for_byte();
	map_old();
	wait_for_byte();
	attach(attached);
	wait_for_byte();
	detach(attached);
	wait_for_byte();
	direct(EXIT, 0, 0, 0, 0, 0);
}

__asm__(".globl _start\n_start:\n\txor %ebp, %ebp\n\tpush %esp\n\tcall begin\n\thlt\n");
