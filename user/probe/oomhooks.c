// SPDX-License-Identifier: Apache-2.0
#include "oomhooks.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../base/cleanup.h"
#include "tries.h"

#define FUNCTION "out_of_memory"
#define ON_EVERY OOM_RUNG_END /* rung of programs that do not depend on it */

/* In the order in which they are put: returns before entries, the search before the mark, and that last. */
static const struct {
	const char *program;
	enum oom_rung rung;
	const char *type; /* of the tracepoint, in BTF; NULL: every kernel has it */
} programs[] = {
	{ "hb_oom_exit", OOM_KPROBE, NULL },
	{ "hb_oom_enter", OOM_KPROBE, NULL },
	{ "hb_oom_exit_f", OOM_FENTRY, NULL },
	{ "hb_oom_enter_f", OOM_FENTRY, NULL },
	{ "hb_oom_freed", ON_EVERY, "btf_trace_exit_mmap" },
	{ "hb_oom_exiting", ON_EVERY, NULL },
	{ "hb_oom_begins", ON_EVERY, NULL },
	{ "hb_oom_forking", ON_EVERY, NULL },
	{ "hb_oom_deliver", ON_EVERY, NULL },
	{ "hb_oom_sig", ON_EVERY, NULL },
	{ "hb_oom_scan", OOM_STACK, NULL },
	{ "hb_oom_mark", ON_EVERY, NULL },
};
#define PROGRAMS (sizeof(programs) / sizeof(programs[0]))

static const char *const maps[] = {
	"hb_oom_ring", "hb_oom_marked", "hb_oom_armed", "hb_oom_mms", "hb_oom_rooms", "hb_oom_calls", "hb_oom_places",
	"hb_oom_threads", "hb_oom_commands", "hb_oom_blank",
};

struct oomhooks_walk {
	struct bpf_link *link;
	struct hb_oom_task *tasks;
	size_t bytes; /* of them */
};

const char *oomhooks_name(enum oom_rung rung)
{
	static const char *const names[] = { "kprobe", "fentry", "stack", "none" };

	return names[rung];
}

/* The search stands behind the two rungs above it: where those skip a kill it does not. */
static bool is_chosen(size_t i, enum oom_rung rung)
{
	if (programs[i].rung == ON_EVERY || programs[i].rung == rung)
		return true;
	return programs[i].rung == OOM_STACK && rung != OOM_RUNG_END;
}

static bool has_type(const struct btf *btf, const char *type)
{
	return btf && btf__find_by_name_kind(btf, type, BTF_KIND_TYPEDEF) > 0;
}

bool oomhooks_works(void)
{
	struct btf *btf = btf__load_vmlinux_btf();
	bool works = has_type(btf, "btf_trace_mark_victim");

	btf__free(btf);
	return works;
}

/* "___GFP_DMA_BIT" for "__GFP_DMA" */
static bool names_bit(const char *enumerator, const char *bit)
{
	size_t length = strlen(bit);

	return enumerator[0] == '_' && !strncmp(enumerator + 1, bit, length) &&
	       !strcmp(enumerator + 1 + length, "_BIT");
}

bool oomhooks_gfp_bits(uint32_t bit_of[GFP_NAMED_BITS])
{
	struct btf *btf = btf__load_vmlinux_btf();
	bool found = false;

	for (unsigned int i = 0; i < GFP_NAMED_BITS; i++)
		bit_of[i] = 32;
	for (uint32_t id = 1; btf && !found && id < btf__type_cnt(btf); id++) {
		const struct btf_type *type = btf__type_by_id(btf, id);

		if (!btf_is_enum(type))
			continue;
		for (uint16_t j = 0; j < btf_vlen(type); j++) {
			const char *name = btf__name_by_offset(btf, btf_enum(type)[j].name_off);

			if (strncmp(name, "___GFP_", 7))
				break; /* not that one */
			found = true;
			for (unsigned int i = 0; i < GFP_NAMED_BITS; i++) {
				if (names_bit(name, gfp_bit_name(i)))
					bit_of[i] = (uint32_t)btf_enum(type)[j].val;
			}
		}
	}
	btf__free(btf);
	return found;
}

