// SPDX-License-Identifier: Apache-2.0
/* heldby doctor: what this kernel, this host and these processes allow, and why not more. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "../base/cleanup.h"
#include "../base/clock.h"
#include "../base/log.h"
#include "../base/numa.h"
#include "../base/text.h"
#include "../probe/session.h"
#include "../probe/survey.h"
#include "../probe/thp.h"
#include "../remote/gate.h"
#include "../remote/procfs.h"
#include "../symbol/kallsyms.h"
#include "cmd.h"
#include "options.h"

static void say(bool good, const char *what, const char *detail)
{
	printf("  %-3s  %-22s %s\n", good ? "ok" : "NO", what, detail);
}

static void doctor_host(const char *too_old)
{
	struct utsname name;
	bool same = proc_initial_pid_namespace();

	uname(&name);
	printf("Host: Linux %s, %s\n", name.release, name.machine);
	say(!too_old, "kernel", too_old ? too_old : "new enough");
	say(!geteuid(), "root", geteuid() ? "start it with sudo, or as a privileged container" : "");
	say(same, "pid namespace",
	    same ? "the host's" : "not the host's: process ids would not match; use hostPID: true or --pid=host");
}

static void doctor_feature(const struct feature *feature, const char *with, const char *without)
{
	char detail[320];

	if (feature->works)
		snprintf(detail, sizeof(detail), "%s", with);
	else
		snprintf(detail, sizeof(detail), "refused at %s; %s", feature->why, without);
	say(feature->works, feature->name, detail);
}

static void doctor_rungs(const struct features *features)
{
	static const char *const notes[] = {
		"one link, entry and return in one program",
		"one link for many functions",
		"a perf event for each function",
	};

	printf("\nHook malloc, direct: functions of processes, best rung first\n");
	for (int i = 0; i < RUNG_END; i++) {
		char detail[320];

		snprintf(detail, sizeof(detail), "%s%s", notes[i], i == (int)features->best ? "  <- taken" : "");
		doctor_feature(&features->rungs[i], detail,
			       i + 1 < RUNG_END ? "the next rung is tried" : "nothing can be probed");
	}
	doctor_feature(&features->sleepable, "pages that are swapped out are read",
		       "results on pages that are swapped out are counted as lost");
}

static void doctor_names(void)
{
	struct kallsyms ks;
	char detail[256];

	if (!kallsyms_load(&ks, KALLSYMS_PATH, KALLSYMS_NOTES))
		snprintf(detail, sizeof(detail), "%zu are readable: stacks of the kernel have names", ks.count);
	else
		snprintf(detail, sizeof(detail), "%s; stacks of the kernel are addresses", ks.why);
	say(ks.count, "kernel symbols", detail);
	kallsyms_release(&ks);
}

/* Best first; the first that works is taken. @without: what follows where none does. */
static void doctor_ladder(const struct feature *rungs, int count, const char *const *notes, const char *without)
{
	bool taken = false;

	for (int i = 0; i < count; i++) {
		char detail[320];

		snprintf(detail, sizeof(detail), "%s%s", notes[i], rungs[i].works && !taken ? "  <- taken" : "");
		doctor_feature(&rungs[i], detail, taken ? "it is not needed" :
						  i + 1 < count ? "the next rung is tried" : without);
		taken |= rungs[i].works;
	}
}

static void doctor_vm_rungs(void)
{
	static const char *const notes[] = {
		"tracepoints of eight system calls", "kprobes and kretprobes on them", "fentry and fexit on them",
	};
	struct feature rungs[VM_RUNG_END], ordered[VM_RUNG_END];
	const char *ordered_notes[VM_RUNG_END];
	enum vm_rung order[VM_RUNG_END];

	vmhooks_probe(rungs);
	vmhooks_order(order);
	for (int i = 0; i < VM_RUNG_END; i++) {
		ordered[i] = rungs[order[i]];
		ordered_notes[i] = notes[order[i]];
	}
	printf("\nHook mmap: what changes a process's mappings, best rung first\n");
	doctor_ladder(ordered, VM_RUNG_END, ordered_notes, "mappings cannot be watched");
}

