"""Tells when keys are gone, the same way for every contender and without asking Redis anything: Redis publishes each
DEL and UNLINK of a key that was there (its keyspace events of class `g`) to one subscriber, and this one takes the time
of every read from its socket. Keys that were not there, as most leases, publish nothing."""

import os
import re
import select
import socket
import time
from array import array
from urllib.parse import urlparse

from commit_writers import keep_time, processes
from failure import BenchmarkFailure
from workloads import TABLE

CHANNEL = b"__keyevent@0__:del"
EVENT = re.compile(CHANNEL + rb"\r\n\$\d+\r\n" + TABLE.encode() + rb":(\d+)\r\n")
READ_BYTES = 1 << 16


class DeletionListener:
    """A process that listens from its making on."""

    def __init__(self, servers, addresses):
        servers.redis.config_set("notify-keyspace-events", "Eg")
        self._redis = servers.redis
        self._receiver, sender = processes.Pipe(duplex=False)
        self._expected = processes.Value("q", -1, lock=False)
        self._end = processes.Event()
        ready = processes.Event()
        arguments = (addresses.redis, ready, self._expected, sender, self._end)
        self._process = processes.Process(target=listen, args=arguments, daemon=True)
        self._process.start()
        sender.close()
        if not ready.wait(10):
            raise BenchmarkFailure("the listener did not subscribe within 10 s")

    def deleted_at(self, count, seconds):
        """Row -> CLOCK_MONOTONIC nanoseconds of its key's last delete, once so many were seen; a BenchmarkFailure when
        they do not come in time."""
        self._expected.value = count
        if not self._receiver.poll(seconds):
            self._expected.value = 0
            rows, _ = self._receiver.recv()
            raise BenchmarkFailure(f"{len(rows)} of {count} keys were gone {seconds} s after the last commit")
        return dict(zip(*self._receiver.recv()))

    def close(self):
        self._end.set()
        self._process.join(5)
        self._process.kill()
        self._redis.config_set("notify-keyspace-events", "")


def listen(url, ready, expected, sender, end):
    keep_time()
    parts = urlparse(url)
    connection = socket.create_connection((parts.hostname, parts.port))
    connection.sendall(b"SUBSCRIBE " + CHANNEL + b"\r\n")
    connection.recv(READ_BYTES)
    ready.set()
    reads, times = [], array("q")
    names = NamesOfChannel()
    now = time.monotonic_ns
    while True:
        if select.select((connection,), (), (), 0.05)[0]:
            reads.append(connection.recv(READ_BYTES))
            times.append(now())
            names.read(reads[-1])
        elif 0 <= expected.value <= names.seen:
            break
    sender.send(events(reads, times))
    end.wait()
    os._exit(0)


class NamesOfChannel:
    """Counts them, which is quicker than to parse events."""

    def __init__(self):
        self.seen = 0
        # What may be the beginning of one.
        self._rest = b""

    def read(self, read):
        text = self._rest + read
        self.seen += text.count(CHANNEL)
        self._rest = text[1 - len(CHANNEL) :]


def events(reads, times):
    """The rows, and for each the time of the read that brought its event's last byte."""
    rows, stamps = array("q"), array("q")
    ends = iter(zip(reads, times))
    read_end, stamp = 0, 0
    for event in EVENT.finditer(b"".join(reads)):
        while event.end() > read_end:
            read, stamp = next(ends)
            read_end += len(read)
        rows.append(int(event[1]))
        stamps.append(stamp)
    return rows, stamps
