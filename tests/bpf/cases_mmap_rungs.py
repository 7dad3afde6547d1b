# SPDX-License-Identifier: Apache-2.0
"""The same mappings whichever hooks see them, and what the kernel does not show to one of them."""

import platform
import re

from cases_mmap import (CALLS, ONLY, READ, STORM, THREADS, Obedient, adds_up, listed, more_reports, same_bytes, storm,
                        sums_by_function, verdict, whole)
from check import add, detail, differences, hold, zero
from harness import Failure, Outcome, Skip, read_lines, read_text
from registry import each, test

RUNGS = ("tracepoint", "kprobe", "fentry")
STORMING = ("do_map", "do_move", "do_grow", "do_twin", "do_fix", "do_brk")
LETTERS = dict(zip(RUNGS, "tkf")) # of a program's name: hb_vm_mmap_kx
BRIEF = "2", "5000"  # threads and their calls, where a CPU is emulated
TELLS = (6, 7)       # from then on the kernel tells what a kretprobe missed


def hook(document, rung):
    got = document["hooks"].get("mmap")
    return [] if got == rung else [f"the hook is {got}, expected {rung}"]


def on_rung(case, command, rung):
    """A run by @rung, or Skip with heldby's reason."""
    report = case.path("report.json")
    options = ["--top", "0", *ONLY, "--mmap-rung", rung, "-o", f"json:{report}"]
    process = case.start([case.place.heldby, "run", *options, "--", *command])
    status = case.wait(process)
    talk = read_text(process.err)
    if status and "mappings cannot be watched" in talk:
        raise Skip(talk.strip().splitlines()[-1])
    documents = read_lines(report)
    if status or len(documents) != 1:
        raise Failure(f"status {status} and {len(documents)} documents, expected 0 and 1", *talk.splitlines()[-8:])
    return Outcome(status, documents[0], case.truths(), talk)


def top_on_rung(case, target, rung):
    """top on @target by @rung, or Skip with heldby's reason."""
    try:
        return case.top(target.pid, *ONLY, "--mmap-rung", rung, interval="0.5")
    except Failure as failure:
        if "mappings cannot be watched" in str(failure):
            raise Skip(str(failure.args[-1])) from None
        raise


def by_name(document, rung):
    """Whose skips are told: they are of this rung's programs, and add up."""
    programs = document["losses"].get("skipped_programs", {})
    wrong = [f"{name} was skipped, which is not of {rung}" for name in programs
             if not (name.startswith("hb_vm_") and name[-2] == LETTERS[rung])]
    if sum(programs.values()) != detail(document, "skipped_probes"):
        wrong.append(f"skipped_probes are {detail(document, 'skipped_probes')}, by name {programs}")
    return wrong


def exact_or_told(document, truths, allow=()):
    """Where the kernel skipped probes, all processes are approximate and no sum of calls is whole; but all adds up."""
    if not detail(document, "skipped_probes"):
        return verdict(document, truths, allow=allow)
    return adds_up(document, allow)


def settled(case, target, tracer, rung):
    """
    The verdict on a process that rests and waits. What the kernel skips, and tells, no sum of calls has; what is
    mapped is right all the same, for it is read anew: now and then, and for the last report in any case.
    """
    case.until("two more reports", more_reports(tracer, 2))
    mapped, committed = listed(target.pid)
    document = case.stop_top(tracer)[-1]
    print(f"   by {rung} {document['losses'].get('skipped_programs', 'nothing')} skipped, mappings read anew "
          f"{detail(document, 'mappings_read_anew')} times")
    return document, [*hook(document, rung), *by_name(document, rung),
                      *same_bytes(document["processes"][0], mapped, committed)]


@each("{1}: mapped bytes are exact by {0}", [(rung, *row) for rung in RUNGS for row in CALLS])
def by_rung(case, rung, _, mode):
    outcome = on_rung(case, [case.load("mappings"), mode, "slow"], rung)
    hold(hook(outcome.document, rung) + verdict(outcome.document, outcome.truths), outcome)


