// SPDX-License-Identifier: Apache-2.0
/*
 * Every row of real objects against libdw, which reads the same sections by code of its own. Inside
 * each of our rows all of libdw's are walked: each must give the rule that we have, at its first byte
 * and at its last. Three things are different by intent:
 *
 *   padding   up to 15 bytes behind a function have its last rule; libdw has nothing there
 *   signal    a frame of the kernel's is one rule; libdw says it beside the CFA and the registers
 *   entry     the code at the entry point is the outermost frame, even if nobody described it
 */
#define _GNU_SOURCE 1
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dwarf.h>
#include <elf.h>
#include <elfutils/libdw.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../../user/symbol/cfi.h"

#define LIBS "/usr/lib/x86_64-linux-gnu/"
#define JVM  "/usr/lib/jvm/java-17-openjdk-amd64/lib/server/libjvm.so"
#define ARM  "/usr/aarch64-linux-gnu/lib/"

#ifdef __aarch64__
#define ARM_HOST 1
#else
#define ARM_HOST 0
#endif

struct oracle {
	Dwarf_CFI *cfi;
	bool arm;
	uint64_t bias;        /* vaddr - file offset, of the text */
	uint64_t entry;       /* vaddr */
	size_t rows, frames, padding;
};

/* --- libdw's answer as a rule ---------------------------------------------------------------- */

static bool breg(const Dwarf_Op *op, uint64_t *reg, int64_t *offset)
{
	if (op->atom == DW_OP_bregx) {
		*reg = op->number;
		*offset = (int64_t)op->number2;
		return true;
	}
	*reg = op->atom - DW_OP_breg0;
	*offset = (int64_t)op->number;
	return op->atom >= DW_OP_breg0 && op->atom <= DW_OP_breg31;
}

static bool is_plt(const Dwarf_Op *ops, size_t count, int64_t *threshold)
{
	static const uint8_t atoms[] = { DW_OP_breg7, DW_OP_breg16, DW_OP_lit15, DW_OP_and, 0, DW_OP_ge, DW_OP_lit3,
					 DW_OP_shl, DW_OP_plus };
	size_t i;

	for (i = 0; i < sizeof(atoms) && count == sizeof(atoms); i++) {
		if (atoms[i] && ops[i].atom != atoms[i])
			return false;
	}
	*threshold = ops[4 < count ? 4 : 0].atom - DW_OP_lit0;
	return i == sizeof(atoms) && ops[0].number == 8 && !ops[1].number && *threshold >= 0 && *threshold <= 15;
}

static bool cfa_rule(const struct oracle *oracle, Dwarf_Frame *frame, struct hb_rule *rule)
{
	const uint64_t sp = oracle->arm ? 31 : 7, fp = oracle->arm ? 29 : 6;
	int64_t offset = 0, aux = 0;
	uint64_t reg = 0;
	Dwarf_Op *ops;
	size_t count;

	assert_int_equal(dwarf_frame_cfa(frame, &ops, &count), 0);
	if (!oracle->arm && is_plt(ops, count, &aux)) {
		*rule = (struct hb_rule){ .cfa = HB_CFA_PLT, .aux = (int32_t)aux };
		return true;
	}
	if (!count || !breg(&ops[0], &reg, &offset) || (reg != sp && reg != fp && (oracle->arm || reg != 3)))
		return false;
	if (count == 1 && reg == 3) {
		rule->cfa = HB_CFA_BX;
	} else if (reg == 3) {
		return false;
	} else if (count == 1) {
		rule->cfa = reg == sp ? HB_CFA_SP : HB_CFA_FP;
	} else if (!oracle->arm && ops[1].atom == DW_OP_deref &&
		   (count == 2 || (count == 3 && ops[2].atom == DW_OP_plus_uconst))) {
		rule->cfa = reg == sp ? HB_CFA_DEREF_SP : HB_CFA_DEREF_FP;
		rule->aux = count == 3 ? (int32_t)ops[2].number : 0;
	} else {
		return false;
	}
	rule->cfa_offset = (int32_t)offset;
	return true;
}

