// SPDX-License-Identifier: Apache-2.0
/* Any bytes as /proc/kallsyms, and as the kernel's notes: what is found must be what a slow search finds. */
#define _GNU_SOURCE 1
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "../../user/symbol/kallsyms.h"
#include "fuzz_file.h"

#define TEXT_MAX 4096 /* of an input: each line has four bytes at least */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct symbol {
	unsigned long long address;
	char name[KALLSYMS_LINE_MAX + 1], module[KALLSYMS_LINE_MAX + 3];
	unsigned int group; /* counts the changes from one module to another; 0: the kernel */
};

struct model {
	struct symbol symbols[TEXT_MAX / 4];
	size_t count;
	unsigned long long text, text_end;
};

/* Read one line by a description of it. Whether it is well formed; *@type is its letter. */
static bool scan(const char *text, struct symbol *symbol, char *type)
{
	char digits[KALLSYMS_LINE_MAX + 1];
	int name = 0, end = 0;

	memset(symbol, 0, sizeof(*symbol));
	if (sscanf(text, "%[0-9a-f]%*1[ ]%1[a-zA-Z]%*1[ ]%n%[a-zA-Z0-9_.$-]%n", digits, type, &name,
		   symbol->name, &end) != 3 || !end)
		return false;
	if (strlen(digits) > strspn(digits, "0") + 16)
		return false;
	symbol->address = strtoull(digits, NULL, 16);
	text += end;
	if (!*text)
		return true;
	end = 0;
	if (sscanf(text, "\t[%[a-zA-Z0-9_.$-]]%n", symbol->module + 1, &end) != 1 || !end || text[end] ||
	    *text != '\t' || text[1] != '[')
		return false;
	symbol->module[0] = '[';
	strcat(symbol->module, "]");
	return true;
}

static void model_line(struct model *model, const char *text)
{
	static char module[KALLSYMS_LINE_MAX + 3];
	static unsigned int group;
	struct symbol *symbol = &model->symbols[model->count];
	char type[2] = "";

	if (!model->count)
		*module = group = 0;
	if (!scan(text, symbol, type))
		return;
	if (!*symbol->module && !strcmp(symbol->name, "_stext") && !model->text)
		model->text = symbol->address;
	if (!*symbol->module && !strcmp(symbol->name, "_etext") && !model->text_end)
		model->text_end = symbol->address;
	if (!strchr("tTwW", *type) || *symbol->name == '$' || !symbol->address)
		return;
	if (*symbol->module && strcmp(symbol->module, module)) {
		strcpy(module, symbol->module);
		group++;
	}
	symbol->group = *symbol->module ? group : 0;
	model->count++;
}

static void model_read(struct model *model, const uint8_t *data, size_t size)
{
	char text[KALLSYMS_LINE_MAX + 1];
	const uint8_t *end;

	memset(model, 0, offsetof(struct model, symbols));
	model->count = 0;
	model->text = model->text_end = 0;
	for (; (end = memchr(data, '\n', size)); size -= (size_t)(end + 1 - data), data = end + 1) {
		size_t length = (size_t)(end - data);

		if (length > KALLSYMS_LINE_MAX || memchr(data, '\0', length))
			continue;
		memcpy(text, data, length);
		text[length] = '\0';
		model_line(model, text);
	}
}

static bool counts(const struct model *model, const struct symbol *symbol)
{
	return symbol->group || (symbol->address >= model->text && symbol->address < model->text_end);
}

/* The first of those that begin last at or before @address, or behind it and then first. */
static const struct symbol *nearest(const struct model *model, unsigned long long address, bool behind)
{
	const struct symbol *found = NULL;
	size_t i;

	for (i = 0; i < model->count; i++) {
		const struct symbol *symbol = &model->symbols[i];

		if (!counts(model, symbol) || (symbol->address > address) != behind)
			continue;
		if (!found || (behind ? symbol->address < found->address : symbol->address > found->address))
			found = symbol;
	}
	return found;
}

static const struct symbol *model_find(const struct model *model, unsigned long long address)
{
	const struct symbol *symbol = nearest(model, address, false), *next = nearest(model, address, true);
	unsigned long long page;

	if (!symbol || address - symbol->address >= KALLSYMS_REACH_MAX)
		return NULL;
	if (!symbol->group)
		return address < model->text_end ? symbol : NULL;
	if (next && next->group == symbol->group)
		return symbol;
	page = symbol->address / 4096 + (symbol->address % 4096 ? 2 : 1); /* the first that is not reached */
	return address / 4096 < page ? symbol : NULL;
}

static void check(const struct kallsyms *ks, const struct model *model, uint64_t address)
{
	const struct symbol *wanted = model_find(model, address);
	struct kallsyms_symbol found;
	struct frame frame;

	if (kallsyms_find(ks, address, &found) != !!wanted || kallsyms_frame(ks, address, true, &frame) != !!wanted)
		abort();
	if (!wanted)
		return;
	if (strcmp(found.name, wanted->name) || found.offset != address - wanted->address ||
	    !found.module != !wanted->group || (found.module && strcmp(found.module, wanted->module)))
		abort();
	if (strcmp(frame.function, wanted->name) || strcmp(frame.module, found.module ? found.module : "[kernel]") ||
	    (!wanted->group && frame.offset != address - model->text))
		abort();
}

static void check_build_id(const char *id)
{
	if (strspn(id, "0123456789abcdef") != strlen(id) || strlen(id) % 2 || strlen(id) > 2 * ELFFILE_BUILD_ID_MAX)
		abort();
}

static void check_all(const struct kallsyms *ks, const struct model *model)
{
	size_t i;

	for (i = 0; i < model->count; i++) {
		unsigned long long address = model->symbols[i].address;

		check(ks, model, address);
		check(ks, model, address - 1);
		check(ks, model, address + 1);
		check(ks, model, address + 4095);
		check(ks, model, address | 4095);
		check(ks, model, (address | 4095) + 4096);
		check(ks, model, (address | 4095) + 4097);
		check(ks, model, address + KALLSYMS_REACH_MAX - 1);
		check(ks, model, address + KALLSYMS_REACH_MAX);
	}
	check(ks, model, model->text_end - 1);
	check(ks, model, model->text_end);
	check(ks, model, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct model model;
	struct kallsyms ks;
	char path[64];
	int fd, err;

	if (size > TEXT_MAX)
		return -1;
	fd = fuzz_file(data, size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	model_read(&model, data, size);
	err = kallsyms_load(&ks, path, path);
	close(fd);
	if (!err != !*ks.why || ks.hidden != (err == -EACCES) || (err && ks.count))
		abort();
	if (!err && (!model.text || model.text >= model.text_end))
		abort();
	if (err == -EACCES && model.count)
		abort();
	if (!err)
		check_all(&ks, &model);
	check_build_id(ks.build_id);
	kallsyms_release(&ks);
	return 0;
}
