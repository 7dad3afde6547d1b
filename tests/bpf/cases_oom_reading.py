# SPDX-License-Identifier: Apache-2.0
"""
Reading a process that is killed for want of memory: whoever holds its address space then makes the kernel,
which no longer finds anybody dying, kill a second one. A cgroup of 256 MiB, a victim of 235 that sits there
and is read, a newcomer that asks for 32.
"""

import json
import os
import secrets
import shutil
import subprocess
import time

from check import detail, hold
from harness import Failure, Skip, put, read_text
from registry import all_alone

test, _ = all_alone("it depends on who reads when")
MIB = 1 << 20
LIMIT, VICTIM, NEWCOMER, NEARLY = 256, 235, 32, 247
NAIVE_ROUNDS, ROUNDS = 40, 20


def mounted(kind):
    """Where the memory controller of "cgroup" (v1) or "cgroup2" is mounted as a whole, or None."""
    for line in read_text("/proc/self/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        root, point = before.split()[3:5]
        if root == "/" and after.split()[0] == kind and (kind == "cgroup2" or "memory" in after.split()[2].split(",")):
            return point
    return None


class Cgroup:
    """A memory cgroup of the test's own, without swap."""

    def __init__(self, case):
        self.case = case
        first = mounted("cgroup")
        root = first or mounted("cgroup2")
        if not root:
            raise Skip("no memory controller is mounted")
        self.path = os.path.join(root, f"heldby-test-{secrets.token_hex(8)}")
        self.kills_in = "memory.oom_control" if first else "memory.events"
        try:
            if not first and "memory" not in read_text(os.path.join(root, "cgroup.subtree_control")).split():
                put(os.path.join(root, "cgroup.subtree_control"), "+memory")
            os.mkdir(self.path)
        except OSError as error:
            raise Skip(f"no memory cgroup can be made: {error}") from None
        limits = [("memory.limit_in_bytes", LIMIT), ("memory.memsw.limit_in_bytes", LIMIT)] if first else \
            [("memory.max", LIMIT), ("memory.swap.max", 0)]
        for name, mebibytes in limits:
            if os.path.exists(os.path.join(self.path, name)):
                put(os.path.join(self.path, name), str(mebibytes * MIB))

    def kills(self):
        for line in read_text(os.path.join(self.path, self.kills_in)).splitlines():
            name, _, value = line.partition(" ")
            if name == "oom_kill":
                return int(value)
        raise Skip("this kernel does not count the kills of a cgroup")

    def start(self, *words, **options):
        """A program that belongs to it."""
        enter = 'echo $$ >"$0/cgroup.procs" && exec "$@"'
        return self.case.start(["/bin/sh", "-c", enter, self.path, *words], **options)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.case.started:
            if process.poll() is None:
                process.kill()
            process.wait()
        for _ in range(100):
            try:
                os.rmdir(self.path)
                return
            except OSError:
                time.sleep(0.02)
        raise Failure(f"{self.path} cannot be removed")


class Told:
    """A program of the cgroup that does the next thing when it is told to."""

    def __init__(self, cgroup, *command):
        self.process = cgroup.start(*command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.pid = self.process.pid
        cgroup.case.until("the program to start", lambda: read_text(f"/proc/{self.pid}/comm") == "oom_reading\n")

    def step(self):
        self.process.stdin.write(b"x")
        self.process.stdin.flush()
        if self.process.stdout.readline() != b"ready\n":
            raise Failure(f"{self.process.args[-3:]} could not do what it was told")


def victim_of(cgroup, program):
    return Told(cgroup, program, "hold", str(VICTIM))


def one_kill(case, cgroup, victim, program, *reader):
    """The victim is read while a newcomer has it killed: (kills, readings, refusals)."""
    before = cgroup.kills()
    victim.step()
    reading = case.start([program, reader[0], str(victim.pid), *reader[1:]], stdout=subprocess.PIPE)
    if reading.stdout.readline() != b"reading\n":
        raise Failure("the reader could not read", *read_text(reading.err).splitlines())
    newcomer = cgroup.start(program, "fill", str(NEWCOMER))
    case.wait(newcomer)
    if case.wait(victim.process) != 137:
        raise Failure(f"the victim left with {victim.process.returncode}, expected a kill")
    readings, refusals = map(int, reading.stdout.readline().split())
    if case.wait(reading):
        raise Failure(f"the reader left with {reading.returncode}")
    return cgroup.kills() - before, readings, refusals


@test("a reader of smaps_rollup that asks nobody gets a second process killed", seconds=120)
def naive(case):
    program = case.load("oom_reading")
    with Cgroup(case) as cgroup:
        for _ in range(NAIVE_ROUNDS):
            if one_kill(case, cgroup, victim_of(cgroup, program), program, "naive", "smaps_rollup")[0] > 1:
                return
    raise Skip(f"{NAIVE_ROUNDS} victims were killed while they were read, and nobody else")


@test("nobody else is killed with twenty processes that heldby reads meanwhile", seconds=240)
def gated(case):
    if case.place.brief:
        raise Skip("the bare reader hears of no kills, and where the CPU is emulated it was late in 3 of 60")
    program = case.load("oom_reading")
    with Cgroup(case) as cgroup:
        victims = [victim_of(cgroup, program) for _ in range(ROUNDS)]
        tracer = case.top(",".join(str(victim.pid) for victim in victims), interval="0.1")
        rounds = [one_kill(case, cgroup, victim, program, "gated") for victim in victims]
        documents = read_text(tracer.out).count("\n")
        status = case.wait(tracer)
    kills = [row[0] for row in rounds]
    wrong = [f"kills in each round: {kills}, expected 1"] if kills != [1] * ROUNDS else []
    if min(row[1] for row in rounds) < 1 or sum(row[2] for row in rounds) < ROUNDS:
        wrong.append(f"readings and refusals in each round: {[row[1:] for row in rounds]}")
    if status or documents < ROUNDS:
        wrong.append(f"heldby top left with {status} after {documents} reports")
    hold(wrong)


def last_of(tracer):
    """The last document that is whole, or None."""
    lines = read_text(tracer.out).split("\n")[:-1]
    return json.loads(lines[-1]) if lines else None


def allocators_of(document):
    return document["processes"][0]["allocators"]


@test("a process near its limit is not looked at, which is told, and made up for once it is not")
def put_off(case):
    program, library = case.load("oom_reading"), case.path("library.so")
    shutil.copy(case.load("libown.so"), library)
    with Cgroup(case) as cgroup:
        target = Told(cgroup, program, "maps", str(NEARLY), library)
        tracer = case.top(target.pid, interval="0.1")
        target.step()
        late = case.start([case.place.heldby, "top", "-p", str(target.pid), "1", "1"])
        status, said = case.wait(late), read_text(late.err)
        target.step()
        case.until("a look put off", lambda: detail(last_of(tracer), "put_off_readings"))
        before = allocators_of(last_of(tracer))
        target.step()
        case.until("the library to be looked at", lambda: len(allocators_of(last_of(tracer))) > 1)
        documents = case.stop_top(tracer)
    wrong = [] if status == 1 and "within 5 % of its limit" in said else \
        [f"heldby top near the limit left with {status} and said {said!r}"]
    if len(before) != 1 or len(allocators_of(documents[-1])) != 2:
        wrong.append(f"allocators are {before}, then {allocators_of(documents[-1])}")
    hold(wrong)
