# SPDX-License-Identifier: Apache-2.0
"""How files look: licence, lines, sizes, and words that say the work is not done."""

import re

from rules import rule
from tree import line_of

COLUMNS = 120
TAB = 8
LINES, TEST_LINES = 600, 800
KERNEL_LICENCE = "GPL-2.0-only OR BSD-2-Clause"
LICENCE = "Apache-2.0"
SPDX = re.compile(r"^(?://|/\*|#)\s*SPDX-License-Identifier: (.+?)\s*(?:\*/)?$")
UNDONE = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")


def licence_of(path):
    return KERNEL_LICENCE if path.startswith(("bpf/", "vmlinux/")) else LICENCE


@rule("every source begins with its folder's licence")
def licences(tree):
    for path in tree.sources():
        lines = tree.text(path).split("\n")
        line = 2 if lines[0].startswith("#!") else 1
        match = SPDX.match(lines[line - 1]) if len(lines) >= line else None
        if not match:
            yield path, line, "this line has no SPDX-License-Identifier"
        elif match[1] != licence_of(path):
            yield path, line, f"the licence here is {licence_of(path)}, not {match[1]}"


@rule(f"lines end within {COLUMNS} columns, without blanks, and the last one ends")
def lines_end(tree):
    for path in tree.sources() + tree.prose():
        text = tree.text(path)
        for number, line in enumerate(text.split("\n"), 1):
            width = len(line.expandtabs(TAB))
            if width > COLUMNS and path not in tree.prose():
                yield path, number, f"the line has {width} columns, {COLUMNS} are the limit"
            if line.endswith("\r"):
                yield path, number, "the line ends in a carriage return"
            elif line != line.rstrip():
                yield path, number, "the line ends in blanks"
        if text and not text.endswith("\n"):
            yield path, text.count("\n") + 1, "the last line does not end"


@rule(f"no file has more than {LINES} lines, no test more than {TEST_LINES}")
def sizes(tree):
    for path in tree.sources():
        limit = TEST_LINES if path.startswith("tests/") else LINES
        count = tree.text(path).count("\n")
        if count > limit:
            yield path, limit + 1, f"the file has {count} lines, {limit} are the limit"


@rule("nothing is left to do")
def undone(tree):
    for path in tree.sources() + tree.prose():
        text = tree.text(path)
        for match in UNDONE.finditer(text):
            yield path, line_of(text, match.start()), f"{match[0]}: do it, or say why not"
