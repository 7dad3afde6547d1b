# SPDX-License-Identifier: Apache-2.0
"""The kernels, as the distribution ships them: where each comes from, and its image in the cache."""

import glob
import os
import shutil

from packages import CACHE, DEB_ARCH, Missing, Suite


def needed(suite, package, prefix):
    """The package that begins with @prefix among those that @package depends on, or None."""
    words = suite.field(package, "Depends").replace(",", " ").split()
    return next((word for word in words if word.startswith(prefix)), None)


class Kernel:
    """One row of the matrix."""

    def __init__(self, series, arch, suite, functions=True, options=(), words=""):
        self.series = series  # what its version begins with
        self.arch = arch      # as uname -m says it
        self.suite = suite
        self.functions = functions # of processes can be probed there
        self.options = options # of tests/bpf/run.py
        self.words = words     # for the kernel itself
        self.name = f"{series}-{arch}"
        self.folder = os.path.join(CACHE, "kernels", self.name)

    def image(self, fresh=False):
        """Path of the kernel that qemu boots, downloaded once; Missing if it cannot be had."""
        have = None if fresh else self.have()
        return have or self.fetch()

    def package(self, suite):
        """The package that holds the kernel itself: newer ones split it off."""
        meta = f"linux-image-cloud-{DEB_ARCH[self.arch]}"
        image = needed(suite, meta, "linux-image-")
        version = (image or "").removeprefix("linux-image-")
        if not version.startswith(self.series + "."):
            raise Missing(f"{meta} in {self.suite} is {version or 'of no version'}, {self.series} is wanted")
        return needed(suite, image, "linux-binary-") or image

    def have(self):
        found = sorted(glob.glob(os.path.join(self.folder, "vmlinu*")))
        return found[-1] if found else None

    def fetch(self):
        """The newest version in the suite, in place of what is there."""
        suite = Suite(CACHE, self.suite, DEB_ARCH[self.arch])
        suite.update()
        package = self.package(suite)
        fresh = self.folder + ".new"
        shutil.rmtree(fresh, ignore_errors=True)
        suite.unpack([package], fresh + "/deb")
        found = glob.glob(fresh + "/deb/**/vmlinu*", recursive=True)
        if len(found) != 1:
            raise Missing(f"{package} has {len(found)} kernels")
        shutil.move(found[0], os.path.join(fresh, f"vmlinuz-{package.partition('-')[2].partition('-')[2]}"))
        shutil.rmtree(fresh + "/deb")
        shutil.rmtree(self.folder, ignore_errors=True)
        os.rename(fresh, self.folder)
        return self.have()


# From 7.0 on a task may be preempted in a tracepoint; the programs there are then skipped for another task
# on that CPU. They also make task storage for programs with a 16-byte compare-and-exchange, which the machines
# do not have, unless the slabs are checked. 5.10 has neither cookies for uprobes nor storage for threads in
# their programs.
KERNELS = [
    Kernel("5.10", "x86_64", "bullseye", functions=False),
    Kernel("6.1", "x86_64", "bookworm"),
    Kernel("6.12", "x86_64", "bookworm-backports"),
    Kernel("7", "x86_64", "sid", options=["--preempted"], words="slab_debug=F,kmalloc-*"),
    Kernel("6.1", "aarch64", "bookworm"),
    Kernel("6.12", "aarch64", "bookworm-backports"),
]
