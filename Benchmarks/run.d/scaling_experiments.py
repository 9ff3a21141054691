"""What the scaling scenario varies, one thing at a time: each experiment is a backlog, or a few, and the contenders
that drain it."""

import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlparse

import children
from contenders.bare_readers import GulpingReader, NarrowReader
from contenders.ruled_cdcd import RuledCDCD
from workloads import TABLE, W2, Workload, make_table, write

PROXY = Path(__file__).resolve().parent / "delaying_proxy.py"
ROWS_EACH = W2.rows_each


def workload_of(changes):
    return Workload(W2.name, changes // ROWS_EACH, ROWS_EACH)


@dataclass
class Backlog:
    """`contenders`: (x, contender) of all that drain it."""

    changes: int
    contenders: list
    prepare: object = make_table
    write: object = write

    @property
    def workload(self):
        return workload_of(self.changes)


@dataclass
class Experiment:
    """One thing that is varied. `values`, and those of a quick run, which leaves out what has none; `changes`
    likewise."""

    name: str
    title: str
    x_title: str
    values: list
    quick_values: list
    changes: int = 200_000
    quick_changes: int = 20_000
    is_logarithmic: bool = True

    def backlogs(self, place, is_quick):
        """A generator, whose backlogs are to be used one at a time."""
        values = self.quick_values if is_quick else self.values
        if values:
            yield from self.make(place, values, self.quick_changes if is_quick else self.changes)

    def make(self, place, values, changes):
        raise NotImplementedError


class Changes(Experiment):
    def make(self, place, values, changes):
        for value in values:
            yield Backlog(value, [(value, RuledCDCD(place, "cdcd")), (value, NarrowReader(place))])


class Tables(Experiment):
    """A rule for each of so many tables; transaction after transaction is of the next one. Their rows have numbers of
    their own, so that all have the keys of `users`."""

    def make(self, place, values, changes):
        for value in values:
            rules = "".join(f'  - table: public.{table}\n    keys: ["users:{{id}}"]\n' for table in names(value))
            contenders = [(value, RuledCDCD(place, "cdcd", rules)), (value, NarrowReader(place))]
            yield Backlog(
                changes,
                contenders,
                prepare=lambda servers, rows, tables=value: make_tables(servers, rows, tables),
                write=lambda servers, workload, tables=value: write_tables(servers, workload, tables),
            )


def names(tables):
    return [TABLE, *(f"{TABLE}_{number}" for number in range(1, tables))]


def make_tables(servers, rows, tables):
    each = rows // tables
    make_table(servers, each)
    for number, table in enumerate(names(tables)):
        if number:
            first = number * each + 1
            servers.sql(f"DROP TABLE IF EXISTS {table}")
            servers.sql(f"CREATE TABLE {table} (LIKE {TABLE} INCLUDING ALL) WITH (fillfactor = 45)")
            servers.sql(
                f"INSERT INTO {table} SELECT id + %s, name, email, balance, created_at FROM {TABLE} WHERE id > 0",
                first - 1,
            )
    if tables > 1:
        servers.sql("VACUUM ANALYZE")
        servers.sql("CHECKPOINT")


def write_tables(servers, workload, tables):
    if tables == 1:
        return write(servers, workload)
    each = workload.rows // tables
    quoted = ", ".join(f"'{table}'" for table in names(tables))
    servers.sql("SET synchronous_commit = off")
    servers.sql(
        f"""
        DO $$
        DECLARE
          names text[] := ARRAY[{quoted}];
        BEGIN
          FOR first_row IN 1 .. {each} BY {workload.rows_each} LOOP
            FOR number IN 0 .. {tables - 1} LOOP
              EXECUTE format('UPDATE %s SET balance = balance + 1 WHERE id >= %s AND id < %s', names[number + 1],
                number * {each} + first_row, number * {each} + first_row + {workload.rows_each});
              COMMIT;
            END LOOP;
          END LOOP;
        END $$
        """
    )
    # The marker is as everybody's.
    return write(servers, Workload(workload.name, 0, workload.rows_each))


class Rules(Experiment):
    """So many rules on one table, of which one matches; the others' `where` never does."""

    def make(self, place, values, changes):
        contenders = [(value, RuledCDCD(place, f"cdcd-rules-{value}", rules_of(value))) for value in values]
        yield Backlog(changes, contenders, prepare=make_table_with_full_rows)


def rules_of(count):
    rules = f'  - table: public.{TABLE}\n    keys: ["users:{{id}}"]\n'
    for number in range(1, count):
        rules += (
            f"  - name: other-{number}\n    table: public.{TABLE}\n"
            f'    where: {{name: [nobody {number}]}}\n    keys: ["other-{number}:{{id}}"]\n'
        )
    return rules


def make_table_with_full_rows(servers, rows):
    """A `where` needs the old row's columns."""
    make_table(servers, rows)
    servers.sql(f"ALTER TABLE {TABLE} REPLICA IDENTITY FULL")


class Keys(Experiment):
    """One rule with so many keys, all of them present."""

    def make(self, place, values, changes):
        contenders = []
        for value in values:
            prefixes = [f"page-{number}:" for number in range(1, value)]
            keys = ", ".join(f'"{prefix}{{id}}"' for prefix in ["users:", *prefixes])
            rules = f"  - table: public.{TABLE}\n    keys: [{keys}]\n"
            contenders.append((value, RuledCDCD(place, f"cdcd-keys-{value}", rules, prefixes, changes)))
        yield Backlog(changes, contenders)


class Width(Experiment):
    """Rows with so many bytes more, which are in the row itself and in every change. The reader has the kernel's window: a
    narrow one is full with a few of such rows."""

    def make(self, place, values, changes):
        for value in values:
            contenders = [(value, RuledCDCD(place, "cdcd")), (value, GulpingReader(place))]
            yield Backlog(
                changes, contenders, prepare=lambda servers, rows, width=value: make_wide(servers, rows, width)
            )


def make_wide(servers, rows, width):
    make_table(servers, rows)
    servers.sql(f"ALTER TABLE {TABLE} ADD COLUMN padding text NOT NULL DEFAULT repeat('x', %s)", width)
    servers.sql(f"ALTER TABLE {TABLE} ALTER COLUMN padding SET STORAGE PLAIN")


class RoundTrip(Experiment):
    """Redis behind a proxy that makes the way longer by so many ms there and back; -1 is without a proxy."""

    def make(self, place, values, changes):
        with delaying_proxies(place, values) as urls:
            contenders = [(-1, RuledCDCD(place, "cdcd-direct"))]
            contenders += [
                (value, RuledCDCD(place, f"cdcd-behind-{value}", redis_url=url)) for value, url in urls.items()
            ]
            yield Backlog(changes, contenders)


@contextmanager
def delaying_proxies(place, round_trips_ms):
    """Round trip -> the URL of Redis behind it."""
    redis = urlparse(place.addresses.redis)
    processes, urls = [], {}
    try:
        for round_trip in round_trips_ms:
            command = [place.python, PROXY, redis.hostname, redis.port, round_trip]
            processes.append(children.start(command, place.folder / "proxy.log", stdout=subprocess.PIPE))
            urls[round_trip] = f"redis://127.0.0.1:{int(processes[-1].stdout.readline())}/0"
        yield urls
    finally:
        for process in processes:
            children.stop(process)


CHANGES = Changes(
    "changes", "Number of changes", "changes, logarithmic",
    [10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000], [],
)
TABLES = Tables("tables", "Tables, a rule each", "tables, logarithmic", [1, 10, 100, 1000], [1, 100])
RULES = Rules("rules", "Rules on one table, one matches", "rules, logarithmic", [1, 2, 5, 10, 20, 50], [1, 20])
KEYS = Keys("keys", "Keys a change", "keys", [1, 2, 5, 10, 20], [1, 10], is_logarithmic=False)
WIDTH = Width(
    "width", "Width of a row", "bytes more, logarithmic", [10, 100, 500, 1000, 2000, 6000], [],
    changes=100_000,
)
ROUND_TRIP = RoundTrip(
    "round-trip", "Round trip to Redis", "ms added", [0, 1, 2, 5, 10, 20], [], is_logarithmic=False
)
EXPERIMENTS = [CHANGES, TABLES, RULES, KEYS, WIDTH, ROUND_TRIP]
