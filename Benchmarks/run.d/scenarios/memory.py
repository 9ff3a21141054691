"""The resident memory of cdcd, all pages counted: at rest, for transactions of any size, and over any number of
changes."""

import time

import curves
from contenders.cdcd import CDCD
from drain_report import MEBIBYTE, PEAK_LIMIT_MIB
from meter import peak_resident_bytes, resident_bytes
from report import table
from scenarios.drain import clear
from scenarios.scenario import Picture, Report, Scenario, Target, tell
from workloads import TABLE, Workload, make_table

REST_SECONDS = 3
FIRST_CHANGES = 10_000
CHANGES = [10_000, 100_000, 1_000_000, 10_000_000]
QUICK_CHANGES = [10_000, 100_000]
ROWS_EACH = 100
TRANSACTIONS = [10_000, 1_000_000]
QUICK_TRANSACTIONS = [10_000, 100_000]
IDLE_LIMIT_MIB = 32
# What has to be flat may grow by so much from the smallest to the largest: the history of the last invalidations, 1 MiB, has
# to be filled, and pages of code that a small run does not reach have to be read. And by so much from one million on.
GROWTH_MIB, LATE_GROWTH_MIB = 4, 1
# The longest that /wait waits is a minute.
WAIT_SECONDS, WAITS = 60, 15


class Memory(Scenario):
    name = "memory"
    title = "Memory"
    explanation = (
        "VmRSS and VmHWM of cdcd's process, MiB: at rest; after so many changes in transactions of 100 rows, which one"
        " process takes one after the other, and at rest behind them; and the peak of a fresh process for one transaction"
        " of so many rows, made while it streams."
    )

    def measure(self, place, options):
        changes = QUICK_CHANGES if options.quick else CHANGES
        transactions = QUICK_TRANSACTIONS if options.quick else TRANSACTIONS
        rows = transactions[-1]
        contender = prepared(place, rows)
        rest = measure_rest(contender)
        runs, rest["worked"] = measure_changes(contender, changes, rows)
        return {
            "rest": rest,
            "changes": runs,
            "transactions": [measure_transaction(contender, size) for size in transactions],
        }

    def report(self, results, conditions):
        return Report(
            tables=[memory_table(results)],
            pictures=[picture(results, conditions)],
            targets=list(targets(results)),
        )


def prepared(place, rows):
    """cdcd, set up for a table of so many rows, with nothing to catch up with."""
    clear(place.servers)
    make_table(place.servers, rows)
    contender = CDCD(place)
    contender.set_up()
    contender.settle()
    return contender


def measure_rest(contender):
    """Before any change, and when some have been made."""
    with Running(contender) as running:
        time.sleep(REST_SECONDS)
        before = running.resident_bytes()
        running.change(FIRST_CHANGES, ROWS_EACH)
        time.sleep(REST_SECONDS)
        after = running.resident_bytes()
    tell(f"at rest {before / MEBIBYTE:.1f} MiB, after {FIRST_CHANGES} changes {after / MEBIBYTE:.1f} MiB")
    return {"before_bytes": before, "after_bytes": after, "changes": FIRST_CHANGES}


def measure_changes(contender, counts, rows):
    """The runs, and what is left of them at rest."""
    runs = []
    with Running(contender) as running:
        made = 0
        for count in counts:
            while made < count:
                part = min(rows, count - made)
                running.change(part, ROWS_EACH)
                made += part
            run = {"changes": made, "resident_bytes": running.resident_bytes(), "peak_bytes": running.peak_bytes()}
            tell(f"{made} changes: {run['resident_bytes'] / MEBIBYTE:.1f} MiB, peak {run['peak_bytes'] / MEBIBYTE:.1f}")
            runs.append(run)
        time.sleep(REST_SECONDS)
        worked = {"changes": made, "resident_bytes": running.resident_bytes()}
    tell(f"at rest after {made} changes: {worked['resident_bytes'] / MEBIBYTE:.1f} MiB")
    return runs, worked


def measure_transaction(contender, rows):
    with Running(contender) as running:
        running.change(rows, rows)
        peak = running.peak_bytes()
    tell(f"one transaction of {rows} rows: peak {peak / MEBIBYTE:.1f} MiB")
    return {"rows": rows, "peak_bytes": peak}


