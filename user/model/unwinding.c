// SPDX-License-Identifier: Apache-2.0
#include "unwinding.h"

#include <stdio.h>
#include <string.h>

#define MODULE "%s" /* its place in a sentence */

/* "12% <words>"; "(stack ends here: <sentence>)". */
static const struct unwinding_end {
	const char *name;
	const char *words;
	const char *sentence;
} ends[] = {
	[HB_END_COMPLETE] = { "complete", "complete", "" },
	[HB_END_POINTERS] = { "pointers", "by frame pointers",
		"frame pointers only: callers that keep none are missing" },
	[HB_END_DEPTH] = { "depth", "too deep", "more frames than are kept: --max-frames keeps more" },
	[HB_END_NO_ROWS] = { "no_rows", "without unwind rows", "no unwind rows for " MODULE },
	[HB_END_PENDING] = { "pending", "with unwind rows not read yet",
		"the unwind rows of " MODULE " were not read yet" },
	[HB_END_FULL] = { "full", "with unwind rows that do not fit",
		"the unwind rows of " MODULE " do not fit into --unwind-memory" },
	[HB_END_UNSUPPORTED] = { "unsupported", "at a rule that is not followed",
		"a rule of " MODULE " that is not followed" },
	[HB_END_BAD_CFA] = { "bad_cfa", "at a rule that leads nowhere",
		"a rule of " MODULE " leads to no frame" },
	[HB_END_FAULT] = { "fault", "on unreadable memory",
		"the stack could not be read at the frame of " MODULE },
	[HB_END_UNMAPPED] = { "unmapped", "outside of all code",
		"the caller of " MODULE " lies in no executable mapping" },
	[HB_END_POINTER_LOST] = { "pointer_lost", "without the frame pointer they need",
		"a rule of " MODULE " needs a frame pointer that was not kept" },
	[HB_END_PROBE] = { "probe", "at another return probe",
		"the caller of " MODULE " is hidden by a return probe" },
	[HB_END_ANONYMOUS] = { "anonymous", "in code of no file",
		"code in no file (JIT) that keeps no frame pointer" },
	[HB_END_BUSY] = { "busy", "while mappings changed",
		"the mappings of the process were being changed at that moment" },
	[HB_END_NARROW] = { "narrow", "of 32-bit programs",
		"a 32-bit program: by frame pointers, callers that keep none are missing" },
};

_Static_assert(sizeof(ends) / sizeof(ends[0]) == HB_END_LAST, "every end has its row");

static const struct unwinding_end *find(enum hb_end end)
{
	return (unsigned int)end < HB_END_LAST ? &ends[end] : NULL;
}

const char *unwinding_name(enum hb_end end)
{
	return find(end) ? find(end)->name : NULL;
}

const char *unwinding_words(enum hb_end end)
{
	return find(end) ? find(end)->words : NULL;
}

/* The last part of a path; "a file without a name" where there is none. */
static const char *module_name(const char *module)
{
	const char *slash = module ? strrchr(module, '/') : NULL;

	if (!module || !*module)
		return "a file without a name";
	return slash && slash[1] ? slash + 1 : module;
}

int unwinding_sentence(enum hb_end end, const char *module, char *out, size_t size)
{
	const char *sentence = find(end) ? find(end)->sentence : "a reason that has no name here";
	const char *place = strstr(sentence, MODULE);

	if (!size)
		return 0;
	if (place)
		snprintf(out, size, "%.*s%s%s", (int)(place - sentence), sentence, module_name(module),
			 place + strlen(MODULE));
	else
		snprintf(out, size, "%s", sentence);
	return (int)strlen(out);
}