static void try_stack(struct feature *feature)
{
#if defined(__x86_64__)
	feature->works = true;
#else
	feature_refuse(feature, "how large a thread's stack is, no type tells", -EOPNOTSUPP);
#endif
}

void oomhooks_probe(struct feature rungs[OOM_RUNG_END])
{
	memset(rungs, 0, OOM_RUNG_END * sizeof(*rungs));
	for (int i = 0; i < OOM_RUNG_END; i++) {
		rungs[i].name = oomhooks_name(i);
		rungs[i].tried = true;
	}
	try_kprobe(&rungs[OOM_KPROBE], FUNCTION);
	try_fexit(&rungs[OOM_FENTRY], FUNCTION);
	try_stack(&rungs[OOM_STACK]);
}

void oomhooks_choose(struct bpf_object *object, bool on, enum oom_rung rung)
{
	struct btf *btf = on ? btf__load_vmlinux_btf() : NULL;
	struct bpf_program *program;

	for (size_t i = 0; i < PROGRAMS; i++) {
		program = bpf_object__find_program_by_name(object, programs[i].program);
		if (program)
			bpf_program__set_autoload(program, on && is_chosen(i, rung) &&
						  (!programs[i].type || has_type(btf, programs[i].type)));
	}
	program = bpf_object__find_program_by_name(object, "hb_oom_tasks");
	if (program)
		bpf_program__set_autoload(program, on);
	for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]); i++)
		bpf_map__set_autocreate(bpf_object__find_map_by_name(object, maps[i]), on);
	btf__free(btf);
}

int oomhooks_attach(struct bpf_object *object, enum oom_rung rung, struct bpf_link *links[OOMHOOKS_MAX],
		    size_t *count)
{
	*count = 0;
	for (size_t i = 0; i < PROGRAMS && *count < OOMHOOKS_MAX; i++) {
		struct bpf_program *program = bpf_object__find_program_by_name(object, programs[i].program);

		if (!program || !is_chosen(i, rung) || bpf_program__fd(program) < 0)
			continue;
		links[*count] = bpf_program__attach(program);
		if (!links[*count])
			return -errno;
		(*count)++;
	}
	return 0;
}

struct oomhooks_walk *oomhooks_walk_new(struct bpf_object *object, size_t max_tasks)
{
	struct bpf_program *program = bpf_object__find_program_by_name(object, "hb_oom_tasks");
	struct oomhooks_walk *walk = calloc(1, sizeof(*walk));

	if (!walk)
		return NULL;
	walk->bytes = max_tasks * sizeof(*walk->tasks);
	walk->link = bpf_program__attach_iter(program, NULL);
	walk->tasks = mmap(NULL, walk->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1,
			   0);
	if (walk->link && walk->tasks != MAP_FAILED) {
		mlock(walk->tasks, walk->bytes); /* where that is not allowed it may have to be swapped in */
		return walk;
	}
	oomhooks_walk_free(walk);
	return NULL;
}

void oomhooks_walk_free(struct oomhooks_walk *walk)
{
	if (!walk)
		return;
	bpf_link__destroy(walk->link);
	if (walk->tasks && walk->tasks != MAP_FAILED)
		munmap(walk->tasks, walk->bytes);
	free(walk);
}

int oomhooks_walk(struct oomhooks_walk *walk, const struct hb_oom_task **tasks, size_t *count)
{
	__cleanup(fd_closep) int fd = bpf_iter_create(bpf_link__fd(walk->link));
	size_t filled = 0;
	ssize_t got = fd < 0 ? -1 : 1;
	int err = fd < 0 ? -errno : 0;
	char more;

	while (got > 0 && filled < walk->bytes) {
		got = read(fd, (char *)walk->tasks + filled, walk->bytes - filled);
		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			got = 1; /* it wants to be asked again */
		else if (got < 0)
			err = -errno;
		else
			filled += got;
	}
	if (!err && filled == walk->bytes && read(fd, &more, sizeof(more)) > 0)
		err = -E2BIG;
	*tasks = walk->tasks;
	*count = filled / sizeof(*walk->tasks);
	return err;
}
