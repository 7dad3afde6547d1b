# SPDX-License-Identifier: Apache-2.0
"""Programs in containers that runc makes of a folder, from outside and through run."""

import glob
import json
import os
import secrets
import shutil
import signal
import subprocess

from cases_namespaces import (LETTERS, Obedient, Traced, make_root, rows_of, short_runs,
                              verdict, watched)
from check import hold
from harness import Failure, Outcome, Skip, read_lines, read_text
from registry import each, test

# What the attach program, its loader and runc's last steps ask for: no call of a probe is among it.
ALLOWED = """access arch_prctl brk capget capset chdir clock_gettime clone close dup3 epoll_create1
epoll_ctl epoll_pwait execve exit exit_group faccessat2 fchdir fcntl fstat fstatfs futex
getdents64 getpid getppid getrandom gettid ioctl lseek madvise mmap mprotect munmap nanosleep
newfstatat openat pipe2 prctl pread64 prlimit64 read readlinkat rseq rt_sigaction rt_sigprocmask
rt_sigreturn sched_getaffinity sched_yield set_robust_list set_tid_address setgid setgroups setuid
sigaltstack statfs tgkill unlinkat write writev""".split()
SECCOMP = {"defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X86_64"],
           "syscalls": [{"names": ALLOWED, "action": "SCMP_ACT_ALLOW"}]}


class Container:
    """A bundle for runc with one program, in a state folder of the test's own."""

    def __init__(self, case, program, *words, seccomp=None):
        if not shutil.which("runc"):
            raise Skip("runc is not installed")
        self.case = case
        self.name = secrets.token_hex(32)
        self.bundle = case.path("bundle")
        self.runc = ["runc", "--root", case.path("runc")]
        os.mkdir(self.bundle)
        os.rename(make_root(case, program), os.path.join(self.bundle, "rootfs"))
        self.tell("spec", "--bundle", self.bundle)
        self.configure(words, seccomp)
        self.command = [*self.runc, "run", "--bundle", self.bundle, self.name]

    def configure(self, words, seccomp):
        path = os.path.join(self.bundle, "config.json")
        with open(path, encoding="utf-8") as file:
            config = json.load(file)
        config["process"].update(terminal=False, args=["/program", *words],
                                 env=["HB_TRUTH=/truth"])
        config["mounts"].append({"destination": "/truth", "type": "bind",
                                 "source": self.case.truth, "options": ["bind", "rw"]})
        if seccomp:
            config["linux"]["seccomp"] = seccomp
        with open(path, "w", encoding="utf-8") as file:
            json.dump(config, file)

    def tell(self, *words):
        """One command to runc; its (status, stdout)."""
        told = subprocess.run([*self.runc, *words], capture_output=True, check=False, text=True,
                              timeout=30)
        return told.returncode, told.stdout

    def pid(self):
        """The host's pid of its first process."""
        status, text = self.tell("state", self.name)
        if status or not json.loads(text)["pid"]:
            raise Failure("runc does not know the container")
        return json.loads(text)["pid"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.tell("delete", "--force", self.name)

    def gone(self):
        """Nothing of it is left; what is, as a list."""
        wrong = []
        if self.tell("list", "--quiet")[1].strip():
            wrong.append("the container is still in runc's list")
        return wrong + [f"{path} is still there" for path in
                        glob.glob(f"/sys/fs/cgroup/**/{self.name}", recursive=True)]


def memory_cgroup(pid):
    """As the kernel says: the line of the memory controller, or the unified one."""
    rows = [line.split(":", 2) for line in read_text(f"/proc/{pid}/cgroup").splitlines()]
    for row in rows:
        if "memory" in row[1].split(","):
            return row[2]
    return next((row[2] for row in rows if row[0] == "0"), None)


def in_container(outcome, pid, name, cgroup):
    """Its rows say where it was."""
    got = {(row.get("cgroup"), row.get("container", {}).get("id"))
           for row in rows_of(outcome.document, pid) if row["comm"] == "program"}
    return [] if got == {(cgroup, name)} else [f"cgroup and container are {got}, "
                                               f"expected {(cgroup, name)}"]


KINDS = [("static", "attach-static"), ("dynamic", "attach")]


@each("top is exact on a {0} program under runc and names its container", KINDS)
def runc_top(case, _, program):
    with Container(case, case.load(program)) as container:
        target = Obedient(case, container.command)
        target.do("r")
        target.pid = container.pid()
        cgroup = memory_cgroup(target.pid)
        outcome = watched(case, target)
        status = target.quit()
        hold([f"the container left with {status}, expected 0"] if status else [])
        verdict(outcome, target.pid)
        hold(in_container(outcome, target.pid, container.name, cgroup) + container.gone(), outcome)


@each("run is exact on a {0} program under runc once found and names its container", KINDS)
def runc_run(case, _, program):
    with Container(case, case.load(program)) as container:
        target = Traced(case, container.command)
        pid = container.pid()
        cgroup = memory_cgroup(pid)
        target.do(LETTERS)
        outcome = target.outcome()
        verdict(outcome, pid, late=True)
        hold(in_container(outcome, pid, container.name, cgroup) + container.gone(), outcome)


@each("run of a short {0} program under runc is exact or told as missed",
      [("static", "calls-static"), ("dynamic", "calls")])
def runc_short(case, _, program):
    with Container(case, case.load(program), "malloc") as container:
        def once():
            outcome = case.run(container.command)
            pids = {row["pid"] for row in outcome.document["processes"]
                    if row["comm"] == "program"}
            hold([f"{len(pids)} processes called program, expected 1"] if len(pids) != 1 else [],
                 outcome)
            return outcome, pids.pop()
        short_runs(case, once)
        hold(container.gone())


@test("a container whose system calls are filtered does not notice top, which is exact")
def runc_filtered(case):
    if os.uname().machine != "x86_64":
        raise Skip("the filter is one for x86_64")
    with Container(case, case.load("attach"), seccomp=SECCOMP) as container:
        target = Obedient(case, container.command)
        target.do("r")
        target.pid = container.pid()
        if "\nSeccomp:\t2" not in read_text(f"/proc/{target.pid}/status"):
            raise Failure("the kernel knows of no filter")
        outcome = watched(case, target)
        status = target.quit()
        hold([f"the container left with {status}, expected 0"] if status else [])
        verdict(outcome, target.pid)
        hold(container.gone())


@test("a container that is killed under run leaves a whole report and the killed status")
def runc_killed(case):
    with Container(case, case.load("attach")) as container:
        target = Traced(case, container.command)
        target.do(LETTERS)
        pid = container.pid()
        os.kill(pid, signal.SIGKILL)
        status = case.wait(target.process)
        documents = read_lines(target.report)
        if status != 137 or len(documents) != 1:
            raise Failure(f"status {status} and {len(documents)} documents, expected 137 and 1")
        verdict(Outcome(status, documents[0], case.truths(), ""), pid, late=True)
        hold(container.gone())
