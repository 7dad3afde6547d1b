# SPDX-License-Identifier: Apache-2.0
"""Threads, cancellation, and signals inside malloc."""

from check import consistent, detail, exact, facts, hold, sites_of
from harness import Failure
from registry import each, test


@test("threads that survive are exact while others are cancelled inside malloc")
def cancelled(case):
    outcome = case.run([case.load("cancel")])
    exact(outcome)
    noted, died = facts(outcome, "noted")[0], facts(outcome, "cancelled")[0]
    sums = [sum(site[name] for site in sites_of(outcome.document, function="doomed_take"))
            for name in ("allocated_count", "allocated_bytes", "outstanding_count")]
    wrong = []
    if not died:
        wrong.append("no thread was cancelled")
    if not noted <= sums[0] <= noted + died:
        wrong.append(f"doomed_take allocated {sums[0]} times, truth {noted} to {noted + died}")
    if sums[1] != sums[0] * facts(outcome, "block_bytes")[0]:
        wrong.append(f"doomed_take allocated {sums[1]} bytes in {sums[0]} calls")
    if sums[2] > died:
        wrong.append(f"doomed_take holds {sums[2]} blocks, at most {died} can be left")
    hold(wrong, outcome)


THREADS = [("blocks that threads hand to others", "handoff"),
           ("blocks of threads that end", "exit"),
           ("two threads that allocate as fast as they can", "race")]


@each("{0} are exact", THREADS)
def threads(case, _, mode):
    exact(case.run([case.load("threads"), mode]))


@each("{0} are exact with an allocator of their own", THREADS)
def threads_own(case, _, mode):
    exact(case.run([case.load("threads-own"), mode]))


SIGNALS = [
    ("a handler that allocates between the program's calls", "signals", "between"),
    ("a handler that allocates inside malloc", "signals-own", "inside"),
    ("a handler that allocates inside malloc on another stack", "signals-own", "altstack"),
    ("a handler that interrupts a handler inside malloc", "signals-own", "nested"),
    ("a program whose handler jumps out of malloc", "signals-own", "jump"),
    ("a program whose handler jumps out of malloc from another stack", "signals-own",
     "altjump"),
    ("a handler beside the allocator in one file", "signals-linked", "inside"),
    ("a handler beside the allocator in one file on another stack", "signals-linked", "altstack"),
    ("a handler that interrupts a handler beside the allocator in one file", "signals-linked",
     "nested"),
    ("a program whose handler jumps out of the malloc beside it", "signals-linked", "jump"),
    ("a program whose handler jumps out of the malloc beside it from another stack",
     "signals-linked", "altjump"),
]


@each("{0} is exact", SIGNALS, seconds=90)
def signals(case, _, name, mode):
    outcome = case.run([case.load(name), mode])
    exact(outcome)
    wanted = {"between": "handled", "jump": "jumped", "altjump": "jumped"}
    name = wanted.get(mode, "interrupted")
    print(f"   {name} {facts(outcome, name)[0]} times")
    if not facts(outcome, name)[0]:
        raise Failure(f"{name} 0 times: nothing was tested")
    left = detail(outcome.document, "abandoned_calls")
    if left != facts(outcome, "jumped")[0]:
        hold([f"abandoned_calls is {left}, truth {facts(outcome, 'jumped')[0]}"], outcome)


def deep(case, handlers, allow=()):
    """@handlers inside each other, a hundred times; returns counted and true calls."""
    outcome = case.run([case.load("signals-own"), "deep", str(handlers)])
    hold(consistent(outcome.document, allow), outcome)
    counted = sum(site["allocated_count"] for name in ("main_take", "handler_take")
                  for site in sites_of(outcome.document, function=name))
    return outcome, counted, outcome.truths[0]["allocated_count"]


@test("three handlers inside each other and malloc are exact")
def three_deep(case):
    outcome, _, true = deep(case, 3)
    if true != 400:
        raise Failure(f"{true} calls were made, expected 400")
    exact(outcome)


@test("handlers deeper than a thread's open calls are followed are lost by count")
def seven_deep(case):
    outcome, counted, true = deep(case, 6, ("lost_count",))
    lost = outcome.document["losses"]["lost_count"]
    if true != 700 or counted + lost != true or detail(outcome.document, "calls_too_deep") != lost:
        hold([f"counted {counted} and lost {lost}, truth {true}"], outcome)
