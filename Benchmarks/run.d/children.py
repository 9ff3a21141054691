"""Child processes: started so that they end with the harness, and ended by their own pid."""

import ctypes
import os
import signal
import subprocess

PR_SET_PDEATHSIG = 1
libc = ctypes.CDLL(None)


def obey_the_harness():
    """In the child: it ends with the harness, whatever happens to it, and leaves Ctrl-C to the harness."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def start(command, log, **options):
    """A process whose words go to the file `log`."""
    with open(log, "ab") as file:
        options = {"stdin": subprocess.DEVNULL, "stdout": file, "stderr": subprocess.STDOUT, **options}
        return subprocess.Popen([str(word) for word in command], preexec_fn=obey_the_harness, **options)


def stop(process, seconds=10):
    """SIGTERM, and SIGKILL when it is still there after `seconds`."""
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def exit_status(process):
    """None while it runs. Leaves the zombie, and with it what /proc knows of it, until `process.wait()`."""
    if process.returncode is not None:
        return process.returncode
    ended = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    if ended is None:
        return None
    return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status


def last_lines(log, count=20):
    with open(log, errors="replace") as file:
        return "\n".join(file.read().splitlines()[-count:])
