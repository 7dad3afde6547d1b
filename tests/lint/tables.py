# SPDX-License-Identifier: Apache-2.0
"""Tables that must agree: counters and sentences, advice and options, parsers and fuzz targets."""

import os
import re

from rules import rule
from tree import line_of

RECORD = "bpf/record.h"
LOSS_C, LOSS_H = "user/model/loss.c", "user/model/loss.h"
OPTIONS = "user/cmd/options.c"

OPTION_ROW = re.compile(r'^\s*\{\s*"([a-z][a-z-]*)",', re.M)
OPTION_NAMED = re.compile(r"(?<![\w-])--([a-z][a-z-]*[a-z])")
MEMBER = re.compile(r"^\s*(\w+)\s*(=\s*([^,}]+?))?\s*(?:,|$)", re.M)

SPEAKING = ("user/cmd/", "user/model/", "user/view/", "user/main.c")

# Options of heldby itself, before its commands.
COMMON_OPTIONS = {"help", "version"}

# Files that read a stranger's bytes, and the fuzz target of each. All of user/remote does too.
PARSERS = {
    "user/symbol/elffile.c": "elffile",
    "user/symbol/demangle.c": "demangle",
    "user/symbol/cfi.c": "cfi",
    "user/symbol/kallsyms.c": "kallsyms",
    "user/symbol/perfmap.c": "perfmap",
    "user/symbol/jitdump.c": "jitdump",
    "user/symbol/debugfile.c": "debugfile",
    "user/symbol/lines.c": "lines",
    "user/remote/maps.c": "maps",
    "user/remote/procfs.c": "procfs",
    "user/probe/allocators.c": "allocators",
    "user/view/saved.c": "saved",
}


def members(tree, path, name):
    """(line, name, value or None) of enum @name's members."""
    code = tree.code(path)
    match = re.search(rf"\benum\s+{name}\s*\{{([^}}]*)\}}", code)
    if not match:
        return
    for member in MEMBER.finditer(match[1]):
        yield line_of(code, match.start(1) + member.start(1)), member[1], member[3]


@rule("every counter has its sentence")
def counters(tree):
    rows = re.findall(r"\[\s*(\w+)\s*\]\s*=", tree.code(LOSS_C)) if tree.exists(LOSS_C) else []
    for path, name in ((RECORD, "hb_count"), (LOSS_H, "loss_user")):
        found = list(members(tree, path, name)) if tree.exists(path) else []
        if not found:
            yield path, 1, f"enum {name} is not here"
        for line, member, _ in found:
            if not member.endswith("_END") and rows.count(member) != 1:
                yield path, line, f"{member} has {rows.count(member)} rows in {LOSS_C}, 1 is wanted"


@rule("the kernel's counters have explicit values without gaps")
def counter_values(tree):
    for place, (line, member, value) in enumerate(members(tree, RECORD, "hb_count")):
        if not member.endswith("_END") and value != str(place):
            yield RECORD, line, f"{member} is {value or 'not given'}, its place is {place}"


@rule("every option that a text names exists")
def options(tree):
    if not tree.exists(OPTIONS):
        yield OPTIONS, 1, "the table of options is not here"
        return
    known = set(OPTION_ROW.findall(tree.uncommented(OPTIONS))) | COMMON_OPTIONS
    for path in tree.files("user", ".c", ".h"):
        for line, literal in tree.strings(path):
            if literal.startswith("--") and " " not in literal and not path.startswith(SPEAKING):
                continue  # an argument for another program
            for name in OPTION_NAMED.findall(literal):
                if name not in known:
                    yield path, line, f"--{name} is no option of {OPTIONS}"


@rule("every parser of a stranger's bytes has a fuzz target with a corpus")
def parsers(tree):
    wanted = dict(PARSERS)
    for path in tree.files("user/remote", ".c"):
        wanted.setdefault(path, os.path.basename(path)[:-len(".c")])
    for path, name in sorted(wanted.items()):
        target, corpus = f"tests/fuzz/fuzz_{name}.c", os.path.join(tree.root, "tests/fuzz/corpus", name)
        if not tree.exists(path):
            yield path, 1, "this parser is gone: take it off tests/lint/tables.py"
        elif not tree.exists(target):
            yield path, 1, f"this parser of a stranger's bytes has no {target}"
        elif "LLVMFuzzerTestOneInput" not in tree.code(target):
            yield target, 1, "the target has no LLVMFuzzerTestOneInput"
        elif not any(what.endswith(f"/{name}.h") for _, what, _ in tree.includes(target)):
            yield target, 1, f"the target does not include {name}.h"
        elif not os.path.isdir(corpus) or not os.listdir(corpus):
            yield target, 1, f"tests/fuzz/corpus/{name} holds no input to begin with"
