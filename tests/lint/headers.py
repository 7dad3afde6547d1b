# SPDX-License-Identifier: Apache-2.0
"""Every header compiles alone, twice over, with both compilers."""

import os
import subprocess
import tempfile

from rules import rule

GCC = os.environ.get("CC", "gcc")
CONTRACT = ("bpf/record.h", "bpf/record_pages.h", "bpf/sample.h")
CLANG = os.environ.get("CLANG", "clang-14")
WARNINGS = ["-Wall", "-Wextra", "-Werror", "-Wmissing-prototypes", "-Wshadow"]
ARCH = os.uname().machine
BPF_ARCH = {"x86_64": "x86", "aarch64": "arm64"}.get(ARCH, ARCH)
CMOCKA = "#include <setjmp.h>\n#include <stdarg.h>\n#include <stddef.h>\n#include <stdint.h>\n"


def user_flags(tree):
    return ["-std=gnu11", "-D_GNU_SOURCE", *WARNINGS, f"-I{tree.build}"]


def bpf_flags():
    return ["-O2", "-target", "bpf", "-mcpu=v3", f"-D__TARGET_ARCH_{BPF_ARCH}", "-Wall", "-Wextra", "-Werror",
            "-Wno-unused-parameter", "-Wno-missing-prototypes", f"-I/usr/include/{ARCH}-linux-gnu"]


def native_flags(tree):
    """The BPF core as plain C, as tests/native builds it."""
    return ["-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter", "-DHB_NATIVE",
            f"-D__TARGET_ARCH_{BPF_ARCH}", f"-I{tree.root}/tests/native", f"-I{tree.root}/bpf"]


def ways(tree, path):
    """(compiler, flags) of every way in which @path is used; the contract: beside core.bpf.h, which includes it."""
    if path.startswith("tests/native/"):
        return [(GCC, native_flags(tree))]
    if path.startswith(("bpf/", "vmlinux/")) and path not in CONTRACT:
        return [(CLANG, bpf_flags())]
    return [(GCC, user_flags(tree)), (CLANG, user_flags(tree))]


def first_error(text):
    lines = [line for line in text.splitlines() if "error" in line]
    return lines[0].strip() if lines else (text.strip().splitlines() or ["it says nothing"])[0]


def compile_alone(tree, path, compiler, flags, source):
    """None, or what the compiler says."""
    before = CMOCKA if path.startswith("tests/") else ""
    with open(source, "w", encoding="utf-8") as file:
        file.write(before + f'#include "{os.path.join(tree.root, path)}"\n' * 2)
    try:
        done = subprocess.run([compiler, *flags, "-fsyntax-only", source], capture_output=True, text=True,
                              check=False, timeout=120)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return None if done.returncode == 0 else first_error(done.stderr)


@rule("every header compiles alone")
def headers(tree):
    with tempfile.TemporaryDirectory() as scratch:
        source = os.path.join(scratch, "alone.c")
        for path in tree.files("", ".h"):
            for compiler, flags in ways(tree, path):
                problem = compile_alone(tree, path, compiler, flags, source)
                if problem:
                    yield path, 1, f"does not compile alone with {compiler}: {problem}"
