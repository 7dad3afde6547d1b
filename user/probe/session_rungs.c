// SPDX-License-Identifier: Apache-2.0
/* Which rung each source of a session takes: the best that this kernel has, or the one that was asked for. */
#include <errno.h>
#include <stdio.h>

#include "session_private.h"
#include "thp.h"
#include "tries.h"

#define OF_FUNCTIONS (1u << HB_SRC_MALLOC | 1u << HB_SRC_DIRECT) /* sources that probe functions */

/* Why no function can be probed here; NULL: they can. */
static const struct feature *lacking(const struct features *features, const struct session_options *options)
{
	enum rung rung = options->rung == RUNG_END ? features->best : options->rung;

	if (rung == RUNG_END || !features->rungs[rung].works)
		return &features->rungs[rung == RUNG_END ? RUNG_PERF : rung];
	return features->task_storage.works ? NULL : &features->task_storage;
}

static int choose_rung(struct session *session, const struct session_options *options, char *why, size_t size)
{
	const struct feature *without;
	struct features features;

	features_probe(&features, options->rung != RUNG_END);
	session->rung = options->rung == RUNG_END ? features.best : options->rung;
	session->storage = features.task_storage.works;
	session->views = features.views;
	without = features.btf.works ? lacking(&features, options) : &features.btf;
	if (without && (without == &features.btf || (session->sources & OF_FUNCTIONS & ~options->optional_sources))) {
		snprintf(why, size, "no function can be probed here (%s: %s); run as root, or see 'heldby doctor'",
			 without->name, without->why);
		return -EOPNOTSUPP;
	}
	if (without || !(session->sources & OF_FUNCTIONS)) {
		session->rung = RUNG_END;
		session->sources &= ~OF_FUNCTIONS;
	}
	session->pointers_object = !features.unwinding.works || options->unwinder == UNWINDER_OLDEST;
	session->sleepable = features.sleepable.works && session->rung != RUNG_END;
	if (options->unwinder != UNWINDER_ROWS)
		session->pointers_why = "frame pointers only, as asked for by --unwind";
	else if (!features.unwinding.works)
		session->pointers_why = "frame pointers only: this kernel has no bpf_loop and bpf_find_vma (5.17)";
	return 0;
}

/* It took one program and not all that are needed: no more is tried. */
static void refused(struct feature *rung, const char *name, int err)
{
	*rung = (struct feature){ .name = name, .tried = true };
	feature_refuse(rung, "attaching all that it needs", err);
}

/* Where mappings are watched, if they are to be. */
static int choose_vm_rung(struct session *session, const struct session_options *options, char *why, size_t size)
{
	struct feature rung, first = { 0 }; /* why not the one that would have been best */
	enum vm_rung order[VM_RUNG_END];

	session->vm_rung = VM_RUNG_END;
	if (!(session->sources & 1u << HB_SRC_MMAP))
		return 0;
	vmhooks_order(order);
	for (int i = 0; i < VM_RUNG_END && session->vm_rung == VM_RUNG_END; i++) {
		if (options->vm_rung != VM_RUNG_END && options->vm_rung != order[i])
			continue;
		if (session->vm_refused[order[i]])
			refused(&rung, vmhooks_name(order[i]), session->vm_refused[order[i]]);
		else
			vmhooks_try(order[i], &rung);
		if (rung.works)
			session->vm_rung = order[i];
		else if (!first.name)
			first = rung;
	}
	if (session->vm_rung != VM_RUNG_END)
		return 0;
	session->sources &= ~(1u << HB_SRC_MMAP);
	if (session->sources && (options->optional_sources & 1u << HB_SRC_MMAP))
		return 0;
	snprintf(why, size, "mappings cannot be watched here (%s); leave mmap out of --sources, or see 'heldby doctor'",
		 first.why);
	return -EOPNOTSUPP;
}

