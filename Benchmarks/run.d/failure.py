"""What goes wrong in a benchmark, and waiting that never lasts for ever."""

import time


class BenchmarkFailure(Exception):
    """Nothing could be measured, or a contender did not do its work: there is no number."""


def wait_until(condition, what, seconds=30, pause=0.005):
    """Waits until `condition()` is true, and returns what it returned."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise BenchmarkFailure(f"not within {seconds} s: {what}")
        time.sleep(pause)
    return answer
