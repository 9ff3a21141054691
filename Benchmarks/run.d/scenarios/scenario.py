"""What benchmark.py has to know of a scenario: a file in this folder holds one."""

import sys
from dataclasses import dataclass, field

from contenders.contender import Place
from failure import FAILURES, words_of


@dataclass
class Options:
    """What the command line asks for."""

    quick: bool = False
    # Names of contenders; None for all that fit.
    only: list | None = None
    # How often each contender runs; None for what the scenario thinks right.
    runs: int | None = None
    # Of the changes of each workload; None for what the scenario thinks right.
    scale: float | None = None
    # Names of workloads; None for all.
    workloads: list | None = None

    @property
    def is_complete(self):
        return not (self.quick or self.only or self.runs or self.scale or self.workloads)

    @property
    def attempts(self):
        """How often a run that somebody disturbed may be made."""
        return 1 if self.quick else 3

    def wants(self, contender):
        return self.only is None or contender.name in self.only


@dataclass
class Target:
    """Something to be reached. `value` is None where this run did not measure it."""

    what: str
    value: float | None
    limit: float
    unit: str = "x"
    at_least: bool = False
    # Others used the machine meanwhile.
    is_doubtful: bool = False

    @property
    def is_met(self):
        """None when it was not measured."""
        if self.value is None:
            return None
        return self.value >= self.limit if self.at_least else self.value <= self.limit


@dataclass
class Picture:
    """A chart: its file's name without the end, what it says to those who cannot see it, and the SVG."""

    name: str
    description: str
    svg: str


@dataclass
class Report:
    """What a scenario says of its results. Tables are in Markdown. `errors`: why there is no result of a run."""

    tables: list = field(default_factory=list)
    pictures: list = field(default_factory=list)
    targets: list = field(default_factory=list)
    errors: list = field(default_factory=list)
    # One line for below the tables.
    conditions: str = ""


class Scenario:
    name: str
    title: str
    # A paragraph that stands above its tables.
    explanation = ""
    # Whether its first picture and its first table belong on the front page.
    is_headline = False

    def measure(self, place: Place, options: Options):
        """Runs it all; returns what JSON can hold."""
        raise NotImplementedError

    def report(self, results, conditions) -> Report:
        """Of what `measure` returned, now or long ago. `conditions`: one line for below the pictures."""
        raise NotImplementedError


class Runs:
    """Runs one after the other; one that fails leaves its error, and those after it go on."""

    def __init__(self):
        self.errors = []

    def attempt(self, make_run, name):
        """What `make_run` returns; None when it failed. `name`: what it is, for the error."""
        try:
            return make_run()
        except FAILURES as failure:
            tell(f"{name}  {words_of(failure)}")
            self.errors.append(f"{name}: {words_of(failure)}")
            return None


def with_disturbed(conditions, disturbed):
    """Says beside how many of the runs others used the machine. `disturbed`: a truth for each run."""
    disturbed = list(disturbed)
    if not any(disturbed):
        return conditions
    return f"{conditions}; others used the machine beside {sum(disturbed)} of {len(disturbed)} runs"


def tell(text):
    """Progress, for who sits before it."""
    print(text, file=sys.stderr, flush=True)
