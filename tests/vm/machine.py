# SPDX-License-Identifier: Apache-2.0
"""One boot of a kernel in an emulated machine: commands go in with the image, the console comes out."""

import os
import re
import signal
import subprocess
import time

from image import MARK

# Emulated, never with the host's virtualization, so that it is the same everywhere. Newer kernels do
# not boot with every instruction that qemu knows, and its 16-byte compare-and-exchange spoils the
# flags register. A machine's CPUs take turns in one thread, so that it keeps one CPU here busy.
MACHINES = {
    "x86_64": ["qemu-system-x86_64", "-accel", "tcg,thread=single", "-cpu", "Nehalem,cx16=off"],
    "aarch64": ["qemu-system-aarch64", "-machine", "virt", "-accel", "tcg,thread=single", "-cpu", "cortex-a72"],
}
# Page tables that are changed at each system call throw away what the emulator has translated. A machine that
# gets little time here counts too few ticks for the kernel's check of its timer.
WORDS = {
    "x86_64": "console=ttyS0 mitigations=off nopti no_timer_check",
    "aarch64": "console=ttyAMA0 mitigations=off kpti=0",
}
# A node of memory alone beside that of the CPUs, for kills because one node is full. Nothing moves pages between.
NODE_MEGABYTES = 128
BEGIN = re.compile(rf"^{MARK} begin (\d+) ([\d.]+)$")
END = re.compile(rf"^{MARK} end (\d+) (\d+) ([\d.]+)$")


class Part:
    """What one command wrote. A status of None: it had not ended when the machine was gone."""

    def __init__(self, begin):
        self.begin = begin
        self.seconds = 0.0  # of the guest
        self.lines = []
        self.status = None


class Console:
    """Everything the machine said."""

    def __init__(self, text):
        self.rest = []  # outside of any command: the kernel's own lines
        self.parts = []
        inside = None
        for line in text.replace("\r", "").split("\n"):
            if match := BEGIN.match(line):
                inside = Part(float(match[2]))
                self.parts.append(inside)
            elif (match := END.match(line)) and inside:
                inside.status = int(match[2])
                inside.seconds = float(match[3]) - inside.begin
                inside = None
            else:
                (inside.lines if inside else self.rest).append(line)


def nodes(cpus, megabytes, rest):
    """Two of memory, the second of @rest megabytes and without CPUs."""
    return ["-object", f"memory-backend-ram,id=most,size={megabytes - rest}M",
            "-object", f"memory-backend-ram,id=rest,size={rest}M",
            "-numa", f"node,nodeid=0,cpus=0-{cpus - 1},memdev=most", "-numa", "node,nodeid=1,memdev=rest"]


class Machine:
    """A running boot; .wait() gives its Console. @disk: a file that stays as it is, whatever is written."""

    def __init__(self, arch, kernel, image, console, more, cpus=2, megabytes=2048, rest=NODE_MEGABYTES, disk=None):
        self.console = console
        words = f"{WORDS[arch]} {more} numa_balancing=disable quiet loglevel=1 panic=-1 rdinit=/init"
        drive = ["-drive", f"file={disk},format=raw,if=virtio,snapshot=on"] if disk else []
        command = ["setpriv", "--pdeathsig", "KILL", *MACHINES[arch], "-smp", str(cpus), "-m", str(megabytes),
                   *(nodes(cpus, megabytes, rest) if rest else []), *drive,
                   "-nodefaults", "-display", "none", "-no-reboot", "-serial", f"file:{console}",
                   "-kernel", kernel, "-initrd", image, "-append", words]
        self.began = time.monotonic()
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE)
        self.said = ""
        self.seconds = 0.0 # by the clock
        self.busy = 0.0    # seconds of CPU

    def measure(self):
        """Of CPU: utime and stime of proc(5)."""
        self.seconds = time.monotonic() - self.began
        try:
            with open(f"/proc/{self.process.pid}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
            self.busy = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        except (OSError, IndexError):
            pass

    def wait(self, busy, seconds):
        """Its console once it powered off, or when it has used @busy seconds of CPU, or @seconds by the clock."""
        while True:
            self.measure()
            try:
                self.said = self.process.communicate(timeout=0.5)[1].decode("utf-8", "replace").strip()
                break
            except subprocess.TimeoutExpired:
                if self.busy > busy or self.seconds > seconds:
                    self.end()
                    self.said = f"was ended after {self.seconds:.0f} s, {self.busy:.0f} s of CPU"
                    break
        with open(self.console, encoding="utf-8", errors="replace") as file:
            return Console(file.read())

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.communicate()


def boot(arch, kernel, image, console, bounds, more="", **shape):
    """
    Boot to the end, or to one of the @bounds: seconds of CPU, and by the clock. @more: words for the kernel;
    @shape: of the Machine. The Machine that was, and its Console.
    """
    if os.path.exists(console):
        os.unlink(console)
    machine = Machine(arch, kernel, image, console, more, **shape)
    try:
        return machine, machine.wait(*bounds)
    finally:
        machine.end()
