"""One run of one contender over one backlog: the time, and what it cost."""

import os
import time
from dataclasses import dataclass, replace

from failure import BenchmarkFailure, wait_until
from meter import Bystanders, Meter
from workloads import MARKER_ROW, cached_rows, fill_cache, key_of

# How often the harness looks, and so how exact the times are.
TICK_SECONDS = 0.005
TICKS_PER_LOOK = 20
LONGEST_SECONDS = 240
# A run beside which others used more of a core than this is repeated.
TOLERATED_SHARE = 0.08
# In less than this the share cannot be told.
SHORTEST_SECONDS = 0.5
ATTEMPTS = 3


@dataclass
class Run:
    contender: str
    workload: str
    rows: int
    # From the start of the stream to the end of all work; and from the start of the process to that of the stream.
    seconds: float
    start_up_seconds: float
    # To the delete of the last key; the rest is cdcd's, until its watermark covers it.
    keys_gone_seconds: float
    # This, and what follows, while it streamed.
    consumer_cpu_seconds: float
    # The walsender, and whatever other backends the contender uses.
    backend_cpu_seconds: float
    redis_cpu_seconds: float
    # The harness's own, for looking.
    harness_cpu_seconds: float
    # Resident, of the consumer since it began.
    peak_bytes: int
    voluntary_switches: int
    involuntary_switches: int
    # How much of a core anybody else used.
    bystanders: float
    # How many runs were made to get this one.
    attempts: int = 1

    @property
    def is_disturbed(self):
        return self.seconds > SHORTEST_SECONDS and self.bystanders > TOLERATED_SHARE


def measure_undisturbed(place, contender, workload, backlog, before=lambda: None, attempts=ATTEMPTS):
    """The first run that nobody disturbed, or else the one of `attempts` that was disturbed least. `before` is called
    before each."""
    runs = []
    for _ in range(attempts):
        try:
            before()
            runs.append(measure(place, contender, workload, backlog))
        finally:
            contender.stop()
        if not runs[-1].is_disturbed:
            break
    return replace(min(runs, key=lambda run: run.bystanders), attempts=len(runs))


def measure(place, contender, workload, backlog):
    servers = place.servers
    servers.redis.flushall()
    if contender.deletes_keys:
        fill_cache(servers, workload.rows)
    contender.restore()
    started = time.monotonic()
    process = contender.start(backlog)
    if contender.backlog == "slot":
        wait_for_stream(servers, contender)
    streaming = time.monotonic()
    meters = Meters(servers, process)
    wait_for_the_end(servers, contender, backlog, meters)
    keys_gone = time.monotonic()
    contender.finish(backlog)
    ended = time.monotonic()
    meters.look()
    share = meters.bystanders.share()
    if contender.deletes_keys and (left := cached_rows(servers)):
        raise BenchmarkFailure(f"{contender.name} left {left} of {workload.rows + 1} keys of {workload.name}")
    contender.verify(workload)
    return Run(
        contender=contender.name,
        workload=workload.name,
        rows=workload.rows,
        seconds=ended - streaming,
        start_up_seconds=streaming - started,
        keys_gone_seconds=keys_gone - streaming,
        consumer_cpu_seconds=meters.consumer.cpu_seconds,
        backend_cpu_seconds=sum(meter.cpu_seconds for meter in meters.backends.values()),
        redis_cpu_seconds=meters.redis.cpu_seconds,
        harness_cpu_seconds=meters.harness.cpu_seconds,
        peak_bytes=meters.consumer.peak_bytes,
        voluntary_switches=meters.consumer.switches[0],
        involuntary_switches=meters.consumer.switches[1],
        bystanders=share,
    )


class Meters:
    """Of all processes that have a part in a run, from now on."""

    BACKENDS = """
        SELECT pid FROM pg_stat_activity
        WHERE backend_type IN ('client backend', 'walsender') AND pid <> pg_backend_pid()
    """

    def __init__(self, servers, process):
        self._servers = servers
        self.bystanders = Bystanders([servers.postgres_pid, servers.redis_pid])
        self.consumer, self.redis, self.harness = Meter(process.pid), Meter(servers.redis_pid), Meter(os.getpid())
        self.backends = {pid: Meter(pid) for (pid,) in servers.sql(self.BACKENDS)}

    def sample(self):
        """What may end at any time."""
        self.consumer.sample()
        for meter in self.backends.values():
            meter.sample()

    def look(self):
        """At everything."""
        for (pid,) in self._servers.sql(self.BACKENDS):
            if pid not in self.backends:
                self.backends[pid] = Meter(pid, since_birth=True)
        for meter in (self.consumer, self.redis, self.harness, *self.backends.values()):
            meter.sample_all()


def wait_for_stream(servers, contender):
    """Returns when the contender's slot has been taken."""

    def is_streaming():
        # With few changes it may all be over between two looks.
        return contender.exit_status() == 0 or servers.slot_process(contender.slot)

    wait_until(is_streaming, f"{contender.name} streams", 60, pause=0.001)


def wait_for_the_end(servers, contender, backlog, meters):
    marker = key_of(MARKER_ROW)
    deadline = time.monotonic() + LONGEST_SECONDS
    tick = 0
    while not (contender.has_ended(backlog) and not (contender.deletes_keys and servers.redis.exists(marker))):
        if time.monotonic() > deadline:
            raise BenchmarkFailure(f"{contender.name} did not end within {LONGEST_SECONDS} s")
        time.sleep(TICK_SECONDS)
        tick += 1
        if tick % TICKS_PER_LOOK:
            meters.sample()
        else:
            meters.look()
