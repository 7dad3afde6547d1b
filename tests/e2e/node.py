# SPDX-License-Identifier: Apache-2.0
"""A node without a kubelet: containerd with folders of its own, and pods as the kubelet would have it make them."""

import os
import secrets
import signal
import time

from cri import Runtime
from harness import Failure, Skip, read_text
from manifest import bytes_of
from place import need, tell

POD, CONTAINER, NODE = 0, 1, 2                # whose namespace
PRIVATE, HOST_TO_CONTAINER = 0, 1             # mounts that come later
# Folders that containerd's shims make wherever its state is, the inner ones first.
SHIMS = ("/run/containerd/runc/k8s.io", "/run/containerd/runc", "/run/containerd/s", "/run/containerd")
SPACE = "k8s.io"                              # containerd's namespace for all of the kubelet's

# oom_score_adj below ours is not for everybody to give; the pause image is our own, so that none is fetched.
CONFIG = """version = 2
root = "{root}"
state = "{state}"
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs", "io.containerd.internal.v1.opt"]
[grpc]
  address = "{socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "{snapshotter}"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{folder}/cni"
    conf_dir = "{folder}/cni"
"""


class Node:
    """containerd, answering. Its state is where a node has it below case.host(): there are the containers' names."""

    def __init__(self, case):
        need("containerd", "ctr", "runc", "mount")
        self.case = case
        self.host = case.host()
        self.socket = os.path.join(case.folder, "c.sock")
        if len(self.socket) > 90:
            raise Skip(f"the path of a socket may not be as long as {self.socket}")
        self.runtime = Runtime(self.socket)
        self.made = [path for path in SHIMS if not os.path.exists(path)]
        self.make_shared()
        state = os.path.join(self.host, "run/containerd")
        os.makedirs(state)
        images = case.place.images
        config = case.path("containerd.toml")
        with open(config, "w", encoding="ascii") as file:
            file.write(CONFIG.format(root=os.path.join(case.folder, "root"), state=state, socket=self.socket,
                                     folder=case.folder, pause=images.victim(), snapshotter="overlayfs"))
        self.process = case.start(["containerd", "--config", config, "--log-level", "error"])
        case.undo.append(self.end)
        case.until("containerd", lambda: self.runtime.answers() or self.process.poll() is not None)
        if self.process.poll() is not None:
            raise Failure("containerd left", *read_text(self.process.err).splitlines()[-5:])
        for name in (images.victim(), images.heldby()):
            tell(["ctr", "--address", self.socket, "--namespace", SPACE, "images", "import", images.archive(name)])

    def make_shared(self):
        """As / is on a node: what is mounted there later comes to be in containers that ask for it."""
        tell(["mount", "--bind", self.host, self.host])
        tell(["mount", "--make-private", self.host])
        tell(["mount", "--make-shared", self.host])

    def end(self):
        self.runtime.close()
        self.process.send_signal(signal.SIGTERM)
        end = time.monotonic() + 10
        while self.process.poll() is None and time.monotonic() < end:
            time.sleep(0.02)
        if self.process.poll() is None:
            raise Failure("containerd does not end")
        for path in self.made:
            if os.path.isdir(path):
                os.rmdir(path)


class Pod:
    """One on @node with the host's network; @own: with processes that see no others."""

    def __init__(self, node, names, cgroup, uid, own=True):
        self.node = node
        self.uid = uid
        self.logs = os.path.join(node.host, "var/log/pods", f"{names['namespace']}_{names['pod']}_{uid}")
        self.privileged = not own
        self.namespaces = {1: NODE, 2: CONTAINER if own else NODE, 3: POD}
        self.config = {1: {1: names["pod"], 2: uid, 3: names["namespace"], 4: 0}, 3: self.logs,
                       8: {1: cgroup, 2: {1: self.namespaces, 6: self.privileged}}}
        node.case.undo.append(self.remove)
        self.id = None
        self.id = node.runtime.run_pod(self.config)

    def remove(self):
        if self.id:
            self.node.runtime.remove_pod(self.id)

    def start(self, names, image, args, limit, mounts=(), readonly=False):
        """A container in it; its id. The log is made in its folder, as by the kubelet."""
        os.makedirs(os.path.join(self.logs, names["name"]), exist_ok=True)
        config = {1: {1: names["name"], 2: 0}, 2: {1: image}, 4: list(args), 7: list(mounts),
                  11: f"{names['name']}/0.log",
                  15: {1: {4: limit}, 2: {2: self.privileged, 3: self.namespaces, 7: readonly}}}
        container = self.node.runtime.create(self.id, config, self.config)
        self.node.runtime.start(container)
        return container

    def log(self, names, stream):
        """What its container wrote to "stdout" or "stderr": whole lines, put together again where the runtime
        cut them."""
        lines, part = [], ""
        for line in read_text(os.path.join(self.logs, names["name"], "0.log")).split("\n")[:-1]:
            _, whose, tag, text = line.split(" ", 3)
            if whose != stream:
                continue
            part += text
            if tag.startswith("F"):
                lines.append(part)
                part = ""
        return lines


def as_daemonset(node, pod, container, image):
    """deploy/daemonset.yaml's pod on @node, with the node's / where the tests have it; (Pod, names, container's id)."""
    case = node.case
    names = {"name": container["name"], "pod": f"heldby-{secrets.token_hex(3)}", "namespace": "heldby"}
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    mounts = []
    for mount in container["volumeMounts"]:
        volume = volumes[mount["name"]]
        source = case.path("empty") if "emptyDir" in volume else volume["hostPath"]["path"]
        if "emptyDir" in volume:
            os.mkdir(source)
        later = {"HostToContainer": HOST_TO_CONTAINER}[mount["mountPropagation"]] if "mountPropagation" in mount \
            else PRIVATE
        mounts.append({1: mount["mountPath"], 2: node.host if source == "/" else source,
                       3: mount.get("readOnly", False), 5: later})
    made = Pod(node, names, f"/{case.top}/kubepods/burstable/pod{case.other_uid}", case.other_uid,
               own=not (pod["hostPID"] and pod["hostNetwork"] and container["securityContext"]["privileged"]))
    started = made.start(names, image, container["args"], bytes_of(container["resources"]["limits"]["memory"]),
                         mounts, container["securityContext"]["readOnlyRootFilesystem"])
    return made, names, started
