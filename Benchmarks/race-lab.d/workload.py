"""The load, the same for every remedy: readers and writers are processes of their own, each with its own seeded
sequences of rows, think times, rollbacks, crashes and pauses. None of them depends on what the remedy does."""

import ctypes
import itertools
import json
import os
import random
import signal
import struct
import time
from array import array
from collections import namedtuple

from application import Application, RolledBack, version_of
from judge import BYPASS

# What one write did: latency without the injected pauses (ns), Redis commands sent since the last record.
WRITE_RECORD = struct.Struct("=qq")
HIT_FIELDS = 3  # asked_at, item, version

Plan = namedtuple("Plan", "bypasses rolls_back crashes items payload work_seconds")

ROLLBACK_SHARE = 0.05
CRASH_SHARE = 0.005
BYPASS_SHARE = 0.01
BYPASS_ROWS = 4
PAYLOAD_BYTES = 200
# What a transaction does between its UPDATE and its COMMIT.
MEAN_WORK_SECONDS = 0.002
# Few rows are hot: the n-th most popular one is asked for, and written, in proportion to n^-0.8.
POPULARITY_EXPONENT = 0.8


def obey_the_lab():
    """A child process ends with the lab, whatever happens to it, and leaves Ctrl-C to the lab."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Popularity:
    """Draws rows 1 to `rows`, the hot ones more often."""

    def __init__(self, rows):
        self._rows = range(1, rows + 1)
        self._weights = list(itertools.accumulate(row**-POPULARITY_EXPONENT for row in self._rows))

    def draw(self, generator):
        return generator.choices(self._rows, cum_weights=self._weights)[0]


class Pace:
    """Think times: exponential, so that a process comes `rate` times a second on average."""

    def __init__(self, generator, rate):
        self._random = generator
        self._rate = rate

    def think(self):
        time.sleep(self._random.expovariate(self._rate))


def plan_writes(generator, popularity):
    while True:
        bypasses = generator.random() < BYPASS_SHARE
        rolls_back = generator.random() < ROLLBACK_SHARE
        crashes = generator.random() < CRASH_SHARE
        items = sorted({popularity.draw(generator) for _ in range(BYPASS_ROWS)})
        work_seconds = generator.expovariate(1 / MEAN_WORK_SECONDS)
        payload = f"{generator.getrandbits(PAYLOAD_BYTES * 4):0{PAYLOAD_BYTES}x}"
        yield Plan(bypasses, rolls_back, crashes, items if bypasses else items[:1], payload, work_seconds)


def write_past_the_cache(application, plan):
    """A batch job, or somebody with psql: knows nothing of the cache."""
    connection = application.database
    connection.autocommit = False
    with connection.cursor() as cursor:
        versions = []
        for item in plan.items:
            cursor.execute(
                "UPDATE items SET version = version + 1, payload = %s WHERE id = %s RETURNING id, version",
                (plan.payload, item),
            )
            versions.append(cursor.fetchone())
        if plan.rolls_back:
            connection.rollback()
        else:
            connection.commit()
            application.log_commits(versions, BYPASS)


def run_writer(settings, remedy, index, incarnation, barrier, stop, folder):
    """Writes until `stop`. Logs every commit and every write at once: this process may die at any of them."""
    obey_the_lab()
    seed = f"{settings.seed} writer {index} {incarnation}"
    append = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    commits = os.open(f"{folder}/commits-{index}", append)
    writes = os.open(f"{folder}/writes-{index}", append)
    application = Application(settings, seed, commits)
    pace = Pace(random.Random(f"{seed} pace"), settings.writes_per_second / settings.writers)
    plans = plan_writes(random.Random(f"{seed} plans"), Popularity(settings.rows))
    if barrier is not None:
        barrier.wait()
    told = 0
    while not stop.is_set():
        pace.think()
        plan = next(plans)
        if plan.bypasses:
            write_past_the_cache(application, plan)
            continue
        application.follow(plan)
        started, paused = time.monotonic(), application.pauses.total
        try:
            remedy.write(application, plan.items[0])
        except RolledBack:
            continue
        seconds = time.monotonic() - started - (application.pauses.total - paused)
        sent = application.redis.commands
        os.write(writes, WRITE_RECORD.pack(int(seconds * 1e9), sent - told))
        told = sent
    remedy.finish(application)
    os.write(writes, WRITE_RECORD.pack(-1, application.redis.commands - told))


def run_reader(settings, remedy, index, barrier, stop, folder):
    """Reads until `stop`, then leaves its hits and its sums in files."""
    obey_the_lab()
    seed = f"{settings.seed} reader {index}"
    application = Application(settings, seed)
    pace = Pace(random.Random(f"{seed} pace"), settings.reads_per_second / settings.readers)
    popularity = Popularity(settings.rows)
    items = random.Random(f"{seed} items")
    hits = array("q")
    latencies = array("q")
    barrier.wait()
    while not stop.is_set():
        pace.think()
        item = popularity.draw(items)
        selects = application.selects
        started, paused = time.monotonic(), application.pauses.total
        value = remedy.read(application, item)
        seconds = time.monotonic() - started - (application.pauses.total - paused)
        latencies.append(int(seconds * 1e9))
        if application.selects == selects:
            hits.extend((application.asked_at, item, version_of(value)))
    with open(f"{folder}/hits-{index}", "wb") as file:
        hits.tofile(file)
    with open(f"{folder}/latencies-{index}", "wb") as file:
        latencies.tofile(file)
    with open(f"{folder}/reader-{index}.json", "w") as file:
        json.dump({"reads": len(latencies), "selects": application.selects}, file)
