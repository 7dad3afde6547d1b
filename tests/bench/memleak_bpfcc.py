#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
memleak of bcc as it was meant. The library of bcc 0.26 has a seventh argument (the offset of a reference
counter) that its Python part does not pass: what happens to lie on the stack is taken, and the kernel refuses it.

memleak_bpfcc.py MEMLEAK ARGUMENTS...
"""

import ctypes
import runpy
import sys

import bcc
from bcc.libbcc import lib

ARGUMENTS = [ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulonglong, ctypes.c_int]


class Whole:
    """The library, with the argument."""

    def __getattr__(self, name):
        return getattr(lib, name)

    def bpf_attach_uprobe(self, *arguments):
        return ATTACH(*arguments, 0) if len(arguments) == len(ARGUMENTS) else ATTACH(*arguments)


if len(lib.bpf_attach_uprobe.argtypes) == len(ARGUMENTS):
    ATTACH = lib.bpf_attach_uprobe
    ATTACH.argtypes = ARGUMENTS + [ctypes.c_uint32]
    bcc.lib = Whole()
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
