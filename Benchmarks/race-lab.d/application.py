"""One process of the simulated application: how a remedy reaches the database and the cache. What happens to real
processes on the way happens here, to every remedy alike: pauses, rollbacks, death between database and cache."""

import os
import random
import struct
import time

import psycopg2
import redis

from judge import APPLICATION, CRASHED

CRASH_EXIT_CODE = 3
COMMIT_RECORD = struct.Struct("=qqqq")  # returned_at, item, version, kind


def key_of(item):
    return f"item:{item}"


def version_of(value):
    return int(value[: value.index(b":")])


class RolledBack(Exception):
    """The transaction of this write was rolled back, as applications do when they change their mind."""


class CountingRedis(redis.Redis):
    """Counts the commands it sends."""

    commands = 0

    def execute_command(self, *arguments, **options):
        self.commands += 1
        return super().execute_command(*arguments, **options)


class Pauses:
    """The pauses between an application's database and its cache: of 1,000 times, 977 go straight on; 20 wait as for
    a minor garbage collection or a CPU throttle (exponential, mean 20 ms); 3 wait as for a full collection or a lost
    TCP segment (uniform, 200 to 1,000 ms)."""

    LONGEST_SECONDS = 1.0

    def __init__(self, generator, times):
        """`times`: as many pauses as this, where 1 is the usual."""
        self._random = generator
        self._times = times
        self.total = 0.0

    def pause(self):
        draw = self._random.random() / self._times
        if draw < 0.003:
            seconds = self._random.uniform(0.2, self.LONGEST_SECONDS)
        elif draw < 0.023:
            seconds = min(self._random.expovariate(1 / 0.02), self.LONGEST_SECONDS)
        else:
            return
        started = time.monotonic()
        time.sleep(seconds)
        self.total += time.monotonic() - started


class Application:
    """What a remedy's `read` and `write` may use. `redis` is the plain client; a read asks with `get`, so that the
    judge knows when."""

    def __init__(self, settings, seed, commit_log=None):
        self.database = psycopg2.connect(settings.postgres_url)
        self.redis = CountingRedis.from_url(settings.redis_url)
        self.random = random.Random(f"{seed} application")
        self.pauses = Pauses(random.Random(f"{seed} pauses"), settings.pauses)
        self.asked_at = 0
        self.selects = 0
        self._commit_log = commit_log
        self._scripts = {}
        self._plan = None
        self._cursor = self.database.cursor()

    # Reading

    def ask_now(self):
        """Notes the time for the judge: what the cache answers from here on is judged against it."""
        self.asked_at = time.monotonic_ns()

    def get(self, key):
        """GET: bytes, or None."""
        self.ask_now()
        return self.redis.get(key)

    def script(self, text):
        """A Lua script to call with keys and args: EVALSHA, loaded when the server does not know it."""
        if text not in self._scripts:
            self._scripts[text] = self.redis.register_script(text)
        return self._scripts[text]

    def select(self, item):
        """Reads a row in a snapshot of its own, and may be paused afterwards. Returns the value to cache."""
        self.selects += 1
        self.database.autocommit = True
        self._cursor.execute("SELECT version, payload FROM items WHERE id = %s", (item,))
        version, payload = self._cursor.fetchone()
        self.pauses.pause()
        return b"%d:%s" % (version, payload.encode())

    # Writing

    def follow(self, plan):
        """The workload's plan for the next write."""
        self._plan = plan

    def update(self, item):
        """Changes a row in a transaction and returns the value to cache. After the commit this process may be
        paused, or die. Raises RolledBack."""
        self.database.autocommit = False
        self._cursor.execute(
            "UPDATE items SET version = version + 1, payload = %s WHERE id = %s RETURNING version, payload",
            (self._plan.payload, item),
        )
        version, payload = self._cursor.fetchone()
        time.sleep(self._plan.work_seconds)
        if self._plan.rolls_back:
            self.database.rollback()
            raise RolledBack()
        self.database.commit()
        self.log_commits([(item, version)], CRASHED if self._plan.crashes else APPLICATION)
        if self._plan.crashes:
            os._exit(CRASH_EXIT_CODE)
        self.pauses.pause()
        return b"%d:%s" % (version, payload.encode())

    def log_commits(self, versions, kind):
        """Call at once when a commit has returned."""
        returned_at = time.monotonic_ns()
        record = b"".join(COMMIT_RECORD.pack(returned_at, item, version, kind) for item, version in versions)
        os.write(self._commit_log, record)
