# SPDX-License-Identifier: Apache-2.0
"""Names of frames: of stripped programs, of inlined calls with their lines, of Rust, of JIT code."""

import os
import re
import shutil
import subprocess

from cases_namespaces import Obedient, in_root, make_root, verdict
from check import hold
from harness import Failure, Outcome, Skip, read_lines, read_text
from registry import each, test
from stacks import (START, THREAD, blocks_of, counted, load_source, marked_lines, physical, place_of, same_end,
                    same_names, same_places, same_stack, sound, stopped, symbols, tool, traced)

DEBUG_FOLDER = "/usr/lib/debug/.build-id"
OWN = {7003: ["tail_second", "main", *START], 7004: ["under_tail", "main", *START]}
NAMELESS = {7003: [None, None, *START[:-1], None], 7004: [None, None, *START[:-1], None]}


def do(name, *words):
    subprocess.run([tool(name), *words], check=True, stdout=subprocess.DEVNULL)


class Stripped:
    """A copy of a load program without its symbols, which are in files beside it."""

    def __init__(self, case, program):
        self.whole, self.path = case.load(program), os.path.join(case.folder, "stripped")
        self.debug = os.path.join(case.folder, "symbols")
        self.placed = []
        do("objcopy", "--only-keep-debug", self.whole, self.debug)
        do("objcopy", "-S", self.whole, self.path)

    def build_id(self):
        text = subprocess.run([tool("readelf"), "-n", self.path], capture_output=True, check=True, text=True).stdout
        match = re.search(r"Build ID: ([0-9a-f]+)", text)
        return match[1] if match else None

    def by_build_id(self, root=""):
        """Put the debug file where the build-id says, below @root or for all."""
        name = self.build_id()
        if not name:
            raise Skip("programs are linked without a build-id here")
        path = f"{root}{DEBUG_FOLDER}/{name[:2]}/{name[2:]}.debug"
        if os.path.exists(path):
            raise Skip(f"{path} is there already")
        for folder in reversed([os.path.dirname(path), root + DEBUG_FOLDER]):
            if not os.path.isdir(folder):
                os.makedirs(folder)
                self.placed.append(folder)
        self.placed.append(path)
        shutil.copy(self.debug, path)

    def another_build_id(self):
        """The debug file says that it belongs to another program."""
        note = self.debug + ".note"
        do("objcopy", "--dump-section", f".note.gnu.build-id={note}", self.path, os.devnull)
        with open(note, "r+b") as file:
            file.seek(-1, os.SEEK_END)
            last = file.read(1)[0]
            file.seek(-1, os.SEEK_END)
            file.write(bytes([last ^ 1]))
        do("objcopy", "--update-section", f".note.gnu.build-id={note}", self.debug)

    def by_link(self, folder=""):
        """A debuglink to the debug file beside the program, in @folder; no build-id helps."""
        do("objcopy", "--remove-section", ".note.gnu.build-id", f"--add-gnu-debuglink={self.debug}", self.path)
        if folder:
            os.mkdir(os.path.join(os.path.dirname(self.path), folder))
            os.rename(self.debug, os.path.join(os.path.dirname(self.path), folder, "symbols"))

    def changed_link(self):
        """The debug file is no longer the one that the link was made for."""
        self.by_link()
        with open(self.debug, "ab") as file:
            file.write(b"\0")

    def inside(self):
        """The way distributions do it: the names of functions that are not in .dynsym, packed."""
        small, wanted = self.debug + ".small", self.debug + ".wanted"
        seen = subprocess.run([tool("nm"), "-D", "--defined-only", "-P", self.whole], capture_output=True, check=True,
                              text=True).stdout
        known = {line.split()[0].split("@")[0] for line in seen.splitlines()}
        with open(wanted, "w", encoding="ascii") as file:
            file.writelines(f"{name}\n" for name in symbols(self.whole) if name not in known)
        do("objcopy", "-S", "--remove-section=.comment", f"--keep-symbols={wanted}", self.debug, small)
        do("xz", small)
        do("objcopy", f"--add-section=.gnu_debugdata={small}.xz", self.path)

    def clean(self):
        for path in reversed(self.placed):
            if os.path.isdir(path):
                os.rmdir(path)
            elif os.path.exists(path):
                os.unlink(path)


