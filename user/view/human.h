/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the text view: its pen and its tables. For the human*.c files. */
#ifndef HB_VIEW_HUMAN_H
#define HB_VIEW_HUMAN_H

#include "view.h"

#define HUMAN_CELL    48 /* bytes of a cell; ASCII only */
#define HUMAN_COLUMNS 11

enum human_color {
	COLOR_NONE,
	COLOR_TITLE,
	COLOR_STRONG,
	COLOR_DIM,
	COLOR_GOOD,
	COLOR_WARN,
	COLOR_BAD,
};

struct human {
	FILE *out;
	const struct report *report;
	const struct view_style *style;
	uint64_t total_bytes; /* outstanding in all processes, by malloc, direct and mmap: no byte is in two of them */
	uint64_t total_pages_bytes; /* resident in them, anonymous and shared */
	struct report_owners owners;
	const struct process_info **ranked; /* the processes, those that hold most first */
	bool *replaced;       /* by place among the report's processes, see human_replaced() */
	bool mark_kernel;     /* "_[k]" behind functions of the kernel */
	int err;              /* memory was short */
};

/* A column of right-aligned cells. */
struct human_column {
	const char *title;
	/* Fills @out; leaves it empty where the value is unknown. */
	void (*cell)(const struct human *h, const void *item, char out[HUMAN_CELL]);
	bool optional; /* left out if unknown in every row */
	enum human_color color;
};

/* A table whose last column, of free text, is written by its user. */
struct human_table {
	const struct human_column *columns; /* at most HUMAN_COLUMNS, then one without a title */
	unsigned int widths[HUMAN_COLUMNS]; /* 0: left out */
	const char *last_title;
};

/* Print in a color, if colors are wanted. */
void human_print(struct human *h, enum human_color color, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* A stranger's text, made printable; cut to @columns with "..." unless that is 0. Returns the
 * columns it took. */
unsigned int human_text(struct human *h, enum human_color color, const char *text,
			unsigned int columns);

void human_table_measure(const struct human *h, struct human_table *table, const void *item);
void human_table_head(struct human *h, const struct human_table *table);
void human_table_row(struct human *h, const struct human_table *table, const void *item);

/* The list of processes. Initialize first; release in any case. Returns 0 or -ENOMEM. */
int human_processes_init(struct human *h);
void human_processes_release(struct human *h);
void human_processes(struct human *h);
/* "3 processes (1 exited)" */
void human_processes_count(struct human *h);

/* Whether @process ended in an exec, and what it became is in the report too. */
bool human_replaced(const struct human *h, const struct process_info *process);

/* The ranked rows. */
void human_rows(struct human *h);

/* The frames of @row, a line each. */
void human_stack(struct human *h, const struct board_row *row);

#endif
