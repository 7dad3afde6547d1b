# SPDX-License-Identifier: Apache-2.0
"""Compares the frames that heldby shows with those that another unwinder, or the source, tells."""

import collections
import os
import re
import shutil
import subprocess

from check import consistent
from harness import Skip, read_lines

FRAMES_KEPT = 127 # unless --max-frames says otherwise


class System:
    """A frame of a library that is not ours: its name is known where its debug file is."""

    def __init__(self, module, *names):
        self.module = module
        self.names = names

    def __repr__(self):
        return f"{self.module}({'|'.join(self.names)})"

    def holds(self, frame):
        if not os.path.basename(frame.get("module", "")).startswith(self.module):
            return False
        name = frame.get("function")
        return name in self.names or (name is None and not has_debug_file(frame.get("build_id", "")))


def libc(*names):
    return System("libc.so", *names)


def loader(*names):
    return System("ld-linux", *names)


# How main is called by glibc, and by a glibc that is linked in.
START = [libc("__libc_start_call_main"), libc("__libc_start_main_impl", "__libc_start_main"), "_start"]
START_STATIC = ["__libc_start_call_main", ("__libc_start_main_impl", "__libc_start_main"), "_start"]
# How glibc calls a thread.
THREAD = [libc("start_thread"), libc("clone3", "__clone3", "clone", "__clone")]
# What a handler returns to: libc's, or the kernel's own.
RESTORE = libc("__restore_rt") if os.uname().machine == "x86_64" else System("[vdso]", "__kernel_rt_sigreturn")


def has_debug_file(build_id):
    return bool(build_id) and os.path.exists(f"/usr/lib/debug/.build-id/{build_id[:2]}/{build_id[2:]}.debug")


def tool(name):
    """Path of a tool the test needs, or Skip."""
    path = shutil.which(name)
    if not path:
        raise Skip(f"{name} is not installed")
    return path


def told(path):
    """
    What the program's own unwinder told: {block size: {places: how often}}. Nothing has called what a
    handler returns to: its address is meant as it is, as that of what was interrupted above it.
    """
    stacks = {}
    for line in read_lines(path):
        frames = line["frames"] + [("", 0, 0)]
        places = tuple(("[vdso]" if module.startswith("linux-vdso") else module, offset, bool(exact or above[2]))
                       for (module, offset, exact), above in zip(frames, frames[1:]))
        stacks.setdefault(line["bytes"], collections.Counter())[places] += 1
    return stacks


def physical(site):
    """The frames that have an address of their own."""
    return [frame for frame in site["frames"] if not frame.get("inlined")]


def place_of(frame):
    return os.path.basename(frame.get("module", "?")), frame.get("offset", 0), frame.get("exact", False)


def places_of(site):
    return tuple(place_of(frame) for frame in physical(site))


def blocks_of(document, size):
    """The sites whose blocks are of exactly that size and are all still there."""
    return [site for site in document["sites"] if site["outstanding_count"] and
            site["outstanding_bytes"] == size * site["outstanding_count"]]


def counted(sites):
    stacks = collections.Counter()
    for site in sites:
        stacks[places_of(site)] += site["outstanding_count"]
    return stacks


def stopped(site):
    return site["frames"][-1].get("stopped") if site["frames"] else "no frames at all"


def short(places, around=0):
    shown = [f"{module}+{offset:#x}{'!' if exact else ''}" for module, offset, exact in
             places[max(0, around - 2):around + 6]]
    return f"{len(places)} frames, from {max(0, around - 2)}: {' < '.join(shown)}"


def first_difference(one, other):
    return next((at for at, pair in enumerate(zip(one, other)) if pair[0] != pair[1]), min(len(one), len(other)))


def same_places(what, got, expected):
    """Two {places: count}; the nearest stack goes with each that is not there."""
    wrong = []
    for places, count in expected.items():
        if got.get(places, 0) == count:
            continue
        if places in got:
            wrong.append(f"{what}: a stack has {got[places]} blocks, expected {count}")
            continue
        near = max(got, key=lambda other: first_difference(places, other), default=())
        at = first_difference(places, near)
        wrong += [f"{what}: frame {at} differs", f"  expected {short(places, at)}", f"  got      {short(near, at)}"]
    extra = sum(count for places, count in got.items() if places not in expected)
    return wrong + ([f"{what}: {extra} blocks have stacks that are not expected"] if extra else [])


def plain(name):
    """A function's name, whichever part of the function it is."""
    return re.sub(r"(\.cold| \[clone \.cold\])$", "", name) if name else name


def holds(frame, expected):
    if isinstance(expected, System):
        return expected.holds(frame)
    names = expected if isinstance(expected, tuple) else (expected,)
    return plain(frame.get("function")) in names