class Running:
    """A process of cdcd while the block lasts; what it did is verified."""

    def __init__(self, contender):
        self._contender = contender
        self._servers = contender.place.servers
        self._changes = 0

    def __enter__(self):
        self._process = self._contender.daemon.start()
        self._contender.daemon.wait_ready()
        return self

    def change(self, rows, rows_each):
        """Updates so many rows, and waits until cdcd has settled them."""
        self._servers.sql(
            f"""
            DO $$ BEGIN
              FOR first_row IN 1 .. {rows} BY {rows_each} LOOP
                UPDATE {TABLE} SET balance = balance + 1 WHERE id >= first_row AND id < first_row + {rows_each};
                COMMIT;
              END LOOP;
            END $$
            """
        )
        self._changes += rows
        self._contender.daemon.wait_settled(self._servers.position(), WAIT_SECONDS, WAITS)

    def resident_bytes(self):
        return resident_bytes(self._process.pid)

    def peak_bytes(self):
        return peak_resident_bytes(self._process.pid)

    def __exit__(self, kind, *_):
        try:
            if kind is None:
                self._contender.verify(Workload("memory", self._changes, 1))
        finally:
            self._contender.daemon.stop()


# What is said of it.


def mebibytes(value):
    return f"{value / MEBIBYTE:.1f}"


def memory_table(results):
    rest = results["rest"]
    rows = [
        ["at rest", mebibytes(rest["before_bytes"]), "-"],
        [f"at rest, after {rest['changes']:,} changes", mebibytes(rest["after_bytes"]), "-"],
    ]
    worked = rest["worked"]
    rows.append([f"at rest, after {worked['changes']:,} changes", mebibytes(worked["resident_bytes"]), "-"])
    for run in results["changes"]:
        rows.append([f"{run['changes']:,} changes", mebibytes(run["resident_bytes"]), mebibytes(run["peak_bytes"])])
    for run in results["transactions"]:
        rows.append([f"one transaction of {run['rows']:,} rows", "-", mebibytes(run["peak_bytes"])])
    return table(["MiB", "resident", "peak"], rows)


def targets(results):
    """A quick run has too few changes to meet those that ask for many."""
    rest, changes, transactions = results["rest"], results["changes"], results["transactions"]
    yield Target("resident memory at rest", rest["after_bytes"] / MEBIBYTE, IDLE_LIMIT_MIB, "MiB")
    worked = rest["worked"]["resident_bytes"] / MEBIBYTE if rest["worked"]["changes"] == CHANGES[-1] else None
    yield Target(f"resident memory at rest, after {CHANGES[-1]:,} changes", worked, IDLE_LIMIT_MIB, "MiB")
    largest = peaks(transactions, "rows").get(TRANSACTIONS[-1])
    yield Target(f"peak for one transaction of {TRANSACTIONS[-1]:,} rows", largest, PEAK_LIMIT_MIB, "MiB")
    for subject, of_one, first, last, limit in (
        ("changes", peaks(changes, "changes"), CHANGES[0], CHANGES[-1], GROWTH_MIB),
        ("changes", peaks(changes, "changes"), CHANGES[-2], CHANGES[-1], LATE_GROWTH_MIB),
        ("rows in one transaction", peaks(transactions, "rows"), TRANSACTIONS[0], TRANSACTIONS[-1], GROWTH_MIB),
    ):
        growth = of_one[last] - of_one[first] if {first, last} <= of_one.keys() else None
        yield Target(f"peak for {last:,} {subject}, beyond that for {first:,}", growth, limit, "MiB")


def peaks(runs, field):
    """In MiB, by how many changes or rows."""
    return {run[field]: run["peak_bytes"] / MEBIBYTE for run in runs}


def picture(results, conditions):
    changes = [(run["changes"], run["peak_bytes"] / MEBIBYTE) for run in results["changes"]]
    transactions = [(run["rows"], run["peak_bytes"] / MEBIBYTE) for run in results["transactions"]]
    resident = [(run["changes"], run["resident_bytes"] / MEBIBYTE) for run in results["changes"]]
    panels = []
    for title, x_title, drawn in (
        ("Changes, 100 a transaction", "changes, logarithmic", [("peak", changes), ("resident", resident)]),
        ("One transaction", "rows, logarithmic", [("peak", transactions)]),
    ):
        x = curves.Logarithmic([x for _, points in drawn for x, _ in points], "{:,.0f}")
        limit = [(10.0**x.first, PEAK_LIMIT_MIB), (10.0**x.last, PEAK_LIMIT_MIB)]
        drawn = [curves.Curve(title, points, is_own=True) for title, points in drawn]
        panels.append(curves.Panel(title, x_title, "MiB", x, curves.Linear([PEAK_LIMIT_MIB]), drawn, limit))
    svg = curves.draw("Memory", "Resident memory of cdcd, all pages counted.", panels, conditions)
    return Picture("memory", "Resident and peak memory over the number of changes and the size of a transaction", svg)
