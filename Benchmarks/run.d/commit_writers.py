"""Writers that commit on a fixed schedule, whatever becomes of the deletes: an open loop. One that falls behind its
schedule commits as fast as it can until it has caught up, and says how late it was; it never waits for a consumer."""

import gc
import multiprocessing
import os
import socket
import time
from array import array
from dataclasses import dataclass
from urllib.parse import urlparse

import psycopg2

from children import libc, obey_the_harness
from failure import BenchmarkFailure
from workloads import TABLE, key_of

processes = multiprocessing.get_context("fork")

# Between the order to start and the first commit, so that every writer is at its mark.
HEAD_START_NS = 300_000_000
LONGEST_SECONDS = 300
PR_SET_TIMERSLACK = 29


@dataclass
class Commits:
    """CLOCK_MONOTONIC nanoseconds of each commit, in the order of the schedule; the first one changed row 1."""

    due: array
    began: array
    returned: array
    # When Redis had answered the writer's own DEL; equal to `returned` where it sends none.
    answered: array
    writers_cpu_seconds: float

    def per_second(self):
        """As achieved."""
        return (len(self.returned) - 1) / self.seconds()

    def seconds(self):
        """From the first return to the last."""
        return (max(self.returned) - min(self.returned)) / 1e9

    def lateness(self):
        """How long after its time each commit began, ascending."""
        return sorted(began - due for began, due in zip(self.began, self.due))


def keep_time():
    """For child processes that take the time: they wake within a microsecond, and the garbage collector holds up
    nothing."""
    obey_the_harness()
    libc.prctl(PR_SET_TIMERSLACK, 1)
    gc.disable()


class CommitWriters:
    """So many processes with a connection each, which commit in turn. They keep their connections until `close`."""

    def __init__(self, addresses, writers, per_second, commits, deletes_keys=False):
        """`deletes_keys`: whether a writer itself deletes the row's key, as soon as its commit has returned."""
        self._count = commits
        self._start_at = processes.Value("q", 0, lock=False)
        self._ready = processes.Semaphore(0)
        self._end = processes.Event()
        self._children = []
        for index in range(writers):
            receiver, sender = processes.Pipe(duplex=False)
            plan = range(index, commits, writers)
            arguments = (self, addresses, per_second, plan, deletes_keys, sender)
            process = processes.Process(target=write, args=arguments, daemon=True)
            process.start()
            sender.close()
            self._children.append((process, receiver, plan))
        for _ in self._children:
            if not self._ready.acquire(timeout=30):
                raise BenchmarkFailure("a writer was not ready within 30 s")

    def write(self):
        """Starts them all, and returns the Commits when the last one has returned."""
        self._start_at.value = time.monotonic_ns() + HEAD_START_NS
        columns = [array("q", bytes(8 * self._count)) for _ in range(4)]
        cpu_seconds = 0.0
        for _, receiver, plan in self._children:
            if not receiver.poll(LONGEST_SECONDS):
                raise BenchmarkFailure(f"a writer was not through within {LONGEST_SECONDS} s")
            stamps, seconds = receiver.recv()
            cpu_seconds += seconds
            for column, written in zip(columns, stamps):
                column[plan.start :: plan.step] = written
        return Commits(*columns, cpu_seconds)

    def close(self):
        self._end.set()
        for process, _, _ in self._children:
            process.join(5)
            process.kill()

    # What the processes use.

    def wait_for_the_start(self):
        self._ready.release()
        while self._start_at.value == 0:
            time.sleep(0.001)
        return self._start_at.value

    def wait_for_the_end(self):
        self._end.wait()


def write(writers, addresses, per_second, plan, deletes_keys, sender):
    """The work of one writer: the commits of `plan`, which are numbers in the schedule of all."""
    keep_time()
    connection = psycopg2.connect(addresses.postgres)
    connection.autocommit = True
    execute = connection.cursor().execute
    execute(f"PREPARE change (bigint) AS UPDATE {TABLE} SET balance = balance + 1 WHERE id = $1")
    cache = Cache(addresses.redis) if deletes_keys else None
    statements = [f"EXECUTE change ({number + 1})" for number in plan]
    deletes = [delete_command(number + 1) for number in plan]
    due, began, returned, answered = (array("q", bytes(8 * len(plan))) for _ in range(4))
    first = writers.wait_for_the_start()
    now = time.monotonic_ns
    for index, number in enumerate(plan):
        due[index] = first + number * 1_000_000_000 // per_second
        if (early := due[index] - now()) > 0:
            time.sleep(early * 1e-9)
        began[index] = now()
        execute(statements[index])
        returned[index] = answered[index] = now()
        if cache:
            cache.call(deletes[index])
            answered[index] = now()
    sender.send(((due, began, returned, answered), time.process_time()))
    writers.wait_for_the_end()
    os._exit(0)


class Cache:
    """The least that a client of Redis can be, so that the floor is a floor."""

    def __init__(self, url):
        parts = urlparse(url)
        self._socket = socket.create_connection((parts.hostname, parts.port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def call(self, command):
        """For short answers."""
        self._socket.sendall(command)
        return self._socket.recv(64)


def delete_command(row):
    key = key_of(row)
    return f"*2\r\n$3\r\nDEL\r\n${len(key)}\r\n{key}\r\n".encode()
