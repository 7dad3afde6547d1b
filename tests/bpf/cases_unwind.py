# SPDX-License-Identifier: Apache-2.0
"""Stacks of programs without frame pointers: the frames libgcc's unwinder finds, address by address, and by name."""

import os
import re
import subprocess

from cases_namespaces import Obedient, watched
from check import facts, hold, leaf
from harness import Failure, Skip, read_text
from registry import each, test
from stacks import (RESTORE, START, START_STATIC, THREAD, blocks_of, counted, file_offset, libc, loader, physical,
                    same_end, same_names, same_or_early, same_places, same_stack, sound, stopped, symbols, told_bare,
                    tool, traced)

DEPTH = "more frames than are kept"
NO_ROWS = "no unwind rows for"
PENDING = "were not read yet"
UNSUPPORTED = "a rule of .* that is not followed"


def recursed(depth, *outer, start=START):
    """A recursion that rec_sized begins, from main through @outer."""
    names = [{1: "rec_plain", 2: "rec_wide", 0: "rec_sized"}[left % 3] for left in range(1, depth + 1)]
    return ["leaf_take"] + names + ["rec_sized", *outer, "main", *start]


PLAIN = [
    ("a hundred calls deep whose frames differ in size", "unwind_plain", "deep", {7001: recursed(99)}),
    ("above functions that gave up their frame for a tail call", "unwind_plain", "tail",
     {7003: ["tail_second", "main", *START], 7004: ["under_tail", "main", *START]}),
    ("above frames of unknown and of large size", "unwind_plain", "sizes",
     {size: [f"{name}_take", "main", *START] for size, name in
      ((7010, "alloca"), (7011, "array"), (7012, "large"))}),
    ("above frames that realign the stack", "unwind_plain", "aligned",
     {7020: ["aligned_take", "main", *START], 7021: ["aligned_fixed_take", "main", *START]}),
    ("called back by qsort", "unwind_plain", "sort",
     {7030: ["compare_take", *[libc("msort_with_tmp", "msort_with_tmp.part.0")] * 3,
             libc("qsort_r", "__qsort_r", "__GI___qsort_r"), "sort_numbers", "main", *START]}),
    ("called by a thread", "unwind_threads", "thread", {7301: ["thread_take", "thread_main", *THREAD]}),
    ("called by a clone that shares memory", "unwind_threads", "clone",
     {7302: ["thread_take", "clone_main", libc("clone", "__clone")]}),
    ("of a vfork child on its parent's stack", "unwind_threads", "vfork",
     {7303: ["thread_take"] + ["vfork_deep"] * 5 + ["main", *START]}),
    ("of a forked child", "unwind_threads", "fork", {7304: ["thread_take", "run_fork", "main", *START]}),
    ("above a static program's main", "unwind_plain-static", "deep", {7001: recursed(99, start=START_STATIC)}),
    ("above a static and position independent program's main", "unwind_plain-static-pie", "deep",
     {7001: recursed(99, start=START_STATIC)}),
    ("of a handler on the stack that it interrupted", "unwind_signal", "same",
     {7201: ["on_fault", RESTORE, "fault_first", "stand_under", "main", *START]}),
    ("of a handler on a stack of its own", "unwind_signal", "other",
     {7202: ["on_fault", RESTORE, "fault_first", "stand_under", "main", *START]}),
    ("of a handler that another one interrupted", "unwind_signal", "nested",
     {7203: ["on_fault", RESTORE, "fault_first", "stand_under", "main", *START],
      7204: ["on_fault", RESTORE, "fault_first", "stand_under"] * 2 + ["main", *START]}),
]


@each("frames without frame pointers are shown {0}", PLAIN)
def plain_stack(case, _, program, mode, expected):
    if os.uname().machine != "x86_64":
        told_bare(case, [case.load(program), mode])  # libgcc's unwinder gives up there in some static programs
    outcome, oracle = traced(case, [case.load(program), mode])
    wrong = sound(outcome)
    for size, names in expected.items():
        wrong += same_stack(outcome.document, oracle, size, names)
    hold(wrong, outcome)


NEW = ["operator new(unsigned long)"]


