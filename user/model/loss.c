// SPDX-License-Identifier: Apache-2.0
#include "loss.h"

#include <stdio.h>

/*
 * One row per counter. A sentence follows its number: "12: allocations are not counted ...".
 * Bytes beside a count have a class of their own: the sum of a class counts every event once.
 */
static const struct loss_kind kinds[] = {
	[HB_CNT_BLOCK_FULL] = { "blocks_full", LOSS_LOST,
		"allocations not counted: the table of live blocks was full; raise --max-blocks" },
	[HB_CNT_BLOCK_FULL_BYTES] = { "blocks_full_bytes", LOSS_BYTES,
		"bytes of the allocations that the full table of live blocks left out" },
	[HB_CNT_SITE_FULL] = { "sites_full", LOSS_LOST,
		"allocations not counted: the table of sites was full; raise --max-sites" },
	[HB_CNT_SITE_FULL_BYTES] = { "sites_full_bytes", LOSS_BYTES,
		"bytes of the allocations that the full table of sites left out" },
	[HB_CNT_STACK_FULL] = { "stacks_full", LOSS_NOTE,
		"allocations counted without their stack: bytes are right, but the table of stacks "
		"was full; raise --max-stacks" },
	[HB_CNT_PROC_FULL] = { "processes_full", LOSS_LOST,
		"processes not traced: the table of processes was full; choose fewer processes" },
	[HB_CNT_TASK_STORAGE] = { "thread_storage", LOSS_LOST,
		"calls not counted: the kernel had no memory to follow their thread; "
		"trace fewer threads or free memory" },
	[HB_CNT_PENDING_DEEP] = { "calls_too_deep", LOSS_LOST,
		"calls not counted: too many were open at once in one thread (allocating signal "
		"handlers inside each other)" },
	[HB_CNT_READ_FAILED] = { "results_unread", LOSS_LOST,
		"calls not counted: the block's address could not be read where posix_memalign "
		"put it (page not in memory)" },
	[HB_CNT_RING_FULL] = { "process_events", LOSS_DROPPED,
		"forks, execs or exits not heard of: the ring of events was full; the reader "
		"needs more CPU time" },
	[HB_CNT_FREE_MISSED] = { "missed_frees", LOSS_MISSED,
		"frees not seen when they happened: their blocks were taken off when their "
		"addresses were given out again" },
	[HB_CNT_FREE_UNKNOWN] = { "unknown_frees", LOSS_NOTE,
		"frees of blocks that were not counted: allocated before tracing began, or "
		"inherited over fork" },
	[HB_CNT_ABANDONED] = { "abandoned_calls", LOSS_NOTE,
		"calls that never returned: left by longjmp, cancellation or the thread's end" },
	[HB_CNT_REPUT_FAILED] = { "blocks_not_put_back", LOSS_LOST,
		"blocks no longer counted: after a failed realloc the table of live blocks was "
		"full; raise --max-blocks" },
	[HB_CNT_BLOCKS_IN] = { "blocks_in", LOSS_FILL, "blocks put into the table of live blocks" },
	[HB_CNT_BLOCKS_OUT] = { "blocks_out", LOSS_FILL, "blocks taken off that table" },
	[HB_CNT_SITES_IN] = { "sites_in", LOSS_FILL, "sites put into the table of sites" },
	[HB_CNT_STACKS_IN] = { "stacks_in", LOSS_FILL, "deep stacks put into their table" },
	[HB_CNT_HUGE_SEEN] = { "huge_pages_seen", LOSS_FILL, "faults of huge pages" },
	[HB_CNT_SHORT_STACKS_IN] = { "short_stacks_in", LOSS_FILL, "short stacks put into their table" },
	[HB_CNT_ALTSTACK] = { "calls_on_signal_stacks", LOSS_LOST,
		"calls not counted: made by a signal handler on a stack above that of the call it "
		"interrupts, where trapping their return would harm the process" },
	[HB_CNT_OBJECTS_FULL] = { "files_full", LOSS_NOTE,
		"files not known: the table of files was full; stacks that pass through them may end "
		"there, and their frames have no names" },
	/* These make up the summary of walks up the stack: model/unwinding.c has their words. */
	[HB_CNT_STACKS_ENDED] = { "walks_complete", LOSS_FILL, "walks to the outermost frame" },
	[HB_CNT_STACKS_ENDED + HB_END_POINTERS] = { "walks_pointers", LOSS_FILL, "walks by frame pointers" },
	[HB_CNT_STACKS_ENDED + HB_END_DEPTH] = { "walks_depth", LOSS_FILL, "walks that were too deep" },
	[HB_CNT_STACKS_ENDED + HB_END_NO_ROWS] = { "walks_no_rows", LOSS_FILL, "walks without unwind rows" },
	[HB_CNT_STACKS_ENDED + HB_END_PENDING] = { "walks_pending", LOSS_FILL,
		"walks before unwind rows were read" },
	[HB_CNT_STACKS_ENDED + HB_END_FULL] = { "walks_full", LOSS_FILL,
		"walks through a file whose unwind rows do not fit" },
	[HB_CNT_STACKS_ENDED + HB_END_UNSUPPORTED] = { "walks_unsupported", LOSS_FILL,
		"walks to a rule that is not followed" },
	[HB_CNT_STACKS_ENDED + HB_END_BAD_CFA] = { "walks_bad_cfa", LOSS_FILL,
		"walks to a rule that leads nowhere" },
	[HB_CNT_STACKS_ENDED + HB_END_FAULT] = { "walks_fault", LOSS_FILL, "walks to unreadable memory" },
	[HB_CNT_STACKS_ENDED + HB_END_UNMAPPED] = { "walks_unmapped", LOSS_FILL, "walks out of all code" },
	[HB_CNT_STACKS_ENDED + HB_END_POINTER_LOST] = { "walks_pointer_lost", LOSS_FILL,
		"walks to a frame pointer that was not kept" },
	[HB_CNT_STACKS_ENDED + HB_END_PROBE] = { "walks_probe", LOSS_FILL, "walks to a return probe" },
	[HB_CNT_STACKS_ENDED + HB_END_ANONYMOUS] = { "walks_anonymous", LOSS_FILL,
		"walks into code of no file" },
	[HB_CNT_STACKS_ENDED + HB_END_BUSY] = { "walks_busy", LOSS_FILL, "walks while mappings changed" },
	[HB_CNT_STACKS_ENDED + HB_END_NARROW] = { "walks_narrow", LOSS_FILL, "walks in 32-bit programs" },
	[HB_CNT_MAP_RING_FULL] = { "mapping_changes", LOSS_DROPPED,
		"changes of mappings that found their ring full: what is mapped was read anew, but what was mapped and "
		"unmapped then is in no sum of allocated and freed bytes; try a larger --max-events" },
	[HB_CNT_FAULTS_FULL] = { "pages_full", LOSS_LOST,
		"sampled pages not counted: the table of pages was full; raise --max-faults" },
	[HB_CNT_FAULTS_IN] = { "pages_in", LOSS_FILL, "sampled pages put into their table" },
	[HB_CNT_OOM_DROPPED] = { "oom_events", LOSS_DROPPED,
		"OOM kills, or what followed them, not heard of: their ring was full; the reader needs more CPU "
		"time" },
	[HB_CNT_MOVES_FULL] = { "moves_full", LOSS_LOST,
		"moves of memory (mremap) not followed: there were too many between two readings; what moved is "
		"unattributed among the pages" },
	[LOSS_MAP_EVENTS] = { "mapping_events", LOSS_DROPPED,
		"new mappings not heard of: the ring of mappings was full; frames there stay "
		"without a name" },
	[LOSS_LATE_ATTACH] = { "late_attaches", LOSS_MISSED,
		"allocators probed after their process had begun to use them: what it allocated "
		"before is not counted; start it with heldby run" },
	[LOSS_ATTACH_FAILED] = { "failed_attaches", LOSS_MISSED,
		"entry points that could not be probed: their calls are not counted; -v says "
		"which, heldby doctor says why" },
	[LOSS_RECURSION] = { "skipped_probes", LOSS_MISSED,
		"calls not counted: the kernel skipped their probe, for another task or tracer was in one "
		"on that CPU, or too many calls were under way for a kretprobe" },
	[LOSS_UNREAD_FILES] = { "unread_files", LOSS_MISSED,
		"files mapped by processes that had ended, or could not be looked at, before they were "
		"opened: an allocator in them is not counted" },
	[LOSS_FORGOTTEN] = { "forgotten_processes", LOSS_NOTE,
		"ended processes that are no longer shown: only the latest 8192 are kept" },
	[LOSS_ROWS_REFUSED] = { "unwind_rows_refused", LOSS_NOTE,
		"files whose unwind rows did not fit: stacks end there; raise --unwind-memory" },
	[LOSS_ROWS_DROPPED] = { "unwind_rows_dropped", LOSS_NOTE,
		"files whose unwind rows, unused for a while, went to make room for others; they come "
		"back when they are needed" },
	[LOSS_PUT_OFF] = { "put_off_readings", LOSS_NOTE,
		"looks at a process put off: it was ending, or its cgroup or the host had hardly any memory left, "
		"and a look can get another process killed then" },
	[LOSS_SKIPPED_PAGES] = { "skipped_page_probes", LOSS_NOTE,
		"faults in the kernel, or allocations of pages, that their probe was skipped for, nearly all of them "
		"of the probes' own reads; pages not seen for that are unattributed" },
	[LOSS_HUGE_UNSEEN] = { "huge_pages_unseen", LOSS_NOTE,
		"huge pages at least, given out in faults that were not seen, to whatever process: they are "
		"unattributed" },
	[LOSS_MAPS_READ] = { "mappings_read_anew", LOSS_NOTE,
		"times that a process's mappings were read anew, for what was seen of them was not all: its "
		"sums are those of the kernel's own list" },
	[LOSS_MAPS_ODD] = { "odd_mapping_changes", LOSS_NOTE,
		"changes of mappings that cannot be, and were left out" },
	[LOSS_CHANGES] = { "changes_untold", LOSS_NOTE,
		"changes of how closely calls are followed that are not listed: there were more than 256 between two "
		"reports" },
	[LOSS_KILLS] = { "dropped_kills", LOSS_DROPPED,
		"OOM kills not told of: too many came at once for their ring, or for the room where they wait" },
	[LOSS_COMMANDS] = { "commands", LOSS_NOTE,
		"command line not known in whole: it was not in memory any more, or the process took seconds to die; "
		"and its program ran before heldby did, or there was no room to note it" },
};

