# SPDX-License-Identifier: Apache-2.0
"""
Kills of other kinds, told as in the kernel's log where that has them: because a NUMA node is full, asked for, of
processes that end already, more at once than the log explains; and victims whose calls were traced besides.
"""

import os
import re
import secrets
import struct
import time

from cases_mmap import Obedient
from cases_oom import (FILL, GLOBAL, IDLE, LIMIT, MIB, Group, Watch, first_version, run_hog, scene, start_hog, told,
                       whole)
from cases_oom_reading import put
from check import hold
from harness import Failure, Skip, children_of, read_text
from oomlog import Log, same_context, same_numbers
from registry import all_alone

test, each = all_alone("every heldby oom tells of every kill")
STORM = 24            # kills within seconds: the log has the context of ten in five


# --- what only a machine of its own can take ---

def only_a_machine_of_its_own():
    """What may kill any process is not for a host that is used for other things."""
    if os.environ.get(GLOBAL) != "1":
        raise Skip(f"others may be killed: {GLOBAL}=1 allows that")


def last_node():
    """The NUMA node of the highest number, of several that have memory; in our machines it is small."""
    try:
        nodes = re.findall(r"\d+", read_text("/sys/devices/system/node/has_memory"))
    except OSError:
        nodes = []
    if len(nodes) < 2:
        raise Skip("there is one NUMA node alone")
    return nodes[-1]


@test("a kill because a cpuset's node is full is told as in the kernel's log", seconds=240)
@scene
def cpuset(case):
    only_a_machine_of_its_own()
    node = last_node()
    watch = Watch(case, "--json")
    with Group(case) as group:
        if group.first:
            raise Skip("with cgroup v1 cpusets are another hierarchy")
        put(os.path.join(os.path.dirname(group.path), "cgroup.subtree_control"), "+cpuset")
        put(os.path.join(group.path, "cpuset.mems"), node)
        program = start_hog(case, group, "alone")
        put(f"/proc/{program.pid}/oom_score_adj", "1000")
        program.tell("x")
        case.wait(program.process)
        document, wrong = told(case, watch, group, program.pid)
    watch.stop()
    hold(wrong + of_one_node(document, "cpuset"))


@test("a kill because a memory policy's node is full is told as in the kernel's log", seconds=240)
@scene
def mempolicy(case):
    only_a_machine_of_its_own()
    node = last_node()
    watch = Watch(case, "--json")
    with Group(case) as group:
        program = start_hog(case, group, "bound", node)
        put(f"/proc/{program.pid}/oom_score_adj", "1000")
        program.tell("x")
        case.wait(program.process)
        document, wrong = told(case, watch, group, program.pid)
    watch.stop()
    hold(wrong + of_one_node(document, "mempolicy"))


def of_one_node(document, kind):
    """What a kill because of one node has besides."""
    domain = document["domain"]
    wrong = [] if domain.get("kind") == kind and "limit_bytes" not in domain else [f"the domain is {domain}"]
    if not domain.get("free_bytes", 0) > document["victim"]["anon_rss_bytes"]:
        wrong.append(f"{domain.get('free_bytes')} bytes are free, less than on the other node")
    if "NUMA" not in document["verdict"][1]:
        wrong.append(f"the verdict is {document['verdict']}")
    return wrong


@test("a kill that was asked for by sysrq is told as in the kernel's log", seconds=60)
@scene
def sysrq(case):
    only_a_machine_of_its_own()
    if not os.path.exists("/proc/sysrq-trigger"):
        raise Skip("this kernel has no sysrq")
    watch = Watch(case, "--json")
    with Group(case) as group:
        victim = start_hog(case, group, "idle", IDLE)
        put("/proc/sysrq-trigger", "f")
        if case.wait(victim.process) != 137:
            raise Failure(f"the victim left with {victim.process.returncode}")
        document, wrong = told(case, watch, group, victim.pid)
    watch.stop()
    if document["trigger"].get("kind") != "sysrq" or "limit_bytes" in document["domain"]:
        wrong.append(f"the trigger is {document['trigger']}, the domain {document['domain']}")
    if "sysrq" not in document["verdict"][1]:
        wrong.append(f"the verdict is {document['verdict']}")
    hold(wrong)


