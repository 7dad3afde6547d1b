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
CONCLUDED = ("oom_lock", "limit")
KINDS = {"CONSTRAINT_MEMCG": "memcg", "CONSTRAINT_NONE": "global", "CONSTRAINT_CPUSET": "cpuset",
         "CONSTRAINT_MEMORY_POLICY": "mempolicy"}
FAULT_AROUND = 16   # pages that a fault of a file's brings in: fault_around_bytes, mm/memory.c
CHARGED_AHEAD = 64  # pages, by each CPU: MEMCG_CHARGE_BATCH

INVOKED = re.compile(r"^(.*) invoked oom-killer: gfp_mask=(0x[0-9a-f]+)\((.*)\), order=(-?\d+), oom_score_adj=(-?\d+)$")
TRIGGER = re.compile(r"^CPU: \d+ .*?PID: (\d+) Comm: ")
USAGE = re.compile(r"^(memory|memory\+swap|swap): usage (\d+)kB, limit (\d+)kB, failcnt (\d+)")
CHOSEN = re.compile(r"^oom-kill:constraint=(\w+),.*?(?:,oom_memcg=(.*?)|,global_oom),task_memcg=(.*),task=(.*),"
                    r"pid=(\d+),uid=(\d+)$")
ALLOWED = re.compile(r",nodemask=(\(null\)|[\d,-]+),cpuset=.*?,mems_allowed=([\d-]+(?:,[\d-]+)*)")
STATS = re.compile(r"^Memory cgroup stats")
STAT = re.compile(r"^(\w+) (\d+)$")
COLUMNS = re.compile(r"^\[ *pid *\] +(uid +tgid .* name)$")
TASK = re.compile(r"^\[ *\d+\] +(\d+ +\d+ +\d+ .*)$")
COLUMNS = re.compile(r"^\[ *pid *\] +(uid +tgid .* name)$")
TASK = re.compile(r"^\[ *\d+\] +(\d+ +\d+ +\d+ .*)$")
KILLED = re.compile(r"Killed process (\d+) \((.*)\) total-vm:(\d+)kB, anon-rss:(\d+)kB, file-rss:(\d+)kB, "
                    r"shmem-rss:(\d+)kB, UID:(\d+) pgtables:(\d+)kB oom_score_adj:(-?\d+)")


def version(release=platform.release()):
    return tuple(int(number) for number in re.match(r"(\d+)\.(\d+)", release).groups())


def stats_of(text):
    """Of a line of memory.stat, or of several in one record, which may be cut in the last."""
    lines = text.split("\\x0a")
    return {match[1]: int(match[2]) for match in map(STAT.match, lines[:-1] or lines) if match}


def kills_in(lines):
    """Each kill by its lines, (seconds, text), those of its context as far as the kernel wrote them."""
    found, context = [], {}
    for seconds, text in lines:
        if INVOKED.match(text):
            context = {"invoked": INVOKED.match(text).groups()}
        elif context and TRIGGER.match(text):
            context["by"] = int(TRIGGER.match(text)[1])
        elif context and USAGE.match(text):
            name, *numbers = USAGE.match(text).groups()
            context[name] = [int(number) for number in numbers]
        elif context and STATS.match(text):
            context["stat"] = {}
        elif "stat" in context and "chosen" not in context and stats_of(text):
            context["stat"].update(stats_of(text))
        elif context and COLUMNS.match(text):
            context["columns"], context["tasks"] = COLUMNS.match(text)[1].split(), {}
        elif "tasks" in context and "chosen" not in context and TASK.match(text):
            task = dict(zip(context["columns"], TASK.match(text)[1].split(None, len(context["columns"]) - 1)))
            context["tasks"][int(task["tgid"])] = task
        elif context and CHOSEN.match(text):
            context["chosen"] = CHOSEN.match(text).groups()
            context["nodes"] = ALLOWED.search(text).groups()
        elif KILLED.search(text):
            thread, comm, *numbers = KILLED.search(text).groups()
            found.append({"time": seconds, "thread": int(thread), "comm": comm,
                          "numbers": [int(number) for number in numbers], **context})
            context = {}
    return found


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
        return kills_in(self.lines())

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


def allowed_pages(threads, kernel=version(), cpus=CPUS):
    """How far a resident number may be from that of the kernel's log: there it is not exact on every kernel."""
    if (6, 2) <= kernel < (7, 2):
        return max(32, 2 * cpus) * cpus  # the parts of its CPUs are left out
    if threads:
        return 64 * threads  # they go on until they take the signal
    return 65 if kernel < (6, 2) else 0  # faults that the thread has not added yet (mm/memory.c); we add them


