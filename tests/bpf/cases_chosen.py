# SPDX-License-Identifier: Apache-2.0
"""Processes chosen by container, pod and cgroup, and containers as groups: real ones, in cgroups of the test's own
named as the kubelet names them, with the links that it makes."""

import contextlib
import json
import math
import os
import re
import secrets
import subprocess

from cases_oom import BOUND, LIMIT, MIB, Group, Watch, start_hog, whole
from check import hold
from harness import read_lines, read_text
from registry import all_alone, each, test

_, each_alone = all_alone("every heldby oom tells of every kill")
WAYS = ("--container by id", "--container by name", "--pod", "--cgroup", "--all")


class Pods:
    """Two pods of a container each, and a cgroup that is none: "web", "db", "none". @limits: of memory, in MiB."""

    def __init__(self, case, limits=None):
        self.case = case
        self.host = case.path("host")
        self.links = os.path.join(self.host, "var/log/containers")
        self.limits = limits
        self.groups, self.stack = {}, contextlib.ExitStack()

    def __enter__(self):
        os.makedirs(self.links)
        top = self.stack.enter_context(Group(self.case))
        for name in ("web", "db"):
            uid = "-".join(secrets.token_hex(count) for count in (4, 2, 2, 2, 6))
            pod = self.stack.enter_context(Group(self.case, parent=top, name=f"pod{uid}"))
            self.groups[name] = self.stack.enter_context(Group(self.case, self.limits, pod, secrets.token_hex(32)))
            os.symlink("nowhere", self.link(name))
        self.groups["none"] = self.stack.enter_context(Group(self.case, self.limits, top))
        return self

    def link(self, name):
        return os.path.join(self.links, f"{name}-0_shop_{name}-app-{self.id(name)}.log")

    def id(self, name):
        return self.groups[name].name

    def bundle(self, name):
        """In place of the link: containerd's own file, and its path."""
        folder = os.path.join(self.host, "run/containerd/io.containerd.runtime.v2.task/k8s.io", self.id(name))
        told = {"container-name": f"{name}-app", "sandbox-name": f"{name}-0", "sandbox-namespace": "shop",
                "sandbox-uid": self.uid(name), "image-name": "app:1.8"}
        os.makedirs(folder)
        os.unlink(self.link(name))
        with open(os.path.join(folder, "config.json"), "w", encoding="ascii") as file:
            json.dump({"annotations": {f"io.kubernetes.cri.{key}": value for key, value in told.items()}}, file)
        return file.name

    def uid(self, name):
        return os.path.basename(os.path.dirname(self.groups[name].path))[3:]

    def __exit__(self, *what):
        self.stack.__exit__(*what)

    def options(self, way):
        """That mean the process of "web": and of the others only by --all."""
        group = self.groups["web"]
        words = {"--container by id": ["--container", self.id("web")[:12]],
                 "--container by name": ["--container", "web-app"], "--pod": ["--pod", "shop/web-0"],
                 "--cgroup": ["--cgroup", "/" + os.path.relpath(os.path.dirname(group.path), group.top)],
                 "--all": ["--all", "--sources", "pages"]}
        return [*words[way], "--host-root", self.host]

    def meant(self, way):
        return set(self.groups) if way == "--all" else {"web"}

    def container(self, name):
        """What is to be told of it."""
        return None if name == "none" else \
            {"id": self.id(name), "name": f"{name}-app", "pod": f"{name}-0", "namespace": "shop",
             "pod_uid": self.uid(name)}


@each("top {0} means the processes of that container, or all, and no others", WAYS, seconds=60)
def by_top(case, way):
    with Pods(case) as pods:
        programs = {start_hog(case, group, "idle", 1).pid: name for name, group in pods.groups.items()}
        process = case.start([case.place.heldby, "top", "--json", *pods.options(way), "1", "1"])
        status, documents = case.wait(process), read_lines(process.out)
    if status or not documents:
        hold([f"it left with {status}: {read_text(process.err)}"])
    told = {programs[row["pid"]]: row.get("container") for row in documents[-1]["processes"] if row["pid"] in programs}
    others = [row["pid"] for row in documents[-1]["processes"] if row["pid"] not in programs]
    expected = {name: pods.container(name) for name in pods.meant(way)}
    wrong = [] if told == expected else [f"told are {told}, expected {expected}"]
    hold(wrong + ([] if way == "--all" or not others else [f"{others} are told, too"]))


