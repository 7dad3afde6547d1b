# SPDX-License-Identifier: Apache-2.0
"""
Kills for want of memory as heldby oom tells them, against what the kernel writes into its own log about the same
kill. The victims live in memory cgroups of the test's own, v1 or v2; what others are killed meanwhile is left out.
"""

import collections
import ctypes
import errno
import fcntl
import glob
import json
import math
import os
import platform
import secrets
import select
import signal
import stat
import struct
import subprocess
import time

from cases_mmap import Obedient
from cases_oom_reading import mounted
from cases_pages_kernel import swap
from check import EXCUSED, hold
from harness import Failure, Skip, children_of, put, read_lines, read_text, session_of
from oomlog import PAGE, Log, allowed_pages, same_context, same_numbers, same_stat, same_tasks, wait_for_contexts
from registry import all_alone

test, each = all_alone("every heldby oom tells of every kill, and reads while others die")
MIB = 1 << 20
LIMIT = 64            # MiB, of most cgroups here
SWAPPED = 32          # that may be swapped out beside it
IDLE, FILL = 40, 36   # of them: the idle one, and what is asked for then
ROOM = (256, 235, 32) # where a second kill is looked for: limit, idle, asked for
ROW = 20
TEAM = 20             # processes of a MiB each
MANY = os.environ.get("HELDBY_TEST_KILLS")    # so many kills with heldby oom, and without it
BLOCK = 20                                    # of them in a row
BARE = BLOCK if MANY else 5                   # without, before each block
ROUNDS = max(int(MANY or 40) // BLOCK, 1) * BLOCK
CROWD = 100           # processes of a MiB each
STRANGE, LONG = b"h\xff\x1b\xc3g", b"wide" * 3 + b"\xfe"
BOUND = 4             # standard errors: once in 15,000
USER = 4242           # of hog's child
GLOBAL = "HELDBY_TEST_GLOBAL_OOM"
HUGE_PAGES, SPARE = "/proc/sys/vm/nr_hugepages", 256
BPF_CALL = {"x86_64": 321, "aarch64": 280}
GET_FD = {"prog_id": 13, "map_id": 14, "link_id": 30}  # BPF_*_GET_FD_BY_ID


def first_version():
    """Whether the memory controller is that of cgroup v1."""
    return mounted("cgroup") is not None


def whole(document):
    """What holds for every postmortem."""
    wrong, victim = [], document["victim"]
    if document.get("schema") != "heldby.postmortem/1":
        wrong.append(f"schema is {document.get('schema')}")
    if not document["verdict"] or not all(document["verdict"]):
        wrong.append(f"the verdict is {document['verdict']}")
    if [row["pid"] for row in document["tasks"] if row["victim"]] != [victim["pid"]]:
        wrong.append(f"the victims among the tasks are not {victim['pid']} alone: "
                     f"{[(row['pid'], row['victim']) for row in document['tasks']]}")
    if "hog" in victim["comm"] and victim["outcome"] == "killed" and "hog" not in victim.get("cmdline", ""):
        wrong.append(f"victim.cmdline is {victim.get('cmdline')}")
    if set(document["losses"].get("detail", {})) - {"huge_pages_unseen", "skipped_probes" if EXCUSED else ""}:
        wrong.append(f"losses are {document['losses']}")
    return wrong


class Group:
    """A memory cgroup of the test's own, without swap. @mebibytes: its limit, or none. @name: not one of its own."""

    def __init__(self, case, mebibytes=None, parent=None, name=None):
        self.case = case
        self.first = first_version()
        self.top = mounted("cgroup") or mounted("cgroup2")
        if not self.top:
            raise Skip("no memory controller is mounted")
        above = parent.path if parent else self.top
        self.name = name or f"heldby-test-{secrets.token_hex(8)}"
        self.path = os.path.join(above, self.name)
        control = os.path.join(above, "cgroup.subtree_control")
        try:
            if not self.first and "memory" not in read_text(control).split():
                put(control, "+memory")
            os.mkdir(self.path)
        except OSError as error:
            raise Skip(f"no memory cgroup can be made: {error}") from None
        if mebibytes:
            self.limit(mebibytes * MIB)

    def limit(self, count):
        rows = [("memory.swappiness", 0), ("memory.limit_in_bytes", count), ("memory.memsw.limit_in_bytes", count)] \
            if self.first else [("memory.max", count), ("memory.swap.max", 0)]
        for name, value in rows:
            if os.path.exists(os.path.join(self.path, name)):
                put(os.path.join(self.path, name), str(value))

    def kills(self):
        """The kernel's own count."""
        for line in read_text(os.path.join(self.path, "memory.oom_control" if self.first else
                                           "memory.events")).splitlines():
            name, _, value = line.partition(" ")
            if name == "oom_kill":
                return int(value)
        raise Skip("this kernel does not count the kills of a cgroup")

    def owns(self, document):
        return any(f"/{self.name}" in (document[part].get("cgroup") or "") for part in ("victim", "domain"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for _ in range(200):
            for pid in read_text(os.path.join(self.path, "cgroup.procs")).split():
                try:
                    os.kill(int(pid), signal.SIGKILL)
                except ProcessLookupError:
                    pass
            for process in self.case.started:
                process.poll()
            try:
                os.rmdir(self.path)
                return
            except OSError:
                time.sleep(0.02)
        raise Failure(f"{self.path} cannot be removed")


class Watch:
    """heldby oom, once it is ready. @before: a command that becomes the one behind it."""

    def __init__(self, case, *options, stdout=None, before=()):
        self.case = case
        self.process = case.start([*before, case.place.heldby, "oom", *options], stdout=stdout)
        case.until("heldby: ready", lambda: "heldby: ready" in self.talk() or self.process.poll() is not None)
        if self.process.poll() is not None:
            raise Failure(f"heldby oom left with {self.process.returncode}", *self.talk().splitlines()[-8:])

    def talk(self):
        return read_text(self.process.err)

    def all(self):
        """Every document that is whole."""
        return [json.loads(line) for line in read_text(self.process.out).split("\n")[:-1]]

    def of(self, group):
        return [document for document in self.all() if group.owns(document)]

    def wait(self, group, count=1):
        """The first @count kills of @group, when they are told."""
        end = time.monotonic() + min(self.case.left(), 10 + count)
        while len(self.of(group)) < count:
            if time.monotonic() > end or self.process.poll() is not None:
                raise Failure(f"{len(self.of(group))} postmortems, expected {count}", *self.talk().splitlines()[-8:])
            time.sleep(0.02)
        return self.of(group)[:count]

    def stop(self, number=signal.SIGINT):
        self.process.send_signal(number)
        status = self.case.wait(self.process)
        if status:
            raise Failure(f"heldby oom left with {status}, expected 0", *self.talk().splitlines()[-8:])


def has_pressure(group):
    """Whether its pressure can be read: it belongs to cgroup v2, and may be disabled."""
    try:
        return read_text(os.path.join(group.path, "memory.pressure")).startswith("some")
    except OSError:
        return False


def start_hog(case, group, mode, *more):
    """A member of @group that has said that it is ready."""
    program = Obedient(case, [case.load("hog"), group.path, mode, *map(str, more)])
    program.answer()
    return program


def run_hog(case, group, mode, *more, status=137):
    """From its start to its end; its pid and what it said."""
    program = start_hog(case, group, mode, *more)
    program.tell("x")
    said = program.process.stdout.read().decode()
    if case.wait(program.process) != status:
        raise Failure(f"hog {mode} left with {program.process.returncode}, expected {status}",
                      *read_text(program.process.err).splitlines())
    return program.pid, said


def told(case, watch, group, pid=None, threads=0, kills=1):
    """The first of @kills of @group, of process @pid: returned, and what is wrong. @threads: it had so many."""
    document = watch.wait(group)[0]
    wrong = [] if document["victim"]["pid"] == pid or pid is None else \
        [f"the victim is {document['victim']['pid']}, expected {pid}"]
    kill = case.log.kill_of(document["victim"]["thread"])
    wrong += whole(document) + same_numbers(document, kill, threads) + same_context(document, kill)
    if document["domain"]["kind"] == "memcg":
        wrong += same_stat(document, kill, threads) + same_tasks(document, kill, threads)
    case.sleep(0.2)
    extra = len(watch.of(group)) - kills
    return document, wrong + ([f"{extra} postmortems more than kills"] if extra else [])


def scene(function):
    """The test has the kernel's log from here on as case.log, with room for the context of its kills."""
    def inner(case, *words):
        wait_for_contexts(case)
        with Log() as case.log:
            return function(case, *words)
    return inner


# --- one kill ---

@test("a kill at the victim's own limit is told as in the kernel's log", seconds=40)
@scene
def own(case):
    watch = Watch(case, "--json")
    with Group(case, LIMIT) as group:
        pid, _ = run_hog(case, group, "alone")
        document, wrong = told(case, watch, group, pid)
        if ("pressure" in document["domain"]) != has_pressure(group):
            wrong.append(f"domain.pressure is {document['domain'].get('pressure')}")
    watch.stop()
    levels = document["domain"].get("levels", [])
    if not levels or levels[0].get("limit_bytes") != LIMIT * MIB:
        wrong.append(f"domain.levels are {levels}")
    functions = [frame.get("function", "?") for frame in document["trigger"]["frames"]]
    if document["trigger"].get("pid") != pid or "out_of_memory" not in functions or \
            not {"hold_most", "hold_rest"} & set(functions):
        wrong.append(f"the trigger is {document['trigger']}")
    hold(wrong)


@test("a kill at a parent's limit is told with the parent as its domain", seconds=40)
@scene
def parents(case):
    watch = Watch(case, "--json")
    with Group(case, LIMIT) as parent, Group(case, parent=parent) as group:
        pid, _ = run_hog(case, group, "alone")
        document, wrong = told(case, watch, group, pid)
    watch.stop()
    domain = document["domain"]
    names = [os.path.basename(level.get("cgroup") or "") for level in domain.get("levels", [])]
    if os.path.basename(domain.get("cgroup") or "") != parent.name or names[:2] != [group.name, parent.name]:
        wrong.append(f"the domain is {domain}")
    if "limit_bytes" in (domain.get("levels") or [{}])[0]:
        wrong.append(f"the victim's own cgroup has no limit: {domain['levels'][0]}")
    hold(wrong)


@test("a kill at the limit of memory and swap together is told with that limit, and with what was swapped out",
      seconds=60)
@scene
def with_swap(case):
    if not first_version():
        raise Skip("cgroup v2 limits swap by itself")
    watch = Watch(case, "--json")
    with swap(), Group(case) as group:
        if not os.path.exists(os.path.join(group.path, "memory.memsw.limit_in_bytes")):
            raise Skip("this kernel does not count swap")
        for name, count in (("memory.limit_in_bytes", LIMIT), ("memory.memsw.limit_in_bytes", LIMIT + SWAPPED)):
            put(os.path.join(group.path, name), str(count * MIB))
        pid, _ = run_hog(case, group, "alone")
        document, wrong = told(case, watch, group, pid)
    watch.stop()
    domain, victim = document["domain"], document["victim"]
    if (domain.get("counter"), domain.get("limit_bytes")) != ("memory+swap", (LIMIT + SWAPPED) * MIB):
        wrong.append(f"the domain is {domain}")
    if victim["swap_bytes"] < SWAPPED * MIB // 2 or not any("swap" in words for words in document["verdict"]):
        wrong.append(f"{victim['swap_bytes']} bytes are swapped out, and the verdict is {document['verdict']}")
    hold(wrong)


@test("a child that is killed is told, and its parent lives on", seconds=40)
@scene
def childs(case):
    watch = Watch(case, "--json")
    with Group(case, LIMIT) as group:
        pid, said = run_hog(case, group, "child", status=0)
        document, wrong = told(case, watch, group)
    watch.stop()
    victim, rows = document["victim"], {row["pid"]: row for row in document["tasks"]}
    if said != "child 9\n" or victim["pid"] == pid:
        wrong.append(f"the victim is {victim['pid']}, the parent {pid} said {said!r}")
    if victim["uid"] != USER or victim["shmem_rss_bytes"] < 3 * MIB - allowed_pages(0) * PAGE:
        wrong.append(f"the victim is {victim}")
    if pid not in rows or rows[pid]["victim"]:
        wrong.append(f"the parent {pid} is not among the other tasks: {rows}")
    hold(wrong)


@test("a process of eight threads that is killed is told once", seconds=40)
@scene
def threads_of_one(case):
    watch = Watch(case, "--json")
    with Group(case, LIMIT) as first, Group(case, LIMIT) as group:
        run_hog(case, first, "alone")
        known = watch.wait(first)  # and its file's unwind rows are read now
        pid, _ = run_hog(case, group, "threads")
        document, wrong = told(case, watch, group, pid, threads=8)
        run_hog(case, group, "alone")
        wrong += no_gap(known + watch.wait(group, 2))  # however often its threads were marked as they died
    watch.stop()
    hold(wrong + the_threads(document))


def the_threads(document):
    """Eight of nine, one of which waits while the others grow."""
    wrong, threads = [], document["victim"].get("threads", [])
    if not min(8, document["victim"]["threads_count"]) <= len({thread["thread"] for thread in threads}) <= 8:
        wrong.append(f"{len(threads)} threads are told: {threads}")
    for thread in threads:
        functions = [frame.get("function", "?") for frame in thread["frames"]]
        expected = "pause" if thread["thread"] == document["victim"]["pid"] else "grow_too"
        if thread["comm"] != "hog" or expected not in functions:
            wrong.append(f"{expected} is not in {functions} of {thread}")
    return wrong


@test("an idle process that is killed is told with the one that asked for memory", seconds=40)
@scene
def idle(case):
    watch = Watch(case, "--json")
    with Group(case, LIMIT) as group:
        victim = start_hog(case, group, "idle", IDLE)
        program = start_hog(case, group, "fill", FILL)
        program.tell("x")
        case.wait(program.process)  # some kernels kill it, too, before the other's memory is back
        document, wrong = told(case, watch, group, victim.pid, kills=group.kills())
        if case.wait(victim.process) != 137:
            wrong.append(f"the victim left with {victim.process.returncode}")
    watch.stop()
    if document["trigger"].get("pid") != program.pid or document["victim"]["oom_score_adj"] != 1000:
        wrong.append(f"the trigger is {document['trigger']}")
    hold(wrong)


@test("the past of a domain and of its largest processes is told with a kill at a parent's limit", seconds=40)
def past(case):
    watch = Watch(case, "--json")
    with Group(case, LIMIT) as parent, Group(case, parent=parent) as other, Group(case, parent=parent) as group:
        team = start_hog(case, other, "team", TEAM)
        program = start_hog(case, group, "alone")
        case.sleep(3.5)  # a sample is taken each second
        program.tell("x")
        case.wait(program.process)
        document = watch.wait(parent)[0]
        members = {team.pid, *children_of(team.pid)}
    watch.stop()
    history, wrong = document["history"], whole(document)
    # What the others held is in the domain's, and so is the victim's own.
    if len(history) < 2 or not all(sample["rss_bytes"] + TEAM * MIB <= sample.get("cgroup_bytes", 0) < LIMIT * MIB
                                   for sample in history):
        wrong.append(f"the history is {history}")
    pasts = {row["pid"]: row["history"] for row in document["tasks"] if "history" in row}
    if len(pasts) != 3 or not set(pasts) <= members:
        wrong.append(f"of {sorted(members)} the past is told of {sorted(pasts)}")
    for samples in pasts.values():
        if [sample["age_s"] for sample in samples][-len(history):] != [sample["age_s"] for sample in history] or \
                not all(MIB <= sample["rss_bytes"] < 4 * MIB for sample in samples):
            wrong.append(f"a past is {samples}, the victim's {history}")
    hold(wrong)


@test("a small victim among more processes than are shown is one of those", seconds=60)
@scene
def crowd(case):
    watch = Watch(case, "--json")
    with Group(case, CROWD + 96) as group:
        start_hog(case, group, "team", CROWD)
        victim = start_hog(case, group, "idle", 0)
        run_hog(case, group, "fill", 128)
        document = watch.wait(group)[0]
    watch.stop()
    wrong = whole(document)
    if document["victim"]["pid"] != victim.pid:
        wrong.append(f"the victim is {document['victim']['pid']}, expected {victim.pid}")
    if document.get("tasks_total_count", len(document["tasks"])) != CROWD + 3:
        wrong.append(f"{document.get('tasks_total_count')} tasks in all, expected {CROWD + 3}")
    hold(wrong)


@test("a victim that lived for a few milliseconds in a cgroup that is gone is told whole", seconds=40)
@scene
def brief(case):
    watch = Watch(case, "--json")
    with Group(case, 8) as known, Group(case, 8) as group:
        start_hog(case, known, "idle", 0)
        case.sleep(1)  # its file's unwind rows are read now: that takes longer than the victim lives
        start = time.monotonic()
        process = case.start([case.load("hog"), group.path, "brief"])
        status, lived = case.wait(process), time.monotonic() - start
    (document, wrong), held = told(case, watch, group, process.pid), collections.Counter()
    watch.stop()
    for row in document["holders"]:
        held.update({frame.get("function"): row["outstanding_bytes"] for frame in row["frames"]})
    # It has some twenty samples. That a third of them misses hold_rest is rare, but no error.
    if not 4 * MIB <= held["hold_most"] + held["hold_rest"] <= held["grow"] <= held["main"]:
        wrong.append(f"by function it held {dict(held)}")
    if status != 137 or not 0 < document["victim"]["lifetime_s"] <= lived:
        wrong.append(f"it left with {status} after at most {lived:.3f} s; victim: {document['victim']}")
    hold(wrong)


@test("a victim whose name is no text and whose command line is long is told as text", seconds=40)
def strange(case):
    name = os.path.join(os.fsencode(case.folder), STRANGE)
    os.symlink(case.load("hog"), name)
    watch = Watch(case, "--json")
    with Group(case, 16) as group:
        words = [name, os.fsencode(group.path), b"alone", b"0", os.fsencode(case.path("touched")), *[LONG] * 300]
        case.wait(case.start(words))
        watch.wait(group)
    watch.stop()
    with open(watch.process.out, "rb") as file:
        document = next(filter(group.owns, map(json.loads, file.read().decode().splitlines())))
    victim, wrong = document["victim"], []
    if not victim["comm"].startswith("h") or not victim["comm"].endswith("g") or len(victim["comm"]) > 8:
        wrong.append(f"victim.comm is {victim['comm']!r}")
    if not victim["cmdline"].startswith(f"{case.folder}/h") or LONG.decode("utf-8", "replace")[:4] not in \
            victim["cmdline"]:
        wrong.append(f"victim.cmdline is {victim['cmdline']!r}")
    hold(wrong)


@test("what the victim held is told by stack, as near the truth as its standard errors say", seconds=40)
@scene
def holders(case):
    watch, file = Watch(case, "--json"), case.path("touched")
    with Group(case, LIMIT) as group:
        program = start_hog(case, group, "alone", 0, file)
        time.sleep(0.5)  # its file is new: the rows for its stacks are read when it is first needed
        program.tell("x")
        case.wait(program.process)
        document = watch.wait(group)[0]
    watch.stop()
    with open(file, "rb") as touched:
        truth = dict(zip(("hold_most", "hold_rest"), struct.unpack("=QQ", touched.read())))
    wrong = whole(document)
    for function, expected in truth.items():
        rows = [row for row in document["holders"] if row["source"] == "pages" and
                function in [frame.get("function") for frame in row["frames"]]]
        held = sum(row["outstanding_bytes"] for row in rows)
        error = math.sqrt(sum(row["standard_error_bytes"] ** 2 for row in rows))
        if not rows or abs(held - expected) > BOUND * error + PAGE:
            wrong.append(f"{function} held {held / MIB:.2f} MiB, in truth {expected / MIB:.2f}, which is not within "
                         f"{BOUND} x {error / MIB:.2f}")
    resident = document["victim"]["anon_rss_bytes"] + document["victim"]["shmem_rss_bytes"]
    if document.get("holders_explained_bytes", 0) < 0.8 * resident:
        wrong.append(f"{document.get('holders_explained_bytes')} of {resident} bytes are explained")
    hold(wrong)


@test("a JVM that dies of direct memory is told with what held it", seconds=90)
@scene
def jvm(case):
    folder, found = os.path.dirname(case.load("java/Direct.class")), sorted(glob.glob("/usr/lib/jvm/*/bin/java"))
    if not found:
        raise Skip("no java is installed")
    watch = Watch(case, "--json")
    with Group(case, 160) as group:
        process = case.start(["/bin/sh", "-c", 'echo $$ >"$0/cgroup.procs" && exec "$@"', group.path, found[0],
                              "-Xmx32m", "-XX:MaxDirectMemorySize=4g", "-cp", folder, "Direct", "churn"])
        status = case.wait(process)
        document = watch.wait(group)[0]
    watch.stop()
    kill = case.log.kill_of(document["victim"]["thread"])
    victim, allowed = document["victim"], allowed_pages(64) * PAGE
    wrong = whole(document) + same_context(document, kill)
    if status != 137 or victim["comm"] != "java" or victim["pid"] != process.pid:
        wrong.append(f"it left with {status}; victim: {victim}")
    if abs(victim["anon_rss_bytes"] - kill["numbers"][1] * 1024) > allowed:
        wrong.append(f"victim.anon_rss_bytes is {victim['anon_rss_bytes']}, by the log {kill['numbers'][1] * 1024}")
    if not document["holders"] or document.get("holders_explained_bytes", 0) < victim["anon_rss_bytes"] / 2:
        wrong.append(f"{len(document['holders'])} holders explain {document.get('holders_explained_bytes')} bytes")
    hold(wrong)


# --- more than one victim ---

@test("a group that is killed together is one incident of all its members", seconds=40)
@scene
def together(case):
    if first_version():
        raise Skip("memory.oom.group belongs to cgroup v2")
    watch = Watch(case, "--json")
    with Group(case, LIMIT) as group:
        put(os.path.join(group.path, "memory.oom.group"), "1")
        program = start_hog(case, group, "team", 2)
        members = {program.pid, *children_of(program.pid)}
        program.tell("x")
        case.wait(program.process)
        documents = watch.wait(group, len(members))
    watch.stop()
    first = documents[0]["sequence"]
    victims = [document["victim"]["pid"] for document in documents]
    groups = [document.get("group") for document in documents]
    wrong = [] if sorted(victims) == sorted(members) else [f"the victims are {victims}, expected {members}"]
    if groups != [None] + [first] * (len(members) - 1):
        wrong.append(f"the groups are {groups}, the first's sequence {first}")
    if [document.get("group_count", 1) for document in documents] != list(range(1, len(members) + 1)):
        wrong.append(f"the groups' counts are {[document.get('group_count') for document in documents]}")
    for document in documents:
        wrong += whole(document) + same_numbers(document, case.log.kill_of(document["victim"]["thread"]))
    hold(wrong)


class Reserved:
    """What memory is free but for SPARE MiB, as huge pages: so much less is to be used up a page at a time."""

    def __init__(self):
        with open("/proc/meminfo", encoding="ascii") as file:
            rows = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in file}
        self.before = read_text(HUGE_PAGES)
        self.count = max(0, rows["MemFree"] - SPARE * MIB) // rows.get("Hugepagesize", 2 * MIB)

    def __enter__(self):
        if self.before:
            put(HUGE_PAGES, str(self.count))

    def __exit__(self, *_):
        if self.before:
            put(HUGE_PAGES, self.before)


@test("a kill because the host is full is told as in the kernel's log", seconds=240)
@scene
def everywhere(case):
    if os.environ.get(GLOBAL) != "1":
        raise Skip(f"it uses this host up: {GLOBAL}=1 allows that")
    if os.sysconf("SC_PHYS_PAGES") * PAGE > 8 << 30:
        raise Skip("there is too much memory to use up")
    watch = Watch(case, "--json")
    with Reserved(), Group(case) as group:
        program = start_hog(case, group, "alone")
        put(f"/proc/{program.pid}/oom_score_adj", "1000")
        program.tell("x")
        case.wait(program.process)
        document, wrong = told(case, watch, group, program.pid)
    watch.stop()
    if "limit_bytes" in document["domain"]:
        wrong.append(f"the domain is {document['domain']}")
    hold(wrong)


def in_a_row(case, group, count):
    """The victims, one after the other."""
    return [run_hog(case, group, "alone")[0] for _ in range(count)]


def no_gap(documents):
    """Of all that heldby told, others' victims included."""
    got = [document["sequence"] for document in documents]
    return [] if got == list(range(1, len(got) + 1)) else [f"the sequence is {got}"]


@test(f"{ROW} kills in a row are told one by one, each with those before it", seconds=90)
@scene
def row(case):
    watch = Watch(case, "--json")
    with Group(case, 16) as group:
        pids = in_a_row(case, group, ROW)
        documents, kills = watch.wait(group, ROW), group.kills()
    watch.stop()
    wrong = no_gap(watch.all())
    if [document["victim"]["pid"] for document in documents] != pids or kills != ROW:
        wrong.append(f"the victims are {[document['victim']['pid'] for document in documents]}, expected {pids}; "
                     f"the kernel counts {kills}")
    before = [document.get("kills_before", {}).get("count", 0) for document in documents]
    if before != list(range(ROW)):
        wrong.append(f"kills_before are {before}")
    for document in documents:
        wrong += whole(document) + same_numbers(document, case.log.kill_of(document["victim"]["thread"]))
    hold(wrong)


def kills_of_rounds(case, group, count):
    """The kernel's count of each; an idle process is killed for one that asks for memory."""
    kills = []
    for _ in range(count):
        before = group.kills()
        victim, newcomer = start_hog(case, group, "idle", ROOM[1]), start_hog(case, group, "fill", ROOM[2])
        newcomer.tell("x")
        case.wait(newcomer.process)
        if case.wait(victim.process) != 137:
            raise Failure(f"the victim left with {victim.process.returncode}")
        kills.append(group.kills() - before)
    return kills


def no_more_often(bare, watched):
    """Whether second kills are no more often in @watched rounds than in @bare ones, within three standard errors."""
    often, more = sum(bare) / len(bare) - 1, sum(watched) / len(watched) - sum(bare) / len(bare)
    return more <= 3 * math.sqrt(max(often * (1 - often), 0) * (1 / len(bare) + 1 / len(watched)))


@test(f"nobody else is killed with {ROUNDS} victims that heldby oom tells of", seconds=3 * ROUNDS)
def nobody_else(case):
    bare, watched, wrong = [], [], []
    while len(watched) < ROUNDS:
        with Group(case, ROOM[0]) as group:
            bare += kills_of_rounds(case, group, BARE)
        watch = Watch(case, "--json")
        with Group(case, ROOM[0]) as group:
            kills = kills_of_rounds(case, group, BLOCK)
            documents = watch.wait(group, sum(kills))
        watch.stop()
        watched += kills
        wrong += [line for document in documents for line in whole(document)]
        if len(watch.of(group)) != sum(kills):
            wrong.append(f"{len(watch.of(group))} postmortems of {sum(kills)} kills")
    print(f"     kills of {len(bare)} victims without heldby oom: {sum(bare)}; of {len(watched)} with it: "
          f"{sum(watched)}", flush=True)
    hold(wrong)
    if sum(bare) != len(bare):
        with Group(case, ROOM[0]) as group: # it happens here by itself: how often, fewer rounds do not tell
            bare += kills_of_rounds(case, group, len(watched))
    if sum(bare) != len(bare) and no_more_often(bare, watched):
        raise Skip(f"without heldby the kills in each round are {bare}, with it {watched}")
    hold([] if sum(watched) == len(watched) else [f"kills in each round: {watched}, expected 1"])


# --- how it is told ---

def kept_in(folder):
    """The documents of a folder of reports, in the order of their names."""
    return [document for name in sorted(os.listdir(folder)) if name.endswith(".json")
            for document in read_lines(os.path.join(folder, name))]


@test("the postmortems of --reports are files, each with the document of one kill, the last so many", seconds=60)
def reports(case):
    folder = case.path("reports")
    watch = Watch(case, "--json", "--reports", folder)
    with Group(case, 16) as group:
        in_a_row(case, group, 5)
        watch.wait(group, 5)
        watch.stop()
        names, first = sorted(os.listdir(folder)), kept_in(folder)
        wrong = [f"{name} is not a plain file" for name in names
                 if not stat.S_ISREG(os.lstat(os.path.join(folder, name)).st_mode)]
        put(os.path.join(folder, "notes.json"), "{}")
        stale, fresh, strange = "20260101T000000.000Z-1-7.json.part", "20260101T000000.000Z-1-8.json.part", "a.part"
        for name in (stale, fresh, strange):
            with open(os.path.join(folder, name), "wb"):
                pass
        for name in (stale, strange):
            os.utime(os.path.join(folder, name), (0, 0))
        again = Watch(case, "--json", "--reports", folder, "--max-reports", "3")
        left = [name for name in (stale, fresh, strange) if os.path.exists(os.path.join(folder, name))]
        wrong += [] if left == [fresh, strange] else [f"of what was being written {left} is left"]
        in_a_row(case, group, 2)
        again.wait(group, 2)
        again.stop()
    os.unlink(os.path.join(folder, "notes.json"))
    if sorted(name[:-5] for name in names if name.endswith(".json")) != \
            sorted(name[:-7] for name in names if name.endswith(".folded")):
        wrong.append(f"the files are {names}")
    if first != watch.all():
        wrong.append(f"the documents of {names} are not those of stdout")
    if kept_in(folder) != (watch.all() + again.all())[-3:]:
        wrong.append(f"the last three are not those kept: {sorted(os.listdir(folder))}")
    hold(wrong)


@test("of the files of --reports the oldest go where they are more than --max-report-bytes", seconds=60)
def few_bytes(case):
    folder = case.path("reports")
    watch = Watch(case, "--json", "--reports", folder)
    with Group(case, 16) as group:
        in_a_row(case, group, 3)
        documents = watch.wait(group, 3)
        watch.stop()
        sizes = [os.path.getsize(os.path.join(folder, name)) for name in sorted(os.listdir(folder))]
        allowed = 2 * max(sizes) + sum(sizes) // len(sizes)  # a kill and its stacks, and some of another
        watch = Watch(case, "--json", "--reports", folder, "--max-report-bytes", str(allowed))
        run_hog(case, group, "alone")
        documents += watch.wait(group)
        watch.stop()
    left = [os.path.getsize(os.path.join(folder, name)) for name in os.listdir(folder)]
    kept = kept_in(folder)
    wrong = [] if sum(left) <= allowed else [f"{sum(left)} bytes are left, {allowed} are allowed"]
    if not 1 <= len(kept) < len(documents) or kept != documents[-len(kept):]:
        wrong.append(f"{len(kept)} of {len(documents)} are kept, not the last ones")
    hold(wrong)


@test("kills while nobody reads what heldby writes are all told later", seconds=60)
@scene
def slowly(case):
    watch = Watch(case, "--json", stdout=subprocess.PIPE)
    pipe, text, documents = watch.process.stdout.fileno(), b"", []
    fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PAGE)
    with Group(case, 16) as group:
        pids = in_a_row(case, group, 12)
        while sum(group.owns(document) for document in documents) < len(pids):
            if not select.select([pipe], [], [], case.left())[0]:
                continue  # left() fails when there is no time
            text += os.read(pipe, 512)
            documents = [json.loads(line) for line in text.split(b"\n")[:-1]]
    fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, MIB)  # for what others are killed meanwhile
    watch.stop()
    victims = [document["victim"]["pid"] for document in documents if group.owns(document)]
    wrong = no_gap(documents)
    if victims != pids:
        wrong.append(f"the victims are {victims}, expected {pids}")
    for document in documents:
        if group.owns(document):
            wrong += same_numbers(document, case.log.kill_of(document["victim"]["thread"]))
    hold(wrong)


