"""Waiting for something to become true, and never for ever."""

import time


class LabFailure(Exception):
    """The lab could not measure; nothing is said about the remedy."""


def holds_within(condition, seconds):
    """Whether `condition()` became true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def wait_until(condition, what, seconds=20):
    if not holds_within(condition, seconds):
        raise LabFailure(f"not within {seconds} s: {what}")


def join(processes, what, accepted, seconds=30):
    """Waits for the end of child processes, whose exit codes must be among the accepted ones."""
    deadline = time.monotonic() + seconds
    for process in processes:
        process.join(max(0.1, deadline - time.monotonic()))
        if process.exitcode is None:
            raise LabFailure(f"a {what} did not end within {seconds} s")
        if process.exitcode not in accepted:
            raise LabFailure(f"a {what} ended with {process.exitcode}")