def same_names(what, frames, expected):
    shorter = min(len(frames), len(expected))
    at = next((at for at, pair in enumerate(zip(frames, expected)) if not holds(*pair)), shorter)
    if at == len(frames) == len(expected):
        return []
    names = [frame.get("function") or f"{place_of(frame)[0]}+{place_of(frame)[1]:#x}" for frame in frames]
    return [f"{what}: {len(frames)} frames, expected {len(expected)}; frame {at} on is {names[at:at + 4]}, "
            f"expected {expected[at:at + 4]}"]


def same_end(what, site, ends):
    """@ends: a pattern of why the walk ended, or None if it is complete."""
    end = stopped(site)
    wrong = [f"{what}: frame {at} says it is the last: {frame['stopped']}"
             for at, frame in enumerate(site["frames"][:-1]) if "stopped" in frame]
    if ends is None and end:
        wrong.append(f"{what}: the stack stopped: {end}")
    elif ends and not (end and re.search(ends, end)):
        wrong.append(f"{what}: the stack stopped with {end!r}, expected {ends!r}")
    return wrong


def same_stack(document, oracle, size, names, ends=None, keep=FRAMES_KEPT):
    """
    The blocks of @size bytes: as many as were told, with the frames that were told, cut after
    @keep; all of one stack, called @names; and it ended as it should.
    """
    what = f"block of {size}"
    expected = collections.Counter()
    for places, count in oracle.get(size, {}).items():
        expected[places[:keep]] += count
    if not expected:
        return [f"{what}: the program told no stack"]
    sites = blocks_of(document, size)
    wrong = same_places(what, counted(sites), expected)
    for site in sites:
        wrong += same_names(what, physical(site), names[:keep]) + same_end(what, site, ends)
    return wrong


def same_or_early(document, oracle, size, names, ends):
    """
    The same where every walk may end early because of @ends: it has then the front of the one
    stack that was told. Returns what is wrong, and how many blocks were early.
    """
    what = f"block of {size}"
    (whole, count), = oracle[size].items()
    sites = blocks_of(document, size)
    early = [site for site in sites if stopped(site)]
    missing = sum(site["outstanding_count"] for site in early)
    wrong = same_places(what, counted(site for site in sites if not stopped(site)),
                        {whole: count - missing} if count > missing else {})
    for site in early:
        wrong += same_places(f"early {what}", counted([site]),
                             {whole[:len(physical(site))]: site["outstanding_count"]})
    for site in sites:
        wrong += same_names(what, physical(site)[:len(names)], names[:len(physical(site))])
        wrong += same_end(what, site, ends if stopped(site) else None)
    return wrong, missing


def traced(case, command, options=(), env=None):
    """The command under heldby run, and what it told of itself."""
    oracle = case.path("oracle")
    outcome = case.run(command, options, env={"HB_ORACLE": oracle, **(env or {})})
    return outcome, told(oracle)


def told_bare(case, command):
    """What the command tells of itself when nobody traces it."""
    oracle = case.path("oracle")
    status, _ = case.run_bare(command, {"HB_ORACLE": oracle})
    if status:
        raise Skip(f"{os.path.basename(command[0])} ends with {status} untraced, too")
    return told(oracle)


def sound(outcome, late=False):
    """What holds for every document. @late: libraries are opened when it runs."""
    return consistent(outcome.document, ("missed_count",) if late else ())


def symbols(path):
    """{name: address in the file's own terms} of the functions in its symbol table."""
    text = subprocess.run([tool("nm"), "--defined-only", path], capture_output=True, check=True, text=True).stdout
    rows = (line.split() for line in text.splitlines())
    return {row[2]: int(row[0], 16) for row in rows if len(row) == 3 and row[1] in "tTwWiI"}


def file_offset(path, address):
    """Where in the file the byte is that is mapped at @address."""
    text = subprocess.run([tool("readelf"), "-lW", path], capture_output=True, check=True, text=True).stdout
    for match in re.finditer(r"^  LOAD +(0x\w+) (0x\w+) 0x\w+ (0x\w+) ", text, re.M):
        offset, start, size = (int(word, 16) for word in match.groups())
        if start <= address < start + size:
            return offset + address - start
    raise ValueError(f"{address:#x} is not in {path}")


def marked_lines(source):
    """{mark: line} of the comments "// line: MARK" in a source file."""
    marks = {}
    with open(source, encoding="utf-8") as file:
        for number, text in enumerate(file, 1):
            if match := re.search(r"// line: (\w+)$", text):
                marks[match[1]] = number
    return marks


def load_source(name):
    """Path of a load program's source."""
    here = os.path.dirname(os.path.abspath(__file__))
    return os.path.join(os.path.dirname(here), "load", name)
