# SPDX-License-Identifier: Apache-2.0
"""Packages of other releases and architectures, unpacked into a folder; the host's own apt is only asked."""

import os
import platform
import subprocess


CACHE = os.environ.get("HELDBY_VM_CACHE", "/var/cache/heldby-vm")
DEB_ARCH = {"x86_64": "amd64", "aarch64": "arm64"}  # uname's words, and Debian's


class Missing(Exception):
    """What was asked for cannot be had; its argument says why."""


def call(command, cwd=None, seconds=300):
    """Stdout of a command, or Missing with the last thing it said."""
    try:
        done = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False,
                              timeout=seconds, text=True, errors="replace")
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Missing(f"{command[0]}: {error}") from None
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise Missing(f"{command[0]}: {said[-1] if said else f'exit status {done.returncode}'}")
    return done.stdout


def release():
    """The name of this machine's own release."""
    name = platform.freedesktop_os_release().get("VERSION_CODENAME")
    if not name:
        raise Missing("this machine's system has no release name")
    return name


def mirror():
    """Where this machine has its own release from: older and newer ones are there too."""
    found = call(["apt-get", "indextargets", "--format", "$(REPO_URI)", "Identifier: Packages",
                  f"Release: {release()}", "Component: main"]).split()
    if not found:
        raise Missing(f"no apt source of this machine has {release()}")
    return found[0]


class Suite:
    """One suite for one architecture: a source list, package lists and a status file below @folder."""

    def __init__(self, folder, suite, arch):
        self.folder = os.path.join(folder, f"apt-{suite}-{arch}")
        self.suite = suite
        self.arch = arch
        self.options = []
        for name, value in (("Dir::Etc::sourcelist", self.path("sources.list")),
                            ("Dir::Etc::sourceparts", "/dev/null"),
                            ("Dir::State::lists", self.path("lists")),
                            ("Dir::State::status", self.path("status")),
                            ("Dir::Cache", self.path("cache")),
                            ("APT::Architecture", arch), ("APT::Architectures", arch),
                            ("APT::Sandbox::User", "root"), ("APT::Install-Recommends", "false"),
                            ("Acquire::Languages", "none"), ("Acquire::http::Timeout", "20"),
                            ("Acquire::Retries", "2")):
            self.options += ["-o", f"{name}={value}"]

    def path(self, name):
        return os.path.join(self.folder, name)

    def update(self):
        """The package lists as they are now; a few MB."""
        for name in ("lists/partial", "cache/archives/partial", "debs"):
            os.makedirs(self.path(name), exist_ok=True)
        with open(self.path("sources.list"), "w", encoding="ascii") as file:
            file.write(f"deb {mirror()} {self.suite} main\n")
        with open(self.path("status"), "w", encoding="ascii"):
            pass
        call(["apt-get", "-qq", "--error-on=any", *self.options, "update"])

    def field(self, package, name):
        """A field of the newest version of a package."""
        text = call(["apt-cache", *self.options, "--no-all-versions", "show", package])
        for line in text.splitlines():
            if line.startswith(name + ": "):
                return line[len(name) + 2:]
        raise Missing(f"{package} in {self.suite} has no {name}")

    def closure(self, packages):
        """Names of the packages and of all that they depend on, as apt would install them on nothing."""
        text = call(["apt-get", *self.options, "-s", "--no-install-recommends", "install", *packages])
        return [line.split()[1].partition(":")[0] for line in text.splitlines() if line.startswith("Inst ")]

    def unpack(self, packages, root):
        """Download packages, each alone, and unpack them into @root."""
        debs = self.path("debs")
        for name in os.listdir(debs):
            os.unlink(os.path.join(debs, name))
        call(["apt-get", "-qq", *self.options, "download", *packages], cwd=debs)
        os.makedirs(root, exist_ok=True)
        for name in sorted(os.listdir(debs)):
            call(["dpkg-deb", "-x", name, root], cwd=debs)
            os.unlink(os.path.join(debs, name))