STRIPPED = [
    ("by address where it is stripped", lambda program: None, NAMELESS),
    ("from its .gnu_debugdata", Stripped.inside, OWN),
    ("from the debug file of its build-id", Stripped.by_build_id, OWN),
    ("from the debug file beside it", Stripped.by_link, OWN),
    ("from the debug file in .debug", lambda program: program.by_link(".debug"), OWN),
    ("by address where its debug file is another build's",
     lambda program: (program.another_build_id(), program.by_build_id()), NAMELESS),
    ("by address where the file beside it is not the one it links to", Stripped.changed_link, NAMELESS),
]


@each("a program's functions are named {0}", STRIPPED, alone="all have one build-id, and one puts a debug file for it")
def stripped(case, _, prepare, expected):
    program = Stripped(case, "unwind_plain")
    try:
        prepare(program)
        outcome, oracle = traced(case, [program.path, "tail"])
    finally:
        program.clean()
    wrong = sound(outcome)
    for size, names in expected.items():
        wrong += same_stack(outcome.document, oracle, size, names)
        build_ids = {frame.get("build_id") for site in blocks_of(outcome.document, size)
                     for frame in physical(site) if place_of(frame)[0] == "stripped"}
        if build_ids != {program.build_id()}:
            wrong.append(f"build-ids are {build_ids}, the file's is {program.build_id()}")
    hold(wrong, outcome)


@test("a program's functions are named from a debug file that only its own root has")
def debug_in_root(case):
    program = Stripped(case, "attach")
    root = make_root(case, program.path)
    program.by_build_id(root)
    target = Obedient(case, in_root(root), {"HB_TRUTH": "/truth"})
    target.do("r")
    tracer = case.top(target.pid)
    target.do("lat")
    truths = read_lines(os.path.join(root, "truth"))
    documents = case.stop_top(tracer)
    verdict(Outcome(0, documents[-1], truths, read_text(tracer.err)), target.pid)


class Call:
    """A frame of ours: its function, the mark of its line, whether it was inlined."""

    def __init__(self, function, mark, inlined=False):
        self.function, self.mark, self.inlined = function, mark, inlined

    def differs(self, frame, lines, source):
        got = (frame.get("function"), os.path.basename(frame.get("file", "?")), frame.get("line"),
               frame.get("inlined", False))
        expected = (self.function, source, lines[self.mark], self.inlined)
        return [] if got == expected else [f"a frame is {got}, expected {expected}"]


def same_calls(what, frames, calls, source):
    """The frames of @source among @frames, as they are called from each other."""
    lines = marked_lines(load_source(source))
    own = [frame for frame in frames if os.path.basename(frame.get("file", "?")) == source]
    if len(own) != len(calls):
        return [f"{what}: {len(own)} frames of {source}, expected {len(calls)}: "
                f"{[(frame.get('function'), frame.get('line')) for frame in own]}"]
    return [f"{what}: {text}" for frame, call in zip(own, calls) for text in call.differs(frame, lines, source)]


# Of a static function that was inlined everywhere only the plain name is known.
FILL = [Call("shop::shelf<int>::fill(int)", "fill", True), Call("shop::stock", "stock", True)]
INLINED = {
    7701: [*FILL, Call("shop::open(unsigned long)", "open"), Call("begin", "begin", True),
           Call("main", "main")],
    7711: [*FILL, Call("shop::open_twice(unsigned long)", "first"), Call("main", "twice")],
    7721: [*FILL, Call("shop::open_twice(unsigned long)", "second"), Call("main", "twice")],
}


@test("inlined C++ functions are shown with the lines they were called on")
def inlined(case):
    outcome, oracle = traced(case, [case.load("unwind_inline")])
    wrong = sound(outcome)
    for size, calls in INLINED.items():
        names = [call.function for call in calls if not call.inlined]
        wrong += same_stack(outcome.document, oracle, size, [*names, *START])
        for site in blocks_of(outcome.document, size):
            wrong += same_calls(f"block of {size}", site["frames"], calls, "unwind_inline.cc")
    hold(wrong, outcome)


KEPT = [Call("unwind_rust::reserve", "reserve", True), Call("unwind_rust::store", "store"),
        Call("<unwind_rust::Drawer as unwind_rust::Keeper>::keep", "keep"), Call("unwind_rust::each", "each")]


@each("Rust's functions are shown with their lines {0}",
      [("in a thread", 7801, "thread", THREAD), ("below main", 7802, "main", START)])
