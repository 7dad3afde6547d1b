// SPDX-License-Identifier: Apache-2.0
#include "features.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "../base/cleanup.h"
#include "attach.h"
#include "tries.h"

bool features_since(unsigned int major, unsigned int minor)
{
	unsigned int is_major, is_minor;
	struct utsname name;

	if (uname(&name) || sscanf(name.release, "%u.%u", &is_major, &is_minor) != 2)
		return true;
	return is_major > major || (is_major == major && is_minor >= minor);
}

/* The function our smallest programs are put on. */
__attribute__((noinline, used, noclone)) static void probed_function(void)
{
	asm volatile("" ::: "memory");
}

static void *probed_thread(void *unused)
{
	(void)unused;
	probed_function();
	return NULL;
}

/* File offset of @address in our own executable, or 0. */
static uint64_t own_offset(uintptr_t address)
{
	__cleanup(file_closep) FILE *maps = fopen("/proc/self/maps", "re");
	unsigned long start, end, offset;
	char line[512];

	while (maps && fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%lx-%lx %*s %lx", &start, &end, &offset) == 3 && address >= start && address < end)
			return address - start + offset;
	}
	return 0;
}

/* A program that adds 1 to the array's only value and returns @result. Its descriptor or negative errno. */
static int counting_program(int map_fd, int attach_type, unsigned int flags, int result)
{
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = attach_type, .prog_flags = flags);
	const struct bpf_insn insns[] = {
		{ .code = BPF_LD | BPF_DW | BPF_IMM, .dst_reg = BPF_REG_1, .src_reg = BPF_PSEUDO_MAP_VALUE,
		  .imm = map_fd },
		{ 0 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_2, .imm = 1 },
		{ .code = BPF_STX | BPF_ATOMIC | BPF_DW, .dst_reg = BPF_REG_1, .src_reg = BPF_REG_2, .imm = BPF_ADD },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = result },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_KPROBE, "hb_feature", "Dual BSD/GPL", insns,
			       sizeof(insns) / sizeof(insns[0]), &opts);

	return fd < 0 ? -errno : fd;
}

static int attach_on(enum rung rung, int prog_fd, int file_fd, uint64_t offset)
{
	uint64_t cookie = 1;

	if (rung == RUNG_PERF)
		return attach_perf(prog_fd, false, file_fd, offset, cookie, getpid());
	return attach_multi(prog_fd, rung == RUNG_SESSION ? ATTACH_UPROBE_SESSION : ATTACH_UPROBE_MULTI, false,
			    file_fd, &offset, &cookie, 1, getpid());
}

/* Attach to ourselves and call the function from two threads: both must be seen, and once each. */
static void try_rung(struct feature *feature, enum rung rung, unsigned int flags)
{
	static const int types[] = { ATTACH_UPROBE_SESSION, ATTACH_UPROBE_MULTI, 0 };
	__cleanup(fd_closep) int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	__cleanup(fd_closep) int map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "hb_feature", 4, 8, 1, NULL);
	__cleanup(fd_closep) int prog = -1;
	__cleanup(fd_closep) int link = -1;
	uint64_t hits = 0;
	uint32_t zero = 0;
	pthread_t thread;

	feature->tried = true;
	if (map < 0)
		return feature_refuse(feature, "creating a map", -errno);
	/* 1: a session's return need not be trapped. */
	prog = counting_program(map, types[rung], flags, rung == RUNG_SESSION);
	if (prog < 0)
		return feature_refuse(feature, "loading a program", prog);
	link = attach_on(rung, prog, file, own_offset((uintptr_t)probed_function));
	if (link < 0)
		return feature_refuse(feature, "attaching it", link);
	if (pthread_create(&thread, NULL, probed_thread, NULL))
		return feature_refuse(feature, "starting a thread", -EAGAIN);
	pthread_join(thread, NULL);
	probed_function();
	if (bpf_map_lookup_elem(map, &zero, &hits))
		return feature_refuse(feature, "reading a map", -errno);
	feature->works = hits == 2;
	if (!feature->works)
		snprintf(feature->why, sizeof(feature->why),
			 "with a process given it saw %llu of 2 threads (kernels before 6.10)",
			 (unsigned long long)hits);
}

static void try_task_storage(struct feature *feature)
{
	int has = libbpf_probe_bpf_helper(BPF_PROG_TYPE_KPROBE, BPF_FUNC_task_storage_get, NULL);

	feature->tried = true;
	feature->works = has == 1;
	if (has != 1)
		feature_refuse(feature, "not in uprobe programs", has < 0 ? has : -EOPNOTSUPP);
}

/* What the unwinder calls; both came with 5.17. */
static void try_unwinding(struct feature *feature)
{
	static const struct {
		enum bpf_func_id helper;
		const char *name;
	} needed[] = { { BPF_FUNC_loop, "bpf_loop" }, { BPF_FUNC_find_vma, "bpf_find_vma" } };

	feature->tried = true;
	feature->works = true;
	for (size_t i = 0; feature->works && i < sizeof(needed) / sizeof(needed[0]); i++) {
		int has = libbpf_probe_bpf_helper(BPF_PROG_TYPE_KPROBE, needed[i].helper, NULL);

		if (has != 1)
			feature_refuse(feature, needed[i].name, has < 0 ? has : -EOPNOTSUPP);
	}
}

static void try_btf(struct features *features)
{
	struct btf *btf = btf__load_vmlinux_btf();

	features->btf.tried = true;
	features->btf.works = btf != NULL;
	if (!btf)
		feature_refuse(&features->btf, "/sys/kernel/btf/vmlinux", -errno);
	features->views = btf && btf__find_by_name_kind(btf, "bpf_rdonly_cast", BTF_KIND_FUNC) > 0;
	btf__free(btf);
}

static void try_rungs(struct features *features, bool all)
{
	static const char *const names[] = { "uprobe.session", "uprobe.multi", "uprobe" };

	features->best = RUNG_END;
	for (int i = 0; i < RUNG_END; i++) {
		features->rungs[i].name = names[i];
		if (features->best == RUNG_END || all)
			try_rung(&features->rungs[i], i, 0);
		if (features->rungs[i].works && features->best == RUNG_END)
			features->best = i;
	}
}

void features_probe(struct features *features, bool all)
{
	memset(features, 0, sizeof(*features));
	try_rungs(features, all);
	features->sleepable.name = "sleepable programs";
	features->task_storage.name = "task storage";
	features->btf.name = "kernel types (BTF)";
	if (features->best != RUNG_END)
		try_rung(&features->sleepable, features->best, BPF_F_SLEEPABLE);
	else
		snprintf(features->sleepable.why, sizeof(features->sleepable.why), "no uprobe to try it with");
	features->unwinding.name = "unwinding by .eh_frame";
	try_task_storage(&features->task_storage);
	try_unwinding(&features->unwinding);
	try_btf(features);
}
