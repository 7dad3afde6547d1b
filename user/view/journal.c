// SPDX-License-Identifier: Apache-2.0
/* A kill as a journal entry: fields for sd_journal_sendv(). */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "../base/cleanup.h"
#include "../base/text.h"
#include "postmortem.h"

#define FIELDS_MAX 48
#define FRAMES_TOLD 16 /* of the stack that held most, from the innermost on */

struct entry {
	struct iovec *fields;
	size_t count;
	bool failed; /* memory was short */
};

/* "NAME=value"; @format has both. */
static void put(struct entry *entry, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(struct entry *entry, const char *format, ...)
{
	char *text = NULL;
	va_list args;
	int length;

	va_start(args, format);
	length = vasprintf(&text, format, args);
	va_end(args);
	if (length < 0 || entry->count == FIELDS_MAX) {
		if (length >= 0)
			free(text);
		entry->failed = true;
		return;
	}
	entry->fields[entry->count++] = (struct iovec){ .iov_base = text, .iov_len = (size_t)length };
}

/* A stranger's text, printable: journalctl shows other values as blobs. */
static void put_text(struct entry *entry, const char *name, const char *text)
{
	__cleanup(freep) char *clean = NULL;

	if (!text || !*text)
		return;
	clean = text_printable(text);
	if (clean)
		put(entry, "%s=%s", name, clean);
	else
		entry->failed = true;
}

static void put_known(struct entry *entry, const char *name, uint64_t number)
{
	if (number != POSTMORTEM_UNKNOWN)
		put(entry, "%s=%" PRIu64, name, number);
}

static void put_container(struct entry *entry, const struct container_info *container)
{
	if (!container)
		return;
	put_text(entry, "HELDBY_CONTAINER_ID", container->id);
	put_text(entry, "HELDBY_CONTAINER_NAME", container->name);
	put_text(entry, "HELDBY_CONTAINER_RUNTIME", container->runtime);
	put_text(entry, "HELDBY_POD", container->pod);
	put_text(entry, "HELDBY_POD_UID", container->pod_uid);
	put_text(entry, "HELDBY_NAMESPACE", container->namespace);
}

/* The largest of the holders that are added up, which are @sum bytes; NULL: nothing is known to be held. */
static const struct board_row *largest(const struct postmortem *pm, uint64_t *sum)
{
	const struct board_row *top = NULL;
	size_t i;

	*sum = 0;
	for (i = 0; i < pm->holders_count; i++) {
		const struct board_row *row = &pm->holders[i];

		if (!postmortem_counts_row(pm, row))
			continue;
		*sum += row->outstanding_bytes;
		if (!top || row->outstanding_bytes > top->outstanding_bytes)
			top = row;
	}
	return top;
}

/* "Unsafe_SetMemory0 < Cache::fill < ...", with the functions that serve everybody, too. */
static void put_stack(struct entry *entry, const struct board_row *row)
{
	char text[FRAMES_TOLD * 96 + 8];
	size_t i, used = 0;

	for (i = 0; i < row->frames_count && i < FRAMES_TOLD; i++) {
		struct board_row one = { .frames = &row->frames[i], .frames_count = 1 };
		char name[92];

		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", i ? " < " : "",
					 postmortem_site_name(&one, name, sizeof(name)));
	}
	if (i < row->frames_count)
		snprintf(text + used, sizeof(text) - used, " < ...");
	if (i)
		put_text(entry, "HELDBY_TOP_STACK", text);
}

static void put_held(struct entry *entry, const struct postmortem *pm)
{
	uint64_t sum;
	const struct board_row *top = largest(pm, &sum);
	char name[256];

	if (!top)
		return;
	put(entry, "HELDBY_OUTSTANDING_BYTES=%" PRIu64, sum);
	put_text(entry, "HELDBY_TOP_SITE", postmortem_site_name(top, name, sizeof(name)));
	put_stack(entry, top);
	put(entry, "HELDBY_TOP_BYTES=%" PRIu64, top->outstanding_bytes);
}

