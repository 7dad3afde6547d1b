# SPDX-License-Identifier: Apache-2.0
"""
Where entry probes are: as many calls come to the chosen place as to the function's first byte, but for frees
of NULL where NULL goes around it. Both are counted in one run, of every call of a random load.
"""

import collections
import glob
import mmap
import os
import random
import re
import struct

from cases_language import javas
from harness import Failure, Skip, read_text
from libraries import LIBRARIES, library
from registry import each, test

COUNT = 20000
MUSL = "/usr/lib/ld-musl-x86_64.so.1"
STATIC = {
    "a static program": "random_calls-static",
    "a static program that is loaded anywhere": "random_calls-static-pie",
    "a static program of musl": "random_calls-musl-static",
}

# Hits of the place, and of the entry, with a block and with NULL; and how the kernel goes over the instruction.
Row = collections.namedtuple("Row", "function entry behind way place place_null first first_null how")


class Counted:
    """What hits said of one command, and the command itself."""

    def __init__(self, case, command, options, env):
        process = case.start([case.load("hits"), *options, "--", *command], env)
        status = case.wait(process)
        self.talk = read_text(process.err)
        if status == 99 and "counter cannot be loaded" in self.talk:
            raise Skip("a probe cannot be told apart from others on this kernel")
        if status:
            raise Failure(f"exit status is {status}", *self.talk.splitlines()[-5:])
        self.rows = []
        for line in read_text(process.out).splitlines():
            words = line.split()
            if len(words) == 9 and words[3] in ("all", "past"):
                self.rows.append(Row(words[0], int(words[1]), int(words[2]), words[3], *map(int, words[4:8]),
                                     words[8]))

    def of(self, function):
        return next(row for row in self.rows if row.function == function)


def count(case, file, command, options=(), env=None):
    return Counted(case, command, [*options, file], env)


def unequal(rows):
    """A line for each function whose place does not stand for its entry."""
    wrong = []
    for row in rows:
        null = 0 if row.way == "past" else row.first_null
        if (row.place, row.place_null) != (row.first, null):
            wrong.append(f"{row.function}: {row.place} hits and {row.place_null} of NULL {row.behind} bytes behind "
                         f"the entry, expected {row.first} and {null}")
    return wrong


def hit(rows, least):
    """Something must have been counted at all."""
    reached = sum(1 for row in rows if row.first)
    return [] if reached >= least else [f"only {reached} functions were called, expected {least}"]


