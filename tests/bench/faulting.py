# SPDX-License-Identifier: Apache-2.0
"""What looking at page faults costs: per fault, and in whole programs; beside empty programs at the same places."""

import resource
import shutil
import statistics
import subprocess

import ways
from stats import alternate, table
from tools import Child, installed, own, pin

ROUNDS = 16
TOUCHES = 12
STARTS = 200
JVM_STARTS = 24
JVM_WARM = 25 # others before: what is read of a program's files once, for all of its processes, is read then


class EmptyFaults(ways.Way):
    """Empty programs on the tracepoints of page faults: what the kernel takes to get there."""

    name = "empty programs"

    def attach(self, pid, file=None):
        return ways.until(Child([own("floor"), "faults"], stop=None), "ready")


def spent(command, **more):
    """Seconds of CPU of a command and all that it starts."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True, **more)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def fault_ns():
    """Nanoseconds of CPU per fault of one run: of its rounds the fastest fifth, for others only make it slower."""
    done = subprocess.run([own("faults"), str(ROUNDS)], input=b"go\n", stdout=subprocess.PIPE, check=True,
                          preexec_fn=pin())
    return statistics.quantiles((float(line) for line in done.stdout.split()[1:]), n=5)[0]


def java():
    starts = [spent([installed("java"), "-version"]) for _ in range(JVM_WARM + JVM_STARTS)]
    return sum(starts[JVM_WARM:])


THINGS = {
    "fault": ("a page fault", "ns of CPU", fault_ns),
    "touch": (f"touching 64 MiB {TOUCHES} times", "s of CPU",
              lambda: spent([own("faults"), str(TOUCHES)], input=b"go\n", preexec_fn=pin())),
    "shell": (f"{STARTS} times /bin/true from a shell", "s of CPU",
              lambda: spent(["sh", "-c", f"i=0; while [ $i -lt {STARTS} ]; do /bin/true; i=$((i + 1)); done"])),
    "java": (f"{JVM_STARTS} times java -version, after {JVM_WARM} others", "s of CPU", java),
}


def visit(way):
    with way.attach(0):
        return {name: once() for name, (_, _, once) in THINGS.items() if name != "java" or shutil.which("java")}


def pages(given):
    """Per fault and per program: without, with empty programs, with heldby."""
    found = alternate(given.chosen([ways.nothing(), EmptyFaults(), ways.pages()]), given.rounds * 2, visit)
    for name, (title, unit, _) in THINGS.items():
        yield table(f"pages.{name}", title, unit, found, name, "nothing")
