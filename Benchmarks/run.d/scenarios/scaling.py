"""What a change costs when there are more changes, tables, rules, keys, or longer rows and ways."""

from statistics import median

import curves
from contenders.bare_readers import GulpingReader
from drain_run import measure_undisturbed
from report import number, table
from scaling_experiments import EXPERIMENTS, KEYS, ROUND_TRIP, RULES, TABLES
from scenarios.drain import BASE_SLOT, make_backlog
from scenarios.scenario import Picture, Report, Scenario, Target, tell

ROUNDS = 3
# CPU is counted in ticks of 10 ms: of fewer changes no ratio is believed.
ENOUGH_CHANGES = 100_000
OWN, READER = "cdcd", "reader"
# What is measured, as it is called in charts.
SECONDS, CPU, READER_SECONDS = "cdcd, time", "cdcd, CPU", "bare socket, 1 ms between reads, time"


class Scaling(Scenario):
    name = "scaling"
    title = "Scaling"
    explanation = (
        "Drains of a backlog in transactions of 100 rows, as W2's, one thing varied at a time; microseconds a change."
        " The bare reader drains the same backlog, and so shows what of it is the server's."
    )

    def measure(self, place, options):
        rounds = options.runs or (1 if options.quick else ROUNDS)
        return {
            experiment.name: list(measure(place, experiment, options, rounds)) for experiment in EXPERIMENTS
        }

    def report(self, results, conditions):
        points = {name: points_of(runs) for name, runs in results.items()}
        believed = {
            name: points_of([run for run in runs if run["changes"] >= ENOUGH_CHANGES])
            for name, runs in results.items()
        }
        return Report(
            tables=[points_table(points)],
            pictures=[picture(points, conditions)],
            targets=list(targets(believed)),
        )


def measure(place, experiment, options, rounds):
    for backlog in experiment.backlogs(place, options.quick):
        contenders = [contender for _, contender in backlog.contenders]
        made = make_backlog(place, contenders, backlog.workload, backlog.prepare, backlog.write)
        for _ in range(rounds):
            for x, contender in backlog.contenders:

                def copy_slot():
                    place.servers.copy_slot(BASE_SLOT, contender.slot, contender.plugin)

                run = measure_undisturbed(place, contender, backlog.workload, made, copy_slot, options.attempts)
                place.servers.drop_slot(contender.slot)
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
    """Measured -> x -> the median."""
    points = {SECONDS: {}, CPU: {}, READER_SECONDS: {}}
    for x in sorted({run["x"] for run in runs}):
        for name, contender, field in (
            (SECONDS, OWN, "microseconds"),
            (CPU, OWN, "cpu_microseconds"),
            (READER_SECONDS, READER, "microseconds"),
        ):
            values = [run[field] for run in runs if run["x"] == x and run["contender"] == contender]
            if values:
                points[name][x] = median(values)
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


def targets(points):
    for experiment, value, words, limit in (
        (TABLES, 1000, "1,000 rules on 1,000 tables", 1.2),
        (RULES, 20, "20 rules on one table, 19 do not match", 1.2),
        (KEYS, 10, "10 keys a change", 10),
    ):
        for measured, short in ((SECONDS, "time"), (CPU, "CPU")):
            of_one = points[experiment.name][measured]
            ratio = of_one[value] / of_one[1] if of_one.get(1) and value in of_one else None
            yield Target(f"{words} / one, {short} a change", ratio, limit)


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
