"""How long a key outlives the commit that made it stale, at a steady load."""

import time
from functools import partial
from statistics import median

from hdrh.histogram import HdrHistogram

import curves
from commit_writers import CommitWriters
from contenders import CONTENDERS
from contenders.notifications import TRIGGER
from deletion_listener import DeletionListener
from drain_run import TOLERATED_SHARE, wait_for_stream
from failure import BenchmarkFailure
from meter import Bystanders, Meter
from report import number, table
from scenarios.drain import clear
from scenarios.scenario import Picture, Report, Runs, Scenario, Target, tell, with_disturbed
from workloads import Workload, fill_cache, make_table

RATES, QUICK_RATES = [500, 2000], [2000]
WRITERS = 4
SECONDS, QUICK_SECONDS = 10, 2
ROUNDS = 3
# Keys that are not gone so long after the last commit were forgotten.
PATIENCE_SECONDS = 10
# A writer that is later than this (p99) is behind its schedule; so are all that make less of it than this share. Then the load
# was another, and no target is met by it.
LATE_MS = 2
LEAST_SHARE_OF_RATE = 0.98
LEAST_DRAWN_MS = 0.01
LONGEST_NS = 3_600_000_000_000
DIGITS = 3
PERCENTILES = [10, 20, 30, 40, 50, 60, 70, 80, 85, 90, 92.5, 95, 97, 98, 99]
PERCENTILES += [99.3, 99.5, 99.7, 99.8, 99.9, 99.95, 99.99]
FLOOR = "floor"
FLOOR_TITLE = "the writer's own DEL"
# What is allowed, ms above the floor.
TARGETS = {50: 0.25, 99: 1.0}


class Latency(Scenario):
    name = "latency"
    title = "From commit to delete"
    is_headline = True
    explanation = (
        f"{WRITERS} writers commit one-row updates on a fixed schedule, whatever the consumer does (an open loop); ms"
        " from the moment at which a commit has returned to its writer until a subscriber of Redis has read the event of"
        " the key's DEL or UNLINK. The floor is a writer that sends the DEL itself. The first seconds are not counted; a"
        " key that is gone before the commit has returned counts as 0, and its share is told. Over TCP on loopback, with"
        " fsync and synchronous_commit on."
    )

    def measure(self, place, options):
        seconds = QUICK_SECONDS if options.quick else SECONDS
        rounds = options.runs or (1 if options.quick else ROUNDS)
        contenders = [None, *(contender(place) for contender in CONTENDERS if is_wanted(contender, options))]
        runs, outcome = [], Runs()
        for rate in QUICK_RATES if options.quick else RATES:
            for _ in range(rounds):
                for contender in contenders:
                    make_run = partial(measure_undisturbed, place, contender, rate, seconds, options.attempts)
                    if run := outcome.attempt(make_run, f"{rate}/s  {name_of(contender)}"):
                        tell(summary(run))
                        runs.append(run)
        if not runs:
            raise BenchmarkFailure("nothing was measured")
        titles = {FLOOR: FLOOR_TITLE, **{each.name: each.title for each in contenders if each}}
        return {"runs": runs, "titles": titles, "errors": outcome.errors}

    def report(self, results, conditions):
        conditions = with_disturbed(conditions, map(is_disturbed, results["runs"]))
        by_rate = {rate: of_rate for rate in RATES if FLOOR in (of_rate := medians(results, rate))}
        tables = [f"At {rate} commits a second\n\n{table_of(results, of_rate)}" for rate, of_rate in by_rate.items()]
        return Report(
            tables=[*tables, remarks(by_rate)],
            pictures=[picture(results, by_rate, conditions)],
            targets=[target for rate in RATES for target in targets(by_rate.get(rate, {}), rate)],
            errors=results["errors"],
            conditions=conditions,
        )


def is_wanted(contender, options):
    """In a quick run cdcd alone, if no contenders were named."""
    if not (contender.deletes_keys and contender.has_latency):
        return False
    return options.wants(contender) and bool(options.only or contender.is_own or not options.quick)


def measure_undisturbed(place, contender, rate, seconds, attempts):
    """The first run beside which nobody else used the machine, or the one of `attempts` that was disturbed least."""
    runs = []
    for _ in range(attempts):
        try:
            go_live(place, contender, rate * (seconds + warm_up_seconds(contender)))
            runs.append(measure(place, contender, rate, seconds))
        finally:
            if contender:
                contender.stop()
        if not is_disturbed(runs[-1]):
            break
    return {**min(runs, key=lambda run: run["bystanders"]), "attempts": len(runs)}


def is_disturbed(run):
    return run["bystanders"] > TOLERATED_SHARE


