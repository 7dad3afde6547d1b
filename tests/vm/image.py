# SPDX-License-Identifier: Apache-2.0
"""An initial RAM disk: a small root with programs, what they are linked to, and an init that runs commands."""

import functools
import os
import re
import stat
import subprocess

from packages import Missing

MERGED = ("bin", "sbin", "lib", "lib64")  # links into usr/
PYTHON_SKIPS = re.compile(r"(^|/)(test|tests|idlelib|lib2to3|ensurepip|pydoc_data|tkinter|distutils|unittest|"
                          r"turtledemo|venv|xmlrpc|config-[^/]*|dist-packages|_test[^/]*\.so|"
                          r"_(ssl|hashlib|sqlite3|dbm|gdbm|curses[^/]*|tkinter|decimal)\.[^/]*\.so)(/|$)")

# Each command's output stands between two lines that begin with MARK; END says how it left.
MARK = "=heldby="
RUN = r"""set -o pipefail
for path in /commands/*; do
	name=${path##*/}
	start=$(busybox cut -d" " -f1 /proc/uptime)
	echo "MARK begin $name $start"
	( exec /bin/sh "$path" ) < /dev/null 2>&1 | busybox cat
	status=$?
	echo
	echo "MARK end $name $status $(busybox cut -d" " -f1 /proc/uptime)"
done
""".replace("MARK", MARK)
INIT = rf"""#!/bin/busybox sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8
busybox mkdir -p /proc /sys /dev /tmp /run /root /etc
busybox mount -t proc proc /proc
busybox mount -t sysfs sys /sys
busybox mount -t devtmpfs dev /dev
busybox mkdir -p /dev/pts /dev/shm
busybox mount -t devpts devpts /dev/pts
busybox mount -t tmpfs tmp /dev/shm
busybox mount -t tmpfs tmp /tmp
busybox mount -t tmpfs run /run
busybox mount -t cgroup2 cgroup /sys/fs/cgroup
busybox mount -t debugfs debug /sys/kernel/debug
busybox mount -t tracefs trace /sys/kernel/tracing
busybox mount -t bpf bpf /sys/fs/bpf
echo "+memory +pids" > /sys/fs/cgroup/cgroup.subtree_control
busybox --install -s 2> /dev/null
busybox ip link set lo up
{RUN}busybox poweroff -f
"""


