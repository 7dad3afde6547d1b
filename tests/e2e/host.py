# SPDX-License-Identifier: Apache-2.0
"""
A host of its own: an emulated machine with Debian on its disk, systemd as its init, its journal, and Java. What it
has is unpacked from packages once, and kept where tests/vm keeps its kernels; what a test adds is copied onto the
disk at each boot, which writes nothing back.
"""

import fcntl
import glob
import hashlib
import lzma
import os
import platform
import shutil
import subprocess

from harness import Skip
from image import RUN, Image
from kernels import KERNELS
from machine import boot
from packages import CACHE, DEB_ARCH, Missing, Suite, call, release
from place import ROOT, need

ARCH = "x86_64"
KERNEL = next(kernel for kernel in KERNELS if kernel.name == f"6.12-{ARCH}")
MEGABYTES, CPUS = 1024, 2
DISK_BYTES = 2 << 30
FOLDER = os.path.join(CACHE, f"host-{ARCH}")
PACKAGES = ("systemd-sysv", "base-passwd", "base-files", "bash", "dash", "coreutils", "util-linux", "libc-bin",
            "openjdk-17-jre-headless")
JAVA = f"/usr/lib/jvm/java-17-openjdk-{DEB_ARCH[ARCH]}/bin/java"
DRIVER = "virtio_blk"  # the one module that finding the disk needs
MERGED = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
UNREAD = ("boot", "usr/lib/modules", "usr/share/doc", "usr/share/man", "usr/share/locale")
UNITS = "etc/systemd/system"
# What waits for nobody here: consoles, keys, hardware that is found late, and what people do at a first boot.
MASKED = ("getty.target", "systemd-logind.service", "systemd-ask-password-console.path",
          "systemd-ask-password-wall.path", "systemd-update-utmp.service", "systemd-update-utmp-runlevel.service",
          "systemd-binfmt.service", "proc-sys-fs-binfmt_misc.automount", "systemd-firstboot.service",
          "systemd-repart.service", "systemd-modules-load.service", "kmod-static-nodes.service",
          "dev-hugepages.mount", "sys-kernel-config.mount", "systemd-tmpfiles-clean.timer")
CONSOLE = """[Unit]
Description=The test's commands, one after another
After=multi-user.target

[Service]
ExecStart=/bin/busybox sh /commands.sh
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS0
OOMScoreAdjust=-900
"""
INIT = f"""#!/bin/busybox sh
busybox mkdir -p /dev /disk
busybox mount -t devtmpfs dev /dev
busybox insmod /{DRIVER}.ko
busybox mount -t ext4 /dev/vda /disk
busybox cp -a /more/. /disk/
busybox mount --move /dev /disk/dev
exec busybox switch_root /disk /sbin/init
"""


def packages_of(program):
    """Those that the libraries come from which @program is linked to."""
    found = set()
    for line in call(["ldd", program]).splitlines():
        path = line.partition(" => ")[2].partition(" (")[0]
        if path:
            owner = call(["dpkg-query", "-S", f"*{os.path.realpath(path).removeprefix('/usr')}"])
            found.add(owner.partition(":")[0])
    return found


def merge(root):
    """What packages have in /bin, /lib and so on goes into /usr, as on every host."""
    for name in MERGED:
        path = os.path.join(root, name)
        if os.path.isdir(path):
            call(["cp", "-a", f"{path}/.", os.path.join(root, "usr", name)])
            shutil.rmtree(path)
        if os.path.isdir(os.path.join(root, "usr", name)):
            os.symlink(f"usr/{name}", path)


def settle(root):
    """What the packages' own scripts would have done, as far as somebody here looks for it."""
    for name in ("passwd", "group"):
        shutil.copy(os.path.join(root, f"usr/share/base-passwd/{name}.master"), os.path.join(root, "etc", name))
    for name, text in (("hostname", "small\n"), ("machine-id", "0123456789abcdef0123456789abcdef\n"), ("fstab", "")):
        with open(os.path.join(root, "etc", name), "w", encoding="ascii") as file:
            file.write(text)
    os.symlink("/lib/systemd/system/multi-user.target", os.path.join(root, UNITS, "default.target"))
    for unit in MASKED:
        os.symlink("/dev/null", os.path.join(root, UNITS, unit))
    call(["ldconfig", "-r", root])


