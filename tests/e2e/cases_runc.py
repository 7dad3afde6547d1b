# SPDX-License-Identifier: Apache-2.0
"""heldby's image as a container of runc, beside another whose memory has an end."""

import json
import os
import re
import secrets
import shutil

from check import hold
from harness import Failure, read_text
from place import LIMIT, MIB, NAMES, ROOT, need, tell
from postmortems import Told, judge, judge_child
from registry import test

OURS = 256 * MIB       # as in daemonset.yaml
OWN = ("mount", "ipc", "uts")  # namespaces: the host's for the rest


def units_rights():
    """Those of them that heldby.service leaves."""
    text = read_text(os.path.join(ROOT, "deploy", "heldby.service"))
    names = re.search(r"^CapabilityBoundingSet=((?:.*\\\n)*.*)$", text, re.M)[1].replace("\\\n", " ").split()
    return [name for name in names if name in capabilities()]


def capabilities():
    """Those that a privileged container gets: all that we may give."""
    bounds = int(next(line for line in read_text("/proc/self/status").splitlines()
                      if line.startswith("CapBnd:")).split()[1], 16)
    names = tell(["capsh", f"--decode={bounds:x}"]).strip().partition("=")[2]
    return [name.upper() for name in names.split(",")]


class Bundle:
    """A container of runc's, from create to delete."""

    def __init__(self, case, rootfs, args, cgroup, limit):
        need("runc")
        self.case = case
        self.name = os.path.basename(cgroup)
        self.runc = ["runc", "--root", os.path.join(case.folder, "runc")]
        self.folder = case.path("bundle")
        self.cgroup = cgroup
        os.mkdir(self.folder)
        tell([*self.runc, "spec", "--bundle", self.folder])
        with open(self.file(), encoding="utf-8") as file:
            self.config = json.load(file)
        self.config["root"] = {"path": rootfs, "readonly": True}
        self.config["process"].update(terminal=False, args=args)
        self.config["linux"]["cgroupsPath"] = cgroup
        memory = {"limit": limit}
        if os.path.exists("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes"):
            memory["swap"] = limit
        self.config["linux"]["resources"]["memory"] = memory
        self.process = None

    def file(self):
        return os.path.join(self.folder, "config.json")

    def privileged(self):
        """As the kubelet has it done."""
        self.rights(capabilities())
        self.config["process"]["noNewPrivileges"] = False
        self.config["linux"].update(maskedPaths=[], readonlyPaths=[])
        self.config["linux"]["resources"]["devices"] = [{"allow": True, "access": "rwm"}]

    def rights(self, names):
        """These and no other capabilities."""
        self.config["process"]["capabilities"] = {kind: names for kind in ("bounding", "effective", "permitted")}

    def see(self, host):
        """What the kubelet makes of hostPID, hostNetwork and the volumes of daemonset.yaml."""
        config = self.config
        config["linux"]["namespaces"] = [{"type": name} for name in OWN]
        config["hostname"] = os.uname().nodename
        config["mounts"] = [mount for mount in config["mounts"] if mount["destination"] != "/sys/fs/cgroup"] + [
            {"destination": "/sys/fs/cgroup", "type": "bind", "source": "/sys/fs/cgroup", "options": ["rbind", "ro"]},
            {"destination": "/host", "type": "bind", "source": host, "options": ["rbind", "ro", "rslave"]},
            {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "nodev", "size=16m"]}]

    def start(self):
        with open(self.file(), "w", encoding="utf-8") as file:
            json.dump(self.config, file)
        self.case.undo.append(lambda: tell([*self.runc, "delete", "--force", self.name]))
        self.process = self.case.start([*self.runc, "run", "--bundle", self.folder, self.name])

    def state(self):
        """(status, the host's pid of its first process)."""
        state = json.loads(tell([*self.runc, "state", self.name]))
        return state["status"], state["pid"]


def link(case, container, names):
    """In /var/log/containers, as the kubelet makes it before the container starts."""
    os.symlink(f"/var/log/pods/{names['namespace']}_{names['pod']}_{case.pod_uid}/{names['name']}/0.log",
               os.path.join(case.host(), "var/log/containers",
                            f"{names['pod']}_{names['namespace']}_{names['name']}-{container}.log"))


def started(case, rights=None):
    """heldby, ready, in a container that is given what daemonset.yaml asks for, or @rights instead of all."""
    need("capsh")
    images = case.place.images
    entry = images.config(images.heldby())["Entrypoint"]
    bundle = Bundle(case, images.rootfs(), [*entry, "--host-root", "/host", "--no-journal"],
                    f"/{case.top}/{secrets.token_hex(32)}", OURS)
    bundle.see(case.host())
    if rights:
        bundle.rights(rights)
    else:
        bundle.privileged()
    link(case, bundle.name, {"name": "heldby", "pod": "heldby-7kx2p", "namespace": "heldby"})
    bundle.start()
    process = bundle.process
    told = Told(case, lambda: read_text(process.out).split("\n")[:-1], lambda: read_text(process.err),
                lambda: process.poll() is not None)
    told.ready()
    return bundle, told


def victim(case, mode):
    """A container in a pod's cgroup, with the link that the kubelet makes for its log."""
    rootfs = case.path("rootfs")
    os.mkdir(rootfs)
    shutil.copy(case.place.eater, os.path.join(rootfs, "eater"))
    bundle = Bundle(case, rootfs, ["/eater", mode], f"{case.pod_cgroup()}/{secrets.token_hex(32)}", LIMIT)
    link(case, bundle.name, NAMES)
    bundle.start()
    return bundle


def ended(case, bundle):
    """heldby's container, told to end as a node does."""
    tell([*bundle.runc, "kill", bundle.name, "TERM"])
    status = case.wait(bundle.process)
    return [] if status == 0 else [f"heldby left with {status}, expected 0"]


@test("under runc it tells of a kill in another container with its pod, namespace and name", seconds=30)
def other(case):
    watcher, told = started(case)
    bundle = victim(case, "alone")
    status = case.wait(bundle.process)
    document = told.wait(bundle.name)
    wrong = [] if status == 137 else [f"the container left with {status}, expected 137"]
    hold(wrong + judge(document, bundle.name, bundle.cgroup, pod_uid=case.pod_uid) + ended(case, watcher))


@test("under runc the unit's capabilities are enough to tell the same", seconds=30)
def fewer(case):
    need("capsh")
    watcher, told = started(case, units_rights())
    bundle = victim(case, "alone")
    case.wait(bundle.process)
    document = told.wait(bundle.name)
    wrong = judge(document, bundle.name, bundle.cgroup, pod_uid=case.pod_uid)
    kernel = [frame for frame in document["trigger"]["frames"] if frame.get("kind") == "kernel"]
    if not kernel or not all(frame.get("function") for frame in kernel):
        wrong.append(f"the kernel's frames are {kernel}")
    hold(wrong + ended(case, watcher))


@test("under runc it tells of a child's kill that its container survives", seconds=30)
def child(case):
    watcher, told = started(case)
    bundle = victim(case, "child")
    case.until("the child's kill", lambda: "child" in read_text(bundle.process.out))
    status, init = bundle.state()
    if status != "running":
        raise Failure(f"the container is {status}, expected running")
    document = told.wait(bundle.name)
    wrong = judge(document, bundle.name, bundle.cgroup, pod_uid=case.pod_uid) + judge_child(document, init)
    if read_text(bundle.process.out) != "child 9\n":
        wrong.append(f"its first process said {read_text(bundle.process.out)!r}")
    hold(wrong + ended(case, watcher))
