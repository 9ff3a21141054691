"""The changes that every contender gets: a table of 5 columns, updates of one of them, a key `users:{id}` for each
row."""

from dataclasses import dataclass

TABLE = "users"
# The last change of a backlog is one of this row, and its new name is in no other row. Deletes leave in commit order:
# when the key of this row is gone, those of all others are.
MARKER_ROW = 0
MARKER_NAME = "the end of the backlog"
VALUE_BYTES = 100


def key_of(row):
    return f"{TABLE}:{row}"


@dataclass(frozen=True)
class Workload:
    name: str
    transactions: int
    rows_each: int

    @property
    def rows(self):
        return self.transactions * self.rows_each

    @property
    def title(self):
        if self.transactions == 1:
            return f"{self.rows:,} rows in one transaction"
        if self.rows_each == 1:
            return f"{self.rows:,} one-row transactions"
        return f"{self.rows:,} rows, {self.rows_each} a transaction"


W1 = Workload("W1", 300_000, 1)
W2 = Workload("W2", 10_000, 100)
W3 = Workload("W3", 1, 1_000_000)
WORKLOADS = [W1, W2, W3]


def scaled(workload, scale):
    """The same with fewer changes."""
    if workload.transactions == 1:
        return Workload(workload.name, 1, max(1, round(workload.rows_each * scale)))
    return Workload(workload.name, max(1, round(workload.transactions * scale)), workload.rows_each)


def make_table(servers, rows, trigger=""):
    """A fresh table with rows 0 to `rows`, vacuumed and checkpointed: its pages have room for two versions of each row,
    as those of a table that lives with updates. `trigger`: SQL that runs once the rows are there."""
    servers.sql(f"DROP TABLE IF EXISTS {TABLE}")
    servers.sql(
        f"CREATE TABLE {TABLE} (id bigint PRIMARY KEY, name text NOT NULL, email text NOT NULL,"
        " balance integer NOT NULL, created_at timestamptz NOT NULL) WITH (fillfactor = 45)"
    )
    servers.sql(
        f"INSERT INTO {TABLE} SELECT id, 'user ' || id, 'user' || id || '@example.org', 0, '2026-01-01 12:00+00'"
        " FROM generate_series(0, %s) AS id",
        rows,
    )
    if trigger:
        servers.sql(trigger)
    servers.sql(f"VACUUM ANALYZE {TABLE}")
    servers.sql("CHECKPOINT")


def write(servers, workload):
    """Makes the changes of a workload, each row once, and the marker in a transaction of its own. Returns the WAL
    positions before the marker and behind it."""
    # Asynchronous commits are quicker to make, and the same to decode.
    servers.sql("SET synchronous_commit = off")
    servers.sql(f"""
        DO $$ BEGIN
          FOR first_row IN 1 .. {workload.rows} BY {workload.rows_each} LOOP
            UPDATE {TABLE} SET balance = balance + 1
              WHERE id >= first_row AND id < first_row + {workload.rows_each};
            COMMIT;
          END LOOP;
        END $$
        """)
    before_marker = servers.position()
    servers.sql("RESET synchronous_commit")
    servers.sql(f"UPDATE {TABLE} SET name = %s WHERE id = %s", MARKER_NAME, MARKER_ROW)
    return before_marker, servers.position()


FILL = """
for row = tonumber(ARGV[1]), tonumber(ARGV[2]) do
  redis.call('SET', ARGV[3] .. string.format('%d', row), ARGV[4])
end
"""
FILL_AT_ONCE = 10_000


def fill_cache(servers, rows):
    """Every row from the marker to `rows` is cached."""
    fill_keys(servers, f"{TABLE}:", rows)


def fill_keys(servers, prefix, rows):
    """A key of this prefix for every row from the marker to `rows`."""
    fill = servers.redis.register_script(FILL)
    for first in range(0, rows + 1, FILL_AT_ONCE):
        last = min(first + FILL_AT_ONCE - 1, rows)
        fill(args=[first, last, prefix, "x" * VALUE_BYTES])


def cached_rows(servers):
    """How many keys of rows are left, in a Redis that has no others but cdcd's own."""
    # A SCAN may name a key more than once.
    own = set(servers.redis.scan_iter("cdcd:*", count=10_000))
    return servers.redis.dbsize() - len(own)
