# SPDX-License-Identifier: Apache-2.0
"""Mappings: each call to the byte, and all of them as the kernel's own list has them."""

import json
import os
import platform
import random
import re
import signal
import subprocess

from check import SUMS, add, consistent, detail, differences, excused, hold, zero
from harness import Failure, Outcome, Skip, read_lines, read_text
from registry import each, test

ONLY = ("--sources", "mmap")
BOTH = ("--sources", "malloc,mmap")
READ = "who reads the ring late drops events"
OWN = ("mappings", "storm", "splits", "kernel_made")  # modules whose truth is known
ADVISED, SLACK = 32 << 20, 2 << 20  # bytes that the load gives back; what counters of pages may be off
LINE = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) (\S+) .*?(\[\w+\])?$")


def listed(pid):
    """(mapped, committed) bytes by the kernel's own list."""
    mapped = committed = 0
    for line in read_text(f"/proc/{pid}/maps").splitlines():
        start, end, prot, name = LINE.match(line).groups()
        if name == "[vsyscall]":
            continue  # the kernel's, in every process
        mapped += int(end, 16) - int(start, 16)
        committed += (int(end, 16) - int(start, 16)) * (prot[:2] != "--")
    return mapped, committed


def maker(site):
    """The function of the load program that called, behind the library's own."""
    for frame in site["frames"]:
        if os.path.basename(frame.get("module", "")) in OWN:
            return frame.get("function", "?")
    return None


def sites_of(document, row):
    return [site for site in document["sites"] if site["source"] == "mmap" and site["pid"] == row["pid"] and
            site.get("image", 0) == row.get("image", 0)]


def whole(document, row):
    """What holds for every process whose mappings are watched."""
    name, wrong = f"{row['comm']} {row['pid']}", []
    outside = row["mapped_before_bytes"] + row["mapped_by_allocators_bytes"]
    held = sum(site["outstanding_bytes"] for site in sites_of(document, row))
    if row["mapped_bytes"] != outside + held:
        wrong.append(f"{name}: {row['mapped_bytes']} bytes are mapped, before {row['mapped_before_bytes']} + by "
                     f"allocators {row['mapped_by_allocators_bytes']} + by sites {held} are {outside + held}")
    if row["committed_bytes"] > row["mapped_bytes"]:
        wrong.append(f"{name}: {row['committed_bytes']} committed of {row['mapped_bytes']} mapped bytes")
    return wrong


def sums_by_function(document, row):
    by_function = {}
    for site in sites_of(document, row):
        add(by_function.setdefault(maker(site), zero()), site)
    return by_function


def callers_unknown(document, row):
    """The sums of calls whose walk ended in the library that made the system call, but for the loader's own."""
    sums = zero()
    for site in sites_of(document, row):
        if maker(site) is None and not any("/ld-" in frame.get("module", "") for frame in site["frames"]):
            add(sums, site)
    return sums


def told_as_cut_off(document, row, truth, got):
    """
    Whether what the functions of @truth lack is, to the byte, what was mapped by walks that are told to have ended
    because the mappings were being changed: before 6.4 the kernel's list cannot be read at such a moment.
    """
    if tuple(map(int, platform.release().split(".")[:2])) >= (6, 4):
        return False
    unknown, lacking = callers_unknown(document, row), zero()
    for known in truth["sites"]:
        sums = got.get(known["function"], zero())
        if any(sums[name] > known[name] for name in SUMS):
            return False
        add(lacking, {name: known[name] - sums[name] for name in SUMS})
    return lacking == unknown and unknown["allocated_count"] <= document["unwinding"]["ended"].get("busy", 0)


def same_calls(document, row, truth):
    """Every function's sums, and no other function of the program has any."""
    got, wrong = sums_by_function(document, row), []
    for known in truth["sites"]:
        wrong += differences(f"{known['function']} of {truth['mode']}", got.get(known["function"], zero()), known)
    if wrong and told_as_cut_off(document, row, truth, got):
        print("   a walk ended because the mappings were being changed, and is told to have: its caller lacks it")
        wrong = []
    elif wrong:
        wrong.append(f"walks that ended early: {document['unwinding']['ended']}")
    known = {site["function"] for site in truth["sites"]} | {None, "main", "begin", "do_thread", "do_crowd"}
    return wrong + [f"{function} of {truth['mode']} has {got[function]['allocated_bytes']} bytes, its truth none"
                    for function in got if function not in known]


