// SPDX-License-Identifier: Apache-2.0
/*
 * Counts how often a command comes to the place that was chosen for each entry point of FILE, and to
 * the entry point's first byte:
 *
 *	hits [--behind FUNCTION BYTES] FILE -- COMMAND [ARGUMENT...]
 *
 * Both are probed in the command's process from its first instruction on. Prints a line for each:
 * function, offset of its entry in FILE, bytes from entry to place, "past" if NULL goes around it or
 * "all", hits of the place with a block and with NULL, hits of the entry, the same two, and "cheap" or
 * "stepped", by what the kernel does with the instruction there. --behind puts the place of FUNCTION
 * elsewhere, for the test of the test. Leaves with the command's status, or 99 where it cannot count.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../bpf/record.h"
#include "../../user/probe/allocators.h"
#include "../../user/probe/attach.h"

#define ROWS_MAX 4096

/* A row of the map: hits with a block, and with NULL. Two rows per entry point: place, entry. */
struct hits {
	uint64_t with, null;
};

static const char *moved;  /* --behind */
static uint64_t moved_by;

static void fail(const char *what, int err)
{
	fprintf(stderr, "hits: %s: %s\n", what, strerror(err));
	exit(99);
}

/* Where struct pt_regs, or what a program sees of it, has C argument @arg. */
static int argument_offset(unsigned int arg)
{
#if defined(__x86_64__)
	static const int offsets[] = { 112, 104, 96, 88, 72, 64 }; /* rdi rsi rdx rcx r8 r9 */

	return offsets[arg - 1];
#else
	return 8 * (int)(arg - 1);
#endif
}

#define INSN(code_, dst, src, off_, imm_) \
	{ .code = (code_), .dst_reg = (dst), .src_reg = (src), .off = (off_), .imm = (imm_) }

/*
 * Count a hit in the row that the cookie names: its second word if argument @arg is NULL, else its
 * first. @arg 0: always the first. @type: of the attachment, 0 for a perf event. Negative on failure.
 */
static int counter_load(int map, unsigned int arg, int type)
{
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = type);
	struct bpf_insn insns[] = {
		INSN(BPF_ALU64 | BPF_MOV | BPF_K, 7, 0, 0, 1),
		INSN(BPF_LDX | BPF_MEM | BPF_DW, 7, 1, argument_offset(arg ? arg : 1), 0),
		INSN(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_get_attach_cookie),
		INSN(BPF_STX | BPF_MEM | BPF_W, 10, 0, -4, 0),
		INSN(BPF_LD | BPF_IMM | BPF_DW, 1, BPF_PSEUDO_MAP_FD, 0, map),
		INSN(0, 0, 0, 0, 0),
		INSN(BPF_ALU64 | BPF_MOV | BPF_X, 2, 10, 0, 0),
		INSN(BPF_ALU64 | BPF_ADD | BPF_K, 2, 0, 0, -4),
		INSN(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_map_lookup_elem),
		INSN(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 4, 0),
		INSN(BPF_JMP | BPF_JNE | BPF_K, 7, 0, 1, 0),
		INSN(BPF_ALU64 | BPF_ADD | BPF_K, 0, 0, 0, 8),
		INSN(BPF_ALU64 | BPF_MOV | BPF_K, 1, 0, 0, 1),
		INSN(BPF_STX | BPF_ATOMIC | BPF_DW, 0, 1, 0, BPF_ADD),
		INSN(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0),
		INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
	};

	if (!arg) /* the verifier wants no two writes without a read between: a jump that goes on */
		insns[1] = (struct bpf_insn)INSN(BPF_JMP | BPF_JA, 0, 0, 0, 0);
	return bpf_prog_load(BPF_PROG_TYPE_KPROBE, "hits", "Dual BSD/GPL", insns, sizeof(insns) / sizeof(insns[0]),
			     &opts);
}

/* What one program is attached to: all places and entries that have their block in the same argument. */
struct batch {
	uint64_t offsets[ROWS_MAX], rows[ROWS_MAX];
	size_t count;
	const char *function; /* one of them */
};

static struct batch batches[8];

static void batch_add(const struct probe_point *point, uint64_t offset, uint64_t row)
{
	struct batch *batch = &batches[HB_COOKIE_GET(point->cookie, HB_COOKIE_PTR_SHIFT, 3)];

	batch->offsets[batch->count] = offset;
	batch->rows[batch->count++] = row;
	batch->function = point->function;
}

