// SPDX-License-Identifier: Apache-2.0
/*
 * The floor of the bench: empty programs at the places that heldby would probe, by the same kinds of link.
 *
 * floor malloc RUNG PID FILE: on malloc (entry and return) and free of one process; RUNG is one of heldby's,
 * or "skip": a session whose entry asks for no return, the floor of sampling.
 * floor faults: on the tracepoints of page faults, of the whole node.
 * Says "ready", then holds the probes until its stdin ends.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../user/probe/allocators.h"
#include "../../user/probe/attach.h"
#include "../../user/probe/features.h"

struct floor {
	enum rung rung;
	int result; /* of the program at entry; a session skips the return for 1 */
	int file_fd;
	pid_t pid;
};

static int fail(const char *what, int err)
{
	fprintf(stderr, "floor: %s: %s\n", what, strerror(-err));
	return 1;
}

/* Descriptor of a program that returns @result and does nothing else, or negative errno. */
static int empty_program(enum bpf_prog_type type, int attach_type, int result)
{
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = attach_type);
	const struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = result },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	int fd = bpf_prog_load(type, "floor", "Dual BSD/GPL", insns, 2, &opts);

	return fd < 0 ? -errno : fd;
}

static int put(const struct floor *floor, int type, bool returns, uint64_t offset)
{
	uint64_t cookie = 0;
	int prog = empty_program(BPF_PROG_TYPE_KPROBE, type, type == ATTACH_UPROBE_SESSION ? floor->result : 0);

	if (prog < 0)
		return prog;
	if (floor->rung == RUNG_PERF)
		return attach_perf(prog, returns, floor->file_fd, offset, cookie, floor->pid);
	return attach_multi(prog, type, returns, floor->file_fd, &offset, &cookie, 1, floor->pid);
}

/* What heldby puts there: at the return first, then at the entry. 0 or negative errno. */
static int put_call(const struct floor *floor, uint64_t offset)
{
	int type = floor->rung == RUNG_MULTI ? ATTACH_UPROBE_MULTI : 0, err;

	if (floor->rung == RUNG_SESSION)
		return put(floor, ATTACH_UPROBE_SESSION, false, offset);
	err = put(floor, type, true, offset);
	return err < 0 ? err : put(floor, type, false, offset);
}

static int put_points(const struct floor *floor, const struct probe_set *set)
{
	int type = floor->rung == RUNG_PERF ? 0 : ATTACH_UPROBE_MULTI, err = -ENOENT;

	for (size_t i = 0; i < set->count; i++) {
		const struct probe_point *point = &set->points[i];

		if (!strcmp(point->function, "malloc"))
			err = point->place == PLACE_CALL ? put_call(floor, point->offset) : -EINVAL;
		else if (!strcmp(point->function, "free"))
			err = put(floor, type, false, point->offset);
		else
			continue;
		if (err < 0)
			return err;
	}
	return err < 0 ? err : 0;
}

static int floor_malloc(char **argv)
{
	struct floor floor = { .rung = RUNG_END, .pid = strtol(argv[1], NULL, 10) };
	struct features features;
	struct elf_file *file;
	struct probe_set set;
	int err;

	features_probe(&features, true);
	for (int i = 0; i < RUNG_END; i++)
		if (!strcmp(features.rungs[i].name, argv[0]))
			floor.rung = i;
	if (!strcmp(argv[0], "skip")) {
		floor.rung = RUNG_SESSION;
		floor.result = 1;
	}
	if (floor.rung == RUNG_END)
		return 2;
	if (!features.rungs[floor.rung].works) {
		fprintf(stderr, "floor: %s\n", features.rungs[floor.rung].why);
		return 1;
	}
	floor.file_fd = open(argv[2], O_RDONLY | O_CLOEXEC);
	if (floor.file_fd < 0)
		return fail(argv[2], -errno);
	err = elffile_open(&file, floor.file_fd);
	if (!err)
		err = allocators_find(file, &set);
	if (!err)
		err = put_points(&floor, &set);
	return err ? fail(argv[2], err) : 0;
}

static int floor_faults(void)
{
	static const char *const names[] = { "page_fault_user", "page_fault_kernel" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		int prog = empty_program(BPF_PROG_TYPE_RAW_TRACEPOINT, 0, 0);

		if (prog < 0)
			return fail("an empty program", prog);
		if (bpf_raw_tracepoint_open(names[i], prog) < 0)
			return fail(names[i], -errno);
	}
	return 0;
}

int main(int argc, char **argv)
{
	char line[16];
	int status = 2;

	if (argc == 5 && !strcmp(argv[1], "malloc"))
		status = floor_malloc(argv + 2);
	else if (argc == 2 && !strcmp(argv[1], "faults"))
		status = floor_faults();
	if (status)
		return status;
	dprintf(STDOUT_FILENO, "ready\n");
	while (read(STDIN_FILENO, line, sizeof(line)) > 0)
		continue;
	return 0;
}
