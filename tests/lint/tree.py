# SPDX-License-Identifier: Apache-2.0
"""The files that the rules look at, and their text without what a rule must not see."""

import os
import re

SOURCES = (".c", ".h", ".cc", ".java", ".py", ".sh", ".mk")
PROSE = (".md",)
LEFT_OUT = {".git", "build", "__pycache__", "corpus", "golden"}

# Comments, strings and characters of C, whichever begins first.
TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">\n]+)[">]', re.M)


def blank(text):
    """As many characters and lines, nothing on them."""
    return re.sub(r"[^\n]", " ", text)


class Tree:
    """@build is where the generated headers are."""

    def __init__(self, root, build):
        self.root = os.path.abspath(root)
        self.build = os.path.abspath(os.path.join(root, build))
        self.texts = {}
        self.paths = sorted(self._walk())

    def _walk(self):
        for folder, folders, files in os.walk(self.root):
            folders[:] = [name for name in folders if name not in LEFT_OUT
                          and os.path.join(folder, name) != self.build]
            for name in files:
                yield os.path.relpath(os.path.join(folder, name), self.root)

    def files(self, folder="", *endings):
        """Paths below @folder; of C and C++ files' names only the last ending counts."""
        inside = folder + "/" if folder else ""
        return [path for path in self.paths
                if path.startswith(inside) and (not endings or path.endswith(endings))]

    def exists(self, path):
        return os.path.exists(os.path.join(self.root, path))

    def text(self, path):
        if path not in self.texts:
            with open(os.path.join(self.root, path), encoding="utf-8", errors="replace",
                      newline="") as file:
                self.texts[path] = file.read()
        return self.texts[path]

    def is_script(self, path):
        with open(os.path.join(self.root, path), "rb") as file:
            return file.read(2) == b"#!"

    def sources(self):
        """What people write in a programming language."""
        return [path for path in self.paths
                if path.endswith(SOURCES) or os.path.basename(path) == "Makefile"
                or self.is_script(path)]

    def prose(self):
        return [path for path in self.paths if path.endswith(PROSE)]

    def code(self, path):
        """C without comments, strings and characters; every line stays where it is."""
        return TOKEN.sub(lambda match: blank(match[0]), self.text(path))

    def uncommented(self, path):
        """C without comments."""
        return TOKEN.sub(lambda match: blank(match[0]) if match[0][0] == "/" else match[0],
                         self.text(path))

    def strings(self, path):
        """(line, bytes between the quotes) of every string literal of C but those of includes."""
        for match in TOKEN.finditer(self.text(path)):
            if match[0][0] != '"':
                continue
            start = self.text(path).rfind("\n", 0, match.start()) + 1
            if not self.text(path)[start:].lstrip().startswith("#include"):
                yield line_of(self.text(path), match.start()), match[0][1:-1]

    def includes(self, path):
        """(line, what, whether in quotes)"""
        text = self.uncommented(path)
        for match in INCLUDE.finditer(text):
            yield line_of(text, match.start(2)), match[2], match[1] == '"'


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1
