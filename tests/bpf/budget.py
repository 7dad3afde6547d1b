#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Verified instructions per program and rung, against budget.csv. `budget.py --update` rewrites it.

The verifier's work grows faster than the code: a program that doubles it unseen may be refused by
an older kernel. Growth of more than a tenth fails; explain it in the commit that updates the file.
"""
import csv
import os
import re
import subprocess
import sys

HELDBY = os.path.join(os.environ.get("BUILD", "build"), "heldby")
FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "budget.csv")
RUNGS = ("uprobe.session", "uprobe.multi", "uprobe")


def measure():
    rows = {}
    for rung in RUNGS:
        out = subprocess.run([HELDBY, "doctor", "-v", "--rung", rung, "-p", str(os.getpid())],
                             stdout=subprocess.PIPE, check=False).stdout.decode()
        for name, count in re.findall(r"^ +(hb_\w+) +(\d+) instructions verified$", out, re.M):
            rows[(rung, name)] = int(count)
    return rows


def main():
    now = measure()
    if "--update" in sys.argv:
        with open(FILE, "w", newline="", encoding="ascii") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["rung", "program", "verified_instructions"])
            writer.writerows([*key, count] for key, count in sorted(now.items()))
        return 0
    with open(FILE, encoding="ascii") as file:
        budget = {(row["rung"], row["program"]): int(row["verified_instructions"]) for row in csv.DictReader(file)}
    passed = failed = 0
    for key in sorted(budget.keys() | now.keys()):
        have, may = now.get(key), budget.get(key)
        good = have is not None and may is not None and have <= may * 1.1
        passed, failed = passed + good, failed + (not good)
        if not good:
            print(f"{key[0]} {key[1]}: {have} verified instructions, the budget has {may}")
    print(f"{passed} passed, {failed} failed")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
