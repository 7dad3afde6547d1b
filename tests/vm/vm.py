#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Boots distribution kernels in emulated machines and runs heldby's real tests in them.

    vm.py [KERNEL...]    all, or those named (--list)

Each machine runs heldby doctor, tests/bpf, tests/unwind/differ on what it has of that test's programs, and
the programs given with --extra. What a kernel, an architecture or a program lacks to
be tried is a skip with its reason. Downloads are kept in $HELDBY_VM_CACHE, by default /var/cache/heldby-vm.
It takes hours. With --quick it is part of `make test`: fewer tests, though every rung of every hook, and
bounded as a whole.
"""

import argparse
import collections
import concurrent.futures
import functools
import math
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True  # the source tree stays as it is

import guest
import machine
from packages import Missing
from kernels import KERNELS

SIDE_BY_SIDE = 2     # machines; each keeps one CPU busy
# Of one machine from start to power off: seconds of CPU, and by the clock, for where the CPUs have more to do.
BOUNDS, QUICK_BOUNDS = (9000, 18000), (300, 330)
QUICK_SECONDS = 560  # of all machines together
LEAST_SECONDS = 130  # that must be left of them when a machine begins
PATIENCE = 6         # how much slower than here a test may be
SKIPPED = 77         # exit status of an extra program that cannot run there
DIFFER = "tests/unwind/differ"
# Of its eight programs; the machines have python3, redis and the one that throws.
SAMPLES, QUICK_SAMPLES = 2400, 800

# Of tests/bpf, for a quick run: every rung of every hook, and no more than an emulated CPU does in a minute or two.
QUICK = [
    "every entry point is exact by",
    "blocks from before an attach",
    "allocations around a thrown exception are exact in C++ under tcmalloc",
    "deeper than a stack can be",
    "frames that realign the stack",
    "shown of a vfork child",
    "of a handler on a stack of its own",
    "blocks of threads that end are exact with",
    "an exec from a thread that is not the first",
    "above an operator new",
    "a storm ends as the kernel has it by",
    "more calls at once than a kretprobe has instances",
    "every report during a storm adds up",
    "the pages of runs are the same by",
    "the pages of huge are the same by",
    "the rest by its parent's stacks",
    "the mappings of a 32-bit program are exact",
    "the pages of every process are known",
    "what the kernel populates by itself is",
    "a kill is told as in the kernel's log by",
    "a group that is killed together",
    "a kill because a cpuset's node is full",
    "the kernel's own sums of a cgroup",
    "of which the kernel's log says nothing",
    "what the victim held is told",
    "chosen places as to the entries of glibc",
]
# And not these: another row needs the same of a kernel, or it runs here, or in the machine of tests/e2e.
NOT_QUICK = [
    "above an operator new without return probe, of tcmalloc",
    "above an operator new without return probe, of mimalloc",
    "deeper than a stack can be, by --unwind",
    "populates by itself is unattributed",
]
# Nor this machine.
NOT_QUICK_KERNELS = ("6.1-aarch64",)
# What is left where no function of a process can be probed and stacks are frame pointers': what adds up
# whole processes. And why the rest is not tried there.
WITHOUT_FUNCTIONS = ("every report during a storm adds up", "a storm ends as the kernel has it by",
                     "watched from its middle on", "watched only afterwards", "shared segments in a storm",
                     "more calls at once than a kretprobe has instances", "the pages of ",
                     "the rest by its parent's stacks", "right on average, after forks",
                     "that is killed", "a kill ", "what the victim held")
# What is looked at in the milliseconds after a kill; twice of six runs a victim of arm64 was gone by then.
AT_ONCE = ("a group that is killed together", "the kernel's own sums of a cgroup",
           "a child that is killed is told, and its parent lives on")
TOO_SLOW = "the emulated machine is too slow for what must be looked at in the first milliseconds"
NOT_THERE = "they are named after what this machine has and the other has not (a JVM, a library)"
NO_FUNCTIONS = "before 5.15 no function can be probed, and frame pointers miss who called one that keeps none"

# The ways to the hooks that doctor tells of.
RUNGS = ("uprobe.session", "uprobe.multi", "uprobe", "tracepoint", "kprobe", "fentry", "raw_tracepoint", "stack",
         "mark_victim")
BOOT = "the machine boots, runs everything and powers off"
DOCTOR = "heldby doctor loads every program"
UNWINDER = "the kernel takes the unwinder"
STACKS = "stacks at random moments are those that libdw finds"
LOG = "the kernel's log has no complaint"
# Not the traces themselves: an OOM kill has one, too.
COMPLAINTS = re.compile(r"\bBUG: (?!soft lockup)|\bWARNING: |\bOops\b|general protection|refcount_t|blocked for more")
REFUSED = re.compile(r"^  NO +stacks ")
SAMPLED = re.compile(r"^\S+ +\d+ samples: ")
LADDER = re.compile(r"^Hook (.*): .*, best rung first$")
RUNG = re.compile(r"^  (ok|NO) +(\S+) .*?(<- taken)?$")
LISTED = re.compile(r"^\d+ (.*)$")
RESULT = re.compile(r"^(ok|FAIL|skip) \d+ (.*)$")


class Run:
    """One kernel's column of the table."""

    def __init__(self, kernel):
        self.kernel = kernel
        self.cells = {}  # row: ok, FAIL or skip
        self.rungs = {}  # (hook, rung): taken, ok or NO
        self.notes = []  # lines that explain

    def set(self, row, word, *lines):
        self.cells[row] = word
        self.notes += [f"{word} {row}", *(f"     {line}" for line in lines)] if word != "ok" else []