def thrown(start):
    """What unwind_throw holds; a guard's destructor stands on the frame that it leaves, not on the thrower's."""
    return {
        7101: ["guard_take", "throw_through"] + ["throw_deep"] * 6 + ["catch_take", "main", *start],
        7102: ["catch_take", "main", *start],
        7103: ["guard_take", "throw_through", "throw_deep", "rethrow_through", "main", *start],
        7104: ["guard_take", "rethrow_through", "main", *start],
        7105: ["main", *start],
        7106: [*NEW, "new_take", "main", *start],
        7107: [*NEW, "new_array_take", "main", *start],
    }


def without_first(stacks):
    return {places[1:]: count for places, count in stacks.items()}


@each("frames are shown while an exception is under way{0}",
      [("", "unwind_throw", START), (" in a static program", "unwind_throw-static", START_STATIC)])
def exceptions(case, _, program, start):
    outcome, oracle = traced(case, [case.load(program)])
    wrong = sound(outcome)
    for size, names in thrown(start).items():
        if start is START_STATIC and names[:1] == NEW: # an entry point of the allocator that is linked in
            names, oracle[size] = names[1:], without_first(oracle[size])
        wrong += same_stack(outcome.document, oracle, size, names)
    hold(wrong, outcome)


@test("frames are shown on a stack that makecontext made, and none beyond it")
def context(case):
    """What it returns to is no call's: the row before it is followed, and leads to no code."""
    outcome, oracle = traced(case, [case.load("unwind_plain"), "context"])
    hold(sound(outcome) + same_stack(outcome.document, oracle, 7040,
                                     ["leaf_take", "context_main", libc("__start_context")],
                                     f"{NO_ROWS}|lies in no executable mapping"), outcome)


@test("a stack deeper than what is kept is cut there, says so, and is one stack whatever was cut off")
def too_deep(case):
    outcome, oracle = traced(case, [case.load("unwind_plain"), "too-deep"])
    wrong = sound(outcome) + same_stack(outcome.document, oracle, 7002, recursed(300), DEPTH)
    sites = blocks_of(outcome.document, 7002)
    if [len(physical(site)) for site in sites] != [127]:
        wrong.append(f"sites have {[len(physical(site)) for site in sites]} frames, expected one of 127")
    if outcome.document["unwinding"]["ended"].get("depth") != 2:
        wrong.append(f"walks ended as {outcome.document['unwinding']}, expected 2 by depth")
    hold(wrong, outcome)


@test("--max-frames keeps all of a stack of 307 frames, and its callers are told apart")
def more_frames(case):
    outcome, oracle = traced(case, [case.load("unwind_plain"), "too-deep"], ["--max-frames", "400"])
    sites = {physical(site)[302].get("function"): site for site in blocks_of(outcome.document, 7002)
             if len(physical(site)) > 302}
    wrong = sound(outcome) + same_places("block of 7002", counted(sites.values()), oracle[7002])
    if set(sites) != {"from_left", "from_right"}:
        wrong.append(f"the sites' callers are {sorted(map(str, sites))}")
    for outer, site in sites.items():
        wrong += same_names("block of 7002", physical(site), recursed(300, outer))
        wrong += same_end("block of 7002", site, None)
    hold(wrong, outcome)


@test("--max-frames keeps no more than asked for")
def fewer_frames(case):
    outcome, oracle = traced(case, [case.load("unwind_plain"), "deep"], ["--max-frames", "10"])
    hold(sound(outcome) + same_stack(outcome.document, oracle, 7001, recursed(99), DEPTH, keep=10), outcome)


# Whatever two of one line are taken for one, their blocks have no size that is another's.
REBOUND = {7901: ["first_inner", "first_take"], 7902: ["second_inner", "second_take"]}
OPENED = {7911: ["first_begin"], 7912: ["second_begin"]}


def reload(case, rounds, pause_ms):
    paths = [case.load(f"libunwind_{name}.so") for name in ("first", "second")]
    outcome, oracle = traced(case, [case.load("unwind_reload"), str(rounds), str(pause_ms), *paths])
    moved = 2 * rounds - 1 - facts(outcome, "same_place")[0]
    if moved:
        raise Skip(f"{moved} times a library did not come to lie where the other one had")
    return outcome, oracle


@test("libraries that lie at one address one after the other are never taken for each other")
def reload_slowly(case):
    outcome, oracle = reload(case, 4, 300)
    wrong = sound(outcome, late=True)
    for size, names in REBOUND.items():
        wrong += same_stack(outcome.document, oracle, size, names + ["open_and_call", "main", *START])
    hold(wrong, outcome)