/* How register @reg of the caller is found. */
static enum hb_saved saved_rule(const struct oracle *oracle, Dwarf_Frame *frame, int reg, int32_t *offset)
{
	Dwarf_Op mem[3], *ops;
	uint64_t base;
	int64_t plus;
	size_t count;

	*offset = 0;
	assert_int_equal(dwarf_frame_register(frame, reg, mem, &ops, &count), 0);
	if (!count)
		return ops == mem ? HB_SAVED_LOST : HB_SAVED_SAME; /* libdw.h: undefined; the same value */
	if (ops[0].atom != DW_OP_call_frame_cfa)
		return HB_SAVED_LOST;
	if (count == 1)
		return HB_SAVED_AT_CFA;
	if (count == 2 && ops[1].atom == DW_OP_plus_uconst) {
		*offset = (int32_t)ops[1].number;
		return HB_SAVED_AT_CFA;
	}
	if (count == 2 && breg(&ops[1], &base, &plus) && base == (oracle->arm ? 29 : 6)) {
		*offset = (int32_t)plus;
		return HB_SAVED_AT_FP;
	}
	return HB_SAVED_LOST;
}

/*
 * What is said of rbx. When nothing is, libdw has it undefined: its table of the registers that a call
 * preserves names rax instead (elfutils, backends/x86_64_cfi.c).
 */
static uint8_t bx_rule(const struct oracle *oracle, Dwarf_Frame *frame)
{
	Dwarf_Op mem[3], *ops;
	int32_t offset;
	size_t count;

	assert_int_equal(dwarf_frame_register(frame, 3, mem, &ops, &count), 0);
	if (!count)
		return HB_BX_SAME;
	return saved_rule(oracle, frame, 3, &offset) == HB_SAVED_AT_CFA ? (uint8_t)(-offset / 8) : HB_BX_LOST;
}

/* Whether the return address is undefined. */
static bool is_outermost(Dwarf_Frame *frame, int ra)
{
	Dwarf_Op mem[3], *ops;
	size_t count;

	assert_int_equal(dwarf_frame_register(frame, ra, mem, &ops, &count), 0);
	return !count && ops == mem;
}

static struct hb_rule libdw_rule(const struct oracle *oracle, Dwarf_Frame *frame)
{
	struct hb_rule rule = { 0 };
	int32_t ra_offset;
	bool signal, good;
	int ra = dwarf_frame_info(frame, NULL, NULL, &signal);

	if (signal)
		return (struct hb_rule){ .cfa = HB_CFA_SIGNAL };
	if (oracle->arm && ra != 30)
		return (struct hb_rule){ .cfa = HB_CFA_UNSUPPORTED };
	if (is_outermost(frame, ra))
		return (struct hb_rule){ .cfa = HB_CFA_STOP };
	good = cfa_rule(oracle, frame, &rule);
	rule.ra = (uint8_t)saved_rule(oracle, frame, ra, &ra_offset);
	if (oracle->arm)
		good = good && (rule.ra == HB_SAVED_SAME || rule.ra == HB_SAVED_AT_CFA);
	else
		good = good && rule.ra == HB_SAVED_AT_CFA && ra_offset == -8;
	if (!good)
		return (struct hb_rule){ .cfa = HB_CFA_UNSUPPORTED };
	if (oracle->arm)
		rule.aux = ra_offset;
	rule.fp = (uint8_t)saved_rule(oracle, frame, oracle->arm ? 29 : 6, &rule.fp_offset);
	if (!oracle->arm)
		rule.more = bx_rule(oracle, frame);
	return rule;
}

/* --- comparing ------------------------------------------------------------------------------- */

static Dwarf_Frame *frame_at(const struct oracle *oracle, uint64_t vaddr)
{
	Dwarf_Frame *frame = NULL;

	return dwarf_cfi_addrframe(oracle->cfi, vaddr, &frame) ? NULL : frame;
}

