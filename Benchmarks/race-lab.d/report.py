"""The results in words and numbers: the terminal's table, the README's table, and the lines below them."""

import math
import textwrap

from judge import CAUSES


def two_digits(number):
    """Two digits that count, never in scientific notation: 45, 3.0, 0.0034."""
    return f"{number:.{max(0, 1 - math.floor(math.log10(number)))}f}"


def percent(part, whole):
    """As "0.042 %"; an exact zero is "0"."""
    return f"{two_digits(100 * part / whole)} %" if part else "0"


def seconds(value):
    if not value:
        return "0"
    return f"{value:.1f} s" if value >= 1 else f"{value * 1000:.0f} ms"


def by_cause(counts):
    """As "12: 2 crash, 10 bypass"."""
    parts = [f"{count} {cause}" for cause, count in counts.items() if count]
    return ": ".join([str(sum(counts.values())), ", ".join(parts)]) if parts else "0"


def cpu(measures):
    return "-" if measures.consumer_cpu_percent is None else f"{measures.consumer_cpu_percent:.1f} %"


# Heading, what it says, cell.
COLUMNS = [
    ("remedy", None, lambda m: m.title),
    ("stale hits", "hits that were stale, of all hits", lambda m: percent(m.stale_hits, m.hits)),
    ("stuck", "hits stale for more than 1 s, of all hits", lambda m: percent(m.stuck_hits, m.hits)),
    (
        "wrong at rest",
        "cached keys that differ from the database at rest, by cause",
        lambda m: by_cause(m.wrong_by_cause),
    ),
    (
        "longest",
        "longest staleness seen; what is wrong at rest goes on until its TTL",
        lambda m: seconds(m.longest_stale_seconds),
    ),
    ("hit ratio", "reads answered by the cache", lambda m: f"{100 * m.hit_ratio:.1f} %"),
    ("SELECTs", "database queries per 100 reads", lambda m: f"{100 * m.selects_per_read:.1f}"),
    ("reads/s", "as achieved by readers that think in between", lambda m: f"{m.reads_per_second:.0f}"),
    ("read p99", "ms, without the injected pauses", lambda m: f"{m.read_p99_ms:.1f}"),
    ("write p50 / p99", "ms, without the injected pauses", lambda m: f"{m.write_p50_ms:.1f} / {m.write_p99_ms:.1f}"),
    (
        "Redis/commit",
        "commands by writers and consumer per committed transaction",
        lambda m: f"{m.redis_commands_per_commit:.1f}",
    ),
    ("CPU", "of one core, by consumer or daemon and the backend that feeds it", cpu),
]

# A page is narrower than a terminal, and readers that think in between differ little in these.
LEFT_OUT_OF_README = {"reads/s", "read p99"}

HIT = (
    "A hit is a read answered by the cache. It is stale when the commit of a newer version had returned before the "
    "reader sent its GET. At rest: the writers have stopped, the remedy has done all that it will do, and the "
    "readers have gone on for longer than their longest pause."
)


def terminal_table(results):
    rows = [[heading for heading, _, _ in COLUMNS]] + [[cell(m) for _, _, cell in COLUMNS] for m in results]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
        lines.append("  ".join(cells))
    lines.insert(1, "-" * len(lines[0]))
    return "\n".join(lines)


def explanation(results):
    """What the table's columns and causes mean."""
    lines = textwrap.wrap(HIT, 110)
    lines += [f"  {heading:16} {meaning}" for heading, meaning, _ in COLUMNS if meaning]
    causes = [cause for cause in CAUSES if any(m.wrong_by_cause[cause] for m in results)]
    lines += [f"  {cause:16} {CAUSES[cause]}" for cause in causes]
    return "\n".join(lines)


def markdown_table(results):
    columns = [column for column in COLUMNS if column[0] not in LEFT_OUT_OF_README]
    lines = [[heading for heading, _, _ in columns], ["---"] + ["---:"] * (len(columns) - 1)]
    lines += [[cell(m) for _, _, cell in columns] for m in results]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def conditions(run):
    """One line: when, where, with what."""
    line = (
        f"{run['date']}, {run['machine']}; {run['servers']}; {run['seconds']:.0f} s of load for each remedy, "
        f"{run['readers']} readers, {run['writers']} writers, {run['rows']} rows, seed {run['seed']}"
    )
    return f"{line}; beside other work on {run['cpu_taken_by_others']:.0%} of the CPU" if is_busy(run) else line


def is_busy(run):
    return run["cpu_taken_by_others"] > 0.2
