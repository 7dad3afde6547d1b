# SPDX-License-Identifier: Apache-2.0
"""Starts heldby and the load programs, bounds them in time, and ends what is left of them."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time


BLOCKS = ("--sources", "malloc,direct")  # unless a test is about others


def with_sources(options):
    """The options, and which sources if they leave that open."""
    return tuple(options) if "--sources" in options else (*BLOCKS, *options)


class Failure(Exception):
    """An expectation did not hold; its arguments are lines to print."""


class Skip(Exception):
    """The test cannot run here; its argument says why."""


class Place:
    """Where things are, for every test. @brief: what is repeated is repeated less."""

    def __init__(self, heldby, loads, keep, brief=False):
        self.heldby = heldby
        self.loads = loads
        self.keep = keep
        self.brief = brief


class Outcome:
    """What one traced command left behind."""

    def __init__(self, status, document, truths, talk):
        self.status = status
        self.document = document
        self.truths = truths
        self.talk = talk


def put(path, text):
    """Into a file that is there: a setting of the kernel."""
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def read_text(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def read_lines(path):
    """JSON documents, one per line; a line cut short by a kill is a failure."""
    documents = []
    for line in read_text(path).splitlines():
        try:
            documents.append(json.loads(line))
        except json.JSONDecodeError as error:
            raise Failure(f"{os.path.basename(path)} has a line that is no JSON: {error}",
                          line[:300]) from None
    return documents


def session_of(pid):
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[3])
    except (OSError, ValueError, IndexError):
        return -1


def children_of(pid):
    """Pids of the direct children of any thread of @pid."""
    pids = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as file:
                pids += [int(word) for word in file.read().split()]
    except OSError:
        pass
    return pids


class Test:
    """One test's scratch directory, deadline and processes."""

    def __init__(self, place, seconds):
        self.place = place
        self.deadline = time.monotonic() + seconds
        self.folder = tempfile.mkdtemp(prefix="heldby-test-")
        self.truth = os.path.join(self.folder, "truth")
        self.started = []
        self.names = 0

    def load(self, name):
        """Path of a load program, or Skip where it could not be built."""
        path = os.path.join(self.place.loads, name)
        if not os.path.exists(path):
            raise Skip(f"{name} was not built here")
        return path

    def left(self):
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise Failure("ran out of time")
        return left

    def path(self, name):
        self.names += 1
        return os.path.join(self.folder, f"{self.names}-{name}")

    def start(self, command, env=None, stdin=subprocess.DEVNULL, stdout=None):
        """A process in a session of its own; its output goes to files unless @stdout is given."""
        out, err = self.path("stdout"), self.path("stderr")
        whole = {**os.environ, "HB_TRUTH": self.truth, **(env or {})}
        with open(out, "wb") as out_file, open(err, "wb") as err_file:
            process = subprocess.Popen(command, env=whole, stdin=stdin,
                                       stdout=stdout or out_file, stderr=err_file,
                                       cwd=self.folder, start_new_session=True)
        process.out, process.err = out, err
        self.started.append(process)
        return process

    def wait(self, process):
        """Its exit status as a shell gives it."""
        try:
            status = process.wait(timeout=self.left())
        except subprocess.TimeoutExpired:
            raise Failure(f"{process.args[0]} did not end in time",
                          *read_text(process.err).splitlines()[-5:]) from None
        return status if status >= 0 else 128 - status

    def until(self, what, holds):
        while not holds():
            if time.monotonic() > self.deadline:
                raise Failure(f"waited in vain for {what}")
            time.sleep(0.01)

    def sleep(self, seconds):
        time.sleep(min(seconds, self.left()))

    def truths(self):
        return read_lines(self.truth)

    def run_bare(self, command, env=None):
        """The command without a tracer: (status, stdout). Its truth is thrown away."""
        process = self.start(command, dict(env or {}, HB_TRUTH="/dev/null"))
        status = self.wait(process)
        return status, read_text(process.out)

    def run(self, command, options=(), status=0, env=None):
        """The command under heldby run, with every site of its last report."""
        report = self.path("report.json")
        process = self.start([self.place.heldby, "run", "--top", "0", "-o", f"json:{report}",
                              *with_sources(options), "--", *command], env)
        got = self.wait(process)
        talk = read_text(process.err)
        if got != status:
            raise Failure(f"exit status is {got}, expected {status}", *talk.splitlines()[-8:])
        documents = read_lines(report)
        if len(documents) != 1:
            raise Failure(f"{len(documents)} documents, expected 1", *talk.splitlines()[-8:])
        return Outcome(got, documents[0], self.truths(), talk)

    def top(self, pid, *options, interval="1", count=None):
        """heldby top on @pid, once it is ready."""
        command = [self.place.heldby, "top", "-p", str(pid), "--json", "--top", "0",
                   "--malloc", "exact", *with_sources(options), interval]
        process = self.start(command + ([str(count)] if count else []))
        self.until("heldby: ready", lambda: "heldby: ready" in read_text(process.err) or
                   process.poll() is not None)
        if "heldby: ready" not in read_text(process.err):
            raise Failure(f"heldby top left with {process.returncode} before it was ready",
                          *read_text(process.err).splitlines()[-8:])
        return process

    def stop_top(self, process, number=signal.SIGINT):
        """Ends heldby top in order; returns its documents."""
        process.send_signal(number)
        status = self.wait(process)
        if status != 0:
            raise Failure(f"heldby top left with {status}, expected 0",
                          *read_text(process.err).splitlines()[-8:])
        documents = read_lines(process.out)
        if not documents:
            raise Failure("heldby top wrote no document")
        return documents

    def clean(self):
        """Kills whatever lives on in the sessions started here, each by its pid."""
        sessions = {process.pid for process in self.started}
        for name in os.listdir("/proc"):
            if name.isdigit() and session_of(name) in sessions:
                try:
                    os.kill(int(name), signal.SIGKILL)
                except ProcessLookupError:
                    pass
        for process in self.started:
            if process.poll() is None:
                process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe:
                    pipe.close()
        if self.place.keep:
            print(f"   kept {self.folder}")
            return
        shutil.rmtree(self.folder, ignore_errors=True)