@each("all of these programs, one after the other, map what they say by {0}", RUNGS, seconds=120)
def all_by_rung(case, rung):
    """The same in one go, for machines on which it takes long to begin."""
    script = "; ".join(f"{case.load('mappings')} {mode} slow" for _, mode in CALLS)
    outcome = on_rung(case, ["/bin/sh", "-c", script], rung)
    outcome.document["processes"] = [row for row in outcome.document["processes"] if row["comm"] == "mappings"]
    modes = {truth["mode"] for truth in outcome.truths}
    wrong = [f"{mode} told no truth" for _, mode in CALLS if mode not in modes] + hook(outcome.document, rung)
    # What has ended before it could be read anew is not compared where something was skipped.
    hold(wrong + by_name(outcome.document, rung) + exact_or_told(outcome.document, outcome.truths), outcome)


def same_in_all(document, truths):
    """Frame pointers miss who called a function that keeps none, as mmap: the sums of all that the storm called."""
    got, known = zero(), zero()
    for name, sums in sums_by_function(document, document["processes"][0]).items():
        if name in STORMING:
            add(got, sums)
    for site in truths[0]["sites"]:
        add(known, site)
    return differences("the storm", got, known)


@each("a storm ends as the kernel has it by {0}", RUNGS, seconds=120, alone=READ)
def storm_by_rung(case, rung):
    target = storm(case, *(BRIEF if case.place.brief else (THREADS, STORM)))
    tracer = top_on_rung(case, target, rung)
    target.do("bjt")
    document, wrong = settled(case, target, tracer, rung)
    # A skip is a failure, but where run.py was told that this kernel cannot help it.
    if document["unwinding"]["mode"] == "eh_frame":
        wrong += exact_or_told(document, case.truths())
    else:
        wrong += adds_up(document) + same_in_all(document, case.truths())
    hold(wrong, Outcome(0, document, [], ""))


@test("more calls at once than a kretprobe has instances are exact, or are told as missed", seconds=120, alone=READ)
def crowd(case):
    target = Obedient(case, [case.load("mappings"), "crowd", "wait"])
    target.answer()
    tracer = top_on_rung(case, target, "kprobe")
    target.do("x")
    document, wrong = settled(case, target, tracer, "kprobe")
    told = tuple(int(word) for word in platform.release().split("-")[0].split(".")[:2]) >= TELLS
    if not told:
        # A protection that was missed is not known there, nor are calls: doctor says so.
        wrong = [line for line in wrong if "committed_bytes" not in line]
        hold(wrong + whole(document, document["processes"][0]), Outcome(0, document, [], ""))
        return
    hold(wrong + exact_or_told(document, case.truths(), ("missed_count",)), Outcome(0, document, [], ""))


REFUSING = [("mappings", "mmap", "tracepoint", "tracepoint"),
            ("page faults", "pages", "raw_tracepoint", "page_fault_user")]


@each("where the kernel takes one program and no more, the next rung is taken: {0}", REFUSING)
def next_rung(case, what, source, rung, refused):
    command = [case.load("mappings"), "mmap", "slow"]
    document = case.run(command, ("--sources", f"malloc,{source}")).document
    if document["hooks"].get(source) != rung:
        raise Skip(f"{rung} is not the first rung here")
    env = {"LD_PRELOAD": case.load("librefusing.so"), "HB_REFUSE": refused}
    report = case.path("report.json")
    process = case.start([case.place.heldby, "run", "-v", "--sources", source, "-o", f"json:{report}", "--", *command],
                         env)
    status, talk = case.wait(process), read_text(process.err)
    wrong = [] if f"{what}: {rung} was refused: Permission denied" in talk else ["nothing is said of the refusal"]
    if status:
        # There is no other: that is said, and why.
        if not re.search(f"{what} cannot be .*Permission denied", talk):
            wrong.append(f"it left with {status} and did not say why")
    elif read_lines(report)[0]["hooks"].get(source) in (None, rung):
        wrong.append(f"the hooks are {read_lines(report)[0]['hooks']}")
    hold(wrong + (talk.splitlines()[-8:] if wrong else []))
