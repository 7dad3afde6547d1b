# SPDX-License-Identifier: Apache-2.0
"""Sampled calls: right on average, and as far off as they say."""

import math
import os
import subprocess

from bursts import await_answer, begin, exact_cost, order
from cases_oom import Group, Watch
from cases_rungs import RUNGS, need
from check import hold, sites_of
from harness import Failure
from libraries import LIBRARIES, library
from registry import each, test

CHILDREN = 100
PERIOD = 16384
VICTIM_MIB = 64
SAMPLES_MIN = 10 # that a sum is expected to have: it has none once in 22,000


def wanted(truth):
    """By callsite, what one child holds."""
    return {site["function"]: (site["outstanding_bytes"], site["outstanding_count"]) for site in truth["sites"]
            if site["allocated_count"]}


class Estimate:
    """What was said of one callsite in all children, and how far each said it may be off."""

    def __init__(self):
        self.values = []
        self.errors = []

    def add(self, value, error):
        self.values.append(value)
        self.errors.append(error)

    def wrong(self, what, truth):
        """Whether the mean is off by more than five standard errors, or the errors are not what they are called."""
        count = len(self.values)
        mean = sum(self.values) / count
        said = math.sqrt(sum(error * error for error in self.errors))
        seen = math.sqrt(sum((value - truth) ** 2 for value in self.values))
        lines = []
        if abs(mean - truth) > 5 * said / count + 1e-9 * truth + 0.5:
            lines.append(f"{what}: {mean:.1f} on average, truth {truth}; that is "
                         f"{abs(mean - truth) / (said / count):.1f} standard errors off")
        if said and not 0.6 < seen / said < 1.6:
            lines.append(f"{what}: off by {seen / math.sqrt(count):.1f} (root of the mean square), said "
                         f"{said / math.sqrt(count):.1f}")
        return lines


def judge_alike(outcome, truths):
    """What is wrong with what is said of processes that all did the same."""
    children = {truth["pid"] for truth in truths}
    lines = [] if len(children) >= CHILDREN - 1 else [f"{len(children)} children wrote their truth"]
    for function, (held_bytes, held_count) in wanted(truths[0]).items():
        in_bytes, in_count = Estimate(), Estimate()
        for pid in children:
            sites = sites_of(outcome.document, pid, function)
            in_bytes.add(sum(site["outstanding_bytes"] for site in sites),
                         math.hypot(*(site.get("standard_error_bytes", 0) for site in sites)))
            in_count.add(sum(site["outstanding_count"] for site in sites),
                         math.hypot(*(site.get("standard_error_count", 0) for site in sites)))
        lines += in_bytes.wrong(f"{function}, bytes", held_bytes) + in_count.wrong(f"{function}, blocks", held_count)
    return lines


def judge(outcome):
    losses = outcome.document["losses"]
    lines = [f"{name} is {losses[name]}" for name in ("lost_count", "dropped_count", "missed_count") if losses[name]]
    for mode in ("sampled", "forked"):
        lines += judge_alike(outcome, [truth for truth in outcome.truths if truth["mode"] == mode])
    hold(lines, outcome)


def sampled(case, name="sampled", env=None, options=()):
    outcome = case.run([case.load(name), str(CHILDREN)], ("--malloc", str(PERIOD), *options), env=env)
    judge(outcome)
    return outcome


@test("samples of a hundred children are right on average, and as far off as they say", seconds=120)
def unbiased(case):
    sampled(case)


@each("samples are right on average by {0}", RUNGS, seconds=120)
def by_rung(case, rung):
    outcome = sampled(case, options=need(case, rung))
    if outcome.document["hooks"]["malloc"] != rung:
        raise Failure(f"the hook is {outcome.document['hooks']['malloc']}")


@each("samples are right on average under {0}", list(LIBRARIES), seconds=120)
def preloaded(case, name):
    sampled(case, env={"LD_PRELOAD": library(name)})


