"""From the start of the process to a stream, where the slot has no backlog."""

import socket
import time
from statistics import median
from urllib.parse import urlparse

from contenders.cdcd import CDCD, CDCDNotify, CDCDWal2json
from failure import BenchmarkFailure, wait_until
from report import number, table
from scenarios.drain import clear
from scenarios.scenario import Report, Runs, Scenario, Target, tell
from workloads import make_table

STARTS, QUICK_STARTS = 20, 5
LOOK_SECONDS = 0.001
LONGEST_SECONDS = 10
LIMIT_MS = 200
READY = b"HTTP/1.1 200"


class StartUp(Scenario):
    name = "start-up"
    title = "Start-up"
    explanation = (
        "cdcd is started again where it has nothing to catch up with; milliseconds from the start of the process until"
        " HTTP answers, and until `/readyz` does with 200: the stream has begun, Redis is connected, its watermark is"
        " intact. Looked at every millisecond."
    )

    def measure(self, place, options):
        starts = options.runs or (QUICK_STARTS if options.quick else STARTS)
        runs, outcome = {}, Runs()
        for mode in modes(options):
            if of_one := outcome.attempt(lambda: list(measure(place, mode, starts)), mode.name):
                runs[mode.title] = of_one
        return {"runs": runs, "errors": outcome.errors}

    def report(self, results, conditions):
        rows = []
        for title, runs in results["runs"].items():
            answered, ready = ([run[field] for run in runs] for field in ("http_ms", "ready_ms"))
            rows.append([title, len(runs), *map(number, (median(answered), median(ready), max(ready)))])
        return Report(
            tables=[table(["", "starts", "HTTP answers", "streaming, median", "slowest"], rows)],
            targets=[
                Target(f"start to stream, {title}, slowest", max(run["ready_ms"] for run in runs), LIMIT_MS, "ms")
                for title, runs in results["runs"].items()
            ],
            errors=results["errors"],
        )


def modes(options):
    return [mode for mode in (CDCD, CDCDWal2json, CDCDNotify) if options.wants(mode)]


def measure(place, mode, starts):
    clear(place.servers)
    make_table(place.servers, 1)
    contender = mode(place)
    contender.set_up()
    contender.settle()
    address = urlparse(contender.daemon.url)
    for _ in range(starts):
        try:
            run = start(contender, (address.hostname, address.port))
        finally:
            contender.daemon.stop()
        tell(f"{contender.name:16} HTTP {run['http_ms']:6.1f} ms, streaming {run['ready_ms']:6.1f} ms")
        yield run


def start(contender, address):
    started = time.monotonic()
    process = contender.daemon.start()
    answered = None

    def is_ready():
        nonlocal answered
        if process.poll() is not None:
            raise BenchmarkFailure(f"{contender.name} has ended")
        answer = ask(address)
        if answer and answered is None:
            answered = time.monotonic()
        return answer.startswith(READY)

    wait_until(is_ready, f"{contender.name} streams", LONGEST_SECONDS, pause=LOOK_SECONDS)
    ready = time.monotonic()
    return {"http_ms": 1000 * (answered - started), "ready_ms": 1000 * (ready - started)}


def ask(address):
    """The beginning of the answer to GET /readyz; nothing while nobody listens. Lighter than urllib, which would take
    its part of the CPU that cdcd starts with."""
    try:
        with socket.create_connection(address, LONGEST_SECONDS) as connection:
            connection.sendall(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return connection.recv(4096)
    except OSError:
        return b""