/* All at once, or on kernels before 6.6 one after the other. */
static void batch_attach(const struct batch *batch, int map, unsigned int arg, int fd, pid_t pid)
{
	int multi = counter_load(map, arg, ATTACH_UPROBE_MULTI), single, link = -1;

	if (multi >= 0)
		link = attach_multi(multi, ATTACH_UPROBE_MULTI, false, fd, batch->offsets, batch->rows,
				    batch->count, pid);
	if (link >= 0)
		return;
	single = counter_load(map, arg, 0);
	if (single < 0)
		fail("the counter cannot be loaded", errno);
	for (size_t i = 0; i < batch->count; i++) {
		link = attach_perf(single, false, fd, batch->offsets[i], batch->rows[i], pid);
		if (link < 0)
			fail(batch->function, -link);
	}
}

/* A process that waits for a byte from the pipe and then becomes @command. */
static pid_t command_start(char **command, int *go)
{
	int pipes[2];
	pid_t pid;
	char byte;

	if (pipe(pipes))
		fail("pipe", errno);
	pid = fork();
	if (pid < 0)
		fail("fork", errno);
	if (!pid) {
		close(pipes[1]);
		if (read(pipes[0], &byte, 1) != 1)
			_exit(99);
		close(pipes[0]);
		execvp(*command, command);
		_exit(99);
	}
	close(pipes[0]);
	*go = pipes[1];
	return pid;
}

static struct hits hits_of(int map, uint32_t row)
{
	struct hits hits = { 0, 0 };

	if (bpf_map_lookup_elem(map, &row, &hits))
		fail("the counts cannot be read", errno);
	return hits;
}

static uint64_t place_of(const struct probe_point *point)
{
	return moved && !strcmp(point->function, moved) ? point->entry + moved_by : point->offset;
}

static void tell(int map, const struct probe_set *set)
{
	for (uint32_t i = 0; i < set->count; i++) {
		const struct probe_point *point = &set->points[i];
		struct hits place, entry;

		if (point->place == PLACE_RET)
			continue;
		place = hits_of(map, 2 * i);
		entry = hits_of(map, 2 * i + 1);
		printf("%s %llu %llu %s %llu %llu %llu %llu %s\n", point->function, (unsigned long long)point->entry,
		       (unsigned long long)(place_of(point) - point->entry),
		       strstr(point->why, "NULL") ? "past" : "all", (unsigned long long)place.with,
		       (unsigned long long)place.null, (unsigned long long)entry.with, (unsigned long long)entry.null,
		       point->cheap ? "cheap" : "stepped");
	}
}

int main(int argc, char **argv)
{
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	struct probe_set set;
	struct elf_file *file;
	int fd, map, go, status;
	pid_t pid;

	if (argc > 3 && !strcmp(argv[1], "--behind")) {
		moved = argv[2];
		moved_by = strtoul(argv[3], NULL, 0);
		argv += 3;
		argc -= 3;
	}
	if (argc < 4 || strcmp(argv[2], "--"))
		fail("usage", EINVAL);
	setrlimit(RLIMIT_MEMLOCK, &all);
	setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 65536, 65536 });
	fd = open(argv[1], O_RDONLY | O_CLOEXEC);
	if (fd < 0 || elffile_open(&file, fd) || allocators_find(file, &set) || 2 * set.count > ROWS_MAX)
		fail(argv[1], errno);
	map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "hits", sizeof(uint32_t), sizeof(struct hits), ROWS_MAX, NULL);
	if (map < 0)
		fail("the map cannot be made", errno);
	pid = command_start(argv + 3, &go);
	for (size_t i = 0; i < set.count; i++) {
		if (set.points[i].place == PLACE_RET)
			continue;
		batch_add(&set.points[i], place_of(&set.points[i]), 2 * i);
		batch_add(&set.points[i], set.points[i].entry, 2 * i + 1);
	}
	for (unsigned int arg = 0; arg < 8; arg++) {
		if (batches[arg].count)
			batch_attach(&batches[arg], map, arg, fd, pid);
	}
	if (write(go, "g", 1) != 1 || waitpid(pid, &status, 0) != pid)
		fail("the command", errno);
	tell(map, &set);
	probe_set_release(&set);
	elffile_free(file);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 99;
}
