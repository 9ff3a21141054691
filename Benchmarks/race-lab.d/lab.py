"""One remedy at a time on real servers: fills table and cache, starts what the remedy needs, runs the load, lets
everything settle, and takes the measures."""

import multiprocessing
import random
import tempfile
import time
from dataclasses import dataclass

import psycopg2
import redis

import logs
from application import CRASH_EXIT_CODE, Pauses, key_of, version_of
from companions import CDCD, CPUMeter, probe_settled, run_consumer
from judge import CommitLog, ImpossibleHistory
from measures import NANOSECONDS, Course, measure
from waiting import LabFailure, holds_within, join, wait_until
from workload import run_reader, run_writer

# The connection on which a consumer hears of changes is cut this often, as by a network, a failover, an update.
CUT_EVERY_SECONDS = 8
SETTLE_SECONDS = 20
# A row that only the lab itself changes, to see that a consumer has caught up.
MARKER = 0

processes = multiprocessing.get_context("fork")


@dataclass
class Settings:
    postgres_url: str
    redis_url: str
    # Path of the binary.
    cdcd: str
    seconds: float
    readers: int
    writers: int
    # Of all readers and of all writers together, when nothing slows them.
    reads_per_second: float
    writes_per_second: float
    rows: int
    seed: int
    # How many times the usual pauses of application.Pauses.
    pauses: float = 1


def start(function, *arguments):
    process = processes.Process(target=function, args=arguments, daemon=True)
    process.start()
    return process


