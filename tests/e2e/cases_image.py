# SPDX-License-Identifier: Apache-2.0
"""The image."""

import os

from check import hold
from harness import read_text
from place import MIB, tell
from registry import test


def files_below(folder):
    return {os.path.join(path, name)[len(folder):]: os.lstat(os.path.join(path, name))
            for path, _, names in os.walk(folder) for name in names}


@test("the image builds from nothing without a network and holds heldby and its libraries alone")
def builds(case):
    images = case.place.images
    config = images.config(images.heldby())
    wrong = [] if config.get("Entrypoint") == ["/usr/bin/heldby", "oom", "--json"] else \
        [f"the entry point is {config.get('Entrypoint')}"]
    if config.get("Cmd") or config.get("Labels", {}).get("org.opencontainers.image.title") != "heldby":
        wrong.append(f"its configuration is {config}")
    files = files_below(images.rootfs())
    odd = [path for path in files if path != "/usr/bin/heldby" and "/lib" not in path]
    if odd or "/usr/bin/heldby" not in files:
        wrong.append(f"it has {sorted(files)}")
    bytes_all = sum(stat.st_size for stat in files.values())
    if bytes_all > 32 * MIB:
        wrong.append(f"it has {bytes_all} bytes, expected less than 32 MiB")
    hold(wrong)


@test("the image's program finds all its libraries in there")
def links(case):
    rootfs = case.place.images.rootfs()
    said = tell(["chroot", rootfs, "/usr/bin/heldby", "--version"])
    hold([] if said.startswith("heldby ") else [f"it said {said!r}"])


@test("the image can be laid on another whose /lib is a link and leaves that one's files in place")
def base(case):
    folder = case.path("base")
    for name in ("lib", "lib64"):
        os.makedirs(os.path.join(folder, "usr", name))
        os.symlink(f"usr/{name}", os.path.join(folder, name))
    with open(os.path.join(folder, "lib/of-the-base"), "w", encoding="ascii") as file:
        file.write("it is here\n")
    rootfs = case.place.images.rootfs(case.place.images.laid_on(folder))
    said = tell(["chroot", rootfs, "/usr/bin/heldby", "--version"])
    hold([] if said.startswith("heldby ") else [f"it said {said!r}"])
    hold([] if os.path.islink(os.path.join(rootfs, "lib")) else ["/lib is no link any more"])
    hold([] if read_text(os.path.join(rootfs, "lib/of-the-base")) == "it is here\n" else
         ["the base's own file is not behind /lib any more"])
