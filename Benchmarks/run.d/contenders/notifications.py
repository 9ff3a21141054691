"""LISTEN/NOTIFY with a trigger and no outbox: what is missed is missed."""

import contextlib
import os
import signal
import subprocess

import children
from contenders.contender import PEERS, Contender
from failure import BenchmarkFailure
from workloads import TABLE, W1

# Fires for each row; PostgreSQL drops equal payloads within a transaction by itself.
TRIGGER = f"""
CREATE OR REPLACE FUNCTION notify_change() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN PERFORM pg_notify('{TABLE}', NEW.id::text); RETURN NULL; END $$;
CREATE TRIGGER notify_change AFTER UPDATE ON {TABLE} FOR EACH ROW EXECUTE FUNCTION notify_change();
"""


class ListenPipelined(Contender):
    """Its backlog is in the server's queue of notifications. Its backend is stopped while the backlog is made: it would
    otherwise have read the queue, and sent most of it, before the time begins."""

    name = "listen-pipelined"
    title = "LISTEN/NOTIFY, pipelined"
    tuning = (
        "peers/invalidate_from_notifications.py: a trigger notifies of each row, psycopg2 takes all notifications that"
        " have arrived, redis-py deletes up to 4,000 keys at once. The backlog is in PostgreSQL's queue, and its"
        " backend begins to read that when the time begins."
    )
    backlog = "notifications"
    plugin = None
    workloads = [W1.name]
    at_once = 4000

    def __init__(self, place):
        super().__init__(place)
        self._backend = None

    def listen(self):
        """Starts the script; returns when it listens, and its backend takes nothing off the queue."""
        addresses = self.place.addresses
        command = [self.place.python, PEERS / "invalidate_from_notifications.py"]
        command += [addresses.postgres, addresses.redis, TABLE, self.at_once]
        self.process = children.start(command, self.log, stdout=subprocess.PIPE)
        word, _, pid = self.process.stdout.readline().decode().partition(" ")
        if word != "listening":
            raise BenchmarkFailure(f"{self.name} does not listen:\n{children.last_lines(self.log)}")
        self._backend = int(pid)
        os.kill(self._backend, signal.SIGSTOP)

    def start(self, backlog):
        os.kill(self._backend, signal.SIGCONT)
        return self.process

    def stop(self):
        if self._backend:
            # It would never end otherwise.
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._backend, signal.SIGCONT)
            self._backend = None
        super().stop()


class ListenOneByOne(ListenPipelined):
    name = "listen-one-by-one"
    title = "LISTEN/NOTIFY, one DEL an event"
    tuning = "The same with a DEL for each notification, as most examples show it."
    at_once = 1
