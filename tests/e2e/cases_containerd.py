# SPDX-License-Identifier: Apache-2.0
"""The pod of daemonset.yaml in containerd, asked for as the kubelet asks, beside one whose memory has an end."""

import os

from check import hold
from images import NAME, VICTIM
from manifest import daemonset, one_container
from node import Node, Pod, as_daemonset
from place import LIMIT, NAMES
from postmortems import Told, judge, judge_child
from registry import test


def both(case, mode):
    """heldby's pod, ready, then the other: (node, heldby's id, what it told, the other's pod and id)."""
    _, pod = daemonset()
    container = one_container(pod)
    hold([] if container["image"] == NAME else [f"the image is {container['image']}, it is built as {NAME}"])
    node = Node(case)
    made, names, ours = as_daemonset(node, pod, container, container["image"])
    told = Told(case, lambda: made.log(names, "stdout"), lambda: "\n".join(made.log(names, "stderr")),
                lambda: node.runtime.status(ours)["state"] == "exited")
    told.ready()
    other = Pod(node, NAMES, case.pod_cgroup(), case.pod_uid)
    return node, ours, told, other, other.start(NAMES, VICTIM, [mode], LIMIT)


def known(case):
    """Of the container, what containerd and the cgroup's path tell beside its names."""
    return {"pod_uid": case.pod_uid, "runtime": "containerd", "image": VICTIM}


def ended(node, ours):
    """heldby's container, told to end as the kubelet does."""
    node.runtime.stop(ours, 10)
    status = node.runtime.status(ours)
    return [] if status["exit_code"] == 0 else [f"heldby's container is {status}, expected exit code 0"]


@test("in containerd the DaemonSet's pod tells of a kill in another pod with its names", seconds=40)
def other_pod(case):
    node, ours, told, _, container = both(case, "alone")
    case.until("the end of the container", lambda: node.runtime.status(container)["state"] == "exited")
    status = node.runtime.status(container)
    document = told.wait(container)
    wrong = [] if status == {"state": "exited", "exit_code": 137, "reason": "OOMKilled"} else \
        [f"the container is {status}"]
    cgroup = f"{case.pod_cgroup()}/{container}"
    hold(wrong + judge(document, container, cgroup, **known(case)) + ended(node, ours))


@test("in containerd it tells of a child's kill that its container survives", seconds=40)
def child(case):
    node, ours, told, pod, container = both(case, "child")
    case.until("the child's kill", lambda: pod.log(NAMES, "stdout"))
    document = told.wait(container)
    status = node.runtime.status(container)
    wrong = [] if status["state"] == "running" else [f"the container is {status}, expected running"]
    if pod.log(NAMES, "stdout") != ["child 9"]:
        wrong.append(f"its first process said {pod.log(NAMES, 'stdout')}")
    cgroup = f"{case.pod_cgroup()}/{container}"
    parents = [row["pid"] for row in document["tasks"] if not row["victim"]]
    if len(parents) != 1 or not os.path.exists(f"/proc/{parents[0]}"):
        wrong.append(f"{parents} are there besides the victim, expected its parent")
    wrong += judge(document, container, cgroup, **known(case)) + judge_child(document, parents[0])
    hold(wrong + ended(node, ours))
