# SPDX-License-Identifier: Apache-2.0
"""The list of tests: a sentence, a function, the seconds it may take."""

TESTS = []


def test(sentence, seconds=60):
    """Register the function below under a sentence that is true when it passes."""
    def register(function):
        TESTS.append((sentence, function, seconds))
        return function
    return register


def each(sentence, rows, seconds=60):
    """Register once per row; {0}, {1}... in the sentence are the row's fields."""
    def register(function):
        for row in rows:
            row = row if isinstance(row, tuple) else (row,)

            def bound(case, row=row):
                return function(case, *row)
            TESTS.append((sentence.format(*row), bound, seconds))
        return function
    return register