@each_alone("oom {0} tells of kills in that container, or of all, and of no others", WAYS, seconds=60)
def by_oom(case, way):
    with Pods(case, LIMIT) as pods:
        watch, victims = Watch(case, "--json", *pods.options(way)), {}
        for name in ("none", "db", "web"):
            program = start_hog(case, pods.groups[name], "alone")
            victims[program.pid] = name
            program.tell("x")
            case.wait(program.process)
        case.until("the last kill", lambda: any(victims.get(document["victim"]["pid"]) == "web"
                                                for document in watch.all()))
    watch.stop()
    told = {victims[document["victim"]["pid"]]: document["victim"].get("container") for document in watch.all()
            if document["victim"]["pid"] in victims}
    expected = {name: pods.container(name) for name in pods.meant(way)}
    hold([line for document in watch.all() for line in whole(document)] +
         ([] if told == expected else [f"told are {told}, expected {expected}"]))


@test("doctor says of a process which container it is in")
def by_doctor(case):
    with Pods(case) as pods:
        pids = {name: start_hog(case, group, "idle", 1).pid for name, group in pods.groups.items()}
        said = subprocess.run([case.place.heldby, "doctor", "--host-root", pods.host, "-p",
                               ",".join(map(str, pids.values()))], stdout=subprocess.PIPE, check=False, text=True)
    found = dict(re.findall(r"^  (\d+) (.*)$", said.stdout.partition("\nProcesses\n")[2], re.MULTILINE))
    expected = {str(pids["web"]): "hog, container web-0/web-app", str(pids["db"]): "hog, container db-0/db-app",
                str(pids["none"]): "hog"}
    hold([] if found == expected else [f"it says {found}, expected {expected}"])


@test("top --group container has one row for the pages of each container, as near the truth as it says", seconds=60)
def grouped(case):
    sizes = {"web": 24, "db": 48}
    with Pods(case) as pods:
        process = case.start([case.place.heldby, "top", "--json", "--group", "container", "--sources", "pages", "--top",
                              "0", "--host-root", pods.host, "0.5"])
        case.until("heldby: ready", lambda: "heldby: ready" in read_text(process.err))
        for name, size in sizes.items():
            for part in (size // 3, size - size // 3):  # by two processes
                start_hog(case, pods.groups[name], "idle", part)
        case.sleep(1.5)
        document = case.stop_top(process)[-1]
    wrong = []
    for name, size in sizes.items():
        rows = [row for row in document["sites"] if row.get("container") == pods.id(name)]
        far = abs(rows[0]["outstanding_bytes"] - size * MIB) if rows else math.inf
        # Beside what they take each of them has some of its own: its stack, and the data of its files.
        if len(rows) != 1 or far > BOUND * rows[0]["standard_error_bytes"] + MIB:
            wrong.append(f"the rows of {name} are {rows}, expected one of {size} MiB")
    hold(wrong)


@each_alone("a container whose {0} is gone at the kill is told as it was known before", ["link", "bundle"], seconds=60)
def remembered(case, kind):
    with Pods(case, LIMIT) as pods:
        expected = pods.container("web")
        path = pods.link("web")
        if kind == "bundle":
            path = pods.bundle("web")
            expected |= {"runtime": "containerd", "image": "app:1.8"}
        program = start_hog(case, pods.groups["web"], "alone")
        watch = Watch(case, "--json", "--host-root", pods.host)
        os.unlink(path)
        program.tell("x")
        case.wait(program.process)
        document = watch.wait(pods.groups["web"])[0]
    watch.stop()
    hold(whole(document) + [f"{part}.container is {document[part].get('container')}, expected {expected}"
                            for part in ("victim", "domain") if document[part].get("container") != expected])