class Image:
    """
    Files by their path in the guest. @root is where the guest's own programs and libraries are
    taken from: "/" or an unpacked system of another architecture.
    """

    def __init__(self, root, triple):
        self.root = root
        self.triple = triple
        self.rows = {}  # path without its first slash: (mode, bytes or the path of a file, mtime, device)
        self.linked = set()
        for name in MERGED:
            self.rows[name] = (stat.S_IFLNK | 0o777, f"usr/{name}".encode(), 0, 0)
            self.folder(f"usr/{name}")
        for name in ("proc", "sys", "dev", "tmp", "run", "root", "etc", "var"):
            self.folder(name)
        self.rows["dev/console"] = (stat.S_IFCHR | 0o600, b"", 0, (5, 1))
        self.text("init", INIT, 0o755)
        self.text("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n")
        self.text("etc/group", "root:x:0:\nnogroup:x:65534:\n")

    def folder(self, path):
        """A folder and those above it."""
        parts = path.split("/")
        for count in range(1, len(parts) + 1):
            self.rows.setdefault("/".join(parts[:count]), (stat.S_IFDIR | 0o755, b"", 0, 0))

    def put(self, path, row):
        path = place(path)
        if os.path.dirname(path):
            self.folder(os.path.dirname(path))
        self.rows[path] = row

    def text(self, path, text, mode=0o644):
        self.put(path, (stat.S_IFREG | mode, text.encode(), 0, 0))

    def link(self, path, target):
        self.put(path, (stat.S_IFLNK | 0o777, target.encode(), 0, 0))

    def file(self, source, path):
        """A file as it is; what a link points at, in its place."""
        info = os.stat(source)
        self.put(path, (stat.S_IFREG | stat.S_IMODE(info.st_mode), source, int(info.st_mtime), 0))

    def command(self, number, text):
        """What the guest's shell runs after booting, in order of @number."""
        self.text(f"commands/{number:03}", text)

    def find(self, path):
        """The file that the guest knows as @path, or None."""
        for merged in (place(path), place(path).removeprefix("usr/")):
            source = resolve(self.root, merged)
            if source:
                return source
        return None

    def own(self, path):
        """A program of the guest's system with all that it is linked to."""
        source = self.find(path)
        if not source:
            raise Missing(f"there is no {path}")
        self.program(source, path)

    def program(self, source, path):
        """A program or library from anywhere, with all that it is linked to; not linked files go alone."""
        self.file(source, path)
        self.link_closure(source, os.path.dirname(path))

    def link_closure(self, source, folder):
        if source in self.linked:
            return
        self.linked.add(source)
        interpreter, needed, paths = elf_links(source)
        if interpreter:
            self.own(interpreter)
            if "musl" in interpreter:
                return  # which is its libc too
        for name in needed:
            beside = os.path.join(os.path.dirname(source), name)
            if "$ORIGIN" in paths and os.path.exists(beside):
                self.program(beside, f"{folder}/{name}")
            else:
                self.library(name, paths)

    def library(self, name, folders=()):
        """A library by the name that programs are linked to."""
        for folder in (*folders, f"/usr/lib/{self.triple}", "/usr/lib", "/usr/lib64"):
            path = place(f"{folder}/{name}")
            if path in self.rows:
                return
            source = self.find(path)
            if source and is_elf(source):
                self.program(source, path)
                return
        raise Missing(f"there is no {name} for {self.triple}")

    def tree(self, source, path, skips=None):
        """A folder of files that are as they are, but for names that @skips finds; ELF files with their libraries."""
        for folder, names, files in os.walk(source):
            inner = os.path.relpath(folder, source)
            inner = "" if inner == "." else inner + "/"
            names[:] = sorted(name for name in names if not (skips and skips.search(inner + name)))
            for name in sorted(files):
                full = os.path.join(folder, name)
                if skips and skips.search(inner + name) or not os.path.exists(full):
                    continue
                if is_elf(full):
                    self.program(full, f"{path}/{inner}{name}")
                else:
                    self.file(full, f"{path}/{inner}{name}")

    def python(self):
        """The system's python3 with what of its library tests use."""
        real = os.path.basename(os.path.realpath(self.find("/usr/bin/python3")))
        self.own(f"/usr/bin/{real}")
        self.link("usr/bin/python3", real)
        self.tree(self.find(f"/usr/lib/{real}"), f"usr/lib/{real}", PYTHON_SKIPS)

    def write(self, path):
        """The archive: cpio "newc", folders before what is in them."""
        with open(path, "wb") as out:
            for number, name in enumerate(sorted(self.rows), 1):
                entry(out, number, name, self.rows[name])
            entry(out, 0, "TRAILER!!!", (0, b"", 0, 0))


def entry(out, number, name, row):
    """One file of the archive: thirteen hexadecimal numbers, its name, its bytes; each padded to 4."""
    mode, content, mtime, device = row
    if isinstance(content, str):
        with open(content, "rb") as file:
            content = file.read()
    major, minor = device or (0, 0)
    fields = (number, mode, 0, 0, 1, mtime, len(content), 0, 0, major, minor, len(name.encode()) + 1, 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
    out.write(head + b"\0" * (-len(head) % 4) + content + b"\0" * (-len(content) % 4))


def place(path):
    """The path in the image: no first slash, and below usr/ what is merged into it."""
    path = os.path.normpath("/" + path).lstrip("/")
    return "usr/" + path if path.split("/")[0] in MERGED else path


def resolve(root, path, depth=8):
    """The file below @root that @path names there, its links followed inside @root; None if there is none."""
    full = os.path.join(root, path)
    while os.path.islink(full) and depth:
        target = os.readlink(full)
        full = os.path.join(root, target.lstrip("/")) if target.startswith("/") else \
            os.path.join(os.path.dirname(full), target)
        depth -= 1
    return full if os.path.exists(full) else None


def is_elf(path):
    with open(path, "rb") as file:
        return file.read(4) == b"\x7fELF"


@functools.lru_cache(None)
def elf_links(path):
    """(interpreter or None, needed names, search folders) of an ELF file; of others, nothing."""
    if not is_elf(path):
        return None, (), ()
    text = subprocess.run(["readelf", "-ldW", path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          check=False, env={**os.environ, "LC_ALL": "C"}).stdout.decode("utf-8", "replace")
    interpreter = re.search(r"Requesting program interpreter: ([^\]]+)\]", text)
    needed = re.findall(r"\(NEEDED\)\s+Shared library: \[([^\]]+)\]", text)
    paths = re.search(r"\((?:RUNPATH|RPATH)\)[^\[]*\[([^\]]+)\]", text)
    return (interpreter[1] if interpreter else None, tuple(needed),
            tuple(paths[1].split(":")) if paths else ())
