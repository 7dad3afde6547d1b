#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
The lint, linted: a small tree on which every rule is silent, and bad trees, each with one sin that
one rule must find at its line, and no other rule may.
"""

import os
import shutil
import sys
import tempfile

sys.dont_write_bytecode = True

import headers  # noqa: E402
import kernel  # noqa: E402
import layers  # noqa: E402
import shape  # noqa: E402
import tables  # noqa: E402
from rules import RULES  # noqa: E402
from tree import Tree  # noqa: E402

SPDX = "SPDX-License-Identifier: "
FREE = f"// {SPDX}Apache-2.0\n"
KERNEL = f"// {SPDX}GPL-2.0-only OR BSD-2-Clause\n"
TO_BE_DONE = "TO" + "DO"

GUARDED = FREE + "#ifndef HB_{0}_H\n#define HB_{0}_H\n{1}\n#endif\n"
FUZZ = FREE + '#include "../../{0}"\nint LLVMFuzzerTestOneInput(const unsigned char *b, unsigned long n);\n'

CORE = KERNEL + """#ifndef HB_CORE_H
#define HB_CORE_H
#include "record.h"
#endif
"""
ACCT = KERNEL + """#include "core.bpf.h"
struct {
	__uint(max_entries, 1);
} hb_live SEC(".maps");
void acct_add(void)
{
	lookup(&hb_live); /* hb_task_fork() is a probe's, and only named here */
}
"""
PROBE = KERNEL + """#include "core.bpf.h"
SEC("uprobe")
int hb_malloc_enter(struct pt_regs *ctx)
{
	struct hb_live *not_the_map;
	acct_add();
	return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(hb_task_fork, struct task_struct *parent)
{
	return 0;
}
"""
RECORD = KERNEL + """#ifndef HB_RECORD_H
#define HB_RECORD_H
enum hb_count {
	HB_CNT_FULL = 0, /* lost = 7 */
	HB_CNT_DEEP = 1,
	HB_CNT_END
};
#endif
"""
LOSS = FREE + """#include "loss.h"
static const char *const kinds[] = {
	[HB_CNT_FULL] = "the table was full; raise --max-rows",
	[HB_CNT_DEEP] = "too deep",
	[LOSS_LATE] = "late",
};
"""
OPTIONS = FREE + """static const struct option_row rows[] = {
	{ "max-rows", 1 },
};
"""
RUN = FREE + """#include <stdio.h>
#include "../probe/session.h"
#include "../view/view.h"
int run(void) { printf("--max-rows"); exit(1); }
"""
MAPS = FREE + """#include "maps.h"
#include "../base/text.h"
static const char *const path = "/proc/%d/maps";
"""

GOOD = {
    "Makefile": f"# {SPDX}Apache-2.0\nall:\n",
    "README.md": "# A tree\n" + "prose may be long " * 20 + "and more\n",
    "bpf/record.h": RECORD,
    "bpf/core.bpf.h": CORE,
    "bpf/acct.bpf.c": ACCT,
    "bpf/probe_malloc.bpf.c": PROBE,
    "user/main.c": FREE + '#include "base/text.h"\n#include "cmd/cmd.h"\nint main(void) { puts(""); }\n',
    "user/base/text.h": GUARDED.format("TEXT", "int text(void);"),
    "user/base/text.c": FREE + '#include "text.h"\n/* printf("%d") exit(1) */ char *s = "exit(1)";\n',
    "user/model/loss.h": GUARDED.format("LOSS", '#include "../../bpf/record.h"\n'
                                        "enum loss_user {\n\tLOSS_LATE = HB_CNT_END,\n\tLOSS_END\n};"),
    "user/model/loss.c": LOSS,
    "user/remote/maps.h": GUARDED.format("MAPS", ""),
    "user/remote/maps.c": MAPS,
    "user/remote/procfs.c": FREE,
    "user/remote/procfs.h": GUARDED.format("PROCFS", ""),
    "user/symbol/elffile.c": FREE + "#include <libelf.h>\n",
    "user/symbol/demangle.c": FREE + "#include <libiberty/demangle.h>\n",
    "user/symbol/elffile.h": GUARDED.format("ELFFILE", ""),
    "user/symbol/demangle.h": GUARDED.format("DEMANGLE", ""),
    "user/view/view.h": GUARDED.format("VIEW", ""),
    "user/view/view.c": FREE + '#include "view.h"\n#include <json-c/json.h>\nchar *s = "; -v and --max-rows help";\n',
    "user/probe/session.h": GUARDED.format("SESSION", "#include <stddef.h>"),
    "user/probe/allocators.h": GUARDED.format("ALLOCATORS", ""),
    "user/probe/allocators.c": FREE + '#include <bpf/libbpf.h>\n#include "heldby.skel.h"\n#include <elf.h>\n'
                                      'char *s = "/proc/self/exe", *list = "--list";\n'
                                      "__attribute__((format(printf, 1, 2))) int say(const char *f, ...);\n",
    "user/cmd/cmd.h": GUARDED.format("CMD", ""),
    "user/cmd/run.c": RUN,
    "user/cmd/options.c": OPTIONS,
    "tests/unit/test_text.c": FREE + "/* tests may include and print what they like */\n" + "int x;\n" * 700,
    "tests/golden/full.txt": "what views write is not looked at   \n",
    "tests/run.py": f"#!/usr/bin/env python3\n# {SPDX}Apache-2.0\n",
}
for parser, target in tables.PARSERS.items():
    GOOD.setdefault(parser, FREE)
    GOOD.setdefault(parser[:-2] + ".h", GUARDED.format(os.path.basename(parser)[:-2].upper(), ""))
    GOOD[f"tests/fuzz/fuzz_{target}.c"] = FUZZ.format(parser[:-2] + ".h")
    GOOD[f"tests/fuzz/corpus/{target}/seed"] = "seed"

# (what the sin is, the rule, the file, what the file is or (old, new), the line, words of the finding).
# An old text that is None: the new one goes to the end. A file that is None: it is taken away.
SINS = [
    ("a model that includes a view", layers.layers, "user/model/loss.c",
     (None, '#include "../view/view.h"\n'), 8, "model may not include from view"),
    ("a remote that includes records", layers.layers, "user/remote/maps.c",
     (None, '#include "../../bpf/record.h"\n'), 5, "remote may not include bpf/record.h"),
    ("a base that includes a model", layers.layers, "user/base/text.c",
     ("/*", '#include "../model/loss.h"\n/*'), 3, "base may not include from model"),
    ("a view that includes a probe", layers.layers, "user/view/view.c",
     (None, '#include "../probe/session.h"\n'), 5, "view may not include from probe"),
    ("a probe that includes a command", layers.layers, "user/probe/allocators.c",
     (None, '#include "../cmd/cmd.h"\n'), 7, "probe may not include from cmd"),
    ("a main that includes a view", layers.layers, "user/main.c",
     (None, '#include "view/view.h"\n'), 5, "main.c may not include from view"),
    ("a user space that includes the kernel side", layers.layers, "user/probe/allocators.c",
     (None, '#include "../../bpf/core.bpf.h"\n'), 7, "the two sides meet in bpf/record.h"),
    ("an include of no file", layers.layers, "user/base/text.c", (None, '#include "gone.h"\n'), 4, "names no file"),
    ("a folder without a layer", layers.layers, "user/extra/extra.c", FREE, 1, "user/extra has no line"),
    ("libbpf in a command", layers.doors, "user/cmd/run.c",
     (None, "#include <bpf/libbpf.h>\n"), 6, "only user/probe"),
    ("the skeleton in a command", layers.doors, "user/cmd/run.c",
     (None, '#include "heldby.skel.h"\n'), 6, "only user/probe"),
    ("libelf in a probe", layers.doors, "user/probe/allocators.c",
     (None, "#include <gelf.h>\n"), 7, "only user/symbol"),
    ("the disassembler in symbol", layers.doors, "user/symbol/elffile.c",
     (None, "#include <Zydis/Zydis.h>\n"), 3, "only user/probe"),
    ("the HTTP library in a view", layers.doors, "user/view/view.c",
     (None, "#include <microhttpd.h>\n"), 5, "only user/serve"),
    ("sockets in a command", layers.doors, "user/cmd/run.c", (None, "#include <sys/socket.h>\n"), 6, "only user/serve"),
    ("termios in a view", layers.doors, "user/view/view.c", (None, "#include <termios.h>\n"), 5, "only user/cmd"),
    ("cmocka in the program", layers.doors, "user/base/text.c", (None, "#include <cmocka.h>\n"), 4, "only the tests"),
    ("a view that exits", layers.words, "user/view/view.c", (None, "int f(void) { exit(1); }\n"), 5, "ends heldby"),
    ("a probe that _exits", layers.words, "user/probe/allocators.c",
     (None, "int f(void) { _exit(1); }\n"), 7, "ends heldby"),
    ("a model that prints", layers.words, "user/model/loss.c",
     (None, 'int f(void) { printf("x"); }\n'), 8, "printf prints"),
    ("a view that writes to stdout", layers.words, "user/view/view.c",
     (None, 'int f(void) { fputs("x", stdout); }\n'), 5, "stdout prints"),
    ("a probe that writes to stderr", layers.words, "user/probe/allocators.c",
     (None, 'int f(void) { fputs("x", stderr); }\n'), 7, "stderr writes"),
    ("a view that asks the terminal", layers.words, "user/view/view.c",
     (None, "int f(void) { return isatty(1); }\n"), 5, "asks the terminal"),
    ("a symbol that reads another's memory", layers.words, "user/symbol/elffile.c",
     (None, "int f(void) { process_vm_readv(); }\n"), 3, "reaches into another process"),
    ("a probe that opens another's /proc", layers.others, "user/probe/allocators.c",
     (None, 'char *o = "/proc/%d/comm";\n'), 7, "belongs to user/remote"),
    ("a probe that opens a map of files", layers.gate, "user/probe/allocators.c",
     (None, 'char *o = "map_files/%lx-%lx";\n'), 7, "ask user/remote/gate"),
    ("a symbol that opens a process's memory", layers.gate, "user/symbol/elffile.c",
     (None, 'char *o = "mem";\n'), 3, "ask user/remote/gate"),
    ("a command that lists /proc", layers.others, "user/cmd/run.c",
     (None, 'char *o = "/proc";\n'), 6, "belongs to user/remote"),

    ("a .bpf.c that includes libbpf itself", kernel.includes, "bpf/acct.bpf.c",
     (None, "#include <bpf/bpf_helpers.h>\n"), 10, "through core.bpf.h"),
    ("a record.h that includes a system's header", kernel.header_includes, "bpf/record.h",
     ("#ifndef", "#include <stddef.h>\n#ifndef"), 2, "may not include stddef.h"),
    ("a header of the kernel side without a plan", kernel.header_includes, "bpf/more.h",
     KERNEL, 1, "not in the plan"),
    ("a probe that touches a map", kernel.map_owners, "bpf/probe_malloc.bpf.c",
     ("acct_add();", "lookup(&hb_live);"), 7, "hb_live belongs to bpf/acct.bpf.c"),
    ("a header that declares a map", kernel.map_owners, "bpf/core.bpf.h",
     ("#endif", "extern int hb_live;\n#endif"), 5, "hb_live belongs to"),
    ("a probe that owns a map", kernel.map_owners, "bpf/probe_malloc.bpf.c",
     (None, 'struct {\n} hb_mine SEC(".maps");\n'), 17, "maps belong to the core"),
    ("a map defined twice", kernel.map_owners, "bpf/stack.bpf.c",
     KERNEL + 'struct {\n} hb_live SEC(".maps");\n', None, "already"),
    ("a core that calls a program", kernel.core_calls, "bpf/acct.bpf.c",
     ("lookup(&hb_live);", "hb_malloc_enter(0);"), 8, "the core calls no probe"),
    ("a core that calls a probe's BPF_PROG", kernel.core_calls, "bpf/acct.bpf.c",
     ("lookup(&hb_live);", "hb_task_fork(0);"), 8, "the core calls no probe"),
    ("a program with a long name", kernel.names, "bpf/probe_malloc.bpf.c",
     ("hb_malloc_enter", "hb_malloc_enters"), 4, "has 16 characters"),
    ("a program with a name of its own", kernel.names, "bpf/probe_malloc.bpf.c",
     ("hb_task_fork", "fork_seen"), 12, "is not called hb_<source>"),
    ("a program outside the probes", kernel.names, "bpf/acct.bpf.c",
     (None, 'SEC("uprobe")\nint hb_acct_enter(void *ctx)\n{\n}\n'), 11, "belongs into a probe"),
    ("a map with a name of its own", kernel.names, "bpf/stack.bpf.c",
     KERNEL + 'struct {\n} stacks SEC(".maps");\n', 3, "is not called hb_"),
    ("a map with a long name", kernel.names, "bpf/stack.bpf.c",
     KERNEL + 'struct {\n} hb_all_the_stacks SEC(".maps");\n', 3, "has 17 characters"),

    ("a header that needs another", headers.headers, "user/base/text.h",
     GUARDED.format("TEXT", "size_t text(void);"), 1, "does not compile alone"),
    ("a header without a guard", headers.headers, "user/base/text.h",
     FREE + "struct twice { int x; };\n", 1, "does not compile alone"),
    ("a kernel header that needs another", headers.headers, "bpf/core.bpf.h",
     CORE.replace('#include "record.h"', "u64 x;"), 1, "does not compile alone"),

    ("a source without a licence", shape.licences, "user/base/text.h", "/* text */\n", 1, "no SPDX"),
    ("a kernel source under user space's", shape.licences, "bpf/acct.bpf.c",
     (KERNEL, FREE), 1, "the licence here is GPL"),
    ("a user source under the kernel side's", shape.licences, "user/base/text.c", (FREE, KERNEL), 1, "is Apache-2.0"),
    ("a script without a licence", shape.licences, "deploy/go", "#!/bin/sh\nexit 0\n", 2, "no SPDX"),
    ("a Makefile without a licence", shape.licences, "tests/load/Makefile", "all:\n", 1, "no SPDX"),
    ("an empty source", shape.licences, "user/base/empty.c", "", 1, "no SPDX"),
    ("a long line", shape.lines_end, "user/base/text.c", (None, "//" + "x" * 119 + "\n"), 4, "121 columns"),
    ("a line that tabs make long", shape.lines_end, "user/base/text.c",
     (None, "\t//" + "x" * 111 + "\n"), 4, "121 columns"),
    ("a line that ends in blanks", shape.lines_end, "README.md", (None, "prose \n"), 3, "ends in blanks"),
    ("a line with a carriage return", shape.lines_end, "user/base/text.c", (None, "int x;\r\n"), 4, "carriage return"),
    ("a last line that does not end", shape.lines_end, "user/base/text.c", (None, "int x;"), 4, "does not end"),
    ("a file too long", shape.sizes, "user/base/text.c", (None, "int x;\n" * 600), 601, "603 lines"),
    ("a test too long", shape.sizes, "tests/unit/test_text.c", (None, "int x;\n" * 100), 801, "802 lines"),
    ("work left to do", shape.undone, "user/base/text.c", (None, f"/* {TO_BE_DONE}: more */\n"), 4, TO_BE_DONE),
    ("work left to do in prose", shape.undone, "README.md", (None, f"{TO_BE_DONE}\n"), 3, TO_BE_DONE),

    ("a kernel's counter without a sentence", tables.counters, "user/model/loss.c",
     ('\t[HB_CNT_DEEP] = "too deep",\n', ""), None, "HB_CNT_DEEP has 0 rows"),
    ("a user's counter without a sentence", tables.counters, "user/model/loss.h",
     ("LOSS_END\n", "LOSS_MORE,\n\tLOSS_END\n"), 7, "LOSS_MORE has 0 rows"),
    ("a counter with two sentences", tables.counters, "user/model/loss.c",
     ("};", '[LOSS_LATE] = "later",\n};'), None, "LOSS_LATE has 2 rows"),
    ("counters that are gone", tables.counters, "user/model/loss.h",
     ("enum loss_user", "enum user_loss"), 1, "enum loss_user is not here"),
    ("a counter without a value", tables.counter_values, "bpf/record.h", ("DEEP = 1", "DEEP"), 6, "is not given"),
    ("a counter with another's value", tables.counter_values, "bpf/record.h", ("DEEP = 1", "DEEP = 0"), 6, "is 0"),
    ("a sentence that names no option", tables.options, "user/model/loss.c",
     ("--max-rows", "--max-row"), 4, "--max-row is no option"),
    ("a table of a report that names no option", tables.options, "user/cmd/run.c",
     ('"--max-rows"', '"--max-stacks"'), 5, "--max-stacks is no option"),
    ("a view that names no option", tables.options, "user/view/view.c",
     ("--max-rows", "--min-rows"), 4, "--min-rows is no option"),
    ("a parser without a fuzz target", tables.parsers, "tests/fuzz/fuzz_elffile.c", None, None, "has no tests/fuzz"),
    ("a new reader of strangers without a fuzz target", tables.parsers, "user/remote/hsperf.c", FREE, 1,
     "has no tests/fuzz/fuzz_hsperf.c"),
    ("a fuzz target without its parser", tables.parsers, "tests/fuzz/fuzz_maps.c",
     ("remote/maps.h", "remote/procfs.h"), 1, "does not include maps.h"),
    ("a fuzz target without an entry", tables.parsers, "tests/fuzz/fuzz_maps.c",
     ("LLVMFuzzerTestOneInput", "fuzz"), 1, "no LLVMFuzzerTestOneInput"),
    ("a fuzz target without a corpus", tables.parsers, "tests/fuzz/corpus/maps/seed", None, None, "holds no input"),
    ("a parser on the list that is gone", tables.parsers, "user/symbol/demangle.c", None, 1, "this parser is gone"),
]


def write(root, path, text):
    full = os.path.join(root, path)
    os.makedirs(os.path.dirname(full), exist_ok=True)
    with open(full, "w", encoding="utf-8", newline="") as file:
        file.write(text)


def build(root, path=None, change=None):
    """The good tree below @root, with one change."""
    for name, text in GOOD.items():
        write(root, name, text)
    if path is None:
        return
    if change is None:
        os.unlink(os.path.join(root, path))
    elif isinstance(change, str):
        write(root, path, change)
    elif change[0] is None:
        write(root, path, GOOD[path] + change[1])
    else:
        assert change[0] in GOOD[path], (path, change[0])
        write(root, path, GOOD[path].replace(change[0], change[1]))


def findings_of(root, rules):
    tree = Tree(root, "build")
    return {check: sorted(set(check(tree))) for check in rules}


def problem_of(scratch, sin):
    """None if the lint finds @sin, and nothing else."""
    what, guilty, path, change, line, words = sin
    root = os.path.join(scratch, "bad")
    build(root, path, change)
    # Only sins of headers make some header not compile; what another rule looks at need not compile.
    rules = [check for check in RULES if check is guilty or check is not headers.headers]
    found = findings_of(root, rules)
    shutil.rmtree(root)
    right = [item for item in found[guilty]
             if words in item[2] and (line is None or item[:2] == (path, line))]
    if not right:
        return f"{what}: not found by '{guilty.title}', which said {found[guilty]}"
    others = [(check.title, items) for check, items in found.items() if items and check is not guilty]
    if others:
        return f"{what}: found by others too: {others}"
    return None


def good_problems(scratch):
    """One for each rule that is not silent on the good tree."""
    root = os.path.join(scratch, "good")
    build(root)
    for check, items in findings_of(root, RULES).items():
        yield f"'{check.title}' on the good tree: {items}" if items else None


def main():
    with tempfile.TemporaryDirectory() as scratch:
        problems = list(good_problems(scratch)) + [problem_of(scratch, sin) for sin in SINS]
    sinned = {sin[1] for sin in SINS}
    problems += [None if check in sinned else f"no sin against '{check.title}' is tried" for check in RULES]
    for problem in filter(None, problems):
        print(problem)
    failed = len(list(filter(None, problems)))
    print(f"{len(problems) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
