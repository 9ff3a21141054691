"""The command line of the benchmarks; Benchmarks/run starts the servers and runs this."""

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import report
from command_line import names_of
from contenders import BY_NAME as CONTENDERS
from contenders.contender import Place
from failure import FAILURES, BenchmarkFailure, words_of
from meter import machine
from scenarios import BY_NAME as SCENARIOS
from scenarios.scenario import Options, Report, tell
from servers import Servers
from workloads import WORKLOADS

ROOT = Path(__file__).resolve().parents[2]
KEPT_RESULTS = ROOT / "Benchmarks/results"
OTHER_RESULTS = ROOT / ".build-benchmarks/results"


def main():
    arguments = parse_arguments()
    options = arguments.options
    names = arguments.scenario or list(SCENARIOS)
    folder = arguments.results or (KEPT_RESULTS if options.is_complete else OTHER_RESULTS)
    if arguments.redraw:
        folder = KEPT_RESULTS
        names = [name for name in names if (folder / f"{name}.json").exists()]
        errors = []
    else:
        errors = measure(names, options, folder)
        names = [name for name in names if name not in errors]
        errors = list(errors.values())
    parts = [present(SCENARIOS[name], folder) for name in names]
    for scenario, run, told in parts:
        print(markdown(scenario, run, told), end="\n\n")
    print(report.targets_table([target for _, _, told in parts for target in told.targets]))
    errors += [error for _, _, told in parts for error in told.errors]
    for error in errors:
        print(f"no result: {error}", file=sys.stderr)
    draw([part for part in parts if not part[-1].errors or folder != KEPT_RESULTS], folder)
    tell(f"Written to {folder}")
    if errors:
        return 1
    if arguments.update_readme:
        update_readme(parts)


