# SPDX-License-Identifier: Apache-2.0
"""The kernel side: what its files include, who owns a map, and how things are called."""

import os
import re

from rules import rule
from tree import line_of

NAME_MAX = 15  # the kernel keeps 16 bytes, BPF_OBJ_NAME_LEN
MAP = re.compile(r'\}\s*(\w+)\s+SEC\(\s*"\.maps"\s*\)')
SECTION = re.compile(r'^SEC\("([^"]+)"\)\s*\n[^\n;=]*?(\w+)\s*\(\s*(\w+)', re.M)
FUNCTION = re.compile(r"^(?!static\b|typedef\b|struct\s+\w+\s*\{)[a-z_][\w \t*]*?\b(\w+)\([^;{]*\)\s*\n?\{", re.M)
PROGRAM_NAME = re.compile(r"hb_[a-z0-9]+(?:_[a-z0-9]+)+")
MACRO = re.compile(r"BPF_[A-Z_]+|[A-Z_]+PROBE[A-Z_]*")

# What each header of the kernel side may include.
HEADER_MAY = {
    "record.h": {"linux/types.h", "record_pages.h", "sample.h"},
    "record_pages.h": {"linux/types.h"},
    "sample.h": {"linux/types.h"},
    "compat.bpf.h": {"core.bpf.h"},
    "core.bpf.h": {"record.h", "fake_bpf.h", "../vmlinux/vmlinux.h", "bpf/bpf_helpers.h",
                   "bpf/bpf_core_read.h", "bpf/bpf_tracing.h"},
}


def is_probe(path):
    return os.path.basename(path).startswith("probe_")


def maps_of(tree, path):
    text = tree.uncommented(path)
    for match in MAP.finditer(text):
        yield line_of(text, match.start(1)), match[1]


def programs_of(tree, path):
    """(line, name): the function below SEC("..."), or the first argument of BPF_PROG() and the like."""
    text = tree.uncommented(path)
    for match in SECTION.finditer(text):
        name = match[3] if MACRO.fullmatch(match[2]) else match[2]
        yield line_of(text, match.start(2)), name


@rule("a .bpf.c includes core.bpf.h and compat.bpf.h alone")
def includes(tree):
    for path in tree.files("bpf", ".c"):
        for line, what, _ in tree.includes(path):
            if what not in ("core.bpf.h", "compat.bpf.h"):
                yield path, line, f"{what} is included through core.bpf.h or not at all"


@rule("the kernel side's headers include what they are for")
def header_includes(tree):
    for path in tree.files("bpf", ".h"):
        may = HEADER_MAY.get(os.path.basename(path))
        if may is None:
            yield path, 1, "this header is not in the plan of the kernel side"
            continue
        for line, what, _ in tree.includes(path):
            if what not in may:
                yield path, line, f"{os.path.basename(path)} may not include {what}"


@rule("a map is touched by the file that owns it, and no probe owns one")
def map_owners(tree):
    owners = {}
    for path in tree.files("bpf", ".c", ".h"):
        for line, name in maps_of(tree, path):
            if name in owners:
                yield path, line, f"{name} is defined in {owners[name]} already"
            if is_probe(path):
                yield path, line, f"{name}: maps belong to the core, not to probes"
            owners[name] = path
    for path in tree.files("bpf", ".c", ".h"):
        code = tree.code(path)
        for name, owner in owners.items():
            if owner == path:
                continue
            for match in re.finditer(rf"(?<!\bstruct )\b{name}\b", code):
                yield path, line_of(code, match.start()), f"{name} belongs to {owner}"


@rule("the core never calls a probe")
def core_calls(tree):
    files = tree.files("bpf", ".c", ".h")
    offered = {}
    for path in filter(is_probe, files):
        for match in FUNCTION.finditer(tree.code(path)):
            offered.setdefault(match[1], path)
        for _, name in programs_of(tree, path):
            offered[name] = path
    offered = {name: path for name, path in offered.items() if not MACRO.fullmatch(name)}
    for path in files:
        if is_probe(path):
            continue
        code = tree.code(path)
        for name, owner in offered.items():
            for match in re.finditer(rf"\b{name}\s*\(", code):
                yield path, line_of(code, match.start()), f"{name} is {owner}'s: the core calls no probe"


@rule("programs and maps have names that bpftool shows whole")
def names(tree):
    for path in tree.files("bpf", ".c"):
        for line, name in programs_of(tree, path):
            if not is_probe(path):
                yield path, line, f"program {name} belongs into a probe_*.bpf.c"
            if not PROGRAM_NAME.fullmatch(name):
                yield path, line, f"program {name} is not called hb_<source>_<function>"
            if len(name) > NAME_MAX:
                yield path, line, f"program {name} has {len(name)} characters, {NAME_MAX} fit"
        for line, name in maps_of(tree, path):
            if not name.startswith("hb_"):
                yield path, line, f"map {name} is not called hb_<plural noun>"
            if len(name) > NAME_MAX:
                yield path, line, f"map {name} has {len(name)} characters, {NAME_MAX} fit"
