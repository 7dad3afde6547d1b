# SPDX-License-Identifier: Apache-2.0
"""
Ways in turns, and what is said of them: medians, quartiles, and ratios within one round.

Absolute figures move from machine to machine, and on a busy one from second to second. So the ways alternate,
and what is compared is the ratio of two visits of the same round.
"""

import statistics


class Missing(Exception):
    """Why a way cannot be measured here."""


def quartiles(values):
    """(a quarter below, the median, a quarter above)"""
    if len(values) < 2:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


class Found:
    """For each way its visits, a dict of figures each; or why it was left out."""

    def __init__(self):
        self.visits = {}
        self.left_out = {}

    def values(self, way, figure):
        return [visit[figure] for visit in self.visits.get(way, []) if figure in visit]


def alternate(ways, rounds, once):
    """Visit every way once a round, every other round backwards. once(way) gives figures or raises Missing."""
    found = Found()
    for turn in range(rounds):
        for way in ways if turn % 2 == 0 else reversed(ways):
            if way.name in found.left_out:
                continue
            try:
                found.visits.setdefault(way.name, []).append(once(way))
            except Missing as reason:
                found.left_out[way.name] = str(reason)
                found.visits.pop(way.name, None)
    return found


def table(name, title, unit, found, figure, base, beside=()):
    """
    One figure of all ways. @base: the way that ratios refer to, or a function from a way's name to it;
    @beside: other figures whose medians stand in the row.
    """
    base_of = base if callable(base) else lambda way: base
    rows = []
    for way in found.visits:
        values = found.values(way, figure)
        if not values:
            continue
        low, middle, high = quartiles(values)
        row = {"way": way, "median": middle, "low": low, "high": high}
        other = base_of(way)
        if other and other != way and found.values(other, figure):
            ratios = [a / b for a, b in zip(values, found.values(other, figure))]
            row["ratio_low"], row["ratio"], row["ratio_high"] = quartiles(ratios)
            row["ratio_to"] = other
        for more in beside:
            if found.values(way, more):
                row[more] = statistics.median(found.values(way, more))
        rows.append(row)
    return {"table": name, "title": title, "unit": unit, "rows": rows, "left_out": dict(found.left_out)}


def number(value):
    return f"{value:,.3f}" if abs(value) < 10 else f"{value:,.1f}" if abs(value) < 1000 else f"{value:,.0f}"


def cells(row, more):
    """A row's columns by their headings; what it does not have is empty."""
    shown = {"": row["way"], "median": number(row["median"])}
    if row["low"] != row["high"]:
        shown["quartiles"] = f"{number(row['low'])} - {number(row['high'])}"
    if "ratio" in row:
        shown["ratio"] = f"{row['ratio']:.2f}x"
        shown["to"] = row["ratio_to"]
        if row["ratio_low"] != row["ratio_high"]:
            shown["its quartiles"] = f"{row['ratio_low']:.2f} - {row['ratio_high']:.2f}"
    return shown | {key: number(row[key]) for key in more if key in row}


def text(found):
    """A table as lines, without the columns that nothing stands in."""
    more = sorted({key for row in found["rows"] for key in row
                   if key not in ("way", "median", "low", "high") and not key.startswith("ratio")})
    rows = [cells(row, more) for row in found["rows"]]
    heads = [head for head in ("", "median", "quartiles", "ratio", "its quartiles", "to", *more)
             if any(head in row for row in rows)]
    wide = {head: max(len(text) for text in (head, *(row.get(head, "") for row in rows))) for head in heads}
    yield f"{found['title']} ({found['unit']})"
    for row in ({head: head for head in heads}, *rows):
        yield "  " + "  ".join(row.get(head, "").ljust(wide[head]) if head in ("", "to")
                               else row.get(head, "").rjust(wide[head]) for head in heads).rstrip()
    for way, reason in found["left_out"].items():
        yield f"  left out: {way}: {reason}"
