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

from cases_language import javas
from cases_mmap import Obedient
from cases_oom import (FILL, GLOBAL, IDLE, LIMIT, MIB, Group, Watch, first_version, run_hog, scene, start_hog, told,
                       whole)
from check import SUMS, hold
from harness import Failure, Skip, children_of, put, read_lines, read_text
from oomlog import CHARGED_AHEAD, CPUS, INDEXES, PAGE, STAT_NAMES, Log, kernel_tells_stat, same_context, same_numbers
from registry import all_alone

test, each = all_alone("every heldby oom tells of every kill")
AROUND = 32 * MIB     # that what is free on an idle node may differ by
TRIES = 8             # kills, until the file was read before any of the victim's memory was back
AFTERWARDS = re.compile(r"kill (\d+): memory\.stat said afterwards: (.*)$", re.M)
JVM = 256             # MiB
MASS = 1000           # within less than a minute
ABREAST = 4           # victims at a time
GROWTH = 128 * MIB    # of heldby, while it tells of so many: 512 may wait
STORM = 24            # kills within seconds: the log has the context of ten in five


# --- what only a machine of its own can take ---

def only_a_machine_of_its_own():
    """What may kill any process is not for a host that is used for other things."""
    if os.environ.get(GLOBAL) != "1":
        raise Skip(f"others may be killed: {GLOBAL}=1 allows that")


def nodes_of_memory():
    """Their numbers."""
    return re.findall(r"\d+", read_text("/sys/devices/system/node/has_memory").replace("-", ","))


def free_of(node):
    return int(re.search(r"MemFree: +(\d+) kB", read_text(f"/sys/devices/system/node/node{node}/meminfo"))[1]) * 1024


def last_node():
    """The NUMA node of the highest number, of several that have memory; in our machines it is small."""
    try:
        nodes = re.findall(r"\d+", read_text("/sys/devices/system/node/has_memory"))
    except OSError:
        nodes = []
    if len(nodes) < 2:
        raise Skip("there is one NUMA node alone")
    return nodes[-1]


def confine(group, node):
    """Its members have memory from @node alone."""
    if group.first:
        raise Skip("with cgroup v1 cpusets are another hierarchy")
    put(os.path.join(os.path.dirname(group.path), "cgroup.subtree_control"), "+cpuset")
    put(os.path.join(group.path, "cpuset.mems"), node)


@test("a kill because a cpuset's node is full is told as in the kernel's log", seconds=240)
@scene
def cpuset(case):
    only_a_machine_of_its_own()
    node = last_node()
    watch = Watch(case, "--json")
    with Group(case) as group:
        confine(group, node)
        program = start_hog(case, group, "alone")
        put(f"/proc/{program.pid}/oom_score_adj", "1000")
        program.tell("x")
        case.wait(program.process)
        document, wrong = told(case, watch, group, program.pid)
        wrong += the_nodes(document, case.log.kill_of(document["victim"]["thread"]), "cpuset", node)
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
        wrong += the_nodes(document, case.log.kill_of(document["victim"]["thread"]), "mempolicy", node)
    watch.stop()
    hold(wrong + of_one_node(document, "mempolicy"))


@test("a kill of who asked for memory, whoever else holds more, is told as in the kernel's log", seconds=240)
@scene
def asker(case):
    only_a_machine_of_its_own()
    node = last_node()
    watch = Watch(case, "--json")
    with Group(case) as group:
        confine(group, node)
        other = start_hog(case, group, "idle", IDLE)
        put("/proc/sys/vm/oom_kill_allocating_task", "1")
        try:
            pid, _ = run_hog(case, group, "alone")
        finally:
            put("/proc/sys/vm/oom_kill_allocating_task", "0")
        document, wrong = told(case, watch, group, pid)
    watch.stop()
    if "badness_pages" in document["victim"]:
        wrong.append(f"nobody was weighed, and the victim is {document['victim']}")
    if [row["pid"] for row in document["tasks"] if row["pid"] == other.pid] != [other.pid]:
        wrong.append(f"process {other.pid} is not among the tasks {document['tasks']}")
    hold(wrong)