def same_bytes(row, mapped, committed):
    return [f"{row['comm']}: {name} is {row[name]}, the kernel's {expected}: {row[name] - expected:+}"
            for name, expected in (("mapped_bytes", mapped), ("committed_bytes", committed)) if row[name] != expected]


def images(document, truths):
    """Each truth with its row; those of one pid in the order of their images."""
    rows = {}
    for row in sorted(document["processes"], key=lambda row: row.get("image", 0)):
        rows.setdefault(row["pid"], []).append(row)
    for truth in truths:
        if not rows.get(truth["pid"]):
            raise Failure(f"no row for the {truth['mode']} of {truth['pid']}")
        yield truth, rows[truth["pid"]].pop(0)


def more_reports(tracer, count):
    """Whether @tracer has written so many since now."""
    wanted = read_text(tracer.out).count("\n") + count
    return lambda: read_text(tracer.out).count("\n") >= wanted


def last_report(tracer):
    """The last that is written whole."""
    return json.loads(read_text(tracer.out).rpartition("\n")[0].rpartition("\n")[2])


def unread_probes(row, facts):
    """The kernel maps room for uprobes by itself; of a process that has ended that may not have been read."""
    late = facts["mapped_bytes"] - row["mapped_bytes"]
    return late if row.get("exited") and late == facts["probes_bytes"] else 0


def adds_up(document, allow=()):
    """What holds even where the kernel skipped programs."""
    return consistent(document, allow) + [line for row in document["processes"] for line in whole(document, row)]


def verdict(document, truths, calls=True, allow=()):
    """@calls: everything that the truth knows happened after heldby began to watch."""
    if excused(document):
        return adds_up(document, allow)
    wrong = consistent(document, allow) + ([] if truths else ["the program wrote no truth"])
    for row in document["processes"]:
        if row.get("approximate"):
            wrong.append(f"{row['comm']} {row['pid']} is approximate")
        wrong += whole(document, row)
    for truth, row in images(document, truths):
        mapped = truth["facts"]["mapped_bytes"] - unread_probes(row, truth["facts"])
        wrong += same_bytes(row, mapped, truth["facts"]["committed_bytes"])
        if calls:
            wrong += same_calls(document, row, truth)
    return wrong


