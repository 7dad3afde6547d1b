# SPDX-License-Identifier: Apache-2.0
"""
Where the time of a traced pair, and of a page fault, goes: the trap (empty programs), each BPF program by the
kernel's own clock, and the rest. The kernel's clock takes some 20 ns of each run itself; with it off, the pair is
as fast as in "pairs".
"""

import contextlib
import glob
import json
import subprocess

import faulting
import pairs
import ways
from stats import Missing
from tools import Child, installed, own, pin, read

STATS = "/proc/sys/kernel/bpf_stats_enabled"
ROUNDS = 8
RUNS_MIN = 0.01  # of a pair


@contextlib.contextmanager
def counted():
    """The kernel counts runs of programs and their nanoseconds."""
    before = read(STATS).strip()
    if not before:
        raise Missing("this kernel has no bpf_stats_enabled")
    with open(STATS, "w", encoding="ascii") as file:
        file.write("1")
    try:
        yield
    finally:
        with open(STATS, "w", encoding="ascii") as file:
            file.write(before)


def programs_of(pid):
    """id to (name, runs, nanoseconds) of the programs that a process holds."""
    ids = set()
    for path in glob.glob(f"/proc/{pid}/fdinfo/*"):
        ids |= {int(line.split()[1]) for line in read(path).splitlines() if line.startswith("prog_id:")}
    told = subprocess.run([installed("bpftool"), "-j", "prog", "show"], stdout=subprocess.PIPE, check=True).stdout
    return {row["id"]: (row["name"], row.get("run_cnt", 0), row.get("run_time_ns", 0))
            for row in json.loads(told) if row["id"] in ids}


def runs_between(before, after):
    for key, (name, runs, ns) in after.items():
        _, runs_before, ns_before = before.get(key, (name, 0, 0))
        if runs > runs_before:
            yield name, runs - runs_before, ns - ns_before


def profiled(way, program, depth):
    """(name, runs, nanoseconds) of each program, the median round, and how many pairs there were in all."""
    with Child([own(program), str(depth)], stop=None, preexec_fn=pin()) as child, \
            way.attach(child.pid) as tracer, counted():
        pairs.one_round(child)
        before = programs_of(tracer.pid)
        rounds = sorted(pairs.one_round(child)[0] for _ in range(ROUNDS))
        found = list(runs_between(before, programs_of(tracer.pid)))
        return found, rounds[len(rounds) // 2], sum(pairs.ROUND_NS / one for one in rounds)


def plain(way, program, depth):
    return sorted(pairs.visit(way, program, depth)["cpu"] for _ in range(3))[1]


def row(way, value, **more):
    return {"way": way, "median": value, "low": value, "high": value, **more}


def parts(way, program, depth):
    """A pair's nanoseconds; @per_run where it is a program's. What ran for other processes is left out."""
    found, pair, count = profiled(way, program, depth)
    kind = pairs.floor_of(way.name, program).removeprefix("floor ")
    floor = plain(ways.Floor(kind), program, depth)
    yield row("the pair", plain(way, program, depth))
    yield row("the pair, while programs are counted", pair)
    yield row("of it the floor", floor)
    rest = pair - floor
    for name, runs, ns in sorted(found, key=lambda one: -one[2]):
        if runs / count > RUNS_MIN:
            rest -= ns / count
            yield row(f"of it {name}", ns / count, per_run=ns / runs, runs_per_pair=runs / count)
    yield row("of it the rest", rest)


def fault_parts(way):
    """A page fault's nanoseconds, in a program that does nothing else."""
    faulting.fault_ns()
    without = faulting.fault_ns()
    with way.attach(0):
        watched = faulting.fault_ns()
    with way.attach(0) as tracer, counted():
        before = programs_of(tracer.pid)
        fault = faulting.fault_ns()
        found = list(runs_between(before, programs_of(tracer.pid)))
    count = max((runs for _, runs, _ in found), default=1)
    yield row("a fault", watched)
    yield row("a fault, nobody looks", without)
    yield row("a fault, while programs are counted", fault)
    for name, runs, ns in sorted(found, key=lambda one: -one[2]):
        if runs / count > RUNS_MIN:
            yield row(f"of it {name}", ns / count, per_run=ns / runs, runs_per_fault=runs / count)


def profile_of(name, title, unit, way, rows):
    """A table; left out with the reason where it cannot be."""
    found = {"table": f"profile.{name}", "title": title, "unit": unit, "rows": [], "left_out": {}}
    try:
        found["rows"] = list(rows)
    except Missing as reason:
        found["left_out"][way.name] = str(reason)
    return found


SHALLOW, DEEP = 0, 14


def profile(given):
    """Where the nanoseconds of a pair go, and of a page fault."""
    pointers, rows, sampled = ways.exact("frame-pointers"), ways.exact(), ways.sampled()
    for program, depth, way in ((pairs.PUSH, SHALLOW, pointers), (pairs.PUSH, SHALLOW, rows),
                                (pairs.PUSH, DEEP, pointers), (pairs.PUSH, DEEP, rows),
                                (pairs.PUSH, SHALLOW, sampled), (pairs.LIBC, SHALLOW, sampled)):
        if not given.chosen([way]):
            continue
        frames = depth + pairs.FRAMES_BELOW
        yield profile_of(f"{program}.{way.name.removeprefix('heldby ').replace(' ', '-')}.{frames}",
                         f"{way.name}, {frames} frames, {program}", "ns of a pair", way, parts(way, program, depth))
    for way in given.chosen([ways.pages()]):
        yield profile_of("faults", way.name, "ns of a fault", way, fault_parts(way))
