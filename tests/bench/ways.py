# SPDX-License-Identifier: Apache-2.0
"""
The ways to trace: nothing, empty programs (the floor), heldby, and its peers. A way attaches to a process, or
starts a command in a manner of its own; what this machine does not have raises Missing with the reason.
"""

import contextlib
import glob
import os
import re
import signal
import subprocess
import time

from stats import Missing
from tools import BENCH, HELDBY, READY_S, Child, allocator_of, cpu_seconds, descendants, installed, own

RUNGS = ("uprobe.session", "uprobe.multi", "uprobe")
SAMPLE_BYTES = 512 << 10
FOREVER = "100000"  # seconds until a report
STEADY_S = 0.5      # probes are in place when none has come for so long
SETTLE_S = 30       # so long at the most is its first look waited for
LOOK_S = 0.5
QUIET = 0.03        # of a core: it rests
PROBES_MIN = 3      # malloc, its return, and free


class Way:
    """Nothing at all; others change what they must."""

    name = "nothing"

    def around(self, command, folder):
        """What to start instead of @command; @folder is for files of its own."""
        return command

    def attach(self, pid, file=None):
        """A Child that is ready and traces @pid, whose malloc is in @file; or what else a with statement takes."""
        return contextlib.nullcontext()


class Floor(Way):
    """Empty programs where heldby would attach. @kind: a rung, or "skip"."""

    def __init__(self, kind):
        self.kind = kind
        self.name = f"floor {kind}"

    def attach(self, pid, file=None):
        tracer = Child([own("floor"), "malloc", self.kind, str(pid), file or allocator_of(pid)], stop=None)
        return until(tracer, "ready")


def until(tracer, word):
    """@tracer, once it has said @word; or it is ended, and Missing tells its last words."""
    try:
        tracer.says(word)
    except Missing:
        tracer.end()
        raise
    return tracer


_help = {}  # what heldby said, by command


