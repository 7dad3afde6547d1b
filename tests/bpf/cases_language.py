# SPDX-License-Identifier: Apache-2.0
"""C++, Java, libraries loaded late, and the frames of a stack."""

import glob
import os

from check import SUMS, consistent, exact, hold, leaf, sites_of, sums_of
from harness import Skip
from libraries import LIBRARIES, library
from registry import each, test
from stacks import START, physical, same_end, same_names

CXX = [("operator new in its forms is exact", "new"),
       ("allocations around a thrown exception are exact", "throw"),
       ("a bad_alloc reaches its handler and counts nothing", "bad_alloc"),
       ("a new handler runs and the news around it are exact", "new_handler")]


@each("{0} in C++", CXX)
def cxx(case, _, mode):
    exact(case.run([case.load("cxx"), mode]))


@each("{0} in C++ under {2}", [(*row, name) for name in LIBRARIES for row in CXX])
def cxx_preloaded(case, _, mode, name):
    env = {"LD_PRELOAD": library(name)}
    status, _ = case.run_bare([case.load("cxx"), mode], env)
    if status:
        raise Skip(f"{name} ends the program with {status} untraced too")
    exact(case.run([case.load("cxx"), mode], env=env))


@each("stacks are whole above an operator new without return probe, of {0}", LIBRARIES)
def above_new(case, name):
    outcome = case.run([case.load("cxx"), "new"], env={"LD_PRELOAD": library(name)})
    wrong = consistent(outcome.document)
    for function in ("take_new", "take_new_array", "take_new_nothrow"):
        sites = sites_of(outcome.document, function=function)
        if len(sites) != 1:
            wrong.append(f"{len(sites)} sites of {function}, expected 1")
        for site in sites:
            wrong += same_names(function, physical(site), [function, "main", *START]) + same_end(function, site, None)
    hold(wrong, outcome)


@test("an operator new whose returns cannot be found is told as missed, and malloc beside it is exact")
def left_out(case):
    outcome = case.run([case.load("left_out")])
    exact(outcome, allow=("missed_count",))
    detail = outcome.document["losses"]["detail"]
    hold([] if detail.get("failed_attaches") == 1 else [f"losses are {detail}, expected 1 of failed_attaches"], outcome)


@test("an allocator loaded by dlopen is exact beside libc's")
def loaded_later(case):
    env = {"GLIBC_TUNABLES": "glibc.rtld.optional_static_tls=16384"}
    command = [case.load("later"), library("jemalloc")]
    status, _ = case.run_bare(command, env)
    if status:
        raise Skip("this libc cannot load jemalloc late")
    exact(case.run(command, env=env), allow=("missed_count",))


FRAMES = [
    ("a hundred calls deep", "deep", ["leaf_take"] + ["recurse"] * 100 + ["main"]),
    ("deeper than a stack can be", "too-deep", ["leaf_take"] + ["recurse"] * 126),
    ("over a large frame of unknown size", "array", ["array_take", "main"]),
    ("through a function without unwind information", "asm",
     ["asm_take", "stand_under", "main"]),
    ("without the frame a tail call gave up", "tail", ["tail_second", "stand_under", "main"]),
]


def shown(case, mode, expected, how=()):
    """The load's stack in @mode begins with @expected, by heldby with the options @how. Returns the outcome."""
    outcome = case.run([case.load("frames"), mode], how)
    exact(outcome, whole=not how)
    sites = [site for site in outcome.document["sites"] if leaf(site) == expected[0]]
    if len(sites) != 1:
        hold([f"{len(sites)} sites of {expected[0]}, expected 1"], outcome)
    got = [frame.get("function", "?") for frame in sites[0]["frames"]]
    if mode == "too-deep" and len(got) != 127:
        hold([f"{len(got)} frames, expected 127"], outcome)
    if got[:len(expected)] != expected:
        at = next((at for at, pair in enumerate(zip(got, expected)) if pair[0] != pair[1]),
                  min(len(got), len(expected)))
        hold([f"{len(got)} frames; frame {at} on is {got[at:at + 4]}, "
              f"expected {expected[at:at + 4]}"])
    return outcome


@each("frames are shown {0}", FRAMES)
def frames(case, _, mode, expected):
    shown(case, mode, expected)


@each("frames are shown {0}, by --unwind {3}", [(*row, how) for how in ("frame-pointers", "oldest") for row in FRAMES])
def frames_by_pointers(case, _, mode, expected, how):
    """Both walk alike; the programs of the second are those that kernels before 5.17 load."""
    outcome = shown(case, mode, expected, ["--unwind", how])
    told = outcome.document["unwinding"]
    hold([] if set(told["ended"]) <= {"pointers", "depth"} and told["mode"] == "frame_pointers" else
         [f"walks are told as {told}, expected by frame pointers alone"], outcome)


def javas():
    found = {}
    for path in sorted(glob.glob("/usr/lib/jvm/*/bin/java")):
        found.setdefault(os.path.realpath(path), path)
    return [os.path.basename(os.path.dirname(os.path.dirname(real))) for real in found]


def java_direct(case, java, options, mode, how=()):
    """Sums of one JVM's Unsafe memory, and its truth. @how: options of heldby."""
    folder = os.path.dirname(case.load("java/Direct.class"))
    if os.path.exists(case.truth):
        os.unlink(case.truth)
    outcome = case.run([f"/usr/lib/jvm/{java}/bin/java", *options, "-cp", folder, "Direct", mode], how)
    # The launcher loads libjvm by dlopen, which nothing foretells; Unsafe is used long after.
    hold(consistent(outcome.document, ("missed_count",)), outcome)
    pid = outcome.truths[0]["pid"]
    sites = sites_of(outcome.document, pid, source="direct")
    return outcome, sites


@each("direct memory of {0} is exact{1}",
      [(java, text, options) for java in javas() for text, options in
       (("", ()), (" with native memory tracking", ("-XX:NativeMemoryTracking=summary",)))],
      seconds=120)
def java(case, name, _, options):
    java_exact(case, name, options)


@each("direct memory of {0} stays exact while malloc is sampled", javas(), seconds=120)
def java_sampled(case, name):
    java_exact(case, name, (), ("--malloc", "524288"))


def java_exact(case, name, options, how=()):
    base, base_sites = java_direct(case, name, options, "none", how)
    outcome, sites = java_direct(case, name, options, "keep", how)
    truth = outcome.truths[0]
    before, after = sums_of(base_sites), sums_of(sites)
    wrong = [f"{key} grew by {after[key] - before[key]}, truth {truth[key]}"
             for key in SUMS if after[key] - before[key] != truth[key]]
    if truth["facts"]["pool_bytes"] != truth["facts"]["buffer_bytes"]:
        wrong.append("the JVM's own count of its direct buffers disagrees with the program")
    if wrong:
        wrong.append(f"without the program's own: {before}")
    hold(wrong, outcome)