/* Several pages by one fault. */
static void doctor_medium(void)
{
	const uint64_t bytes = thp_medium_bytes();
	char size[16], detail[128];

	snprintf(detail, sizeof(detail), "up to %s are given out by one fault: so much is sampled at once",
		 text_bytes(bytes, size));
	say(true, "pages between", bytes ? detail : "no sizes between those of pages and huge pages are given out");
}

static void doctor_numa(void)
{
	const bool balances = numa_balances();

	say(!balances, "NUMA balancing", balances ?
	    "kernel.numa_balancing is on: a page goes over to who used it last, for its uses look like first ones" :
	    "off, or with one memory node: a page stays with who touched it first");
}

static void doctor_pages(void)
{
	static const char *const notes[] = { "page faults of programs, and of the kernel for them",
					     "handle_mm_fault: also what the kernel populates; a copy on write owns" };
	static const char *const huge_notes[] = { "huge pages: faults that make one",
						  "huge pages: their allocation in a fault" };
	struct feature pages[PAGES_RUNG_END], huge[HUGE_RUNG_END], moves;

	for (int i = 0; i < PAGES_RUNG_END; i++)
		pagehooks_try(i, &pages[i]);
	for (int i = 0; i < HUGE_RUNG_END; i++)
		pagehooks_try_huge(i, &huge[i]);
	pagehooks_try_moves(&moves);
	printf("\nHook pages: page faults, best rung first\n");
	doctor_ladder(pages, PAGES_RUNG_END, notes, "page faults cannot be looked at");
	if (thp_policy() != THP_NEVER)
		doctor_ladder(huge, HUGE_RUNG_END, huge_notes, "who made huge pages resident is not known");
	else
		say(true, "huge pages", "none are given out here");
	if (!huge[HUGE_KPROBE].works && huge[HUGE_RAW_TRACEPOINT].works && thp_asked_only() && features_since(5, 11))
		say(true, "huge pages",
		    "for those who ask: top without a target looks for them once somebody was given one; the first "
		    "few are counted, and nobody's");
	doctor_medium();
	doctor_numa();
	doctor_feature(&moves, "pages that move keep their stack",
		       "where mmap is no source, pages that move lose their stack");
}

static void doctor_oom(void)
{
	static const char *const notes[] = { "the argument of out_of_memory", "the same, by fentry and fexit",
					     "searched for on the kernel's stack" };
	struct feature rungs[OOM_RUNG_END];

	printf("\nHook oom: OOM kills, and the kernel's own description of each, best rung first\n");
	if (!oomhooks_works()) {
		say(false, "mark_victim", "this kernel has no such tracepoint: OOM kills cannot be seen");
		return;
	}
	say(true, "mark_victim", "every kill is seen");
	say(true, "oom_kill_disable", "where a cgroup (of version 1) has it nobody is killed, all hang: oom says so");
	oomhooks_probe(rungs);
	doctor_ladder(rungs, OOM_RUNG_END, notes, "whose limit was hit is concluded from the cgroups");
}

static void doctor_program(void *ctx, const char *name, uint32_t verified)
{
	(void)ctx;
	printf("       %-22s %u instructions verified\n", name, verified);
}

/* Calls of 32-bit programs have numbers of their own. */
static void doctor_narrow(struct session *session)
{
	const int err = session_watch_narrow(session, true);

	say(!err, "32-bit programs", err ?
	    "their calls are not followed here: their mappings are read for each report" :
	    "their mappings are followed, by hooks that are there while one runs");
	session_watch_narrow(session, false);
}

