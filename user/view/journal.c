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

#define FIELDS_MAX 32

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

/* The largest of the holders that are added up. */
static void put_top_site(struct entry *entry, const struct postmortem *pm)
{
	const struct board_row *top = NULL;
	char name[256];
	size_t i;

	for (i = 0; i < pm->holders_count; i++) {
		const struct board_row *row = &pm->holders[i];

		if (postmortem_counts_row(pm, row) && (!top || row->outstanding_bytes > top->outstanding_bytes))
			top = row;
	}
	if (top)
		put_text(entry, "HELDBY_TOP_SITE", postmortem_site_name(top, name, sizeof(name)));
}

static void put_json(struct entry *entry, const char *json)
{
	size_t length = json ? strlen(json) : 0;

	if (length && json[length - 1] == '\n')
		length--;
	if (length > POSTMORTEM_JOURNAL_JSON_MAX)
		put(entry, "HELDBY_JSON_SKIPPED=%zu", length);
	else if (length)
		put(entry, "HELDBY_JSON=%.*s", (int)length, json);
}

static void put_all(struct entry *entry, const struct postmortem *pm, const char *json)
{
	struct postmortem_verdict verdict;

	postmortem_judge(pm, &verdict);
	put(entry, "MESSAGE=%s", verdict.sentences[0]);
	put(entry, "MESSAGE_ID=%s", POSTMORTEM_MESSAGE_ID);
	put(entry, "PRIORITY=3");
	put(entry, "SYSLOG_IDENTIFIER=heldby");
	put(entry, "OBJECT_PID=%u", pm->victim.pid);
	put(entry, "HELDBY_SCHEMA=heldby.postmortem/1");
	put(entry, "HELDBY_VICTIM_PID=%u", pm->victim.pid);
	put_text(entry, "HELDBY_VICTIM_COMM", pm->victim.comm);
	put_text(entry, "HELDBY_VICTIM_CGROUP", pm->victim.cgroup);
	put_known(entry, "HELDBY_VICTIM_ANON_BYTES", pm->victim.anon_rss_bytes);
	put_text(entry, "HELDBY_DOMAIN_KIND", postmortem_domain_name(pm->domain.kind));
	put_text(entry, "HELDBY_DOMAIN_CGROUP", pm->domain.cgroup);
	put_known(entry, "HELDBY_LIMIT_BYTES", pm->domain.limit_bytes);
	if (pm->trigger.comm)
		put(entry, "HELDBY_TRIGGER_PID=%u", pm->trigger.pid);
	put_container(entry, pm->victim.container);
	put_top_site(entry, pm);
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