def measure(names, options, folder):
    """Each scenario leaves its file as soon as it has been measured. Returns the errors of those that could not be, by
    name; the others go on."""
    servers = Servers()
    binary = Path(os.environ["BENCHMARK_CDCD"]).absolute()
    run = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": machine(),
        "servers": servers.versions(),
        "cdcd": version(binary),
        "commit": os.environ["BENCHMARK_COMMIT"],
        "command": command_without_folder(sys.argv[1:]),
    }
    folder.mkdir(parents=True, exist_ok=True)
    errors = {}
    for name in names:
        scenario = SCENARIOS[name]
        tell(scenario.title)
        try:
            with tempfile.TemporaryDirectory(prefix=f"{name}-") as place:
                results = scenario.measure(Place(servers, binary, Path(place)), options)
        except FAILURES as failure:
            tell(f"{name}: {words_of(failure)}")
            errors[name] = f"{name}: {words_of(failure)}"
            continue
        document = {"run": run, "results": results}
        (folder / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n")
    return errors


def command_without_folder(words):
    """For whoever repeats it: the folder for the results is one of this machine."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--results")
    return shlex.join(["Benchmarks/run", *parser.parse_known_args(words)[1]])


def version(binary):
    """As "0.1.0 (b1533d9)", as far as it says so."""
    told = subprocess.run([binary, "--version"], capture_output=True, text=True)
    return told.stdout.strip().removeprefix("cdcd ")


def present(scenario, folder):
    """The scenario, its run and its report."""
    document = json.loads((folder / f"{scenario.name}.json").read_text())
    run = document["run"]
    return scenario, run, scenario.report(document["results"], report.conditions(run))


def draw(parts, folder):
    for _, _, told in parts:
        for picture in told.pictures:
            (folder / f"{picture.name}.svg").write_text(picture.svg)


def markdown(scenario, run, told, pictures=None):
    """Heading, explanation, pictures if there is a folder of them, tables and conditions."""
    parts = [f"### {scenario.title}", scenario.explanation]
    if pictures:
        parts += [f"![{picture.description}]({pictures}/{picture.name}.svg)" for picture in told.pictures]
    parts += told.tables
    parts.append(f"Measured {told.conditions or report.conditions(run)}.")
    return "\n\n".join(part for part in parts if part)


def update_readme(parts):
    """README has the first picture and table of what matters most, and the targets; the page of Benchmarks has all."""
    replace_part(ROOT / "Benchmarks/README.md", "contenders", contenders_list())
    check_complete(parts)
    targets = report.targets_table([target for _, _, told in parts for target in told.targets])
    headlines = [
        markdown(
            scenario, run, Report(told.tables[:1], told.pictures[:1], conditions=told.conditions), "Benchmarks/results"
        )
        for scenario, run, told in parts
        if scenario.is_headline
    ]
    replace_part(ROOT / "README.md", "benchmarks", "\n\n".join([*headlines, targets]))
    everything = [markdown(*part, pictures="results") for part in parts]
    replace_part(ROOT / "Benchmarks/README.md", "results", "\n\n".join([*everything, targets]))


def check_complete(parts):
    """What stands on the pages is of all scenarios, and of one cdcd."""
    missing = SCENARIOS.keys() - {scenario.name for scenario, _, _ in parts}
    if missing:
        names = ",".join(sorted(missing))
        raise BenchmarkFailure(f"README.md stays: nothing is known of {names}; Benchmarks/run --scenario {names}")
    by_commit = {}
    for scenario, run, _ in parts:
        by_commit.setdefault(run["commit"], []).append(scenario.name)
    if len(by_commit) > 1:
        told = "; ".join(f"{commit or 'CDCD_BINARY'}: {', '.join(names)}" for commit, names in by_commit.items())
        raise BenchmarkFailure(f"README.md stays: the scenarios are of different commits ({told}); measure those anew")


def contenders_list():
    return "\n".join(f"- **{each.title}** (`{each.name}`): {each.tuning}" for each in CONTENDERS.values())


def replace_part(file, name, text):
    """Of a Markdown file, between two comments that name the part."""
    begin, end = f"<!-- {name}: made by Benchmarks/run --update-readme -->\n", f"<!-- /{name} -->"
    before, begins, rest = file.read_text().partition(begin)
    _, ends, after = rest.partition(end)
    if not (begins and ends):
        raise BenchmarkFailure(f"{file} has no part between {begin.strip()} and {end}")
    file.write_text(before + begin + text + "\n" + end + after)
    tell(f"Written to {file}")


def parse_arguments():
    known = f"scenarios: {', '.join(SCENARIOS)}. Contenders: {', '.join(CONTENDERS)}."
    parser = argparse.ArgumentParser(
        prog="Benchmarks/run",
        description="cdcd and its peers on the same backlogs and under the same load: an hour, or with --quick 3 minutes."
        " Benchmarks/README.md tells what is measured.",
        epilog="With --check alone it runs its own tests. CDCD_BINARY=path takes that cdcd and builds nothing."
        f" W1 is 300,000 transactions of one row, W2 10,000 of 100, W3 one of 1,000,000. {known}",
    )
    parser.add_argument(
        "--quick", action="store_true", help="a tenth of the changes, one run each, no latency of peers"
    )
    parser.add_argument(
        "--scenario", type=names_of(SCENARIOS, "scenario"), metavar="NAME,...", help="all, otherwise"
    )
    parser.add_argument(
        "--only", type=names_of(CONTENDERS, "contender"), metavar="NAME,...", help="these contenders"
    )
    workloads = [workload.name for workload in WORKLOADS]
    parser.add_argument(
        "--workload", type=names_of(workloads, "workload"), metavar="NAME,...", help="of W1, W2, W3"
    )
    parser.add_argument("--runs", type=int, metavar="N", help="of each contender")
    parser.add_argument("--scale", type=float, metavar="SHARE", help="of the changes of each workload, as 0.1")
    parser.add_argument("--results", type=Path, metavar="FOLDER", help="where JSON and SVG go")
    parser.add_argument("--update-readme", action="store_true", help="puts a complete run into README.md")
    parser.add_argument("--redraw", action="store_true", help="measures nothing, uses Benchmarks/results again")
    arguments = parser.parse_args()
    arguments.options = Options(
        arguments.quick, arguments.only, arguments.runs, arguments.scale, arguments.workload
    )
    if arguments.update_readme and not (arguments.options.is_complete and not arguments.scenario):
        parser.error(
            "README.md gets complete runs of all scenarios only: --update-readme goes alone, or with --redraw"
        )
    return arguments


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BenchmarkFailure as failure:
        print(f"benchmarks: {failure}", file=sys.stderr)
        sys.exit(1)
