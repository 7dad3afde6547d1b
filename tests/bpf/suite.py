# SPDX-License-Identifier: Apache-2.0
"""Running the tests that were registered: which, how each ended, a line for each, and their sums."""

import os
import subprocess
import sys
import time

from harness import Failure, Skip
from registry import TESTS


def chosen(words):
    """(number, sentence, function, seconds) of each test whose sentence has one of @words; none: of all."""
    return [(number, *row) for number, row in enumerate(TESTS, 1)
            if not words or any(word in row[0] for word in words)]


def show(rows):
    for number, sentence, _, _ in rows:
        print(number, sentence)


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


def run(rows, reason, one):
    """@one(function, seconds) is judged() of a test; @reason: why all are skipped. The exit status."""
    counts = {"ok": 0, "FAIL": 0, "skip": 0}
    for number, sentence, function, seconds in rows:
        start = time.monotonic()
        word, lines = ("skip", [reason]) if reason else one(function, seconds)
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
