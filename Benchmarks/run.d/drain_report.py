"""What is said and drawn of the drains."""

from collections import defaultdict
from statistics import median

import bars
from contenders import BY_NAME
from drain_run import Run
from report import number, table
from scenarios.scenario import Picture, Target
from workloads import WORKLOADS

MEBIBYTE = 1 << 20
PEAK_LIMIT_MIB = 48
# Of Debezium's configurations, the one tuned for throughput.
DEBEZIUM = "debezium"
SCRIPTS = ["psycopg2-pgoutput", "psycopg2-wal2json"]
# Nobody set targets against these; what is asked of the others is asked of them as well.
SCRIPTS_IN_GULPS = [f"{script}-{how}" for how in ("gulps", "narrow") for script in SCRIPTS]


class Medians:
    """Medians over the runs, by contender and workload; over those that nobody disturbed, where there are such."""

    def __init__(self, runs):
        self._runs = defaultdict(list)
        for run in runs:
            self._runs[run.contender, run.workload].append(run)
        for key, all_runs in self._runs.items():
            self._runs[key] = [run for run in all_runs if not run.is_disturbed] or all_runs
        # In the order of the contenders, as far as they ran.
        self.contenders = [name for name in BY_NAME if any(name == run.contender for run in runs)]
        self.workloads = [w.name for w in WORKLOADS if any(w.name == run.workload for run in runs)]

    def runs(self, contender, workload):
        return self._runs.get((contender, workload), [])

    def run_counts(self):
        """As "5", or "4 to 5"."""
        counts = sorted({len(runs) for runs in self._runs.values()})
        return str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"

    def is_disturbed(self, contenders, workload):
        """Whether it had no run that nobody disturbed."""
        return any(run.is_disturbed for contender in contenders for run in self.runs(contender, workload))

    def of(self, contender, workload, field="seconds"):
        """None when it did not run."""
        runs = self.runs(contender, workload)
        return median(getattr(run, field) for run in runs) if runs else None

    def rows(self, workload):
        """How many changes it had."""
        return next(run.rows for name in self.contenders for run in self.runs(name, workload))

    def peak_bytes(self, contender):
        return max(run.peak_bytes for workload in self.workloads for run in self.runs(contender, workload))

    def ratio(self, one, other, workload, field="seconds"):
        """None when either did not run, or the other used nothing that can be measured."""
        above, below = self.of(one, workload, field), self.of(other, workload, field)
        return above / below if above is not None and below else None

    def worst(self, one, other, field="seconds"):
        """The largest ratio over all workloads and which one it is; None where one of them has none."""
        ratios = [(self.ratio(one, other, workload.name, field), workload.name) for workload in WORKLOADS]
        return (None, None) if any(ratio is None for ratio, _ in ratios) else max(ratios)


def style_of(contender):
    if contender.is_own:
        return "own"
    return "peer" if contender.deletes_keys else "bound"


def seconds_table(medians):
    costs = costs_of(medians)
    rows = []
    for name in medians.contenders:
        seconds = [medians.of(name, workload) for workload in medians.workloads]
        parts = [medians.of(name, costs, field) for field in CPU_FIELDS]
        cpu = "-" if None in parts else " / ".join(number(part, 2) for part in parts)
        peak = number(medians.peak_bytes(name) / MEBIBYTE, 2)
        rows.append([BY_NAME[name].title, *("-" if each is None else number(each) for each in seconds), cpu, peak])
    times = [f"{workload}, s" for workload in medians.workloads]
    return table(["", *times, f"CPU s in {costs}", "peak MiB"], rows)


def costs_of(medians):
    """The workload whose costs are told: many transactions of many rows, as far as it ran."""
    return "W2" if "W2" in medians.workloads else medians.workloads[0]


CPU_FIELDS = ["consumer_cpu_seconds", "backend_cpu_seconds", "redis_cpu_seconds"]


def seconds_picture(medians, conditions):
    rows = [bars.Row(BY_NAME[name].title, style_of(BY_NAME[name])) for name in medians.contenders]
    panels = []
    for workload in WORKLOADS:
        if workload.name in medians.workloads:
            panel = [seconds_bar(medians, name, workload.name) for name in medians.contenders]
            rows_changed = medians.rows(workload.name)
            title = f"{workload.name}: {rows_changed:,} changes"
            panels.append(bars.Panel(title, "seconds", panel, subtitle=subtitle_of(workload)))
    svg = bars.draw(
        "How long a backlog takes",
        "From the start of the stream until every key is deleted, or every byte received (grey). A bar with a gap goes on.",
        rows,
        panels,
        f"Median of {medians.run_counts()} runs, which the whisker spans. {conditions}",
    )
    return Picture("drain", "Seconds that each contender takes for three backlogs", svg)


def subtitle_of(workload):
    if workload.transactions == 1:
        return "in one transaction"
    return "one a transaction" if workload.rows_each == 1 else f"{workload.rows_each} a transaction"