/* Load everything once, for what only that can tell: the verifier, the tables, the task hooks. */
static bool doctor_load(const struct features *features, enum rung rung, enum unwinder unwinder, bool verbose)
{
	struct session_options options = {
		.max_blocks = 1024, .max_sites = 1024, .max_stacks = 1024, .max_processes = 1024, .max_events = 1024,
		.max_faults = 1024,
		.max_frames = HB_FRAMES_MAX, .unwind_bytes = sizeof(struct hb_chunk), .unwinder = unwinder,
		.rung = rung, .vm_rung = VM_RUNG_END, .page_rung = PAGES_RUNG_END,
		.oom = oomhooks_works(), .oom_rung = OOM_RUNG_BEST,
		.sources = 1u << HB_SRC_MALLOC | 1u << HB_SRC_DIRECT | 1u << HB_SRC_MMAP | 1u << HB_SRC_PAGES,
		.optional_sources = 1u << HB_SRC_MALLOC | 1u << HB_SRC_DIRECT | 1u << HB_SRC_MMAP | 1u << HB_SRC_PAGES,
	};
	struct session *session;
	char why[256];
	int err;

	printf("\nKernel\n");
	doctor_feature(&features->btf, "/sys/kernel/btf/vmlinux", "without it no program can be loaded");
	doctor_feature(&features->task_storage, "calls under way are kept with their thread",
		       "without it no call can be followed");
	doctor_feature(&features->unwinding, "stacks are whole without frame pointers",
		       "stacks are walked by frame pointers only, and end where a file has none");
	doctor_names();
	err = session_open(&session, &options, why, sizeof(why));
	if (!err && session_pointers_why(session))
		say(false, "stacks", session_pointers_why(session));
	say(!err, "programs", err ? why : "loaded and verified; fork, exec, exit and signals by tp_btf tracepoints");
	if (!err)
		doctor_narrow(session);
	if (!err)
		say(!session_skips_why(session), "skipped probes", session_skips_why(session) ?
		    session_skips_why(session) : "the kernel tells which of our programs it did not run");
	if (!err && verbose)
		session_programs(session, doctor_program, NULL);
	if (!err)
		session_close(session);
	return !err;
}

static const char *role_word(const struct probe_point *point)
{
	static const char *const words[] = { "?", "allocates", "allocates, stores", "reallocates", "resizes", "frees" };
	unsigned int role = HB_COOKIE_GET(point->cookie, HB_COOKIE_ROLE_SHIFT, 4);

	return words[role < sizeof(words) / sizeof(words[0]) ? role : 0];
}

struct doctor_process {
	bool verbose;
	bool allocates;
};

/* Where a function is probed: how far behind its first byte, at which instruction, and why there. */
static void doctor_point(const struct probe_point *point)
{
	bool throws = HB_COOKIE_GET(point->cookie, HB_COOKIE_THROWS_SHIFT, 1);

	if (point->place == PLACE_RET) {
		printf("      0x%-9llx %-28s one of its ret instructions\n", (unsigned long long)point->offset,
		       point->function);
		return;
	}
	printf("      0x%-9llx %-28s +%-3llu %-24s %s%s; it %s%s\n", (unsigned long long)point->offset, point->function,
	       (unsigned long long)(point->offset - point->entry), point->text[0] ? point->text : "?",
	       point->cheap ? "" : "single-stepped: ", point->why, role_word(point),
	       point->place == PLACE_CALL && throws ? " (may throw: no return probe)" : "");
}

/* ", 2 of 9 entries single-stepped", or "" where it is none. */
static void doctor_stepped(const struct probe_set *set, char *text, size_t size)
{
	size_t entries = 0, stepped = 0;

	for (size_t i = 0; i < set->count; i++) {
		entries += set->points[i].place != PLACE_RET;
		stepped += set->points[i].place != PLACE_RET && !set->points[i].cheap;
	}
	*text = '\0';
	if (stepped)
		snprintf(text, size, ", %zu of %zu entries single-stepped", stepped, entries);
}

static void doctor_module(void *ctx, const char *path, const struct module *module)
{
	struct doctor_process *process = ctx;
	__cleanup(freep) char *shown = text_printable(path);
	const struct probe_set *set = &module->set;
	char stepped[64];

	process->allocates |= set->count > 0;
	doctor_stepped(set, stepped, sizeof(stepped));
	printf("    %s%s%s, %zu places%s, in %s\n", set->allocator[0] ? set->allocator : "",
	       set->allocator[0] && set->runtime[0] ? ", " : "", set->runtime, set->count, stepped,
	       shown ? shown : "?");
	if (set->note[0])
		printf("      note: %s\n", set->note);
	for (size_t i = 0; process->verbose && i < set->count; i++)
		doctor_point(&set->points[i]);
}

