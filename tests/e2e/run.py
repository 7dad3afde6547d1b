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
import time

sys.dont_write_bytecode = True  # the source tree stays as it is

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.append(os.path.join(ROOT, "tests", "bpf"))

# pylint: disable=wrong-import-position
import cases_files
import cases_image
import cases_runc
import cases_containerd
from harness import Failure, Skip
from image import Images
from place import Case, Place
from registry import TESTS

MODULES = (cases_files, cases_image, cases_runc, cases_containerd)


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


def judged(case, function):
    """Returns (word, lines)."""
    try:
        function(case)
        return "ok", []
    except Skip as reason:
        return "skip", [str(reason)]
    except Failure as failure:
        return "FAIL", [str(line) for line in failure.args]
    except (LookupError, AttributeError, TypeError, ValueError, OSError, subprocess.SubprocessError) as error:
        where = error.__traceback__
        while where.tb_next:
            where = where.tb_next
        return "FAIL", [f"{type(error).__name__}: {error} "
                        f"({os.path.basename(where.tb_frame.f_code.co_filename)}:{where.tb_lineno})"]


def run_one(place, function, seconds):
    """The same; what is left of it is a failure."""
    case = Case(place, seconds)
    left = []
    try:
        word, lines = judged(case, function)
    finally:
        left += case.clean()
    return ("FAIL", lines + left) if left else (word, lines)


def main():
    given = options()
    chosen = [(number, *row) for number, row in enumerate(TESTS, 1)
              if not given.words or any(word in row[0] for word in given.words)]
    if given.list:
        for number, sentence, _, _ in chosen:
            print(number, sentence)
        return 0
    place = Place(os.path.abspath(given.build), given.keep)
    reason = place.why_not()
    if not reason and not build(place):
        print("FAIL the victims' program does not build")
        return 1
    counts = {"ok": 0, "FAIL": 0, "skip": 0}
    with Images(place) as place.images:
        for number, sentence, function, seconds in chosen:
            start = time.monotonic()
            word, lines = ("skip", [reason]) if reason else run_one(place, function, seconds)
            counts[word] += 1
            if word == "skip":
                print(f"skip {number} {sentence}: {lines[0]}")
            else:
                print(f"{word} {number} {sentence} ({time.monotonic() - start:.1f} s)")
                for line in lines:
                    print(f"     {line}")
            sys.stdout.flush()
    print(f"{counts['ok']} passed, {counts['FAIL']} failed, {counts['skip']} skipped")
    return 1 if counts["FAIL"] else 0


if __name__ == "__main__":
    sys.exit(main())
