#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
run.py DIR SECONDS: runs every fuzz target in DIR/fuzz on every input of its corpus, then searches on until its
SECONDS are over. One target for each CPU runs at a time.
"""
import concurrent.futures
import glob
import os
import re
import subprocess
import sys


def run(target, out, seconds):
    """Returns (whether it found nothing, what is to be said)."""
    name = os.path.basename(target)[len("fuzz_"):]
    found = os.path.join(out, "corpus", name)
    seeds = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus", name)
    os.makedirs(found, exist_ok=True)
    result = subprocess.run(
        [target, f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1",
         f"-artifact_prefix={out}/fuzz/{name}-", found] + ([seeds] if os.path.isdir(seeds) else []),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    text = result.stdout.decode("utf-8", "replace")
    match = re.search(r"number_of_executed_units: (\d+)", text)
    good = result.returncode == 0
    return good, (f"{name}: {match[1] if match else '?'} executions, " + ("no finding" if good else "FOUND SOMETHING")
                  + ("" if good else "\n" + text[-4000:]))


def main():
    out, seconds = sys.argv[1], int(sys.argv[2])
    targets = sorted(t for t in glob.glob(os.path.join(out, "fuzz", "fuzz_*")) if os.access(t, os.X_OK)
                     and not t.endswith(".d"))
    good = []
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for one, text in pool.map(lambda target: run(target, out, seconds), targets):
            print(text, flush=True)
            good.append(one)
    print("%d passed, %d failed" % (sum(good), len(good) - sum(good)))
    return not targets or not all(good)


if __name__ == "__main__":
    sys.exit(main())
