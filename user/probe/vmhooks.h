/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the programs of probe_vm.bpf.c are put: the system calls that change a process's mappings. All rungs
 * see the same calls; which comes first is decided by which one skips events.
 */
#ifndef HB_PROBE_VMHOOKS_H
#define HB_PROBE_VMHOOKS_H

#include <stdbool.h>
#include <stddef.h>

#include "features.h"

struct bpf_object;
struct bpf_link;

enum vm_rung {
	VM_TRACEPOINT, /* syscalls:sys_enter_* and sys_exit_* */
	VM_KPROBE,     /* kprobe and kretprobe */
	VM_FENTRY,     /* fentry and fexit */
	VM_RUNG_END
};

#define VM_HOOKS_MAX 16 /* programs of one rung */

/* @rung, tried once on munmap with a program that does nothing; all of them, by enum vm_rung. */
void vmhooks_try(enum vm_rung rung, struct feature *feature);
void vmhooks_probe(struct feature rungs[VM_RUNG_END]);

/* The order of preference on this kernel: enum vm_rung each. */
void vmhooks_order(enum vm_rung order[VM_RUNG_END]);

/* "tracepoint", "kprobe", "fentry" */
const char *vmhooks_name(enum vm_rung rung);

/* Before @object is loaded: only the programs of @rung are; VM_RUNG_END: none. 0 or negative errno. */
int vmhooks_choose(struct bpf_object *object, enum vm_rung rung);

/* Put them in place. Descriptors that hold them there go to @links, *@count also on failure. 0 or negative errno. */
int vmhooks_attach(struct bpf_object *object, enum vm_rung rung, int links[VM_HOOKS_MAX], size_t *count);

/*
 * The calls of 32-bit programs (x86): raw tracepoints of all system calls, whatever the rung, for only those tell of
 * them. Each system call of the host pays for it: to be in place only while such a program is traced. On failure,
 * negative errno, and where there is nothing of the kind, -EOPNOTSUPP, none is.
 */
#define VM_NARROW_HOOKS 2
void vmhooks_narrow_choose(struct bpf_object *object, bool wanted);
int vmhooks_narrow_attach(struct bpf_object *object, struct bpf_link *links[VM_NARROW_HOOKS]);
void vmhooks_narrow_detach(struct bpf_link *links[VM_NARROW_HOOKS]);

#endif
