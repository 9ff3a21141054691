"""What the scenarios beside the drains say of given numbers, and whether they run at all."""

import unittest
from xml.etree import ElementTree

import chart
import curves
import real_servers
from scaling_experiments import EXPERIMENTS, TABLES, workload_of
from scenarios import memory, scaling
from scenarios.drain import make_backlog
from scenarios.memory import Memory
from scenarios.scaling import Scaling
from scenarios.scenario import Options
from scenarios.stall import Stall
from scenarios.start_up import StartUp
from servers import TCP, UNIX
from test_report import run_of


def drains(*seconds):
    return [run_of("cdcd", "W2", number) for number in seconds]


class Words(unittest.TestCase):
    def test_one_slow_drain_misses_the_target(self):
        results = {
            "runs": {TCP: drains(1.0, 1.1, *[1.0] * 18), UNIX: drains(*[1.0] * 19, 1.6)}, "errors": []
        }
        self.assertEqual([target.is_met for target in Stall().report(results, "").targets], [True, False])
        results["runs"][TCP][0]["rows"] = 1000
        self.assertEqual([target.is_met for target in Stall().report(results, "").targets], [None, False])
        results["runs"][UNIX].pop()
        self.assertEqual([target.is_met for target in Stall().report(results, "").targets], [None, None])

    def test_what_a_quick_run_leaves_out_is_not_measured(self):
        point = {"contender": scaling.OWN, "microseconds": 5.0, "cpu_microseconds": 1.0, "changes": 20_000, "is_disturbed": False}
        results = {experiment.name: [{**point, "x": 1}] for experiment in EXPERIMENTS}
        results["width"] = []
        told = Scaling().report({"points": results, "errors": []}, "")
        self.assertEqual({target.is_met for target in told.targets}, {None})

    def test_memory_is_flat_or_not(self):
        results = {
            "rest": {
                "before_bytes": 30 << 20, "after_bytes": 31 << 20, "changes": 10_000,
                "worked": {"changes": 10_000_000, "resident_bytes": 33 << 20},
            },
            "changes": [
                {"changes": count, "resident_bytes": mib << 20, "peak_bytes": mib << 20}
                for count, mib in ((10_000, 31), (1_000_000, 36), (10_000_000, 37))
            ],
            "transactions": [{"rows": rows, "peak_bytes": 40 << 20} for rows in (10_000, 1_000_000)],
        }
        told = {target.what: target.is_met for target in Memory().report(results, "").targets}
        self.assertEqual(list(told.values()), [True, False, True, False, True, True], told)
        # As of a quick run.
        results["rest"]["worked"]["changes"] = 100_000
        del results["changes"][2], results["transactions"][1]
        told = [target.is_met for target in Memory().report(results, "").targets]
        self.assertEqual(told, [True, *[None] * 5])


class Picture(unittest.TestCase):
    def picture(self, values):
        drawn = [curves.Curve(f"contender number {number}", values, number < 2) for number in range(9)]
        x, y = curves.Logarithmic([x for x, _ in values]), curves.Logarithmic([y for _, y in values])
        panels = [curves.Panel("panel", "x", "y", x, y, drawn, [(x.first, 1)])] * 3
        return ElementTree.fromstring(curves.draw("title", "subtitle", panels, "many words " * 30))

    def test_it_is_well_formed_and_nothing_lies_outside(self):
        for values in ([(1, 0.5), (1000, 7)], [(3, 3)]):
            for element in self.picture(values).iter():
                if element.tag.endswith("}text"):
                    self.assertTrue(0 < float(element.get("x")) < chart.WIDTH, ElementTree.tostring(element))
                for point in (element.get("points") or "").split():
                    self.assertLess(float(point.split(",")[0]), chart.WIDTH)

    def test_scales(self):
        percentiles = curves.Percentiles([0, 99.9])
        self.assertEqual([label for _, label in percentiles.ticks], ["50 %", "90 %", "99 %", "99.9 %"])
        self.assertAlmostEqual(percentiles.share(99), 2 / 3)
        self.assertAlmostEqual(curves.Logarithmic([1, 100]).share(10), 0.5)
        self.assertEqual(curves.Logarithmic([0, 5], least=0.1).share(0), 0)


class RealServers(real_servers.RealServers):
    def test_start_up(self):
        results = StartUp().measure(self.place, Options(runs=1))
        self.assertEqual((len(results["runs"]), results["errors"]), (3, []))
        for (run,) in results["runs"].values():
            self.assertLess(run["http_ms"], run["ready_ms"] + 1)

    def test_stall(self):
        results = Stall().measure(self.place, Options(runs=2, scale=0.002))
        self.assertEqual({name: len(runs) for name, runs in results["runs"].items()}, {TCP: 2, UNIX: 2})

    def test_memory(self):
        contender = memory.prepared(self.place, 2_000)
        run = memory.measure_transaction(contender, 2_000)
        self.assertGreater(run["peak_bytes"], 1 << 20)

    def test_tables_take_turns(self):
        (backlog,) = TABLES.make(self.place, [4], 2_000)
        contenders = [contender for _, contender in backlog.contenders]
        make_backlog(self.place, contenders, workload_of(2_000), backlog.prepare, backlog.write)
        for table in ("users", "users_1", "users_3"):
            changed = self.servers.value(f"SELECT count(*) FROM {table} WHERE balance = 1")
            self.assertEqual(changed, 500, table)


if __name__ == "__main__":
    unittest.main()
