# SPDX-License-Identifier: Apache-2.0
"""Processes with mounts, roots and pids of their own, and files that are not what they were."""

import glob
import os
import shutil
import subprocess
import sys

from check import consistent, hold, same_sums
from harness import BLOCKS, Failure, Outcome, Skip, children_of, read_lines, read_text
from registry import each, test

LATE_SECONDS = 0.5  # what a tracer has, to notice a program it did not foresee
SHORT_ROUNDS = 5
LETTERS = "rlat"    # of the attach program: start from zero, allocate, tell the truth

# Its own tmpfs as root, made where no other mount namespace sees it; the last words are run there.
ALONE = """
set -e
mount -t tmpfs none "$1"
cp -a "$2/." "$1"
mount --bind "$3" "$1/truth"
exec chroot "$1" "$4" $5
"""

# A process that maps a device to be executed, as nothing sensible does, and then waits.
MAPS_DEVICE = """
import mmap, sys
with open("/dev/zero", "r+b") as device:
    kept = mmap.mmap(device.fileno(), 4096, flags=mmap.MAP_PRIVATE,
                     prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
print("here", flush=True)
sys.stdin.read()
"""


class Obedient:
    """The attach program, however it is started: a letter for each thing to do."""

    def __init__(self, case, command, env=None):
        self.case = case
        self.process = case.start(command, env, stdin=subprocess.PIPE)
        self.pid = self.process.pid
        self.answers = 0

    def do(self, letters):
        for letter in letters:
            self.process.stdin.write(letter.encode())
            self.process.stdin.flush()
            self.answers += 1
            self.case.until(f"the answer to letter {letter}", self.answered)

    def answered(self):
        if read_text(self.process.out).startswith("." * self.answers):
            return True
        if self.process.poll() is not None:
            raise Failure(f"{self.process.args[0]} left with {self.process.returncode}",
                          *read_text(self.process.err).splitlines()[-8:])
        return False

    def quit(self):
        """Tell it to end; the exit status of what was started."""
        self.process.stdin.write(b"q")
        self.process.stdin.flush()
        return self.case.wait(self.process)


class Traced(Obedient):
    """The attach program below heldby run, once its late allocators have been found."""

    def __init__(self, case, command, env=None):
        self.report = case.path("report.json")
        super().__init__(case, [case.place.heldby, "run", "--top", "0", "-o",
                                f"json:{self.report}", *BLOCKS, "--", *command], env)
        self.do("r")
        case.sleep(LATE_SECONDS)

    def child(self, comm):
        """Host pid of the youngest descendant of that name."""
        found, pids = [], children_of(self.pid)
        while pids:
            pid = pids.pop()
            pids += children_of(pid)
            if read_text(f"/proc/{pid}/comm").strip() == comm:
                found.append(pid)
        if not found:
            raise Failure(f"no process {comm} below heldby")
        return found[-1]

    def outcome(self):
        status = self.quit()
        talk = read_text(self.process.err)
        documents = read_lines(self.report)
        if status or len(documents) != 1:
            raise Failure(f"status {status} and {len(documents)} documents, expected 0 and 1",
                          *talk.splitlines()[-8:])
        return Outcome(status, documents[0], self.case.truths(), talk)


def rows_of(document, pid):
    return [row for row in document["processes"] if row["pid"] == pid]


def as_host(truths, pid):
    """The truths of one process, which knows its pid in its own namespace only."""
    return [dict(truth, pid=pid) for truth in truths]


def verdict(outcome, pid, late=False):
    """Exact for what was done by letters, under the host's pid."""
    document = outcome.document
    wrong = consistent(document, ("missed_count",) if late else ())
    wrong += same_sums(document, as_host(outcome.truths, pid))
    late_only(wrong, document)
    if document.get("final") is not True:
        wrong.append("the document is not final")
    if not any(row["outstanding_bytes"] for row in rows_of(document, pid)):
        wrong.append(f"no process {pid} that holds anything")
    for row in rows_of(document, pid):
        if row.get("allocated_count") and not row["allocators"]:
            wrong.append(f"process {pid} allocates and its allocator has no name")
    hold(wrong, outcome)


def late_only(wrong, document):
    """Nothing is missed but what late probes, and files that were gone, explain."""
    losses = document["losses"]
    late = sum(losses.get("detail", {}).get(name, 0) for name in ("late_attaches", "unread_files"))
    if losses["missed_count"] != late:
        wrong.append(f"missed_count is {losses['missed_count']}, late or unread {late}: "
                     f"{losses.get('detail')}")


def never_silent(outcome, pid):
    """Exact, or fewer than the truth and told as missed. Returns the calls counted and true."""
    document = outcome.document
    wrong = consistent(seeing(document), ("missed_count",))
    late_only(wrong, document)
    truths = as_host(outcome.truths, pid)
    counted = sum(site["allocated_count"] for site in document["sites"]
                  if site["pid"] == pid and is_of(site, truths))
    true = sum(truth["allocated_count"] for truth in truths)
    if not truths or counted > true:
        wrong.append(f"counted {counted} calls of the program, truth {true}")
    if not document["losses"]["missed_count"] and same_sums(document, truths):
        wrong.append(f"missed_count is 0 and counted are {counted} calls, truth {true}")
        wrong += [f"process {pid} ({row['comm']}) has cannot_see: {row['cannot_see']}"
                  for row in rows_of(document, pid) if "cannot_see" in row]
    hold(wrong, outcome)
    return counted, true