@functools.lru_cache(None)
def sentences(quick):
    """The tests to run, as tests/bpf names them."""
    done = subprocess.run([sys.executable, os.path.join(guest.ROOT, "tests/bpf/run.py"), "--list",
                           *(QUICK if quick else [])], stdout=subprocess.PIPE, check=True, text=True)
    found = [line.split(" ", 1)[1] for line in done.stdout.splitlines()]
    return [one for one in found if not (quick and any(words in one for words in NOT_QUICK))]


def lacking(kernel, sentence):
    """Why a test is not run on a kernel, or None."""
    if kernel.arch == "aarch64" and any(words in sentence for words in AT_ONCE):
        return TOO_SLOW
    return None if kernel.functions or any(words in sentence for words in WITHOUT_FUNCTIONS) else NO_FUNCTIONS


def put_suite(run, part, wanted):
    """tests/bpf's own lines: all sentences it knows, then a word and a sentence, with lines below that explain."""
    found, known = {}, set()
    for line in part.lines:
        if listed := LISTED.match(line):
            known.add(listed[1])
        match = RESULT.match(line)
        # A sentence may have a colon of its own, as what follows it has.
        sentence = match and max((one for one in wanted if match[2].startswith(one)), key=len, default=None)
        if sentence:
            why = match[2][len(sentence):] if match[1] == "skip" else ""
            found[sentence] = last = [match[1], [why.removeprefix(": ")] if why else []]
        elif line.startswith("     ") and found:
            last[1].append(line[5:])
    cut, reasons = 0, collections.Counter()
    for sentence in wanted:
        why = lacking(run.kernel, sentence) or (NOT_THERE if known and sentence not in known else None)
        if why:
            run.cells[sentence] = "skip"
            reasons[why] += 1
        elif sentence in found:
            run.set(sentence, found[sentence][0], *found[sentence][1])
        else:
            run.cells[sentence] = "FAIL"
            cut += 1
    run.notes += [f"skip {count} tests: {why}" for why, count in reasons.items()]
    if cut:
        run.notes.append(f"FAIL {cut} tests were not run to their end")
    if not found:
        run.notes += part.lines[-10:]


def put_program(run, row, part):
    """A program by its exit status."""
    word = {0: "ok", SKIPPED: "skip"}.get(part.status, "FAIL")
    left = "did not end" if part.status is None else f"left with {part.status}"
    run.set(row, word, *([left] + part.lines[-12:] if word != "ok" else []))


def put_stacks(run, part):
    """The differ by its exit status, its numbers in any case; without numbers nothing was compared."""
    numbers = [line for line in part.lines if SAMPLED.match(line)]
    if run.cells[UNWINDER] != "ok":
        run.set(STACKS, "skip", "there are none to compare")
    elif part.status != 0 or not numbers:
        left = "did not end" if part.status is None else f"left with {part.status}"
        run.set(STACKS, "FAIL", left, *part.lines[:60])
    else:
        run.set(STACKS, "ok")
    run.notes += [f"stacks of {line}" for line in numbers]


def put_rungs(run, part):
    """What doctor says of each way to each hook; of two by one name the better word."""
    hook = None
    for line in part.lines:
        ladder, rung = LADDER.match(line), RUNG.match(line)
        if ladder:
            hook = ladder[1]
        elif not line.startswith("  "):
            hook = None
        elif hook and rung and rung[2] in RUNGS:
            words = [run.rungs.get((hook, rung[2]), "NO"), "taken" if rung[3] else rung[1]]
            run.rungs[hook, rung[2]] = next(word for word in ("taken", "ok", "NO") if word in words)


