// SPDX-License-Identifier: Apache-2.0
#include "human.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "../base/cleanup.h"
#include "../base/text.h"

#define GAP 2

static const char *const colors[] = {
	[COLOR_NONE] = NULL,       [COLOR_TITLE] = "\033[1m",  [COLOR_STRONG] = "\033[1;36m",
	[COLOR_DIM] = "\033[2m",   [COLOR_GOOD] = "\033[32m",  [COLOR_WARN] = "\033[33m",
	[COLOR_BAD] = "\033[1;31m",
};

static const char *color_on(const struct human *h, enum human_color color)
{
	return h->style->color && colors[color] ? colors[color] : "";
}

static const char *color_off(const struct human *h, enum human_color color)
{
	return h->style->color && colors[color] ? "\033[0m" : "";
}

void human_print(struct human *h, enum human_color color, const char *format, ...)
{
	va_list args;

	fputs(color_on(h, color), h->out);
	va_start(args, format);
	vfprintf(h->out, format, args);
	va_end(args);
	fputs(color_off(h, color), h->out);
}

/*
 * Columns of the UTF-8 character at @text and, in *@bytes, its length. From the Hangul Jamo on many
 * characters are two columns wide; taking all of them so cuts early rather than late.
 */
static unsigned int char_columns(const char *text, size_t *bytes)
{
	unsigned char lead = *text;

	*bytes = lead < 0xc0 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
	return lead >= 0xe1 ? 2 : 1;
}

/* The bytes of @text that fit into @columns; *@used is how many columns those take. */
static size_t fit(const char *text, unsigned int columns, unsigned int *used)
{
	size_t length = 0, bytes;

	*used = 0;
	while (text[length]) {
		unsigned int next = char_columns(text + length, &bytes);

		if (*used + next > columns)
			break;
		*used += next;
		length += bytes;
	}
	return length;
}

unsigned int human_text(struct human *h, enum human_color color, const char *text,
			unsigned int columns)
{
	__cleanup(freep) char *clean = text_printable(text);
	const char *tail = "";
	unsigned int used;
	size_t length;

	if (!clean) {
		h->err = -ENOMEM;
		return 0;
	}
	length = fit(clean, columns ? columns : UINT32_MAX, &used);
	if (clean[length]) {
		tail = "...";
		length = fit(clean, columns > 3 ? columns - 3 : 0, &used);
		used += 3;
	}
	fputs(color_on(h, color), h->out);
	fwrite(clean, 1, length, h->out);
	fputs(tail, h->out);
	fputs(color_off(h, color), h->out);
	return used;
}

static unsigned int max_u(unsigned int a, unsigned int b)
{
	return a > b ? a : b;
}

void human_table_measure(const struct human *h, struct human_table *table, const void *item)
{
	size_t i;

	for (i = 0; table->columns[i].title; i++) {
		const struct human_column *column = &table->columns[i];
		char cell[HUMAN_CELL] = "";

		column->cell(h, item, cell);
		if (!*cell && column->optional)
			continue;
		table->widths[i] = max_u(table->widths[i], strlen(column->title));
		table->widths[i] = max_u(table->widths[i], strlen(cell));
	}
}

void human_table_head(struct human *h, const struct human_table *table)
{
	size_t i;

	for (i = 0; table->columns[i].title; i++) {
		if (table->widths[i])
			human_print(h, COLOR_TITLE, "%*s%*s", (int)table->widths[i],
				    table->columns[i].title, GAP, "");
	}
	human_print(h, COLOR_TITLE, "%s", table->last_title);
	fputc('\n', h->out);
}

void human_table_row(struct human *h, const struct human_table *table, const void *item)
{
	size_t i;

	for (i = 0; table->columns[i].title; i++) {
		char cell[HUMAN_CELL] = "";

		if (!table->widths[i])
			continue;
		table->columns[i].cell(h, item, cell);
		human_print(h, *cell ? table->columns[i].color : COLOR_DIM, "%*s",
			    (int)table->widths[i], *cell ? cell : "-");
		fprintf(h->out, "%*s", GAP, "");
	}
}
