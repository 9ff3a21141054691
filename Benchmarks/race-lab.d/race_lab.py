"""The command line of the race lab; Benchmarks/race-lab starts the servers and runs this."""

import argparse
import dataclasses
import json
import os
import platform
import re
import sys
import time
from pathlib import Path

import chart
import report
from command_line import names_of
from judge import ImpossibleHistory
from lab import Lab, Settings
from measures import Measures
from remedies import BY_NAME
from waiting import LabFailure

ROOT = Path(__file__).resolve().parents[2]
KEPT_RESULTS = ROOT / "Benchmarks/results"
README = ROOT / "README.md"
README_BEGIN = "<!-- race-lab: made by Benchmarks/race-lab --update-readme -->\n"
README_END = "<!-- /race-lab -->"
FULL_SECONDS = 32
QUICK_SECONDS = 3
LOOK_AT_MACHINE_SECONDS = 3


def main():
    arguments = parse_arguments()
    if arguments.redraw:
        run, results = load(KEPT_RESULTS)
    else:
        run, results = measure(arguments)
    print(report.terminal_table(results))
    print()
    print(report.explanation(results))
    print(report.conditions(run))
    folder = arguments.results or (KEPT_RESULTS if is_complete(arguments) else ROOT / ".build-race-lab/results")
    save(folder, run, results)
    print(f"Written to {folder}: race-lab.json, race-lab.svg")
    if arguments.update_readme:
        update_readme(run, results)
    return judge_the_promise(results)


def is_complete(arguments):
    return not (arguments.quick or arguments.only or arguments.seconds)


def measure(arguments):
    settings = Settings(
        postgres_url=os.environ["RACE_LAB_POSTGRES"],
        redis_url=os.environ["RACE_LAB_REDIS"],
        cdcd=os.environ["RACE_LAB_CDCD"],
        seconds=arguments.seconds or (QUICK_SECONDS if arguments.quick else FULL_SECONDS),
        readers=arguments.readers,
        writers=arguments.writers,
        reads_per_second=arguments.reads_per_second,
        writes_per_second=arguments.writes_per_second,
        rows=arguments.rows,
        seed=arguments.seed,
        pauses=arguments.pauses,
    )
    lab = Lab(settings)
    remedies = [BY_NAME[name] for name in arguments.only or BY_NAME]
    run = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": machine(),
        "servers": servers(lab),
        "cpu_taken_by_others": cpu_in_use(LOOK_AT_MACHINE_SECONDS),
        **{name: getattr(settings, name) for name in ("seconds", "readers", "writers", "rows", "seed")},
    }
    if report.is_busy(run):
        print("This machine is busy: its numbers tell little of what the remedies cost.", file=sys.stderr)
    results = []
    for number, remedy in enumerate(remedies, 1):
        print(f"{number:3}/{len(remedies)}  {remedy.title}", file=sys.stderr, flush=True)
        results.append(lab.measure(remedy()))
    return run, results


def machine():
    model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    name = re.sub(r"\((R|TM)\)| CPU| @.*", "", model[1]) if model else platform.machine()
    return f"{os.cpu_count()} cores of {name}"


def cpu_in_use(seconds):
    """The share of all cores, 0 to 1, that is in use now: the load average still has the build of a minute ago."""

    def idle_and_all():
        times = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
        return times[3] + times[4], sum(times)

    idle_before, all_before = idle_and_all()
    time.sleep(seconds)
    idle_after, all_after = idle_and_all()
    return round(1 - (idle_after - idle_before) / (all_after - all_before), 2)


def servers(lab):
    ((postgres,),) = lab.sql("SHOW server_version")
    return f"PostgreSQL {postgres.split()[0]}, Redis {lab.redis_version()}"


def save(folder, run, results):
    folder.mkdir(parents=True, exist_ok=True)
    document = {"run": run, "results": [dataclasses.asdict(measures) for measures in results]}
    (folder / "race-lab.json").write_text(json.dumps(document, indent=1) + "\n")
    (folder / "race-lab.svg").write_text(chart.svg(results, report.conditions(run)))


def load(folder):
    file = folder / "race-lab.json"
    if not file.exists():
        raise LabFailure(f"there is no {file}: no complete run yet")
    document = json.loads(file.read_text())
    return document["run"], [Measures(**measures) for measures in document["results"]]


def update_readme(run, results):
    before, begin, rest = README.read_text().partition(README_BEGIN)
    _, end, after = rest.partition(README_END)
    if not (begin and end):
        raise LabFailure(f"README.md has no part between {README_BEGIN.strip()} and {README_END}")
    image = "![Stale hits, keys left wrong and queries, for each remedy](Benchmarks/results/race-lab.svg)"
    part = f"{image}\n\n{report.markdown_table(results)}\n\nMeasured {report.conditions(run)}.\n"
    README.write_text(before + begin + part + end + after)
    print(f"Written to {README}")


def judge_the_promise(results):
    """The exit status: what cdcd promises to readers with leases must hold in any run."""
    broken = [m for m in results if m.name == "cdcd-leases" and (m.broken_promises or m.wrong_at_rest)]
    for measures in broken:
        print(
            f"cdcd broke its promise: {measures.wrong_at_rest} keys wrong at rest, {measures.broken_promises} hits"
            f" older than the settled watermark, the first: {measures.first_broken_promise}",
            file=sys.stderr,
        )
    return 1 if broken else 0


def parse_arguments():
    names = ", ".join(BY_NAME)
    parser = argparse.ArgumentParser(prog="Benchmarks/race-lab", epilog="With --check alone it runs its own tests.")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_SECONDS} s of load each, not {FULL_SECONDS}")
    parser.add_argument("--only", type=names_of(BY_NAME, "remedy"), metavar="NAME,...", help=f"of {names}")
    parser.add_argument("--seconds", type=float, help="of load for each remedy")
    parser.add_argument("--readers", type=int, default=8)
    parser.add_argument("--writers", type=int, default=8)
    parser.add_argument(
        "--reads-per-second", type=float, default=2400, help="of all readers, when nothing slows them"
    )
    parser.add_argument(
        "--writes-per-second", type=float, default=240, help="of all writers, when nothing slows them"
    )
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--pauses", type=float, default=1, help="how many times the usual pauses between database and cache"
    )
    parser.add_argument("--results", type=Path, metavar="FOLDER", help="where JSON and SVG go")
    parser.add_argument(
        "--update-readme", action="store_true", help="puts table and chart of this run into README.md"
    )
    parser.add_argument("--redraw", action="store_true", help="measures nothing, uses Benchmarks/results again")
    arguments = parser.parse_args()
    if arguments.update_readme and not is_complete(arguments):
        parser.error("README.md gets complete runs only: --update-readme goes without --quick, --only and --seconds")
    return arguments


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (LabFailure, ImpossibleHistory) as failure:
        print(f"race-lab: {failure}", file=sys.stderr)
        sys.exit(1)
