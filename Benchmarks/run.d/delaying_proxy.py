"""A proxy before Redis that makes the way longer and not narrower: what it reads it passes on half a round trip later,
in both directions, however much is on the way. Usage: delaying_proxy.py REDIS_HOST REDIS_PORT ROUND_TRIP_MS; prints the
port on which it listens."""

import queue
import socket
import sys
import threading
import time

READ_BYTES = 1 << 18
# Shorter than this nothing is slept, since waking takes as long.
SHORTEST_NS = 20_000


def main():
    host, port, round_trip_ms = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    while True:
        client, _ = listener.accept()
        server = socket.create_connection((host, port))
        for source, target in ((client, server), (server, client)):
            source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            way = queue.SimpleQueue()
            threading.Thread(target=take, args=(source, way, round(round_trip_ms * 500_000)), daemon=True).start()
            threading.Thread(target=give, args=(way, target), daemon=True).start()


def take(source, way, delay_ns):
    while True:
        try:
            data = source.recv(READ_BYTES)
        except OSError:
            data = b""
        way.put((time.monotonic_ns() + delay_ns, data))
        if not data:
            return


def give(way, target):
    while True:
        due, data = way.get()
        wait = due - time.monotonic_ns()
        if wait > SHORTEST_NS:
            time.sleep(wait * 1e-9)
        try:
            target.sendall(data) if data else target.shutdown(socket.SHUT_WR)
        except OSError:
            return
        if not data:
            return


main()