/* Which faults are of huge pages. By the same kind as other faults, where that was asked for. */
static void choose_huge_rung(struct session *session, const struct session_options *options)
{
	const bool raw = options->page_rung == PAGES_RAW_TRACEPOINT;
	struct feature rung;

	if (thp_policy() == THP_NEVER)
		return;
	for (int i = 0; i < HUGE_RUNG_END; i++) {
		const enum huge_rung tried = raw ? HUGE_RUNG_END - 1 - i : i;

		if (session->huge_refused[tried])
			continue;
		pagehooks_try_huge(tried, &rung);
		if (!rung.works)
			continue;
		session->huge_rung = tried;
		break;
	}
	/*
	 * What each allocation would pay for waits, where no process was chosen, until one has been given a huge page.
	 * Not where OOM kills are told: what is needed then is there from the start.
	 */
	session->huge_waits = session->huge_rung == HUGE_RAW_TRACEPOINT && session->storage && options->everything &&
			      !options->oom && session->page_rung == PAGES_RAW_TRACEPOINT && thp_asked_only();
}

/* Where page faults are looked at, if they are to be. */
static int choose_page_rung(struct session *session, const struct session_options *options, char *why, size_t size)
{
	struct feature rung, first = { 0 }; /* as for mappings */

	session->page_rung = PAGES_RUNG_END;
	session->huge_rung = HUGE_RUNG_END;
	session->huge_waits = false;
	session->moves = false;
	if (!(session->sources & 1u << HB_SRC_PAGES))
		return 0;
	for (int i = 0; i < PAGES_RUNG_END && session->page_rung == PAGES_RUNG_END; i++) {
		if (options->page_rung != PAGES_RUNG_END && options->page_rung != (enum page_rung)i)
			continue;
		if (session->page_refused[i])
			refused(&rung, pagehooks_name(i), session->page_refused[i]);
		else
			pagehooks_try(i, &rung);
		if (rung.works)
			session->page_rung = i;
		else if (!first.name)
			first = rung;
	}
	if (session->page_rung != PAGES_RUNG_END) {
		choose_huge_rung(session, options);
		pagehooks_try_moves(&rung);
		session->moves = session->vm_rung == VM_RUNG_END && rung.works;
		return 0;
	}
	session->sources &= ~(1u << HB_SRC_PAGES);
	if ((session->sources || options->oom) && (options->optional_sources & 1u << HB_SRC_PAGES))
		return 0;
	snprintf(why, size, "page faults cannot be looked at here (%s); leave pages out of --sources, or see "
		 "'heldby doctor'", first.why);
	return -EOPNOTSUPP;
}

/* How OOM kills are explained, if they are to be seen. */
static int choose_oom_rung(struct session *session, const struct session_options *options, char *why, size_t size)
{
	struct feature rungs[OOM_RUNG_END];

	session->oom_rung = OOM_RUNG_END;
	if (!options->oom)
		return 0;
	if (!oomhooks_works()) {
		snprintf(why, size, "OOM kills cannot be seen here: this kernel has no tracepoint mark_victim");
		return -EOPNOTSUPP;
	}
	oomhooks_probe(rungs);
	for (int i = OOM_RUNG_END - 1; i >= 0; i--) {
		if (rungs[i].works && (options->oom_rung == OOM_RUNG_BEST || options->oom_rung == (enum oom_rung)i))
			session->oom_rung = (enum oom_rung)i;
	}
	if (options->oom_rung == OOM_RUNG_BEST || options->oom_rung == session->oom_rung)
		return 0;
	snprintf(why, size, "OOM kills cannot be explained by %s here (%s)", oomhooks_name(options->oom_rung),
		 rungs[options->oom_rung].why);
	return -EOPNOTSUPP;
}

int session_choose(struct session *session, const struct session_options *options, char *why, size_t size)
{
	int err;

	session->sources = options->sources;
	err = choose_rung(session, options, why, size);
	if (!err)
		err = choose_vm_rung(session, options, why, size);
	if (!err)
		err = choose_page_rung(session, options, why, size);
	if (!err)
		err = choose_oom_rung(session, options, why, size);
	return err;
}
