"""The PostgreSQL and the Redis that Benchmarks/run has started, and how to reach them."""

import os
from dataclasses import dataclass

import psycopg2
import redis

from failure import wait_until

TCP, UNIX = "tcp", "unix"


@dataclass(frozen=True)
class Addresses:
    """How a contender reaches both servers: over TCP on loopback, or over their Unix sockets."""

    postgres: str
    redis: str


class Servers:
    def __init__(self, environment=os.environ):
        self._addresses = {
            TCP: Addresses(environment["BENCHMARK_POSTGRES"], environment["BENCHMARK_REDIS"]),
            UNIX: Addresses(environment["BENCHMARK_POSTGRES_SOCKET"], environment["BENCHMARK_REDIS_SOCKET"]),
        }
        self.postgres_bin = environment["BENCHMARK_POSTGRES_BIN"]
        self.postgres_pid = int(environment["BENCHMARK_POSTGRES_PID"])
        self.redis_pid = int(environment["BENCHMARK_REDIS_PID"])
        # The harness's own connections.
        self.redis = redis.Redis.from_url(environment["BENCHMARK_REDIS_SOCKET"])
        self._database = psycopg2.connect(environment["BENCHMARK_POSTGRES_SOCKET"])
        self._database.autocommit = True

    def addresses(self, transport=TCP):
        return self._addresses[transport]

    def sql(self, text, *arguments):
        """Runs a statement by itself; returns its rows."""
        with self._database.cursor() as cursor:
            cursor.execute(text, arguments or None)
            return cursor.fetchall() if cursor.description else []

    def value(self, text, *arguments):
        """The only column of the only row."""
        ((value,),) = self.sql(text, *arguments)
        return value

    def position(self):
        """Where the WAL ends: everything that has been committed is before it."""
        return self.value("SELECT pg_current_wal_insert_lsn()::text")

    def versions(self):
        postgres = self.value("SHOW server_version").split()[0]
        return f"PostgreSQL {postgres}, Redis {self.redis.info('server')['redis_version']}"

    # Slots

    def slot_process(self, slot):
        """The pid of the backend that has the slot; None while nobody has."""
        rows = self.sql("SELECT active_pid FROM pg_replication_slots WHERE slot_name = %s", slot)
        return rows[0][0] if rows else None

    def copy_slot(self, base, name, plugin):
        """A slot at the position of `base`, in place of the one that had the name."""
        self.drop_slot(name)
        self.sql("SELECT pg_copy_logical_replication_slot(%s, %s, false, %s)", base, name, plugin)

    def drop_slot(self, name):
        wait_until(lambda: self.slot_process(name) is None, f"slot {name} is free")
        self.sql("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %s", name)

    def drop_all_slots(self):
        for (name,) in self.sql("SELECT slot_name FROM pg_replication_slots"):
            self.drop_slot(name)
