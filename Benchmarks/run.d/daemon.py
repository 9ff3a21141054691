"""cdcd: its file, its set-up, and its process."""

import urllib.request

import children
from failure import BenchmarkFailure, wait_until
from loopback import free_port, http_status

USERS_RULE = """\
  - table: public.users
    keys: ["users:{id}"]
"""


def configuration(addresses, port, mode="pgoutput", slot="cdcd", rules=USERS_RULE, source="", redis=""):
    """rules.yaml with everything as it comes: barrier, leases, watermark and `retain`. `source`, `redis`: lines to add
    there."""
    slot_line = "" if mode == "notify" else f"  slot: {slot}\n"
    return (
        f"source:\n  postgres: {addresses.postgres}\n  mode: {mode}\n{slot_line}{source}"
        f"redis:\n  url: {addresses.redis}\n{redis}"
        f"http:\n  listen: 127.0.0.1:{port}\n"
        f"rules:\n{rules}"
    )


class Daemon:
    """One configuration of cdcd, which is set up once and may be started many times."""

    def __init__(self, binary, folder, name, addresses, **options):
        """`options`: those of `configuration`."""
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self.configuration_path = folder / f"{name}.yaml"
        self.configuration_path.write_text(configuration(addresses, self._port, **options))
        self.log = folder / f"{name}.log"
        self._binary = binary
        self.process = None

    def set_up(self):
        if self._start("setup").wait() != 0:
            raise BenchmarkFailure("cdcd setup failed:\n" + children.last_lines(self.log))

    def start(self):
        """Returns at once; the process is in `process`."""
        self.process = self._start("run")
        return self.process

    def _start(self, command):
        return children.start([self._binary, command, "--config", self.configuration_path], self.log)

    def wait_ready(self, seconds=30):
        def is_ready():
            if self.process.poll() is not None:
                raise BenchmarkFailure("cdcd has ended:\n" + children.last_lines(self.log))
            return http_status(f"{self.url}/readyz") == 200

        wait_until(is_ready, "cdcd is ready", seconds)

    def wait_settled(self, position, seconds=60, times=1):
        """Returns when everything up to the position is out of the cache and the watermark covers it. Asks so many
        `times`, since `/wait` does not wait for more than a minute."""
        for _ in range(times):
            status = http_status(f"{self.url}/wait?lsn={position}&timeout={seconds}s", seconds + 5)
            if status == 200:
                return
        text = f"cdcd answered {status} to a wait for {position}:\n"
        raise BenchmarkFailure(text + children.last_lines(self.log))

    def metrics(self):
        """The sum of each metric over its labels, by name."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        sums = {}
        for line in lines:
            if line and not line.startswith("#"):
                sample, _, number = line.rpartition(" ")
                name = sample.partition("{")[0]
                sums[name] = sums.get(name, 0.0) + float(number)
        return sums

    def stop(self):
        if self.process:
            children.stop(self.process)
            self.process = None
