# SPDX-License-Identifier: Apache-2.0
"""Unwind rows that do not all fit: who goes without, who makes room, who comes back."""

import os
import re

from check import hold
from harness import Skip
from registry import test
from stacks import START, blocks_of, physical, same_end, same_names, same_stack, sound, stopped, traced

FULL = r"the unwind rows of {} do not fit into --unwind-memory"
NEW = ["operator new(unsigned long)", "new_take", "main", *START]


def system_library(name):
    for folder in (f"/usr/lib/{os.uname().machine}-linux-gnu", "/usr/lib64", "/usr/lib"):
        if os.path.exists(os.path.join(folder, name)):
            return os.path.join(folder, name)
    raise Skip(f"{name} is not installed")


def notes(outcome):
    return outcome.document["losses"].get("detail", {})


@test("a stack ends in the first file whose unwind rows do not fit, and the report counts such files")
def refused(case):
    """One chunk of rows: the program's and the dynamic linker's fit, libc's do not."""
    outcome, oracle = traced(case, [case.load("unwind_plain"), "tail"], ["--unwind-memory", "64K"])
    wrong = sound(outcome)
    if os.uname().machine != "x86_64" and not notes(outcome).get("unwind_rows_refused"):
        hold(wrong, outcome)
        raise Skip("the rows of this libc fit as well")
    for size, names in {7003: ["tail_second", "main"], 7004: ["under_tail", "main"]}.items():
        ends = FULL.format(re.escape("libc.so.6"))
        wrong += same_stack(outcome.document, oracle, size, names + [START[0]], ends, keep=3)
    if not notes(outcome).get("unwind_rows_refused"):
        wrong.append(f"the report's notes are {notes(outcome)}, expected unwind_rows_refused")
    hold(wrong, outcome)


@test("unwind rows that were unused for a while go for others, and come back when they are needed", seconds=90)
def dropped(case):
    libraries = [system_library("libstdc++.so.6"), system_library("libdw.so.1")]
    outcome, oracle = traced(case, [case.load("unwind_room"), *libraries], ["--unwind-memory", "256K"])
    wrong = sound(outcome, late=True) + same_stack(outcome.document, oracle, 7601, ["plain_take", "main", *START])
    if os.uname().machine != "x86_64" and not notes(outcome).get("unwind_rows_dropped"):
        hold(wrong, outcome)
        raise Skip("the rows of these libraries all fit")
    # 7602 and 7603 came while the rows were gone: one site, cut at the same place.
    gone = FULL.format(r"libstdc\+\+\.so\S*")
    cut = [(site["outstanding_bytes"], site["outstanding_count"]) for site in outcome.document["sites"]
           if re.search(gone, stopped(site) or "") and len(physical(site)) == 1]
    if cut != [(7602 + 7603, 2)]:
        wrong.append(f"{cut} were cut in libstdc++, expected 7602 and 7603")
    back = blocks_of(outcome.document, 7604)
    if len(back) != 1:
        wrong.append(f"{len(back)} sites of the block of 7604, expected 1")
    for site in back:
        wrong += same_names("block of 7604", physical(site), NEW) + same_end("block of 7604", site, None)
    if not notes(outcome).get("unwind_rows_dropped") or notes(outcome).get("unwind_rows_refused"):
        wrong.append(f"the report's notes are {notes(outcome)}, expected files that were dropped and none refused")
    hold(wrong, outcome)
