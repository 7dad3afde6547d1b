// SPDX-License-Identifier: Apache-2.0
/*
 * A kill as people on call read it: what happened first, then whom it met, whose limit it was, who asked, and
 * what held the memory.
 */
#include "postmortem.h"

#include <string.h>

#include "../base/clock.h"
#include "../base/text.h"
#include "../model/gfp.h"
#include "human.h"
#include "postmortem_text.h"
#include "words.h"

static void title(struct human *h, const char *text)
{
	fputc('\n', h->out);
	human_print(h, COLOR_TITLE, "%s:", text);
	fputc(' ', h->out);
}

static void print_head(struct human *h, const struct postmortem *pm)
{
	char time[32];

	human_print(h, COLOR_TITLE, "heldby");
	fputs("  ", h->out);
	human_text(h, COLOR_TITLE, pm->host ? pm->host : "-", 0);
	clock_rfc3339(pm->time_unix_ns, time);
	fprintf(h->out, "  %s  ", time);
	human_print(h, COLOR_BAD, "out of memory");
	if (pm->sequence)
		fprintf(h->out, ", kill %llu", (unsigned long long)pm->sequence);
	if (pm->group)
		fprintf(h->out, " (after kill %llu)", (unsigned long long)pm->group);
	if (pm->kernel) {
		fputs("  kernel ", h->out);
		human_text(h, COLOR_NONE, pm->kernel, 0);
	}
	fputs("\n\n", h->out);
}

static void print_verdict(struct human *h, const struct postmortem *pm)
{
	struct postmortem_verdict verdict;
	size_t i;

	postmortem_judge(pm, &verdict);
	for (i = 0; i < verdict.count; i++) {
		human_print(h, i ? COLOR_NONE : COLOR_STRONG, "%s", verdict.sentences[i]);
		fputc('\n', h->out);
	}
}

/* "anonymous 612.0 MiB, file 20.1 MiB, swap -" */
static void print_amounts(struct human *h, const char *const *names, const uint64_t *bytes, size_t count)
{
	char text[16];
	size_t i;

	for (i = 0; i < count; i++)
		fprintf(h->out, "%s%s %s", i ? ", " : "", names[i],
			bytes[i] == POSTMORTEM_UNKNOWN ? "-" : text_bytes(bytes[i], text));
}

static void print_victim_memory(struct human *h, const struct postmortem *pm)
{
	static const char *const names[] = { "anonymous", "file", "shared", "swap", "page tables", "address space" };
	uint64_t bytes[] = { pm->victim.anon_rss_bytes, pm->victim.file_rss_bytes, pm->victim.shmem_rss_bytes,
			     pm->victim.swap_bytes, pm->victim.pgtables_bytes, pm->victim.total_vm_bytes };

	fputs("  ", h->out);
	print_amounts(h, names, bytes, 6);
	if (pm->victim.approximate)
		human_print(h, COLOR_WARN, " (the kernel's rough numbers, may be too low)");
	fputc('\n', h->out);
}

static void print_victim_times(struct human *h, const struct postmortem *pm)
{
	char time[32], seconds[16];
	const char *gap = "  ";

	if (pm->victim.start_unix_ns) {
		clock_rfc3339(pm->victim.start_unix_ns, time);
		fprintf(h->out, "%sstarted %s", gap, time);
		gap = ", ";
	}
	if (pm->victim.lifetime_ns != POSTMORTEM_UNKNOWN) {
		text_seconds((double)pm->victim.lifetime_ns / 1e9, seconds);
		fprintf(h->out, "%slived %s", gap, seconds);
		gap = ", ";
	}
	if (pm->victim.freed_ns != POSTMORTEM_UNKNOWN) {
		fprintf(h->out, "%smemory back after %s ms", gap,
			words_decimal((double)pm->victim.freed_ns / 1e6, time));
		gap = ", ";
	}
	if (*gap == ',')
		fputc('\n', h->out);
}

static void print_line(struct human *h, const char *name, const char *text)
{
	if (!text)
		return;
	fprintf(h->out, "  %s", name);
	human_text(h, COLOR_NONE, text, h->style->verbose || !h->style->width ? 0 : h->style->width - 12);
	fputc('\n', h->out);
}

static void print_command(struct human *h, const struct postmortem *pm)
{
	const char *how = pm->victim.cmdline_how;

	print_line(h, "command ", pm->victim.cmdline);
	if (how)
		human_print(h, COLOR_DIM, "    (%s)\n", !strcmp(how, "part") ?
			    "its beginning: no more could be read" : "as it was earlier: it could not be read");
}

/* What to ask the runtime and the kubelet for; whole, however narrow the terminal is. */
static void print_identity(struct human *h, const struct container_info *container)
{
	fputs("  id ", h->out);
	human_text(h, COLOR_NONE, container->id, 0);
	if (*container->runtime) {
		fputs(" of ", h->out);
		human_text(h, COLOR_NONE, container->runtime, 0);
	}
	if (*container->pod_uid) {
		fputs(", pod uid ", h->out);
		human_text(h, COLOR_NONE, container->pod_uid, 0);
	}
	fputc('\n', h->out);
}

