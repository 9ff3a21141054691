"""cdcd as it comes, in each of its modes: barrier, leases and watermark are on."""

from contenders.contender import Contender
from daemon import Daemon
from failure import BenchmarkFailure, wait_until

OWN_KEYS = "cdcd:*"


class CDCD(Contender):
    """It is started and stopped before the backlog is made, and gets that watermark back before each run: so the
    backlog is one to catch up with, as after a restart, and no gap."""

    name = "cdcd"
    title = "cdcd, pgoutput"
    tuning = "As it comes, its own `setup` included. It has ended when `/wait` answers for the end of the backlog."
    is_own = True
    mode = "pgoutput"
    # Lines of rules.yaml below `source:`.
    source = ""

    def __init__(self, place):
        super().__init__(place)
        self.daemon = None
        self._own_keys = {}

    def set_up(self):
        place = self.place
        self.daemon = Daemon(
            place.cdcd,
            place.folder,
            self.name,
            place.addresses,
            mode=self.mode,
            slot=self.slot,
            source=self.source,
        )
        self.daemon.set_up()

    def settle(self):
        self.place.servers.redis.flushall()
        self.daemon.start()
        self.daemon.wait_ready()
        self.daemon.wait_settled(self.place.servers.position())
        self.daemon.stop()
        self._save()

    def _save(self):
        redis = self.place.servers.redis
        self._own_keys = {key: redis.dump(key) for key in redis.scan_iter(OWN_KEYS)}

    def restore(self):
        for key, value in self._own_keys.items():
            self.place.servers.redis.restore(key, 0, value, replace=True)

    def start(self, backlog):
        self.process = self.daemon.start()
        return self.process

    @property
    def log(self):
        return self.daemon.log

    def finish(self, backlog):
        self.daemon.wait_settled(backlog.end)

    def verify(self, workload):
        # The metrics follow the events by a moment.
        wait_until(
            lambda: self.daemon.metrics().get("cdcd_keys_deleted_total", 0) >= workload.rows,
            f"{self.name} tells of {workload.rows} deleted keys",
            seconds=5,
        )
        metrics = self.daemon.metrics()
        # A flush would have deleted the keys without reading the changes.
        for name in ("cdcd_gaps_total", "cdcd_flushes_total", "cdcd_lineage_breaks_total", "cdcd_retries_total"):
            if metrics.get(name):
                raise BenchmarkFailure(f"{self.name}: {name} is {metrics[name]:.0f} after a drain")

    def stop(self):
        self.process = None
        if self.daemon:
            self.daemon.stop()


class CDCDWal2json(CDCD):
    name = "cdcd-wal2json"
    title = "cdcd, wal2json"
    tuning = "As above, with `source.mode: wal2json`."
    mode = plugin = "wal2json"


class CDCDNotify(CDCD):
    """Its backlog is the rows of the outbox; they are put back before each run. The watermark goes on from run to run:
    rows that it has consumed are gone for good, so an older one would be a gap."""

    name = "cdcd-notify"
    title = "cdcd, notify"
    tuning = (
        "As above, with `source.mode: notify`: the backlog is in the outbox that its triggers fill, and the time is"
        " from the start of the process."
    )
    backlog = "outbox"
    mode = "notify"
    plugin = None

    def keep_outbox(self):
        """Once the backlog has been made."""
        sql = self.place.servers.sql
        sql("DROP TABLE IF EXISTS kept_outbox")
        sql("CREATE TABLE kept_outbox AS TABLE cdcd.outbox")

    def restore(self):
        super().restore()
        sql = self.place.servers.sql
        sql("TRUNCATE cdcd.outbox")
        sql("INSERT INTO cdcd.outbox OVERRIDING SYSTEM VALUE SELECT * FROM kept_outbox ORDER BY id")
        sql("VACUUM ANALYZE cdcd.outbox")

    def stop(self):
        was_running = self.process is not None
        super().stop()
        if was_running:
            self._save()
