"""What runs besides the application: a consumer written in Python, or cdcd with a probe of its promises."""

import os
import signal
import subprocess
import time
from array import array
from pathlib import Path

import psycopg2

from loopback import free_port, http_status
from waiting import LabFailure, wait_until
from workload import obey_the_lab


def run_consumer(remedy, lab, ready):
    obey_the_lab()
    remedy.consume(lab, ready)


class CDCD:
    """A daemon that deletes item:{id} when a row of public.items changes. Starting returns when it is ready."""

    def __init__(self, settings, folder, leases, rule):
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._configuration = Path(folder) / "rules.yaml"
        self._configuration.write_text(rules(settings, port, leases, rule))
        self._log_path = Path(folder) / "cdcd.log"
        self._log = open(self._log_path, "wb")
        self._binary = settings.cdcd
        if self._start("setup").wait() != 0:
            raise LabFailure("cdcd setup failed:\n" + self.last_lines())
        self._process = self._start("run")
        self.pid = self._process.pid
        try:
            wait_until(self._is_ready, "cdcd is ready")
        except BaseException:
            self.stop()
            raise

    def _start(self, command):
        return subprocess.Popen(
            [self._binary, command, "--config", self._configuration],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            preexec_fn=obey_the_lab,
        )

    def _is_ready(self):
        if self._process.poll() is not None:
            raise LabFailure("cdcd has ended:\n" + self.last_lines())
        return http_status(f"{self.url}/readyz") == 200

    def wait_settled(self, position, seconds):
        status = http_status(f"{self.url}/wait?lsn={position}&timeout={seconds}s", seconds + 5)
        if status != 200:
            raise LabFailure(f"cdcd answered {status} to a wait for {position}:\n" + self.last_lines())

    def last_lines(self):
        return "\n".join(self._log_path.read_text().splitlines()[-20:])

    def stop(self):
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()


def rules(settings, port, leases, rule):
    return f"""\
source:
  postgres: {settings.postgres_url}
redis:
  url: {settings.redis_url}
  leases: {str(leases).lower()}
http:
  listen: 127.0.0.1:{port}
rules:
  - table: public.items
    keys: ["item:{{id}}"]
    {rule}
"""


def probe_settled(settings, url, stop, folder):
    """Asks cdcd again and again whether it has settled everything up to now, and logs when it said yes."""
    obey_the_lab()
    database = psycopg2.connect(settings.postgres_url)
    database.autocommit = True
    cursor = database.cursor()
    answers = array("q")
    while not stop.is_set():
        asked_at = time.monotonic_ns()
        cursor.execute("SELECT pg_current_wal_insert_lsn()")
        (position,) = cursor.fetchone()
        if http_status(f"{url}/wait?lsn={position}&timeout=5s", 10) == 200:
            answers.extend((asked_at, time.monotonic_ns()))
        stop.wait(0.2)
    (Path(folder) / "settled").write_bytes(answers.tobytes())


class CPUMeter:
    """Seconds of CPU that processes took since the meter was made, also of those that come and go meanwhile, as far
    as `sample` saw them."""

    def __init__(self, pids):
        self._before = {pid: cpu_seconds(pid) for pid in pids}
        self._last = dict(self._before)

    def sample(self, pids):
        for pid in pids:
            self._last[pid] = max(cpu_seconds(pid), self._last.get(pid, 0.0))

    @property
    def seconds(self):
        return sum(self._last.values()) - sum(self._before.values())


def cpu_seconds(pid):
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    user_and_system = int(fields[11]) + int(fields[12])
    return user_and_system / os.sysconf("SC_CLK_TCK")