static void print_container(struct human *h, const struct container_info *container)
{
	char name[CONTAINER_TITLE_BYTES];

	if (!container)
		return;
	fputs("  container ", h->out);
	human_text(h, COLOR_STRONG, container_title(container, name), 0);
	if (*container->namespace) {
		fputs(", namespace ", h->out);
		human_text(h, COLOR_NONE, container->namespace, 0);
	}
	if (*container->image) {
		fputs(", image ", h->out);
		human_text(h, COLOR_NONE, container->image, 0);
	}
	fputc('\n', h->out);
	print_identity(h, container);
}

#define FRAMES_SHOWN 4 /* of a thread */

/* "    16044 pool-1: __GI___futex_wait < Unsafe_Park < ..." */
static void print_thread(struct human *h, const struct postmortem_thread *thread)
{
	size_t i;

	fprintf(h->out, "    %u ", thread->thread);
	human_text(h, COLOR_STRONG, thread->comm, 0);
	fputs(thread->frames_count ? ": " : "", h->out);
	for (i = 0; i < thread->frames_count && i < FRAMES_SHOWN; i++) {
		struct board_row one = { .frames = &thread->frames[i], .frames_count = 1 };
		char name[128];

		fputs(i ? " < " : "", h->out);
		human_text(h, COLOR_NONE, postmortem_site_name(&one, name, sizeof(name)), 0);
	}
	fputs(i < thread->frames_count ? " < ...\n" : "\n", h->out);
}

static void print_threads(struct human *h, const struct postmortem *pm)
{
	size_t i;

	if (pm->victim.threads_shown)
		fputs("  its threads as they were killed:\n", h->out);
	for (i = 0; i < pm->victim.threads_shown; i++)
		print_thread(h, &pm->victim.threads[i]);
}

static void print_owner(struct human *h, const struct postmortem *pm)
{
	if (pm->victim.uid == POSTMORTEM_UNKNOWN)
		fputs(", uid -", h->out);
	else
		fprintf(h->out, ", uid %llu", (unsigned long long)pm->victim.uid);
	if (pm->victim.oom_score_adj == POSTMORTEM_ADJ_UNKNOWN)
		fputs(", oom_score_adj -", h->out);
	else
		fprintf(h->out, ", oom_score_adj %d", pm->victim.oom_score_adj);
}

static void print_victim(struct human *h, const struct postmortem *pm)
{
	char number[32];

	title(h, "Victim");
	human_text(h, COLOR_TITLE, pm->victim.comm, 0);
	fprintf(h->out, " %u", pm->victim.pid);
	if (pm->victim.thread != pm->victim.pid)
		fprintf(h->out, ", thread %u", pm->victim.thread);
	if (pm->victim.container_pid)
		fprintf(h->out, ", %u in its container", pm->victim.container_pid);
	if (pm->victim.threads_count)
		fprintf(h->out, ", %u thread%s", pm->victim.threads_count, pm->victim.threads_count == 1 ? "" : "s");
	print_owner(h, pm);
	if (pm->victim.badness_pages != POSTMORTEM_UNKNOWN)
		fprintf(h->out, ", badness %s pages", words_number(pm->victim.badness_pages, number));
	fputc('\n', h->out);
	print_container(h, pm->victim.container);
	print_line(h, "cgroup ", pm->victim.cgroup);
	print_command(h, pm);
	print_victim_memory(h, pm);
	print_victim_times(h, pm);
	print_threads(h, pm);
}

static void print_stat(struct human *h, const struct postmortem *pm)
{
	static const char *const names[] = { "anon", "file", "shmem", "kernel_stack", "slab", "pagetables", "sock" };
	uint64_t bytes[] = { pm->domain.stat_anon, pm->domain.stat_file, pm->domain.stat_shmem,
			     pm->domain.stat_kernel_stack, pm->domain.stat_slab, pm->domain.stat_pagetables,
			     pm->domain.stat_sock };

	if (!pm->domain.has_stat)
		return;
	fputs(pm->domain.kind == OOM_MEMCG ? "  memory.stat: " : "  meminfo: ", h->out);
	print_amounts(h, names, bytes, 7);
	if (pm->domain.stat_how)
		human_print(h, COLOR_DIM, "  (%s)", strcmp(pm->domain.stat_how, "kernel") ? "read a moment later" :
								      "at the kill");
	fputc('\n', h->out);
}

static void print_nodes(struct human *h, const struct postmortem *pm)
{
	static const char *const names[] = { "free there", "elsewhere" };
	uint64_t bytes[] = { pm->domain.nodes_free_bytes, pm->domain.elsewhere_free_bytes };
	char nodes[64];

	if (!*postmortem_nodes(pm, nodes, sizeof(nodes)))
		return;
	fprintf(h->out, "  NUMA nodes allowed: %s, ", nodes);
	print_amounts(h, names, bytes, 2);
	fputc('\n', h->out);
}

