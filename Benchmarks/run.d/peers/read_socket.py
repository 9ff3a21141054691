"""Reads a replication stream from the bare socket and does nothing with it, until the marker has come: the limit of
the walsender. Usage: read_socket.py POSTGRES SLOT PUBLICATION --pause SECONDS --receive-buffer BYTES"""

import argparse
import socket
import struct
import sys
import time
from pathlib import Path

import psycopg2.extensions

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from workloads import MARKER_NAME  # noqa: E402

MARKER = MARKER_NAME.encode()
BUFFER_BYTES = 4 << 20
# The marker is in the last transaction, so it is among the last bytes that have come when the stream falls silent; its row
# may be as wide as any.
TAIL_BYTES = 64 << 10
STATUS_SECONDS = 1


def connect(parameters, receive_buffer):
    if parameters["host"].startswith("/"):
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(f"{parameters['host']}/.s.PGSQL.{parameters['port']}")
    else:
        connection = socket.create_connection((parameters["host"], int(parameters["port"])))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if receive_buffer:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    return connection


def read_exactly(connection, count):
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        if not part:
            sys.exit("the server closed the connection")
        data += part
    return data


def wait_for(connection, kind):
    """Reads messages up to the first one of this kind."""
    while True:
        header = read_exactly(connection, 5)
        body = read_exactly(connection, struct.unpack(">I", header[1:])[0] - 4)
        if header[:1] == b"E":
            sys.exit(body.decode(errors="replace"))
        if header[:1] == kind:
            return


def start_replication(connection, parameters, slot, publication):
    words = ["user", parameters["user"], "database", parameters["dbname"], "replication", "database", ""]
    body = struct.pack(">I", 196608) + b"\0".join(word.encode() for word in words) + b"\0"
    connection.sendall(struct.pack(">I", len(body) + 4) + body)
    wait_for(connection, b"Z")
    query = (
        f'START_REPLICATION SLOT "{slot}" LOGICAL 0/0'
        f" (proto_version '1', publication_names '{publication}', messages 'true')\0"
    ).encode()
    connection.sendall(b"Q" + struct.pack(">I", len(query) + 4) + query)
    wait_for(connection, b"W")


def send_status(connection):
    """Confirms nothing, and keeps the walsender from giving up on us."""
    connection.sendall(b"d" + struct.pack(">IcQQQQB", 4 + 34, b"r", 0, 0, 0, 0, 0))


def read_to_the_marker(connection, pause, window):
    """A reading that fills at least half of the `window`, if there is one, is followed by another one without a pause."""
    buffer = bytearray(BUFFER_BYTES)
    view = memoryview(buffer)
    # The end of what came before stays in front of what comes next: the marker may come in two parts.
    kept = len(MARKER)
    status_due = time.monotonic() + STATUS_SECONDS
    while True:
        count = connection.recv_into(view[kept:])
        if not count:
            sys.exit("the server closed the connection")
        end = kept + count
        if buffer.find(MARKER, max(0, end - TAIL_BYTES), end) >= 0:
            return
        buffer[:kept] = buffer[end - kept : end]
        if time.monotonic() > status_due:
            send_status(connection)
            status_due += STATUS_SECONDS
        if pause and not (window and count > window / 2):
            time.sleep(pause)


def main():
    parser = argparse.ArgumentParser()
    for name in ("postgres", "slot", "publication"):
        parser.add_argument(name)
    parser.add_argument("--pause", type=float, default=0)
    parser.add_argument("--receive-buffer", type=int, default=0)
    arguments = parser.parse_args()
    parameters = psycopg2.extensions.parse_dsn(arguments.postgres)
    connection = connect(parameters, arguments.receive_buffer)
    start_replication(connection, parameters, arguments.slot, arguments.publication)
    read_to_the_marker(connection, arguments.pause, arguments.receive_buffer)


if __name__ == "__main__":
    main()
