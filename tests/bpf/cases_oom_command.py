# SPDX-License-Identifier: Apache-2.0
"""
Command lines of victims that can no longer be read when they die. The kernel takes a page that the program has made
unreadable for one that is not there, as it does with pages in swap and those that NUMA balancing has marked.
"""

import os

from cases_mmap import Obedient
from cases_oom import FILL, IDLE, LIMIT, Group, Watch, start_hog
from check import hold
from harness import Failure, Skip, put
from registry import all_alone

test, each = all_alone("every heldby oom tells of every kill")
EARLIER = 432       # bytes that are noted of a command line
ITSELF, CHILD, FRAYED = "0", "1", "2"   # of hog: what it veils
SHELL = ["/bin/sh", "-c", 'exec "$0" "$@"']  # what it was before the program began
PAGE = os.sysconf("SC_PAGESIZE")
PLACES, PASSING = 256, 300  # rows there are, and processes that come and go
ENDS = 8            # bytes above a program's name, at the upper end of its stack


def killed(case, watch, group, program):
    """What is told of it, once it has grown without end."""
    program.tell("x")
    case.wait(program.process)
    return watch.wait(group)[0]


def differs(document, line, how, **losses):
    """@how: victim.cmdline_how."""
    victim, detail = document["victim"], document["losses"].get("detail", {})
    found = victim.get("cmdline"), victim.get("cmdline_how")
    wrong = [] if found == (line, how) else [f"cmdline and cmdline_how are {found}, expected {(line, how)}"]
    return wrong + ([] if detail == losses else [f"losses are {detail}, expected {losses}"])


@test("a command line that can no longer be read is told as it was when the program began", seconds=40)
def begun(case):
    watch = Watch(case, "--json", "--max-processes", str(PLACES))
    case.wait(case.start(["/bin/sh", "-c", f"i=0; while [ $i -lt {PASSING} ]; do /bin/true; i=$((i+1)); done"]))
    with Group(case, LIMIT) as group:
        words = [case.load("hog"), group.path, "veiled", ITSELF]
        program = Obedient(case, [*SHELL, *words])
        program.answer()
        document = killed(case, watch, group, program)
    watch.stop()
    hold(differs(document, " ".join(words), "earlier"))


@each("the command line of a child that can no longer be read is told as its parent's was, which began {0} heldby",
      ["before", "after"], seconds=40)
def inherited(case, order):
    watch = Watch(case, "--json") if order == "after" else None
    with Group(case, LIMIT) as group:
        program = start_hog(case, group, "veiled", CHILD)
        watch = watch or Watch(case, "--json")
        document = killed(case, watch, group, program)
    watch.stop()
    if document["victim"]["pid"] == program.pid:
        raise Failure("the parent was killed")
    hold(differs(document, " ".join([case.load("hog"), group.path, "veiled", CHILD]), "earlier"))


def frayed(case, group, left):
    """Hog's words, such that @left bytes of them are in their first page: they and its name are all on its stack."""
    words = [case.load("hog"), group.path, "veiled", FRAYED, case.path("touched")]
    taken = ENDS + len(words[0]) + 1 + sum(len(word) + 1 for word in words)
    return [*words, "x" * (-(taken + 1) % PAGE + PAGE + left)]


@each("of a command line of which {0} bytes can be read {1} are told", [(100, EARLIER), (700, 700)], seconds=40)
def torn(case, left, shown):
    watch = Watch(case, "--json")
    with Group(case, LIMIT) as group:
        words = frayed(case, group, left)
        program = Obedient(case, ["/usr/bin/env", "-i", *words])
        program.answer()
        document = killed(case, watch, group, program)
    watch.stop()
    line = " ".join(words)[:shown]
    hold(differs(document, line, "earlier") if shown == EARLIER else differs(document, line, "part", commands=1))


@test("of a victim from before heldby whose command line can no longer be read it is told that it is not known",
      seconds=40)
def unknown(case):
    with Group(case, LIMIT) as group:
        program = start_hog(case, group, "veiled", ITSELF)
        watch = Watch(case, "--json")
        document = killed(case, watch, group, program)
    watch.stop()
    hold(differs(document, None, None, commands=1))


def favour(process, cpu, nice):
    """@process runs on @cpu alone, and as rarely or often as @nice says: as a session of its own, too."""
    os.sched_setaffinity(process.pid, {cpu})
    os.setpriority(os.PRIO_PROCESS, process.pid, nice)
    if os.path.exists(f"/proc/{process.pid}/autogroup"):
        put(f"/proc/{process.pid}/autogroup", str(nice))


@test("the command line of a victim that does not get to die is told", seconds=60)
def starving(case):
    cpu = max(os.sched_getaffinity(0))
    if cpu == min(os.sched_getaffinity(0)):
        raise Skip("that takes a CPU of its own")
    watch = Watch(case, "--json")
    with Group(case, LIMIT) as group:
        victim = start_hog(case, group, "idle", IDLE)
        victim.tell("x")
        case.sleep(0.5)
        favour(victim, cpu, 19)
        others = [case.start(["/bin/sh", "-c", "while :; do :; done"]) for _ in range(3)]
        for other in others:
            favour(other, cpu, -20)
        program = start_hog(case, group, "fill", FILL)
        program.tell("x")
        document = watch.wait(group)[0]
        for other in others:
            other.kill()
    watch.stop()
    line = " ".join([case.load("hog"), group.path, "idle", str(IDLE)])
    if not differs(document, line, None):
        raise Skip("here it takes its signal all the same")
    hold(differs(document, line, "earlier"))