def seeing(document):
    """Without the processes that it says it cannot see, which have no sums."""
    return dict(document, processes=[row for row in document["processes"]
                                     if "cannot_see" not in row])


def is_of(site, truths):
    names = {own["function"] for truth in truths for own in truth["sites"]}
    return any(frame.get("function") in names for frame in site["frames"])


def watched(case, target, letters=LETTERS):
    """heldby top on @target while it does @letters."""
    tracer = case.top(target.pid)
    target.do(letters)
    return Outcome(0, case.stop_top(tracer)[-1], case.truths(), read_text(tracer.err))


def libraries_of(program):
    """What its interpreter would map, itself among it."""
    told = subprocess.run(["ldd", program], capture_output=True, check=False, text=True)
    words = [word for line in told.stdout.splitlines() for word in line.split()]
    return [word for word in words if word.startswith("/")]


def make_root(case, program, name="root"):
    """A folder with copies of @program (as /program), its libraries and an empty /truth."""
    root = case.path(name)
    os.mkdir(root)
    shutil.copy(program, os.path.join(root, "program"))
    for library in libraries_of(program):
        os.makedirs(root + os.path.dirname(library), exist_ok=True)
        shutil.copy(library, root + library)
    for path in (os.path.join(root, "truth"), case.truth):
        with open(path, "a", encoding="ascii"):
            pass
    return root


def libc_in(root):
    return next(path for path in glob.glob(f"{root}/**/libc.so.6", recursive=True))


def in_root(root):
    """Runs the program there, in a mount namespace of its own on the same files."""
    return ["unshare", "-m", "chroot", root, "/program"]


def alone(case, root, *words):
    """Runs the program on a tmpfs that only its own mount namespace has."""
    place = case.path("place")
    os.mkdir(place)
    return ["unshare", "-m", "sh", "-c", ALONE, "sh", place, root, case.truth, "/program", *words]


ALONE_ENV = {"HB_TRUTH": "/truth"}


@test("top is exact on a process with a root that only its own mount namespace has")
def alone_top(case):
    root = make_root(case, case.load("attach"))
    target = Obedient(case, alone(case, root), ALONE_ENV)
    target.do("r")
    shutil.rmtree(root)
    verdict(watched(case, target), target.pid)


@test("run is exact once it has found a root that only its own mount namespace has")
def alone_run(case):
    target = Traced(case, alone(case, make_root(case, case.load("attach"))), ALONE_ENV)
    pid = target.child("program")
    target.do(LETTERS)
    verdict(target.outcome(), pid, late=True)


def short_runs(case, once):
    """It is a race between the program's end and its late probes, so it is run some times."""
    seen = []
    for _ in range(SHORT_ROUNDS):
        os.truncate(case.truth, 0)
        seen.append(never_silent(*once()))
    print("   counted " + ", ".join(f"{counted} of {true}" for counted, true in seen))


@test("run of a short program in a root of its own is exact or told as missed")
def alone_short(case):
    root = make_root(case, case.load("calls"))

    def once():
        outcome = case.run(alone(case, root, "all"), env=ALONE_ENV)
        return outcome, outcome.truths[0]["pid"]
    short_runs(case, once)


def own_copy(case, *parts):
    """The attach program copied to a path of @parts below the test's folder."""
    path = os.path.join(case.folder, *parts)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    shutil.copy(case.load("attach"), path)
    return path


@test("top names the functions of a program that was deleted before the attach")
def deleted_top(case):
    program = own_copy(case, "deleted")
    target = Obedient(case, [program])
    target.do("r")
    os.unlink(program)
    verdict(watched(case, target), target.pid)


@test("run names the functions of a program that was deleted while it ran")
def deleted_run(case):
    program = own_copy(case, "deleted")
    target = Traced(case, [program])
    pid = target.child("deleted")
    os.unlink(program)
    target.do(LETTERS)
    verdict(target.outcome(), pid)


def replace(path):
    """A file that is no library, renamed over it, as an update does with another one."""
    with open(path + ".new", "wb") as file:
        file.write(b"not what was mapped\n" * 1000)
    os.rename(path + ".new", path)


@each("top is exact on a process whose libc was replaced {0}",
      [("before the attach", True), ("after the attach", False)])
def libc_replaced(case, _, before):
    root = make_root(case, case.load("attach"))
    target = Obedient(case, in_root(root), {"HB_TRUTH": "/truth"})
    target.do("r")
    if before:
        replace(libc_in(root))
    tracer = case.top(target.pid)
    target.do("l")
    if not before:
        replace(libc_in(root))
    target.do("at")
    truths = read_lines(os.path.join(root, "truth"))
    documents = case.stop_top(tracer)
    verdict(Outcome(0, documents[-1], truths, read_text(tracer.err)), target.pid)