@test("heldby oom that writes to a pipe nobody reads can be ended")
@scene
def unread(case):
    watch = Watch(case, "--json", stdout=subprocess.PIPE)
    fcntl.fcntl(watch.process.stdout.fileno(), fcntl.F_SETPIPE_SZ, PAGE)
    with Group(case, 16) as group:
        in_a_row(case, group, 3)
        case.sleep(3)
        watch.process.send_signal(signal.SIGINT)
        status, talk = case.wait(watch.process), read_text(watch.process.err)
    hold([] if status == 1 and "nobody reads" in talk else [f"it left with {status}: {talk}"])


@each("heldby oom ends in order by {0}", ["SIGINT", "SIGTERM"], seconds=40)
def in_order(case, name):
    watch = Watch(case)
    with Group(case, 16) as group:
        pid, _ = run_hog(case, group, "alone")
        case.until("the text", lambda: str(pid) in read_text(watch.process.out))
    watch.stop(getattr(signal, name))
    text = read_text(watch.process.out)
    hold([] if "hog" in text and group.name in text else [f"the text is {text!r}"])


@test("heldby oom --count 3 tells of three kills and ends, and -q says nothing else", seconds=40)
def counted(case):
    process = case.start([case.place.heldby, "oom", "--json", "--count", "3", "-q"])
    with Group(case, 16) as group:
        deadline = time.monotonic() + 20
        while process.poll() is None and time.monotonic() < deadline:
            run_hog(case, group, "alone")
    status, documents = case.wait(process), read_lines(process.out)
    wrong = [] if status == 0 and len(documents) == 3 else [f"it left with {status} after {len(documents)} kills"]
    hold(wrong + ([f"it said {read_text(process.err)!r}"] if read_text(process.err) else []))


