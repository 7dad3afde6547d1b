# SPDX-License-Identifier: Apache-2.0
"""The budget of malloc, from outside: what following it is told to cost and what it costs, and a storm of calls."""

import contextlib
import json
import os
import statistics
import subprocess
import time

import ways
from own_cost import as_table, row
from stats import Missing
from tools import HELDBY, READY_S, Child, own, read, scratch

WINDOW_S = "0.3"     # between two reports
WINDOWS = 6
SETTLING = 8         # reports, for changes and for the kernel's statistics
BUDGET_PERCENT = "5"
NO_BUDGET = "100000"
SHARES = (0.7, 0.6, 0.8, 0.5)  # of what every call costs: one of them is kept by samples throughout


class Load:
    """tests/load/bursts, which says how many blocks it has made, and what CPU time they took."""

    def __init__(self, folder, order):
        self.truth = os.path.join(folder, "truth")
        self.child = Child([own("bursts")], stop=None, env=dict(os.environ, HB_TRUTH=self.truth))
        self.pid = self.child.pid
        self.order(order)

    def order(self, word):
        self.child.process.stdin.write(word)
        self.child.process.stdin.flush()

    def mark(self):
        """(blocks, ns of CPU, ns of the clock) so far"""
        known, deadline = read(self.truth).count("\n"), time.monotonic() + READY_S
        self.order(b"?")
        while read(self.truth).count("\n") == known:
            if time.monotonic() > deadline:
                raise Missing("bursts did not answer")
            time.sleep(0.005)
        facts = json.loads(read(self.truth).splitlines()[-1])["facts"]
        return facts["blocks"], facts["cpu_ns"], facts["time_ns"]

    def block_ns(self, wait=lambda: time.sleep(WINDOWS * float(WINDOW_S))):
        """(ns of CPU for a block, blocks a second) while @wait() runs"""
        before = self.mark()
        wait()
        blocks, spent, passed = (now - then for now, then in zip(self.mark(), before))
        if not blocks:
            raise Missing("it made no block")
        return spent / blocks, blocks / passed * 1e9


@contextlib.contextmanager
def load(order):
    """A Load that does what @order says."""
    with scratch() as folder:
        one = Load(folder, order)
        with one.child:
            yield one


def govern(target, rung, budget):
    """heldby top that keeps @target to a budget of so many percent of a core."""
    return ways.until(Child([HELDBY, "top", "-p", str(target.pid), "--sources", "malloc", "--json", "--rung", rung,
                             "--malloc", "auto", "--budget", budget, WINDOW_S], stderr=subprocess.DEVNULL), "schema")


def following(tracer):
    """(how malloc is followed, the percent of a core that this is told to cost), by the next report"""
    malloc = json.loads(tracer.says('"schema"'))["processes"][0]["malloc"]
    return malloc["sampling"], malloc.get("cost_percent", 0)


def told_and_measured(rung, budget):
    """(how malloc was followed throughout, or None; percent of a core as told, as measured)"""
    with load(b"m") as target:
        before, _ = target.block_ns()
        with govern(target, rung, budget) as tracer:
            for _ in range(SETTLING):
                following(tracer)
            rows = []
            block, rate = target.block_ns(lambda: rows.extend(following(tracer) for _ in range(WINDOWS)))
        after, _ = target.block_ns()
    followed = {way for way, _ in rows}
    told = statistics.median(cost for _, cost in rows)
    return followed.pop() if len(followed) == 1 else None, told, (block - (before + after) / 2) * rate / 1e7


def ratios(way, found):
    return row(way, [told / measured for told, measured in found], told_percent=found[-1][0],
               measured_percent=found[-1][1])


def exact_of(rung, rounds):
    found = [told_and_measured(rung, NO_BUDGET)[1:] for _ in range(rounds)]
    return ratios(f"{rung}, every call", found), found[-1][0]


def sampled_of(rung, exact_percent):
    """At a budget that samples keep to throughout."""
    tries = []
    for share in SHARES:
        way, told, measured = told_and_measured(rung, f"{share * exact_percent:.3f}")
        if way not in (None, "exact", "off"):
            return ratios(f"{rung}, a sample in {int(way):,} bytes", [(told, measured)])
        tries.append(str(way))
    raise Missing(f"it was never sampled throughout, but {', '.join(tries)}")


def told(given):
    """One row for each way to follow."""
    makers = {}
    for rung in ways.RUNGS:
        known = {}

        def every(way, rung=rung, known=known):
            made, known["percent"] = exact_of(rung, given.rounds)
            return made

        def some(way, rung=rung, known=known):
            if "percent" not in known:
                raise Missing("what every call costs is not known")
            return sampled_of(rung, known["percent"])
        makers |= {f"{rung}, every call": every, f"{rung}, samples": some}
    return as_table("budget.told", "50,000 blocks a second: what is told of their cost, by what they cost",
                    "told / measured", makers)


def storm_of(way, rung):
    """A storm under top, two seconds after it began, beside the same without."""
    with load(b"x") as target:
        bare, _ = target.block_ns()
        target.order(b".")
        with govern(target, rung, BUDGET_PERCENT) as tracer:
            following(tracer)
            target.order(b"x")
            time.sleep(2)
            block, _ = target.block_ns()
    return row(way, [block / bare], block_ns=block, bare_ns=bare)


def budget(given):
    """The tables of this part."""
    yield told(given)
    yield as_table("budget.storm", f"a storm two seconds after it began, budget {BUDGET_PERCENT} %",
                   "times what a block takes untraced",
                   {rung: lambda way, rung=rung: storm_of(way, rung) for rung in ways.RUNGS})
