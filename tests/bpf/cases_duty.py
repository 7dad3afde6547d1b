# SPDX-License-Identifier: Apache-2.0
"""Reading a process holds its address space: a thousandth of the time at the most, and what is shown then is so old."""

import time

from cases_mmap import Obedient, listed
from cases_pages import PAGES, judge, reports_since
from check import hold
from harness import Outcome, read_lines
from registry import test


@test("a process of many pages is read for a thousandth of the time, and what is shown says how old it is")
def duty(case):
    target = Obedient(case, [case.load("pages"), "steps"])
    target.answer()
    tracer = case.top(target.pid, *PAGES, interval="0.1")
    for _ in range(15):
        target.do("x")
    began, before = time.monotonic(), len(read_lines(tracer.out))
    case.sleep(4)
    seconds, reports = time.monotonic() - began, read_lines(tracer.out)[before:]
    target.do("x")
    document, wrong = case.stop_top(tracer)[-1], []
    last, rows = None, [(one["processes"][0], shown(one)) for one in reports]
    fresh = sum("pages_age_s" not in row for row, _ in rows)
    # 1,920 records are read one by one; no kernel does that in less than 150 ns.
    if fresh > 1 + seconds / 2000 / (1920 * 150e-9) or len(rows) < 10 * seconds / 2:
        wrong.append(f"{fresh} of {len(rows)} reports in {seconds:.1f} s have read the process")
    for row, sites in rows:
        if "pages_age_s" in row and last not in (None, sites):
            wrong.append(f"what is {row['pages_age_s']} s old is not what was shown then")
        if not 0 <= row.get("pages_age_s", 0) < 60:
            wrong.append(f"it says that it is {row['pages_age_s']} s old")
        last = sites
    ages = [row.get("pages_age_s", 0) for row, _ in rows]
    if not any(0 < one < other for one, other in zip(ages, ages[1:])):
        wrong.append(f"the ages are {ages[:20]}")
    if "pages_age_s" in document["processes"][0]:
        wrong.append("the last report has not read the process once more")
    print(f"   {fresh} of {len(rows)} reports in {seconds:.1f} s have read it, the oldest is {max(ages):.1f} s old")
    hold(wrong + judge(document, case.truths()[-1]), Outcome(0, document, [], ""))


def shown(document):
    """What a report says of the pages of its only process."""
    return (document["processes"][0]["pages_unattributed_bytes"],
            sorted((site["outstanding_bytes"], site["sampled_count"]) for site in document["sites"]))


@test("a process of many mappings is read for a thousandth of the time, and until then it is told as approximate")
def mappings(case):
    target = Obedient(case, [case.load("pages"), "growing"])
    target.answer()
    target.do("x")
    tracer = case.top(target.pid, "--sources", "mmap", interval="0.1")
    wrong, words = [], []
    for _ in range(8):
        target.do("x")  # its stack grows: no call tells of that
        words.append(verdict(reports_since(case, tracer, 2)[-1], listed(target.pid), wrong))
    if "approximate" not in words:
        wrong.append(f"the reports are {words}: it was read for each of them")
    now = listed(target.pid)
    case.until("an exact report", lambda: verdict(reports_since(case, tracer, 1)[-1], now, wrong) == "exact")
    target.do("x")
    document = case.stop_top(tracer)[-1]
    if verdict(document, listed(target.pid), wrong) != "exact":
        wrong.append("the last report has not read the process once more")
    print(f"   {words.count('exact')} of {len(words)} reports after its stack grew were exact at once")
    hold(wrong, Outcome(0, document, [], ""))


def verdict(document, counted, wrong):
    """Whether a report is exact or says that it is not; any other is @wrong."""
    row = document["processes"][0]
    if row.get("approximate"):
        return "approximate"
    if row["mapped_bytes"] != counted[0]:
        wrong.append(f"{row['mapped_bytes']} bytes are mapped, the kernel lists {counted[0]}")
    return "exact"
