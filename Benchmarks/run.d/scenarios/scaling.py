"""What a change costs when there are more changes, tables, rules, keys, or longer rows and ways."""

from functools import partial
from statistics import median

import curves
from contenders.bare_readers import GulpingReader
from drain_run import measure_undisturbed
from report import number, table
from scaling_experiments import EXPERIMENTS, KEYS, ROUND_TRIP, RULES, TABLES
from scenarios.drain import BASE_SLOT, make_backlog
from scenarios.scenario import Picture, Report, Runs, Scenario, Target, tell, with_disturbed

ROUNDS = 3
# Of fewer changes the beginning and the end of a drain are too large a part.
ENOUGH_CHANGES = 100_000
OWN, READER = "cdcd", "reader"
# What is measured, as it is called in charts.
SECONDS, CPU, READER_SECONDS = "cdcd, time", "cdcd, CPU", "bare socket, time"


class Scaling(Scenario):
    name = "scaling"
    title = "Scaling"
    explanation = (
        "Drains of a backlog in transactions of 100 rows, as W2's, one thing varied at a time; microseconds a change."
        " The bare reader drains the same backlog, with a narrow window as cdcd has (rows of another width: with the"
        " kernel's), and so shows what of it is the server's. Beyond two keys a change Redis is what takes the time."
    )

    def measure(self, place, options):
        rounds = options.runs or (1 if options.quick else ROUNDS)
        outcome, points = Runs(), {}
        for experiment in EXPERIMENTS:
            points[experiment.name] = []
            made = measure(place, experiment, options, rounds, outcome)
            # A backlog that cannot be made ends the experiment.
            while point := outcome.attempt(lambda: next(made, None), experiment.name):
                points[experiment.name].append(point)
        return {"points": points, "errors": outcome.errors}

    def report(self, results, conditions):
        every = results["points"]
        conditions = with_disturbed(conditions, (run["is_disturbed"] for runs in every.values() for run in runs))
        points = {name: points_of(runs) for name, runs in every.items()}
        return Report(
            tables=[points_table(points)],
            pictures=[picture(points, conditions)],
            targets=list(targets(every)),
            errors=results["errors"],
            conditions=conditions,
        )


def measure(place, experiment, options, rounds, outcome):
    for backlog in experiment.backlogs(place, options.quick):
        contenders = [contender for _, contender in backlog.contenders]
        made = make_backlog(place, contenders, backlog.workload, backlog.prepare, backlog.write)
        for _ in range(rounds):
            for x, contender in backlog.contenders:

                def copy_slot():
                    place.servers.copy_slot(BASE_SLOT, contender.slot, contender.plugin)

                make_run = partial(
                    measure_undisturbed, place, contender, backlog.workload, made, copy_slot, options.attempts
                )
                run = outcome.attempt(make_run, f"{experiment.name} {x}")
                place.servers.drop_slot(contender.slot)
                if not run:
                    continue
                micro = 1e6 / backlog.changes
                point = {
                    "x": x,
                    "contender": READER if isinstance(contender, GulpingReader) else OWN,
                    "changes": backlog.changes,
                    "microseconds": run.seconds * micro,
                    "cpu_microseconds": run.consumer_cpu_seconds * micro,
                    "redis_cpu_microseconds": run.redis_cpu_seconds * micro,
                    "is_disturbed": run.is_disturbed,
                }
                tell(
                    f"{experiment.name:10} {x:9}  {point['contender']:6} {point['microseconds']:7.2f} us,"
                    f" CPU {point['cpu_microseconds']:6.2f}" + "  disturbed" * run.is_disturbed
                )
                yield point


# What is said of it.


def points_of(runs):
    """Measured -> x -> the median; of runs that nobody disturbed, where there are such."""
    points = {SECONDS: {}, CPU: {}, READER_SECONDS: {}}
    for x in sorted({run["x"] for run in runs}):
        for name, contender, field in (
            (SECONDS, OWN, "microseconds"),
            (CPU, OWN, "cpu_microseconds"),
            (READER_SECONDS, READER, "microseconds"),
        ):
            of_one = [run for run in runs if run["x"] == x and run["contender"] == contender]
            of_one = [run for run in of_one if not run["is_disturbed"]] or of_one
            if of_one:
                points[name][x] = median(run[field] for run in of_one)
    return points


def points_table(points):
    rows = []
    for experiment in EXPERIMENTS:
        of_one = points[experiment.name]
        for x in of_one[SECONDS]:
            value = "no proxy" if experiment is ROUND_TRIP and x < 0 else f"{x:,}"
            numbers = (of_one[measured].get(x) for measured in (SECONDS, CPU, READER_SECONDS))
            rows.append([f"{experiment.title}: {value}", *("-" if n is None else number(n) for n in numbers)])
    return table(["microseconds a change", "time", "CPU of cdcd", "bare reader"], rows)


def targets(every):
    for experiment, value, words, limit in (
        (TABLES, 1000, "1,000 rules on 1,000 tables", 1.2),
        (RULES, 20, "20 rules on one table, 19 do not match", 1.2),
        (KEYS, 10, "10 keys a change", 10),
    ):
        runs = [run for run in every[experiment.name] if run["changes"] >= ENOUGH_CHANGES and run["x"] in (1, value)]
        own = [run for run in runs if run["contender"] == OWN]
        # Where one of the two points has no run that nobody disturbed.
        is_doubtful = {run["x"] for run in own} != {run["x"] for run in own if not run["is_disturbed"]}
        points = points_of(runs)
        for measured, short in ((SECONDS, "time"), (CPU, "CPU")):
            of_one = points[measured]
            ratio = of_one[value] / of_one[1] if of_one.get(1) and value in of_one else None
            yield Target(f"{words} / one, {short} a change", ratio, limit, is_doubtful=is_doubtful)


def picture(points, conditions):
    panels = []
    for experiment in EXPERIMENTS:
        drawn = [
            curves.Curve(title, [(x, y) for x, y in of_one.items() if x >= 0], is_own=title != READER_SECONDS)
            for title, of_one in points[experiment.name].items()
            if of_one
        ]
        if not drawn:
            continue
        places = [(x, y) for curve in drawn for x, y in curve.points]
        scale = curves.Logarithmic if experiment.is_logarithmic else curves.Linear
        x = scale([x for x, _ in places], "{:,.0f}" if experiment.is_logarithmic else "{:g}")
        y = curves.Linear([y for _, y in places])
        panels.append(curves.Panel(experiment.title, experiment.x_title, "µs a change", x, y, drawn))
    svg = curves.draw("Scaling", "What a change costs, when one thing is varied. Lower is better.", panels, conditions)
    return Picture("scaling", "Microseconds a change over changes, tables, rules, keys, width and round trip", svg)