@each("samples are right on average in a program that is {0}",
      [("static", "sampled-static"), ("linked to musl", "sampled-musl")], seconds=120)
def linked(case, _, name):
    sampled(case, name)


@test("a period far below every block's size is every call")
def fine(case):
    outcome = case.run([case.load("sampled"), "2"], ("--malloc", "64"))
    child = next(truth for truth in outcome.truths if truth["mode"] == "sampled")
    wrong = []
    for function, (held_bytes, held_count) in wanted(child).items():
        sites = sites_of(outcome.document, child["pid"], function)
        got = (sum(site["outstanding_bytes"] for site in sites), sum(site["outstanding_count"] for site in sites))
        # Two of the twenty smallest may be left out, once in a thousand times: no normal distribution.
        slack = 7 * math.hypot(*(site.get("standard_error_bytes", 0) for site in sites))
        if abs(got[0] - held_bytes) > slack + 0.001 * held_bytes:
            wrong.append(f"{function} holds {got[0]} in {got[1]} blocks, truth {held_bytes} in {held_count}")
    hold(wrong, outcome)


def victim_of(case, options):
    """The postmortem of a steady load that heldby oom watches with @options, and what it knows that it held."""
    if os.path.exists(case.truth):
        os.unlink(case.truth)
    with Group(case, VICTIM_MIB) as group:
        target = case.start(["/bin/sh", "-c", 'echo $$ >"$0/cgroup.procs" && exec "$1"', group.path,
                             case.load("bursts")], stdin=subprocess.PIPE)
        await_answer(case, target)
        watch = Watch(case, "--json", "--top", "0", "--sources", "malloc", "-p", str(target.pid), *options)
        order(target, b"m")
        case.sleep(3)
        order(target, b".")
        case.until("what it holds", lambda: case.truths()[-1]["facts"]["blocks"] > 0)
        order(target, b"g")
        document = watch.wait(group)[0]
    watch.stop()
    return document, case.truths()[-1]


def judge_victim(document, truth):
    """Whether what is told of malloc is the truth but for five standard errors."""
    rows = [row for row in document["holders"] if row["source"] == "malloc" and
            "held_by_burst" in [frame.get("function") for frame in row["frames"]]]
    held = sum(row["outstanding_bytes"] for row in rows)
    error = math.hypot(*(row.get("standard_error_bytes", 0) for row in rows))
    wrong = [] if error and all(row["sampled_count"] > 0 for row in rows) else [f"these are no samples: {rows}"]
    if abs(held - truth["outstanding_bytes"]) > 5 * error:
        wrong.append(f"{held} bytes are held by our estimate +- {error:.0f}, truth {truth['outstanding_bytes']}")
    return wrong


@test("a victim whose malloc is sampled is told to hold what it held, as far off as that says", seconds=40)
def sampled_victim(case):
    document, truth = victim_of(case, ("--malloc", "64K"))
    wrong = judge_victim(document, truth)
    if document.get("sampling") != {"malloc": "65536"}:
        wrong.append(f"its sampling is {document.get('sampling')}")
    hold(wrong)


@test("a victim that is kept to a budget is told to hold what it held, as far off as that says", seconds=120,
      alone="what a probe costs must not depend on others")
def governed_victim(case):
    target = begin(case, b"m")
    budget, tries, ways = exact_cost(case, target) * 0.65, 6, []
    target.kill()
    for _ in range(tries):
        document, truth = victim_of(case, ("--budget", f"{budget:.4f}"))
        ways.append(document.get("sampling", {}).get("malloc"))
        sampled = ways[-1] not in ("exact", "off", None)
        # On a slow machine the period may be longer than what is held, which then may well have no sample.
        if sampled and SAMPLES_MIN * int(ways[-1]) <= truth["outstanding_bytes"]:
            hold(judge_victim(document, truth))
            return
        budget *= 0.8 if ways[-1] == "exact" else 1.25
    raise Failure(f"it was followed in these ways, never with {SAMPLES_MIN} samples expected: {ways}")
