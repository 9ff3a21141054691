"""Reads the logs that the processes of one run leave in its folder."""

import json
from array import array
from pathlib import Path

from application import COMMIT_RECORD
from judge import Commit, Hit, Settled
from workload import HIT_FIELDS, WRITE_RECORD


def commits(folder):
    return [
        Commit(*record)
        for path in Path(folder).glob("commits-*")
        for record in COMMIT_RECORD.iter_unpack(path.read_bytes())
    ]


def hits(folder):
    for path in Path(folder).glob("hits-*"):
        numbers = integers(path)
        for start in range(0, len(numbers), HIT_FIELDS):
            yield Hit(*numbers[start : start + HIT_FIELDS])


def writes(folder):
    """Pairs of latency in ns, below 0 for a writer's last word, and Redis commands."""
    return [
        record for path in Path(folder).glob("writes-*") for record in WRITE_RECORD.iter_unpack(path.read_bytes())
    ]


def read_latencies(folder):
    return [latency for path in Path(folder).glob("latencies-*") for latency in integers(path)]


def reader_sums(folder):
    """How many reads there were, and how many SELECTs."""
    sums = [json.loads(path.read_text()) for path in Path(folder).glob("reader-*.json")]
    return sum(each["reads"] for each in sums), sum(each["selects"] for each in sums)


def settled(folder):
    path = Path(folder) / "settled"
    numbers = integers(path) if path.exists() else []
    return [Settled(*numbers[start : start + 2]) for start in range(0, len(numbers), 2)]


def integers(path):
    numbers = array("q")
    numbers.frombytes(path.read_bytes())
    return numbers