static void expect_frame(struct oracle *oracle, Dwarf_Frame *frame, const struct hb_rule *rule, uint64_t vaddr)
{
	struct hb_rule theirs = libdw_rule(oracle, frame);

	if (memcmp(rule, &theirs, sizeof(theirs)))
		print_error("at %#lx: cfa %d%+d fp %d%+d ra %d aux %d bx %d, "
			    "libdw: cfa %d%+d fp %d%+d ra %d aux %d bx %d\n",
			    (unsigned long)vaddr, rule->cfa, rule->cfa_offset, rule->fp, rule->fp_offset, rule->ra,
			    rule->aux, rule->more, theirs.cfa, theirs.cfa_offset, theirs.fp, theirs.fp_offset,
			    theirs.ra, theirs.aux, theirs.more);
	assert_memory_equal(rule, &theirs, sizeof(theirs));
	oracle->frames++;
}

/* Whether the row from @vaddr on is the code at the entry point, of which libdw knows nothing. */
static bool is_entry(const struct oracle *oracle, const struct hb_rule *rule, uint64_t vaddr)
{
	Dwarf_Frame *frame;

	if (rule->cfa != HB_CFA_STOP || vaddr != oracle->entry)
		return false;
	frame = frame_at(oracle, vaddr);
	free(frame);
	return !frame;
}

/* Walk libdw's rows from @vaddr to @end; all must have @rule. */
static void compare_row(struct oracle *oracle, const struct hb_rule *rule, uint64_t vaddr, uint64_t end)
{
	Dwarf_Addr frame_start, frame_end;
	size_t padding = 0;
	Dwarf_Frame *frame;

	if (rule->cfa == HB_CFA_NONE) {
		assert_null(frame_at(oracle, vaddr));
		assert_null(frame_at(oracle, end - 1));
		return;
	}
	if (is_entry(oracle, rule, vaddr)) {
		assert_null(frame_at(oracle, end - 1));
		assert_true(end - vaddr <= 96);
		return;
	}
	while (vaddr < end) {
		frame = frame_at(oracle, vaddr);
		if (!frame) {
			assert_true(++padding <= CFI_PADDING);
			oracle->padding++;
			vaddr++;
			continue;
		}
		padding = 0;
		dwarf_frame_info(frame, &frame_start, &frame_end, NULL);
		assert_true(frame_start <= vaddr && vaddr < frame_end);
		expect_frame(oracle, frame, rule, vaddr);
		free(frame);
		if (frame_end > end)
			frame_end = end; /* the next row goes on with it; it has another rule, or is a gap */
		frame = frame_at(oracle, frame_end - 1);
		assert_non_null(frame);
		expect_frame(oracle, frame, rule, frame_end - 1);
		free(frame);
		vaddr = frame_end;
	}
}

static void compare_table(struct oracle *oracle, const struct cfi_table *table)
{
	size_t i;

	for (i = 0; i < table->rows_count; i++) {
		const struct hb_rule *rule = &table->rules[table->rows[i].rule];
		uint64_t start = table->rows[i].offset + oracle->bias, end = start + 1;

		if (i)
			assert_true(table->rows[i - 1].offset < table->rows[i].offset &&
				    table->rows[i - 1].rule != table->rows[i].rule);
		if (i + 1 < table->rows_count)
			end = table->rows[i + 1].offset + oracle->bias;
		compare_row(oracle, rule, start, end);
		oracle->rows++;
	}
	assert_int_equal(table->rules[table->rows[table->rows_count - 1].rule].cfa, HB_CFA_NONE);
}