@test("a kill of a process that ends already, of which the kernel's log says nothing, is told as such", seconds=60)
@scene
def unlogged(case):
    watch = Watch(case, "--json")
    with Group(case, LIMIT) as group:
        parent = start_hog(case, group, "doomed", IDLE)
        child = children_of(parent.pid)[0]
        program = start_hog(case, group, "fill", FILL)
        program.tell("x")
        document = watch.wait(group)[0]
        parent.tell("x")
        case.wait(parent.process)
        case.wait(program.process)
        kills = group.kills()
        run_hog(case, group, "alone")
        after = watch.wait(group, 2)[1]
    watch.stop()
    victim, wrong = document["victim"], whole(document)
    if "kills_before" in after:
        wrong.append(f"before the next kill there were {after['kills_before']}")
    if victim["pid"] != child or victim.get("outcome") != "already dying":
        wrong.append(f"the victim is {victim}, expected {child}")
    if any(kill["thread"] == child for kill in case.log.kills()) or kills:
        wrong.append(f"the kernel has it among {kills} kills that it counts, and its log has {case.log.kills()}")
    if document["trigger"].get("pid") != program.pid or document["domain"].get("limit_bytes") != LIMIT * MIB:
        wrong.append(f"the trigger is {document['trigger']}, the domain {document['domain']}")
    if abs(victim["anon_rss_bytes"] - IDLE * MIB) > MIB:
        wrong.append(f"it held {victim['anon_rss_bytes']} bytes, expected about {IDLE} MiB")
    hold(wrong)


@test("a cgroup at its limit whose OOM killer is disabled is told of while its processes hang", seconds=60)
@scene
def disabled(case):
    if not first_version():
        raise Skip("memory.oom_control belongs to cgroup v1")
    watch = Watch(case, "--json")
    with Group(case, LIMIT) as parent, Group(case, parent=parent) as group:
        put(os.path.join(parent.path, "memory.oom_control"), "1")
        program = start_hog(case, group, "alone")
        program.tell("x")
        case.until("the warning", lambda: parent.name in watch.talk())
        hangs = program.process.poll() is None
        time.sleep(2)  # it is not said again
        put(os.path.join(parent.path, "memory.oom_control"), "0")
        case.wait(program.process)
        _, wrong = told(case, watch, group, program.pid)
    watch.stop()
    said = [line for line in watch.talk().splitlines() if parent.name in line]
    expected = ("OOM killer is disabled", f"/{parent.name} has", f"(1 processes, one is {program.pid})")
    if not hangs or len(said) != 1 or not all(words in said[0] for words in expected):
        wrong.append(f"the process hangs: {hangs}, heldby said {watch.talk()!r}")
    hold(wrong)


@test(f"{STORM} kills at a time, of some of which the kernel's log leaves out why, are told with it each", seconds=90)
def storm(case):
    watch = Watch(case, "--json")
    with Group(case, 16) as group, Log() as log:
        crowd_of = [case.start([case.load("hog"), group.path, "brief"]) for _ in range(STORM)]
        for process in crowd_of:
            case.wait(process)
        documents = watch.wait(group, STORM)
        kills = {kill["thread"]: kill for kill in log.kills()}
    watch.stop()
    wrong = []
    for document in documents:
        kill, domain = kills.get(document["victim"]["thread"]), document["domain"]
        if not kill:
            wrong.append(f"the kernel's log has no kill of {document['victim']['thread']}")
            continue
        wrong += whole(document) + same_numbers(document, kill)
        # What is used changes meanwhile: memory of those killed before comes back.
        wrong += [line for line in same_context(document, kill) if "usage_bytes" not in line] \
            if "chosen" in kill else []
        if domain.get("limit_bytes") != 16 * MIB or not document["trigger"].get("gfp_mask"):
            wrong.append(f"the domain is {domain}, the trigger {document['trigger']}")
    if sorted(document["victim"]["pid"] for document in documents) != sorted(p.pid for p in crowd_of):
        wrong.append(f"the victims are {[document['victim']['pid'] for document in documents]}")
    hold(wrong)
    if all("chosen" in kill for kill in kills.values()):
        raise Skip("the kills came so slowly that the kernel's log has the context of each")


