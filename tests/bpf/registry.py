# SPDX-License-Identifier: Apache-2.0
"""
The list of tests. Some run side by side: a test whose times would be another's, or that looks at the whole
machine, says with @alone why nothing may run beside it.
"""

import collections
import functools

# @sentence is true when @function passes within @seconds. @alone: why nothing may run beside it, or None.
Row = collections.namedtuple("Row", "sentence function seconds alone")

TESTS = []


def test(sentence, seconds=60, alone=None):
    """Register the function below under a sentence that is true when it passes."""
    def register(function):
        TESTS.append(Row(sentence, function, seconds, alone))
        return function
    return register


def each(sentence, rows, seconds=60, alone=None):
    """Register once per row; {0}, {1}... in the sentence are the row's fields."""
    def register(function):
        for row in rows:
            row = row if isinstance(row, tuple) else (row,)

            def bound(case, row=row):
                return function(case, *row)
            TESTS.append(Row(sentence.format(*row), bound, seconds, alone))
        return function
    return register


def all_alone(why):
    """test() and each() of a file whose tests all run alone."""
    return functools.partial(test, alone=why), functools.partial(each, alone=why)