_Static_assert(sizeof(kinds) / sizeof(kinds[0]) == LOSS_END, "every counter has its row");

const struct loss_kind *loss_kind(size_t index)
{
	static const struct loss_kind none = { "unknown", LOSS_NOTE, "events of an unknown kind" };

	return index < LOSS_END ? &kinds[index] : &none;
}

uint64_t losses_bytes(const struct losses *losses, size_t index)
{
	return loss_kind(index + 1)->class == LOSS_BYTES ? losses->counts[index + 1] : 0;
}

void losses_skip(struct losses *losses, const char *name, uint64_t skipped)
{
	size_t at = losses->programs_count;

	losses->counts[LOSS_RECURSION] += skipped;
	if (!skipped || at == LOSS_PROGRAMS_MAX)
		return;
	for (; at && losses->programs[at - 1].skipped < skipped; at--)
		losses->programs[at] = losses->programs[at - 1];
	losses->programs[at].skipped = skipped;
	snprintf(losses->programs[at].name, sizeof(losses->programs[at].name), "%.15s", name);
	losses->programs_count++;
}

uint64_t losses_sum(const struct losses *losses, enum loss_class class)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < LOSS_END; i++) {
		if (kinds[i].class == class)
			sum += losses->counts[i];
	}
	return sum;
}
