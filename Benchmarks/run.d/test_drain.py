"""The harness on real servers: every contender does its work, and one that does not gets no number."""

import tempfile
import unittest
import unittest.mock
from pathlib import Path

import psycopg2

import benchmark
import real_servers
from contenders import CONTENDERS
from contenders.contender import Contender
from contenders.pg_recvlogical import PgRecvlogical
from contenders.psycopg2_scripts import Psycopg2Pgoutput
from failure import BenchmarkFailure
from scenarios.drain import Drain, drain_slots
from scenarios.scenario import Options
from workloads import MARKER_ROW, W1, W2, WORKLOADS, key_of, scaled


class KeepsOneKey(Psycopg2Pgoutput):
    """Deletes all keys, and puts one back."""

    name = "keeps-one-key"

    def finish(self, backlog):
        self.place.servers.redis.set(key_of(1), "stale")


class SkipsTheBacklog(PgRecvlogical):
    """Reads on without an end, and deletes the marker's key alone."""

    name = "skips-the-backlog"
    deletes_keys = True

    def command(self, backlog):
        return [word for word in super().command(backlog) if not word.startswith("--endpos")]

    def start(self, backlog):
        self.place.servers.redis.delete(key_of(MARKER_ROW))
        return super().start(backlog)


class Fails(PgRecvlogical):
    name = "fails"
    options = {"proto_version": "1", "publication_names": "cdcd", "no_such_option": "1"}


class RealServers(real_servers.RealServers):
    def drain(self, contender: type[Contender], workload=W1):
        # cdcd's set-up makes no publication here, and the others need none that is set up.
        return [run() for run in drain_slots(self.place, [contender(self.place)], scaled(workload, 0.002), 1, 1)]

    def test_every_contender_drains_every_workload_that_it_knows(self):
        results = Drain().measure(self.place, Options(scale=0.004, runs=1))
        expected = sum(contender.drains(workload) for contender in CONTENDERS for workload in WORKLOADS)
        self.assertEqual(results["errors"], [])
        self.assertEqual(len(results["runs"]), expected)
        told = Drain().report(results, "")
        self.assertEqual(len(told.pictures), 2)
        for run in results["runs"]:
            self.assertGreater(run["seconds"], 0, run)

    def test_keys_that_are_left_are_no_result(self):
        with self.assertRaisesRegex(BenchmarkFailure, "left 1 of"):
            self.drain(KeepsOneKey, W2)
        with self.assertRaisesRegex(BenchmarkFailure, r"left \d+ of"):
            self.drain(SkipsTheBacklog, W2)

    def test_a_failure_is_told_and_the_others_go_on(self):
        with unittest.mock.patch("scenarios.drain.CONTENDERS", [Fails, PgRecvlogical]):
            results = Drain().measure(self.place, Options(scale=0.002, runs=2, workloads=["W1"]))
        self.assertEqual([run["contender"] for run in results["runs"]], ["pg_recvlogical"] * 2)
        self.assertEqual(len(results["errors"]), 2)

    def test_a_server_that_refuses_ends_one_scenario(self):
        refusal = unittest.mock.patch(
            "scenarios.stall.make_backlog", side_effect=psycopg2.OperationalError("refused")
        )
        servers = unittest.mock.patch("benchmark.Servers", return_value=self.servers)
        with refusal, servers, tempfile.TemporaryDirectory() as folder:
            errors = benchmark.measure(["stall", "start-up"], Options(runs=1), Path(folder))
            self.assertEqual(errors, {"stall": "stall: OperationalError: refused"})
            self.assertEqual([file.name for file in Path(folder).iterdir()], ["start-up.json"])

    def test_a_contender_that_fails_is_no_result(self):
        with self.assertRaisesRegex(BenchmarkFailure, "fails ended with 1"):
            self.drain(Fails)


if __name__ == "__main__":
    unittest.main()
