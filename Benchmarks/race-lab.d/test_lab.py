"""The lab itself, on real servers, a few seconds of each: it must see staleness where there is some, and none where
cdcd promises none. `Benchmarks/race-lab --check` runs this."""

import os
import unittest

from lab import Lab, Settings
from remedies.cdcd import LeasedReaders, PlainReaders
from remedies.delete_after import DeleteAfterUpdate
from remedies.ttl import TTLOnly


class RealServers(unittest.TestCase):
    def measure(self, remedy, rows=50):
        settings = Settings(
            postgres_url=os.environ["RACE_LAB_POSTGRES"],
            redis_url=os.environ["RACE_LAB_REDIS"],
            cdcd=os.environ["RACE_LAB_CDCD"],
            seconds=3,
            readers=6,
            writers=4,
            reads_per_second=1200,
            writes_per_second=200,
            rows=rows,
            # With this seed three of the writers bypass the cache among their first 25 transactions.
            seed=13,
            pauses=10,
        )
        measures = Lab(settings).measure(remedy)
        self.assertGreater(measures.commits, 50)
        self.assertGreater(measures.hits_at_rest, 50)
        return measures

    def test_a_ttl_alone_leaves_keys_wrong(self):
        measures = self.measure(TTLOnly())
        self.assertGreater(measures.stale_hits, 0)
        self.assertGreater(measures.stuck_hits, 0)
        self.assertGreater(measures.stale_hits_at_rest, 0)
        self.assertGreater(measures.wrong_at_rest, 0)
        self.assertEqual(measures.wrong_by_cause["untold"], measures.wrong_at_rest)

    def test_deletes_by_the_application_miss_other_writers(self):
        # Many rows, so that few of them are written again.
        measures = self.measure(DeleteAfterUpdate(), rows=1000)
        self.assertGreater(measures.wrong_by_cause["bypass"], 0)
        self.assertEqual(measures.wrong_by_cause["untold"], 0)

    def test_cdcd_with_leases_leaves_no_key_wrong(self):
        measures = self.measure(LeasedReaders())
        self.assertEqual(measures.first_broken_promise, None)
        self.assertEqual(measures.broken_promises, 0)
        self.assertEqual(measures.stale_hits_at_rest, 0)
        self.assertEqual(measures.wrong_at_rest, 0)

    def test_plain_sets_break_the_promise_and_are_seen(self):
        self.assertGreater(self.measure(PlainReaders()).broken_promises, 0)


if __name__ == "__main__":
    unittest.main()
