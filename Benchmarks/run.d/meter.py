"""What processes cost, from /proc: CPU, memory, context switches; and what the whole machine did meanwhile."""

import os
import re
import time
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
# What clock_getcpuclockid(3) makes of a pid: the clock of a process that the scheduler keeps.
SCHEDULER_CLOCK = 2


def cpu_seconds(pid):
    """User and system time of all its threads, also of those that have ended, to the nanosecond; 0 when there is no such
    process."""
    try:
        return time.clock_gettime(~pid << 3 | SCHEDULER_CLOCK)
    except OSError:
        return 0.0


def stat_fields(pid):
    """/proc/PID/stat from the state on; None when there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None


def status_fields(pid):
    """/proc/PID/status as a dictionary of integers; empty when the process has ended."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return {}
    return {name: int(number) for name, number in re.findall(r"^(\w+):\s+(\d+)", text, re.M)}


def resident_bytes(pid):
    return status_fields(pid).get("VmRSS", 0) * 1024


def peak_resident_bytes(pid):
    """Since the process began."""
    return status_fields(pid).get("VmHWM", 0) * 1024


def context_switches(pid):
    """Voluntary and involuntary ones of all threads that it has now."""
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return 0, 0
    fields = [status_fields(f"{pid}/task/{thread}") for thread in threads]
    return tuple(
        sum(each.get(f"{kind}_ctxt_switches", 0) for each in fields) for kind in ("voluntary", "nonvoluntary")
    )


class Meter:
    """What one process uses from now on, or since its birth. `sample` has to be called now and then where the process
    may end, since the kernel forgets it."""

    def __init__(self, pid, since_birth=False):
        self.pid = pid
        self._cpu_before = self._cpu = 0.0 if since_birth else cpu_seconds(pid)
        self._switches_before = self._switches = (0, 0) if since_birth else context_switches(pid)
        # Since the process began.
        self.peak_bytes = 0
        self.sample_all()

    def sample(self):
        self._cpu = max(self._cpu, cpu_seconds(self.pid))

    def sample_all(self):
        """Memory and switches as well, which costs a little more."""
        self.sample()
        self.peak_bytes = max(self.peak_bytes, peak_resident_bytes(self.pid))
        self._switches = tuple(map(max, self._switches, context_switches(self.pid)))

    @property
    def cpu_seconds(self):
        return self._cpu - self._cpu_before

    @property
    def switches(self):
        """Voluntary and involuntary."""
        return tuple(now - before for now, before in zip(self._switches, self._switches_before))


def stolen_seconds():
    """Of all cores since boot: what the host's other guests used."""
    return int(Path("/proc/stat").read_text().split("\n", 1)[0].split()[8]) / TICKS_PER_SECOND


# Its children are the kernel's own threads.
KTHREADD = 2


class Bystanders:
    """What anybody else used of the machine: neither the processes given, nor their children, nor this one, nor the kernel,
    which writes to disk what decoding spills. Asked of each process, since the machine's sums cannot tell whose packets an
    interrupt has handled."""

    def __init__(self, pids):
        self._parents = {os.getpid(), KTHREADD, *pids}
        self._used_before, self._began = self._used(), time.monotonic()

    def _used(self):
        """CPU seconds since boot. What a process has used is its parent's when that has waited for it."""
        ticks = 0
        for name in os.listdir("/proc"):
            fields = stat_fields(name) if name.isdigit() else None
            if fields and not self._parents & {int(name), int(fields[1])}:
                ticks += sum(map(int, fields[11:15]))
        return ticks / TICKS_PER_SECOND + stolen_seconds()

    def share(self):
        """Of one core, since the making; 0.1 is a tenth of it."""
        return max(0.0, self._used() - self._used_before) / (time.monotonic() - self._began)


def machine():
    """Words for the conditions of a run."""
    model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    name = re.sub(r"\((R|TM)\)| CPU| @.*", "", model[1]) if model else os.uname().machine
    # What it lets be under way decides how many messages of a walsender share a packet.
    congestion = Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip()
    return f"{os.cpu_count()} cores of {name}, TCP with {congestion}"
