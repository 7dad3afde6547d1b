# SPDX-License-Identifier: Apache-2.0
"""Many of everything, and tables that are full."""

import os

from check import consistent, detail, differences, exact, hold, sites_of, sums_of
from harness import Skip
from registry import each, test

GIB = 1 << 30


def available_bytes():
    with open("/proc/meminfo", encoding="ascii") as file:
        for line in file:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return 0


@test("ten thousand sites are told apart", seconds=240)
def many_sites(case):
    outcome = case.run([case.load("sites"), "10000"])
    exact(outcome, whole=True)
    sites = sites_of(outcome.document, function="site_take")
    held = sorted(site["outstanding_bytes"] for site in sites)
    if held != list(range(1, 10001)):
        hold([f"{len(sites)} sites of 1 to 10000 bytes expected, first {held[:10]}"], outcome)


@each("{0} million live blocks are counted{1}",
      [("ten", "", "10000000", "keep"), ("a", " and given back", "1000000", "free")], seconds=600)
def many_blocks(case, _, __, blocks, mode):
    if os.environ.get("HB_SLOW") != "1" and available_bytes() < 8 * GIB:
        raise Skip("less than 8 GiB of memory available and HB_SLOW is not 1")
    outcome = case.run([case.load("many"), blocks, mode], ["--max-blocks", "12000000"])
    # Where others begin meanwhile, the ring of their mappings is full before all blocks have been walked.
    others = detail(outcome.document, "mapping_events") == outcome.document["losses"]["dropped_count"]
    exact(outcome, whole=True, allow=("dropped_count",) if others else ())


@each("a full table of blocks loses by count and the rest is exact{0}",
      [("", "keep"), (" after frees", "free")])
def full_blocks(case, _, mode):
    outcome = case.run([case.load("many"), "100000", mode], ["--max-blocks", "1000"])
    wrong = consistent(outcome.document, ("lost_count",))
    truth = outcome.truths[0]
    got = sums_of(sites_of(outcome.document, truth["pid"]))
    lost = outcome.document["losses"]["lost_count"]
    if not lost:
        wrong.append("nothing was lost in a table of 1000 blocks")
    if got["allocated_count"] + lost != truth["allocated_count"]:
        wrong.append(f"counted {got['allocated_count']} and lost {lost}, "
                     f"truth {truth['allocated_count']}")
    if got["allocated_bytes"] != 16 * got["allocated_count"]:
        wrong.append(f"{got['allocated_bytes']} bytes in {got['allocated_count']} blocks of 16")
    bytes_lost = detail(outcome.document, "blocks_full_bytes")
    if bytes_lost != 16 * lost:
        wrong.append(f"lost {bytes_lost} bytes in {lost} blocks of 16")
    if mode == "free" and got["outstanding_count"]:
        wrong.append(f"{got['outstanding_count']} blocks left, expected none")
    hold(wrong, outcome)


@test("a full table of sites loses by count and the rest is exact")
def full_sites(case):
    outcome = case.run([case.load("sites"), "10000"], ["--max-sites", "10"])
    wrong = consistent(outcome.document, ("lost_count",))
    got = sums_of(sites_of(outcome.document, outcome.truths[0]["pid"]))
    lost = outcome.document["losses"]["lost_count"]
    if not lost:
        wrong.append("nothing was lost in a table of 10 sites")
    if got["allocated_count"] + lost != 10000:
        wrong.append(f"counted {got['allocated_count']} and lost {lost}, truth 10000")
    hold(wrong, outcome)


@test("a full table of stacks says so and the sums stay exact")
def full_stacks(case):
    outcome = case.run([case.load("sites"), "10000"], ["--max-stacks", "10"])
    wrong = consistent(outcome.document, ("lost_count",))
    truth = outcome.truths[0]
    got = sums_of(sites_of(outcome.document, truth["pid"]))
    wrong += differences("all sites", got, truth)
    without = sum(site["allocated_count"] for site in outcome.document["sites"]
                  if not site["frames"])
    if detail(outcome.document, "stacks_full") != without or without < 9000:
        wrong.append(f"{without} calls have no stack, stacks_full is "
                     f"{detail(outcome.document, 'stacks_full')}, expected the same, about 9990")
    hold(wrong, outcome)


@test("blocks younger than --older are left out of ended processes too")
def older(case):
    """More short processes than are kept in the kernel's tables until the end."""
    outcome = case.run(["/bin/bash", "-c", "for i in $(seq 150); do ls / >/dev/null; done; sleep 1.2"],
                       ["--older", "1h"])
    document = outcome.document
    held = [site for site in document["sites"] if site["outstanding_bytes"] or site["outstanding_count"]]
    taken = sum(site["allocated_count"] for site in document["sites"])
    if held or not taken:
        hold([f"{len(held)} sites hold blocks older than an hour, {taken} calls were counted"], outcome)


@test("ended processes beyond those that are kept are forgotten by count", seconds=180)
def forgotten(case):
    children = 8700  # TARGET_ENDED_MAX in user/probe/target.h is 8192
    loop = (f"import os\nfor _ in range({children}):\n"
            "    os.waitpid(os.posix_spawn('/bin/true', ['true'], {}), 0)")
    document = case.run(["/usr/bin/python3", "-S", "-c", loop]).document
    shown, gone = len(document["processes"]), detail(document, "forgotten_processes")
    wrong = consistent(document)
    # A program that the kernel skipped, and is excused for, hides one process at most.
    if not gone or not 0 <= children + 1 - shown - gone <= document["losses"]["missed_count"]:
        wrong.append(f"{shown} processes are shown and {gone} forgotten, {children + 1} there were")
    hold(wrong)