def seconds_bar(medians, name, workload):
    runs = [run.seconds for run in medians.runs(name, workload)]
    if not runs:
        return None
    middle = median(runs)
    return bars.Bar([(style_of(BY_NAME[name]), middle)], number(middle), (min(runs), max(runs)))


def cost_picture(medians, conditions):
    workload = costs_of(medians)
    names = [name for name in medians.contenders if medians.runs(name, workload)]
    rows = [bars.Row(BY_NAME[name].title, style_of(BY_NAME[name])) for name in names]
    legend = [("first", "consumer"), ("second", "PostgreSQL"), ("third", "Redis")]
    cpu, memory = [], []
    for name in names:
        seconds = [medians.of(name, workload, field) for field in CPU_FIELDS]
        parts = list(zip(("first", "second", "third"), seconds))
        cpu.append(bars.Bar(parts, number(sum(seconds), 2)))
        peak = medians.of(name, workload, "peak_bytes") / MEBIBYTE
        memory.append(bars.Bar([(style_of(BY_NAME[name]), peak)], number(peak, 2)))
    panels = [
        bars.Panel(f"CPU in {workload}", "seconds", cpu, legend=legend),
        bars.Panel(f"Peak memory of the consumer in {workload}", "MiB", memory),
    ]
    subtitle = "CPU of consumer, of the backend that feeds it, and of Redis, while the backlog is drained."
    svg = bars.draw("What it costs", subtitle, rows, panels, f"Medians. {conditions}")
    return Picture("drain-cost", f"CPU and memory of each contender in {workload}", svg)


def targets(runs):
    """Of drains; runs with fewer changes than the targets are about meet none."""
    changes = {workload.name: workload.rows for workload in WORKLOADS}
    medians = Medians([run for run in runs if run.rows == changes[run.workload]])

    def against(other, limits, own="cdcd"):
        title = BY_NAME[other].title
        for workload, limit in limits.items():
            is_doubtful = medians.is_disturbed((own, other), workload)
            ratio = medians.ratio(own, other, workload)
            yield Target(f"{workload} against {title}", ratio, limit, is_doubtful=is_doubtful)

    yield from against("gulping-reader", {"W1": 1.15, "W2": 1.6, "W3": 1.15})
    yield from against("pg_recvlogical", {"W1": 0.6, "W2": 0.85, "W3": 1.1})
    yield from debezium_targets(medians)
    for script in SCRIPTS:
        yield from script_targets(medians, script)
    limits = {"W1": 1.1, "W2": 1.1, "W3": 1.1}
    for target in against("pg_recvlogical-wal2json", limits, own="cdcd-wal2json"):
        target.what = f"wal2json: {target.what}"
        yield target
    for workload in WORKLOADS:
        runs = medians.runs("cdcd-notify", workload.name)
        rate = median(run.rows / run.seconds for run in runs) if runs else None
        is_doubtful = medians.is_disturbed(["cdcd-notify"], workload.name)
        yield Target(
            f"notify: {workload.name}", rate, 30_000, "changes/s", at_least=True, is_doubtful=is_doubtful
        )
    for own in ("cdcd", "cdcd-wal2json", "cdcd-notify"):
        peak = medians.of(own, "W3", "peak_bytes")
        yield Target(f"{own}: peak memory in W3", peak and peak / MEBIBYTE, PEAK_LIMIT_MIB, "MiB")
    for target in against("narrow-reader", {"W1": 1.15, "W2": 1.6, "W3": 1.15}):
        target.what = f"further: {target.what}"
        yield target
    for script in SCRIPTS_IN_GULPS:
        for target in script_targets(medians, script):
            target.what = f"further: {target.what}"
            yield target


def script_targets(medians, script):
    title = BY_NAME[script].title
    for field, limit, what in (("seconds", 1, "time"), ("consumer_cpu_seconds", 0.2, "CPU")):
        value, workload = medians.worst("cdcd", script, field)
        is_doubtful = medians.is_disturbed(("cdcd", script), workload)
        yield Target(f"{what} against {title}{worst_of(workload)}", value, limit, is_doubtful=is_doubtful)


def worst_of(workload):
    return f", worst: {workload}" if workload else ""


def debezium_targets(medians):
    for workload, limit in {"W1": 4.5, "W2": 4.5, "W3": 2.4}.items():
        value = medians.ratio(DEBEZIUM, "cdcd", workload)
        is_doubtful = medians.is_disturbed(("cdcd", DEBEZIUM), workload)
        yield Target(
            f"{workload}: faster than Debezium", value, limit, at_least=True, is_doubtful=is_doubtful
        )
    for field, limit, what in (("consumer_cpu_seconds", 1 / 20, "CPU"), ("peak_bytes", 1 / 15, "memory")):
        value, workload = medians.worst("cdcd", DEBEZIUM, field)
        is_doubtful = medians.is_disturbed(("cdcd", DEBEZIUM), workload)
        yield Target(f"{what} against Debezium{worst_of(workload)}", value, limit, is_doubtful=is_doubtful)


def runs_of(results):
    return [Run(**run) for run in results["runs"]]
