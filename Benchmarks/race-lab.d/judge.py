"""The judge: from the log of commits it says whether a value that a reader got from the cache was stale, since when,
and why. It guesses nothing: each row carries a version that the database itself counts up, and every commit that
returned is in the log. All times are CLOCK_MONOTONIC nanoseconds of one machine.

A hit is stale when a newer version's commit had returned before the reader sent its GET. How long it had been so
is its staleness. The commit became visible a little before it returned, so staleness is never overstated.
"""

import itertools
import math
from bisect import bisect_right
from collections import namedtuple
from dataclasses import dataclass, field

# How the newer version was written.
APPLICATION, CRASHED, BYPASS = 0, 1, 2
FIRST_VERSION = 1

# Why a cached value was wrong.
CAUSES = {
    "race": "the cache was told of the change, and the old value came back, or the telling got lost on the way",
    "crash": "the writer died between its commit and the cache",
    "bypass": "the writer knew nothing of the cache",
    "untold": "the remedy tells the cache nothing",
}

Commit = namedtuple("Commit", "returned_at item version kind")
Hit = namedtuple("Hit", "asked_at item version")
# Every commit that had returned at `asked_at` was covered by cdcd's settled watermark at `answered_at`.
Settled = namedtuple("Settled", "asked_at answered_at")


class ImpossibleHistory(Exception):
    """The logs contradict each other: the lab is broken, and none of its numbers counts."""


class CommitLog:
    """Every version of every row. Row versions start at 1, which the lab writes before the load begins."""

    def __init__(self, commits):
        by_item = {}
        for commit in commits:
            versions = by_item.setdefault(commit.item, {})
            if commit.version in versions:
                raise ImpossibleHistory(f"version {commit.version} of row {commit.item} was committed twice")
            versions[commit.version] = commit
        self._commits = {}
        self._superseded = {}
        for item, versions in by_item.items():
            newest = FIRST_VERSION + len(versions)
            if set(versions) != set(range(FIRST_VERSION + 1, newest + 1)):
                raise ImpossibleHistory(f"row {item} has versions {sorted(versions)}: one is missing")
            # The earliest return among all newer versions: a later commit's return can be logged first.
            earliest = math.inf
            superseded = [earliest]
            for version in range(newest, FIRST_VERSION, -1):
                earliest = min(earliest, versions[version].returned_at)
                superseded.append(earliest)
            self._superseded[item] = superseded[::-1]
            self._commits[item] = [versions[version] for version in range(FIRST_VERSION + 1, newest + 1)]

    def newest(self, item):
        return FIRST_VERSION + len(self._commits.get(item, ()))

    def superseded_at(self, item, version):
        """When the first commit of a newer version returned; infinity for the newest version."""
        if not FIRST_VERSION <= version <= self.newest(item):
            raise ImpossibleHistory(f"the cache holds version {version} of row {item}, which nobody committed")
        return self._superseded.get(item, (math.inf,))[version - FIRST_VERSION]

    def cause(self, item, version, heard, by=math.inf):
        """Why a stale value was still there, judged by the newer versions whose commits had returned at `by`, one at
        least. `heard` has the kinds of writes of which the remedy tells the cache: see CAUSES."""
        kinds = {commit.kind for commit in self._commits[item][version - FIRST_VERSION :] if commit.returned_at <= by}
        if not heard:
            return "untold"
        if kinds & heard:
            return "race"
        return "crash" if CRASHED in kinds else "bypass"


@dataclass
class Verdict:
    """What the readers got. Counts are hits, times nanoseconds."""

    hits: int = 0
    stale: int = 0
    # Stale for longer than the threshold, by cause.
    stuck: dict = field(default_factory=lambda: dict.fromkeys(CAUSES, 0))
    longest_stale: float = 0
    at_rest: int = 0
    stale_at_rest: int = 0
    # Hits that the settled watermark of cdcd had promised not to happen: (hit, superseded at, settled up to).
    broken_promises: list = field(default_factory=list)


def judge_hits(log, hits, stuck_after, heard=frozenset({APPLICATION}), rest_from=math.inf, settled=()):
    """Judges every hit. `stuck_after`: how long a hit must have been stale to be stuck. `rest_from`: hits asked for
    later are at rest. `settled`: the answers of cdcd, in their order."""
    verdict = Verdict()
    answered = [answer.answered_at for answer in settled]
    # A later answer covers what an earlier one covered.
    covered = list(itertools.accumulate((answer.asked_at for answer in settled), max))
    for hit in hits:
        superseded_at = log.superseded_at(hit.item, hit.version)
        is_stale, is_at_rest = hit.asked_at > superseded_at, hit.asked_at >= rest_from
        verdict.hits += 1
        verdict.stale += is_stale
        verdict.at_rest += is_at_rest
        if not is_stale:
            continue
        verdict.stale_at_rest += is_at_rest
        verdict.longest_stale = max(verdict.longest_stale, hit.asked_at - superseded_at)
        stuck_since = hit.asked_at - stuck_after
        if superseded_at < stuck_since:
            verdict.stuck[log.cause(hit.item, hit.version, heard, by=stuck_since)] += 1
        answers = bisect_right(answered, hit.asked_at)
        if answers and superseded_at <= covered[answers - 1]:
            verdict.broken_promises.append((hit, superseded_at, covered[answers - 1]))
    return verdict


def judge_rest(log, cached, heard):
    """Judges what is left in the cache when nothing moves any more. `cached`: row -> version. Counts the stale
    values by cause."""
    causes = dict.fromkeys(CAUSES, 0)
    for item, version in cached.items():
        if log.superseded_at(item, version) != math.inf:
            causes[log.cause(item, version, heard)] += 1
    return causes