def held_by(pid):
    """(kind, id) of every BPF program, map and link that the process has open."""
    found = set()
    for name in os.listdir(f"/proc/{pid}/fdinfo"):
        for line in read_text(f"/proc/{pid}/fdinfo/{name}").splitlines():
            kind, _, value = line.partition(":")
            if kind in GET_FD:
                found.add((kind, int(value)))
    return found


def exists(kind, number):
    """Whether the kernel still has it."""
    attr = ctypes.create_string_buffer(struct.pack("=I124x", number))
    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.syscall(BPF_CALL[platform.machine()], GET_FD[kind], attr, len(attr.raw) - 1)
    if fd >= 0:
        os.close(fd)
    elif ctypes.get_errno() != errno.ENOENT:
        raise Failure(f"bpf({GET_FD[kind]}): {os.strerror(ctypes.get_errno())}")
    return fd >= 0


@test("heldby oom that is killed leaves nothing in the kernel, no process, and only whole files", seconds=60)
def killed(case):
    if platform.machine() not in BPF_CALL:
        raise Skip("bpf() has another number here")
    folder = case.path("reports")
    watch = Watch(case, "--json", "--reports", folder)
    with Group(case, 16) as group:
        in_a_row(case, group, 3)
        kernel = held_by(watch.process.pid)
        watch.process.kill()
        case.wait(watch.process)
        run_hog(case, group, "alone")
    if not {"prog_id", "map_id"} <= {kind for kind, _ in kernel}:
        raise Failure(f"heldby oom held {sorted(kernel)}")
    case.until("its programs to go", lambda: not any(exists(*row) for row in kernel if row[0] != "map_id"))
    case.until("its maps to go", lambda: not any(exists(*row) for row in kernel))
    left = [name for name in os.listdir("/proc") if name.isdigit() and session_of(name) == watch.process.pid]
    hold([f"process {pid} lives on" for pid in left] +
         [f"a file's document is {document}" for document in kept_in(folder) if "victim" not in document])
