# SPDX-License-Identifier: Apache-2.0
"""A host of 1 GiB that runs out of memory, as its systemd, its journal and heldby's unit there see it."""

import json
import os
import re
import subprocess

from check import hold
from harness import Failure
from host import CPUS, JAVA, Host
from oomlog import kills_in, same_context, same_numbers, version
from place import MIB, ROOT, need
from registry import test
from vm import COMPLAINTS

BOUNDS = 150, 300  # seconds of CPU, and by the clock
LINE = re.compile(r"^\[ *(\d+\.\d+)\] (.*)$")
VERDICT = (r"java \(pid \d+, cache\.service\) was killed after .*, \d+% of the 9\d\d\.\d MiB that this host has\.$",
           r"The node itself ran out: no cgroup limit was reached \(it has 9\d\d\.\d MiB of memory, and no swap\)\.$",
           r"Held by Unsafe_SetMemory0 .*; -Xmx allows 128\.0 MiB of Java heap: at least .* are outside of it\.$",
           r"It grew by [\d.]+ MiB/s for the last ")
OURS = "95260f5ebadf48cda948c6384e39362f"     # message ids: heldby's, of a kill
SYSTEMDS = "fe6faa94e7774663a0da52717891d8ef" # systemd's, of a unit that had a process killed
SERVICE = """[Unit]
Description={0}

[Service]
ExecStart={1}
"""
SHOWN = "ActiveState,SubState,Result,NRestarts,MainPID,ExecMainStatus,Type"
SHOW = f"systemctl show -p {SHOWN}"
# What is asked of the host, one after the other, by the names that it has here.
COMMANDS = {
    "kernel": "uname -r",
    "failed": "systemctl --failed --plain --no-legend",
    "before": f"{SHOW} heldby",
    "neighbour": f"{SHOW} neighbour",
    "killed": "systemctl start cache; pid=$(systemctl show -p MainPID --value cache); echo $pid; "
              "timeout 120 tail --pid $pid -f /dev/null",
    "waited": f"for i in $(seq 100); do [ -n \"$(journalctl -q MESSAGE_ID={OURS})\" ] && exit; sleep 0.2; done; exit 1",
    "entries": f"journalctl -q --all -o json -t heldby MESSAGE_ID={OURS}",
    "files": "cat /var/lib/heldby/kills/*.json",
    "unit": f"journalctl -q -o json MESSAGE_ID={SYSTEMDS}",
    "after": f"{SHOW} heldby",
    "beside": f"{SHOW} neighbour",
    "status": "systemctl status --no-pager --lines=0 heldby",
    "stopped": f"systemctl stop heldby; {SHOW} heldby",
    "talk": "journalctl -q -o cat _SYSTEMD_UNIT=heldby.service _TRANSPORT=stdout",
    "log": "dmesg",
}


def boot(case):
    """The host's answers: lines, by the name of the command."""
    host = Host(case)
    need("javac")
    subprocess.run(["javac", "--release", "17", "-d", case.folder, os.path.join(ROOT, "tests/e2e/Cache.java")],
                   check=True, timeout=60)
    host.put(os.path.join(case.folder, "Cache.class"), "/opt/cache/Cache.class")
    host.put(case.place.eater, "/opt/eater")
    java = f"{JAVA} -Xmx128m -XX:MaxDirectMemorySize=2g -cp /opt/cache Cache"
    host.unit("cache.service", SERVICE.format("A cache without a bound", java))
    host.unit("neighbour.service", SERVICE.format("A process that holds 64 MiB", "/opt/eater hold"))
    host.enable("neighbour.service", "/etc/systemd/system/neighbour.service")
    was, console = host.run(COMMANDS.values(), BOUNDS)
    if len(console.parts) < len(COMMANDS) or console.parts[-1].status is None or was.said:
        raise Failure(f"{len(console.parts)} of {len(COMMANDS)} commands were begun; the machine {was.said or 'ended'}",
                      *(line for part in console.parts[-1:] for line in part.lines[-12:]), *console.rest[-8:])
    return {name: [line for line in part.lines if line] for name, part in zip(COMMANDS, console.parts)}


def shown(lines):
    """What systemctl show says."""
    return dict(line.split("=", 1) for line in lines)


def differing(what, found, expected):
    return [f"{what}: {name} is {found.get(name)!r}, expected {value!r}" for name, value in expected.items()
            if found.get(name) != value]


def judge_units(said):
    """heldby's unit and its neighbour's, before and after; @said: what boot() returns."""
    before, after, stopped = (shown(said[name]) for name in ("before", "after", "stopped"))
    running = {"ActiveState": "active", "SubState": "running", "NRestarts": "0", "MainPID": before["MainPID"]}
    wrong = [f"this unit failed: {line}" for line in said["failed"]]
    wrong += differing("before", before, {**running, "Type": "notify"})
    wrong += differing("after", after, running)
    wrong += differing("the neighbour", shown(said["beside"]),
                       {"ActiveState": "active", "MainPID": shown(said["neighbour"])["MainPID"]})
    wrong += differing("stopped", stopped, {"ActiveState": "inactive", "Result": "success", "NRestarts": "0",
                                            "ExecMainStatus": "0"})
    if not any(line.strip().startswith("Active: active (running)") for line in said["status"]):
        wrong += ["systemctl status said otherwise than active:", *said["status"]]
    if said["talk"] != ["heldby: ready"]:
        wrong += ["its stderr in the journal is not that it is ready, alone:", *said["talk"]]
    return wrong


