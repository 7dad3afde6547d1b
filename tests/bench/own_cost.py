# SPDX-License-Identifier: Apache-2.0
"""What heldby itself takes: CPU of a refresh, seconds to attach, memory of its maps, a node at rest."""

import contextlib
import glob
import json
import os
import re
import subprocess
import time

import ways
from stats import Missing, quartiles
from tools import BENCH, HELDBY, Child, cpu_seconds, installed, own, read, resident_bytes

SITES, BLOCKS = 10_000, 5_000_000
REFRESHES = 8
MAPPINGS = 300
IDLE_S = 20
PROCESSES = 1000
LARGEST = 6


def row(way, values, **more):
    low, middle, high = quartiles(values)
    return {"way": way, "median": middle, "low": low, "high": high, **more}


def as_table(name, title, unit, makers):
    """makers: way to what gives its row; those that raise Missing are left out."""
    found = {"table": name, "title": title, "unit": unit, "rows": [], "left_out": {}}
    for way, make in makers.items():
        try:
            found["rows"].append(make(way))
        except Missing as reason:
            found["left_out"][way] = str(reason)
    return found


class Reports:
    """The JSON of heldby top as it comes. A document may be large: what is asked of it is searched for."""

    def __init__(self, tracer):
        self.tracer = tracer
        self.text = ""

    def next(self):
        self.text = self.tracer.says('"schema"', seconds=120)

    def first(self, name):
        """The first number of that name; processes come before their sites."""
        return int(re.search(rf'"{name}":(\d+)', self.text)[1])


def refreshes(way, options):
    """CPU between two reports, of a process that holds what the target says."""
    with Child([own("holder"), str(SITES), str(BLOCKS)], stop=None) as holder:
        command = [HELDBY, "top", "-p", str(holder.pid), "--sources", "malloc", "--malloc", "exact", "--json",
                   "--max-blocks", str(BLOCKS + BLOCKS // 4), *options, "1"]
        with ways.until(Child(command, kept=8), "ready") as tracer:
            reports = Reports(tracer)
            holder.ask()
            holder.says("held", seconds=300)
            reports.next()
            while reports.first("allocated_count") < BLOCKS - reports.first("lost_count"):
                reports.next()
            reports.next()  # the first one that names all stacks
            used = []
            for _ in range(REFRESHES):
                before = cpu_seconds(tracer.pid)
                reports.next()
                used.append((cpu_seconds(tracer.pid) - before) * 1e3)
            if reports.first("lost_count"):
                raise Missing(f"{reports.first('lost_count'):,} blocks were lost")
            sites = reports.text.count('"rank":')
            if "--top" in options and sites < SITES:
                raise Missing(f"only {sites:,} sites were found")
            return row(way, used, rows=sites, resident_mib=resident_bytes(tracer.pid) / 2**20)


def refresh(given):
    """CPU of one report."""
    yield as_table("refresh", f"a report of {SITES:,} sites, {BLOCKS:,} live blocks", "ms of CPU", {
        "20 rows": lambda way: refreshes(way, []),
        "all rows": lambda way: refreshes(way, ["--top", "0"]),
    })


def attachments(way, rounds):
    """From the start of heldby to "ready"."""
    java = [installed("java"), "-Xmx256m", "-cp", BENCH, "Buffers", "hold", str(MAPPINGS // 2), os.path.abspath(HELDBY)]
    if not os.path.exists(own("Buffers.class")):
        raise Missing("javac is not installed")
    with Child(java) as target:
        target.says("ready")
        mappings = len(read(f"/proc/{target.pid}/maps").splitlines())
        if mappings < MAPPINGS:
            raise Missing(f"the JVM has {mappings} mappings")
        wall, cpu = [], []
        for _ in range(rounds):
            begin = time.monotonic()
            with Child([HELDBY, "top", "-p", str(target.pid), ways.FOREVER]) as tracer:
                tracer.says("ready")
                wall.append(time.monotonic() - begin)
                cpu.append(cpu_seconds(tracer.pid))
        return row(way, wall, cpu_s=quartiles(cpu)[1], mappings=mappings)


def attach(given):
    """Seconds to attach to a JVM with many mappings."""
    yield as_table("attach", "attaching to a JVM", "s until ready",
                   {"heldby top -p": lambda way: attachments(way, given.rounds + 1)})


def maps_of(pid):
    """Bytes the kernel charges for each BPF map that a process holds."""
    found = {}
    for path in glob.glob(f"/proc/{pid}/fdinfo/*"):
        words = dict(line.split(":\t", 1) for line in read(path).splitlines() if ":\t" in line)
        if "map_id" in words:
            found[words["map_id"]] = int(words["memlock"])
    return found


def maps_row(way, command, largest=None):
    """@largest gets the rows of the maps that take most."""
    with ways.until(Child(command), "ready") as tracer:
        time.sleep(2)
        maps = maps_of(tracer.pid)
        if largest is not None:
            names = {str(one["id"]): one.get("name", "?") for one in json.loads(
                subprocess.run([installed("bpftool"), "-j", "map", "show"], stdout=subprocess.PIPE, check=True).stdout)}
            for key in sorted(maps, key=maps.get, reverse=True)[:LARGEST]:
                largest.append(row(names.get(key, key), [maps[key] / 2**20]))
        return {**row(way, [sum(maps.values()) / 2**20]), "maps": len(maps),
                "resident_mib": resident_bytes(tracer.pid) / 2**20}


def commands():
    """Those that watch a node without tracing malloc."""
    known = [word for word in ("top", "oom", "node") if re.search(rf"^ +{word}\b", ways.help_of(HELDBY), re.M)]
    return {f"heldby {word}": [HELDBY, word, *([ways.FOREVER] if word == "top" else [])] for word in known}


def memory(given):
    """Memory of BPF maps."""
    largest = {}
    with Child(["sleep", ways.FOREVER]) as target:
        known = {**commands(), "heldby top -p, exact malloc": [HELDBY, "top", "-p", str(target.pid), ways.FOREVER]}
        yield as_table("memory", "BPF maps", "MiB", {
            way: lambda way, command=command: maps_row(way, command, largest.setdefault(way, []))
            for way, command in known.items()})
    for way, rows in largest.items():
        yield {"table": f"memory.{way.removeprefix('heldby ')}", "title": f"the largest maps of {way}", "unit": "MiB",
               "rows": rows, "left_out": {}}


def rest(title, name):
    """All commands at once: none sees another's work but the page faults of its reports."""
    used = {}
    with contextlib.ExitStack() as stack:
        tracers = {}
        for way, command in commands().items():
            tracers[way] = stack.enter_context(ways.until(Child(command), "ready"))
        time.sleep(5)
        before = {way: cpu_seconds(tracer.pid) for way, tracer in tracers.items()}
        time.sleep(IDLE_S)
        for way, tracer in tracers.items():
            used[way] = row(way, [100 * (cpu_seconds(tracer.pid) - before[way]) / IDLE_S],
                            resident_mib=resident_bytes(tracer.pid) / 2**20)
    return as_table(name, title, "% of one core", {way: used.__getitem__ for way in used})


def idle(given):
    """A node at rest, alone and with many processes."""
    yield rest("a node at rest", "idle")
    others = [subprocess.Popen(["sleep", ways.FOREVER]) for _ in range(PROCESSES)]
    try:
        yield rest(f"a node with {PROCESSES:,} more processes", "idle.processes")
    finally:
        for other in others:
            other.kill()
        for other in others:
            other.wait()
