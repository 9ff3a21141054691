"""What processes are said to use."""

import os
import subprocess
import sys
import time
import unittest

import meter
from failure import wait_until

SPIN = "import time\nend = time.monotonic() + 0.3\nwhile time.monotonic() < end: pass"


def start(code):
    return subprocess.Popen([sys.executable, "-c", code])


class CPU(unittest.TestCase):
    def test_it_is_known_until_the_process_has_been_waited_for(self):
        process = start(SPIN)
        wait_until(lambda: meter.stat_fields(process.pid)[0] == b"Z", "it has ended")
        self.assertTrue(0.1 < meter.cpu_seconds(process.pid) < 0.5)
        process.wait()
        self.assertEqual(meter.cpu_seconds(process.pid), 0)

    def test_it_is_finer_than_a_tick(self):
        used = [meter.cpu_seconds(os.getpid()) for _ in range(100)]
        self.assertEqual(len(set(used)), 100)


class Bystanders(unittest.TestCase):
    def seconds_beside(self, code):
        bystanders = meter.Bystanders([])
        began = time.monotonic()
        process = start(code)
        time.sleep(0.5)
        process.wait()
        return bystanders.share() * (time.monotonic() - began)

    def test_children_are_ours_and_others_are_not(self):
        # Its parent is gone at once, so that it is init's, also when it has ended.
        others = f"import os\nif os.fork(): os._exit(0)\n{SPIN}"
        quiet = self.seconds_beside(SPIN)
        self.assertGreater(self.seconds_beside(others) - quiet, 0.15)


if __name__ == "__main__":
    unittest.main()
