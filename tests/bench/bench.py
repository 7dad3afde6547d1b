#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
What tracing costs, beside the floor (empty programs at the same places) and beside other tools. The ways alternate
in one run; medians, quartiles, and ratios of visits of one round. `bench.py [PART...]`; without parts all but profile.
"""

import argparse
import datetime
import json
import signal
import sys

sys.dont_write_bytecode = True

import faulting  # noqa: E402
import governing  # noqa: E402
import own_cost  # noqa: E402
import pairs  # noqa: E402
import profiling  # noqa: E402
import programs  # noqa: E402
import stats  # noqa: E402
import targets  # noqa: E402
import tools  # noqa: E402

# Name: what yields its tables, whether it is part of a run of all.
PARTS = {
    "pairs": (pairs.pairs, True),
    "depths": (pairs.depths, True),
    "threads": (pairs.threads, True),
    "pages": (faulting.pages, True),
    "programs": (programs.programs, True),
    "refresh": (own_cost.refresh, True),
    "attach": (own_cost.attach, True),
    "memory": (own_cost.memory, True),
    "idle": (own_cost.idle, True),
    "budget": (governing.budget, True),
    "profile": (profiling.profile, False),
}


class Given(argparse.Namespace):
    """The command line."""

    def chosen(self, ways):
        """Of @ways those that were asked for."""
        return [way for way in ways if not self.ways or any(word in way.name for word in self.ways)]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--rounds", type=int, default=3, help="visits of each way (default: 3)")
    parser.add_argument("--ways", type=lambda text: text.split(","), metavar="WORD[,WORD]",
                        help="only ways with one of these in their names")
    parser.add_argument("--memleak", metavar="PATH", help="memleak of bcc's libbpf-tools, built elsewhere")
    parser.add_argument("--json", metavar="FILE", help="also as JSON; - is stdout, and then no text")
    given = parser.parse_args(namespace=Given())
    for part in given.parts:
        if part not in PARTS:
            parser.error(f"{part} is none of {', '.join(PARTS)}")
    if given.rounds < 1:
        parser.error("--rounds begins with 1")
    return given


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is ended
    given = arguments()
    quiet = given.json == "-"
    document = {"schema": "heldby.bench/1", "time": datetime.datetime.now(datetime.timezone.utc).isoformat(),
                "machine": tools.machine(), "rounds": given.rounds, "tables": []}
    if not quiet:
        print(targets.heading(document["machine"]), flush=True)
    for part in given.parts or [name for name, (_, always) in PARTS.items() if always]:
        for table in PARTS[part][0](given):
            document["tables"].append(table)
            if not quiet and (table["rows"] or table["left_out"]):
                print("\n" + "\n".join(stats.text(table)), flush=True)
    document["targets"] = targets.compare(document["tables"])
    if not quiet and document["targets"]:
        print("\n" + "\n".join(targets.text(document["targets"])))
    if given.json:
        with sys.stdout if quiet else open(given.json, "w", encoding="utf-8") as file:
            json.dump(document, file, indent=1)
            file.write("\n")


if __name__ == "__main__":
    main()