# --- victims whose calls were traced ---

def held_by_calls(document, file):
    """The rows of malloc and mmap are what the program counted itself, those of pages stand beside them."""
    with open(file, "rb") as touched:
        truth = struct.unpack("=QQ", touched.read())
    wrong = whole(document)
    for source, function, expected in zip(("malloc", "mmap"), ("keep_blocks", "keep_mappings"), truth):
        rows = [row for row in document["holders"] if row["source"] == source and
                function in [frame.get("function") for frame in row["frames"]]]
        held = sum(row["outstanding_bytes"] for row in rows)
        # Of mappings it may say that it cannot be sure: runs that the kernel skipped may have been theirs.
        doubt = source == "malloc" and any(row.get("approximate") for row in rows)
        if held != expected or not held or doubt:
            wrong.append(f"{function} held {held} by {source}, in truth {expected}: {rows}")
    pages = sum(row["outstanding_bytes"] for row in document["holders"] if row["source"] == "pages")
    resident = document["victim"]["anon_rss_bytes"] + document["victim"]["shmem_rss_bytes"]
    if not 0.8 * resident <= document.get("holders_explained_bytes", 0) <= resident or \
            abs(pages - document["holders_explained_bytes"]) > len(document["holders"]):
        wrong.append(f"pages are {pages}, {document.get('holders_explained_bytes')} of {resident} are explained")
    if not 0 < document.get("holders_traced_s", 0) <= document["victim"]["lifetime_s"]:
        wrong.append(f"traced for {document.get('holders_traced_s')} s of {document['victim']['lifetime_s']}")
    return wrong


@each("malloc and mmap of a victim that was chosen by its pid{0} are told beside its pages, to the byte",
      ["", " before its exec"], seconds=40)
def calls_of_one(case, when):
    file = case.path("touched")
    with Group(case, LIMIT) as group:
        words = [case.load("hog"), group.path, "calls", "0", file]
        program = Obedient(case, ["/bin/sh", "-c", 'printf .; read word; exec "$@"', "sh", *words] if when else words)
        program.answer()
        watch = Watch(case, "--json", "--top", "0", "--sources", "malloc,mmap", "-p", str(program.pid))
        if when:
            program.tell("\n")
            program.answer()
            time.sleep(1)  # its files are probed soon after
        program.tell("x")
        case.wait(program.process)
        document = watch.wait(group)[0]
    watch.stop()
    hold(held_by_calls(document, file))


@test("malloc and mmap of a victim that is chosen by its name and starts later are told, kills of others are not",
      seconds=60)
def calls_of_later(case):
    name, file = os.path.join(case.folder, f"hog{secrets.token_hex(4)}"), case.path("touched")
    os.symlink(case.load("hog"), name)
    watch = Watch(case, "-v", "--json", "--top", "0", "--sources", "malloc,mmap", "--comm", os.path.basename(name))
    with Group(case, LIMIT) as group:
        run_hog(case, group, "alone")
        program = Obedient(case, [name, group.path, "calls", "0", file])
        program.answer()
        case.until("it to be found", lambda: f"process {program.pid} is traced" in watch.talk())
        program.tell("x")
        case.wait(program.process)
        document = watch.wait(group)[0]
    watch.stop()
    hold(held_by_calls(document, file) + ([f"{len(watch.all())} kills are told"] if len(watch.all()) != 1 else []))


@test("heldby oom refuses to trace calls of processes that nobody chose, or that were chosen in two ways")
def refused(case):
    wrong = []
    for words in (["--sources", "malloc"], ["-p", "1", "--comm", "init"], ["--sources", "mmap,nothing", "--all"]):
        status = case.wait(case.start([case.place.heldby, "oom", *words]))
        if status != 2:
            wrong.append(f"{words} left with {status}, expected 2")
    hold(wrong)
