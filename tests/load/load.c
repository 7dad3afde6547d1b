// SPDX-License-Identifier: Apache-2.0
#include "load.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FACTS_MAX 16

extern struct load_site __start_load_sites[] __attribute__((weak));
extern struct load_site __stop_load_sites[] __attribute__((weak));

static struct {
	const char *name;
	unsigned long long value;
} facts[FACTS_MAX];

static char line[1 << 16];
static size_t used;

void *load_took(struct load_site *site, void *block, size_t bytes)
{
	if (!block)
		return NULL;
	__atomic_add_fetch(&site->allocated_bytes, bytes, __ATOMIC_RELAXED);
	__atomic_add_fetch(&site->allocated_count, 1, __ATOMIC_RELAXED);
	return block;
}

void load_gave(struct load_site *site, size_t bytes)
{
	__atomic_add_fetch(&site->freed_bytes, bytes, __ATOMIC_RELAXED);
	__atomic_add_fetch(&site->freed_count, 1, __ATOMIC_RELAXED);
}

void load_drop(struct load_block *held)
{
	if (held->block)
		load_gave(held->site, held->bytes);
	free(held->block);
	held->block = NULL;
}

void load_reset(void)
{
	for (struct load_site *site = __start_load_sites; site < __stop_load_sites; site++) {
		site->allocated_bytes = site->allocated_count = 0;
		site->freed_bytes = site->freed_count = 0;
	}
	memset(facts, 0, sizeof(facts));
}

void load_fact(const char *name, unsigned long long value)
{
	for (size_t i = 0; i < FACTS_MAX; i++) {
		if (facts[i].name && strcmp(facts[i].name, name))
			continue;
		facts[i].name = name;
		facts[i].value = value;
		return;
	}
	load_fail("too many facts");
}

static void put(const char *text)
{
	size_t length = strlen(text);

	if (length > sizeof(line) - used)
		load_fail("the truth does not fit its line");
	memcpy(line + used, text, length);
	used += length;
}

static void put_number(const char *name, unsigned long long value)
{
	char digits[24];
	size_t at = sizeof(digits) - 1;

	digits[at] = '\0';
	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	put(",\"");
	put(name);
	put("\":");
	put(digits + at);
}

static void put_sums(const struct load_site *site)
{
	put_number("allocated_bytes", site->allocated_bytes);
	put_number("allocated_count", site->allocated_count);
	put_number("freed_bytes", site->freed_bytes);
	put_number("freed_count", site->freed_count);
	put_number("outstanding_bytes", site->allocated_bytes - site->freed_bytes);
	put_number("outstanding_count", site->allocated_count - site->freed_count);
}

static void put_sites(struct load_site *total)
{
	const char *comma = "";

	for (struct load_site *site = __start_load_sites; site < __stop_load_sites; site++) {
		if (!site->allocated_count && !site->freed_count)
			continue;
		total->allocated_bytes += site->allocated_bytes;
		total->allocated_count += site->allocated_count;
		total->freed_bytes += site->freed_bytes;
		total->freed_count += site->freed_count;
		put(comma);
		put("{\"function\":\"");
		put(site->function);
		put("\"");
		put_sums(site);
		put("}");
		comma = ",";
	}
}

static void put_facts(void)
{
	put(",\"facts\":{\"none\":0");
	for (size_t i = 0; i < FACTS_MAX && facts[i].name; i++)
		put_number(facts[i].name, facts[i].value);
	put("}");
}

void load_write(const char *mode)
{
	const char *path = getenv("HB_TRUTH");
	struct load_site total = { 0 };
	int file;

	if (!path)
		return;
	used = 0;
	put("{\"mode\":\"");
	put(mode);
	put("\"");
	put_number("pid", (unsigned long long)getpid());
	put(",\"sites\":[");
	put_sites(&total);
	put("]");
	put_sums(&total);
	put_facts();
	put("}\n");
	file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	load_check(file >= 0 && write(file, line, used) == (ssize_t)used, "truth written");
	close(file);
}

static void complain(const char *text)
{
	ssize_t written = write(STDERR_FILENO, text, strlen(text));

	(void)written;
}

void load_fail(const char *why)
{
	complain("load: ");
	complain(why);
	complain("\n");
	_exit(99);
}

void load_check(int holds, const char *what)
{
	if (!holds)
		load_fail(what);
}

unsigned long long load_number(const char *text)
{
	unsigned long long value = 0;

	load_check(text && *text, "a number is missing");
	for (; *text; text++) {
		load_check(*text >= '0' && *text <= '9', "not a number");
		value = value * 10 + (unsigned long long)(*text - '0');
	}
	return value;
}
