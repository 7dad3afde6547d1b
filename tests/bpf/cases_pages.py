# SPDX-License-Identifier: Apache-2.0
"""Resident pages by who touched them: each site as near the truth as it says."""

import math
import os
import signal
import time

from cases_mmap import Obedient
from check import consistent, detail, excused, hold
from harness import Failure, Outcome, Skip, read_lines, read_text
from registry import each, test

PAGES = ("--sources", "pages")
MOVES = ("--sources", "mmap,pages")  # mremap is followed wherever mappings are
MIB = 1 << 20
TURNS = 20
BOUND = 5   # standard errors that a single estimate may be off: once in a million
USUAL = 3   # that it is off once in 400; more than
RARE = 2    # of TURNS is once in 50,000
PROCESSES = 12 # that are too small for an estimate of one alone
MANY_PROCESSES = 100 # that are smaller still
FIRST = 8 * MIB # what a sampled page stands for of what a process touches first
HOST = "it looks at every process"


def owner(site):
    """The function of the load program that was told to touch."""
    for frame in site["frames"]:
        if frame.get("function", "").split("_")[0] in ("touch", "look", "fill"):
            return frame["function"]
    return None


def by_function(document, pid):
    """(bytes, square of the standard error) of each function of @pid."""
    sums = {}
    for site in document["sites"]:
        if site["source"] == "pages" and site["pid"] == pid:
            held, square = sums.get(owner(site), (0, 0))
            sums[owner(site)] = (held + site["outstanding_bytes"], square + site["standard_error_bytes"] ** 2)
    return sums


def start_all(case, *options):
    """heldby top on the whole host, once it is ready."""
    process = case.start([case.place.heldby, "top", "--json", "--top", "0", *options, "60"])
    case.until("heldby: ready", lambda: "heldby: ready" in read_text(process.err) or process.poll() is not None)
    if process.poll() is not None:
        raise Failure(f"heldby top left with {process.returncode}", *read_text(process.err).splitlines())
    return process


def look(case, mode, everything=False, options=()):
    """The last report while the program holds what it touched, and the truths."""
    target = Obedient(case, [case.load("pages"), mode])
    target.answer()
    sources = () if "--sources" in options else PAGES
    tracer = start_all(case) if everything else case.top(target.pid, *sources, *options, interval="60")
    target.do("x")
    document = case.stop_top(tracer)[-1]
    target.tell("x")
    case.wait(target.process)
    truths = case.truths()
    if document["hooks"].get("pages") is None:
        raise Skip("page faults cannot be looked at here")
    return document, [truth for truth in truths if truth["facts"]]


def errors_off(document, truth, function):
    """How many of its standard errors a function's estimate is off."""
    held, square = by_function(document, truth["pid"]).get(function, (0, 0))
    off = abs(held - truth["facts"][function])
    return off / math.sqrt(square) if square else math.inf if off else 0


def judge(document, truth):
    """Each function's bytes, as far as the truth knows them."""
    got, wrong = by_function(document, truth["pid"]), []
    for function, expected in truth["facts"].items():
        if function == "none":
            continue
        held, square = got.get(function, (0, 0))
        if abs(held - expected) > BOUND * math.sqrt(square):
            wrong.append(f"{truth['mode']}: {function} holds {held / MIB:.2f} MiB by our estimate, in truth "
                         f"{expected / MIB:.2f}, which is not within {BOUND} x {math.sqrt(square) / MIB:.2f}")
    return wrong


def plausible(document, pid):
    """Rows have what pages have, and not what they have not."""
    wrong = []
    for site in document["sites"]:
        if "allocated_bytes" in site or "freed_count" in site or "standard_error_bytes" not in site:
            wrong.append(f"a row of pages has {sorted(site)}")
    row = next((row for row in document["processes"] if row["pid"] == pid), None)
    if row is None or "pages_unattributed_bytes" not in row:
        wrong.append(f"the row of {pid} is {row}")
    return wrong


@each("resident pages of two sites are as far off as their standard errors say, in {0} runs: {1}",
      [(TURNS, "contiguous"), (TURNS, "runs"), (TURNS, "random")], seconds=240)
def layouts(case, turns, mode):
    wrong, far, document, sums = [], {"touch_a": 0, "touch_b": 0}, None, {}
    for _ in range(turns):
        document, truths = look(case, mode)
        truth = truths[-1]
        wrong += consistent(document, allow=("missed_count",)) + judge(document, truth)
        wrong += plausible(document, truth["pid"])
        for function in far:
            far[function] += errors_off(document, truth, function) > USUAL
        add_up(document, truth, sums)
    print(f"   {mode}: more than {USUAL} standard errors off in {turns} runs: {far}")
    wrong += [f"{mode}: {times} of {turns} estimates of {function} are more than {USUAL} standard errors off"
              for function, times in far.items() if times > RARE]
    hold(wrong + biased(mode, sums), Outcome(0, document, [], ""))


