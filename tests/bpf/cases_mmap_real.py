# SPDX-License-Identifier: Apache-2.0
"""The mappings of programs that we did not write, beside the kernel's own list."""

import json
import os
import signal
import sys

from cases_mmap import listed, same_bytes, whole
from cases_real import Postgres, Redis, jdks, program
from check import detail, hold
from harness import Failure, Outcome, children_of, read_text
from registry import each, test

ALL = ("--sources", "malloc,direct,mmap")
STOPS = 4


def stopped(pid):
    """Whether every thread has come to rest."""
    for thread in os.listdir(f"/proc/{pid}/task"):
        if read_text(f"/proc/{pid}/task/{thread}/stat").rpartition(")")[2].split()[0] not in "TZX":
            return False
    return True


def reports(tracer):
    return read_text(tracer.out).count("\n")


def agrees(case, pid, seconds=1.5):
    """
    Under top, the program is stopped several times: a report that was begun then says what the kernel does.
    """
    tracer = case.top(pid, *ALL, interval="0.5")
    wrong = []
    for _ in range(STOPS):
        case.sleep(seconds)
        os.kill(pid, signal.SIGSTOP)
        case.until("the program to stop", lambda: stopped(pid))
        mapped, committed = listed(pid)
        known = reports(tracer) + 2 # the next may have been begun before
        case.until("a report", lambda known=known: reports(tracer) >= known or tracer.poll() is not None)
        if tracer.poll() is not None:
            raise Failure(f"heldby left with {tracer.returncode}", *read_text(tracer.err).splitlines()[-5:])
        document = json.loads(read_text(tracer.out).splitlines()[known - 1])
        os.kill(pid, signal.SIGCONT)
        row = document["processes"][0]
        wrong += whole(document, row) + same_bytes(row, mapped, committed)
        if row.get("approximate"):
            wrong.append("the process is approximate")
        changes = sum(site["allocated_count"] for site in document["sites"] if site["source"] == "mmap")
        print(f"   {row['comm']}: {row['mapped_bytes']:,} bytes mapped, the kernel's {mapped:,}; "
              f"{row['committed_bytes']:,} committed, the kernel's {committed:,}; before "
              f"{row['mapped_before_bytes']:,}, by allocators {row['mapped_by_allocators_bytes']:,}; {changes:,} "
              f"mappings by sites; {detail(document, 'mapping_changes')} events dropped")
    document = case.stop_top(tracer)[-1]
    hold(wrong, Outcome(0, document, [], read_text(tracer.err)))


@test("redis under its benchmark maps what the kernel says", 120)
def redis_maps(case):
    redis = Redis(case)
    server = case.start(redis.server)
    case.until("the server", redis.ready)
    case.start([program("redis-benchmark"), *redis.where, "-n", "100000", "-q", "-l", "-r", "50000", "-d", "3000", "-t",
                "set,get,hset"])
    agrees(case, server.pid)


@each("a JVM that takes direct buffers maps what the kernel says: {0}",
      [(path.replace("/usr/lib/jvm/", "").replace("/bin/java", ""), path) for path in jdks()], 120)
def java_maps(case, _, path):
    folder = os.path.dirname(case.load("java/Direct.class"))
    process = case.start([path, "-Xmx256m", "-XX:MaxDirectMemorySize=256m", "-cp", folder, "Direct", "churn"])
    case.sleep(1)
    if process.poll() is not None:
        raise Failure(f"java left with {process.returncode}", *read_text(process.err).splitlines()[-5:])
    agrees(case, process.pid)


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
    agrees(case, process.pid)


@test("a postgres backend under pgbench maps what the kernel says", 180)
def postgres_maps(case):
    base = Postgres(case)
    server = case.start(base.server)
    case.until("the server", base.ready)
    command = [*base.user, f"{base.tools}/pgbench", *base.where]
    case.wait(case.start([*command, "-i", "-q", "postgres"]))
    case.start([*command, "-c", "1", "-T", "60", "postgres"])
    case.until("a backend", lambda: backends(server.pid))
    case.sleep(3) # pgbench looks first, on a connection of its own
    agrees(case, backends(server.pid)[0])


def backends(pid):
    lines = [(one, read_text(f"/proc/{one}/cmdline")) for one in children_of(pid)]
    return [one for one, line in lines if line.startswith("postgres: postgres")]