@test("a kill of one whose oom_score_adj puts it below nobody is told without a badness", seconds=60)
@scene
def protected(case):
    watch = Watch(case, "--json")
    with Group(case, LIMIT) as group:
        keeper, victim = start_hog(case, group, "idle", IDLE), start_hog(case, group, "alone")
        try:
            for process, score in (keeper, "-1000"), (victim, "-900"):
                put(f"/proc/{process.pid}/oom_score_adj", score)
        except PermissionError:
            raise Skip("nobody may be protected here") from None
        victim.tell("x")
        case.wait(victim.process)
        document, wrong = told(case, watch, group, victim.pid)
    watch.stop()
    if "badness_pages" in document["victim"] or document["victim"]["oom_score_adj"] != -900:
        wrong.append(f"the victim is {document['victim']}")
    hold(wrong)


def of_one_node(document, kind):
    """What a kill because of one node has besides."""
    domain = document["domain"]
    wrong = [] if domain.get("kind") == kind and "limit_bytes" not in domain else [f"the domain is {domain}"]
    if not domain.get("free_bytes", 0) > document["victim"]["anon_rss_bytes"]:
        wrong.append(f"{domain.get('free_bytes')} bytes are free, less than on the other node")
    return wrong


def the_nodes(document, kill, kind, node):
    """Which nodes were allowed as in the kernel's log, and how much was free there and elsewhere."""
    domain, wrong = document["domain"], []
    allowed = kill["nodes"][0] if kind == "mempolicy" else kill["nodes"][1]
    if domain.get("nodes") != [int(node)] or allowed != node:
        wrong.append(f"domain.nodes are {domain.get('nodes')}, by the kernel's log {allowed}, expected {node}")
    # Nobody else is at work: what is free elsewhere now was free then.
    others = sum(free_of(name) for name in nodes_of_memory() if name != node)
    if abs(domain.get("elsewhere_free_bytes", 0) - others) > AROUND:
        wrong.append(f"{domain.get('elsewhere_free_bytes')} bytes were free elsewhere, {others} are now")
    if not 0 <= domain.get("nodes_free_bytes", -1) <= free_of(node):
        wrong.append(f"{domain.get('nodes_free_bytes')} bytes were free there, {free_of(node)} are now")
    if f"Only NUMA node {node} was allowed (by " not in document["verdict"][1] or \
            "elsewhere" not in document["verdict"][1]:
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


def off_the_file(watch, document):
    """How far the kernel's own sums are from what memory.stat said, by name. It is -1 there where it is not known."""
    said = dict(AFTERWARDS.findall(watch.talk()))[str(document["sequence"])].split()
    file = {name: int(value) for name, value in zip(said[::2], said[1::2])}
    stat = document["domain"]["stat"]
    if set(file) != set(STAT_NAMES):
        raise Failure(f"the file's names are {sorted(file)}")
    return {name: stat.get(name, -1) - value for name, value in file.items() if value >= 0}


@test("the kernel's own sums of a cgroup at a kill are what its memory.stat says if that is read at once", seconds=60)
@scene
def statistics(case):
    watch, off = Watch(case, "-v", "--json"), []
    with Group(case, LIMIT) as group:
        while len(off) < TRIES and not (off and not any(off[-1].values())):
            run_hog(case, group, "alone")
            document = watch.wait(group, len(off) + 1)[-1]
            if document["domain"].get("stat_how") != ("kernel" if kernel_tells_stat() else "file"):
                raise Failure(f"domain.stat_how is {document['domain'].get('stat_how')}")
            if not kernel_tells_stat():
                raise Skip(f"{INDEXES} is not listed here, so the file alone is read")
            off.append(off_the_file(watch, document))
    watch.stop()
    if all(row["anon"] > 0 and sum(map(abs, row.values())) == row["anon"] for row in off):
        raise Skip(f"in {len(off)} tries the file was read when the victim had begun to give back what it held")
    hold([f"off by {row}" for row in off] if any(off[-1].values()) else [])


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
        # What waits to be added up, on each CPU and of all.
        if domain["stat"]["anon"] < document["victim"]["anon_rss_bytes"] - 2 * CHARGED_AHEAD * CPUS * PAGE and \
                domain["stat_how"] == "kernel":
            wrong.append(f"domain.stat is {domain['stat']}, the victim {document['victim']}")
        if domain.get("limit_bytes") != 16 * MIB or not document["trigger"].get("gfp_mask"):
            wrong.append(f"the domain is {domain}, the trigger {document['trigger']}")
    if sorted(document["victim"]["pid"] for document in documents) != sorted(p.pid for p in crowd_of):
        wrong.append(f"the victims are {[document['victim']['pid'] for document in documents]}")
    hold(wrong)
    if all("chosen" in kill for kill in kills.values()):
        raise Skip("the kills came so slowly that the kernel's log has the context of each")


