"""What is written and drawn of given measures."""

import json
import re
import unittest
from pathlib import Path
from xml.etree import ElementTree

import chart
import report
from measures import Measures

KEPT = Path(__file__).parents[1] / "results/race-lab.json"
RESULTS = [Measures(**measures) for measures in json.loads(KEPT.read_text())["results"]]


class Numbers(unittest.TestCase):
    def test_only_zero_is_written_as_zero(self):
        self.assertEqual(report.percent(0, 1000), "0")
        self.assertEqual(report.percent(1, 10**7), "0.000010 %")
        self.assertEqual(report.percent(34, 10**6), "0.0034 %")
        self.assertEqual(report.percent(3, 100), "3.0 %")
        self.assertEqual(report.percent(994, 1000), "99 %")
        self.assertEqual(report.seconds(0), "0")
        self.assertEqual(report.seconds(0.0581), "58 ms")

    def test_wrong_keys_are_told_by_cause(self):
        self.assertEqual(report.by_cause({"race": 0, "crash": 2, "bypass": 10}), "12: 2 crash, 10 bypass")
        self.assertEqual(report.by_cause({"race": 0}), "0")

    def test_every_remedy_has_its_row(self):
        for table in (report.markdown_table(RESULTS), report.terminal_table(RESULTS)):
            self.assertEqual(len(table.splitlines()), len(RESULTS) + 2)


class Picture(unittest.TestCase):
    def test_it_is_well_formed_and_nothing_lies_outside(self):
        picture = ElementTree.fromstring(chart.svg(RESULTS, "many words about the machine " * 8))
        for element in picture.iter():
            right = float(element.get("x", 0)) + float(element.get("width", 0))
            if element.tag.endswith("}text") and element.get("class") not in ("end", "end own", "quiet end"):
                # A letter of this size is hardly ever wider.
                right += 7 * len(element.text) / (2 if "middle" in element.get("class") else 1)
            self.assertLessEqual(right, chart.WIDTH, ElementTree.tostring(element))

    def test_zero_is_drawn_as_a_ring(self):
        rings = [len(re.findall('circle class="zero"', chart.svg([m], ""))) for m in RESULTS]
        zeros = [[m.stale_hits, m.stuck_hits, m.wrong_at_rest, m.selects_per_read].count(0) for m in RESULTS]
        self.assertEqual(rings, zeros)
        self.assertGreater(sum(zeros), 0)


if __name__ == "__main__":
    unittest.main()
