// SPDX-License-Identifier: Apache-2.0
#include "pagehooks.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../base/cleanup.h"
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

#define HUGE_FOLDER "/sys/kernel/mm/transparent_hugepage"

/* The setting in @path, such as "always inherit [madvise] never"; "" if there is none. */
static void read_setting(const char *path, char text[64])
{
	__cleanup(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? 0 : read(fd, text, 63);

	text[got > 0 ? got : 0] = '\0';
}

bool pagehooks_huge_wanted(void)
{
	char text[64];

	read_setting(HUGE_FOLDER "/enabled", text);
	return *text && !strstr(text, "[never]");
}

uint64_t pagehooks_medium_bytes(void)
{
	const bool huge = pagehooks_huge_wanted();
	uint64_t largest = 0;

	for (uint64_t kilobytes = 8; kilobytes < 2048; kilobytes *= 2) {
		char path[128], text[64];

		snprintf(path, sizeof(path), HUGE_FOLDER "/hugepages-%" PRIu64 "kB/enabled", kilobytes);
		read_setting(path, text);
		if (*text && !strstr(text, "[never]") && (huge || !strstr(text, "[inherit]")))
			largest = kilobytes * 1024;
	}
	return largest;
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
	int err;

	*count = 0;
	for (size_t i = 0; i < PROGRAMS && *count < PAGEHOOKS_MAX; i++) {
		struct bpf_program *program = bpf_object__find_program_by_name(object, programs[i].program);

		if (!program || !is_chosen(i, pages, huge))
			continue;
		links[*count] = bpf_program__attach(program);
		if (!links[*count])
			goto fail;
		(*count)++;
	}
	return 0;
fail:
	err = -errno;
	while (*count)
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