def same_numbers(document, kill, threads=0, **machine):
    """The line "Killed process". @machine: its kernel and cpus, if not these here."""
    victim, allowed = document["victim"], allowed_pages(threads, **machine) * PAGE
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
    if where.get("how") in CONCLUDED:  # nobody has seen the request
        expected.update({name: (trigger.get(name[8:]), None) for name in ("trigger.gfp_mask", "trigger.order")})
    return [f"{name} is {got}, by the kernel's log {wanted}" for name, (got, wanted) in expected.items()
            if got != wanted] + (same_limit(where, kill) if domain else [])


def same_tasks(document, kill, threads=0):
    """The kernel's table of the domain's tasks. Who asked for memory and was not killed goes on meanwhile."""
    rows, wrong = {row["pid"]: row for row in document["tasks"]}, []
    # Of three counters; where threads hold back what 64 faults brought in, the log leaves that out.
    allowed = (FAULT_AROUND if version() < (6, 2) else 3) * allowed_pages(threads) * PAGE
    if not set(rows) <= set(kill.get("tasks", {})) or len(rows) != document.get("tasks_total_count", len(rows)):
        wrong.append(f"the tasks are {sorted(rows)}, by the kernel's log {sorted(kill.get('tasks', {}))}")
    for pid, task in kill.get("tasks", {}).items():
        row = rows.get(pid, {})
        if not row or pid == document["trigger"].get("pid") and not row["victim"]:
            wrong += [] if row else [f"task {pid} is missing among {sorted(rows)}"]
            continue
        rss = sum(row[f"{kind}_rss_bytes"] for kind in ("anon", "file", "shmem"))
        exact = {"pgtables_bytes": int(task["pgtables_bytes"]),
                 "oom_score_adj": int(task["oom_score_adj"]), "comm": task["name"]}
        wrong += [f"tasks[{pid}].{name} is {row.get(name)}, by the kernel's log {expected}"
                  for name, expected in exact.items() if row.get(name) != expected]
        for name, got, logged in (("resident", rss, task["rss"]), ("swapped", row["swap_bytes"], task["swapents"])):
            if abs(got - int(logged) * PAGE) > allowed:
                wrong.append(f"task {pid} has {got} bytes {name}, by the kernel's log {int(logged) * PAGE} ({allowed})")
    return wrong


STAT_V1 = {"anon": "total_rss", "file": "total_cache", "shmem": "total_shmem"}
STAT_CHARGED = ("anon", "file", "kernel_stack", "slab", "pagetables", "sock")
STAT_NAMES = ("anon", "file", "shmem", "kernel_stack", "slab", "pagetables", "sock")
INDEXES = "mem_cgroup_stats_index"  # since 6.10: without its address the kernel's sums are not found


def kernel_tells_stat():
    """Whether the statistics of a cgroup can be read in the kernel."""
    if version() < (6, 10):
        return True
    with open("/proc/kallsyms", encoding="utf-8", errors="replace") as file:
        return any(line.split()[2:] == [INDEXES] for line in file)


def log_lags(domain, kill):
    """
    From 6.8 on who finds that another has begun to add up what waits on each CPU does not wait for its end: the log
    may lack what that one has not come to. What is charged is known whatever waits; the sums that we tell make it up.
    """
    if version() < (6, 8) or domain.get("counter") not in kill:
        return False
    charged = kill[domain["counter"]][0] * 1024
    ours, logged = (sum(stat.get(name, 0) for name in STAT_CHARGED) for stat in (domain["stat"], kill["stat"]))
    print(f"   {charged} bytes are charged, the log's statistics make up {logged} of them, ours {ours}")
    return logged < ours and abs(charged - ours) <= CHARGED_AHEAD * CPUS * PAGE < charged - logged


def same_stat(document, kill, threads=0):
    """memory.stat, as the kernel wrote it into its log right before the mark: to the byte, if nobody else ran."""
    # Until 6.8 whoever adds up what waits may do so between the log and the mark, or not at all.
    allowed = CHARGED_AHEAD * CPUS * PAGE if threads or (5, 13) <= version() < (6, 8) else 0
    domain, wrong = document["domain"], []
    if "stat" not in kill or domain.get("stat_how") != "kernel":
        return [] if domain.get("stat_how") == "file" and not kernel_tells_stat() else \
            [f"domain.stat_how is {domain.get('stat_how')}, the kernel's log has {len(kill.get('stat', {}))} numbers"]
    first = STAT_V1["anon"] in kill["stat"]
    for name in STAT_NAMES:
        expected, got = kill["stat"].get(STAT_V1.get(name) if first else name), domain["stat"].get(name)
        if expected is not None and (got is None or abs(got - expected) > allowed):
            wrong.append(f"domain.stat.{name} is {got}, by the kernel's log {expected} (allowed: {allowed})")
    if wrong and not first and log_lags(domain, kill):
        wrong = []
    if not first and not {"anon", "file", "kernel_stack", "shmem"} <= set(kill["stat"]):
        wrong.append(f"the kernel's log has {kill['stat']}")
    return wrong


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