/* The bias of the one executable segment. */
static uint64_t text_bias(const struct elf_file *file)
{
	uint64_t bias = 0;
	size_t i, found = 0;

	for (i = 0; i < file->segments_count; i++) {
		if (file->segments[i].flags & PF_X) {
			bias = file->segments[i].vaddr - file->segments[i].offset;
			found++;
		}
	}
	assert_int_equal(found, 1);
	return bias;
}

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* Compare the object at @path with libdw; .debug_frame if @debug. */
static void compare_object(const char *path, bool debug)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct oracle oracle = { 0 };
	struct cfi_table table;
	struct elf_file *file;
	uint64_t before;
	Dwarf *dwarf;
	Elf *elf;

	assert_true(fd >= 0);
	assert_int_equal(elffile_open(&file, fd), 0);
	before = now_us();
	assert_int_equal(cfi_read(&table, file), 0);
	before = now_us() - before;
	assert_int_equal(table.skipped, 0);
	elf_version(EV_CURRENT);
	elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
	assert_non_null(elf);
	dwarf = debug ? dwarf_begin_elf(elf, DWARF_C_READ, NULL) : NULL;
	oracle.cfi = debug ? dwarf_getcfi(dwarf) : dwarf_getcfi_elf(elf);
	assert_non_null(oracle.cfi);
	oracle.arm = file->machine == EM_AARCH64;
	assert_int_equal(pread(fd, &oracle.entry, sizeof(oracle.entry), offsetof(Elf64_Ehdr, e_entry)), 8);
	oracle.bias = text_bias(file);
	compare_table(&oracle, &table);
	print_message("%s: %zu functions, %zu rows, %zu rules read in %.1f ms; %zu answers of libdw agree\n", path,
		      table.fdes, table.rows_count, table.rules_count, (double)before / 1000, oracle.frames);
	assert_true(oracle.frames > oracle.rows);
	if (debug)
		dwarf_end(dwarf);
	else
		dwarf_cfi_end(oracle.cfi);
	elf_end(elf);
	cfi_release(&table);
	elffile_free(file);
	close(fd);
}

/* --- the objects ----------------------------------------------------------------------------- */

static void compare_if_there(const char *path)
{
	if (!access(path, R_OK)) {
		compare_object(path, false);
		return;
	}
	print_message("skipped: no %s\n", path);
	skip();
}

/* Compare the object that the test's own process runs or has loaded under a name with @part. */
static void compare_loaded(const char *part)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[4096], path[4096] = "";

	assert_non_null(maps);
	while (!*path && fgets(line, sizeof(line), maps)) {
		if (strstr(line, part))
			sscanf(line, "%*s %*s %*s %*s %*s %4095s", path);
	}
	fclose(maps);
	assert_true(path[0] == '/');
	compare_object(path, false);
}

static void libc_agrees_with_libdw(void **state)
{
	(void)state;
	compare_loaded("/libc.so.6");
}

static void the_dynamic_linker_agrees_with_libdw(void **state)
{
	(void)state;
	compare_loaded("/ld-linux-");
}

static void libdw_itself_agrees_with_libdw(void **state)
{
	(void)state;
	compare_loaded("/libdw");
}

static void libstdcxx_agrees_with_libdw(void **state)
{
	(void)state;
	compare_if_there(LIBS "libstdc++.so.6");
}

static void libcrypto_agrees_with_libdw(void **state)
{
	(void)state;
	compare_if_there(LIBS "libcrypto.so.3");
}

static void python_agrees_with_libdw(void **state)
{
	(void)state;
	compare_if_there("/usr/bin/python3");
}

static void jemalloc_agrees_with_libdw(void **state)
{
	(void)state;
	compare_if_there(LIBS "libjemalloc.so.2");
}

static void libjvm_agrees_with_libdw(void **state)
{
	(void)state;
	compare_if_there(JVM);
}

static void libc_of_aarch64_agrees_with_libdw(void **state)
{
	(void)state;
	compare_if_there(ARM "libc.so.6");
}

static void libstdcxx_of_aarch64_agrees_with_libdw(void **state)
{
	(void)state;
	compare_if_there(ARM "libstdc++.so.6");
}

static const char program[] =
	"extern void outside(char *, int);\n"
	"__attribute__((weak)) void outside(char *p, int n) { p[n] = 0; }\n"
	"int leaf(int x) { return x + 1; }\n"
	"int rest(int n) { char b[n]; outside(b, n - 1); return b[0]; }\n"
	"int wide(int n) { typedef int v __attribute__((vector_size(32))); v x = { n }; char b[n];\n"
	"outside((char *)&x, 1); outside(b, 0); return x[0] + b[0]; }\n"
	"int deep(int a, int b, int c) { return a ? deep(a - 1, rest(b), wide(c)) + leaf(c) : b; }\n"
	"int five(int n) { return deep(n, n, n) * rest(n); }\n"
	"int six(int n) { return five(n) - five(n - 1); }\n"
	"int seven(int n) { return six(n) ^ wide(n); }\n"
	"int main(void) { return seven(3); }\n";

