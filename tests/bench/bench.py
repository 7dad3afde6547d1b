#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What tracing costs: nanoseconds per malloc and free, by depth of the stack and by way of walking it.

The ways alternate in one run and medians are compared as ratios: absolute figures move from machine to
machine, and on a busy one from second to second. `bench.py [--rounds N] [--json]`
"""
import argparse
import json
import os
import statistics
import subprocess
import sys

BUILD = os.environ.get("BUILD", "build")
HELDBY = os.path.join(BUILD, "heldby")
CHURN = os.path.join(BUILD, "bench", "churn")
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


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
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
    if given.json:
        print(json.dumps(rows))
        return
    print("ns per malloc+free pair (times the empty probes)")
    print(f"{'frames':>6}  " + "".join(f"{way:>22}" for way in WAYS))
    for row in rows:
        cells = [f"{row['ns'][way]:.0f}" + (f" ({row['times_floor'][way]:.2f}x)" if way != "nothing" else "")
                 for way in WAYS]
        print(f"{row['frames']:>6}  " + "".join(f"{cell:>22}" for cell in cells))


if __name__ == "__main__":
    main()
