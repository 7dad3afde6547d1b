# SPDX-License-Identifier: Apache-2.0
"""Where things are, and one test's folder, processes, mounts and cgroups."""

import glob
import os
import secrets
import shutil
import subprocess

import harness
from harness import Failure, Skip, read_text

MIB = 1 << 20
LIMIT = 64 * MIB  # of the victims' containers
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# The container that heldby is to name, and the links that the kubelet makes.
NAMES = {"name": "app", "pod": "web-5d9c", "namespace": "shop"}


def need(*programs):
    """Skip where one of @programs is not installed."""
    for program in programs:
        if not shutil.which(program):
            raise Skip(f"{program} is not installed")


def tell(command, seconds=30):
    """Run @command to its end; its stdout. It has to succeed."""
    told = subprocess.run(command, capture_output=True, check=False, text=True, errors="replace",
                          timeout=seconds, stdin=subprocess.DEVNULL)
    if told.returncode:
        raise Failure(f"{' '.join(command[:8])} left with {told.returncode}", *told.stderr.splitlines()[-5:])
    return told.stdout


def mounts_below(folder):
    """Mount points there, the last made first."""
    points = [line.split()[4] for line in read_text("/proc/self/mountinfo").splitlines()]
    return [point for point in reversed(points) if (point + "/").startswith(folder + "/")]


class Place:
    """For every test: what was built, and the images made of it."""

    def __init__(self, build, keep):
        self.build = build
        self.heldby = os.path.join(build, "heldby")
        self.eater = os.path.join(build, "e2e", "eater")
        self.keep = keep
        self.images = None

    def why_not(self):
        """A reason to skip everything, or None."""
        if os.geteuid() != 0:
            return "needs root"
        if not os.access(self.heldby, os.X_OK):
            return f"{self.heldby} is not built"
        return None


class Case(harness.Test):
    """One test: nothing of it is left behind, or clean() says what."""

    def __init__(self, place, seconds):
        super().__init__(place, seconds)
        self.top = f"heldby-e2e-{secrets.token_hex(8)}"  # cgroup, the first of all paths
        self.pod_uid = f"{secrets.token_hex(4)}-1c2d-4e3f-8a4b-{secrets.token_hex(6)}"
        self.other_uid = f"{secrets.token_hex(4)}-2d3e-4f40-9b5c-{secrets.token_hex(6)}"
        self.undo = []  # functions, called from the last to the first

    def pod_cgroup(self):
        """As the kubelet's driver "cgroupfs" names a pod's, beneath one of the test's own."""
        return f"/{self.top}/kubepods/burstable/pod{self.pod_uid}"

    def host(self):
        """A folder that stands for the node's /."""
        path = os.path.join(self.folder, "host")
        os.makedirs(os.path.join(path, "var/log/containers"), exist_ok=True)
        return path

    def clean(self):
        """End and remove everything; lines about what could not be."""
        wrong = []
        for function in reversed(self.undo):
            try:
                function()
            except (Failure, OSError, subprocess.SubprocessError) as error:
                wrong.append(f"while cleaning up: {error}")
        for point in mounts_below(self.folder):
            subprocess.run(["umount", "-l", point], check=False, stderr=subprocess.DEVNULL)
        left = mounts_below(self.folder)
        if left:
            return wrong + [f"{point} is still mounted" for point in left]  # and no file is removed
        super().clean()
        return wrong + self.clean_cgroups()

    def clean_cgroups(self):
        """Those that runtimes made above their containers', which they leave."""
        for top in glob.glob(f"/sys/fs/cgroup/{self.top}") + glob.glob(f"/sys/fs/cgroup/*/{self.top}"):
            for folder, _, _ in os.walk(top, topdown=False):
                try:
                    os.rmdir(folder)
                except OSError:
                    pass
        return [f"{path} is still there" for path in glob.glob(f"/sys/fs/cgroup/{self.top}") +
                glob.glob(f"/sys/fs/cgroup/*/{self.top}")]
