# SPDX-License-Identifier: Apache-2.0
"""tests/load/bursts, which allocates as it is told, and what heldby top tells of it while it keeps to a budget."""

import json
import os
import subprocess

from harness import Failure, read_text


def order(target, word):
    target.stdin.write(word)
    target.stdin.flush()


def begin(case, word, truth=None):
    """bursts, told @word. @truth: where it writes what it holds, if not where all loads do."""
    target = case.start([case.load("bursts")], stdin=subprocess.PIPE, env={"HB_TRUTH": truth} if truth else None)
    order(target, word)
    return target


def await_answer(case, target):
    """It is itself by now, and no shell."""
    count = len(case.truths()) if os.path.exists(case.truth) else 0
    order(target, b"?")
    case.until("what bursts says", lambda: os.path.exists(case.truth) and read_text(case.truth).count("\n") > count)


def mark(case, target):
    """(blocks, ns of CPU) so far, as it says itself"""
    await_answer(case, target)
    facts = case.truths()[-1]["facts"]
    return facts["blocks"], facts["cpu_ns"]


def block_ns(case, target, seconds):
    """ns of CPU that a block takes it during the next @seconds"""
    before = mark(case, target)
    case.sleep(seconds)
    blocks, spent = (now - then for now, then in zip(mark(case, target), before))
    if not blocks:
        raise Failure("bursts made no block")
    return spent / blocks


def report_of(document, pid):
    found = [process for process in document["processes"] if process["pid"] == pid]
    if not found:
        raise Failure(f"process {pid} is not in the document")
    return found[0]


def cost_in(documents, pid, source="malloc"):
    """(seconds since the beginning, percent of a core) of each document."""
    return [(document["since_s"], report_of(document, pid)[source]["cost_percent"]) for document in documents]


def changes_in(documents, pid, source="malloc"):
    """(from, to) of each, oldest first"""
    return [(change["from"], change["to"]) for document in documents
            for change in document.get("sampling_changes", [])
            if change.get("pid") == pid and change.get("source", "malloc") == source]


def so_far(path):
    """The documents of a file that is still being written."""
    text = read_text(path)
    return [json.loads(line) for line in text[:text.rfind("\n") + 1].splitlines()]


def exact_cost(case, target, source="malloc"):
    """Percent of a core that it costs to follow every call."""
    tracer = case.top(target.pid, "--malloc", "auto", "--budget", "100000", interval="0.5")
    case.sleep(3)
    costs = [percent for _, percent in cost_in(case.stop_top(tracer), target.pid, source)]
    return sorted(costs)[len(costs) // 2]
