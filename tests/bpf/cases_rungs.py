# SPDX-License-Identifier: Apache-2.0
"""Every way to attach gives the same numbers; what this kernel refuses is skipped with its reason."""

import functools
import os
import re
import secrets
import shutil
import subprocess

from cases_attach import Target, verdict
from cases_oom import LIMIT, Group, Watch, first_version, run_hog, scene, start_hog, told as told_of_kill
from check import exact, hold
from harness import Failure, Skip, read_text
from libraries import library
from oomlog import CONCLUDED, same_context
from registry import all_alone, each, test

RUNGS = ("uprobe.session", "uprobe.multi", "uprobe")
OOM_RUNGS = ("kprobe", "fentry", "stack", "none")
WORKS, REFUSED = re.compile(r"^  ok +(\S+)"), re.compile(r"^  NO +(\S+) +(.*)$")


@functools.lru_cache(None)
def doctor(heldby):
    """What doctor says of each rung: None if it works, else why not."""
    result = subprocess.run([heldby, "doctor", "-p", "1"], stdout=subprocess.PIPE, check=False)
    said = {}
    for line in result.stdout.decode("utf-8", "replace").splitlines():
        if match := WORKS.match(line):
            said[match[1]] = None
        elif match := REFUSED.match(line):
            said[match[1]] = match[2]
    return said


def need(case, rung):
    said = doctor(case.place.heldby)
    if rung not in said:
        raise Failure(f"doctor says nothing of {rung}")
    if said[rung] is not None:
        raise Skip(said[rung])
    return ["--rung", rung]


@test("doctor says of every rung that it works or why it is refused")
def told(case):
    said = doctor(case.place.heldby)
    hold([f"doctor says nothing of {rung}" for rung in RUNGS if rung not in said])


@each("{0} refuses a kernel below 5.10 and says what it needs",
      [("top", ["top", "-p", "1", "1", "1"]), ("run", ["run", "--", "/bin/true"]), ("oom", ["oom"]),
       ("doctor", ["doctor", "-p", "1"])])
def too_old(case, _, words):
    """The kernel's own way to be taken for another: uname says 2.6."""
    if not shutil.which("setarch"):
        raise Skip("setarch is not on this machine")
    process = case.start(["setarch", os.uname().machine, "--uname-2.6", case.place.heldby, *words])
    status, said = case.wait(process), read_text(process.out if words[0] == "doctor" else process.err)
    wrong = [f"exit status is {status}, expected 1"] if status != 1 else []
    if "this kernel is too old: Linux 5.10 or newer is needed" not in said:
        wrong.append(f"it says {said!r}")
    hold(wrong)


@test("doctor describes the processes chosen by name, by cgroup and by both, and says when there are none")
def chosen(case):
    name = os.path.join(case.folder, f"hot{secrets.token_hex(4)}")
    os.symlink(case.load("hot"), name)
    target = case.start([name, "2000000000"])
    name = os.path.basename(name)
    case.until("its name", lambda: read_text(f"/proc/{target.pid}/comm").strip() == name)
    cgroup = next(line.split(":")[2] for line in read_text(f"/proc/{target.pid}/cgroup").splitlines()
                  if "memory" in line.split(":")[1].split(",") or line.startswith("0::"))
    wrong = []
    for words, expected in ((["--comm", name], True), (["--comm", name, "--cgroup", cgroup], True),
                            (["--comm", name, "--cgroup", "/heldby-test-nowhere"], False)):
        result = subprocess.run([case.place.heldby, "doctor", *words], capture_output=True, check=False, text=True)
        found = re.findall(r"^  (\d+) (.*)$", result.stdout.partition("\nProcesses\n")[2], re.MULTILINE)
        if found != ([(str(target.pid), name)] if expected else []) or result.returncode != (not expected) or \
                ("no process is meant" in result.stderr) == expected:
            wrong.append(f"{words} left with {result.returncode}, found {found} and said {result.stderr!r}")
    target.kill()
    case.wait(target)
    hold(wrong)


