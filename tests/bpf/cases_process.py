# SPDX-License-Identifier: Apache-2.0
"""fork, vfork, exec, exit statuses."""

import os
import signal

from check import consistent, detail, exact, facts, hold, same_sums, sites_of
from harness import BLOCKS, Failure, Outcome, Skip, children_of, read_lines, read_text
from registry import each, test


FORKS = [
    ("a forked child starts at zero and its parent keeps what it holds", "fork", 2),
    ("fifty children one after the other are exact, each by itself", "forks", 51),
    ("children that run beside their parent are exact, each by itself", "crowd", 21),
    ("vfork and exec leave the parent as it was and begin a new process", "vfork", 2),
    ("what a vfork child takes before its exec is its parent's", "vfork-take", 2),
    ("posix_spawn leaves the parent as it was and begins a new process", "spawn", 2),
    ("two processes that have one pid one after the other are both exact", "reuse", 3),
]


@each("{0}", FORKS)
def forks(case, _, mode, processes):
    outcome = case.run([case.load("process"), mode])
    if facts(outcome, "refused"):
        raise Skip("this kernel does not let a program choose a pid")
    if len(outcome.truths) != processes:
        raise Failure(f"{len(outcome.truths)} processes told the truth, expected {processes}")
    exact(outcome, whole=True)
    expected = sum(facts(outcome, "unknown_frees"))
    got = detail(outcome.document, "unknown_frees")
    if got != expected:
        hold([f"unknown_frees is {got}, truth {expected}"], outcome)


EXECS = [("an exec", "exec"), ("an exec from a thread that is not the first", "exec-thread")]


@each("{0} begins a new image at zero and the old one keeps its sums", EXECS)
def execs(case, _, mode):
    outcome = case.run([case.load("process"), mode])
    if len(outcome.truths) != 2:
        raise Failure(f"{len(outcome.truths)} images told the truth, expected 2")
    exact(outcome)
    pid = outcome.truths[0]["pid"]
    images = [process for process in outcome.document["processes"] if process["pid"] == pid]
    holding = sorted(image["outstanding_bytes"] for image in images)
    expected = sorted(truth["outstanding_bytes"] for truth in outcome.truths)
    if mode == "exec" and [held for held in holding if held] != expected:
        hold([f"images hold {holding}, truth {expected}"], outcome)


STATUSES = [
    ("0 of a command that went well", ["true"], 0),
    ("7 of a command that left with 7", ["sh", "-c", "exit 7"], 7),
    ("126 where the command is no program", ["/etc/passwd"], 126),
    ("127 where there is no such command", ["/nowhere/at/all"], 127),
    ("127 where the search path has no such command", ["heldby-no-such-command"], 127),
    ("137 of a command killed by signal 9", ["sh", "-c", "kill -9 $$"], 137),
    ("143 of a command killed by signal 15", ["sh", "-c", "kill -15 $$"], 143),
]


@each("run leaves with {0}", STATUSES)
def status(case, _, command, expected):
    process = case.start([case.place.heldby, "run", "--", *command])
    got = case.wait(process)
    if got != expected:
        raise Failure(f"exit status is {got}, expected {expected}",
                      *read_text(process.err).splitlines()[-5:])
    if expected in (126, 127) and not read_text(process.err):
        raise Failure("nothing on stderr says what went wrong")


@test("a command killed in the middle leaves a whole report")
def killed_command(case):
    report = case.path("report.json")
    tracer = case.start([case.place.heldby, "run", "--top", "0", "-o", f"json:{report}", *BLOCKS, "--",
                         case.load("hot"), "2000000000"])
    case.until("the command", lambda: any(is_hot(pid) for pid in children_of(tracer.pid)))
    case.sleep(1)
    for pid in children_of(tracer.pid):
        os.kill(pid, signal.SIGKILL)
    got = case.wait(tracer)
    documents = read_lines(report)
    wrong = [] if got == 137 else [f"exit status is {got}, expected 137"]
    if len(documents) != 1:
        raise Failure(*wrong, f"{len(documents)} documents, expected 1",
                      *read_text(tracer.err).splitlines()[-5:])
    outcome = Outcome(got, documents[0], [], read_text(tracer.err))
    if not sites_of(documents[0], function="hot_malloc"):
        wrong.append("no site of hot_malloc in the report")
    hold(wrong + consistent(documents[0]), outcome)


def is_hot(pid):
    return read_text(f"/proc/{pid}/comm").strip() == "hot"


@test("an ended process keeps the sites it held when it died")
def ended(case):
    outcome = case.run(["sh", "-c", f"{case.load('calls')} malloc; {case.load('calls')} calloc"])
    wrong = same_sums(outcome.document, outcome.truths, whole=True)
    for truth in outcome.truths:
        if not any(process["pid"] == truth["pid"] and process.get("exited")
                   for process in outcome.document["processes"]):
            wrong.append(f"no ended process {truth['pid']}")
    hold(wrong, outcome)
