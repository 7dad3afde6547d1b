# SPDX-License-Identifier: Apache-2.0
"""What runs inside: heldby and its tests for one architecture, and the system that they are put on."""

import os
import platform
import re
import shutil
import subprocess

from packages import CACHE, DEB_ARCH, Missing, Suite, release
from image import Image

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MADE = re.compile(r"\.(o|d|h|tmp)$|^(bpf|probe)(/|$)")  # on the way to a program: not taken along
HOME = "/heldby"  # in the guest: tests/ and build/ as they are here
NEEDED = ("/bin/busybox", "/bin/bash", "/bin/dash")
# Where they are installed; busybox has what is left of commands.
USED = ("/bin/cp", "/bin/ls", "/bin/true", "/usr/bin/env", "/usr/bin/unshare", "/usr/bin/setpriv", "/usr/bin/nm",
        "/usr/bin/readelf", "/usr/bin/redis-server", "/usr/bin/redis-cli", "/usr/bin/redis-benchmark")
PRELOADED = ("libjemalloc.so.2", "libtcmalloc_minimal.so.4", "libmimalloc.so.2", "libgcc_s.so.1")
# What another architecture's system is made of, beside the libraries that heldby is built with.
PACKAGES = ("libc6-dev", "libc-bin", "libstdc++6", "python3", "dash", "bash", "coreutils", "util-linux",
            "binutils", "busybox-static", "redis-server", "libjemalloc2", "libtcmalloc-minimal4", "libmimalloc2.0")


class Broken(Exception):
    """Something does not build; its arguments are lines to print."""


class Guest:
    """heldby and the load programs in @build, for @arch, on the system in @root."""

    def __init__(self, arch, build, root="/"):
        self.arch = arch
        self.build = build
        self.root = root

    def image(self, path, commands, extras):
        """An image that runs the commands. @extras: programs below build/ or anywhere in the guest's system."""
        image = Image(self.root, f"{self.arch}-linux-gnu")
        for program in NEEDED:
            image.own(program)
        for program in USED:
            if image.find(program):
                image.own(program)
        image.link("/bin/sh", "dash")
        image.file(image.find("/usr/bin/ldd"), "/usr/bin/ldd")
        for library in PRELOADED:
            if image.find(f"/usr/lib/{image.triple}/{library}"):
                image.library(library)
        image.python()
        image.program(os.path.join(self.build, "heldby"), f"{HOME}/build/heldby")
        image.tree(os.path.join(self.build, "load"), f"{HOME}/build/load", MADE)
        for part in ("bpf", "load"): # some sources of the load programs are read by the tests
            image.tree(os.path.join(ROOT, "tests", part), f"{HOME}/tests/{part}")
        for extra in extras:
            if is_ours(extra):
                folder = os.path.dirname(extra)
                image.tree(os.path.join(self.build, folder), f"{HOME}/build/{folder}", MADE)
            elif image.find(extra):
                image.own(extra)
        for number, command in enumerate(commands):
            image.command(number, f"cd {HOME}\n{command}\n")
        image.write(path)


def is_ours(program):
    """Whether it is one that make builds, by its path below the build folder."""
    return not program.startswith("/")


def call_make(build, extras, words):
    """Everything that the guest gets, built."""
    inside = os.path.relpath(build, ROOT) # what make calls it, if it is
    folder = build if inside.startswith("..") else inside
    targets = ["all", *(f"{folder}/{extra}" for extra in extras if is_ours(extra))]
    for target in (targets, ["-f", "tests/load/Makefile", "load"]):
        done = subprocess.run(["nice", "-n", "19", "make", "-s", f"-j{os.cpu_count()}", *target, f"BUILD={build}",
                               f"OUT={build}/load", *words], cwd=ROOT, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False)
        if done.returncode:
            raise Broken(*done.stdout.decode("utf-8", "replace").splitlines()[-8:])


def sysroot(arch, libraries):
    """The unpacked system of another architecture, downloaded once for each list of packages."""
    root = os.path.join(CACHE, f"root-{arch}")
    packages = sorted({*PACKAGES, *libraries})
    stamp = os.path.join(root, "packages")
    if os.path.exists(stamp):
        with open(stamp, encoding="ascii") as file:
            if file.read().split() == packages:
                return root
    suite = Suite(CACHE, release(), DEB_ARCH[arch])
    suite.update()
    shutil.rmtree(root, ignore_errors=True)
    suite.unpack(suite.closure(packages), root)
    with open(stamp, "w", encoding="ascii") as file:
        file.write("\n".join(packages) + "\n")
    return root


def prepare(arch, build, libraries, extras):
    """
    The Guest of an architecture, built. @libraries: the development packages heldby is built with;
    @extras: programs. Missing where its tools cannot be had, Broken where something does not build.
    """
    if arch == platform.machine():
        call_make(build, extras, [])
        return Guest(arch, build)
    tools = f"{arch}-linux-gnu-"
    for tool in ("gcc", "g++"):
        if not shutil.which(tools + tool):
            raise Missing(f"{tools}{tool} is not installed")
    root = sysroot(arch, libraries)
    cc, cxx = (f"{tools}{tool} --sysroot={root}" for tool in ("gcc", "g++"))
    inner = os.path.join(build, arch)
    call_make(inner, extras, [f"ARCH={arch}", f"SYSROOT={root}", f"CC={cc}", f"CXX={cxx}", f"LOAD_CC={cc}",
                              f"LOAD_CXX={cxx}", "LOAD_MUSL=", "LOAD_JAVAC=", "LOAD_RUSTC="])
    return Guest(arch, inner, root)