def add_up(document, truth, sums):
    """(estimates, truths, squares of their standard errors) of each function that holds something, over all runs."""
    got = by_function(document, truth["pid"])
    for function, expected in truth["facts"].items():
        if expected:
            one = (*got.get(function, (0, 0))[:1], expected, got.get(function, (0, 0))[1])
            sums[function] = tuple(map(sum, zip(sums.get(function, (0, 0, 0)), one)))


def biased(mode, sums):
    """Errors that are not one-sided grow with the root of the number of runs alone, as the standard error does."""
    return [f"{mode}: {function} holds {held / MIB:.1f} MiB in all runs, in truth {expected / MIB:.1f}, which is not "
            f"within {BOUND} x {math.sqrt(square) / MIB:.2f}" for function, (held, expected, square) in sums.items()
            if abs(held - expected) > BOUND * math.sqrt(square)]


@each("the pages of {1} are the same by {0}",
      [(rung, mode) for rung in ("raw_tracepoint", "kprobe") for mode in ("runs", "huge")])
def rungs(case, rung, mode):
    probe = case.start([case.place.heldby, "top", "-p", str(os.getpid()), *PAGES, "--pages-rung", rung, "0.1", "1"])
    status, talk = case.wait(probe), read_text(probe.err)
    if status == 1 and "cannot be looked at here" in talk:
        raise Skip(talk.strip().splitlines()[-1])
    document, truths = look(case, mode, options=("--pages-rung", rung))
    wrong = [] if document["hooks"]["pages"] == rung else [f"the hooks are {document['hooks']}"]
    hold(wrong + consistent(document, allow=("missed_count",)) + judge(document, truths[-1]),
         Outcome(0, document, [], ""))


@each("{0}", [
    ("memory that was only read is nobody's", "zeros"),
    ("what a system call fills belongs to its caller", "copied"),
    ("shared memory is of who touches it first, a file's pages only where they were written", "shared"),
    ("after a fork the child holds what it touched, and the rest by its parent's stacks", "forked"),
    ("what mremap moves keeps its stack", "moved"),
    ("a block that the library lets grow keeps its stack wherever it moves", "grown"),
    ("huge pages are exact, also where a part was given back", "huge"),
], alone=HOST)
def line_by_line(case, _, mode):
    document, truths = look(case, mode, everything=mode == "forked",
                            options=MOVES if mode in ("moved", "grown") else ())
    if mode == "forked" and document["hooks"]["pages"] == "kprobe":
        raise Skip("handle_mm_fault does not tell a copy on write from a page that was not there")
    wrong = []
    for truth in truths:
        wrong += judge(document, truth)
    hold(wrong + ([] if truths else ["the program wrote no truth"]), Outcome(0, document, [], ""))


@test("without a target the pages of every process are known, of one that starts later as well",
      alone=HOST)
def everything(case):
    tracer = start_all(case)
    target = Obedient(case, [case.load("pages"), "contiguous"])
    target.answer()
    time.sleep(0.5)  # its file is new: the rows for its stacks are read when it is first needed
    target.do("x")
    document = case.stop_top(tracer)[-1]
    truth = case.truths()[-1]
    wrong = judge(document, truth) + plausible(document, truth["pid"])
    # Its sites may lack a part of what it touches first, a block each: that is in their errors.
    square = sum(square for _, square in by_function(document, truth["pid"]).values())
    if document["hooks"]["pages"] != "kprobe" and not FIRST < math.sqrt(square) < 3 * FIRST:
        wrong.append(f"the standard error of all it holds is {math.sqrt(square) / MIB:.2f} MiB")
    if not any(row["pid"] == os.getpid() for row in document["processes"]):
        wrong.append("we are not among the processes")
    hold(wrong, Outcome(0, document, [], ""))


