# SPDX-License-Identifier: Apache-2.0
"""The images, built once by buildah in storage of their own and without a network."""

import json
import os
import shutil
import tempfile

from place import ROOT, need, tell

NAME = "localhost/heldby:latest"
VICTIM = "localhost/eater:latest"
BASE = "localhost/base:latest"
LAID = "localhost/heldby-laid:latest"
BASE_FILE = "FROM scratch\nCOPY . /\n"
VICTIM_FILE = 'FROM scratch\nCOPY eater /eater\nENTRYPOINT ["/eater"]\nCMD ["pause"]\n'


class Images:
    """What is asked for is built when it is asked for first; all of it goes at the end."""

    def __init__(self, place):
        self.place = place
        self.folder = None
        self.made = {}
        self.mounted = False

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="heldby-images-")
        return self

    def __exit__(self, *_):
        if self.mounted:
            self.buildah("umount", "--all")
            self.buildah("rm", "--all")
        shutil.rmtree(self.folder)

    def buildah(self, *words):
        """One command to it; its stdout. There is no network for it."""
        need("buildah", "unshare")
        return tell(["unshare", "--net", "buildah", "--root", os.path.join(self.folder, "storage"),
                     "--runroot", os.path.join(self.folder, "run"), "--storage-driver", "vfs", *words])

    def bud(self, name, file, context, *more):
        self.buildah("bud", "--isolation", "chroot", "--tag", name, "--file", file, *more, context)

    def once(self, what, make):
        """The result of @make, which is called for the first who asks."""
        if what not in self.made:
            self.made[what] = make()
        return self.made[what]

    def heldby(self):
        """The image of deploy/Containerfile; its name."""
        def make():
            context = os.path.join(self.folder, "root")
            tell([os.path.join(ROOT, "deploy", "collect"), self.place.heldby, context])
            self.bud(NAME, os.path.join(ROOT, "deploy", "Containerfile"), context)
            return NAME
        return self.once("heldby", make)

    def victim(self):
        """The image of the program that is killed, and of a pod's first process; its name."""
        def make():
            context = os.path.join(self.folder, "victim")
            os.makedirs(context, exist_ok=True)
            shutil.copy(self.place.eater, os.path.join(context, "eater"))
            with open(os.path.join(self.folder, "Victimfile"), "w", encoding="ascii") as file:
                file.write(VICTIM_FILE)
            self.bud(VICTIM, file.name, context)
            return VICTIM
        return self.once("victim", make)

    def config(self, name):
        """What the image says about itself: Entrypoint, Labels and so on."""
        return json.loads(self.buildah("inspect", "--type", "image", name))["OCIv1"]["config"]

    def laid_on(self, folder):
        """The name of heldby's image with an image of @folder's files as its base."""
        self.heldby()
        with open(os.path.join(self.folder, "Basefile"), "w", encoding="ascii") as file:
            file.write(BASE_FILE)
        self.bud(BASE, file.name, folder)
        self.bud(LAID, os.path.join(ROOT, "deploy", "Containerfile"), os.path.join(self.folder, "root"),
                 "--build-arg", f"BASE={BASE}")
        return LAID

    def rootfs(self, name=NAME):
        """A folder with the files of heldby's or another image, for containers that do not write."""
        def make():
            self.heldby()
            container = self.buildah("from", "--pull-never", name).strip()
            self.mounted = True
            return self.buildah("mount", container).strip()
        return self.once("rootfs of " + name, make)

    def archive(self, name):
        """A file with the image, as containerd imports it."""
        def make():
            path = os.path.join(self.folder, name.split("/")[1].split(":")[0] + ".tar")
            self.buildah("push", name, f"docker-archive:{path}:{name}")
            return path
        return self.once("archive of " + name, make)
