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
import time

sys.dont_write_bytecode = True  # the source tree stays as it is

import cases_calls
import cases_language
import cases_threads
import cases_process
import cases_attach
import cases_limits
import cases_mmap
import cases_mmap_real
import cases_pages
import cases_oom
import cases_oom_reading
import cases_rungs
import cases_namespaces
import cases_containers
import cases_real
import cases_unwind
import cases_unwind_names
import cases_unwind_room
from check import EXCUSED
from harness import Failure, Place, Skip, Test
from registry import TESTS

MODULES = (cases_calls, cases_language, cases_threads, cases_process, cases_attach, cases_limits,
           cases_mmap, cases_mmap_real, cases_pages, cases_oom, cases_oom_reading,
           cases_rungs, cases_namespaces, cases_containers, cases_real, cases_unwind, cases_unwind_names)
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))


def options():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="*", help="run tests whose sentence has one of these")
    parser.add_argument("--heldby", default=os.path.join(ROOT, "build", "heldby"))
    parser.add_argument("--loads", default=os.path.join(ROOT, "build", "load"),
                        help="where the load programs are built")
    parser.add_argument("--patience", type=float, default=1, metavar="TIMES",
                        help="for slow machines: each test may take so many times longer")
    parser.add_argument("--preempted", action="store_true",
                        help="on kernels that are preempted in tracepoints: what they skip for that is no failure")
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
        function(case)
        return "ok", []
    except Skip as reason:
        return "skip", [str(reason)]
    except Failure as failure:
        return "FAIL", [str(line) for line in failure.args]
    except (KeyError, IndexError, TypeError, ValueError, OSError) as error:
        where = error.__traceback__
        while where.tb_next:
            where = where.tb_next
        return "FAIL", [f"{type(error).__name__}: {error} "
                        f"({os.path.basename(where.tb_frame.f_code.co_filename)}:"
                        f"{where.tb_lineno})"]
    finally:
        case.clean()


def main():
    given = options()
    chosen = [(number, *row) for number, row in enumerate(TESTS, 1)
              if not given.words or any(word in row[0] for word in given.words)]
    if given.list:
        for number, sentence, _, _ in chosen:
            print(number, sentence)
        return 0
    if given.preempted:
        EXCUSED.append("skipped_probes")
    place = Place(os.path.abspath(given.heldby), os.path.abspath(given.loads), given.keep)
    reason = why_not(place)
    counts = {"ok": 0, "FAIL": 0, "skip": 0}
    if not reason and not given.built and not build(place.loads):
        print("FAIL the load programs do not build")
        return 1
    for number, sentence, function, seconds in chosen:
        start = time.monotonic()
        word, lines = ("skip", [reason]) if reason else run_one(place, function, seconds * given.patience)
        counts[word] += 1
        if word == "skip":
            print(f"skip {number} {sentence}: {lines[0]}")
        else:
            print(f"{word} {number} {sentence} ({time.monotonic() - start:.1f} s)")
            for line in lines:
                print(f"     {line}")
        sys.stdout.flush()
    print(f"{counts['ok']} passed, {counts['FAIL']} failed, {counts['skip']} skipped")
    return 1 if counts["FAIL"] else 0


if __name__ == "__main__":
    sys.exit(main())
