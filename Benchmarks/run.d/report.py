"""Results in words and numbers: tables in Markdown, which are aligned, so that a terminal shows them as well."""

import math


def number(value, digits=3):
    """With as many digits that count, never in scientific notation: 12.3, 0.0451, 1,234."""
    if value == 0:
        return "0"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:,.{decimals}f}"


def table(headings, rows):
    """A Markdown table; the first column is text, the others are numbers."""
    cells = [list(map(str, row)) for row in (headings, *rows)]
    widths = [max(3, *(len(row[column]) for row in cells)) for column in range(len(headings))]

    def line(row):
        numbers = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:]))
        return "| " + " | ".join([row[0].ljust(widths[0]), *numbers]) + " |"

    rule = "| " + " | ".join(["-" * widths[0]] + ["-" * (width - 1) + ":" for width in widths[1:]]) + " |"
    return "\n".join([line(cells[0]), rule, *map(line, cells[1:])])


def targets_table(targets):
    """Each target, what was measured, and whether it is met."""
    words = {True: "met", False: "**missed**", None: "not measured"}
    rows = []
    for target in targets:
        limit = f"{'≥' if target.at_least else '≤'} {number(target.limit)} {target.unit}"
        value = "-" if target.value is None else f"{number(target.value)} {target.unit}"
        doubt = ", disturbed" if target.is_doubtful and target.is_met is not None else ""
        rows.append([target.what, limit, value, words[target.is_met] + doubt])
    return table(["target", "limit", "measured", ""], rows)


def conditions(run):
    """One line: when, where, with what."""
    cdcd = " ".join(filter(None, ["cdcd", run["cdcd"], run["commit"]]))
    return "; ".join([run["date"], run["machine"], run["servers"], cdcd, f"`{run['command']}`"])