@test("libraries that come and go at once have their own frames, or stop where they are new")
def reload_fast(case):
    """The first walk through a library may come before its rows are read: then it ends there and says so."""
    outcome, oracle = reload(case, 200, 0)
    wrong = sound(outcome, late=True)
    for size, names in {**REBOUND, **OPENED}.items():
        told_wrong, early = same_or_early(outcome.document, oracle, size, names, PENDING)
        wrong += told_wrong
        if early > 100:
            wrong.append(f"block of {size}: {early} of 200 stacks ended early")
    hold(wrong, outcome)


@test("frames are shown above a constructor that dlopen calls, once its library is not new")
def constructor(case):
    outcome, oracle = reload(case, 4, 300)
    wrong = sound(outcome, late=True)
    for size, names in OPENED.items():
        told_wrong, early = same_or_early(outcome.document, oracle, size, names, PENDING)
        wrong += told_wrong
        if early > 1:
            wrong.append(f"block of {size}: {early} of 4 stacks ended early")
        for site in blocks_of(outcome.document, size):
            if not stopped(site):
                wrong += same_names(f"block of {size}", physical(site)[-5:], ["open_and_call", "main", *START])
    hold(wrong, outcome)


@test("a program that a shell starts has its own frames, or stops where it is new")
def started(case):
    words = f"{case.load('unwind_plain')} deep; {case.load('unwind_plain')} tail"
    outcome, oracle = traced(case, ["/bin/sh", "-c", words])
    wrong = sound(outcome, late=True)
    for size, names in ((7001, recursed(99)), (7003, ["tail_second", "main", *START])):
        wrong += same_or_early(outcome.document, oracle, size, names, PENDING)[0]
    hold(wrong, outcome)


@test("an attached tracer shows frames without frame pointers from main to the program's beginning")
def attached(case):
    target = Obedient(case, [case.load("attach")])
    target.do("r")
    outcome = watched(case, target)
    own = [site for site in outcome.document["sites"] if leaf(site) in ("loop_take", "after_take")]
    wrong = [] if len(own) >= 2 else [f"{len(own)} sites of the program's own, expected 2"]
    for site in own:
        wrong += same_names(leaf(site), physical(site)[-4:], ["main", *START]) + same_end(leaf(site), site, None)
    hold(wrong, outcome)


@test("a function without unwind rows or frame pointer ends the stack, and nothing is made up")
def bare(case):
    outcome, oracle = traced(case, [case.load("unwind_bare"), "bare"])
    hold(sound(outcome) + same_stack(outcome.document, oracle, 7401, ["bare_take"], NO_ROWS), outcome)


@test("what only looks like a frame pointer is not followed")
def false_pointer(case):
    outcome, oracle = traced(case, [case.load("unwind_bare"), "false"])
    hold(sound(outcome) + same_stack(outcome.document, oracle, 7402, ["false_take"], NO_ROWS), outcome)


@test("frames are shown above a function without unwind rows that keeps a frame pointer")
def pointer(case):
    outcome, oracle = traced(case, [case.load("unwind_bare"), "pointer"])
    hold(sound(outcome) + same_stack(outcome.document, oracle, 8403,
                                     ["pointer_take", "under_pointer", "main", *START]), outcome)


@test("frames are shown above constructors, to the program's beginning or the dynamic loader's")
def at_start(case):
    outcome, oracle = traced(case, [case.load("unwind_lazy")])
    called = [loader("call_init"), loader("_dl_init", "call_init"), loader("_dl_start_user")]
    wrong = sound(outcome)
    wrong += same_stack(outcome.document, oracle, 7502, ["library_begin", *called])
    wrong += same_stack(outcome.document, oracle, 7503,
                        ["program_begin", libc("__libc_start_main_impl", "__libc_start_main"), "_start"])
    hold(wrong, outcome)


@test("a resolver under lazy binding is shown above the loader's trampoline, whose frame is found by rbx")
def resolver(case):
    if os.uname().machine != "x86_64":
        raise Skip("the loader's own unwind information leaves out what the PLT has pushed before it")
    outcome, oracle = traced(case, [case.load("unwind_lazy")])
    names = [("resolve_value", "ifunc_value"), loader("_dl_fixup"),
             loader("_dl_runtime_resolve_xsavec", "_dl_runtime_resolve_xsave", "_dl_runtime_resolve_fxsave"),
             "call_lazily", "main", *START]
    hold(sound(outcome) + same_stack(outcome.document, oracle, 7501, names), outcome)