def rust(case, _, size, mark, outermost):
    outcome, oracle = traced(case, [case.load("unwind_rust")])
    sites = blocks_of(outcome.document, size)
    wrong = sound(outcome) + same_places(f"block of {size}", counted(sites), oracle[size])
    for site in sites:
        frames = physical(site)
        last = next((at for at, frame in enumerate(site["frames"])
                     if frame.get("function") == "unwind_rust::each"), 0)
        wrong += same_end(f"block of {size}", site, None)
        wrong += same_calls(f"block of {size}", site["frames"][:last + 1], KEPT, "unwind_rust.rs")
        wrong += same_names(f"block of {size}", frames[-len(outermost):], outermost)
        line = marked_lines(load_source("unwind_rust.rs"))[mark]
        if not any(frame.get("line") == line for frame in site["frames"][last + 1:]):
            wrong.append(f"block of {size}: no frame is on line {line}")
    hold(wrong, outcome)


BUFFER_BYTES = 71234
NODE_ROUNDS = 300
NODE = f"""'use strict';
const kept = [];
function heldInner(bytes) {{ kept.push(Buffer.allocUnsafeSlow(bytes)); return kept.length; }}
function heldOuter(rounds) {{ let sum = 0; while (rounds--) sum += heldInner({BUFFER_BYTES}); return sum; }}
for (let round = 0; round < 10; round++) heldOuter({NODE_ROUNDS // 10});
process.reallyExit(0);
"""


@test("JavaScript functions are named in the stacks of node's buffers", seconds=120)
def node(case):
    """Nothing is optimized away: each function keeps a frame and a name."""
    script = os.path.join(case.folder, "held.js")
    with open(script, "w", encoding="ascii") as file:
        file.write(NODE)
    outcome = case.run([tool("node"), "--no-opt", "--perf-basic-prof", "--interpreted-frames-native-stack", script])
    document = outcome.document
    for pid in {row["pid"] for row in document["processes"]}:
        if os.path.exists(f"/tmp/perf-{pid}.map"):
            os.unlink(f"/tmp/perf-{pid}.map")
    sites = blocks_of(document, BUFFER_BYTES)
    wrong = sound(outcome, late=True)
    held = sum(site["outstanding_count"] for site in sites)
    if held != NODE_ROUNDS:
        wrong.append(f"{held} buffers are held, expected {NODE_ROUNDS}")
    for site in sites:
        own = [frame["function"] for frame in site["frames"] if "held.js:" in frame.get("function", "")]
        own = [re.sub(r"^\S+[~^*]", "", name).split()[0] for name in own]
        if own[:2] != ["heldInner", "heldOuter"]:
            wrong.append(f"{site['outstanding_count']} buffers have the functions {own}")
        wrong += same_end("a buffer", site, None)
        wrong += same_names("a buffer", physical(site)[-4:], ["node::Start(int, char**)", *START])
    hold(wrong, outcome)


PYTHON_DEPTH = 30
PYTHON = f"""
import os
kept = []
def deep(depth):
    if depth:
        return list(map(deep, [depth - 1]))
    kept.extend(bytearray({BUFFER_BYTES}) for _ in range(10))
    return []
deep({PYTHON_DEPTH})
os._exit(0)
"""


def entry_of(path):
    """The address that the program begins at, in the file's own terms."""
    text = subprocess.run([tool("readelf"), "-hW", path], capture_output=True, check=True, text=True).stdout
    return int(re.search(r"Entry point address: +(0x\w+)", text)[1], 16)


@test("every stack of a deep recursion in python ends where the program begins", seconds=120)
def python(case):
    program = os.path.realpath("/usr/bin/python3")
    outcome = case.run([program, "-S", "-c", PYTHON], ["--max-frames", "500"])
    sites = [site for site in outcome.document["sites"] if site["source"] == "malloc"]
    wrong, entry = sound(outcome), entry_of(program)
    for site in sites:
        module, offset, _ = place_of(physical(site)[-1])
        if stopped(site) or module != os.path.basename(program) or not entry < offset <= entry + 64:
            wrong.append(f"a stack of {len(site['frames'])} frames ended at {module}+{offset:#x}: {stopped(site)}")
    depths = [sum(frame.get("function") == "_PyEval_EvalFrameDefault" for frame in site["frames"])
              for site in blocks_of(outcome.document, BUFFER_BYTES + 1)] # and a zero
    if not depths or min(depths) <= PYTHON_DEPTH:
        wrong.append(f"blocks have {depths} calls of the interpreter above them, expected over {PYTHON_DEPTH}")
    if len(sites) < 100:
        wrong.append(f"{len(sites)} sites, expected hundreds")
    hold(wrong, outcome)
