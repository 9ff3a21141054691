"""A backlog exists; how long until all of it is out of the cache? Three workloads, every contender, in rounds."""

import dataclasses
from functools import partial

from contenders import CONTENDERS
from contenders.contender import Backlog
from contenders.notifications import TRIGGER
from drain_report import Medians, cost_picture, runs_of, seconds_picture, seconds_table, targets
from drain_run import measure_undisturbed
from failure import BenchmarkFailure
from scenarios.scenario import Report, Runs, Scenario, tell, with_disturbed
from workloads import WORKLOADS, make_table, scaled, write

BASE_SLOT = "base"
RUNS = 5
QUICK_SCALE = 0.1


class Drain(Scenario):
    name = "drain"
    title = "Draining a backlog"
    is_headline = True
    explanation = (
        "A backlog of updates exists; the time is from the start of the stream until every key is deleted, and with"
        " cdcd until `/wait` answers for the end of the backlog as well. Those that delete nothing end with the last"
        " byte. CPU is of the consumer / of its backends in PostgreSQL / of Redis; the peak is of the consumer's"
        " resident memory, the largest of all runs."
    )

    def measure(self, place, options):
        runs, outcome = [], Runs()
        for workload in WORKLOADS:
            if options.workloads and workload.name not in options.workloads:
                continue
            workload = scaled(workload, options.scale or (QUICK_SCALE if options.quick else 1))
            contenders = [
                contender(place)
                for contender in CONTENDERS
                if options.wants(contender) and contender.drains(workload)
            ]
            rounds = options.runs or (1 if options.quick else RUNS)
            for drain in (drain_slots, drain_outboxes, drain_notifications):
                makers = drain(place, contenders, workload, rounds, options.attempts)
                # A backlog that cannot be made ends them.
                while make_run := outcome.attempt(lambda: next(makers, None), f"{workload.name}, {drain.__name__}"):
                    run = outcome.attempt(make_run, workload.name)
                    if not run:
                        continue
                    tell(
                        f"{run.workload}  {run.contender:26} {run.seconds:8.3f} s"
                        + "  disturbed" * run.is_disturbed
                    )
                    runs.append(dataclasses.asdict(run))
        if not runs:
            raise BenchmarkFailure("nothing was measured")
        return {"runs": runs, "errors": outcome.errors}

    def report(self, results, conditions):
        runs = runs_of(results)
        medians = Medians(runs)
        conditions = with_disturbed(conditions, (run.is_disturbed for run in runs))
        return Report(
            tables=[seconds_table(medians)],
            pictures=[seconds_picture(medians, conditions), cost_picture(medians, conditions)],
            targets=list(targets(runs)),
            errors=results["errors"],
            conditions=conditions,
        )


def drain_slots(place, contenders, workload, rounds, attempts):
    """All contenders get the same backlog, each by a copy of one slot. Yields what makes a run when it is called; it
    raises BenchmarkFailure where there is no result."""
    contenders = [contender for contender in contenders if contender.backlog == "slot"]
    if not contenders:
        return
    backlog = make_backlog(place, contenders, workload)
    for number in range(rounds):
        # There and back, so that nobody always follows the same one.
        for contender in reversed(contenders) if number % 2 else contenders:

            def copy_slot():
                place.servers.copy_slot(BASE_SLOT, contender.slot, contender.plugin)

            yield partial(measure_undisturbed, place, contender, workload, backlog, copy_slot, attempts)
            place.servers.drop_slot(contender.slot)


def make_backlog(place, contenders, workload, prepare=make_table, write=write):
    """`prepare`: makes the tables, given the servers and the number of rows. `write`: as in `workloads`."""
    servers = place.servers
    clear(servers)
    prepare(servers, workload.rows)
    servers.sql("CREATE PUBLICATION cdcd FOR TABLE users")
    for contender in contenders:
        contender.set_up()
    servers.sql("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", BASE_SLOT)
    for contender in contenders:
        contender.settle()
    changes_end, end = write(servers, workload)
    return Backlog(BASE_SLOT, changes_end, end)


def drain_outboxes(place, contenders, workload, rounds, attempts):
    """As above; the backlog is in an outbox that triggers have filled."""
    for contender in contenders:
        if contender.backlog == "outbox":
            clear(place.servers)
            make_table(place.servers, workload.rows)
            contender.set_up()
            contender.settle()
            changes_end, end = write(place.servers, workload)
            contender.keep_outbox()
            for _ in range(rounds):
                backlog = Backlog(None, changes_end, end)
                yield partial(measure_undisturbed, place, contender, workload, backlog, attempts=attempts)


def drain_notifications(place, contenders, workload, rounds, attempts):
    """As above; the backlog is made anew for each run, while the contender listens and does not read."""
    contenders = [contender for contender in contenders if contender.backlog == "notifications"]
    for _ in range(rounds if contenders else 0):
        for contender in contenders:

            def notify():
                clear(place.servers)
                make_table(place.servers, workload.rows, trigger=TRIGGER)
                contender.listen()
                write(place.servers, workload)

            yield partial(measure_undisturbed, place, contender, workload, None, notify, attempts)


def clear(servers):
    """No slot, no publication, and nothing of cdcd's in the database."""
    servers.drop_all_slots()
    servers.sql("DROP PUBLICATION IF EXISTS cdcd")
    servers.sql("DROP SCHEMA IF EXISTS cdcd CASCADE")
