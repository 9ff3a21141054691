"""Many drains of the same backlog by cdcd: is one of them much slower than the others? A reader that gives the
walsender no room stalls now and then, while the CPU is idle."""

import dataclasses
from functools import partial
from statistics import median

import curves
from contenders.cdcd import CDCD
from drain_run import Run, measure_undisturbed
from failure import BenchmarkFailure
from report import number, table
from scenarios.drain import BASE_SLOT, QUICK_SCALE, make_backlog
from scenarios.scenario import Picture, Report, Runs, Scenario, Target, tell, with_disturbed
from servers import TCP, UNIX
from workloads import W2, scaled

DRAINS, QUICK_DRAINS = 20, 3
TITLES = {TCP: "TCP", UNIX: "Unix sockets"}
LIMIT = 1.5


class Stall(Scenario):
    name = "stall"
    title = "No stall"
    explanation = (
        "cdcd drains the same backlog of W2 again and again, PostgreSQL and Redis over TCP on loopback and over their"
        " Unix sockets. Seconds; a stall would be a drain far above the median."
    )

    def measure(self, place, options):
        workload = scaled(W2, options.scale or (QUICK_SCALE if options.quick else 1))
        drains = options.runs or (QUICK_DRAINS if options.quick else DRAINS)
        runs, outcome = {}, Runs()
        for transport in TITLES:
            over = dataclasses.replace(place, transport=transport)
            runs[transport] = []
            for make_run in drain_again_and_again(over, workload, drains):
                if run := outcome.attempt(make_run, TITLES[transport]):
                    tell(f"{TITLES[transport]:12} {run.seconds:8.3f} s" + "  disturbed" * run.is_disturbed)
                    runs[transport].append(dataclasses.asdict(run))
            if not runs[transport]:
                raise BenchmarkFailure(f"nothing was measured over {TITLES[transport]}: {outcome.errors}")
        return {"runs": runs, "errors": outcome.errors}

    def report(self, results, conditions):
        runs = {transport: [Run(**run) for run in of_one] for transport, of_one in results["runs"].items()}
        seconds = {transport: [run.seconds for run in of_one] for transport, of_one in runs.items()}
        conditions = with_disturbed(conditions, (run.is_disturbed for of_one in runs.values() for run in of_one))
        return Report(
            tables=[seconds_table(seconds)],
            pictures=[picture(seconds, conditions)],
            targets=[target(TITLES[transport], of_one, results["errors"]) for transport, of_one in runs.items()],
            errors=results["errors"],
            conditions=conditions,
        )


def target(title, runs, errors):
    """A drain that did not end is an error, and the slowest of all."""
    is_whole = len(runs) >= DRAINS and not errors and all(run.rows == W2.rows for run in runs)
    value = worst([run.seconds for run in runs]) if is_whole else None
    is_doubtful = any(run.is_disturbed for run in runs)
    return Target(f"slowest of {len(runs)} drains of W2 over {title} / median", value, LIMIT, is_doubtful=is_doubtful)


def drain_again_and_again(place, workload, drains):
    """Yields what makes a drain when it is called. Each counts, disturbed or not: one that was made again could have been
    the slowest."""
    contender = CDCD(place)
    backlog = make_backlog(place, [contender], workload)

    def copy_slot():
        place.servers.copy_slot(BASE_SLOT, contender.slot, contender.plugin)

    for _ in range(drains):
        yield partial(measure_undisturbed, place, contender, workload, backlog, copy_slot, attempts=1)


def worst(seconds):
    return max(seconds) / median(seconds)


def seconds_table(seconds):
    rows = [
        [TITLES[transport], len(of_one), *(number(how(of_one)) for how in (min, median, max, worst))]
        for transport, of_one in seconds.items()
    ]
    return table(["", "drains", "fastest", "median", "slowest", "slowest / median"], rows)


def picture(seconds, conditions):
    panels = []
    for transport, of_one in seconds.items():
        numbered = list(enumerate(of_one, 1))
        limit = LIMIT * median(of_one)
        panels.append(
            curves.Panel(
                TITLES[transport], "drain", "s", curves.Linear([len(of_one)]), curves.Linear([*of_one, limit]),
                [curves.Curve("cdcd, pgoutput", numbered, is_own=True)], [(1, limit), (len(of_one), limit)],
            )
        )
    svg = curves.draw("No stall", "Drains of the same backlog, one after the other.", panels, conditions)
    return Picture("stall", "Seconds of each drain of the same backlog, over TCP and over Unix sockets", svg)
