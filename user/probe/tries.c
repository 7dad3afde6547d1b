// SPDX-License-Identifier: Apache-2.0
#include "tries.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../base/cleanup.h"
#include "attach.h"

#define KPROBES "/sys/bus/event_source/devices/kprobe/type"

void feature_refuse(struct feature *feature, const char *what, int err)
{
	feature->works = false;
	snprintf(feature->why, sizeof(feature->why), "%s: %s", what, strerror(-err));
}

/* A program of @type that does nothing. Its descriptor or negative errno. */
static int idle_program(enum bpf_prog_type type, const struct bpf_prog_load_opts *opts)
{
	const struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	int fd = bpf_prog_load(type, "hb_feature", "Dual BSD/GPL", insns, sizeof(insns) / sizeof(insns[0]), opts);

	return fd < 0 ? -errno : fd;
}

/* @program and @link are descriptors or negative errno; @where: "a kprobe on munmap". */
static void judge(struct feature *feature, int program, int link, const char *where)
{
	feature->tried = true;
	feature->works = program >= 0 && link >= 0;
	if (program < 0)
		feature_refuse(feature, "loading a program", program);
	else if (link < 0)
		feature_refuse(feature, where, link);
}

void try_tracepoint(struct feature *feature, const char *group, const char *name)
{
	__cleanup(fd_closep) int tracefs = attach_tracefs();
	__cleanup(fd_closep) int program = idle_program(BPF_PROG_TYPE_TRACEPOINT, NULL);
	__cleanup(fd_closep) int link = -1;
	int64_t id = tracefs < 0 ? tracefs : attach_tracepoint_id(tracefs, group, name);
	char where[96];

	snprintf(where, sizeof(where), "%s %s:%s", id < 0 ? "finding" : "attaching to", group, name);
	if (id >= 0 && program >= 0)
		link = attach_tracepoint(program, (uint64_t)id);
	judge(feature, program, id < 0 ? (int)id : link, tracefs < 0 ? "tracefs" : where);
}

void try_raw_tracepoint(struct feature *feature, const char *name)
{
	__cleanup(fd_closep) int program = idle_program(BPF_PROG_TYPE_RAW_TRACEPOINT, NULL);
	__cleanup(fd_closep) int link = program < 0 ? -1 : bpf_raw_tracepoint_open(name, program);
	char where[96];

	snprintf(where, sizeof(where), "attaching to %s", name);
	judge(feature, program, link < 0 ? -errno : link, where);
}

static void try_function(struct feature *feature, bool returns, const char *function)
{
	__cleanup(fd_closep) int program = idle_program(BPF_PROG_TYPE_KPROBE, NULL);
	__cleanup(fd_closep) int link = program < 0 ? -1 : attach_kprobe(program, returns, function);
	char where[96];

	snprintf(where, sizeof(where), "a %s on %s", returns ? "kretprobe" : "kprobe", function);
	if (link == -ENOENT && access(KPROBES, R_OK))
		snprintf(where, sizeof(where), KPROBES);
	judge(feature, program, link, where);
}

void try_kprobe(struct feature *feature, const char *function)
{
	try_function(feature, false, function);
}

void try_kretprobe(struct feature *feature, const char *function)
{
	try_function(feature, true, function);
}

void try_fexit(struct feature *feature, const char *function)
{
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = BPF_TRACE_FEXIT);
	__cleanup(fd_closep) int program = -1;
	__cleanup(fd_closep) int link = -1;
	int id = libbpf_find_vmlinux_btf_id(function, BPF_TRACE_FEXIT);
	char where[96];

	feature->tried = true;
	snprintf(where, sizeof(where), "finding %s", function);
	if (id < 0)
		return feature_refuse(feature, where, id);
	opts.attach_btf_id = (uint32_t)id;
	program = idle_program(BPF_PROG_TYPE_TRACING, &opts);
	link = program < 0 ? -1 : attach_traced(program);
	judge(feature, program, link, "attaching it");
}