def judge_entry(entry, document, pid):
    """The one in the journal, beside the document in the file."""
    victim = document["victim"]
    expected = {
        "MESSAGE": document["verdict"][0], "MESSAGE_ID": OURS, "PRIORITY": "4", "SYSLOG_IDENTIFIER": "heldby",
        "OBJECT_PID": pid, "_SYSTEMD_UNIT": "heldby.service", "HELDBY_SCHEMA": "heldby.postmortem/1",
        "HELDBY_VICTIM_PID": pid, "HELDBY_VICTIM_COMM": "java", "HELDBY_VICTIM_CGROUP": "/system.slice/cache.service",
        "HELDBY_VICTIM_ANON_BYTES": str(victim["anon_rss_bytes"]), "HELDBY_DOMAIN_KIND": "global",
        "HELDBY_DOMAIN_CGROUP": None, "HELDBY_LIMIT_BYTES": None, "HELDBY_JSON_SKIPPED": None,
        "HELDBY_TRIGGER_PID": str(document["trigger"]["pid"]), "HELDBY_TOP_SITE": "Unsafe_SetMemory0",
        "HELDBY_SCOPE": "global", "HELDBY_CGROUP": "/system.slice/cache.service",
        "HELDBY_VICTIM_ANON_RSS_BYTES": str(victim["anon_rss_bytes"]), "HELDBY_CONTAINER_ID": None,
    }
    wrong = differing("the entry", entry, expected)
    if "Unsafe_SetMemory0 < " not in entry.get("HELDBY_TOP_STACK", "") or \
            int(entry.get("HELDBY_OUTSTANDING_BYTES", 0)) < int(entry.get("HELDBY_TOP_BYTES", 0)) or \
            not entry.get("HELDBY_ID", "").endswith(f"-{document['sequence']}-{pid}"):
        wrong.append(f"the entry is {entry}")
    if not entry.get("HELDBY_JSON") or json.loads(entry["HELDBY_JSON"]) != document:
        wrong.append(f"the entry's document is not the file's: {str(entry.get('HELDBY_JSON'))[:200]}")
    return wrong


def judge_document(document, neighbour):
    """What it says of a host that is full. @neighbour: the pid of the process that lives on."""
    victim, domain, verdict = document["victim"], document["domain"], document["verdict"]
    wrong = [] if domain["kind"] == "global" and "limit_bytes" not in domain else [f"the domain is {domain}"]
    tasks = {row["pid"]: row for row in document["tasks"]}
    if neighbour not in tasks or tasks[neighbour]["victim"] or tasks[neighbour]["anon_rss_bytes"] < 64 * MIB:
        wrong.append(f"the neighbour {neighbour} is told as {tasks.get(neighbour)}")
    wrong += [f"{row['comm']} has no memory, and is among the tasks" for row in tasks.values()
              if not row["pgtables_bytes"]]
    anon = victim["anon_rss_bytes"]
    if not 512 * MIB < anon < 1024 * MIB or document.get("holders_explained_bytes", 0) < 0.9 * anon:
        wrong.append(f"of {anon} bytes {document.get('holders_explained_bytes')} are explained")
    jvms = sum(row["outstanding_bytes"] for row in document["holders"]
               if any(frame.get("module", "").endswith("/libjvm.so") for frame in row["frames"]))
    if jvms < anon / 2:
        wrong.append(f"of {anon} bytes {jvms} have a frame of the JVM")
    rss = [sample["rss_bytes"] for sample in document["history"]]
    if len(rss) < 4 or rss[-1] < rss[0] + 256 * MIB:
        wrong.append(f"the history is {rss}")
    if len(verdict) < len(VERDICT) or not all(map(re.match, VERDICT, verdict)):
        wrong += ["the verdict is:", *verdict]
    return wrong + ([f"losses are {document['losses']}"] if document["losses"].get("detail") else [])


@test("a host that is full kills its Java service, and its journal says who held the memory", seconds=600)
def story(case):
    said = boot(case)
    log = [(float(match[1]), match[2]) for match in map(LINE.match, said["log"]) if match]
    kills, pid = kills_in(log), said["killed"][0]
    entries, documents, units = ([json.loads(line) for line in said[name]] for name in ("entries", "files", "unit"))
    if [len(rows) for rows in (kills, entries, documents, units)] != [1, 1, 1, 1]:
        raise Failure(f"{len(kills)} kills in the kernel's log, {len(entries)} in the journal, {len(documents)} in "
                      f"files, {len(units)} of systemd, expected 1 each", *(str(kill) for kill in kills))
    document = documents[0]
    wrong = [] if str(document["victim"]["pid"]) == pid else [f"the victim is not {pid}: {document['victim']}"]
    wrong += same_numbers(document, kills[0], document["victim"].get("threads_count", 1),
                          kernel=version(said["kernel"][0]), cpus=CPUS)
    wrong += same_context(document, kills[0]) + judge_units(said) + judge_entry(entries[0], document, pid)
    wrong += judge_document(document, int(shown(said["neighbour"])["MainPID"]))
    wrong += differing("systemd's entry", units[0], {"UNIT": "cache.service"})
    wrong += [f"the kernel complains: {line}" for _, line in log if COMPLAINTS.search(line)]
    hold(wrong)