def put_results(run, console, said, wanted, extras):
    """Everything the console tells. Its parts: the name, doctor, tests/bpf, the differ, the extras, the log."""
    count = 5 + len(extras)
    whole = len(console.parts) == count and console.parts[-1].status is not None
    run.set(BOOT, "ok" if whole else "FAIL", *([said] if said else []), *([] if whole else console.rest[-8:]))
    empty = machine.Part(0.0)
    parts = console.parts + [empty] * (count - len(console.parts))
    put_program(run, DOCTOR, parts[1])
    put_rungs(run, parts[1])
    bad = [line for line in parts[1].lines if REFUSED.match(line)]
    if bad and not run.kernel.functions:
        run.set(UNWINDER, "skip", *bad) # it is older than what the unwinder calls, and says so
    else:
        run.set(UNWINDER, "FAIL" if bad or not parts[1].lines else "ok", *bad)
    put_suite(run, parts[2], wanted)
    put_stacks(run, parts[3])
    for extra, part in zip(extras, parts[4:]):
        put_program(run, extra, part)
    bad = [line for line in parts[-1].lines + console.rest if COMPLAINTS.search(line)]
    run.set(LOG, "FAIL" if bad or parts[-1].status is None else "ok", *bad[:12])


def describe(run, was, console):
    """One line of what was booted."""
    name = " ".join(console.parts[0].lines).strip() if console.parts else "?"
    rungs = [line.split()[1] for part in console.parts[1:2] for line in part.lines if line.endswith("<- taken")]
    first = console.parts[0].begin if console.parts else 0
    return (f"{run.kernel.name}: Linux {name}, rung {rungs[0] if rungs else 'none'}, up after {first:.0f} s, "
            f"{was.seconds:.0f} s in all, {was.busy:.0f} s of CPU")


def command_of(extra):
    """What the guest's shell is to run for an extra program; one that it lacks is a skip there."""
    words = shlex.split(extra)
    if guest.is_ours(words[0]):
        words[0] = f"{guest.HOME}/build/{words[0]}"
    line = " ".join(shlex.quote(word) for word in words)
    return f"[ -x {shlex.quote(words[0])} ] || {{ echo it is not there; exit {SKIPPED}; }}\n{line}"


def commands_of(run, wanted, given):
    """What the guest's shell is to do, in order; put_results() knows their places."""
    words = [sentence for sentence in wanted if not lacking(run.kernel, sentence)]
    suite = " ".join(shlex.quote(word) for word in ["--brief", *run.kernel.options, *words])
    return ["uname -r", "build/heldby doctor -p 1",
            "python3 tests/bpf/run.py --list; HELDBY_TEST_GLOBAL_OOM=1 "  # a machine of its own
            f"python3 tests/bpf/run.py --built --jobs 1 --patience {PATIENCE} {suite}",
            f"build/{DIFFER} --samples {QUICK_SAMPLES if given.quick else SAMPLES}",
            *(command_of(extra) for extra in given.extra), "dmesg"]


def programs_of(extras):
    """What the guest gets beside heldby and the programs of tests/bpf."""
    return [DIFFER, *(shlex.split(extra)[0] for extra in extras)]


def try_kernel(run, built, folder, end, given):
    """Boot one kernel and fill its column. @end: when all machines have to have ended."""
    wanted, left = sentences(given.quick), end - time.monotonic()
    busy, seconds = QUICK_BOUNDS if given.quick else BOUNDS
    if left < LEAST_SECONDS:
        run.set(BOOT, "skip", f"it was not begun: {left:.0f} s were left of {QUICK_SECONDS} s for all machines")
        return
    image, console = (os.path.join(folder, f"{run.kernel.name}.{kind}") for kind in ("cpio", "console"))
    try:
        built.image(image, commands_of(run, wanted, given), programs_of(given.extra))
        was, result = machine.boot(run.kernel.arch, run.kernel.image(), image, console,
                                   (busy, min(seconds, left)), run.kernel.words)
        os.unlink(image)
    except (Missing, OSError) as reason:
        run.set(BOOT, "FAIL", str(reason))
        return
    put_results(run, result, was.said, wanted, given.extra)
    print(describe(run, was, result), flush=True)


def guest_of(arch, guests, given):
    """The guest of an architecture, or the reason why there is none: built and found out once."""
    if arch not in guests:
        try:
            guests[arch] = guest.prepare(arch, os.path.abspath(given.build), given.libraries.split(),
                                         programs_of(given.extra))
        except (Missing, guest.Broken, OSError) as reason:
            guests[arch] = reason
    if isinstance(guests[arch], Exception):
        raise guests[arch]
    return guests[arch]


