# SPDX-License-Identifier: Apache-2.0
"""What was promised, beside what was measured."""

# (what, table, way, figure, at most, unit); the figure of a target is a median.
TARGETS = (
    ("exact, frame pointers, times the floor", "pairs.push", "heldby exact frame-pointers", "ratio", 1.7, "x"),
    ("the same, libc's malloc", "pairs.libc", "heldby exact frame-pointers", "ratio", 1.7, "x"),
    ("exact, 20 frames of .eh_frame, times the floor", "depths.20", "heldby exact eh_frame", "ratio", 3.5, "x"),
    ("sampled, libc's malloc, times its own floor", "pairs.libc", "heldby sampled", "ratio", 1.15, "x"),
    ("a page fault, more than without", "pages.fault", "heldby pages", "more", 45, " ns"),
    # The same, as a part of the 480 ns that a fault took where the target was set: machines differ by more than it is.
    ("a page fault, times without", "pages.fault", "heldby pages", "ratio", 1.094, "x"),
    ("a program that only faults", "pages.touch", "heldby pages", "ratio", 1.07, "x"),
    ("a JVM's start", "pages.java", "heldby pages", "ratio", 1.01, "x"),
    ("a node at rest (top)", "idle", "heldby top", "median", 1, " % of a core"),
    ("a node at rest (oom)", "idle", "heldby oom", "median", 1, " % of a core"),
    ("a node at rest (node)", "idle", "heldby node", "median", 1, " % of a core"),
    ("resident at rest (top)", "idle", "heldby top", "resident_mib", 64, " MiB"),
    ("resident at rest (oom)", "idle", "heldby oom", "resident_mib", 64, " MiB"),
    ("resident at rest (node)", "idle", "heldby node", "resident_mib", 64, " MiB"),
    ("1,000 processes (top)", "idle.processes", "heldby top", "median", 2, " % of a core"),
    ("1,000 processes (oom)", "idle.processes", "heldby oom", "median", 2, " % of a core"),
    ("1,000 processes (node)", "idle.processes", "heldby node", "median", 2, " % of a core"),
    ("resident, 1,000 processes (top)", "idle.processes", "heldby top", "resident_mib", 128, " MiB"),
    ("resident, 1,000 processes (oom)", "idle.processes", "heldby oom", "resident_mib", 128, " MiB"),
    ("resident, 1,000 processes (node)", "idle.processes", "heldby node", "resident_mib", 128, " MiB"),
    ("a report, 10,000 sites, 5,000,000 blocks", "refresh", "20 rows", "median", 50, " ms of CPU"),
    ("BPF maps, no malloc (top)", "memory", "heldby top", "median", 16, " MiB"),
    ("BPF maps, no malloc (oom)", "memory", "heldby oom", "median", 16, " MiB"),
    ("BPF maps, no malloc (node)", "memory", "heldby node", "median", 16, " MiB"),
    ("attaching to a JVM with 300 mappings", "attach", "heldby top -p", "median", 1, " s"),
)


def figure_of(tables, name, way, figure):
    """The measured figure, or None."""
    rows = {row["way"]: row for row in tables.get(name, {"rows": []})["rows"]}
    if way not in rows:
        return None
    if figure == "more":
        return rows[way]["median"] - rows["nothing"]["median"] if "nothing" in rows else None
    return rows[way].get(figure)


def compare(tables):
    """Rows for the targets whose tables were measured; "reached" is absent where the way was left out."""
    by_name = {table["table"]: table for table in tables}
    rows = []
    for what, name, way, figure, most, unit in TARGETS:
        measured = figure_of(by_name, name, way, figure)
        if measured is not None:
            rows.append({"what": what, "target": most, "unit": unit.strip(), "measured": measured,
                         "reached": measured <= most})
        elif name in by_name and "node" not in way:
            rows.append({"what": what, "target": most, "unit": unit.strip()})
    return rows


def text(rows):
    """The closing table as lines."""
    lines = [("target", "at most", "measured", "")]
    for row in rows:
        unit = row["unit"] if row["unit"] == "x" else " " + row["unit"]
        measured = f"{row['measured']:.2f}{unit}" if "measured" in row else "-"
        lines.append((row["what"], f"{row['target']:g}{unit}", measured,
                      {True: "reached", False: "NOT reached", None: "left out"}[row.get("reached")]))
    wide = [max(len(line[i]) for line in lines) for i in range(4)]
    for what, most, measured, reached in lines:
        yield f"{what.ljust(wide[0])}  {most.rjust(wide[1])}  {measured.rjust(wide[2])}  {reached}".rstrip()


def heading(machine):
    kind = "virtual" if machine["virtual"] else "physical"
    return (f"{machine['cpus']} {kind} CPUs of {machine['cpu']}, {machine['memory_bytes'] / 2**30:.0f} GiB, "
            f"Linux {machine['kernel']}, {machine['libc']}, load {machine['load_1min']:.1f}")