class Lab:
    """Its public part is what the remedies may use."""

    CONSUMER = "race-lab-consumer"

    def __init__(self, settings):
        self.settings = settings
        self._database = psycopg2.connect(settings.postgres_url)
        self._database.autocommit = True
        self._redis = redis.Redis.from_url(settings.redis_url)
        self._folder = None
        self._consumer = None
        self._cdcd = None

    def sql(self, text, *arguments):
        with self._database.cursor() as cursor:
            cursor.execute(text, arguments or None)
            return cursor.fetchall() if cursor.description else []

    def redis_version(self):
        return self._redis.info("server")["redis_version"]

    def drop_slot(self, name):
        active = "SELECT 1 FROM pg_replication_slots WHERE slot_name = %s AND active"
        wait_until(lambda: not self.sql(active, name), f"slot {name} is free")
        self.sql("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %s", name)

    def start_consumer(self, remedy):
        """Runs the remedy's `consume` in a process; returns when it hears of changes."""
        ready = processes.Event()
        self._consumer = start(run_consumer, remedy, self, ready)
        if not ready.wait(SETTLE_SECONDS):
            raise LabFailure(f"the consumer of {remedy.name} did not start")

    def wait_for_consumer(self):
        """Changes a row until the consumer has deleted its key: what came before it is then deleted as well."""

        def is_deleted():
            self._redis.set(key_of(MARKER), "marker")
            self.sql("UPDATE items SET version = version + 1 WHERE id = %s", MARKER)
            return holds_within(lambda: not self._redis.exists(key_of(MARKER)), 1)

        wait_until(is_deleted, "the consumer has caught up", SETTLE_SECONDS)

    def start_cdcd(self, leases, rule):
        self._cdcd = CDCD(self.settings, self._folder, leases, rule)

    def wait_for_cdcd(self):
        ((position,),) = self.sql("SELECT pg_current_wal_insert_lsn()")
        self._cdcd.wait_settled(position, SETTLE_SECONDS)

    def measure(self, remedy):
        """The whole course of one remedy."""
        with tempfile.TemporaryDirectory(prefix="remedy-") as self._folder:
            self._fill_table()
            remedy.prepare(self)
            try:
                remedy.start(self)
                self._fill_cache(remedy)
                course = self._run(remedy)
            finally:
                self._stop_companions()
                self._redis.flushall()
                remedy.clean_up(self)
            return self._judge(remedy, course)

    def _fill_table(self):
        self.sql(
            """
            DROP TABLE IF EXISTS items;
            CREATE TABLE items (id bigint PRIMARY KEY, version bigint NOT NULL, payload text NOT NULL)
              WITH (fillfactor = 50);
            INSERT INTO items SELECT id, 1, repeat('0', 200) FROM generate_series(0, %s) AS id
            """,
            self.settings.rows,
        )
        self.sql("VACUUM ANALYZE items")
        self.sql("CHECKPOINT")

    def _fill_cache(self, remedy):
        """Every row is cached when the load begins; the lifetimes left are spread, as they are after a while."""
        generator = random.Random(f"{self.settings.seed} lifetimes")
        pipeline = self._redis.pipeline(transaction=False)
        for item, payload in self.sql("SELECT id, payload FROM items WHERE id <> %s ORDER BY id", MARKER):
            lifetime = int(generator.uniform(0.05, 1) * remedy.ttl_seconds * 1000)
            pipeline.set(key_of(item), f"1:{payload}", px=lifetime)
        pipeline.execute()
        self._redis.config_resetstat()

    def _run(self, remedy):
        settings, folder = self.settings, self._folder
        stop_writing, stop_reading = processes.Event(), processes.Event()
        barrier = processes.Barrier(settings.readers + settings.writers + 1)
        readers = [
            start(run_reader, settings, remedy, index, barrier, stop_reading, folder)
            for index in range(settings.readers)
        ]
        writers = Writers(settings, remedy, barrier, stop_writing, folder)
        probes = []
        if self._cdcd:
            probes.append(start(probe_settled, settings, self._cdcd.url, stop_reading, folder))
        barrier.wait(30)

        started_at = time.monotonic_ns()
        cuts, cpu_seconds = self._watch(writers)
        load_ended_at = time.monotonic_ns()
        stop_writing.set()
        writers.join()
        before_settling = time.monotonic_ns()
        remedy.settle(self)
        settled_at = time.monotonic_ns()
        statistics = self._redis.info("commandstats")
        # A fill that was paused when the last delete came may still arrive; only then is it rest.
        time.sleep(Pauses.LONGEST_SECONDS + 0.5)
        stop_reading.set()
        join(readers, "reader", (0,))
        reading_ended_at = time.monotonic_ns()
        join(probes, "probe", (0,))
        return Course(
            started_at=started_at,
            load_ended_at=load_ended_at,
            settled_at=settled_at,
            reading_ended_at=reading_ended_at,
            settle_seconds=(settled_at - before_settling) / NANOSECONDS,
            crashes=writers.crashes,
            connections_cut=cuts,
            consumer_cpu_seconds=cpu_seconds,
            consumer_commands=sum(
                statistics.get(f"cmdstat_{name}", {}).get("calls", 0) for name in remedy.consumer_commands
            ),
            cached=self._cached(),
            has_watermark=self._cdcd is not None,
        )

    def _watch(self, writers):
        """Until the load's time is up: replaces writers that died, and cuts the consumer's connection now and then.
        Returns how often it did, and the CPU time of the consumer and what feeds it."""
        consumer = self._cdcd or self._consumer
        started, cuts = time.monotonic(), 0
        meter = CPUMeter(self._fed(consumer))
        while (elapsed := time.monotonic() - started) < self.settings.seconds:
            time.sleep(0.01)
            writers.replace_the_dead()
            if consumer and elapsed > CUT_EVERY_SECONDS * (cuts + 1):
                meter.sample(self._fed(consumer))
                self.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {self._FEEDS}", self.CONSUMER)
                cuts += 1
        meter.sample(self._fed(consumer))
        return cuts, meter.seconds if consumer else None

    _FEEDS = "backend_type = 'walsender' OR application_name = %s"

    def _fed(self, consumer):
        """The pids of the consumer and of the backends that tell it of changes."""
        if not consumer:
            return []
        backends = self.sql(f"SELECT pid FROM pg_stat_activity WHERE {self._FEEDS}", self.CONSUMER)
        return [consumer.pid, *(pid for (pid,) in backends)]

    def _cached(self):
        items = range(1, self.settings.rows + 1)
        values = self._redis.mget([key_of(item) for item in items])
        return {item: version_of(value) for item, value in zip(items, values) if value is not None}

    def _judge(self, remedy, course):
        commits = logs.commits(self._folder)
        log = CommitLog(commits)
        for item, version in self.sql("SELECT id, version FROM items WHERE id <> %s", MARKER):
            if version != log.newest(item):
                raise ImpossibleHistory(f"row {item} has version {version}, but its log ends at {log.newest(item)}")
        return measure(remedy, log, commits, self._folder, course)

    def _stop_companions(self):
        if self._consumer:
            self._consumer.terminate()
            self._consumer.join()
        if self._cdcd:
            self._cdcd.stop()
        self._consumer = self._cdcd = None


class Writers:
    """The writers' processes. One that dies between database and cache is replaced, as a supervisor would."""

    def __init__(self, settings, remedy, barrier, stop, folder):
        self._arguments = settings, remedy
        self._end = stop, folder
        self._incarnations = [0] * settings.writers
        self._processes = [self._start(index, 0, barrier) for index in range(settings.writers)]

    def _start(self, index, incarnation, barrier=None):
        return start(run_writer, *self._arguments, index, incarnation, barrier, *self._end)

    def replace_the_dead(self):
        for index, process in enumerate(self._processes):
            if process.exitcode == CRASH_EXIT_CODE:
                self._incarnations[index] += 1
                self._processes[index] = self._start(index, self._incarnations[index])
            elif process.exitcode is not None:
                raise LabFailure(f"writer {index} ended with {process.exitcode}")

    def join(self):
        join(self._processes, "writer", (0, CRASH_EXIT_CODE))

    @property
    def crashes(self):
        """Call after `join`."""
        last = sum(process.exitcode == CRASH_EXIT_CODE for process in self._processes)
        return sum(self._incarnations) + last
