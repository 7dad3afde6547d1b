# SPDX-License-Identifier: Apache-2.0
"""The sample of the whole host stays within its room: as coarse as memory and table ask, in maps of so many bytes."""

import glob
import os

from cases_mmap import Obedient
from cases_pages import HOST, MIB, by_function, judge, start_all
from check import hold
from harness import Outcome, Skip, read_text
from registry import test

SHIFT = 8           # one page in 256: half as many as by default
WIDE = 6            # programs, each of which touches 12,288 pages that are sampled
BUDGET = 16 * MIB   # of maps, unwind rows aside: those have a limit of their own, --unwind-memory
ROW = 80            # bytes of a page in its table, at least: key, value and what the kernel keeps beside them
CHUNK = "65536"     # bytes of a value of the maps of unwind rows


def table_of(document, name):
    return next(table for table in document["tables"] if table["name"] == name)


@test("the whole host is sampled as densely as its memory and the table of pages allow", alone=HOST)
def by_memory(case):
    pages = os.sysconf("SC_PHYS_PAGES")
    tracer = start_all(case, "--max-faults", str(pages >> SHIFT))
    target = Obedient(case, [case.load("pages"), "contiguous"])
    target.answer()
    target.do("x")
    document = case.stop_top(tracer)[-1]
    truth = case.truths()[-1]
    sampled = sum(site["sampled_count"] for site in document["sites"]
                  if site["source"] == "pages" and site["pid"] == truth["pid"])
    if table_of(document, "pages")["rows_count"] > (pages >> SHIFT) * 3 // 4:
        raise Skip("others filled the table: that makes the sample coarser, too")
    expected = (384 - 20) * MIB // (os.sysconf("SC_PAGESIZE") << SHIFT)  # the first 20 MiB have a few
    wrong = judge(document, truth)
    if not expected * 0.95 <= sampled <= expected * 1.05 + 5:
        wrong.append(f"{sampled} pages were sampled, about {expected} were expected: "
                     f"{ {name: held / MIB for name, (held, _) in by_function(document, truth['pid']).items()} }")
    hold(wrong, Outcome(0, document, [], ""))


def map_bytes(pid):
    """What the kernel charges for each map that a process holds, but those of unwind rows."""
    found = {}
    for path in glob.glob(f"/proc/{pid}/fdinfo/*"):
        words = dict(line.split(":\t", 1) for line in read_text(path).splitlines() if ":\t" in line)
        if "map_id" in words and words["value_size"] != CHUNK:
            found[words["map_id"]] = int(words["memlock"])
    return found


@test("the maps of top without a target take less than 16 MiB, unwind rows aside, with a full table of pages",
      seconds=120, alone=HOST)
def full_maps(case):
    if case.place.brief:
        raise Skip("ten million faults are too many for an emulated CPU")
    tracer = start_all(case)
    before = map_bytes(tracer.pid)
    targets = [Obedient(case, [case.load("pages"), "wide"]) for _ in range(WIDE)]
    for target in targets:
        target.answer()
    for target in targets:
        target.do("x")
    after = map_bytes(tracer.pid)
    document = case.stop_top(tracer)[-1]
    if document["hooks"].get("pages") is None:
        raise Skip("page faults cannot be looked at here")
    grown = sum(after.values()) - sum(before.values())
    print(f"   {sum(before.values()) / MIB:.1f} MiB, full {sum(after.values()) / MIB:.1f}")
    wrong = []
    if not before or sum(after.values()) > BUDGET:
        wrong.append(f"the maps take {sum(after.values()) / MIB:.1f} MiB, {sum(before.values()) / MIB:.1f} at first")
    most = table_of(document, "pages")["max_rows_count"]
    if grown and grown < most * ROW:
        wrong.append(f"the maps grew by {grown} bytes: {most} pages were to fill their table")
    hold(wrong, Outcome(0, document, [], ""))
    if not grown:
        raise Skip("this kernel does not charge what a map grows by: all that it told is what they may take")
