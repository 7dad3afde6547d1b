// SPDX-License-Identifier: Apache-2.0
#include "pagehooks.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>

#include "attach.h"
#include "tries.h"

static const struct {
	const char *program;
	enum page_rung pages; /* or */
	enum huge_rung huge;
} programs[] = {
	{ "hb_pages_user", PAGES_RAW_TRACEPOINT, HUGE_RUNG_END },
	{ "hb_pages_kernel", PAGES_RAW_TRACEPOINT, HUGE_RUNG_END },
	{ "hb_pages_fault", PAGES_KPROBE, HUGE_RUNG_END },
	{ "hb_pages_huge", PAGES_RUNG_END, HUGE_KPROBE },
	{ "hb_pages_alloc", PAGES_RUNG_END, HUGE_RAW_TRACEPOINT },
};
#define MOVES "hb_pages_move"
#define PROGRAMS (sizeof(programs) / sizeof(programs[0]))

const char *pagehooks_name(enum page_rung rung)
{
	static const char *const names[] = { "raw_tracepoint", "kprobe", "none" };

	return names[rung];
}

static bool is_chosen(size_t i, enum page_rung pages, enum huge_rung huge)
{
	return (programs[i].pages != PAGES_RUNG_END && programs[i].pages == pages) ||
	       (programs[i].huge != HUGE_RUNG_END && programs[i].huge == huge);
}

void pagehooks_try(enum page_rung rung, struct feature *feature)
{
	*feature = (struct feature){ .name = pagehooks_name(rung) };
	if (rung == PAGES_RAW_TRACEPOINT)
		try_raw_tracepoint(feature, "page_fault_user");
	else
		try_kprobe(feature, "handle_mm_fault");
}

void pagehooks_try_huge(enum huge_rung rung, struct feature *feature)
{
	*feature = (struct feature){ .name = rung == HUGE_KPROBE ? "kprobe" : "raw_tracepoint" };
	if (rung == HUGE_KPROBE)
		return try_kprobe(feature, "do_huge_pmd_anonymous_page");
#if defined(__x86_64__)
	try_raw_tracepoint(feature, "mm_page_alloc");
#else
	feature->tried = true;
	feature_refuse(feature, "how large a thread's stack is, no type tells", -EOPNOTSUPP);
#endif
}

void pagehooks_try_moves(struct feature *feature)
{
	*feature = (struct feature){ .name = "moves of mremap" };
	try_kretprobe(feature, SYSCALL_PREFIX "mremap");
}

void pagehooks_choose(struct bpf_object *object, enum page_rung pages, enum huge_rung huge, bool moves)
{
	bpf_program__set_autoload(bpf_object__find_program_by_name(object, MOVES), moves);
	for (size_t i = 0; i < PROGRAMS; i++) {
		struct bpf_program *program = bpf_object__find_program_by_name(object, programs[i].program);

		if (program)
			bpf_program__set_autoload(program, is_chosen(i, pages, huge));
	}
}

int pagehooks_attach(struct bpf_object *object, enum page_rung pages, enum huge_rung huge,
		     struct bpf_link *links[PAGEHOOKS_MAX], size_t *count)
{
	const size_t before = *count;
	int err;

	for (size_t i = 0; i < PROGRAMS; i++) {
		struct bpf_program *program = bpf_object__find_program_by_name(object, programs[i].program);

		if (!program || !is_chosen(i, pages, huge))
			continue;
		errno = ENOSPC;
		if (*count == PAGEHOOKS_MAX)
			goto fail;
		links[*count] = bpf_program__attach(program);
		if (!links[*count])
			goto fail;
		(*count)++;
	}
	return 0;
fail:
	err = -errno;
	while (*count > before)
		bpf_link__destroy(links[--*count]);
	return err;
}

int pagehooks_attach_moves(struct bpf_object *object, struct bpf_link *links[PAGEHOOKS_MAX], size_t *count)
{
	links[*count] = bpf_program__attach(bpf_object__find_program_by_name(object, MOVES));
	if (!links[*count])
		return -errno;
	(*count)++;
	return 0;
}
