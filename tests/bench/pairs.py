# SPDX-License-Identifier: Apache-2.0
"""Nanoseconds per malloc and free: of each way, by depth of the stack, and of threads at one site."""

import os
import statistics

import ways
from stats import alternate, table
from tools import Child, descendant, own, pin, scratch

ROUNDS = 8         # of a visit; the first one fills caches
ROUND_NS = 40e6    # as in churn.c
SHALLOW = 0
FRAMES_BELOW = 6   # round_of_pairs, rounds, descend, main and two of libc's; _start ends the walk
DEPTHS = (0, 14, 44, 94)
PUSH, LIBC = "churn", "churn-libc"
PROGRAMS = {PUSH: PUSH, LIBC: "lib/libc.so.6"}  # and where their malloc is


def visit(way, program, depth, threads=1):
    """Figures of one process: a median round's nanoseconds per pair, of CPU and of wall time."""
    with scratch() as folder:
        command = way.around([own(program), str(depth), str(threads)], folder)
        with Child(command, stop=None, preexec_fn=pin() if threads == 1 else None) as child:
            child.says("ready")
            with way.attach(descendant(child.pid, program), own(PROGRAMS[program])):
                rounds = [one_round(child) for _ in range(ROUNDS)][1:]
    cpu, wall = (statistics.median(column) for column in zip(*rounds))
    return {"cpu": cpu, "wall": wall, "pairs_per_s": threads * 1e9 / wall}


def one_round(child):
    child.ask()
    return [float(word) for word in child.says("pair").split()[1:]]


def measure(given, name, title, which, program, depth=SHALLOW, threads=1, beside="wall"):
    found = alternate(given.chosen(which), given.rounds, lambda way: visit(way, program, depth, threads))
    return table(name, title, "ns of CPU per malloc+free pair", found, "cpu", lambda way: floor_of(way, program),
                 [beside])


def floor_of(way, program):
    """Of an allocator that heldby does not know it wants every return, sampled or not."""
    return ways.floor_of(way.replace("sampled", "exact") if program == PUSH else way)


def pairs(given):
    """Each way, where the kernel emulates what it probes, and with libc's own functions."""
    both = [ways.nothing(), *ways.floors(), ways.exact("frame-pointers"), ways.exact(), ways.sampled(), ways.pages()]
    for rung in ways.RUNGS[1:]:
        both += [ways.exact("frame-pointers", rung), ways.exact(rung=rung), ways.sampled(rung)]
    yield measure(given, "pairs.push", "an unknown allocator whose malloc and free begin with a push", both, PUSH)
    yield measure(given, "pairs.libc", "libc's malloc and free", both + ways.peers(given), LIBC)


def depths(given):
    """Stacks of 6 to 100 frames, by both ways of walking."""
    which = [ways.nothing(), ways.Floor(ways.best_rung()), ways.exact("frame-pointers"), ways.exact()]
    for depth in DEPTHS:
        frames = depth + FRAMES_BELOW
        yield measure(given, f"depths.{frames}", f"stacks of {frames} frames", which, PUSH, depth)


def threads(given):
    """As many threads as CPUs at one site: they share its sums, and where these are fought for a pair costs more."""
    which = [ways.nothing(), ways.Floor(ways.best_rung()), ways.Floor("skip"), ways.exact("frame-pointers"),
             ways.sampled()]
    for count in sorted({1, len(os.sched_getaffinity(0))}):
        yield measure(given, f"threads.{count}", f"one site, {count} threads" if count > 1 else "one site, 1 thread",
                      which, LIBC, SHALLOW, count, "pairs_per_s")
