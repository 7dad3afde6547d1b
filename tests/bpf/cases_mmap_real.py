# SPDX-License-Identifier: Apache-2.0
"""The mappings of programs that we did not write, beside the kernel's own list."""

import collections
import json
import os
import re
import signal
import sys

from cases_mmap import listed, same_bytes, whole
from cases_real import Postgres, Redis, jdks, program
from check import detail, excused, hold
from harness import Failure, Outcome, children_of, read_text
from registry import each, test

ALL = ("--sources", "malloc,direct,mmap")
STOPS = 6
MINUTE, SHORT = 60, 15


def stopped(pid):
    """Whether every thread has come to rest."""
    for thread in os.listdir(f"/proc/{pid}/task"):
        if read_text(f"/proc/{pid}/task/{thread}/stat").rpartition(")")[2].split()[0] not in "TZX":
            return False
    return True


def reports(tracer):
    return read_text(tracer.out).count("\n")


def stack_of(pid):
    """Bytes of the main thread's stack, which grows without a call, and of what the kernel maps for uprobes."""
    return sum(int(end, 16) - int(start, 16) for start, end, name in
               re.findall(r"^(\w+)-(\w+) .*(\[stack\]|\[uprobes\])$", read_text(f"/proc/{pid}/maps"), re.M))


def seen(row):
    """Bytes whose mapping was seen: of hooks that see nothing there are none, however often the list is read."""
    return row["mapped_bytes"] - row["mapped_before_bytes"]


def told(tracer, first):
    """Its reports from number @first on."""
    return [json.loads(line) for line in read_text(tracer.out).split("\n")[first:-1]]


def settled(tracer, first, mapped):
    """
    The first report from number @first on that is exact: the kernel's list may be read so often only. Where none can
    be, the first that has what is @mapped.
    """
    return next((one for one in told(tracer, first) if not one["processes"][0].get("approximate") or
                 excused(one) and one["processes"][0]["mapped_bytes"] == mapped), None)


Rest = collections.namedtuple("Rest", "row stack wrong read_anew")


def at_rest(case, tracer, pid):
    """A report begun while the program is stopped, beside what the kernel says, and whether its list was needed."""
    os.kill(pid, signal.SIGSTOP)
    case.until("the program to stop", lambda: stopped(pid))
    mapped, committed = listed(pid)
    known = reports(tracer) # the next may have been begun before
    case.until("an exact report", lambda: settled(tracer, known + 1, mapped) or tracer.poll() is not None)
    if tracer.poll() is not None:
        raise Failure(f"heldby left with {tracer.returncode}", *read_text(tracer.err).splitlines()[-5:])
    document = settled(tracer, known + 1, mapped)
    stack = stack_of(pid)
    os.kill(pid, signal.SIGCONT)
    row = document["processes"][0]
    wrong = whole(document, row) + same_bytes(row, mapped, committed)
    changes = sum(site["allocated_count"] for site in document["sites"] if site["source"] == "mmap")
    print(f"   {row['comm']}: {row['mapped_bytes']:,} bytes mapped, the kernel's {mapped:,}; "
          f"{row['committed_bytes']:,} committed, the kernel's {committed:,}; before "
          f"{row['mapped_before_bytes']:,}, by allocators {row['mapped_by_allocators_bytes']:,}; {changes:,} "
          f"mappings by sites; {detail(document, 'mapping_changes')} events dropped, read anew "
          f"{detail(document, 'mappings_read_anew')} times")
    before = detail(told(tracer, known - 1)[0], "mappings_read_anew") if known else 0
    return Rest(row, stack, wrong, detail(document, "mappings_read_anew") > before)


