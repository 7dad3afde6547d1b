// SPDX-License-Identifier: Apache-2.0
#include "fake_tables.h"
#include "fake_private.h"

#include <string.h>

#define FIRST_ROW 100 /* of a code's rows in its chunk */
#define PAGES_MAX 50

static u32 rule_count;
static struct hb_rule rules[HB_RULES_MAX];

static void rule_set(u32 index, const struct hb_rule *rule)
{
	rules[index] = *rule;
	fake_put("hb_rules", &index, sizeof(index), rule, sizeof(*rule));
}

void tables_reset(void)
{
	static const struct hb_rule none = { .cfa = HB_CFA_NONE }, unsupported = { .cfa = HB_CFA_UNSUPPORTED };

	rule_set(HB_RULE_NONE, &none);
	rule_set(HB_RULE_UNSUPPORTED, &unsupported);
	rule_count = 2;
}

u16 tables_rule(const struct hb_rule *rule)
{
	for (u32 i = 0; i < rule_count; i++) {
		if (!memcmp(&rules[i], rule, sizeof(*rule)))
			return i;
	}
	rule_set(rule_count, rule);
	return rule_count++;
}

void tables_rows(u32 chunk, u32 first, const struct hb_row *rows, u32 count)
{
	static const struct hb_chunk empty;
	struct hb_chunk *found = fake_find("hb_chunks", &chunk);

	if (first + count > HB_CHUNK_ROWS)
		fake_die("rows that no chunk holds");
	if (!found) {
		fake_put("hb_chunks", &chunk, sizeof(chunk), &empty, sizeof(empty));
		found = fake_find("hb_chunks", &chunk);
	}
	memcpy(&found->rows[first], rows, count * sizeof(*rows)); /* as through the mapping */
}

void tables_page(u32 index, u32 chunk, u32 first, u32 count, u32 version)
{
	struct hb_page page = { .chunk = chunk, .first = first, .count = count, .version = version };

	fake_put("hb_pages", &index, sizeof(index), &page, sizeof(page));
}

void tables_object(u32 object, u32 page_base, u32 pages, enum hb_object_state state)
{
	struct hb_object value = { .page_base = page_base, .pages = pages, .state = state };

	fake_put("hb_objects", &object, sizeof(object), &value, sizeof(value));
}

struct hb_inode_key tables_key(const struct file *file)
{
	return (struct hb_inode_key){
		.inode = (u64)file->f_inode,
		.ino = file->f_inode->i_ino,
		.dev = file->f_inode->i_sb->s_dev,
		.generation = file->f_inode->i_generation,
	};
}

void tables_inode(const struct file *file, u32 object)
{
	struct hb_inode_key key = tables_key(file);
	struct hb_inode inode = { .object = object };

	fake_put("hb_inodes", &key, sizeof(key), &inode, sizeof(inode));
}

static u32 version_of(u32 index)
{
	const struct hb_page *page = fake_find("hb_pages", &index);

	return page ? page->version : 0;
}

void tables_drop(const struct code *code)
{
	tables_object(code->object, 0, 0, HB_OBJECT_DROPPED);
	for (u32 i = code->page_base; i < code->page_base + code->pages; i++)
		tables_page(i, 0, 0, 0, version_of(i) + 1);
}

struct code code_new(struct mm_struct *mm, u32 object, u64 start, u64 bytes, u64 offset)
{
	static const struct hb_row none = { .rule = HB_RULE_NONE };
	struct code code = {
		.file = fake_file(1000 + object, 0x800001, 5),
		.mm = mm,
		.object = object,
		.page_base = PAGES_MAX * (object % 1000), /* the numbers that a test takes differ there */
		.pages = ((offset + bytes - 1) >> HB_PAGE_SHIFT) + 1,
		.chunk = object % 200,
		.start = start,
		.end = start + bytes,
		.offset = offset,
		.next = offset,
		.rows = 1,
	};

	if (code.pages > PAGES_MAX)
		fake_die("a file so large that its pages are another's");
	fake_map(mm, start, start + bytes, offset, FAKE_EXEC, code.file);
	tables_rows(code.chunk, FIRST_ROW, &none, 1);
	tables_object(object, code.page_base, code.pages, HB_OBJECT_READY);
	tables_inode(code.file, object);
	return code;
}

u64 code_function(struct code *code, struct hb_rule rule)
{
	u64 page = code->offset >> HB_PAGE_SHIFT, at = code->next;
	struct hb_row row = { .offset = at & (PAGE_BYTES - 1), .rule = tables_rule(&rule) };

	if (at >> HB_PAGE_SHIFT != page)
		fake_die("more functions than a page has room for");
	tables_rows(code->chunk, FIRST_ROW + code->rows++, &row, 1);
	tables_page(code->page_base + page, code->chunk, FIRST_ROW, code->rows, 10 + code->rows);
	code->next += FUNCTION_BYTES;
	return code->start + (at - code->offset);
}

u64 code_word(const struct code *code, u64 address)
{
	return HB_FRAME_IN_OBJECT(code->object, address - code->start + code->offset);
}

void code_call(struct mm_struct *mm, u64 address)
{
	static const u8 call[5] = { 0xe8, 1, 2, 3, 4 };

	fake_write(mm, address - sizeof(call), call, sizeof(call));
}
