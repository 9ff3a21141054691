"""What the scripts for both output plugins have in common: the loop, and the deletes."""

import os
import select
import socket
import time

import redis

AT_ONCE = 4000
CONFIRM_SECONDS = 1
NARROW_WINDOW_BYTES = 80 * 1024


class Invalidation:
    """Gathers keys and deletes them together: in a pipeline with a command for each, or all in one command."""

    def __init__(self, redis_url, at_once=AT_ONCE, in_one_command=False):
        self._redis = redis.Redis.from_url(redis_url)
        self._at_once = at_once
        self._in_one_command = in_one_command
        self._keys = []

    def add(self, ids):
        """Whether there are enough of them now."""
        for row in ids:
            self._keys.append(b"users:" + row)
        return len(self._keys) >= self._at_once

    def send(self):
        """Returns when Redis has deleted all that was added."""
        if not self._keys:
            return
        if self._in_one_command:
            self._redis.unlink(*self._keys)
        else:
            pipeline = self._redis.pipeline(transaction=False)
            for key in self._keys:
                pipeline.unlink(key)
            pipeline.execute()
        self._keys.clear()


def narrow_window(connection):
    """So that it is closed while the reader lingers, and the server's kernel puts together what the walsender sends."""
    with socket.socket(fileno=os.dup(connection.fileno())) as same:
        same.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, NARROW_WINDOW_BYTES)


def in_gulps(kind, connection):
    """Prepares the connection, and returns how long to linger, in seconds."""
    if kind == "narrow":
        narrow_window(connection)
    return {None: 0, "gulps": 0.001, "narrow": 0.012}[kind]


def follow(cursor, ids, invalidation, linger_seconds=0):
    """Reads as long as there is something to read, so that a pipeline's time is used to gather the next one; waits
    only when everything is deleted, and confirms nothing that is not. With `linger_seconds` it waits for more before it
    sends what it has, so that the walsender, which wakes it for each message, may send many at once."""
    received = confirmed = 0
    has_lingered = False
    confirm_at = time.monotonic() + CONFIRM_SECONDS
    while True:
        message = cursor.read_message()
        if message is not None:
            received = message.data_start
            if not invalidation.add(ids(message.payload)):
                continue
        elif linger_seconds and not has_lingered:
            time.sleep(linger_seconds)
            has_lingered = True
            continue
        invalidation.send()
        has_lingered = False
        if received > confirmed and time.monotonic() > confirm_at:
            cursor.send_feedback(flush_lsn=received, force=True)
            confirmed, confirm_at = received, time.monotonic() + CONFIRM_SECONDS
        if message is None:
            select.select([cursor], [], [], CONFIRM_SECONDS)
