# SPDX-License-Identifier: Apache-2.0
"""Running the tests that were registered: which, how each ended, a line for each, and their sums."""

import os
import subprocess
import sys
import time

from harness import Failure, Skip
from registry import TESTS
from workers import Workers

WORDS = ("ok", "FAIL", "skip")


def chosen(words):
    """(number, row) of each test whose sentence has one of @words; none: of all."""
    return [(number, row) for number, row in enumerate(TESTS, 1)
            if not words or any(word in row.sentence for word in words)]


def show(rows):
    for number, row in rows:
        print(number, row.sentence)


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


def tell(number, row, word, lines, seconds):
    if word == "skip":
        print(f"skip {number} {row.sentence}: {lines[0]}")
    else:
        print(f"{word} {number} {row.sentence} ({seconds:.1f} s)")
        for line in lines:
            print(f"     {line}")
    sys.stdout.flush()


def run_one(numbered, reason, one):
    """Returns its word, which has been told."""
    number, row = numbered
    start = time.monotonic()
    word, lines = ("skip", [reason]) if reason else one(row.function, row.seconds)
    tell(number, row, word, lines, time.monotonic() - start)
    return word


def run(rows, reason, one):
    """@one(function, seconds) is judged() of a test; @reason: why all are skipped. The exit status."""
    return summed([run_one(row, reason, one) for row in rows])


def run_side_by_side(rows, one, count, patience=1):
    """
    The same with @count tests at a time, each in a process of its own and with its lines together; those
    that may take longest begin first, and those that must be alone come last.
    """
    words = []

    def ended(numbered, place, seconds):
        """@place: of its word, or None where it told none."""
        if place is None:
            tell(*numbered, "FAIL", ["it did not tell how it ended"], seconds)
        words.append(WORDS[place] if place is not None else "FAIL")

    workers = Workers(lambda numbered: WORDS.index(run_one(numbered, None, one)), ended)
    for at_once, part in ((count, [row for row in rows if not row[1].alone]),
                          (1, [row for row in rows if row[1].alone])):
        part.sort(key=lambda numbered: -numbered[1].seconds)
        workers.run([(numbered, numbered[1].seconds * patience) for numbered in part], at_once)
    return summed(words)


def summed(words):
    """The closing line, and the exit status."""
    print("%d passed, %d failed, %d skipped" % tuple(words.count(word) for word in WORDS))
    return 1 if "FAIL" in words else 0
