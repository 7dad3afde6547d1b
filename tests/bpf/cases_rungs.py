# SPDX-License-Identifier: Apache-2.0
"""Every way to attach gives the same numbers; what this kernel refuses is skipped with its reason."""

import functools
import os
import re
import secrets
import shutil
import subprocess

from cases_attach import Target, verdict
from cases_oom import LIMIT, Group, Watch, run_hog, scene, told as told_of_kill
from check import exact, hold
from harness import Failure, Skip, read_text
from libraries import library
from registry import all_alone, each, test

RUNGS = ("uprobe.session", "uprobe.multi", "uprobe")
OOM_RUNGS = ("kprobe", "fentry", "stack")
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
      [("top", ["top", "-p", "1", "1", "1"]), ("run", ["run", "--", "/bin/true"]), ("oom", ["oom"])])
def too_old(case, _, words):
    """The kernel's own way to be taken for another: uname says 2.6."""
    if not shutil.which("setarch"):
        raise Skip("setarch is not on this machine")
    process = case.start(["setarch", os.uname().machine, "--uname-2.6", case.place.heldby, *words])
    status, said = case.wait(process), read_text(process.err)
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


@each_kill("a kill is told as in the kernel's log by {0}", OOM_RUNGS, seconds=40)
@scene
def killed(case, rung):
    try:
        watch = Watch(case, "--json", "-v", "--oom-rung", rung)
    except Failure as failure:
        refused = [line for line in failure.args if "kills cannot be explained by" in line]
        if not refused:
            raise
        raise Skip(refused[0]) from None
    with Group(case, LIMIT) as group:
        pid, _ = run_hog(case, group, "alone")
        _, wrong = told_of_kill(case, watch, group, pid)
    watch.stop()
    hold(wrong + ([] if f"kills are explained by {rung}" in watch.talk() else ["heldby explains it by another rung"]))