def resident(pid):
    """Bytes, and the most that they have been."""
    return [int(re.search(rf"^{name}:\s+(\d+) kB$", read_text(f"/proc/{pid}/status"), re.M)[1]) << 10
            for name in ("VmRSS", "VmHWM")]


def quiet(case, watch):
    """Until nothing more is told: what comes then is not dropped for want of room."""
    size = -1
    while size != os.path.getsize(watch.process.out):
        size = os.path.getsize(watch.process.out)
        case.sleep(2)


@test(f"{MASS} kills within a minute are told, or how many of them are not", seconds=180)
def mass(case):
    watch, running = Watch(case, "--json"), []
    with Group(case, 4) as group:
        before, start = resident(watch.process.pid)[0], time.monotonic()
        for _ in range(MASS):
            running.append(case.start([case.load("hog"), group.path, "brief"]))
            if len(running) == ABREAST:
                case.wait(running.pop(0))
        for process in running:
            case.wait(process)
        seconds, counted = time.monotonic() - start, group.kills()
        quiet(case, watch)
        last, _ = run_hog(case, group, "alone")
        case.until("the last kill", lambda: f'"victim":{{"pid":{last},' in read_text(watch.process.out))
        most = resident(watch.process.pid)[1]
    watch.stop()
    documents = watch.all()
    missing = documents[-1]["sequence"] - len(documents)
    print(f"     {counted} kills in {seconds:.1f} s, {len(documents)} told; heldby {before >> 20} MiB, "
          f"at most {most >> 20} MiB", flush=True)
    wrong = [] if documents[-1]["losses"]["detail"].get("dropped_kills", 0) == missing else \
        [f"{missing} kills were not told of, losses are {documents[-1]['losses']}"]
    if counted < MASS or documents[-1]["sequence"] <= counted:
        wrong.append(f"the kernel counts {counted} kills, the last is number {documents[-1]['sequence']}")
    if most > before + GROWTH:
        wrong.append(f"heldby took {before} bytes before and {most} at most, {GROWTH} more are allowed")
    hold(wrong)
    if seconds > 60:
        raise Skip(f"{counted} kills took {seconds:.0f} s")


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
        watch = Watch(case, "--json", "--top", "0", "--sources", "malloc,mmap", "--malloc", "exact", "-p",
                      str(program.pid))
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
    watch = Watch(case, "-v", "--json", "--top", "0", "--sources", "malloc,mmap", "--malloc", "exact", "--comm",
                  os.path.basename(name))
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


@each("direct memory of a JVM that is killed is told to the byte, {0}", javas(), seconds=90)
@scene
def direct(case, java):
    words = [f"/usr/lib/jvm/{java}/bin/java", "-Xmx1g", "-XX:+UseSerialGC", "-cp",
             os.path.dirname(case.load("java/Direct.class")), "Direct", "grow"]
    with Group(case, JVM) as group:
        program = Obedient(case, ["/bin/sh", "-c", 'echo $$ >"$0/cgroup.procs" && exec "$@"', group.path, *words])
        program.answer()
        watch = Watch(case, "--json", "--top", "0", "--sources", "malloc,mmap,direct", "--malloc", "exact", "-p",
                      str(program.pid))
        program.tell("x")
        status, document = case.wait(program.process), watch.wait(group)[0]
    watch.stop()
    truth, rows = read_lines(case.truth)[0], [row for row in document["holders"] if row["source"] == "direct"]
    wrong = whole(document) + same_context(document, case.log.kill_of(document["victim"]["thread"]))
    wrong += [f"{key} is {sum(row[key] for row in rows)}, truth {truth[key]}" for key in SUMS
              if sum(row[key] for row in rows) != truth[key]]
    if status != 137 or document["victim"]["pid"] != program.pid or any(row.get("approximate") for row in rows):
        wrong.append(f"it left with {status}, rows: {rows}")
    hold(wrong)


@test("heldby oom refuses to trace calls of processes that nobody chose, or that were chosen in two ways")
def refused(case):
    wrong = []
    for words in (["--sources", "malloc"], ["-p", "1", "--comm", "init"], ["--sources", "mmap,nothing", "--all"]):
        status = case.wait(case.start([case.place.heldby, "oom", *words]))
        if status != 2:
            wrong.append(f"{words} left with {status}, expected 2")
    hold(wrong)
