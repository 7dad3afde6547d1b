#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Runs what deploy/ holds as people run it: the image as a container that tells of kills in other containers.
One line per test; "run.py WORD..." runs the tests whose sentence has one of the words.
"""

import argparse
import os
import subprocess
import sys

sys.dont_write_bytecode = True  # the source tree stays as it is

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path += [os.path.join(ROOT, "tests", "bpf"), os.path.join(ROOT, "tests", "vm")]

# pylint: disable=wrong-import-position
import cases_files
import cases_image
import cases_runc
import cases_containerd
import cases_host
import suite
from images import Images
from place import Case, Place

MODULES = (cases_files, cases_image, cases_runc, cases_containerd, cases_host)


def options():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="*", help="run tests whose sentence has one of these")
    parser.add_argument("--build", default=os.path.join(ROOT, "build"), help="where heldby is built")
    parser.add_argument("--list", action="store_true", help="print the sentences only")
    parser.add_argument("--keep", action="store_true", help="keep each test's files")
    return parser.parse_args()


def build(place):
    """The victims' program, static: it is all that their containers have."""
    os.makedirs(os.path.dirname(place.eater), exist_ok=True)
    return subprocess.run(["gcc", "-static", "-O1", "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE", "-o",
                           place.eater, os.path.join(HERE, "eater.c")], check=False).returncode == 0


def run_one(place, function, seconds):
    """Returns (word, lines); what is left of it is a failure."""
    case = Case(place, seconds)
    left = []
    try:
        word, lines = suite.judged(case, function)
    finally:
        left += case.clean()
    return ("FAIL", lines + left) if left else (word, lines)


def main():
    given = options()
    rows = suite.chosen(given.words)
    if given.list:
        suite.show(rows)
        return 0
    place = Place(os.path.abspath(given.build), given.keep)
    reason = place.why_not()
    if not reason and not build(place):
        print("FAIL the victims' program does not build")
        return 1
    with Images(place) as place.images:
        return suite.run(rows, reason, lambda function, seconds: run_one(place, function, seconds))


if __name__ == "__main__":
    sys.exit(main())