class Obedient:
    """A program that does as it is told: a byte, and a dot when it is done."""

    def __init__(self, case, command):
        self.process = case.start(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.pid = self.process.pid

    def tell(self, letter):
        self.process.stdin.write(letter.encode())
        self.process.stdin.flush()

    def answer(self):
        if self.process.stdout.read(1) != b".":
            raise Failure("the program failed", *read_text(self.process.err).splitlines())

    def do(self, letters):
        for letter in letters:
            self.tell(letter)
            self.answer()


# --- each call alone ---

CALLS = [
    ("mmap of memory, of a file and of a reservation", "mmap"),
    ("munmap of the front, the back, the middle and over several mappings", "munmap"),
    ("MAP_FIXED over parts of other mappings", "fixed"),
    ("calls that fail and take nothing", "failing"),
    ("mremap that grows, shrinks, moves and leaves what it copies", "remap"),
    ("the break, up and down", "brk"),
    ("shared segments that come and go", "shm"),
    ("mprotect", "protect"),
    ("a fork whose child unmaps what it inherited", "fork"),
    ("a vfork whose child maps for its parent", "vfork"),
    ("an exec", "exec"),
    ("mappings that threads make", "thread"),
]
ALONE = [row for row in CALLS if row[1] not in ("fork", "vfork", "exec")]


@each("mapped bytes are exact: {0}", CALLS)
def from_the_start(case, _, mode):
    outcome = case.run([case.load("mappings"), mode, "slow"], ONLY)
    hold(verdict(outcome.document, outcome.truths), outcome)


@each("mapped bytes are exact in a process that was there before: {0}",
      [*ALONE, ("calls that fail and do not tell what they changed", "unclear")])
def attached(case, _, mode):
    target = Obedient(case, [case.load("mappings"), mode, "wait"])
    target.answer()
    tracer = case.top(target.pid, *ONLY, interval="60")
    target.do("x")
    wrong = same_as_listed(case, tracer, target)
    document = case.stop_top(tracer)[-1]
    hold(wrong + verdict(document, case.truths(), allow=("missed_count",)), Outcome(0, document, [], ""))


@test("what the kernel maps for calls that are not there for mappings is found by its own list")
def kernel_made(case):
    """
    Of some no call that is watched tells. The next report has them, for the length of the list has changed; where
    that list may not be read so soon again, it says that it is not exact.
    """
    target, wrong = Obedient(case, [case.load("kernel_made")]), []
    tracer = case.top(target.pid, *ONLY, interval="0.2")
    for letter, what in (("i", "io_setup"), ("v", "remap_file_pages"), ("d", "io_destroy"), ("g", "PR_SET_MM"),
                         ("i", "io_setup again")):
        target.tell(letter)
        if target.process.stdout.read(1) == b"-":
            print(f"   {what}: the kernel does not let us")
            continue
        case.until("two more reports", more_reports(tracer, 2))  # the first may have begun before
        case.until("a report that is exact", lambda: not last_report(tracer)["processes"][0].get("approximate"))
        row, expected = last_report(tracer)["processes"][0], listed(target.pid)
        wrong += [f"after {what}: {line}" for line in same_bytes(row, *expected)]
    target.do("t")
    document, truth = case.stop_top(tracer)[-1], case.truths()[-1]
    got = sums_by_function(document, document["processes"][0])
    wrong += differences("view", got.get("view", zero()), truth["sites"][0])
    hold(wrong + verdict(document, [truth], calls=False, allow=("missed_count",)), Outcome(0, document, [], ""))


def same_as_listed(case, tracer, target):
    """The program's own reading, beside ours."""
    truth = case.truths()[-1]
    mapped, committed = listed(target.pid)
    if (mapped, committed) == (truth["facts"]["mapped_bytes"], truth["facts"]["committed_bytes"]):
        return []
    return [f"the kernel lists {mapped} and {committed} bytes to us, to the program {truth['facts']}"]


@test("without --sources mappings are watched beside malloc")
def by_default(case):
    report = case.path("report.json")
    process = case.start([case.place.heldby, "run", "--top", "0", "-o", f"json:{report}", "--",
                          case.load("mappings"), "malloc", "slow"])
    status, documents = case.wait(process), read_lines(report)
    if status or len(documents) != 1:
        raise Failure(f"status {status} and {len(documents)} documents, expected 0 and 1")
    if "mmap" not in documents[0]["hooks"]:
        raise Skip("mappings cannot be watched here")
    sources = {site["source"] for site in documents[0]["sites"]}
    wrong = verdict(documents[0], case.truths())
    if not {"malloc", "mmap"} <= sources or set(documents[0]["hooks"]) != {"malloc", "direct", "mmap"}:
        wrong.append(f"sources are {sorted(sources)}, hooks {sorted(documents[0]['hooks'])}")
    hold(wrong, Outcome(0, documents[0], [], read_text(process.err)))


def resident(pid):
    """The Rss of all mappings, as smaps has it."""
    return sum(int(line.split()[1]) * 1024 for line in read_text(f"/proc/{pid}/smaps").splitlines()
               if line.startswith("Rss:"))


@test("what madvise gives back leaves memory and stays mapped and committed")
def advised(case):
    target = Obedient(case, [case.load("mappings"), "advise", "wait"])
    target.answer()
    tracer, rows, wrong = case.top(target.pid, *ONLY, interval="0.3"), [], []
    for step in ("all of it touched", "half of it given back", "the rest free"):
        target.do("x")
        case.until("two more reports", more_reports(tracer, 2))
        row, kernel = read_lines(tracer.out)[-1]["processes"][0], resident(target.pid)
        wrong += same_bytes(row, *listed(target.pid))
        if abs(row["rss_bytes"] - kernel) > SLACK:
            wrong.append(f"{step}: {row['rss_bytes']} bytes are resident, smaps says {kernel}")
        rows.append(row)
        print(f"   {step}: {row['rss_bytes']:,} of {row['mapped_bytes']:,} bytes are resident, smaps says {kernel:,}")
    for name in ("mapped_bytes", "committed_bytes"):
        if len({row[name] for row in rows}) != 1:
            wrong.append(f"{name} was {[row[name] for row in rows]}, expected no change")
    if rows[0]["rss_bytes"] - rows[1]["rss_bytes"] < ADVISED - SLACK:
        wrong.append(f"resident were {rows[0]['rss_bytes']} and then {rows[1]['rss_bytes']} bytes, expected "
                     f"{ADVISED} less")
    document = case.stop_top(tracer)[-1]
    hold(wrong + verdict(document, case.truths(), allow=("missed_count",)), Outcome(0, document, [], ""))


@test("what a failed call may have changed is told as approximate where it cannot be read any more")
def unclear_at_the_end(case):
    outcome = case.run([case.load("mappings"), "unclear", "slow"], ONLY)
    wrong = adds_up(outcome.document)
    if not outcome.document["processes"][0].get("approximate"):
        wrong.append("the process is not marked approximate")
    hold(wrong, outcome)


@test("a process too short to be looked at is told as approximate, or is exact as some are")
def too_short(case):
    exact = 0
    for _ in range(10):
        outcome = case.run([case.load("mappings"), "fixed"], ONLY)
        row, truth = outcome.document["processes"][0], case.truths()[-1]
        wrong = whole(outcome.document, row) + same_calls(outcome.document, row, truth)
        if not row.get("approximate") and row["mapped_bytes"] != truth["facts"]["mapped_bytes"]:
            wrong.append(f"{row['mapped_bytes']} bytes are said to be mapped, truth {truth['facts']['mapped_bytes']}")
        exact += not row.get("approximate")
        hold(wrong, outcome)
    print(f"   {exact} of 10 were exact")
    # In an emulated machine there may be none that heldby has looked at in time.
    hold([] if exact or case.place.brief else ["none of ten was exact"])


@test("the innermost frame is the function that makes the system call")
def innermost(case):
    outcome = case.run([case.load("mappings"), "mmap"], ONLY)
    first = {site["frames"][0].get("function") for site in outcome.document["sites"]
             if maker(site) == "raw_map"}
    hold([] if first == {"raw_map"} else [f"the innermost frames are {first}, expected raw_map"], outcome)


@each("what malloc maps is the allocator's with --sources {0}", [("malloc,mmap", BOTH), ("mmap", ONLY)])
def inside_malloc(case, _, sources):
    outcome = case.run([case.load("mappings"), "malloc", "slow"], sources)
    wrong = verdict(outcome.document, outcome.truths)
    row, truth = outcome.document["processes"][0], outcome.truths[0]
    expected = truth["facts"]["by_allocators_bytes"]
    if row["mapped_by_allocators_bytes"] not in (expected, expected - truth["facts"]["probes_bytes"]) or \
            expected < 8 << 20:
        wrong.append(f"allocators mapped {row['mapped_by_allocators_bytes']}, truth {expected}")
    wrong += [f"a site of mmap below {maker(site)}" for site in sites_of(outcome.document, row)
              if maker(site) not in (None, "main")]
    asked = sum(site["outstanding_bytes"] for site in outcome.document["sites"]
                if site["source"] == "malloc" and maker(site) == "do_malloc")
    blocks = 5 << 20, 300000, 3000 * 100, *((1 << 20) + number * 10000 for number in range(5, 10))
    if sources == BOTH and asked != sum(blocks):
        wrong.append(f"malloc holds {asked} bytes, expected {sum(blocks)}")
    hold(wrong, outcome)


KIB = 1024
# By tests/load/narrow.c: what each function holds in the end.
NARROW = {"map_through": (2048 - 64) * KIB, "map_direct": 1024 * KIB, "grow": 192 * KIB, "heap": 33 * 4096,
          "touch": 16 << 20}


def narrow_sites(document):
    """Bytes by function, and what is wrong with their stacks."""
    sites = [site for site in document["sites"] if site["source"] == "mmap"]
    wrong = []
    for site in sites:
        first, last = site["frames"][0], site["frames"][-1]
        if os.path.basename(first.get("module", "")) != "narrow":
            wrong.append(f"the innermost frame is {first}, none of the program's")
        if "32-bit" not in last.get("stopped", ""):
            wrong.append(f"the stack ends at {last}, and does not say that it is a 32-bit program's")
    return {site["frames"][0].get("function"): site["outstanding_bytes"] for site in sites}, wrong


# Bytes more after each of its steps but the first: an mmap of old, three times a segment, two of them gone.
NARROW_STEPS = [128 * KIB, 3 * 256 * KIB, -2 * 256 * KIB]


@test("the mappings of a 32-bit program are exact, and their sites are its own functions")
def narrow(case):
    target, wrong, last = Obedient(case, [case.load("narrow")]), [], None
    target.answer()
    tracer = case.top(target.pid, "--sources", "mmap,pages", interval="0.3")
    for step in (None, *NARROW_STEPS):
        target.do("x")
        kernels = listed(target.pid)
        if last and kernels[0] - last != step:
            wrong.append(f"the program mapped {kernels[0] - last:+} bytes, expected {step:+}")
        last = kernels[0]
        case.until("two more reports", more_reports(tracer, 2))
        # What is read anew is read in slices, and approximate until then.
        case.until("a report that is exact", lambda: not last_report(tracer)["processes"][0].get("approximate"))
        document = last_report(tracer)
        row = document["processes"][0]
        got, bad = narrow_sites(document)
        wrong += same_bytes(row, *kernels) + whole(document, row) + bad
        if got != NARROW:
            wrong.append(f"the sites hold {got} bytes, expected {NARROW}")
    document = case.stop_top(tracer)[-1]
    held = sum(site["outstanding_bytes"] for site in document["sites"] if site["source"] == "pages")
    if abs(held - (16 << 20)) > 1 << 20:
        wrong.append(f"{held} bytes are resident by site, about {16 << 20} were touched")
    hold(wrong, Outcome(0, document, [], ""))


@test("of a 32-bit program it is told that malloc is not seen there, and why")
def narrow_malloc(case):
    target, why = Obedient(case, [case.load("narrow")]), "it is a 32-bit program, whose functions are not probed"
    target.answer()
    document = case.stop_top(case.top(target.pid, "--sources", "malloc,mmap"))[-1]
    told = document["processes"][0].get("cannot_see")
    doctor = case.start([case.place.heldby, "doctor", "-p", str(target.pid)])
    case.wait(doctor)
    hold(([] if told == why else [f"top says {told!r}"]) +
         ([] if f"cannot see malloc here: {why}" in read_text(doctor.out) else ["doctor does not say so"]),
         Outcome(0, document, [], ""))


@test("a 32-bit command that another program becomes adds up at its end")
def narrow_run(case):
    report = case.path("report.json")
    process = case.start([case.place.heldby, "run", "--top", "0", "-o", f"json:{report}", *ONLY, "--", "/bin/sh", "-c",
                          f"exec {case.load('narrow')} < /dev/zero > /dev/null"])
    status, documents = case.wait(process), read_lines(report)
    if status or len(documents) != 1:
        raise Failure(f"status {status} and {len(documents)} documents", *read_text(process.err).splitlines()[-8:])
    row = next(row for row in documents[0]["processes"] if row["comm"] == "narrow")
    # It may have ended before its mappings were read: then they are not known.
    hold(whole(documents[0], row) if "mapped_bytes" in row else [], Outcome(0, documents[0], [], ""))


# --- storms ---

THREADS, STORM = "4", "10000"  # calls of each thread


def storm(case, threads=THREADS, calls=STORM):
    return Obedient(case, [case.load("storm"), threads, calls])


def seen_by_top(case, target, tracer, calls, allow=("missed_count",)):
    """The last report, beside the kernel's list while the program waits."""
    mapped, committed = listed(target.pid)
    document = case.stop_top(tracer)[-1]
    row = document["processes"][0]
    wrong = same_bytes(row, mapped, committed)
    print(f"   {row['mapped_bytes']:,} bytes mapped, the kernel's {mapped:,}; "
          f"{detail(document, 'mapping_changes')} events were dropped")
    return document, wrong + verdict(document, case.truths(), calls, allow)


@each("a storm of {1} calls by each of 4 threads ends as the kernel has it{0}",
      [("", "10000", "", "bjt", True), (", watched from its middle on", "150000", "b", "jt", False),
       (", watched only afterwards", "10000", "bj", "t", False), (" after two others", "10000", "", "bjbjbjt", True)],
      seconds=120, alone=READ)
def storms(case, _, calls, before, after, whole_truth):
    target = storm(case, calls=calls)
    target.do(before)
    tracer = case.top(target.pid, *ONLY, interval="0.5")
    if before == "b" and len(os.listdir(f"/proc/{target.pid}/task")) == 1:
        raise Failure("the storm was over before it was watched")
    target.do(after)
    document, wrong = seen_by_top(case, target, tracer, whole_truth)
    hold(wrong, Outcome(0, document, [], ""))


@test("a storm from the first instruction on ends as the kernel has it", seconds=120, alone=READ)
def storm_run(case):
    outcome = case.run([case.load("storm"), THREADS, STORM, "zbjtq"], ONLY)
    hold(verdict(outcome.document, outcome.truths), outcome)


@test("a storm beside a traced malloc ends as the kernel has it", seconds=120, alone=READ)
def storm_and_malloc(case):
    target = storm(case)
    tracer = case.top(target.pid, *BOTH, interval="0.5")
    target.do("bjt")
    document, wrong = seen_by_top(case, target, tracer, True)
    hold(wrong, Outcome(0, document, [], ""))


@test("shared segments in a storm end as the kernel has them", seconds=120, alone=READ)
def segments(case):
    """The length of one is not known where the mappings are being changed just then: the list tells it later."""
    target = storm(case)
    tracer = case.top(target.pid, *ONLY, interval="0.5")
    target.do("sbjt")
    case.sleep(1.5)
    document, wrong = seen_by_top(case, target, tracer, calls=False)
    hold(wrong, Outcome(0, document, [], ""))


@each("where events are dropped the mappings are read anew and the drops are told{0}",
      [("", ONLY), (", beside a traced malloc", BOTH)], seconds=120)
def dropped(case, _, sources):
    target = storm(case)
    tracer = case.top(target.pid, *sources, "--max-events", "1", interval="0.5")
    os.kill(tracer.pid, signal.SIGSTOP)
    target.do("bj")
    begin, idle = read_text(tracer.out).count("\n") + 1, listed(target.pid)  # one report may have begun before
    os.kill(tracer.pid, signal.SIGCONT)
    case.until("a report of the drops", lambda: has_dropped(tracer))
    case.until("two more reports", more_reports(tracer, 2))
    end = read_text(tracer.out).count("\n")
    target.do("bjt")
    case.sleep(1.5)  # a report right after drops may be approximate, the next one is not
    document, wrong = seen_by_top(case, target, tracer, calls=False, allow=("missed_count", "dropped_count"))
    known = read_lines(tracer.out)
    if document["losses"]["dropped_count"] < detail(document, "mapping_changes"):
        wrong.append(f"what was dropped is not in dropped_count: {document['losses']}")
    for number in range(begin, end):
        row = known[number]["processes"][0]
        if not row.get("approximate"):
            wrong += [f"report {number}, said to be exact: {line}" for line in same_bytes(row, *idle)]
    first = next(number for number, one in enumerate(known) if detail(one, "mapping_changes"))
    wrong += [line for one in known[first:first + 1] for line in whole(one, one["processes"][0])]
    hold(wrong, Outcome(0, document, [], ""))


def has_dropped(tracer):
    return any('"mapping_changes"' in line for line in read_text(tracer.out).splitlines())


@test("a mapping keeps its owner whenever the list is read, in the middle of sixty storms", seconds=120, alone=READ)
def owners(case):
    """What storms leave behind is compared, not what came and went: a list that mixes up owners shows there."""
    target = storm(case, calls="1000")
    tracer, rounds, wrong = case.top(target.pid, *ONLY, interval="0.02"), 10 if case.place.brief else 60, []
    judged = 0
    for number in range(rounds):
        target.do("bj")
        case.until("two more reports", more_reports(tracer, 2))
        document = last_report(tracer)
        target.do("t")
        truth = case.truths()[-1]
        if excused(document):
            break  # whose calls were skipped, and told, no sum has
        wrong += [f"round {number}: {line}" for line in same_calls(document, document["processes"][0], truth)]
        judged += 1
    document = case.stop_top(tracer)[-1]
    print(f"   {judged} rounds, mappings read anew {detail(document, 'mappings_read_anew')} times")
    if not judged:
        raise Skip("the kernel skipped programs in the first round")
    hold(wrong + verdict(document, case.truths()[-1:], allow=("missed_count",)), Outcome(0, document, [], ""))


@test("a list that is read while mappings are split and joined has all of them", seconds=120)
def splits(case):
    """Dropped events have the list read. What it left out would be taken for unmapped, and for nobody's later on."""
    target, readings = Obedient(case, [case.load("splits")]), 3 if case.place.brief else 8
    tracer = case.top(target.pid, *ONLY, "--max-events", "1", interval="0.1")
    target.do("m")
    before = len(read_lines(tracer.out)) + 1  # that report may have begun before
    case.until("two more reports", more_reports(tracer, 2))
    target.do("s")
    while detail(last_report(tracer), "mappings_read_anew") < readings:
        os.kill(tracer.pid, signal.SIGSTOP)
        case.sleep(0.1)
        os.kill(tracer.pid, signal.SIGCONT)
        case.until("two more reports", more_reports(tracer, 2))
    target.do("t")
    documents = [document for document in case.stop_top(tracer)[before:] if document["processes"]]
    last, known = documents[-1], {site["function"]: site for site in case.truths()[-1]["sites"]}
    if excused(last):
        raise Skip("the kernel skipped programs of ours")
    wrong = consistent(last, ("missed_count", "dropped_count"))
    for number, document in enumerate(documents):
        got = sums_by_function(document, document["processes"][0])
        for name in ("fill", "reserve"):
            wrong += differences(f"report {number}: {name}", got.get(name, zero()), known[name])
    hold(wrong, Outcome(0, last, [], ""))


@test("every report during a storm adds up", seconds=120, alone=READ)
def during(case):
    target = storm(case, calls="8000" if case.place.brief else "60000")
    tracer = case.top(target.pid, *ONLY, interval="0.1")
    target.do("bj")
    documents = case.stop_top(tracer)
    wrong = [line for document in documents
             for line in consistent(document, ("missed_count",)) + whole(document, document["processes"][0])]
    if len(documents) < 2:
        wrong.append("one report, expected more")
    hold(wrong, Outcome(0, documents[-1], [], ""))


@test("a program does not notice that its tracer was killed in the middle of a storm, ten times", seconds=180)
def tracer_killed(case):
    for number in range(10):
        target = storm(case, calls="30000")
        tracer = case.top(target.pid, *ONLY)
        target.do("b")
        case.sleep(random.Random(number).uniform(0.01, 0.3))
        tracer.kill()
        case.wait(tracer)
        target.do("jt")
        target.tell("q")
        if case.wait(target.process):
            raise Failure(f"round {number}: the program did not end well", *read_text(target.process.err).splitlines())
    truths = [{site["function"]: tuple(site[name] for name in SUMS) for site in truth["sites"]}
              for truth in case.truths()]
    hold([] if len(truths) == 10 else [f"{len(truths)} programs told the truth, expected 10"])
