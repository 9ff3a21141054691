import time
from pathlib import Path

from application import key_of
from judge import APPLICATION, BYPASS, CRASHED
from remedies.remedy import Remedy

SCRIPTS = Path(__file__).resolve().parents[3] / "Sources/CacheAside/Scripts"
GET = (SCRIPTS / "get.lua").read_text()
FILL = (SCRIPTS / "fill.lua").read_text()


class PlainReaders(Remedy):
    """cdcd deletes once a commit is visible to readers. Readers fill with SET: one that read before the commit and
    is slow can still put the old row back, which no daemon can prevent."""

    name = "cdcd"
    title = "cdcd, readers with SET"
    hears_of = {APPLICATION, CRASHED, BYPASS}
    consumer_commands = ("multi", "exec", "unlink", "del", "eval")
    leases = False
    # A line of the rule in rules.yaml.
    rule = ""

    def start(self, lab):
        lab.start_cdcd(leases=self.leases, rule=self.rule)

    def settle(self, lab):
        lab.wait_for_cdcd()

    def clean_up(self, lab):
        lab.drop_slot("cdcd")
        lab.sql("DROP PUBLICATION IF EXISTS cdcd")
        # With its functions go the event triggers that tell of DDL.
        lab.sql("DROP SCHEMA IF EXISTS cdcd CASCADE")


class PlainReadersWithRedelete(PlainReaders):
    """As above, and cdcd deletes once more, a while after the commit became visible."""

    name = "cdcd-redelete"
    title = "cdcd, SET, redelete 500 ms"
    rule = "redelete_after: 500ms"


class LeasedReaders(PlainReaders):
    """cdcd deletes lease and key; a reader's fill counts only if its lease is still there. The reader is the one that
    README shows in Python: while somebody else fills it asks again after a while, and at last reads past the cache.
    """

    name = "cdcd-leases"
    title = "cdcd, readers with leases"
    consumer_commands = ("multi", "exec", "unlink", "eval")
    leases = True
    lease_milliseconds = 10_000
    wait_seconds = 3

    def read(self, application, item):
        key = key_of(item)
        keys = [key, f"cdcd:l:{{{key}}}"]
        token, deadline = application.random.randbytes(16), time.monotonic() + self.wait_seconds
        while True:
            application.ask_now()
            answer = application.script(GET)(keys, [token, self.lease_milliseconds])
            if answer[0] != b"W" or time.monotonic() > deadline:
                break
            time.sleep(application.random.uniform(0.01, 0.05))
        if answer[0] == b"H":
            return answer[1]
        value = application.select(item)
        if answer[0] == b"L":
            application.script(FILL)(keys, [token, value, self.ttl_seconds * 1000])
        return value