/* What is made for one test, in a folder of its own. */
struct made {
	char folder[32], source[64], object[64], debug[64];
};

static void run_command(const char *format, const char *one, const char *two, const char *three)
{
	char command[512];

	snprintf(command, sizeof(command), format, one, two, three);
	assert_int_equal(system(command), 0);
}

/* Compile the program with @flags. */
static void make(struct made *made, const char *flags)
{
	const char *cc = getenv("CC");
	char format[256];
	FILE *file;

	strcpy(made->folder, "/tmp/cfi-XXXXXX");
	assert_non_null(mkdtemp(made->folder));
	snprintf(made->source, sizeof(made->source), "%s/a.c", made->folder);
	snprintf(made->object, sizeof(made->object), "%s/a.out", made->folder);
	snprintf(made->debug, sizeof(made->debug), "%s/a.debug", made->folder);
	file = fopen(made->source, "we");
	assert_non_null(file);
	assert_int_equal(fwrite(program, 1, sizeof(program) - 1, file), sizeof(program) - 1);
	fclose(file);
	snprintf(format, sizeof(format), "%s -O2 %s -o %%s %%s", cc ? cc : "gcc", flags);
	run_command(format, made->object, made->source, "");
}

static void unmake(const struct made *made)
{
	unlink(made->source);
	unlink(made->object);
	unlink(made->debug);
	rmdir(made->folder);
}

/* Compile with @flags and compare what comes out. */
static void compare_compiled(const char *flags, bool debug)
{
	struct made made;

	make(&made, flags);
	compare_object(made.object, debug);
	unmake(&made);
}

static void a_static_binary_agrees_with_libdw(void **state)
{
	(void)state;
	compare_compiled("-static", false);
}

static void debug_frame_agrees_with_libdw(void **state)
{
	(void)state;
	compare_compiled("-g -fno-asynchronous-unwind-tables -fno-exceptions -nostdlib -shared", true);
	compare_compiled("-g -gdwarf-3 -fno-asynchronous-unwind-tables -fno-exceptions -nostdlib -shared -gz", true);
}

static void realigned_stacks_agree_with_libdw(void **state)
{
	(void)state;
	if (ARM_HOST)
		skip(); /* gcc realigns stacks for x86_64's vectors only */
	compare_compiled("-mavx2 -mstackrealign", false);
}

static struct elf_file *open_path(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct elf_file *file;

	assert_true(fd >= 0);
	assert_int_equal(elffile_open(&file, fd), 0);
	close(fd);
	return file;
}

static void expect_same(const struct cfi_table *table, const struct cfi_table *other)
{
	size_t i;

	assert_int_equal(table->fdes, other->fdes);
	assert_int_equal(table->skipped, 0);
	assert_int_equal(table->rows_count, other->rows_count);
	for (i = 0; i < table->rows_count; i++) {
		assert_int_equal(table->rows[i].offset, other->rows[i].offset);
		assert_memory_equal(&table->rules[table->rows[i].rule], &other->rules[other->rows[i].rule],
				    sizeof(struct hb_rule));
	}
}

static void a_stripped_file_has_the_rows_of_its_debug_file(void **state)
{
	struct cfi_table whole, stripped, both;
	struct elf_file *file, *debug;
	struct made made;

	(void)state;
	make(&made, "-g -fno-asynchronous-unwind-tables -fno-exceptions -nostdlib -shared");
	file = open_path(made.object);
	assert_int_equal(cfi_read(&whole, file), 0);
	elffile_free(file);
	run_command("objcopy --only-keep-debug --compress-debug-sections %s %s", made.object, made.debug, "");
	run_command("strip %s", made.object, "", "");
	file = open_path(made.object);
	debug = open_path(made.debug);
	assert_int_equal(cfi_read(&stripped, file), -ENOENT);
	assert_true(cfi_sparse(&stripped));
	assert_int_equal(cfi_read_with_debug(&both, file, debug), 0);
	expect_same(&both, &whole);
	cfi_release(&whole);
	cfi_release(&stripped);
	cfi_release(&both);
	elffile_free(file);
	elffile_free(debug);
	unmake(&made);
}