def first_pages(case, mode, processes):
    """The document of as many @processes that nobody chose, their pids, and whether each function's sum is right."""
    tracer = start_all(case)
    targets = [Obedient(case, [case.load("pages"), mode]) for _ in range(processes)]
    for target in targets:
        target.answer()
    time.sleep(0.5)
    for target in targets:
        target.do("x")
    document = case.stop_top(tracer)[-1]
    for target in targets:
        target.tell("x")
        case.wait(target.process)
    if document["hooks"]["pages"] == "kprobe":
        raise Skip("handle_mm_fault does not tell a copy on write from a page that was not there")
    if excused(document):
        raise Skip("the kernel skipped programs of ours: a process whose beginning was not seen may be missing")
    truths = [truth for truth in case.truths() if truth["facts"]]
    wrong = []
    for each_mode in (mode, "child"):
        wrong += on_average(document, [truth for truth in truths if truth["mode"] == each_mode], each_mode, processes)
    return document, [target.pid for target in targets], wrong


@test("the first pages of processes that nobody chose are sampled less densely, and right on average, after forks too",
      seconds=120, alone=HOST)
def first_and_others(case):
    document, pids, wrong = first_pages(case, "young", PROCESSES)
    sampled = sum(site["sampled_count"] for site in document["sites"]
                  if site["source"] == "pages" and site["pid"] in pids)
    if sampled * 140 * 4096 > PROCESSES * 64 * MIB:
        wrong.append(f"{sampled} pages of {PROCESSES} processes were sampled: more than one in 140")
    hold(wrong, Outcome(0, document, [], ""))


@test("of processes that have first pages alone when they fork, parents and children are right on average",
      seconds=120, alone=HOST)
def first_alone(case):
    if case.place.brief:
        raise Skip(f"{MANY_PROCESSES} processes are too many for an emulated CPU")
    document, _, wrong = first_pages(case, "small", MANY_PROCESSES)
    hold(wrong, Outcome(0, document, [], ""))


def on_average(document, truths, mode, processes):
    """What the functions of all of the processes hold together, each a block too much or none as by a coin."""
    if len(truths) != processes:
        return [f"{len(truths)} of {processes} wrote a truth"]
    wrong, error = [], FIRST / MIB / 2 * math.sqrt(processes)
    for function in truths[0]["facts"]:
        held = sum(by_function(document, truth["pid"]).get(function, (0, 0))[0] for truth in truths) / MIB
        expected = sum(truth["facts"][function] for truth in truths) / MIB
        print(f"   {mode}: {function} {held:.0f} MiB +- {error:.0f}, in truth {expected:.0f}")
        if abs(held - expected) > BOUND * error:
            wrong.append(f"{mode}: {function} {held:.1f} MiB, in truth {expected:.1f}, which is not within {BOUND} x "
                         f"{error:.1f}")
    return wrong


@test("blocks and mappings of every process are refused in one sentence")
def refused(case):
    process = case.start([case.place.heldby, "top", "--sources", "malloc"])
    status, talk = case.wait(process), read_text(process.err)
    hold([] if status == 2 and "give processes with -p" in talk else [f"exit status {status}: {talk}"],
         Outcome(0, {"sites": []}, [], ""))


def by_default(case, *options):
    """What heldby top says of a process if nobody says which sources: its document, its text, its talk."""
    target = Obedient(case, [case.load("pages"), "contiguous"])
    target.answer()
    command = [case.place.heldby, "top", "-p", str(target.pid), "--malloc", "exact", *options]
    tracer = case.start([*command, "--json", "--top", "0", "60"])
    case.until("heldby: ready", lambda: "heldby: ready" in read_text(tracer.err) or tracer.poll() is not None)
    target.do("x")
    document = case.stop_top(tracer)[-1]
    text = case.start([*command, "--top", "1", "0.1", "1"])
    case.wait(text)
    return document, case.truths()[-1], read_text(text.out), read_text(tracer.err)


@test("with a target and without --sources pages are a view of their own beside malloc, direct and mmap")
def beside(case):
    document, truth, text, _ = by_default(case)
    if "pages" not in document["hooks"] or "mmap" not in document["hooks"]:
        raise Skip(f"the hooks here are {sorted(document['hooks'])}")
    wrong = consistent(document, allow=("missed_count",)) + judge(document, truth)
    sources = [site["source"] for site in document["sites"]]
    others = [source for source in sources if source != "pages"]
    if sources != others + ["pages"] * (len(sources) - len(others)) or set(others) != {"mmap"}:
        wrong.append(f"the rows are of {sources}: those of pages stand behind all others")
    ranks = [site["rank"] for site in document["sites"]]
    if ranks != [*range(1, len(others) + 1), *range(1, len(sources) - len(others) + 1)]:
        wrong.append(f"the ranks are {ranks}: each view has its own")
    row = document["processes"][0]
    mapped = sum(site["outstanding_bytes"] for site in document["sites"] if site["source"] == "mmap")
    if row["mapped_bytes"] != row["mapped_before_bytes"] + row["mapped_by_allocators_bytes"] + mapped:
        wrong.append(f"{row['mapped_bytes']} bytes are mapped, by sites {mapped}")
    if row.get("outstanding_bytes") != 0:
        wrong.append(f"{row.get('outstanding_bytes')} bytes are held by malloc, which was never called")
    if set(document["hooks"]) != {"malloc", "direct", "mmap", "pages"}:
        wrong.append(f"the hooks are {sorted(document['hooks'])}")
    if "pages:" not in text or "unattributed" not in text:
        wrong.append("the text does not tell of pages")
    hold(wrong, Outcome(0, document, [], text))