def name_of(contender):
    return contender.name if contender else FLOOR


def warm_up_seconds(contender):
    return contender.warm_up_seconds if contender else 2


def go_live(place, contender, rows):
    """The contender has caught up and waits; every row is cached."""
    servers = place.servers
    clear(servers)
    is_notified = contender and contender.backlog == "notifications"
    make_table(servers, rows, trigger=TRIGGER if is_notified else "")
    servers.redis.flushall()
    if not contender:
        return fill_cache(servers, rows)
    if contender.backlog == "slot":
        servers.sql("CREATE PUBLICATION cdcd FOR TABLE users")
    contender.set_up()
    if contender.backlog == "slot" and not contender.is_own:
        servers.sql("SELECT pg_create_logical_replication_slot(%s, %s)", contender.slot, contender.plugin)
    contender.settle()
    if contender.backlog == "outbox":
        contender.keep_outbox()
    fill_cache(servers, rows)
    contender.restore()
    if is_notified:
        contender.listen()
    contender.start(None)
    if contender.backlog == "slot":
        wait_for_stream(servers, contender)
    time.sleep(1)


def measure(place, contender, rate, seconds):
    servers, addresses = place.servers, place.addresses
    skipped = rate * warm_up_seconds(contender)
    commits = skipped + rate * seconds
    writers = listener = None
    try:
        writers = CommitWriters(addresses, WRITERS, rate, commits, deletes_keys=contender is None)
        listener = DeletionListener(servers, addresses)
        ours = [servers.postgres_pid, servers.redis_pid] + ([contender.process.pid] if contender else [])
        bystanders = Bystanders(ours)
        consumer = Meter(contender.process.pid) if contender else None
        redis = Meter(servers.redis_pid)
        stamps = writers.write()
        gone = listener.deleted_at(commits, PATIENCE_SECONDS)
        share = bystanders.share()
        for meter in filter(None, (consumer, redis)):
            meter.sample_all()
        if contender:
            contender.verify(Workload("latency", commits, 1))
    finally:
        for part in filter(None, (writers, listener)):
            part.close()
    return {
        "contender": name_of(contender),
        "rate": rate,
        **percentiles(stamps, gone, skipped),
        "commits": commits - skipped,
        "commits_per_second": stamps.per_second(),
        "late_p99_ms": nearest(stamps.lateness(), 99) / 1e6,
        **commit_ms(stamps, skipped),
        "consumer_cpu_percent": share_of_core(consumer, stamps) if consumer else None,
        "redis_cpu_percent": share_of_core(redis, stamps),
        "writers_cpu_percent": 100 * stamps.writers_cpu_seconds / stamps.seconds(),
        **(listener_ms(stamps, gone, skipped) if not contender else {}),
        "bystanders": share,
    }


def share_of_core(meter, stamps):
    return 100 * meter.cpu_seconds / stamps.seconds()


def percentiles(stamps, gone, skipped):
    """Of the latency in ms, and how many keys were gone before their commit had returned."""
    histogram = HdrHistogram(1, LONGEST_NS, DIGITS)
    early = 0
    for row, returned in enumerate(stamps.returned[skipped:], skipped + 1):
        if (deleted := gone.get(row)) is None:
            raise BenchmarkFailure(f"the key of row {row} was not deleted")
        latency = deleted - returned
        early += latency < 0
        histogram.record_value(max(latency, 1))
    return {
        "percentiles": [[percent, histogram.get_value_at_percentile(percent) / 1e6] for percent in PERCENTILES],
        "max_ms": histogram.get_max_value() / 1e6,
        "gone_before_return": early,
    }


def commit_ms(stamps, skipped):
    taken = sorted(map(int.__sub__, stamps.returned[skipped:], stamps.began[skipped:]))
    return {f"commit_p{percent}_ms": nearest(taken, percent) / 1e6 for percent in (50, 99)}


def listener_ms(stamps, gone, skipped):
    """How long after the writer that sent a DEL had read its answer the listener had read the event: the meter's own
    cost, which is in every latency."""
    later = sorted(gone[row] - answered for row, answered in enumerate(stamps.answered[skipped:], skipped + 1))
    return {f"listener_p{percent}_ms": nearest(later, percent) / 1e6 for percent in (50, 99)}


def nearest(ordered, percent):
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def at(run, percent):
    return dict(map(tuple, run["percentiles"]))[percent]


def summary(run):
    numbers = "  ".join(f"p{percent:g} {at(run, percent):7.3f}" for percent in (50, 90, 99, 99.9))
    disturbed = "  disturbed" * is_disturbed(run)
    late = f"  late p99 {run['late_p99_ms']:.3f}" if run["late_p99_ms"] > LATE_MS else ""
    return f"{run['rate']:5}/s  {run['contender']:20} {numbers}  max {run['max_ms']:8.3f} ms{late}{disturbed}"


