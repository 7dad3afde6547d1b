#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Traces the programs of tests/load with heldby on this kernel and compares sums to the byte.
One line per test; "run.py WORD..." runs the tests whose sentence has one of the words.
"""

import argparse
import os
import subprocess
import sys

sys.dont_write_bytecode = True  # the source tree stays as it is

import cases_budget
import cases_calls
import cases_duty
import cases_language
import cases_threads
import cases_process
import cases_attach
import cases_chosen
import cases_limits
import cases_mmap
import cases_mmap_real
import cases_mmap_rungs
import cases_pages
import cases_pages_kernel
import cases_pages_room
import cases_placement
import cases_oom
import cases_oom_command
import cases_oom_kinds
import cases_oom_names
import cases_oom_reading
import cases_oom_short
import cases_rungs
import cases_sampling
import cases_namespaces
import cases_containers
import cases_real
import cases_unwind
import cases_unwind_names
import cases_unwind_room
import suite
from check import EXCUSED
from harness import Place, Test

MODULES = (cases_calls, cases_language, cases_threads, cases_process, cases_attach, cases_limits, cases_mmap,
           cases_mmap_real, cases_mmap_rungs, cases_pages, cases_pages_kernel, cases_pages_room, cases_duty,
           cases_placement, cases_oom, cases_oom_command, cases_oom_kinds, cases_oom_names, cases_oom_reading,
           cases_oom_short, cases_rungs, cases_sampling, cases_budget, cases_namespaces, cases_containers,
           cases_chosen, cases_real, cases_unwind, cases_unwind_names, cases_unwind_room)
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
# Programs of tracepoints, fentry and fexit that other tasks' calls may meet while one of them is preempted.
PREEMPTED = (r"hb_vm_\w+_[tf][ex]", r"hb_narrow_\w+", r"hb_task_\w+", r"hb_pages_user")
JOBS = 3  # most tests wait for half of their time


def options():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="*", help="run tests whose sentence has one of these")
    parser.add_argument("--heldby", default=os.path.join(ROOT, "build", "heldby"))
    parser.add_argument("--loads", default=os.path.join(ROOT, "build", "load"),
                        help="where the load programs are built")
    parser.add_argument("--jobs", type=int, default=JOBS, metavar="COUNT",
                        help=f"tests that run at a time, but for those that must be alone (default {JOBS})")
    parser.add_argument("--patience", type=float, default=1, metavar="TIMES",
                        help="for slow machines: each test may take so many times longer")
    parser.add_argument("--brief", action="store_true", help="for slow machines: repeat what is repeated less")
    parser.add_argument("--preempted", action="store_true",
                        help="on kernels that are preempted in tracepoints: what they skip of these is no failure")
    parser.add_argument("--built", action="store_true", help="the load programs are built already")
    parser.add_argument("--list", action="store_true", help="print the sentences only")
    parser.add_argument("--keep", action="store_true", help="keep each test's files")
    return parser.parse_args()


def build(loads):
    """What has no compiler here is left out; what does not compile stops us."""
    return subprocess.run(["make", "-s", "-f", os.path.join(ROOT, "tests", "load", "Makefile"),
                           f"OUT={loads}", "load"], check=False).returncode == 0


def why_not(place):
    """A reason to skip everything, or None."""
    if os.geteuid() != 0:
        return "needs root"
    if not os.access(place.heldby, os.X_OK):
        return f"{place.heldby} is not built"
    return None


def run_one(place, function, seconds):
    """Returns (word, lines)."""
    case = Test(place, seconds)
    try:
        return suite.judged(case, function)
    finally:
        case.clean()


def main():
    given = options()
    rows = suite.chosen(given.words)
    if given.list:
        suite.show(rows)
        return 0
    if given.preempted:
        EXCUSED.extend(PREEMPTED)
    place = Place(os.path.abspath(given.heldby), os.path.abspath(given.loads), given.keep, given.brief)
    reason = why_not(place)
    if not reason and not given.built and not build(place.loads):
        print("FAIL the load programs do not build")
        return 1

    def one(function, seconds):
        return run_one(place, function, seconds * given.patience)
    if reason or given.jobs < 2:
        return suite.run(rows, reason, one)
    return suite.run_side_by_side(rows, one, given.jobs, given.patience)


if __name__ == "__main__":
    sys.exit(main())
