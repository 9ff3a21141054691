"""What the latency scenario stands on: the schedule, the listener, and what is made of their times."""

import subprocess
import threading
import time
import unittest
from array import array
from urllib.parse import urlparse

import redis

import children
import real_servers
from commit_writers import Commits, CommitWriters
from deletion_listener import DeletionListener, NamesOfChannel, events
from failure import BenchmarkFailure
from scaling_experiments import PROXY
from scenarios import latency
from scenarios.drain import clear
from workloads import fill_cache, key_of, make_table

COMMITS = 200
RATE = 400


def event(row):
    key = key_of(row)
    return f"*3\r\n$7\r\nmessage\r\n$18\r\n__keyevent@0__:del\r\n${len(key)}\r\n{key}\r\n".encode()


class Events(unittest.TestCase):
    def test_an_event_has_the_time_of_the_read_that_ended_it(self):
        first, second, third = event(7), event(8), event(9)
        reads = [first + second[:20], second[20:-1], second[-1:] + third]
        rows, times = events(reads, array("q", [100, 200, 300]))
        self.assertEqual(list(zip(rows, times)), [(7, 100), (8, 300), (9, 300)])

    def test_other_keys_are_no_rows(self):
        text = event(7).replace(b"users:7", b"pages:7")
        self.assertEqual(list(events([text], array("q", [100]))[0]), [])


    def test_a_name_that_reads_have_cut_counts_once(self):
        text = event(7) + event(8)
        for size in range(1, len(text) + 1):
            names = NamesOfChannel()
            for start in range(0, len(text), size):
                names.read(text[start : start + size])
            self.assertEqual(names.seen, 2, size)


class Numbers(unittest.TestCase):
    def commits(self, returned):
        return Commits(array("q", returned), array("q", returned), array("q", returned), array("q", returned), 0.0)

    def test_percentiles_are_of_what_was_not_skipped(self):
        returned = [1_000_000 * number for number in range(12)]
        gone = {number + 1: time + (10**9 if number < 2 else 2_000_000) for number, time in enumerate(returned)}
        told = latency.percentiles(self.commits(returned), gone, skipped=2)
        self.assertAlmostEqual(latency.at(told, 99), 2, places=2)
        self.assertAlmostEqual(told["max_ms"], 2, places=2)

    def test_gone_before_the_return_is_counted_and_no_latency(self):
        told = latency.percentiles(self.commits([1000, 2000]), {1: 900, 2: 1_002_000}, skipped=0)
        self.assertEqual(told["gone_before_return"], 1)
        self.assertLess(latency.at(told, 50), 0.001)

    def test_a_key_that_stays_is_no_result(self):
        with self.assertRaisesRegex(BenchmarkFailure, "row 2 was not deleted"):
            latency.percentiles(self.commits([1000, 2000]), {1: 1500}, skipped=0)


    def run_of(self, contender, **fields):
        measured = {"commits": 500 * latency.SECONDS, "commits_per_second": 500.0, "late_p99_ms": 0.1, "bystanders": 0.0, **fields}
        return {"contender": contender, "rate": 500, "percentiles": [[p, 1.0] for p in latency.PERCENTILES], **measured}

    def targets(self, **fields):
        runs = [self.run_of(name, **fields) for name in (latency.FLOOR, "cdcd", "cdcd-wal2json", "cdcd-notify")]
        return list(latency.targets(latency.medians({"runs": runs}, 500), 500))

    def test_a_schedule_that_was_not_kept_meets_nothing(self):
        self.assertEqual({target.is_met for target in self.targets()}, {True})
        self.assertEqual({target.is_met for target in self.targets(commits_per_second=450.0)}, {None})
        self.assertEqual({target.is_met for target in self.targets(commits=1000)}, {None})
        self.assertEqual({target.is_met for target in self.targets(late_p99_ms=5.0)}, {None})

    def test_disturbed_runs_make_targets_doubtful(self):
        self.assertEqual({target.is_doubtful for target in self.targets()}, {False})
        self.assertEqual({target.is_doubtful for target in self.targets(bystanders=0.5)}, {True})


class RealServers(real_servers.RealServers):
    def test_the_schedule_waits_for_nobody(self):
        """A lock holds up the writers; their commits come late, and the times at which they were due do not move."""
        clear(self.servers)
        make_table(self.servers, COMMITS)
        writers = CommitWriters(self.place.addresses, 4, RATE, COMMITS)
        self.servers.sql("BEGIN")
        self.servers.sql("LOCK TABLE users IN EXCLUSIVE MODE")
        unlock = threading.Timer(0.5, self.servers.sql, ["COMMIT"])
        unlock.start()
        try:
            commits = writers.write()
        finally:
            unlock.join()
            writers.close()
        gaps = {later - sooner for sooner, later in zip(commits.due, commits.due[1:])}
        self.assertEqual(gaps, {10**9 // RATE})
        self.assertGreater(commits.lateness()[-1], 50_000_000)
        self.assertEqual(self.servers.value("SELECT count(*) FROM users WHERE balance = 1"), COMMITS)

    def test_the_floor_is_seen_whole(self):
        latency.go_live(self.place, None, COMMITS)
        listener = DeletionListener(self.servers, self.place.addresses)
        writers = CommitWriters(self.place.addresses, 2, RATE, COMMITS, deletes_keys=True)
        try:
            commits = writers.write()
            gone = listener.deleted_at(COMMITS, 5)
        finally:
            writers.close()
            listener.close()
        self.assertEqual(sorted(gone), list(range(1, COMMITS + 1)))
        for number, returned in enumerate(commits.returned):
            self.assertGreater(gone[number + 1], returned)
            self.assertGreater(commits.answered[number], returned)
        self.assertEqual(self.servers.redis.config_get("notify-keyspace-events")["notify-keyspace-events"], "")

    def test_a_contender_that_forgets_keys_is_no_result(self):
        fill_cache(self.servers, 1)
        listener = DeletionListener(self.servers, self.place.addresses)
        try:
            self.servers.redis.delete(key_of(1))
            with self.assertRaisesRegex(BenchmarkFailure, "1 of 2 keys were gone"):
                listener.deleted_at(2, 0.5)
        finally:
            listener.close()

    def test_the_proxy_makes_the_way_longer_and_not_narrower(self):
        address = urlparse(self.place.addresses.redis)
        command = [self.place.python, PROXY, address.hostname, address.port, 20]
        proxy = children.start(command, self.place.folder / "proxy.log", stdout=subprocess.PIPE)
        self.addCleanup(proxy.stdout.close)
        self.addCleanup(children.stop, proxy)
        client = redis.Redis(port=int(proxy.stdout.readline()))
        self.addCleanup(client.close)
        client.ping()
        started = time.monotonic()
        client.ping()
        self.assertTrue(0.02 <= time.monotonic() - started < 0.06)
        pipeline = client.pipeline(transaction=False)
        for _ in range(200):
            pipeline.echo("x" * 10_000)
        started = time.monotonic()
        pipeline.execute()
        # One after the other they would take 4 s.
        self.assertLess(time.monotonic() - started, 0.5)


if __name__ == "__main__":
    unittest.main()