def seeds(case):
    seed = random.randrange(1 << 32)
    return [str(seed), str(COUNT // 10 if case.place.brief else COUNT)], f"seed {seed}"


def everything(case, file, command, least, env=None):
    words, seed = seeds(case)
    counted = count(case, file, [*command, *words], env=env)
    wrong = unequal(counted.rows) + hit(counted.rows, least)
    if wrong:
        raise Failure(seed, *wrong)
    return counted


def plain(case, file, command, env=None):
    """malloc and free beside the program's own count, which knows nothing of calls before main()."""
    words, seed = seeds(case)
    before = count(case, file, [*command, words[0], "0", "plain"], env=env)
    after = count(case, file, [*command, *words, "plain"], env=env)
    truth = [int(word) for word in after.talk.split()[-3:]]
    got = [after.of("malloc").first - before.of("malloc").first,
           after.of("free").first - before.of("free").first,
           after.of("free").first_null - before.of("free").first_null]
    placed = [after.of("malloc").place - before.of("malloc").place, after.of("free").place - before.of("free").place]
    wrong = unequal(after.rows)
    if got != truth or placed != truth[:2]:
        wrong.append(f"{got} calls at the entries, {placed} at the places, {truth} were made")
    if wrong:
        raise Failure(seed, *wrong)


def program(case, name):
    """(file that has malloc, command, environment) by what the malloc is of."""
    if name == "glibc":
        found = glob.glob("/usr/lib*/*-linux-gnu/libc.so.6") + glob.glob("/lib*/*-linux-gnu/libc.so.6")
        if not found:
            raise Skip("there is no glibc here")
        return found[0], [case.load("random_calls")], None
    if name == "musl":
        if not os.path.exists(MUSL):
            raise Skip(f"there is no {MUSL}")
        return MUSL, [case.load("random_calls-musl")], None
    if name in STATIC:
        path = case.load(STATIC[name])
        return path, [path], None
    return library(name), [case.load("random_calls")], {"LD_PRELOAD": library(name)}


ALL = ["glibc", "musl", *STATIC, *LIBRARIES]
FOLDERS = ("/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr/local/bin")


def others():
    """Every other allocator of this machine that can be preloaded."""
    found = {}
    for kind in LIBRARIES:
        for path in glob.glob(f"/usr/lib*/*-linux-gnu/lib{kind}*.so*") + glob.glob(f"/usr/lib64/lib{kind}*.so*"):
            found[os.path.realpath(path)] = path
    for name in LIBRARIES:
        try:
            found.pop(os.path.realpath(library(name)), None)
        except Skip:
            pass
    return sorted(found)


@each("as many calls come to the chosen places as to the entries of {0}", ALL)
def places(case, name):
    file, command, env = program(case, name)
    counted = everything(case, file, command, 7, env)
    if name != "glibc" or os.uname().machine != "x86_64":
        return
    # No glibc that we know has one of these without an instruction that is emulated; free begins with none.
    stepped = [f"{row.function} is single-stepped {row.behind} bytes behind its entry" for row in counted.rows
               if row.function in ("malloc", "free", "calloc", "realloc") and row.how != "cheap"]
    if stepped:
        raise Failure(*stepped)


@each("as many calls come to the chosen places as to the entries of {0}", others())
def other_places(case, path):
    command, env = [case.load("random_calls")], {"LD_PRELOAD": path}
    status, _ = case.run_bare([*command, "1", str(COUNT)], env)
    if status:  # one that checks its caller: what malloc gave is then not given to delete
        plain(case, path, command, env)
    else:
        everything(case, path, command, 7, env)


def is_static(path):
    """Whether a file is a program that needs no other (64-bit, of this machine's byte order)."""
    with open(path, "rb") as file:
        head = file.read(4096)
    if head[:5] != b"\x7fELF\x02" or len(head) < 64:
        return False
    kind, at, size, count_of = (*struct.unpack_from("=H", head, 16), *struct.unpack_from("=Q", head, 32),
                                *struct.unpack_from("=HH", head, 54))
    kinds = [struct.unpack_from("=I", head, at + i * size)[0] for i in range(count_of)
             if at + (i + 1) * size <= len(head)]
    return kind in (2, 3) and 1 in kinds and 3 not in kinds  # ET_EXEC, ET_DYN; PT_LOAD, PT_INTERP


def static_programs():
    found = set()
    for folder in FOLDERS:
        for path in glob.glob(f"{folder}/*"):
            path = os.path.realpath(path)
            if ".so" not in path and os.path.isfile(path) and os.access(path, os.X_OK) and is_static(path):
                found.add(path)
    return sorted(found)


def named_malloc(path):
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        return text.find(b"\0malloc\0") >= 0


@test("as many calls come to the chosen places as to the entries of the static programs of this machine")
def static(case):
    found = static_programs()
    named, wrong = [path for path in found if named_malloc(path)], []
    for path in named:
        counted = count(case, path, [path, "--help"])
        wrong += [f"{path}: {line}" for line in unequal(counted.rows) + hit(counted.rows, 1)]
    if wrong:
        raise Failure(*wrong)
    if not named:
        raise Skip(f"none of {len(found)} has malloc among its symbols: {' '.join(found[:4])}")


@each("malloc and free are counted to the call at the chosen places of {0}", ALL)
def truths(case, name):
    file, command, env = program(case, name)
    plain(case, file, command, env)


@each("as many calls come to the chosen places as to the entries of Unsafe in {0}", javas(), seconds=120)
def unsafe(case, java):
    folder = os.path.dirname(case.load("java/Direct.class"))
    counted = count(case, f"/usr/lib/jvm/{java}/lib/server/libjvm.so",
                    [f"/usr/lib/jvm/{java}/bin/java", "-cp", folder, "Direct", "keep"])
    rows = [row for row in counted.rows if row.function.startswith("Unsafe_")]
    wrong = unequal(counted.rows) + hit(rows, 3)
    if wrong:
        raise Failure(*wrong)


def behind_a_branch(file, row):
    """How far behind the entry the instruction after a conditional jump at the place is; None: it is no such jump."""
    with open(file, "rb") as code:
        code.seek(row.entry + row.behind)
        first, second = code.read(2)
    if 0x70 <= first < 0x80:
        return row.behind + 2
    return row.behind + 6 if first == 0x0f and 0x80 <= second < 0x90 else None


@test("a place behind a branch is found out by its count")
def wrong_place(case):
    if os.uname().machine != "x86_64":
        raise Skip("the branch is one of x86_64")
    file, command, env = program(case, "jemalloc")
    words = ["1", str(COUNT)]
    right = count(case, file, [*command, *words], env=env)
    hold_rows = unequal(right.rows)
    row = right.of("malloc")
    behind = behind_a_branch(file, row)
    if behind is None:
        raise Skip("this malloc is not probed at a branch")
    wrong = count(case, file, [*command, *words], ["--behind", "malloc", str(behind)], env)
    told = unequal(wrong.rows)
    if hold_rows or [line.split(":")[0] for line in told] != ["malloc"]:
        raise Failure("expected malloc to be told, and only behind the branch", *hold_rows, *told)


@test("doctor tells of each entry point how far behind its first byte it is probed, at which instruction, and why")
def doctor(case):
    if os.uname().machine != "x86_64":
        raise Skip("the instructions are those of x86_64")
    process = case.start([case.load("random_calls-static"), "1", "100000000", "plain"])
    status, text = case.run_bare([case.place.heldby, "doctor", "-p", str(process.pid)])
    told = {}
    for line in text.splitlines():
        match = re.match(r" {6}0x[0-9a-f]+ +(\w+) +\+(\d+) +(\S.*?)  +(\S.*); it (\w+)", line)
        if match:
            told[match[1]] = match.groups()[1:]
    wrong = [] if status == 0 else [f"exit status is {status}"]
    for function, verb in (("malloc", "allocates"), ("free", "frees"), ("realloc", "reallocates")):
        behind, instruction, why, does = told.get(function, ("", "", "", ""))
        first = why == "the first instruction"
        if does != verb or not instruction or (behind == "0") != (first or why.startswith("single-stepped: ")):
            wrong.append(f"{function} is told as {told.get(function)}")
    if wrong:
        raise Failure(*wrong, *text.splitlines()[-15:])
