# SPDX-License-Identifier: Apache-2.0
"""What can be said of deploy/ without starting it."""

import os
import re
import shutil
import subprocess

from check import hold
from harness import Skip, read_text
from manifest import daemonset, one_container
from place import ROOT, need, tell
from registry import test


def missing(what, found, rows):
    """Lines about the fields of @found that are not as in @rows."""
    return [f"{what}.{name} is {found.get(name)!r}, expected {value!r}" for name, value in rows.items()
            if found.get(name) != value]


@test("daemonset.yaml is one privileged pod on each node that sees the node's processes and names")
def manifest(_):
    documents, pod = daemonset()
    container = one_container(pod)
    kinds = [document["kind"] for document in documents]
    wrong = [] if kinds == ["Namespace", "DaemonSet"] else [f"its kinds are {kinds}"]
    labels = documents[1]["spec"]["template"]["metadata"]["labels"]
    wrong += missing("namespace", documents[0]["metadata"], {"name": "heldby"})
    wrong += missing("DaemonSet", documents[1]["metadata"], {"name": "heldby", "namespace": "heldby"})
    wrong += missing("selector", documents[1]["spec"]["selector"], {"matchLabels": labels})
    wrong += missing("pod", pod, {"hostPID": True, "hostNetwork": True, "automountServiceAccountToken": False,
                                  "priorityClassName": "system-node-critical",
                                  "tolerations": [{"operator": "Exists"}]})
    wrong += missing("securityContext", container["securityContext"],
                     {"privileged": True, "readOnlyRootFilesystem": True})
    wrong += missing("limits", container["resources"]["limits"], {"memory": "256Mi"})
    mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    if set(mounts) != set(volumes):
        wrong.append(f"mounted are {sorted(mounts)}, there are {sorted(volumes)}")
    wrong += missing("host", volumes["host"]["hostPath"], {"path": "/"})
    wrong += missing("host", mounts["host"], {"mountPath": "/host", "readOnly": True})
    wrong += missing("cgroup", mounts["cgroup"], {"mountPath": "/sys/fs/cgroup", "readOnly": True})
    if container["args"] != ["--host-root", mounts["host"]["mountPath"], "--no-journal"]:
        wrong.append(f"the arguments are {container['args']}")
    hold(wrong)


@test("its options are ones that heldby oom has")
def words(case):
    _, pod = daemonset()
    text = tell([case.place.heldby, "oom", "--help"])
    unit = read_text(os.path.join(ROOT, "deploy", "heldby.service"))
    used = [word for word in one_container(pod)["args"] if word.startswith("--")]
    used += re.findall(r"--[a-z-]+", re.search(r"^ExecStart=(.*)$", unit, re.M)[1])
    hold([f"heldby oom has no {word}" for word in used + ["--json"] if not re.search(rf" {word}\b", text)])


@test("make install puts the program and a unit that systemd accepts where it is told")
def install(case):
    need("make")
    for destination, prefix in (("", case.path("prefix")), (case.path("destination"), "/usr")):
        subprocess.run(["make", "-s", "-C", ROOT, "install", f"BUILD={case.place.build}",
                        f"DESTDIR={destination}", f"PREFIX={prefix}"], check=True, capture_output=True, timeout=30)
        program = f"{prefix}/bin/heldby"
        unit = f"{destination}{prefix}/lib/systemd/system/heldby.service"
        hold([] if tell([destination + program, "--version"]).startswith("heldby ") else ["it is not heldby"])
        hold([] if f"ExecStart={program} oom " in read_text(unit) else [f"{unit} does not start {program}"])
        hold([] if os.stat(unit).st_mode & 0o777 == 0o644 else [f"{unit} may not be read by all"])
        if not destination:
            verified = unit
    if not shutil.which("systemd-analyze"):
        raise Skip("systemd-analyze is not installed; what is installed was as expected")
    told = subprocess.run(["systemd-analyze", "verify", verified], capture_output=True, check=False, text=True,
                          timeout=30)
    about = [line for line in told.stderr.splitlines() if "heldby" in line]
    hold(about + ([f"systemd-analyze verify left with {told.returncode}"] if told.returncode else []))
