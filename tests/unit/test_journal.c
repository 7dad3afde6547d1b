// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include <cmocka.h>

#include "../../user/view/postmortem.h"

struct entry {
	struct iovec *fields;
	size_t count;
};

static struct entry make(const struct postmortem *pm, const char *json)
{
	struct entry entry;

	assert_int_equal(postmortem_journal(pm, json, &entry.fields, &entry.count), 0);
	return entry;
}

/* The one field called @name, without its name; NULL: there is none. */
static const char *find(const struct entry *entry, const char *name, size_t *length)
{
	size_t i, before = strlen(name);
	const char *found = NULL;

	for (i = 0; i < entry->count; i++) {
		const char *field = entry->fields[i].iov_base;

		if (entry->fields[i].iov_len <= before || strncmp(field, name, before) || field[before] != '=')
			continue;
		assert_null(found);
		found = field + before + 1;
		*length = entry->fields[i].iov_len - before - 1;
	}
	return found;
}

static void expect(const struct entry *entry, const char *name, const char *wanted)
{
	size_t length = 0;
	const char *value = find(entry, name, &length);

	if (!wanted) {
		assert_null(value);
		return;
	}
	assert_non_null(value);
	assert_int_equal(length, strlen(wanted));
	assert_memory_equal(value, wanted, length);
}

static void fields_have_what_the_record_has(void **state)
{
	static const struct frame frames[] = { { .kind = FRAME_NATIVE }, { .kind = FRAME_NATIVE, .function = "fill" } };
	static const struct board_row holders[] = {
		{ .source = HB_SRC_DIRECT, .outstanding_bytes = 900 },
		{ .source = HB_SRC_PAGES, .outstanding_bytes = 300 },
		{ .source = HB_SRC_PAGES, .outstanding_bytes = 500, .frames = frames, .frames_count = 2 },
	};
	static const struct container_info container = {
		.id = "0123", .name = "app", .pod = "web", .namespace = "shop",
		.runtime = "containerd", .pod_uid = "7d2f5a1c-8a0b-4c39-9d50-6a1f5b7c2e11",
	};
	struct postmortem pm;
	struct entry entry;

	(void)state;
	postmortem_init(&pm);
	pm.time_unix_ns = 1795295111123456789;
	pm.sequence = 3;
	pm.victim.pid = 16021;
	pm.victim.comm = "java";
	pm.victim.cgroup = "/a/b";
	pm.victim.container = &container;
	pm.victim.anon_rss_bytes = 641728512;
	pm.domain.kind = OOM_MEMCG;
	pm.domain.cgroup = "/a";
	pm.domain.limit_bytes = 671088640;
	pm.trigger.comm = "other";
	pm.trigger.pid = 17;
	pm.holders = holders;
	pm.holders_count = 3;
	entry = make(&pm, "{\"schema\":\"heldby.postmortem/1\"}\n");
	assert_int_equal(entry.count, 30);
	expect(&entry, "MESSAGE",
	       "java (pid 16021, container web/app) was killed: it held 612.0 MiB of anonymous memory, "
	       "96% of the 640.0 MiB that ran out.");
	expect(&entry, "MESSAGE_ID", "95260f5ebadf48cda948c6384e39362f");
	expect(&entry, "PRIORITY", "4");
	expect(&entry, "SYSLOG_IDENTIFIER", "heldby");
	expect(&entry, "OBJECT_PID", "16021");
	expect(&entry, "HELDBY_SCHEMA", "heldby.postmortem/1");
	expect(&entry, "HELDBY_VICTIM_PID", "16021");
	expect(&entry, "HELDBY_VICTIM_COMM", "java");
	expect(&entry, "HELDBY_VICTIM_CGROUP", "/a/b");
	expect(&entry, "HELDBY_VICTIM_ANON_BYTES", "641728512");
	expect(&entry, "HELDBY_DOMAIN_KIND", "memcg");
	expect(&entry, "HELDBY_DOMAIN_CGROUP", "/a");
	expect(&entry, "HELDBY_LIMIT_BYTES", "671088640");
	expect(&entry, "HELDBY_TRIGGER_PID", "17");
	expect(&entry, "HELDBY_CONTAINER_ID", "0123");
	expect(&entry, "HELDBY_CONTAINER_NAME", "app");
	expect(&entry, "HELDBY_CONTAINER_RUNTIME", "containerd");
	expect(&entry, "HELDBY_POD", "web");
	expect(&entry, "HELDBY_POD_UID", "7d2f5a1c-8a0b-4c39-9d50-6a1f5b7c2e11");
	expect(&entry, "HELDBY_NAMESPACE", "shop");
	expect(&entry, "HELDBY_ID", "20261121T210511.123Z-3-16021");
	expect(&entry, "HELDBY_SCOPE", "memcg");
	expect(&entry, "HELDBY_CGROUP", "/a/b");
	expect(&entry, "HELDBY_VICTIM_ANON_RSS_BYTES", "641728512");
	expect(&entry, "HELDBY_OUTSTANDING_BYTES", "800");
	expect(&entry, "HELDBY_TOP_SITE", "fill");
	expect(&entry, "HELDBY_TOP_STACK", "unknown stack < fill");
	expect(&entry, "HELDBY_TOP_BYTES", "500");
	expect(&entry, "HELDBY_JSON", "{\"schema\":\"heldby.postmortem/1\"}");
	expect(&entry, "HELDBY_REPORT", "{\"schema\":\"heldby.postmortem/1\"}");
	postmortem_journal_free(entry.fields, entry.count);
}