STEPS = [("", "unwind_step"), (" with the other layout of the PLT", "unwind_step-ibt")]


@each("frames are shown at every instruction of a program{0}", STEPS)
def steps(case, _, program):
    outcome, oracle = traced(case, [case.load(program), "plain"])
    sites = blocks_of(outcome.document, 7601)
    wrong = sound(outcome) + same_places("block of 7601", counted(sites), oracle[7601])
    count = facts(outcome, "steps")[0]
    if count < 80 or sum(oracle[7601].values()) != count:
        wrong.append(f"the program took {count} steps and told {sum(oracle[7601].values())}")
    for site in sites:
        wrong += same_end("block of 7601", site, None)
    hold(wrong, outcome)


def ruled_by(path, register):
    """The addresses at which @register alone tells the caller's frame."""
    text = subprocess.run([tool("readelf"), "-W", "--debug-dump=frames-interp", path], capture_output=True, check=True,
                          text=True).stdout
    rows = [(int(at, 16), rule) for at, rule in re.findall(r"^([0-9a-f]{16}) +(\S+)", text, re.M)]
    rows += [(int(end, 16), "end") for end in re.findall(r" pc=[0-9a-f]+\.\.([0-9a-f]+)$", text, re.M)]
    rows.sort(key=lambda row: (row[0], row[1] != "end"))
    return {address for (start, rule), (end, _) in zip(rows, rows[1:]) if rule.startswith(register)
            for address in range(start, end)}


@test("frames are shown at every instruction that realigns a stack, but where a third register is needed")
def steps_aligned(case):
    program = case.load("unwind_step")
    outcome, oracle = traced(case, [program, "aligned"])
    third = ruled_by(program, "r10")
    cut = {places[:3]: count for places, count in oracle[7601].items() if places[2][1] in third}
    whole = {places: count for places, count in oracle[7601].items() if places[2][1] not in third}
    sites = blocks_of(outcome.document, 7601)
    wrong = sound(outcome) + ([] if cut and whole else ["no instruction needs a third register, or all do"])
    wrong += same_places("cut stack", counted(site for site in sites if stopped(site)), cut)
    wrong += same_places("whole stack", counted(site for site in sites if not stopped(site)), whole)
    for site in sites:
        wrong += same_end("block of 7601", site, UNSUPPORTED if stopped(site) else None)
    hold(wrong, outcome)


class Returns:
    """Another tracer, whose probes replace return addresses on the stack."""

    def __init__(self, case, path, *functions):
        if not os.path.exists("/sys/bus/event_source/devices/uprobe/format/retprobe"):
            raise Skip("this kernel has no return probes by perf events")
        table = symbols(path)
        offsets = [str(file_offset(path, table[name])) for name in functions]
        self.case = case
        self.process = case.start([case.load("returns"), path, *offsets], stdin=subprocess.PIPE)
        case.until("the other tracer", lambda: "ready" in read_text(self.process.out) or
                   self.process.poll() is not None)

    def end(self):
        """How many returns it saw."""
        self.process.stdin.close()
        if self.case.wait(self.process):
            raise Failure("the other tracer failed", *read_text(self.process.err).splitlines())
        return int(read_text(self.process.out).split()[1])


# The kernel follows no more than 64 return probes above each other, of whatever tracer.
PROBED = [
    ("recursive callers", "shallow", ("rec_plain", "rec_wide", "rec_sized"), {7005: recursed(39)}, 40),
    ("main", "deep", ("main",), {7001: recursed(99)}, 0),
    ("functions that jump to malloc, and to its caller", "tail", ("tail_malloc", "tail_first"),
     {7003: ["tail_second", "main", *START], 7004: ["under_tail", "main", *START]}, 2),
]


@each("frames are the same under another tracer's return probes on {0}", PROBED,
      alone="its probes count whoever runs it")
def probed(case, _, mode, functions, expected, returns):
    command = [case.load("unwind_plain"), mode]
    oracle = told_bare(case, command)
    other = Returns(case, command[0], *functions)
    outcome = case.run(command)
    seen = other.end()
    wrong = sound(outcome)
    if seen != returns:
        wrong.append(f"the other tracer saw {seen} returns, expected {returns}")
    for size, names in expected.items():
        wrong += same_stack(outcome.document, oracle, size, names)
    hold(wrong, outcome)