# What is said of it.


def medians(results, rate):
    """By contender: the median over its runs of each percentile, and of the other numbers."""
    runs = {}
    for run in results["runs"]:
        if run["rate"] == rate:
            runs.setdefault(run["contender"], []).append(run)
    return {name: Medians(of_one) for name, of_one in runs.items()}


class Medians:
    """Of those runs that nobody disturbed, where there are such."""

    def __init__(self, runs):
        self.runs = runs = [run for run in runs if not is_disturbed(run)] or runs
        self.curve = [(percent, median(at(run, percent) for run in runs)) for percent in PERCENTILES]
        self._percentiles = dict(self.curve)

    def __getitem__(self, percent):
        return self._percentiles[percent]

    def median(self, field):
        return median(run[field] for run in self.runs)

    @property
    def is_disturbed(self):
        """Where all of its runs were."""
        return any(map(is_disturbed, self.runs))

    def keeps(self, rate):
        """Whether the writers kept their schedule."""
        is_fast = self.median("commits_per_second") >= LEAST_SHARE_OF_RATE * rate
        return is_fast and self.median("late_p99_ms") <= LATE_MS


def table_of(results, contenders):
    rows = []
    for name, of_one in contenders.items():
        cpu = "-" if name == FLOOR else f"{of_one.median('consumer_cpu_percent'):.0f} %"
        early = 100 * of_one.median("gone_before_return") / of_one.median("commits")
        rows.append(
            [results["titles"][name]]
            + [f"{of_one[percent]:.3f}" for percent in (50, 90, 99, 99.9)]
            + [f"{max(run['max_ms'] for run in of_one.runs):.1f}", f"{number(early, 2)} %", cpu]
            + [f"{of_one.median('redis_cpu_percent'):.0f} %"]
        )
    return table(["ms", "p50", "p90", "p99", "p99.9", "max", "before return", "CPU", "Redis CPU"], rows)


def remarks(by_rate):
    """What the numbers have in them besides the contenders, and how well the schedule was kept."""
    lines = []
    for rate, contenders in by_rate.items():
        floor = contenders[FLOOR]
        late = [of_one.median("late_p99_ms") for of_one in contenders.values()]
        achieved = min(of_one.median("commits_per_second") for of_one in contenders.values())
        lines.append(
            f"At {rate} commits a second the subscriber had read of a delete"
            f" {number(floor.median('listener_p50_ms'), 2)} ms (p99 {number(floor.median('listener_p99_ms'), 2)} ms)"
            " after the writer that sent it had read its answer, which is in every latency. A commit took"
            f" {number(floor.median('commit_p50_ms'), 2)} ms (p50, floor). The writers began p99"
            f" {number(min(late), 2)} to {number(max(late), 2)} ms after their schedule, and made at least"
            f" {achieved:.0f} commits a second."
        )
    return "\n".join(lines)


def targets(contenders, rate):
    for name in ("cdcd", "cdcd-wal2json", "cdcd-notify"):
        both = [contenders[each] for each in (name, FLOOR) if each in contenders]
        # A quick run has too few commits for a p99.
        is_measured = len(both) == 2 and all(
            each.keeps(rate) and each.median("commits") >= rate * SECONDS for each in both
        )
        for percent, limit in TARGETS.items():
            above = both[0][percent] - both[1][percent] if is_measured else None
            what = f"{name} at {rate} commits/s, p{percent} above the floor"
            yield Target(what, above, limit, "ms", is_doubtful=any(each.is_disturbed for each in both))


def picture(results, by_rate, conditions):
    panels = []
    for rate, contenders in by_rate.items():
        drawn = [
            curves.Curve(results["titles"][name], of_one.curve, name.startswith("cdcd"))
            for name, of_one in contenders.items()
        ]
        values = [value for curve in drawn for _, value in curve.points]
        limit = [(percent, contenders[FLOOR][percent] + above) for percent, above in TARGETS.items()]
        panels.append(
            curves.Panel(
                f"{rate} commits a second", "of all commits", "ms, logarithmic", curves.Percentiles(PERCENTILES),
                curves.Logarithmic(values, least=LEAST_DRAWN_MS), drawn, limit,
            )
        )
    svg = curves.draw(
        "From commit to delete", "How long a key outlives the commit that made it stale. Lower is better.", panels,
        conditions,
    )
    return Picture("latency", "Percentiles of the time from a commit's return to the delete, for each contender", svg)
