# SPDX-License-Identifier: Apache-2.0
"""Kills when something is short or away: memory, room in heldby's ring or for a victim's pages, a journal."""

import os
import re
import signal
import socket

from cases_oom import LIMIT, MIB, Group, Watch, in_a_row, run_hog
from check import hold
from harness import Failure, read_text
from registry import all_alone

test, each = all_alone("every heldby oom tells of every kill")
STALLED = 500  # kills, more than the ring holds
MOVED = 1      # pages in some seconds; a first kill that nothing was made ready for took 7


@test("kills that nothing has room for are counted in the documents after them", seconds=120)
def stalled(case):
    watch = Watch(case, "--json")
    with Group(case, 4) as group:
        os.kill(watch.process.pid, signal.SIGSTOP)
        for _ in range(STALLED):
            case.wait(case.start([case.load("hog"), group.path, "brief"]))
        os.kill(watch.process.pid, signal.SIGCONT)
        case.sleep(2)
        run_hog(case, group, "alone")
        case.until("the last kill", lambda: watch.all() and watch.all()[-1]["sequence"] > STALLED)
    watch.stop()
    documents = watch.all()
    missed, last = documents[-1]["sequence"] - len(documents), documents[-1]["losses"]
    wrong = [] if missed else [f"all {len(documents)} kills were told of"]
    if last["detail"].get("dropped_kills") != missed or last["detail"].get("oom_events", 0) < missed:
        wrong.append(f"{missed} kills were not told of, losses are {last}")
    hold(wrong)


def told_missing(watch):
    """How many kills are said to be missing: by warnings, or else by the last document."""
    said = [int(number) for number in re.findall(r"^heldby: (\d+) OOM kills not told of", watch.talk(), re.M)]
    documents = watch.all()
    last = documents[-1]["losses"]["detail"].get("dropped_kills") if documents else None
    return said + ([last] if last else [])


def host_kills():
    """The kernel's own count of all kills."""
    return int(re.search(r"^oom_kill (\d+)$", read_text("/proc/vmstat"), re.M)[1])


@each("kills that nothing has room for and no other follows are told of once, {0}", ["soon", "at the end"],
      seconds=120)
def stalled_last(case, when):
    before, watch = host_kills(), Watch(case, "--json")
    with Group(case, 4) as group:
        os.kill(watch.process.pid, signal.SIGSTOP)
        for _ in range(STALLED):
            case.wait(case.start([case.load("hog"), group.path, "brief"]))
        if when == "at the end":
            watch.process.send_signal(signal.SIGINT)
        os.kill(watch.process.pid, signal.SIGCONT)
        if when == "soon":
            case.until("it to be told", lambda: told_missing(watch))
            case.sleep(3)  # it is not said again
            watch.stop()
        status, kills = case.wait(watch.process), group.kills()
    said, least = told_missing(watch), kills - len(watch.of(group))
    most = host_kills() - before - len(watch.all())  # the same, unless others were killed meanwhile
    wrong = [] if least and not status else [f"it left with {status}, {least} of {kills} kills were not told of"]
    if len(said) != 1 or not least <= said[0] <= most:
        wrong.append(f"{least} to {most} kills were not told of, it said {said}")
    hold(wrong)


@test("a victim of whose pages many found their table full is told with how many did, and its holders are in doubt",
      seconds=40)
def pages_full(case):
    watch = Watch(case, "--json", "--max-faults", "32")
    with Group(case, LIMIT) as group:
        run_hog(case, group, "alone")
        document = watch.wait(group)[0]
    watch.stop()
    detail, holders = document["losses"]["detail"], document["holders"]
    wrong = [] if list(detail) == ["pages_full"] and detail["pages_full"] > 32 else [f"losses are {detail}"]
    if not all(row.get("approximate") for row in holders):
        wrong.append(f"the holders are {holders}")
    hold(wrong)


def faults_of(pid, name):
    """Page faults of its thread @name so far, those without and with a disk."""
    for task in os.listdir(f"/proc/{pid}/task"):
        comm, _, rest = read_text(f"/proc/{pid}/task/{task}/stat").partition(" (")[2].rpartition(") ")
        if comm == name:
            return [int(rest.split()[at]) for at in (7, 9)]
    raise Failure(f"no thread of {pid} is called {name}")


@test("the thread of heldby oom that captures kills takes no page fault, from before the first one on", seconds=60)
def in_memory(case):
    watch = Watch(case, "--json")
    case.sleep(2)
    before = faults_of(watch.process.pid, "oom-capture")
    with Group(case, 16) as group:
        in_a_row(case, group, 20)
        watch.wait(group, 20)
    case.sleep(2)
    after = faults_of(watch.process.pid, "oom-capture")
    watch.stop()
    moved = after[0] - before[0]  # by the kernel, from place to place, for reasons of its own
    hold([] if moved <= MOVED and before[1] == after[1] else [f"its page faults were {before}, and are {after}"])


class Journal:
    """A journal's socket in @folder. It is there from open() to close(); as of a daemon that died its name stays."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "socket")
        self.socket = None

    def open(self):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.socket.bind(self.path)

    def close(self):
        self.socket.close()

    def next(self, case):
        """The victim of the next entry."""
        self.socket.settimeout(case.left())
        return int(re.search(rb"^HELDBY_VICTIM_PID=(\d+)$", self.socket.recv(MIB), re.M)[1])


# A place of its own for the journal, whether this host has one or not.
JOURNALED = 'mount -t tmpfs none /run && mkdir -p /run/systemd/journal && mount --bind "$0" /run/systemd/journal && ' \
            'exec "$@"'


@test("a journal that is away for a while gets the entries of the kills after that, and it is said once", seconds=60)
def journal_away(case):
    folder = case.path("journal")
    os.mkdir(folder)
    journal, entries = Journal(folder), []
    watch = Watch(case, "--json", before=("unshare", "-m", "sh", "-c", JOURNALED, folder))
    with Group(case, 16) as group:
        pids = in_a_row(case, group, 1)  # there is none yet
        watch.wait(group)
        never = watch.talk()
        for count in (1, 2):
            journal.open()
            pids += in_a_row(case, group, 1)
            entries.append(journal.next(case))
            journal.close()
            pids += in_a_row(case, group, count)
            watch.wait(group, len(pids))
    watch.stop()
    said = [line for line in watch.talk().splitlines() if "journal" in line]
    wrong = [f"without any journal it said {never!r}"] if "journal" in never else []
    if entries != [pids[1], pids[3]]:
        wrong.append(f"the entries are of {entries}, the victims {pids}")
    if ["no entries" in line for line in said] != [True, False, True]:
        wrong.append(f"it said {said}")
    hold(wrong)