@test("where page faults cannot be looked at top says so in a sentence and does the rest")
def without(case):
    document, _, _, talk = by_default(case, "--pages-rung", "kprobe")
    if "pages" in document["hooks"]:
        raise Skip("page faults can be looked at by kprobes here")
    wrong = [] if "pages cannot be seen on this kernel" in talk else [f"it says {talk}"]
    if any(site["source"] == "pages" for site in document["sites"]) or "mmap" not in document["hooks"]:
        wrong.append(f"the hooks are {sorted(document['hooks'])}")
    hold(wrong, Outcome(0, document, [], talk))


@test("shared memory is of the process that touched it, the others say how much they share with it", alone=HOST)
def between(case):
    target = Obedient(case, [case.load("pages"), "between"])
    target.answer()
    tracer = start_all(case)
    target.do("x")
    document = case.stop_top(tracer)[-1]
    child, parent = case.truths()
    wrong = judge(document, parent) + judge(document, child)
    # What the child looks at comes 16 pages at a time: a fault on a sampled page among them is the child's own.
    for name, truth, expected in (("parent", parent, 0), ("child", child, 120 * MIB)):
        row = next(row for row in document["processes"] if row["pid"] == truth["pid"])
        got, error = row.get("shared_with_bytes", 0), row["pages_standard_error_bytes"]
        if abs(got - expected) > BOUND * error + MIB or not 0 < error < 8 * MIB:
            wrong.append(f"the {name} shares {got / MIB:.1f} MiB with others, by what is told {error / MIB:.1f} off, "
                         f"about {expected / MIB} were expected")
    hold(wrong, Outcome(0, document, [], ""))


@test("pages of files are told by path, as many as the kernel has mapped")
def files(case):
    target = Obedient(case, [case.load("pages"), "files"])
    target.answer()
    tracer = case.top(target.pid, *PAGES, interval="60")
    target.do("x")
    document = case.stop_top(tracer)[-1]
    row, expected = document["processes"][0], resident_files(target.pid)
    wrong = judge(document, case.truths()[-1])
    got = {file["path"]: file["resident_bytes"] for file in row["files"]}
    for path in sorted({*got, *expected}):
        if got.get(path, 0) != expected.get(path, 0):
            wrong.append(f"{path}: {got.get(path, 0)} bytes are resident by our account, by the kernel's "
                         f"{expected.get(path, 0)}")
    if max(got.values()) < 16 * MIB or sum(got.values()) > row["files_resident_bytes"]:
        wrong.append(f"{got} of {row['files_resident_bytes']}")
    hold(wrong, Outcome(0, document, [], ""))


def resident_files(pid):
    """By path: what is resident of its mappings, less what was written in private ones."""
    sums, path = {}, None
    for line in read_text(f"/proc/{pid}/smaps").splitlines():
        words = line.split()
        if not words[0].endswith(":"):
            path = line.split(None, 5)[5].removesuffix(" (deleted)") if len(words) > 5 and words[4] != "0" else None
        elif path and words[0] in ("Rss:", "Anonymous:"):
            sums[path] = sums.get(path, 0) + int(words[1]) * 1024 * (1 if words[0] == "Rss:" else -1)
    return {path: held for path, held in sums.items() if held}


@test("a process of many pages is sampled less densely, and still right")
def wide(case):
    document, truths = look(case, "wide")
    wrong = judge(document, truths[-1])
    sampled = sum(site["sampled_count"] for site in document["sites"] if owner(site) == "touch_a")
    if not 256 * MIB / 4096 / 512 <= sampled <= 256 * MIB / 4096 / 128 + 2:
        wrong.append(f"{sampled} pages of 256 MiB were sampled: not one in 128 to 512")
    hold(wrong, Outcome(0, document, [], ""))


@test("a command's pages are those that it was last seen with")
def at_the_end(case):
    outcome = case.run([case.load("pages"), "linger"], PAGES)
    hold(judge(outcome.document, outcome.truths[-1]), outcome)