def make_pipe(path):
    os.mkfifo(path)


def make_device(path):
    os.mknod(path, 0o20666, os.makedev(1, 5))  # zero: to read it all never ends


@each("{0} in place of a mapped library does not hold heldby up",
      [("a FIFO", make_pipe), ("a device", make_device)], seconds=20)
def no_library(case, _, make):
    root = make_root(case, case.load("attach"))
    target = Obedient(case, in_root(root), {"HB_TRUTH": "/truth"})
    target.do("r")
    for path in (libc_in(root), os.path.join(root, "program")):
        os.unlink(path)
        make(path)
    tracer = case.top(target.pid)
    target.do("lat")
    truths = read_lines(os.path.join(root, "truth"))
    documents = case.stop_top(tracer)
    verdict(Outcome(0, documents[-1], truths, read_text(tracer.err)), target.pid)


@each("{0} as the interpreter of {2} ends run with 126 and does not hold it up",
      [(name, make, kind) for name, make in (("a FIFO", make_pipe), ("a device", make_device))
       for kind in ("a script", "an ELF program")], seconds=20)
def no_interpreter(case, _, make, kind):
    make(os.path.join(case.folder, "odd"))
    command = own_copy(case, "program")
    if kind == "a script":
        with open(command, "w", encoding="ascii") as file:
            file.write(f"#!{case.folder}/odd\n")
    else:
        patch_interpreter(command, b"./odd")
    status = case.wait(case.start([case.place.heldby, "run", "--", command]))
    if status != 126:
        raise Failure(f"exit status is {status}, expected 126")


def patch_interpreter(program, path):
    """Put a shorter @path in place of the program's interpreter."""
    with open(program, "rb") as file:
        image = file.read()
    start = image.index(b"/lib64/ld-linux") if b"/lib64/ld-linux" in image else -1
    if start < 0:
        raise Skip("no interpreter of a known name in the program")
    old = image[start:image.index(b"\0", start)]
    with open(program, "wb") as file:
        file.write(image[:start] + path.ljust(len(old), b"\0") + image[start + len(old):])


@test("a process that maps a device to execute it does not hold top up", seconds=20)
def maps_device(case):
    target = case.start([sys.executable, "-c", MAPS_DEVICE], stdin=subprocess.PIPE)
    case.until("the mapping", lambda: "here" in read_text(target.out))
    maps = [line.split() for line in read_text(f"/proc/{target.pid}/maps").splitlines()]
    if not any(words[-1] == "/dev/zero" and "x" in words[1] for words in maps):
        raise Failure("the program maps no device to execute it")
    documents = case.stop_top(case.top(target.pid))
    hold(consistent(documents[-1]) +
         ([] if rows_of(documents[-1], target.pid) else ["the process is not in the report"]))


INNER_PIDS = ["unshare", "-p", "-f", "--kill-child"]


@test("top shows a process of another pid namespace by the host's pid and is exact")
def pids_top(case):
    target = Obedient(case, [*INNER_PIDS, case.load("attach")])
    target.do("r")
    target.pid = children_of(target.pid)[0]
    outcome = watched(case, target)
    if [truth["pid"] for truth in outcome.truths] != [1]:
        raise Failure("the program is not the first of a pid namespace")
    verdict(outcome, target.pid)


@test("run shows a process of another pid namespace by the host's pid and is exact")
def pids_run(case):
    target = Traced(case, [*INNER_PIDS, case.load("attach")])
    pid = target.child("attach")
    target.do(LETTERS)
    outcome = target.outcome()
    hold(["a process has the pid of its own namespace"] if rows_of(outcome.document, 1) else [])
    verdict(outcome, pid, late=True)


PATHS = [("blanks and newlines", [" a  b\nc", "d \n e "]),
         ("3,000 bytes", ["long" * 50] * 14 + ["x" * 100, "program"])]


def long_enough(case, parts):
    path = own_copy(case, *parts)
    if len(parts) > 2 and not 2900 < len(path) < 4096:
        raise Failure(f"the path has {len(path)} bytes, expected about 3,000")
    return path


def shown_as(outcome, path):
    """The program's own frames name the file by its path."""
    modules = {site["frames"][0].get("module") for site in outcome.document["sites"]
               if site["frames"] and is_of(site, outcome.truths)}
    return [] if modules == {path} else [f"modules are {sorted(map(str, modules))}"]


@each("top is exact on a program whose path has {0} and names it so", PATHS)
def paths_top(case, _, parts):
    path = long_enough(case, parts)
    target = Obedient(case, [path])
    target.do("r")
    outcome = watched(case, target)
    verdict(outcome, target.pid)
    hold(shown_as(outcome, path), outcome)


@each("run is exact on a program whose path has {0} and names it so", PATHS)
def paths_run(case, _, parts):
    path = long_enough(case, parts)
    target = Traced(case, [path])
    target.do(LETTERS)
    outcome = target.outcome()
    verdict(outcome, outcome.truths[0]["pid"])
    hold(shown_as(outcome, path), outcome)
