"""What the harness has to know of a contender: one file in this folder describes one, or a few of a kind."""

import sys
from dataclasses import dataclass
from pathlib import Path

import children
import servers as addresses
from failure import BenchmarkFailure
from servers import Servers

PEERS = Path(__file__).resolve().parents[1] / "peers"
# The publication of the table; `cdcd setup` makes it.
PUBLICATION = "cdcd"


@dataclass
class Place:
    """Where contenders run."""

    servers: Servers
    # Path of the binary.
    cdcd: str
    # For files and logs.
    folder: Path
    transport: str = addresses.TCP
    python: str = sys.executable

    @property
    def addresses(self):
        return self.servers.addresses(self.transport)


@dataclass(frozen=True)
class Backlog:
    """Positions in the WAL: where it begins, where the changes end, and where the marker's transaction ends."""

    base_slot: str
    changes_end: str
    end: str


class Contender:
    """The harness calls, for each backlog: `set_up`, `settle`; and for each run: `restore`, `start`, `wait_for_the_end`
    as often as it says no, `verify`, `stop`."""

    name: str
    title: str
    # What it is, and how it is tuned: a sentence or two for Benchmarks/README.md.
    tuning: str
    # Where its backlog is: "slot", "outbox" or "notifications".
    backlog = "slot"
    plugin = "pgoutput"
    # Names of workloads.WORKLOADS, or None for all.
    workloads = None
    # Whether it deletes keys. One that does has ended when the marker's key is gone, any other when its process has.
    deletes_keys = True
    # Whether it is cdcd or a peer; charts set it off.
    is_own = False
    # Whether its latency is measured, and for how long it is under load before.
    has_latency = True
    warm_up_seconds = 2

    def __init__(self, place):
        self.place = place
        self.process = None

    @classmethod
    def drains(cls, workload):
        return cls.workloads is None or workload.name in cls.workloads

    @property
    def slot(self):
        return f"drain_{self.name.replace('-', '_')}"

    @property
    def log(self):
        return self.place.folder / f"{self.name}.log"

    def set_up(self):
        """Once for each backlog, before the slot is made that every contender's is copied from."""

    def settle(self):
        """Then, before the changes are made."""

    def restore(self):
        """Before each run, when the slot has been copied and the cache is full."""

    def command(self, backlog):
        raise NotImplementedError

    def start(self, backlog):
        """Returns at once."""
        self.process = children.start(self.command(backlog), self.log)
        return self.process

    def has_ended(self, backlog):
        """Asked every few milliseconds: whether all its work is done, as far as the cache does not tell."""
        status = self.exit_status()
        if not self.deletes_keys:
            return status == 0
        if status is not None:
            raise BenchmarkFailure(f"{self.name} has ended by itself:\n{children.last_lines(self.log)}")
        return True

    def exit_status(self):
        status = children.exit_status(self.process)
        if status not in (None, 0):
            raise BenchmarkFailure(f"{self.name} ended with {status}:\n{children.last_lines(self.log)}")
        return status

    def finish(self, backlog):
        """Once all keys are gone: what belongs to its work besides. This is timed."""

    def verify(self, workload):
        """When the time has been taken: raises BenchmarkFailure if it did not do what it should."""

    def stop(self):
        """Ends the process; also called when a run failed."""
        if self.process:
            children.stop(self.process)
            self.process = None