static void a_deep_stack_says_that_it_goes_on(void **state)
{
	struct frame frames[17];
	char deep[91], wanted[16 * 94 + 8] = "";
	const struct board_row row = {
		.source = HB_SRC_MALLOC, .outstanding_bytes = 1, .frames = frames, .frames_count = 17,
	};
	struct postmortem pm;
	struct entry entry;
	size_t i;

	(void)state;
	memset(deep, 'f', sizeof(deep) - 1);
	deep[sizeof(deep) - 1] = '\0';
	for (i = 0; i < 17; i++)
		frames[i] = (struct frame){ .kind = FRAME_NATIVE, .function = deep };
	for (i = 0; i < 16; i++)
		snprintf(wanted + strlen(wanted), sizeof(wanted) - strlen(wanted), "%s < ", deep);
	strcat(wanted, "...");
	postmortem_init(&pm);
	pm.holders = &row;
	pm.holders_count = 1;
	entry = make(&pm, NULL);
	expect(&entry, "HELDBY_TOP_STACK", wanted);
	postmortem_journal_free(entry.fields, entry.count);
}

static void what_is_not_known_has_no_field(void **state)
{
	struct postmortem pm;
	struct entry entry;

	(void)state;
	postmortem_init(&pm);
	pm.victim.pid = 5;
	entry = make(&pm, NULL);
	assert_int_equal(entry.count, 8);
	expect(&entry, "MESSAGE", "? (pid 5) was killed.");
	expect(&entry, "HELDBY_VICTIM_PID", "5");
	expect(&entry, "HELDBY_VICTIM_COMM", NULL);
	expect(&entry, "HELDBY_VICTIM_ANON_BYTES", NULL);
	expect(&entry, "HELDBY_DOMAIN_KIND", NULL);
	expect(&entry, "HELDBY_LIMIT_BYTES", NULL);
	expect(&entry, "HELDBY_TRIGGER_PID", NULL);
	expect(&entry, "HELDBY_JSON", NULL);
	expect(&entry, "HELDBY_JSON_SKIPPED", NULL);
	postmortem_journal_free(entry.fields, entry.count);
}

static void a_name_cannot_make_a_field_of_its_own(void **state)
{
	struct postmortem pm;
	struct entry entry;
	size_t i;

	(void)state;
	postmortem_init(&pm);
	pm.victim.comm = "x\nPRIORITY=0\n\033[2J\xff";
	entry = make(&pm, NULL);
	expect(&entry, "PRIORITY", "4");
	expect(&entry, "HELDBY_VICTIM_COMM", "x?PRIORITY=0??[2J\xef\xbf\xbd");
	for (i = 0; i < entry.count; i++) {
		assert_null(memchr(entry.fields[i].iov_base, '\n', entry.fields[i].iov_len));
		assert_null(memchr(entry.fields[i].iov_base, '\033', entry.fields[i].iov_len));
	}
	postmortem_journal_free(entry.fields, entry.count);
}

static void a_long_document_is_left_out_and_its_size_told(void **state)
{
	char *json = malloc(POSTMORTEM_JOURNAL_JSON_MAX + 3);
	struct postmortem pm;
	struct entry entry;
	size_t length;

	(void)state;
	assert_non_null(json);
	memset(json, 'x', POSTMORTEM_JOURNAL_JSON_MAX + 1);
	strcpy(json + POSTMORTEM_JOURNAL_JSON_MAX, "\n");
	postmortem_init(&pm);
	entry = make(&pm, json);
	assert_non_null(find(&entry, "HELDBY_JSON", &length));
	assert_int_equal(length, 196608);
	expect(&entry, "HELDBY_JSON_SKIPPED", NULL);
	expect(&entry, "HELDBY_REPORT", NULL);
	postmortem_journal_free(entry.fields, entry.count);
	strcpy(json + POSTMORTEM_JOURNAL_JSON_MAX, "x\n");
	entry = make(&pm, json);
	expect(&entry, "HELDBY_JSON", NULL);
	expect(&entry, "HELDBY_JSON_SKIPPED", "196609");
	postmortem_journal_free(entry.fields, entry.count);
	free(json);
}

static void nothing_is_freed_without_complaint(void **state)
{
	(void)state;
	postmortem_journal_free(NULL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_have_what_the_record_has),
		cmocka_unit_test(a_deep_stack_says_that_it_goes_on),
		cmocka_unit_test(what_is_not_known_has_no_field),
		cmocka_unit_test(a_name_cannot_make_a_field_of_its_own),
		cmocka_unit_test(a_long_document_is_left_out_and_its_size_told),
		cmocka_unit_test(nothing_is_freed_without_complaint),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
