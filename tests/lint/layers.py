# SPDX-License-Identifier: Apache-2.0
"""User space: who may include whom, and which folder owns which door to the outside."""

import os
import re

from rules import rule
from tree import line_of

RECORD = "bpf/record.h"
ALL = {"base", "model", "remote", "symbol", "ledger", "view", "probe", "serve", "cmd"}

# What a folder may include beyond itself.
MAY = {
    "base": set(),
    "model": {"base", RECORD},
    "remote": {"base", "model"},
    "symbol": {"base", "model", "remote", RECORD},
    "ledger": {"base", "model", "remote", "symbol"},
    "view": {"base", "model"},
    "probe": {"base", "model", "remote", "symbol", RECORD},
    "serve": {"base", "model", "view"},
    "cmd": ALL | {RECORD},
    "main.c": {"base", "cmd"},
}

# Headers that only some folders, or files, may include.
DOORS = [
    (r"(bpf/.*|linux/bpf\.h|linux/perf_event\.h|.*\.skel\.h)$", {"probe"}, "libbpf and the skeleton"),
    (r"(libelf|gelf|dwarf|demangle)\.h$|(elfutils|libdw|libiberty)/", {"symbol"}, "libelf, libdw and demanglers"),
    (r"(zlib|lzma)\.h$", {"symbol"}, "what unpacks"),
    (r"Zydis/", {"probe"}, "the disassembler"),
    (r"microhttpd\.h$", {"serve"}, "the HTTP library"),
    (r"(sys/socket|sys/un|netdb)\.h$|(arpa|netinet)/", {"serve"}, "sockets"),
    (r"(n?curses|term|termios)\.h$", {"cmd"}, "the terminal"),
    (r"systemd/", {"cmd"}, "systemd"),
    (r"json-c/", {"view", "remote/container_bundle.c"}, "the JSON library"),
    (r"sys/ptrace\.h$", {"remote"}, "another process's memory"),
    (r"sys/uio\.h$", {"remote", "view/journal.c"}, "another process's memory, or a journal's fields"),
    (r"cmocka\.h$", set(), "the test library"),
]

# Words of code that only some folders may use.
PRINTING = r"(?<![\w.>])(?:printf|vprintf|puts|putchar|perror)\s*\(|\bstdout\b"
WORDS = [
    (r"(?<![\w.>])(?:exit|_exit|_Exit|quick_exit|abort|err|errx)\s*\(", {"cmd", "main.c"}, "ends heldby"),
    (PRINTING, {"cmd", "main.c"}, "prints"),
    (r"\bstderr\b", {"cmd", "main.c"}, "writes to stderr, which base/log.c does"),
    (r"(?<![\w.>])(?:isatty|ttyname|tc[gs]etattr)\s*\(|\bTIOCGWINSZ\b", {"cmd", "main.c"}, "asks the terminal"),
    (r"(?<![\w.>])(?:process_vm_readv|process_vm_writev|ptrace)\s*\(", {"remote"}, "reaches into another process"),
]

# Files whose reading holds an address space, and who opens them, behind user/remote/gate.
HOLDING = re.compile(r"(?:^|/)(?:maps|smaps|smaps_rollup|numa_maps|pagemap|mem|environ|auxv|cmdline"
                     r"|map_files(?:/.*)?)$")
KEYS = {"user/view/postmortem_json.c"}  # has a JSON key of such a name, and opens nothing
HOLDERS = {"user/remote/maps.c", "user/remote/pagemap.c", "user/remote/procfs.c"}

# "/proc", "/proc/%d/maps", "/proc/1/": other processes. /proc/self/ and /proc/sys/ are not.
OTHERS_PROC = re.compile(r"/proc/?$|/proc/(?:%|[0-9])")


def folder_of(path):
    return path.split("/")[1]


def user_files(tree):
    return tree.files("user", ".c", ".h")


def included(tree, path, what):
    """The file that @path includes by @what in quotes, or None."""
    found = os.path.normpath(os.path.join(os.path.dirname(path), what))
    return found if tree.exists(found) else None


@rule("a file includes from its own folder and from those to its left")
def layers(tree):
    for path in user_files(tree):
        own = folder_of(path)
        if own not in MAY:
            yield path, 1, f"user/{own} has no line among the layers"
            continue
        for line, what, quoted in tree.includes(path):
            found = included(tree, path, what) if quoted else None
            if not quoted or what.endswith(".skel.h"):
                continue
            if not found:
                yield path, line, f'"{what}" names no file'
            elif not found.startswith("user/"):
                if found != RECORD:
                    yield path, line, f"{found} is not user space's: the two sides meet in {RECORD}"
                elif RECORD not in MAY[own]:
                    yield path, line, f"{own} may not include {RECORD}"
            elif folder_of(found) not in MAY[own] | {own}:
                yield path, line, f"{own} may not include from {folder_of(found)}"


@rule("libraries are used by the folder that owns them")
def doors(tree):
    for path in user_files(tree):
        for line, what, _ in tree.includes(path):
            for pattern, owners, name in DOORS:
                if re.match(pattern, what) and not owners & {folder_of(path), path[len("user/"):]}:
                    owner = " and ".join(f"user/{owner}" for owner in sorted(owners)) or "the tests"
                    yield path, line, f"{what}: only {owner} may include {name}"


@rule("only commands print, exit and ask the terminal")
def words(tree):
    for path in user_files(tree):
        code = tree.code(path)
        for pattern, owners, what in WORDS:
            if folder_of(path) in owners:
                continue
            for match in re.finditer(pattern, code):
                word = match[0].rstrip("( ")
                yield path, line_of(code, match.start()), f"{word} {what}"


@rule("other processes are read through user/remote alone")
def others(tree):
    for path in user_files(tree):
        if folder_of(path) == "remote":
            continue
        for line, literal in tree.strings(path):
            if OTHERS_PROC.match(literal):
                yield path, line, f'"{literal}": /proc of other processes belongs to user/remote'


@rule("what holds an address space is opened behind the gate alone")
def gate(tree):
    for path in user_files(tree):
        if path in HOLDERS | KEYS:
            continue
        for line, literal in tree.strings(path):
            if HOLDING.search(literal) and not literal.startswith("/proc/self/"):
                yield path, line, f'"{literal}": only {" and ".join(sorted(HOLDERS))} open it, and ask user/remote/gate'