def fetch(run, guests, given):
    """
    Whether a kernel can be tried: it is there, and what is to run on it can be built. What is for another
    architecture is: nobody else builds there.
    """
    program = machine.MACHINES[run.kernel.arch][0]
    try:
        if not shutil.which(program):
            raise Missing(f"{program} is not installed")
        run.kernel.image(given.fresh)
        if run.kernel.arch != platform.machine():
            guest_of(run.kernel.arch, guests, given)
        return True
    except guest.Broken as broken:
        run.set(BOOT, "FAIL", "it does not build:", *broken.args)
    except (Missing, OSError) as reason:
        run.set(BOOT, "skip", str(reason))
    return False


def prepare(run, guests, given):
    """Whether what is to run on a kernel is there."""
    try:
        return guest_of(run.kernel.arch, guests, given)
    except (Missing, OSError, guest.Broken) as reason:
        run.set(BOOT, "FAIL", "it does not build:", *reason.args)
    return None


def table(runs, given):
    """A column for each kernel, a row for each test; then what explains the rest; then the sums."""
    names = [run.kernel.name for run in runs]
    words = [word for run in runs for word in run.cells.values()]
    print("\n" + "  ".join(names))
    for row in [BOOT, DOCTOR, UNWINDER, *sentences(given.quick), STACKS, *given.extra, LOG]:
        print("  ".join(run.cells.get(row, "-").ljust(len(name)) for run, name in zip(runs, names)), "", row)
    for hook, rung in dict.fromkeys(row for run in runs for row in run.rungs):
        cells = [run.rungs.get((hook, rung), "-") for run in runs]
        print("  ".join(cell.ljust(len(name)) for cell, name in zip(cells, names)), "", f"{hook}, by {rung}")
    for run in runs:
        for line in run.notes:
            print(f"{run.kernel.name}: {line}")
    print("%d passed, %d failed, %d skipped" % tuple(words.count(word) for word in ("ok", "FAIL", "skip")))
    return "FAIL" in words


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kernels", nargs="*", metavar="KERNEL", help="boot these only")
    parser.add_argument("--build", default="build", help="where heldby is built")
    parser.add_argument("--libraries", default="", help="development packages that heldby is built with")
    parser.add_argument("--extra", action="append", default=[], metavar="COMMAND",
                        help="also run this in each machine: a program that make builds, by its path below the "
                             "build folder and with what lies beside it, or one of the system, and its "
                             "arguments; it leaves with 77 where it cannot run")
    parser.add_argument("--quick", action="store_true",
                        help=f"fewer tests and smaller ones; end within {QUICK_SECONDS} s, which "
                             "machines that come too late are left out for")
    parser.add_argument("--hold", action="store_true",
                        help="wait for the end of stdin when everything is downloaded")
    parser.add_argument("--fresh", action="store_true", help="download the newest kernels again")
    parser.add_argument("--list", action="store_true", help="print the kernels' names only")
    return parser.parse_args()


def main():
    given = options()
    if given.list:
        print("\n".join(kernel.name for kernel in KERNELS))
        return 0
    unknown = set(given.kernels) - {kernel.name for kernel in KERNELS}
    if unknown:
        print(f"there is no kernel {' '.join(sorted(unknown))}; --list tells those there are")
        return 2
    runs = [Run(kernel) for kernel in KERNELS
            if kernel.name in given.kernels or
            not given.kernels and not (given.quick and kernel.name in NOT_QUICK_KERNELS)]
    guests = {}
    # Those that take longest begin first: other machines, then the newest kernels, where most rungs are.
    order = sorted(reversed(runs), key=lambda run: run.kernel.arch == platform.machine())
    ready = [run for run in order if fetch(run, guests, given)]
    if given.hold:
        sys.stdin.read()
    end = time.monotonic() + QUICK_SECONDS if given.quick else math.inf
    ready = [run for run in ready if prepare(run, guests, given)]
    with tempfile.TemporaryDirectory(prefix="heldby-vm-") as folder, \
            concurrent.futures.ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        for future in [pool.submit(try_kernel, run, guests[run.kernel.arch], folder, end, given)
                       for run in ready]:
            future.result()
    if ready and all(run.cells.get(BOOT) == "skip" for run in ready):
        ready[0].set(BOOT, "FAIL", "of the machines that could be had none was begun in time")
    return table(runs, given)


if __name__ == "__main__":
    sys.exit(main())
