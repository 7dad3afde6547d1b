# SPDX-License-Identifier: Apache-2.0
"""Every way to attach gives the same numbers; what this kernel refuses is skipped with its reason."""

import re
import subprocess

from cases_attach import Target, verdict
from check import exact, hold
from harness import Failure, Skip
from libraries import library
from registry import each, test

RUNGS = ("uprobe.session", "uprobe.multi", "uprobe")
WORKS, REFUSED = re.compile(r"^  ok +(\S+)"), re.compile(r"^  NO +(\S+) +(.*)$")


def doctor(case):
    """What doctor says of each rung: None if it works, else why not."""
    result = subprocess.run([case.place.heldby, "doctor", "-p", "1"], stdout=subprocess.PIPE, check=False)
    said = {}
    for line in result.stdout.decode("utf-8", "replace").splitlines():
        if match := WORKS.match(line):
            said[match[1]] = None
        elif match := REFUSED.match(line):
            said[match[1]] = match[2]
    return said


def need(case, rung):
    said = doctor(case)
    if rung not in said:
        raise Failure(f"doctor says nothing of {rung}")
    if said[rung] is not None:
        raise Skip(said[rung])
    return ["--rung", rung]


@test("doctor says of every rung that it works or why it is refused")
def told(case):
    missing = [rung for rung in RUNGS if rung not in doctor(case)]
    hold([f"doctor says nothing of {rung}" for rung in missing])


LOADS = [
    ("every entry point", ["calls", "all"]),
    ("blocks that threads hand to others", ["threads", "handoff"]),
    ("malloc inside calls that a handler interrupts", ["signals-own", "inside"]),
    ("children of a loop of forks", ["process", "forks"]),
]


@each("{1} is exact by {0}", [(rung, *load) for rung in RUNGS for load in LOADS], seconds=90)
def same(case, rung, _, load):
    options = need(case, rung)
    outcome = case.run([case.load(load[0]), *load[1:]], options)
    exact(outcome)
    if outcome.document["hooks"]["malloc"] != rung:
        raise Failure(f"the hook is {outcome.document['hooks']['malloc']}")


@each("an exception through operator new of {1} reaches its handler by {0}",
      [(rung, name) for rung in RUNGS for name in ("jemalloc", "tcmalloc")])
def thrown(case, rung, name):
    exact(case.run([case.load("cxx"), "bad_alloc"], need(case, rung), env={"LD_PRELOAD": library(name)}))


@each("a running process is exact by {0}", RUNGS)
def attached(case, rung):
    options = need(case, rung)
    target = Target(case)
    target.do("br")
    tracer = case.top(target.pid, *options)
    target.do("at")
    document = case.stop_top(tracer)[-1]
    target.do("q")
    case.wait(target.process)
    verdict(document, case.truths())
