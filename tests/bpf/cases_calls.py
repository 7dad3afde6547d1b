# SPDX-License-Identifier: Apache-2.0
"""Entry points and allocators: what is asked for is what is counted."""

import json
import subprocess

from check import consistent, exact, hold, same_sums, sites_of
from harness import BLOCKS, Failure, Outcome, read_text
from libraries import LIBRARIES, library
from registry import each, test


@each("{0} counts to the byte what its callers asked for",
      ["malloc", "calloc", "realloc", "reallocarray", "posix_memalign", "memalign",
       "aligned_alloc", "valloc", "pvalloc"])
def entry_point(case, mode):
    exact(case.run([case.load("calls"), mode]), whole=True)


@test("free takes a block off its site and free of NULL takes nothing")
def frees(case):
    exact(case.run([case.load("calls"), "free"]), whole=True)


@test("a block of no bytes is a block")
def zero_bytes(case):
    exact(case.run([case.load("calls"), "zero"]), whole=True)


@test("a malloc that maps memory inside is counted once")
def mapped_inside(case):
    exact(case.run([case.load("calls"), "large"]), whole=True)


@test("calls that fail are not counted and a failed realloc leaves the old block")
def failed_calls(case):
    outcome = case.run([case.load("calls"), "failed"])
    exact(outcome, whole=True)
    hold([f"a site of fail_every exists: {site}" for site in
          sites_of(outcome.document, function="fail_every") if site["allocated_count"]], outcome)


@test("run --json writes one document to stdout")
def json_on_stdout(case):
    process = case.start([case.place.heldby, "run", "--json", "--top", "0", *BLOCKS, "--",
                          case.load("calls"), "malloc"])
    if case.wait(process) != 0:
        raise Failure("exit status is not 0", *read_text(process.err).splitlines()[-5:])
    lines = read_text(process.out).splitlines()
    if len(lines) != 1:
        raise Failure(f"{len(lines)} lines on stdout, expected 1")
    outcome = Outcome(0, json.loads(lines[0]), case.truths(), "")
    exact(outcome, whole=True)


@each("an attached tracer sees the leak of {0} to the byte",
      ["malloc", "calloc", "realloc", "posix_memalign", "valloc", "memalign", "pvalloc",
       "aligned_alloc"])
def leak(case, kind):
    document, truths = leaker(case, kind)
    held = sum(site["outstanding_count"] for site in truths[0]["sites"])
    wrong = consistent(document, ("missed_count",)) + same_sums(document, truths)
    if held != 10:
        wrong.append(f"the program leaked {held} blocks, expected 10")
    hold(wrong, Outcome(0, document, truths, ""))


@test("a program that leaks nothing holds nothing")
def no_leak(case):
    document, truths = leaker(case, "none")
    held = sum(site["outstanding_bytes"] for site in document["sites"])
    wrong = consistent(document, ("missed_count",)) + same_sums(document, truths)
    if held:
        wrong.append(f"{held} bytes outstanding, expected 0")
    hold(wrong, Outcome(0, document, truths, ""))


def leaker(case, kind):
    target = case.start([case.load("leak"), kind], stdin=subprocess.PIPE)
    case.until("the leaker", lambda: "here" in read_text(target.out))
    tracer = case.top(target.pid)
    target.stdin.write(b"x")
    target.stdin.flush()
    case.until("the leak", lambda: "done" in read_text(target.out))
    documents = case.stop_top(tracer)
    target.stdin.close()
    case.wait(target)
    return documents[-1], case.truths()


@each("every entry point is exact in a program that is {0}",
      [("static", "calls-static"), ("static and position independent", "calls-static-pie"),
       ("linked to musl", "calls-musl"), ("static with musl", "calls-musl-static")])
def linked(case, _, name):
    exact(case.run([case.load(name), "all"]))


@each("every entry point is exact under {0}", list(LIBRARIES))
def preloaded(case, name):
    exact(case.run([case.load("calls"), "all"], env={"LD_PRELOAD": library(name)}))


@each("{0} preloaded by a wrapper that heldby cannot foresee is exact or told as missed",
      list(LIBRARIES))
def wrapped(case, name):
    outcome = case.run(["/usr/bin/env", f"LD_PRELOAD={library(name)}", case.load("calls"), "all"])
    losses = outcome.document["losses"]
    wrong = consistent(outcome.document, ("missed_count",))
    if not losses["missed_count"]:
        wrong += same_sums(outcome.document, outcome.truths)
    hold(wrong, outcome)


@test("jemalloc's mallocx, rallocx, xallocx, dallocx and sdallocx are exact")
def jemalloc_interface(case):
    exact(case.run([case.load("mallocx")], env={"LD_PRELOAD": library("jemalloc")}))