def unpack_kernel(root, folder):
    """The kernel and the driver, of one package, into @folder."""
    suite = Suite(FOLDER, KERNEL.suite, DEB_ARCH[ARCH])
    suite.update()
    package = KERNEL.package(suite)
    suite.unpack([package], root)
    kernels = glob.glob(f"{root}/boot/vmlinuz-*")
    drivers = glob.glob(f"{root}/**/{DRIVER}.ko*", recursive=True)
    if len(kernels) != 1 or len(drivers) != 1:
        raise Missing(f"{package} has {len(kernels)} kernels and {len(drivers)} drivers {DRIVER}")
    shutil.move(kernels[0], f"{folder}/vmlinuz")
    with (lzma.open if drivers[0].endswith(".xz") else open)(drivers[0], "rb") as file:
        driver = file.read()
    with open(f"{folder}/{DRIVER}.ko", "wb") as file:
        file.write(driver)


def make(folder, packages):
    """The kernel, its driver and the disk, in @folder."""
    root = os.path.join(folder, "root")
    suite = Suite(FOLDER, release(), DEB_ARCH[ARCH])
    suite.update()
    suite.unpack(suite.closure(packages), root)
    unpack_kernel(root, folder)
    merge(root)
    for name in UNREAD:
        shutil.rmtree(os.path.join(root, name), ignore_errors=True)
    settle(root)
    call(["mke2fs", "-q", "-t", "ext4", "-m", "0", "-d", root, f"{folder}/disk", str(DISK_BYTES // 1024)])
    shutil.rmtree(root)


def made(program):
    """The folder with kernel, driver and disk for @program, downloaded once for each list of packages, and recipe."""
    folder, packages = os.path.join(FOLDER, "made"), sorted({*PACKAGES, *packages_of(program)})
    with open(__file__, "rb") as file:
        stamp = "\n".join((hashlib.sha256(file.read()).hexdigest(), KERNEL.name, *packages, ""))
    os.makedirs(FOLDER, exist_ok=True)
    with open(os.path.join(FOLDER, "lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        path = os.path.join(folder, "stamp")
        if os.path.exists(path):
            with open(path, encoding="ascii") as file:
                if file.read() == stamp:
                    return folder
        fresh = folder + ".new"
        for old in (fresh, folder):
            shutil.rmtree(old, ignore_errors=True)
        make(fresh, packages)
        with open(f"{fresh}/stamp", "w", encoding="ascii") as file:
            file.write(stamp)
        os.rename(fresh, folder)
    return folder


class Host:
    """@more: an Image's files are put below its folder of that name, and lie on the disk when systemd starts."""

    MORE = "more"

    def __init__(self, case):
        if platform.machine() != ARCH:
            raise Skip(f"the machine is an {ARCH}, as this one is not: heldby would have to be built for it")
        need("qemu-system-x86_64", "mke2fs", "ldd", "dpkg-query", "apt-get", "setpriv", "ldconfig")
        self.case = case
        try:
            self.folder = made(case.place.heldby)
            self.image = Image("/", f"{ARCH}-linux-gnu")
            self.image.own("/bin/busybox")
            self.image.file(self.image.find("/bin/busybox"), f"{self.MORE}/usr/bin/busybox")
        except Missing as reason:
            raise Skip(str(reason)) from None
        self.image.text("init", INIT, 0o755)
        self.image.file(f"{self.folder}/{DRIVER}.ko", f"{DRIVER}.ko")
        self.install()

    def install(self):
        """heldby as it is installed, and started with everything else."""
        root = self.case.path("root")
        subprocess.run(["make", "-s", "-C", ROOT, "install", f"BUILD={self.case.place.build}", f"DESTDIR={root}",
                        "PREFIX=/usr"], check=True, capture_output=True, timeout=30)
        for folder, _, files in os.walk(root):
            for name in files:
                path = os.path.join(folder, name)
                self.put(path, path.removeprefix(root))
        self.enable("heldby.service", "/usr/lib/systemd/system/heldby.service")

    def put(self, source, path):
        self.image.file(source, f"{self.MORE}{path}")

    def unit(self, name, text):
        self.image.text(f"{self.MORE}/{UNITS}/{name}", text)

    def enable(self, name, path):
        self.image.link(f"{self.MORE}/{UNITS}/multi-user.target.wants/{name}", path)

    def run(self, commands, bounds):
        """Boot, and run the commands once all is up: the Machine that was, and its Console."""
        script = f"export PATH=/usr/sbin:/usr/bin LANG=C.UTF-8\n{RUN}systemctl poweroff\n"
        self.image.text(f"{self.MORE}/commands.sh", script)
        for number, command in enumerate(commands):
            self.image.text(f"{self.MORE}/commands/{number:03}", command + "\n")
        self.unit("commands.service", CONSOLE)
        self.enable("commands.service", f"/{UNITS}/commands.service")
        image = self.case.path("image")
        self.image.write(image)
        return boot(ARCH, f"{self.folder}/vmlinuz", image, self.case.path("console"), bounds,
                    cpus=CPUS, megabytes=MEGABYTES, rest=0, disk=f"{self.folder}/disk")