LOADS = [
    ("every entry point", ["calls", "all"]),
    ("blocks that threads hand to others", ["threads", "handoff"]),
    ("malloc inside calls that a handler interrupts", ["signals-own", "inside"]),
    ("children of a loop of forks", ["process", "forks"]),
]


@each("{1} is exact by {0}", [(rung, *load) for rung in RUNGS for load in LOADS], seconds=90)
def same(case, rung, _, load):
    options = need(case, rung)
    outcome = case.run([case.load(load[0]), *load[1:]], options)
    exact(outcome)
    if outcome.document["hooks"]["malloc"] != rung:
        raise Failure(f"the hook is {outcome.document['hooks']['malloc']}")


@each("an exception through operator new of {1} reaches its handler by {0}",
      [(rung, name) for rung in RUNGS for name in ("jemalloc", "tcmalloc")])
def thrown(case, rung, name):
    exact(case.run([case.load("cxx"), "bad_alloc"], need(case, rung), env={"LD_PRELOAD": library(name)}))


@each("a running process is exact by {0}", RUNGS)
def attached(case, rung):
    options = need(case, rung)
    target = Target(case)
    target.do("br")
    tracer = case.top(target.pid, *options)
    target.do("at")
    document = case.stop_top(tracer)[-1]
    target.do("q")
    case.wait(target.process)
    verdict(document, case.truths())


_, each_kill = all_alone("every heldby oom tells of every kill")


def watch_by(case, rung):
    try:
        return Watch(case, "--json", "-v", "--oom-rung", rung)
    except Failure as failure:
        refused = [line for line in failure.args if "kills cannot be explained by" in line]
        if not refused:
            raise
        raise Skip(refused[0]) from None


def by_rung(watch, rung, document):
    """Whether that rung, or none, found what @document says."""
    wrong = [] if f"kills are explained by {rung}" in watch.talk() else ["heldby explains it by another rung"]
    if (document["domain"].get("how") in CONCLUDED) != (rung == "none"):
        wrong.append(f"the limit was found by {document['domain'].get('how')}")
    return wrong


@each_kill("a kill is told as in the kernel's log by {0}", OOM_RUNGS, seconds=40)
@scene
def killed(case, rung):
    watch = watch_by(case, rung)
    with Group(case, LIMIT) as group:
        pid, _ = run_hog(case, group, "alone")
        document, wrong = told_of_kill(case, watch, group, pid)
    watch.stop()
    hold(wrong + by_rung(watch, rung, document))


@each_kill("a kill at a parent's limit is told as in the kernel's log by {0}", OOM_RUNGS, seconds=40)
@scene
def killed_above(case, rung):
    watch = watch_by(case, rung)
    with Group(case, LIMIT) as above, Group(case, 2 * LIMIT, above) as parent, Group(case, parent=parent) as group:
        pid, _ = run_hog(case, group, "alone")
        document, wrong = told_of_kill(case, watch, group, pid)
    watch.stop()
    hold(wrong + by_rung(watch, rung, document))


@each_kill("a kill for a limit that was lowered is told by {0}", OOM_RUNGS, seconds=40)
@scene
def lowered(case, rung):
    """The kernel takes no cgroup's lock for that: what is left to go by are the limits themselves."""
    if first_version():
        raise Skip("cgroup v1 refuses a limit that is too low")
    watch = watch_by(case, rung)
    with Group(case, 2 * LIMIT) as group:
        victim = start_hog(case, group, "idle", LIMIT + LIMIT // 2)
        group.limit(LIMIT)
        document = watch.wait(group)[0]
        if case.wait(victim.process) != 137:
            raise Failure(f"the victim left with {victim.process.returncode}")
    watch.stop()
    wrong = same_context(document, case.log.kill_of(document["victim"]["thread"])) + by_rung(watch, rung, document)
    if rung == "none" and document["domain"]["how"] != "limit":
        wrong.append(f"the limit was found by {document['domain']['how']}")
    hold(wrong)