@test("a full table of pages is told, and what it has is right")
def full(case):
    target = Obedient(case, [case.load("pages"), "contiguous"])
    target.answer()
    tracer = case.top(target.pid, *PAGES, "--max-faults", "512", interval="60")
    target.do("x")
    document = case.stop_top(tracer)[-1]
    got, block = by_function(document, target.pid), 64 * os.sysconf("SC_PAGESIZE")
    lost, known = detail(document, "pages_full"), 512  # of the faults on sampled pages, one in each block
    wrong = [f"{lost} faults are lost and {known} known, of {448 * MIB // block} blocks that were touched"] \
        if abs(lost + known - 448 * MIB // block) > 16 else []
    # It was full when the two sites, in steps of 1 MiB each, had touched half of what it can hold.
    for function in ("touch_a", "touch_b"):
        held, square = got.get(function, (0, 0))
        if abs(held - known // 2 * block) > BOUND * math.sqrt(square) + 4 * MIB:
            wrong.append(f"{function} holds {held / MIB:.2f} MiB by the records, {known // 2 * block / MIB:.0f} "
                         f"were touched until there was no room, which is not within {math.sqrt(square) / MIB:.2f}")
    if got.get("touch_c", (0, 0))[0]:
        wrong.append(f"what came last and has gone again holds {got['touch_c'][0]} bytes")
    hold(wrong, Outcome(0, document, [], ""))


def reports_since(case, tracer, count):
    """@count reports that were begun after this call; the first line may be of one begun before."""
    before = read_text(tracer.out).count("\n") + 1
    case.until("reports", lambda: read_text(tracer.out).count("\n") >= before + count or tracer.poll() is not None)
    return read_lines(tracer.out)[before:]


@test("in a crowded table a process is sampled less densely before anything is lost, and still right")
def crowded(case):
    target = Obedient(case, [case.load("pages"), "steps"])
    target.answer()
    tracer = case.top(target.pid, *PAGES, "--max-faults", "1024", interval="0.2")
    for _ in range(16):
        target.do("x")
        reports_since(case, tracer, 1)
    document = case.stop_top(tracer)[-1]
    wrong = judge(document, case.truths()[-1]) + consistent(document, allow=("missed_count",))
    sampled = sum(site["sampled_count"] for site in document["sites"])
    if not 256 <= sampled <= 768:
        wrong.append(f"{sampled} pages of {512 * MIB // 4096} are in the sample: not one in 256 or 512")
    hold(wrong, Outcome(0, document, [], ""))


@test("after a table of pages was full losses stop, and what comes then is right")
def burst(case):
    target = Obedient(case, [case.load("pages"), "burst"])
    target.answer()
    tracer = case.top(target.pid, *PAGES, "--max-faults", "512", interval="0.2")
    os.kill(tracer.pid, signal.SIGSTOP)  # or it reads meanwhile, and makes room
    target.do("x")
    os.kill(tracer.pid, signal.SIGCONT)
    lost = [detail(reports_since(case, tracer, 3)[-1], "pages_full")]
    for _ in range(8):
        target.do("x")
        lost.append(detail(reports_since(case, tracer, 1)[-1], "pages_full"))
    document, truth = case.stop_top(tracer)[-1], case.truths()[-1]
    got = by_function(document, target.pid).get("touch_c", (0, 0))[0]
    wrong = judge(document, truth)
    if not 500 <= lost[0] <= 540 or lost[-1] != lost[0]:
        wrong.append(f"the losses were {lost}: they should be those of half of 1,024 pages, then no more")
    if not 112 * MIB < got < 136 * MIB:
        wrong.append(f"touch_c holds {got / MIB:.1f} MiB by the records there are, 128 were touched until it was full")
    hold(wrong, Outcome(0, document, [], ""))


@test("a process of one group row has the pages of all its sites, and their error")
def grouped(case):
    target = Obedient(case, [case.load("pages"), "runs"])
    target.answer()
    tracer = case.top(target.pid, *PAGES, "--group", "process", interval="60")
    target.do("x")
    document = case.stop_top(tracer)[-1]
    truth = case.truths()[-1]
    expected = truth["facts"]["touch_a"] + truth["facts"]["touch_b"]
    wrong = [] if len(document["sites"]) == 1 else [f"{len(document['sites'])} rows"]
    if abs(document["sites"][0]["outstanding_bytes"] - expected) > 2 * MIB:
        wrong.append(f"{document['sites'][0]['outstanding_bytes']} bytes, expected about {expected}")
    hold(wrong, Outcome(0, document, [], ""))
