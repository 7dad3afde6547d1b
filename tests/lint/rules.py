# SPDX-License-Identifier: Apache-2.0
"""The register of rules. A rule yields (path, line, sentence) for each of its findings."""

RULES = []


def rule(name):
    """@name is a sentence that is true when the rule finds nothing."""
    def register(check):
        check.title = name
        RULES.append(check)
        return check
    return register
