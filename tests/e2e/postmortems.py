# SPDX-License-Identifier: Apache-2.0
"""What heldby's documents have to say of a container's kill."""

import json
import os
import time

from harness import Failure
from place import LIMIT, NAMES


class Told:
    """heldby in a container: @lines gives the lines of its stdout so far, @talk those of its stderr, @ended
    whether it has ended."""

    def __init__(self, case, lines, talk, ended):
        self.case = case
        self.lines = lines
        self.talk = talk
        self.ended = ended

    def ready(self):
        self.case.until("heldby: ready", lambda: "heldby: ready" in self.talk() or self.ended())
        if self.ended():
            raise Failure("heldby left before it was ready", *self.talk().splitlines()[-8:])

    def of(self, container):
        """The documents about the container with this id."""
        documents = [json.loads(line) for line in self.lines()]
        return [document for document in documents
                if document["victim"].get("container", {}).get("id") == container]

    def wait(self, container):
        """The one document about it."""
        end = time.monotonic() + min(10, self.case.left())
        while not self.of(container):
            if time.monotonic() > end or self.ended():
                others = [(document["victim"]["comm"], document["victim"].get("cgroup"))
                          for document in map(json.loads, self.lines())]
                raise Failure(f"no document about {container}; others: {others}", *self.talk().splitlines()[-8:])
            time.sleep(0.02)
        self.case.sleep(0.3)
        documents = self.of(container)
        if len(documents) != 1:
            raise Failure(f"{len(documents)} documents about {container}, expected 1")
        return documents[0]


def judge(document, container, cgroup, **more):
    """Lines about what is wrong: the victim's container, its names and its limit. @more: of the container, what
    the node's files and the cgroup's path tell beside the names."""
    victim, domain = document["victim"], document["domain"]
    expected = {
        "schema": (document.get("schema"), "heldby.postmortem/1"),
        "host": (document.get("host"), os.uname().nodename),
        "victim.container": (victim.get("container"), {"id": container, **NAMES, **more}),
        "victim.cgroup": (victim.get("cgroup"), cgroup),
        "victim.comm": (victim.get("comm"), "eater"),
        "domain.kind": (domain.get("kind"), "memcg"),
        "domain.cgroup": (domain.get("cgroup"), cgroup),
        "domain.limit_bytes": (domain.get("limit_bytes"), LIMIT),
    }
    wrong = [f"{name} is {got}, expected {wanted}" for name, (got, wanted) in expected.items() if got != wanted]
    if not LIMIT / 2 < victim.get("anon_rss_bytes", 0) <= LIMIT:
        wrong.append(f"victim.anon_rss_bytes is {victim.get('anon_rss_bytes')}, expected nearly {LIMIT}")
    if not "".join(document.get("verdict", [])):
        wrong.append("there is no verdict")
    return wrong


def judge_child(document, init):
    """Its parent @init, the container's first process, lives on."""
    victim = document["victim"]
    tasks = {row["pid"]: row["victim"] for row in document["tasks"]}
    wrong = []
    if victim["pid"] == init or victim.get("container_pid", 1) == 1:
        wrong.append(f"the victim is {victim['pid']}, in the container {victim.get('container_pid')}; "
                     f"its first process is {init}")
    if tasks.get(init) is not False or tasks.get(victim["pid"]) is not True:
        wrong.append(f"the tasks are {tasks}, expected {init} among them and {victim['pid']} as the victim")
    return wrong