/* ", container web/app", or nothing. */
static void doctor_container(struct container_names *names, const struct proc *proc)
{
	__cleanup(freep) char *cgroup = names ? proc_memory_cgroup(proc) : NULL;
	const struct container_info *found = cgroup ? container_names_find(names, cgroup, clock_mono_ns()) : NULL;
	char title[CONTAINER_TITLE_BYTES];
	__cleanup(freep) char *shown = found ? text_printable(container_title(found, title)) : NULL;

	if (shown)
		printf(", container %s", shown);
}

static void doctor_process(struct modules *modules, struct container_names *names, pid_t pid, bool verbose)
{
	struct doctor_process process = { .verbose = verbose };
	__cleanup(proc_close) struct proc proc = PROC_INIT;
	__cleanup(freep) char *shown = NULL;
	char comm[64] = "?";
	int err = proc_open(&proc, pid);

	if (!err)
		proc_comm(&proc, comm, sizeof(comm));
	shown = text_printable(comm);
	printf("  %d %s", pid, shown ? shown : "?");
	if (!err)
		doctor_container(names, &proc);
	putchar('\n');
	if (!err)
		err = survey_process(modules, pid, doctor_module, &process);
	if (err)
		printf("    cannot be read: %s\n", err == -EBUSY ? gate_why() : strerror(-err));
	else if (!process.allocates)
		printf("    cannot see malloc here: %s\n",
		       proc_narrow(&proc) == 1 ? MODULES_OF_32_BITS : MODULES_WITHOUT_MALLOC);
}

struct doctor_others {
	struct modules *modules;
	struct container_names *names; /* or NULL */
	const struct selection *selection;
	bool verbose;
	size_t found;
};

static int doctor_other(void *ctx, pid_t pid)
{
	struct doctor_others *others = ctx;

	if (pid == getpid() || !survey_means(others->names, pid, others->selection))
		return 0;
	doctor_process(others->modules, others->names, pid, others->verbose);
	others->found++;
	return 0;
}

/* Those that are meant by what they are, or all. Whether there are any. */
static bool doctor_others(struct modules *modules, struct container_names *names, const struct options *options)
{
	struct doctor_others others = {
		.modules = modules, .selection = &options->selection, .verbose = options->verbose > 0, .names = names,
	};

	proc_each(doctor_other, &others);
	if (!others.found)
		log_error("no process is meant by what was given");
	return others.found;
}

/* Whether there are any. */
static bool doctor_processes(struct modules *modules, const struct options *options)
{
	struct container_names *names = container_names_new(options->host_root, 0);
	bool any = true;

	printf("\nProcesses\n");
	if (names)
		container_names_scan(names);
	for (size_t i = 0; i < options->pids_count; i++)
		doctor_process(modules, names, options->pids[i], true);
	if (!options->pids_count)
		any = doctor_others(modules, names, options);
	container_names_free(names);
	return any;
}

static int examine(const struct options *options)
{
	struct features features;
	struct symcache *cache = symcache_new();
	struct modules *modules = cache ? modules_new(NULL, cache, NULL, ~0u) : NULL;
	const char *too_old;
	bool works;

	if (!modules) {
		symcache_free(cache);
		log_error("not enough memory");
		return EXIT_FAILED;
	}
	too_old = session_too_old();
	doctor_host(too_old);
	features_probe(&features, true);
	doctor_rungs(&features);
	doctor_vm_rungs();
	doctor_pages();
	doctor_oom();
	works = doctor_load(&features, options->rung, options->unwinder, options->verbose > 0);
	works &= doctor_processes(modules, options);
	modules_free(modules);
	symcache_free(cache);
	return works && !too_old && !fflush(stdout) ? EXIT_OK : EXIT_FAILED;
}

int cmd_doctor(int argc, char **argv)
{
	return options_run(OPTIONS_DOCTOR, argc, argv, examine);
}
