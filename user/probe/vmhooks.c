// SPDX-License-Identifier: Apache-2.0
#include "vmhooks.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../base/cleanup.h"
#include "attach.h"
#include "tries.h"

/* Programs are called hb_vm_<short>_<rung><side>: rung t, k or f; side e (entry) or x (return). */
static const struct {
	const char *prefix; /* hb_vm_<short>_ */
	const char *call;
} calls[] = {
	{ "hb_vm_mmap_", "mmap" },   { "hb_vm_unmap_", "munmap" },  { "hb_vm_remap_", "mremap" },
	{ "hb_vm_brk_", "brk" },     { "hb_vm_shmat_", "shmat" },   { "hb_vm_shmdt_", "shmdt" },
	{ "hb_vm_prot_", "mprotect" }, { "hb_vm_pkey_", "pkey_mprotect" },
};

static const char letters[] = { [VM_TRACEPOINT] = 't', [VM_KPROBE] = 'k', [VM_FENTRY] = 'f' };

/* The system call that the program @name is for, NULL: it is not one of probe_vm.bpf.c. */
static const char *call_of(const char *name)
{
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		if (!strncmp(name, calls[i].prefix, strlen(calls[i].prefix)))
			return calls[i].call;
	}
	return NULL;
}

/* Calls that a kernel may be built without: nobody can make them there. */
static bool may_lack(const char *call)
{
	static const char *const optional[] = { "pkey_mprotect", "shmat", "shmdt" };

	for (size_t i = 0; i < sizeof(optional) / sizeof(optional[0]); i++) {
		if (!strcmp(call, optional[i]))
			return true;
	}
	return false;
}

static bool on_rung(const char *name, enum vm_rung rung)
{
	return rung != VM_RUNG_END && name[strlen(name) - 2] == letters[rung];
}

static bool on_return(const char *name)
{
	return name[strlen(name) - 1] == 'x';
}

const char *vmhooks_name(enum vm_rung rung)
{
	static const char *const names[] = { "tracepoint", "kprobe", "fentry" };

	return rung < VM_RUNG_END ? names[rung] : "none";
}

/*
 * Tracepoints first: a kretprobe may run out of instances. From 7.0 on they can be preempted, and then skip
 * what other tasks do on that CPU meanwhile; no type in BTF tells. fentry and fexit skip so on every
 * preemptible kernel.
 */
void vmhooks_order(enum vm_rung order[VM_RUNG_END])
{
	const bool skips = features_since(7, 0);

	order[0] = skips ? VM_KPROBE : VM_TRACEPOINT;
	order[1] = skips ? VM_TRACEPOINT : VM_KPROBE;
	order[2] = VM_FENTRY;
}

int vmhooks_choose(struct bpf_object *object, enum vm_rung rung)
{
	struct bpf_program *program;
	int err = 0;

	bpf_object__for_each_program(program, object) {
		const char *name = bpf_program__name(program), *call = call_of(name);
		char target[64];

		if (!call)
			continue;
		bpf_program__set_autoload(program, on_rung(name, rung));
		if (rung != VM_FENTRY || !on_rung(name, rung))
			continue;
		snprintf(target, sizeof(target), SYSCALL_PREFIX "%s", call);
		err = bpf_program__set_attach_target(program, 0, target);
		if (err && may_lack(call))
			err = bpf_program__set_autoload(program, false);
		if (err)
			return err;
	}
	return err;
}

/* A descriptor or negative errno. */
static int attach(const struct bpf_program *program, enum vm_rung rung, int tracefs, const char *call)
{
	const bool returns = on_return(bpf_program__name(program));
	const int prog = bpf_program__fd(program);
	char target[64];
	int64_t id;

	switch (rung) {
	case VM_TRACEPOINT:
		snprintf(target, sizeof(target), "sys_%s_%s", returns ? "exit" : "enter", call);
		id = attach_tracepoint_id(tracefs, "syscalls", target);
		return id < 0 ? (int)id : attach_tracepoint(prog, id);
	case VM_KPROBE:
		snprintf(target, sizeof(target), SYSCALL_PREFIX "%s", call);
		return attach_kprobe(prog, returns, target);
	default:
		return attach_traced(prog);
	}
}

int vmhooks_attach(struct bpf_object *object, enum vm_rung rung, int links[VM_HOOKS_MAX], size_t *count)
{
	__cleanup(fd_closep) int tracefs = rung == VM_TRACEPOINT ? attach_tracefs() : -1;
	struct bpf_program *program;

	*count = 0;
	bpf_object__for_each_program(program, object) {
		const char *name = bpf_program__name(program), *call = call_of(name);
		int link;

		if (!call || !on_rung(name, rung) || *count == VM_HOOKS_MAX)
			continue;
		if (bpf_program__fd(program) < 0)
			continue;
		link = attach(program, rung, tracefs, call);
		if (link == -ENOENT && may_lack(call))
			continue;
		if (link < 0)
			return link;
		links[(*count)++] = link;
	}
	return 0;
}

static const char *const narrow_programs[VM_NARROW_HOOKS] = { "hb_narrow_enter", "hb_narrow_exit" };

void vmhooks_narrow_choose(struct bpf_object *object, bool wanted)
{
	for (size_t i = 0; i < VM_NARROW_HOOKS; i++) {
		struct bpf_program *program = bpf_object__find_program_by_name(object, narrow_programs[i]);

		if (program)
			bpf_program__set_autoload(program, wanted);
	}
}

int vmhooks_narrow_attach(struct bpf_object *object, struct bpf_link *links[VM_NARROW_HOOKS])
{
	for (size_t i = VM_NARROW_HOOKS; i-- > 0;) {
		struct bpf_program *program = bpf_object__find_program_by_name(object, narrow_programs[i]);

		links[i] = program ? bpf_program__attach(program) : NULL;
		if (!links[i]) {
			int err = program ? -errno : -EOPNOTSUPP;

			vmhooks_narrow_detach(links);
			return err;
		}
	}
	return 0;
}

void vmhooks_narrow_detach(struct bpf_link *links[VM_NARROW_HOOKS])
{
	for (size_t i = 0; i < VM_NARROW_HOOKS; i++) {
		bpf_link__destroy(links[i]);
		links[i] = NULL;
	}
}

void vmhooks_try(enum vm_rung rung, struct feature *feature)
{
	*feature = (struct feature){ .name = vmhooks_name(rung) };
	switch (rung) {
	case VM_TRACEPOINT:
		return try_tracepoint(feature, "syscalls", "sys_enter_munmap");
	case VM_KPROBE:
		return try_kretprobe(feature, SYSCALL_PREFIX "munmap");
	default:
		return try_fexit(feature, SYSCALL_PREFIX "munmap");
	}
}

void vmhooks_probe(struct feature rungs[VM_RUNG_END])
{
	for (int i = 0; i < VM_RUNG_END; i++)
		vmhooks_try(i, &rungs[i]);
}
