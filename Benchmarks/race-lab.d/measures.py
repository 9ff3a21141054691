"""What the lab says of a remedy, computed from the logs of one run."""

from dataclasses import dataclass

import logs
from judge import judge_hits, judge_rest

NANOSECONDS = 1_000_000_000
STUCK_NANOSECONDS = NANOSECONDS


@dataclass
class Course:
    """What the lab itself saw of a run. Times are CLOCK_MONOTONIC nanoseconds."""

    started_at: int
    load_ended_at: int
    settled_at: int
    reading_ended_at: int
    settle_seconds: float
    crashes: int
    connections_cut: int
    # Of the consumer or daemon and the backend that feeds it; None when there is neither.
    consumer_cpu_seconds: float | None
    consumer_commands: int
    # Row -> version, of all that the cache held at rest.
    cached: dict
    has_watermark: bool


@dataclass
class Measures:
    """A *hit* is a read answered by the cache. It is *stale* when the commit of a newer version had returned before
    the reader sent its GET, and *stuck* when that was more than a second before. *At rest*: the writers have stopped,
    the remedy has done all that it will do, and the readers have gone on for longer than their longest pause.
    Latencies leave out the injected pauses."""

    name: str
    title: str
    ttl_seconds: int
    load_seconds: float
    reads: int
    hits: int
    stale_hits: int
    stuck_hits: int
    stuck_by_cause: dict
    longest_stale_seconds: float
    # Since the remedy had done all that it will do.
    hits_at_rest: int
    stale_hits_at_rest: int
    # Of the keys that the cache held at rest, how many differed from the database, and why: judge.CAUSES.
    cached_at_rest: int
    wrong_at_rest: int
    wrong_by_cause: dict
    # Hits that cdcd's settled watermark had ruled out, and the first of them; None without cdcd.
    broken_promises: int | None
    first_broken_promise: str | None
    settle_seconds: float
    # What it costs.
    reads_per_second: float
    hit_ratio: float
    selects_per_read: float
    read_p50_ms: float
    read_p99_ms: float
    # Transactions that committed, and rows that they changed.
    commits: int
    rows_changed: int
    crashes: int
    write_p50_ms: float
    write_p99_ms: float
    # Commands that writers and consumer sent, per committed transaction.
    redis_commands_per_commit: float
    # Of one core, by the consumer or daemon and the PostgreSQL backend that feeds it.
    consumer_cpu_percent: float | None
    connections_cut: int


def measure(remedy, log, commits, folder, course):
    settled = logs.settled(folder)
    hits = logs.hits(folder)
    verdict = judge_hits(log, hits, STUCK_NANOSECONDS, remedy.hears_of, course.settled_at, settled)
    causes = judge_rest(log, course.cached, remedy.hears_of)
    left_for = [course.reading_ended_at - log.superseded_at(*entry) for entry in course.cached.items()]
    reads, selects = logs.reader_sums(folder)
    read_latencies = sorted(logs.read_latencies(folder))
    writes = logs.writes(folder)
    write_latencies = sorted(latency for latency, _ in writes if latency >= 0)
    transactions = len({commit.returned_at for commit in commits})
    load_seconds = (course.load_ended_at - course.started_at) / NANOSECONDS
    cpu = course.consumer_cpu_seconds
    return Measures(
        name=remedy.name,
        title=remedy.title,
        ttl_seconds=remedy.ttl_seconds,
        load_seconds=load_seconds,
        reads=reads,
        hits=verdict.hits,
        stale_hits=verdict.stale,
        stuck_hits=sum(verdict.stuck.values()),
        stuck_by_cause=verdict.stuck,
        longest_stale_seconds=max(verdict.longest_stale, *left_for, 0) / NANOSECONDS,
        hits_at_rest=verdict.at_rest,
        stale_hits_at_rest=verdict.stale_at_rest,
        cached_at_rest=len(course.cached),
        wrong_at_rest=sum(causes.values()),
        wrong_by_cause=causes,
        broken_promises=len(verdict.broken_promises) if course.has_watermark else None,
        first_broken_promise=repr(verdict.broken_promises[0]) if verdict.broken_promises else None,
        settle_seconds=course.settle_seconds,
        reads_per_second=reads * NANOSECONDS / (course.reading_ended_at - course.started_at),
        hit_ratio=verdict.hits / reads,
        selects_per_read=selects / reads,
        read_p50_ms=percentile(read_latencies, 50) / 1e6,
        read_p99_ms=percentile(read_latencies, 99) / 1e6,
        commits=transactions,
        rows_changed=len(commits),
        crashes=course.crashes,
        write_p50_ms=percentile(write_latencies, 50) / 1e6,
        write_p99_ms=percentile(write_latencies, 99) / 1e6,
        redis_commands_per_commit=(course.consumer_commands + sum(sent for _, sent in writes)) / transactions,
        consumer_cpu_percent=None if cpu is None else 100 * cpu / load_seconds,
        connections_cut=course.connections_cut,
    )


def percentile(ordered, percent):
    """Nearest rank; 0 of nothing."""
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] if ordered else 0
