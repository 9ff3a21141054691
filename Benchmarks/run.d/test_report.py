"""What is written and drawn of given runs."""

import unittest
from pathlib import Path
from xml.etree import ElementTree

import bars
import benchmark
import chart
import drain_report
import report
from contenders import CONTENDERS
from drain_run import Run
from failure import BenchmarkFailure
from scenarios import BY_NAME as SCENARIOS
from scenarios.drain import Drain
from scenarios.scenario import Report, Target
from workloads import WORKLOADS


ROWS = {workload.name: workload.rows for workload in WORKLOADS}


def run_of(contender, workload, seconds, **fields):
    return {
        **dict.fromkeys(Run.__annotations__, 0.1),
        **{"contender": contender, "workload": workload, "rows": ROWS[workload], "seconds": seconds},
        **{"peak_bytes": 5 << 20, "voluntary_switches": 0, "involuntary_switches": 0, "bystanders": 0.01},
        **fields,
    }


RUNS = [
    run_of(contender.name, workload.name, 1.5 * number + repetition / 10)
    for number, contender in enumerate(CONTENDERS, 1)
    for workload in WORKLOADS
    for repetition in range(3)
    if contender.drains(workload)
]


class Numbers(unittest.TestCase):
    def test_the_command_is_told_without_a_folder_of_this_machine(self):
        for words in (["--results", "/here"], ["--results=/here"]):
            told = benchmark.command_without_folder(["--scenario", "drain", *words, "--rounds", "1"])
            self.assertEqual(told, "Benchmarks/run --scenario drain --rounds 1")

    def test_digits(self):
        told = [report.number(value) for value in (0, 0.04513, 1.0, 12.34, 1234.5, 99.96)]
        self.assertEqual(told, ["0", "0.0451", "1.00", "12.3", "1,234", "100.0"])

    def test_a_ratio_is_one_of_medians(self):
        seconds = {"cdcd": (1, 2, 30), "gulping-reader": (1, 4, 5)}
        runs = [run_of(name, "W1", value) for name, values in seconds.items() for value in values]
        medians = drain_report.Medians(drain_report.runs_of({"runs": runs}))
        self.assertEqual(medians.ratio("cdcd", "gulping-reader", "W1"), 0.5)
        self.assertEqual(medians.ratio("cdcd", "gulping-reader", "W2"), None)

    def test_disturbed_runs_count_only_where_there_are_no_others(self):
        runs = [run_of("cdcd", "W1", 2), run_of("cdcd", "W1", 9, bystanders=0.5)]
        runs = drain_report.runs_of({"runs": [*runs, run_of("gulping-reader", "W1", 4, bystanders=0.5)]})
        self.assertEqual(drain_report.Medians(runs).ratio("cdcd", "gulping-reader", "W1"), 0.5)
        first = next(drain_report.targets(runs))
        self.assertTrue(first.is_doubtful)
        self.assertIn("met, disturbed", report.targets_table([first]))

    def test_the_worst_of_the_workloads_counts(self):
        script = {"W1": 6, "W2": 2, "W3": 3}
        runs = [run_of("cdcd", workload, 3) for workload in script]
        runs += [run_of("psycopg2-pgoutput", workload, seconds) for workload, seconds in script.items()]
        medians = drain_report.Medians(drain_report.runs_of({"runs": runs}))
        self.assertEqual(medians.worst("cdcd", "psycopg2-pgoutput"), (1.5, "W2"))
        medians = drain_report.Medians(drain_report.runs_of({"runs": runs[:-1]}))
        self.assertEqual(medians.worst("cdcd", "psycopg2-pgoutput"), (None, None))


