"""The resident memory of cdcd, all pages counted: at rest, for transactions of any size, and over any number of
changes."""

import time

import curves
from contenders.cdcd import CDCD
from meter import peak_resident_bytes, resident_bytes
from report import number, table
from scenarios.drain import clear
from scenarios.scenario import Picture, Report, Scenario, Target, tell
from workloads import TABLE, Workload, make_table

MEBIBYTE = 1 << 20
REST_SECONDS = 3
FIRST_CHANGES = 10_000
CHANGES = [10_000, 100_000, 1_000_000, 10_000_000]
QUICK_CHANGES = [10_000, 100_000]
ROWS_EACH = 100
TRANSACTIONS = [10_000, 1_000_000]
QUICK_TRANSACTIONS = [10_000, 100_000]
IDLE_LIMIT_MIB, PEAK_LIMIT_MIB = 32, 48
# Between the smallest and the largest of what has to be flat.
APART_MIB = 8
# The longest that /wait waits is a minute.
WAIT_SECONDS, WAITS = 60, 15


class Memory(Scenario):
    name = "memory"
    title = "Memory"
    explanation = (
        "VmRSS and VmHWM of cdcd's process, MiB: at rest; after so many changes in transactions of 100 rows, which one"
        " process takes one after the other; and the peak of a fresh process for one transaction of so many rows, made"
        " while it streams."
    )

    def measure(self, place, options):
        changes = QUICK_CHANGES if options.quick else CHANGES
        transactions = QUICK_TRANSACTIONS if options.quick else TRANSACTIONS
        rows = transactions[-1]
        contender = prepared(place, rows)
        return {
            "rest": measure_rest(contender),
            "changes": list(measure_changes(contender, changes, rows)),
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
    with Running(contender) as running:
        made = 0
        for count in counts:
            while made < count:
                part = min(rows, count - made)
                running.change(part, ROWS_EACH)
                made += part
            run = {"changes": made, "resident_bytes": running.resident_bytes(), "peak_bytes": running.peak_bytes()}
            tell(f"{made} changes: {run['resident_bytes'] / MEBIBYTE:.1f} MiB, peak {run['peak_bytes'] / MEBIBYTE:.1f}")
            yield run


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
    for run in results["changes"]:
        rows.append([f"{run['changes']:,} changes", mebibytes(run["resident_bytes"]), mebibytes(run["peak_bytes"])])
    for run in results["transactions"]:
        rows.append([f"one transaction of {run['rows']:,} rows", "-", mebibytes(run["peak_bytes"])])
    return table(["MiB", "resident", "peak"], rows)


def targets(results):
    yield Target("resident memory at rest", results["rest"]["after_bytes"] / MEBIBYTE, IDLE_LIMIT_MIB, "MiB")
    largest = results["transactions"][-1]
    what = f"peak for one transaction of {largest['rows']:,} rows"
    yield Target(what, largest["peak_bytes"] / MEBIBYTE, PEAK_LIMIT_MIB, "MiB")
    for kind, field in (("changes", "changes"), ("transactions", "rows")):
        first, last = results[kind][0], results[kind][-1]
        apart = abs(last["peak_bytes"] - first["peak_bytes"]) / MEBIBYTE
        subject = "changes" if kind == "changes" else "rows in one transaction"
        what = f"peak for {last[field]:,} {subject}, beyond that for {number(first[field])}"
        yield Target(what, apart, APART_MIB, "MiB")


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
