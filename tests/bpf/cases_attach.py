# SPDX-License-Identifier: Apache-2.0
"""heldby top on a process that was there before, and sudden ends of either."""

import os
import random
import signal
import subprocess

from check import consistent, detail, hold, same_sums, sites_of
from harness import Failure, Outcome, read_text
from registry import each, test

ROUNDS = "10000000"  # of the hot program: seconds, so that it outlives its tracer


class Target:
    """The attach program: a letter for each thing to do."""

    def __init__(self, case):
        self.process = case.start([case.load("attach")], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE)
        self.pid = self.process.pid

    def do(self, letters):
        for letter in letters:
            self.process.stdin.write(letter.encode())
            self.process.stdin.flush()
            if letter != "q" and self.process.stdout.read(1) != b".":
                raise Failure(f"the target failed at letter {letter}",
                              *read_text(self.process.err).splitlines())


def verdict(document, truths, frees=None):
    wrong = consistent(document, ("missed_count",)) + same_sums(document, truths)
    if frees is not None and detail(document, "unknown_frees") != frees:
        wrong.append(f"unknown_frees is {detail(document, 'unknown_frees')}, truth {frees}")
    hold(wrong, Outcome(0, document, truths, ""))


@test("blocks from before an attach are not counted and blocks after it are exact")
def before_and_after(case):
    target = Target(case)
    target.do("br")
    tracer = case.top(target.pid)
    target.do("fat")
    document = case.stop_top(tracer)[-1]
    verdict(document, case.truths(), frees=50)
    hold([f"before_take has {site['allocated_count']} blocks" for site in
          sites_of(document, function="before_take")])


@test("a block from before an attach counts from its realloc on")
def grown(case):
    target = Target(case)
    target.do("br")
    tracer = case.top(target.pid)
    target.do("gt")
    verdict(case.stop_top(tracer)[-1], case.truths())


@test("two tracers on one process say the same")
def two_tracers(case):
    target = Target(case)
    target.do("br")
    tracers = [case.top(target.pid), case.top(target.pid)]
    target.do("lfat")
    documents = [case.stop_top(tracer)[-1] for tracer in tracers]
    for document in documents:
        verdict(document, case.truths(), frees=50)


@test("a tracer that left and one that comes later do not disturb each other")
def one_after_the_other(case):
    target = Target(case)
    first = case.top(target.pid)
    target.do("l")
    case.stop_top(first)
    target.do("r")
    second = case.top(target.pid)
    target.do("at")
    verdict(case.stop_top(second)[-1], case.truths())


@test("top writes one document per interval and as many as asked for")
def counted_intervals(case):
    target = Target(case)
    tracer = case.top(target.pid, interval="0.3", count=3)
    target.do("at")
    status = case.wait(tracer)
    lines = read_text(tracer.out).splitlines()
    if status or len(lines) != 3:
        raise Failure(f"{len(lines)} documents and status {status}, expected 3 and 0")


@each("{0} ends top with a last report and status 0",
      [("SIGINT", signal.SIGINT), ("SIGTERM", signal.SIGTERM)])
def ended_by_signal(case, _, number):
    target = Target(case)
    tracer = case.top(target.pid, interval="60")
    target.do("at")
    documents = case.stop_top(tracer, number)
    if documents[-1].get("final") is not True:
        raise Failure("the last document is not final")
    verdict(documents[-1], case.truths())
    target.do("lq")
    if case.wait(target.process):
        raise Failure("the target did not end well after its tracer left")


@test("top ends in order when its target is killed")
def target_killed(case):
    target = case.start([case.load("hot"), "2000000000"])
    tracer = case.top(target.pid)
    case.sleep(1)
    os.kill(target.pid, signal.SIGKILL)
    case.wait(target)
    status = case.wait(tracer)
    documents = read_text(tracer.out).splitlines()
    if status or not documents:
        raise Failure(f"status {status} and {len(documents)} documents, expected 0 and some",
                      *read_text(tracer.err).splitlines()[-5:])


@test("a target does not notice that its tracer was killed, twenty times", seconds=300,
      alone="its target traps into the probes of others, too, and then takes long")
def tracer_killed(case):
    expected = case.run_bare([case.load("hot"), ROUNDS])
    if expected[0] != 3:
        raise Failure(f"the hot program leaves with {expected[0]} untraced, expected 3")
    for number in range(20):
        target = case.start([case.load("hot"), ROUNDS])
        tracer = case.top(target.pid)
        case.sleep(random.Random(number).uniform(0.02, 0.2))
        if target.poll() is not None:
            raise Failure(f"round {number}: the target ended before its tracer was killed")
        tracer.kill()
        case.wait(tracer)
        got = case.wait(target), read_text(target.out)
        if got != expected:
            raise Failure(f"round {number}: the target ended with {got}, expected {expected}",
                          *read_text(target.err).splitlines())


@test("top finds processes by their name, those that begin later as well", alone="others have that name, too")
def by_name(case):
    first = case.start([case.load("hot"), "2000000000"])
    tracer = case.start([case.place.heldby, "top", "--comm", "hot", "--json", "0.2"])
    case.until("heldby: ready", lambda: "heldby: ready" in read_text(tracer.err) or tracer.poll() is not None)
    second = case.start([case.load("hot"), "2000000000"])
    case.sleep(1)
    rows = case.stop_top(tracer)[-1]["processes"]
    for target in (first, second):
        target.kill()
        case.wait(target)
    names, pids = {row["comm"] for row in rows}, {row["pid"] for row in rows}
    if names != {"hot"} or not {first.pid, second.pid} <= pids:
        raise Failure(f"processes {sorted(pids)} called {sorted(names)}, expected {first.pid} and {second.pid}")