class Targets(unittest.TestCase):
    def test_met_missed_and_not_measured(self):
        targets = [
            Target("a", 1, 1.1),
            Target("b", 1.2, 1.1),
            Target("c", None, 1.1),
            Target("d", 5, 4, at_least=True),
        ]
        self.assertEqual([target.is_met for target in targets], [True, False, None, True])
        verdicts = [line.split("|")[-2].strip() for line in report.targets_table(targets).splitlines()[2:]]
        self.assertEqual(verdicts, ["met", "**missed**", "not measured", "met"])

    def test_a_contender_that_did_not_run_meets_nothing(self):
        told = Drain().report({"runs": [run_of("cdcd", "W1", 1)], "errors": []}, "")
        self.assertEqual({target.is_met for target in told.targets}, {None})

    def test_fewer_changes_than_asked_for_meet_nothing(self):
        told = Drain().report({"runs": [{**run, "rows": 1000} for run in RUNS], "errors": []}, "")
        self.assertEqual({target.is_met for target in told.targets}, {None})
        told = Drain().report({"runs": RUNS, "errors": []}, "")
        self.assertEqual({target.is_met for target in told.targets} - {True, False}, set())


class Tables(unittest.TestCase):
    def test_every_contender_has_its_row(self):
        told = Drain().report({"runs": RUNS, "errors": []}, "conditions")
        drain = [contender for contender in CONTENDERS if any(map(contender.drains, WORKLOADS))]
        self.assertEqual(len(told.tables[0].splitlines()), len(drain) + 2)

    def test_disturbed_runs_are_told(self):
        told = Drain().report({"runs": [run_of("cdcd", "W1", 1, bystanders=0.5)], "errors": []}, "conditions")
        self.assertIn("1 of 1 runs", told.pictures[0].svg)
        self.assertIn("1 of 1 runs", benchmark.markdown(Drain(), {}, told))


class Readme(unittest.TestCase):
    def test_the_page_of_this_folder_tells_of_every_contender(self):
        page = (Path(__file__).parents[1] / "README.md").read_text()
        is_told = benchmark.contenders_list() in page
        self.assertTrue(is_told, "Benchmarks/run --redraw --update-readme mends it")


    def parts(self, commits):
        return [(scenario, {"commit": commit}, Report()) for scenario, commit in zip(SCENARIOS.values(), commits)]

    def test_the_pages_get_all_scenarios_of_one_commit(self):
        benchmark.check_complete(self.parts(["a"] * len(SCENARIOS)))
        with self.assertRaisesRegex(BenchmarkFailure, "nothing is known of start-up"):
            benchmark.check_complete(self.parts(["a"] * (len(SCENARIOS) - 1)))
        with self.assertRaisesRegex(BenchmarkFailure, "different commits"):
            benchmark.check_complete(self.parts(["b", *["a"] * (len(SCENARIOS) - 1)]))


class Pictures(unittest.TestCase):
    def test_they_are_well_formed_and_nothing_lies_outside(self):
        for picture in Drain().report({"runs": RUNS, "errors": []}, "many words about the machine " * 8).pictures:
            for element in ElementTree.fromstring(picture.svg).iter():
                right = float(element.get("x", 0)) + float(element.get("width", 0))
                if element.tag.endswith("}text") and "end" not in element.get("class"):
                    # A letter of this size is hardly ever wider.
                    right += 6.3 * len(element.text) / (2 if "middle" in element.get("class") else 1)
                self.assertLessEqual(right, chart.WIDTH, ElementTree.tostring(element))

    def test_titles_of_panels_do_not_touch(self):
        for picture in Drain().report({"runs": RUNS, "errors": []}, "").pictures:
            titles = [each for each in ElementTree.fromstring(picture.svg).iter() if each.get("class") == "panel"]
            for title, following in zip(titles, titles[1:]):
                self.assertLess(
                    float(title.get("x")) + 7.2 * len(title.text), float(following.get("x")), title.text
                )

    def test_a_bar_far_beyond_the_others_is_cut(self):
        scale = bars.Scale(0, 100, [1, 2, 3, 4, 50])
        self.assertTrue(scale.is_beyond(50))
        self.assertFalse(scale.is_beyond(4))
        self.assertEqual(scale.at(50), 100)


if __name__ == "__main__":
    unittest.main()
