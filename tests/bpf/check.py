# SPDX-License-Identifier: Apache-2.0
"""Compares what heldby says with what the programs know."""

import re

from harness import Failure

SUMS = ("allocated_bytes", "allocated_count", "freed_bytes", "freed_count",
        "outstanding_bytes", "outstanding_count")
LOSSES = ("lost_count", "dropped_count", "missed_count")
# Programs whose skips this kernel is known to cause and heldby can only tell, by name: run.py --preempted.
EXCUSED = []


def zero():
    return dict.fromkeys(SUMS, 0)


def add(sums, row):
    for name in SUMS:
        sums[name] += row[name]


def leaf(site):
    """The caller: frames[0], or behind operator new where that is not an entry point itself."""
    for frame in site["frames"]:
        name = frame.get("function", "?")
        if not name.startswith("operator new"):
            return name
    return "?"


def sites_of(document, pid=None, function=None, source="malloc"):
    return [site for site in document["sites"]
            if (pid is None or site["pid"] == pid) and site["source"] == source and
            (function is None or leaf(site) == function)]


def sums_of(sites):
    sums = zero()
    for site in sites:
        add(sums, site)
    return sums


def truths_by_pid(truths):
    """Programs that had one pid one after the other (exec, reuse) are added up."""
    by_pid = {}
    for truth in truths:
        functions, whole = by_pid.setdefault(truth["pid"], ({}, zero()))
        add(whole, truth)
        for site in truth["sites"]:
            add(functions.setdefault(site["function"], zero()), site)
    return by_pid


def differences(what, got, expected):
    return [f"{what}: {name} is {got[name]}, truth {expected[name]}"
            for name in SUMS if got[name] != expected[name]]


def consistent(document, allow=()):
    """What holds for every document, whatever was traced. @allow: losses that are expected."""
    wrong = []
    if document.get("schema") != "heldby.board/1":
        wrong.append(f"schema is {document.get('schema')}")
    for number, site in enumerate(document["sites"]):
        if site.get("source") == "pages":
            continue  # estimates of what is there, without a history
        for unit in ("bytes", "count"):
            given, taken = site[f"freed_{unit}"], site[f"allocated_{unit}"]
            held = site[f"outstanding_{unit}"]
            if taken != given + held or min(taken, given, held) < 0:
                wrong.append(f"site {number} ({leaf(site)}): allocated {unit} {taken} is not "
                             f"freed {given} + outstanding {held}")
        if "sampled_count" not in site and site["peak_bytes"] < site["outstanding_bytes"]:
            wrong.append(f"site {number}: peak {site['peak_bytes']} is below outstanding")
    for pid in {process["pid"] for process in document["processes"]}:
        held = sum(process.get("outstanding_bytes", 0) for process in document["processes"]
                   if process["pid"] == pid)
        of_sites = sum(site["outstanding_bytes"] for site in document["sites"]
                       if site["pid"] == pid and site["source"] in ("malloc", "direct"))
        if held != of_sites:
            wrong.append(f"process {pid} holds {held}, its sites {of_sites}")
    skipped = document["losses"].get("skipped_programs", {})
    excused = {"missed_count": sum(skipped[name] for name in skipped
                                   if any(re.fullmatch(words, name) for words in EXCUSED))}
    for name in LOSSES:
        if name not in allow and document["losses"][name] != excused.get(name, 0):
            wrong.append(f"{name} is {document['losses'][name]}: "
                         f"{document['losses'].get('detail')} {skipped or ''}")
    return wrong


def same_sums(document, truths, whole=False):
    """
    Every callsite of every process to the byte; with @whole also the process itself, for
    programs in which nothing else allocates.
    """
    wrong = [] if truths else ["the program wrote no truth"]
    for pid, (functions, total) in truths_by_pid(truths).items():
        for function, expected in functions.items():
            got = sums_of(sites_of(document, pid, function))
            wrong += differences(f"{function} of {pid}", got, expected)
        if whole:
            wrong += differences(f"all of {pid}", sums_of(sites_of(document, pid)), total)
    return wrong


def describe(document, limit=12):
    """The largest sites in short, to go with a failure."""
    lines = []
    for site in document["sites"][:limit]:
        names = [frame.get("function") or f"{frame.get('module', '?')}+{frame.get('offset', 0):#x}"
                 for frame in site["frames"][:5]]
        lines.append(f"  {site['pid']} {site['source']} {site.get('allocated_count', '-')}/"
                     f"{site.get('allocated_bytes', '-')} held {site['outstanding_bytes']}: "
                     f"{' < '.join(names)}")
    return lines


def hold(wrong, outcome=None):
    """Raise unless the list of what is wrong is empty."""
    if not wrong:
        return
    lines = list(wrong[:20])
    if len(wrong) > 20:
        lines.append(f"and {len(wrong) - 20} more")
    if outcome:
        lines += ["heldby's first sites:", *describe(outcome.document)]
        lines += ["heldby said:", *outcome.talk.splitlines()[-8:]]
    raise Failure(*lines)


def exact(outcome, whole=False, allow=()):
    """The usual verdict on a run."""
    wrong = consistent(outcome.document, allow)
    if outcome.document.get("final") is not True:
        wrong.append("the document is not final")
    hold(wrong + same_sums(outcome.document, outcome.truths, whole), outcome)


def facts(outcome, name):
    return [truth["facts"][name] for truth in outcome.truths if name in truth["facts"]]


def detail(document, name):
    """One counter of the losses; what is 0 may be left out."""
    return document["losses"].get("detail", {}).get(name, 0)


def excused(document):
    """Whether the kernel skipped programs of ours, on a kernel where that is no failure: all is approximate then."""
    return EXCUSED and detail(document, "skipped_probes")
