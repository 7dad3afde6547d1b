# SPDX-License-Identifier: Apache-2.0
"""The allocators that can be preloaded."""

import glob

from harness import Skip

LIBRARIES = {
    "jemalloc": "libjemalloc.so.2",
    "tcmalloc": "libtcmalloc_minimal.so.4",
    "mimalloc": "libmimalloc.so.2",
}


def library(name):
    found = glob.glob(f"/usr/lib*/*-linux-gnu/{LIBRARIES[name]}") + \
        glob.glob(f"/usr/lib64/{LIBRARIES[name]}")
    if not found:
        raise Skip(f"{LIBRARIES[name]} is not installed")
    return found[0]
