#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs every test there is, one suite after another, and adds them up.

A suite's output goes through as it comes. Its own closing lines are counted: cmocka's, or
"N passed, N failed[, N skipped]". A suite that prints neither, or exits non-zero without a
failed test, counts as one failure: nothing passes unseen.
"""
import glob
import os
import re
import subprocess
import sys
import time

BUILD = os.environ.get("BUILD", "build")
CMOCKA_PASSED = re.compile(r"^\[  PASSED  \] (\d+) test\(s\)\.$")
CMOCKA_FAILED = re.compile(r"^ ?\[  FAILED  \] [^:]*: (\d+) test\(s\), listed below:$|^ (\d+) FAILED TEST\(S\)$")
CMOCKA_SKIPPED = re.compile(r"^\[  SKIPPED \] .*: (\d+) test\(s\), listed below:$")
PLAIN = re.compile(r"^(?:\w+: )?(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$")


def suites():
    """(name, command) of every suite, the quick ones first."""
    yield "lint", [sys.executable, "tests/lint/lint.py"]
    yield "lint itself", [sys.executable, "tests/lint/selftest.py"]
    for folder in ("unit", "golden", "native"):
        for source in sorted(glob.glob(f"tests/{folder}/test_*.c")):
            name = os.path.basename(source)[:-2]
            yield f"{folder}/{name}", [os.path.join(BUILD, "tests", folder, name)]
    yield "fuzz", ["make", "-j2", "--no-print-directory", "fuzz-check"]
    yield "budget", [sys.executable, "tests/bpf/budget.py"]
    yield "bpf", ["make", "--no-print-directory", "check-bpf"]
    yield "e2e", ["make", "--no-print-directory", "check-e2e"]
    yield "unwind", ["make", "--no-print-directory", "check-unwind", "SAMPLES=6000"]


def run(command):
    """Run one suite; its (passed, failed, skipped)."""
    passed = failed = skipped = 0
    counted = False
    try:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    except OSError as error:
        print(f"{command[0]}: {error}")
        return 0, 1, 0
    for raw in process.stdout:
        line = raw.decode("utf-8", "replace").rstrip("\n")
        print(line, flush=True)
        if match := CMOCKA_PASSED.match(line):
            passed, counted = passed + int(match[1]), True
        elif match := CMOCKA_SKIPPED.match(line):
            skipped, counted = skipped + int(match[1]), True
        elif match := CMOCKA_FAILED.match(line):
            failed, counted = max(failed, int(match[1] or match[2])), True
        elif match := PLAIN.match(line):
            passed, failed, counted = passed + int(match[1]), failed + int(match[2]), True
            skipped += int(match[3] or 0)
    status = process.wait()
    if not failed and (status or not counted):
        print(f"this suite ended with status {status}" + ("" if counted else " and counted nothing"))
        failed = 1
    return passed, failed, skipped


def main():
    totals = [0, 0, 0]
    failures = []
    for name, command in suites():
        print(f"== {name}", flush=True)
        began = time.monotonic()
        result = run(command)
        totals = [total + part for total, part in zip(totals, result)]
        if result[1]:
            failures.append(name)
        print(f"-- {name}: {time.monotonic() - began:.1f} s", flush=True)
    if failures:
        print("failed suites: " + ", ".join(failures))
    print("%d passed, %d failed, %d skipped" % tuple(totals))
    return bool(totals[1])


if __name__ == "__main__":
    sys.exit(main())
