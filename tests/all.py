#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs every test there is, and adds them up: the quick suites side by side, then one after another.

A suite's output stays together, the long ones' goes through as it comes. Its own closing lines are counted:
cmocka's, or "N passed, N failed[, N skipped]". A suite that prints neither, or exits non-zero without a
failed test, counts as one failure: nothing passes unseen. What failed is said once more at the end, where
whoever has only the end of the output finds it.
"""
import concurrent.futures
import glob
import os
import re
import signal
import subprocess
import sys
import time

BUILD = os.environ.get("BUILD", "build")
CMOCKA_PASSED = re.compile(r"^\[  PASSED  \] (\d+) test\(s\)\.$")
CMOCKA_FAILED = re.compile(r"^ ?\[  FAILED  \] [^:]*: (\d+) test\(s\), listed below:$|^ (\d+) FAILED TEST\(S\)$")
CMOCKA_SKIPPED = re.compile(r"^\[  SKIPPED \] .*: (\d+) test\(s\), listed below:$")
PLAIN = re.compile(r"^(?:\w+: )?(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$")
# A test's line, behind a kernel's name in the matrix; lines that begin with spaces explain it.
FAILED = re.compile(r"^((?:[\w.-]+: )?)(?:FAIL \S|\[  FAILED  \] \w+$)")
REASONS_MAX = 12


def quick_suites():
    """(name, command) of the suites that no other disturbs."""
    yield "lint", [sys.executable, "tests/lint/lint.py"]
    yield "lint itself", [sys.executable, "tests/lint/selftest.py"]
    for folder in ("unit", "golden", "native"):
        for source in sorted(glob.glob(f"tests/{folder}/test_*.c")):
            name = os.path.basename(source)[:-2]
            yield f"{folder}/{name}", [os.path.join(BUILD, "tests", folder, name)]


def make(*words):
    return ["make", "--no-print-directory", *words]


def suites():
    """Those that want the machine for themselves."""
    yield "fuzz", make("fuzz-check")
    yield "budget", [sys.executable, "tests/bpf/budget.py"]
    yield "bpf", make("check-bpf")
    yield "e2e", make("check-e2e")
    yield "unwind", make("check-unwind", "SAMPLES=4000")


# It downloads and builds from the beginning on, and boots its machines when its stdin ends.
EARLY = "vm", make("check-vm-quick", "HOLD=1")


class Count:
    """What a suite's lines say of its tests."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.counted = False
        self.failures = []  # lines
        self.inside = None  # what the next line begins with if it explains the last failure
        self.reasons = 0

    def keep(self, line):
        """One more line that may be about a failure."""
        if match := FAILED.match(line):
            self.inside, self.reasons = match[1] + "  ", 0
        elif self.inside is None or not line.startswith(self.inside) or self.reasons == REASONS_MAX:
            self.inside = None
            return
        else:
            self.reasons += 1
        self.failures.append(line)

    def line(self, line):
        self.keep(line)
        if match := CMOCKA_PASSED.match(line):
            self.passed, self.counted = self.passed + int(match[1]), True
        elif match := CMOCKA_SKIPPED.match(line):
            self.skipped, self.counted = self.skipped + int(match[1]), True
        elif match := CMOCKA_FAILED.match(line):
            self.failed, self.counted = max(self.failed, int(match[1] or match[2])), True
        elif match := PLAIN.match(line):
            self.passed, self.failed = self.passed + int(match[1]), self.failed + int(match[2])
            self.skipped, self.counted = self.skipped + int(match[3] or 0), True


def start(command, **more):
    """The process, or the error as it would be printed."""
    try:
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **more)
    except OSError as error:
        return f"{command[0]}: {error}"


def finish(process, say):
    """Its (passed, failed, skipped) and what failed, when it has ended; each line is said."""
    if isinstance(process, str):
        say(process)
        return (0, 1, 0), [process]
    count = Count()
    for raw in process.stdout:
        line = raw.decode("utf-8", "replace").rstrip("\n")
        say(line)
        count.line(line)
    status = process.wait()
    if not count.failed and (status or not count.counted):
        end = f"this suite ended with status {status}" + ("" if count.counted else " and counted nothing")
        say(end)
        count.failures.append(end)
        count.failed = 1
    return (count.passed, count.failed, count.skipped), count.failures


class Totals:
    """Of all suites."""

    def __init__(self):
        self.sums = [0, 0, 0]
        self.failures = []  # (suite, lines)

    def add(self, name, result, seconds):
        counts, failures = result
        self.sums = [total + part for total, part in zip(self.sums, counts)]
        if counts[1]:
            self.failures.append((name, failures))
        print(f"-- {name}: {seconds:.1f} s", flush=True)

    def run(self, name, process):
        """One suite, whose lines go through. @process: what starts it, or continues it."""
        print(f"== {name}", flush=True)
        began = time.monotonic()
        self.add(name, finish(process(), lambda line: print(line, flush=True)), time.monotonic() - began)

    def run_side_by_side(self, rows):
        """Suites, as many at a time as there are CPUs, each with its lines together."""
        def one(row):
            lines, began = [], time.monotonic()
            result = finish(start(row[1]), lines.append)
            return row[0], lines, result, time.monotonic() - began
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            for name, lines, result, seconds in pool.map(one, rows):
                print("\n".join([f"== {name}", *lines]))
                self.add(name, result, seconds)


def main():
    totals = Totals()
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    early = start(EARLY[1], stdin=subprocess.PIPE)
    try:
        totals.run_side_by_side(quick_suites())
        for name, command in suites():
            totals.run(name, lambda command=command: start(command))
    except BaseException:
        if not isinstance(early, str):
            early.terminate()
        raise
    if not isinstance(early, str):
        early.stdin.close()
    totals.run(EARLY[0], lambda: early)
    for name, lines in totals.failures:
        print("\n".join([f"== failed in {name}", *lines]))
    print("%d passed, %d failed, %d skipped" % tuple(totals.sums))
    return bool(totals.sums[1])


if __name__ == "__main__":
    sys.exit(main())
