#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
The house's rules, checked: python3 tests/lint/lint.py from the root of the repository. BUILD= names
the folder with heldby.skel.h (default: build). Each finding is a line; the last one counts rules.
"""

import os
import sys

sys.dont_write_bytecode = True

import headers  # noqa: E402, F401: each registers its rules
import kernel  # noqa: E402, F401
import layers  # noqa: E402, F401
import shape  # noqa: E402, F401
import tables  # noqa: E402, F401
from rules import RULES  # noqa: E402
from tree import Tree  # noqa: E402


def main():
    tree = Tree(".", os.environ.get("BUILD", "build"))
    failed = 0
    for check in RULES:
        findings = sorted(set(check(tree)))
        for path, line, sentence in findings:
            print(f"{path}:{line}: {sentence}")
        if findings:
            print(f"not ok: {check.title} ({len(findings)})")
        failed += bool(findings)
    print(f"{len(RULES) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
