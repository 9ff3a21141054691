"""What processes cost, from /proc: CPU, memory, context switches; and what the whole machine did meanwhile."""

import os
import re
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid):
    """User and system time of all its threads, also of those that have ended; 0 when there is no such process."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


def parent(pid):
    try:
        return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[1])
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


def machine_cpu_seconds():
    """Of all cores since boot: what processes and the host's other guests used, and all that there was. What interrupts
    take is nobody's: with TCP on loopback it is a part of the work that is measured."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    user, nice, system, idle, waiting, interrupts, soft_interrupts, stolen = (int(field) for field in fields)
    used = user + nice + system + stolen
    return used / TICKS_PER_SECOND, (used + idle + waiting + interrupts + soft_interrupts) / TICKS_PER_SECOND


# Its children are the kernel's own threads.
KTHREADD = 2


class Bystanders:
    """The share of the machine that anybody else used: neither the processes given, nor their children, nor this one,
    nor the kernel, which writes to disk what decoding spills."""

    def __init__(self, pids):
        self._parents = {os.getpid(), KTHREADD, *pids}
        self._machine_before = machine_cpu_seconds()
        self._own_before = self._own()

    def _own(self):
        """CPU seconds of each process that is ours, by pid."""
        processes = [int(name) for name in os.listdir("/proc") if name.isdigit()]
        ours = (pid for pid in processes if pid in self._parents or parent(pid) in self._parents)
        return {pid: cpu_seconds(pid) for pid in ours}

    def share(self, ended=0.0):
        """0 to 1, of all cores. `ended`: CPU seconds of own processes that have ended meanwhile."""
        used, whole = (after - before for before, after in zip(self._machine_before, machine_cpu_seconds()))
        own = sum(seconds - self._own_before.get(pid, 0.0) for pid, seconds in self._own().items())
        return max(0.0, (used - own - ended) / whole) if whole else 0.0


def machine():
    """Words for the conditions of a run."""
    model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    name = re.sub(r"\((R|TM)\)| CPU| @.*", "", model[1]) if model else os.uname().machine
    # What it lets be under way decides how many messages of a walsender share a packet.
    congestion = Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip()
    return f"{os.cpu_count()} cores of {name}, TCP with {congestion}"
