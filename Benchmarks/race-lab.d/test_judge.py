"""The judge against histories written by hand."""

import unittest

from judge import APPLICATION, BYPASS, CRASHED, Commit, CommitLog, Hit, ImpossibleHistory, Settled
from judge import judge_hits, judge_rest

# Row 7 has version 2 at time 100 and version 3 at time 200.
HISTORY = [Commit(100, 7, 2, APPLICATION), Commit(200, 7, 3, APPLICATION)]


def judge(*hits, history=HISTORY, stuck_after=1000, **rest):
    return judge_hits(CommitLog(history), hits, stuck_after, **rest)


class Hits(unittest.TestCase):
    def test_a_value_is_fresh_until_a_newer_commit_has_returned(self):
        self.assertEqual(judge(Hit(99, 7, 1), Hit(100, 7, 1), Hit(150, 7, 2), Hit(900, 7, 3)).stale, 0)

    def test_an_old_value_is_stale_from_then_on(self):
        verdict = judge(Hit(101, 7, 1), Hit(250, 7, 1), Hit(201, 7, 2))
        self.assertEqual((verdict.hits, verdict.stale, verdict.longest_stale), (3, 3, 150))

    def test_a_value_newer_than_any_commit_that_returned_is_fresh(self):
        self.assertEqual(judge(Hit(150, 7, 3)).stale, 0)

    def test_stuck_is_stale_for_longer_than_the_threshold(self):
        verdict = judge(Hit(160, 7, 1), Hit(161, 7, 1), stuck_after=60)
        self.assertEqual((verdict.stale, verdict.stuck["race"]), (2, 1))

    def test_commits_may_return_in_another_order_than_they_were_made(self):
        history = [Commit(300, 7, 2, APPLICATION), Commit(200, 7, 3, APPLICATION)]
        self.assertEqual(judge(Hit(250, 7, 1), history=history).longest_stale, 50)
        self.assertEqual(judge(Hit(250, 7, 2), history=history).longest_stale, 50)
        self.assertEqual(judge(Hit(350, 7, 2), history=history).longest_stale, 150)

    def test_a_row_that_nobody_changed_is_never_stale(self):
        self.assertEqual(judge(Hit(10**12, 8, 1)).stale, 0)

    def test_hits_at_rest_are_counted_apart(self):
        verdict = judge(Hit(250, 7, 1), Hit(400, 7, 1), Hit(400, 7, 3), rest_from=400)
        self.assertEqual((verdict.at_rest, verdict.stale_at_rest), (2, 1))

    def test_the_watermark_promises_nothing_before_it_is_told(self):
        promise = [Settled(asked_at=110, answered_at=120)]
        self.assertEqual(len(judge(Hit(119, 7, 1), settled=promise).broken_promises), 0)
        self.assertEqual(len(judge(Hit(120, 7, 1), settled=promise).broken_promises), 1)
        # Version 3 is newer than what the promise covered.
        self.assertEqual(len(judge(Hit(300, 7, 2), settled=promise).broken_promises), 0)

    def test_what_was_settled_once_stays_settled(self):
        promises = [Settled(asked_at=110, answered_at=140), Settled(asked_at=90, answered_at=150)]
        self.assertEqual(len(judge(Hit(160, 7, 1), settled=promises).broken_promises), 1)
        self.assertEqual(len(judge(Hit(300, 7, 2), settled=promises).broken_promises), 0)

    def test_an_impossible_value_stops_the_lab(self):
        for hit in (Hit(1, 7, 4), Hit(1, 7, 0), Hit(1, 8, 2)):
            with self.assertRaises(ImpossibleHistory):
                judge(hit)

    def test_a_lost_or_repeated_commit_stops_the_lab(self):
        for history in ([Commit(1, 7, 3, APPLICATION)], [Commit(1, 7, 2, APPLICATION)] * 2):
            with self.assertRaises(ImpossibleHistory):
                CommitLog(history)


class Causes(unittest.TestCase):
    def cause(self, *kinds, heard=(APPLICATION,)):
        history = [Commit(100 + number, 7, 2 + number, kind) for number, kind in enumerate(kinds)]
        causes = judge_rest(CommitLog(history), {7: 1}, set(heard))
        self.assertEqual(sum(causes.values()), 1)
        return max(causes, key=causes.get)

    def test_the_newest_version_is_right(self):
        self.assertEqual(sum(judge_rest(CommitLog(HISTORY), {7: 3, 8: 1}, {APPLICATION}).values()), 0)

    def test_a_write_that_the_remedy_heard_of_was_overtaken(self):
        self.assertEqual(self.cause(APPLICATION), "race")
        self.assertEqual(self.cause(BYPASS, APPLICATION), "race")
        self.assertEqual(self.cause(BYPASS, heard=(APPLICATION, CRASHED, BYPASS)), "race")

    def test_writes_that_the_remedy_never_heard_of(self):
        self.assertEqual(self.cause(CRASHED), "crash")
        self.assertEqual(self.cause(BYPASS), "bypass")
        self.assertEqual(self.cause(BYPASS, CRASHED), "crash")
        self.assertEqual(self.cause(APPLICATION, BYPASS, heard=()), "untold")

    def test_a_write_that_has_just_been_made_does_not_explain_an_old_staleness(self):
        history = [Commit(100, 7, 2, BYPASS), Commit(900, 7, 3, APPLICATION)]
        verdict = judge(Hit(950, 7, 1), history=history, stuck_after=500)
        self.assertEqual(verdict.stuck, {"race": 0, "crash": 0, "bypass": 1, "untold": 0})


if __name__ == "__main__":
    unittest.main()
