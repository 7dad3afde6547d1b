/* SPDX-License-Identifier: Apache-2.0 */
/* What is written of one OOM kill. Each view makes its own verdict by postmortem_judge(). */
#ifndef HB_VIEW_POSTMORTEM_H
#define HB_VIEW_POSTMORTEM_H

#include <stdio.h>

#include "../model/postmortem.h"
#include "view.h"

/* Each writes one document. 0 or negative errno. @style may be NULL. */

/* heldby.postmortem/1 on one line. */
int postmortem_json(FILE *out, const struct postmortem *pm, const struct view_style *style);
/* For a person on call: the verdict first. */
int postmortem_text(FILE *out, const struct postmortem *pm, const struct view_style *style);
/* The holders as view_folded() writes them: pages where there are any, else what the other sources say. */
int postmortem_folded(FILE *out, const struct postmortem *pm, const struct view_style *style);

/* Of every journal entry about a kill, for ever: journalctl MESSAGE_ID=... finds them. */
#define POSTMORTEM_MESSAGE_ID "95260f5ebadf48cda948c6384e39362f"
/*
 * Bytes of HELDBY_JSON: an entry that one datagram of the kernel's default size takes (net.core.wmem_default). A
 * JVM's twenty holders with the stacks of its collector have some 80 KB.
 */
#define POSTMORTEM_JOURNAL_JSON_MAX (192 * 1024)

struct iovec;

/*
 * The fields of a journal entry, "NAME=value" each, as sd_journal_sendv() takes them. @json: the document that
 * postmortem_json() wrote, with or without its newline; NULL: none. It is HELDBY_JSON, and HELDBY_REPORT as well up
 * to half of POSTMORTEM_JOURNAL_JSON_MAX; beyond all of that it is left out, and HELDBY_JSON_SKIPPED has its size.
 * What is not known has no field.
 *
 * OBJECT_PID makes journald read the victim's cmdline, which holds its address space: send when it has exited.
 *
 * Returns 0 or -ENOMEM. Free with postmortem_journal_free() (NULL is fine).
 */
int postmortem_journal(const struct postmortem *pm, const char *json, struct iovec **fields, size_t *count);
void postmortem_journal_free(struct iovec *fields, size_t count);

#endif