def agrees(case, pid, begin=None, seconds=MINUTE):
    """
    Under top, the program is stopped several times: a report that was begun then says what the kernel does, and
    what was mapped meanwhile was seen being mapped. @begin: its work, begun under top.
    """
    tracer = case.top(pid, *ALL, interval="0.5")
    client = begin() if begin else None
    rests, wrong = [at_rest(case, tracer, pid)], []
    for _ in range(STOPS):
        case.sleep(seconds / STOPS)
        rests.append(at_rest(case, tracer, pid))
    if client and client.poll() is not None:
        raise Failure(f"{client.args[0]} ended early, with {client.returncode}",
                      *read_text(client.err).splitlines()[-5:])
    documents = case.stop_top(tracer)
    for rest in rests:
        wrong += rest.wrong
    held, grew = [rest.row["mapped_before_bytes"] for rest in rests], rests[-1].stack - rests[0].stack
    skipped = excused(documents[-1])
    if not skipped and held[-1] > held[0] + grew:
        wrong.append(f"{held[0]} bytes were mapped before, then {held[-1]}; the stack grew by {grew}")
    rows = [one["processes"][0] for one in documents]
    if not max(seen(row) for row in rows):
        wrong.append(f"in {len(rows)} reports no mapping was seen being made")
    # When it is stopped its last changes have come, but for its stack's and ours; a hook that sees nothing is behind.
    anew = sum(rest.read_anew for rest in rests)
    if not skipped and anew > len(rests) / 2:
        wrong.append(f"its mappings were read anew {anew} of the {len(rests)} times that it was stopped")
    hold(wrong, Outcome(0, documents[-1], [], read_text(tracer.err)))


@test("redis under its benchmark maps what the kernel says for a minute", 240)
def redis_maps(case):
    redis = Redis(case)
    server = case.start(redis.server)
    case.until("the server", redis.ready)
    agrees(case, server.pid, lambda: case.start([
        program("redis-benchmark"), *redis.where, "-n", "100000", "-q", "-l", "-r", "50000", "-d", "3000", "-t",
        "set,get,hset"]))


@each("a JVM that takes direct buffers maps what the kernel says for {1} s: {0}",
      [(path.replace("/usr/lib/jvm/", "").replace("/bin/java", ""), MINUTE if not number else SHORT, path)
       for number, path in enumerate(jdks())], 240)
def java_maps(case, _, seconds, path):
    folder = os.path.dirname(case.load("java/Direct.class"))
    process = case.start([program(path), "-Xmx256m", "-XX:MaxDirectMemorySize=256m", "-cp", folder, "Direct", "churn"])
    case.sleep(1)
    if process.poll() is not None:
        raise Failure(f"java left with {process.returncode}", *read_text(process.err).splitlines()[-5:])
    # Once it has all that it needs it maps nothing more by itself: one that asks has it begin a thread.
    ask = f"while :; do {os.path.dirname(program(path))}/jcmd {process.pid} VM.version > /dev/null; sleep 5; done"
    agrees(case, process.pid, lambda: case.start(["sh", "-c", ask]), seconds)


PYTHON = """
import mmap, random, threading, zlib
def churn(seed):
    numbers = random.Random(seed)
    kept = {}
    while True:
        kept[numbers.randrange(50)] = mmap.mmap(-1, numbers.randrange(1, 1 << 20))
        kept[numbers.randrange(50)] = bytearray(numbers.randrange(1 << 22))
        zlib.compress(bytes(100000))
        for one in kept.values():
            if isinstance(one, mmap.mmap) and numbers.random() < 0.02:
                one.resize(numbers.randrange(1, 1 << 20))
for seed in range(3):
    threading.Thread(target=churn, args=(seed,)).start()
"""


@test("python3 with threads maps what the kernel says", 120)
def python_maps(case):
    process = case.start([sys.executable, "-c", PYTHON])
    case.sleep(0.5)
    agrees(case, process.pid, seconds=SHORT)


# Each takes memory of the backend's own and gives it back.
SORTS = """
SELECT count(*), max(x) FROM (SELECT random() AS x FROM generate_series(1, 40000) ORDER BY x) AS sorted;
SELECT string_agg(repeat('x', 1000), '') FROM generate_series(1, 3000);
"""


@test("a postgres backend under pgbench maps what the kernel says for a minute", 300)
def postgres_maps(case):
    base = Postgres(case)
    script = os.path.join(base.folder, "sorts.sql")
    with open(script, "w", encoding="ascii") as file:
        file.write(SORTS)
    server = case.start(base.server)
    case.until("the server", base.ready)
    command = [*base.user, f"{base.tools}/pgbench", *base.where]
    case.wait(case.start([*command, "-i", "-q", "postgres"]))
    client = case.start([*command, "-c", "1", "-T", "280", "-f", f"{script}@1", "-b", "tpcb-like@20", "postgres"])
    case.until("a backend", lambda: backends(server.pid))
    case.sleep(3) # pgbench looks first, on a connection of its own
    agrees(case, backends(server.pid)[0], lambda: client)


def backends(pid):
    lines = [(one, read_text(f"/proc/{one}/cmdline")) for one in children_of(pid)]
    return [one for one, line in lines if line.startswith("postgres: postgres")]
