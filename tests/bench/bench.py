#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What tracing costs: nanoseconds per malloc and free, by depth of the stack and by way of walking it;
nanoseconds per page fault; CPU time of whole programs while page faults are looked at.

The ways alternate in one run and medians are compared as ratios: absolute figures move from machine to
machine, and on a busy one from second to second. `bench.py [malloc] [pages] [--rounds N] [--json]`
"""
import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time

BUILD = os.environ.get("BUILD", "build")
HELDBY = os.path.join(BUILD, "heldby")
CHURN = os.path.join(BUILD, "bench", "churn")
FAULTS = os.path.join(BUILD, "bench", "faults")
FLOOR = os.path.join(BUILD, "bench", "floor")
DEPTHS = (0, 5, 15, 45, 95)
FRAMES_BELOW = 5  # round_of_pairs, descend, main and two of libc's; _start ends the walk


def heldby(pid, *options):
    return subprocess.Popen([HELDBY, "top", *options, "-p", str(pid), "3600"], stdin=subprocess.DEVNULL,
                            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def empty(pid):
    return subprocess.Popen([FLOOR, str(pid), CHURN], stdin=subprocess.PIPE, stdout=subprocess.PIPE)


WAYS = {
    "nothing": None,
    "empty": empty,
    "frame-pointers": lambda pid: heldby(pid, "--unwind", "frame-pointers"),
    "eh_frame": lambda pid: heldby(pid, "--unwind", "eh_frame"),
}


def wait_ready(tracer):
    stream = tracer.stdout or tracer.stderr
    for line in stream:
        if b"ready" in line:
            return
    raise SystemExit(f"bench: the tracer ended: {tracer.wait()}")


def measure(way, depth, rounds):
    """Nanoseconds per pair, of each round."""
    program = subprocess.Popen([CHURN, str(depth), str(rounds)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    tracer = WAYS[way](program.pid) if WAYS[way] else None
    if tracer:
        wait_ready(tracer)
    out, _ = program.communicate(b"go\n")
    if tracer:
        tracer.terminate()
        tracer.wait()
    return [float(line) for line in out.split()][1:]  # the first one fills caches


def bench_malloc(given):
    rows = []
    for depth in DEPTHS:
        found = {way: [] for way in WAYS}
        for _ in range(given.repeat):
            for way in WAYS:
                found[way] += measure(way, depth, given.rounds)
        medians = {way: statistics.median(values) for way, values in found.items()}
        rows.append({"frames": depth + FRAMES_BELOW, "ns": medians,
                     "times_floor": {way: medians[way] / medians["empty"] for way in WAYS if way != "nothing"}})
        print(f"{depth + FRAMES_BELOW} frames measured", file=sys.stderr)
    return rows


def show_malloc(rows):
    print("ns per malloc+free pair (times the empty probes)")
    print(f"{'frames':>6}  " + "".join(f"{way:>22}" for way in WAYS))
    for row in rows:
        cells = [f"{row['ns'][way]:.0f}" + (f" ({row['times_floor'][way]:.2f}x)" if way != "nothing" else "")
                 for way in WAYS]
        print(f"{row['frames']:>6}  " + "".join(f"{cell:>22}" for cell in cells))


def spent(command):
    """Seconds of CPU of a command and all that it starts."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                   check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def faults(rounds):
    """Nanoseconds per fault of one run: of its rounds the fastest fifth, for others only make it slower."""
    done = subprocess.run([FAULTS, str(rounds)], input=b"go\n", stdout=subprocess.PIPE, check=True)
    return statistics.quantiles((float(line) for line in done.stdout.split()[1:]), n=5)[0]


def touching():
    return {
        "a page fault, ns": lambda: faults(30),
        "touching 64 MiB 12 times, s": lambda: spent(["sh", "-c", f"echo go | {FAULTS} 12"]),
        "300 times /bin/true from a shell, s": lambda: spent(
            ["sh", "-c", "i=0; while [ $i -lt 300 ]; do /bin/true; i=$((i + 1)); done"]),
        **({"java -version, s": lambda: spent(["java", "-version"])} if shutil.which("java") else {}),
    }


class Node:
    """heldby top on the whole node: all that a page fault can cost."""

    def __enter__(self):
        self.tracer = subprocess.Popen([HELDBY, "top", "3600"], stdin=subprocess.DEVNULL,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        wait_ready(self.tracer)
        return self

    def __exit__(self, *_):
        self.tracer.terminate()
        self.tracer.wait()


def bench_pages(given):
    """Each thing without and with it, in turns; what is compared is each pair's difference."""
    without, within = ({what: [] for what in touching()} for _ in range(2))
    for _ in range(given.repeat * 4):
        for what, once in touching().items():
            without[what].append(once())
        with Node():
            for what, once in touching().items():
                within[what].append(once())
    return [{"what": what, "without": statistics.median(without[what]),
             "more": statistics.median(b - a for a, b in zip(without[what], within[what]))}
            for what in without]


def show_pages(rows):
    print("page faults of the whole node looked at")
    for row in rows:
        print(f"{row['what']:>38} {row['without']:>10.3f} {row['more']:>+10.4f} "
              f"({row['more'] / row['without']:+.1%})")


def idle(seconds=20):
    """What heldby itself takes on a node with nothing to do, of one core; and its memory."""
    with Node() as node:
        tick = os.sysconf("SC_CLK_TCK")

        def used():
            with open(f"/proc/{node.tracer.pid}/stat", encoding="ascii", errors="replace") as file:
                words = file.read().rpartition(")")[2].split()
            return (int(words[11]) + int(words[12])) / tick

        time.sleep(2)
        before = used()
        time.sleep(seconds)
        with open(f"/proc/{node.tracer.pid}/statm", encoding="ascii") as file:
            resident = int(file.read().split()[1]) * resource.getpagesize()
        return {"core": (used() - before) / seconds, "resident_bytes": resident}


def show_idle(row):
    print(f"heldby top of a node at rest: {row['core']:.2%} of one core, {row['resident_bytes'] >> 20} MiB resident")


# What can be asked for: how it is measured, and shown.
PARTS = {"malloc": (bench_malloc, show_malloc), "pages": (bench_pages, show_pages),
         "idle": (lambda given: idle(), show_idle)}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="by default all")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found = {part: PARTS[part][0](given) for part in given.parts or PARTS}
    if given.json:
        print(json.dumps(found))
        return
    for part, rows in found.items():
        PARTS[part][1](rows)


if __name__ == "__main__":
    main()