/* By both of its names, as long as the entry stays within POSTMORTEM_JOURNAL_JSON_MAX; beyond, by the first. */
static void put_json(struct entry *entry, const char *json)
{
	size_t length = json ? strlen(json) : 0;

	if (length && json[length - 1] == '\n')
		length--;
	if (length > POSTMORTEM_JOURNAL_JSON_MAX)
		put(entry, "HELDBY_JSON_SKIPPED=%zu", length);
	else if (length)
		put(entry, "HELDBY_JSON=%.*s", (int)length, json);
	if (length && length <= POSTMORTEM_JOURNAL_JSON_MAX / 2)
		put(entry, "HELDBY_REPORT=%.*s", (int)length, json);
}

/* By the names that the document has. */
static void put_victim(struct entry *entry, const struct postmortem *pm)
{
	put(entry, "HELDBY_VICTIM_PID=%u", pm->victim.pid);
	put_text(entry, "HELDBY_VICTIM_COMM", pm->victim.comm);
	put_text(entry, "HELDBY_VICTIM_CGROUP", pm->victim.cgroup);
	put_known(entry, "HELDBY_VICTIM_ANON_BYTES", pm->victim.anon_rss_bytes);
	put_text(entry, "HELDBY_DOMAIN_KIND", postmortem_domain_name(pm->domain.kind));
	put_text(entry, "HELDBY_DOMAIN_CGROUP", pm->domain.cgroup);
	put_known(entry, "HELDBY_LIMIT_BYTES", pm->domain.limit_bytes);
	if (pm->trigger.comm)
		put(entry, "HELDBY_TRIGGER_PID=%u", pm->trigger.pid);
}

/* The same once more, by the shorter names that others log kills with: queries by either find them. */
static void put_short_names(struct entry *entry, const struct postmortem *pm)
{
	char id[POSTMORTEM_ID_BYTES];

	put(entry, "HELDBY_ID=%s", postmortem_id(pm, id)); /* of the files of --reports, without their ending */
	put_text(entry, "HELDBY_SCOPE", postmortem_domain_name(pm->domain.kind));
	put_text(entry, "HELDBY_CGROUP", pm->victim.cgroup);
	put_known(entry, "HELDBY_VICTIM_ANON_RSS_BYTES", pm->victim.anon_rss_bytes);
}

static void put_all(struct entry *entry, const struct postmortem *pm, const char *json)
{
	struct postmortem_verdict verdict;

	postmortem_judge(pm, &verdict);
	put(entry, "MESSAGE=%s", verdict.sentences[0]);
	put(entry, "MESSAGE_ID=%s", POSTMORTEM_MESSAGE_ID);
	put(entry, "PRIORITY=4"); /* a warning: the host goes on */
	put(entry, "SYSLOG_IDENTIFIER=heldby");
	put(entry, "OBJECT_PID=%u", pm->victim.pid);
	put(entry, "HELDBY_SCHEMA=heldby.postmortem/1");
	put_victim(entry, pm);
	put_short_names(entry, pm);
	put_container(entry, pm->victim.container);
	put_held(entry, pm);
	put_json(entry, json);
}

int postmortem_journal(const struct postmortem *pm, const char *json, struct iovec **fields, size_t *count)
{
	struct entry entry = { .fields = calloc(FIELDS_MAX, sizeof(*entry.fields)) };

	*fields = NULL;
	*count = 0;
	if (!entry.fields)
		return -ENOMEM;
	put_all(&entry, pm, json);
	if (entry.failed) {
		postmortem_journal_free(entry.fields, entry.count);
		return -ENOMEM;
	}
	*fields = entry.fields;
	*count = entry.count;
	return 0;
}

void postmortem_journal_free(struct iovec *fields, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		free(fields[i].iov_base);
	free(fields);
}