static void print_host(struct human *h, const struct postmortem *pm)
{
	static const char *const names[] = { "free", "swap", "swap free" };
	uint64_t bytes[] = { pm->domain.free_bytes, pm->domain.swap_total_bytes, pm->domain.swap_free_bytes };

	if (postmortem_sum(bytes, 3) == POSTMORTEM_UNKNOWN)
		return;
	fputs("  host: ", h->out);
	print_amounts(h, names, bytes, 3);
	human_print(h, COLOR_DIM, "  (read a moment later)");
	fputc('\n', h->out);
}

static void print_domain(struct human *h, const struct postmortem *pm)
{
	const char *kind = postmortem_domain_name(pm->domain.kind);
	char text[16];

	title(h, "Limit");
	human_print(h, COLOR_TITLE, "%s", kind ? kind : "of an unknown kind");
	if (postmortem_limit_is_own(pm))
		fputs(", its own", h->out);
	if (pm->domain.limit_bytes != POSTMORTEM_UNKNOWN)
		fprintf(h->out, ", %s", text_bytes(pm->domain.limit_bytes, text));
	if (pm->domain.counter && pm->domain.limit_bytes != POSTMORTEM_UNKNOWN)
		fprintf(h->out, " of %s", pm->domain.counter);
	/* Of the whole host it was read after the kill. */
	if (pm->domain.usage_bytes != POSTMORTEM_UNKNOWN && pm->domain.kind == OOM_MEMCG)
		fprintf(h->out, ", %s used", text_bytes(pm->domain.usage_bytes, text));
	if (pm->domain.how)
		human_print(h, COLOR_DIM, "  (found by %s)", pm->domain.how);
	fputc('\n', h->out);
	if (!pm->domain.levels_count)
		print_line(h, "cgroup ", pm->domain.cgroup);
	postmortem_levels(h, pm);
	print_stat(h, pm);
	print_nodes(h, pm);
	print_host(h, pm);
}

static void print_asker(struct human *h, const struct postmortem *pm)
{
	if (!pm->trigger.comm) {
		fputs("not known", h->out);
		return;
	}
	human_text(h, COLOR_TITLE, pm->trigger.comm, 0);
	fprintf(h->out, " %u", pm->trigger.pid);
	if (pm->trigger.thread != pm->trigger.pid)
		fprintf(h->out, ", thread %u", pm->trigger.thread);
	if (pm->trigger.kind != OOM_TRIGGER_TASK)
		fprintf(h->out, " (%s)", postmortem_trigger_name(pm->trigger.kind));
	postmortem_container(h, ", container ", pm->trigger.container);
}

static void print_trigger(struct human *h, const struct postmortem *pm)
{
	struct board_row stack = { .frames = pm->trigger.frames, .frames_count = pm->trigger.frames_count };
	const char *mask = pm->trigger.gfp_mask;
	char text[GFP_TEXT_BYTES];

	title(h, "Trigger");
	print_asker(h, pm);
	if (!mask && pm->trigger.gfp_known)
		mask = gfp_text(pm->trigger.gfp, NULL, text, sizeof(text));
	if (mask) {
		fputs(", asked with ", h->out);
		human_text(h, COLOR_NONE, mask, 0);
	}
	if (pm->trigger.gfp_known && pm->trigger.order >= 0)
		fprintf(h->out, ", order %d", pm->trigger.order);
	fputc('\n', h->out);
	if (pm->trigger.other_cgroup)
		print_line(h, "of another cgroup: ", pm->trigger.cgroup);
	human_stack(h, &stack);
}

static void print_losses(struct human *h, const struct postmortem *pm)
{
	bool any = false;
	char number[32];
	size_t i;

	fputc('\n', h->out);
	for (i = 0; i < pm->losses_count; i++) {
		const struct postmortem_loss *loss = &pm->losses[i];

		if (!loss->count)
			continue;
		if (!any)
			human_print(h, COLOR_BAD, "Losses:");
		fprintf(h->out, "%s  %11s  %s\n", any ? "" : "\n", words_number(loss->count, number),
			loss_kind(loss->kind)->sentence);
		any = true;
	}
	if (any)
		return;
	human_print(h, COLOR_GOOD, "Losses: none");
	fputc('\n', h->out);
}

int postmortem_text(FILE *out, const struct postmortem *pm, const struct view_style *style)
{
	static const struct view_style plain;
	static const struct report none; /* of sites, as they are printed in a board */
	struct human h = { .out = out, .report = &none, .style = style ? style : &plain, .mark_kernel = true };

	print_head(&h, pm);
	print_verdict(&h, pm);
	print_victim(&h, pm);
	print_domain(&h, pm);
	print_trigger(&h, pm);
	postmortem_tasks(&h, pm);
	postmortem_holders(&h, pm);
	postmortem_history(&h, pm);
	print_losses(&h, pm);
	return h.err ? h.err : words_flush(out);
}