/* The kernel's own, from memory. */
static void the_vdso_agrees_with_libdw(void **state)
{
	const char *image = (const char *)getauxval(AT_SYSINFO_EHDR);
	FILE *maps = fopen("/proc/self/maps", "re");
	struct oracle oracle = { 0 };
	struct cfi_table table;
	unsigned long start, end;
	size_t bytes = 0;
	char line[4096];
	Elf *elf;

	(void)state;
	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps)) {
		if (strstr(line, "[vdso]") && sscanf(line, "%lx-%lx", &start, &end) == 2)
			bytes = end - start;
	}
	fclose(maps);
	if (!image || !bytes || ARM_HOST) {
		print_message("skipped: %s\n", ARM_HOST ? "aarch64's has a row that is in no table" : "no vdso");
		skip();
	}
	assert_int_equal(cfi_read_image(&table, image, bytes), 0);
	assert_int_equal(table.skipped, 0);
	elf_version(EV_CURRENT);
	elf = elf_memory((char *)image, bytes);
	oracle.cfi = dwarf_getcfi_elf(elf);
	assert_non_null(oracle.cfi);
	compare_table(&oracle, &table);
	print_message("vdso: %zu functions, %zu rows; %zu answers of libdw agree\n", table.fdes, table.rows_count,
		      oracle.frames);
	dwarf_cfi_end(oracle.cfi);
	elf_end(elf);
	cfi_release(&table);
}

/* --- the other way in ------------------------------------------------------------------------ */

static void without_section_headers_libc_has_the_same_rows(void **state)
{
	FILE *whole = fopen(LIBS "libc.so.6", "re");
	int fd = memfd_create("stripped", MFD_CLOEXEC);
	struct cfi_table with, without;
	struct elf_file *file;
	Elf64_Ehdr header;
	char buffer[65536];
	size_t got;

	(void)state;
	if (!whole) {
		print_message("skipped: no " LIBS "libc.so.6\n");
		skip();
	}
	while ((got = fread(buffer, 1, sizeof(buffer), whole)))
		assert_int_equal(write(fd, buffer, got), got);
	fclose(whole);
	assert_int_equal(elffile_open(&file, fd), 0);
	assert_int_equal(cfi_read(&with, file), 0);
	assert_int_equal(pread(fd, &header, sizeof(header), 0), sizeof(header));
	header.e_shoff = 0;
	header.e_shnum = header.e_shstrndx = 0;
	assert_int_equal(pwrite(fd, &header, sizeof(header), 0), sizeof(header));
	assert_int_equal(cfi_read(&without, file), 0);
	expect_same(&without, &with);
	cfi_release(&with);
	cfi_release(&without);
	elffile_free(file);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(libc_agrees_with_libdw),
		cmocka_unit_test(the_dynamic_linker_agrees_with_libdw),
		cmocka_unit_test(libdw_itself_agrees_with_libdw),
		cmocka_unit_test(libstdcxx_agrees_with_libdw),
		cmocka_unit_test(libcrypto_agrees_with_libdw),
		cmocka_unit_test(python_agrees_with_libdw),
		cmocka_unit_test(jemalloc_agrees_with_libdw),
		cmocka_unit_test(libjvm_agrees_with_libdw),
		cmocka_unit_test(libc_of_aarch64_agrees_with_libdw),
		cmocka_unit_test(libstdcxx_of_aarch64_agrees_with_libdw),
		cmocka_unit_test(a_static_binary_agrees_with_libdw),
		cmocka_unit_test(debug_frame_agrees_with_libdw),
		cmocka_unit_test(a_stripped_file_has_the_rows_of_its_debug_file),
		cmocka_unit_test(realigned_stacks_agree_with_libdw),
		cmocka_unit_test(the_vdso_agrees_with_libdw),
		cmocka_unit_test(without_section_headers_libc_has_the_same_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
