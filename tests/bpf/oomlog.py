# SPDX-License-Identifier: Apache-2.0
"""What the kernel writes into its own log about kills for want of memory, and a postmortem compared with that."""

import errno
import os
import platform
import re
import time

from harness import Failure

PAGE = os.sysconf("SC_PAGE_SIZE")
CPUS = os.sysconf("SC_NPROCESSORS_CONF")
CONTEXTS = 10       # kills in 5 s of which the kernel's log says why: DEFAULT_RATELIMIT_BURST
KINDS = {"CONSTRAINT_MEMCG": "memcg", "CONSTRAINT_NONE": "global", "CONSTRAINT_CPUSET": "cpuset",
         "CONSTRAINT_MEMORY_POLICY": "mempolicy"}
CHARGED_AHEAD = 64  # pages, by each CPU: MEMCG_CHARGE_BATCH

INVOKED = re.compile(r"^(.*) invoked oom-killer: gfp_mask=(0x[0-9a-f]+)\((.*)\), order=(-?\d+), oom_score_adj=(-?\d+)$")
TRIGGER = re.compile(r"^CPU: \d+ .*?PID: (\d+) Comm: ")
USAGE = re.compile(r"^(memory|memory\+swap|swap): usage (\d+)kB, limit (\d+)kB, failcnt (\d+)")
CHOSEN = re.compile(r"^oom-kill:constraint=(\w+),.*?(?:,oom_memcg=(.*?)|,global_oom),task_memcg=(.*),task=(.*),"
                    r"pid=(\d+),uid=(\d+)$")
KILLED = re.compile(r"Killed process (\d+) \((.*)\) total-vm:(\d+)kB, anon-rss:(\d+)kB, file-rss:(\d+)kB, "
                    r"shmem-rss:(\d+)kB, UID:(\d+) pgtables:(\d+)kB oom_score_adj:(-?\d+)")


def version():
    return tuple(int(number) for number in re.match(r"(\d+)\.(\d+)", platform.release()).groups())


class Log:
    """What the kernel writes into its log from now on; @whole: also what is there. Nothing is taken out of it."""

    def __init__(self, whole=False):
        self.fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        self.texts = []
        if not whole:
            os.lseek(self.fd, 0, os.SEEK_END)

    def lines(self):
        """(seconds, text) of each."""
        while True:
            try:
                record = os.read(self.fd, 1 << 14).decode("utf-8", "replace")
            except BlockingIOError:
                return self.texts
            except OSError as error:
                if error.errno != errno.EPIPE:  # overwritten before we came: the next is read then
                    raise
                continue
            head, _, text = record.partition(";")
            self.texts.append((int(head.split(",")[2]) / 1e6, text.split("\n")[0]))

    def kills(self):
        """Each kill by its lines, those of its context as far as the kernel wrote them."""
        found, context = [], {}
        for seconds, text in self.lines():
            if INVOKED.match(text):
                context = {"invoked": INVOKED.match(text).groups()}
            elif context and TRIGGER.match(text):
                context["by"] = int(TRIGGER.match(text)[1])
            elif context and USAGE.match(text):
                name, *numbers = USAGE.match(text).groups()
                context[name] = [int(number) for number in numbers]
            elif context and CHOSEN.match(text):
                context["chosen"] = CHOSEN.match(text).groups()
            elif KILLED.search(text):
                thread, comm, *numbers = KILLED.search(text).groups()
                found.append({"time": seconds, "thread": int(thread), "comm": comm,
                              "numbers": [int(number) for number in numbers], **context})
                context = {}
        return found

    def kill_of(self, thread):
        """The first: of a group that dies together the first victim has two lines."""
        for kill in self.kills():
            if kill["thread"] == thread:
                return kill
        raise Failure(f"the kernel's log has no kill of {thread}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.fd)


def wait_for_contexts(case):
    """Until the kernel tells the context of the next kill, too."""
    while True:
        with Log(whole=True) as log:
            recent = [kill for kill in log.kills() if kill["time"] > time.monotonic() - 5.5]
        if len(recent) < CONTEXTS / 2:
            return
        case.sleep(0.5)


def allowed_pages(threads):
    """How far a resident number may be from that of the kernel's log: there it is not exact on every kernel."""
    if (6, 2) <= version() < (7, 2):
        return max(32, 2 * CPUS) * CPUS  # the parts of its CPUs are left out
    if threads:
        return 64 * threads  # they go on until they take the signal
    return 64 if version() < (6, 2) else 0  # what the thread has not added yet; we add it


def same_numbers(document, kill, threads=0):
    """The line "Killed process"."""
    victim, allowed = document["victim"], allowed_pages(threads) * PAGE
    total, anon, file, shmem, uid, tables, score = kill["numbers"]
    exact = {"thread": kill["thread"], "total_vm_bytes": total * 1024, "uid": uid, "pgtables_bytes": tables * 1024,
             "oom_score_adj": score}
    near = {"anon_rss_bytes": anon * 1024, "file_rss_bytes": file * 1024, "shmem_rss_bytes": shmem * 1024}
    wrong = [f"victim.{name} is {victim.get(name)}, by the kernel's log {expected}"
             for name, expected in exact.items() if victim.get(name) != expected]
    wrong += [f"victim.{name} is {victim.get(name)}, by the kernel's log {expected} (allowed: {allowed})"
              for name, expected in near.items() if abs(victim.get(name, -1) - expected) > allowed]
    if victim["comm"] != kill["comm"]:
        wrong.append(f"victim.comm is {victim['comm']}, by the kernel's log {kill['comm']}")
    return wrong


def flags(names):
    """Of a mask, in any order."""
    return set((names or "").split("|"))


def same_context(document, kill):
    """The lines before it: who asked for what, whose limit it was, who was chosen."""
    if not {"invoked", "by", "chosen"} <= set(kill):
        return [f"of why {kill['thread']} was killed the kernel's log has only {sorted(kill)}"]
    comm, _, names, order, _ = kill["invoked"]
    constraint, domain, cgroup, _, pid, _ = kill["chosen"]
    trigger, where = document["trigger"], document["domain"]
    expected = {
        "trigger.comm": (trigger.get("comm"), comm), "trigger.thread": (trigger.get("thread"), kill["by"]),
        "trigger.gfp_mask": (flags(trigger.get("gfp_mask")), flags(names)),
        "trigger.order": (trigger.get("order"), int(order) if int(order) >= 0 else None),
        "domain.kind": (where.get("kind"), KINDS[constraint]),
        "domain.cgroup": (where.get("cgroup"), domain),
        "victim.cgroup": (document["victim"].get("cgroup"), cgroup),
        "victim.pid": (document["victim"]["pid"], int(pid)),
    }
    return [f"{name} is {got}, by the kernel's log {wanted}" for name, (got, wanted) in expected.items()
            if got != wanted] + (same_limit(where, kill) if domain else [])


def same_limit(domain, kill):
    counter = domain.get("counter")
    if counter not in kill:
        return [f"domain.counter is {counter}, the kernel's log has {sorted(kill)}"]
    usage, limit, _ = kill[counter]
    wrong = [] if domain.get("limit_bytes") == limit * 1024 else \
        [f"domain.limit_bytes is {domain.get('limit_bytes')}, by the kernel's log {limit * 1024}"]
    if abs(domain.get("usage_bytes", -1) - usage * 1024) > CHARGED_AHEAD * CPUS * PAGE:
        wrong.append(f"domain.usage_bytes is {domain.get('usage_bytes')}, by the kernel's log {usage * 1024}")
    return wrong
