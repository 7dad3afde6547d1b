#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""starts.py COUNT COMMAND...: runs COMMAND so many times, and tells milliseconds per start."""

import subprocess
import sys
import time


def main():
    count, command = int(sys.argv[1]), sys.argv[2:]
    begin = time.monotonic()
    for _ in range(count):
        subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                       check=True)
    print(f"ms per start: {1e3 * (time.monotonic() - begin) / count:.3f}", flush=True)


if __name__ == "__main__":
    main()
