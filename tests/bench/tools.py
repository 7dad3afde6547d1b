# SPDX-License-Identifier: Apache-2.0
"""Programs that are started, waited for and ended; where things are; what machine this is."""

import glob
import os
import platform
import re
import resource
import shutil
import signal
import subprocess
import tempfile
import threading
import time

from stats import Missing

BUILD = os.path.abspath(os.environ.get("BUILD", "build"))
BENCH = os.path.join(BUILD, "bench")
HELDBY = os.path.join(BUILD, "heldby")
READY_S = 60
END_S = 60
LINES_KEPT = 200
REASON = re.compile(r"^(?!raise ).*(?:Exception: |[Ee]rror\b|failed|cannot|No such)")


def own(name):
    """A program of the bench."""
    return os.path.join(BENCH, name)


def installed(name):
    """Path of a program, or Missing."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if not path:
        raise Missing(f"{name} is not installed")
    return path


class Child:
    """A program whose talk is read by a thread, so that it never waits for us. What says() saw is gone."""

    def __init__(self, command, stop=signal.SIGTERM, kept=LINES_KEPT, **more):
        more.setdefault("stderr", subprocess.STDOUT)
        self.stop = stop
        self.kept = kept
        self.lines = []
        self.changed = threading.Condition()
        self.ended = False
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        start_new_session=True, **more)
        self.pid = self.process.pid
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for raw in self.process.stdout:
            with self.changed:
                self.lines.append(raw.decode("utf-8", "replace").rstrip("\n"))
                del self.lines[:-self.kept]
                self.changed.notify_all()
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def says(self, word="", seconds=READY_S):
        """The next line with @word in it, or Missing with the last thing it said."""
        deadline = time.monotonic() + seconds
        last = ""
        with self.changed:
            while True:
                while self.lines:
                    last = self.lines.pop(0)
                    if word in last:
                        return last
                if self.ended or not self.changed.wait(max(0, deadline - time.monotonic())):
                    name = os.path.basename(self.process.args[0])
                    raise Missing(last or f"{name} {'ended' if self.ended else 'did not answer'}")

    def last_words(self):
        """Of what it said the first that sounds like a reason; what follows is mostly a consequence."""
        with self.changed:
            said = [line.strip() for line in self.lines if line.strip()]
        return next((line for line in said if REASON.search(line)), said[-1] if said else
                    f"{os.path.basename(self.process.args[0])} ended")

    def ask(self):
        """For one more of what it does."""
        try:
            self.process.stdin.write(b"x")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise Missing(self.last_words()) from None

    def end(self):
        """Its stdin ends, and it is told to; at last it is killed, with what it started."""
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        if self.stop and self.process.poll() is None:
            self.process.send_signal(self.stop)
        try:
            self.process.wait(END_S)
        except subprocess.TimeoutExpired:
            os.killpg(self.pid, signal.SIGKILL)
            self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


def pin(cpu=None):
    """For Popen's preexec_fn: on the last CPU alone, or on @cpu."""
    allowed = sorted(os.sched_getaffinity(0))
    wanted = {allowed[-1] if cpu is None else cpu}
    return lambda: os.sched_setaffinity(0, wanted)


def read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def descendants(pid):
    """@pid and all that it started."""
    found = [pid]
    for parent in found:
        for task in glob.glob(f"/proc/{parent}/task/*/children"):
            found += [int(word) for word in read(task).split()]
    return found


def descendant(pid, comm, seconds=READY_S):
    """The process of that name among @pid and what it started, once it is there."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for one in descendants(pid):
            if read(f"/proc/{one}/comm").strip() == comm[:15]:
                return one
        time.sleep(0.02)
    raise Missing(f"{comm} did not start")


def allocator_of(pid):
    """The file a process takes its memory from."""
    paths = [line.split(None, 5)[5] for line in read(f"/proc/{pid}/maps").splitlines() if "r-xp" in line
             and len(line.split(None, 5)) == 6]
    for name in ("libjemalloc.so", "libtcmalloc", "libc.so.6", "libc-2"):
        for path in paths:
            if os.path.basename(path).startswith(name):
                return path
    return os.readlink(f"/proc/{pid}/exe")


def cpu_seconds(pid):
    """What a process has used, its ended threads included: the clock that clock_getcpuclockid(3) names."""
    return time.clock_gettime(~pid << 3 | 2)


def resident_bytes(pid):
    return int(read(f"/proc/{pid}/statm").split()[1]) * resource.getpagesize()


def scratch():
    """A folder for a part's own files; removed with it."""
    return tempfile.TemporaryDirectory(prefix="heldby-bench-")


def machine():
    info = read("/proc/cpuinfo").splitlines()
    model = next((line.split(":", 1)[1].strip() for line in info if line.startswith("model name")),
                 platform.machine())
    memory = int(read("/proc/meminfo").split()[1]) * 1024
    return {"host": platform.node(), "cpu": model, "cpus": os.cpu_count(),
            "virtual": any(" hypervisor" in line for line in info if line.startswith("flags")),
            "memory_bytes": memory, "kernel": platform.release(), "libc": " ".join(platform.libc_ver()),
            "load_1min": os.getloadavg()[0]}