def help_of(*command):
    if command not in _help:
        _help[command] = subprocess.run([*command, "--help"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        check=False).stdout.decode("utf-8", "replace")
    return _help[command]


def best_rung():
    """What heldby takes here."""
    if "best" not in _help:
        said = subprocess.run([HELDBY, "doctor", "-p", "1"], stdout=subprocess.PIPE, check=False).stdout.decode()
        works = {line.split()[1] for line in said.splitlines() if line.startswith("  ok ")}
        _help["best"] = next((rung for rung in RUNGS if rung in works), RUNGS[-1])
    return _help["best"]


def need_sampling():
    if not re.search(r"^ +--malloc\b.*\bBYTES\b", help_of(HELDBY, "top"), re.M):
        raise Missing("this heldby does not sample (no --malloc BYTES)")


class Heldby(Way):
    """heldby top of one process. @options are its own; @sampled: it must know --malloc BYTES."""

    def __init__(self, name, *options, sampled=False):
        self.name = f"heldby {name}"
        self.options = options
        self.sampled = sampled

    def command(self, verb, *options):
        if self.sampled:
            need_sampling()
        return [HELDBY, verb, *self.options, *options]

    def attach(self, pid, file=None):
        return until(Child([*self.command("top", "-p", str(pid)), FOREVER]), "ready")


def settle(tracer):
    """(seconds, seconds of CPU) until heldby has done looking at every program of the host, or has nearly."""
    begin, spent = time.monotonic(), cpu_seconds(tracer.pid)
    while time.monotonic() - begin < SETTLE_S:
        time.sleep(LOOK_S)
        before, spent = spent, cpu_seconds(tracer.pid)
        if spent - before < QUIET * LOOK_S:
            break
    return time.monotonic() - begin, spent


class Node(Heldby):
    """
    heldby top of the whole node: page faults only, and nothing that belongs to one process. What it does at its start
    is done when attach() returns, and is in settled.
    """

    def __init__(self, name, *options):
        super().__init__(name, *options)
        self.settled = []

    def attach(self, pid, file=None):
        tracer = until(Child([*self.command("top"), FOREVER]), "ready")
        self.settled.append(settle(tracer))
        return tracer


def probes_of(pid):
    """How many perf events a process holds."""
    count = 0
    for fd in glob.glob(f"/proc/{pid}/fd/*"):
        try:
            count += "perf_event" in os.readlink(fd)
        except OSError:
            pass
    return count


def until_probed(tracer):
    """A peer that does not say when it is ready: its probes are counted until no more come."""
    deadline = time.monotonic() + READY_S
    count, since = 0, time.monotonic()
    while time.monotonic() < deadline:
        if tracer.process.poll() is not None:
            time.sleep(0.1)
            words = tracer.last_words()
            tracer.end()
            raise Missing(words)
        now = sum(probes_of(pid) for pid in descendants(tracer.pid))
        if now != count:
            count, since = now, time.monotonic()
        if count >= PROBES_MIN and time.monotonic() - since > STEADY_S:
            return tracer
        time.sleep(0.05)
    tracer.end()
    raise Missing(f"no probes within {READY_S} s")


def kernel_headers():
    """Environment for bcc, which compiles against the headers of a kernel; any will do for memleak."""
    if os.path.isdir(f"/lib/modules/{os.uname().release}/build") or os.path.exists("/sys/kernel/kheaders.tar.xz"):
        return {}
    arch = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
    for folder in sorted(glob.glob(f"/usr/src/linux-headers-*-{arch}"), reverse=True):
        common = folder[:-len(arch)] + "common"
        if not os.path.isdir(common):
            continue
        whole = os.path.join(BENCH, "headers", os.path.basename(folder))
        if not os.path.isdir(whole):
            os.makedirs(whole)
            for part in (common, folder):
                subprocess.run(["cp", "-rsf", f"{part}/include", f"{part}/arch", whole], check=True)
        return {"BCC_KERNEL_SOURCE": whole}
    raise Missing("bcc needs kernel headers: neither this kernel's nor any linux-headers package is here")


class MemleakBcc(Way):
    """memleak of Debian's bcc: a Python program that compiles its BPF part."""

    name = "memleak (bcc)"

    def attach(self, pid, file=None):
        memleak = installed("memleak-bpfcc")
        launcher = os.path.join(os.path.dirname(os.path.abspath(__file__)), "memleak_bpfcc.py")
        command = ["/usr/bin/python3", launcher, memleak, "-O", file or allocator_of(pid), "-p", str(pid), FOREVER]
        return until_probed(Child(command, stop=signal.SIGINT, env=os.environ | kernel_headers()))


class MemleakPath(Way):
    """memleak of bcc's libbpf-tools, built elsewhere. It keeps 31 characters of a path: it runs beside the file."""

    name = "memleak (libbpf)"

    def __init__(self, path):
        self.path = path and os.path.abspath(path)

    def attach(self, pid, file=None):
        if not self.path:
            raise Missing("no --memleak PATH was given")
        folder, name = os.path.split(file or allocator_of(pid))
        return until_probed(Child([self.path, "-O", f"./{name}", "-p", str(pid), FOREVER], stop=signal.SIGINT,
                                  cwd=folder))


class Heaptrack(Way):
    """Another mechanism: a library inside the process, and a second process that reads what it writes."""

    name = "heaptrack"

    def around(self, command, folder):
        return [installed("heaptrack"), "-o", os.path.join(folder, "heaptrack"), *command]


def nothing():
    return Way()


def floors():
    return [Floor(rung) for rung in RUNGS] + [Floor("skip")]


def sampled(rung=None):
    return Heldby("sampled" + (f" {rung}" if rung else ""), "--malloc", str(SAMPLE_BYTES), "--sources", "malloc,direct",
                  *(("--rung", rung) if rung else ()), sampled=True)


def exact(unwind="eh_frame", rung=None):
    name = "exact" + (f" {rung}" if rung else "") + f" {unwind}"
    # Nothing else is traced: what belongs to mappings and pages is measured elsewhere.
    return Heldby(name, "--malloc", "exact", "--sources", "malloc,direct", "--unwind", unwind,
                  *(("--rung", rung) if rung else ()))


def pages():
    return Node("pages")


def peers(given):
    return [MemleakBcc(), MemleakPath(given.memleak), Heaptrack()]


def floor_of(way):
    """What a way's cost is compared with: empty programs, or nothing where it has no such probes."""
    if way.startswith(("floor", "nothing", "heaptrack", "heldby pages")):
        return "nothing"
    for rung in RUNGS[1:]:
        if f" {rung} " in f"{way} ":
            return f"floor {rung}" # sampled or not: only a session can leave a return alone
    if "sampled" in way:
        return "floor skip"
    return f"floor {best_rung()}"
