# SPDX-License-Identifier: Apache-2.0
"""Kills in cgroups with long names, and in many one inside the other: the path and the container that are told."""

import contextlib
import os
import secrets
import signal

from cases_oom import LIMIT, Group, Watch, run_hog, scene, start_hog, told, whole
from check import hold
from harness import Skip, put
from registry import all_alone

test, each = all_alone("every heldby oom tells of every kill")
LONG = 300  # characters of a name: more than a kill's event has room for
FEW, MANY = 14, 20  # cgroups above each other: as many as it has room for, and more


def named(tail):
    return f"heldby-test-{secrets.token_hex(8)}{tail}"


def path_of(group):
    """As the kernel calls it."""
    return "/" + os.path.relpath(group.path, group.top)


def pod_and_container():
    """Where systemd is the kubelet's driver and not the runtime's: (pod's uid, id, the end of the cgroup's name)."""
    digits, container = secrets.token_hex(16), secrets.token_hex(32)
    uid = "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
    return uid, container, f":kubepods-burstable-pod{uid.replace('-', '_')}.slice:cri-containerd:{container}"


@test("those beside a victim are told with their own cgroups and containers", seconds=40)
@scene
def neighbours(case):
    _, first, tail = pod_and_container()
    watch = Watch(case, "--json")
    with Group(case, LIMIT) as pod, Group(case, parent=pod, name=named(tail)) as own, \
            Group(case, parent=pod, name=secrets.token_hex(32)) as other, Group(case, parent=pod) as plain:
        victim, asker = start_hog(case, own, "idle", 36), start_hog(case, other, "fill", 36)
        beside = start_hog(case, plain, "idle", 0)
        put(f"/proc/{beside.pid}/oom_score_adj", "0")
        asker.tell("x")
        case.wait(asker.process)
        document, wrong = told(case, watch, pod, victim.pid, kills=sum(group.kills() for group in (own, other, plain)))
    watch.stop()
    rows = {row["pid"]: (row.get("cgroup"), row.get("container", {}).get("id")) for row in document["tasks"]}
    trigger = document["trigger"]
    rows["trigger"] = (trigger.get("cgroup"), trigger.get("container", {}).get("id"))
    expected = {victim.pid: (path_of(own), first), beside.pid: (path_of(plain), None),
                asker.pid: (path_of(other), other.name), "trigger": (path_of(other), other.name)}
    hold(wrong + ([] if rows == expected else [f"cgroups and containers are {rows}, expected {expected}"]))


@test("a victim in a container's cgroup with a name of 172 characters is told with that container", seconds=40)
@scene
def mismatched(case):
    uid, container, tail = pod_and_container()
    watch = Watch(case, "--json", "--container", container[:12])
    with Group(case, LIMIT, name=named(tail)) as group:
        pid, _ = run_hog(case, group, "alone")
        document, wrong = told(case, watch, group, pid)
    watch.stop()
    expected = {"id": container, "pod_uid": uid, "runtime": "containerd"}
    for part in ("victim", "domain"):
        if document[part].get("container") != expected or document[part].get("cgroup") != path_of(group):
            wrong.append(f"{part} is {document[part].get('cgroup')} with {document[part].get('container')}, "
                         f"expected {path_of(group)} with {expected}")
    hold(wrong)


def of_pid(case, watch, pid):
    """The one document about the victim @pid."""
    def found():
        return [document for document in watch.all() if document["victim"]["pid"] == pid]
    case.until("the kill", lambda: found() or watch.process.poll() is not None)
    return found()[0]


@test(f"a cgroup's name of {LONG} characters is told whole, or not at all", seconds=40)
def long_name(case):
    watch = Watch(case, "--json")
    try:
        group = Group(case, LIMIT, name=named("x" * LONG))
    except Skip as skip:
        raise Skip(f"this kernel has no such names: {skip}") from None
    with group:
        pid, _ = run_hog(case, group, "alone")
        document = watch.wait(group)[0]
    watch.stop()
    wrong = whole(document)
    for part in ("victim", "domain"):
        if document[part].get("cgroup") != path_of(group):
            wrong.append(f"{part}.cgroup is {document[part].get('cgroup')}, expected {path_of(group)}")
    hold(wrong)


@test(f"a cgroup with a name of {LONG} characters that is gone is not called by a part of it", seconds=40)
def long_gone(case):
    watch = Watch(case, "--json")
    with Group(case, 8) as parent:
        os.kill(watch.process.pid, signal.SIGSTOP)  # it asks when all is over
        with Group(case, parent=parent, name=named("x" * LONG)) as group:
            process = case.start([case.load("hog"), group.path, "brief"])
            case.wait(process)
        os.kill(watch.process.pid, signal.SIGCONT)
        document = of_pid(case, watch, process.pid)
    watch.stop()
    levels = [level.get("cgroup") for level in document["domain"]["levels"]]
    wrong = [] if levels[:2] == [None, path_of(parent)] else [f"the levels are {levels}"]
    if "cgroup" in document["victim"] or document["domain"].get("cgroup") != path_of(parent):
        wrong.append(f"the victim is in {document['victim'].get('cgroup')}, the limit that of "
                     f"{document['domain'].get('cgroup')}, expected nothing and {path_of(parent)}")
    hold(wrong + whole(document))


@each("a victim below {0} cgroups is told with its whole path, and found by --cgroup", [FEW, MANY], seconds=60)
@scene
def deep(case, count):
    with contextlib.ExitStack() as stack:
        groups = [stack.enter_context(Group(case))]
        for depth in range(1, count):
            limit = LIMIT if depth == count - 3 else None
            groups.append(stack.enter_context(Group(case, limit, groups[-1], f"level{depth}")))
        watch = Watch(case, "--json", "--cgroup", path_of(groups[0]))
        pid, _ = run_hog(case, groups[-1], "alone")
        document, wrong = told(case, watch, groups[0], pid)
        watch.stop()
        expected = [path_of(group) for group in reversed(groups)]
    levels = [level.get("cgroup") for level in document["domain"]["levels"]]
    if levels != [*expected, "/"][:len(levels)] or len(levels) < min(count + 1, FEW):
        wrong.append(f"the levels are {levels}, expected {expected}")
    hold(wrong)
