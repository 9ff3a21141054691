"""What goes wrong in a benchmark, and waiting that never lasts for ever."""

import time

import psycopg2
import redis


class BenchmarkFailure(Exception):
    """Nothing could be measured, or a contender did not do its work: there is no number."""


# What a server or a process raises that has died or refuses: there is no number either.
FAILURES = (BenchmarkFailure, psycopg2.Error, redis.RedisError, OSError, EOFError)


def words_of(failure):
    """In words, also where an exception has none."""
    return str(failure) if isinstance(failure, BenchmarkFailure) else f"{type(failure).__name__}: {failure}"


def wait_until(condition, what, seconds=30, pause=0.005):
    """Waits until `condition()` is true, and returns what it returned."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise BenchmarkFailure(f"not within {seconds} s: {what}")
        time.sleep(pause)
    return answer
